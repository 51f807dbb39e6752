//! One UDP socket.

use super::{LocalAddresses, Received};
use sip_core::{Flow, Transport};
use socket2::{Domain, Protocol, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// A bound socket with the task that reads it.
pub(super) struct Socket {
    socket: Arc<UdpSocket>,
    bound: SocketAddr,
}

/// The largest datagram there is (RFC 768).
const DATAGRAM_MAX: usize = 65_535;
/// What the kernel is asked to hold for us in a burst, in octets.
const BUFFER: usize = 4 << 20;

impl Socket {
    pub(super) async fn bind(
        address: SocketAddr,
        local: LocalAddresses,
        received: mpsc::Sender<Received>,
    ) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        // A wish: the kernel may give less.
        let _ = socket.set_recv_buffer_size(BUFFER);
        socket.bind(&address.into())?;
        let socket = Arc::new(UdpSocket::from_std(socket.into())?);
        let bound = socket.local_addr()?;
        tokio::spawn(read(Arc::clone(&socket), bound, local, received));
        Ok(Self { socket, bound })
    }

    pub(super) const fn bound(&self) -> SocketAddr {
        self.bound
    }

    /// Sends now or not at all: what is lost is sent again by the transaction (RFC 3261 §17).
    pub(super) fn send(&self, remote: SocketAddr, octets: &[u8]) {
        if let Err(error) = self.socket.try_send_to(octets, remote) {
            tracing::debug!(%remote, %error, "a datagram could not be sent");
        }
    }
}

async fn read(
    socket: Arc<UdpSocket>,
    bound: SocketAddr,
    mut local: LocalAddresses,
    received: mpsc::Sender<Received>,
) {
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        let (length, remote) = tokio::select! {
            () = received.closed() => return,
            // An error is one datagram's (an ICMP answer to what was sent before), not the socket's.
            read = socket.recv_from(&mut buffer) => match read {
                Ok(read) => read,
                Err(_) => continue,
            },
        };
        let flow = Flow { transport: Transport::Udp, local: local.facing(bound, remote.ip()), remote };
        let octets = buffer[..length].to_vec();
        if received.send(Received::Octets { flow, octets }).await.is_err() {
            return;
        }
    }
}
