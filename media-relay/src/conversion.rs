//! What a phone hears in another codec than it is said in, on its way there.
//!
//! Packets stand in line in the order in which they came. Audio is given away to be transcoded by somebody who has the
//! time, one packet after the other; a telephone event behind it waits for its turn, and is only renumbered.

mod events;
pub(crate) mod pacing;
mod transcoder;

use crate::command::Payload;
use crate::names::{SessionId, TerminationId};
use crate::rtp::continuity::{Continuity, Piece};
use crate::rtp::header::RtpHeader;
use crate::termination::inward::Accepted;
use audio::Codec;
use events::PassedEvent;
use pacing::Pacing;
use std::collections::VecDeque;
use std::time::Instant;
use transcoder::{Frame, Transcoder};

/// The conversion of what one termination hears. Empty where nothing has to be converted.
#[derive(Debug, Default)]
pub(crate) struct Conversion {
    /// Absent while it is away with a packet.
    transcoder: Option<Box<Transcoder>>,
    is_away: bool,
    /// What comes back from an older one is not wanted any more.
    generation: u32,
    waiting: VecDeque<Waiting>,
    event: Option<PassedEvent>,
    pub(crate) pacing: Pacing,
}

/// A packet in line.
#[derive(Debug)]
struct Waiting {
    accepted: Accepted,
    /// `None`: it is left out.
    between: Option<Between>,
    octets: Vec<u8>,
}

/// From what to what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Between {
    pub(crate) source: Codec,
    pub(crate) target: Codec,
    /// The payload type under which it leaves.
    pub(crate) number: u8,
    /// Clock rate of telephone events that leave.
    pub(crate) event_rate: u32,
}

/// What the line wants.
#[derive(Debug)]
pub(crate) enum Next {
    Transcode(Box<Transcoding>),
    Nothing,
}

/// A packet, and who transcodes it: to be [`performed`](Self::perform) anywhere, and handed back to
/// [`Relay::handle_transcoded`](crate::Relay::handle_transcoded).
#[derive(Debug)]
pub struct Transcoding {
    /// Who hears it; the relay says so.
    pub(crate) hearer: Option<(SessionId, TerminationId)>,
    generation: u32,
    transcoder: Box<Transcoder>,
    between: Between,
    accepted: Accepted,
    packet: Vec<u8>,
    /// Each with room for a header.
    frames: Vec<(Frame, Vec<u8>)>,
    spare: Vec<Vec<u8>>,
}

impl Transcoding {
    /// Decodes, resamples and encodes.
    pub fn perform(&mut self) {
        let payload = &self.packet[RtpHeader::payload(&self.packet)];
        let (frames, spare) = (&mut self.frames, &mut self.spare);
        self.transcoder.transcode(&self.accepted, payload, |frame, encode| {
            let mut octets = spare.pop().unwrap_or_default();
            octets.clear();
            octets.extend_from_slice(&PLAIN_HEADER);
            encode(&mut octets);
            frames.push((frame, octets));
        });
    }

    /// It broke: nothing comes of it, and whoever transcodes begins anew.
    pub(crate) fn fail(&mut self) {
        self.frames.clear();
        *self.transcoder = Transcoder::new(self.between.source, self.between.target);
    }

    /// A number that is the same for all packets of one termination, and spreads terminations evenly.
    pub(crate) fn share(&self) -> usize {
        let (session, termination) = self.hearer.map_or((0, 0), |(session, id)| (session.0, id.0));
        (session as usize).wrapping_mul(2).wrapping_add(usize::from(termination))
    }
}

impl Conversion {
    /// A packet that came.
    pub(crate) fn put(&mut self, accepted: &Accepted, between: Between, packet: &[u8]) {
        let mut octets = self.pacing.memory();
        octets.extend_from_slice(packet);
        self.stand(Waiting { accepted: *accepted, between: Some(between), octets });
    }

    /// A packet that is not sent has its place in the sequence all the same.
    pub(crate) fn leave_out(&mut self, accepted: &Accepted) {
        if self.is_away {
            self.stand(Waiting { accepted: *accepted, between: None, octets: Vec::new() });
        } else if let Some(transcoder) = &mut self.transcoder {
            transcoder.leave_out(accepted.place.extended);
        }
    }

