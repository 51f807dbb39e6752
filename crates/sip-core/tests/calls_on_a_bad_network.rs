//! Whole calls between two endpoints, on networks of every quality: they end, at both sides, and leave nothing.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod pair;

use pair::{Network, Pair, Side, Story};
use sip_core::{GoneCause, InviteEvent, Transport};
use sip_message::StatusCode;
use std::time::Duration;

const PERFECT: Network = Network { loss: 0, doubling: 0, delay_max: 20 };
const BAD: Network = Network { loss: 20, doubling: 15, delay_max: 300 };
/// Chosen so that every message gets through in the end: 64*T1 holds seven copies.
const SEEDS: u64 = 400;

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

/// Runs the story to its end and makes sure that nothing is left of it.
fn run(seed: u64, transport: Transport, network: Network, story: &Story) -> Pair {
    let mut pair = Pair::new(seed, transport, network, story.clone());
    pair.run();
    if network.loss > BAD.loss {
        pair.hang_up_what_stands();
    }
    assert_eq!(pair.counts(), [(0, 0), (0, 0)], "seed {seed}");
    pair
}

/// Runs the story on perfect networks and on many bad ones; both ends come to these ends on all of them.
fn ends(story: &Story, caller: GoneCause, callee: GoneCause) {
    let check = |pair: &Pair, seed| {
        assert_eq!(pair.cause(Side::Caller), Some(caller), "seed {seed}");
        assert_eq!(pair.cause(Side::Callee), Some(callee), "seed {seed}");
    };
    for transport in [Transport::Udp, Transport::Tcp] {
        check(&run(0, transport, PERFECT, story), 0);
    }
    for seed in 0..SEEDS {
        check(&run(seed, Transport::Udp, BAD, story), seed);
    }
}

#[test]
fn the_caller_hangs_up() {
    let story = Story { accepts_after: seconds(2), caller_hangs_up_after: seconds(60), ..Story::default() };
    ends(&story, GoneCause::HungUp, GoneCause::HungUpByPeer);
}

#[test]
fn the_callee_hangs_up() {
    let story = Story { accepts_after: seconds(2), callee_hangs_up_after: seconds(60), ..Story::default() };
    ends(&story, GoneCause::HungUpByPeer, GoneCause::HungUp);
}

#[test]
fn the_caller_cancels() {
    let story = Story { caller_hangs_up_after: seconds(40), ..Story::default() };
    ends(&story, GoneCause::Cancelled, GoneCause::CancelledByPeer);
}

#[test]
fn the_callee_rejects() {
    let story = Story { rejects_after: seconds(3), ..Story::default() };
    ends(&story, GoneCause::Refused { status: StatusCode::BUSY_HERE }, GoneCause::Rejected);
}

#[test]
fn a_call_without_an_offer_stands_too() {
    let story = Story {
        accepts_after: seconds(2),
        caller_hangs_up_after: seconds(60),
        late_offer: true,
        ..Story::default()
    };
    ends(&story, GoneCause::HungUp, GoneCause::HungUpByPeer);
}

#[test]
fn a_call_that_rings_reliably_stands_with_the_answer_of_the_ringing() {
    let story = Story {
        accepts_after: seconds(2),
        caller_hangs_up_after: seconds(60),
        rings_reliably: true,
        ..Story::default()
    };
    ends(&story, GoneCause::HungUp, GoneCause::HungUpByPeer);
    for seed in 0..SEEDS {
        let pair = run(seed, Transport::Udp, BAD, &story);
        let answers = pair.events[0].iter().filter_map(|event| {
            let InviteEvent::Answered { response } = event else { return None };
            Some(&response.body[..])
        });
        assert_eq!(answers.collect::<Vec<_>>(), [b"answer"], "seed {seed}");
        let told =
            pair.events[0].iter().filter(|event| matches!(event, InviteEvent::Progress { .. })).count();
        assert_eq!(told, 1, "seed {seed}: retransmissions are not told");
    }
}

