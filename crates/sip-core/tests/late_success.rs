//! A 2xx to an INVITE of ours that comes when nobody waits for it any more (RFC 3261 §13.2.2.4): ACK and BYE, and never to
//! somebody else.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod by_hand;

use by_hand::{Element, PEER, config, new_invite, response_to, udp};
use sip_core::Config;
use sip_message::{Method, Request};
use std::time::Duration;

/// An INVITE that was given up long ago.
fn given_up() -> (Element, Request) {
    given_up_by(Config { call_key: Some(sip_core::CallKey([9; 32])), ..config() })
}

fn given_up_by(config: Config) -> (Element, Request) {
    let mut element = Element::with(config);
    element.invite(new_invite(udp()));
    let invite = element.last_request(&Method::INVITE).clone();
    element.pass_all();
    assert_eq!(element.endpoint.counts(), (0, 0));
    (element, invite)
}

fn text_of(invite: &Request, status: u16, body: &str) -> String {
    String::from_utf8(response_to(invite, status, "p", body)).unwrap()
}

fn ends(element: &Element) -> (usize, usize) {
    (element.requests(&Method::ACK).len(), element.requests(&Method::BYE).len())
}

#[test]
fn a_late_2xx_gets_ack_and_bye_and_the_user_hears_nothing() {
    let (mut element, invite) = given_up();
    let heard = element.events.len();
    element.respond(&invite, 200, "p", "answer");
    assert_eq!(ends(&element), (1, 1));
    let (ack, bye) = (element.last_request(&Method::ACK).clone(), element.last_request(&Method::BYE).clone());
    assert_eq!(ack.header.cseq.number, invite.header.cseq.number);
    assert_eq!((bye.header.cseq.number, bye.header.to.tag()), (invite.header.cseq.number + 1, Some("p")));
    element.respond(&bye, 200, "p", "");
    assert_eq!((element.events.len(), element.endpoint.counts().1), (heard, 0));
    element.pass_all();
    assert_eq!(element.endpoint.counts(), (0, 0));
}

#[test]
fn a_copy_gets_the_ack_again_and_another_branch_an_ack_and_a_bye_of_its_own() {
    let (mut element, invite) = given_up();
    for _ in 0..3 {
        element.respond(&invite, 200, "p", "answer");
    }
    assert_eq!(ends(&element), (3, 1));
    element.respond(&invite, 200, "q", "answer");
    assert_eq!(ends(&element), (4, 2));
    assert_eq!(element.last_request(&Method::BYE).header.to.tag(), Some("q"));
    element.pass_all();
    assert_eq!(element.endpoint.counts(), (0, 0));
}

#[test]
fn of_many_branches_four_are_ended() {
    let (mut element, invite) = given_up();
    for branch in ["p", "q", "r", "s", "t", "u"] {
        element.respond(&invite, 200, branch, "answer");
    }
    assert_eq!(ends(&element), (4, 4));
}

#[test]
fn a_bye_that_nobody_answers_is_given_up() {
    let (mut element, invite) = given_up();
    element.respond(&invite, 200, "p", "answer");
    element.pass(Duration::from_secs(33));
    assert_eq!((ends(&element), element.endpoint.counts()), ((1, 11), (0, 0)));
}

#[test]
fn the_next_run_ends_what_the_last_one_left_when_it_has_the_same_key() {
    let (_, invite) = given_up();
    let mut next = Element::with(Config { call_key: Some(sip_core::CallKey([9; 32])), ..config() });
    next.respond(&invite, 200, "p", "answer");
    assert_eq!(ends(&next), (1, 1));
    let mut other = Element::with(Config { call_key: Some(sip_core::CallKey([8; 32])), ..config() });
    other.respond(&invite, 200, "p", "answer");
    assert!(other.sent.is_empty());
}

#[test]
fn without_a_key_each_run_has_one_of_its_own() {
    let (mut element, invite) = given_up_by(config());
    element.respond(&invite, 200, "p", "answer");
    assert_eq!(ends(&element), (1, 1));
}

#[test]
fn a_stranger_gets_nothing() {
    let (mut element, invite) = given_up();
    let sent = element.sent.len();
    for (part, other) in [
        (invite.header.call_id.0.to_string(), "0123456789abcdef0123456789abcdef"),
        (invite.header.from.tag().unwrap().to_owned(), "0123456789abcdef"),
        (invite.header.from.tag().unwrap().to_owned(), ""),
    ] {
        let response = text_of(&invite, 200, "answer").replace(&part, other);
        element.receive(response);
    }
    for (status, method) in [(180, "INVITE"), (486, "INVITE"), (200, "BYE"), (200, "CANCEL")] {
        let response = text_of(&invite, status, "");
        element.receive(response.replace("INVITE", method));
    }
    assert_eq!((element.sent.len(), element.endpoint.counts()), (sent, (0, 0)));
}

#[test]
fn whatever_it_says_the_answers_go_where_it_came_from() {
    let (mut element, invite) = given_up();
    let response = text_of(&invite, 200, "answer").replace(
        &format!("Contact: <sip:bob@{PEER}>"),
        "Contact: <sip:victim@198.51.100.7>\r\nRecord-Route: <sip:198.51.100.8;lr>",
    );
    assert!(response.contains("victim"));
    let sent = element.sent.len();
    element.receive(response);
    assert_eq!(element.sent.len(), sent + 2);
    assert!(element.sent[sent..].iter().all(|(_, flow, _)| *flow == udp()));
}

#[test]
fn there_is_a_bound() {
    let (mut element, invite) = given_up_by(Config { transactions_max: 1, ..config() });
    element.respond(&invite, 200, "p", "answer");
    assert_eq!(ends(&element), (1, 1));
    let (mut element, invite) = given_up_by(Config { transactions_max: 0, ..config() });
    element.respond(&invite, 200, "p", "answer");
    assert_eq!(ends(&element), (0, 0));
}
