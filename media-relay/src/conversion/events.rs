//! Telephone events (RFC 4733) beside audio that is transcoded: they keep their order and their length.

use super::{Between, Conversion};
use crate::rtp::continuity::{Continuity, Piece};
use crate::rtp::header::RtpHeader;
use crate::termination::inward::Accepted;
use audio::TelephoneEvent;
use std::time::Instant;

/// The event that is being passed on.
#[derive(Debug, Clone, Copy)]
pub(super) struct PassedEvent {
    epoch: u32,
    /// Its timestamp, as it came and as it leaves.
    theirs: u32,
    ours: u32,
    /// The segment of it that leaves, counted from zero.
    segment: u32,
    /// What came last: its code, and whether it was the end.
    code: u8,
    is_over: bool,
    /// Where that ended, as it came and as it left.
    their_end: u32,
    our_end: u32,
}

impl Conversion {
    /// Puts an event packet in line, with the transcoder at home.
    pub(super) fn pass_event(
        &mut self,
        accepted: &Accepted,
        between: Between,
        source_rate: u32,
        mut packet: Vec<u8>,
        continuity: &mut Continuity,
        now: Instant,
    ) {
        let timestamp = accepted.header.timestamp;
        let known =
            self.event.filter(|known| (known.epoch, known.theirs) == (accepted.place.epoch, timestamp));
        let missing = self.transcoder.as_mut().and_then(|known| known.pass(accepted.place.extended));
        let (missing, event) = match (missing, known) {
            // Overtaken by what came after it: of another event it would come between.
            (None, None) => return self.pacing.keep(packet),
            (missing, Some(known)) => (missing.unwrap_or(0), known),
            (Some(missing), None) => {
                (missing, self.begin_event(accepted, between, source_rate, continuity, now))
            }
        };
        let payload = RtpHeader::payload(&packet);
        let Some(keyed) = TelephoneEvent::decode(&packet[payload.clone()]) else {
            return self.pacing.keep(packet);
        };
        let (code, is_over) = (keyed.event, keyed.end);
        let their_end = timestamp.wrapping_add(u32::from(keyed.duration));
        let event = if known.is_none() { event.continuing(self.event, code) } else { event };
        let duration = u64::from(keyed.duration) * u64::from(between.event_rate);
        let duration = duration / u64::from(source_rate.max(1));
        // In units of a higher clock rate it may be longer than a packet can say.
        let segment = duration.saturating_sub(1) / u64::from(SEGMENT_MAX);
        let segment = u32::try_from(segment).unwrap_or(u32::MAX);
        for full in event.segment..segment {
            let mut octets = self.pacing.memory();
            octets.extend_from_slice(&packet);
            write(&mut octets, payload.start, TelephoneEvent { end: false, duration: SEGMENT_MAX, ..keyed });
            let missing = if full == event.segment { missing } else { 0 };
            self.stamp(accepted, between, event.at(full), missing, octets, continuity, now);
        }
        let rest = duration - u64::from(segment) * u64::from(SEGMENT_MAX);
        let rest = u16::try_from(rest).unwrap_or(SEGMENT_MAX);
        write(&mut packet, payload.start, TelephoneEvent { duration: rest, ..keyed });
        let missing = if segment == event.segment { missing } else { 0 };
        self.stamp(accepted, between, event.at(segment), missing, packet, continuity, now);
        let our_end = event.at(segment).wrapping_add(u32::from(rest));
        let segment = segment.max(event.segment);
        self.event = Some(PassedEvent { segment, code, is_over, their_end, our_end, ..event });
    }

    /// Where the event begins in the stream that leaves.
    fn begin_event(
        &self,
        accepted: &Accepted,
        between: Between,
        source_rate: u32,
        continuity: &mut Continuity,
        now: Instant,
    ) -> PassedEvent {
        let (epoch, theirs) = (accepted.place.epoch, accepted.header.timestamp);
        let ours = if source_rate == between.source.clock_rate() {
            let piece = Piece { epoch, timestamp: theirs, clock_rate: source_rate, missing: 0 };
            continuity.place_of(piece, between.target.clock_rate(), now)
        } else {
            // Its timestamps are not those of the audio: it begins when it comes.
            continuity.next_timestamp(between.target.clock_rate(), now)
        };
        let (code, is_over) = (0, false);
        PassedEvent { epoch, theirs, ours, segment: 0, code, is_over, their_end: theirs, our_end: ours }
    }

    #[expect(clippy::too_many_arguments, reason = "what a packet leaves with")]
    fn stamp(
        &mut self,
        accepted: &Accepted,
        between: Between,
        timestamp: u32,
        missing: u32,
        mut octets: Vec<u8>,
        continuity: &mut Continuity,
        now: Instant,
    ) {
        let stamp = continuity.beside_transcoded(timestamp, missing, now);
        accepted.header.with(stamp, between.number).overwrite(&mut octets);
        self.pacing.put_at_once(octets, now);
    }
}

impl PassedEvent {
    /// A long digit comes in segments: where the one before ended as it left, this one begins, however that was rounded.
    fn continuing(self, before: Option<Self>, code: u8) -> Self {
        let goes_on = |it: &Self| {
            (it.epoch, it.code, it.is_over, it.their_end) == (self.epoch, code, false, self.theirs)
        };
        match before.filter(goes_on) {
            Some(before) => Self { ours: before.our_end, ..self },
            None => self,
        }
    }

    /// Each segment has the timestamp of the end of the one before (RFC 4733 §2.5.1.3).
    fn at(&self, segment: u32) -> u32 {
        self.ours.wrapping_add(segment.wrapping_mul(u32::from(SEGMENT_MAX)))
    }
}

/// Puts an event at the beginning of the payload.
fn write(packet: &mut [u8], payload: usize, event: TelephoneEvent) {
    if let Some(place) = packet.get_mut(payload..).and_then(<[u8]>::first_chunk_mut) {
        *place = event.encode();
    }
}

/// The longest duration that a packet can say.
const SEGMENT_MAX: u16 = u16::MAX;
