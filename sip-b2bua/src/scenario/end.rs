//! From what happened to a leg to the end that the API shows.

use call_control::{End, EndReason, EndedBy, Party, q850_cause};

/// How a leg ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegEnd {
    /// The party sent BYE.
    HungUp,
    /// We hung up, and the party confirmed it or had time enough to.
    HungUpByUs,
    /// The best of the final responses of its phones.
    Refused {
        /// 300 to 699.
        status: u16,
    },
    /// It rang for as long as it may.
    NoAnswer,
    /// No phone is registered, or none could be reached.
    Unreachable,
    /// No trunk took the call; the last response, if there was one.
    TrunkFailed {
        /// 300 to 699.
        status: Option<u16>,
    },
    /// Every trunk that takes the number is full.
    NoChannel,
    /// The dial policy does not let it be rung.
    Denied,
    /// It has gone into another call, which goes on.
    TakenOver,
    /// It answered with none of the codecs that it was offered.
    NoCommonCodec,
    /// It no longer knows the dialog, or the session timer ran out.
    SessionExpired,
}

impl LegEnd {
    /// It was sent on more often than it may be.
    pub const LOOPED: Self = Self::Refused { status: 482 };
}

/// Who, beside a party, can want the end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndCause {
    /// A request of the API.
    Api,
    /// `max_duration` is over.
    MaxDuration,
    /// A party that should send audio sends none.
    MediaTimeout(Party),
    /// The server is told to stop.
    ServerStopped,
    /// The other party is rung from another call, into which this one goes.
    Transferred,
}

/// The end of a call that what happened to the leg of `party` brought about.
pub fn of_party(party: Party, why: LegEnd, is_connected: bool) -> End {
    let hung_up = if is_connected { EndReason::HungUp } else { EndReason::Cancelled };
    match why {
        LegEnd::HungUp => plain(hung_up, party.into(), None, Some(16)),
        LegEnd::HungUpByUs => plain(hung_up, EndedBy::Server, None, Some(16)),
        LegEnd::Refused { status } => {
            let reason = EndReason::of_status(status);
            let (sip_status, q850_cause) = (Some(status), q850_cause(status));
            End { sip_status, q850_cause, ..plain(reason, party.into(), Some(party), None) }
        }
        LegEnd::NoAnswer => plain(EndReason::NoAnswer, EndedBy::Server, Some(party), Some(19)),
        LegEnd::Unreachable => plain(EndReason::Unreachable, EndedBy::Server, Some(party), Some(20)),
        LegEnd::TrunkFailed { status } => {
            let q850_cause = status.and_then(q850_cause).or(Some(38));
            let (reason, by) = (EndReason::TrunkFailed, EndedBy::Server);
            End { sip_status: status, ..plain(reason, by, Some(party), q850_cause) }
        }
        LegEnd::NoChannel => plain(EndReason::LimitReached, EndedBy::Server, Some(party), Some(34)),
        LegEnd::Denied => {
            let (reason, by, sip_status) = (EndReason::PolicyDenied, EndedBy::Server, Some(403));
            End { sip_status, ..plain(reason, by, Some(party), Some(21)) }
        }
        LegEnd::TakenOver => plain(EndReason::Transferred, EndedBy::Server, Some(party), Some(16)),
        LegEnd::NoCommonCodec => plain(EndReason::NoCommonCodec, EndedBy::Server, Some(party), Some(65)),
        LegEnd::SessionExpired => plain(EndReason::SessionExpired, EndedBy::Server, Some(party), Some(102)),
    }
}

/// One destination led to another, more often than a call may be led on.
pub const fn looped() -> End {
    plain(EndReason::LoopDetected, EndedBy::Server, Some(Party::To), Some(25))
}

/// Nobody has taken the place of a party, and its phone, which wanted that, has hung up (RFC 5589 §6).
pub const fn not_transferred(party: Party, status: u16) -> End {
    let q850_cause = q850_cause(status);
    let end = plain(EndReason::TransferFailed, EndedBy::Server, Some(party), q850_cause);
    End { sip_status: Some(status), ..end }
}

/// The status that a phone is told of which nobody has taken the place.
pub const fn status_of(why: LegEnd) -> u16 {
    match why {
        LegEnd::Refused { status } | LegEnd::TrunkFailed { status: Some(status) } => status,
        LegEnd::TrunkFailed { status: None } | LegEnd::NoChannel => 503,
        LegEnd::Denied => 403,
        LegEnd::NoCommonCodec => 488,
        LegEnd::NoAnswer
        | LegEnd::Unreachable
        | LegEnd::HungUp
        | LegEnd::HungUpByUs
        | LegEnd::TakenOver
        | LegEnd::SessionExpired => 480,
    }
}

/// The end that somebody asked for.
pub fn requested(cause: EndCause, connected: bool) -> End {
    let by_api = if connected { EndReason::HungUp } else { EndReason::Cancelled };
    match cause {
        EndCause::Api => plain(by_api, EndedBy::Api, None, Some(16)),
        EndCause::MaxDuration => plain(EndReason::MaxDuration, EndedBy::Server, None, Some(31)),
        EndCause::MediaTimeout(party) => {
            plain(EndReason::MediaTimeout, EndedBy::Server, Some(party), Some(31))
        }
        EndCause::Transferred => plain(EndReason::Transferred, EndedBy::Server, None, Some(16)),
        EndCause::ServerStopped => plain(EndReason::ServerStopped, EndedBy::Server, None, Some(41)),
    }
}

const fn plain(reason: EndReason, by: EndedBy, party: Option<Party>, q850_cause: Option<u8>) -> End {
    End { reason, by, party, sip_status: None, q850_cause, into: None }
}
