//! Transcoded packets on their way out: one each 20 ms where a packet that came in holds more than that.
//!
//! Whatever fits into one packet leaves at once: nothing is gained by holding it back. What is held back because
//! packets of 60 ms come in is so for as long as their own time, and 20 ms more where packets come unevenly.
//!
//! Who sends faster than time passes has no packet held back beyond his next one: it is sent at once then, never
//! dropped. A packet too early is what the jitter buffer of the hearer is for; one that is missing is heard.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Whole packets, in their order, and when each is due.
#[derive(Debug, Default)]
pub(crate) struct Pacing {
    waiting: VecDeque<(Instant, Vec<u8>)>,
    /// When the packet was due that was put in last.
    last: Option<Instant>,
    /// Somebody will look whether one is due.
    is_scheduled: bool,
    /// Packets that were sent: their memory is used again.
    spare: Vec<Vec<u8>>,
}

impl Pacing {
    /// Memory for another packet.
    pub(crate) fn memory(&mut self) -> Vec<u8> {
        let mut octets = self.spare.pop().unwrap_or_default();
        octets.clear();
        octets
    }

    /// All memory that is spare.
    pub(crate) fn take_spare(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.spare)
    }

    /// A packet that is due now, and all before it.
    pub(crate) fn put_at_once(&mut self, octets: Vec<u8>, now: Instant) {
        self.hurry(now);
        self.put(now, octets);
    }

    /// The next one of several packets that were made of one.
    pub(crate) fn put_in_step(&mut self, octets: Vec<u8>, is_first: bool, now: Instant) {
        let mut due = self.last.map_or(now, |last| now.max(last + STEP));
        if is_first && due > now + STEP {
            self.hurry(now);
            due = now + STEP;
        }
        self.put(due.min(now + WAIT_MAX), octets);
    }

    /// When to look for the next one, unless that is known: whoever asks is to [`wake`](Self::wake) it then. No
    /// packet becomes due earlier than it was said to be, but for those that leave at once.
    pub(crate) fn schedule(&mut self) -> Option<Instant> {
        let due = self.due().filter(|_| !self.is_scheduled)?;
        self.is_scheduled = true;
        Some(due)
    }

    /// The time has come that [`schedule`](Self::schedule) said.
    pub(crate) fn wake(&mut self) {
        self.is_scheduled = false;
    }

    /// Lends the next one that is due to `buffer`; `false` when none is.
    pub(crate) fn take(&mut self, buffer: &mut Vec<u8>, now: Instant) -> bool {
        if self.due().is_none_or(|due| due > now) {
            return false;
        }
        let Some((_, mut octets)) = self.waiting.pop_front() else { return false };
        std::mem::swap(buffer, &mut octets);
        self.keep(octets);
        true
    }

    /// Nobody wants what waits.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
        self.last = None;
    }

    /// Does none wait?
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What waits is due now.
    pub(crate) fn hurry(&mut self, now: Instant) {
        for (due, _) in &mut self.waiting {
            *due = now.min(*due);
        }
    }

    fn put(&mut self, due: Instant, octets: Vec<u8>) {
        if self.waiting.len() == WAITING_MAX
            && let Some((_, oldest)) = self.waiting.pop_front()
        {
            self.keep(oldest);
        }
        self.last = Some(due);
        self.waiting.push_back((due, octets));
    }

    fn due(&self) -> Option<Instant> {
        self.waiting.front().map(|(due, _)| *due)
    }

    /// Memory of a packet that is over.
    pub(crate) fn keep(&mut self, octets: Vec<u8>) {
        if self.spare.len() < SPARE_MAX {
            self.spare.push(octets);
        }
    }
}

