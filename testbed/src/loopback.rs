//! Addresses of 127.0.0.0/8 that belong to one test.

use rand::Rng;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// Whoever has bound this port of an address has claimed the address.
const CLAIM_PORT: u16 = 1999;

/// A loopback address that no other test of this machine uses; it is free again when this is dropped.
#[derive(Debug)]
pub struct Loopback {
    ip: Ipv4Addr,
    _claim: UdpSocket,
}

impl Loopback {
    /// Claims any address that is free.
    pub fn claim() -> Self {
        let mut random = rand::rng();
        for _ in 0..1000 {
            let ip = Ipv4Addr::new(
                127,
                random.random_range(16..=250),
                random.random(),
                random.random_range(1..=254),
            );
            if let Ok(claim) = UdpSocket::bind((ip, CLAIM_PORT)) {
                return Self { ip, _claim: claim };
            }
        }
        panic!("no loopback address is free: does this machine have 127.0.0.0/8 on its loopback interface?");
    }

    /// The address.
    pub fn ip(&self) -> IpAddr {
        self.ip.into()
    }

    /// A port of it that is free for UDP and TCP.
    pub fn free_port(&self) -> SocketAddr {
        free_port(self.ip())
    }
}

/// A port of `ip` that is free for UDP and TCP now.
pub(crate) fn free_port(ip: IpAddr) -> SocketAddr {
    for _ in 0..100 {
        let udp = UdpSocket::bind((ip, 0)).expect("a UDP port");
        let address = udp.local_addr().expect("a bound socket has an address");
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port of {ip} is free for both UDP and TCP");
}
