//! What sessions do with terminations: two, more, fewer, and one that moves.

mod sides;

use audio::{Codec, TonePlan};
use media_relay::{
    Command, Config, Description, Event, Output, Payload, Payloads, PlayId, Playback, Relay, RtpHeader,
    SessionId, Sound, Statistics, TerminationId, Topology,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

const CALL: SessionId = SessionId(1);
const OTHER_CALL: SessionId = SessionId(2);
const ALICE: TerminationId = TerminationId(1);
const BOB: TerminationId = TerminationId(2);
const CAROL: TerminationId = TerminationId(3);

/// Phones at terminations, each with an SSRC of its own.
struct Bench {
    relay: Relay,
    now: Instant,
    events: Vec<Event>,
    ports: Vec<(TerminationId, u16)>,
    bound: Vec<u16>,
    /// To which phone, and what.
    sent: Vec<(TerminationId, Vec<u8>)>,
    sequence: u16,
}

/// The phone at a termination, whatever its session.
fn phone(termination: TerminationId) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, termination.0 as u8], 4_000))
}

fn plain(termination: TerminationId) -> Description {
    sides::described(phone(termination), Codec::Pcmu, 0, Some(101))
}

impl Bench {
    /// A call with these phones, none of which hears another.
    fn with(terminations: &[TerminationId]) -> Self {
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
            events: Vec::new(),
            ports: Vec::new(),
            bound: Vec::new(),
            sent: Vec::new(),
            sequence: 100,
        };
        for termination in terminations {
            bench.add(CALL, *termination);
        }
        bench
    }

    fn add(&mut self, session: SessionId, termination: TerminationId) {
        self.command(Command::Add { session, termination, local: IpAddr::V4(Ipv4Addr::LOCALHOST) });
        self.describe(session, termination, plain(termination));
    }

    fn describe(&mut self, session: SessionId, termination: TerminationId, description: Description) {
        self.command(Command::Describe { session, termination, description });
    }

    fn link(&mut self, one: TerminationId, other: TerminationId, topology: Topology) {
        self.command(Command::Link { session: CALL, one, other, topology });
    }

    fn command(&mut self, command: Command) {
        self.relay.handle_command(command, self.now);
        self.perform();
    }

    fn perform(&mut self) {
        while let Some(output) = self.relay.poll_output() {
            match output {
                Output::Event(Event::Added { termination, rtp, .. }) => {
                    self.ports.push((termination, rtp.port()));
                }
                Output::Event(event) => self.events.push(event),
                // The relay's own report while a sound plays.
                Output::Send { to, .. } if to.port() % 2 == 1 => {}
                Output::Send { to, octets, .. } => {
                    let SocketAddr::V4(to) = to else { panic!("an IPv4 address") };
                    self.sent.push((TerminationId(to.ip().octets()[3].into()), octets.to_vec()));
                }
                Output::Bind { port, .. } => {
                    self.bound.push(port);
                    self.relay.handle_bound(port, Ok(()), self.now);
                }
                Output::Release { port } => self.bound.retain(|bound| *bound != port),
                Output::Transcode(mut transcoding) => {
                    transcoding.perform();
                    self.relay.handle_transcoded(transcoding, self.now);
                }
            }
        }
    }

    fn wait(&mut self, milliseconds: u64) {
        let end = self.now + Duration::from_millis(milliseconds);
        while let Some(due) = self.relay.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.relay.handle_timeout(self.now);
            self.perform();
        }
        self.now = end;
    }

    /// The phone at a termination sends a packet; who gets it, and what.
    fn says(
        &mut self,
        speaker: TerminationId,
        payload_type: u8,
        payload: &[u8],
    ) -> Option<(TerminationId, Vec<u8>)> {
        self.sequence += 1;
        let timestamp = u32::from(self.sequence) * 160;
        self.says_at(speaker, self.sequence, timestamp, payload_type, payload)
    }

    fn says_at(
        &mut self,
        speaker: TerminationId,
        sequence: u16,
        timestamp: u32,
        payload_type: u8,
        payload: &[u8],
    ) -> Option<(TerminationId, Vec<u8>)> {
        let mut packet = vec![0x80, payload_type];
        packet.extend(sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(u32::from(speaker.0).to_be_bytes());
        packet.extend(payload);
        let port = self.port_of(speaker);
        let before = self.sent.len();
        let forward = self.relay.handle_rtp(port, phone(speaker), &mut packet, self.now);
        self.perform();
        if let Some(forward) = forward {
            let SocketAddr::V4(to) = forward.to else { panic!("an IPv4 address") };
            return Some((TerminationId(to.ip().octets()[3].into()), packet));
        }
        self.sent.get(before).cloned()
    }

    fn port_of(&self, termination: TerminationId) -> u16 {
        self.ports.iter().rfind(|(id, _)| *id == termination).expect("it has a port").1
    }

    fn hears(&mut self, speaker: TerminationId) -> Option<TerminationId> {
        self.says(speaker, 0, &[0x55; 160]).map(|(hearer, _)| hearer)
    }

    /// Who hears Alice, Bob and Carol.
    fn hearers(&mut self) -> [Option<TerminationId>; 3] {
        [ALICE, BOB, CAROL].map(|speaker| self.hears(speaker))
    }

    fn play(&mut self, termination: TerminationId, play: u32, lasts: Option<Duration>) {
        let sound = Playback { sound: Sound::Ringback, gives_way: false, lasts };
        self.command(Command::Play { session: CALL, termination, play: PlayId(play), sound });
    }

    fn report(&mut self, session: SessionId) -> Vec<(TerminationId, Statistics)> {
        self.command(Command::Report { session });
        match self.events.pop() {
            Some(Event::Report { statistics, .. }) => statistics,
            other => panic!("no report: {other:?}"),
        }
    }

    fn digits(&self) -> Vec<u8> {
        let digits = self.events.iter().filter_map(|event| match event {
            Event::Digit { code, termination: ALICE, session: CALL } => Some(*code),
            Event::Added { .. }
            | Event::NotAdded { .. }
            | Event::FirstPacket { .. }
            | Event::Digit { .. }
            | Event::Played { .. }
            | Event::Silent { .. }
            | Event::Removed { .. }
            | Event::Moved { .. }
            | Event::Closed { .. }
            | Event::Broken { .. }
            | Event::Report { .. } => None,
        });
        digits.collect()
    }
}

