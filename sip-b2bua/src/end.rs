//! From what happened to a leg to the end that the API shows.

use call_control::{End, EndReason, EndedBy, Party, q850_cause};

/// How a leg ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LegEnd {
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
    /// It answered with none of the codecs that it was offered.
    NoCommonCodec,
    /// It no longer knows the dialog, or the session timer ran out.
    SessionExpired,
}

/// Who, beside a party, can want the end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndCause {
    /// A request of the API.
    Api,
    /// `max_duration` is over.
    MaxDuration,
    /// A party that should send audio sends none.
    MediaTimeout(Party),
    /// The server is told to stop.
    ServerStopped,
}

/// The end of a call that was not connected, brought about by what happened to the leg of `party`.
pub(crate) fn before_connect(party: Party, why: LegEnd) -> End {
    match why {
        LegEnd::HungUp => plain(EndReason::Cancelled, party.into(), None, Some(16)),
        LegEnd::HungUpByUs => plain(EndReason::Cancelled, EndedBy::Server, None, Some(16)),
        LegEnd::Refused { .. }
        | LegEnd::NoAnswer
        | LegEnd::Unreachable
        | LegEnd::NoCommonCodec
        | LegEnd::SessionExpired => failed(party, why),
    }
}

/// The end of a call in which both had answered.
pub(crate) fn connected(party: Party, why: LegEnd) -> End {
    match why {
        LegEnd::HungUp => plain(EndReason::HungUp, party.into(), None, Some(16)),
        LegEnd::HungUpByUs => plain(EndReason::HungUp, EndedBy::Server, None, Some(16)),
        LegEnd::Refused { .. }
        | LegEnd::NoAnswer
        | LegEnd::Unreachable
        | LegEnd::NoCommonCodec
        | LegEnd::SessionExpired => failed(party, why),
    }
}

/// The end that somebody asked for.
pub(crate) fn requested(cause: EndCause, connected: bool) -> End {
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

fn failed(party: Party, why: LegEnd) -> End {
    let (reason, by, sip_status, cause) = match why {
        LegEnd::Refused { status } => {
            (EndReason::of_status(status), party.into(), Some(status), q850_cause(status))
        }
        LegEnd::NoAnswer => (EndReason::NoAnswer, EndedBy::Server, None, Some(19)),
        LegEnd::Unreachable => (EndReason::Unreachable, EndedBy::Server, None, Some(20)),
        LegEnd::NoCommonCodec => (EndReason::NoCommonCodec, EndedBy::Server, None, Some(65)),
        LegEnd::SessionExpired => (EndReason::SessionExpired, EndedBy::Server, None, Some(102)),
        LegEnd::HungUp | LegEnd::HungUpByUs => (EndReason::HungUp, party.into(), None, Some(16)),
    };
    End { reason, by, party: Some(party), sip_status, q850_cause: cause }
}

fn plain(reason: EndReason, by: EndedBy, party: Option<Party>, q850_cause: Option<u8>) -> End {
    End { reason, by, party, sip_status: None, q850_cause }
}
