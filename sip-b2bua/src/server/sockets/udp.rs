//! One UDP socket.

use super::{LocalAddresses, Received};
use sip_core::{Flow, Transport};
use socket2::{Domain, Protocol, Type};

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::Interest;
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
        #[cfg(target_os = "linux")]
        refusals::ask_for(&socket, address)?;
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
        // The first error may be of a datagram that was sent before, and says nothing of this one.
        let sent =
            self.socket.try_send_to(octets, remote).or_else(|_| self.socket.try_send_to(octets, remote));
        if let Err(error) = sent {
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
    let mut flow_of = |remote: SocketAddr| {
        let local = local.facing(bound, remote.ip());
        Flow { transport: Transport::Udp, local, remote, peer: None }
    };
    loop {
        let ready = tokio::select! {
            () = received.closed() => return,
            ready = socket.ready(Interest::READABLE | Interest::ERROR) => ready,
        };
        if ready.is_ok_and(|ready| ready.is_error()) {
            for remote in refused_by(&socket) {
                if received.send(Received::Closed(flow_of(remote))).await.is_err() {
                    return;
                }
            }
        }
        // An error is one datagram's (an ICMP answer to what was sent before), not the socket's.
        while let Ok((length, remote)) = socket.try_recv_from(&mut buffer) {
            let octets = buffer[..length].to_vec();
            if received.send(Received::Octets { flow: flow_of(remote), octets }).await.is_err() {
                return;
            }
        }
    }
}

/// Those that nobody listens at, as the network says.
fn refused_by(socket: &UdpSocket) -> Vec<SocketAddr> {
    let take = || {
        #[cfg(target_os = "linux")]
        let refused = refusals::take(socket);
        #[cfg(not(target_os = "linux"))]
        let refused = Vec::new();
        // With nothing left the socket is waited for again.
        if refused.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(refused) }
    };
    socket.try_io(Interest::ERROR, take).unwrap_or_default()
}

/// What ICMP says of datagrams that were sent (RFC 1122 §4.1.3.3). Linux keeps it beside the socket, with the address that
/// each was sent to.
#[cfg(target_os = "linux")]
mod refusals {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
    use std::io::{self, IoSliceMut};
    use std::net::SocketAddr;
    use std::os::fd::AsRawFd;

    /// Taken in one go; the next error of the socket brings the others.
    const MOST: usize = 64;

    pub(super) fn ask_for(socket: &socket2::Socket, address: SocketAddr) -> io::Result<()> {
        match address {
            SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4RecvErr, &true)?,
            SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvErr, &true)?,
        }
        Ok(())
    }

    pub(super) fn take(socket: &tokio::net::UdpSocket) -> Vec<SocketAddr> {
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let mut refused = Vec::new();
        for _ in 0..MOST {
            let mut begin = [0; 1];
            let mut parts = [IoSliceMut::new(&mut begin)];
            let mut control = nix::cmsg_space!(nix::libc::sock_extended_err, nix::libc::sockaddr_in6);
            let message =
                recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags);
            let Ok(message) = message else { break };
            let errors = message.cmsgs().into_iter().flatten().filter_map(error_of);
            // Others may pass by themselves: a route that is being changed, a message that was too long.
            let is_refused =
                errors.map(|error| error.ee_errno).any(|code| code == nix::libc::ECONNREFUSED as u32);
            let to = message.address.and_then(|address| read(&address));
            refused.extend(to.filter(|_| is_refused));
        }
        refused
    }

    fn error_of(control: ControlMessageOwned) -> Option<nix::libc::sock_extended_err> {
        if let ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) =
            control
        {
            return Some(error);
        }
        None
    }

    fn read(address: &SockaddrStorage) -> Option<SocketAddr> {
        let v4 = address.as_sockaddr_in().map(|address| SocketAddr::from((address.ip(), address.port())));
        v4.or_else(|| {
            address.as_sockaddr_in6().map(|address| SocketAddr::from((address.ip(), address.port())))
        })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_port_that_nobody_listens_at_is_told_of_and_the_others_go_on() {
        let (received, mut told) = mpsc::channel(8);
        let any = "127.0.0.1:0".parse().unwrap();
        let socket = Socket::bind(any, LocalAddresses::new(None), received).await.unwrap();
        // A port that was just given back is nobody's.
        let gone = std::net::UdpSocket::bind(any).unwrap().local_addr().unwrap();
        socket.socket.writable().await.unwrap();
        socket.send(gone, b"anybody there?");
        let first = tokio::time::timeout(Duration::from_secs(5), told.recv()).await.unwrap();
        let Some(Received::Closed(flow)) = first else { panic!("{first:?}") };
        assert_eq!((flow.remote, flow.local), (gone, socket.bound()));
        let peer = std::net::UdpSocket::bind(any).unwrap();
        peer.send_to(b"hello", socket.bound()).unwrap();
        let next = tokio::time::timeout(Duration::from_secs(5), told.recv()).await.unwrap();
        assert!(matches!(next, Some(Received::Octets { .. })), "{next:?}");
    }
}
