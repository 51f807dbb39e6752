//! Stories: several devices of one extension, and devices that fork an INVITE further.

use call_control::{EndReason, EndedBy, Party};
use sip_message::Method;
use testbed::simulation::{RawScript, Standing, Story, hangs_up, says, says_as};

const PARTIES: [Party; 2] = [Party::From, Party::To];

const ENDED: Standing = Standing::Answered { acknowledged: true, ended: true };
const TALKING: Standing = Standing::Answered { acknowledged: true, ended: false };

/// Answers, and hangs up so long after the ACK.
fn talks_for(answer: f64, talk: f64) -> RawScript {
    RawScript::answers_after(answer).to_ack([hangs_up(talk)])
}

#[test]
fn all_devices_ring_and_the_others_are_told_who_answered() {
    for party in PARTIES {
        let devices = [RawScript::rings(), talks_for(0.4, 2.0), RawScript::rings()];
        let mut story = Story::where_one_is(party, &devices);
        story.run_for(1.5);
        for other in [0, 2] {
            assert_eq!(story.count(party, other, &Method::CANCEL), 1, "{party:?}");
            let told = story.told(party, other).expect("a Reason");
            assert_eq!((told.cause, told.text.as_deref()), (Some(200), Some("Call completed elsewhere")));
        }
        let call = story.end();
        let end = call.end.as_ref().unwrap();
        assert_eq!((end.reason, end.by, end.sip_status), (EndReason::HungUp, party.into(), None));
        assert_eq!(call.party(party).sip_status, Some(200));
    }
}

#[test]
fn of_two_devices_that_answer_at_once_one_has_the_call_and_the_other_gets_ack_and_bye() {
    for party in PARTIES {
        // The second answers before, at, and after the moment at which our CANCEL reaches it.
        for later in [0.0, 0.0005, 0.001, 0.002, 0.003] {
            let crossing = RawScript::answers_after(0.4 + later).to_cancel([]);
            let mut story = Story::where_one_is(party, &[RawScript::answers_after(0.4), crossing]);
            story.run_for(2.0);
            assert_eq!(story.phone(party, 0).standing(), [TALKING], "{later}");
            assert_eq!(story.phone(party, 1).standing(), [ENDED], "{later}");
            assert!(story.count(party, 1, &Method::BYE) == 1, "{later}");
            assert!(story.world.call(story.call).connected_at.is_some());
            story.hang_up();
            let end = story.end().end.clone().unwrap();
            assert_eq!((end.reason, end.by), (EndReason::HungUp, EndedBy::Api));
        }
    }
}

#[test]
fn a_device_that_refuses_does_not_keep_another_from_answering() {
    for party in PARTIES {
        for status in [302, 404, 408, 480, 486, 488, 503] {
            let devices = [RawScript::refuses_after(0.2, status), talks_for(0.6, 1.0)];
            let mut story = Story::where_one_is(party, &devices);
            story.run_for(0.35);
            assert_ne!(story.world.call(story.call).party(party).sip_status, Some(status), "it still rings");
            let call = story.end();
            let end = call.end.as_ref().unwrap();
            assert_eq!((end.reason, end.by, end.sip_status), (EndReason::HungUp, party.into(), None));
            assert_eq!(call.party(party).sip_status, Some(200), "not that of the device that was busy");
        }
    }
}

#[test]
fn a_6xx_of_one_device_stops_the_others() {
    for party in PARTIES {
        let mut story = Story::where_one_is(party, &[RawScript::refuses_after(0.2, 603), RawScript::rings()]);
        let call = story.end();
        let end = call.end.as_ref().unwrap();
        let found = (end.reason, end.party, end.sip_status);
        assert_eq!(found, (EndReason::Declined, Some(party), Some(603)));
        assert_eq!(story.count(party, 1, &Method::CANCEL), 1);
        assert_eq!(call.party(party).sip_status, Some(603));
    }
}

/// What is told when all devices refuse: RFC 3261 §16.7 step 6; but a redirection that leads to nobody says less than
/// what another device has said.
const BEST: [(&[u16], u16); 12] = [
    (&[486, 480], 486),
    (&[480, 486], 486),
    (&[404, 480], 404),
    (&[480, 404], 404),
    (&[487, 486], 486),
    (&[503, 486], 486),
    (&[500, 480], 480),
    (&[503, 500], 500),
    (&[500, 503], 500),
    (&[503, 503], 503),
    (&[486, 302], 486),
    (&[486, 603], 603),
];

