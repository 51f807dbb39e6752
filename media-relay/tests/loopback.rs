//! The relay with real sockets, on loopback.

mod sides;

use audio::{Codec, Decoder, Encoder, Sine, TonePlan, chord_milliseconds, chord_share, tone_share};
use media_relay::{Command, Config, Description, Event, RelayHandle, RtpHeader, SessionId, start};
use sides::Side;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const SESSION: SessionId = SessionId(1);
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PATIENCE: Duration = Duration::from_secs(5);

fn relay(first_port: u16) -> (RelayHandle, Receiver<Event>) {
    let (sender, events) = channel();
    let config = Config {
        ports: first_port..=first_port + 99,
        ringback: TonePlan::ringback("us").expect("us"),
        silence_timeout: Duration::from_secs(60),
        port_rest: Duration::from_secs(1),
        sockets_max: usize::MAX,
        seed: [7; 32],
    };
    let handle = start(config, move |event| sender.send(event).expect("somebody listens")).expect("a relay");
    (handle, events)
}

/// A phone that speaks PCMU.
struct Phone {
    socket: UdpSocket,
    relay: SocketAddr,
    sine: Sine,
    sequence: u16,
    ssrc: u32,
}

impl Phone {
    fn new(relay: SocketAddr, hertz: f64, ssrc: u32) -> Self {
        let socket = UdpSocket::bind((LOCALHOST, 0)).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(5))).expect("a socket option");
        Self { socket, relay, sine: Sine::new(hertz, 0.4, 8_000), sequence: 100, ssrc }
    }

    fn description(&self) -> Description {
        let rtp = self.socket.local_addr().expect("an address");
        sides::described(rtp, Codec::Pcmu, 0, Some(101))
    }

    fn speak(&mut self) {
        let mut samples = [0; 160];
        self.sine.fill(&mut samples);
        let mut packet = vec![0x80, 0];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend((u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        Encoder::new(Codec::Pcmu).encode(&samples, &mut packet);
        self.socket.send_to(&packet, self.relay).expect("sent");
        self.sequence += 1;
    }

    /// What came within `time`.
    fn listen(&self, time: Duration) -> Heard {
        let end = Instant::now() + time;
        let mut heard = Heard::default();
        let mut buffer = [0; 2_048];
        while Instant::now() < end {
            if let Ok((length, source)) = self.socket.recv_from(&mut buffer) {
                assert_eq!(source, self.relay);
                heard.headers.push(RtpHeader::parse(&buffer[..length]).expect("RTP"));
                Decoder::new(Codec::Pcmu).decode(&buffer[12..length], &mut heard.samples);
            }
        }
        heard
    }
}

#[derive(Default)]
struct Heard {
    headers: Vec<RtpHeader>,
    samples: Vec<i16>,
}

fn opened(events: &Receiver<Event>) -> [SocketAddr; 2] {
    Side::BOTH.map(|side| match events.recv_timeout(PATIENCE) {
        Ok(Event::Added { session: SESSION, termination, rtp }) if termination == side.id() => rtp,
        other => panic!("not added: {other:?}"),
    })
}

fn wait_for(events: &Receiver<Event>, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = events.recv_timeout(PATIENCE).expect("the event");
        if wanted(&event) {
            return event;
        }
    }
}

