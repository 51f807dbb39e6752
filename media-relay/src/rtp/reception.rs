//! What came from one party: extended sequence numbers, losses, jitter (RFC 3550 A.1, A.3, A.8).

use super::header::RtpHeader;
use std::time::{Duration, Instant};

/// The bookkeeping of one incoming stream, over all the SSRCs that its party uses one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reception {
    source: Option<Source>,
    /// Rises with every new source, so that a stream that begins again is told from one that goes on.
    epoch: u32,
    /// Of sources that are over.
    lost_before: u64,
    began_at: Option<Instant>,
    /// Another source that has sent one packet: its SSRC, and the number that would prove it.
    candidate: Option<(u32, u16)>,
    received_at: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Source {
    ssrc: u32,
    base: u32,
    /// Highest extended sequence number.
    highest: u32,
    received: u32,
    /// The sequence number that would prove that the source began again.
    restart: Option<u16>,
    /// Which of the numbers up to the highest have come: the lowest bit is the highest.
    seen: u64,
    timing: Option<Timing>,
    /// In milliseconds.
    jitter: f64,
}

/// Of the packet by which jitter was measured last.
#[derive(Debug, Clone, Copy)]
struct Timing {
    clock_rate: u32,
    timestamp: u32,
    transit: u32,
}

/// Where a sequence number lies.
enum Placing {
    At(u32),
    /// Far from the stream, and no second one has followed it.
    Unproven,
    BeganAgain,
    /// It has come already.
    Doubled,
}

/// The place of a packet in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) epoch: u32,
    /// Extended sequence number; begins in the first cycle.
    pub(crate) extended: u32,
}

impl Reception {
    /// Takes a packet of the phone in. `None`: far from its stream, and not yet proven to be a new one; or a copy.
    /// `clock_rate`: of its timestamp, where that says when it was sent.
    #[inline]
    pub(crate) fn receive(
        &mut self,
        header: &RtpHeader,
        clock_rate: Option<u32>,
        now: Instant,
    ) -> Option<Place> {
        let began_at = *self.began_at.get_or_insert(now);
        if !self.may_be_heard(header, now) {
            return None;
        }
        let known = self.source.as_mut().filter(|source| source.ssrc == header.ssrc);
        let extended = match known.map(|source| source.place(header.sequence)) {
            Some(Placing::At(extended)) => extended,
            Some(Placing::Unproven | Placing::Doubled) => return None,
            Some(Placing::BeganAgain) | None => self.begin(header),
        };
        self.received_at = Some(now);
        let source = self.source.as_mut()?;
        source.received = source.received.wrapping_add(1);
        if let Some(clock_rate) = clock_rate {
            let arrival = super::ticks(now.saturating_duration_since(began_at), clock_rate);
            source.measure(header.timestamp, arrival, clock_rate);
        }
        Some(Place { epoch: self.epoch, extended })
    }

    /// Another phone, or another address of it, may send another source from now on.
    pub(crate) fn expect_another(&mut self) {
        self.received_at = None;
    }

