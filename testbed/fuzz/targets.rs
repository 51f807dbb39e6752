//! What is fed.

use crate::corpus;
use audio::{Codec, TonePlan};
use media_relay::{
    BindError, Command, Config, Description, Event, Keys, Output, Payload, PlayId, Playback, Relay,
    RtpHeader, SessionId, Sound, TerminationId, Topology,
};
use sdp::{AudioStream, Direction, Format, Offer, Origin, ReceivedOffer};
use sip_core::digest::{Authenticator, Secret};
use sip_core::{Endpoint, Flow, Transport};
use sip_message::{AuthParams, FieldName, Message, Method, NameAddr, Request, SipUri, StreamFramer, Uri};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Something that reads from outside.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) corpus: fn() -> Vec<Vec<u8>>,
    /// Panics when it is broken.
    pub(crate) run: fn(&[u8]),
}

pub(crate) const TARGETS: [Target; 9] = [
    Target { name: "message", corpus: corpus::messages, run: message },
    Target { name: "stream", corpus: corpus::messages, run: stream },
    Target { name: "uri", corpus: corpus::uris, run: uri },
    Target { name: "digest", corpus: corpus::credentials, run: digest },
    Target { name: "sdp", corpus: corpus::descriptions, run: description },
    Target { name: "rtp", corpus: corpus::packets, run: rtp },
    Target { name: "rtcp", corpus: corpus::packets, run: rtcp },
    Target { name: "relay", corpus: corpus::packets, run: relay },
    Target { name: "endpoint", corpus: corpus::messages, run: endpoint },
];

/// What is read is printed so that it is read again, and as the same.
fn message(input: &[u8]) {
    let Ok(mut message) = Message::parse(input) else { return };
    message.unwrap_part("application/sdp");
    let print = |message: &Message| match message {
        Message::Request(request) => request.print(),
        Message::Response(response) => response.print(),
    };
    let printed = print(&message);
    let again = Message::parse(&printed).expect("what is printed can be read");
    assert_eq!(print(&again), printed, "and says the same");
}

/// However a stream is cut, the same messages come out of it.
fn stream(input: &[u8]) {
    let read = |piece: usize| {
        let mut framer = StreamFramer::default();
        let mut messages = Vec::new();
        for octets in input.chunks(piece) {
            framer.push(octets);
            loop {
                match framer.poll() {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(error) => {
                        let _ = error.salvage();
                        return messages;
                    }
                }
            }
        }
        messages
    };
    let whole = read(input.len().max(1));
    assert_eq!(read(1 + input.len() % 7), whole);
}

fn uri(input: &[u8]) {
    let Ok(uri) = Uri::parse(input) else { return };
    let printed = uri.to_string();
    let again = Uri::parse(printed.as_bytes()).expect("what is printed can be read");
    assert_eq!(again.to_string(), printed);
    assert!(again.is_equivalent(&uri) || uri.as_sip().is_none(), "{printed}");
    let _ = uri.as_sip().map(SipUri::decoded_user);
}

fn digest(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let _ = text.parse::<AuthParams>();
    let mut authenticator = Authenticator::new("example.com", [7; 32], Duration::from_secs(60));
    let party = || NameAddr::new(SipUri::at(Some("1001"), address(9, 5070)));
    let call_id = sip_message::CallId("1".into());
    let mut request =
        Request::new(Method::REGISTER, SipUri::at(None, address(1, 5060)), party(), party(), call_id, 1);
    request.header.fields.push(FieldName::AUTHORIZATION, text);
    let secret = Secret::new("1001", "example.com", "a password that nobody guesses");
    let verdict =
        authenticator.verify(&request, Duration::from_secs(1_000), |_| true, |_| Some(secret.clone()));
    assert!(!matches!(verdict, sip_core::digest::Verdict::Accepted { .. }), "somebody got in");
}

fn description(input: &[u8]) {
    let format = |payload_type: u8, name: &str, clock_rate: u32| Format {
        payload_type,
        name: name.into(),
        clock_rate,
        channels: if clock_rate == 48_000 { 2 } else { 1 },
        fmtp: None,
    };
    let formats =
        vec![format(107, "opus", 48_000), format(0, "PCMU", 8_000), format(101, "telephone-event", 8_000)];
    let origin = Origin { session_id: 1, version: 1 };
    let offer = Offer::new(&origin, AudioStream::new(address(1, 20_000), formats.clone()));
    if let Ok(stream) = offer.read_answer(input) {
        assert!(stream.codec().is_some());
    }
    let Ok(received) = ReceivedOffer::parse(input) else { return };
    if let Ok(answer) = received.answer(&origin, address(1, 20_000), &formats, Direction::SendRecv) {
        let printed = answer.print();
        assert!(ReceivedOffer::parse(&printed).is_ok(), "{}", String::from_utf8_lossy(&printed));
    }
    let _ = received.answer_without_audio(&origin, address(1, 20_000));
}

fn rtp(input: &[u8]) {
    if RtpHeader::parse(input).is_err() {
        return;
    }
    let mut relay = Played::new(Codec::Pcmu, Codec::Pcmu);
    relay.packet(0, input);
}

fn rtcp(input: &[u8]) {
    let mut relay = Played::new(Codec::Pcmu, Codec::Pcmu);
    relay.packet(1, input);
    relay.packet(3, input);
}

