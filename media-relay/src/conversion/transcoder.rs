//! Audio of one party in the codec of the other.
//!
//! Whatever packet time comes in, 20 ms go out. Time is the sender's: what is lost stays a hole in sequence numbers
//! and timestamps, which the receiver conceals as its own loss; what comes too late is left out.

use crate::termination::inward::Accepted;
use audio::{Codec, Decoder, Encoder, Resampler};

/// One direction of a session between two codecs.
#[derive(Debug)]
pub(super) struct Transcoder {
    from: Codec,
    to: Codec,
    decoder: Decoder,
    /// Absent where both codecs have the same sampling rate.
    resampler: Option<Resampler>,
    encoder: Encoder,
    decoded: Vec<i16>,
    /// Less than a frame between packets, in the sampling rate of `to`.
    pending: Vec<i16>,
    /// Where the stream of the party stands; nothing has come when absent.
    position: Option<Position>,
}

#[derive(Debug, Clone, Copy)]
struct Position {
    /// Extended sequence number of the newest packet.
    newest: u32,
    /// Timestamp behind the newest audio, in the clock rate of `from`.
    end: u32,
    /// Packets that were lost since the last frame that went out.
    missing: u32,
}

/// A frame that has been encoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// Of its first sample, in the clock rate of `from`.
    pub(super) timestamp: u32,
    pub(super) missing: u32,
}

impl Transcoder {
    pub(super) fn new(from: Codec, to: Codec) -> Self {
        let (source, target) = (from.sample_rate(), to.sample_rate());
        Self {
            from,
            to,
            decoder: Decoder::new(from),
            resampler: (source != target).then(|| Resampler::new(source, target)).flatten(),
            encoder: Encoder::new(to),
            decoded: Vec::new(),
            pending: Vec::new(),
            position: None,
        }
    }

    pub(super) fn is_between(&self, from: Codec, to: Codec) -> bool {
        (self.from, self.to) == (from, to)
    }

    /// Is the timestamp of a packet one that follows?
    pub(super) fn is_continued_by(&self, accepted: &Accepted) -> bool {
        self.position.is_none_or(|position| {
            let ahead = accepted.header.timestamp.wrapping_sub(position.end) as i32;
            ahead > -(self.from.clock_rate() as i32)
        })
    }

    /// Did the newest packet hold more than one that goes out?
    pub(super) fn took_a_long_packet(&self) -> bool {
        self.decoded.len() > self.from.frame_samples()
    }

    /// What comes next has nothing to do with what was.
    pub(super) fn begin_again(&mut self) {
        self.position = None;
        self.pending.clear();
    }

    /// A packet without audio, such as a telephone event, has its place in the sequence. Gives how many are missing
    /// before it; `None` when what came after it was faster.
    pub(super) fn pass(&mut self, extended: u32) -> Option<u32> {
        let Some(position) = &mut self.position else { return Some(0) };
        let ahead = extended.wrapping_sub(position.newest) as i32;
        if ahead <= 0 {
            return None;
        }
        position.newest = extended;
        Some(std::mem::take(&mut position.missing) + (ahead as u32 - 1).min(MISSING_MAX))
    }

    /// A packet that is not sent is not missing either.
    pub(super) fn leave_out(&mut self, extended: u32) {
        if let (Some(missing), Some(position)) = (self.pass(extended), &mut self.position) {
            position.missing = missing;
        }
    }

    /// Takes the audio of a packet in; gives each frame that is complete then to `out`, its payload written into the
    /// vector that `out` is lent.
    pub(super) fn transcode(
        &mut self,
        accepted: &Accepted,
        payload: &[u8],
        mut out: impl FnMut(Frame, &mut dyn FnMut(&mut Vec<u8>)),
    ) {
        if payload.is_empty() || payload.len() > PAYLOAD_OCTETS_MAX {
            return;
        }
        let (extended, timestamp) = (accepted.place.extended, accepted.header.timestamp);
        let position = self.position.get_or_insert(Position {
            newest: extended.wrapping_sub(1),
            end: timestamp,
            missing: 0,
        });
        let ahead = extended.wrapping_sub(position.newest) as i32;
        if ahead <= 0 {
            return;
        }
        position.newest = extended;
        position.missing = (position.missing + (ahead as u32 - 1)).min(MISSING_MAX);
        let hole = timestamp.wrapping_sub(position.end) as i32;
        position.end = timestamp;
        if hole != 0 {
            self.fill(hole, &mut out);
        }
        self.decode(payload);
        self.frames(&mut out);
    }

    /// Before a hole what is pending goes out, filled up with silence; there is no such thing as an empty frame.
    fn fill(&mut self, hole: i32, out: &mut impl FnMut(Frame, &mut dyn FnMut(&mut Vec<u8>))) {
        let Some(Position { end, .. }) = self.position else { return };
        if self.pending.is_empty() {
            return;
        }
        let begin = end.wrapping_sub(hole as u32).wrapping_sub(self.units(self.pending.len()));
        let frame = Frame { timestamp: begin, missing: 0 };
        let (encoder, pending) = (&mut self.encoder, &mut self.pending);
        out(frame, &mut |octets| encoder.encode(pending, octets));
        pending.clear();
    }

    fn decode(&mut self, payload: &[u8]) {
        self.decoded.clear();
        self.decoder.decode(payload, &mut self.decoded);
        match &mut self.resampler {
            Some(resampler) => resampler.resample(&self.decoded, &mut self.pending),
            None => self.pending.extend_from_slice(&self.decoded),
        }
        let units = self.decoded.len() as u64 * u64::from(self.from.clock_rate())
            / u64::from(self.from.sample_rate());
        if let Some(position) = &mut self.position {
            position.end = position.end.wrapping_add(units as u32);
        }
    }

    fn frames(&mut self, out: &mut impl FnMut(Frame, &mut dyn FnMut(&mut Vec<u8>))) {
        let length = self.to.frame_samples();
        let mut done = 0;
        while self.pending.len() - done >= length {
            let left = self.units(self.pending.len() - done);
            let Some(position) = &mut self.position else { return };
            let timestamp = position.end.wrapping_sub(left);
            let frame = Frame { timestamp, missing: std::mem::take(&mut position.missing) };
            let (encoder, samples) = (&mut self.encoder, &self.pending[done..done + length]);
            out(frame, &mut |octets| encoder.encode(samples, octets));
            done += length;
        }
        self.pending.drain(..done);
    }

    /// So many samples of `to` in the clock rate of `from`.
    fn units(&self, samples: usize) -> u32 {
        (samples as u64 * u64::from(self.from.clock_rate()) / u64::from(self.to.sample_rate())) as u32
    }
}

/// 200 ms of G.711 or G.722, and more than the longest of opus.
const PAYLOAD_OCTETS_MAX: usize = 1_600;
/// A longer hole is no loss that a receiver should conceal.
const MISSING_MAX: u32 = 50;
