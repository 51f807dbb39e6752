//! Trunks that fail, before anything rang and behind it.

use super::carrier::{Outside, numbered};
use call_control::{EndReason, Party, PartyState};
use sip_message::Method;
use std::net::IpAddr;
use std::time::Duration;
use testbed::simulation::{RawScript, Zone, says, says_with, seconds};

fn answers() -> RawScript {
    RawScript::answers_after(1.0)
}

fn silent() -> RawScript {
    RawScript::new([])
}

/// A name that leads to both gateways, the first one first.
fn both_of(name: &str) -> Zone {
    let address = |last| IpAddr::from([192, 0, 2, last]);
    Zone::of(&[("a.example", &[address(1)]), ("b.example", &[address(2)])])
        .with_srv(&format!("_sip._udp.{name}"), &[(10, 5060, "a.example"), (20, 5060, "b.example")])
}

#[test]
fn an_answer_of_the_trunk_connects_both() {
    let mut outside = Outside::with(&[answers(), answers()]);
    let call = outside.call();
    outside.world.run_for(seconds(3.0));
    let view = outside.world.call(call);
    assert_eq!((view.to.state, view.to.trunk.as_deref()), (PartyState::Answered, Some("trunk 1")));
    assert_eq!(view.from.trunk, None);
    let record = outside.end(call);
    assert_eq!(record.end.as_ref().unwrap().reason, EndReason::HungUp);
    assert_eq!((outside.invites(0).len(), outside.invites(1).len()), (1, 0));
    assert_eq!(outside.count(0, &Method::BYE), 1);
}

#[test]
fn another_trunk_is_asked_only_when_the_first_says_nothing_of_the_number() {
    for (status, goes_on) in [
        (503, true),
        (500, true),
        (502, true),
        (504, true),
        (408, true),
        (400, false),
        (401, false),
        (403, false),
        (404, false),
        (407, false),
        (480, false),
        (484, false),
        (486, false),
        (487, false),
        (488, false),
        (501, false),
        (600, false),
        (603, false),
        (607, false),
        (608, false),
    ] {
        for rings in [None, Some(100), Some(180), Some(181), Some(182), Some(183)] {
            let deeds: Vec<_> =
                rings.map(|rings| says(0.0, rings)).into_iter().chain([says(0.5, status)]).collect();
            let mut outside = Outside::with(&[RawScript::new(deeds), answers()]);
            let call = outside.call_to_its_end();
            let goes_on = goes_on && matches!(rings, None | Some(100));
            let what = format!("{status} behind {rings:?}");
            assert_eq!(
                (outside.invites(0).len(), outside.invites(1).len()),
                (1, usize::from(goes_on)),
                "{what}"
            );
            assert_eq!(outside.count(0, &Method::ACK), 1, "{what}");
            let end = call.end.as_ref().unwrap();
            if goes_on {
                assert_eq!(
                    (end.reason, call.to.trunk.as_deref()),
                    (EndReason::HungUp, Some("trunk 2")),
                    "{what}"
                );
            } else {
                let reason = EndReason::of_status(status);
                assert_eq!(
                    (end.reason, end.sip_status, end.party),
                    (reason, Some(status), Some(Party::To)),
                    "{what}"
                );
            }
        }
    }
}

#[test]
fn the_end_says_what_was_said_of_the_number_and_else_that_no_trunk_took_it() {
    let says_only = |status| RawScript::new([says(0.1, status)]);
    for (first, second, reason, status) in [
        (silent(), silent(), EndReason::TrunkFailed, None),
        (says_only(503), silent(), EndReason::TrunkFailed, Some(503)),
        (says_only(502), says_only(503), EndReason::TrunkFailed, Some(502)),
        (says_only(503), says_only(404), EndReason::NotFound, Some(404)),
        (says_only(500), says_only(486), EndReason::Busy, Some(486)),
        (silent(), says_only(603), EndReason::Declined, Some(603)),
    ] {
        let mut outside = Outside::with(&[first, second]);
        let call = outside.call_to_its_end();
        let end = call.end.as_ref().unwrap();
        assert_eq!((end.reason, end.sip_status, end.party), (reason, status, Some(Party::To)));
    }
}

