//! When each timer of a machine is due.
//!
//! A machine keeps one [`Deadlines`], names its timers by an enum, and empties the table on every change
//! of state, so that no timer outlives the state that set it. There is no clock in here: the present is
//! an argument everywhere.

use std::time::Instant;

/// The running timers of one machine, each at most once.
#[derive(Debug, Clone)]
pub struct Deadlines<K> {
    running: Vec<(K, Instant)>,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self { running: Vec::new() }
    }
}

impl<K: Copy + PartialEq> Deadlines<K> {
    /// A table in which nothing runs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts `timer`, or moves it when it runs already.
    pub fn set(&mut self, timer: K, due: Instant) {
        self.clear(timer);
        self.running.push((timer, due));
    }

    /// Stops `timer`; nothing happens when it does not run.
    pub fn clear(&mut self, timer: K) {
        self.running.retain(|(running, _)| *running != timer);
    }

    /// Stops every timer.
    pub fn clear_all(&mut self) {
        self.running.clear();
    }

    /// Tells whether `timer` runs.
    pub fn is_set(&self, timer: K) -> bool {
        self.running.iter().any(|(running, _)| *running == timer)
    }

    /// When `timer` is due, if it runs.
    pub fn due(&self, timer: K) -> Option<Instant> {
        self.running.iter().find(|(running, _)| *running == timer).map(|(_, due)| *due)
    }

    /// The moment at which the next timer is due.
    pub fn next(&self) -> Option<Instant> {
        self.running.iter().map(|(_, due)| *due).min()
    }

    /// Takes out the earliest timer that is due at `now`; of two due at once, the one set first.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        let due = self.next().filter(|due| *due <= now)?;
        let index = self.running.iter().position(|(_, running)| *running == due)?;
        Some(self.running.remove(index).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn timers_come_out_in_order_and_only_when_due() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut deadlines = Deadlines::new();
        deadlines.set('b', at(20));
        deadlines.set('a', at(10));
        assert_eq!(deadlines.next(), Some(at(10)));
        assert_eq!(deadlines.pop_due(at(9)), None);
        assert_eq!(deadlines.pop_due(at(30)), Some('a'));
        assert_eq!(deadlines.pop_due(at(30)), Some('b'));
        assert_eq!(deadlines.pop_due(at(30)), None);
    }

    #[test]
    fn setting_again_moves_and_clearing_stops() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new();
        deadlines.set('a', start);
        deadlines.set('a', start + Duration::from_secs(1));
        assert_eq!(deadlines.pop_due(start), None);
        assert!(deadlines.is_set('a'));
        deadlines.clear_all();
        assert_eq!(deadlines.next(), None);
    }
}