fn header(packet: &[u8]) -> RtpHeader {
    RtpHeader::parse(packet).expect("RTP")
}

#[test]
fn nobody_hears_anybody_before_they_are_linked() {
    let mut bench = Bench::with(&[ALICE, BOB, CAROL]);
    assert_eq!(bench.hearers(), [None; 3]);
}

#[test]
fn links_are_one_way_both_ways_or_none() {
    let mut bench = Bench::with(&[ALICE, BOB, CAROL]);
    bench.link(ALICE, BOB, Topology::OneWay);
    assert_eq!(bench.hearers(), [Some(BOB), None, None]);
    bench.link(ALICE, BOB, Topology::BothWay);
    assert_eq!(bench.hearers(), [Some(BOB), Some(ALICE), None]);
    bench.link(BOB, ALICE, Topology::OneWay);
    assert_eq!(bench.hearers(), [None, Some(ALICE), None]);
    bench.link(ALICE, BOB, Topology::Isolate);
    assert_eq!(bench.hearers(), [None; 3]);
}

#[test]
fn each_hears_one_and_is_heard_by_one_and_a_new_link_takes_the_place_of_the_old() {
    let mut bench = Bench::with(&[ALICE, BOB, CAROL]);
    bench.link(ALICE, BOB, Topology::BothWay);
    bench.link(CAROL, ALICE, Topology::OneWay);
    assert_eq!(bench.hearers(), [Some(BOB), None, Some(ALICE)], "Alice hears Carol in the place of Bob");
    bench.link(ALICE, CAROL, Topology::BothWay);
    assert_eq!(bench.hearers(), [Some(CAROL), None, Some(ALICE)], "and Bob hears nobody");
    // Nobody is linked with itself, or with one that is not there.
    bench.link(ALICE, ALICE, Topology::BothWay);
    bench.link(ALICE, TerminationId(9), Topology::BothWay);
    assert_eq!(bench.hearers(), [Some(CAROL), None, Some(ALICE)]);
}

