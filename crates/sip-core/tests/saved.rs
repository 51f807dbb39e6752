//! What an endpoint began and did not end before it died, another one ends: CANCEL for what rings, BYE for what talks.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod by_hand;

use by_hand::{Element, flow, new_invite, request_text, response_to, udp};
use sip_core::{Config, Event, GoneCause, InviteEvent, InviteId, NewInvite, SavedInvite, Transport};
use sip_message::{CallId, FieldName, Message, Method, NameAddr, Reason, Request};

/// An endpoint that has sent an INVITE, and the INVITE.
fn calling() -> (Element, InviteId, Request) {
    let mut element = Element::new();
    let route: NameAddr = "<sip:path.example.com;lr>".parse().unwrap();
    let id = element.invite(NewInvite { route: vec![route], ..new_invite(udp()) });
    let invite = element.last_request(&Method::INVITE).clone();
    (element, id, invite)
}

/// The one that comes after it.
fn next(saved: &SavedInvite) -> Element {
    let mut element = Element::new();
    let reason = Reason { protocol: "Q.850".into(), cause: Some(41), text: None };
    element.end_saved(saved, Some(reason));
    element
}

/// What a CANCEL repeats of its INVITE (RFC 3261 §9.1).
fn heart(request: &Request) -> Vec<String> {
    let header = &request.header;
    let via = header.via.first().unwrap().to_string();
    let number = header.cseq.number.to_string();
    vec![via, header.from.to_string(), header.to.to_string(), request.uri.to_string(), number]
}

/// The ends of a usage that were told.
fn told_of(element: &Element, usage: InviteId) -> Vec<GoneCause> {
    let causes = element.events.iter().filter_map(|event| match event {
        Event::Invite { invite, event: InviteEvent::Gone(gone) } if *invite == usage => Some(gone.cause),
        Event::Invite { .. } | Event::Request(_) | Event::Response { .. } => None,
    });
    causes.collect()
}

fn cause(element: &Element) -> Option<GoneCause> {
    element.gone().map(|gone| gone.cause)
}

#[test]
fn what_rings_is_cancelled_as_its_own_transaction() {
    let (mut element, id, invite) = calling();
    element.respond(&invite, 180, "p", "");
    let mut after = next(&element.endpoint.saved(id).unwrap());
    let cancel = after.last_request(&Method::CANCEL).clone();
    assert_eq!(heart(&cancel), heart(&invite));
    let routes = |request: &Request| request.header.fields.get_all(&FieldName::ROUTE).count();
    assert_eq!((routes(&cancel), routes(&invite)), (1, 1));
    after.respond(&cancel, 200, "p", "");
    after.respond(&invite, 487, "p", "");
    assert_eq!(heart(after.last_request(&Method::ACK))[..2], heart(&invite)[..2]);
    assert_eq!(cause(&after), Some(GoneCause::Cancelled));
    after.pass_all();
    assert_eq!(after.endpoint.counts(), (0, 0));
}

#[test]
fn an_answer_that_comes_only_then_is_acknowledged_and_ended() {
    let (mut element, id, invite) = calling();
    element.respond(&invite, 180, "p", "");
    let mut after = next(&element.endpoint.saved(id).unwrap());
    after.respond(&invite, 200, "p", "answer");
    assert_eq!(after.requests(&Method::ACK).len(), 1);
    let bye = after.last_request(&Method::BYE).clone();
    after.respond(&bye, 200, "p", "");
    assert_eq!(cause(&after), Some(GoneCause::Cancelled));
    after.pass_all();
    assert_eq!(after.endpoint.counts(), (0, 0));
}

#[test]
fn what_talks_gets_a_bye_with_a_number_above_all_that_were_used() {
    let (mut element, id, invite) = calling();
    element.respond(&invite, 200, "p", "answer");
    let saved = element.endpoint.saved(id).unwrap();
    for _ in 0..3 {
        element.inform(id, "text/plain", b"1");
    }
    let last = element.last_request(&Method::INFO).header.cseq.number;
    assert_eq!(element.endpoint.saved(id).unwrap(), saved, "saved for each request");
    let mut after = next(&saved);
    let bye = after.last_request(&Method::BYE).clone();
    assert!(bye.header.cseq.number > last);
    assert_eq!(bye.header.from.to_string(), invite.header.from.to_string());
    assert_eq!(bye.header.to.tag(), Some("p"));
    assert_eq!(bye.header.fields.get(&FieldName::REASON), Some("Q.850;cause=41"));
    assert_eq!(after.sent.last().unwrap().1, udp());
    after.respond(&bye, 481, "p", "");
    assert_eq!(cause(&after), Some(GoneCause::HungUp));
    after.pass_all();
    assert_eq!(after.endpoint.counts(), (0, 0));
}

#[test]
fn a_phone_that_does_not_answer_the_bye_is_given_up() {
    let (mut element, id, invite) = calling();
    element.respond(&invite, 200, "p", "answer");
    let mut after = next(&element.endpoint.saved(id).unwrap());
    after.pass_all();
    assert_eq!(after.requests(&Method::BYE).len(), 11);
    assert_eq!(cause(&after), Some(GoneCause::TimedOut));
    assert_eq!(after.endpoint.counts(), (0, 0));
}

