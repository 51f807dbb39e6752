//! What the relay says to signalling.

use crate::names::{PlayId, SessionId, TerminationId};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The ports of a termination are bound on the local address that was asked for.
    Added {
        /// Which session.
        session: SessionId,
        /// Which termination.
        termination: TerminationId,
        /// Where RTP is received; RTCP on the port above.
        rtp: SocketAddr,
    },
    /// No ports: there is no such termination.
    NotAdded {
        /// Which session.
        session: SessionId,
        /// Which termination.
        termination: TerminationId,
        /// Why.
        reason: OpenError,
    },
    /// The first RTP packet was accepted.
    FirstPacket {
        /// Which session.
        session: SessionId,
        /// Whose.
        termination: TerminationId,
        /// When it came.
        at: Instant,
    },
    /// A digit begins (RFC 4733): once, however many packets tell of it.
    Digit {
        /// Which session.
        session: SessionId,
        /// Who keyed it.
        termination: TerminationId,
        /// The event code: 0 to 9, 10 for `*`, 11 for `#`, 12 to 15 for A to D (RFC 4733 §3.2).
        code: u8,
    },
    /// A sound has come to its end: its time is over, or the last of its keys has been sent. Of keys that find no room
    /// behind others only those are sent that do; if none does, this is told at once.
    Played {
        /// Which session.
        session: SessionId,
        /// Who has heard it.
        termination: TerminationId,
        /// Its name.
        play: PlayId,
    },
    /// No RTP for `silence_timeout` from a phone that should send. Once, until it sends again.
    Silent {
        /// Which session.
        session: SessionId,
        /// Who is silent.
        termination: TerminationId,
    },
    /// A termination is out of its session, and its ports are closed.
    Removed {
        /// Which session.
        session: SessionId,
        /// Which termination.
        termination: TerminationId,
        /// Its last figures.
        statistics: Statistics,
    },
    /// A termination goes on in another session; its events come from there.
    Moved {
        /// Where it is now.
        session: SessionId,
        /// Its name there.
        termination: TerminationId,
    },
    /// The session is closed; its last figures.
    Closed {
        /// Which session.
        session: SessionId,
        /// Of each termination that was still in it.
        statistics: Vec<(TerminationId, Statistics)>,
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
        /// Of each termination.
        statistics: Vec<(TerminationId, Statistics)>,
    },
}

/// Why a termination has no ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// All are in use, at rest, or another program's.
    #[error("no media port is free")]
    NoPortFree {
        /// When one will have rested, if one rests.
        free_in: Option<Duration>,
    },
    /// The process may not open more files and sockets.
    #[error("no descriptor is left for a socket")]
    NoDescriptor,
    /// It is none of this host, or not permitted.
    #[error("the address cannot be bound")]
    AddressNotUsable,
}

/// What came from and went to one phone.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Statistics {
    /// RTP packets accepted from the phone.
    pub packets_received: u64,
    /// Octets of these, RTP headers included.
    pub octets_received: u64,
    /// RTP packets sent to the phone: those of whom it hears and the server's own sounds.
    pub packets_sent: u64,
    /// Expected but not received (RFC 3550 A.3).
    pub packets_lost: u64,
    /// Interarrival jitter (RFC 3550 A.8) in milliseconds.
    pub jitter_ms: f64,
    /// To the phone and back, by its reports about what was forwarded to it (RFC 3550 §6.4.1).
    pub round_trip: Option<Duration>,
    /// Dropped because they came from elsewhere than the phone.
    pub packets_from_strangers: u64,
    /// From where these came: the first addresses of them.
    pub strangers: [Option<IpAddr>; STRANGERS_MAX],
    /// Dropped because they are no RTP or RTCP (RFC 3550 A.1, A.2).
    pub packets_malformed: u64,
    /// Received, but of a payload type that was not agreed: not forwarded.
    pub packets_not_agreed: u64,
    /// When the first packet was accepted.
    pub first_packet_at: Option<Instant>,
}

/// Addresses of strangers that are told.
pub(crate) const STRANGERS_MAX: usize = 4;
