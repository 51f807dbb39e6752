//! The way of one leg through trunks and their addresses, until one of them takes the call.

use super::TrunkId;
use crate::scenario::Order;
use sip_core::Flow;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// An address that says nothing for so long is given up: looking up its name and connecting to it are part of it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);

/// A leg that looks for a trunk.
#[derive(Debug)]
pub(super) struct Hunt {
    pub(super) order: Box<Order>,
    /// It passes all limits.
    pub(super) is_emergency: bool,
    /// Those that were not tried yet, the best first.
    pub(super) next: VecDeque<TrunkId>,
    pub(super) attempt: Option<Attempt>,
    /// A trunk was passed over because it had no channel.
    pub(super) met_full: bool,
    /// Those of which nobody was told yet.
    pub(super) passed_over: Vec<TrunkId>,
}

/// A trunk at work.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) trunk: TrunkId,
    pub(super) tried: Vec<Flow>,
    /// The address is given up then if it has not said anything.
    pub(super) gives_up_at: Instant,
    /// It cannot be rung yet.
    pub(super) waits: bool,
}

/// Why an attempt came to nothing, before anything rang.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No response at all.
    Silent,
    /// Nothing could be sent to it.
    Unreachable,
    /// They rang, and others are to be rung.
    NoAnswer,
    /// This final response.
    Refused {
        /// 300 to 699.
        status: u16,
        /// It wants to be left alone for so long.
        retry_after: Option<Duration>,
    },
}

/// What a failure means for the hunt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The trunk has other addresses.
    NextAddress,
    /// The trunk has said that it cannot.
    NextTrunk,
    /// The number was reached, or will not be by any trunk.
    Final,
}

impl Failure {
    pub(crate) const fn refused(status: u16) -> Self {
        Self::Refused { status, retry_after: None }
    }

    /// It says something of the trunk, and nothing of the number.
    pub(crate) const fn is_of_trunk(self) -> bool {
        match self.verdict() {
            Verdict::NextAddress | Verdict::NextTrunk => true,
            Verdict::Final => false,
        }
    }

    /// RFC 3263 §4.3 lets the next address follow a 503, a transport error and silence. The others speak for the whole
    /// trunk, and what any further status says is said of the number.
    pub(super) const fn verdict(self) -> Verdict {
        match self {
            Self::Silent | Self::Unreachable | Self::Refused { status: 503, .. } => Verdict::NextAddress,
            Self::Refused { status: 408 | 500 | 502 | 504, .. } => Verdict::NextTrunk,
            Self::NoAnswer | Self::Refused { .. } => Verdict::Final,
        }
    }
}

impl Attempt {
    pub(super) const fn new(trunk: TrunkId, gives_up_at: Instant) -> Self {
        Self { trunk, tried: Vec::new(), gives_up_at, waits: false }
    }
}
