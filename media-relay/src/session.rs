//! The media of one call: two halves, and what goes from one to the other.

use crate::command::Description;
use crate::event::Statistics;
use crate::half::{Accepted, Content, Half};
use crate::relay::Forward;
use crate::rtcp_packet::{is_rtcp, report_time, translate};
use crate::side::{SessionId, Side};
use crate::transcoding::Between;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The media of one call.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) stage: Stage,
    pub(crate) halves: [Half; 2],
}

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its ports are being bound.
    Opening { tries_left: u16 },
    /// Each half for itself, but for the one that the other already hears.
    Open { heard: Option<Side> },
    /// What comes from one half goes to the other.
    Connected { since: Instant },
}

/// What goes to the other party.
#[derive(Debug, Default)]
pub(crate) enum Passage {
    #[default]
    Nothing,
    /// The packet, rewritten in place.
    Forward(Forward),
    /// What is made of it stands in line at the other half.
    InLine,
}

/// What became of an RTP packet.
#[derive(Debug, Default)]
pub(crate) struct Handled {
    pub(crate) passage: Passage,
    /// It was the first of its side.
    pub(crate) is_first: bool,
}

impl Session {
    pub(crate) fn half(&self, side: Side) -> &Half {
        &self.halves[side.index()]
    }

    pub(crate) fn half_mut(&mut self, side: Side) -> &mut Half {
        &mut self.halves[side.index()]
    }

    pub(crate) fn describe(&mut self, side: Side, description: Description, now: Instant) {
        self.half_mut(side).describe(description, now);
    }

    /// A packet that came to the RTP port of `side`; rewritten in place when it is forwarded.
    pub(crate) fn handle_rtp(
        &mut self,
        side: Side,
        source: SocketAddr,
        packet: &mut [u8],
        now: Instant,
    ) -> Handled {
        let half = self.half_mut(side);
        if is_rtcp(packet) && half.description.as_ref().is_some_and(Description::is_multiplexed) {
            let report = self.handle_rtcp(side, source, packet, now);
            return Handled { passage: report.map_or(Passage::Nothing, Passage::Forward), is_first: false };
        }
        let Some(accepted) = half.receive(source, packet, now) else { return Handled::default() };
        let passage = match self.stage {
            Stage::Open { heard } if heard == Some(side) => {
                self.halves[side.other().index()].forward_early(&accepted, packet, now)
            }
            Stage::Opening { .. } | Stage::Open { .. } => Passage::Nothing,
            Stage::Connected { .. } => self.halves[side.other().index()].forward(&accepted, packet, now),
        };
        Handled { passage, is_first: accepted.is_first }
    }

    /// A packet that came to the RTCP port of `side`; rewritten in place when it is forwarded.
    pub(crate) fn handle_rtcp(
        &mut self,
        side: Side,
        source: SocketAddr,
        packet: &mut [u8],
        now: Instant,
    ) -> Option<Forward> {
        if !self.half_mut(side).receive_report(source, packet, now) {
            return None;
        }
        match self.stage {
            Stage::Opening { .. } | Stage::Open { .. } => return None,
            Stage::Connected { .. } => {}
        }
        let (half, other) = (self.half(side), self.half(side.other()));
        let (port, to) = other.rtcp_route()?;
        if !translate(packet, &half.translation_to(other)) {
            return None;
        }
        self.half_mut(side.other()).ask(report_time(packet), now);
        Some(Forward { port, to })
    }

    /// When `side` will have been silent for `timeout`, if it should send: both are connected, neither is on hold, and
    /// it does not suppress silence.
    pub(crate) fn silent_at(&self, side: Side, timeout: Duration) -> Option<Instant> {
        let since = match self.stage {
            Stage::Opening { .. } | Stage::Open { .. } => return None,
            Stage::Connected { since } => since,
        };
        let half = self.half(side);
        if self.halves.iter().any(Half::is_held) || half.is_silent || half.suppresses_silence() {
            return None;
        }
        // Whoever was told anew, be it about the other, has the whole time again.
        let told = self.half(side.other()).described_at();
        let quiet = self.half(side).quiet_since().max(told).map_or(since, |quiet| quiet.max(since));
        Some(quiet + timeout)
    }

    pub(crate) fn statistics(&self) -> [Statistics; 2] {
        Side::BOTH.map(|side| self.half(side).statistics())
    }
}

impl Half {
    /// As [`forward`](Self::forward), but a tone gives way instead of taking the place of the other party.
    fn forward_early(&mut self, accepted: &Accepted, packet: &mut [u8], now: Instant) -> Passage {
        let tone = self.tone.take();
        let passage = self.forward(accepted, packet, now);
        self.tone = tone;
        if let (Some(tone), Passage::Forward(_) | Passage::InLine) = (&mut self.tone, &passage) {
            tone.give_way(now);
        }
        passage
    }

    /// Makes a packet of the other party one of the stream to this one.
    fn forward(&mut self, accepted: &Accepted, packet: &mut [u8], now: Instant) -> Passage {
        let Accepted { header, place, content, .. } = *accepted;
        let Some(description) = &self.description else { return Passage::Nothing };
        let (source, payload_type) = match content {
            Content::Audio(codec) => (codec, Some(description.payload_type)),
            Content::TelephoneEvent(codec) => (codec, description.telephone_event),
            Content::NotAgreed => return Passage::Nothing,
        };
        let codec = description.codec;
        let (Some(payload_type), Some(to), None) = (payload_type, self.rtp_destination(), &self.tone) else {
            if self.tone.is_none() {
                self.continuity.interrupt();
            }
            return Passage::Nothing;
        };
        if source != codec {
            return self.transcode(accepted, Between { source, target: codec, payload_type }, packet, now);
        }
        let Some(stamp) = self.continuity.forward(place, header.timestamp, codec.clock_rate(), now) else {
            return Passage::Nothing;
        };
        header.with(stamp, payload_type).overwrite(packet);
        self.send_on(packet, to, now)
    }
}
