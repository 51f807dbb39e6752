//! The ways that lead out: from which of our sockets an address can be reached.

use super::LocalAddresses;
use locating::Families;
use sip_core::{Flow, PeerId, Transport};
use std::net::{IpAddr, SocketAddr};

/// The sockets as they are bound.
#[derive(Debug, Clone)]
pub(crate) struct Ways {
    bound: Vec<(Transport, SocketAddr)>,
    external: Option<IpAddr>,
}

impl Ways {
    pub(crate) const fn new(bound: Vec<(Transport, SocketAddr)>, external: Option<IpAddr>) -> Self {
        Self { bound, external }
    }

    /// The transports that are spoken.
    pub(crate) fn transports(&self) -> Vec<Transport> {
        let is_bound = |transport: &Transport| self.bound.iter().any(|(bound, _)| bound == transport);
        Transport::ALL.into_iter().filter(is_bound).collect()
    }

    pub(crate) fn families(&self) -> Families {
        let has = |is_v4| self.bound.iter().any(|(_, address)| address.is_ipv4() == is_v4);
        Families { ipv4: has(true), ipv6: has(false) }
    }

    /// The way to `remote`, who over TLS has to be `peer`; `None` when no socket leads there.
    pub(crate) fn to(&self, transport: Transport, remote: SocketAddr, peer: PeerId) -> Option<Flow> {
        let fits = |bound: &&(Transport, SocketAddr)| {
            bound.0 == transport
                && bound.1.is_ipv4() == remote.is_ipv4()
                // From loopback nobody else is reached, and the other way round.
                && (bound.1.ip().is_unspecified() || bound.1.ip().is_loopback() == remote.ip().is_loopback())
        };
        let (_, bound) = self.bound.iter().find(fits)?;
        let local = LocalAddresses::new(self.external).facing(*bound, None, remote.ip());
        let peer = match transport {
            Transport::Tls => Some(peer),
            Transport::Udp | Transport::Tcp => None,
        };
        Some(Flow { transport, local, remote, peer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_way_has_the_socket_of_its_family_that_leads_there() {
        let bound = vec![
            (Transport::Udp, address("127.0.0.1:5060")),
            (Transport::Udp, address("192.0.2.1:5070")),
            (Transport::Tcp, address("[::1]:5060")),
            (Transport::Tls, address("[::1]:5061")),
        ];
        let ways = Ways::new(bound, Some(IpAddr::from([203, 0, 113, 7])));
        let way = |transport, remote| ways.to(transport, address(remote), PeerId(3));
        let local = |transport, remote| way(transport, remote).map(|flow| flow.local);
        assert_eq!(local(Transport::Udp, "127.0.0.9:5060"), Some(address("127.0.0.1:5060")));
        assert_eq!(local(Transport::Udp, "198.51.100.1:5060"), Some(address("203.0.113.7:5070")));
        assert_eq!(local(Transport::Tcp, "198.51.100.1:5060"), None);
        assert_eq!(local(Transport::Tcp, "[::1]:5080"), Some(address("[::1]:5060")));
        let peer = |transport| way(transport, "[::1]:5080").and_then(|flow| flow.peer);
        assert_eq!((peer(Transport::Tcp), peer(Transport::Tls)), (None, Some(PeerId(3))));
        assert_eq!(ways.families(), Families { ipv4: true, ipv6: true });
    }
}
