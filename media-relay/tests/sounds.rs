//! The server's own sounds as a phone gets them: what is held hears, and keys that are sent.

mod sides;

use audio::{
    Codec, Decoder, Encoder, Sine, TelephoneEvent, TonePlan, chord_milliseconds, tone_milliseconds,
    tone_share,
};
use media_relay::{
    Command, Config, Description, Event, Keys, Output, Payload, PlayId, Playback, Relay, RtpHeader,
    SessionId, Sound, Topology,
};
use sides::Side;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

const SESSION: SessionId = SessionId(1);
const EVENT: u8 = 101;

/// A packet that the phone of the first side got.
#[derive(Debug, Clone)]
struct Heard {
    /// Milliseconds since the beginning.
    at: u64,
    header: RtpHeader,
    payload: Vec<u8>,
}

/// The phone of the first side hears the one of the second, and sounds.
struct Bench {
    relay: Relay,
    start: Instant,
    now: Instant,
    heard: Vec<Heard>,
    /// The names of what has been played, and when, in milliseconds since the beginning.
    played: Vec<(u32, u64)>,
    /// What the other phone says.
    codec: Codec,
    encoder: Encoder,
    sine: Sine,
    sequence: u16,
    timestamp: u32,
}

fn phone(side: Side) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1 + side.index() as u8], 4_000))
}

fn payload_type(codec: Codec) -> u8 {
    codec.static_payload_type().unwrap_or(111)
}

/// A phone that understands this codec, and telephone events of this clock rate.
fn understands(codec: Codec, event_rate: Option<u32>) -> Description {
    let audio = (payload_type(codec), Payload::Audio(codec));
    let event = event_rate.map(|clock_rate| (EVENT, Payload::TelephoneEvent { clock_rate }));
    let goes = [audio].into_iter().chain(event).collect();
    Description { goes, ..sides::described(phone(Side::One), codec, payload_type(codec), Some(EVENT)) }
}

impl Bench {
    /// The first phone is as described, the other one speaks this codec; each hears the other.
    fn new(description: Description, codec: Codec) -> Self {
        let config = Config {
            ports: 20_000..=20_099,
            ringback: TonePlan::ringback("eu").expect("eu"),
            silence_timeout: Duration::from_secs(3_600),
            port_rest: Duration::from_secs(10),
            sockets_max: usize::MAX,
            seed: [3; 32],
        };
        let start = Instant::now();
        let mut bench = Self {
            relay: Relay::new(config),
            start,
            now: start,
            heard: Vec::new(),
            played: Vec::new(),
            codec,
            encoder: Encoder::new(codec),
            sine: Sine::new(1_000.0, 0.3, codec.sample_rate()),
            sequence: 65_500,
            timestamp: u32::MAX - 5_000,
        };
        for command in sides::open(SESSION, [IpAddr::V4(Ipv4Addr::LOCALHOST); 2]) {
            bench.command(command);
        }
        bench.describe(description);
        let other = sides::described(phone(Side::Two), codec, payload_type(codec), Some(EVENT));
        bench.command(sides::describe(SESSION, Side::Two, other));
        bench.command(sides::link(SESSION, Topology::BothWay));
        bench
    }

    /// Both phones are the same.
    fn of(codec: Codec, event_rate: Option<u32>) -> Self {
        Self::new(understands(codec, event_rate), codec)
    }

    fn describe(&mut self, description: Description) {
        self.command(sides::describe(SESSION, Side::One, description));
    }

    fn play(&mut self, play: u32, sound: Sound) {
        self.play_as(play, Playback { sound, gives_way: false, lasts: None });
    }

    fn play_as(&mut self, play: u32, sound: Playback) {
        let (termination, play) = (Side::One.id(), PlayId(play));
        self.command(Command::Play { session: SESSION, termination, play, sound });
    }

    fn stop(&mut self, play: u32) {
        let (termination, play) = (Side::One.id(), PlayId(play));
        self.command(Command::Stop { session: SESSION, termination, play });
    }

    fn command(&mut self, command: Command) {
        self.relay.handle_command(command, self.now);
        self.perform();
    }

    fn elapsed(&self) -> u64 {
        u64::try_from((self.now - self.start).as_millis()).expect("a short time")
    }

