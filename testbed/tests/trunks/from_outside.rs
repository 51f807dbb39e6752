//! `from` outside: a phone number, or an extension whose phone is away; and both outside.

use super::carrier::{Outside, number};
use call_control::{CallDirection, EndReason, Party, PartyState, PartyType, Refusal, StepKind};
use std::time::Duration;
use testbed::simulation::{
    FORWARD_OF_1007, RawScript, World, answers_after, refuses, rings_for_ever, says, seconds,
};

const ELSEWHERE: &str = "+442079460000";

fn user_of(outside: &Outside, index: usize) -> String {
    let uri = &outside.invites(0)[index].uri;
    uri.as_sip().and_then(|uri| uri.decoded_user()).expect("a number")
}

#[test]
fn a_phone_number_is_rung_first_and_sees_the_trunks_number() {
    let mut outside = Outside::with(&[RawScript::answers_after(0.5)]);
    let mut request = World::request(ELSEWHERE, "1001");
    request.caller_id = Some(call_control::CallerId::new("+918065978021").unwrap());
    let call = outside.world.click_to_call(request).unwrap();
    outside.world.run_for(seconds(3.0));
    let view = outside.world.call(call);
    assert_eq!((view.from.party_type, view.from.trunk.as_deref()), (PartyType::External, Some("trunk 1")));
    assert_eq!((view.from.state, view.to.state), (PartyState::Answered, PartyState::Answered));
    assert_eq!(view.direction, CallDirection::Outbound);
    assert_eq!(user_of(&outside, 0), ELSEWHERE);
    let from = outside.invites(0)[0].header.from.uri.to_string();
    assert_eq!(from, "sip:+918065978015@192.0.2.1", "never the caller id, which is for `to`");
    outside.end(call);
}

#[test]
fn early_media_of_from_is_no_answer() {
    let announces = RawScript::new([says(0.1, 183), says(5.0, 480)]);
    let mut outside = Outside::with(&[announces]);
    let call = outside.world.click_to_call(World::request(ELSEWHERE, "1001")).unwrap();
    let record = outside.world.run_until_ended(call);
    let end = record.end.as_ref().unwrap();
    assert_eq!(
        (end.reason, end.party, end.sip_status),
        (EndReason::Unreachable, Some(Party::From), Some(480))
    );
    assert_eq!(record.to.state, PartyState::Waiting, "to was rung");
    let mut slow = Outside::with(&[RawScript::new([says(0.1, 183), says(9.0, 200)])]);
    let mut request = World::request(ELSEWHERE, "1001");
    request.timeout = Duration::from_secs(5);
    let call = slow.world.click_to_call(request).unwrap();
    let record = slow.world.run_until_ended(call);
    assert_eq!(record.end.as_ref().unwrap().reason, EndReason::NoAnswer, "the time counts to the 200");
}

#[test]
fn both_may_be_outside() {
    let mut outside = Outside::with(&[RawScript::answers_after(0.5)]);
    let call = outside.world.click_to_call(World::request(ELSEWHERE, "9944421125")).unwrap();
    outside.world.run_for(seconds(3.0));
    assert_eq!((user_of(&outside, 0).as_str(), user_of(&outside, 1).as_str()), (ELSEWHERE, "+919944421125"));
    assert_eq!(outside.world.channels_in_use(), 2);
    outside.end(call);
    let same = outside.world.click_to_call(World::request("09944421125", "+919944421125"));
    assert_eq!(same, Err(Refusal::SameParty));
}

#[test]
fn the_policy_and_the_limits_hold_for_from_as_well() {
    let mut outside = Outside::with(&[RawScript::answers_after(0.5)]);
    let denied = outside.world.click_to_call(World::request("+4930901820", "1001"));
    assert!(matches!(denied, Err(Refusal::PolicyDenied { field: "from", .. })), "{denied:?}");
    let unreadable = outside.world.click_to_call(World::request("1234567", "1001"));
    assert!(matches!(unreadable, Err(Refusal::NoSuchNumber { field: "from", .. })), "{unreadable:?}");
    assert!(outside.invites(0).is_empty());
}

#[test]
fn an_extension_whose_phone_is_away_is_rung_at_its_other_number() {
    let mut outside = Outside::with(&[RawScript::answers_after(0.5)]);
    for (from, to) in [("1007", "1001"), ("1001", "1007")] {
        let before = outside.invites(0).len();
        let call = outside.world.click_to_call(World::request(from, to)).unwrap();
        outside.world.run_for(seconds(4.0));
        let view = outside.world.call(call);
        assert_eq!((view.from.state, view.to.state), (PartyState::Answered, PartyState::Answered), "{from}");
        assert_eq!(view.direction, CallDirection::Outbound, "{from}");
        assert_eq!(user_of(&outside, before), FORWARD_OF_1007, "{from}");
        let away = if from == "1007" { &view.from } else { &view.to };
        let reached = away.reached.as_ref().map(|reached| (reached.number.as_str(), reached.party_type));
        assert_eq!(reached, Some((FORWARD_OF_1007, PartyType::External)), "{from}: {away:?}");
        assert_eq!(away.number.as_str(), "1007", "what was asked for stays");
        outside.world.hang_up(call);
        outside.world.run_until_ended(call);
    }
}

