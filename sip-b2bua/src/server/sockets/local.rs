//! Which of our addresses faces a far one.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Looks up, and remembers, the local address from which a far one is reached.
#[derive(Debug)]
pub(super) struct LocalAddresses {
    external: Option<IpAddr>,
    known: HashMap<IpAddr, IpAddr>,
}

/// Strangers may come from any address; what is remembered of them is bounded.
const KNOWN_MAX: usize = 4096;

impl LocalAddresses {
    /// `external` stands in for every local address, behind NAT; loopback stays what it is.
    pub(super) fn new(external: Option<IpAddr>) -> Self {
        Self { external, known: HashMap::new() }
    }

    /// The address of a socket bound to `bound` as `remote` sees it.
    pub(super) fn facing(&mut self, bound: SocketAddr, remote: IpAddr) -> SocketAddr {
        let ip = match self.external {
            Some(external) if !remote.is_loopback() && external.is_ipv4() == remote.is_ipv4() => external,
            Some(_) | None if !bound.ip().is_unspecified() => bound.ip(),
            Some(_) | None => self.looked_up(remote),
        };
        SocketAddr::new(ip, bound.port())
    }

    fn looked_up(&mut self, remote: IpAddr) -> IpAddr {
        if let Some(local) = self.known.get(&remote) {
            return *local;
        }
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        let local = towards(remote).unwrap_or(match remote {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
        self.known.insert(remote, local);
        local
    }
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