#[test]
fn a_silent_address_is_given_up_after_four_seconds_and_tried_last_from_then_on() {
    let trunk = numbered(1, "sip:carrier.example");
    let mut outside = Outside::of(vec![trunk], both_of("carrier.example"), &[silent(), answers()]);
    let call = outside.call();
    let reached = |outside: &Outside| {
        let log = |gateway: usize| outside.world.raw(outside.gateways[gateway]).log()[0].at;
        log(1) - log(0)
    };
    outside.world.run_for(seconds(8.0));
    assert_eq!(reached(&outside), Duration::from_secs(4), "the time from silence to the next INVITE");
    assert_eq!(outside.world.call(call).to.trunk.as_deref(), Some("trunk 1"));
    outside.world.hang_up(call);
    outside.world.run_for(seconds(2.0));
    let before = outside.invites(0).len();
    let call = outside.call();
    outside.world.run_for(seconds(3.0));
    assert_eq!(outside.world.call(call).to.state, PartyState::Answered);
    assert_eq!(
        (outside.invites(0).len(), outside.invites(1).len()),
        (before, 2),
        "the dead one was not asked"
    );
    outside.end(call);
}

#[test]
fn a_503_sends_the_call_to_the_next_address_and_leaves_the_first_alone_as_long_as_it_wishes() {
    let busy = RawScript::new([says_with("Retry-After: 30 (overload);duration=9\r\n", 0.1, 503)]);
    let trunk = numbered(1, "sip:carrier.example");
    let mut outside = Outside::of(vec![trunk], both_of("carrier.example"), &[busy, answers()]);
    for (wait, asked) in [(0.0, 1), (5.0, 1), (40.0, 2)] {
        outside.world.run_for(seconds(wait));
        let call = outside.call();
        outside.world.run_for(seconds(4.0));
        assert_eq!(outside.world.call(call).to.state, PartyState::Answered);
        outside.world.hang_up(call);
        outside.world.run_for(seconds(1.0));
        assert_eq!(outside.invites(0).len(), asked);
    }
}

#[test]
fn a_503_without_a_wish_is_asked_again_by_the_next_call() {
    let busy = RawScript::new([says(0.1, 503)]);
    let trunk = numbered(1, "sip:carrier.example");
    let mut outside = Outside::of(vec![trunk], both_of("carrier.example"), &[busy, answers()]);
    for asked in 1..=2 {
        outside.call_to_its_end();
        assert_eq!((outside.invites(0).len(), outside.invites(1).len()), (asked, asked));
    }
}

#[test]
fn what_comes_late_from_an_address_that_was_given_up_is_taken_back() {
    for (late, method) in [(vec![says(6.0, 180)], Method::CANCEL), (vec![says(6.0, 200)], Method::BYE)] {
        let mut outside = Outside::with(&[RawScript::new(late), answers()]);
        let call = outside.call_to_its_end();
        assert_eq!(call.to.trunk.as_deref(), Some("trunk 2"));
        assert_eq!(call.end.as_ref().unwrap().reason, EndReason::HungUp);
        assert_eq!(outside.count(0, &method), 1, "{method}");
        assert!(outside.count(0, &Method::ACK) > 0, "{method}");
    }
}

#[test]
fn nobody_is_asked_any_more_once_the_end_was_wanted() {
    let trunks = || {
        let names = numbered(1, "sip:carrier.example");
        vec![names, numbered(2, "sip:192.0.2.3")]
    };
    for tenth in 0..110 {
        let mut zone = both_of("carrier.example");
        zone.delay = Duration::from_millis(700);
        let busy = RawScript::new([says(0.3, 503)]);
        let mut outside = Outside::of(trunks(), zone, &[silent(), busy, RawScript::rings()]);
        let call = outside.call();
        outside.world.run_for(seconds(0.1 * f64::from(tenth)));
        outside.world.hang_up(call);
        let asked = |outside: &Outside| [0, 1, 2].map(|gateway| outside.invites(gateway).len());
        // What is under way arrives.
        outside.world.run_for(seconds(0.01));
        let before = asked(&outside);
        let record = outside.world.run_until_ended(call);
        assert_eq!(asked(&outside), before, "after {tenth} tenths");
        assert_eq!(record.end.as_ref().unwrap().reason, EndReason::Cancelled, "after {tenth} tenths");
        for gateway in &outside.gateways {
            assert!(!outside.world.is_busy(*gateway), "after {tenth} tenths");
        }
    }
}

#[test]
fn one_span_of_time_is_all_that_every_address_gets() {
    let mut outside = Outside::with(&[silent(), silent(), RawScript::rings()]);
    let call = outside.ask(|request| request.to_timeout = Duration::from_secs(10)).unwrap();
    let record = outside.end(call);
    let end = record.end.as_ref().unwrap();
    assert_eq!((end.reason, end.party), (EndReason::NoAnswer, Some(Party::To)));
    let lasted =
        record.ended_at.unwrap().unix_milliseconds() - record.from.answered_at.unwrap().unix_milliseconds();
    assert!((9_900..10_500).contains(&lasted), "{lasted} ms");
}
