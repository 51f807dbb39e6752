//! UDP, TCP and TLS sockets: octets in with the flow they came along, octets out along a flow.

mod connections;
mod local;
mod spoken_to;
mod udp;
mod ways;

use crate::settings::Settings;
use connections::{Connections, Security};
use local::LocalAddresses;
use sip_core::{Flow, Transport};
use sip_message::FramingError;
use spoken_to::SpokenTo;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::sync::mpsc;
pub(crate) use ways::Ways;

/// What the sockets report.
#[derive(Debug)]
pub(crate) enum Received {
    /// A datagram, or a message out of a stream.
    Octets { flow: Flow, octets: Vec<u8> },
    /// A stream whose messages cannot be told apart any more; its connection is about to be closed.
    Unframed { flow: Flow, error: FramingError },
    /// A connection was closed, or could not be opened; or nobody listens where a datagram was sent to.
    Closed(Flow),
    /// No connection came about, and why, for people; `Closed` follows.
    Unreached { flow: Flow, why: Box<str> },
}

/// Messages that wait for the signalling loop; beyond it the sockets are not read, and the kernel drops datagrams.
pub(crate) const RECEIVE_QUEUE: usize = 4096;

/// What comes over IPv4 to a socket for both has an address of IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        // With the link that it is of.
        IpAddr::V6(_) => address,
    }
}

/// All sockets.
pub(crate) struct Sockets {
    udp: Vec<udp::Socket>,
    spoken_to: SpokenTo,
    connections: Connections,
    bound: Vec<(Transport, SocketAddr)>,
}

impl Sockets {
    /// Binds every address.
    ///
    /// # Errors
    /// The first address that cannot be bound.
    pub(crate) async fn bind(
        settings: &Settings,
        received: &mpsc::Sender<Received>,
    ) -> Result<Self, (Transport, SocketAddr, io::Error)> {
        let security = Arc::new(Security::new(settings));
        let connections = Connections::new(received.clone(), settings.sockets.connections, security);
        let spoken_to = SpokenTo::default();
        let mut sockets = Self { udp: Vec::new(), spoken_to, connections, bound: Vec::new() };
        for (transport, address) in settings.listen.iter().copied() {
            let local = LocalAddresses::new(settings.external_address);
            let bound = match transport {
                Transport::Udp => {
                    let spoken_to = sockets.spoken_to.clone();
                    udp::Socket::bind(address, (local, spoken_to), received.clone()).await.map(|socket| {
                        let bound = socket.bound();
                        sockets.udp.push(socket);
                        bound
                    })
                }
                Transport::Tcp | Transport::Tls => {
                    sockets.connections.listen(transport, address, local).await
                }
            };
            let bound = bound.map_err(|error| (transport, address, error))?;
            sockets.bound.push((transport, bound));
        }
        Ok(sockets)
    }

    /// The sockets as they were bound, real ports in.
    pub(crate) fn bound(&self) -> &[(Transport, SocketAddr)] {
        &self.bound
    }

    /// Sends along `flow`. What cannot be sent is reported as `Received::Closed` (TCP, TLS) or lost (UDP).
    pub(crate) fn send(&mut self, flow: Flow, octets: Vec<u8>) {
        match flow.transport {
            Transport::Tcp | Transport::Tls => self.connections.send(flow, octets),
            Transport::Udp => {
                let local = self.spoken_to.along(flow).unwrap_or(flow.local);
                let flow = Flow { local, ..flow };
                let bound = ways::bound_for(flow, self.udp.iter().map(udp::Socket::bound));
                if let Some(socket) = self.udp.iter().find(|socket| Some(socket.bound()) == bound) {
                    socket.send(flow, &octets);
                }
            }
        }
    }

    /// What came along `flow`, of so many octets, has been handled.
    pub(crate) fn handled(&mut self, flow: Flow, octets: usize) {
        if flow.transport.is_reliable() {
            self.connections.handled(flow, octets);
        }
    }

    /// A phone of `user` has logged in along `flow`.
    pub(crate) fn trust(&mut self, flow: Flow, user: &str) {
        if flow.transport.is_reliable() {
            self.connections.trust(flow, user);
        }
    }

    /// Nobody answers along this flow any more: its connection is given up.
    pub(crate) fn close(&mut self, flow: Flow) {
        if flow.transport.is_reliable() {
            self.connections.close(flow);
        }
    }

    /// The connection of this flow is closed.
    pub(crate) fn closed(&mut self, flow: Flow) {
        if flow.transport.is_reliable() {
            self.connections.closed(flow);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn whoever_is_told_the_external_address_is_answered_from_the_one_that_it_speaks_to() {
        let (received, _receiver) = mpsc::channel(8);
        let spoken_to = SpokenTo::default();
        let mut udp = Vec::new();
        for address in ["127.0.0.8:0", "127.0.0.9:0", "0.0.0.0:0"] {
            let addresses = (LocalAddresses::new(None), spoken_to.clone());
            let socket = udp::Socket::bind(address.parse().unwrap(), addresses, received.clone());
            udp.push(socket.await.unwrap());
        }
        let bound: Vec<SocketAddr> = udp.iter().map(udp::Socket::bound).collect();
        let connections = Connections::new(received, 1, Arc::default());
        let mut sockets = Sockets { udp, spoken_to, connections, bound: Vec::new() };
        let peer = tokio::net::UdpSocket::bind("127.0.0.3:0").await.unwrap();
        let (external, remote) = (IpAddr::from([203, 0, 113, 7]), peer.local_addr().unwrap());
        let any = SocketAddr::from(([127, 0, 0, 7], bound[2].port()));
        for own in [bound[1], bound[0], any] {
            let local = SocketAddr::new(external, own.port());
            let flow = Flow { transport: Transport::Udp, local, remote, peer: None };
            sockets.spoken_to.note(flow, own);
            let (said, mut octets, mut source) = (own.to_string(), [0; 32], None);
            // A socket that has just been made may not be known to take anything yet.
            for _ in 0..50 {
                sockets.send(flow, said.clone().into_bytes());
                let came = timeout(Duration::from_millis(200), peer.recv_from(&mut octets)).await;
                if let Ok(Ok((length, from))) = came
                    && octets[..length] == *said.as_bytes()
                {
                    source = Some(from);
                    break;
                }
            }
            assert_eq!(source, Some(own));
        }
    }
}
