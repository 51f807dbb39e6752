//! What one party hears leaves as one stream.
//!
//! Tone, other party, tone again, another SSRC of the other party: whatever comes, it leaves on one SSRC, with
//! sequence numbers that go on by one and timestamps that go on by the time that has passed. Where the stream
//! changes hands it is anchored: an offset is fixed that holds until the next change.

use super::is_before;
use super::reception::Place;
use audio::Codec;
use std::time::Instant;

/// The outgoing stream of one termination.
#[derive(Debug, Clone)]
pub(crate) struct Continuity {
    ssrc: u32,
    /// Extended sequence number of the newest packet.
    extended: u32,
    timestamp: u32,
    /// When `timestamp` was first sent; nothing was before.
    timestamp_at: Option<Instant>,
    anchor: Option<Anchor>,
}

#[derive(Debug, Clone, Copy)]
enum Anchor {
    /// Packet `index` of a tone was the newest; packet 0 had or would have had the timestamp `base`.
    Tone {
        base: u32,
        index: u64,
        step: u32,
    },
    /// A key that is sent began at `begin`; what has been sent of it and of its pause lasts until `end`.
    Key {
        begin: u32,
        end: u32,
    },
    Party(Party),
    /// What is made from the party's stream comes next.
    Transcoding {
        epoch: u32,
    },
    /// The party's timestamp `theirs`, in its own clock rate, leaves as `ours`.
    Transcoded {
        epoch: u32,
        theirs: u32,
        ours: u32,
    },
}

/// How a party's numbers become ours.
#[derive(Debug, Clone, Copy)]
struct Party {
    epoch: u32,
    /// Before it, its numbers are taken.
    first: u32,
    clock_rate: u32,
    /// Before anything was left out.
    sequence_offset: u32,
    timestamp_offset: u32,
    /// The newest that were left out, with rising numbers: what came before one of them still has the number that it would
    /// have had without.
    left_out: [u32; LEFT_OUT_MAX],
    left_out_count: usize,
}

/// What of a key a packet holds: of an event, or of its tone and its pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyPart {
    EventBegins,
    Event,
    AudioBegins,
    Audio,
}

/// What of a party's stream a packet holds that was made from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) epoch: u32,
    /// In the clock rate of the party.
    pub(crate) timestamp: u32,
    pub(crate) clock_rate: u32,
    /// Packets that are missing before it.
    pub(crate) missing: u32,
}

/// What is written into the header of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    /// The first one after a change.
    pub(crate) marker: bool,
}

/// By how much a party's own numbers differ from what leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offsets {
    pub(crate) epoch: u32,
    pub(crate) sequence: u32,
    pub(crate) timestamp: u32,
}

impl Continuity {
    /// A stream that will begin at these numbers; all should be unpredictable (RFC 3550 §5.1).
    pub(crate) fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self { ssrc, extended: u32::from(sequence), timestamp, timestamp_at: None, anchor: None }
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The timestamp that a packet would have at `now`.
    pub(crate) fn timestamp_at(&self, clock_rate: u32, now: Instant) -> u32 {
        let Some(at) = self.timestamp_at else { return self.timestamp };
        self.timestamp.wrapping_add(super::ticks(now.saturating_duration_since(at), clock_rate))
    }

    /// What the party sends does not belong together with what it sent: what comes next of it is anchored anew.
    pub(crate) fn interrupt(&mut self) {
        if !matches!(self.anchor, Some(Anchor::Tone { .. } | Anchor::Key { .. })) {
            self.anchor = None;
        }
    }

    /// The offsets of the party that is being sent.
    pub(crate) fn offsets(&self) -> Option<Offsets> {
        match self.anchor? {
            Anchor::Tone { .. }
            | Anchor::Key { .. }
            | Anchor::Transcoding { .. }
            | Anchor::Transcoded { .. } => None,
            Anchor::Party(party) => Some(Offsets {
                epoch: party.epoch,
                sequence: party.offset_behind_all(),
                timestamp: party.timestamp_offset,
            }),
        }
    }