    fn perform(&mut self) {
        let (mut bound, mut jobs) = (Vec::new(), Vec::new());
        let at = self.elapsed();
        while let Some(output) = self.relay.poll_output() {
            match output {
                Output::Bind { port, .. } => bound.push(port),
                Output::Send { to, octets, .. } if to == phone(Side::One) => {
                    let header = RtpHeader::parse(octets).expect("RTP");
                    self.heard.push(Heard { at, header, payload: octets[12..].to_vec() });
                }
                // Reports.
                Output::Send { .. } => {}
                Output::Transcode(mut job) => {
                    job.perform();
                    jobs.push(job);
                }
                Output::Event(Event::Played { play, .. }) => self.played.push((play.0, at)),
                Output::Event(Event::Broken { .. }) => panic!("the relay broke"),
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

    /// Lets time pass: what is due at its end has been done then.
    fn wait(&mut self, milliseconds: u64) {
        let end = self.now + Duration::from_millis(milliseconds);
        while let Some(due) = self.relay.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.relay.handle_timeout(self.now);
            self.perform();
        }
        self.now = end;
    }

    /// The phone of a side sends a packet.
    fn sends(&mut self, side: Side, number: u8, payload: &[u8]) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = vec![0x80, number];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend([0, 0, 0, 7]);
        packet.extend(payload);
        let port = [20_000, 20_002][side.index()];
        let forward = self.relay.handle_rtp(port, phone(side), &mut packet, self.now);
        if forward.is_some_and(|forward| forward.to == phone(Side::One)) {
            let header = RtpHeader::parse(&packet).expect("RTP");
            self.heard.push(Heard { at: self.elapsed(), header, payload: packet[12..].to_vec() });
        }
        self.perform();
    }

    /// The other phone says so many packets of a tone of 1,000 hertz.
    fn other_speaks(&mut self, packets: usize) {
        for _ in 0..packets {
            let mut samples = vec![0; self.codec.frame_samples()];
            self.sine.fill(&mut samples);
            let mut payload = Vec::new();
            self.encoder.encode(&samples, &mut payload);
            self.sends(Side::Two, payload_type(self.codec), &payload);
            self.timestamp = self.timestamp.wrapping_add(self.codec.timestamp_step());
            self.wait(20);
        }
    }

    /// What was heard as audio of this codec.
    fn audio(&self, codec: Codec) -> Vec<i16> {
        let (mut decoder, mut samples) = (Decoder::new(codec), Vec::new());
        for heard in self.heard.iter().filter(|heard| heard.header.payload_type == payload_type(codec)) {
            decoder.decode(&heard.payload, &mut samples);
        }
        samples
    }

    /// One SSRC, sequence numbers that rise by one, timestamps that never go back.
    #[track_caller]
    fn is_one_stream(&self) {
        for pair in self.heard.windows(2) {
            let (one, two) = (&pair[0].header, &pair[1].header);
            let ahead = two.timestamp.wrapping_sub(one.timestamp) as i32;
            assert_eq!((two.ssrc, two.sequence), (one.ssrc, one.sequence.wrapping_add(1)), "{pair:?}");
            assert!(ahead > 0 || (ahead == 0 && two.payload_type == EVENT), "{pair:?}");
        }
    }
}

#[test]
fn who_is_held_hears_two_beeps_every_four_seconds_and_packets_without_a_gap() {
    for codec in Codec::ALL {
        let mut bench = Bench::of(codec, Some(codec.clock_rate()));
        bench.play(1, Sound::Hold);
        bench.other_speaks(600);
        assert_eq!(
            bench.heard.len(),
            601,
            "{codec:?}: the other is not heard, and there is a packet each 20 ms"
        );
        assert!(bench.heard.is_sorted_by(|one, two| two.at == one.at + 20), "{codec:?}");
        assert!(bench.heard.iter().all(|heard| !heard.payload.is_empty()), "{codec:?}");
        bench.is_one_stream();
        let (audio, rate) = (bench.audio(codec), codec.sample_rate());
        for period in audio.chunks_exact(4 * rate as usize) {
            let (beeps, pause) = period.split_at(rate as usize * 320 / 1_000);
            let share = tone_share(beeps, rate, 800.0);
            // A decoder that begins with it has to adapt first.
            assert!(share > 0.6, "{codec:?}: {share}");
            let halves = beeps.split_at(beeps.len() / 2);
            for beep in [halves.0, halves.1] {
                let milliseconds = tone_milliseconds(beep, rate, 800.0);
                assert!((80..=120).contains(&milliseconds), "{codec:?}: {milliseconds} ms");
            }
            let loudest = pause.iter().map(|sample| sample.unsigned_abs()).max().expect("a pause");
            assert!(loudest < 50, "{codec:?}: {loudest}");
        }
    }
}

#[test]
fn a_sound_is_in_the_codec_that_the_phone_speaks() {
    let goes = [Codec::Opus, Codec::Pcma].map(|codec| (payload_type(codec), Payload::Audio(codec)));
    let both: media_relay::Payloads = goes.into_iter().collect();
    let description = Description { comes: both.clone(), goes: both, ..understands(Codec::Opus, None) };
    let mut bench = Bench::new(description, Codec::Pcma);
    bench.play(1, Sound::Hold);
    bench.wait(100);
    bench.stop(1);
    assert!(bench.heard.iter().all(|heard| heard.header.payload_type == 111), "the preferred one");
    bench.heard.clear();
    bench.sends(Side::One, 8, &[0x55; 160]);
    bench.play(2, Sound::Hold);
    bench.wait(200);
    assert_eq!(bench.heard.len(), 10);
    assert!(bench.heard.iter().all(|heard| heard.header.payload_type == 8));
    assert!(tone_milliseconds(&bench.audio(Codec::Pcma), 8_000, 800.0) >= 80);
}

/// Codecs, and clock rates of telephone events beside them.
const EVENTS: [(Codec, u32); 6] = [
    (Codec::Pcmu, 8_000),
    (Codec::Pcma, 48_000),
    (Codec::G722, 8_000),
    (Codec::G722, 16_000),
    (Codec::Opus, 48_000),
    (Codec::Opus, 8_000),
];

fn keys(text: &str) -> Sound {
    Sound::Keys(Keys::from_text(text).expect("keys"))
}

/// A packet: when it came, its payload type, whether it has the marker, its timestamp since `base`, and its payload if it
/// is of an event.
type Packet = (u64, u8, bool, u32, Option<[u8; 4]>);

impl Bench {
    /// What has been heard since the packet of this index, with the timestamps since its own.
    fn packets(&self, from: usize) -> Vec<Packet> {
        let first = &self.heard[from];
        let packets = self.heard[from..].iter().map(|Heard { at, header, payload }| {
            let event = (header.payload_type == EVENT).then(|| *payload.as_array().expect("four octets"));
            let timestamp = header.timestamp.wrapping_sub(first.header.timestamp);
            (at - first.at, header.payload_type, header.marker, timestamp, event)
        });
        packets.collect()
    }

