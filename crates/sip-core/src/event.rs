//! What comes out of an [`Endpoint`](crate::Endpoint).

use crate::{Flow, InviteId};
use sip_message::{CallId, Reason, Request, Response, StatusCode};

/// What the driver has to do, in order.
#[expect(
    clippy::large_enum_variant,
    reason = "moved once, from the queue to the driver; requests are the common case"
)]
#[derive(Debug)]
pub enum Action {
    /// Send these octets along `flow`; for TCP over the connection to `flow.remote`, opened when there is none.
    Send {
        /// Where to.
        flow: Flow,
        /// One whole message.
        octets: Vec<u8>,
    },
    /// Something for the user.
    Event(Event),
}

/// Names a request outside of dialogs; never used twice by one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What happened.
#[expect(
    clippy::large_enum_variant,
    reason = "moved once, from the queue to the driver; requests are the common case"
)]
#[derive(Debug)]
pub enum Event {
    /// A request outside of any dialog whose method [`Config::serves`](crate::Config::serves) lists. No state is held for
    /// it; the user answers it before the next input with `Endpoint::respond`, `respond_statelessly` or, for an INVITE,
    /// `Command::Take`.
    Request(Incoming),
    /// In the life of an INVITE usage.
    Invite {
        /// Which.
        invite: InviteId,
        /// What.
        event: InviteEvent,
    },
    /// The outcome of `Endpoint::request`, exactly once.
    Response {
        /// Which.
        request: RequestId,
        /// How it ended.
        outcome: Outcome,
    },
}

/// A request, and the way it came.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// With `received` and `rport` in its top Via.
    pub request: Request,
    /// Along which it came.
    pub flow: Flow,
}

/// The life of an INVITE usage. `Gone` comes exactly once, and last.
#[derive(Debug)]
pub enum InviteEvent {
    /// Outgoing: the INVITE is about to be sent. Comes once, before the first octets with this Call-ID.
    Sent {
        /// Of the INVITE, and of all that follows in its dialogs.
        call_id: CallId,
    },
    /// Outgoing: 100 was the first response. Somebody has the INVITE; nobody rings yet.
    Trying,
    /// Outgoing: the connection is gone along which the INVITE went and a provisional response came. What follows may come
    /// along another one that the peer opens (RFC 3261 §18.2.2).
    Disconnected,
    /// Outgoing: a provisional response above 100.
    Progress {
        /// 101 to 199.
        status: StatusCode,
        /// Early media (RFC 3960), if it has a body: of a reliable response (RFC 3262) the answer itself.
        body: Option<Vec<u8>>,
        /// Tells forks apart: the To tag.
        branch: Option<Box<str>>,
    },
    /// Outgoing: the first 2xx; ACK is sent by the usage, for an INVITE without an offer by `Command::AnswerOffer`.
    /// Later 2xx of other forks are ACKed and BYEd inside.
    Answered {
        /// The 2xx; when it has no body, with the answer that a reliable provisional response of its branch brought.
        response: Box<Response>,
    },
    /// Incoming: the ACK of our 2xx to the first INVITE came.
    Confirmed {
        /// The answer when our 2xx or a reliable provisional response made the offer.
        body: Option<Vec<u8>>,
    },
    /// The peer sent a re-INVITE or UPDATE: answer it with `Command::AnswerOffer` or `RefuseOffer`.
    Offered {
        /// `None` when it asks us to offer.
        body: Option<Vec<u8>>,
        /// Along which it came.
        flow: Flow,
    },
    /// Our re-INVITE (`Command::Offer`) was answered, or what we offered when a re-INVITE asked us to.
    Reanswered {
        /// The answer; empty when the 2xx, or the ACK of ours, had none.
        body: Vec<u8>,
        /// A later offer waits: this is not the answer to that one.
        is_overtaken: bool,
    },
    /// Our re-INVITE was refused, and no later one waits; the session stays as it was.
    ReofferRefused {
        /// 300 to 699.
        status: StatusCode,
    },
    /// An INFO, MESSAGE, REFER, … in the dialog whose method the config lists under `passes_to_user`; answer with
    /// `Command::Respond`.
    Requested {
        /// For the answer.
        responder: Responder,
        /// What was asked.
        request: Box<Request>,
        /// Along which it came.
        flow: Flow,
    },
    /// The usage is over.
    Gone(Gone),
}

/// A request in a dialog that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Responder {
    pub(crate) transaction: u64,
    pub(crate) invite: InviteId,
}

/// Why a usage is over.
#[derive(Debug, Clone)]
pub struct Gone {
    /// The kind of end.
    pub cause: GoneCause,
    /// Reason header field of the BYE, CANCEL or response that ended it (RFC 3326), if any.
    pub reason: Option<Reason>,
    /// The final response, where our INVITE was refused.
    pub response: Option<Box<Response>>,
}

/// The kinds of end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoneCause {
    /// The peer answered our INVITE with this final status.
    Refused {
        /// 300 to 699.
        status: StatusCode,
    },
    /// No final response in time (timer B, or none after our CANCEL, or none to our BYE).
    TimedOut,
    /// The message could not be sent (RFC 3261 §8.1.3.1).
    Unreachable,
    /// Outgoing: we cancelled, and the peer ended it with 487 (or any final non-2xx, or a 2xx that we ACKed and
    /// BYEd).
    Cancelled,
    /// The peer sent CANCEL before we answered, or the time in the Expires of its INVITE is over (RFC 3261 §13.3.1).
    CancelledByPeer,
    /// We rejected the incoming INVITE.
    Rejected,
    /// The peer sent BYE.
    HungUpByPeer,
    /// We sent BYE, and a final response came, whichever.
    HungUp,
    /// Our 2xx was never acknowledged (RFC 3261 §13.3.1.4), and a BYE was sent; or our reliable provisional response
    /// was not (RFC 3262 §3), and 500 was.
    NoAck,
    /// 481 or 408 to a request in the dialog (RFC 3261 §12.2.1.2), or silence; or the session interval ended without
    /// a refresh (RFC 4028 §10), and a BYE was sent.
    SessionExpired,
    /// What `Command::EndSaved` brought cannot be read, or is known here already: nothing was sent.
    NothingToEnd,
}

/// How a request outside of dialogs ended.
#[derive(Debug)]
pub enum Outcome {
    /// The final response (after a digest retry, when credentials were given).
    Final(Box<Response>),
    /// None came in time (timer F).
    TimedOut,
    /// It could not be sent (RFC 3261 §8.1.3.1).
    Unreachable,
}