    /// The numbers of a packet of the other party. `None`: it is from before the stream changed hands, where
    /// its numbers are taken.
    #[inline]
    pub(crate) fn forward(
        &mut self,
        place: Place,
        timestamp: u32,
        clock_rate: u32,
        now: Instant,
    ) -> Option<Stamp> {
        let known = match self.anchor {
            Some(Anchor::Party(party)) if (party.epoch, party.clock_rate) == (place.epoch, clock_rate) => {
                Some(party)
            }
            Some(
                Anchor::Party(_)
                | Anchor::Tone { .. }
                | Anchor::Key { .. }
                | Anchor::Transcoding { .. }
                | Anchor::Transcoded { .. },
            )
            | None => None,
        };
        let party = known.unwrap_or_else(|| {
            let next = self.next_timestamp(clock_rate, now);
            let party = Party {
                epoch: place.epoch,
                first: place.extended,
                clock_rate,
                sequence_offset: self.extended.wrapping_add(1).wrapping_sub(place.extended),
                timestamp_offset: next.wrapping_sub(timestamp),
                left_out: [0; LEFT_OUT_MAX],
                left_out_count: 0,
            };
            self.anchor = Some(Anchor::Party(party));
            party
        });
        if is_before(place.extended, party.first) {
            return None;
        }
        let extended = place.extended.wrapping_add(party.offset_at(place.extended)?);
        let timestamp = timestamp.wrapping_add(party.timestamp_offset);
        Some(self.sent(extended, timestamp, known.is_none(), now))
    }

    /// A packet of the party is not sent: those behind it move up, so that nobody counts it as lost.
    pub(crate) fn leave_out(&mut self, place: Place) {
        if let Some(Anchor::Party(party)) = &mut self.anchor
            && party.epoch == place.epoch
            && !is_before(place.extended, party.first)
            && is_before(self.extended.wrapping_sub(party.offset_behind_all()), place.extended)
        {
            party.leave_out(place.extended);
        }
    }

    /// The numbers of packet `index` of a tone whose packets are `step` timestamp units long.
    pub(crate) fn tone(&mut self, index: u64, step: u32, clock_rate: u32, now: Instant) -> Stamp {
        let since_first = (index as u32).wrapping_mul(step);
        let (base, marker) = match self.anchor {
            Some(Anchor::Tone { base, index: last, step: known }) if last < index && known == step => {
                (base, false)
            }
            // Another tone, or packets of another length: the numbers of the one before mean nothing.
            Some(
                Anchor::Tone { .. }
                | Anchor::Key { .. }
                | Anchor::Party(_)
                | Anchor::Transcoding { .. }
                | Anchor::Transcoded { .. },
            )
            | None => (self.next_timestamp(clock_rate, now).wrapping_sub(since_first), true),
        };
        self.anchor = Some(Anchor::Tone { base, index, step });
        self.sent(self.extended.wrapping_add(1), base.wrapping_add(since_first), marker, now)
    }

    /// The numbers of a packet of keys, in a stream of this codec. All packets of an event have the
    /// timestamp of its beginning (RFC 4733 §2.2.1); audio goes on where the time of what was sent ends.
    pub(crate) fn key(&mut self, part: KeyPart, codec: Codec, now: Instant) -> Stamp {
        let (step, clock_rate) = (codec.timestamp_step(), codec.clock_rate());
        let known = match self.anchor {
            Some(Anchor::Key { begin, end }) => Some((begin, end)),
            Some(
                Anchor::Tone { .. }
                | Anchor::Party(_)
                | Anchor::Transcoding { .. }
                | Anchor::Transcoded { .. },
            )
            | None => None,
        };
        let begins = matches!(part, KeyPart::EventBegins | KeyPart::AudioBegins);
        let (begin, end) = match known {
            Some(known) if !begins => known,
            Some((_, end)) => {
                // One key behind the other, however unevenly the clock ticks; but the time of keys that were not sent has passed.
                let next = self.next_timestamp(clock_rate, now);
                let is_late = is_before(end.wrapping_add(clock_rate / KEYS_LATE), next);
                let next = if is_late { next } else { end };
                (next, next)
            }
            None => {
                let next = self.next_timestamp(clock_rate, now);
                (next, next)
            }
        };
        self.anchor = Some(Anchor::Key { begin, end: end.wrapping_add(step) });
        let is_event = matches!(part, KeyPart::EventBegins | KeyPart::Event);
        let timestamp = if is_event { begin } else { end };
        let marker = known.is_none() || part == KeyPart::EventBegins;
        self.sent(self.extended.wrapping_add(1), timestamp, marker, now)
    }

    /// Is a stream made from that of this epoch what is being sent?
    pub(crate) fn is_transcoding(&self, of_epoch: u32) -> bool {
        match self.anchor {
            Some(Anchor::Transcoding { epoch } | Anchor::Transcoded { epoch, .. }) => epoch == of_epoch,
            Some(Anchor::Tone { .. } | Anchor::Key { .. } | Anchor::Party(_)) | None => false,
        }
    }

    /// A stream made from that of this epoch is what will be sent, anchored anew.
    pub(crate) fn begin_transcoding(&mut self, epoch: u32) {
        self.anchor = Some(Anchor::Transcoding { epoch });
    }

