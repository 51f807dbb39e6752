//! Where messages come from and go to.

use std::net::SocketAddr;

/// A transport protocol (RFC 3261 §18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams: messages may be lost, doubled and overtake each other.
    Udp,
    /// A stream: nothing is sent twice by a transaction, 2xx apart.
    Tcp,
}

impl Transport {
    /// Tells whether transactions need not repeat what they send (RFC 3261 §17).
    pub const fn is_reliable(self) -> bool {
        matches!(self, Self::Tcp)
    }

    /// As it stands in a Via.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }
}

/// A way between us and one far address: the pair of addresses that a datagram or a connection uses
/// (a "flow", RFC 5626 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// UDP or TCP.
    pub transport: Transport,
    /// Our address as the far side sees it: never unspecified. Goes into Via and Contact. For a TCP connection
    /// that we opened or that was accepted: the listening address, so that it can be reached again.
    pub local: SocketAddr,
    /// The address of the far side: source of its datagrams, far end of the connection.
    pub remote: SocketAddr,
}
