//! The INVITE usage of a dialog (RFC 3261 §9, §13 to §15; RFC 5057): from the INVITE to the BYE.
//!
//! Three machines follow each other: [`Outgoing`] or [`Incoming`] until the INVITE is answered, then
//! [`Established`]. They decide; the endpoint writes the messages that their [`Action`]s ask for.

mod established;
mod incoming;
mod outgoing;

pub(crate) use established::{Agreement, Established, Event as EstablishedEvent, Offered, Refresher};
pub(crate) use incoming::{Event as IncomingEvent, Incoming};
pub(crate) use outgoing::{Event as OutgoingEvent, Outgoing};

use crate::InviteEvent;
use crate::endpoint::TransactionId;
use crate::{Gone, GoneCause, Timers};
use sip_message::{FieldName, Reason, Response, StatusCode};
use std::time::Duration;

/// What a usage wants done.
#[derive(Debug)]
pub(crate) enum Action {
    /// For the user. [`InviteEvent::Gone`] is the last of these.
    Emit(InviteEvent),
    /// Our INVITE once more, with credentials.
    Authenticate,
    /// A reliable provisional response is acknowledged (RFC 3262 §4).
    Prack { response: Box<Response>, rseq: u32 },
    /// CANCEL our INVITE (RFC 3261 §9.1).
    Cancel(Option<Reason>),
    /// No final response to our INVITE or re-INVITE is awaited any longer (RFC 3261 §9.1).
    Abandon,
    /// Our INVITE was answered: the dialog stands. With `ending` it is acknowledged and torn down.
    Establish { response: Box<Response>, ending: Option<Ending> },
    /// Our answer to the INVITE: the dialog stands, the 2xx is to be repeated. Without a body when a reliable
    /// provisional response brought the session.
    Accept { body: Option<Vec<u8>> },
    /// A response to a request that waits.
    Respond { transaction: TransactionId, answer: Answer },
    /// The last provisional response, once more (RFC 3262 §3).
    RepeatProvisional,
    /// The 2xx whose ACK is awaited, once more.
    RepeatAccepted,
    /// The ACK of the 2xx, with the answer when the 2xx made the offer.
    Acknowledge { body: Option<Vec<u8>> },
    /// A re-INVITE with an offer; without one of the user, with the session as it is (RFC 4028 §7.4).
    Reinvite { body: Option<Vec<u8>> },
    /// An UPDATE without an offer.
    Update,
    /// BYE, with or without interest in its outcome.
    Bye { reason: Option<Reason>, watched: bool },
}

/// How a waiting request is answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// 200 with a session description, to INVITE or UPDATE; without one when there is one already.
    Session(Option<Vec<u8>>),
    /// A status, with fields that go with it.
    Status { status: StatusCode, fields: Vec<(FieldName, Box<str>)> },
    /// A provisional response above 100, reliable with an RSeq (RFC 3262 §3).
    Progress { status: StatusCode, body: Option<Vec<u8>>, rseq: Option<u32> },
    /// 500 with a Retry-After of 0 to 10 s (RFC 3261 §14.2).
    RetryLater,
}

impl Answer {
    pub(crate) fn status(status: StatusCode) -> Self {
        Self::Status { status, fields: Vec::new() }
    }
}

/// Why a usage that is to end will be gone.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    pub(crate) cause: GoneCause,
    pub(crate) reason: Option<Reason>,
}

impl Ending {
    pub(crate) fn new(cause: GoneCause, reason: Option<Reason>) -> Self {
        Self { cause, reason }
    }

    fn gone(self) -> Action {
        Action::Emit(InviteEvent::Gone(Gone { cause: self.cause, reason: self.reason }))
    }
}

/// How long the far side may take: 64*T1 (RFC 3261 §9.1, §13.3.1.4).
fn patience(timers: Timers) -> Duration {
    timers.t1 * 64
}
