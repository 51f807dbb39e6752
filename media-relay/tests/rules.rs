//! The rules of the relay, without sockets and clock.

mod sides;

use audio::{Codec, TonePlan};
use bytes::Bytes;
use media_relay::{
    BindError, Command, Config, Description, Event, Forward, OpenError, Output, Relay, RtpHeader, SessionId,
    Statistics,
};
use proptest::prelude::*;
use rtcp::receiver_report::ReceiverReport;
use rtcp::reception_report::ReceptionReport;
use rtcp::sender_report::SenderReport;
use sides::Side;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const SESSION: SessionId = SessionId(9);
const ALICE: &str = "10.0.0.1:4000";
const BOB: &str = "10.0.0.2:6000";
const STRANGER: &str = "203.0.113.66:4000";
const REST: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);

/// A relay, its time, and what came out of it.
struct Bench {
    relay: Relay,
    now: Instant,
    events: Vec<Event>,
    /// Port, destination, packet.
    sent: Vec<(u16, SocketAddr, Vec<u8>)>,
    bound: Vec<u16>,
    /// Ports that somebody else has.
    taken: HashSet<u16>,
    /// What the system says to every port.
    refusal: Option<BindError>,
    /// Ports that were asked for.
    tries: usize,
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn described(rtp: &str, payload_type: u8, telephone_event: u8) -> Description {
    sides::described(address(rtp), Codec::Pcmu, payload_type, Some(telephone_event))
}

impl Bench {
    fn with_ports(ports: RangeInclusive<u16>) -> Self {
        Self::with(ports, usize::MAX)
    }

    fn with(ports: RangeInclusive<u16>, sockets_max: usize) -> Self {
        let config = Config {
            ports,
            ringback: TonePlan::ringback("eu").expect("eu"),
            silence_timeout: TIMEOUT,
            port_rest: REST,
            sockets_max,
            seed: [3; 32],
        };
        Self {
            relay: Relay::new(config),
            now: Instant::now(),
            events: Vec::new(),
            sent: Vec::new(),
            bound: Vec::new(),
            taken: HashSet::new(),
            refusal: None,
            tries: 0,
        }
    }

    /// Open on ports 20000 and 20002, not described.
    fn open() -> Self {
        let mut bench = Self::with_ports(20_000..=20_099);
        bench.open_session(SESSION);
        bench
    }

    /// Described for Alice and Bob, connected.
    fn connected() -> Self {
        let mut bench = Self::open();
        bench.describe(Side::One, described(ALICE, 0, 101));
        bench.describe(Side::Two, described(BOB, 0, 96));
        bench.connect();
        bench
    }

    fn open_session(&mut self, session: SessionId) {
        for command in sides::open(session, [IpAddr::V4(Ipv4Addr::LOCALHOST); 2]) {
            self.command(command);
        }
    }

    fn connect(&mut self) {
        for command in sides::connect(SESSION) {
            self.command(command);
        }
    }

    fn command(&mut self, command: Command) {
        self.relay.handle_command(command, self.now);
        self.perform();
    }

    fn describe(&mut self, side: Side, description: Description) {
        self.command(sides::describe(SESSION, side, description));
    }

    fn play(&mut self, side: Side) {
        self.command(sides::play_over(SESSION, side));
    }

    fn perform(&mut self) {
        while let Some(output) = self.relay.poll_output() {
            match output {
                Output::Event(event) => self.events.push(event),
                Output::Send { port, to, octets } => self.sent.push((port, to, octets.to_vec())),
                Output::Transcode(_) => panic!("all speak one codec"),
                Output::Release { port } => self.bound.retain(|bound| *bound != port),
                Output::Bind { port, .. } => {
                    self.tries += 1;
                    let result = if let Some(refusal) = self.refusal {
                        Err(refusal)
                    } else if self.taken.contains(&port) {
                        Err(BindError::PortTaken)
                    } else {
                        self.bound.push(port);
                        Ok(())
                    };
                    self.relay.handle_bound(port, result, self.now);
                }
            }
        }
    }

    /// Lets time pass, timers included.
    fn wait(&mut self, milliseconds: u64) {
        let end = self.now + Duration::from_millis(milliseconds);
        while let Some(due) = self.relay.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.relay.handle_timeout(self.now);
            self.perform();
        }
        self.now = end;
    }

    fn port(side: Side) -> u16 {
        [20_000, 20_002][side.index()]
    }

    /// Hands in a packet and gives back what is sent on.
    fn hear(&mut self, side: Side, source: &str, packet: &[u8]) -> Option<(Forward, Vec<u8>)> {
        let mut packet = packet.to_vec();
        let forward = self.relay.handle_rtp(Self::port(side), address(source), &mut packet, self.now);
        self.perform();
        forward.map(|forward| (forward, packet))
    }

    fn hear_rtcp(&mut self, side: Side, source: &str, packet: &[u8]) -> Option<(Forward, Vec<u8>)> {
        let mut packet = packet.to_vec();
        let port = Self::port(side) + 1;
        let forward = self.relay.handle_rtcp(port, address(source), &mut packet, self.now)?;
        Some((forward, packet))
    }

    fn statistics(&mut self) -> [Statistics; 2] {
        self.command(Command::Report { session: SESSION });
        sides::both(self.events.pop())
    }

    /// What was sent of the relay's own from the first RTP port.
    fn tones(&self) -> Vec<RtpHeader> {
        self.sent.iter().filter(|(port, ..)| *port == 20_000).map(|(.., packet)| header(packet)).collect()
    }

