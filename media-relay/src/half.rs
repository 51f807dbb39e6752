//! What a session knows of one party: its addresses, what came from it, what goes to it.

use crate::command::Description;
use crate::continuity::Continuity;
use crate::event::Statistics;
use crate::learning::{Acceptable, Evidence, Learning, Verdict};
use crate::packet::RtpHeader;
use crate::reception::{Place, Reception};
use crate::rtcp_packet::{self, Reported, Translation};
use crate::tones::Tone;
use crate::transcoding::Transcoding;
use audio::Codec;
use std::net::SocketAddr;
use std::time::Instant;

/// The half of a session that faces one party.
#[derive(Debug)]
pub(crate) struct Half {
    /// Where its RTP is received; RTCP on the port above.
    pub(crate) local: SocketAddr,
    pub(crate) is_bound: bool,
    pub(crate) description: Option<Description>,
    pub(crate) tone: Option<Tone>,
    pub(crate) continuity: Continuity,
    pub(crate) transcoding: Transcoding,
    rtp: Learning,
    rtcp: Learning,
    reception: Reception,
    figures: Statistics,
    payload_octets_sent: u64,
    described_at: Option<Instant>,
    heard_at: Option<Instant>,
    /// The name of the newest report that was sent to the party, and when.
    asked: Option<(u32, Instant)>,
    /// `Event::Silent` was said and nothing has come since.
    pub(crate) is_silent: bool,
}

/// An RTP packet of the party.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted {
    pub(crate) header: RtpHeader,
    pub(crate) place: Place,
    pub(crate) content: Content,
    /// None was accepted before.
    pub(crate) is_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Audio(Codec),
    /// Beside audio of this codec.
    TelephoneEvent(Codec),
    NotAgreed,
}

impl Half {
    pub(crate) fn new(local: SocketAddr, continuity: Continuity) -> Self {
        Self {
            local,
            is_bound: false,
            description: None,
            tone: None,
            continuity,
            transcoding: Transcoding::default(),
            rtp: Learning::default(),
            rtcp: Learning::default(),
            reception: Reception::default(),
            figures: Statistics::default(),
            payload_octets_sent: 0,
            described_at: None,
            heard_at: None,
            asked: None,
            is_silent: false,
        }
    }

    pub(crate) fn describe(&mut self, description: Description, now: Instant) {
        let last = self.description.as_ref();
        let is_again = last.is_some_and(|last| {
            (last.rtp, last.rtcp, last.signalling)
                == (description.rtp, description.rtcp, description.signalling)
        });
        self.rtp.begin(is_again);
        self.rtcp.begin(is_again);
        if last.is_some_and(|last| last.codec != description.codec) {
            // Timestamps of another clock rate do not go on.
            self.continuity.interrupt();
            self.reception.forget_transit();
        }
        if last.is_some_and(|last| {
            (last.codec, last.payload_type) != (description.codec, description.payload_type)
        }) {
            self.drop_transcoded();
        }
        self.description = Some(description);
        self.described_at = Some(now);
    }

    /// Takes in what came to the RTP port and is no RTCP. `None`: it is not to be used, and counted.
    pub(crate) fn receive(&mut self, source: SocketAddr, packet: &[u8], now: Instant) -> Option<Accepted> {
        let Ok(header) = RtpHeader::parse(packet) else {
            self.count_malformed(source);
            return None;
        };
        let Some(description) = &self.description else {
            self.count_stranger();
            return None;
        };
        let evidence = Evidence { source, ssrc: header.ssrc, sequence: Some(header.sequence) };
        let acceptable = Acceptable { announced: description.rtp, other: Some(description.signalling) };
        match self.rtp.handle(evidence, acceptable, now) {
            Verdict::Accepted => {}
            Verdict::Undecided => return None,
            Verdict::Stranger => {
                self.count_stranger();
                return None;
            }
        }
        self.heard_at = Some(now);
        self.is_silent = false;
        let place = self.reception.receive(&header, description.codec.clock_rate(), now)?;
        let content = content(description, header.payload_type);
        self.figures.packets_received += 1;
        self.figures.octets_received += packet.len() as u64;
        self.figures.packets_not_agreed += u64::from(content == Content::NotAgreed);
        let is_first = self.figures.first_packet_at.is_none();
        self.figures.first_packet_at.get_or_insert(now);
        Some(Accepted { header, place, content, is_first })
    }

    /// Judges what came as RTCP. `false`: it is not to be used, and counted.
    pub(crate) fn receive_report(&mut self, source: SocketAddr, packet: &[u8], now: Instant) -> bool {
        let Ok(ssrc) = rtcp_packet::check(packet) else {
            self.count_malformed(source);
            return false;
        };
        let verdict = match &self.description {
            None => Verdict::Stranger,
            // On a shared port the address is learnt from RTP alone.
            Some(description) if description.is_multiplexed() => {
                let known = self.rtp.address().unwrap_or(description.rtp);
                if source == known { Verdict::Accepted } else { Verdict::Stranger }
            }
            Some(description) => {
                let evidence = Evidence { source, ssrc, sequence: None };
                let other = self.rtp.address().map(|address| address.ip());
                self.rtcp.handle(evidence, Acceptable { announced: description.rtcp, other }, now)
            }
        };
        if verdict == Verdict::Stranger {
            self.count_stranger();
        }
        if verdict == Verdict::Accepted {
            self.measure_round_trip(packet, now);
        }
        verdict == Verdict::Accepted
    }

