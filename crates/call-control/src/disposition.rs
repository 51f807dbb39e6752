//! How a call went, in the words that users of call records know.

use crate::{Call, EndReason};
use serde::{Deserialize, Serialize};

/// How a call went, as one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// Both had answered, whatever ended the call then.
    Answered,
    /// A party did not answer in time.
    NoAnswer,
    /// A party was busy, or its user declined.
    Busy,
    /// It could not be put through, or the server failed it.
    Failed,
    /// Somebody gave it up before both had answered.
    Cancelled,
    /// It has not ended.
    Running,
}

impl Disposition {
    /// Every word.
    pub const ALL: [Self; 6] =
        [Self::Answered, Self::NoAnswer, Self::Busy, Self::Failed, Self::Cancelled, Self::Running];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::NoAnswer => "no_answer",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Running => "running",
        }
    }

    /// The disposition that is written so.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|disposition| disposition.as_str() == word)
    }

    /// That of a call.
    pub fn of(call: &Call) -> Self {
        match &call.end {
            None => Self::Running,
            Some(_) if call.connected_at.is_some() => Self::Answered,
            Some(end) => Self::of_unanswered(end.reason),
        }
    }

    /// The table: that of a call that ended for this reason before both had answered. One in which both had is
    /// `answered`, whatever the reason; one without an end is `running`.
    pub const fn of_unanswered(reason: EndReason) -> Self {
        match reason {
            EndReason::NoAnswer => Self::NoAnswer,
            EndReason::Busy | EndReason::Declined => Self::Busy,
            EndReason::Cancelled | EndReason::HungUp => Self::Cancelled,
            EndReason::Unreachable
            | EndReason::NotFound
            | EndReason::Refused
            | EndReason::NoCommonCodec
            | EndReason::MediaTimeout
            | EndReason::SessionExpired
            | EndReason::MaxDuration
            | EndReason::TrunkFailed
            | EndReason::PolicyDenied
            | EndReason::LimitReached
            | EndReason::LoopDetected
            | EndReason::Transferred
            | EndReason::TransferFailed
            | EndReason::ServerStopped
            | EndReason::ServerCrashed
            | EndReason::InternalError => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_are_those_of_json() {
        for disposition in Disposition::ALL {
            assert_eq!(Disposition::of_word(disposition.as_str()), Some(disposition));
            assert_eq!(serde_json::to_string(&disposition).unwrap(), format!("\"{}\"", disposition.as_str()));
        }
        assert_eq!(Disposition::of_word("Busy"), None);
    }

    #[test]
    fn every_reason_has_a_disposition_of_a_call_that_ended() {
        for reason in EndReason::ALL {
            let disposition = Disposition::of_unanswered(reason);
            assert!(!matches!(disposition, Disposition::Answered | Disposition::Running), "{reason:?}");
        }
        assert_eq!(Disposition::of_unanswered(EndReason::Declined), Disposition::Busy);
        assert_eq!(Disposition::of_unanswered(EndReason::Unreachable), Disposition::Failed);
    }
}