/// Time of the audio in a packet.
const STEP: Duration = Duration::from_millis(20);
/// The time of the longest packet that is transcoded.
const WAIT_MAX: Duration = Duration::from_millis(200);
/// Far more than is made of all datagrams that are read between two looks at what is due. Beyond, the newest are
/// what is wanted.
const WAITING_MAX: usize = 512;
/// As many as may have to wait for their time.
const SPARE_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// In milliseconds, when packets leave that come like this: when, and how many are made of each.
    fn left(came: &[(u64, u64)]) -> Vec<u64> {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let (mut pacing, mut buffer, mut left) = (Pacing::default(), Vec::new(), Vec::new());
        let mut came = came.iter().peekable();
        for now in 0..1_000 {
            while let Some((_, packets)) = came.next_if(|(when, _)| *when == now) {
                for packet in 0..*packets {
                    pacing.put_in_step(vec![1], packet == 0, at(now));
                }
            }
            while pacing.take(&mut buffer, at(now)) {
                left.push(now);
            }
        }
        left
    }

    #[test]
    fn several_packets_made_of_one_leave_one_by_one() {
        assert_eq!(left(&[(0, 3), (60, 3)]), [0, 20, 40, 60, 80, 100]);
        assert_eq!(left(&[(0, 1), (30, 2), (60, 1), (90, 2)]), [0, 30, 50, 70, 90, 110]);
    }

    #[test]
    fn what_comes_early_pushes_out_what_waits_and_what_comes_late_does_not_wait() {
        assert_eq!(left(&[(0, 3), (10, 3)]), [0, 10, 10, 30, 50, 70]);
        assert_eq!(left(&[(0, 3), (50, 3), (120, 3)]), [0, 20, 40, 60, 80, 100, 120, 140, 160]);
        assert_eq!(left(&[(0, 3), (500, 2)]), [0, 20, 40, 500, 520]);
    }

    #[test]
    fn no_packet_waits_longer_than_the_longest_packet_lasts() {
        let mut expected: Vec<u64> = (0..=10).map(|step| step * 20).collect();
        expected.extend([200, 200]);
        assert_eq!(left(&[(0, 13)]), expected);
    }

    #[test]
    fn what_nobody_takes_is_bounded_and_the_newest_stay() {
        let now = Instant::now();
        let (mut pacing, mut buffer) = (Pacing::default(), Vec::new());
        for number in 0..10_000_u16 {
            let mut octets = pacing.memory();
            octets.extend(number.to_be_bytes());
            pacing.put_at_once(octets, now);
        }
        let mut taken = 0;
        while pacing.take(&mut buffer, now) {
            taken += 1;
        }
        assert_eq!((taken, buffer), (WAITING_MAX, 9_999_u16.to_be_bytes().to_vec()));
        assert!(pacing.spare.len() <= SPARE_MAX);
    }

    #[test]
    fn the_time_of_the_next_one_is_said_once_until_it_has_come() {
        let now = Instant::now();
        let (mut pacing, mut buffer) = (Pacing::default(), Vec::new());
        assert_eq!(pacing.schedule(), None);
        (0..3).for_each(|octet| pacing.put_in_step(vec![octet], octet == 0, now));
        assert!(pacing.take(&mut buffer, now));
        assert_eq!([pacing.schedule(), pacing.schedule()], [Some(now + STEP), None]);
        pacing.wake();
        assert!(pacing.take(&mut buffer, now + STEP));
        assert_eq!([pacing.schedule(), pacing.schedule()], [Some(now + 2 * STEP), None]);
    }

    #[test]
    fn what_is_due_at_once_overtakes_nothing() {
        let now = Instant::now();
        let mut pacing = Pacing::default();
        (0..3).for_each(|octet| pacing.put_in_step(vec![octet], octet == 0, now));
        pacing.put_at_once(vec![3], now);
        let mut buffer = Vec::new();
        for octet in 0..4 {
            assert!(pacing.take(&mut buffer, now));
            assert_eq!(buffer, [octet]);
        }
        assert_eq!((pacing.due(), pacing.take(&mut buffer, now)), (None, false));
    }
}