    fn silent(&self) -> Vec<Side> {
        let silent = self.events.iter().filter_map(|event| match event {
            Event::Silent { termination, .. } => Some(Side::of(*termination)),
            Event::Added { .. }
            | Event::NotAdded { .. }
            | Event::Removed { .. }
            | Event::Moved { .. }
            | Event::Digit { .. }
            | Event::Played { .. }
            | Event::FirstPacket { .. }
            | Event::Broken { .. }
            | Event::Closed { .. }
            | Event::Report { .. } => None,
        });
        silent.collect()
    }
}

fn rtp(payload_type: u8, ssrc: u32, sequence: u16, timestamp: u32) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x55; 160]);
    packet
}

fn voice(sequence: u16) -> Vec<u8> {
    rtp(0, 1, sequence, u32::from(sequence) * 160)
}

fn header(packet: &[u8]) -> RtpHeader {
    RtpHeader::parse(packet).expect("RTP")
}

fn destination(forwarded: Option<(Forward, Vec<u8>)>) -> Option<String> {
    forwarded.map(|(forward, _)| forward.to.to_string())
}

mod addresses {
    use super::*;

    #[test]
    fn media_goes_to_the_announced_addresses() {
        let mut bench = Bench::connected();
        let (forward, _) = bench.hear(Side::One, ALICE, &voice(1)).expect("forwarded");
        assert_eq!(forward, Forward { port: 20_002, to: address(BOB) });
        let (forward, _) = bench.hear(Side::Two, BOB, &voice(1)).expect("forwarded");
        assert_eq!(forward, Forward { port: 20_000, to: address(ALICE) });
    }

    #[test]
    fn a_stranger_who_comes_first_gets_nothing() {
        let mut bench = Bench::connected();
        for sequence in 0..50 {
            assert_eq!(bench.hear(Side::One, STRANGER, &voice(sequence)), None);
        }
        assert_eq!(destination(bench.hear(Side::Two, BOB, &voice(1))).as_deref(), Some(ALICE));
        assert_eq!(bench.statistics()[0].packets_from_strangers, 50);
        assert_eq!(bench.statistics()[0].packets_received, 0);
    }

    #[test]
    fn a_stranger_who_comes_later_gets_nothing() {
        let mut bench = Bench::connected();
        bench.hear(Side::One, ALICE, &voice(1));
        bench.wait(5_000);
        for sequence in 2..50 {
            assert_eq!(bench.hear(Side::One, STRANGER, &voice(sequence)), None);
        }
        assert_eq!(destination(bench.hear(Side::Two, BOB, &voice(1))).as_deref(), Some(ALICE));
    }

    #[test]
    fn another_port_of_the_party_gets_nothing_while_the_party_speaks() {
        let mut bench = Bench::connected();
        for sequence in 0..50 {
            bench.hear(Side::One, ALICE, &voice(sequence));
            assert_eq!(bench.hear(Side::One, "10.0.0.1:4002", &voice(sequence)), None);
            bench.wait(20);
        }
        assert_eq!(destination(bench.hear(Side::Two, BOB, &voice(1))).as_deref(), Some(ALICE));
    }

    #[test]
    fn a_phone_behind_nat_is_learnt_from_where_its_signalling_comes() {
        let mut bench = Bench::connected();
        let behind_nat = Description {
            signalling: address("198.51.100.4:5060").ip(),
            ..described("192.168.1.5:4000", 0, 101)
        };
        bench.describe(Side::One, behind_nat);
        assert_eq!(destination(bench.hear(Side::Two, BOB, &voice(1))).as_deref(), Some("192.168.1.5:4000"));
        assert_eq!(bench.hear(Side::One, "198.51.100.4:33000", &voice(1)), None);
        assert_eq!(bench.hear(Side::One, "198.51.100.4:33000", &voice(2)), None);
        assert_eq!(destination(bench.hear(Side::Two, BOB, &voice(2))).as_deref(), Some("192.168.1.5:4000"));
        assert!(bench.hear(Side::One, "198.51.100.4:33000", &voice(3)).is_some());
        assert_eq!(destination(bench.hear(Side::Two, BOB, &voice(3))).as_deref(), Some("198.51.100.4:33000"));
    }

    #[test]
    fn a_description_of_the_same_address_does_not_interrupt() {
        let mut bench = Bench::connected();
        bench.hear(Side::One, ALICE, &voice(1));
        let (_, before) = bench.hear(Side::Two, BOB, &voice(1)).expect("forwarded");
        bench.describe(Side::One, described(ALICE, 0, 101));
        bench.wait(20);
        let (_, after) = bench.hear(Side::Two, BOB, &voice(2)).expect("forwarded");
        assert_eq!(header(&after).timestamp.wrapping_sub(header(&before).timestamp), 160);
        assert!(!header(&after).marker);
    }

    #[test]
    fn a_description_of_another_address_moves_the_media_at_once() {
        let mut bench = Bench::connected();
        bench.hear(Side::One, ALICE, &voice(1));
        bench.describe(Side::One, described("10.0.0.77:4100", 0, 101));
        assert_eq!(destination(bench.hear(Side::Two, BOB, &voice(1))).as_deref(), Some("10.0.0.77:4100"));
        assert_eq!(bench.hear(Side::One, ALICE, &voice(2)), None);
    }

    #[test]
    fn the_relays_own_ports_are_strangers() {
        let mut bench = Bench::open();
        bench.describe(Side::One, described("127.0.0.1:20002", 0, 101));
        bench.describe(Side::Two, described("127.0.0.1:20000", 0, 101));
        bench.connect();
        assert_eq!(bench.hear(Side::One, "127.0.0.1:20002", &voice(1)), None);
        assert_eq!(bench.statistics()[0].packets_from_strangers, 1);
    }