/// Packets and commands, one after the other, out of the octets.
fn relay(input: &[u8]) {
    let codecs = [Codec::Pcmu, Codec::Opus, Codec::G722, Codec::Pcma];
    let [first, second] =
        [input.first(), input.get(1)].map(|octet| octet.copied().unwrap_or_default() as usize);
    let mut relay = Played::new(codecs[first % 4], codecs[second % 4]);
    for (number, piece) in input.chunks(1 + input.len() / 5).enumerate().take(8) {
        relay.command(piece.first().copied().unwrap_or_default());
        relay.packet(number as u16 % 4, piece);
        relay.pass(Duration::from_millis(20));
    }
    relay.pass(Duration::from_secs(1));
}

/// A relay with a call between two phones.
struct Played {
    relay: Relay,
    now: Instant,
}

const SESSION: SessionId = SessionId(1);

impl Played {
    fn new(one: Codec, other: Codec) -> Self {
        let config = Config {
            ports: 20_000..=20_099,
            ringback: TonePlan::ringback("us").expect("a plan that is there"),
            silence_timeout: Duration::from_secs(30),
            port_rest: Duration::from_secs(5),
            sockets_max: usize::MAX,
            seed: [1; 32],
        };
        let mut played = Self { relay: Relay::new(config), now: Instant::now() };
        for id in [1, 2] {
            let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
            played.say(Command::Add { session: SESSION, termination: TerminationId(id), local });
        }
        played.describe(1, one);
        played.describe(2, other);
        let (one, other) = (TerminationId(1), TerminationId(2));
        played.say(Command::Link { session: SESSION, one, other, topology: Topology::BothWay });
        played
    }

    fn describe(&mut self, id: u16, codec: Codec) {
        let number = codec.static_payload_type().unwrap_or(107);
        let payloads = || {
            let event = Payload::TelephoneEvent { clock_rate: codec.clock_rate() };
            [(number, Payload::Audio(codec)), (101, event)].into_iter().collect()
        };
        let description = Description {
            rtp: address(id as u8 + 10, 4_000),
            rtcp: address(id as u8 + 10, 4_001),
            signalling: address(id as u8 + 10, 0).ip(),
            comes: payloads(),
            goes: payloads(),
            receives: true,
            sends: true,
            suppresses_silence: false,
        };
        self.say(Command::Describe { session: SESSION, termination: TerminationId(id), description });
    }

    fn command(&mut self, octet: u8) {
        let termination = TerminationId(1 + u16::from(octet & 1));
        match octet / 2 % 8 {
            0 => self.say(Command::Play {
                session: SESSION,
                termination,
                play: PlayId(octet.into()),
                sound: Playback { sound: Sound::Ringback, gives_way: octet & 64 != 0, lasts: None },
            }),
            1 => self.say(Command::Stop { session: SESSION, termination, play: PlayId(octet.into()) }),
            2 => self.say(Command::Report { session: SESSION }),
            3 => self.describe(1 + u16::from(octet & 1), Codec::ALL[usize::from(octet) % Codec::ALL.len()]),
            4 => self.say(Command::Remove { session: SESSION, termination }),
            5 => self.say(Command::Play {
                session: SESSION,
                termination,
                play: PlayId(octet.into()),
                sound: Playback { sound: Sound::Hold, gives_way: octet & 64 != 0, lasts: None },
            }),
            6 => {
                let Some(keys) = Keys::from_codes([octet & 15, octet >> 4]) else { return };
                let sound = Playback { sound: Sound::Keys(keys), gives_way: false, lasts: None };
                let play = PlayId(octet.into());
                self.say(Command::Play { session: SESSION, termination, play, sound });
            }
            _ => {}
        }
    }

    fn packet(&mut self, port: u16, octets: &[u8]) {
        let source = address(11 + (port / 2) as u8, 4_000 + port % 2);
        let mut packet = octets.to_vec();
        let _ = if port.is_multiple_of(2) {
            self.relay.handle_rtp(20_000 + port, source, &mut packet, self.now)
        } else {
            self.relay.handle_rtcp(20_000 + port, source, &mut packet, self.now)
        };
        self.perform();
    }

    fn say(&mut self, command: Command) {
        self.relay.handle_command(command, self.now);
        self.perform();
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.relay.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.relay.handle_timeout(self.now);
            self.perform();
        }
        self.now = end;
    }

    fn perform(&mut self) {
        let mut bound = Vec::new();
        let mut jobs = Vec::new();
        while let Some(output) = self.relay.poll_output() {
            match output {
                Output::Bind { port, .. } => bound.push(port),
                Output::Transcode(mut job) => {
                    job.perform();
                    jobs.push(job);
                }
                // It catches its own panics, and says so.
                Output::Event(event) => assert!(!matches!(event, Event::Broken { .. }), "the relay broke"),
                Output::Send { .. } | Output::Release { .. } => {}
            }
        }
        for port in bound {
            self.relay.handle_bound(port, Ok::<(), BindError>(()), self.now);
            self.perform();
        }
        for job in jobs {
            self.relay.handle_transcoded(job, self.now);
            self.perform();
        }
    }
}

/// What strangers send to an element: it answers, or does not, and keeps working.
fn endpoint(input: &[u8]) {
    let mut endpoint = Endpoint::new(sip_core::Config::default(), [3; 32]);
    let mut now = Instant::now();
    let flow = |transport| Flow { transport, local: address(1, 5060), remote: address(9, 5070), peer: None };
    for transport in Transport::ALL {
        endpoint.handle_octets(input, flow(transport), now);
        while endpoint.poll_action().is_some() {}
    }
    for _ in 0..40 {
        let Some(due) = endpoint.poll_timeout() else { return };
        now = now.max(due);
        endpoint.handle_timeout(now);
        while endpoint.poll_action().is_some() {}
    }
}

fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], port))
}