    /// A report of this name is sent to the party.
    pub(crate) fn ask(&mut self, name: Option<u32>, now: Instant) {
        if let Some(name) = name {
            self.asked = Some((name, now));
        }
    }

    /// RFC 3550 §6.4.1: the time since the report was sent, less the time it was held there.
    fn measure_round_trip(&mut self, compound: &[u8], now: Instant) {
        let Some((name, at)) = self.asked else { return };
        if let Some(held) = rtcp_packet::held_since(compound, name) {
            let away = now.saturating_duration_since(at);
            self.figures.round_trip = Some(away.saturating_sub(held));
        }
    }

    /// Where RTP for the party goes: to the address that is certain, before that to the announced one.
    pub(crate) fn rtp_destination(&self) -> Option<SocketAddr> {
        let description = self.description.as_ref().filter(|description| description.receives)?;
        let announced = usable(description.rtp)?;
        Some(self.rtp.address().unwrap_or(announced))
    }

    /// From which port and to where RTCP for the party goes; on hold as well (RFC 3264 §5.1).
    pub(crate) fn rtcp_route(&self) -> Option<(u16, SocketAddr)> {
        let description = self.description.as_ref()?;
        if description.is_multiplexed() {
            let announced = usable(description.rtp)?;
            return Some((self.local.port(), self.rtp.address().unwrap_or(announced)));
        }
        let announced = usable(description.rtcp)?;
        Some((self.local.port() + 1, self.rtcp.address().unwrap_or(announced)))
    }

    /// How reports of this party are said to `other`.
    pub(crate) fn translation_to(&self, other: &Self) -> Translation {
        let stream = other.continuity.offsets().and_then(|offsets| {
            self.reception
                .ssrc()
                .filter(|_| offsets.epoch == self.reception.epoch())
                .map(|ssrc| (ssrc, offsets.timestamp))
        });
        let reported = self.continuity.offsets().and_then(|offsets| {
            let theirs = other.reception.ssrc().filter(|_| offsets.epoch == other.reception.epoch())?;
            Some(Reported { ours: self.continuity.ssrc(), theirs, sequence_offset: offsets.sequence })
        });
        let (packets_sent, octets_sent) = other.sent();
        Translation { sender: other.continuity.ssrc(), packets_sent, octets_sent, stream, reported }
    }

    /// A packet has gone to the party.
    pub(crate) fn count_sent(&mut self, packet: &[u8]) {
        self.figures.packets_sent += 1;
        self.payload_octets_sent += packet.len().saturating_sub(HEADER_OCTETS) as u64;
    }

    /// Packets and payload octets as sender reports count them, modulo 2^32.
    pub(crate) fn sent(&self) -> (u32, u32) {
        (self.figures.packets_sent as u32, self.payload_octets_sent as u32)
    }

    pub(crate) fn count_stranger(&mut self) {
        self.figures.packets_from_strangers += 1;
    }

    fn count_malformed(&mut self, source: SocketAddr) {
        let description = self.description.as_ref();
        let is_party = self.rtp.address() == Some(source)
            || description.is_some_and(|description| description.rtp == source || description.rtcp == source);
        if is_party { self.figures.packets_malformed += 1 } else { self.count_stranger() }
    }

    pub(crate) fn described_at(&self) -> Option<Instant> {
        self.described_at
    }

    /// Since when nothing has come from a party that was told it may send.
    pub(crate) fn quiet_since(&self) -> Option<Instant> {
        self.heard_at.max(self.described_at)
    }

    /// Does audio go both ways, as far as this party says?
    pub(crate) fn is_held(&self) -> bool {
        !self.description.as_ref().is_some_and(|description| description.sends && description.receives)
    }

    /// Does its silence say nothing?
    pub(crate) fn suppresses_silence(&self) -> bool {
        self.description.as_ref().is_some_and(|description| description.suppresses_silence)
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let clock_rate =
            self.description.as_ref().map_or(8_000, |description| description.codec.clock_rate());
        Statistics {
            packets_lost: self.reception.packets_lost(),
            jitter_ms: self.reception.jitter_ms(clock_rate),
            ..self.figures
        }
    }
}

#[cfg(test)]
impl Half {
    /// Lets it count so many packets that one more is no number.
    pub(crate) fn break_at_the_next_packet(&mut self) {
        self.figures.packets_sent = u64::MAX;
    }
}

/// Of an RTP header without CSRCs and extension (RFC 3550 §5.1).
const HEADER_OCTETS: usize = 12;

fn content(description: &Description, payload_type: u8) -> Content {
    if payload_type == description.payload_type {
        Content::Audio(description.codec)
    } else if Some(payload_type) == description.telephone_event {
        Content::TelephoneEvent(description.codec)
    } else {
        Content::NotAgreed
    }
}

/// An address that something can be sent to.
fn usable(address: SocketAddr) -> Option<SocketAddr> {
    (!address.ip().is_unspecified() && address.port() != 0).then_some(address)
}