    #[test]
    fn nothing_goes_to_a_party_on_hold_or_one_without_address() {
        for held in [
            Description { receives: false, ..described(ALICE, 0, 101) },
            described("0.0.0.0:4000", 0, 101),
            described("10.0.0.1:0", 0, 101),
        ] {
            let mut bench = Bench::connected();
            bench.hear(Side::One, ALICE, &voice(1));
            bench.describe(Side::One, held);
            assert_eq!(bench.hear(Side::Two, BOB, &voice(1)), None);
        }
    }

    proptest! {
        /// A model that says only this: a destination other than the announced one must have sent three packets
        /// from the IP that may be learnt.
        #[test]
        fn media_never_goes_where_the_rules_do_not_allow(
            steps in prop::collection::vec((0..6_usize, 0..3_u32, 1..4_u16, prop::sample::select(vec![0_u64, 20, 4_000])), 1..120),
        ) {
            let sources = [ALICE, "10.0.0.1:4999", "198.51.100.4:33000", "198.51.100.4:33001", STRANGER, "203.0.113.66:9"];
            let mut bench = Bench::connected();
            bench.describe(Side::One, Description { signalling: address("198.51.100.4:1").ip(), ..described(ALICE, 0, 101) });
            let mut heard = [0; 6];
            let (mut sequence, mut bobs) = (0_u16, 0_u16);
            for (source, ssrc, step, milliseconds) in steps {
                bench.wait(milliseconds);
                sequence = sequence.wrapping_add(step);
                bench.hear(Side::One, sources[source], &rtp(0, ssrc, sequence, 0));
                heard[source] += 1;
                bobs += 1;
                let to = destination(bench.hear(Side::Two, BOB, &voice(bobs))).expect("forwarded");
                let place = sources.iter().position(|source| **source == to).expect("one of those who sent");
                prop_assert!(place < 4, "a stranger is sent to");
                prop_assert!(place == 0 || heard[place] >= 3, "learnt from {} packets", heard[place]);
                prop_assert!(place != 1 || heard[0] > 0, "another port of an IP that was never certain");
            }
        }
    }
}

mod streams {
    use super::*;

    #[test]
    fn payload_types_are_those_of_the_receiver() {
        let mut bench = Bench::connected();
        bench.describe(Side::Two, described(BOB, 100, 96));
        let (_, packet) = bench.hear(Side::One, ALICE, &voice(1)).expect("forwarded");
        assert_eq!(header(&packet).payload_type, 100);
        let (_, packet) = bench.hear(Side::One, ALICE, &rtp(101, 1, 2, 320)).expect("forwarded");
        assert_eq!(header(&packet).payload_type, 96);
        assert_eq!(bench.hear(Side::One, ALICE, &rtp(13, 1, 3, 480)), None);
        assert_eq!(bench.statistics()[0].packets_not_agreed, 1);
    }

    #[test]
    fn what_the_receiver_did_not_agree_to_is_not_forwarded() {
        let mut bench = Bench::connected();
        bench.describe(Side::Two, sides::described(address(BOB), Codec::Pcmu, 0, None));
        assert_eq!(bench.hear(Side::One, ALICE, &rtp(101, 1, 1, 0)), None);
    }

    #[test]
    fn nothing_is_forwarded_before_both_are_connected() {
        let mut bench = Bench::open();
        bench.describe(Side::One, described(ALICE, 0, 101));
        bench.describe(Side::Two, described(BOB, 0, 101));
        assert_eq!(bench.hear(Side::One, ALICE, &voice(1)), None);
        let first = Event::FirstPacket { session: SESSION, termination: Side::One.id(), at: bench.now };
        assert_eq!(bench.events.last(), Some(&first));
    }

    #[test]
    fn a_tone_is_sent_every_twenty_milliseconds_until_it_stops() {
        let mut bench = Bench::open();
        bench.describe(Side::One, described(ALICE, 0, 101));
        bench.play(Side::One);
        bench.wait(1_990);
        let packets = bench.tones();
        assert_eq!(packets.len(), 100);
        assert!(packets.is_sorted_by(|one, two| two.sequence == one.sequence.wrapping_add(1)));
        assert!(packets.is_sorted_by(|one, two| two.timestamp == one.timestamp.wrapping_add(160)));
        assert!(packets[0].marker && packets[1..].iter().all(|packet| !packet.marker));
        bench.command(sides::stop(SESSION, Side::One));
        bench.sent.clear();
        bench.wait(1_000);
        assert!(bench.sent.is_empty());
    }

    #[test]
    fn a_tone_waits_for_the_description_and_starts_only_once() {
        let mut bench = Bench::open();
        bench.play(Side::One);
        bench.wait(500);
        assert!(bench.sent.is_empty());
        bench.describe(Side::One, described(ALICE, 0, 101));
        bench.play(Side::One);
        bench.wait(200);
        assert!((10..=11).contains(&bench.sent.len()), "{}", bench.sent.len());
    }

    #[test]
    fn after_a_late_wake_up_a_few_packets_are_caught_up_and_the_clock_is_right() {
        let mut bench = Bench::open();
        bench.describe(Side::One, described(ALICE, 0, 101));
        bench.play(Side::One);
        bench.wait(10);
        bench.sent.clear();
        bench.now += Duration::from_millis(1_000);
        bench.relay.handle_timeout(bench.now);
        bench.perform();
        assert_eq!(bench.sent.len(), 3);
        let first = header(&bench.sent[0].2);
        bench.wait(20);
        let last = header(&bench.sent.last().expect("a packet").2);
        assert_eq!(last.sequence, first.sequence.wrapping_add(3));
        assert_eq!(last.timestamp, first.timestamp.wrapping_add(3 * 160));
    }

