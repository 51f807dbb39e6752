//! Nonces that need no memory until somebody has logged in with them.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::time::Duration;

/// Makes nonces, knows its own again, and counts how often those that passed were used.
pub(super) struct Nonces {
    realm: Box<str>,
    key: [u8; 32],
    lifetime: Duration,
    /// The highest `nc` of each nonce that passed, oldest nonce first.
    counts: BTreeMap<Nonce, u32>,
    /// When the table overflowed: the youngest nonce that was dropped from it. Those as old as it that are not in the
    /// table may have been used.
    dropped: Option<u32>,
}

/// A nonce of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Nonce {
    /// Whole seconds since the start of the process.
    issued: u32,
    random: u64,
}

/// Nonces whose use is counted.
const COUNTED_MAX: usize = 65_536;
/// Octets of the HMAC that go into a nonce.
const MAC_OCTETS: usize = 12;
const CONTENT_OCTETS: usize = 12;

impl Nonces {
    pub(super) fn new(realm: &str, key: [u8; 32], lifetime: Duration) -> Self {
        Self { realm: realm.into(), key, lifetime, counts: BTreeMap::new(), dropped: None }
    }

    pub(super) fn issue(&self, now: Duration, random: u64) -> String {
        let content = Nonce { issued: seconds(now), random }.to_octets();
        let mac = self.mac(&content).finalize().into_bytes();
        hex::encode([&content[..], &mac[..MAC_OCTETS]].concat())
    }

    /// `None` unless it was issued here, at any time.
    pub(super) fn read(&self, text: &str) -> Option<Nonce> {
        let mut octets = [0; CONTENT_OCTETS + MAC_OCTETS];
        hex::decode_to_slice(text, &mut octets).ok()?;
        let (content, mac) = octets.split_first_chunk::<CONTENT_OCTETS>()?;
        self.mac(content).verify_truncated_left(mac).ok()?;
        Some(Nonce::from_octets(content))
    }

    pub(super) fn is_over(&self, nonce: Nonce, now: Duration) -> bool {
        now.saturating_sub(Duration::from_secs(nonce.issued.into())) > self.lifetime
    }

    /// Notes that `nonce` passed with this `nc`, or says `false` when that may be a repeat (RFC 7616 §3.3, §3.4).
    pub(super) fn take(&mut self, nonce: Nonce, count: u32, now: Duration) -> bool {
        while self.counts.first_key_value().is_some_and(|(oldest, _)| self.is_over(*oldest, now)) {
            self.counts.pop_first();
        }
        if let Some(highest) = self.counts.get_mut(&nonce) {
            let rises = count > *highest;
            *highest = count.max(*highest);
            return rises;
        }
        if count == 0 || self.dropped.is_some_and(|dropped| nonce.issued <= dropped) {
            return false;
        }
        self.counts.insert(nonce, count);
        if self.counts.len() > COUNTED_MAX {
            self.dropped = self.counts.pop_first().map(|(oldest, _)| oldest.issued);
        }
        true
    }

    fn mac(&self, content: &[u8]) -> Hmac<Sha256> {
        Hmac::new_from_slice(&self.key)
            .expect("HMAC takes keys of any length")
            .chain_update(content)
            .chain_update(self.realm.as_bytes())
    }
}

impl Nonce {
    pub(super) const fn random(self) -> u64 {
        self.random
    }

    fn to_octets(self) -> [u8; CONTENT_OCTETS] {
        let mut octets = [0; CONTENT_OCTETS];
        octets[..4].copy_from_slice(&self.issued.to_be_bytes());
        octets[4..].copy_from_slice(&self.random.to_be_bytes());
        octets
    }

    fn from_octets(octets: &[u8; CONTENT_OCTETS]) -> Self {
        let (issued, random) = octets.split_first_chunk::<4>().expect("twelve octets begin with four");
        let random = random.first_chunk::<8>().expect("and end with eight");
        Self { issued: u32::from_be_bytes(*issued), random: u64::from_be_bytes(*random) }
    }
}

/// Saturates after 136 years.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(60);
    const START: Duration = Duration::from_secs(1000);

    fn nonces() -> Nonces {
        Nonces::new("example.com", [7; 32], LIFETIME)
    }

    #[test]
    fn a_nonce_reads_back_in_its_own_realm_with_its_own_key_only() {
        let text = nonces().issue(START, 5);
        assert_eq!(nonces().read(&text), Some(Nonce { issued: 1000, random: 5 }));
        assert_eq!(Nonces::new("example.org", [7; 32], LIFETIME).read(&text), None);
        assert_eq!(Nonces::new("example.com", [8; 32], LIFETIME).read(&text), None);
    }

    #[test]
    fn a_nonce_with_any_digit_changed_is_not_ours() {
        let text = nonces().issue(START, u64::MAX);
        for at in 0..text.len() {
            let mut digits = text.clone().into_bytes();
            digits[at] = if digits[at] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(digits).unwrap();
            assert_eq!(nonces().read(&changed), None, "{changed}");
        }
        for other in ["", "AAAA", &text[2..], &format!("{text}00"), &"é".repeat(28)] {
            assert_eq!(nonces().read(other), None, "{other}");
        }
    }

    #[test]
    fn a_nonce_is_over_after_its_lifetime() {
        let nonces = nonces();
        let nonce = nonces.read(&nonces.issue(START, 5)).unwrap();
        assert!(!nonces.is_over(nonce, START + LIFETIME));
        assert!(nonces.is_over(nonce, START + LIFETIME + Duration::from_secs(1)));
    }

    #[test]
    fn the_count_of_a_nonce_must_rise() {
        let mut nonces = nonces();
        let (nonce, other) = (Nonce { issued: 1000, random: 1 }, Nonce { issued: 1000, random: 2 });
        assert!(!nonces.take(nonce, 0, START));
        assert!(nonces.take(nonce, 1, START));
        assert!(!nonces.take(nonce, 1, START));
        assert!(nonces.take(nonce, 9, START));
        assert!(!nonces.take(nonce, 8, START));
        assert!(!nonces.take(nonce, 9, START));
        assert!(nonces.take(other, 1, START));
    }

    #[test]
    fn a_full_table_forgets_no_use() {
        let mut nonces = nonces();
        let first = Nonce { issued: 1000, random: 0 };
        assert!(nonces.take(first, 1, START));
        for random in 0..COUNTED_MAX as u64 {
            assert!(nonces.take(Nonce { issued: 1001, random }, 1, START));
        }
        assert_eq!(nonces.counts.len(), COUNTED_MAX);
        assert!(!nonces.take(first, 1, START));
        assert!(nonces.take(Nonce { issued: 1002, random: 0 }, 1, START));
    }

    #[test]
    fn counts_go_when_their_nonce_is_over() {
        let mut nonces = nonces();
        assert!(nonces.take(Nonce { issued: 1000, random: 0 }, 1, START));
        assert!(nonces.take(Nonce { issued: 1061, random: 0 }, 1, START + LIFETIME + Duration::from_secs(1)));
        assert_eq!(nonces.counts.len(), 1);
    }
}
