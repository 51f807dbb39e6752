//! Addresses of 127.0.0.0/8 that belong to one test.

use rand::Rng;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

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

/// Those that no program gets which asks for any port: one that is free stays so until it is used.
const PORTS: std::ops::Range<u16> = 7_000..10_000;

/// Some programs take the ports beside the one that they are given, too.
const STEP: u16 = 7;

/// A port of `ip` that is free for UDP and TCP now.
pub(crate) fn free_port(ip: IpAddr) -> SocketAddr {
    // Nobody gets the one that another test has just got.
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(rand::random()));
    for _ in 0..PORTS.len() {
        let next = NEXT.fetch_add(STEP, Ordering::Relaxed) % (PORTS.end - PORTS.start);
        let address = SocketAddr::new(ip, PORTS.start + next);
        if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port of {ip} is free for both UDP and TCP");
}