    #[test]
    fn a_tone_is_reported_every_five_seconds() {
        let mut bench = Bench::open();
        bench.describe(Side::One, described(ALICE, 0, 101));
        bench.play(Side::One);
        bench.wait(10_990);
        let reports: Vec<_> = bench.sent.iter().filter(|(port, ..)| *port == 20_001).collect();
        assert_eq!(reports.len(), 3);
        let (_, to, packet) = reports[1];
        assert_eq!(*to, address("10.0.0.1:4001"));
        let packets = rtcp::packet::unmarshal(&mut Bytes::from(packet.clone())).expect("RTCP");
        let report = packets[0].as_any().downcast_ref::<SenderReport>().expect("a sender report");
        assert_eq!((report.packet_count, report.octet_count), (251, 251 * 160));
        assert_eq!(report.ssrc, header(&bench.sent[0].2).ssrc);
    }

    #[test]
    fn tone_party_and_a_new_source_are_one_stream() {
        let mut bench = Bench::open();
        bench.describe(Side::One, described(ALICE, 0, 101));
        bench.play(Side::One);
        bench.wait(100);
        let mut stream = bench.tones();
        bench.describe(Side::Two, described(BOB, 0, 96));
        bench.connect();
        for index in 0..20_u16 {
            let (ssrc, sequence) = if index < 10 { (5, 60_000 + index) } else { (6, index) };
            let packet = rtp(0, ssrc, sequence, u32::from(sequence).wrapping_mul(160) ^ ssrc << 28);
            let forwarded = bench.hear(Side::Two, BOB, &packet);
            assert_eq!(forwarded.is_none(), index == 10, "a new source is believed at its second packet");
            stream.extend(forwarded.map(|(_, packet)| header(&packet)));
            bench.wait(20);
        }
        bench.sent.clear();
        bench.play(Side::One);
        bench.wait(60);
        stream.extend(bench.tones());
        assert!(stream.iter().all(|header| header.ssrc == stream[0].ssrc));
        assert!(stream.is_sorted_by(|one, two| two.sequence == one.sequence.wrapping_add(1)));
        let steps: Vec<u32> =
            stream.windows(2).map(|two| two[1].timestamp.wrapping_sub(two[0].timestamp)).collect();
        assert!(steps.iter().all(|step| (1..=320).contains(step)), "{steps:?}");
        let markers: Vec<usize> = (0..stream.len()).filter(|index| stream[*index].marker).collect();
        assert_eq!(markers.len(), 4, "tone, party, new source, tone: {markers:?}");
    }

    #[test]
    fn while_a_tone_plays_the_other_party_is_not_heard() {
        let mut bench = Bench::connected();
        bench.hear(Side::Two, BOB, &voice(1)).expect("forwarded");
        bench.play(Side::One);
        assert_eq!(bench.hear(Side::Two, BOB, &voice(2)), None);
        bench.command(sides::stop(SESSION, Side::One));
        assert!(bench.hear(Side::Two, BOB, &voice(3)).is_some());
    }
}

mod early {
    use super::*;

    /// What the first side heard, and when, in milliseconds: `true` for the other party.
    struct Heard {
        bench: Bench,
        packets: Vec<(u64, bool, RtpHeader)>,
        elapsed: u64,
        sequence: u16,
    }

    impl Heard {
        /// Alice hears a tone, Bob rings and is described.
        fn ringing() -> Self {
            let mut bench = Bench::open();
            bench.describe(Side::One, described(ALICE, 0, 101));
            bench.command(sides::play(SESSION, Side::One));
            bench.describe(Side::Two, described(BOB, 0, 96));
            Self { bench, packets: Vec::new(), elapsed: 0, sequence: 60_000 }
        }

        fn listening() -> Self {
            let mut heard = Self::ringing();
            heard.bench.command(sides::listen(SESSION, Side::Two));
            heard
        }

        fn wait(&mut self, milliseconds: u64) {
            for _ in 0..milliseconds {
                self.bench.sent.clear();
                self.bench.wait(1);
                self.elapsed += 1;
                let tones = self.bench.tones();
                self.packets.extend(tones.into_iter().map(|header| (self.elapsed, false, header)));
            }
        }

        /// Bob sends so many packets, 20 ms apart.
        fn bob_sends(&mut self, packets: u16) {
            for _ in 0..packets {
                self.sequence = self.sequence.wrapping_add(1);
                if let Some((_, packet)) = self.bench.hear(Side::Two, BOB, &voice(self.sequence)) {
                    self.packets.push((self.elapsed, true, header(&packet)));
                }
                self.wait(20);
            }
        }

        fn when(&self, is_party: bool) -> Vec<u64> {
            self.packets.iter().filter(|(_, party, _)| *party == is_party).map(|(at, ..)| *at).collect()
        }

        fn is_one_stream(&self) -> bool {
            let follows = |one: &RtpHeader, two: &RtpHeader| {
                two.ssrc == one.ssrc
                    && two.sequence == one.sequence.wrapping_add(1)
                    && (two.timestamp.wrapping_sub(one.timestamp) as i32) > 0
            };
            self.packets.is_sorted_by(|(.., one), (.., two)| follows(one, two))
        }
    }