#[test]
fn one_that_is_taken_out_parts_from_the_others_and_its_name_is_free_for_nobody_else() {
    let mut bench = Bench::with(&[ALICE, BOB, CAROL]);
    bench.link(ALICE, BOB, Topology::BothWay);
    assert!(bench.hears(BOB).is_some());
    bench.command(Command::Remove { session: CALL, termination: BOB });
    let Some(Event::Removed { session: CALL, termination: BOB, statistics }) = bench.events.pop() else {
        panic!("it is told");
    };
    assert_eq!((statistics.packets_received, bench.bound.len()), (1, 2));
    assert_eq!([ALICE, CAROL].map(|speaker| bench.hears(speaker)), [None; 2]);
    bench.link(ALICE, CAROL, Topology::BothWay);
    assert_eq!(bench.hears(ALICE), Some(CAROL));
    assert_eq!(bench.report(CALL).iter().map(|(id, _)| *id).collect::<Vec<_>>(), [ALICE, CAROL]);
    for termination in [ALICE, CAROL] {
        bench.command(Command::Remove { session: CALL, termination });
    }
    assert_eq!((bench.relay.sessions(), bench.relay.poll_timeout()), (0, None));
}

#[test]
fn one_that_moves_takes_along_its_stream_its_figures_and_what_was_learnt() {
    let mut bench = Bench::with(&[ALICE, BOB]);
    let dave = TerminationId(4);
    bench.add(OTHER_CALL, dave);
    bench.link(ALICE, BOB, Topology::BothWay);
    let (_, before) = bench.says(ALICE, 0, &[0x55; 160]).expect("Bob hears Alice");
    // Bob is learnt from where he sends.
    assert!(bench.hears(BOB).is_some());
    let moved = TerminationId(7);
    bench.command(Command::Move { session: CALL, termination: BOB, to: OTHER_CALL, name: moved });
    assert_eq!(bench.events.last(), Some(&Event::Moved { session: OTHER_CALL, termination: moved }));
    assert_eq!([ALICE, BOB].map(|speaker| bench.hears(speaker)), [None; 2]);
    assert_eq!(bench.bound.len(), 3, "its ports stay");

    let (one, other, topology) = (dave, moved, Topology::BothWay);
    bench.command(Command::Link { session: OTHER_CALL, one, other, topology });
    bench.wait(20);
    let (hearer, after) = bench.says(dave, 0, &[0x55; 160]).expect("Bob hears Dave");
    let (before, after) = (header(&before), header(&after));
    assert_eq!((hearer, after.ssrc), (BOB, before.ssrc));
    assert_eq!(after.sequence, before.sequence.wrapping_add(1));
    assert!(after.marker && (after.timestamp.wrapping_sub(before.timestamp) as i32) > 0);
    let figures = bench.report(OTHER_CALL);
    let bob = figures.iter().find(|(id, _)| *id == moved).expect("it is there").1;
    assert_eq!((bob.packets_received, bob.packets_sent), (2, 2));
    // The session that it left goes on, and a name that is taken moves nobody.
    assert_eq!(bench.report(CALL).len(), 1);
    bench.command(Command::Move { session: CALL, termination: ALICE, to: OTHER_CALL, name: dave });
    assert_eq!((bench.report(CALL).len(), bench.report(OTHER_CALL).len()), (1, 2));
}

#[test]
fn the_last_to_move_out_ends_its_session_and_begins_the_other() {
    let mut bench = Bench::with(&[ALICE]);
    bench.play(ALICE, 1, None);
    bench.wait(100);
    bench.command(Command::Move { session: CALL, termination: ALICE, to: OTHER_CALL, name: ALICE });
    assert_eq!(bench.relay.sessions(), 1);
    let before = bench.sent.len();
    bench.wait(100);
    assert_eq!(bench.sent.len(), before + 5, "what it hears goes on");
    bench.command(Command::Close { session: OTHER_CALL });
    assert!(bench.bound.is_empty());
    bench.wait(60_000);
    assert_eq!(bench.relay.poll_timeout(), None);
}

