//! Which port pairs are free, taken, or at rest.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// The even ports of a range, each with the odd one above it (RFC 3550 §11), given out in rotation.
#[derive(Debug)]
pub(crate) struct Ports {
    free: VecDeque<u16>,
    /// In the order in which their rest ends.
    resting: VecDeque<(Instant, u16)>,
    rest: Duration,
    /// Pairs that there are.
    count: usize,
}

impl Ports {
    pub(crate) fn new(range: &RangeInclusive<u16>, rest: Duration) -> Self {
        let pairs = range.clone().filter(|port| port % 2 == 0 && *port > 0 && *port < *range.end());
        let free: VecDeque<u16> = pairs.collect();
        Self { count: free.len(), free, resting: VecDeque::new(), rest }
    }

    /// Pairs that there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Pairs that are neither free nor at rest.
    pub(crate) fn in_use(&self) -> usize {
        self.count - self.free.len() - self.resting.len()
    }

    /// When the next pair will have rested, if none is free.
    pub(crate) fn free_in(&self, now: Instant) -> Option<Duration> {
        self.resting.front().map(|(until, _)| until.saturating_duration_since(now))
    }

    /// Lets so many pairs wait for a later turn.
    pub(crate) fn skip(&mut self, pairs: usize) {
        if !self.free.is_empty() {
            self.free.rotate_left(pairs % self.free.len());
        }
    }

    /// The next pair whose turn it is.
    pub(crate) fn take(&mut self, now: Instant) -> Option<u16> {
        while let Some((_, port)) = self.resting.pop_front_if(|(until, _)| *until <= now) {
            self.free.push_back(port);
        }
        self.free.pop_front()
    }

    /// Late packets of its last session must not reach the next one, nor is it tried again at once when
    /// somebody else has it.
    pub(crate) fn give_back(&mut self, port: u16, now: Instant) {
        self.resting.push_back((now + self.rest, port));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_even_and_lie_within_the_range() {
        let pairs = |range: RangeInclusive<u16>| Ports::new(&range, Duration::ZERO).free;
        assert_eq!(pairs(20_001..=20_006), [20_002, 20_004]);
        assert_eq!(pairs(20_000..=20_001), [20_000]);
        assert_eq!(pairs(0..=3), [2]);
        assert_eq!(pairs(65_532..=65_535), [65_532, 65_534]);
        assert!(pairs(20_000..=20_000).is_empty());
    }

    #[test]
    fn pairs_are_counted_and_those_that_are_skipped_come_later() {
        let start = Instant::now();
        let mut ports = Ports::new(&(20_000..=20_007), Duration::from_secs(5));
        ports.skip(6);
        assert_eq!((ports.take(start), ports.in_use()), (Some(20_004), 1));
        ports.give_back(20_004, start);
        let later = start + Duration::from_secs(2);
        assert_eq!((ports.in_use(), ports.free_in(later)), (0, Some(Duration::from_secs(3))));
        assert_eq!([(); 4].map(|()| ports.take(later)), [Some(20_006), Some(20_000), Some(20_002), None]);
        ports.skip(3);
    }

    #[test]
    fn a_pair_rests_before_it_is_given_out_again() {
        let start = Instant::now();
        let mut ports = Ports::new(&(20_000..=20_003), Duration::from_secs(5));
        assert_eq!(ports.take(start), Some(20_000));
        ports.give_back(20_000, start);
        assert_eq!(ports.take(start), Some(20_002));
        assert_eq!(ports.take(start + Duration::from_millis(4_999)), None);
        assert_eq!(ports.take(start + Duration::from_secs(5)), Some(20_000));
    }
}
