//! What the relay says to signalling.

use crate::side::{SessionId, Side};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The ports of both sides are bound: `[Side::One, Side::Two]`, each on the local address that was asked
    /// for.
    Opened {
        /// Which session.
        session: SessionId,
        /// Where RTP is received; RTCP on the port above.
        rtp: [SocketAddr; 2],
    },
    /// No ports; the session does not exist any more.
    OpenFailed {
        /// Which session.
        session: SessionId,
        /// Why.
        reason: OpenError,
    },
    /// The first RTP packet of a side was accepted.
    FirstPacket {
        /// Which session.
        session: SessionId,
        /// Who sent it.
        side: Side,
        /// When it came.
        at: Instant,
    },
    /// No RTP for `silence_timeout` from a side that should send. Once, until it sends again.
    Silent {
        /// Which session.
        session: SessionId,
        /// Who is silent.
        side: Side,
    },
    /// The session is closed; its last figures.
    Closed {
        /// Which session.
        session: SessionId,
        /// `[Side::One, Side::Two]`.
        statistics: [Statistics; 2],
    },
    /// A fault of the relay: the session does not exist any more, its ports rest.
    Broken {
        /// Which session.
        session: SessionId,
    },
    /// Answer to `Command::Report`.
    Report {
        /// Which session.
        session: SessionId,
        /// `[Side::One, Side::Two]`.
        statistics: [Statistics; 2],
    },
}

/// Why a session has no ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// All are taken, or none of those tried could be bound.
    #[error("no media port is free")]
    NoPortFree,
    /// It is none of this host, or not permitted.
    #[error("the address cannot be bound")]
    AddressNotUsable,
}

/// What came from and went to one side.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Statistics {
    /// RTP packets accepted from the party.
    pub packets_received: u64,
    /// Octets of these, RTP headers included.
    pub octets_received: u64,
    /// RTP packets sent to the party: the other party's and the server's own sounds.
    pub packets_sent: u64,
    /// Expected but not received (RFC 3550 A.3).
    pub packets_lost: u64,
    /// Interarrival jitter (RFC 3550 A.8) in milliseconds.
    pub jitter_ms: f64,
    /// To the party and back, by its reports about what was forwarded to it (RFC 3550 §6.4.1).
    pub round_trip: Option<Duration>,
    /// Dropped because they came from elsewhere than the party.
    pub packets_from_strangers: u64,
    /// Dropped because they are no RTP or RTCP (RFC 3550 A.1, A.2).
    pub packets_malformed: u64,
    /// Received, but of a payload type that was not agreed: not forwarded.
    pub packets_not_agreed: u64,
    /// When the first packet was accepted.
    pub first_packet_at: Option<Instant>,
}
