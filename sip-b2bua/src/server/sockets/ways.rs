//! The ways that lead out: from which of our sockets an address can be reached.

use super::{LocalAddresses, local};
use locating::Families;
use sip_core::{Flow, PeerId, Transport};
use std::cell::RefCell;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use tokio::sync::mpsc;

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

    /// Tells whenever the addresses of the host have become others, where that changes what anybody sees of us.
    pub(crate) fn changes(&self) -> mpsc::Receiver<()> {
        let (changed, changes) = mpsc::channel(1);
        if self.external.is_some() || self.bound.iter().any(|(_, bound)| bound.ip().is_unspecified()) {
            tokio::spawn(local::watch(changed));
        }
        changes
    }

    /// Brings ways that were kept up to date: our address may have changed since, or who is told the external one.
    pub(crate) fn renews(&self) -> impl Fn(Flow) -> Flow {
        let addresses = RefCell::new(LocalAddresses::new(self.external));
        move |flow| {
            let of_transport = self.bound.iter().filter(|(transport, _)| *transport == flow.transport);
            let Some(bound) = bound_for(flow, of_transport.map(|(_, bound)| *bound)) else { return flow };
            let spoken_to = Some(flow.local.ip()).filter(|ip| is_ours(*ip));
            Flow { local: addresses.borrow_mut().facing(bound, spoken_to, flow.remote.ip()), ..flow }
        }
    }
}

/// The socket that goes on with `flow`: the one that it has come to, else one that leads there. One for all addresses of IPv6
/// leads to those of IPv4, too.
pub(super) fn bound_for(flow: Flow, sockets: impl Iterator<Item = SocketAddr>) -> Option<SocketAddr> {
    let is_of_family = |bound: &SocketAddr| bound.is_ipv4() == flow.remote.is_ipv4();
    let leads = sockets.filter(|bound| is_of_family(bound) || bound.ip() == Ipv6Addr::UNSPECIFIED);
    leads.min_by_key(|bound| (*bound != flow.local, !is_of_family(bound), bound.port() != flow.local.port()))
}

/// Whether the host has this address.
fn is_ours(ip: IpAddr) -> bool {
    std::net::UdpSocket::bind((ip, 0)).is_ok()
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

    fn flow(local: &str, remote: &str) -> Flow {
        Flow { transport: Transport::Udp, local: address(local), remote: address(remote), peer: None }
    }

    #[test]
    fn a_way_goes_on_with_the_socket_that_it_has_come_to() {
        let all = ["10.0.0.1:5060", "10.0.0.2:5060", "10.0.0.2:5070", "[2001:db8::1]:5060"];
        let bound = |local, remote| bound_for(flow(local, remote), all.map(address).into_iter());
        for (local, remote, socket) in [
            ("10.0.0.2:5060", "192.0.2.1:5060", "10.0.0.2:5060"),
            ("203.0.113.7:5070", "192.0.2.1:5060", "10.0.0.2:5070"),
            ("203.0.113.7:5080", "192.0.2.1:5060", "10.0.0.1:5060"),
            ("10.0.0.1:5060", "[2001:db8::2]:5060", "[2001:db8::1]:5060"),
        ] {
            assert_eq!(bound(local, remote), Some(address(socket)), "{local} {remote}");
        }
        let v6 = |socket| bound_for(flow("192.0.2.2:5060", "192.0.2.1:5060"), [address(socket)].into_iter());
        assert_eq!(v6("[::]:5060"), Some(address("[::]:5060")));
        assert_eq!(v6("[2001:db8::1]:5060"), None);
    }

    #[test]
    fn a_way_that_was_kept_has_an_address_that_the_host_has_now() {
        let renewed = |bound: &str, external: Option<IpAddr>, local, remote| {
            let ways = Ways::new(vec![(Transport::Udp, address(bound))], external);
            ways.renews()(flow(local, remote)).local.to_string()
        };
        let external = Some(IpAddr::from([203, 0, 113, 7]));
        for (bound, external, local, remote, now) in [
            ("0.0.0.0:5060", None, "127.0.0.9:5060", "127.0.0.3:1", "127.0.0.9:5060"),
            ("0.0.0.0:5070", None, "127.0.0.9:5060", "127.0.0.3:1", "127.0.0.9:5070"),
            ("127.0.0.8:5060", None, "127.0.0.9:5060", "127.0.0.3:1", "127.0.0.8:5060"),
            ("127.0.0.8:5060", external, "203.0.113.7:5060", "127.0.0.3:1", "127.0.0.8:5060"),
            ("10.9.9.9:5060", external, "203.0.113.7:5060", "8.8.8.8:1", "203.0.113.7:5060"),
            ("10.9.9.9:5060", external, "10.9.9.9:5060", "8.8.8.8:1", "203.0.113.7:5060"),
            ("[2001:db8::1]:5060", None, "127.0.0.9:5060", "127.0.0.3:1", "127.0.0.9:5060"),
        ] {
            assert_eq!(renewed(bound, external, local, remote), now, "{bound} {local} {remote}");
        }
        // One that the host has no more gives way to one from which the phone is reached.
        let own = renewed("0.0.0.0:5060", None, "203.0.113.9:5060", "127.0.0.3:1");
        assert!(address(&own).ip().is_loopback(), "{own}");
    }
}