#[test]
fn a_phone_that_does_not_answer_gives_way_to_its_other_number_in_the_same_span() {
    for party in [Party::From, Party::To] {
        let mut outside = Outside::with(&[RawScript::answers_after(0.5)]);
        let desk = outside.world.phone("1007", rings_for_ever(), 600.0);
        outside.world.register_all();
        let (from, to) = if party == Party::From { ("1007", "1001") } else { ("1001", "1007") };
        let call = outside.world.click_to_call(World::request(from, to)).unwrap();
        outside.world.run_for(seconds(4.0));
        assert!(outside.invites(0).is_empty(), "{party:?}");
        outside.world.run_for(seconds(5.0));
        assert_eq!(outside.world.call(call).party(party).state, PartyState::Answered, "{party:?}");
        let view = outside.world.call(call);
        assert_eq!(view.party(party).trunk.as_deref(), Some("trunk 1"));
        let reached = view.party(party).reached.as_ref().unwrap();
        assert_eq!((reached.number.as_str(), reached.party_type), (FORWARD_OF_1007, PartyType::External));
        assert_eq!(view.party(party).number.as_str(), "1007", "what was asked for stays");
        let [step] = &view.path[..] else { panic!("{:?}", view.path) };
        assert_eq!((step.step, step.party), (StepKind::Forwarded, Some(party)));
        assert_eq!(step.number.as_ref().unwrap().as_str(), FORWARD_OF_1007);
        assert!(!outside.world.is_busy(desk), "{party:?}");
        outside.end(call);
    }
    let mut outside = Outside::with(&[RawScript::rings()]);
    outside.world.phone("1007", rings_for_ever(), 600.0);
    outside.world.register_all();
    let mut request = World::request("1007", "1001");
    request.timeout = Duration::from_secs(9);
    let call = outside.world.click_to_call(request).unwrap();
    let record = outside.end(call);
    let end = record.end.as_ref().unwrap();
    assert_eq!((end.reason, end.party), (EndReason::NoAnswer, Some(Party::From)));
    let lasted = record.ended_at.unwrap().unix_milliseconds() - record.created_at.unix_milliseconds();
    assert!((8_900..9_500).contains(&lasted), "{lasted} ms: one span for both");
}

#[test]
fn whoever_is_there_and_says_no_is_not_rung_elsewhere() {
    for status in [sip_message::StatusCode::BUSY_HERE, sip_message::StatusCode::DECLINE] {
        let mut outside = Outside::with(&[RawScript::answers_after(0.5)]);
        outside.world.phone("1007", refuses(status), 600.0);
        outside.world.register_all();
        let call = outside.world.click_to_call(World::request("1001", "1007")).unwrap();
        let record = outside.world.run_until_ended(call);
        assert_eq!(record.end.as_ref().unwrap().sip_status, Some(status.code()));
        assert!(outside.invites(0).is_empty());
    }
}

#[test]
fn a_phone_that_answers_in_time_is_the_one_that_talks() {
    let mut outside = Outside::with(&[RawScript::answers_after(0.5)]);
    outside.world.phone("1007", answers_after(4.5), 600.0);
    outside.world.register_all();
    let call = outside.world.click_to_call(World::request("1001", "1007")).unwrap();
    outside.world.run_for(seconds(12.0));
    assert_eq!(outside.world.call(call).to.state, PartyState::Answered);
    assert!(outside.invites(0).is_empty());
    let _ = number("1007");
    outside.end(call);
}

#[test]
fn an_extension_may_lead_on_to_another_one_and_circles_end() {
    for is_there in [true, false] {
        let mut outside = Outside::with(&[RawScript::answers_after(0.5)]);
        // 1005 leads on to 1006, and that back.
        let colleague =
            outside.world.phone("1006", if is_there { answers_after(0.5) } else { rings_for_ever() }, 600.0);
        let desk = outside.world.phone("1005", rings_for_ever(), 800.0);
        outside.world.register_all();
        let call = outside.world.click_to_call(World::request("1001", "1005")).unwrap();
        outside.world.run_for(seconds(9.0));
        let view = outside.world.call(call);
        if is_there {
            assert_eq!(view.to.state, PartyState::Answered, "{}", outside.world.story());
            assert_eq!(view.to.reached.as_ref().unwrap().number.as_str(), "1006");
            assert!(outside.world.is_busy(colleague) && !outside.world.is_busy(desk));
            outside.end(call);
        } else {
            let record = outside.world.run_until_ended(call);
            let end = record.end.as_ref().unwrap();
            assert_eq!((end.reason, end.sip_status), (EndReason::LoopDetected, Some(482)));
            assert_eq!(record.path.len(), 5, "{:?}", record.path);
        }
    }
    // Neither has a phone.
    let mut away = Outside::with(&[RawScript::answers_after(0.5)]);
    assert_eq!(
        away.world.click_to_call(World::request("1001", "1005")),
        Err(Refusal::NotRegistered { field: "to" })
    );
}
