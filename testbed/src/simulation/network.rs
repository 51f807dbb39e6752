//! What the network does to a packet.

use call_store::Round;
use rand::Rng;
use sip_b2bua::{Located, NotLocated, TrunkId};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How bad the network is, each way.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    /// Share of the packets that never arrive, 0.0 to 1.0.
    pub loss: f64,
    /// Share of the packets that arrive twice.
    pub doubling: f64,
    /// Least time under way.
    pub delay: Duration,
    /// Up to so much more, at random: packets overtake each other.
    pub jitter: Duration,
}

impl Default for Network {
    /// A local network: nothing is lost, everything takes a millisecond.
    fn default() -> Self {
        Self { loss: 0.0, doubling: 0.0, delay: Duration::from_millis(1), jitter: Duration::ZERO }
    }
}

/// A datagram under way, or something else that will happen.
#[derive(Debug)]
pub(super) enum Delivery {
    Sip {
        from: SocketAddr,
        to: SocketAddr,
        octets: Vec<u8>,
    },
    Rtp {
        from: SocketAddr,
        to: SocketAddr,
        octets: Vec<u8>,
    },
    /// The disk has done with this round.
    Written(Arc<Round>),
    /// Name servers have answered.
    Located(TrunkId, Result<Located, NotLocated>),
}

/// Everything that is under way, in the order in which it arrives.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    queue: BinaryHeap<Arrival>,
    count: u64,
}

#[derive(Debug)]
struct Arrival {
    at: Instant,
    count: u64,
    delivery: Delivery,
}

impl UnderWay {
    /// A datagram goes into the network.
    pub(super) fn send(
        &mut self,
        network: &Network,
        random: &mut impl Rng,
        now: Instant,
        packet: impl Fn() -> Delivery,
    ) {
        let copies = 1 + usize::from(random.random_bool(network.doubling));
        for _ in 0..copies {
            if random.random_bool(network.loss) {
                continue;
            }
            let extra = network.jitter.mul_f64(random.random::<f64>());
            self.at(now + network.delay + extra, packet());
        }
    }

    /// Something will happen, surely.
    pub(super) fn at(&mut self, at: Instant, delivery: Delivery) {
        self.count += 1;
        self.queue.push(Arrival { at, count: self.count, delivery });
    }

    /// Keeps what `stays` of all that is under way.
    pub(super) fn retain(&mut self, stays: impl Fn(&Delivery) -> bool) {
        self.queue.retain(|arrival| stays(&arrival.delivery));
    }

    /// The round that the disk is at.
    pub(super) fn round(&self) -> Option<Arc<Round>> {
        self.queue.iter().find_map(|arrival| match &arrival.delivery {
            Delivery::Written(round) => Some(Arc::clone(round)),
            Delivery::Sip { .. } | Delivery::Rtp { .. } | Delivery::Located(..) => None,
        })
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.peek().map(|arrival| arrival.at)
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Delivery> {
        if self.next()? > now {
            return None;
        }
        self.queue.pop().map(|arrival| arrival.delivery)
    }
}

impl PartialEq for Arrival {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.count) == (other.at, other.count)
    }
}

impl Eq for Arrival {}

impl PartialOrd for Arrival {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Arrival {
    /// The earliest is the greatest: `BinaryHeap` gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.count).cmp(&(self.at, self.count))
    }
}