    #[test]
    fn a_description_alone_changes_nothing() {
        let mut heard = Heard::ringing();
        heard.bob_sends(10);
        assert!(heard.when(true).is_empty());
        let mut heard = Heard::listening();
        heard.wait(1_000);
        assert_eq!(heard.when(false).len(), 51);
    }

    #[test]
    fn the_tone_gives_way_to_packets_and_returns_a_second_after_the_last() {
        let mut heard = Heard::listening();
        heard.wait(500);
        heard.bob_sends(100);
        heard.wait(2_000);
        let (tones, party) = (heard.when(false), heard.when(true));
        assert_eq!(party.len(), 100);
        let (first, last) = (party[0], party[99]);
        let before: Vec<_> = tones.iter().filter(|at| **at <= last).collect();
        assert!(before.iter().all(|at| **at <= first), "never both");
        assert!(first - **before.last().expect("a tone") <= 20);
        let returned = tones.iter().find(|at| **at > last).expect("the tone returns");
        assert!((1_000..=1_020).contains(&(returned - last)), "{}", returned - last);
        assert!(heard.is_one_stream());
    }

    #[test]
    fn a_pause_of_less_than_a_second_brings_no_tone() {
        let mut heard = Heard::listening();
        heard.bob_sends(5);
        heard.wait(900);
        let tones = heard.when(false).len();
        heard.bob_sends(5);
        heard.wait(900);
        assert_eq!(heard.when(false).len(), tones);
        assert!(heard.is_one_stream());
    }

    #[test]
    fn it_returns_from_its_beginning() {
        let mut heard = Heard::listening();
        heard.wait(1_200);
        heard.bench.hear(Side::Two, BOB, &voice(1)).expect("forwarded");
        heard.wait(1_000);
        heard.bench.sent.clear();
        heard.bench.wait(40);
        let payload = &heard.bench.sent[0].2[12..];
        assert!(payload.iter().any(|octet| *octet & 0x7f < 0x60), "not the pause of the tone");
    }

    #[test]
    fn nothing_goes_to_the_side_that_is_heard_before_both_are_connected() {
        let mut heard = Heard::listening();
        heard.bob_sends(10);
        assert_eq!(heard.bench.hear(Side::One, ALICE, &voice(1)), None);
        heard.bench.connect();
        assert!(heard.bench.hear(Side::One, ALICE, &voice(2)).is_some());
    }

    #[test]
    fn the_connection_leaves_no_gap() {
        let mut heard = Heard::listening();
        heard.wait(300);
        heard.bob_sends(20);
        heard.bench.connect();
        heard.bob_sends(20);
        assert!(heard.packets.is_sorted_by(|(one, ..), (two, ..)| two - one <= 60));
        assert!(heard.is_one_stream());
        heard.wait(2_000);
        assert!(heard.when(false).iter().all(|at| *at <= 300), "no tone after the connection");
    }

    #[test]
    fn another_phone_that_is_described_is_heard_in_the_place_of_the_first() {
        let mut heard = Heard::listening();
        heard.bob_sends(10);
        heard.bench.describe(Side::Two, described("10.0.0.3:7000", 0, 96));
        assert_eq!(heard.bench.hear(Side::Two, BOB, &voice(heard.sequence + 1)), None);
        let packet = rtp(0, 77, 5, 0);
        let (_, packet) = heard.bench.hear(Side::Two, "10.0.0.3:7000", &packet).expect("forwarded");
        heard.packets.push((heard.elapsed, true, header(&packet)));
        assert!(heard.is_one_stream());
    }

    #[test]
    fn what_cannot_be_forwarded_does_not_silence_the_tone() {
        let mut heard = Heard::listening();
        heard.wait(100);
        for sequence in 0..50 {
            assert_eq!(heard.bench.hear(Side::Two, BOB, &rtp(13, 1, sequence, 0)), None);
            assert_eq!(heard.bench.hear(Side::Two, STRANGER, &voice(sequence)), None);
            heard.wait(20);
        }
        assert_eq!(heard.when(false).len(), 56);
    }
}

mod reports {
    use super::*;

    fn sender_report(ssrc: u32, rtp_time: u32, about: u32) -> Vec<u8> {
        let reports =
            vec![ReceptionReport { ssrc: about, last_sequence_number: 0, ..ReceptionReport::default() }];
        let report = SenderReport { ssrc, rtp_time, reports, ..SenderReport::default() };
        rtcp::packet::marshal(&[Box::new(report)]).expect("RTCP").to_vec()
    }

    fn parsed(packet: Vec<u8>) -> SenderReport {
        let packets = rtcp::packet::unmarshal(&mut Bytes::from(packet)).expect("RTCP");
        packets[0].as_any().downcast_ref::<SenderReport>().expect("a sender report").clone()
    }

    #[test]
    fn a_report_names_the_streams_that_the_other_side_knows() {
        let mut bench = Bench::connected();
        let (_, to_bob) = bench.hear(Side::One, ALICE, &rtp(0, 11, 500, 1_000)).expect("forwarded");
        let (_, to_alice) = bench.hear(Side::Two, BOB, &rtp(0, 22, 700, 9_000)).expect("forwarded");
        let report = sender_report(11, 1_160, header(&to_alice).ssrc);
        let (forward, packet) = bench.hear_rtcp(Side::One, "10.0.0.1:4001", &report).expect("forwarded");
        assert_eq!(forward, Forward { port: 20_003, to: address("10.0.0.2:6001") });
        let report = parsed(packet);
        assert_eq!(report.ssrc, header(&to_bob).ssrc);
        assert_eq!(report.rtp_time.wrapping_sub(header(&to_bob).timestamp), 160);
        assert_eq!((report.packet_count, report.octet_count), (1, 160));
        assert_eq!(report.reports[0].ssrc, 22);
    }

