//! Two parties that speak different codecs.

mod hand_over;
mod sides;

use audio::{Codec, Decoder, Encoder, Sine, TelephoneEvent, TonePlan, tone_milliseconds, tone_share};
use media_relay::{Command, Config, Output, Relay, RtpHeader, SessionId, Transcoding};
use sides::Side;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

const SESSION: SessionId = SessionId(1);
const HERTZ: f64 = 1_000.0;
const EVENT: u8 = 101;

fn payload_type(codec: Codec) -> u8 {
    codec.static_payload_type().unwrap_or(111)
}

fn party(side: Side) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1 + side.index() as u8], 4_000))
}

/// One party sends, and what the other one gets is kept.
struct Bench {
    relay: Relay,
    now: Instant,
    source: Codec,
    target: Codec,
    sine: Sine,
    encoder: Encoder,
    sequence: u16,
    timestamp: u32,
    sent: Vec<(RtpHeader, Vec<u8>)>,
    /// What is transcoded is handed back when the test says so.
    is_slow: bool,
    away: Vec<Transcoding>,
}

impl Bench {
    fn between(source: Codec, target: Codec) -> Self {
        let config = Config {
            ports: 20_000..=20_099,
            ringback: TonePlan::ringback("eu").expect("eu"),
            silence_timeout: Duration::from_secs(30),
            port_rest: Duration::from_secs(10),
            sockets_max: usize::MAX,
            seed: [3; 32],
        };
        let mut bench = Self {
            relay: Relay::new(config),
            now: Instant::now(),
            source,
            target,
            sine: Sine::new(HERTZ, 0.3, source.sample_rate()),
            encoder: Encoder::new(source),
            sequence: 65_500,
            timestamp: u32::MAX - 5_000,
            sent: Vec::new(),
            is_slow: false,
            away: Vec::new(),
        };
        for command in sides::open(SESSION, [IpAddr::V4(Ipv4Addr::LOCALHOST); 2]) {
            bench.command(command);
        }
        for (side, codec) in Side::BOTH.into_iter().zip([source, target]) {
            bench.describe(side, codec, payload_type(codec));
        }
        for command in sides::connect(SESSION) {
            bench.command(command);
        }
        bench
    }

    fn describe(&mut self, side: Side, codec: Codec, payload_type: u8) {
        let description = sides::described(party(side), codec, payload_type, Some(EVENT));
        self.command(sides::describe(SESSION, side, description));
    }

    /// The first party speaks another codec from now on.
    fn change_source(&mut self, codec: Codec) {
        self.describe(Side::One, codec, payload_type(codec));
        self.source = codec;
        self.encoder = Encoder::new(codec);
        self.sine = Sine::new(HERTZ, 0.3, codec.sample_rate());
    }

    fn command(&mut self, command: Command) {
        self.relay.handle_command(command, self.now);
        self.perform();
    }

    fn perform(&mut self) {
        let (mut bound, mut jobs) = (Vec::new(), Vec::new());
        while let Some(output) = self.relay.poll_output() {
            match output {
                Output::Bind { port, .. } => bound.push(port),
                // The relay's own report while a tone plays.
                Output::Send { to, .. } if to.port() % 2 == 1 => {}
                Output::Send { to, octets, .. } => {
                    assert_eq!(to, party(Side::Two));
                    let header = RtpHeader::parse(octets).expect("RTP");
                    self.sent.push((header, octets[12..].to_vec()));
                }
                Output::Transcode(job) => {
                    let mut job = job;
                    job.perform();
                    if self.is_slow { self.away.push(*job) } else { jobs.push(job) }
                }
                Output::Event(_) | Output::Release { .. } => {}
            }
        }
        for job in jobs {
            self.relay.handle_transcoded(job, self.now);
            self.perform();
        }
        for port in bound {
            self.relay.handle_bound(port, Ok(()), self.now);
            self.perform();
        }
    }

    fn packet(&mut self, kind: u8, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = vec![0x80, kind];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(7_u32.to_be_bytes());
        packet.extend(payload);
        packet
    }

    fn hand_in(&mut self, mut packet: Vec<u8>) {
        let forward = self.relay.handle_rtp(20_000, party(Side::One), &mut packet, self.now);
        if forward.is_some() {
            let header = RtpHeader::parse(&packet).expect("RTP");
            self.sent.push((header, packet[12..].to_vec()));
        }
        self.perform();
    }

    /// Lets so many times 20 ms pass.
    fn pass(&mut self, frames: u32) {
        let end = self.now + Duration::from_millis(20) * frames;
        while let Some(due) = self.relay.poll_timeout().filter(|due| *due < end) {
            self.now = self.now.max(due);
            self.relay.handle_timeout(self.now);
            self.perform();
        }
        self.now = end;
    }

