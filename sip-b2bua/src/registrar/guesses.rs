//! Who guesses passwords.
//!
//! Wrong passwords are counted by source and by user. A source over its bound is not heard for a while; nor is a
//! user, who could be guessed at from many sources. But a user is always heard from where it has logged in before: nobody
//! locks a phone out by guessing at its name, or from behind the same NAT.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Counts of wrong passwords, and the addresses at which users are known.
pub(super) struct Guesses {
    by_source: Counts<IpAddr>,
    by_user: Counts<Box<str>>,
    homes: Homes,
}

/// Wrong passwords in [`WINDOW`] after which a source is not heard.
const SOURCE_MAX: u32 = 20;
/// The same for a user: more, so that one source cannot silence a user at new addresses.
const USER_MAX: u32 = 100;
const WINDOW: Duration = Duration::from_secs(60);
const SILENCE: Duration = Duration::from_secs(120);
/// Entries of each table; the oldest gives way.
const ENTRIES_MAX: usize = 10_000;
/// Octets of a user name by which it is counted.
const NAME_MAX: usize = 64;

impl Default for Guesses {
    fn default() -> Self {
        Self { by_source: Counts::new(SOURCE_MAX), by_user: Counts::new(USER_MAX), homes: Homes::default() }
    }
}

impl Guesses {
    pub(super) fn is_dropped(&self, source: IpAddr, now: Instant) -> bool {
        self.by_source.is_over(&network(source), now)
    }

    /// Whether some user has logged in from there.
    pub(super) fn is_home_of_any(&self, source: IpAddr) -> bool {
        let network = network(source);
        self.homes
            .known
            .range((network, Box::default())..)
            .next()
            .is_some_and(|((home, _), _)| *home == network)
    }

    /// Whether the credentials of this user from this source count.
    pub(super) fn may_log_in(&self, source: IpAddr, user: &str, now: Instant) -> bool {
        let is_silenced = self.is_dropped(source, now) || self.by_user.is_over(key(user), now);
        !is_silenced || self.homes.known.contains_key(&(network(source), user.into()))
    }

    pub(super) fn note_login(&mut self, source: IpAddr, user: &str) {
        self.homes.note(network(source), user);
    }

    pub(super) fn note_wrong(&mut self, source: IpAddr, user: &str, now: Instant) {
        self.by_source.count(network(source), now);
        self.by_user.count(key(user).into(), now);
    }
}

/// Windows of wrong passwords, one a key, the oldest key first in `order`.
struct Counts<K> {
    most: u32,
    windows: BTreeMap<K, Window>,
    order: VecDeque<K>,
}

struct Window {
    began: Instant,
    wrong: u32,
    silent_until: Option<Instant>,
}

impl<K: Ord + Clone> Counts<K> {
    const fn new(most: u32) -> Self {
        Self { most, windows: BTreeMap::new(), order: VecDeque::new() }
    }

    fn is_over<Q: Ord + ?Sized>(&self, key: &Q, now: Instant) -> bool
    where
        K: std::borrow::Borrow<Q>,
    {
        self.windows.get(key).and_then(|window| window.silent_until).is_some_and(|until| now < until)
    }

    fn count(&mut self, key: K, now: Instant) {
        if !self.windows.contains_key(&key) {
            self.order.push_back(key.clone());
        }
        let window = self.windows.entry(key).or_insert(Window { began: now, wrong: 0, silent_until: None });
        if now.saturating_duration_since(window.began) > WINDOW {
            (window.began, window.wrong) = (now, 0);
        }
        window.wrong = window.wrong.saturating_add(1);
        if window.wrong > self.most {
            window.silent_until = Some(now + SILENCE);
        }
        while self.windows.len() > ENTRIES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.windows.remove(&oldest);
        }
    }
}

/// Where users have logged in, each pair with the number of its last login.
#[derive(Default)]
struct Homes {
    known: BTreeMap<(IpAddr, Box<str>), u64>,
    order: BTreeMap<u64, (IpAddr, Box<str>)>,
    logins: u64,
}

impl Homes {
    fn note(&mut self, network: IpAddr, user: &str) {
        self.logins += 1;
        let pair = (network, user.into());
        if let Some(before) = self.known.insert(pair.clone(), self.logins) {
            self.order.remove(&before);
        }
        self.order.insert(self.logins, pair);
        while self.known.len() > ENTRIES_MAX
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.known.remove(&oldest);
        }
    }
}

/// What one party holds: an IPv4 address, or the /64 of an IPv6 address.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

fn key(user: &str) -> &str {
    user.get(..user.floor_char_boundary(NAME_MAX)).unwrap_or(user)
}

#[cfg(test)]
impl Guesses {
    /// Entries of the three tables, and of what keeps their order.
    pub(super) fn entries(&self) -> [(usize, usize); 3] {
        [
            (self.by_source.windows.len(), self.by_source.order.len()),
            (self.by_user.windows.len(), self.by_user.order.len()),
            (self.homes.known.len(), self.homes.order.len()),
        ]
    }
}
