//! What comes from a phone: from where it is believed, what is counted, and what each packet is.

use crate::command::{Description, Payload};
use crate::event::{STRANGERS_MAX, Statistics};
use crate::rtp::header::RtpHeader;
use crate::rtp::is_before;
use crate::rtp::learning::{Acceptable, Evidence, Learning, Verdict, is_same};
use crate::rtp::reception::{Place, Reception};
use crate::rtp::reports;
use audio::{Codec, TelephoneEvent};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// The incoming side of a termination.
#[derive(Debug, Default)]
pub(crate) struct Inward {
    rtp: Learning,
    reception: Reception,
    packets_received: u64,
    octets_received: u64,
    packets_not_agreed: u64,
    first_packet_at: Option<Instant>,
    /// What the payload type of the newest audio means, as long as the description holds.
    audio: Option<(u8, Codec)>,
    aside: Box<Aside>,
    /// When audio, a digit or a report came last.
    alive_at: Option<Instant>,
    /// Of the newest audio.
    codec: Option<Codec>,
    key: Option<Key>,
    /// `Event::Silent` was said and nothing has come since.
    pub(crate) is_silent: bool,
}

/// What audio that comes as it should does not touch: tens of thousands of terminations share the caches of a processor.
#[derive(Debug, Default)]
struct Aside {
    rtcp: Learning,
    packets_from_strangers: u64,
    last_stranger: Option<SocketAddr>,
    strangers: [Option<IpAddr>; STRANGERS_MAX],
    packets_malformed: u64,
}

/// The digit that is being keyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    code: u8,
    epoch: u32,
    /// Of the segment of it that came last (RFC 4733 §2.5.1.3).
    timestamp: u32,
    /// Behind that segment.
    end: u32,
    is_over: bool,
}

/// An RTP packet of the phone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted {
    pub(crate) header: RtpHeader,
    pub(crate) place: Place,
    /// `None`: it was not agreed.
    pub(crate) payload: Option<Payload>,
    /// The codec of the audio that it is, or that it comes with.
    pub(crate) beside: Codec,
    /// It is the first audio.
    pub(crate) is_first: bool,
    /// A digit begins with it.
    pub(crate) digit: Option<u8>,
}

impl Inward {
    pub(crate) fn begin_learning(&mut self, is_again: bool, now: Instant) {
        self.audio = None;
        self.rtp.begin(is_again, now);
        self.aside.rtcp.begin(is_again, now);
        if !is_again {
            self.reception.expect_another();
        }
    }

    /// Takes in what came to the RTP port and is no RTCP. `None`: it is not to be used, and counted.
    #[inline]
    pub(crate) fn receive(
        &mut self,
        description: Option<&Description>,
        source: SocketAddr,
        packet: &[u8],
        now: Instant,
    ) -> Option<Accepted> {
        let Ok(header) = RtpHeader::parse(packet) else {
            self.count_malformed(description, source);
            return None;
        };
        // Whoever is early is no stranger yet.
        let description = description?;
        let evidence = Evidence { source, ssrc: header.ssrc, sequence: Some(header.sequence) };
        let acceptable = Acceptable { announced: description.rtp, other: Some(description.signalling) };
        match self.rtp.handle(evidence, acceptable, now) {
            Verdict::Accepted => {}
            Verdict::Undecided => return None,
            Verdict::Stranger => {
                self.count_stranger(source);
                return None;
            }
        }
        let (payload, beside) = match self.audio {
            Some((number, codec)) if number == header.payload_type => (Some(Payload::Audio(codec)), codec),
            Some(_) | None => {
                let payload = description.comes.meaning(header.payload_type);
                (payload, self.beside(payload, description))
            }
        };
        let place = self.reception.receive(&header, clock_rate(payload), now)?;
        if let Some(Payload::Audio(codec)) = payload {
            (self.audio, self.codec) = (Some((header.payload_type, codec)), Some(codec));
        }
        let digit = match payload {
            Some(Payload::TelephoneEvent { .. }) => {
                self.keyed(&header, place, &packet[RtpHeader::payload(packet)])
            }
            Some(Payload::Audio(_) | Payload::ComfortNoise { .. }) | None => None,
        };
        self.packets_received += 1;
        self.octets_received += packet.len() as u64;
        self.packets_not_agreed += u64::from(payload.is_none());
        // Noise alone, what nobody agreed on and packets without anything in them keep a way through a NAT open (RFC 6263
        // §4), and say nothing.
        let says_something = !RtpHeader::payload(packet).is_empty();
        let (is_audio, is_life) = match payload {
            Some(Payload::Audio(_)) => (says_something, says_something),
            Some(Payload::TelephoneEvent { .. }) => (false, says_something),
            Some(Payload::ComfortNoise { .. }) | None => (false, false),
        };
        if is_life {
            self.is_alive(now);
        }
        let is_first = is_audio && self.first_packet_at.is_none();
        if is_first {
            self.first_packet_at = Some(now);
        }
        Some(Accepted { header, place, payload, beside, is_first, digit })
    }

    /// The codec of the audio that it is, or that it comes with.
    fn beside(&self, payload: Option<Payload>, description: &Description) -> Codec {
        if let Some(Payload::Audio(codec)) = payload {
            return codec;
        }
        let known = self.codec.filter(|codec| description.comes.number_of(Payload::Audio(*codec)).is_some());
        let agreed = description.comes.codec().map(|(_, codec)| codec);
        known.or(agreed).unwrap_or(Codec::Pcmu)
    }