    #[test]
    fn the_round_trip_is_the_time_to_the_answer_less_the_time_it_was_held() {
        let mut bench = Bench::connected();
        bench.hear(Side::One, ALICE, &voice(1)).expect("forwarded");
        let asking = SenderReport { ssrc: 1, ntp_time: 0x1111_2222_3333_4444, ..SenderReport::default() };
        let asking = rtcp::packet::marshal(&[Box::new(asking)]).expect("RTCP");
        bench.hear_rtcp(Side::One, "10.0.0.1:4001", &asking).expect("forwarded");
        bench.wait(110);
        let held = ReceptionReport {
            last_sender_report: 0x2222_3333,
            delay: 65_536 / 20,
            ..ReceptionReport::default()
        };
        let answer = ReceiverReport { ssrc: 2, reports: vec![held], ..ReceiverReport::default() };
        let answer = rtcp::packet::marshal(&[Box::new(answer)]).expect("RTCP");
        bench.hear_rtcp(Side::Two, "10.0.0.2:6001", &answer).expect("forwarded");
        let round_trip = bench.statistics()[1].round_trip.expect("a round trip").as_secs_f64();
        assert!((round_trip - 0.06).abs() < 0.001, "{round_trip}");
        assert_eq!(bench.statistics()[0].round_trip, None);
    }

    #[test]
    fn a_stranger_cannot_report() {
        let mut bench = Bench::connected();
        bench.hear(Side::One, ALICE, &rtp(0, 11, 500, 1_000));
        for _ in 0..10 {
            assert_eq!(bench.hear_rtcp(Side::One, STRANGER, &sender_report(11, 0, 0)), None);
        }
        assert_eq!(bench.statistics()[0].packets_from_strangers, 10);
    }

    #[test]
    fn reports_of_a_phone_behind_nat_are_learnt_from_where_its_audio_comes() {
        let mut bench = Bench::connected();
        let behind_nat = Description {
            signalling: address("198.51.100.4:5060").ip(),
            ..described("192.168.1.5:4000", 0, 101)
        };
        bench.describe(Side::One, behind_nat);
        let report =
            rtcp::packet::marshal(&[Box::new(ReceiverReport { ssrc: 1, ..ReceiverReport::default() })])
                .expect("RTCP");
        for _ in 0..5 {
            assert_eq!(bench.hear_rtcp(Side::One, "198.51.100.4:33001", &report), None, "no audio has come");
        }
        (1..4).for_each(|sequence| {
            bench.hear(Side::One, "198.51.100.4:33000", &voice(sequence));
        });
        assert_eq!(bench.hear_rtcp(Side::One, "198.51.100.4:33001", &report), None);
        assert_eq!(bench.hear_rtcp(Side::One, "198.51.100.4:33001", &report), None);
        assert!(bench.hear_rtcp(Side::One, "198.51.100.4:33001", &report).is_some());
    }

    #[test]
    fn with_a_shared_port_reports_come_and_go_there() {
        let mut bench = Bench::connected();
        bench.describe(Side::One, Description { rtcp: address(ALICE), ..described(ALICE, 0, 101) });
        bench.hear(Side::One, ALICE, &rtp(0, 11, 500, 1_000));
        let (forward, _) = bench.hear(Side::One, ALICE, &sender_report(11, 0, 0)).expect("forwarded");
        assert_eq!(forward, Forward { port: 20_003, to: address("10.0.0.2:6001") });
        bench.hear(Side::Two, BOB, &rtp(0, 22, 1, 1));
        let (forward, _) =
            bench.hear_rtcp(Side::Two, "10.0.0.2:6001", &sender_report(22, 0, 0)).expect("forwarded");
        assert_eq!(forward, Forward { port: 20_000, to: address(ALICE) });
        assert_eq!(bench.hear(Side::One, STRANGER, &sender_report(11, 0, 0)), None);
        assert_eq!(bench.statistics()[0].packets_received, 1, "a report is no audio");
    }
}

mod sessions {
    use super::*;

    fn open(bench: &mut Bench, session: u64) {
        bench.open_session(SessionId(session));
    }

    /// The terminations that were added, and those that were not, with the reason.
    fn added(bench: &Bench) -> Vec<(SessionId, Side, Result<u16, OpenError>)> {
        let added = bench.events.iter().filter_map(|event| match event {
            Event::Added { session, termination, rtp } => {
                Some((*session, Side::of(*termination), Ok(rtp.port())))
            }
            Event::NotAdded { session, termination, reason } => {
                Some((*session, Side::of(*termination), Err(*reason)))
            }
            Event::Silent { .. }
            | Event::Removed { .. }
            | Event::Moved { .. }
            | Event::Digit { .. }
            | Event::Played { .. }
            | Event::FirstPacket { .. }
            | Event::Broken { .. }
            | Event::Closed { .. }
            | Event::Report { .. } => None,
        });
        added.collect()
    }

    #[test]
    fn a_session_opens_on_even_ports_and_closes_with_its_figures() {
        let mut bench = Bench::open();
        assert_eq!(added(&bench), [(SESSION, Side::One, Ok(20_000)), (SESSION, Side::Two, Ok(20_002))]);
        assert_eq!(bench.bound, [20_000, 20_002]);
        bench.play(Side::One);
        bench.command(Command::Close { session: SESSION });
        assert!(matches!(bench.events[2], Event::Closed { session: SESSION, .. }));
        assert!(bench.bound.is_empty());
        assert_eq!(bench.hear(Side::One, ALICE, &voice(1)), None);
        bench.wait(60_000);
        assert_eq!(bench.relay.sessions(), 0);
        assert_eq!(bench.relay.poll_timeout(), None, "nothing is left to do");
        bench.command(Command::Report { session: SESSION });
        assert_eq!(bench.events.len(), 3);
    }