    /// The next 20 ms of the tone.
    fn frame(&mut self) -> Vec<u8> {
        let mut samples = vec![0; self.source.frame_samples()];
        self.sine.fill(&mut samples);
        let mut payload = Vec::new();
        self.encoder.encode(&samples, &mut payload);
        payload
    }

    fn next_packet(&mut self) -> Vec<u8> {
        let payload = self.frame();
        let packet = self.packet(payload_type(self.source), self.timestamp, &payload);
        self.now += Duration::from_millis(20);
        self.timestamp = self.timestamp.wrapping_add(self.source.timestamp_step());
        packet
    }

    fn talk(&mut self, packets: usize) {
        for _ in 0..packets {
            let packet = self.next_packet();
            self.hand_in(packet);
        }
    }

    /// A packet that holds so many times 20 ms.
    fn say_at_once(&mut self, frames: u32) {
        let payload: Vec<u8> = (0..frames).flat_map(|_| self.frame()).collect();
        let packet = self.packet(payload_type(self.source), self.timestamp, &payload);
        self.timestamp = self.timestamp.wrapping_add(self.source.timestamp_step() * frames);
        self.hand_in(packet);
    }

    /// Of all that was sent.
    fn payload_types(&self) -> Vec<u8> {
        self.sent.iter().map(|(header, _)| header.payload_type).collect()
    }

    fn heard(&self) -> Vec<i16> {
        let (mut decoder, mut samples) = (Decoder::new(self.target), Vec::new());
        for (header, payload) in &self.sent {
            if header.payload_type == payload_type(self.target) {
                decoder.decode(payload, &mut samples);
            }
        }
        samples
    }

    /// By how much sequence numbers and timestamps rise from packet to packet.
    fn steps(&self) -> Vec<(u16, u32)> {
        let step = |one: &RtpHeader, two: &RtpHeader| {
            (two.sequence.wrapping_sub(one.sequence), two.timestamp.wrapping_sub(one.timestamp))
        };
        self.sent.windows(2).map(|pair| step(&pair[0].0, &pair[1].0)).collect()
    }
}

fn pairs() -> impl Iterator<Item = (Codec, Codec)> {
    let all = Codec::ALL.into_iter().flat_map(|source| Codec::ALL.map(|target| (source, target)));
    all.filter(|(source, target)| source != target)
}

#[test]
fn a_tone_is_heard_through_every_pair_of_codecs_without_a_break() {
    for (source, target) in pairs() {
        let mut bench = Bench::between(source, target);
        bench.talk(100);
        assert_eq!(bench.sent.len(), 100, "{source:?} to {target:?}");
        let samples = bench.heard();
        assert_eq!(samples.len(), 100 * target.frame_samples());
        let share = tone_share(&samples[samples.len() / 10..], target.sample_rate(), HERTZ);
        assert!(share > 0.95, "{source:?} to {target:?}: {share}");
        let run = tone_milliseconds(&samples, target.sample_rate(), HERTZ);
        assert!(run >= 1_900, "{source:?} to {target:?}: {run} ms");
        assert!(bench.steps().iter().all(|step| *step == (1, target.timestamp_step())));
        let headers = bench.sent.iter().map(|(header, _)| header);
        assert!(headers.clone().all(|header| header.ssrc == bench.sent[0].0.ssrc));
        assert_eq!(headers.filter(|header| header.marker).count(), 1);
    }
}

#[test]
fn twenty_milliseconds_go_out_whatever_comes_in() {
    for (frames, target) in [(3, Codec::Opus), (2, Codec::Pcma), (5, Codec::G722)] {
        let mut bench = Bench::between(Codec::Pcmu, target);
        for _ in 0..20 {
            let before = bench.sent.len();
            bench.say_at_once(frames);
            assert_eq!(bench.sent.len(), before + 1, "the rest goes out in its own time");
            bench.pass(frames);
        }
        assert_eq!(bench.sent.len(), 20 * frames as usize);
        assert!(bench.steps().iter().all(|step| *step == (1, target.timestamp_step())));
        assert!(tone_share(&bench.heard()[4_000..], target.sample_rate(), HERTZ) > 0.95);
    }
    let mut bench = Bench::between(Codec::Pcmu, Codec::Opus);
    for _ in 0..20 {
        let payload = bench.frame();
        for half in payload.chunks(80) {
            let packet = bench.packet(0, bench.timestamp, half);
            bench.timestamp = bench.timestamp.wrapping_add(80);
            bench.hand_in(packet);
        }
    }
    assert_eq!(bench.sent.len(), 20);
    assert!(bench.steps().iter().all(|step| *step == (1, 960)));
}

