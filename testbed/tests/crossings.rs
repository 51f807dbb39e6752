//! Stories: what crosses what on the wire, on either leg.

use call_control::{CallState, EndReason, EndedBy, Party, Refusal};
use sip_message::Method;
use testbed::simulation::{
    Deed, RawScript, Standing, Story, World, hangs_up, reinvites, says, says_of_cancel, seconds,
};

const PARTIES: [Party; 2] = [Party::From, Party::To];

const ENDED: Standing = Standing::Answered { acknowledged: true, ended: true };
const REFUSED: Standing = Standing::Refused { acknowledged: true };
const CANCELLED: Standing = Standing::Ringing { cancelled: true };

/// Who gives the call up while a party is being rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GivenUpBy {
    Api,
    Timeout,
    /// Only while `to` rings.
    TheOther,
}

impl GivenUpBy {
    const ALL: [Self; 3] = [Self::Api, Self::Timeout, Self::TheOther];

    /// A call whose `party` has a phone like this, which is given up two seconds after it was rung.
    fn story(self, party: Party, script: &RawScript) -> Story {
        let mut request = World::request("1001", "1002");
        let mut other = RawScript::answers_after(0.3);
        match (self, party) {
            (Self::Api, _) => {}
            (Self::Timeout, Party::From) => request.timeout = seconds(2.0),
            (Self::Timeout, Party::To) => request.to_timeout = seconds(2.0),
            (Self::TheOther, _) => other = other.to_ack([hangs_up(2.0)]),
        }
        let (script, other) = ([script.clone()], [other]);
        let mut story = match party {
            Party::From => Story::asked(request, &script, &other),
            Party::To => Story::asked(request, &other, &script),
        };
        if self == Self::Api {
            // `to` is rung three milliseconds after the answer of `from`.
            story.run_for(if party == Party::From { 2.0 } else { 2.303 });
            story.hang_up();
        }
        story
    }

    fn end(self, party: Party) -> (EndReason, EndedBy, Option<Party>) {
        match self {
            Self::Api => (EndReason::Cancelled, EndedBy::Api, None),
            Self::Timeout => (EndReason::NoAnswer, EndedBy::Server, Some(party)),
            Self::TheOther => (EndReason::Cancelled, party.other().into(), None),
        }
    }
}

/// What a phone does about the CANCEL, how it stands in the end, and how many BYEs it got.
fn answers_to_cancel() -> Vec<(&'static str, Vec<Deed>, Standing, usize)> {
    vec![
        ("487", vec![says_of_cancel(0.0, 200), says(0.0, 487)], REFUSED, 0),
        ("487, 200 to the CANCEL", vec![says(0.0, 487), says_of_cancel(0.01, 200)], REFUSED, 0),
        ("180, then 487", vec![says(0.0, 180), says_of_cancel(0.0, 200), says(1.0, 487)], REFUSED, 0),
        ("183, then 487", vec![says(0.0, 183), says_of_cancel(0.0, 200), says(1.0, 487)], REFUSED, 0),
        ("486", vec![says(0.0, 486), says_of_cancel(0.0, 200)], REFUSED, 0),
        ("600", vec![says(0.0, 600), says_of_cancel(0.0, 200)], REFUSED, 0),
        ("401", vec![says(0.0, 401), says_of_cancel(0.0, 200)], REFUSED, 0),
        ("302", vec![says(0.0, 302)], REFUSED, 0),
        ("200", vec![says(0.0, 200), says_of_cancel(0.0, 481)], ENDED, 1),
        ("200 long after", vec![says_of_cancel(0.0, 200), says(20.0, 200)], ENDED, 1),
        ("481 to the CANCEL, then 487", vec![says_of_cancel(0.0, 481), says(3.0, 487)], REFUSED, 0),
        ("500 to the CANCEL, then 200", vec![says_of_cancel(0.0, 500), says(3.0, 200)], ENDED, 1),
        ("200 to the CANCEL, nothing else", vec![says_of_cancel(0.0, 200)], CANCELLED, 0),
    ]
}