#[test]
fn ringback_first_and_then_the_other_party_in_one_stream() {
    let (relay, events) = relay(17_000);
    for command in sides::open(SESSION, [LOCALHOST; 2]) {
        relay.send(command);
    }
    let [one, two] = opened(&events);
    let (mut alice, mut bob) = (Phone::new(one, 600.0, 1), Phone::new(two, 1_000.0, 2));
    relay.send(sides::describe(SESSION, Side::One, alice.description()));
    relay.send(sides::play(SESSION, Side::One));
    let ringing = alice.listen(Duration::from_millis(1_500));
    assert!(chord_share(&ringing.samples, 8_000, &[440.0, 480.0]) > 0.95);
    assert!(chord_milliseconds(&ringing.samples, 8_000, &[440.0, 480.0]) > 1_000);
    assert!((65..=85).contains(&ringing.headers.len()), "{} packets", ringing.headers.len());

    relay.send(sides::describe(SESSION, Side::Two, bob.description()));
    for command in sides::connect(SESSION) {
        relay.send(command);
    }
    let (mut to_alice, mut to_bob) = (Heard::default(), Heard::default());
    for _ in 0..100 {
        alice.speak();
        bob.speak();
        for (phone, heard) in [(&alice, &mut to_alice), (&bob, &mut to_bob)] {
            let part = phone.listen(Duration::from_millis(8));
            heard.samples.extend(part.samples);
            heard.headers.extend(part.headers);
        }
    }
    // The last packet of the tone may have come together with the first of the other party.
    let party = to_alice.headers.iter().position(|header| header.marker).expect("a change");
    assert!(tone_share(&to_alice.samples[party * 160..], 8_000, 1_000.0) > 0.95);
    assert!(tone_share(&to_bob.samples, 8_000, 600.0) > 0.95);
    assert!(to_bob.headers.len() > 90 && to_alice.headers.len() > 90);

    let stream: Vec<RtpHeader> = [ringing.headers, to_alice.headers].concat();
    assert!(stream.iter().all(|header| header.ssrc == stream[0].ssrc && header.payload_type == 0));
    assert!(stream.is_sorted_by(|one, two| two.sequence == one.sequence.wrapping_add(1)));
    assert!(stream.is_sorted_by(|one, two| (two.timestamp.wrapping_sub(one.timestamp) as i32) > 0));

    relay.send(Command::Close { session: SESSION });
    let statistics = sides::both(Some(wait_for(&events, |event| matches!(event, Event::Closed { .. }))));
    assert_eq!(statistics.map(|side| side.packets_received), [100, 100]);
    assert_eq!(statistics.map(|side| side.packets_lost), [0, 0]);
    assert!(statistics[0].first_packet_at.is_some());
}

#[test]
fn ports_are_closed_with_the_session_and_the_thread_ends_with_the_last_handle() {
    let (relay, events) = relay(17_100);
    for command in sides::open(SESSION, [LOCALHOST; 2]) {
        relay.send(command);
    }
    let ports = opened(&events);
    assert!(ports.iter().all(|address| UdpSocket::bind(address).is_err()), "they are bound");
    relay.send(Command::Close { session: SESSION });
    wait_for(&events, |event| matches!(event, Event::Closed { .. }));
    for address in ports {
        UdpSocket::bind(address).expect("the port is free");
    }
    let other = relay.clone();
    drop(relay);
    for command in sides::open(SessionId(2), [LOCALHOST; 2]) {
        other.send(command);
    }
    for _ in Side::BOTH {
        wait_for(&events, |event| matches!(event, Event::Added { .. }));
    }
    drop(other);
    assert!(
        events
            .recv_timeout(PATIENCE)
            .is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Disconnected)
    );
}

#[test]
fn a_port_that_somebody_has_is_passed_over() {
    let _taken = UdpSocket::bind((LOCALHOST, 17_201)).expect("the RTCP port of the first pair");
    let (relay, events) = relay(17_200);
    for command in sides::open(SESSION, [LOCALHOST; 2]) {
        relay.send(command);
    }
    let mut ports = opened(&events).map(|address| address.port());
    ports.sort_unstable();
    assert_eq!(ports, [17_202, 17_204]);
}

#[test]
fn an_address_of_another_host_cannot_be_used() {
    let (relay, events) = relay(17_300);
    let foreign = IpAddr::from([192, 0, 2, 77]);
    for command in sides::open(SESSION, [LOCALHOST, foreign]) {
        relay.send(command);
    }
    let reason = media_relay::OpenError::AddressNotUsable;
    let not_added = Event::NotAdded { session: SESSION, termination: Side::Two.id(), reason };
    wait_for(&events, |event| *event == not_added);
}
