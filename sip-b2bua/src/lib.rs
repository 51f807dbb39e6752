//! The calls: registrar, switchboard, scenarios, and the loop that gives them sockets and a clock.
//!
//! Absent: HTTP; what SIP messages and RTP packets look like. Read `scenario/click_to_call.rs` first, then
//! [`Switchboard`]: all calls as one pure value. [`B2bua`] runs it.
//!
//! | folder | what |
//! |---|---|
//! | `scenario/` | how a call goes: the stories, and the ways to find the other party |
//! | `leg/` | one way to a party: phones that are rung, or one that calls |
//! | `call/` | one call: its scenario, its legs, its view |
//! | `routing/` | from a number to the phones that are rung |
//! | `registrar/` | where the phones are |
//! | `trunks/` | carriers, and how a leg finds one that takes its call |
//! | `switchboard/` | all calls, and what they share |
//! | `journal.rs` | what is written in which round, and what waits for it |
//! | `server/` | sockets, clock, channels: the only folder with I/O |

mod call;
mod journal;
mod keep_alive;
mod leg;
mod media;
mod moment;
mod place;
pub mod registrar;
mod routing;
pub mod scenario;
mod server;
mod settings;
mod stored_flow;
mod switchboard;
mod trunks;

pub use journal::StorageState;
pub use moment::Moment;
pub use routing::{AutoAnswer, Diversion, DiversionReason};
pub use server::{B2bua, LookedUp, StartError, look_up};
pub use settings::{
    Destination, Extension, Forward, IdentityField, Limits, MediaSettings, RegistrationTimes, Settings,
    SocketsMax, TrunkSettings, TrunkTls,
};
pub use switchboard::{Action, Command, Left, Switchboard, Ticket};
pub use trunks::{Located, NotLocated, TrunkId};