#[test]
fn whatever_crosses_a_cancel_the_call_ends_for_the_reason_that_it_was_given_up() {
    for party in PARTIES {
        for given_up in GivenUpBy::ALL {
            if given_up == GivenUpBy::TheOther && party == Party::From {
                continue;
            }
            for (name, deeds, standing, byes) in answers_to_cancel() {
                let script = RawScript::rings().to_cancel(deeds);
                let mut story = given_up.story(party, &script);
                let call = story.end();
                let end = call.end.as_ref().unwrap();
                assert_eq!(
                    (end.reason, end.by, end.party),
                    given_up.end(party),
                    "{name}, {given_up:?}, {party:?}"
                );
                assert_eq!(story.phone(party, 0).standing(), [standing], "{name}, {given_up:?}, {party:?}");
                assert!(story.count(party, 0, &Method::CANCEL) >= 1, "{name}");
                assert_eq!(story.count(party, 0, &Method::BYE), byes, "{name}, {given_up:?}, {party:?}");
                if party == Party::From {
                    assert!(story.phone(Party::To, 0).log().is_empty(), "{name}");
                }
            }
        }
    }
}

#[test]
fn whatever_crosses_the_cancel_of_a_device_the_one_that_answered_has_the_call() {
    for party in PARTIES {
        for (name, deeds, standing, byes) in answers_to_cancel() {
            let devices = [RawScript::answers_after(0.4), RawScript::rings().to_cancel(deeds)];
            let mut story = Story::where_one_is(party, &devices);
            story.run_for(30.0);
            assert!(story.world.call(story.call).connected_at.is_some(), "{name}");
            assert_eq!(story.phone(party, 1).standing(), [standing], "{name} at {party:?}");
            assert_eq!(story.count(party, 1, &Method::BYE), byes, "{name} at {party:?}");
            assert_eq!(story.count(party, 0, &Method::BYE), 0, "{name} at {party:?}");
            story.hang_up();
            let call = story.end();
            let end = call.end.as_ref().unwrap();
            assert_eq!(
                (end.reason, end.by, end.sip_status),
                (EndReason::HungUp, EndedBy::Api, None),
                "{name}"
            );
            assert_eq!(call.party(party).sip_status, Some(200), "{name}");
        }
    }
}

/// The same finals, sent by themselves around the moment at which the call is given up.
#[test]
fn a_final_response_that_crosses_the_cancel_by_a_hair_is_settled() {
    for party in PARTIES {
        for given_up in [GivenUpBy::Api, GivenUpBy::Timeout] {
            for status in [180, 183, 200, 486, 487, 603] {
                for early in [0.0, 0.0005, 0.001, 0.0015, 0.002, 0.003] {
                    // From the INVITE at the phone to the CANCEL at the phone it is two seconds.
                    let deeds = vec![says(0.0, 180), says(2.001 - early, status)];
                    let mut story = given_up.story(party, &RawScript::new(deeds));
                    story.run_for(10.0);
                    story.hang_up();
                    let call = story.end();
                    let end = call.end.as_ref().unwrap();
                    let ways = [given_up.end(party).0, EndReason::of_status(status), EndReason::HungUp];
                    let what = format!("{status} {early} before {given_up:?} at {party:?}: {end:?}");
                    assert!(ways.contains(&end.reason), "{what}\n{}", story.world.story());
                }
            }
        }
    }
}

#[test]
fn a_phone_that_ignores_the_cancel_does_not_keep_the_call() {
    for party in PARTIES {
        for given_up in [GivenUpBy::Api, GivenUpBy::Timeout] {
            let mut story = given_up.story(party, &RawScript::rings().to_cancel([]));
            let call = story.end();
            let end = call.end.as_ref().unwrap();
            assert_eq!((end.reason, end.by, end.party), given_up.end(party));
            assert!(Story::took(&call) < seconds(8.0), "it took {:?}", Story::took(&call));
            assert!(story.count(party, 0, &Method::CANCEL) > 5, "it is asked again and again");
        }
    }
}

