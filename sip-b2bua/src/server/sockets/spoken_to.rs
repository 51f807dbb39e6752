//! Which of our addresses those speak to who are told the external one.

use parking_lot::Mutex;
use sip_core::Flow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// Of those who were heard last, the address of ours that each has spoken to: it is answered from there (RFC 3581 §4), and its
/// flow, which has the external address, does not tell.
#[derive(Debug, Clone, Default)]
pub(super) struct SpokenTo(Arc<Mutex<Generations>>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Flow, SocketAddr>,
    old: HashMap<Flow, SocketAddr>,
}

/// Strangers may come from any address: when there are so many, those that were not heard since the last time go.
const YOUNG_MAX: usize = 4096;

impl SpokenTo {
    pub(super) fn note(&self, flow: Flow, own: SocketAddr) {
        let mut known = self.0.lock();
        if known.young.len() >= YOUNG_MAX && !known.young.contains_key(&flow) {
            known.old = std::mem::take(&mut known.young);
        }
        known.young.insert(flow, own);
    }

    pub(super) fn along(&self, flow: Flow) -> Option<SocketAddr> {
        let known = self.0.lock();
        known.young.get(&flow).or_else(|| known.old.get(&flow)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_core::Transport;

    #[test]
    fn the_last_address_that_somebody_has_spoken_to_is_known_and_strangers_are_forgotten() {
        let (known, ours) = (SpokenTo::default(), |last| SocketAddr::from(([10, 0, 0, last], 5060)));
        let stranger = |number: usize| Flow {
            transport: Transport::Udp,
            local: "203.0.113.7:5060".parse().unwrap(),
            remote: SocketAddr::from(([192, 0, 2, 1], u16::try_from(number).unwrap())),
            peer: None,
        };
        known.note(stranger(1), ours(1));
        known.note(stranger(1), ours(2));
        for number in 2..=YOUNG_MAX + 1 {
            known.note(stranger(number), ours(3));
        }
        assert_eq!(
            (known.along(stranger(1)), known.along(stranger(YOUNG_MAX + 1))),
            (Some(ours(2)), Some(ours(3)))
        );
        // Whoever is heard again stays.
        known.note(stranger(2), ours(4));
        for number in 20_000..20_000 + YOUNG_MAX {
            known.note(stranger(number), ours(3));
        }
        assert_eq!((known.along(stranger(1)), known.along(stranger(2))), (None, Some(ours(4))));
        let generations = known.0.lock();
        assert!(generations.young.len() + generations.old.len() <= 2 * YOUNG_MAX);
    }
}
