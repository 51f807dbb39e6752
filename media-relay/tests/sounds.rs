//! The server's own sounds as a phone gets them: what is held hears, and keys that are sent.

mod sides;

use audio::{Codec, Decoder, Encoder, Sine, TonePlan, tone_milliseconds, tone_share};
use media_relay::{
    Command, Config, Description, Event, Output, Payload, PlayId, Playback, Relay, RtpHeader, SessionId,
    Sound, Topology,
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

    /// Lets time pass: what is due at its end has not been done then.
    fn wait(&mut self, milliseconds: u64) {
        let end = self.now + Duration::from_millis(milliseconds);
        while let Some(due) = self.relay.poll_timeout().filter(|due| *due < end) {
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
            600,
            "{codec:?}: the other is not heard, and there is a packet each 20 ms"
        );
        assert!(bench.heard.is_sorted_by(|one, two| two.at == one.at + 20), "{codec:?}");
        assert!(bench.heard.iter().all(|heard| !heard.payload.is_empty()), "{codec:?}");
        bench.is_one_stream();
        let (audio, rate) = (bench.audio(codec), codec.sample_rate());
        for period in audio.chunks(4 * rate as usize) {
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