#[test]
fn when_all_devices_refuse_the_best_status_is_told() {
    for party in PARTIES {
        for (statuses, best) in BEST {
            let times = (1..).map(|n| f64::from(n) / 5.0);
            let refuses = |(status, time): (&u16, f64)| RawScript::refuses_after(time, *status);
            let devices: Vec<_> = statuses.iter().zip(times).map(refuses).collect();
            let mut story = Story::where_one_is(party, &devices);
            let call = story.end();
            let end = call.end.as_ref().unwrap();
            assert_eq!((end.sip_status, end.party), (Some(best), Some(party)), "{statuses:?}");
            assert_eq!(end.reason, EndReason::of_status(best));
            assert_eq!(call.party(party).sip_status, Some(best), "{statuses:?}");
            if party == Party::To {
                assert_eq!(story.told(Party::From, 0).unwrap().cause, Some(best));
            }
        }
    }
}

#[test]
fn a_busy_device_of_a_party_that_rings_on_is_no_reason_for_the_other_party() {
    let devices = [RawScript::refuses_after(0.2, 486), RawScript::rings()];
    let mut story = Story::of(&[RawScript::answers_after(0.3)], &devices);
    story.run_for(2.0);
    story.hang_up();
    let call = story.end();
    assert_eq!(call.end.as_ref().unwrap().reason, EndReason::Cancelled);
    assert_eq!(story.told(Party::From, 0), None, "nobody was busy in the end");
}

#[test]
fn a_device_that_cannot_be_reached_does_not_keep_another_from_answering() {
    for party in PARTIES {
        for gone_silent in [true, false] {
            let mut story = Story::where_one_is(party, &[RawScript::rings(), talks_for(1.0, 1.0)]);
            let dead = story.id(party, 0);
            if gone_silent {
                story.world.unplug(dead);
            } else {
                story.run_for(if party == Party::To { 0.4 } else { 0.0 });
                story.world.refuse_packets_to(dead);
            }
            let call = story.world.run_until_ended(story.call);
            assert_eq!(call.end.as_ref().unwrap().reason, EndReason::HungUp, "{}", story.world.story());
        }
    }
}

#[test]
fn a_party_none_of_whose_devices_can_be_reached_is_unreachable() {
    for party in PARTIES {
        let mut story = Story::where_one_is(party, &[RawScript::new([])]);
        story.run_for(if party == Party::To { 0.4 } else { 0.0 });
        let dead = story.id(party, 0);
        story.world.refuse_packets_to(dead);
        let call = story.world.run_until_ended(story.call);
        let end = call.end.as_ref().unwrap();
        let found = (end.reason, end.by, end.party, end.sip_status, end.q850_cause);
        assert_eq!(found, (EndReason::Unreachable, EndedBy::Server, Some(party), None, Some(20)));
    }
}

#[test]
fn of_a_device_that_forks_the_first_2xx_has_the_call_and_each_other_gets_ack_and_bye() {
    for party in PARTIES {
        let device = RawScript::new([
            says_as('a', 0.1, 180),
            says_as('b', 0.1, 180),
            says_as('c', 0.2, 183),
            says_as('b', 0.4, 200),
            says_as('a', 0.401, 200),
            says_as('c', 3.0, 200),
            says_as('d', 20.0, 200),
        ]);
        let mut story = Story::where_one_is(party, &[device]);
        story.run_for(30.0);
        assert_eq!(
            story.phone(party, 0).standing(),
            [ENDED, TALKING, ENDED, ENDED],
            "{}",
            story.world.story()
        );
        story.hang_up();
        let end = story.end().end.clone().unwrap();
        assert_eq!((end.reason, end.by), (EndReason::HungUp, EndedBy::Api));
        assert_eq!(story.count(party, 0, &Method::BYE), 4);
    }
}

#[test]
fn several_2xx_behind_a_cancel_each_get_ack_and_bye() {
    for party in PARTIES {
        let device = RawScript::new([says_as('a', 0.1, 180), says_as('b', 0.1, 180)]).to_cancel([
            says_as('a', 0.0, 200),
            says_as('b', 0.0, 200),
            says_as('c', 1.0, 200),
        ]);
        let mut story = Story::where_one_is(party, &[device]);
        story.run_for(1.0);
        story.hang_up();
        let end = story.end().end.clone().unwrap();
        assert_eq!((end.reason, end.by), (EndReason::Cancelled, EndedBy::Api));
        assert_eq!(story.phone(party, 0).standing(), [ENDED; 3]);
    }
}

#[test]
fn a_provisional_response_of_another_branch_behind_the_2xx_changes_nothing() {
    for party in PARTIES {
        let device = RawScript::new([says(0.1, 180), says(0.3, 200), says_as('b', 0.5, 180)]);
        let mut story = Story::where_one_is(party, &[device]);
        story.run_for(2.0);
        assert!(story.world.call(story.call).connected_at.is_some());
        story.hang_up();
        assert_eq!(story.end().end.as_ref().unwrap().reason, EndReason::HungUp);
    }
}
