//! One UDP socket.

#[cfg(target_os = "linux")]
mod addressed;

use super::{LocalAddresses, Received, SpokenTo, canonical};
use sip_core::{Flow, Transport};
use socket2::{Domain, Protocol, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
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
        addresses: (LocalAddresses, SpokenTo),
        received: mpsc::Sender<Received>,
    ) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        // A wish: the kernel may give less.
        let _ = socket.set_recv_buffer_size(BUFFER);
        #[cfg(target_os = "linux")]
        refusals::ask_for(&socket, address)?;
        #[cfg(target_os = "linux")]
        if address.ip().is_unspecified() {
            addressed::ask_for(&socket, address)?;
        }
        socket.bind(&address.into())?;
        let socket = Arc::new(UdpSocket::from_std(socket.into())?);
        let bound = socket.local_addr()?;
        tokio::spawn(read(Arc::clone(&socket), bound, addresses, received));
        Ok(Self { socket, bound })
    }

    pub(super) const fn bound(&self) -> SocketAddr {
        self.bound
    }

    /// Sends now or not at all: what is lost is sent again by the transaction (RFC 3261 §17). A socket that has no address of
    /// its own sends from the one that the far side speaks to (RFC 3581 §4), as long as the host has it.
    pub(super) fn send(&self, flow: Flow, octets: &[u8]) {
        let source = self.bound.ip().is_unspecified().then(|| flow.local.ip());
        let sent = match self.try_twice(source, flow.remote, octets) {
            Err(error) if source.is_some() && is_of_source(&error) => {
                self.try_twice(None, flow.remote, octets)
            }
            sent => sent,
        };
        if let Err(error) = sent {
            tracing::debug!(remote = %flow.remote, %error, "a datagram could not be sent");
        }
    }

    /// The first error may be of a datagram that was sent before, and says nothing of this one.
    fn try_twice(&self, source: Option<IpAddr>, remote: SocketAddr, octets: &[u8]) -> io::Result<usize> {
        let send = || self.try_send(source, remote, octets);
        send().or_else(|_| send())
    }

    #[cfg(target_os = "linux")]
    fn try_send(&self, source: Option<IpAddr>, remote: SocketAddr, octets: &[u8]) -> io::Result<usize> {
        let remote = self.in_family(remote);
        let Some(source) = source else { return self.socket.try_send_to(octets, remote) };
        let source = self.in_family(SocketAddr::new(source, 0)).ip();
        self.socket.try_io(Interest::WRITABLE, || addressed::send(&self.socket, source, remote, octets))
    }

    #[cfg(not(target_os = "linux"))]
    fn try_send(&self, _source: Option<IpAddr>, remote: SocketAddr, octets: &[u8]) -> io::Result<usize> {
        self.socket.try_send_to(octets, self.in_family(remote))
    }

    /// An address of IPv4 as a socket of IPv6 has it.
    fn in_family(&self, address: SocketAddr) -> SocketAddr {
        match (self.bound, address.ip()) {
            (SocketAddr::V6(_), IpAddr::V4(ip)) => (ip.to_ipv6_mapped(), address.port()).into(),
            (SocketAddr::V4(_) | SocketAddr::V6(_), IpAddr::V4(_) | IpAddr::V6(_)) => address,
        }
    }
}

/// The address from which it was to be sent is not ours any more, or none from which this far one is reached.
fn is_of_source(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
    )
}

async fn read(
    socket: Arc<UdpSocket>,
    bound: SocketAddr,
    (mut local, spoken_to): (LocalAddresses, SpokenTo),
    received: mpsc::Sender<Received>,
) {
    let mut buffer = vec![0; DATAGRAM_MAX];
    let mut flow_of = |remote: SocketAddr, own: Option<IpAddr>| {
        let remote = canonical(remote);
        let local = local.facing(bound, own, remote.ip());
        Flow { transport: Transport::Udp, local, remote, peer: None }
    };
    loop {
        let ready = tokio::select! {
            () = received.closed() => return,
            ready = socket.ready(Interest::READABLE | Interest::ERROR) => ready,
        };
        if ready.is_ok_and(|ready| ready.is_error()) {
            for remote in refused_by(&socket) {
                if received.send(Received::Closed(flow_of(remote, None))).await.is_err() {
                    return;
                }
            }
        }
        // An error is one datagram's (an ICMP answer to what was sent before), not the socket's.
        while let Ok((length, remote, own)) = try_receive(&socket, &mut buffer) {
            let (flow, octets) = (flow_of(remote, own), buffer[..length].to_vec());
            let own = SocketAddr::new(own.unwrap_or_else(|| bound.ip()), bound.port());
            if own != flow.local && !own.ip().is_unspecified() {
                spoken_to.note(flow, own);
            }
            if received.send(Received::Octets { flow, octets }).await.is_err() {
                return;
            }
        }
    }
}

