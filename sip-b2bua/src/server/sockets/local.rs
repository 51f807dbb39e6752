//! Which of our addresses faces a far one.

use ipnet::IpNet;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// Finds the address of ours that a far one is told. What the system says of its own addresses is remembered for a moment.
#[derive(Debug)]
pub(super) struct LocalAddresses {
    external: Option<IpAddr>,
    system: System,
    networks: Vec<IpNet>,
    networks_asked: Option<Instant>,
    known: HashMap<IpAddr, (Instant, IpAddr)>,
}

/// What is asked of the system.
#[derive(Debug, Clone, Copy)]
struct System {
    /// Our addresses, each with the network that it is in; `None` when it does not tell.
    networks: fn() -> Option<Vec<IpNet>>,
    /// The address of ours from which a far one is reached.
    towards: fn(IpAddr) -> Option<IpAddr>,
}

/// Strangers may come from any address; what is remembered of them is bounded.
const KNOWN_MAX: usize = 4096;
/// The addresses of a host change while it runs (DHCP, a VPN): what was looked up is believed for so long.
const FRESH: Duration = Duration::from_secs(3);

impl LocalAddresses {
    /// `external` stands in for our own address, behind NAT, for all but those on our side of it.
    pub(super) fn new(external: Option<IpAddr>) -> Self {
        Self::asking(System { networks, towards }, external)
    }

    fn asking(system: System, external: Option<IpAddr>) -> Self {
        Self { external, system, networks: Vec::new(), networks_asked: None, known: HashMap::new() }
    }

    /// The address of a socket bound to `bound` as `remote` sees it, who has sent something to `spoken_to`.
    pub(super) fn facing(
        &mut self,
        bound: SocketAddr,
        spoken_to: Option<IpAddr>,
        remote: IpAddr,
    ) -> SocketAddr {
        self.facing_at(bound, spoken_to, remote, Instant::now())
    }

    fn facing_at(
        &mut self,
        bound: SocketAddr,
        spoken_to: Option<IpAddr>,
        remote: IpAddr,
        now: Instant,
    ) -> SocketAddr {
        let own = match spoken_to {
            Some(_) | None if !bound.ip().is_unspecified() => bound.ip(),
            Some(own) => own,
            None => self.looked_up(remote, now),
        };
        let outside = self.external.filter(|external| {
            external.is_ipv4() == remote.is_ipv4() && !is_on_our_side(remote, own, *external)
        });
        let ip = match outside {
            Some(external) if !self.is_neighbour(remote, external, now) => external,
            Some(_) | None => own,
        };
        SocketAddr::new(ip, bound.port())
    }

    /// Whether it is in a network that we are connected to, in which `external` is not: as the address of several hosts it is
    /// for neighbours, too.
    fn is_neighbour(&mut self, remote: IpAddr, external: IpAddr, now: Instant) -> bool {
        if self.networks_asked.is_none_or(|asked| is_old(asked, now)) {
            self.networks_asked = Some(now);
            if let Some(networks) = (self.system.networks)() {
                self.networks = networks;
            }
        }
        // A tunnel to everywhere has no neighbours.
        let mut networks = self.networks.iter().filter(|network| network.prefix_len() > 0);
        networks.any(|network| network.contains(&remote) && !network.contains(&external))
    }

    fn looked_up(&mut self, remote: IpAddr, now: Instant) -> IpAddr {
        if let Some((asked, local)) = self.known.get(&remote)
            && !is_old(*asked, now)
        {
            return *local;
        }
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        let local = (self.system.towards)(remote).unwrap_or(match remote {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
        self.known.insert(remote, (now, local));
        local
    }
}

fn is_old(asked: Instant, now: Instant) -> bool {
    now.saturating_duration_since(asked) >= FRESH
}

/// Whether `remote`, to whom our address is `own`, is on our side of the NAT that has the address `external`: on this host,
/// or with an address that no NAT on the way has written. Where `external` is private itself, other private addresses are
/// outside of that NAT.
fn is_on_our_side(remote: IpAddr, own: IpAddr, external: IpAddr) -> bool {
    let is_inside = Inside::of(remote).is_some_and(|inside| Inside::of(own) == Some(inside));
    remote.is_loopback() || is_inside && Inside::of(external).is_none()
}

/// Kinds of addresses that are not routed on the Internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// RFC 1918, RFC 4193.
    Private,
    /// RFC 6598: between carriers' NATs and their customers, and of some VPNs.
    Shared,
    /// RFC 3927, RFC 4291 §2.5.6.
    Link,
}

impl Inside {
    const fn of(ip: IpAddr) -> Option<Self> {
        match ip {
            IpAddr::V4(ip) if ip.is_private() => Some(Self::Private),
            IpAddr::V4(ip) if ip.is_link_local() => Some(Self::Link),
            IpAddr::V4(ip) if ip.octets()[0] == 100 && ip.octets()[1] & 0b1100_0000 == 64 => {
                Some(Self::Shared)
            }
            IpAddr::V6(ip) if ip.is_unique_local() => Some(Self::Private),
            IpAddr::V6(ip) if ip.is_unicast_link_local() => Some(Self::Link),
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        }
    }
}

/// Tells whenever the addresses of the host have become others.
pub(super) async fn watch(changed: mpsc::Sender<()>) {
    let told = || networks().map(BTreeSet::from_iter);
    let (mut known, mut every) = (told(), tokio::time::interval(FRESH));
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = changed.closed() => return,
            _ = every.tick() => {}
        }
        let present = told();
        if present.is_some() && present != known {
            known = present;
            if changed.send(()).await.is_err() {
                return;
            }
        }
    }
}