    /// The codes of the events that began.
    fn events(&self) -> Vec<u8> {
        let mut events: Vec<(u32, u8)> = Vec::new();
        for heard in self.heard.iter().filter(|heard| heard.header.payload_type == EVENT) {
            let event = (heard.header.timestamp, heard.payload[0]);
            if events.last() != Some(&event) {
                events.push(event);
            }
        }
        events.into_iter().map(|(_, code)| code).collect()
    }

    /// The tones of keys that are in what was heard in this codec, in order, each with its length in milliseconds.
    fn tones(&self, codec: Codec) -> Vec<(char, u64)> {
        tones(&self.audio(codec), codec.sample_rate())
    }
}

/// Of each key the longest run in which its two frequencies dominate, and one key after the other where another begins or
/// silence is between.
fn tones(samples: &[i16], rate: u32) -> Vec<(char, u64)> {
    let plans = "0123456789*#ABCD".chars().map(|key| {
        let plan = TelephoneEvent::from_key(key).and_then(TonePlan::key).expect("a key");
        (key, plan.frequencies())
    });
    let plans: Vec<(char, Vec<f64>)> = plans.collect();
    let mut tones: Vec<(Option<char>, u64)> = Vec::new();
    for window in samples.chunks_exact(rate as usize / 50) {
        // Both frequencies have to be there, and neither alone.
        let is_key = |frequencies: &[f64]| {
            chord_milliseconds(window, rate, frequencies) == 20
                && frequencies.iter().all(|hertz| tone_share(window, rate, *hertz) > 0.2)
        };
        let found = plans.iter().filter(|(_, frequencies)| is_key(frequencies)).max_by(|one, two| {
            let [one, two] = [one, two].map(|(_, hertz)| audio::chord_share(window, rate, hertz));
            one.total_cmp(&two)
        });
        let key = found.map(|(key, _)| *key);
        match tones.last_mut() {
            Some((last, milliseconds)) if *last == key => *milliseconds += 20,
            Some(_) | None => tones.push((key, 20)),
        }
    }
    let mut keys: Vec<(char, u64)> = Vec::new();
    for (index, (key, milliseconds)) in tones.iter().enumerate() {
        let Some(key) = key else { continue };
        // What is distorted while a decoder gets used to another encoder is no pause.
        let is_same = index.checked_sub(2).is_some_and(|before| tones[before].0 == Some(*key));
        match keys.last_mut().filter(|_| is_same && tones[index - 1] == (None, 20)) {
            Some((_, known)) => *known += 20 + milliseconds,
            None => keys.push((*key, *milliseconds)),
        }
    }
    keys
}

/// RFC 4733 §2.5.1: one timestamp, the marker on the first packet, a duration that grows, the end three times.
#[test]
fn each_key_is_an_event_of_100_ms_whose_end_comes_three_times_and_silence_follows() {
    for (codec, rate) in EVENTS {
        let mut bench = Bench::of(codec, Some(rate));
        bench.other_speaks(10);
        bench.play(1, keys("1#"));
        bench.other_speaks(40);
        let step = codec.timestamp_step();
        let mut expected: Vec<Packet> = Vec::new();
        for (number, code) in [(0, 1), (1, 11)] {
            let (at, begin) = (number * 200, number as u32 * 10 * step);
            for (packet, end) in [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0x80), (5, 0x80), (5, 0x80)] {
                let [high, low] = u16::try_from(rate / 50 * packet).expect("a short time").to_be_bytes();
                let at = at + expected.len() as u64 % 10 * 20;
                let is_first = packet == 1;
                expected.push((at, EVENT, is_first, begin, Some([code, end | 10, high, low])));
            }
            for pause in 7..10 {
                let at = at + u64::from(pause) * 20;
                expected.push((at, payload_type(codec), false, begin + pause * step, None));
            }
        }
        // Then the other is heard again.
        expected.push((400, payload_type(codec), true, 20 * step, None));
        expected.push((420, payload_type(codec), false, 21 * step, None));
        assert_eq!(bench.packets(10)[..22], expected, "{codec:?} {rate}");
        assert_eq!((bench.heard.len(), &bench.played[..]), (50, &[(1, 600)][..]), "{codec:?} {rate}");
        let (before, first) = (&bench.heard[9], &bench.heard[10]);
        assert_eq!(first.header.timestamp.wrapping_sub(before.header.timestamp), step);
        bench.is_one_stream();
        // The silence is none of the other's tone.
        bench.heard.retain(|heard| (200..600).contains(&heard.at));
        assert_eq!(tone_milliseconds(&bench.audio(codec), codec.sample_rate(), 1_000.0), 0, "{codec:?}");
    }
}

