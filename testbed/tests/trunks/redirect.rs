//! A phone or a carrier says where else its user is (RFC 3261 §21.3).

use super::carrier::Outside;
use call_control::{Call, EndReason, Party, PartyState, StepKind};
use sip_message::{FieldName, Method};
use std::sync::Arc;
use testbed::simulation::{RawScript, World, answers_after, says_with, seconds};

/// 1001 calls 1002, whose phone names these Contacts; 1003 has a phone that answers, and a carrier takes calls.
fn redirected(contacts: &str, status: u16) -> (Outside, Arc<Call>, PartyState) {
    let fields: &'static str = Box::leak(format!("Contact: {contacts}\r\n").into_boxed_str());
    let mut outside = Outside::with(&[RawScript::answers_after(0.3)]);
    outside.world.raw_phone("1002", RawScript::new([says_with(fields, 0.2, status)]));
    outside.world.phone("1003", answers_after(0.3), 900.0);
    outside.world.register_all();
    let call = outside.world.click_to_call(World::request("1001", "1002")).expect("both can be called");
    outside.world.run_for(seconds(4.0));
    let state = outside.world.call(call).to.state;
    if outside.world.is_live(call) {
        outside.world.hang_up(call);
    }
    let record = outside.world.run_until_ended(call);
    (outside, record, state)
}

/// The numbers that were rung in the place of `to`, and the one that it has reached.
fn went_on_to(record: &Call) -> (Vec<&str>, Option<&str>) {
    let steps = record.path.iter().map(|step| {
        assert_eq!((step.step, step.party, step.sip_status), (StepKind::Forwarded, Some(Party::To), None));
        step.number.as_ref().expect("it names a number").as_str()
    });
    (steps.collect(), record.to.reached.as_ref().map(|reached| reached.number.as_str()))
}

#[test]
fn whoever_is_named_is_rung_in_its_place() {
    for status in [300, 301, 302] {
        for contacts in [
            "<sip:1003@pbx.example.com>",
            "<sip:nobody@elsewhere.example>, <sip:1003@pbx.example.com>;q=0.5",
            "<tel:1003>",
        ] {
            let (outside, record, state) = redirected(contacts, status);
            assert_eq!(state, PartyState::Answered, "{contacts}\n{}", outside.world.story());
            assert_eq!(went_on_to(&record), (vec!["1003"], Some("1003")), "{contacts}");
            assert_eq!(record.end.as_ref().unwrap().reason, EndReason::HungUp);
            assert!(outside.invites(0).is_empty());
        }
    }
    for contacts in
        ["<sip:09944421125@pbx.example.com>", "<tel:+919944421125>", "<sip:+919944421125@192.0.2.1>"]
    {
        let (outside, record, state) = redirected(contacts, 302);
        assert_eq!(
            (state, record.to.trunk.as_deref()),
            (PartyState::Answered, Some("trunk 1")),
            "{contacts}"
        );
        assert_eq!(went_on_to(&record), (vec!["+919944421125"], Some("+919944421125")), "{contacts}");
        let uri = outside.invites(0)[0].uri.to_string();
        assert_eq!(uri, "sip:+919944421125@192.0.2.1", "as one that was dialled");
    }
}

#[test]
fn the_place_that_is_liked_best_goes_first_whatever_stands_first() {
    for contacts in [
        "<sip:09944421125@pbx.example.com>;q=0.1, <sip:1003@pbx.example.com>;q=0.9",
        "<sip:1003@pbx.example.com>;q=0.9, <sip:09944421125@pbx.example.com>;q=0.1",
        "<sip:09944421125@pbx.example.com>;q=0.999, <sip:1003@pbx.example.com>",
        "<sip:09944421125@pbx.example.com>;q=0.0, <sip:1003@pbx.example.com>;q=7",
        "<sip:1003@pbx.example.com>;q=0.5, <sip:09944421125@pbx.example.com>;q=0.5",
    ] {
        let (outside, record, state) = redirected(contacts, 302);
        assert_eq!((went_on_to(&record).1, state), (Some("1003"), PartyState::Answered), "{contacts}");
        assert!(outside.invites(0).is_empty(), "{contacts}");
    }
}

