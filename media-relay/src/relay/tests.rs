//! What cannot be seen from outside: what is remembered, and faults.

use super::*;
use crate::command::{Payload, Payloads, Sound};
use crate::termination::Termination;
use audio::{Codec, TonePlan};
use std::net::Ipv4Addr;

const SPEAKER: TerminationId = TerminationId(1);
const HEARER: TerminationId = TerminationId(2);

const ONE: SessionId = SessionId(1);
const TWO: SessionId = SessionId(2);

/// Two sessions, connected, in which the parties speak these codecs.
fn relay(codecs: [Codec; 2], now: Instant) -> Relay {
    let mut relay = Relay::new(Config {
        ports: 20_000..=20_007,
        ringback: TonePlan::ringback("us").unwrap(),
        silence_timeout: Duration::from_secs(60),
        port_rest: Duration::from_secs(5),
        sockets_max: usize::MAX,
        seed: [1; 32],
    });
    for session in [ONE, TWO] {
        for termination in [SPEAKER, HEARER] {
            let local = Ipv4Addr::LOCALHOST.into();
            relay.handle_command(Command::Add { session, termination, local }, now);
        }
        while let Some(output) = relay.poll_output() {
            if let Output::Bind { port, .. } = output {
                relay.handle_bound(port, Ok(()), now);
            }
        }
        for (termination, codec) in [SPEAKER, HEARER].into_iter().zip(codecs) {
            let description = description(session, termination, codec);
            relay.handle_command(Command::Describe { session, termination, description }, now);
        }
        let (one, other, topology) = (SPEAKER, HEARER, Topology::BothWay);
        relay.handle_command(Command::Link { session, one, other, topology }, now);
    }
    relay
}

fn description(session: SessionId, termination: TerminationId, codec: Codec) -> Description {
    let rtp = party(session, termination);
    let payloads: Payloads =
        [(codec.static_payload_type().unwrap(), Payload::Audio(codec))].into_iter().collect();
    Description {
        rtp,
        rtcp: SocketAddr::new(rtp.ip(), rtp.port() + 1),
        signalling: rtp.ip(),
        comes: payloads.clone(),
        goes: payloads,
        receives: true,
        sends: true,
        suppresses_silence: false,
    }
}

fn party(session: SessionId, termination: TerminationId) -> SocketAddr {
    SocketAddr::from(([10, 0, session.0 as u8, termination.0 as u8], 4_000))
}

/// The first party of a session says 60 ms of PCMU.
fn say(relay: &mut Relay, session: SessionId, number: u16, now: Instant) {
    let mut packet = vec![0x55; 12 + 480];
    packet[..2].copy_from_slice(&[0x80, 0]);
    packet[2..4].copy_from_slice(&number.to_be_bytes());
    packet[4..8].copy_from_slice(&(u32::from(number) * 480).to_be_bytes());
    packet[8..12].copy_from_slice(&[0, 0, 0, 1]);
    let port = local(relay, session, SPEAKER);
    assert_eq!(relay.handle_rtp(port, party(session, SPEAKER), &mut packet, now), None);
    transcode(relay, now);
}

/// Whatever is to be transcoded is, at once; the other outputs stay.
fn transcode(relay: &mut Relay, now: Instant) {
    while let Some(index) = relay.outputs.iter().position(|output| matches!(output, Output::Transcode(_))) {
        if let Some(Output::Transcode(mut transcoding)) = relay.outputs.remove(index) {
            transcoding.perform();
            relay.handle_transcoded(transcoding, now);
        }
    }
}

fn local(relay: &Relay, session: SessionId, termination: TerminationId) -> u16 {
    at(relay, session, termination).local.port()
}

fn at(relay: &Relay, session: SessionId, termination: TerminationId) -> &Termination {
    let spot = relay.spot(session, termination).unwrap();
    relay.session(spot.slot).at(spot.place).unwrap()
}

fn break_hearer(relay: &mut Relay, session: SessionId) {
    let spot = relay.spot(session, HEARER).unwrap();
    relay.session_mut(spot.slot).at_mut(spot.place).unwrap().outward.break_at_the_next_packet();
}