#[test]
fn a_sound_that_ends_is_told_and_then_the_other_is_heard() {
    let mut bench = Bench::with(&[ALICE, BOB]);
    bench.link(ALICE, BOB, Topology::BothWay);
    bench.play(ALICE, 5, Some(Duration::from_millis(90)));
    bench.wait(60);
    assert_eq!(bench.hears(BOB), None, "the sound takes his place");
    bench.wait(60);
    assert_eq!(
        bench.events,
        [
            Event::FirstPacket { session: CALL, termination: BOB, at: bench.now - Duration::from_millis(60) },
            Event::Played { session: CALL, termination: ALICE, play: PlayId(5) },
        ]
    );
    assert_eq!(bench.sent.len(), 5, "90 ms are five packets");
    assert_eq!(bench.hears(BOB), Some(ALICE));
    // A name that is over stops nothing.
    bench.play(ALICE, 6, None);
    bench.command(Command::Stop { session: CALL, termination: ALICE, play: PlayId(5) });
    assert_eq!(bench.hears(BOB), None);
    bench.command(Command::Stop { session: CALL, termination: ALICE, play: PlayId(6) });
    assert_eq!(bench.hears(BOB), Some(ALICE));
}

/// RFC 3264 §6.1: what comes may be numbered otherwise than what goes, and may be of several codecs.
#[test]
fn each_direction_has_its_own_numbers_and_codecs() {
    let mut bench = Bench::with(&[ALICE, BOB]);
    bench.link(ALICE, BOB, Topology::BothWay);
    let audio = Payload::Audio;
    let event = Payload::TelephoneEvent { clock_rate: 8_000 };
    let comes: Payloads =
        [(0, audio(Codec::Pcmu)), (8, audio(Codec::Pcma)), (101, event)].into_iter().collect();
    let goes: Payloads =
        [(96, audio(Codec::Pcma)), (97, audio(Codec::Pcmu)), (99, event)].into_iter().collect();
    bench.describe(CALL, ALICE, Description { comes, ..plain(ALICE) });
    bench.describe(CALL, BOB, Description { goes, ..plain(BOB) });
    let leaves = |bench: &mut Bench, comes: u8| {
        let payload: &[u8] = if comes == 101 { &[1, 0, 0, 160] } else { &[0x55; 160] };
        let (hearer, packet) = bench.says(ALICE, comes, payload).expect("Bob understands it");
        assert_eq!(hearer, BOB);
        header(&packet).payload_type
    };
    assert_eq!(
        [0, 8, 101, 0].map(|comes| leaves(&mut bench, comes)),
        [96, 96, 99, 96],
        "what Bob likes best"
    );
    assert_eq!(bench.hears(BOB), Some(ALICE));
    assert_eq!([0, 8, 101, 0].map(|comes| leaves(&mut bench, comes)), [97, 97, 99, 97], "what Bob speaks");
    assert_eq!(bench.says(ALICE, 96, &[0x55; 160]), None, "what goes to Bob does not come from Alice");
    assert_eq!(bench.report(CALL)[0].1.packets_not_agreed, 1);
}

#[test]
fn a_digit_is_told_once_however_many_packets_it_has_and_however_long_it_lasts() {
    let mut bench = Bench::with(&[ALICE]);
    let mut sequence = 10;
    let mut keys = |bench: &mut Bench, timestamp: u32, code: u8, flags: u8, duration: u16| {
        sequence += 1;
        let [high, low] = duration.to_be_bytes();
        bench.says_at(ALICE, sequence, timestamp, 101, &[code, flags, high, low]);
    };
    for duration in [160, 320, 480] {
        keys(&mut bench, 1_000, 5, 10, duration);
    }
    for _ in 0..3 {
        keys(&mut bench, 1_000, 5, 0x8a, 640);
    }
    assert_eq!(bench.digits(), [5]);
    // The same key once more; then one that lasts for two segments.
    keys(&mut bench, 3_000, 5, 0x8a, 640);
    keys(&mut bench, 5_000, 11, 10, 160);
    keys(&mut bench, 5_000, 11, 10, u16::MAX);
    keys(&mut bench, 5_000 + u32::from(u16::MAX), 11, 10, 160);
    keys(&mut bench, 5_000 + u32::from(u16::MAX), 11, 0x8a, 800);
    // A flash of the hook is no digit.
    keys(&mut bench, 90_000, 16, 0x8a, 800);
    assert_eq!(bench.digits(), [5, 5, 11]);
    // A packet of a digit that is over comes last.
    bench.says_at(ALICE, 13, 3_000, 101, &[5, 10, 0, 160]);
    assert_eq!(bench.digits(), [5, 5, 11]);
}

