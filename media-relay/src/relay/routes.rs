//! Whose port a port is: read for each packet, and so kept small.

use super::Spot;

/// By RTP port / 2. A slot and a place in one word, or nothing.
#[derive(Debug)]
pub(super) struct Routes(Box<[u64]>);

impl Routes {
    pub(super) fn new() -> Self {
        Self(vec![NOBODY; 1 << 15].into())
    }

    /// The termination whose RTP or RTCP port it is.
    #[inline]
    pub(super) fn of(&self, port: u16) -> Option<Spot> {
        let word = self.0[usize::from(port / 2)];
        let spot = Spot { slot: (word >> PLACE_BITS) as usize, place: (word & PLACE_MASK) as usize };
        (word != NOBODY).then_some(spot)
    }

    pub(super) fn set(&mut self, port: u16, spot: Spot) {
        self.0[usize::from(port / 2)] = ((spot.slot as u64) << PLACE_BITS) | (spot.place as u64 & PLACE_MASK);
    }

    /// Takes it away from whom `is_it` means.
    pub(super) fn clear_if(&mut self, port: u16, is_it: impl Fn(Spot) -> bool) {
        if self.of(port).is_some_and(is_it) {
            self.0[usize::from(port / 2)] = NOBODY;
        }
    }
}

const NOBODY: u64 = u64::MAX;
const PLACE_BITS: u32 = 16;
const PLACE_MASK: u64 = (1 << PLACE_BITS) - 1;
