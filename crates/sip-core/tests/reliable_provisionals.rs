//! Reliable provisional responses and PRACK in both roles (RFC 3262).
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod by_hand;

use by_hand::{Element, config, identity, invite_text, new_invite, prack_of, reliable_to, request_text, udp};
use sip_core::{Config, GoneCause, InviteEvent, InviteId, NewInvite};
use sip_message::{FieldName, Method, Request, StatusCode};
use std::time::Duration;

fn call() -> (Element, InviteId, Request) {
    let mut element = Element::new();
    let id = element.invite(new_invite(udp()));
    let invite = element.last_request(&Method::INVITE).clone();
    (element, id, invite)
}

fn racks(element: &Element) -> Vec<String> {
    let pracks = element.requests(&Method::PRACK);
    pracks.iter().map(|prack| prack.header.fields.get(&FieldName::RACK).unwrap().to_owned()).collect()
}

fn progress(element: &Element) -> usize {
    element.invite_events().iter().filter(|event| matches!(event, InviteEvent::Progress { .. })).count()
}

/// An incoming call that requires 100rel and rings with that body.
fn ringing(body: Option<&str>) -> (Element, InviteId) {
    ringing_to(&invite_text("z9hG4bK1"), body)
}

fn ringing_to(invite: &str, body: Option<&str>) -> (Element, InviteId) {
    let mut element = Element::new();
    element.receive(invite.replace("Max-Forwards", "Require: 100rel\r\nMax-Forwards"));
    let id = element.take_last();
    ring(&mut element, id, body);
    (element, id)
}

fn ring(element: &mut Element, id: InviteId, body: Option<&str>) {
    let body = body.map(|body| body.as_bytes().to_vec());
    element.ring(id, StatusCode::SESSION_PROGRESS, body);
}

fn accept(element: &mut Element, id: InviteId) {
    element.accept(id, b"answer");
}

fn prack(element: &mut Element, cseq: u32, body: &str) {
    let prack = prack_of(element.last_response(), cseq, body);
    element.receive(prack);
}

#[test]
fn our_invite_offers_100rel_only_with_an_offer() {
    let supported = |offer| {
        let mut element = Element::new();
        element.invite(NewInvite { offer, ..new_invite(udp()) });
        let invite = element.last_request(&Method::INVITE);
        invite.header.fields.tokens(&FieldName::SUPPORTED).contains(&"100rel")
    };
    assert!(supported(Some(b"offer".to_vec())));
    assert!(!supported(None));
}

#[test]
fn a_reliable_response_is_told_once_and_acknowledged_in_its_early_dialog() {
    let (mut element, _, invite) = call();
    element.receive(reliable_to(&invite, 183, "p", 7, "early"));
    element.receive(reliable_to(&invite, 183, "p", 7, "early"));
    assert_eq!((racks(&element), progress(&element)), (vec!["7 1 INVITE".to_owned()], 1));
    let prack = element.last_request(&Method::PRACK);
    assert_eq!((prack.header.cseq.number, prack.header.to.tag()), (2, Some("p")));
    assert_eq!(prack.uri.to_string(), "sip:bob@192.0.2.9:5070");
}

#[test]
fn a_response_ahead_of_its_turn_is_left_alone() {
    let (mut element, _, invite) = call();
    for (rseq, told) in [(7, 1), (9, 1), (8, 2), (7, 2), (9, 3)] {
        element.receive(reliable_to(&invite, 180, "p", rseq, ""));
        assert_eq!((racks(&element).len(), progress(&element)), (told, told), "{rseq}");
    }
    assert_eq!(racks(&element), ["7 1 INVITE", "8 1 INVITE", "9 1 INVITE"]);
}

#[test]
fn each_early_dialog_counts_for_itself() {
    let (mut element, _, invite) = call();
    element.receive(reliable_to(&invite, 180, "p", 7, ""));
    element.receive(reliable_to(&invite, 180, "q", 100, ""));
    element.receive(reliable_to(&invite, 180, "p", 8, ""));
    let pracks = element.requests(&Method::PRACK);
    let of = |prack: &&Request| (prack.header.to.tag().unwrap().to_owned(), prack.header.cseq.number);
    let expected = [("p".to_owned(), 2), ("q".to_owned(), 2), ("p".to_owned(), 3)];
    assert_eq!(pracks.iter().map(of).collect::<Vec<_>>(), expected);
}

#[test]
fn early_dialogs_without_end_are_acknowledged_up_to_a_bound() {
    let (mut element, _, invite) = call();
    for branch in 0..100 {
        element.receive(reliable_to(&invite, 180, &format!("q{branch}"), 1, ""));
    }
    assert_eq!((racks(&element).len(), progress(&element)), (16, 16));
}

#[test]
fn an_unreliable_response_has_no_prack() {
    let (mut element, _, invite) = call();
    element.respond(&invite, 180, "p", "");
    let text = reliable_to(&invite, 180, "p", 7, "");
    element.receive(text.replace("Require: 100rel\r\n", ""));
    element.receive(text.replace("RSeq: 7\r\n", ""));
    assert_eq!((racks(&element).len(), progress(&element)), (0, 3));
}

