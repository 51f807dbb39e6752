//! Which trunk takes a call, and how many.

use super::carrier::{Outside, number, numbered};
use call_control::{EndReason, PartyState, Refusal};
use numbering::Entry;
use sip_b2bua::{Limits, TrunkSettings};
use sip_message::Method;
use test_phone::{Command, Script};
use testbed::simulation::{RawScript, World, Zone, seconds};

fn rings() -> RawScript {
    RawScript::rings()
}

fn with_prefixes(index: usize, priority: u32, prefixes: &[&str]) -> TrunkSettings {
    let prefixes = prefixes.iter().map(|text| Entry::new(text).expect("an entry")).collect();
    TrunkSettings { priority, prefixes, ..numbered(index, &format!("sip:192.0.2.{index}")) }
}

#[test]
fn the_longest_prefix_goes_first_then_the_priority_then_the_order_of_the_file() {
    let trunks = || {
        vec![
            with_prefixes(1, 1, &["+"]),
            with_prefixes(2, 20, &["+91"]),
            with_prefixes(3, 10, &["+91", "+4420"]),
            with_prefixes(4, 10, &["+91"]),
        ]
    };
    for (asked, order) in
        [("9944421125", vec![2, 3, 1, 0]), ("+442079460000", vec![2, 0]), ("+441632960000", vec![0])]
    {
        let gateways = vec![RawScript::new([testbed::simulation::says(0.1, 502)]); 4];
        let mut outside = Outside::of(trunks(), Zone::default(), &gateways);
        let call = outside.ask(|request| request.to = number(asked)).unwrap();
        outside.end(call);
        let mut asked_at: Vec<_> = (0..4)
            .filter_map(|gateway| {
                Some((outside.world.raw(outside.gateways[gateway]).log().first()?.at, gateway))
            })
            .collect();
        asked_at.sort();
        // Those of the same priority as the file has them.
        let found: Vec<usize> = asked_at.into_iter().map(|(_, gateway)| gateway).collect();
        let expected: Vec<usize> = if order.len() == 4 { vec![2, 3, 1, 0] } else { order };
        assert_eq!(found, expected, "{asked}");
    }
}

#[test]
fn a_number_that_no_trunk_takes_has_none() {
    let mut outside = Outside::of(vec![with_prefixes(1, 1, &["+44"])], Zone::default(), &[rings()]);
    let refused = outside.ask(|_| {});
    assert_eq!(refused, Err(Refusal::NoTrunk { number: number("+919944421125"), field: "to" }));
}

#[test]
fn a_full_trunk_takes_no_more_and_an_emergency_all_the_same() {
    let trunk = TrunkSettings { channels: 1, ..numbered(1, "sip:192.0.2.1") };
    let mut outside = Outside::of(vec![trunk], Zone::default(), &[rings()]);
    outside.world.phone("1002", testbed::simulation::answers_after(0.5), 700.0);
    outside.world.register_all();
    let first = outside.call();
    outside.world.run_for(seconds(2.0));
    assert_eq!(outside.world.channels_in_use(), 1);
    let refused = outside.ask(|request| (request.from, request.to) = (number("1002"), number("9944421126")));
    assert!(matches!(refused, Err(Refusal::NoChannel { .. })), "{refused:?}");
    let emergency =
        outside.ask(|request| (request.from, request.to) = (number("1002"), number("112"))).unwrap();
    outside.world.run_for(seconds(2.0));
    assert_eq!(outside.invites(0).len(), 2);
    outside.world.hang_up(first);
    outside.world.hang_up(emergency);
    outside.world.run_until_ended(first);
    outside.world.run_until_ended(emergency);
    assert_eq!(outside.world.channels_in_use(), 0);
}