    #[test]
    fn taken_ports_are_passed_over_and_used_up_ports_are_said() {
        let mut bench = Bench::with_ports(20_000..=20_007);
        bench.taken = [20_000, 20_004].into();
        open(&mut bench, 1);
        assert_eq!(bench.bound, [20_002, 20_006]);
        bench.events.clear();
        open(&mut bench, 2);
        let none = Err(OpenError::NoPortFree { free_in: Some(REST) });
        assert_eq!(added(&bench), [(SessionId(2), Side::One, none), (SessionId(2), Side::Two, none)]);
        bench.command(Command::Close { session: SessionId(1) });
        open(&mut bench, 3);
        assert_eq!(added(&bench)[2..], [(SessionId(3), Side::One, none), (SessionId(3), Side::Two, none)]);
        bench.taken.clear();
        bench.wait(10_000);
        open(&mut bench, 4);
        assert!(matches!(added(&bench)[4..], [(_, Side::One, Ok(_)), (_, Side::Two, Ok(_))]));
    }

    #[test]
    fn a_termination_that_finds_no_port_leaves_the_others_of_its_session() {
        let mut bench = Bench::with_ports(20_000..=20_007);
        bench.taken = [20_002, 20_004, 20_006].into();
        open(&mut bench, 1);
        let one = SessionId(1);
        let none = Err(OpenError::NoPortFree { free_in: Some(REST) });
        assert_eq!(added(&bench), [(one, Side::One, Ok(20_000)), (one, Side::Two, none)]);
        assert_eq!((bench.bound.len(), bench.relay.sessions()), (1, 1));
        bench.command(Command::Remove { session: one, termination: Side::One.id() });
        assert!(matches!(bench.events.last(), Some(Event::Removed { session: SessionId(1), .. })));
        assert_eq!((bench.bound.len(), bench.relay.sessions()), (0, 0));
    }

    #[test]
    fn a_large_block_that_others_have_is_skipped_in_a_few_tries() {
        let mut bench = Bench::with_ports(20_000..=29_999);
        bench.taken = (20_000..=27_999).collect();
        open(&mut bench, 1);
        assert!(matches!(added(&bench)[..], [(_, _, Ok(_)), (_, _, Ok(_))]), "at once: {:?}", bench.events);
        assert!(bench.tries < 40, "{}", bench.tries);
    }

    #[test]
    fn the_only_free_pair_is_found_and_packets_are_not_kept_waiting_for_it() {
        let mut bench = Bench::with_ports(20_000..=29_999);
        bench.taken = (20_000..=29_999).filter(|port| ![24_678, 26_000].contains(port)).collect();
        open(&mut bench, 1);
        assert!(added(&bench).is_empty() && bench.tries <= 64, "{} tries in one round", bench.tries);
        bench.wait(0);
        let mut ports: Vec<u16> = added(&bench).iter().map(|(_, _, port)| port.expect("a port")).collect();
        ports.sort_unstable();
        assert_eq!(ports, [24_678, 26_000]);
    }

    #[test]
    fn when_all_are_taken_it_is_said_and_the_search_ends() {
        let mut bench = Bench::with_ports(1_024..=65_535);
        bench.taken = (1_024..=65_535).collect();
        open(&mut bench, 1);
        bench.wait(0);
        let none = Err(OpenError::NoPortFree { free_in: Some(REST) });
        assert_eq!(added(&bench), [(SessionId(1), Side::One, none), (SessionId(1), Side::Two, none)]);
        assert!(bench.tries <= 32_256, "none is tried twice");
    }

    #[test]
    fn no_more_sockets_are_asked_for_than_there_may_be() {
        let mut bench = Bench::with(20_000..=20_099, 7);
        (1..=2).for_each(|session| open(&mut bench, session));
        let none = Err(OpenError::NoDescriptor);
        assert_eq!(added(&bench)[3..], [(SessionId(2), Side::Two, none)]);
        bench.command(Command::Close { session: SessionId(2) });
        bench.events.clear();
        open(&mut bench, 3);
        assert!(matches!(added(&bench)[..], [(_, Side::One, Ok(_)), (_, Side::Two, Err(_))]));
    }

    #[test]
    fn a_system_without_descriptors_is_said_so() {
        let mut bench = Bench::with_ports(20_000..=20_007);
        bench.refusal = Some(BindError::NoDescriptor);
        open(&mut bench, 1);
        let none = Err(OpenError::NoDescriptor);
        assert_eq!(added(&bench), [(SessionId(1), Side::One, none), (SessionId(1), Side::Two, none)]);
        bench.refusal = None;
        bench.wait(10_000);
        open(&mut bench, 2);
        assert!(matches!(added(&bench)[2..], [(_, _, Ok(_)), (_, _, Ok(_))]), "its ports came back");
    }

    #[test]
    fn an_address_that_cannot_be_used_ends_it_at_once() {
        let mut bench = Bench::with_ports(20_000..=20_007);
        bench.refusal = Some(BindError::AddressNotUsable);
        open(&mut bench, 1);
        let unusable = Err(OpenError::AddressNotUsable);
        assert_eq!(added(&bench), [(SessionId(1), Side::One, unusable), (SessionId(1), Side::Two, unusable)]);
        bench.refusal = None;
        bench.wait(10_000);
        open(&mut bench, 2);
        assert!(matches!(added(&bench)[2..], [(_, _, Ok(_)), (_, _, Ok(_))]), "its ports came back");
    }