#[test]
fn the_answer_of_a_reliable_response_stands_for_the_2xx_without_one() {
    let (mut element, id, invite) = call();
    element.receive(reliable_to(&invite, 183, "q", 5, "another"));
    element.receive(reliable_to(&invite, 183, "p", 7, "early"));
    element.respond(&invite, 200, "p", "");
    let Some(InviteEvent::Answered { response }) = element.invite_events().pop() else { panic!("no answer") };
    assert_eq!(response.body, b"early");
    let ack = element.last_request(&Method::ACK);
    assert_eq!((ack.header.cseq.number, ack.body.len()), (1, 0));
    element.hang_up(id, None);
    assert_eq!(element.last_request(&Method::BYE).header.cseq.number, 3, "behind the PRACK");
}

#[test]
fn the_other_branch_is_hung_up_with_a_number_behind_its_prack() {
    let (mut element, _, invite) = call();
    element.receive(reliable_to(&invite, 183, "q", 5, "another"));
    element.respond(&invite, 200, "p", "answer");
    element.respond(&invite, 200, "q", "");
    let bye = element.last_request(&Method::BYE);
    assert_eq!((bye.header.to.tag(), bye.header.cseq.number), (Some("q"), 3));
}

#[test]
fn a_prack_that_fails_ends_nothing_and_a_challenge_of_it_is_answered() {
    for status in [408, 481, 500] {
        let (mut element, _, invite) = call();
        element.receive(reliable_to(&invite, 183, "p", 7, "early"));
        let prack = element.last_request(&Method::PRACK).clone();
        element.respond(&prack, status, "p", "");
        element.respond(&invite, 200, "p", "");
        assert!(element.gone().is_none(), "{status}");
    }
    let mut element = Element::new();
    element.invite(NewInvite { credentials: identity(), ..new_invite(udp()) });
    let invite = element.last_request(&Method::INVITE).clone();
    element.receive(reliable_to(&invite, 183, "p", 7, "early"));
    let first = element.last_request(&Method::PRACK).clone();
    element.respond(&first, 401, "p", "");
    let second = element.last_request(&Method::PRACK);
    assert_eq!(second.header.cseq.number, 3);
    assert!(second.header.fields.get(&FieldName::AUTHORIZATION).is_some());
}

#[test]
fn a_prack_that_finds_nobody_leaves_the_call_to_its_invite() {
    let (mut element, _, invite) = call();
    element.receive(reliable_to(&invite, 183, "p", 7, "early"));
    element.pass(Duration::from_secs(60));
    assert_eq!(racks(&element).len(), 11, "timer E");
    element.respond(&invite, 200, "p", "");
    assert!(element.gone().is_none());
}

#[test]
fn ringing_is_reliable_when_the_caller_requires_it_or_both_want_it() {
    let is_reliable = |field: &str, rings_reliably| {
        let mut element = Element::with(Config { rings_reliably, ..config() });
        element.receive(invite_text("z9hG4bK1").replace("Max-Forwards", &format!("{field}\r\nMax-Forwards")));
        let id = element.take_last();
        ring(&mut element, id, None);
        element.last_response().header.fields.get(&FieldName::RSEQ).is_some()
    };
    assert!(is_reliable("Require: 100rel", false));
    assert!(is_reliable("Supported: timer, 100rel", true));
    assert!(!is_reliable("Supported: 100rel", false));
    assert!(!is_reliable("Supported: timer", true));
}

#[test]
fn a_reliable_response_is_repeated_until_its_prack() {
    let (mut element, _) = ringing(None);
    element.pass(Duration::from_secs(4));
    assert_eq!(element.times(), [0, 0, 500, 1_500, 3_500]);
    let responses = element.responses();
    assert_eq!(responses[1].print(), responses[4].print());
    assert_eq!(responses[4].header.fields.get(&FieldName::REQUIRE), Some("100rel"));
    prack(&mut element, 2, "");
    assert_eq!(element.statuses(), [100, 183, 183, 183, 183, 200]);
    element.pass(Duration::from_secs(50));
    assert_eq!(element.statuses().len(), 6);
}

#[test]
fn without_a_prack_the_call_is_refused_after_32_s() {
    let (mut element, _) = ringing(None);
    element.pass(Duration::from_millis(31_999));
    assert_eq!(element.last_response().status.code(), 183);
    element.pass(Duration::from_millis(1));
    assert_eq!(element.last_response().status.code(), 500);
    assert_eq!(element.gone().unwrap().cause, GoneCause::NoAck);
    element.pass_all();
    assert_eq!(element.endpoint.counts(), (0, 0));
}