#[test]
fn where_no_event_was_agreed_each_key_is_its_tone_in_the_codec_of_the_phone() {
    let text = "0123456789*#ABCD";
    for codec in Codec::ALL {
        let mut bench = Bench::of(codec, None);
        bench.other_speaks(10);
        bench.play(1, keys(text));
        bench.other_speaks(8 + 16 * 9 + 10);
        bench.is_one_stream();
        assert!(bench.heard.is_sorted_by(|one, two| two.at == one.at + 20), "{codec:?}");
        let step = codec.timestamp_step();
        let goes_on =
            |pair: &[Heard]| pair[1].header.timestamp.wrapping_sub(pair[0].header.timestamp) == step;
        assert!(bench.heard.windows(2).all(goes_on), "{codec:?}");
        let markers = bench.heard.iter().enumerate().filter(|(_, heard)| heard.header.marker);
        let markers: Vec<usize> = markers.map(|(index, _)| index).collect();
        assert_eq!(markers, [0, 10, 10 + 8 + 16 * 9], "{codec:?}: other, keys, other");
        assert_eq!(bench.played, [(1, 200 + 160 + 16 * 180)], "{codec:?}");
        let tones = bench.tones(codec);
        let heard: String = tones.iter().map(|(key, _)| *key).collect();
        assert_eq!(heard, text, "{codec:?}");
        for (key, milliseconds) in tones {
            assert!((80..=120).contains(&milliseconds), "{codec:?} {key}: {milliseconds} ms");
        }
        // Before and behind, and between the keys, is what belongs there.
        let (audio, rate) = (bench.audio(codec), codec.sample_rate() as usize);
        let from = |packet: usize| packet * codec.frame_samples();
        let other = from(10 + 8 + 16 * 9 + 1);
        assert!(tone_share(&audio[other..], rate as u32, 1_000.0) > 0.9, "{codec:?}");
        for key in 0..16 {
            // What a codec delays is over after one packet.
            let end = 10 + 8 + key * 9 + 9;
            let pause = &audio[from(end - 3)..from(end)];
            assert!(pause.iter().all(|sample| sample.unsigned_abs() < 200), "{codec:?} {key}");
        }
    }
}

