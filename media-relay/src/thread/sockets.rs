//! The sockets of the relay, two for each termination.

use crate::relay::BindError;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

/// Sockets by local port; the port is also the token of readiness.
#[derive(Debug)]
pub(crate) struct Sockets {
    registry: Registry,
    by_port: Vec<Option<UdpSocket>>,
}

impl Sockets {
    pub(crate) fn new(registry: Registry) -> Self {
        Self { registry, by_port: std::iter::repeat_with(|| None).take(1 << 16).collect() }
    }

    /// Binds `port` and the one above, or neither.
    pub(crate) fn bind(&mut self, address: IpAddr, port: u16) -> Result<(), BindError> {
        let above = port.checked_add(1).ok_or(BindError::PortTaken)?;
        let pair = [(port, self.bound(address, port)?), (above, self.bound(address, above)?)];
        for (port, socket) in pair {
            self.by_port[usize::from(port)] = Some(socket);
        }
        Ok(())
    }

    /// Closes `port` and the one above.
    pub(crate) fn release(&mut self, port: u16) {
        for port in [Some(port), port.checked_add(1)].into_iter().flatten() {
            if let Some(mut socket) = self.by_port[usize::from(port)].take() {
                // A socket that is closed is not watched any more, whatever the answer.
                let _ = self.registry.deregister(&mut socket);
            }
        }
    }

    /// The next datagram of `port`; an empty answer when there is none or the port is closed.
    pub(crate) fn receive(&self, port: u16, buffer: &mut [u8]) -> Received {
        let Some(socket) = &self.by_port[usize::from(port)] else { return Received::Nothing };
        match socket.recv_from(buffer) {
            Ok((length, source)) => Received::Datagram(length, source),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Received::Nothing,
            // The echo of a datagram that could not be delivered; the next one may be there.
            Err(_) => Received::Failure,
        }
    }

    /// Sends, or loses the packet as a network would: a full buffer or an unreachable party is no reason to
    /// wait. `false`: it is lost.
    pub(crate) fn send(&self, port: u16, to: SocketAddr, octets: &[u8]) -> bool {
        self.by_port[usize::from(port)].as_ref().is_some_and(|socket| socket.send_to(octets, to).is_ok())
    }

    fn bound(&self, address: IpAddr, port: u16) -> Result<UdpSocket, BindError> {
        let mut socket = bound_socket(SocketAddr::new(address, port)).map_err(|error| reason(&error))?;
        let token = Token(usize::from(port));
        self.registry.register(&mut socket, token, Interest::READABLE).map_err(|error| reason(&error))?;
        Ok(socket)
    }
}

/// What came from a socket.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Received {
    Datagram(usize, SocketAddr),
    Failure,
    Nothing,
}

fn bound_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // Expedited forwarding (RFC 3246); where it is not permitted the packets go as others do.
    let _ = match address {
        SocketAddr::V4(_) => socket.set_tos_v4(EXPEDITED),
        SocketAddr::V6(_) => socket.set_only_v6(true).and_then(|()| socket.set_tclass_v6(EXPEDITED)),
    };
    // Whatever the system's default is: enough for the thread to be late, and no more that a flood could fill.
    let _ =
        socket.set_recv_buffer_size(BUFFER_OCTETS).and_then(|()| socket.set_send_buffer_size(BUFFER_OCTETS));
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(UdpSocket::from_std(socket.into()))
}

fn reason(error: &io::Error) -> BindError {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => BindError::NoDescriptor,
        _ if error.kind() == ErrorKind::AddrInUse => BindError::PortTaken,
        _ => BindError::AddressNotUsable,
    }
}

/// DSCP 46 in the upper six bits.
const EXPEDITED: u32 = 46 << 2;
/// About 200 packets of 20 ms as the kernel counts them.
const BUFFER_OCTETS: usize = 128 * 1024;