fn networks() -> Option<Vec<IpNet>> {
    let interfaces = if_addrs::get_if_addrs().ok()?.into_iter();
    let network = |interface: if_addrs::Interface| {
        let (ip, prefix) = match interface.addr {
            if_addrs::IfAddr::V4(address) => (IpAddr::V4(address.ip), address.prefixlen),
            if_addrs::IfAddr::V6(address) => (IpAddr::V6(address.ip), address.prefixlen),
        };
        IpNet::new(ip, prefix).ok()
    };
    Some(interfaces.filter_map(network).collect())
}

/// Asks the kernel's routing table: a UDP socket that is connected sends nothing.
fn towards(remote: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match remote {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(SocketAddr::new(remote, 5060)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    thread_local! {
        /// The last octet of the address of the host in 10.0.0.0/16.
        static HOST: Cell<u8> = const { Cell::new(5) };
        static ASKED: Cell<usize> = const { Cell::new(0) };
    }

    fn host() -> IpAddr {
        ASKED.set(ASKED.get() + 1);
        IpAddr::from([10, 0, 0, HOST.get()])
    }

    /// A host in an office, with a public network beside it, a VPN, and a tunnel of which nobody says where it ends.
    const OFFICE: System = System {
        networks: || {
            let network = |text: &str| text.parse().unwrap();
            let others = ["192.0.2.2/24", "100.64.0.1/32", "198.18.0.1/0", "2001:db8:1::2/64", "fe80::2/64"];
            Some(others.map(network).into_iter().chain(IpNet::new(host(), 16)).collect())
        },
        towards: |remote| match remote {
            IpAddr::V4(remote) if remote.octets()[0] == 100 => Some(ip("100.64.0.1")),
            IpAddr::V4(remote) if remote.is_loopback() => Some(remote.into()),
            IpAddr::V4(_) => Some(host()),
            IpAddr::V6(remote) if remote.is_unique_local() => Some(ip("fd00::2")),
            IpAddr::V6(_) => Some(ip("2001:db8:1::2")),
        },
    };

    fn told(external: &str, bound: &str, remote: &str) -> String {
        let mut local = LocalAddresses::asking(OFFICE, Some(ip(external)));
        local.facing(format!("{bound}:5060").parse().unwrap(), None, ip(remote)).ip().to_string()
    }

    #[test]
    fn those_on_our_side_of_the_nat_are_told_the_local_address_and_all_others_the_external_one() {
        for (remote, local) in [
            ("127.0.0.9", "127.0.0.9"),
            // In a network that the host is connected to, its own addresses among them.
            ("10.0.200.1", "10.0.0.5"),
            ("10.0.0.5", "10.0.0.5"),
            ("192.0.2.77", "10.0.0.5"),
            // Behind a router inside.
            ("10.1.0.1", "10.0.0.5"),
            ("172.31.0.1", "10.0.0.5"),
            ("192.168.20.1", "10.0.0.5"),
            ("100.64.0.77", "100.64.0.1"),
            // Outside.
            ("172.32.0.1", "203.0.113.7"),
            ("192.0.3.1", "203.0.113.7"),
            ("203.0.113.8", "203.0.113.7"),
            ("100.128.0.1", "203.0.113.7"),
            ("8.8.8.8", "203.0.113.7"),
            // An external address says nothing of the other family.
            ("2001:db8:9::1", "2001:db8:1::2"),
        ] {
            assert_eq!(told("203.0.113.7", "0.0.0.0", remote), local, "{remote}");
        }
        for (remote, local) in [
            ("2001:db8:1::77", "2001:db8:1::2"),
            ("fe80::77", "2001:db8:1::2"),
            ("fd00:9::1", "fd00::2"),
            ("2001:db8:2::1", "2001:db8:7::7"),
            ("10.0.0.9", "10.0.0.5"),
        ] {
            assert_eq!(told("2001:db8:7::7", "[::]", remote), local, "{remote}");
        }
    }

    #[test]
    fn a_socket_with_an_address_of_its_own_has_it_on_our_side() {
        for (bound, remote, local) in [
            ("10.0.0.6", "10.0.1.1", "10.0.0.6"),
            ("10.0.0.6", "172.16.0.1", "10.0.0.6"),
            ("10.0.0.6", "8.8.8.8", "203.0.113.7"),
            // Whoever has a private address and sees a public one of ours is behind a NAT that we know nothing of.
            ("198.51.100.1", "172.16.0.1", "203.0.113.7"),
            ("198.51.100.1", "10.0.1.1", "198.51.100.1"),
        ] {
            assert_eq!(told("203.0.113.7", bound, remote), local, "{bound} {remote}");
        }
    }

    #[test]
    fn an_external_address_within_a_network_of_ours_is_for_those_in_that_network_too() {
        for (remote, local) in
            [("10.0.200.1", "10.0.0.77"), ("192.0.2.77", "10.0.0.5"), ("8.8.8.8", "10.0.0.77")]
        {
            assert_eq!(told("10.0.0.77", "0.0.0.0", remote), local, "{remote}");
        }
    }

    #[test]
    fn whoever_has_spoken_to_an_address_of_ours_is_told_that_one() {
        let mut local = LocalAddresses::asking(OFFICE, Some(ip("203.0.113.7")));
        for (bound, spoken_to, remote, told) in [
            ("0.0.0.0:5060", "10.0.0.66", "10.0.1.1", "10.0.0.66:5060"),
            ("0.0.0.0:5060", "10.0.0.66", "192.168.1.1", "10.0.0.66:5060"),
            ("0.0.0.0:5060", "10.0.0.66", "8.8.8.8", "203.0.113.7:5060"),
            ("0.0.0.0:5060", "198.51.100.1", "192.168.1.1", "203.0.113.7:5060"),
            ("10.0.0.5:5060", "10.0.0.66", "10.0.1.1", "10.0.0.5:5060"),
        ] {
            let facing = local.facing(bound.parse().unwrap(), Some(ip(spoken_to)), ip(remote));
            assert_eq!(facing.to_string(), told, "{bound} {spoken_to} {remote}");
        }
    }

    #[test]
    fn a_nat_inside_of_a_private_network_has_only_neighbours_on_its_inner_side() {
        for (remote, local) in [("192.168.1.77", "192.168.1.10"), ("10.0.3.3", "10.0.0.5")] {
            assert_eq!(told("192.168.1.10", "0.0.0.0", remote), local, "{remote}");
        }
    }

    #[test]
    fn an_address_of_the_host_that_changes_is_noticed_and_what_is_known_is_not_asked_again() {
        let (bound, start) = ("0.0.0.0:5060".parse().unwrap(), Instant::now());
        let mut local = LocalAddresses::asking(OFFICE, Some(ip("203.0.113.7")));
        let mut after = |seconds, remote: &str| {
            local.facing_at(bound, None, ip(remote), start + Duration::from_secs(seconds)).ip().to_string()
        };
        assert_eq!([after(0, "10.0.1.1"), after(0, "192.0.2.9")], ["10.0.0.5", "10.0.0.5"]);
        let asked = ASKED.get();
        HOST.set(6);
        assert_eq!([after(2, "10.0.1.1"), after(2, "192.0.2.9")], ["10.0.0.5", "10.0.0.5"]);
        assert_eq!(ASKED.get(), asked);
        assert_eq!([after(3, "10.0.1.1"), after(3, "192.0.2.9")], ["10.0.0.6", "10.0.0.6"]);
    }

    #[test]
    fn what_is_remembered_of_strangers_is_bounded() {
        let mut local = LocalAddresses::asking(OFFICE, None);
        for stranger in 0..=u32::try_from(KNOWN_MAX).unwrap() {
            let remote = Ipv4Addr::from(0x0800_0000 + stranger).into();
            local.facing("0.0.0.0:5060".parse().unwrap(), None, remote);
        }
        assert!(local.known.len() <= KNOWN_MAX);
    }

    #[test]
    fn this_host_tells_its_own_addresses() {
        assert!(
            networks().unwrap().iter().any(|network| network.contains(&IpAddr::from(Ipv4Addr::LOCALHOST)))
        );
        assert_eq!(towards(ip("127.0.0.9")).map(|own| own.is_loopback()), Some(true));
    }
}