#[test]
fn a_loss_stays_a_hole_of_the_same_length_and_nothing_drifts() {
    for (source, target) in pairs() {
        let mut bench = Bench::between(source, target);
        bench.talk(10);
        for round in 0..30 {
            for _ in 0..=round % 3 {
                bench.next_packet();
            }
            bench.talk(10);
        }
        let (first, last) = (bench.sent[0].0, bench.sent.last().expect("a packet").0);
        let packets = 10 + 30 * 10 + 60;
        assert_eq!(last.sequence.wrapping_sub(first.sequence), packets - 1, "{source:?} to {target:?}");
        let units = u32::from(packets - 1) * target.timestamp_step();
        assert_eq!(last.timestamp.wrapping_sub(first.timestamp), units);
        assert!(bench.steps().iter().all(|(packets, units)| {
            *units == u32::from(*packets) * target.timestamp_step() && (1..=4).contains(packets)
        }));
    }
}

#[test]
fn what_comes_too_late_or_twice_is_left_out() {
    let mut bench = Bench::between(Codec::Pcma, Codec::Opus);
    bench.talk(5);
    let (late, other) = (bench.next_packet(), bench.next_packet());
    for packet in [other.clone(), late, other] {
        bench.hand_in(packet);
    }
    bench.talk(5);
    assert_eq!(bench.sent.len(), 11);
    assert_eq!(bench.steps()[4], (2, 1_920));
}

#[test]
fn silence_of_the_sender_is_no_loss() {
    let mut bench = Bench::between(Codec::Opus, Codec::Pcmu);
    bench.talk(5);
    bench.timestamp = bench.timestamp.wrapping_add(48_000);
    bench.talk(5);
    assert_eq!(bench.steps()[4], (1, 8_160));
}

#[test]
fn digits_pass_with_their_times_in_the_other_clock_rate() {
    for (source, target, ratio) in [
        (Codec::Pcmu, Codec::Opus, 6.0),
        (Codec::Opus, Codec::Pcma, 1.0 / 6.0),
        (Codec::G722, Codec::Pcmu, 1.0),
    ] {
        let mut bench = Bench::between(source, target);
        bench.talk(10);
        let begin = bench.timestamp;
        let step = source.timestamp_step();
        for index in 1..=5_u16 {
            let duration = index * u16::try_from(step).expect("a small step");
            let event = TelephoneEvent { event: 7, end: index == 5, volume: 10, duration };
            let packet = bench.packet(EVENT, begin, &event.encode());
            bench.hand_in(packet);
            bench.timestamp = bench.timestamp.wrapping_add(step);
        }
        bench.talk(10);
        let events: Vec<_> = bench.sent.iter().filter(|(header, _)| header.payload_type == EVENT).collect();
        assert_eq!(events.len(), 5);
        let last = TelephoneEvent::decode(&events[4].1).expect("an event");
        let duration = (f64::from(step) * 5.0 * ratio) as u16;
        assert_eq!((last.event, last.end, last.duration), (7, true, duration));
        assert!(events.iter().all(|(header, _)| header.timestamp == events[0].0.timestamp));
        let step = target.timestamp_step();
        let steps = bench.steps();
        assert!(steps.iter().all(|(packets, _)| *packets == 1));
        assert_eq!((steps[9].1, steps[10].1, steps[14].1), (step, 0, 5 * step), "{source:?} to {target:?}");
    }
}

/// Packets of one digit that is keyed for so many times 20 ms, each longer by what the source's clock counts in 20 ms; the
/// last one comes three times (RFC 4733 §2.5.1.4). Beyond 65,535 it goes on in a segment of its own.
fn digit(bench: &mut Bench, code: u8, frames: u32) -> Vec<Vec<u8>> {
    let step = bench.source.clock_rate() / 50;
    let (first, mut begin) = (bench.timestamp, 0);
    let mut packets = Vec::new();
    for frame in 1..=frames {
        let is_last = frame == frames;
        while frame * step - begin > u32::from(u16::MAX) {
            packets.push(bench.packet(EVENT, first.wrapping_add(begin), &[code, 0x0a, 0xff, 0xff]));
            begin += u32::from(u16::MAX);
        }
        let duration = u16::try_from(frame * step - begin).expect("it fits");
        let [high, low] = duration.to_be_bytes();
        let flags = if is_last { 0x8a } else { 0x0a };
        let marker = if frame == 1 { 0x80 } else { 0 };
        for _ in 0..if is_last { 3 } else { 1 } {
            packets.push(bench.packet(EVENT | marker, first.wrapping_add(begin), &[code, flags, high, low]));
        }
    }
    bench.timestamp = first.wrapping_add(frames * step);
    packets
}

