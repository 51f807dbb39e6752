//! Single turns that an INVITE usage takes (RFC 3261 §9, §12 to §15; RFC 5407).
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod by_hand;

use by_hand::{
    Element, PEER, config, flow, identity, invite_text, new_invite, request_text, response_to, udp,
    with_fields,
};
use sip_core::{Config, Flow, GoneCause, InviteEvent, InviteId, NewInvite, Transport};
use sip_message::{FieldName, Method, NameAddr, Reason, Request, StatusCode};
use std::time::Duration;

fn call() -> (Element, InviteId, Request) {
    call_with(new_invite(udp()))
}

fn call_with(new: NewInvite) -> (Element, InviteId, Request) {
    let mut element = Element::new();
    let id = element.invite(new);
    let invite = element.last_request(&Method::INVITE).clone();
    (element, id, invite)
}

fn standing() -> (Element, InviteId, Request) {
    let (mut element, id, invite) = call();
    element.respond(&invite, 200, "p", "answer");
    (element, id, invite)
}

/// An incoming call that we answered and the peer acknowledged, and our tag.
fn taken() -> (Element, InviteId, String) {
    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1"));
    let id = element.take_last();
    element.accept(id, b"answer");
    let local = element.last_response().header.to.tag().unwrap().to_owned();
    element.receive(request_text("ACK", "1", "p", &local, 1, ""));
    (element, id, local)
}

fn hang_up(element: &mut Element, id: InviteId) {
    element.hang_up(id, None);
}

fn cause(element: &Element) -> Option<GoneCause> {
    element.gone().map(|gone| gone.cause)
}

#[test]
fn a_first_100_and_the_progress_of_each_branch_are_told() {
    let (mut element, _, invite) = call();
    for _ in 0..2 {
        element.respond(&invite, 100, "", "");
    }
    element.respond(&invite, 180, "p", "");
    element.respond(&invite, 183, "q", "early");
    match &element.invite_events()[..] {
        [
            InviteEvent::Trying,
            InviteEvent::Progress { status: StatusCode::RINGING, body: None, branch: Some(p) },
            InviteEvent::Progress { status: StatusCode::SESSION_PROGRESS, body: Some(body), branch: Some(q) },
        ] => assert_eq!((&**p, &**q, &body[..]), ("p", "q", &b"early"[..])),
        other => panic!("{other:?}"),
    }
}

#[test]
fn cancel_waits_for_a_provisional_response_and_repeats_what_the_invite_said() {
    let mut new = new_invite(udp());
    new.route = vec!["<sip:proxy.example.com;lr>".parse::<NameAddr>().unwrap()];
    let (mut element, id, invite) = call_with(new);
    element.hang_up(id, Some(Reason::new("Q.850", 16, "done")));
    assert_eq!(element.sent.len(), 1);
    element.respond(&invite, 100, "", "");
    let cancel = element.last_request(&Method::CANCEL).clone();
    assert_eq!(cancel.header.via[0].to_string(), invite.header.via[0].to_string());
    assert_eq!(cancel.uri.to_string(), invite.uri.to_string());
    assert_eq!((cancel.header.to.tag(), cancel.header.cseq.number), (None, 1));
    assert_eq!(cancel.header.fields.get(&FieldName::ROUTE), invite.header.fields.get(&FieldName::ROUTE));
    assert_eq!(cancel.header.fields.get(&FieldName::REASON), Some("Q.850;cause=16;text=\"done\""));
    element.respond(&cancel, 200, "p", "");
    assert!(element.gone().is_none());
    element.respond(&invite, 487, "p", "");
    assert_eq!(cause(&element), Some(GoneCause::Cancelled));
}

#[test]
fn a_cancel_without_a_final_response_is_given_up_after_32_s() {
    let (mut element, id, invite) = call();
    element.respond(&invite, 180, "p", "");
    element.pass(Duration::from_secs(60));
    hang_up(&mut element, id);
    let cancel = element.last_request(&Method::CANCEL).clone();
    element.respond(&cancel, 200, "p", "");
    element.pass(Duration::from_millis(31_999));
    assert!(element.gone().is_none());
    element.pass(Duration::from_millis(1));
    assert_eq!(cause(&element), Some(GoneCause::TimedOut));
    assert_eq!((element.endpoint.counts(), element.endpoint.poll_timeout()), ((0, 0), None));
}

