//! Who may have a connection, of the API or of signalling: decided without sockets and clock.
//!
//! Whoever has shown that it is known here keeps its connection. All others are strangers: one source of them has few
//! places, and makes room for itself when it wants more; when all places are taken, the oldest stranger gives way to
//! others. One that has only just come is given a moment to show what it wants, but not at the cost of other sources.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// How many there are.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// Connections at once.
    pub all: usize,
    /// Of these, strangers from one address, or from one network of IPv6. A source that has so many gives up its own
    /// oldest for each further one. Only while there is room, and its oldest has only just come, it may have more; it
    /// keeps what it has then, and gives up one for one.
    pub strangers_of_one: usize,
    /// Beyond all, for those who want next to nothing.
    pub beyond: usize,
}

/// All connections; `H` ends one of them.
#[derive(Debug)]
pub struct Places<H> {
    capacity: Capacity,
    /// By the order in which they came.
    held: BTreeMap<u64, Held<H>>,
    next: u64,
}

#[derive(Debug)]
struct Held<H> {
    source: IpAddr,
    since: Instant,
    is_stranger: bool,
    is_beyond: bool,
    handle: H,
}

/// A connection has its place.
#[derive(Debug)]
pub struct Entered<H> {
    /// To leave with.
    pub id: u64,
    /// It is one of those beyond all.
    pub is_beyond: bool,
    /// The one that gives way.
    pub gives_way: Option<H>,
}

impl<H> Places<H> {
    /// Nobody is there.
    pub const fn new(capacity: Capacity) -> Self {
        Self { capacity, held: BTreeMap::new(), next: 0 }
    }

    /// A place for a connection from `peer`, which may be known already.
    ///
    /// # Errors
    /// There is none before this time, unless somebody leaves.
    pub fn enter(
        &mut self,
        peer: IpAddr,
        is_known: bool,
        handle: H,
        now: Instant,
    ) -> Result<Entered<H>, Instant> {
        let (source, is_stranger) = (source(peer), !is_known);
        let gives_way = self.gives_way(source, is_stranger, now)?;
        let gives_way = gives_way.and_then(|id| self.held.remove(&id)).map(|held| held.handle);
        let is_beyond = self.regular() >= self.capacity.all;
        let id = self.next;
        self.next += 1;
        self.held.insert(id, Held { source, since: now, is_stranger, is_beyond, handle });
        Ok(Entered { id, is_beyond, gives_way })
    }

    /// It has shown that it is known.
    pub fn trust(&mut self, id: u64) {
        if let Some(held) = self.held.get_mut(&id) {
            held.is_stranger = false;
        }
    }

    /// It counts as a stranger's again.
    pub fn distrust(&mut self, id: u64) {
        if let Some(held) = self.held.get_mut(&id) {
            held.is_stranger = true;
        }
    }

    /// It has not, or has left.
    pub fn is_stranger(&self, id: u64) -> bool {
        self.held.get(&id).is_none_or(|held| held.is_stranger)
    }

    /// There is little room now, and strangers are to be quick.
    pub fn is_nearly_full(&self) -> bool {
        self.held.len() > self.capacity.all / 4 * 3
    }

    /// The connection is closed.
    pub fn leave(&mut self, id: u64) {
        self.held.remove(&id);
    }

    /// Which one gives way to a connection from `source`, if one has to.
    ///
    /// # Errors
    /// There is no place before this time.
    fn gives_way(&self, source: IpAddr, is_stranger: bool, now: Instant) -> Result<Option<u64>, Instant> {
        let Capacity { all, strangers_of_one, beyond } = self.capacity;
        let is_full = self.regular() >= all;
        let of_source = |held: &Held<H>| held.source == source && !held.is_beyond;
        let has_its_share = is_stranger && self.strangers(of_source).count() >= strangers_of_one;
        // It makes room itself, so that it cannot take what others have however fast it comes.
        let is_to_go = |held: &Held<H>| has_its_share && (is_full || held.since + MOMENT <= now);
        let own = self.strangers(of_source).next().filter(|(_, oldest)| is_to_go(oldest)).map(|(id, _)| id);
        if own.is_some() || !is_full {
            return Ok(own);
        }
        // Whoever gives way leaves a place as good as it had.
        match self.oldest_stranger(|held| !held.is_beyond, now) {
            Ok(id) => Ok(Some(id)),
            Err(_) if self.held.len() < all + beyond => Ok(None),
            Err(until) => {
                self.oldest_stranger(|held| held.is_beyond, now).map(Some).map_err(|it| it.min(until))
            }
        }
    }

    /// How many are not beyond all.
    fn regular(&self) -> usize {
        self.held.values().filter(|held| !held.is_beyond).count()
    }

    /// The oldest first.
    fn strangers(&self, wanted: impl Fn(&Held<H>) -> bool) -> impl Iterator<Item = (u64, &Held<H>)> {
        self.held
            .iter()
            .map(|(id, held)| (*id, held))
            .filter(move |(_, held)| held.is_stranger && wanted(held))
    }

