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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Moment;
    use call_control::{CallDirection, CallId, Number, PartyType, PartyView};
    use std::time::Duration;

    #[test]
    fn seconds_are_of_the_monotonic_clock_and_talk_ends_with_the_decision() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_millis(seconds);
        let clock = CallClock::starting(Moment { now: start, unix_milliseconds: 1_000_000 }).unwrap();
        let waiting = |text| PartyView::waiting(Number::new(text).unwrap(), PartyType::Extension);
        let parties = [waiting("1001"), waiting("1002")];
        let id = CallId::new(1, &[0; 10]);
        let mut call = Call::beginning(id, parties, CallDirection::Internal, clock.created_at());
        let mut span = Span::new(clock);
        let mut seconds = |span: &Span, now| {
            span.write_to(&mut call, at(now));
            (call.duration_seconds, call.ring_seconds, call.talk_seconds)
        };
        assert_eq!(seconds(&span, 5_300), (5.3, 0.0, 0.0));
        span.rung(at(5_300));
        assert_eq!(seconds(&span, 7_300), (7.3, 2.0, 0.0));
        span.rung_no_more(at(11_400));
        span.connected(at(11_400));
        assert_eq!(seconds(&span, 31_200), (31.2, 6.1, 19.8));
        // A phone that confirms its end late does not talk until then.
        span.decided(at(40_000));
        span.ended(at(44_000));
        assert_eq!(seconds(&span, 60_000), (44.0, 6.1, 28.6));
        // Whatever the wall clock shows meanwhile, moments of one call are apart by what has passed.
        assert_eq!(clock.at(at(44_000)).unix_milliseconds(), 1_044_000);
        assert_eq!(clock.at(start - Duration::from_secs(1)), clock.created_at(), "never before it began");
    }
}
