//! What the other party says in another codec, on its way to this one.

use crate::continuity::Piece;
use crate::half::{Accepted, Content, Half};
use crate::pacing::Pacing;
use crate::packet::RtpHeader;
use crate::relay::Forward;
use crate::session::Passage;
use crate::transcoder::Transcoder;
use audio::Codec;
use std::net::SocketAddr;
use std::time::Instant;

/// The transcoder of one direction and what it has made. Empty where both parties speak the same codec.
#[derive(Debug, Default)]
pub(crate) struct Transcoding {
    transcoder: Option<Box<Transcoder>>,
    pacing: Pacing,
    /// What was made of the packet that is being transcoded.
    made: Vec<Vec<u8>>,
}

/// From what to what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Between {
    pub(crate) source: Codec,
    pub(crate) target: Codec,
    /// Of the target, for what is transcoded or passed.
    pub(crate) payload_type: u8,
}

impl Half {
    /// Makes of a packet in another codec what this party understands; a telephone event is only renumbered.
    pub(crate) fn transcode(
        &mut self,
        accepted: &Accepted,
        between: Between,
        packet: &mut [u8],
        now: Instant,
    ) -> Passage {
        let Between { source, target, .. } = between;
        let (slot, epoch) = (&mut self.transcoding.transcoder, accepted.place.epoch);
        let known = slot.take().filter(|transcoder| transcoder.is_between(source, target));
        let goes_on = known.as_ref().is_some_and(|known| known.is_continued_by(accepted));
        let transcoder = slot.insert(known.unwrap_or_else(|| Box::new(Transcoder::new(source, target))));
        if !goes_on || !self.continuity.is_transcoding(epoch) {
            self.continuity.begin_transcoding(epoch);
            transcoder.begin_again();
        }
        match accepted.content {
            Content::Audio(_) => self.transcode_audio(accepted, between, packet, now),
            Content::TelephoneEvent(_) => self.pass_event(accepted, between, packet, now),
            Content::NotAgreed => Passage::Nothing,
        }
    }

    fn transcode_audio(
        &mut self,
        accepted: &Accepted,
        between: Between,
        packet: &[u8],
        now: Instant,
    ) -> Passage {
        let Transcoding { transcoder: Some(transcoder), pacing, made } = &mut self.transcoding else {
            return Passage::Nothing;
        };
        let (continuity, mut header) = (&mut self.continuity, accepted.header);
        transcoder.transcode(accepted, &packet[RtpHeader::payload(packet)], |frame, encode| {
            let piece = Piece {
                epoch: accepted.place.epoch,
                timestamp: frame.timestamp,
                clock_rate: between.source.clock_rate(),
                missing: frame.missing,
            };
            let stamp = continuity.transcoded(piece, between.target.clock_rate(), now);
            let mut octets = pacing.memory();
            octets.extend_from_slice(&PLAIN_HEADER);
            header.with(stamp, between.payload_type).overwrite(&mut octets);
            header.marker = false;
            encode(&mut octets);
            made.push(octets);
        });
        let is_long = transcoder.took_a_long_packet();
        for (index, octets) in made.drain(..).enumerate() {
            if is_long {
                pacing.put_in_step(octets, index == 0, now);
            } else {
                pacing.put_at_once(octets, now);
            }
        }
        Passage::InLine
    }

    fn pass_event(
        &mut self,
        accepted: &Accepted,
        between: Between,
        packet: &mut [u8],
        now: Instant,
    ) -> Passage {
        let Some(to) = self.rtp_destination() else { return Passage::Nothing };
        let place = accepted.place;
        let passed = self.transcoding.transcoder.as_mut();
        let missing = passed.map_or(0, |transcoder| transcoder.pass(place.extended));
        let (source_rate, target_rate) = (between.source.clock_rate(), between.target.clock_rate());
        let timestamp = accepted.header.timestamp;
        let piece = Piece { epoch: place.epoch, timestamp, clock_rate: source_rate, missing };
        let stamp = self.continuity.transcoded(piece, target_rate, now);
        let payload = RtpHeader::payload(packet);
        if let Some([_, _, high, low]) = packet[payload].first_chunk_mut::<4>() {
            // RFC 4733 §2.3: the duration is in timestamp units too.
            let duration = u64::from(u16::from_be_bytes([*high, *low]));
            let scaled = duration * u64::from(target_rate) / u64::from(source_rate);
            [*high, *low] = u16::try_from(scaled).unwrap_or(u16::MAX).to_be_bytes();
        }
        accepted.header.with(stamp, between.payload_type).overwrite(packet);
        self.send_on(packet, to, now)
    }

    /// Sends a packet whose numbers follow on those of whatever waits: that leaves first, and now.
    pub(crate) fn send_on(&mut self, packet: &[u8], to: SocketAddr, now: Instant) -> Passage {
        let pacing = &mut self.transcoding.pacing;
        if pacing.is_empty() {
            self.count_sent(packet);
            return Passage::Forward(Forward { port: self.local.port(), to });
        }
        let mut octets = pacing.memory();
        octets.extend_from_slice(packet);
        pacing.put_at_once(octets, now);
        Passage::InLine
    }

    /// Lends the next packet that is due to `buffer` and says where it goes.
    pub(crate) fn next_transcoded(
        &mut self,
        buffer: &mut Vec<u8>,
        now: Instant,
    ) -> Option<(u16, SocketAddr)> {
        let Some(to) = self.rtp_destination() else {
            self.transcoding.pacing.clear();
            return None;
        };
        if !self.transcoding.pacing.take(buffer, now) {
            return None;
        }
        self.count_sent(buffer);
        Some((self.local.port(), to))
    }

    /// Something else comes next: what waits is to leave now.
    pub(crate) fn hurry_transcoded(&mut self, now: Instant) {
        self.transcoding.pacing.hurry(now);
    }

    /// Nobody understands what waits.
    pub(crate) fn drop_transcoded(&mut self) {
        self.transcoding.pacing.clear();
    }

    /// When to look for one, unless that is known.
    pub(crate) fn schedule_transcoded(&mut self) -> Option<Instant> {
        self.transcoding.pacing.schedule()
    }

    /// That time has come.
    pub(crate) fn wake_transcoded(&mut self) {
        self.transcoding.pacing.wake();
    }
}

/// Version 2 and nothing else: no padding, extension or CSRC.
const PLAIN_HEADER: [u8; 12] = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
