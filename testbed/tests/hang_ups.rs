//! Stories: the call is ended from outside at every moment of its life, and limits end it when something else does.

use call_control::{Call, CallEventKind, EndReason, EndedBy, Party};
use std::time::Duration;
use testbed::simulation::{Deed, RawScript, Story, World, hangs_up, says, says_as, seconds};

const PARTIES: [Party; 2] = [Party::From, Party::To];

/// Calls of a few seconds, each the way it would go by itself.
fn lives() -> Vec<(&'static str, Vec<RawScript>, Vec<RawScript>)> {
    let talks = |answer: f64, talk: f64| RawScript::answers_after(answer).to_ack([hangs_up(talk)]);
    let answers = RawScript::answers_after;
    let slow = |deeds: Vec<Deed>| RawScript::new(deeds);
    vec![
        ("a talk that to ends", vec![answers(0.4)], vec![talks(0.6, 1.0)]),
        ("a talk that from ends", vec![talks(0.4, 1.6)], vec![answers(0.6)]),
        ("from is busy", vec![RawScript::refuses_after(0.5, 486)], vec![answers(0.3)]),
        ("to is busy", vec![answers(0.4)], vec![RawScript::refuses_after(0.5, 486)]),
        (
            "no provisional response",
            vec![slow(vec![says(0.7, 200)])],
            vec![slow(vec![says(0.7, 200), hangs_up(1.0)])],
        ),
        (
            "a late provisional response",
            vec![slow(vec![says(0.8, 180), says(1.0, 200)])],
            vec![talks(0.4, 0.4)],
        ),
        (
            "several devices",
            vec![talks(0.4, 1.5), answers(0.4), answers(0.9)],
            vec![answers(0.5), RawScript::rings()],
        ),
        (
            "a device that forks",
            vec![slow(vec![says_as('b', 0.1, 180), says(0.4, 200), says_as('b', 0.6, 200)])],
            vec![slow(vec![says_as('b', 0.1, 183), says_as('b', 0.5, 200), says(0.5, 200)])],
        ),
        (
            "lost answers",
            vec![RawScript { lost_finals: 1, ..answers(0.3) }],
            vec![RawScript { lost_acks: 2, ..talks(0.3, 0.5) }],
        ),
        (
            "answers although cancelled",
            vec![answers(0.5).to_cancel([says(0.02, 200)])],
            vec![answers(0.5).to_cancel([says(0.02, 200)])],
        ),
        (
            "ignores CANCEL and BYE",
            vec![RawScript { to_bye: 0, ..answers(0.5).to_cancel([]) }],
            vec![RawScript { to_bye: 0, ..answers(0.5).to_cancel([]) }],
        ),
    ]
}

/// The end that fits when the API ended the call: only before another end had come.
fn is_by_api_or_as_it_would_be(call: &Call, by_itself: &Call) -> bool {
    let (Some(end), Some(other)) = (&call.end, &by_itself.end) else { return false };
    let cancelled = if call.connected_at.is_some() { EndReason::HungUp } else { EndReason::Cancelled };
    let by_api = (end.reason, end.by, end.party, end.sip_status) == (cancelled, EndedBy::Api, None, None);
    let as_it_was = (end.reason, end.by, end.party, end.sip_status)
        == (other.reason, other.by, other.party, other.sip_status);
    by_api || as_it_was
}

/// Ends each life at each 50 ms of it, and a hair before and behind.
fn ended_at_every_moment(end: impl Fn(&mut Story), fits: impl Fn(&Call, &Call) -> bool) {
    for (name, from, to) in lives() {
        let mut by_itself = Story::of(&from, &to);
        by_itself.run_for(5.0);
        by_itself.hang_up();
        let by_itself = by_itself.end();
        for step in 0..=56_u8 {
            let after = f64::from(step) * 0.05 + f64::from(step % 3) * 0.001;
            let mut story = Story::of(&from, &to);
            story.run_for(after);
            end(&mut story);
            let call = story.end();
            assert!(
                fits(&call, &by_itself),
                "{name}, after {after} s: {:?}\n{}",
                call.end,
                story.world.story()
            );
            assert!(
                Story::took(&call) <= seconds(after + 5.2),
                "{name}, after {after} s: it took {:?}",
                Story::took(&call)
            );
        }
    }
}

#[test]
fn the_api_ends_a_call_at_every_moment_of_its_life() {
    ended_at_every_moment(Story::hang_up, is_by_api_or_as_it_would_be);
}

#[test]
fn a_second_hang_up_changes_nothing() {
    let twice = |story: &mut Story| {
        story.hang_up();
        story.run_for(0.0015);
        story.hang_up();
    };
    ended_at_every_moment(twice, is_by_api_or_as_it_would_be);
}

#[test]
fn the_end_of_the_server_ends_a_call_at_every_moment_of_its_life() {
    ended_at_every_moment(
        |story| story.world.end_all(),
        |call, by_itself| {
            let end = call.end.as_ref().unwrap();
            let stopped =
                (end.reason, end.by, end.party) == (EndReason::ServerStopped, EndedBy::Server, None);
            stopped || end == by_itself.end.as_ref().unwrap()
        },
    );
}

/// The moments around one at which something arrives: the network takes a millisecond, so does the way back.
const HAIR: [i32; 9] = [-3_000, -2_000, -1_001, -1_000, -999, 0, 1, 1_000, 2_000];

fn at(time: f64, microseconds: i32) -> f64 {
    time + f64::from(microseconds) / 1e6
}