#[test]
fn who_speaks_another_codec_is_heard_before_and_after_keys_in_one_stream() {
    for (codec, other) in [(Codec::Pcmu, Codec::Opus), (Codec::Opus, Codec::Pcma), (Codec::G722, Codec::Pcmu)]
    {
        for event_rate in [None, Some(codec.clock_rate())] {
            let mut bench = Bench::new(understands(codec, event_rate), other);
            bench.other_speaks(20);
            bench.play(1, keys("55"));
            bench.other_speaks(60);
            assert_eq!(bench.heard.len(), 80, "{codec:?} {event_rate:?}");
            bench.is_one_stream();
            let [first, last] = [bench.heard.first(), bench.heard.last()].map(|it| it.expect("heard").header);
            let passed = last.timestamp.wrapping_sub(first.timestamp);
            assert_eq!(
                passed,
                79 * codec.timestamp_step(),
                "{codec:?} {event_rate:?}: as the time that passed"
            );
            let audio = bench.audio(codec);
            let tail = &audio[audio.len() - 20 * codec.frame_samples()..];
            assert!(tone_share(tail, codec.sample_rate(), 1_000.0) > 0.9, "{codec:?} {event_rate:?}");
            let expected = if event_rate.is_some() { vec![5, 5] } else { vec![] };
            assert_eq!(bench.events(), expected);
        }
    }
}

#[test]
fn a_stop_lets_the_key_that_has_begun_end_and_no_other_begin() {
    for (codec, event_rate) in [(Codec::Pcmu, Some(8_000)), (Codec::Opus, Some(48_000)), (Codec::Pcmu, None)]
    {
        let lead_in = if event_rate.is_some() { 0 } else { 160 };
        for after in [10, 30, 90, 110, 130, 170] {
            let mut bench = Bench::of(codec, event_rate);
            bench.play(7, keys("123"));
            bench.wait(lead_in + after);
            bench.stop(7);
            bench.other_speaks(20);
            let which = format!("{codec:?} {event_rate:?} {after}");
            if event_rate.is_some() {
                let ends = bench
                    .heard
                    .iter()
                    .filter(|heard| heard.header.payload_type == EVENT && heard.payload[1] & 0x80 != 0);
                assert_eq!((bench.events(), ends.count()), (vec![1], 3), "{which}");
            } else {
                let [('1', 80..=120)] = bench.tones(codec)[..] else { panic!("{which}") };
            }
            assert!(bench.played.is_empty(), "{which}: nobody is told");
            let last = bench.heard.last().expect("the other").header;
            assert_eq!(last.payload_type, payload_type(codec), "{which}");
            assert!(tone_milliseconds(&bench.audio(codec), codec.sample_rate(), 1_000.0) >= 180, "{which}");
            bench.is_one_stream();
        }
    }
    // Before any of it has begun nothing of it is sent.
    let mut bench = Bench::of(Codec::Pcmu, Some(8_000));
    bench.play(1, keys("1"));
    bench.play(2, keys("2"));
    bench.play(3, keys("3"));
    bench.wait(10);
    bench.stop(2);
    bench.wait(2_000);
    assert_eq!((bench.events(), &bench.played[..]), (vec![1, 3], &[(1, 200), (3, 400)][..]));
    assert_eq!(bench.heard.len(), 20, "and it ends");
}

