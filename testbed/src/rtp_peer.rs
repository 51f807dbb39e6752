//! The sound of a simulated phone: it sends a tone and keeps what comes (RFC 3550, RFC 3551).

use audio::{Codec, Decoder, Encoder, Sine};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PACKET: Duration = Duration::from_millis(20);
/// The fixed part of an RTP header (RFC 3550 §5.1).
const HEADER: usize = 12;

/// A socket that speaks and listens.
#[derive(Debug)]
pub struct RtpPeer {
    socket: Arc<UdpSocket>,
    codec: Codec,
    /// The payload type of keys.
    keys: Option<u8>,
}

/// A packet of a key (RFC 4733 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPacket {
    /// Its place in the stream.
    pub sequence: u16,
    /// When the key began.
    pub timestamp: u32,
    /// Whether it is the first packet of the key.
    pub marker: bool,
    /// Which key: 0 to 9, 10 for `*`, 11 for `#`.
    pub code: u8,
    /// Whether the key is over.
    pub is_end: bool,
    /// How long it lasted until now, in units of the timestamp.
    pub duration: u16,
}

/// What was heard until now.
#[derive(Debug)]
pub struct Heard {
    /// Decoded, in the order of arrival.
    pub samples: Vec<i16>,
    /// Samples a second.
    pub sample_rate: u32,
    /// The synchronization sources, in the order of appearance.
    pub sources: Vec<u32>,
    /// RTP packets of our payload type.
    pub packets: u64,
    /// Packets of keys, in the order of arrival, where they are heard.
    pub keys: Vec<KeyPacket>,
    /// Times that the sequence number did not run on by one, while the source was the same.
    pub sequence_jumps: u64,
    /// Times that the timestamp fell behind the sequence number, or ran more than half a second ahead of it: a pause
    /// of the server shows as a small step ahead, as it must.
    pub timestamp_jumps: u64,
    /// When the first packet came.
    pub first: Option<Instant>,
}

impl Heard {
    /// The longest time, in milliseconds, in which this tone dominated.
    pub fn tone_milliseconds(&self, hertz: f64) -> u64 {
        audio::tone_milliseconds(&self.samples, self.sample_rate, hertz)
    }
}

/// A conversation under way; it ends when this is dropped.
#[derive(Debug)]
pub struct Talking {
    ended: Arc<AtomicBool>,
    threads: Option<(JoinHandle<()>, JoinHandle<Heard>)>,
}

