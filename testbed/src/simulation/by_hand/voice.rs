//! The audio of a phone played by hand: a tone in packets of any time, and an ear.

use audio::{Codec, Encoder, Sine};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use test_phone::{Counts, Heard, RtpReceiver, Stream};

/// A call's audio.
pub(super) struct Voice {
    sine: Sine,
    encoder: Encoder,
    codec: Codec,
    stream: Stream,
    packet_time: u16,
    receiver: RtpReceiver,
    /// Encoded and not sent yet, where an octet is a sample.
    pending: Vec<u8>,
    sequence: u16,
    timestamp: u32,
    due: Instant,
    hertz: f64,
}

/// Of full scale.
const LEVEL: f64 = 0.5;

impl Voice {
    pub(super) fn new(hertz: f64, stream: Stream, packet_time: u16, now: Instant) -> Self {
        Self {
            sine: Sine::new(hertz, LEVEL, stream.codec.sample_rate()),
            encoder: Encoder::new(stream.codec),
            codec: stream.codec,
            stream,
            packet_time,
            receiver: RtpReceiver::new(stream),
            pending: Vec::new(),
            sequence: 100,
            timestamp: 8_000,
            due: now,
            hertz,
        }
    }

    pub(super) fn set(&mut self, stream: Stream, packet_time: u16) {
        if stream.codec != self.codec {
            self.codec = stream.codec;
            self.sine = Sine::new(self.hertz, LEVEL, stream.codec.sample_rate());
            self.encoder = Encoder::new(stream.codec);
            self.pending.clear();
        }
        self.stream = stream;
        self.packet_time = packet_time;
        self.receiver.set_stream(stream);
    }

    pub(super) fn hear(&mut self, octets: &[u8], from: SocketAddr, now: Instant) {
        self.receiver.handle_packet(octets, from, now);
    }

    pub(super) const fn heard(&self) -> &Heard {
        self.receiver.heard()
    }

    pub(super) const fn counts(&self) -> &Counts {
        self.receiver.counts()
    }

    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    /// The packet that is due, and where it goes.
    pub(super) fn packet(&mut self, now: Instant) -> Option<(SocketAddr, Vec<u8>)> {
        while self.due <= now {
            self.due += Duration::from_millis(self.packet_time.into());
            let payload = self.payload();
            let stamp = self.timestamp;
            let units = u32::from(self.packet_time) * self.codec.clock_rate() / 1_000;
            self.timestamp = self.timestamp.wrapping_add(units);
            if self.stream.sends {
                self.sequence = self.sequence.wrapping_add(1);
                return Some((self.stream.remote, self.with_header(stamp, &payload)));
            }
        }
        None
    }

    fn payload(&mut self) -> Vec<u8> {
        if self.codec == Codec::Opus {
            return self.frame();
        }
        // G.711 and G.722 have eight octets a millisecond.
        let length = usize::from(self.packet_time) * 8;
        while self.pending.len() < length {
            let frame = self.frame();
            self.pending.extend(frame);
        }
        self.pending.drain(..length).collect()
    }

    /// 20 ms.
    fn frame(&mut self) -> Vec<u8> {
        let mut samples = vec![0; self.codec.frame_samples()];
        self.sine.fill(&mut samples);
        let mut octets = Vec::new();
        self.encoder.encode(&samples, &mut octets);
        octets
    }

    fn with_header(&self, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, self.stream.payload_type];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(u32::from(self.stream.local.port()).to_be_bytes());
        packet.extend(payload);
        packet
    }
}
