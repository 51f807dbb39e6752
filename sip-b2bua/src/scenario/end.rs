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
    /// It answered with none of the codecs that it was offered.
    NoCommonCodec,
    /// It no longer knows the dialog, or the session timer ran out.
    SessionExpired,
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
            End { reason, by: party.into(), party: Some(party), sip_status, q850_cause }
        }
        LegEnd::NoAnswer => plain(EndReason::NoAnswer, EndedBy::Server, Some(party), Some(19)),
        LegEnd::Unreachable => plain(EndReason::Unreachable, EndedBy::Server, Some(party), Some(20)),
        LegEnd::TrunkFailed { status } => {
            let q850_cause = status.and_then(q850_cause).or(Some(38));
            let (reason, by) = (EndReason::TrunkFailed, EndedBy::Server);
            End { reason, by, party: Some(party), sip_status: status, q850_cause }
        }
        LegEnd::NoChannel => plain(EndReason::LimitReached, EndedBy::Server, Some(party), Some(34)),
        LegEnd::Denied => {
            let (reason, by, sip_status) = (EndReason::PolicyDenied, EndedBy::Server, Some(403));
            End { reason, by, party: Some(party), sip_status, q850_cause: Some(21) }
        }
        LegEnd::NoCommonCodec => plain(EndReason::NoCommonCodec, EndedBy::Server, Some(party), Some(65)),
        LegEnd::SessionExpired => plain(EndReason::SessionExpired, EndedBy::Server, Some(party), Some(102)),
    }
}

/// One destination led to another, more often than a call may be led on.
pub const fn looped() -> End {
    plain(EndReason::LoopDetected, EndedBy::Server, Some(Party::To), Some(25))
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
        EndCause::ServerStopped => plain(EndReason::ServerStopped, EndedBy::Server, None, Some(41)),
    }
}

const fn plain(reason: EndReason, by: EndedBy, party: Option<Party>, q850_cause: Option<u8>) -> End {
    End { reason, by, party, sip_status: None, q850_cause }
}
