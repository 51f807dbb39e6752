//! With whom a message was exchanged.

use sip_message::Transport;
use std::net::SocketAddr;

/// A phone as the network shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FarEnd {
    /// Over what it is reached.
    pub transport: Transport,
    /// The source of its datagrams, or the far end of its connection.
    pub address: SocketAddr,
}