#[test]
fn what_names_a_proxy_or_another_service_sends_nobody_elsewhere() {
    for status in [305, 380] {
        let (_, record, _) = redirected("<sip:1003@pbx.example.com>", status);
        let end = record.end.as_ref().unwrap();
        assert_eq!(
            (end.reason, end.sip_status, record.path.is_empty()),
            (EndReason::Refused, Some(status), true)
        );
    }
}

#[test]
fn whoever_is_sent_elsewhere_opens_no_microphone_there() {
    let mut outside = Outside::with(&[RawScript::answers_after(0.3)]);
    let fields = "Contact: <sip:1003@pbx.example.com>\r\n";
    let first = outside.world.raw_phone("1002", RawScript::new([says_with(fields, 0.1, 302)]));
    let second = outside.world.raw_phone("1003", RawScript::new([says_with("", 0.1, 486)]));
    outside.world.register_all();
    let mut request = World::request("1002", "1001");
    request.auto_answer = true;
    let call = outside.world.click_to_call(request).unwrap();
    outside.world.run_until_ended(call);
    let wishes = |phone| {
        let invite = outside.world.raw(phone).received(&Method::INVITE)[0];
        invite.header.fields.get(&FieldName::CALL_INFO).is_some()
    };
    assert_eq!((wishes(first), wishes(second)), (true, false));
}

#[test]
fn what_is_not_ours_or_may_not_be_dialled_is_not_followed() {
    for (contacts, reason, status) in [
        ("<sip:1003@elsewhere.example>", EndReason::Refused, 302),
        ("<sip:7777@pbx.example.com>", EndReason::Refused, 302),
        ("<mailto:1003@pbx.example.com>", EndReason::Refused, 302),
        ("<sip:+4930901820@pbx.example.com>", EndReason::PolicyDenied, 403),
        ("<tel:+919001234567>", EndReason::PolicyDenied, 403),
    ] {
        let (outside, record, _) = redirected(contacts, 302);
        let end = record.end.as_ref().unwrap();
        assert_eq!((end.reason, end.sip_status), (reason, Some(status)), "{contacts}");
        assert!(outside.invites(0).is_empty(), "{contacts}");
        let (steps, reached) = went_on_to(&record);
        assert_eq!((steps.is_empty(), reached), (true, None), "{contacts}: nobody was rung");
    }
}

#[test]
fn phones_that_send_a_call_to_each_other_end_it() {
    let mut outside = Outside::with(&[RawScript::answers_after(0.3)]);
    let to = |number: &str| -> &'static str {
        Box::leak(format!("Contact: <sip:{number}@pbx.example.com>\r\n").into_boxed_str())
    };
    let there = outside.world.raw_phone("1002", RawScript::new([says_with(to("1003"), 0.1, 302)]));
    outside.world.raw_phone("1003", RawScript::new([says_with(to("1002"), 0.1, 302)]));
    outside.world.register_all();
    let call = outside.world.click_to_call(World::request("1001", "1002")).unwrap();
    let record = outside.world.run_until_ended(call);
    let end = record.end.as_ref().unwrap();
    assert_eq!((end.reason, end.sip_status), (EndReason::LoopDetected, Some(482)));
    let asked = outside.world.raw(there).received(&Method::INVITE).len();
    assert!((2..=4).contains(&asked), "{asked}");
}

#[test]
fn what_comes_of_a_redirection_counts_and_the_redirection_does_not() {
    let mut outside = Outside::with(&[RawScript::answers_after(0.3)]);
    let fields = "Contact: <sip:1003@pbx.example.com>\r\n";
    outside.world.raw_phone("1002", RawScript::new([says_with(fields, 0.1, 302)]));
    outside.world.raw_phone("1003", RawScript::new([says_with("", 0.1, 486)]));
    outside.world.register_all();
    let call = outside.world.click_to_call(World::request("1001", "1002")).unwrap();
    let record = outside.world.run_until_ended(call);
    let end = record.end.as_ref().unwrap();
    assert_eq!((end.reason, end.sip_status), (EndReason::Busy, Some(486)), "{}", outside.world.story());
}