#[test]
fn keys_follow_behind_keys_and_each_playing_is_told_when_its_own_are_sent() {
    let mut bench = Bench::of(Codec::Pcmu, Some(8_000));
    bench.play(1, keys("12"));
    bench.wait(50);
    bench.play(2, keys("12"));
    bench.play(3, keys("3"));
    bench.wait(2_000);
    assert_eq!(bench.events(), [1, 2, 1, 2, 3], "the same again is keyed again");
    assert_eq!(bench.played, [(1, 400), (2, 800), (3, 1_000)]);
    assert!(bench.heard.is_sorted_by(|one, two| two.at == one.at + 20));
    bench.is_one_stream();
}

#[test]
fn no_more_than_64_keys_wait_and_what_is_beyond_is_dropped() {
    let mut bench = Bench::of(Codec::Pcmu, Some(8_000));
    bench.play(1, keys(&"1".repeat(60)));
    bench.wait(10);
    bench.play(2, keys("22222222"));
    bench.play(3, keys("3"));
    bench.play(4, keys("4"));
    assert_eq!(bench.played, [(3, 10), (4, 10)], "there is no room for any of theirs");
    bench.wait(20_000);
    let [ones, twos] = [1, 2].map(|code| bench.events().iter().filter(|it| **it == code).count());
    assert_eq!((ones, twos, bench.events().len()), (60, 4, 64));
    assert_eq!(bench.played[2..], [(1, 60 * 200), (2, 64 * 200)]);
    // Room becomes free key by key.
    bench.play(5, keys(&"5".repeat(64)));
    bench.wait(210);
    bench.play(6, keys("66"));
    bench.wait(20_000);
    assert_eq!((bench.events().len(), bench.events().last()), (64 + 65, Some(&6)));
}

#[test]
fn a_sound_goes_on_behind_keys() {
    for (sound, hertz) in [(Sound::Ringback, 425.0), (Sound::Hold, 800.0)] {
        for keys_first in [false, true] {
            let mut bench = Bench::of(Codec::Pcmu, Some(8_000));
            if !keys_first {
                bench.play(1, sound.clone());
                bench.wait(100);
            }
            bench.play(2, keys("9"));
            if keys_first {
                bench.play(1, sound.clone());
            }
            bench.other_speaks(500);
            let which = format!("{sound:?}, keys first: {keys_first}");
            assert_eq!((bench.events(), bench.played.len()), (vec![9], 1), "{which}");
            assert!(bench.heard.is_sorted_by(|one, two| two.at == one.at + 20), "{which}");
            assert!(bench.heard.len() >= 500, "{which}");
            bench.is_one_stream();
            assert!(tone_milliseconds(&bench.audio(Codec::Pcmu), 8_000, hertz) >= 80, "{which}");
            bench.stop(1);
            bench.heard.clear();
            bench.wait(1_000);
            assert!(bench.heard.is_empty(), "{which}");
        }
    }
    // Its time passes meanwhile, and its end is told when the keys are sent.
    let mut bench = Bench::of(Codec::Pcmu, Some(8_000));
    let lasts = Some(Duration::from_millis(100));
    bench.play_as(1, Playback { sound: Sound::Hold, gives_way: false, lasts });
    bench.play(2, keys("9"));
    bench.wait(1_000);
    assert_eq!((bench.heard.len(), &bench.played[..]), (10, &[(2, 200), (1, 200)][..]));
}

#[test]
fn a_ringback_that_gave_way_before_keys_does_not_return_behind_them_while_the_other_speaks() {
    let mut bench = Bench::of(Codec::Pcmu, Some(8_000));
    bench.play_as(1, Playback { sound: Sound::Ringback, gives_way: true, lasts: None });
    bench.other_speaks(50);
    bench.play(2, keys("12345678"));
    bench.other_speaks(150);
    assert_eq!(bench.events().len(), 8);
    let others = bench.heard.iter().filter(|heard| heard.at > 1_000 + 8 * 200);
    assert!(others.clone().count() > 60);
    assert_eq!(tone_milliseconds(&bench.audio(Codec::Pcmu), 8_000, 425.0), 0);
    bench.is_one_stream();
    bench.wait(3_000);
    assert!(tone_milliseconds(&bench.audio(Codec::Pcmu), 8_000, 425.0) >= 900, "it returns when he does not");
}