    /// The numbers of a packet that was made from the party's stream, in which time runs as in that one.
    pub(crate) fn transcoded(&mut self, piece: Piece, clock_rate: u32, now: Instant) -> Stamp {
        let is_first = !self.is_anchored_to(piece.epoch);
        let timestamp = self.place_of(piece, clock_rate, now);
        let missing = if is_first { 0 } else { piece.missing };
        let extended = self.extended.wrapping_add(1).wrapping_add(missing);
        self.sent(extended, timestamp, is_first, now)
    }

    /// The timestamp that what begins there in the party's stream has in ours; anchored anew where nothing is known.
    pub(crate) fn place_of(&mut self, piece: Piece, clock_rate: u32, now: Instant) -> u32 {
        let (timestamp, is_exact) = match self.anchor {
            Some(Anchor::Transcoded { epoch, theirs, ours }) if epoch == piece.epoch => {
                let passed = i64::from(piece.timestamp.wrapping_sub(theirs) as i32) * i64::from(clock_rate);
                let units = passed / i64::from(piece.clock_rate);
                let is_exact = units * i64::from(piece.clock_rate) == passed;
                (ours.wrapping_add(units as u32), is_exact)
            }
            Some(
                Anchor::Transcoded { .. }
                | Anchor::Transcoding { .. }
                | Anchor::Party(_)
                | Anchor::Key { .. }
                | Anchor::Tone { .. },
            )
            | None => (self.next_timestamp(clock_rate, now), true),
        };
        // The anchor moves on before it is half a circle behind, but what was rounded must not add up.
        if is_exact {
            let (epoch, theirs) = (piece.epoch, piece.timestamp);
            self.anchor = Some(Anchor::Transcoded { epoch, theirs, ours: timestamp });
        }
        timestamp
    }

    /// The numbers of a packet beside the audio that is made from the party's stream, with a timestamp of its own.
    pub(crate) fn beside_transcoded(&mut self, timestamp: u32, missing: u32, now: Instant) -> Stamp {
        let extended = self.extended.wrapping_add(1).wrapping_add(missing);
        self.sent(extended, timestamp, false, now)
    }

    fn is_anchored_to(&self, of_epoch: u32) -> bool {
        match self.anchor {
            Some(Anchor::Transcoded { epoch, .. }) => epoch == of_epoch,
            Some(
                Anchor::Transcoding { .. } | Anchor::Party(_) | Anchor::Tone { .. } | Anchor::Key { .. },
            )
            | None => false,
        }
    }

    /// By the time that has passed, but not before the newest packet has been heard to its end: who takes over in
    /// the middle of it does not overlap it.
    pub(crate) fn next_timestamp(&self, clock_rate: u32, now: Instant) -> u32 {
        if self.timestamp_at.is_none() {
            return self.timestamp;
        }
        let by_time = self.timestamp_at(clock_rate, now);
        let heard_out = self.timestamp.wrapping_add(clock_rate / PACKETS_A_SECOND);
        if is_before(by_time, heard_out) { heard_out } else { by_time }
    }

    fn sent(&mut self, extended: u32, timestamp: u32, marker: bool, now: Instant) -> Stamp {
        if is_before(self.extended, extended) {
            self.extended = extended;
            if timestamp != self.timestamp || self.timestamp_at.is_none() {
                self.timestamp = timestamp;
                self.timestamp_at = Some(now);
            }
        }
        Stamp { ssrc: self.ssrc, sequence: extended as u16, timestamp, marker }
    }
}

impl Party {
    /// What is added to the number of a packet at this place. `None`: it was left out.
    fn offset_at(&self, extended: u32) -> Option<u32> {
        let mut offset = self.sequence_offset;
        for out in &self.left_out[..self.left_out_count] {
            if *out == extended {
                return None;
            }
            if is_before(*out, extended) {
                offset = offset.wrapping_sub(1);
            }
        }
        Some(offset)
    }

    fn offset_behind_all(&self) -> u32 {
        self.sequence_offset.wrapping_sub(self.left_out_count as u32)
    }

    /// Beyond what can be remembered, what is older than the oldest comes too late.
    fn leave_out(&mut self, extended: u32) {
        if self.left_out_count == LEFT_OUT_MAX {
            self.first = self.left_out[0].wrapping_add(1);
            self.sequence_offset = self.sequence_offset.wrapping_sub(1);
            self.left_out.rotate_left(1);
            self.left_out_count -= 1;
        }
        self.left_out[self.left_out_count] = extended;
        self.left_out_count += 1;
    }
}

