//! The one source of tags, branches, Call-IDs and waiting times.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sip_message::CallId;
use std::time::Duration;

/// The same seed gives the same sequence.
#[derive(Debug)]
pub(crate) struct Random(ChaCha12Rng);

impl Random {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha12Rng::from_seed(seed))
    }

    /// For a tag or a branch.
    pub(crate) fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub(crate) fn key(&mut self) -> [u8; 32] {
        let mut key = [0; 32];
        self.0.fill_bytes(&mut key);
        key
    }

    pub(crate) fn call_id(&mut self) -> CallId {
        CallId(format!("{:016x}{:016x}", self.number(), self.number()).into())
    }

    /// For digest.
    pub(crate) fn cnonce(&mut self) -> String {
        format!("{:016x}", self.number())
    }

    /// 0 to 10 seconds for a Retry-After (RFC 3261 §14.2).
    pub(crate) fn retry_after(&mut self) -> u32 {
        self.0.next_u32() % 11
    }

    /// How long to wait after a 491, in steps of 10 ms (RFC 3261 §14.1).
    pub(crate) fn glare(&mut self, owns_call_id: bool) -> Duration {
        let (least, steps) = if owns_call_id { (2_100, 191) } else { (0, 201) };
        Duration::from_millis(least + u64::from(self.0.next_u32() % steps) * 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_the_call_id_waits_longer_after_a_glare() {
        let mut random = Random::new([7; 32]);
        let mut waits = |owner| (0..2_000).map(|_| random.glare(owner).as_millis()).collect::<Vec<_>>();
        let owner = waits(true);
        let other = waits(false);
        assert!(owner.iter().chain(&other).all(|wait| wait % 10 == 0));
        assert_eq!((owner.iter().min(), owner.iter().max()), (Some(&2_100), Some(&4_000)));
        assert_eq!((other.iter().min(), other.iter().max()), (Some(&0), Some(&2_000)));
    }
}
