//! One trunk.

use super::LegKey;
use super::hunt::Failure;
use super::whereabouts::{Located, NotLocated, Whereabouts};
use crate::settings::TrunkSettings;
use call_control::Number;
use sip_core::Flow;
use sip_message::SipUri;
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// A trunk, and what is known of it.
#[derive(Debug)]
pub(super) struct Trunk {
    pub(super) settings: TrunkSettings,
    whereabouts: Whereabouts,
    legs: BTreeSet<LegKey>,
    /// When the last legs began, where so many a second are the most.
    begun: VecDeque<Instant>,
}

/// How a trunk is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Along(Flow),
    /// It will soon be known.
    Awaited,
    /// No way that was not tried.
    None,
}

const SECOND: Duration = Duration::from_secs(1);

impl Trunk {
    pub(super) fn new(settings: TrunkSettings, now: Instant) -> Self {
        let whereabouts = Whereabouts::new(now);
        Self { settings, whereabouts, legs: BTreeSet::new(), begun: VecDeque::new() }
    }

    /// How well it fits: the length of the prefix that the number has. A short number that no trunk names is one of the
    /// country, and every trunk will do.
    pub(super) fn takes(&self, number: &Number) -> Option<usize> {
        self.settings.prefixes.iter().filter_map(|prefix| prefix.fits(number)).max()
    }

    pub(super) fn has_room(&self, now: Instant) -> bool {
        self.legs.len() < self.settings.channels && self.may_begin(now)
    }

    /// A leg takes a channel. `false`: none is free.
    pub(super) fn enter(&mut self, leg: LegKey, is_emergency: bool, now: Instant) -> bool {
        if !is_emergency && !self.has_room(now) {
            return false;
        }
        self.legs.insert(leg);
        if let Some(most) = self.settings.calls_per_second {
            self.begun.push_back(now);
            while self.begun.len() > most {
                self.begun.pop_front();
            }
        }
        true
    }

    pub(super) fn leave(&mut self, leg: LegKey) {
        self.legs.remove(&leg);
    }

    pub(super) fn channels_in_use(&self) -> usize {
        self.legs.len()
    }

    pub(super) fn flows(&self) -> &[Flow] {
        self.whereabouts.flows()
    }

    pub(super) fn way(&self, tried: &[Flow], now: Instant) -> Way {
        match self.whereabouts.next(tried, now) {
            Some(flow) => Way::Along(flow),
            None if self.whereabouts.is_awaited() => Way::Awaited,
            None => Way::None,
        }
    }

    pub(super) fn note_failure(&mut self, flow: Flow, failure: Failure, now: Instant) {
        match failure {
            Failure::Silent | Failure::Unreachable => self.whereabouts.note_dead(flow, now),
            Failure::Refused { status: 503, retry_after: Some(time) } => {
                self.whereabouts.note_wish(flow, time, now);
            }
            Failure::Refused { .. } => self.note_alive(flow),
        }
    }

    pub(super) fn note_alive(&mut self, flow: Flow) {
        self.whereabouts.note_alive(flow);
    }

    /// What is to be looked up now.
    pub(super) fn asks_for(&mut self, now: Instant) -> Option<SipUri> {
        self.whereabouts.asks(now).then(|| self.settings.next_hop().clone())
    }

    pub(super) fn handle_located(&mut self, result: Result<Located, NotLocated>, now: Instant) {
        let before = self.whereabouts.why_not().is_some();
        let name = &*self.settings.name;
        match &result {
            Err(NotLocated { why, .. }) if !before => {
                tracing::warn!(trunk = name, %why, "the address of a trunk cannot be resolved");
            }
            Ok(_) if before => tracing::info!(trunk = name, "the address of a trunk is resolved again"),
            Err(_) | Ok(_) => {}
        }
        self.whereabouts.handle_located(result, now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.whereabouts.poll_timeout()
    }

    fn may_begin(&self, now: Instant) -> bool {
        let Some(most) = self.settings.calls_per_second else { return true };
        let oldest = self.begun.front().filter(|_| self.begun.len() >= most);
        oldest.is_none_or(|oldest| now.saturating_duration_since(*oldest) >= SECOND)
    }
}
