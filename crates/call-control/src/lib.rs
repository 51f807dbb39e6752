//! The words shared by the HTTP API and the B2BUA: what can be asked, what a call looks like, what happened to it.
//!
//! No logic, no I/O. Read [`ClickToCall`] (what is asked) and [`Call`] (what is answered) first; [`Calls`] is the
//! seam between the two services.

mod call;
mod disposition;
mod end;
mod event;
mod explanation;
mod inventory;
mod ladder;
mod number;
mod path;
mod request;
mod service;
mod wish;

pub use call::{
    Call, CallDirection, CallId, CallState, Media, Party, PartyState, PartyType, PartyView, Timestamp,
    TimestampError,
};
pub use disposition::Disposition;
pub use end::{End, EndReason, EndedBy, q850_cause};
pub use event::{CallEvent, CallEventKind, EventId, NumberedEvent};
pub use explanation::{Explanation, Finding, FindingCode, Severity};
pub use inventory::{ExtensionState, ExtensionView, PhoneView, ReachedAt, RegistrationState, TrunkView};
pub use ladder::{
    Direction, Ladder, LadderDevice, LadderMessage, LadderParty, LadderTransport, LeftOut, MessageKind,
};
pub use number::{CallerId, CallerIdError, Number, NumberError};
pub use path::{Reached, STEPS_MAX, Step, StepKind};
pub use request::{
    ClickToCall, Repeatable, VariableName, VariableNameError, VariableValue, VariableValueError,
};
pub use service::{
    Calls, EventReader, EventsEnd, HangUpRefusal, MessagesRefusal, Readiness, Refusal, whole_seconds,
};
pub use wish::{Digits, DigitsError, NotNow, Transfer, Wish, WishRefusal};