    /// Who transcodes too slowly gets the newest packets: what is older would come too late.
    fn stand(&mut self, waiting: Waiting) {
        if self.waiting.len() == WAITING_MAX
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.pacing.keep(oldest.octets);
        }
        self.waiting.push_back(waiting);
    }

    /// Sends a packet that needs no conversion behind what waits. `false`: nothing waits.
    pub(crate) fn stand_in_line(&mut self, packet: &[u8], now: Instant) -> bool {
        if self.pacing.is_empty() {
            return false;
        }
        let mut octets = self.pacing.memory();
        octets.extend_from_slice(packet);
        self.pacing.put_at_once(octets, now);
        true
    }

    /// What can be done next without waiting for anybody.
    pub(crate) fn next(&mut self, continuity: &mut Continuity, now: Instant) -> Next {
        while !self.is_away {
            let Some(Waiting { accepted, between, octets }) = self.waiting.pop_front() else { break };
            match (between, accepted.payload) {
                (Some(between), Some(Payload::Audio(_))) => {
                    return Next::Transcode(self.give_away(accepted, between, octets, continuity));
                }
                (Some(between), Some(Payload::TelephoneEvent { clock_rate })) => {
                    self.transcoder_for(&accepted, between, continuity);
                    self.pass_event(&accepted, between, clock_rate, octets, continuity, now);
                }
                (_, Some(Payload::ComfortNoise { .. }) | None) | (None, _) => {
                    if let Some(transcoder) = &mut self.transcoder {
                        transcoder.leave_out(accepted.place.extended);
                    }
                    self.pacing.keep(octets);
                }
            }
        }
        Next::Nothing
    }

    fn give_away(
        &mut self,
        accepted: Accepted,
        between: Between,
        packet: Vec<u8>,
        continuity: &mut Continuity,
    ) -> Box<Transcoding> {
        self.transcoder_for(&accepted, between, continuity);
        let known = self.transcoder.take();
        let transcoder = known.unwrap_or_else(|| Box::new(Transcoder::new(between.source, between.target)));
        self.is_away = true;
        let (generation, spare) = (self.generation, self.pacing.take_spare());
        let frames = Vec::new();
        Box::new(Transcoding {
            hearer: None,
            generation,
            transcoder,
            between,
            accepted,
            packet,
            frames,
            spare,
        })
    }

    /// Makes sure that the transcoder fits, and that the stream is made from the one of this packet.
    fn transcoder_for(&mut self, accepted: &Accepted, between: Between, continuity: &mut Continuity) {
        let (source, target) = (between.source, between.target);
        let known = self.transcoder.take().filter(|known| known.is_between(source, target));
        let goes_on = known.as_ref().is_some_and(|known| known.is_continued_by(accepted));
        let transcoder =
            self.transcoder.insert(known.unwrap_or_else(|| Box::new(Transcoder::new(source, target))));
        if !goes_on || !continuity.is_transcoding(accepted.place.epoch) {
            continuity.begin_transcoding(accepted.place.epoch);
            transcoder.begin_again();
        }
    }

    /// Puts what was made of a packet in line. `false`: nobody wants it any more.
    pub(crate) fn take_back(
        &mut self,
        transcoding: Transcoding,
        continuity: &mut Continuity,
        now: Instant,
    ) -> bool {
        let Transcoding { generation, transcoder, between, accepted, packet, mut frames, spare, .. } =
            transcoding;
        if generation != self.generation || !self.is_away {
            return false;
        }
        self.is_away = false;
        self.pacing.keep(packet);
        spare.into_iter().for_each(|octets| self.pacing.keep(octets));
        let is_long = transcoder.took_a_long_packet();
        self.transcoder = Some(transcoder);
        // A sound that gives way has begun meanwhile.
        if !continuity.is_transcoding(accepted.place.epoch) {
            return true;
        }
        for (index, (frame, mut octets)) in frames.drain(..).enumerate() {
            let piece = Piece {
                epoch: accepted.place.epoch,
                timestamp: frame.timestamp,
                clock_rate: between.source.clock_rate(),
                missing: frame.missing,
            };
            let stamp = continuity.transcoded(piece, between.target.clock_rate(), now);
            let mut header = accepted.header.with(stamp, between.number);
            header.marker = stamp.marker || (index == 0 && accepted.header.marker);
            header.overwrite(&mut octets);
            if is_long {
                self.pacing.put_in_step(octets, index == 0, now);
            } else {
                self.pacing.put_at_once(octets, now);
            }
        }
        true
    }

    /// What comes next has nothing to do with what was; what waits is dropped.
    pub(crate) fn begin_anew(&mut self) {
        self.drop_line();
        self.pacing.clear();
    }

    /// A sound is heard instead: what is transcoded already leaves now, and what is not would come in the middle of it.
    pub(crate) fn make_way(&mut self, now: Instant) {
        self.drop_line();
        self.pacing.hurry(now);
    }

    /// Whatever is away is not wanted back.
    fn drop_line(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        (self.transcoder, self.is_away, self.event) = (None, false, None);
        self.waiting.clear();
    }
}

/// Version 2 and nothing else: no padding, extension or CSRC.
const PLAIN_HEADER: [u8; 12] = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// 200 ms of the usual packets.
const WAITING_MAX: usize = 10;