#[test]
fn a_2xx_that_crosses_the_cancel_is_acknowledged_and_hung_up() {
    let (mut element, id, invite) = call();
    element.respond(&invite, 180, "p", "");
    hang_up(&mut element, id);
    element.respond(&invite, 200, "p", "answer");
    let methods: Vec<_> =
        element.sent[2..].iter().map(|(_, _, message)| message.header().cseq.method.clone()).collect();
    assert_eq!(methods, [Method::ACK, Method::BYE]);
    let bye = element.last_request(&Method::BYE).clone();
    element.respond(&bye, 200, "p", "");
    assert_eq!(cause(&element), Some(GoneCause::Cancelled));
    assert_eq!(element.invite_events().len(), 2, "nobody is told of an answer");
}

#[test]
fn each_further_branch_that_answers_is_acknowledged_and_hung_up_by_its_own_tags() {
    let (mut element, _, invite) = standing();
    for _ in 0..2 {
        element.respond(&invite, 200, "q", "answer");
        element.respond(&invite, 200, "p", "answer");
    }
    let tags = |method| {
        let requests = element.requests(&method);
        requests.iter().map(|request| request.header.to.tag().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(tags(Method::ACK), ["p", "q", "p", "q", "p"]);
    assert_eq!(tags(Method::BYE), ["q"]);
    assert!(element.gone().is_none());
}

#[test]
fn a_branch_that_answers_after_the_transaction_is_over_is_hung_up_too() {
    let (mut element, _, invite) = standing();
    element.pass(Duration::from_secs(40));
    assert_eq!(element.endpoint.counts().0, 0);
    element.respond(&invite, 200, "q", "answer");
    assert_eq!(element.last_request(&Method::BYE).header.to.tag(), Some("q"));
}

#[test]
fn forks_without_end_are_answered_up_to_a_bound() {
    let (mut element, _, invite) = standing();
    for branch in 0..100 {
        element.respond(&invite, 200, &format!("q{branch}"), "answer");
    }
    assert_eq!(element.requests(&Method::BYE).len(), 15);
}

#[test]
fn an_ack_that_was_lost_is_sent_again_octet_for_octet() {
    let (mut element, _, invite) = standing();
    element.respond(&invite, 200, "p", "answer");
    let acks = element.requests(&Method::ACK);
    assert_eq!((acks.len(), acks[0].print()), (2, acks[1].print()));
    assert_eq!(element.invite_events().len(), 1);
}

#[test]
fn a_refusal_says_its_status_and_reason() {
    for status in [302, 486, 503, 603] {
        let (mut element, _, invite) = call();
        let text = String::from_utf8(response_to(&invite, status, "p", "")).unwrap();
        element.receive(text.replace("Content-Length", "Reason: Q.850;cause=17\r\nContent-Length"));
        let gone = element.gone().unwrap();
        assert_eq!(gone.cause, GoneCause::Refused { status: StatusCode::new(status).unwrap() });
        assert_eq!(gone.reason.as_ref().and_then(|reason| reason.cause), Some(17));
    }
}

#[test]
fn a_challenge_is_answered_once_and_the_ack_repeats_the_credentials() {
    for (status, field) in [(401, FieldName::AUTHORIZATION), (407, FieldName::PROXY_AUTHORIZATION)] {
        let (mut element, _, invite) = call_with(NewInvite { credentials: identity(), ..new_invite(udp()) });
        element.respond(&invite, status, "p", "");
        let second = element.last_request(&Method::INVITE).clone();
        assert_eq!((second.header.cseq.number, second.header.to.tag()), (2, None));
        assert_eq!(second.header.from.tag(), invite.header.from.tag());
        assert_eq!(second.body, invite.body);
        let credentials = second.header.fields.get(&field).expect("credentials were given");
        element.respond(&second, 200, "p", "answer");
        let ack = element.last_request(&Method::ACK);
        assert_eq!((ack.header.cseq.number, ack.header.fields.get(&field)), (2, Some(credentials)));
    }
}

#[test]
fn a_challenge_without_credentials_or_after_them_is_a_refusal() {
    let refused = Some(GoneCause::Refused { status: StatusCode::UNAUTHORIZED });
    let (mut element, _, invite) = call();
    element.respond(&invite, 401, "p", "");
    assert_eq!(cause(&element), refused);

    let (mut element, _, invite) = call_with(NewInvite { credentials: identity(), ..new_invite(udp()) });
    element.respond(&invite, 401, "p", "");
    let second = element.last_request(&Method::INVITE).clone();
    element.respond(&second, 401, "p", "");
    assert_eq!((cause(&element), element.requests(&Method::INVITE).len()), (refused, 2));
}

#[test]
fn credentials_are_given_to_whoever_was_asked_and_to_nobody_else() {
    let elsewhere = Flow { remote: "203.0.113.66:5060".parse().unwrap(), ..udp() };
    let other_port = Flow { remote: (udp().remote.ip(), 9).into(), ..udp() };
    for (flow, invites) in [(udp(), 2), (other_port, 2), (elsewhere, 1)] {
        let (mut element, _, invite) = call_with(NewInvite { credentials: identity(), ..new_invite(udp()) });
        element.receive_along(response_to(&invite, 407, "p", ""), flow);
        assert_eq!(
            (element.requests(&Method::INVITE).len(), element.gone().is_some()),
            (invites, invites == 1)
        );
    }
}

#[test]
fn a_challenge_of_an_unwanted_invite_is_not_answered() {
    let (mut element, id, invite) = call_with(NewInvite { credentials: identity(), ..new_invite(udp()) });
    hang_up(&mut element, id);
    element.respond(&invite, 401, "p", "");
    assert_eq!((cause(&element), element.requests(&Method::INVITE).len()), (Some(GoneCause::Cancelled), 1));
}

#[test]
fn a_challenge_of_the_bye_is_answered_with_a_rising_count() {
    let (mut element, id, invite) = call_with(NewInvite { credentials: identity(), ..new_invite(udp()) });
    element.respond(&invite, 401, "p", "");
    let second = element.last_request(&Method::INVITE).clone();
    element.respond(&second, 200, "p", "answer");
    hang_up(&mut element, id);
    let bye = element.last_request(&Method::BYE).clone();
    element.respond(&bye, 401, "p", "");
    let bye = element.last_request(&Method::BYE).clone();
    assert_eq!(bye.header.cseq.number, 4);
    assert!(bye.header.fields.get(&FieldName::AUTHORIZATION).unwrap().contains("nc=00000002"));
    element.respond(&bye, 200, "p", "");
    assert_eq!(cause(&element), Some(GoneCause::HungUp));
}

#[test]
fn without_an_offer_the_ack_waits_for_the_answer() {
    let (mut element, id, invite) = call_with(NewInvite { offer: None, ..new_invite(udp()) });
    element.respond(&invite, 200, "p", "offer");
    element.respond(&invite, 200, "p", "offer");
    assert!(element.requests(&Method::ACK).is_empty());
    element.answer_offer(id, b"answer");
    element.respond(&invite, 200, "p", "offer");
    let acks = element.requests(&Method::ACK);
    assert_eq!((acks.len(), &acks[1].body[..]), (2, &b"answer"[..]));
}

#[test]
fn requests_in_the_dialog_go_to_the_contact_on_the_same_host_and_else_along_the_flow() {
    let to = |contact: &str, transport| {
        let (mut element, id, invite) = call_with(new_invite(flow(transport)));
        let text = String::from_utf8(response_to(&invite, 200, "p", "answer")).unwrap();
        element.receive_along(text.replace(&format!("<sip:bob@{PEER}>"), contact), flow(transport));
        hang_up(&mut element, id);
        let (_, flow, message) = element.sent.last().unwrap();
        assert_eq!(message.header().cseq.method, Method::BYE);
        let uri = element.last_request(&Method::BYE).uri.to_string();
        (flow.remote.to_string(), format!("<{uri}>"))
    };
    for (contact, remote) in [
        ("<sip:bob@192.0.2.9:5099>", "192.0.2.9:5099"),
        ("<sip:bob@192.0.2.9>", "192.0.2.9:5060"),
        ("<sip:bob@10.0.0.1:5099>", PEER),
        ("<sip:bob@host.example:5099>", PEER),
    ] {
        assert_eq!(to(contact, Transport::Udp), (remote.to_owned(), contact.to_owned()));
    }
    assert_eq!(to("<sip:bob@192.0.2.9:5099>", Transport::Tcp).0, PEER, "a connection is kept");
}

#[test]
fn the_route_set_is_honoured_loose_and_strict() {
    let bye = |record_route: &str| {
        let (mut element, id, invite) = call();
        let text = String::from_utf8(response_to(&invite, 200, "p", "answer")).unwrap();
        element.receive(text.replace("Contact", &format!("Record-Route: {record_route}\r\nContact")));
        hang_up(&mut element, id);
        assert_eq!(element.sent.last().unwrap().1, udp());
        let bye = element.last_request(&Method::BYE);
        let routes = bye.header.fields.get_all(&FieldName::ROUTE).map(ToOwned::to_owned).collect::<Vec<_>>();
        (bye.uri.to_string(), routes)
    };
    let target = format!("sip:bob@{PEER}");
    let (uri, routes) = bye("<sip:far;lr>, <sip:near;lr>");
    assert_eq!((uri, routes), (target.clone(), vec!["<sip:near;lr>".to_owned(), "<sip:far;lr>".to_owned()]));
    let (uri, routes) = bye("<sip:far;lr>, <sip:near>");
    assert_eq!(
        (uri, routes),
        ("sip:near".to_owned(), vec!["<sip:far;lr>".to_owned(), format!("<{target}>")])
    );
}

#[test]
fn contact_says_how_to_reach_us() {
    let contact = |transport| {
        let (element, _, invite) = call_with(new_invite(flow(transport)));
        drop(element);
        String::from_utf8(invite.print())
            .unwrap()
            .lines()
            .find(|line| line.starts_with("Contact"))
            .unwrap()
            .to_owned()
    };
    assert_eq!(contact(Transport::Udp), "Contact: <sip:alice@192.0.2.1:5060>");
    assert_eq!(contact(Transport::Tcp), "Contact: <sip:alice@192.0.2.1:5060;transport=tcp>");
}

#[test]
fn the_cancel_of_the_peer_ends_a_call_that_rings_and_not_one_that_was_answered() {
    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1"));
    element.take_last();
    let cancel = invite_text("z9hG4bK1").replace("INVITE", "CANCEL");
    element.receive(cancel.replace("Content-Type", "Reason: SIP;cause=200\r\nContent-Type"));
    assert_eq!(element.statuses(), [100, 200, 487]);
    let gone = element.gone().unwrap();
    assert_eq!(gone.cause, GoneCause::CancelledByPeer);
    assert_eq!(gone.reason.as_ref().and_then(|reason| reason.cause), Some(200));

    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1"));
    let id = element.take_last();
    element.accept(id, b"answer");
    element.receive(cancel);
    assert_eq!(element.statuses(), [100, 200, 200]);
    assert!(element.gone().is_none());
}

#[test]
fn hanging_up_before_the_ack_waits_for_it() {
    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1"));
    let id = element.take_last();
    element.accept(id, b"answer");
    hang_up(&mut element, id);
    assert!(element.requests(&Method::BYE).is_empty());
    let local = element.last_response().header.to.tag().unwrap().to_owned();
    element.receive(request_text("ACK", "1", "p", &local, 1, ""));
    assert_eq!(element.requests(&Method::BYE).len(), 1);
}

#[test]
fn a_bye_before_the_ack_ends_the_call() {
    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1"));
    let id = element.take_last();
    element.accept(id, b"answer");
    let local = element.last_response().header.to.tag().unwrap().to_owned();
    element.receive(request_text("BYE", "1", "p", &local, 2, ""));
    assert_eq!((element.statuses(), cause(&element)), (vec![100, 200, 200], Some(GoneCause::HungUpByPeer)));
    element.receive(request_text("ACK", "1", "p", &local, 1, ""));
    element.pass_all();
    assert_eq!((element.statuses().len(), element.endpoint.counts()), (3, (0, 0)), "the 2xx is not repeated");
}

#[test]
fn a_bye_that_crosses_ours_is_answered_and_the_end_is_ours() {
    let (mut element, id, invite) = standing();
    hang_up(&mut element, id);
    element.request_in_dialog_of(&invite, "BYE", "p", 1, "");
    assert_eq!((element.statuses(), cause(&element)), (vec![200], Some(GoneCause::HungUp)));
}

#[test]
fn a_re_invite_of_the_peer_is_answered_by_the_user() {
    let (mut element, id, _) = taken();
    let local = element.last_response().header.to.tag().unwrap().to_owned();
    element.receive(request_text("INVITE", "1", "p", &local, 2, "offer"));
    assert!(matches!(element.invite_events().last(), Some(InviteEvent::Offered { body: Some(_), .. })));
    element.receive(request_text("INVITE", "1", "p", &local, 3, "offer"));
    let second = element.last_response();
    assert_eq!(second.status.code(), 500, "the first is not answered yet");
    assert!(second.header.fields.get(&FieldName::RETRY_AFTER).is_some());
    element.receive(request_text("ACK", "1", "p", &local, 3, "").replace("z9hG4bKACK", "z9hG4bKINVITE"));
    element.answer_offer(id, b"answer");
    let response = element.last_response();
    assert_eq!((response.status.code(), response.header.cseq.number), (200, 2));
    element.receive(request_text("ACK", "1", "p", &local, 2, ""));
    let before = element.sent.len();
    element.pass(Duration::from_secs(60));
    assert_eq!(element.sent.len(), before, "nothing is repeated after the ACK");
}

#[test]
fn a_re_invite_without_an_offer_asks_for_ours() {
    let (mut element, id, local) = taken();
    element.receive(request_text("INVITE", "1", "p", &local, 2, ""));
    assert!(matches!(element.invite_events().last(), Some(InviteEvent::Offered { body: None, .. })));
    element.answer_offer(id, b"our offer");
    element.receive(request_text("ACK", "1", "p", &local, 2, "answer"));
    assert!(
        matches!(element.invite_events().last(), Some(InviteEvent::Reanswered { body, .. }) if body == b"answer")
    );
}

#[test]
fn an_offer_by_update_is_answered_and_an_update_without_one_is_ok() {
    let (mut element, id, local) = taken();
    element.receive(request_text("UPDATE", "1", "p", &local, 2, ""));
    assert_eq!(element.last_response().status, StatusCode::OK);
    element.receive(request_text("UPDATE", "1", "p", &local, 3, "offer"));
    element.answer_offer(id, b"answer");
    assert_eq!(
        (element.last_response().header.cseq.number, &element.last_response().body[..]),
        (3, &b"answer"[..])
    );
    element.receive(request_text("UPDATE", "1", "p", &local, 4, "offer"));
    element.refuse_offer(id, StatusCode::NOT_ACCEPTABLE_HERE);
    assert_eq!(element.last_response().status, StatusCode::NOT_ACCEPTABLE_HERE);
    assert!(element.gone().is_none());
}

#[test]
fn our_re_invite_is_answered_or_refused_and_a_glare_is_tried_again() {
    let (mut element, id, _) = standing();
    element.offer(id, b"hold");
    element.offer(id, b"resume");
    let first = element.last_request(&Method::INVITE).clone();
    assert_eq!((first.header.cseq.number, &first.body[..]), (2, &b"hold"[..]));
    element.respond(&first, 200, "p", "held");
    assert!(
        matches!(element.invite_events().last(), Some(InviteEvent::Reanswered { body, is_overtaken: true }) if body == b"held")
    );
    let second = element.last_request(&Method::INVITE).clone();
    assert_eq!(&second.body[..], b"resume", "the offer that waited");
    element.respond(&second, 491, "p", "");
    let sent = element.sent.len();
    element.pass(Duration::from_millis(2_099));
    assert_eq!(element.sent.len(), sent, "who made the Call-ID waits 2.1 s at least");
    element.pass(Duration::from_millis(1_901));
    let third = element.last_request(&Method::INVITE).clone();
    assert_eq!((third.header.cseq.number, &third.body[..]), (4, &b"resume"[..]));
    element.respond(&third, 488, "p", "");
    let refused = StatusCode::NOT_ACCEPTABLE_HERE;
    assert!(
        matches!(element.invite_events().last(), Some(InviteEvent::ReofferRefused { status }) if *status == refused)
    );
}

#[test]
fn a_re_invite_that_meets_ours_is_refused_and_goes_before_ours_the_second_time() {
    let (mut element, id, local) = taken();
    element.offer(id, b"ours");
    element.receive(request_text("INVITE", "1", "p", &local, 2, "theirs"));
    assert_eq!(element.last_response().status, StatusCode::REQUEST_PENDING);
    let ours = element.last_request(&Method::INVITE).clone();
    element.respond(&ours, 491, "p", "");
    element.receive(request_text("INVITE", "1", "p", &local, 3, "theirs"));
    assert!(matches!(element.invite_events().last(), Some(InviteEvent::Offered { .. })));
    element.answer_offer(id, b"answer");
    let sent = element.requests(&Method::INVITE).len();
    element.receive(request_text("ACK", "1", "p", &local, 3, ""));
    assert_eq!(element.requests(&Method::INVITE).len(), sent + 1, "ours goes when theirs is done");
}

#[test]
fn a_peer_that_always_answers_491_is_believed_at_last() {
    let (mut element, id, _) = standing();
    element.offer(id, b"hold");
    for _ in 0..20 {
        let invite = element.last_request(&Method::INVITE).clone();
        element.respond(&invite, 491, "p", "");
        element.pass(Duration::from_secs(4));
    }
    assert_eq!(element.last_request(&Method::INVITE).header.cseq.number, 1 + 6);
    assert!(matches!(element.invite_events().last(), Some(InviteEvent::ReofferRefused { .. })));
}

#[test]
fn a_dialog_that_the_peer_does_not_know_is_over() {
    let cases = [(Method::INVITE, 481, 0), (Method::INVITE, 408, 1), (Method::INFO, 481, 0)];
    for (method, status, byes) in cases {
        let (mut element, id, _) = standing();
        if method == Method::INVITE {
            element.offer(id, b"hold");
        } else {
            send_info(&mut element, id);
        }
        element.collect();
        let request = element.last_request(&method).clone();
        element.respond(&request, status, "p", "");
        assert_eq!(cause(&element), Some(GoneCause::SessionExpired), "{status} to {method}");
        assert_eq!(element.requests(&Method::BYE).len(), byes);
    }
}

fn send_info(element: &mut Element, id: InviteId) {
    element.inform(id, "text/plain", b"x");
}

#[test]
fn a_request_of_the_user_that_is_refused_or_ignored_ends_nothing() {
    for status in [Some(405), Some(408), Some(500), Some(603), None] {
        let (mut element, id, _) = standing();
        send_info(&mut element, id);
        let info = element.last_request(&Method::INFO).clone();
        match status {
            Some(status) => element.respond(&info, status, "p", ""),
            None => element.pass(Duration::from_secs(40)),
        }
        assert_eq!(cause(&element), None, "{status:?}");
        hang_up(&mut element, id);
        assert_eq!(element.requests(&Method::BYE).len(), 1);
    }
}

#[test]
fn a_method_that_the_peer_does_not_allow_is_not_sent() {
    for (allow, infos) in [("Allow: INVITE, BYE\r\n", 0), ("Allow: INFO, BYE\r\n", 1), ("", 1)] {
        let mut element = Element::new();
        let id = element.invite(new_invite(udp()));
        let invite = element.last_request(&Method::INVITE).clone();
        element.receive(with_fields(response_to(&invite, 200, "p", "answer"), allow));
        send_info(&mut element, id);
        assert_eq!(element.requests(&Method::INFO).len(), infos, "{allow}");
    }
}

#[test]
fn hanging_up_twice_is_hanging_up_once() {
    let (mut element, id, _) = standing();
    hang_up(&mut element, id);
    hang_up(&mut element, id);
    let bye = element.last_request(&Method::BYE).clone();
    element.respond(&bye, 481, "p", "");
    assert_eq!((element.requests(&Method::BYE).len(), cause(&element)), (1, Some(GoneCause::HungUp)));
    hang_up(&mut element, id);
    element.pass_all();
    assert_eq!(element.endpoint.counts(), (0, 0));
}

#[test]
fn an_incoming_call_that_we_hang_up_is_told_480() {
    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1"));
    let id = element.take_last();
    hang_up(&mut element, id);
    assert_eq!((element.statuses(), cause(&element)), (vec![100, 480], Some(GoneCause::Rejected)));
}

#[test]
fn a_call_that_rings_for_long_is_heard_of_every_minute() {
    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1"));
    let id = element.take_last();
    element.ring(id, StatusCode::RINGING, None);
    element.pass(Duration::from_secs(125));
    assert_eq!(
        (element.statuses(), element.times()),
        (vec![100, 180, 180, 180], vec![0, 0, 60_000, 120_000])
    );
}

#[test]
fn our_answer_makes_the_dialog() {
    let mut element = Element::new();
    let text = invite_text("z9hG4bK1")
        .replace("Contact", "Record-Route: <sip:a;lr>\r\nRecord-Route: <sip:b;lr>\r\nContact");
    element.receive(text);
    let id = element.take_last();
    element.accept(id, b"answer");
    let response = element.last_response().clone();
    let record: Vec<_> = response.header.fields.get_all(&FieldName::RECORD_ROUTE).collect();
    assert_eq!(record, ["<sip:a;lr>", "<sip:b;lr>"]);
    assert!(
        String::from_utf8(response.print()).unwrap().contains("\r\nContact: <sip:alice@192.0.2.1:5060>\r\n")
    );
    let local = response.header.to.tag().unwrap().to_owned();
    element.receive(request_text("ACK", "1", "p", &local, 1, ""));
    hang_up(&mut element, id);
    let bye = element.last_request(&Method::BYE);
    let routes: Vec<_> = bye.header.fields.get_all(&FieldName::ROUTE).collect();
    assert_eq!(routes, ["<sip:a;lr>", "<sip:b;lr>"]);
    assert_eq!((bye.header.from.tag(), bye.header.to.tag()), (Some(&*local), Some("p")));
    let flow: Flow = element.sent.last().unwrap().1;
    assert_eq!(flow, udp());
}

#[test]
fn requests_of_the_user_go_out_one_after_the_other() {
    let (mut element, id, _) = standing();
    for digit in ["1", "2", "3"] {
        element.inform(id, "application/dtmf", digit);
    }
    let said = |element: &Element| {
        let infos = element.requests(&Method::INFO);
        infos.iter().map(|info| String::from_utf8_lossy(&info.body).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(said(&element), ["1"]);
    let first = element.last_request(&Method::INFO).clone();
    element.respond(&first, 200, "p", "");
    assert_eq!(said(&element), ["1", "2"]);
    // The second is lost in every copy; the third does not wait for ever.
    element.pass(Duration::from_secs(33));
    assert_eq!(said(&element).last().map(String::as_str), Some("3"));
    for _ in 0..100 {
        element.inform(id, "application/dtmf", "4");
    }
    element.hang_up(id, None);
    element.pass_all();
    assert_eq!(element.endpoint.counts(), (0, 0));
}

#[test]
fn an_ack_that_is_held_back_goes_out_when_the_user_says_so() {
    let mut element = Element::with(Config { holds_ack: true, ..config() });
    let id = element.invite(new_invite(udp()));
    let invite = element.last_request(&Method::INVITE).clone();
    for _ in 0..2 {
        element.respond(&invite, 200, "p", "answer");
    }
    let acks = |element: &Element| element.requests(&Method::ACK).len();
    let answers =
        element.invite_events().iter().filter(|it| matches!(it, InviteEvent::Answered { .. })).count();
    assert_eq!((acks(&element), answers), (0, 1));
    for _ in 0..2 {
        element.acknowledge(id);
        assert_eq!(acks(&element), 1);
    }
    element.respond(&invite, 200, "p", "answer");
    assert_eq!(acks(&element), 2, "a copy gets the ACK again");

    // Nobody waits for the user when it hangs up.
    let mut element = Element::with(Config { holds_ack: true, ..config() });
    let id = element.invite(new_invite(udp()));
    let invite = element.last_request(&Method::INVITE).clone();
    element.respond(&invite, 200, "p", "answer");
    hang_up(&mut element, id);
    assert_eq!((acks(&element), element.requests(&Method::BYE).len()), (1, 1));
}

/// RFC 3261 §13.3.1.4: the ACK has the number of its INVITE.
#[test]
fn an_ack_with_another_number_than_the_invite_is_not_taken_for_its_ack() {
    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1"));
    let id = element.take_last();
    element.accept(id, b"answer");
    let local = element.last_response().header.to.tag().unwrap().to_owned();
    for cseq in [0, 2, 3] {
        element.receive(request_text("ACK", "1", "p", &local, cseq, ""));
    }
    assert!(element.invite_events().is_empty());
    element.pass(Duration::from_millis(500));
    assert_eq!(element.statuses(), [100, 200, 200], "the 2xx is repeated still");
    element.receive(request_text("ACK", "1", "p", &local, 1, ""));
    assert!(matches!(element.invite_events()[..], [InviteEvent::Confirmed { .. }]));
    // Nor is the ACK of the first INVITE that of a re-INVITE.
    element.receive(request_text("INVITE", "1", "p", &local, 2, "offer"));
    element.answer_offer(id, b"answer");
    element.receive(request_text("ACK", "1", "p", &local, 1, ""));
    element.pass(Duration::from_millis(500));
    assert_eq!(element.statuses()[3..], [200, 200]);
    element.receive(request_text("ACK", "1", "p", &local, 2, ""));
    element.pass(Duration::from_secs(40));
    assert_eq!(element.statuses()[3..], [200, 200]);
    assert!(element.gone().is_none());
}

/// What each of our re-INVITEs offered.
fn offers(element: &Element) -> Vec<String> {
    let in_dialog = |invite: &&Request| invite.header.to.tag().is_some();
    let invites = element.requests(&Method::INVITE).into_iter().filter(in_dialog);
    let mut offers: Vec<_> =
        invites.map(|it| (it.header.cseq.number, String::from_utf8_lossy(&it.body).into_owned())).collect();
    offers.dedup();
    offers.into_iter().map(|(_, offer)| offer).collect()
}

#[test]
fn an_offer_waits_for_the_ack_of_our_2xx() {
    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1"));
    let id = element.take_last();
    element.accept(id, b"answer");
    let local = element.last_response().header.to.tag().unwrap().to_owned();
    element.offer(id, b"first");
    element.offer(id, b"second");
    assert!(offers(&element).is_empty());
    element.receive(request_text("ACK", "1", "p", &local, 1, ""));
    assert_eq!(offers(&element), ["second"]);
}

#[test]
fn an_offer_waits_for_the_answer_to_an_offer_of_the_peer() {
    for (method, is_refused) in [("INVITE", false), ("INVITE", true), ("UPDATE", false), ("UPDATE", true)] {
        let (mut element, id, local) = taken();
        element.receive(request_text(method, "1", "p", &local, 2, "theirs"));
        element.offer(id, b"ours");
        assert!(offers(&element).is_empty(), "{method}");
        if is_refused {
            element.refuse_offer(id, StatusCode::NOT_ACCEPTABLE_HERE);
        } else {
            element.answer_offer(id, b"answer");
            assert_eq!(offers(&element).is_empty(), method == "INVITE", "its ACK is awaited");
            element.receive(request_text("ACK", "1", "p", &local, 2, ""));
        }
        assert_eq!(offers(&element), ["ours"], "{method}");
    }
}

#[test]
fn an_offer_that_met_one_of_the_peer_is_made_anew_behind_it() {
    let (mut element, id, local) = taken();
    element.offer(id, b"ours");
    let ours = element.last_request(&Method::INVITE).clone();
    element.respond(&ours, 491, "p", "");
    element.receive(request_text("INVITE", "1", "p", &local, 2, "theirs"));
    element.answer_offer(id, b"answer");
    element.receive(request_text("ACK", "1", "p", &local, 2, ""));
    assert_eq!(offers(&element), ["ours", "ours"]);
    let again = element.last_request(&Method::INVITE).clone();
    element.respond(&again, 200, "p", "agreed");
    assert!(
        matches!(element.invite_events().last(), Some(InviteEvent::Reanswered { body, is_overtaken: false }) if body == b"agreed")
    );
    element.pass(Duration::from_secs(60));
    assert_eq!(offers(&element), ["ours", "ours"], "once");
}

#[test]
fn a_later_offer_takes_the_place_of_one_that_waits_for_its_turn() {
    // Before the 491 comes, and behind it.
    for is_late in [false, true] {
        let (mut element, id, _) = standing();
        element.offer(id, b"first");
        let first = element.last_request(&Method::INVITE).clone();
        if is_late {
            element.respond(&first, 491, "p", "");
        }
        element.offer(id, b"second");
        if !is_late {
            element.respond(&first, 491, "p", "");
        }
        assert_eq!(offers(&element), ["first"]);
        element.pass(Duration::from_secs(4));
        assert_eq!(offers(&element), ["first", "second"]);
        let second = element.last_request(&Method::INVITE).clone();
        element.respond(&second, 200, "p", "answer");
        element.pass(Duration::from_secs(60));
        assert_eq!(offers(&element), ["first", "second"]);
    }
}

#[test]
fn the_answer_to_an_offer_that_a_later_one_has_overtaken_is_told_as_that() {
    for status in [200, 488] {
        let (mut element, id, _) = standing();
        element.offer(id, b"first");
        let first = element.last_request(&Method::INVITE).clone();
        element.offer(id, b"second");
        element.respond(&first, status, "p", "answer to the first");
        assert_eq!(offers(&element), ["first", "second"]);
        let second = element.last_request(&Method::INVITE).clone();
        element.respond(&second, 200, "p", "answer to the second");
        let refused = |event: &&InviteEvent| matches!(event, InviteEvent::ReofferRefused { .. });
        assert_eq!(element.invite_events().iter().filter(|event| refused(event)).count(), 0);
        let answers = element.invite_events().into_iter().filter_map(|event| match event {
            InviteEvent::Reanswered { body, is_overtaken } => {
                Some((String::from_utf8_lossy(body).into_owned(), *is_overtaken))
            }
            InviteEvent::Sent { .. }
            | InviteEvent::Trying
            | InviteEvent::Disconnected
            | InviteEvent::Progress { .. }
            | InviteEvent::Answered { .. }
            | InviteEvent::Confirmed { .. }
            | InviteEvent::Offered { .. }
            | InviteEvent::ReofferRefused { .. }
            | InviteEvent::Requested { .. }
            | InviteEvent::Gone(_) => None,
        });
        let second = ("answer to the second".into(), false);
        let expected =
            if status == 200 { vec![("answer to the first".into(), true), second] } else { vec![second] };
        assert_eq!(answers.collect::<Vec<_>>(), expected);
    }
}