#[test]
fn a_call_that_is_refreshed_goes_on_and_nobody_hears_of_it() {
    let story = Story {
        accepts_after: seconds(2),
        caller_hangs_up_after: seconds(500),
        session_expires: seconds(240),
        ..Story::default()
    };
    ends(&story, GoneCause::HungUp, GoneCause::HungUpByPeer);
    for seed in 0..20 {
        let pair = run(seed, Transport::Udp, BAD, &story);
        assert_eq!(
            pair.events[0]
                .iter()
                .filter(|event| !matches!(event, InviteEvent::Trying | InviteEvent::Progress { .. }))
                .count(),
            2
        );
        assert!(pair.trace.iter().any(|line| line.contains("200 UPDATE")), "seed {seed}");
    }
}

#[test]
fn a_call_that_rings_reliably_ends_before_its_answer_too() {
    let story = Story { caller_hangs_up_after: seconds(20), rings_reliably: true, ..Story::default() };
    ends(&story, GoneCause::Cancelled, GoneCause::CancelledByPeer);
    let story = Story { rejects_after: seconds(1), rings_reliably: true, ..Story::default() };
    ends(&story, GoneCause::Refused { status: StatusCode::BUSY_HERE }, GoneCause::Rejected);
}

#[test]
fn both_sides_offer_at_once_and_both_get_their_answer() {
    let story = Story {
        accepts_after: seconds(2),
        caller_offers_after: seconds(60),
        callee_offers_after: seconds(60),
        caller_hangs_up_after: seconds(180),
        ..Story::default()
    };
    for (network, seeds) in [(PERFECT, 20), (BAD, SEEDS)] {
        for seed in 0..seeds {
            let pair = run(seed, Transport::Udp, network, &story);
            for side in [Side::Caller, Side::Callee] {
                let events = &pair.events[pair::index(side)];
                let answered = events.iter().any(|event| matches!(event, InviteEvent::Reanswered { .. }));
                assert!(answered, "seed {seed}: {side:?} heard {events:?}");
            }
        }
    }
}

/// Accept, hang up and cancel within the time of one round trip, in every order that the network makes of it.
#[test]
fn whatever_crosses_what_both_sides_agree_that_the_call_is_over() {
    for seed in 0..4 * SEEDS {
        let milliseconds = |number: u64| Some(Duration::from_millis(seed * 37 % number));
        let story = Story {
            accepts_after: milliseconds(400),
            rejects_after: milliseconds(700).filter(|_| seed % 5 == 0),
            caller_hangs_up_after: milliseconds(1_100),
            callee_hangs_up_after: milliseconds(1_900).filter(|_| seed % 2 == 0),
            ..Story::default()
        };
        let pair = run(seed, Transport::Udp, Network { delay_max: 400, ..BAD }, &story);
        assert!(pair.gone(Side::Caller).is_some(), "seed {seed}");
        if pair.was_called() {
            assert!(pair.gone(Side::Callee).is_some(), "seed {seed}");
        }
    }
}

#[test]
fn a_network_that_loses_nearly_all_leaves_nothing_behind_either() {
    let story = Story { accepts_after: seconds(2), caller_hangs_up_after: seconds(40), ..Story::default() };
    for seed in 0..SEEDS {
        let pair = run(seed, Transport::Udp, Network { loss: 75, ..BAD }, &story);
        assert!(pair.gone(Side::Caller).is_some(), "seed {seed}");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let story = Story {
        accepts_after: seconds(2),
        caller_offers_after: seconds(5),
        callee_offers_after: seconds(5),
        callee_hangs_up_after: seconds(20),
        ..Story::default()
    };
    for seed in 0..20 {
        let first = run(seed, Transport::Udp, BAD, &story);
        let second = run(seed, Transport::Udp, BAD, &story);
        assert!(first.trace == second.trace, "seed {seed}");
        assert!(first.trace != run(seed + 1_000, Transport::Udp, BAD, &story).trace);
    }
}
