//! Where messages come from and go to.

use sha2::{Digest, Sha256};
use sip_message::Transport;
use std::net::SocketAddr;

/// A way between us and one far address: the pair of addresses that a datagram or a connection uses
/// (a "flow", RFC 5626 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// Over what.
    pub transport: Transport,
    /// Our address as the far side sees it: never unspecified. Goes into Via and Contact. For a connection
    /// that we opened or that was accepted: the listening address, so that it can be reached again.
    pub local: SocketAddr,
    /// The address of the far side: source of its datagrams, far end of the connection.
    pub remote: SocketAddr,
    /// Who the far side has proved to be before anything was said to it (RFC 5922 §7.3); absent where nobody asked, as of
    /// a phone that has connected to us. Two flows that differ in it alone are two connections.
    pub peer: Option<PeerId>,
}

impl Flow {
    /// Whether both lead to one far end: the same connection, or datagrams to the same place, from whichever of our
    /// addresses.
    pub fn has_far_end_of(&self, other: &Self) -> bool {
        let far_end = |flow: &Self| (flow.transport, flow.remote, flow.peer);
        far_end(self) == far_end(other)
    }
}

/// Names one whose certificate is looked at. Whoever opens connections knows the name that it has to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u64);

impl PeerId {
    /// The same for the same name in every process: flows are kept on disk.
    pub fn of(name: &str) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(name));
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}