    /// Whose stream it is at present.
    pub(crate) fn ssrc(&self) -> Option<u32> {
        self.source.as_ref().map(|source| source.ssrc)
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(crate) fn packets_lost(&self) -> u64 {
        self.lost_before + self.source.as_ref().map_or(0, Source::lost)
    }

    pub(crate) fn jitter_ms(&self) -> f64 {
        self.source.as_ref().map_or(0.0, |source| source.jitter)
    }

    /// While one source sends, another one is heard from its second packet in a row on (RFC 3550 A.1): a phone that sends
    /// two at once is heard by its first, and one that changes its SSRC by the new one.
    fn may_be_heard(&mut self, header: &RtpHeader, now: Instant) -> bool {
        let is_quiet = self.received_at.is_none_or(|at| now.saturating_duration_since(at) >= QUIET);
        let is_known = self.ssrc().is_none_or(|ssrc| ssrc == header.ssrc);
        if is_known || is_quiet || self.candidate == Some((header.ssrc, header.sequence)) {
            self.candidate = None;
            return true;
        }
        self.candidate = Some((header.ssrc, header.sequence.wrapping_add(1)));
        false
    }

    fn begin(&mut self, header: &RtpHeader) -> u32 {
        self.lost_before = self.packets_lost();
        self.epoch = self.epoch.wrapping_add(1);
        let first = u32::from(header.sequence);
        self.source = Some(Source {
            ssrc: header.ssrc,
            base: first,
            highest: first,
            received: 0,
            restart: None,
            seen: 1,
            timing: None,
            jitter: 0.0,
        });
        first
    }
}

impl Source {
    /// RFC 3550 A.1.
    fn place(&mut self, sequence: u16) -> Placing {
        let ahead = sequence.wrapping_sub(self.highest as u16);
        let behind = 0_u16.wrapping_sub(ahead);
        if ahead < DROPOUT_MAX {
            if ahead == 0 {
                return Placing::Doubled;
            }
            self.highest = self.highest.wrapping_add(u32::from(ahead));
            self.seen = self.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            self.restart = None;
            return Placing::At(self.highest);
        }
        if behind > MISORDER_MAX {
            if self.restart == Some(sequence) {
                return Placing::BeganAgain;
            }
            self.restart = Some(sequence.wrapping_add(1));
            return Placing::Unproven;
        }
        self.restart = None;
        // What is further behind than there are bits is so rare that a copy of it does no harm.
        if let Some(bit) = 1_u64.checked_shl(u32::from(behind)) {
            if self.seen & bit != 0 {
                return Placing::Doubled;
            }
            self.seen |= bit;
        }
        Placing::At(self.highest.wrapping_sub(u32::from(behind)))
    }

    /// RFC 3550 A.8, for the first packet of each timestamp. A timestamp that jumps, or runs in another clock, says
    /// nothing about how evenly packets come: it is where measuring begins anew.
    fn measure(&mut self, timestamp: u32, arrival: u32, clock_rate: u32) {
        let transit = arrival.wrapping_sub(timestamp);
        let last = self.timing.filter(|last| last.clock_rate == clock_rate);
        if let Some(last) = last {
            if timestamp == last.timestamp {
                return;
            }
            let difference = (transit.wrapping_sub(last.transit) as i32).unsigned_abs();
            if difference < clock_rate {
                let difference = f64::from(difference) * 1_000.0 / f64::from(clock_rate);
                self.jitter += (difference - self.jitter) / 16.0;
            }
        }
        self.timing = Some(Timing { clock_rate, timestamp, transit });
    }

    /// RFC 3550 A.3; doubled packets may make it negative, which counts as none.
    fn lost(&self) -> u64 {
        let expected = u64::from(self.highest.wrapping_sub(self.base)) + 1;
        expected.saturating_sub(u64::from(self.received))
    }
}

/// A source that has sent nothing for so long makes room for another at once.
const QUIET: Duration = Duration::from_millis(100);
const DROPOUT_MAX: u16 = 3_000;
const MISORDER_MAX: u16 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    struct Stream {
        reception: Reception,
        start: Instant,
    }

    impl Stream {
        fn new() -> Self {
            Self { reception: Reception::default(), start: Instant::now() }
        }

        fn receive(&mut self, ssrc: u32, sequence: u16, timestamp: u32, milliseconds: u64) -> Option<Place> {
            let header = RtpHeader { marker: false, payload_type: 0, sequence, timestamp, ssrc };
            self.reception.receive(&header, Some(8_000), self.start + Duration::from_millis(milliseconds))
        }

        /// Packets 20 ms apart that arrive on time.
        fn receive_all(&mut self, ssrc: u32, sequences: &[u16]) -> Vec<Option<u32>> {
            sequences
                .iter()
                .map(|sequence| self.receive(ssrc, *sequence, 0, 0).map(|place| place.extended))
                .collect()
        }
    }

