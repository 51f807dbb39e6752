//! Why a call ended.

use crate::{CallId, Party};
use serde::{Deserialize, Serialize};

/// The end of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// One of the closed list.
    pub reason: EndReason,
    /// Who brought it about.
    pub by: EndedBy,
    /// The leg that `reason` speaks of, when it is one.
    pub party: Option<Party>,
    /// The SIP status behind it, when there is one.
    pub sip_status: Option<u16>,
    /// The Q.850 cause that fits (RFC 3398 §8.2.6.1).
    pub q850_cause: Option<u8>,
    /// The call that goes on with a party of this one, where it was `transferred`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<CallId>,
}

/// Who brought the end about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The party that was rung first.
    From,
    /// The other party.
    To,
    /// A request of the API.
    Api,
    /// This server.
    Server,
}

impl From<Party> for EndedBy {
    fn from(party: Party) -> Self {
        match party {
            Party::From => Self::From,
            Party::To => Self::To,
        }
    }
}

/// Why a call ended: the closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// A party, or the API, ended a call that was connected.
    HungUp,
    /// Ended before both had answered.
    Cancelled,
    /// A party did not answer in time.
    NoAnswer,
    /// 486 or 600.
    Busy,
    /// 603 or 607.
    Declined,
    /// The phone could not be reached: no answer to the INVITE at all, 408, 480, 430, 503 …
    Unreachable,
    /// 404, 410, 484, 604.
    NotFound,
    /// Any other refusal.
    Refused,
    /// 488, 606, or an answer without a codec of the offer.
    NoCommonCodec,
    /// A party that should send audio sent none.
    MediaTimeout,
    /// The session timer ran out (RFC 4028), or the dialog was unknown to the phone.
    SessionExpired,
    /// `max_duration` was over.
    MaxDuration,
    /// No trunk took the call.
    TrunkFailed,
    /// The operator does not let the number be dialled.
    PolicyDenied,
    /// Every trunk that takes the number is full.
    LimitReached,
    /// One destination led to another, more often than a call may be led on.
    LoopDetected,
    /// A party went into another call: that one goes on ([`End::into`]).
    Transferred,
    /// Whoever transferred the call had hung up when the number that it named could not be reached.
    TransferFailed,
    /// The server was told to stop.
    ServerStopped,
    /// The server died.
    ServerCrashed,
    /// A fault of the server.
    InternalError,
}

impl EndReason {
    /// The whole list.
    pub const ALL: [Self; 21] = [
        Self::HungUp,
        Self::Cancelled,
        Self::NoAnswer,
        Self::Busy,
        Self::Declined,
        Self::Unreachable,
        Self::NotFound,
        Self::Refused,
        Self::NoCommonCodec,
        Self::MediaTimeout,
        Self::SessionExpired,
        Self::MaxDuration,
        Self::TrunkFailed,
        Self::PolicyDenied,
        Self::LimitReached,
        Self::LoopDetected,
        Self::Transferred,
        Self::TransferFailed,
        Self::ServerStopped,
        Self::ServerCrashed,
        Self::InternalError,
    ];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HungUp => "hung_up",
            Self::Cancelled => "cancelled",
            Self::NoAnswer => "no_answer",
            Self::Busy => "busy",
            Self::Declined => "declined",
            Self::Unreachable => "unreachable",
            Self::NotFound => "not_found",
            Self::Refused => "refused",
            Self::NoCommonCodec => "no_common_codec",
            Self::MediaTimeout => "media_timeout",
            Self::SessionExpired => "session_expired",
            Self::MaxDuration => "max_duration",
            Self::TrunkFailed => "trunk_failed",
            Self::PolicyDenied => "policy_denied",
            Self::LimitReached => "limit_reached",
            Self::LoopDetected => "loop_detected",
            Self::Transferred => "transferred",
            Self::TransferFailed => "transfer_failed",
            Self::ServerStopped => "server_stopped",
            Self::ServerCrashed => "server_crashed",
            Self::InternalError => "internal_error",
        }
    }

    /// The reason that is written so.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }

    /// The reason that a final status of 300 to 699 stands for.
    pub const fn of_status(status: u16) -> Self {
        match status {
            486 | 600 => Self::Busy,
            603 | 607 => Self::Declined,
            404 | 410 | 484 | 604 => Self::NotFound,
            408 | 430 | 480 | 500 | 502 | 503 | 504 => Self::Unreachable,
            482 | 483 => Self::LoopDetected,
            488 | 606 => Self::NoCommonCodec,
            _ => Self::Refused,
        }
    }
}

/// The Q.850 cause of a SIP status (RFC 3398 §8.2.6.1); `None` where the table has none.
pub const fn q850_cause(sip_status: u16) -> Option<u8> {
    Some(match sip_status {
        200..=299 => 16,
        404 | 485 | 604 => 1,
        410 => 22,
        401..=403 | 407 | 603 | 607 => 21,
        405 => 63,
        406 | 415 | 501 => 79,
        408 | 504 => 102,
        480 => 18,
        486 | 600 => 17,
        484 => 28,
        488 | 606 => 65,
        400 | 481 | 500 | 503 => 41,
        482 | 483 => 25,
        413 | 414 | 416 | 420 | 421 | 423 | 487 | 505 | 513 => 127,
        502 => 38,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_are_those_of_json() {
        for reason in EndReason::ALL {
            assert_eq!(EndReason::of_word(reason.as_str()), Some(reason));
            assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{}\"", reason.as_str()));
        }
    }

    #[test]
    fn a_status_becomes_the_reason_that_users_know() {
        assert_eq!(EndReason::of_status(486), EndReason::Busy);
        assert_eq!(EndReason::of_status(603), EndReason::Declined);
        assert_eq!(EndReason::of_status(480), EndReason::Unreachable);
        assert_eq!(EndReason::of_status(488), EndReason::NoCommonCodec);
        assert_eq!(EndReason::of_status(302), EndReason::Refused);
    }
}