/// RFC 3550 A.3: a number that is not used is a lost packet to the hearer.
#[test]
fn what_the_hearer_does_not_understand_leaves_no_hole() {
    let mut bench = Bench::with(&[ALICE, BOB]);
    bench.link(ALICE, BOB, Topology::BothWay);
    let mut numbers = Vec::new();
    for sequence in 100..160_u16 {
        let payload_type = if sequence % 3 == 0 { 13 } else { 0 };
        let timestamp = u32::from(sequence) * 160;
        if let Some((_, packet)) = bench.says_at(ALICE, sequence, timestamp, payload_type, &[0x55; 160]) {
            let header = header(&packet);
            numbers.push((header.sequence, header.marker));
        }
    }
    assert_eq!(numbers.len(), 40);
    assert!(numbers.is_sorted_by(|one, two| two.0 == one.0.wrapping_add(1)), "{numbers:?}");
    assert!(numbers[1..].iter().all(|(_, marker)| !marker));
    // One that comes late has the number that was left for it.
    let mut late = Vec::new();
    for sequence in [160, 163, 162, 161, 164] {
        let payload_type = if sequence == 162 { 13 } else { 0 };
        let timestamp = u32::from(sequence) * 160;
        let heard = bench.says_at(ALICE, sequence, timestamp, payload_type, &[0x55; 160]);
        late.extend(heard.map(|(_, packet)| header(&packet).sequence.wrapping_sub(numbers[39].0)));
    }
    assert_eq!(late, [1, 4, 2, 5]);
}

#[test]
fn a_doubled_packet_is_sent_once() {
    let mut bench = Bench::with(&[ALICE, BOB]);
    bench.link(ALICE, BOB, Topology::BothWay);
    let mut heard = 0;
    for sequence in [1, 2, 2, 3, 1, 5, 4, 4, 5, 3] {
        heard +=
            usize::from(bench.says_at(ALICE, sequence, u32::from(sequence) * 160, 0, &[0x55; 160]).is_some());
    }
    assert_eq!((heard, bench.report(CALL)[0].1.packets_received), (5, 5));
}

/// A sender report without blocks (RFC 3550 §6.4.1), from the phone of a termination.
fn report_of(termination: TerminationId) -> Vec<u8> {
    let mut report = vec![0x80, 200, 0, 6];
    report.extend(u32::from(termination.0).to_be_bytes());
    report.extend([0; 20]);
    report
}

#[test]
fn a_third_that_parts_from_one_of_two_leaves_these_together() {
    for part in ["isolate", "remove"] {
        let mut bench = Bench::with(&[ALICE, BOB, CAROL]);
        bench.link(ALICE, BOB, Topology::BothWay);
        assert_eq!([bench.hears(ALICE), bench.hears(BOB)], [Some(BOB), Some(ALICE)]);
        match part {
            "isolate" => bench.link(ALICE, CAROL, Topology::Isolate),
            _ => bench.command(Command::Remove { session: CALL, termination: CAROL }),
        }
        let port = bench.port_of(ALICE) + 1;
        let source = SocketAddr::from(([10, 0, 0, 1], 4_001));
        let forward = bench.relay.handle_rtcp(port, source, &mut report_of(ALICE), bench.now);
        assert!(forward.is_some(), "{part}: reports go on");
        bench.wait(31_000);
        let is_silent = |event: &Event| matches!(event, Event::Silent { .. });
        assert!(bench.events.iter().any(is_silent), "{part}: silence is noticed");
    }
}

/// The headers of what a phone was sent, in order.
fn headers(sent: &[(TerminationId, Vec<u8>)]) -> Vec<RtpHeader> {
    sent.iter().map(|(_, packet)| header(packet)).collect()
}