/// A phone that overtakes itself does so by a few packets.
const LEFT_OUT_MAX: usize = 4;
/// Of 20 ms each, the default packet time (RFC 3551 §4.2).
const PACKETS_A_SECOND: u32 = 50;
/// A tenth of a second.
const KEYS_LATE: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn place(epoch: u32, extended: u32) -> Place {
        Place { epoch, extended }
    }

    #[test]
    fn tone_party_and_another_source_are_one_stream() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut stream = Continuity::new(7, 65_533, u32::MAX - 400);
        let mut stamps = Vec::new();
        for index in 0..3 {
            stamps.push(stream.tone(index, 160, 8_000, at(index * 20)));
        }
        for index in 0..3 {
            stamps.extend(stream.forward(
                place(1, 900 + index),
                5_000 + index * 160,
                8_000,
                at(60 + u64::from(index) * 20),
            ));
        }
        stamps.extend(stream.forward(place(2, 3), 77, 8_000, at(200)));
        stamps.push(stream.tone(10, 160, 8_000, at(220)));
        let markers: Vec<bool> = stamps.iter().map(|stamp| stamp.marker).collect();
        assert_eq!(markers, [true, false, false, true, false, false, true, true]);
        assert!(stamps.iter().all(|stamp| stamp.ssrc == 7));
        assert!(stamps.is_sorted_by(|one, two| two.sequence == one.sequence.wrapping_add(1)));
        let steps: Vec<u32> =
            stamps.windows(2).map(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp)).collect();
        assert_eq!(steps, [160, 160, 160, 160, 160, 800, 160]);
    }

    #[test]
    fn who_takes_over_in_the_middle_of_a_packet_does_not_overlap_it() {
        let start = Instant::now();
        let mut stream = Continuity::new(7, 1, 1_000);
        let tone = stream.tone(0, 160, 8_000, start);
        let taken_over = start + Duration::from_millis(5);
        let party = stream.forward(place(1, 50), 9, 8_000, taken_over).unwrap();
        assert_eq!(tone.timestamp, 1_000);
        assert_eq!(party.timestamp, 1_160);
    }

    #[test]
    fn disorder_and_loss_of_the_party_stay_as_they_are() {
        let now = Instant::now();
        let mut stream = Continuity::new(7, 10, 0);
        let sequence = |stream: &mut Continuity, extended| {
            stream.forward(place(1, extended), extended * 160, 8_000, now).map(|stamp| stamp.sequence)
        };
        assert_eq!(sequence(&mut stream, 100), Some(11));
        assert_eq!(sequence(&mut stream, 103), Some(14));
        assert_eq!(sequence(&mut stream, 102), Some(13));
        assert_eq!(stream.tone(0, 160, 8_000, now).sequence, 15);
    }

    #[test]
    fn a_packet_from_before_the_change_is_not_sent() {
        let now = Instant::now();
        let mut stream = Continuity::new(7, 10, 0);
        assert!(stream.forward(place(1, 100), 0, 8_000, now).is_some());
        assert_eq!(stream.forward(place(1, 99), 0, 8_000, now), None);
    }

    #[test]
    fn the_timestamp_goes_on_however_little_time_has_passed() {
        let now = Instant::now();
        let mut stream = Continuity::new(7, 10, 50);
        let first = stream.tone(0, 960, 48_000, now);
        let second = stream.forward(place(1, 1), 9, 48_000, now).expect("a stamp");
        assert_eq!(second.timestamp, first.timestamp + 960);
    }

    #[test]
    fn after_an_interruption_the_sequence_has_no_hole() {
        let start = Instant::now();
        let mut stream = Continuity::new(7, 10, 0);
        stream.forward(place(1, 100), 1_600, 8_000, start);
        stream.interrupt();
        let later = start + Duration::from_secs(1);
        let stamp = stream.forward(place(1, 150), 9_600, 8_000, later).expect("a stamp");
        assert_eq!((stamp.sequence, stamp.marker), (12, true));
        assert_eq!(stamp.timestamp, 8_000);
    }

    #[test]
    fn what_is_placed_goes_on_beyond_half_the_circle_of_the_party() {
        let mut continuity = Continuity::new(1, 0, 0);
        let now = Instant::now();
        continuity.begin_transcoding(0);
        let piece = |timestamp| Piece { epoch: 0, timestamp, clock_rate: 48_000, missing: 0 };
        let first = continuity.place_of(piece(0), 8_000, now);
        let step = 1_u32 << 26;
        for number in 1..=12_u32 {
            let place = continuity.place_of(piece(number.wrapping_mul(6 * step)), 8_000, now);
            assert_eq!(place, first.wrapping_add(number * step), "{number}");
        }
    }
}