#[test]
fn whoever_calls_for_help_passes_the_servers_own_limits() {
    let limits = Limits { calls: 1, calls_per_second: 1, calls_per_key: 1 };
    let trunk = TrunkSettings { channels: 9, ..numbered(1, "sip:192.0.2.1") };
    let mut world = World::with_limits(3, vec![trunk], limits);
    let gateway = world.gateway("192.0.2.1:5060", rings());
    let [one, two] = ["1001", "1002"].map(|user| world.phone(user, Script::default(), 700.0));
    world.register_all();
    world.press(one, &Command::Call("9944421125".into()));
    world.run_for(seconds(0.3));
    // The same second, and the only call that there may be.
    world.press(two, &Command::Call("9944421126".into()));
    world.run_for(seconds(0.3));
    assert_eq!(world.raw(gateway).received(&Method::INVITE).len(), 1, "{}", world.story());
    assert!(matches!(
        world.click_to_call(World::request("+919900112233", "9944421125")),
        Err(Refusal::TooManyCalls { .. })
    ));
    world.press(two, &Command::Call("112".into()));
    world.run_for(seconds(0.3));
    assert_eq!(world.raw(gateway).received(&Method::INVITE).len(), 2, "{}", world.story());
    let help = world.click_to_call(World::request("+919900112233", "112"));
    assert!(help.is_ok(), "{help:?}");
    world.end_all();
    world.run_until_nothing_is_left();
}

#[test]
fn a_trunk_that_is_full_when_the_number_is_to_be_rung_ends_the_call() {
    let trunk = TrunkSettings { channels: 1, ..numbered(1, "sip:192.0.2.1") };
    let mut outside = Outside::of(vec![trunk], Zone::default(), &[rings()]);
    outside.world.phone("1002", testbed::simulation::answers_after(0.5), 700.0);
    outside.world.register_all();
    let first = outside.call();
    let second = outside.ask(|request| request.from = number("1002")).unwrap();
    let record = outside.world.run_until_ended(second);
    assert_eq!(record.end.as_ref().unwrap().reason, EndReason::LimitReached);
    outside.world.hang_up(first);
    outside.world.run_until_ended(first);
    assert_eq!(outside.invites(0).len(), 1);
}

#[test]
fn a_full_trunk_is_passed_over_for_the_next() {
    let first = TrunkSettings { channels: 1, ..numbered(1, "sip:192.0.2.1") };
    let trunks = vec![first, numbered(2, "sip:192.0.2.2")];
    let mut outside = Outside::of(trunks, Zone::default(), &[rings(), RawScript::answers_after(0.5)]);
    outside.world.phone("1002", testbed::simulation::answers_after(0.5), 700.0);
    outside.world.register_all();
    let calls = [outside.call(), outside.ask(|request| request.from = number("1002")).unwrap()];
    outside.world.run_for(seconds(3.0));
    assert_eq!(outside.world.call(calls[1]).to.trunk.as_deref(), Some("trunk 2"));
    assert_eq!(outside.world.call(calls[1]).to.state, PartyState::Answered);
    for call in calls {
        outside.world.hang_up(call);
        outside.world.run_until_ended(call);
    }
}

#[test]
fn so_many_calls_a_second_are_all_that_a_trunk_gets() {
    let trunk = TrunkSettings { calls_per_second: Some(2), ..numbered(1, "sip:192.0.2.1") };
    let trunks = vec![trunk, numbered(2, "sip:192.0.2.2")];
    let mut outside = Outside::of(trunks, Zone::default(), &[rings(), rings()]);
    for user in ["1002", "1003", "1004"] {
        outside.world.phone(user, testbed::simulation::answers_after(0.2), 700.0);
    }
    outside.world.register_all();
    let mut calls = Vec::new();
    for user in ["1002", "1003", "1004"] {
        calls.push(outside.ask(|request| request.from = number(user)).unwrap());
    }
    outside.world.run_for(seconds(0.9));
    assert_eq!((outside.invites(0).len(), outside.invites(1).len()), (2, 1));
    outside.world.run_for(seconds(1.0));
    calls.push(outside.call());
    outside.world.run_for(seconds(1.0));
    assert_eq!((outside.invites(0).len(), outside.invites(1).len()), (3, 1));
    for call in calls {
        outside.world.hang_up(call);
        outside.world.run_until_ended(call);
    }
}