impl Talking {
    /// Ends it: what was heard.
    pub fn stop(mut self) -> Heard {
        self.ended.store(true, Ordering::Relaxed);
        let (speaker, listener) = self.threads.take().expect("it is stopped once");
        speaker.join().expect("the speaker ends");
        listener.join().expect("the listener ends")
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

impl RtpPeer {
    /// A peer of PCMU at any even port of `ip`.
    pub fn bind(ip: IpAddr) -> Self {
        let even = |socket: &UdpSocket| socket.local_addr().is_ok_and(|address| address.port() % 2 == 0);
        let socket =
            (0..100).filter_map(|_| UdpSocket::bind((ip, 0)).ok()).find(even).expect("an even UDP port");
        socket.set_read_timeout(Some(PACKET)).expect("a limit");
        Self { socket: Arc::new(socket), codec: Codec::Pcmu, keys: None }
    }

    /// Hears keys of this payload type as well.
    pub fn with_keys(self, payload_type: u8) -> Self {
        Self { keys: Some(payload_type), ..self }
    }

    /// Speaks and hears this codec instead, one with a payload type of its own.
    pub fn with_codec(self, codec: Codec) -> Self {
        Self { codec, ..self }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("a bound socket has an address")
    }

    /// Sends a sine of `hertz` to `to`, and listens, until it is stopped.
    pub fn talk(&self, to: SocketAddr, hertz: f64) -> Talking {
        let ended = Arc::new(AtomicBool::new(false));
        let (socket, codec, over) = (self.socket.clone(), self.codec, ended.clone());
        let speaker = std::thread::spawn(move || speak(&socket, to, codec, hertz, &over));
        let listener = self.listener(ended.clone());
        Talking { ended, threads: Some((speaker, listener)) }
    }

    /// Only listens, until it is stopped.
    pub fn listen(&self) -> Talking {
        let ended = Arc::new(AtomicBool::new(false));
        let listener = self.listener(ended.clone());
        Talking { ended, threads: Some((std::thread::spawn(|| ()), listener)) }
    }

    fn listener(&self, ended: Arc<AtomicBool>) -> JoinHandle<Heard> {
        let (socket, codec, keys) = (self.socket.clone(), self.codec, self.keys);
        std::thread::spawn(move || listen(&socket, codec, keys, &ended))
    }
}

fn speak(socket: &UdpSocket, to: SocketAddr, codec: Codec, hertz: f64, ended: &AtomicBool) {
    let mut sine = Sine::new(hertz, 0.3, codec.sample_rate());
    let mut encoder = Encoder::new(codec);
    let mut samples = vec![0; (codec.sample_rate() / 50) as usize];
    let payload_type = codec.static_payload_type().expect("a static payload type");
    let source: u32 = rand::random();
    let mut sequence: u16 = rand::random();
    let mut timestamp: u32 = rand::random();
    let mut next = Instant::now();
    while !ended.load(Ordering::Relaxed) {
        sine.fill(&mut samples);
        let mut packet = vec![0x80, payload_type];
        packet.extend(sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(source.to_be_bytes());
        encoder.encode(&samples, &mut packet);
        // A relay port that is closed already answers with an ICMP error, which is no matter here.
        let _refused = socket.send_to(&packet, to);
        sequence = sequence.wrapping_add(1);
        timestamp = timestamp.wrapping_add(codec.clock_rate() / 50);
        next += PACKET;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn listen(socket: &UdpSocket, codec: Codec, keys: Option<u8>, ended: &AtomicBool) -> Heard {
    let mut decoder = Decoder::new(codec);
    let mut heard = Heard {
        samples: Vec::new(),
        sample_rate: codec.sample_rate(),
        sources: Vec::new(),
        packets: 0,
        keys: Vec::new(),
        sequence_jumps: 0,
        timestamp_jumps: 0,
        first: None,
    };
    let mut last: Option<(u32, u16, u32)> = None;
    let mut octets = [0; 2048];
    while !ended.load(Ordering::Relaxed) {
        let Ok(length) = socket.recv(&mut octets) else { continue };
        let packet = &octets[..length];
        if length <= HEADER || packet[0] != 0x80 {
            continue;
        }
        let payload_type = Some(packet[1] & 0x7f);
        let is_key = keys.is_some() && payload_type == keys && length == HEADER + 4;
        if !is_key && payload_type != codec.static_payload_type() {
            continue;
        }
        let word =
            |at: usize| u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
        let (source, sequence, timestamp) = (word(8), u16::from_be_bytes([packet[2], packet[3]]), word(4));
        if !heard.sources.contains(&source) {
            heard.sources.push(source);
        }
        // All packets of a key have the timestamp of its beginning.
        let goes_on = is_key && heard.keys.last().is_some_and(|key| key.timestamp == timestamp);
        let mut now = timestamp;
        if let Some((from, before, at)) = last
            && from == source
        {
            let step = sequence.wrapping_sub(before);
            heard.sequence_jumps += u64::from(step != 1);
            let expected = at.wrapping_add(u32::from(step).wrapping_mul(codec.clock_rate() / 50));
            if goes_on {
                now = expected;
            }
            heard.timestamp_jumps += u64::from(now.wrapping_sub(expected) > codec.clock_rate() / 2);
        }
        last = Some((source, sequence, now));
        if is_key {
            let [code, flags, high, low] = [0, 1, 2, 3].map(|at| packet[HEADER + at]);
            let (marker, is_end) = (packet[1] & 0x80 != 0, flags & 0x80 != 0);
            let duration = u16::from_be_bytes([high, low]);
            heard.keys.push(KeyPacket { sequence, timestamp, marker, code, is_end, duration });
            continue;
        }
        heard.packets += 1;
        heard.first.get_or_insert_with(Instant::now);
        decoder.decode(&packet[HEADER..], &mut heard.samples);
    }
    heard
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_peers_hear_each_other() {
        let here: IpAddr = [127, 0, 0, 1].into();
        let (left, right) = (RtpPeer::bind(here), RtpPeer::bind(here));
        let (hears_950, hears_600) = (left.talk(right.address(), 600.0), right.talk(left.address(), 950.0));
        std::thread::sleep(Duration::from_millis(700));
        let (left, right) = (hears_950.stop(), hears_600.stop());
        assert!(left.tone_milliseconds(950.0) >= 500 && left.tone_milliseconds(600.0) == 0);
        assert!(right.tone_milliseconds(600.0) >= 500 && right.tone_milliseconds(950.0) == 0);
        assert_eq!((left.sources.len(), left.sequence_jumps, left.timestamp_jumps), (1, 0, 0));
    }
}