/// A datagram: its length, where it comes from, and our address that it came to where the system tells.
#[cfg(target_os = "linux")]
fn try_receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr, Option<IpAddr>)> {
    socket.try_io(Interest::READABLE, || addressed::receive(socket, buffer))
}

#[cfg(not(target_os = "linux"))]
fn try_receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr, Option<IpAddr>)> {
    let (length, remote) = socket.try_recv_from(buffer)?;
    Ok((length, remote, None))
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
            let to = message.address.and_then(|address| super::read_address(&address));
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
}

#[cfg(target_os = "linux")]
fn read_address(address: &nix::sys::socket::SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|address| SocketAddr::from(*address));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::from(*address)))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::time::Duration;

    fn addresses(external: Option<IpAddr>) -> (LocalAddresses, SpokenTo) {
        (LocalAddresses::new(external), SpokenTo::default())
    }

    #[tokio::test]
    async fn a_port_that_nobody_listens_at_is_told_of_and_the_others_go_on() {
        let (received, mut told) = mpsc::channel(8);
        let any = "127.0.0.1:0".parse().unwrap();
        let socket = Socket::bind(any, addresses(None), received).await.unwrap();
        // A port that was just given back is nobody's.
        let gone = std::net::UdpSocket::bind(any).unwrap().local_addr().unwrap();
        socket.socket.writable().await.unwrap();
        let local = socket.bound();
        socket.send(Flow { transport: Transport::Udp, local, remote: gone, peer: None }, b"anybody there?");
        let first = tokio::time::timeout(Duration::from_secs(5), told.recv()).await.unwrap();
        let Some(Received::Closed(flow)) = first else { panic!("{first:?}") };
        assert_eq!((flow.remote, flow.local), (gone, socket.bound()));
        let peer = std::net::UdpSocket::bind(any).unwrap();
        peer.send_to(b"hello", socket.bound()).unwrap();
        let next = tokio::time::timeout(Duration::from_secs(5), told.recv()).await.unwrap();
        assert!(matches!(next, Some(Received::Octets { .. })), "{next:?}");
    }

    fn loopback(last: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], port))
    }

    #[tokio::test]
    async fn each_datagram_is_answered_from_the_address_that_it_came_to() {
        for any in ["0.0.0.0:0", "[::]:0"] {
            let (received, mut told) = mpsc::channel(8);
            let external = Some(IpAddr::from([203, 0, 113, 7]));
            let socket = Socket::bind(any.parse().unwrap(), addresses(external), received);
            let socket = socket.await.unwrap();
            socket.socket.writable().await.unwrap();
            let (port, peer) = (socket.bound().port(), std::net::UdpSocket::bind("127.0.0.3:0").unwrap());
            peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            for spoken_to in [9, 8, 1] {
                peer.send_to(b"hello", loopback(spoken_to, port)).unwrap();
                let came = tokio::time::timeout(Duration::from_secs(5), told.recv()).await.unwrap();
                let Some(Received::Octets { flow, octets }) = came else { panic!("{came:?}") };
                assert_eq!(octets, b"hello");
                assert_eq!(
                    (flow.local, flow.remote),
                    (loopback(spoken_to, port), peer.local_addr().unwrap())
                );
                socket.send(flow, b"and you");
                let (_, source) = peer.recv_from(&mut [0; 16]).unwrap();
                assert_eq!(source, loopback(spoken_to, port));
            }
        }
    }

    #[tokio::test]
    async fn an_address_that_the_host_has_no_more_is_no_reason_not_to_send() {
        for (any, gone) in
            [("0.0.0.0:0", "203.0.113.7"), ("[::]:0", "203.0.113.7"), ("[::]:0", "2001:db8::7")]
        {
            let (received, _told) = mpsc::channel(8);
            let socket = Socket::bind(any.parse().unwrap(), addresses(None), received).await.unwrap();
            socket.socket.writable().await.unwrap();
            let peer = std::net::UdpSocket::bind("127.0.0.3:0").unwrap();
            peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let local = SocketAddr::new(gone.parse().unwrap(), 5060);
            let remote = peer.local_addr().unwrap();
            socket.send(Flow { transport: Transport::Udp, local, remote, peer: None }, b"hello");
            let (_, source) = peer.recv_from(&mut [0; 16]).unwrap();
            assert_eq!(source.port(), socket.bound().port(), "{any} {gone}");
        }
    }
}
