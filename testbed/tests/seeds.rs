//! Ten thousand stories, each of a seed of its own: whatever phones, people and the network do, a call comes to one
//! right end on both sides, and nothing is left of it.

use call_control::{EndReason, Refusal};
use std::collections::BTreeSet;
use std::sync::Mutex;
use testbed::simulation::{
    Ended, Life, Network, World, answers_after, each_seed, percent, seconds, talks_for,
};

/// One call on a bad network: whatever becomes of it, it ends once, both sides agree, and nothing is left.
fn one_call_on(network: Network, seed: u64) -> (EndReason, Vec<String>) {
    let mut world = World::with_seed(seed);
    let from = world.phone("1001", answers_after(1.0), 700.0);
    let to = world.phone("1002", talks_for(3.0), 1100.0);
    world.register_all();
    world.set_network(network);
    let id = world.click_to_call(World::request("1001", "1002")).expect("both are registered");
    let call = world.run_until_ended(id);
    assert!(!world.is_busy(from) && !world.is_busy(to), "a phone is left behind\n{}", world.story());
    (call.end.as_ref().expect("it has ended").reason, world.trace().to_vec())
}

#[test]
fn every_life_comes_to_one_right_end_and_there_is_a_life_for_every_end() {
    let tried = Mutex::new(Tried::default());
    each_seed(8_500, |seed| {
        let ended = Life::of_seed(seed).live(&mut World::with_seed(seed));
        tried.lock().unwrap().note(&ended);
    });
    let is_usual = ["STORY_SEED", "STORY_SEEDS"].iter().all(|name| std::env::var_os(name).is_none());
    if is_usual {
        tried.into_inner().unwrap().check();
    }
}

/// What the lives tried: what they do not try would else go unnoticed.
#[derive(Default)]
struct Tried {
    ends: BTreeSet<EndReason>,
    unavailable: usize,
    unanswered: usize,
}

impl Tried {
    fn note(&mut self, Ended { answer, record }: &Ended) {
        let promised = record.as_ref().filter(|_| matches!(answer, Some(Ok(_))));
        self.ends.extend(promised.and_then(|call| call.end.as_ref().map(|end| end.reason)));
        self.unavailable += usize::from(matches!(answer, Some(Err(Refusal::StorageUnavailable { .. }))));
        self.unanswered += usize::from(answer.is_none());
    }

    fn check(&self) {
        // Those of calls outside and of transfers have lives of their own.
        let never = [
            EndReason::TrunkFailed,
            EndReason::PolicyDenied,
            EndReason::LimitReached,
            EndReason::LoopDetected,
            EndReason::Transferred,
            EndReason::TransferFailed,
            EndReason::InternalError,
        ];
        for reason in EndReason::ALL.into_iter().filter(|reason| !never.contains(reason)) {
            assert!(self.ends.contains(&reason), "no life ends with {reason:?}");
        }
        assert!(self.unavailable > 0, "no request is refused because of the disk");
        assert!(self.unanswered > 0, "the server never dies before it answers a request");
    }
}

#[test]
fn every_call_is_set_up_and_ends_right_at_ten_percent_loss() {
    let network =
        Network { loss: percent(10), doubling: percent(5), delay: seconds(0.02), jitter: seconds(0.03) };
    each_seed(1_000, |seed| assert_eq!(one_call_on(network, seed).0, EndReason::HungUp));
}

#[test]
fn every_call_ends_right_on_both_sides_at_fifty_percent_loss() {
    let network = Network { loss: percent(50), delay: seconds(0.02), ..Network::default() };
    each_seed(500, |seed| drop(one_call_on(network, seed)));
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let network = Network { loss: percent(20), doubling: percent(20), ..Network::default() };
    assert_eq!(one_call_on(network, 99).1, one_call_on(network, 99).1);
}