/// How many packets go to the second party of each session, how many ports are released, and what is told.
fn outputs(relay: &mut Relay) -> ([usize; 2], usize, Vec<Event>) {
    let (mut sent, mut released, mut events) = ([0; 2], 0, Vec::new());
    while let Some(output) = relay.poll_output() {
        match output {
            // The relay's own report while a tone plays.
            Output::Send { to, .. } if to.port() % 2 == 1 => {}
            Output::Send { to, .. } => {
                let session = [ONE, TWO].iter().position(|session| to == party(*session, HEARER));
                sent[session.unwrap()] += 1;
            }
            Output::Release { .. } => released += 1,
            Output::Event(event) => events.push(event),
            Output::Bind { .. } | Output::Transcode(_) => {}
        }
    }
    (sent, released, events)
}

#[test]
fn of_a_party_that_sends_faster_than_time_passes_one_time_is_remembered_and_nothing_is_lost() {
    let start = Instant::now();
    let mut relay = relay([Codec::Pcmu, Codec::Pcma], start);
    let mut sent = 0;
    for number in 0..2_000_u16 {
        let now = start + Duration::from_millis(15) * u32::from(number);
        relay.handle_timeout(now);
        sent += outputs(&mut relay).0[0];
        say(&mut relay, ONE, number, now);
        sent += outputs(&mut relay).0[0];
        assert!(relay.paced.len() <= 1, "{} after {number} packets", relay.paced.len());
        assert!(sent >= usize::from(number) * 3, "what waited is out when the next one comes");
    }
    assert!(relay.poll_timeout().is_some_and(|due| due <= start + Duration::from_secs(31)));
    for step in 0..=3 {
        relay.handle_timeout(start + Duration::from_secs(30) + Duration::from_millis(20) * step);
        sent += outputs(&mut relay).0[0];
    }
    assert_eq!((sent, relay.paced.len(), relay.converted.len()), (6_000, 0, 0));
}

#[test]
fn a_session_that_panics_is_ended_and_the_other_goes_on() {
    let now = Instant::now();
    let mut relay = relay([Codec::Pcmu, Codec::Pcma], now);
    let slot = relay.slots[&ONE];
    assert_eq!(relay.guarded(slot, now, |session| session.terminations().count()), Some(2));
    assert_eq!(relay.guarded(slot, now, |_| -> u8 { panic!("a fault that was asked for") }), None);
    assert_eq!(outputs(&mut relay), ([0; 2], 2, vec![Event::Broken { session: ONE }]));
    assert_eq!(relay.sessions(), 1);
    assert_eq!(relay.guarded(slot, now, |_| ()), None);
}

#[test]
fn a_session_that_panics_over_a_transcoded_packet_is_ended_and_the_other_goes_on() {
    let now = Instant::now();
    let mut relay = relay([Codec::Pcmu, Codec::Pcma], now);
    for session in [ONE, TWO] {
        say(&mut relay, session, 0, now);
    }
    break_hearer(&mut relay, ONE);
    let (sent, released, events) = outputs(&mut relay);
    assert_eq!((sent, released, events.last()), ([0, 1], 2, Some(&Event::Broken { session: ONE })));
    relay.handle_timeout(now + Duration::from_millis(20));
    assert_eq!(outputs(&mut relay), ([0, 1], 0, vec![]));
}

#[test]
fn a_session_that_panics_over_a_tone_is_ended_and_every_other_hears_its_own() {
    let now = Instant::now();
    for broken in [ONE, TWO] {
        let mut relay = relay([Codec::Pcmu, Codec::Pcma], now);
        for session in [ONE, TWO] {
            let sound = Playback { sound: Sound::Ringback, gives_way: false, lasts: None };
            let (termination, play) = (HEARER, PlayId(1));
            relay.handle_command(Command::Play { session, termination, play, sound }, now);
        }
        break_hearer(&mut relay, broken);
        relay.handle_timeout(now);
        let sent = if broken == ONE { [0, 1] } else { [1, 0] };
        assert_eq!(outputs(&mut relay), (sent, 2, vec![Event::Broken { session: broken }]));
        relay.handle_timeout(now + Duration::from_millis(20));
        assert_eq!(outputs(&mut relay), (sent, 0, vec![]));
    }
}
