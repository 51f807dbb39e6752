//! Who guesses passwords.
//!
//! Wrong passwords are counted by source and by user. A source over its bound is not heard for a while. Of a user over
//! its bound, at whom many sources guess, only first tries are heard: nobody locks a phone out by guessing at its name,
//! and whoever guesses has two tries from each address that it owns. A user is always heard from where it has logged in
//! before, so that nobody locks it out from behind the same NAT.

use places::source as network;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Counts of wrong passwords, and the addresses at which users are known.
pub(super) struct Guesses {
    by_source: Counts<IpAddr>,
    by_user: Counts<Box<str>>,
    homes: Homes,
    telling: Telling,
}

/// So many sources are told of in a minute, however many there are.
#[derive(Default)]
struct Telling {
    began: Option<Instant>,
    told: u32,
}

const TOLD_MAX: u32 = 100;

impl Telling {
    fn may_tell(&mut self, now: Instant) -> bool {
        if self.began.is_none_or(|began| now.saturating_duration_since(began) >= TELL) {
            (self.began, self.told) = (Some(now), 0);
        }
        self.told += 1;
        self.told <= TOLD_MAX
    }
}

/// Wrong passwords in [`WINDOW`] after which a source is not heard.
const SOURCE_MAX: u32 = 20;
/// The same for a user, from all sources together.
const USER_MAX: u32 = 100;
/// Tries of one source that are heard all the same.
const FIRST_TRIES: u32 = 2;
/// A source is told of once in so long.
const TELL: Duration = Duration::from_secs(60);
const WINDOW: Duration = Duration::from_secs(60);
const SILENCE: Duration = Duration::from_secs(120);
/// Entries of each table; the oldest gives way.
const ENTRIES_MAX: usize = 10_000;
/// Octets of a user name by which it is counted.
const NAME_MAX: usize = 64;

impl Default for Guesses {
    fn default() -> Self {
        let (by_source, by_user) = (Counts::new(SOURCE_MAX), Counts::new(USER_MAX));
        Self { by_source, by_user, homes: Homes::default(), telling: Telling::default() }
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

    /// Whether the right credentials of this user from this source count.
    pub(super) fn may_log_in(&self, source: IpAddr, user: &str, now: Instant) -> bool {
        let is_heard = !self.is_dropped(source, now)
            && (!self.by_user.is_over(key(user), now)
                || self.by_source.wrong(&network(source), now) < FIRST_TRIES);
        is_heard || self.is_home_of(source, user)
    }

    /// Whether wrong credentials of this user from this source are answered.
    pub(super) fn is_answered(&self, source: IpAddr, user: &str, now: Instant) -> bool {
        let is_heard = !self.is_dropped(source, now) && !self.by_user.is_over(key(user), now);
        is_heard || self.is_home_of(source, user)
    }

    fn is_home_of(&self, source: IpAddr, user: &str) -> bool {
        self.homes.known.contains_key(&(network(source), user.into()))
    }

    pub(super) fn note_login(&mut self, source: IpAddr, user: &str) {
        self.homes.note(network(source), user);
    }

    /// Counts one. When the source is to be told of: how many came from it since it was told of last.
    pub(super) fn note_wrong(&mut self, source: IpAddr, user: &str, now: Instant) -> Option<u32> {
        self.by_user.count(key(user).into(), now);
        let window = self.by_source.count(network(source), now);
        window.untold += 1;
        if window.told_at.is_some_and(|at| now.saturating_duration_since(at) < TELL) {
            return None;
        }
        if !self.telling.may_tell(now) {
            return None;
        }
        window.told_at = Some(now);
        Some(std::mem::take(&mut window.untold))
    }
}

/// Windows of wrong passwords, one a key; the oldest key gives way, and one that is silenced only when all are.
struct Counts<K> {
    most: u32,
    windows: BTreeMap<K, Window>,
    order: VecDeque<K>,
}

struct Window {
    began: Instant,
    wrong: u32,
    silent_until: Option<Instant>,
    told_at: Option<Instant>,
    untold: u32,
}

impl Window {
    fn is_silent(&self, now: Instant) -> bool {
        self.silent_until.is_some_and(|until| now < until)
    }
}

impl<K: Ord + Clone> Counts<K> {
    const fn new(most: u32) -> Self {
        Self { most, windows: BTreeMap::new(), order: VecDeque::new() }
    }

    fn is_over<Q: Ord + ?Sized>(&self, key: &Q, now: Instant) -> bool
    where
        K: std::borrow::Borrow<Q>,
    {
        self.windows.get(key).is_some_and(|window| window.is_silent(now))
    }

    /// How many there were in the window that is open.
    fn wrong(&self, key: &K, now: Instant) -> u32 {
        let open = self.windows.get(key).filter(|it| now.saturating_duration_since(it.began) <= WINDOW);
        open.map_or(0, |window| window.wrong)
    }

    fn count(&mut self, key: K, now: Instant) -> &mut Window {
        if !self.windows.contains_key(&key) {
            while self.windows.len() >= ENTRIES_MAX {
                self.let_one_go(now);
            }
            self.order.push_back(key.clone());
        }
        let empty = Window { began: now, wrong: 0, silent_until: None, told_at: None, untold: 0 };
        let window = self.windows.entry(key).or_insert(empty);
        if now.saturating_duration_since(window.began) > WINDOW {
            (window.began, window.wrong) = (now, 0);
        }
        window.wrong = window.wrong.saturating_add(1);
        if window.wrong > self.most {
            window.silent_until = Some(now + SILENCE);
        }
        window
    }

    fn let_one_go(&mut self, now: Instant) {
        for _ in 0..SEARCHED {
            let Some(oldest) = self.order.pop_front() else { return };
            if !self.windows.get(&oldest).is_some_and(|window| window.is_silent(now)) {
                self.windows.remove(&oldest);
                return;
            }
            self.order.push_back(oldest);
        }
        if let Some(oldest) = self.order.pop_front() {
            self.windows.remove(&oldest);
        }
    }
}

/// Silenced keys that are passed over in the search for one that may go.
const SEARCHED: usize = 1_024;

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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, host])
    }

    #[test]
    fn a_source_is_told_of_at_once_and_then_once_a_minute_with_what_came_meanwhile() {
        let (mut guesses, start) = (Guesses::default(), Instant::now());
        let mut told =
            |host, seconds| guesses.note_wrong(at(host), "1001", start + Duration::from_secs(seconds));
        assert_eq!(told(1, 0), Some(1));
        assert_eq!([0, 30, 59].map(|seconds| told(1, seconds)), [None; 3]);
        assert_eq!(told(2, 59), Some(1), "another one is told of by itself");
        assert_eq!(told(1, 60), Some(4));
        assert_eq!([61, 119].map(|seconds| told(1, seconds)), [None; 2]);
        assert_eq!(told(1, 120), Some(3));
    }

    #[test]
    fn a_hundred_sources_are_told_of_in_a_minute_and_the_next_one_when_it_is_over() {
        let (mut guesses, start) = (Guesses::default(), Instant::now());
        let mut told =
            |host, seconds| guesses.note_wrong(at(host), "1001", start + Duration::from_secs(seconds));
        for host in 0..100 {
            assert_eq!(told(host, 0), Some(1), "{host}");
        }
        assert_eq!([0, 59].map(|seconds| told(100, seconds)), [None; 2]);
        assert_eq!(told(100, 60), Some(3));
    }
}
