//! Where the events of an INVITE belong: the name of the INVITE says it.

use crate::scenario::LegId;
use media_relay::SessionId;
use sip_core::InviteId;

/// Names a call within this process; its relay session has the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CallNumber(pub(crate) u64);

/// One phone of one leg of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) call: CallNumber,
    pub(crate) leg: LegId,
    pub(crate) fork: u16,
}

/// The bits that tell phones of one leg apart; a leg has 4,096 at most.
const FORK_BITS: u32 = 12;
const LEG_BITS: u32 = 16;

impl CallNumber {
    /// The number after this one: 2^36 calls later they begin anew. 0 is that of no call.
    pub(crate) const fn next(self) -> Self {
        match (self.0 + 1) & ((1 << (u64::BITS - FORK_BITS - LEG_BITS)) - 1) {
            0 => Self(1),
            number => Self(number),
        }
    }
}

impl From<Place> for InviteId {
    fn from(place: Place) -> Self {
        let Place { call: CallNumber(call), leg: LegId(leg), fork } = place;
        Self(call << (FORK_BITS + LEG_BITS) | u64::from(leg) << FORK_BITS | u64::from(fork))
    }
}

impl From<InviteId> for Place {
    fn from(InviteId(id): InviteId) -> Self {
        let part =
            |shift: u32, bits: u32| u16::try_from((id >> shift) & ((1 << bits) - 1)).unwrap_or_default();
        Self {
            call: CallNumber(id >> (FORK_BITS + LEG_BITS)),
            leg: LegId(part(FORK_BITS, LEG_BITS)),
            fork: part(0, FORK_BITS),
        }
    }
}

impl From<CallNumber> for SessionId {
    fn from(CallNumber(number): CallNumber) -> Self {
        Self(number)
    }
}

impl From<SessionId> for CallNumber {
    fn from(SessionId(number): SessionId) -> Self {
        Self(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_invite_says_where_it_belongs() {
        for call in [CallNumber(1), CallNumber(77), CallNumber((1 << 36) - 1)] {
            for (leg, fork) in [(1, 0), (2, 4095), (u16::MAX, 7)] {
                let place = Place { call, leg: LegId(leg), fork };
                assert_eq!(Place::from(InviteId::from(place)), place);
            }
        }
        assert_eq!(CallNumber(1).next(), CallNumber(2));
        assert_eq!(CallNumber((1 << 36) - 1).next(), CallNumber(1), "0 is that of no call");
    }
}