#[track_caller]
fn runs_on(headers: &[RtpHeader]) {
    for pair in headers.windows(2) {
        let (sequence, timestamp) = (
            pair[1].sequence.wrapping_sub(pair[0].sequence),
            pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32,
        );
        assert!(sequence == 1 && timestamp > 0, "{pair:?}");
    }
}

#[test]
fn one_sound_after_another_goes_on_in_time() {
    let mut bench = Bench::with(&[ALICE]);
    bench.play(ALICE, 1, None);
    bench.wait(1_000);
    bench.command(Command::Stop { session: CALL, termination: ALICE, play: PlayId(1) });
    bench.play(ALICE, 2, None);
    bench.wait(1_000);
    // With another codec its packets are of another length.
    let wide = sides::described(phone(ALICE), Codec::Opus, 111, None);
    bench.describe(CALL, ALICE, wide);
    bench.wait(1_000);
    bench.describe(CALL, ALICE, plain(ALICE));
    bench.wait(1_000);
    let headers = headers(&bench.sent);
    assert!(headers.len() > 150, "{}", headers.len());
    runs_on(&headers);
}

#[test]
fn who_is_heard_instead_while_a_sound_gives_way_goes_on_with_the_numbers() {
    let mut bench = Bench::with(&[ALICE, BOB, CAROL]);
    let sound = Playback { sound: Sound::Ringback, gives_way: true, lasts: None };
    bench.command(Command::Play { session: CALL, termination: ALICE, play: PlayId(1), sound });
    bench.wait(60);
    let mut heard = headers(&bench.sent);
    for (speaker, first) in [(BOB, 1_000), (CAROL, 200), (BOB, 1_005)] {
        bench.link(speaker, ALICE, Topology::OneWay);
        for sequence in first..first + 5_u16 {
            let timestamp = u32::from(sequence) * 160;
            let packet = bench.says_at(speaker, sequence, timestamp, 0, &[0x55; 160]);
            heard.push(header(&packet.expect("Alice hears it").1));
            bench.wait(20);
        }
    }
    runs_on(&heard);
}

#[test]
fn packets_that_wait_leave_after_a_move_as_well() {
    let mut bench = Bench::with(&[ALICE, BOB]);
    bench.describe(CALL, BOB, sides::described(phone(BOB), Codec::Pcma, 8, Some(101)));
    let dave = TerminationId(4);
    bench.add(OTHER_CALL, dave);
    bench.link(ALICE, BOB, Topology::OneWay);
    // 60 ms in one packet: three packets of 20 ms, of which two wait.
    bench.says_at(ALICE, 1, 160, 0, &[0x55; 480]);
    assert_eq!(bench.sent.len(), 1);
    let moved = TerminationId(7);
    bench.command(Command::Move { session: CALL, termination: BOB, to: OTHER_CALL, name: moved });
    bench.wait(100);
    let (one, other, topology) = (dave, moved, Topology::OneWay);
    bench.command(Command::Link { session: OTHER_CALL, one, other, topology });
    let before = bench.sent.len();
    bench.says_at(dave, 1, 160, 0, &[0x55; 480]);
    bench.wait(50);
    assert_eq!(bench.sent.len() - before, 3, "each in its time");
}

#[test]
fn a_packet_that_is_not_used_does_not_change_in_which_codec_a_phone_speaks() {
    let mut bench = Bench::with(&[ALICE, BOB]);
    bench.link(ALICE, BOB, Topology::BothWay);
    let both: Payloads =
        [(0, Payload::Audio(Codec::Pcmu)), (8, Payload::Audio(Codec::Pcma))].into_iter().collect();
    let knows_both = Description { comes: both.clone(), goes: both, ..plain(BOB) };
    bench.describe(CALL, BOB, knows_both);
    bench.says_at(BOB, 10, 1_600, 0, &[0x55; 160]);
    let leaves =
        |bench: &mut Bench| header(&bench.says(ALICE, 0, &[0x55; 160]).expect("heard").1).payload_type;
    assert_eq!(leaves(&mut bench), 0);
    // A copy of what has come, with another number of a payload.
    assert_eq!(bench.says_at(BOB, 10, 1_600, 8, &[0x55; 160]), None);
    assert_eq!(leaves(&mut bench), 0);
}
