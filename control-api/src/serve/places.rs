//! Who may have a connection: decided without sockets and clock.
//!
//! Whoever has shown a good key on a connection keeps it, and so do the proxies. All others are strangers: one source of
//! them has few places, and when all places are taken the oldest stranger gives way. One that has only just come is given
//! a moment to show what it wants.

use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// What an operator says of connections.
#[derive(Debug, Clone)]
pub struct Connections {
    /// At once.
    pub max: usize,
    /// Addresses whose connections many clients share.
    pub proxies: Vec<IpNet>,
}

impl Default for Connections {
    fn default() -> Self {
        Self { max: 1024, proxies: Vec::new() }
    }
}

/// All connections; `H` ends one of them.
#[derive(Debug)]
pub(super) struct Places<H> {
    config: Connections,
    /// By the order in which they came.
    held: BTreeMap<u64, Held<H>>,
    next: u64,
}

#[derive(Debug)]
struct Held<H> {
    source: IpAddr,
    since: Instant,
    is_stranger: bool,
    handle: H,
}

/// A connection has its place.
#[derive(Debug)]
pub(super) struct Entered<H> {
    /// To leave with.
    pub(super) id: u64,
    /// All it may ask for is how the server is.
    pub(super) is_for_health: bool,
    /// There is little room, and strangers are to be quick.
    pub(super) is_nearly_full: bool,
    /// The one that gives way.
    pub(super) gives_way: Option<H>,
}

impl<H> Places<H> {
    pub(super) fn new(config: Connections) -> Self {
        Self { config, held: BTreeMap::new(), next: 0 }
    }

    /// A place for a connection from `peer`.
    ///
    /// # Errors
    /// There is none before this time, unless somebody leaves.
    pub(super) fn enter(&mut self, peer: IpAddr, handle: H, now: Instant) -> Result<Entered<H>, Instant> {
        let peer = peer.to_canonical();
        let source = source(peer);
        let is_stranger = !self.config.proxies.iter().any(|proxy| proxy.contains(&peer));
        let gives_way = if self.held.len() >= self.config.max + HEALTH {
            Some(self.oldest_stranger(|_| true, now)?)
        } else if self.held.len() >= self.config.max {
            self.oldest_stranger(|_| true, now).ok()
        } else if is_stranger && self.strangers_of(source) >= STRANGERS_OF_ONE {
            self.oldest_stranger(|held| held.source == source, now).ok()
        } else {
            None
        };
        let gives_way = gives_way.and_then(|id| self.held.remove(&id)).map(|held| held.handle);
        let id = self.next;
        self.next += 1;
        self.held.insert(id, Held { source, since: now, is_stranger, handle });
        let is_for_health = self.held.len() > self.config.max;
        let is_nearly_full = self.held.len() > self.config.max / 4 * 3;
        Ok(Entered { id, is_for_health, is_nearly_full, gives_way })
    }

    /// It has shown a good key.
    pub(super) fn trust(&mut self, id: u64) {
        if let Some(held) = self.held.get_mut(&id) {
            held.is_stranger = false;
        }
    }

    pub(super) fn is_stranger(&self, id: u64) -> bool {
        self.held.get(&id).is_none_or(|held| held.is_stranger)
    }

    pub(super) fn leave(&mut self, id: u64) {
        self.held.remove(&id);
    }

    fn strangers_of(&self, source: IpAddr) -> usize {
        self.held.values().filter(|held| held.is_stranger && held.source == source).count()
    }

    /// # Errors
    /// None has had its moment; the time when one will have had it, as far as that is known.
    fn oldest_stranger(&self, wanted: impl Fn(&Held<H>) -> bool, now: Instant) -> Result<u64, Instant> {
        let mut strangers = self.held.iter().filter(|(_, held)| held.is_stranger && wanted(held));
        let (id, oldest) = strangers.next().ok_or(now + MOMENT)?;
        let due = oldest.since + MOMENT;
        if due <= now { Ok(*id) } else { Err(due) }
    }
}

/// What counts as one: an address, or of IPv6 what one customer of a provider has (RFC 6177 §2).
pub(crate) fn source(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// Of one source, above which the oldest of them gives way.
const STRANGERS_OF_ONE: usize = 64;
/// Places beyond the others, for those who ask how the server is.
const HEALTH: usize = 16;
/// How long a stranger keeps its place whoever else comes.
const MOMENT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn places(max: usize) -> Places<u64> {
        Places::new(Connections { max, proxies: vec!["10.0.0.0/8".parse().unwrap()] })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    struct Bench {
        places: Places<u64>,
        now: Instant,
    }

    impl Bench {
        fn new(max: usize) -> Self {
            Self { places: places(max), now: Instant::now() }
        }

        fn wait(&mut self, milliseconds: u64) {
            self.now += Duration::from_millis(milliseconds);
        }

        /// Its id is also its handle.
        fn enter(&mut self, peer: &str) -> Entered<u64> {
            let next = self.places.next;
            self.places.enter(address(peer), next, self.now).unwrap()
        }
    }

    #[test]
    fn one_source_of_strangers_has_64_places_and_its_oldest_gives_way() {
        let mut bench = Bench::new(1024);
        for _ in 0..64 {
            assert_eq!(bench.enter("192.0.2.1").gives_way, None);
        }
        assert_eq!(bench.enter("192.0.2.1").gives_way, None, "none has had its moment");
        assert_eq!(bench.enter("192.0.2.2").gives_way, None);
        bench.wait(1000);
        assert_eq!(bench.enter("192.0.2.1").gives_way, Some(0));
        assert_eq!(bench.enter("::ffff:192.0.2.1").gives_way, Some(1));
        assert_eq!(bench.enter("192.0.2.2").gives_way, None);
    }

    #[test]
    fn those_with_a_key_and_proxies_do_not_count_and_never_give_way() {
        let mut bench = Bench::new(300);
        for id in 0..256 {
            assert_eq!(bench.enter("192.0.2.1").id, id);
            bench.places.trust(id);
        }
        (0..44).for_each(|_| assert_eq!(bench.enter("10.0.0.1").gives_way, None));
        bench.wait(60_000);
        for _ in 0..16 {
            let entered = bench.enter("192.0.2.1");
            assert!(entered.is_for_health && entered.gives_way.is_none() && entered.is_nearly_full);
        }
        bench.wait(500);
        let peer = address("192.0.2.9");
        assert_eq!(bench.places.enter(peer, 0, bench.now).unwrap_err(), bench.now + MOMENT / 2);
        bench.wait(500);
        assert_eq!(
            bench.enter("192.0.2.9").gives_way,
            Some(300),
            "the first of those who ask for the health"
        );
        bench.places.leave(0);
        bench.places.leave(1);
        assert!(!bench.places.is_stranger(2) && bench.places.is_stranger(0));
    }

    #[test]
    fn when_full_the_oldest_stranger_gives_way_wherever_it_is_from() {
        let mut bench = Bench::new(40);
        for host in 1..=40 {
            let entered = bench.enter(&format!("192.0.2.{host}"));
            assert_eq!((entered.is_for_health, entered.is_nearly_full), (false, host > 30));
        }
        bench.places.trust(0);
        bench.wait(1000);
        let entered = bench.enter("198.51.100.1");
        assert_eq!((entered.gives_way, entered.is_for_health), (Some(1), false));
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        assert_eq!(source(address("2001:db8:1:2:3:4:5:6")), address("2001:db8:1:2::"));
        assert_eq!(source(address("::ffff:192.0.2.7")), address("192.0.2.7"));
    }
}