#[test]
fn a_timeout_at_the_moment_of_the_answer_ends_or_connects_the_call_on_both_legs() {
    for party in PARTIES {
        let mut reasons = Vec::new();
        for hair in HAIR {
            let mut request = World::request("1001", "1002");
            (request.timeout, request.to_timeout) = (seconds(2.0), seconds(2.0));
            let script = RawScript::answers_after(at(2.0, hair));
            let mut story = Story::asked_where_one_is(request, party, &[script]);
            story.run_for(4.5);
            story.hang_up();
            let end = story.end().end.clone().unwrap();
            let ways = [(EndReason::NoAnswer, EndedBy::Server), (EndReason::HungUp, EndedBy::Api)];
            assert!(ways.contains(&(end.reason, end.by)), "{hair} µs at {party:?}: {end:?}");
            assert_eq!(end.party, (end.reason == EndReason::NoAnswer).then_some(party));
            reasons.push(end.reason);
        }
        assert!(
            reasons.contains(&EndReason::NoAnswer) && reasons.contains(&EndReason::HungUp),
            "{reasons:?}"
        );
    }
}

#[test]
fn a_timeout_at_the_moment_of_a_refusal_ends_the_call_once() {
    for party in PARTIES {
        for hair in HAIR {
            let mut request = World::request("1001", "1002");
            (request.timeout, request.to_timeout) = (seconds(2.0), seconds(2.0));
            let script = RawScript::refuses_after(at(2.0, hair), 486);
            let mut story = Story::asked_where_one_is(request, party, &[script]);
            let end = story.end().end.clone().unwrap();
            assert!(matches!(end.reason, EndReason::NoAnswer | EndReason::Busy), "{end:?}");
            assert_eq!(end.party, Some(party));
        }
    }
}

#[test]
fn a_timeout_at_the_moment_of_a_hang_up_ends_the_call_once() {
    for party in PARTIES {
        for hair in HAIR {
            let mut request = World::request("1001", "1002");
            (request.timeout, request.to_timeout) = (seconds(2.0), seconds(2.0));
            let mut story = Story::asked_where_one_is(request, party, &[RawScript::rings()]);
            let rung = if party == Party::From { 0.0 } else { 0.302 };
            story.run_for(at(rung + 2.0, hair));
            story.hang_up();
            let end = story.end().end.clone().unwrap();
            let ways = [(EndReason::NoAnswer, EndedBy::Server), (EndReason::Cancelled, EndedBy::Api)];
            assert!(ways.contains(&(end.reason, end.by)), "{hair} µs at {party:?}: {end:?}");
        }
    }
}

#[test]
fn max_duration_at_the_moment_of_a_hang_up_ends_the_call_once() {
    for party in PARTIES {
        let mut reasons = Vec::new();
        for hair in HAIR {
            let mut request = World::request("1001", "1002");
            request.max_duration = Some(seconds(2.0));
            let talks = |after| [RawScript::answers_after(0.3).to_ack([hangs_up(after)])];
            let answers = [RawScript::answers_after(0.3)];
            // The ACK reaches `to` 3 ms after the connection, for it waits for the disk; that of `from` came 301 ms before it.
            let mut story = match party {
                Party::From => Story::asked(request, &talks(at(2.301, hair)), &answers),
                Party::To => Story::asked(request, &answers, &talks(at(1.998, hair))),
            };
            let end = story.end().end.clone().unwrap();
            let ways = [(EndReason::MaxDuration, EndedBy::Server), (EndReason::HungUp, party.into())];
            assert!(ways.contains(&(end.reason, end.by)), "{hair} µs at {party:?}: {end:?}");
            reasons.push(end.reason);
        }
        assert!(
            reasons.contains(&EndReason::MaxDuration) && reasons.contains(&EndReason::HungUp),
            "{reasons:?}"
        );
    }
}

#[test]
fn each_limit_alone_ends_the_call_in_its_time() {
    for limit in [Duration::from_secs(1), Duration::from_secs(7)] {
        for (party, reason) in [
            (Some(Party::From), EndReason::NoAnswer),
            (Some(Party::To), EndReason::NoAnswer),
            (None, EndReason::MaxDuration),
        ] {
            let mut request = World::request("1001", "1002");
            let mut scripts = [RawScript::answers_after(0.3), RawScript::answers_after(0.3)];
            match party {
                Some(Party::From) => request.timeout = limit,
                Some(Party::To) => request.to_timeout = limit,
                None => request.max_duration = Some(limit),
            }
            if let Some(party) = party {
                scripts[party as usize] = RawScript::rings();
            }
            let mut story = Story::asked(request, &scripts[..1], &scripts[1..]);
            let call = story.end();
            let end = call.end.as_ref().unwrap();
            assert_eq!((end.reason, end.by, end.party), (reason, EndedBy::Server, party));
            let since = match party {
                Some(Party::From) => call.created_at,
                Some(Party::To) => call.from.answered_at.unwrap(),
                None => call.connected_at.unwrap(),
            };
            let took = call.ended_at.unwrap().unix_milliseconds() - since.unix_milliseconds();
            let expected = i64::try_from(limit.as_millis()).unwrap();
            assert!((expected..expected + 20).contains(&took), "{took} ms");
        }
    }
}

#[test]
fn a_to_whose_phones_are_gone_when_its_turn_comes_is_unreachable() {
    let mut story = Story::of(&[RawScript::answers_after(5.0)], &[RawScript::answers_after(0.3)]);
    story.run_for(1.0);
    let to = story.id(Party::To, 0);
    story.world.press(to, &test_phone::Command::Leave);
    let call = story.end();
    let end = call.end.as_ref().unwrap();
    let found = (end.reason, end.by, end.party, end.sip_status);
    assert_eq!(found, (EndReason::Unreachable, EndedBy::Server, Some(Party::To), None));
    assert!(!story.world.events_of(story.call).contains(&CallEventKind::Connected));
}
