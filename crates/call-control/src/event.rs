//! What happened to a call.

use crate::{Call, Party, Timestamp};
use serde::{Deserialize, Serialize};

/// One event of a call, with the call as it stood then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallEvent {
    /// What happened.
    pub event: CallEventKind,
    /// To whom, for `call.ringing` and `call.answered`.
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
    /// Over.
    #[serde(rename = "call.ended")]
    Ended,
}