/// The digits that were heard, each with its length in milliseconds. Each is another one; its packets come one after the
/// other, begin where it began or where a segment of it ended (RFC 4733 §2.5.1.3), and one of them ends it.
fn digits_heard(bench: &Bench) -> Vec<(u8, u32)> {
    struct Heard {
        code: u8,
        start: u32,
        segment: u32,
        end: u32,
        is_over: bool,
    }
    let mut heard: Vec<Heard> = Vec::new();
    for (header, payload) in bench.sent.iter().filter(|(header, _)| header.payload_type == EVENT) {
        let [code, flags, high, low] = *payload.first_chunk().expect("an event");
        let length = u32::from(u16::from_be_bytes([high, low]));
        if heard.last().is_none_or(|last| last.code != code) {
            assert!(heard.iter().all(|known| known.code != code), "{code} comes back");
            let at = header.timestamp;
            heard.push(Heard { code, start: at, segment: at, end: at, is_over: false });
        }
        let last = heard.last_mut().expect("one is there");
        let begins = header.timestamp;
        assert!(begins == last.segment || begins == last.end, "it begins in the middle of a segment");
        last.segment = begins;
        let end = header.timestamp.wrapping_add(length);
        if end.wrapping_sub(last.start) > last.end.wrapping_sub(last.start) {
            last.end = end;
        }
        last.is_over |= flags & 0x80 != 0;
    }
    assert!(heard.iter().all(|digit| digit.is_over), "one does not end");
    let rate = bench.target.clock_rate() / 1_000;
    heard.iter().map(|digit| (digit.code, digit.end.wrapping_sub(digit.start) / rate)).collect()
}

#[test]
fn digits_keep_their_length_beyond_what_one_packet_can_say() {
    // 65,535 units are 8.2 s at 8,000 and 1.4 s at 48,000.
    for (source, target) in
        [(Codec::Pcmu, Codec::Opus), (Codec::Opus, Codec::Pcmu), (Codec::Opus, Codec::G722)]
    {
        for frames in [5, 60, 80, 450, 600] {
            let mut bench = Bench::between(source, target);
            bench.talk(5);
            for packet in digit(&mut bench, 7, frames) {
                bench.pass(1);
                bench.hand_in(packet);
            }
            bench.talk(5);
            bench.pass(20);
            let [(7, milliseconds)] = digits_heard(&bench)[..] else { panic!("{source:?} {target:?}") };
            // A segment of 65,535 units at 48,000 is no whole number of them at 8,000.
            assert!(milliseconds.abs_diff(frames * 20) <= 1, "{source:?} {target:?}: {milliseconds} ms");
        }
    }
}

#[test]
fn a_digit_ends_with_its_last_segment_alone() {
    let mut bench = Bench::between(Codec::Pcmu, Codec::Opus);
    bench.talk(1);
    let event = TelephoneEvent { event: 7, end: true, volume: 10, duration: 25_000 };
    let packet = bench.packet(EVENT, bench.timestamp, &event.encode());
    bench.hand_in(packet);
    let segments = [(false, 65_535), (false, 65_535), (true, 18_930)];
    let expected =
        segments.map(|(end, duration)| TelephoneEvent { end, duration, ..event }.encode().to_vec());
    let payloads: Vec<_> = bench.sent[1..].iter().map(|(_, payload)| payload.clone()).collect();
    assert_eq!(payloads, expected);
}

#[test]
fn digits_keep_their_order_when_packets_overtake_each_other() {
    for (source, target) in [(Codec::Pcmu, Codec::Opus), (Codec::Opus, Codec::Pcmu)] {
        for swapped in 0..12 {
            let mut bench = Bench::between(source, target);
            bench.talk(5);
            let mut packets = digit(&mut bench, 1, 5);
            packets.extend(digit(&mut bench, 2, 5));
            // One comes behind the next but one.
            let late = packets.remove(swapped);
            packets.insert((swapped + 2).min(packets.len()), late);
            for packet in packets {
                bench.pass(1);
                bench.hand_in(packet);
            }
            bench.talk(5);
            bench.pass(20);
            let codes: Vec<u8> = digits_heard(&bench).iter().map(|(code, _)| *code).collect();
            assert_eq!(codes, [1, 2], "{source:?} {target:?} {swapped}");
            let sequences: Vec<u16> = bench.sent.iter().map(|(header, _)| header.sequence).collect();
            let mut unique = sequences.clone();
            unique.dedup();
            assert_eq!(unique.len(), sequences.len(), "no number is used twice");
        }
    }
}

