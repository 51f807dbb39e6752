//! How long what of a call took, by the monotonic clock.

use crate::moment::{CallClock, seconds};
use call_control::Call;
use std::time::Instant;

#[derive(Debug)]
pub(super) struct Span {
    clock: CallClock,
    /// `to` is being rung.
    rung_from: Option<Instant>,
    /// `to` answered, or was given up.
    rung_until: Option<Instant>,
    connected: Option<Instant>,
    /// The end was decided: nobody talks any more.
    decided: Option<Instant>,
    ended: Option<Instant>,
}

impl Span {
    pub(super) const fn new(clock: CallClock) -> Self {
        Self { clock, rung_from: None, rung_until: None, connected: None, decided: None, ended: None }
    }

    /// `to` is rung, or another one in its place.
    pub(super) fn rung(&mut self, now: Instant) {
        self.rung_from.get_or_insert(now);
        self.rung_until = None;
    }

    /// `to` answered, or is gone.
    pub(super) fn rung_no_more(&mut self, now: Instant) {
        self.rung_until.get_or_insert(now);
    }

    pub(super) fn connected(&mut self, now: Instant) {
        self.connected.get_or_insert(now);
    }

    pub(super) fn decided(&mut self, now: Instant) {
        self.decided.get_or_insert(now);
    }

    pub(super) fn ended(&mut self, now: Instant) {
        self.ended.get_or_insert(now);
    }

    pub(super) fn write_to(&self, call: &mut Call, now: Instant) {
        let until = self.ended.unwrap_or(now);
        let decided = self.decided.unwrap_or(until);
        let from_to = |from: Option<Instant>, until: Instant| {
            from.map_or(0.0, |from| seconds(until.saturating_duration_since(from)))
        };
        call.duration_seconds = seconds(self.clock.passed(until));
        call.ring_seconds = from_to(self.rung_from, self.rung_until.unwrap_or(decided).min(decided));
        call.talk_seconds = from_to(self.connected, decided);
    }
}