#[test]
fn a_peer_that_has_moved_is_found_where_it_is() {
    let (mut element, id, invite) = calling();
    element.respond(&invite, 200, "p", "answer");
    let before = element.endpoint.saved(id).unwrap();
    let elsewhere = sip_core::Flow { remote: "198.51.100.7:40000".parse().unwrap(), ..flow(Transport::Udp) };
    let local = invite.header.from.tag().unwrap();
    let text = request_text("OPTIONS", &invite.header.call_id.0, "p", local, 9, "");
    element.receive_along(text, elsewhere);
    let saved = element.endpoint.saved(id).unwrap();
    assert_ne!(saved, before);
    assert_eq!(next(&saved).sent.last().unwrap().1, elsewhere);
}

#[test]
fn nothing_is_saved_of_what_is_over_and_nothing_is_ended_twice() {
    let (mut element, id, invite) = calling();
    element.respond(&invite, 180, "p", "");
    let saved = element.endpoint.saved(id).unwrap();
    assert_eq!(saved.call_id, invite.header.call_id);
    let (again, sent) = (element.end_saved(&saved, None), element.sent.len());
    assert_eq!(told_of(&element, again), [GoneCause::NothingToEnd], "it is known here");
    assert_eq!(element.sent.len(), sent);
    assert!(element.endpoint.saved(id).is_some(), "the one that is known goes on");
    element.respond(&invite, 486, "p", "");
    assert!(element.endpoint.saved(id).is_none());
    let mut after = next(&saved);
    let again = after.end_saved(&saved, None);
    assert_eq!(told_of(&after, again), [GoneCause::NothingToEnd]);
}

#[test]
fn credentials_are_not_saved_and_what_cannot_be_read_is_left_alone() {
    let mut element = Element::with(Config::default());
    let id = element.invite(NewInvite { credentials: by_hand::identity(), ..new_invite(udp()) });
    let invite = element.last_request(&Method::INVITE).clone();
    let challenge = String::from_utf8(response_to(&invite, 401, "p", "")).unwrap();
    let field = "WWW-Authenticate: Digest realm=\"x\", nonce=\"n\", algorithm=MD5\r\n";
    element.receive(by_hand::with_fields(challenge, field));
    let again = element.last_request(&Method::INVITE).clone();
    assert!(again.header.fields.get(&FieldName::AUTHORIZATION).is_some());
    element.respond(&again, 180, "p", "");
    let saved = element.endpoint.saved(id).unwrap();
    assert!(!String::from_utf8_lossy(&saved.request).contains("Authorization"));
    let of_another = SavedInvite { call_id: CallId("another".into()), ..saved.clone() };
    let mut after = Element::new();
    let invite = after.end_saved(&of_another, None);
    assert_eq!(told_of(&after, invite), [GoneCause::NothingToEnd]);
    for request in [&b""[..], b"BYE", b"\0\r\n\r\n", &saved.request[..40]] {
        let broken = SavedInvite { request: request.to_vec(), ..saved.clone() };
        let mut after = Element::new();
        let invite = after.end_saved(&broken, None);
        assert_eq!(told_of(&after, invite), [GoneCause::NothingToEnd]);
        assert_eq!((after.sent.len(), after.endpoint.counts()), (0, (0, 0)));
    }
}

#[test]
fn an_invite_that_waits_is_known_before_it_is_sent_and_taken_back_as_what_it_was() {
    let mut element = Element::new();
    let id = element.invite(NewInvite { waits: true, ..new_invite(udp()) });
    assert!(element.endpoint.waits(id) && element.requests(&Method::INVITE).is_empty());
    let saved = element.endpoint.saved(id).expect("what it will be");
    for _ in 0..2 {
        element.command(sip_core::Command::Send { invite: id });
        assert!(!element.endpoint.waits(id));
    }
    assert_eq!(element.requests(&Method::INVITE).len(), 1);
    let branch =
        |request: &Request| request.header.via.first().and_then(|via| via.branch()).map(String::from);
    let sent = element.last_request(&Method::INVITE).clone();
    let Ok(Message::Request(kept)) = Message::parse(&saved.request) else { panic!("{saved:?}") };
    assert_eq!((branch(&kept), &kept.header.call_id), (branch(&sent), &sent.header.call_id));
    element.respond(&sent, 180, "p", "");
    element.hang_up(id, None);
    assert_eq!(branch(element.last_request(&Method::CANCEL)), branch(&sent));
}

#[test]
fn an_invite_that_is_not_wanted_any_more_while_it_waits_is_never_sent() {
    let mut element = Element::new();
    let id = element.invite(NewInvite { waits: true, ..new_invite(udp()) });
    element.hang_up(id, None);
    element.command(sip_core::Command::Send { invite: id });
    assert!(element.sent.is_empty());
    assert_eq!(element.gone().map(|gone| gone.cause), Some(GoneCause::Cancelled));
    assert_eq!(element.endpoint.counts(), (0, 0));
}
