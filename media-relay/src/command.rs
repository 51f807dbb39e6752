//! What signalling says to the relay.

use crate::side::{SessionId, Side};
use audio::{Codec, TonePlan};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

/// What signalling asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Bind two port pairs, one on each local address (`[Side::One, Side::Two]`). Answered by
    /// [`Event::Opened`](crate::Event::Opened) or [`Event::OpenFailed`](crate::Event::OpenFailed).
    Open {
        /// A session that was never used before.
        session: SessionId,
        /// Local addresses.
        local: [IpAddr; 2],
    },
    /// What was agreed with one side, for the first time or again. Learning of its address starts anew; if it is the
    /// same address again, what was learnt holds until something else is.
    Describe {
        /// Which session.
        session: SessionId,
        /// Which side.
        side: Side,
        /// What was agreed.
        description: Description,
    },
    /// Play to a side until `Stop`, `Connect` or `Close`. What plays already goes on. After `Connect` it takes the
    /// place of the other party until `Stop`.
    Play {
        /// Which session.
        session: SessionId,
        /// Who hears it.
        side: Side,
        /// What is played.
        sound: Sound,
    },
    /// Stop playing to a side.
    Stop {
        /// Which session.
        session: SessionId,
        /// Who heard it.
        side: Side,
    },
    /// Forward what comes from this side, and nothing to it, until `Connect`. What plays to the other side gives way
    /// to the first packet and returns one second after the last. Another `Listen` takes its place.
    Listen {
        /// Which session.
        session: SessionId,
        /// Who is heard.
        side: Side,
    },
    /// Forward between both sides from now on; sounds stop.
    Connect {
        /// Which session.
        session: SessionId,
    },
    /// Say the figures: [`Event::Report`](crate::Event::Report).
    Report {
        /// Which session.
        session: SessionId,
    },
    /// End the session: [`Event::Closed`](crate::Event::Closed). Its ports rest before they are used again.
    Close {
        /// Which session.
        session: SessionId,
    },
}

impl Command {
    /// The session that it speaks of.
    pub fn session(&self) -> SessionId {
        match self {
            Self::Open { session, .. }
            | Self::Describe { session, .. }
            | Self::Play { session, .. }
            | Self::Stop { session, .. }
            | Self::Listen { session, .. }
            | Self::Connect { session }
            | Self::Report { session }
            | Self::Close { session } => *session,
        }
    }
}

/// What offer and answer agreed on for one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Where the party wants RTP, as its SDP says. An unspecified address: it wants none (hold).
    pub rtp: SocketAddr,
    /// Where it wants RTCP; equal to `rtp` when both share a port (RFC 5761).
    pub rtcp: SocketAddr,
    /// Where its signalling comes from: the only other address that may be learnt (phones behind NAT).
    pub signalling: IpAddr,
    /// What both send.
    pub codec: Codec,
    /// Payload type that this party uses, both ways.
    pub payload_type: u8,
    /// Payload type of telephone-event with the clock rate of the codec, if agreed.
    pub telephone_event: Option<u8>,
    /// May it be sent to.
    pub receives: bool,
    /// Is it expected to send.
    pub sends: bool,
    /// It sends nothing while nobody speaks: its silence says nothing.
    pub suppresses_silence: bool,
}

impl Description {
    /// Do RTP and RTCP share a port?
    pub(crate) fn is_multiplexed(&self) -> bool {
        self.rtp == self.rtcp
    }
}

/// A sound of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sound {
    /// The other party is being rung.
    Ringback,
}

/// What a relay needs to know from the beginning.
#[derive(Debug, Clone)]
pub struct Config {
    /// RTP takes the even ports, RTCP the odd ones above (RFC 3550 §11).
    pub ports: RangeInclusive<u16>,
    /// Tone that `Sound::Ringback` plays.
    pub ringback: TonePlan,
    /// No RTP for so long from a side that should send: `Event::Silent`.
    pub silence_timeout: Duration,
    /// A port that was closed is not used again for so long.
    pub port_rest: Duration,
    /// Seed of SSRCs, first sequence numbers and timestamps.
    pub seed: [u8; 32],
}