    #[test]
    fn sequence_numbers_are_extended_over_the_wrap_and_back() {
        let mut stream = Stream::new();
        let extended = stream.receive_all(1, &[65_534, 65_535, 1, 0, 65_533]);
        assert_eq!(extended, [65_534, 65_535, 65_537, 65_536, 65_533].map(Some));
        assert_eq!(stream.reception.packets_lost(), 0);
    }

    #[test]
    fn losses_are_what_was_expected_and_did_not_come() {
        let mut stream = Stream::new();
        stream.receive_all(1, &[100, 101, 104, 105, 110]);
        assert_eq!(stream.reception.packets_lost(), 6);
        stream.receive_all(1, &[102]);
        assert_eq!(stream.reception.packets_lost(), 5, "a late one is not lost");
        assert_eq!(stream.receive_all(1, &[110, 102, 100, 110]), [None; 4], "copies are not taken in");
        assert_eq!(stream.reception.packets_lost(), 5, "copies make up for no loss");
    }

    #[test]
    fn of_several_sources_at_once_the_first_is_heard_and_one_that_takes_over_from_its_second_packet_on() {
        let mut stream = Stream::new();
        let mut epochs = Vec::new();
        for index in 0..50_u16 {
            for ssrc in [1, 2, 3] {
                let place = stream.receive(ssrc, index, u32::from(index) * 160, u64::from(index) * 20);
                epochs.extend(place.map(|place| place.epoch));
            }
        }
        epochs.dedup();
        assert_eq!(epochs, [1]);
        assert!(stream.receive(2, 60, 9_600, 1_000).is_none());
        assert!(stream.receive(2, 61, 9_760, 1_020).is_some());
        // One that is quiet makes room at once.
        assert!(stream.receive(3, 60, 9_600, 1_119).is_none());
        assert!(stream.receive(1, 70, 9_760, 1_120).is_some());
    }

    #[test]
    fn a_jump_is_believed_at_its_second_packet() {
        let mut stream = Stream::new();
        stream.receive_all(1, &[100, 101]);
        assert_eq!(stream.receive(1, 40_000, 0, 0), None);
        assert_eq!(stream.receive(1, 102, 0, 0).map(|place| place.epoch), Some(1), "the stream goes on");
        assert_eq!(stream.receive(1, 50_000, 0, 0), None);
        let place = stream.receive(1, 50_001, 0, 0).expect("a new beginning");
        assert_eq!(place, Place { epoch: 2, extended: 50_001 });
    }

    #[test]
    fn a_new_source_begins_a_new_epoch_and_keeps_the_losses() {
        let mut stream = Stream::new();
        stream.receive_all(1, &[1, 3]);
        assert_eq!(stream.receive(2, 699, 0, 0), None);
        assert_eq!(stream.receive(2, 700, 0, 0), Some(Place { epoch: 2, extended: 700 }));
        stream.receive_all(2, &[702]);
        assert_eq!(stream.reception.packets_lost(), 2);
        assert_eq!(stream.reception.ssrc(), Some(2));
    }

    #[test]
    fn even_arrival_has_no_jitter_and_uneven_arrival_has_the_rfcs() {
        let mut stream = Stream::new();
        for index in 0..50 {
            stream.receive(1, index, u32::from(index) * 160, u64::from(index) * 20);
        }
        assert_eq!(stream.reception.jitter_ms(), 0.0);
        // One packet 16 ms late: J = 128/16 = 8 units = 1 ms; the next on time: J += (128 - 8)/16.
        stream.receive(1, 50, 8_000, 1_016);
        assert_eq!(stream.reception.jitter_ms(), 1.0);
        stream.receive(1, 51, 8_160, 1_020);
        assert_eq!(stream.reception.jitter_ms(), 15.5 / 8.0);
    }

    #[test]
    fn packets_of_one_timestamp_are_measured_once() {
        let mut stream = Stream::new();
        for index in 0..10 {
            stream.receive(1, index, 0, u64::from(index) * 20);
        }
        assert_eq!(stream.reception.jitter_ms(), 0.0);
    }
}
