//! Packets that go out: one each 20 ms, on one SSRC from the first to the last.

use super::source::Player;
use super::{PACKET_TIME, Source, Stream, timestamp_step};
use audio::{Encoder, TelephoneEvent};
use bytes::Bytes;
use rtp::header::Header;
use rtp::packet::Packet;
use std::collections::VecDeque;
use std::time::Instant;
use webrtc_util::Marshal;

/// Makes the packets of one call.
pub struct RtpSender {
    stream: Stream,
    source: Source,
    player: Player,
    encoder: Encoder,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    due: Instant,
    /// The next packet is the first after a silence (RFC 3551 §4.1).
    marker: bool,
    digits: VecDeque<u8>,
    event: Option<SentEvent>,
    sent: u64,
}

/// A telephone event under way.
struct SentEvent {
    event: u8,
    timestamp: u32,
    /// Ticks since it began.
    ticks: u16,
}

impl RtpSender {
    /// A sender whose first packet is due at `now`. `random` gives SSRC, first sequence number and first timestamp.
    pub fn new(stream: Stream, source: Source, random: u64, now: Instant) -> Self {
        let [a, b, c, d, e, f, g, h] = random.to_be_bytes();
        Self {
            player: source.player(stream.codec.sample_rate()),
            encoder: Encoder::new(stream.codec),
            stream,
            source,
            ssrc: u32::from_be_bytes([a, b, c, d]),
            // Far from the end, so that a short stream does not wrap before the other side has seen it begin.
            sequence: u16::from_be_bytes([e & 0x7f, f]),
            timestamp: u32::from_be_bytes([0, g, h, 0]),
            due: now,
            marker: true,
            digits: VecDeque::new(),
            event: None,
            sent: 0,
        }
    }

    /// Another agreement holds from now on; SSRC and sequence numbers run on.
    pub fn set_stream(&mut self, stream: Stream) {
        if stream.codec != self.stream.codec {
            self.player = self.source.player(stream.codec.sample_rate());
            self.encoder = Encoder::new(stream.codec);
        }
        self.marker |= stream.sends && !self.stream.sends;
        self.stream = stream;
    }

    /// Queues digits; others than `0123456789*#ABCD` are left out, and so are those beyond 64.
    pub fn send_digits(&mut self, digits: &str) {
        let events = digits.chars().filter_map(TelephoneEvent::from_key);
        let free = DIGITS_MAX.saturating_sub(self.digits.len());
        self.digits.extend(events.take(free));
    }

    /// When the next packet is due.
    pub fn poll_timeout(&self) -> Instant {
        self.due
    }

    /// Packets so far.
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// The packet that is due at `now`. Call it until there is none. When it comes too late, what is missing is left
    /// out as if it had been lost on the way.
    pub fn poll_packet(&mut self, now: Instant) -> Option<Vec<u8>> {
        while self.due <= now {
            let late = now.duration_since(self.due) > PACKET_TIME * TICKS_LATE_MAX;
            let packet = self.tick().filter(|_| !late);
            self.due += PACKET_TIME;
            if packet.is_some() {
                self.sent += 1;
                return packet;
            }
        }
        None
    }

    /// What belongs to one tick; the timestamp runs on whatever is sent.
    fn tick(&mut self) -> Option<Vec<u8>> {
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(timestamp_step(self.stream.codec));
        if !self.stream.sends {
            return None;
        }
        if let Some(packet) = self.event_packet(timestamp) {
            return packet;
        }
        let mut samples = vec![0; self.stream.codec.sample_rate() as usize / 50];
        self.player.fill(&mut samples);
        let mut payload = Vec::with_capacity(samples.len());
        self.encoder.encode(&samples, &mut payload);
        let marker = std::mem::take(&mut self.marker);
        self.packet(marker, self.stream.payload_type, timestamp, payload)
    }

    /// Instead of audio while a digit is sent: `None` when there is none, `Some(None)` in the pause after one.
    fn event_packet(&mut self, timestamp: u32) -> Option<Option<Vec<u8>>> {
        let payload_type = self.stream.telephone_event?;
        let event = match &mut self.event {
            Some(event) => event,
            None => {
                let event = self.digits.pop_front()?;
                self.event.insert(SentEvent { event, timestamp, ticks: 0 })
            }
        };
        event.ticks += 1;
        let (ticks, began, code) = (event.ticks, event.timestamp, event.event);
        if ticks >= EVENT_TICKS + END_TICKS + PAUSE_TICKS {
            self.event = None;
        }
        if ticks > EVENT_TICKS + END_TICKS {
            return Some(None);
        }
        // The end is sent three times with the same duration (RFC 4733 §2.5.1.4).
        let end = ticks > EVENT_TICKS;
        let duration = u32::from(ticks.min(EVENT_TICKS)) * timestamp_step(self.stream.codec);
        let duration = u16::try_from(duration).unwrap_or(u16::MAX);
        let payload = TelephoneEvent { event: code, end, volume: VOLUME, duration }.encode();
        Some(self.packet(ticks == 1, payload_type, began, payload.to_vec()))
    }

    fn packet(
        &mut self,
        marker: bool,
        payload_type: u8,
        timestamp: u32,
        payload: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let header = Header {
            version: 2,
            marker,
            payload_type,
            sequence_number: self.sequence,
            timestamp,
            ssrc: self.ssrc,
            ..Header::default()
        };
        self.sequence = self.sequence.wrapping_add(1);
        Packet { header, payload: Bytes::from(payload) }.marshal().ok().map(|octets| octets.to_vec())
    }
}

/// 100 ms of a digit, its end, and 60 ms until the next.
const EVENT_TICKS: u16 = 5;
const END_TICKS: u16 = 3;
const PAUSE_TICKS: u16 = 3;
/// In dB below 1 mW.
const VOLUME: u8 = 10;
const DIGITS_MAX: usize = 64;
/// What is later by more ticks is left out.
const TICKS_LATE_MAX: u32 = 10;