    /// # Errors
    /// None has had its moment; the time when one will have had it, as far as that is known.
    fn oldest_stranger(&self, wanted: impl Fn(&Held<H>) -> bool, now: Instant) -> Result<u64, Instant> {
        let (id, oldest) = self.strangers(wanted).next().ok_or(now + MOMENT)?;
        let due = oldest.since + MOMENT;
        if due <= now { Ok(id) } else { Err(due) }
    }
}

/// What counts as one: an address, or of IPv6 what one customer of a provider has (RFC 6177 §2).
pub fn source(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// How long a stranger keeps its place whoever else comes.
const MOMENT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn places(max: usize) -> Places<u64> {
        Places::new(Capacity { all: max, strangers_of_one: 64, beyond: 16 })
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
            self.places.enter(address(peer), peer.starts_with("10."), next, self.now).unwrap()
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
    fn those_who_are_known_do_not_count_and_never_give_way() {
        let mut bench = Bench::new(300);
        for id in 0..256 {
            assert_eq!(bench.enter("192.0.2.1").id, id);
            bench.places.trust(id);
        }
        (0..44).for_each(|_| assert_eq!(bench.enter("10.0.0.1").gives_way, None));
        bench.wait(60_000);
        for _ in 0..16 {
            let entered = bench.enter("192.0.2.1");
            assert!(entered.is_beyond && entered.gives_way.is_none());
        }
        bench.wait(500);
        let peer = address("192.0.2.9");
        assert_eq!(bench.places.enter(peer, false, 0, bench.now).unwrap_err(), bench.now + MOMENT / 2);
        bench.wait(500);
        assert_eq!(bench.enter("192.0.2.9").gives_way, Some(300), "the first of those beyond all");
        bench.places.leave(0);
        bench.places.leave(1);
        assert!(!bench.places.is_stranger(2) && bench.places.is_stranger(0));
    }

    #[test]
    fn when_full_the_oldest_stranger_gives_way_wherever_it_is_from() {
        let mut bench = Bench::new(40);
        for host in 1..=40 {
            let entered = bench.enter(&format!("192.0.2.{host}"));
            assert_eq!((entered.is_beyond, bench.places.is_nearly_full()), (false, host > 30));
        }
        bench.places.trust(0);
        bench.wait(1000);
        let entered = bench.enter("198.51.100.1");
        assert_eq!((entered.gives_way, entered.is_beyond), (Some(1), false));
    }

    #[test]
    fn when_full_a_source_that_has_its_share_makes_room_itself() {
        let mut bench = Bench::new(65);
        bench.enter("192.0.2.2");
        (0..64).for_each(|_| assert!(!bench.enter("192.0.2.1").is_beyond));
        bench.wait(1000);
        let entered = bench.enter("192.0.2.1");
        assert_eq!((entered.gives_way, entered.is_beyond), (Some(1), false));
        assert_eq!(bench.enter("192.0.2.3").gives_way, Some(0), "one that has little takes the oldest");
        assert_eq!(bench.enter("10.0.0.1").gives_way, Some(2));
    }

    #[test]
    fn when_full_a_source_that_has_its_share_makes_room_itself_however_fast_it_comes() {
        let mut bench = Bench::new(65);
        bench.enter("192.0.2.2");
        bench.wait(1000);
        (0..64).for_each(|_| assert_eq!(bench.enter("192.0.2.1").gives_way, None));
        for own in 1..=100 {
            let entered = bench.enter("192.0.2.1");
            assert_eq!((entered.gives_way, entered.is_beyond), (Some(own), false));
        }
    }

    #[test]
    fn those_beyond_all_are_no_part_of_a_source_s_share() {
        let mut bench = Bench::new(64);
        bench.enter("10.0.0.1");
        (0..63).for_each(|_| assert!(!bench.enter("192.0.2.1").is_beyond));
        assert!(bench.enter("192.0.2.1").is_beyond);
        bench.places.leave(0);
        bench.wait(1000);
        let entered = bench.enter("192.0.2.1");
        assert_eq!((entered.gives_way, entered.is_beyond), (None, false));
    }

    #[test]
    fn whoever_takes_a_regular_place_has_one_however_many_are_beyond() {
        let mut bench = Bench::new(40);
        for host in 0..56 {
            let entered = bench.enter(&format!("192.0.{host}.1"));
            assert_eq!(entered.is_beyond, host >= 40, "{host}");
        }
        bench.wait(1000);
        let entered = bench.enter("198.51.100.1");
        assert_eq!((entered.is_beyond, entered.gives_way), (false, Some(0)));
        bench.places.trust(entered.id);
        assert!(!bench.enter("198.51.100.2").is_beyond);
    }

    #[test]
    fn whoever_is_trusted_no_more_gives_way_again() {
        let mut bench = Bench::new(1);
        bench.enter("192.0.2.1");
        bench.places.trust(0);
        bench.wait(5000);
        assert_eq!(bench.enter("192.0.2.2").gives_way, None);
        bench.places.distrust(0);
        assert_eq!(bench.enter("192.0.2.3").gives_way, Some(0));
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        assert_eq!(source(address("2001:db8:1:2:3:4:5:6")), address("2001:db8:1:2::"));
        assert_eq!(source(address("::ffff:192.0.2.7")), address("192.0.2.7"));
    }
}