/// Whatever a phone understands from some moment on, keys go on in that: no key is sent twice or in two manners, and the
/// stream runs on.
#[test]
fn keys_go_on_in_whatever_the_phone_understands_now() {
    let kinds: Vec<(Codec, Option<u32>)> = Codec::ALL
        .into_iter()
        .flat_map(|codec| [None, Some(8_000), Some(48_000)].map(|rate| (codec, rate)))
        .collect();
    for (before, after) in kinds.iter().flat_map(|before| kinds.iter().map(move |after| (*before, *after))) {
        for change in [10, 50, 130, 190] {
            let mut bench = Bench::of(before.0, before.1);
            bench.play(1, keys("1234"));
            bench.wait(change);
            let (seen, told) = (bench.heard.len(), bench.events());
            bench.describe(understands(after.0, after.1));
            bench.wait(1_300);
            let which = format!("{before:?} to {after:?} after {change} ms");
            bench.is_one_stream();
            assert!(bench.heard.is_sorted_by(|one, two| two.at == one.at + 20), "{which}: no gap");
            let types =
                [payload_type(after.0), if after.1.is_some() { EVENT } else { payload_type(after.0) }];
            let later = &bench.heard[seen..];
            assert!(later.iter().all(|heard| types.contains(&heard.header.payload_type)), "{which}");
            assert_eq!(bench.played.len(), 1, "{which}");
            let events = bench.events();
            if before.1.is_some() && after.1.is_some() {
                assert_eq!(events, [1, 2, 3, 4], "{which}");
            } else if after.1.is_some() {
                assert!(
                    events == [2, 3, 4] || events == [3, 4] || events == [1, 2, 3, 4],
                    "{which}: {events:?}"
                );
            } else {
                assert_eq!(events, told, "{which}");
                bench.heard.drain(..seen);
                let tones: String = bench.tones(after.0).into_iter().map(|(key, _)| key).collect();
                let rest = "1234".strip_prefix(&"1234"[..told.len()]).expect("they began in order");
                let is_rest = before.1.is_some() && tones == rest;
                assert!(
                    is_rest || (before.1.is_none() && "1234".ends_with(&tones) && tones.len() >= 2),
                    "{which}: {tones}"
                );
            }
        }
    }
}

#[test]
fn keys_wait_for_a_description_and_not_for_one_who_is_held() {
    let mut bench = Bench::of(Codec::Pcmu, Some(8_000));
    bench.describe(Description { receives: false, ..understands(Codec::Pcmu, Some(8_000)) });
    bench.play(1, keys("123"));
    // The hold ends in the middle of the second key, which is not sent by half.
    bench.wait(250);
    assert!(bench.heard.is_empty());
    bench.describe(understands(Codec::Pcmu, Some(8_000)));
    bench.wait(1_000);
    assert_eq!((bench.events(), &bench.played[..]), (vec![3], &[(1, 600)][..]));
    bench.is_one_stream();
    // Nobody knows yet how to send to this one.
    let session = SessionId(2);
    let [one, _] = sides::open(session, [IpAddr::V4(Ipv4Addr::LOCALHOST); 2]);
    bench.command(one);
    let sound = Playback { sound: keys("45"), gives_way: true, lasts: Some(Duration::ZERO) };
    bench.command(Command::Play { session, termination: Side::One.id(), play: PlayId(2), sound });
    bench.wait(3_000);
    assert_eq!(bench.played.len(), 1);
    bench.heard.clear();
    let description = understands(Codec::Pcmu, Some(8_000));
    bench.command(sides::describe(session, Side::One, description));
    bench.wait(3_000);
    assert_eq!((bench.events(), bench.played.len()), (vec![4, 5], 2));
}

#[test]
fn keys_are_late_rather_than_lost_when_the_relay_wakes_up_late() {
    for event_rate in [Some(8_000), None] {
        let mut bench = Bench::of(Codec::Pcmu, event_rate);
        bench.play(1, keys("12"));
        for _ in 0..100 {
            bench.wait(90);
            bench.now += Duration::from_millis(170);
        }
        let which = format!("{event_rate:?}");
        if event_rate.is_some() {
            assert_eq!(bench.events(), [1, 2], "{which}");
        } else {
            let tones: String = bench.tones(Codec::Pcmu).into_iter().map(|(key, _)| key).collect();
            assert_eq!(tones, "12", "{which}");
        }
        assert_eq!(bench.played.len(), 1, "{which}");
        bench.is_one_stream();
    }
}