    /// Judges what came as RTCP. `false`: it is not to be used, and counted.
    pub(crate) fn receive_report(
        &mut self,
        description: Option<&Description>,
        source: SocketAddr,
        packet: &[u8],
        now: Instant,
    ) -> bool {
        let Ok(ssrc) = reports::check(packet) else {
            self.count_malformed(description, source);
            return false;
        };
        let verdict = match description {
            // Whoever is early is no stranger yet.
            None => Verdict::Undecided,
            // On a shared port the address is learnt from RTP alone.
            Some(description) if description.is_multiplexed() => {
                let known = self.rtp.address().unwrap_or(description.rtp);
                if is_same(source, known) { Verdict::Accepted } else { Verdict::Stranger }
            }
            Some(description) => {
                let evidence = Evidence { source, ssrc, sequence: None };
                let other = self.rtp.address().map(|address| address.ip());
                self.aside.rtcp.handle(evidence, Acceptable { announced: description.rtcp, other }, now)
            }
        };
        match verdict {
            // A phone that is muted and sends only reports is there.
            Verdict::Accepted => self.is_alive(now),
            Verdict::Stranger => self.count_stranger(source),
            Verdict::Undecided => {}
        }
        verdict == Verdict::Accepted
    }

    /// A report that came to the RTP port, where none was agreed on (RFC 5761 §4): it is no audio.
    pub(crate) fn turn_report_away(&mut self, description: Option<&Description>, source: SocketAddr) {
        let Some(description) = description else { return };
        if is_same(source, self.rtp.address().unwrap_or(description.rtp)) {
            self.packets_not_agreed += 1;
        } else {
            self.count_stranger(source);
        }
    }

    #[inline]
    fn is_alive(&mut self, now: Instant) {
        self.alive_at = Some(now);
        self.is_silent = false;
    }

    /// The digit that begins with this packet. All packets of a digit have its timestamp; one that lasts longer than its
    /// duration can say goes on in segments, each with the timestamp of the end of the one before (RFC 4733 §2.5.1.3).
    fn keyed(&mut self, header: &RtpHeader, place: Place, payload: &[u8]) -> Option<u8> {
        let TelephoneEvent { event: code, end: is_over, duration, .. } = TelephoneEvent::decode(payload)?;
        let timestamp = header.timestamp;
        let end = timestamp.wrapping_add(u32::from(duration));
        match &mut self.key {
            Some(key) if (key.epoch, key.timestamp) == (place.epoch, timestamp) => {
                key.is_over |= is_over;
                key.end = if is_before(key.end, end) { end } else { key.end };
                None
            }
            // Overtaken by the next one.
            Some(key) if key.epoch == place.epoch && is_before(timestamp, key.timestamp) => None,
            Some(key)
                if (key.epoch, key.code, key.is_over, key.end) == (place.epoch, code, false, timestamp)
                    && !header.marker =>
            {
                *key = Key { timestamp, end, is_over, ..*key };
                None
            }
            Some(_) | None => {
                self.key = Some(Key { code, epoch: place.epoch, timestamp, end, is_over });
                (code <= DIGIT_MAX).then_some(code)
            }
        }
    }

    pub(crate) fn count_stranger(&mut self, source: SocketAddr) {
        self.aside.packets_from_strangers += 1;
        if self.aside.last_stranger == Some(source) {
            return;
        }
        self.aside.last_stranger = Some(source);
        let ip = source.ip().to_canonical();
        let place = self.aside.strangers.iter_mut().find(|known| known.is_none_or(|known| known == ip));
        if let Some(place) = place {
            *place = Some(ip);
        }
    }

    fn count_malformed(&mut self, description: Option<&Description>, source: SocketAddr) {
        let Some(description) = description else { return };
        let known = [self.rtp.address(), Some(description.rtp), Some(description.rtcp)];
        let is_phone = known.into_iter().flatten().any(|known| is_same(source, known));
        if is_phone { self.aside.packets_malformed += 1 } else { self.count_stranger(source) }
    }

    #[inline]
    pub(crate) fn rtp_address(&self) -> Option<SocketAddr> {
        self.rtp.address()
    }

    pub(crate) fn rtcp_address(&self) -> Option<SocketAddr> {
        self.aside.rtcp.address()
    }

    /// In which the phone speaks, as far as is known.
    #[inline]
    pub(crate) fn codec(&self) -> Option<Codec> {
        self.codec
    }

    pub(crate) fn alive_at(&self) -> Option<Instant> {
        self.alive_at
    }

    pub(crate) fn ssrc(&self) -> Option<u32> {
        self.reception.ssrc()
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.reception.epoch()
    }

    pub(crate) fn statistics(&self) -> Statistics {
        Statistics {
            packets_lost: self.reception.packets_lost(),
            jitter_ms: self.reception.jitter_ms(),
            packets_received: self.packets_received,
            octets_received: self.octets_received,
            packets_not_agreed: self.packets_not_agreed,
            first_packet_at: self.first_packet_at,
            packets_from_strangers: self.aside.packets_from_strangers,
            strangers: self.aside.strangers,
            packets_malformed: self.aside.packets_malformed,
            ..Statistics::default()
        }
    }
}

/// Of the timestamps of audio. Those of events and noise say nothing about how evenly audio comes.
fn clock_rate(payload: Option<Payload>) -> Option<u32> {
    match payload {
        Some(Payload::Audio(codec)) => Some(codec.clock_rate()),
        Some(Payload::TelephoneEvent { .. } | Payload::ComfortNoise { .. }) | None => None,
    }
}

/// Of the DTMF events (RFC 4733 §3.2).
const DIGIT_MAX: u8 = 15;
