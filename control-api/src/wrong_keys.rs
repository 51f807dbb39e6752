//! Wrong keys: so many of one source are answered as such, and one a minute is logged.

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use places::source;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// What sources have tried. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct WrongKeys(Arc<Limits>);

#[derive(Debug)]
struct Limits {
    tried: DefaultKeyedRateLimiter<IpAddr>,
    logged: DefaultKeyedRateLimiter<IpAddr>,
}

impl Default for WrongKeys {
    fn default() -> Self {
        let tried = Quota::per_second(NonZeroU32::MIN).allow_burst(AT_ONCE);
        let logged = Quota::per_minute(NonZeroU32::MIN);
        Self(Arc::new(Limits { tried: RateLimiter::keyed(tried), logged: RateLimiter::keyed(logged) }))
    }
}

impl WrongKeys {
    /// Counts one from there.
    ///
    /// # Errors
    /// Too many; when another one will be looked at.
    pub(crate) fn count(&self, peer: IpAddr) -> Result<(), Duration> {
        let source = self.bounded(source(peer));
        if self.0.logged.check_key(&source).is_ok() {
            tracing::warn!(%peer, "a wrong API key; further ones from there are not logged for a minute");
        }
        self.0.tried.check_key(&source).map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }

    /// The source, or when there are too many of them what stands for all others.
    fn bounded(&self, source: IpAddr) -> IpAddr {
        if self.0.logged.len() < SOURCES {
            return source;
        }
        self.0.logged.retain_recent();
        self.0.tried.retain_recent();
        if self.0.logged.len() < SOURCES { source } else { Ipv6Addr::UNSPECIFIED.into() }
    }
}

/// Of one source, before it has to wait for each further one.
const AT_ONCE: NonZeroU32 = NonZeroU32::new(20).expect("not zero");
/// Sources that are told apart.
const SOURCES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_has_twenty_at_once() {
        let wrong = WrongKeys::default();
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        (0..20).for_each(|_| wrong.count(peer).unwrap());
        let wait = wrong.count(peer).unwrap_err();
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        wrong.count("192.0.2.2".parse().unwrap()).unwrap();
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let wrong = WrongKeys::default();
        for number in 0..10_000_u32 {
            let _ = wrong.count(IpAddr::V4(number.into()));
        }
        assert!(wrong.0.logged.len() <= SOURCES + 1 && wrong.0.tried.len() <= SOURCES + 1);
    }
}