#[test]
fn a_duration_is_never_zero_and_never_runs_over() {
    for (rate, last) in [(0, 1), (1, 1), (50, 5), (655_349, 65_534), (655_360, 65_535), (u32::MAX, 65_535)] {
        let mut bench = Bench::of(Codec::Pcmu, Some(rate));
        bench.play(1, keys("1"));
        bench.wait(200);
        let duration =
            |heard: &Heard| TelephoneEvent::decode(&heard.payload).map_or(0, |event| event.duration);
        assert!(bench.heard[..7].iter().all(|heard| duration(heard) > 0), "{rate}");
        assert_eq!(duration(&bench.heard[6]), last, "{rate}");
    }
}

#[test]
fn what_waits_for_its_time_leaves_before_keys() {
    for sound in [None, Some(Sound::Ringback)] {
        let mut bench = Bench::new(understands(Codec::Pcma, Some(8_000)), Codec::Pcmu);
        if let Some(sound) = sound {
            bench.play_as(9, Playback { sound, gives_way: true, lasts: None });
        }
        // 80 ms in one packet: four packets of 20 ms, of which three wait.
        bench.sends(Side::Two, 0, &[0x55; 640]);
        assert_eq!(bench.heard.len(), 1);
        bench.play(1, keys("1"));
        bench.stop(9);
        bench.wait(1_000);
        assert_eq!((bench.events(), bench.heard.len()), (vec![1], 4 + 10));
        assert!(bench.heard[..4].iter().all(|heard| heard.header.payload_type == 8 && heard.at == 0));
        bench.is_one_stream();
    }
}

#[test]
fn keys_go_on_where_a_termination_moves_to() {
    let mut bench = Bench::of(Codec::Pcmu, Some(8_000));
    bench.play(1, keys("123"));
    bench.wait(250);
    let (to, termination) = (SessionId(5), Side::One.id());
    bench.command(Command::Move { session: SESSION, termination, to, name: termination });
    bench.wait(1_000);
    assert_eq!((bench.events(), &bench.played[..]), (vec![1, 2, 3], &[(1, 600)][..]));
    bench.is_one_stream();
    bench.command(Command::Play {
        session: to,
        termination,
        play: PlayId(2),
        sound: Playback { sound: keys("4"), gives_way: false, lasts: None },
    });
    bench.wait(50);
    bench.command(Command::Remove { session: to, termination });
    let sent = bench.heard.len();
    bench.wait(1_000);
    assert_eq!((bench.heard.len(), bench.played.len()), (sent, 1), "nobody is left to be told of");
}

#[test]
fn a_clock_that_ticks_unevenly_changes_no_timestamp_and_the_time_of_keys_that_are_not_sent_passes() {
    for event_rate in [Some(8_000), None] {
        let mut bench = Bench::of(Codec::Pcmu, event_rate);
        bench.play(1, keys("123"));
        let start = bench.now;
        for tick in 0..40_u32 {
            bench.now = start + Duration::from_millis(20) * tick + Duration::from_millis(7) * (tick * 5 % 3);
            bench.relay.handle_timeout(bench.now);
            bench.perform();
        }
        let base = bench.heard[0].header.timestamp;
        let ticks = bench.heard.iter().zip((0_u32..).map(|tick| tick * 160));
        let times = ticks.filter(|(heard, _)| heard.header.payload_type == 0 || heard.header.marker);
        for (heard, time) in times {
            assert_eq!(heard.header.timestamp.wrapping_sub(base), time, "{event_rate:?}");
        }
    }
    let mut bench = Bench::of(Codec::Pcmu, Some(8_000));
    bench.play(1, keys("123"));
    bench.wait(190);
    bench.describe(Description { receives: false, ..understands(Codec::Pcmu, Some(8_000)) });
    bench.wait(200);
    bench.describe(understands(Codec::Pcmu, Some(8_000)));
    bench.wait(1_000);
    let begins: Vec<u32> =
        bench.heard.iter().filter(|it| it.header.marker).map(|it| it.header.timestamp).collect();
    assert_eq!(bench.events(), [1, 3]);
    assert_eq!(begins[1].wrapping_sub(begins[0]), 400 * 8);
    bench.is_one_stream();
}