#[test]
fn a_cancel_waits_for_the_first_provisional_response() {
    for party in PARTIES {
        for (deeds, standing) in [
            (vec![says(3.0, 180)], REFUSED),
            (vec![says(3.0, 100)], REFUSED),
            (vec![says(3.0, 200)], ENDED),
            (vec![says(3.0, 486)], REFUSED),
        ] {
            let mut story = GivenUpBy::Api.story(party, &RawScript::new(deeds));
            assert_eq!(story.count(party, 0, &Method::CANCEL), 0);
            let end = story.end().end.clone().unwrap();
            assert_eq!((end.reason, end.by), (EndReason::Cancelled, EndedBy::Api));
            assert_eq!(story.phone(party, 0).standing(), [standing]);
        }
    }
}

#[test]
fn a_phone_that_says_nothing_at_all_is_unreachable() {
    for party in PARTIES {
        let mut request = World::request("1001", "1002");
        (request.timeout, request.to_timeout) = (seconds(60.0), seconds(60.0));
        let mut story = Story::asked_where_one_is(request, party, &[RawScript::new([])]);
        let call = story.world.run_until_ended(story.call);
        let end = call.end.as_ref().unwrap();
        let found = (end.reason, end.by, end.party, end.sip_status, end.q850_cause);
        assert_eq!(found, (EndReason::Unreachable, EndedBy::Server, Some(party), None, Some(20)));
        assert_eq!(story.count(party, 0, &Method::INVITE), 7, "timer A (RFC 3261 §17.1.1.2)");
    }
}

#[test]
fn a_2xx_that_is_lost_is_repeated_and_one_whose_ack_is_lost_is_acknowledged_again() {
    for party in PARTIES {
        for (lost_finals, lost_acks) in [(1, 0), (3, 0), (0, 1), (0, 4), (2, 2)] {
            let script = RawScript { lost_finals, lost_acks, ..RawScript::answers_after(0.3) };
            let mut story = Story::where_one_is(party, &[script]);
            let connected =
                story.world.run_until(seconds(20.0), |world| world.state(story.call) == CallState::Connected);
            assert!(connected, "{}", story.world.story());
            story.run_for(20.0);
            assert_eq!(story.count(party, 0, &Method::ACK), lost_acks + 1);
            story.hang_up();
            let end = story.end().end.clone().unwrap();
            assert_eq!((end.reason, end.by), (EndReason::HungUp, EndedBy::Api));
        }
    }
}

#[test]
fn a_phone_that_takes_no_ack_gets_one_for_each_copy_of_its_2xx() {
    for party in PARTIES {
        let script = RawScript { lost_acks: usize::MAX - 1, ..RawScript::answers_after(0.3) };
        let mut story = Story::where_one_is(party, &[script]);
        story.run_for(40.0);
        assert!(story.world.call(story.call).connected_at.is_some());
        let copies = story.phone(party, 0).log().iter().filter(|logged| logged.is_final_of_invite()).count();
        assert!(copies > 8);
        assert_eq!(story.count(party, 0, &Method::ACK), copies);
        story.hang_up();
        assert_eq!(story.end().end.as_ref().unwrap().reason, EndReason::HungUp);
    }
}

#[test]
fn a_non_2xx_is_acknowledged_as_often_as_it_comes() {
    for party in PARTIES {
        let script = RawScript { lost_acks: 3, ..RawScript::refuses_after(0.2, 486) };
        let mut story = Story::where_one_is(party, &[script]);
        assert_eq!(story.end().end.as_ref().unwrap().reason, EndReason::Busy);
        assert_eq!(story.count(party, 0, &Method::ACK), 4);
    }
}

#[test]
fn a_bye_of_a_phone_that_overtakes_its_ack_ends_the_call() {
    for party in PARTIES {
        for after in [0.0005, 0.001, 0.0015, 0.01] {
            let script = RawScript::new([says(0.0, 180), says(0.4, 200), hangs_up(0.4 + after)]);
            let mut story = Story::where_one_is(party, &[script]);
            let call = story.end();
            let end = call.end.as_ref().unwrap();
            let reason = if party == Party::From { EndReason::Cancelled } else { EndReason::HungUp };
            assert_eq!((end.reason, end.by), (reason, party.into()), "{after}");
        }
    }
}

