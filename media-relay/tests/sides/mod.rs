//! Sessions of two terminations.

#![allow(dead_code, reason = "each test file uses some of it")]

use audio::Codec;
use media_relay::{
    Command, Description, Event, Payload, Payloads, PlayId, Playback, SessionId, Sound, Statistics,
    TerminationId, Topology,
};
use std::net::{IpAddr, SocketAddr};

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    One,
    Two,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::One, Self::Two];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::One => Self::Two,
            Self::Two => Self::One,
        }
    }

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::One => 0,
            Self::Two => 1,
        }
    }

    pub(crate) const fn id(self) -> TerminationId {
        TerminationId(self.index() as u16 + 1)
    }

    pub(crate) fn of(id: TerminationId) -> Self {
        if id == Self::One.id() { Self::One } else { Self::Two }
    }
}

pub(crate) fn open(session: SessionId, local: [IpAddr; 2]) -> [Command; 2] {
    Side::BOTH.map(|side| Command::Add { session, termination: side.id(), local: local[side.index()] })
}

pub(crate) fn describe(session: SessionId, side: Side, description: Description) -> Command {
    Command::Describe { session, termination: side.id(), description }
}

/// The ringback, which gives way to whom the side hears.
pub(crate) fn play(session: SessionId, side: Side) -> Command {
    let sound = Playback { sound: Sound::Ringback, gives_way: true, lasts: None };
    Command::Play { session, termination: side.id(), play: PlayId(1), sound }
}

/// The ringback, which takes the place of whom the side hears.
pub(crate) fn play_over(session: SessionId, side: Side) -> Command {
    let sound = Playback { sound: Sound::Ringback, gives_way: false, lasts: None };
    Command::Play { session, termination: side.id(), play: PlayId(1), sound }
}

pub(crate) fn stop(session: SessionId, side: Side) -> Command {
    Command::Stop { session, termination: side.id(), play: PlayId(1) }
}

pub(crate) fn link(session: SessionId, topology: Topology) -> Command {
    Command::Link { session, one: Side::One.id(), other: Side::Two.id(), topology }
}

/// Each hears the other, and no sound.
pub(crate) fn connect(session: SessionId) -> [Command; 3] {
    [stop(session, Side::One), stop(session, Side::Two), link(session, Topology::BothWay)]
}

/// The other side hears this one.
pub(crate) fn listen(session: SessionId, side: Side) -> Command {
    let topology = Topology::OneWay;
    Command::Link { session, one: side.id(), other: side.other().id(), topology }
}

/// A codec, and telephone events of its clock rate.
pub(crate) fn payloads(codec: Codec, payload_type: u8, telephone_event: Option<u8>) -> Payloads {
    let event = Payload::TelephoneEvent { clock_rate: codec.clock_rate() };
    [(payload_type, Payload::Audio(codec))].into_iter().chain(telephone_event.map(|it| (it, event))).collect()
}

/// A phone at this address that speaks one codec, both ways.
pub(crate) fn described(
    rtp: SocketAddr,
    codec: Codec,
    payload_type: u8,
    telephone_event: Option<u8>,
) -> Description {
    let payloads = payloads(codec, payload_type, telephone_event);
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

/// Of a report.
pub(crate) fn both(event: Option<Event>) -> [Statistics; 2] {
    match event {
        Some(Event::Report { statistics, .. } | Event::Closed { statistics, .. }) => {
            [statistics[0].1, statistics[1].1]
        }
        other => panic!("no report: {other:?}"),
    }
}
