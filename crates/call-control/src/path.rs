//! What a call went through beyond its two parties.

use crate::{Number, Party, PartyType, Timestamp};
use serde::{Deserialize, Serialize};

/// One step of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub step: StepKind,
    /// Whose place it concerns: who is held, who is forwarded, in whose place somebody else is rung.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<Party>,
    /// Where the step leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Number>,
    /// Why it failed, where a phone or a carrier said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip_status: Option<u16>,
}

/// The kinds of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepKind {
    /// Another number is rung in the place of the one that did not answer, or that named it.
    #[serde(rename = "forwarded")]
    Forwarded,
    /// The party is held: by the other one's phone, or by the API.
    #[serde(rename = "held")]
    Held,
    /// The party is held no more.
    #[serde(rename = "resumed")]
    Resumed,
    /// The other party waits while this number is rung in the place of the party.
    #[serde(rename = "transfer.started")]
    TransferStarted,
    /// The number has taken the place of the party.
    #[serde(rename = "transfer.completed")]
    TransferCompleted,
    /// The number could not be reached.
    #[serde(rename = "transfer.failed")]
    TransferFailed,
    /// The party wanted to transfer the call to a number that may not be dialled, or that is nobody's.
    #[serde(rename = "transfer.denied")]
    TransferDenied,
}

/// Whom a party's place has gone to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// Its number.
    pub number: Number,
    /// What the number stands for.
    #[serde(rename = "type")]
    pub party_type: PartyType,
}

/// Steps that are kept of one call, and told as events: a phone that holds and resumes all day fills no disk.
pub const STEPS_MAX: usize = 100;