#[test]
fn a_bye_that_overtakes_a_lost_2xx_ends_the_call_as_that_party_wanted() {
    for party in PARTIES {
        for rings in [true, false] {
            let deeds = vec![says(0.2, 200), hangs_up(0.3)];
            let deeds = if rings { [vec![says(0.0, 180)], deeds].concat() } else { deeds };
            let script = RawScript { lost_finals: 1, ..RawScript::new(deeds) };
            let mut story = Story::where_one_is(party, &[script]);
            let call = story.end();
            let end = call.end.as_ref().unwrap();
            assert_eq!((end.reason, end.by), (EndReason::Cancelled, party.into()), "{}", story.world.story());
            assert!(Story::took(&call) < seconds(1.0), "{:?}", Story::took(&call));
        }
    }
}

#[test]
fn byes_of_both_parties_that_cross_end_the_call_once() {
    for between in [0.0, 0.0005, 0.001, 0.0015, 0.002, 0.01] {
        for first in PARTIES {
            // `from` answers at 0.3 s and is acknowledged a round trip later; `to` is rung then.
            let (mut from, mut to) = (3.0, 3.0 - 0.304);
            match first {
                Party::From => to += between,
                Party::To => from += between,
            }
            let script = |after| [RawScript::answers_after(0.3).to_ack([hangs_up(after)])];
            let mut story = Story::of(&script(from), &script(to));
            let call = story.end();
            let end = call.end.as_ref().unwrap();
            assert_eq!((end.reason, end.party, end.sip_status), (EndReason::HungUp, None, None));
            assert!(matches!(end.by, EndedBy::From | EndedBy::To));
            if between > 0.003 {
                assert_eq!(end.by, first.into());
            }
        }
    }
}

#[test]
fn a_bye_of_ours_ends_the_leg_whatever_comes_back() {
    for party in PARTIES {
        for status in [0, 200, 401, 407, 408, 481, 487, 500, 503] {
            let script = RawScript { to_bye: status, ..RawScript::answers_after(0.3) };
            let mut story = Story::where_one_is(party, &[script]);
            assert!(
                story.world.run_until(seconds(5.0), |world| world.state(story.call) == CallState::Connected)
            );
            let before = story.world.elapsed();
            story.hang_up();
            let over = |world: &World| world.call(story.call).end.is_some();
            assert!(story.world.run_until(seconds(10.0), over), "{status}");
            let took = story.world.elapsed() - before;
            assert!(took < seconds(if status == 0 { 5.1 } else { 0.1 }), "{status}: {took:?}");
            let end = story.end().end.clone().unwrap();
            assert_eq!((end.reason, end.by), (EndReason::HungUp, EndedBy::Api), "{status}");
            let byes = story.count(party, 0, &Method::BYE);
            assert_eq!(byes, if status == 0 { 11 } else { 1 }, "{status}: timer E (RFC 3261 §17.1.2.2)");
        }
    }
}

#[test]
fn a_phone_that_is_not_there_any_more_is_not_waited_for() {
    for party in PARTIES {
        for rings in [true, false] {
            let script = if rings { RawScript::rings() } else { RawScript::answers_after(0.3) };
            let mut story = Story::where_one_is(party, &[script]);
            story.run_for(2.0);
            let phone = story.id(party, 0);
            story.world.unplug(phone);
            story.hang_up();
            story.run_for(0.001);
            story.world.refuse_packets_to(phone);
            let over = |world: &World| world.call(story.call).end.is_some();
            assert!(story.world.run_until(seconds(0.1), over), "{party:?}");
            let end = story.world.run_until_ended(story.call).end.clone().unwrap();
            assert_eq!(end.by, EndedBy::Api);
        }
    }
}

#[test]
fn a_2xx_after_the_cancel_was_given_up_gets_ack_and_bye() {
    for party in PARTIES {
        for after in [25.0, 33.0, 40.0, 100.0, 1000.0] {
            let script = RawScript::rings().to_cancel([says_of_cancel(0.0, 200), says(after, 200)]);
            let mut story = GivenUpBy::Api.story(party, &script);
            story.run_for(after + 5.0);
            assert_eq!(story.phone(party, 0).standing(), [ENDED], "{after} s\n{}", story.world.story());
            let end = story.end().end.clone().unwrap();
            assert_eq!((end.reason, end.by), (EndReason::Cancelled, EndedBy::Api));
        }
    }
}

