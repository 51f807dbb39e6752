//! What happened to a call.

use crate::{Call, Party, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::Arc;

/// One event of a call, with the call as it stood then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallEvent {
    /// What happened.
    pub event: CallEventKind,
    /// To whom, where it is of one party.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub party: Option<Party>,
    /// When.
    pub at: Timestamp,
    /// The call after it.
    pub call: Call,
}

/// The kinds of events. Every call has exactly one `call.initiated` and exactly one `call.ended`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallEventKind {
    /// The request was accepted.
    #[serde(rename = "call.initiated")]
    Initiated,
    /// A phone of a party rings.
    #[serde(rename = "call.ringing")]
    Ringing,
    /// A party answered.
    #[serde(rename = "call.answered")]
    Answered,
    /// Both answered; their media is connected.
    #[serde(rename = "call.connected")]
    Connected,
    /// Audio has arrived from both.
    #[serde(rename = "call.talking")]
    Talking,
    /// The party is held: by the other one's phone, or by the API.
    #[serde(rename = "call.held")]
    Held,
    /// The party is held no more.
    #[serde(rename = "call.resumed")]
    Resumed,
    /// Somebody else has taken the place of the party.
    #[serde(rename = "call.transferred")]
    Transferred,
    /// Over.
    #[serde(rename = "call.ended")]
    Ended,
}

impl CallEventKind {
    /// The word, such as `call.ringing`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initiated => "call.initiated",
            Self::Ringing => "call.ringing",
            Self::Answered => "call.answered",
            Self::Connected => "call.connected",
            Self::Talking => "call.talking",
            Self::Held => "call.held",
            Self::Resumed => "call.resumed",
            Self::Transferred => "call.transferred",
            Self::Ended => "call.ended",
        }
    }
}

/// The place of an event among all events: the first has 1, a later one a higher number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub u64);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for EventId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// An event that is on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberedEvent {
    /// Its place.
    pub id: EventId,
    /// What happened.
    pub event: Arc<CallEvent>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_events_are_those_of_json() {
        use CallEventKind::{
            Answered, Connected, Ended, Held, Initiated, Resumed, Ringing, Talking, Transferred,
        };
        for kind in [Initiated, Ringing, Answered, Connected, Talking, Held, Resumed, Transferred, Ended] {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.as_str()));
        }
    }
}