#[test]
fn the_2xx_waits_for_the_prack_of_a_session_and_does_not_repeat_it() {
    let (mut element, id) = ringing(Some("early"));
    accept(&mut element, id);
    assert_eq!(element.statuses(), [100, 183]);
    prack(&mut element, 2, "");
    assert_eq!(element.statuses(), [100, 183, 200, 200]);
    let accepted = element.last_response();
    assert_eq!((&accepted.header.cseq.method, accepted.body.len()), (&Method::INVITE, 0));
    let local = accepted.header.to.tag().unwrap().to_owned();
    element.receive(request_text("ACK", "1", "p", &local, 1, ""));
    assert!(matches!(element.invite_events().last(), Some(InviteEvent::Confirmed { body: None })));
}

#[test]
fn the_2xx_goes_before_the_prack_of_ringing_without_a_session_which_is_answered_still() {
    let (mut element, id) = ringing(None);
    let late = prack_of(element.last_response(), 2, "");
    accept(&mut element, id);
    assert_eq!(
        (element.statuses(), &element.last_response().body[..]),
        (vec![100, 183, 200], &b"answer"[..])
    );
    element.receive(late);
    assert_eq!(
        (element.last_response().status, &element.last_response().header.cseq.method),
        (StatusCode::OK, &Method::PRACK)
    );
}

#[test]
fn a_second_ringing_waits_for_the_first_and_counts_on() {
    let (mut element, id) = ringing(Some("early"));
    ring(&mut element, id, Some("again"));
    ring(&mut element, id, None);
    let rseq = |element: &Element| {
        element.last_response().header.fields.get(&FieldName::RSEQ).unwrap().parse::<u32>().unwrap()
    };
    let first = rseq(&element);
    assert_eq!(element.statuses(), [100, 183]);
    prack(&mut element, 2, "");
    assert_eq!((element.statuses(), rseq(&element)), (vec![100, 183, 200, 183], first + 1));
    assert!(element.last_response().body.is_empty());
}

#[test]
fn a_session_that_was_acknowledged_is_not_sent_again() {
    let (mut element, id) = ringing(Some("early"));
    prack(&mut element, 2, "");
    ring(&mut element, id, Some("again"));
    assert!(element.last_response().body.is_empty());
    prack(&mut element, 3, "");
    accept(&mut element, id);
    assert_eq!(element.statuses(), [100, 183, 200, 183, 200, 200]);
    assert!(element.last_response().body.is_empty());
}

#[test]
fn a_prack_of_nothing_is_481() {
    let (mut element, _) = ringing(None);
    let right = prack_of(element.last_response(), 2, "");
    let rack = right.lines().find(|line| line.starts_with("RAck")).unwrap().to_owned();
    for (cseq, wrong) in (3..).zip(["RAck: 1 1 INVITE", "RAck: 0", "X: y"]) {
        element.receive(
            right
                .replace(&rack, wrong)
                .replace("CSeq: 2", &format!("CSeq: {cseq}"))
                .replace("PRACKp2", &format!("x{cseq}")),
        );
        assert_eq!(element.last_response().status.code(), 481, "{wrong}");
    }
    element.receive(right.replace("CSeq: 2", "CSeq: 7"));
    assert_eq!(element.last_response().status, StatusCode::OK);
    element.receive(right.replace("CSeq: 2", "CSeq: 8").replace("PRACKp2", "again"));
    assert_eq!(element.last_response().status.code(), 481, "it is acknowledged already");
}

#[test]
fn the_prack_answers_what_ringing_offered() {
    let late = invite_text("z9hG4bK1");
    let late = format!("{}Content-Length: 0\r\n\r\n", late.split_once("Content-Type").unwrap().0);
    let (mut element, id) = ringing_to(&late, Some("our offer"));
    accept(&mut element, id);
    prack(&mut element, 2, "their answer");
    assert_eq!((element.statuses(), element.last_response().body.len()), (vec![100, 183, 200, 200], 0));
    let local = element.last_response().header.to.tag().unwrap().to_owned();
    element.receive(request_text("ACK", "1", "p", &local, 1, ""));
    assert!(
        matches!(element.invite_events().last(), Some(InviteEvent::Confirmed { body: Some(body) }) if body == b"their answer")
    );
}

#[test]
fn another_offer_in_a_prack_is_refused_and_its_acknowledgement_counts() {
    let (mut element, id) = ringing(Some("early"));
    prack(&mut element, 2, "another offer");
    assert_eq!(element.last_response().status, StatusCode::NOT_ACCEPTABLE_HERE);
    accept(&mut element, id);
    assert_eq!(element.statuses(), [100, 183, 488, 200]);
}

#[test]
fn a_call_is_refused_hung_up_and_cancelled_without_waiting_for_a_prack() {
    let (mut element, id) = ringing(Some("early"));
    element.reject(id, StatusCode::BUSY_HERE);
    assert_eq!(element.statuses(), [100, 183, 486]);

    let (mut element, _) = ringing(Some("early"));
    element.receive(invite_text("z9hG4bK1").replace("INVITE", "CANCEL"));
    assert_eq!(element.statuses(), [100, 183, 200, 487]);
    element.pass_all();
    assert_eq!(element.endpoint.counts(), (0, 0));
}