#[test]
fn a_2xx_to_an_invite_that_was_given_up_in_silence_gets_ack_and_bye() {
    for party in PARTIES {
        for after in [31.0, 31.999, 32.0, 32.001, 40.0, 200.0] {
            let mut request = World::request("1001", "1002");
            (request.timeout, request.to_timeout) = (seconds(20.0), seconds(20.0));
            let script = RawScript::new([says(after, 200)]);
            let mut story = Story::asked_where_one_is(request, party, &[script]);
            story.run_for(after + 5.0);
            assert_eq!(story.phone(party, 0).standing(), [ENDED], "{after} s\n{}", story.world.story());
            let end = story.end().end.clone().unwrap();
            assert_eq!((end.reason, end.party), (EndReason::Unreachable, Some(party)));
        }
    }
}

#[test]
fn a_late_2xx_is_acknowledged_however_often_it_is_repeated_and_whatever_becomes_of_the_bye() {
    for (to_bye, lost_acks) in [(200, 3), (0, 0), (401, 2), (481, 0)] {
        let script = RawScript::rings().to_cancel([says(50.0, 200)]);
        let script = RawScript { to_bye, lost_acks, ..script };
        let mut story = GivenUpBy::Api.story(Party::From, &script);
        story.run_for(100.0);
        assert_eq!(story.phone(Party::From, 0).standing(), [ENDED], "{}", story.world.story());
        assert!(story.count(Party::From, 0, &Method::ACK) >= 1);
        story.end();
    }
}

#[test]
fn the_next_run_of_the_server_ends_what_answers_to_the_last_one() {
    for after in [0.5, 10.0, 100.0] {
        let script = RawScript::new([says(0.0, 180), says(after, 200)]);
        let mut story = Story::where_one_is(Party::From, &[script]);
        story.run_for(0.2);
        story.world.kill_server();
        // Else it would know whom to cancel.
        story.world.lose_disk();
        story.world.start_server_again();
        story.run_for(after + 2.0);
        assert_eq!(story.phone(Party::From, 0).standing(), [ENDED], "{}", story.world.story());
        assert_eq!(story.count(Party::From, 0, &Method::BYE), 1);
    }
}

#[test]
fn a_re_invite_that_crosses_our_bye_finds_no_dialog() {
    for party in PARTIES {
        let mut statuses = Vec::new();
        for hair in [-0.002, -0.0015, -0.001, -0.0005, 0.0, 0.0005, 0.0015] {
            let script = RawScript::answers_after(0.3).to_ack([reinvites(2.0 + hair)]);
            let mut story = Story::where_one_is(party, &[script]);
            // Answers after 0.301 s and, for `to`, that long behind the answer of `from`; the ACK waits 2 ms for the disk.
            let acknowledged = if party == Party::From { 0.305 } else { 0.608 };
            story.run_for(acknowledged + 2.0);
            story.hang_up();
            let end = story.end().end.clone().unwrap();
            assert_eq!((end.reason, end.by), (EndReason::HungUp, EndedBy::Api));
            let answers = story.phone(party, 0).responses();
            let of_invite = answers.iter().filter(|it| it.header.cseq.method == Method::INVITE);
            let last = of_invite.map(|it| it.status.code()).rfind(|status| *status >= 200);
            statuses.push(last.expect("an answer to the re-INVITE"));
        }
        assert!(statuses.contains(&200) && statuses.contains(&481), "{party:?}: {statuses:?}");
    }
}

#[test]
fn a_relay_without_a_port_refuses_the_call_before_anybody_is_rung() {
    let mut world = World::with_seed(1);
    let from = world.raw_phone("1001", RawScript::rings());
    world.raw_phone("1002", RawScript::rings());
    world.register_all();
    world.take_ports(true);
    let answer = world.click_to_call(World::request("1001", "1002"));
    // A port that somebody else has rests for 5 s before it is tried again.
    assert_eq!(answer, Err(Refusal::NoMediaPort { retry_after: seconds(5.0) }));
    world.run_for(seconds(40.0));
    assert!(world.raw(from).log().is_empty());
    world.check_nothing_is_left();
    world.take_ports(false);
    assert!(world.click_to_call(World::request("1001", "1002")).is_ok());
}