#[test]
fn a_party_that_takes_another_codec_is_heard_on_in_the_same_stream() {
    let mut bench = Bench::between(Codec::Opus, Codec::Pcmu);
    bench.talk(20);
    let ssrc = bench.sent[0].0.ssrc;
    bench.change_source(Codec::G722);
    bench.talk(20);
    assert_eq!(bench.sent.len(), 40);
    assert!(bench.sent.iter().all(|(header, _)| header.ssrc == ssrc));
    assert!(bench.steps().iter().all(|(packets, units)| *packets == 1 && (1..=480).contains(units)));
    assert!(tone_share(&bench.heard()[21 * 160..], 8_000, HERTZ) > 0.95);
}

#[test]
fn what_waits_for_its_time_leaves_before_a_digit() {
    let mut bench = Bench::between(Codec::Pcmu, Codec::Pcma);
    bench.say_at_once(3);
    let event = TelephoneEvent { event: 7, end: false, volume: 10, duration: 160 };
    let packet = bench.packet(EVENT, bench.timestamp, &event.encode());
    bench.hand_in(packet);
    assert_eq!(bench.payload_types(), [8, 8, 8, EVENT]);
    bench.pass(5);
    bench.timestamp = bench.timestamp.wrapping_add(800);
    bench.say_at_once(2);
    bench.pass(2);
    assert_eq!(bench.payload_types(), [8, 8, 8, EVENT, 8, 8]);
    assert!(bench.steps().iter().all(|step| step.0 == 1), "{:?}", bench.steps());
}

#[test]
fn what_waits_for_its_time_leaves_before_what_needs_no_transcoding_any_more() {
    let mut bench = Bench::between(Codec::Pcmu, Codec::Pcma);
    bench.say_at_once(4);
    bench.change_source(Codec::Pcma);
    assert_eq!(bench.sent.len(), 1);
    bench.talk(1);
    assert_eq!(bench.sent.len(), 5);
    bench.talk(5);
    bench.pass(5);
    assert_eq!(bench.sent.len(), 10);
    assert!(bench.steps().iter().all(|step| step.0 == 1), "{:?}", bench.steps());
}

#[test]
fn what_waits_for_its_time_leaves_before_a_tone() {
    let mut bench = Bench::between(Codec::Pcmu, Codec::Pcma);
    bench.say_at_once(4);
    bench.command(sides::play_over(SESSION, Side::Two));
    assert_eq!(bench.sent.len(), 4);
    bench.pass(5);
    assert_eq!(bench.sent.len(), 9);
    assert!(bench.steps().iter().all(|step| step.0 == 1), "{:?}", bench.steps());
}

#[test]
fn what_waits_for_its_time_is_dropped_when_the_hearer_takes_another_codec_or_payload_type() {
    let others = [(Codec::G722, 9), (Codec::Pcmu, 0), (Codec::Opus, 96)];
    for (codec, payload_type) in others {
        let mut bench = Bench::between(Codec::Pcmu, Codec::Opus);
        bench.say_at_once(4);
        bench.describe(Side::Two, codec, payload_type);
        bench.pass(4);
        assert_eq!(bench.payload_types(), [111], "{codec:?} {payload_type}");
        for _ in 0..3 {
            bench.say_at_once(1);
            bench.pass(1);
        }
        assert_eq!(bench.payload_types()[1..], [payload_type; 3], "{codec:?} {payload_type}");
    }
    let mut bench = Bench::between(Codec::Pcmu, Codec::Opus);
    bench.say_at_once(4);
    bench.describe(Side::Two, Codec::Opus, 111);
    bench.pass(4);
    assert_eq!(bench.sent.len(), 4, "what is said again changes nothing");
}

#[test]
fn payloads_without_sense_do_no_harm() {
    for (source, target) in pairs() {
        let mut bench = Bench::between(source, target);
        for length in [0, 1, 2, 3, 79, 81, 500, 1_599, 1_601, 20_000] {
            let payload: Vec<u8> = (0..length).map(|octet| (octet * 31 % 251) as u8).collect();
            let packet = bench.packet(payload_type(source), bench.timestamp, &payload);
            bench.hand_in(packet);
        }
        assert!(bench.sent.len() <= 60, "{source:?} to {target:?}: {}", bench.sent.len());
    }
}