    #[test]
    fn a_session_that_closes_while_its_ports_are_bound_leaves_none() {
        let mut bench = Bench::with_ports(20_000..=20_007);
        let now = bench.now;
        let local = [IpAddr::V4(Ipv4Addr::LOCALHOST); 2];
        for command in sides::open(SESSION, local) {
            bench.relay.handle_command(command, now);
        }
        bench.relay.handle_command(Command::Close { session: SESSION }, now);
        bench.perform();
        assert!(bench.bound.is_empty());
        assert!(matches!(bench.events[..], [Event::Closed { .. }]));
        bench.wait(10_000);
        (1..=3).for_each(|session| open(&mut bench, session));
        assert_eq!(bench.bound.len(), 4, "each pair came back once");
        let none = Err(OpenError::NoPortFree { free_in: None });
        assert_eq!(added(&bench)[4..], [(SessionId(3), Side::One, none), (SessionId(3), Side::Two, none)]);
    }

    #[test]
    fn the_first_packet_is_announced_once() {
        let mut bench = Bench::connected();
        let at = bench.now;
        bench.hear(Side::One, ALICE, &voice(1));
        bench.hear(Side::One, ALICE, &voice(2));
        let first: Vec<&Event> =
            bench.events.iter().filter(|event| matches!(event, Event::FirstPacket { .. })).collect();
        assert_eq!(first, [&Event::FirstPacket { session: SESSION, termination: Side::One.id(), at }]);
        assert_eq!(bench.statistics()[0].first_packet_at, Some(at));
    }

    #[test]
    fn figures_are_counted_for_each_side() {
        let mut bench = Bench::connected();
        for sequence in [1, 2, 5] {
            bench.hear(Side::One, ALICE, &voice(sequence));
        }
        bench.hear(Side::One, ALICE, &[0x80; 4]);
        let [one, two] = bench.statistics();
        assert_eq!((one.packets_received, one.octets_received, one.packets_lost), (3, 3 * 172, 2));
        assert_eq!((one.packets_malformed, one.packets_sent), (1, 0));
        assert_eq!((two.packets_sent, two.packets_received), (3, 0));
    }

    #[test]
    fn whoever_should_send_and_does_not_is_silent_once() {
        let mut bench = Bench::connected();
        for sequence in 0..40 {
            bench.hear(Side::One, ALICE, &voice(sequence));
            bench.wait(1_000);
        }
        assert_eq!(bench.silent(), [Side::Two]);
        bench.wait(29_000 - 1);
        assert_eq!(bench.silent(), [Side::Two]);
        bench.wait(2);
        assert_eq!(bench.silent(), [Side::Two, Side::One]);
        bench.hear(Side::Two, BOB, &voice(1));
        bench.wait(30_000);
        assert_eq!(bench.silent(), [Side::Two, Side::One, Side::Two], "it had sent again");
    }

    #[test]
    fn nobody_is_silent_before_the_connection_or_on_hold() {
        let mut bench = Bench::open();
        bench.describe(Side::One, described(ALICE, 0, 101));
        bench.describe(Side::Two, described(BOB, 0, 101));
        bench.wait(100_000);
        bench.connect();
        bench.wait(29_000);
        bench.describe(Side::One, Description { receives: false, ..described(ALICE, 0, 101) });
        bench.wait(100_000);
        assert_eq!(bench.silent(), []);
        bench.describe(Side::One, described(ALICE, 0, 101));
        bench.wait(29_999);
        assert_eq!(bench.silent(), []);
        bench.wait(1);
        assert_eq!(bench.silent().len(), 2);
    }
}

#[test]
fn every_torture_packet_gets_what_it_expects() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let text = std::fs::read_to_string(folder.join("cases.json")).expect("cases.json");
    let cases: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let cases = cases["cases"].as_array().expect("a list");
    assert_eq!(cases.len(), 30);
    let mut wrong = Vec::new();
    for case in cases {
        let id = case["id"].as_str().expect("an id");
        let packet = std::fs::read(folder.join(format!("{id}.bin"))).expect("a file");
        let may_pass = case["expect"]["action"] != "drop";
        let is_rtcp = case["port"] == "rtcp";
        for (from, may_pass) in [(ALICE, may_pass), (STRANGER, false)] {
            let mut bench = Bench::connected();
            bench.hear(Side::One, ALICE, &voice(1)).expect("forwarded");
            let source = address(from);
            let source = SocketAddr::new(source.ip(), source.port() + u16::from(is_rtcp)).to_string();
            let passed = if is_rtcp {
                bench.hear_rtcp(Side::One, &source, &packet)
            } else {
                bench.hear(Side::One, &source, &packet)
            };
            if passed.is_some() && !may_pass {
                wrong.push(format!("{id} from {from} was forwarded"));
            }
            if passed.is_some_and(|(forward, after)| {
                forward.to.ip() != address(BOB).ip() || after.len() != packet.len()
            }) {
                wrong.push(format!("{id} from {from} went elsewhere or changed its length"));
            }
            let survives = bench.hear(Side::One, ALICE, &voice(2)).is_some();
            if !survives
                || destination(bench.hear(Side::Two, BOB, &voice(1))).as_deref() != Some(ALICE)
                || !bench.sent.is_empty()
            {
                wrong.push(format!("{id} from {from} changed the call"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
