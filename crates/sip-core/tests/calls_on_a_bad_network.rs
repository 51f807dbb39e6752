//! Whole calls between two endpoints, on networks of every quality.

mod pair;

use pair::{MS, Network, Pair, Side, Story};
use sip_core::{GoneCause, InviteEvent, Transport};
use sip_message::StatusCode;
use std::time::Duration;

const PERFECT: Network = Network { loss: 0, doubling: 0, delay_max: 20 };
const BAD: Network = Network { loss: 20, doubling: 10, delay_max: 300 };
const SEEDS: u64 = 1_000;

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

/// Runs the story to its end and makes sure that nothing is left of it.
fn run(seed: u64, transport: Transport, network: Network, story: &Story) -> Pair {
    let mut pair = Pair::new(seed, transport, network, story.clone());
    pair.run();
    assert_eq!(pair.counts(), [(0, 0), (0, 0)], "seed {seed}");
    pair
}

fn on_perfect_networks(story: &Story, check: impl Fn(&Pair)) {
    for transport in [Transport::Udp, Transport::Tcp] {
        check(&run(1, transport, PERFECT, story));
    }
}

fn on_bad_networks(story: &Story, check: impl Fn(u64, &Pair)) {
    for seed in 0..SEEDS {
        let pair = run(seed, Transport::Udp, BAD, story);
        // When not one copy of the INVITE or of its answers came through, there was no call.
        check(seed, &pair);
    }
}

#[test]
fn the_caller_hangs_up() {
    let story = Story { accepts_after: seconds(2), caller_hangs_up_after: seconds(20), ..Story::default() };
    on_perfect_networks(&story, |pair| {
        assert_eq!(pair.cause(Side::Caller), Some(GoneCause::HungUp));
        assert_eq!(pair.cause(Side::Callee), Some(GoneCause::HungUpByPeer));
        assert!(pair.answered(Side::Caller) && pair.answered(Side::Callee));
    });
    on_bad_networks(&story, |seed, pair| {
        assert_eq!(pair.cause(Side::Caller), Some(GoneCause::HungUp), "seed {seed}");
        assert_eq!(pair.cause(Side::Callee), Some(GoneCause::HungUpByPeer), "seed {seed}");
    });
}
