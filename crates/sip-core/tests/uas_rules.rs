//! What every element does with requests, whoever its user is (RFC 3261 §8.2, §9.2, §12.2.2).
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod by_hand;

use by_hand::{Element, PEER, config, invite_text, new_invite, request_text, response_to, udp};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sip_core::{Action, Config, Event, InviteEvent, NewInvite};
use sip_message::{FieldName, Method, StatusCode};

/// A call that we made, which stands.
fn standing() -> (Element, sip_message::Request) {
    let mut element = Element::new();
    element.invite(new_invite(udp()));
    let invite = element.last_request(&Method::INVITE).clone();
    element.respond(&invite, 200, "p", "answer");
    (element, invite)
}

#[test]
fn a_method_that_is_not_served_is_405_or_501_in_a_dialog_and_outside() {
    let (mut element, invite) = standing();
    let heard = element.events.len();
    let allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO, REGISTER";
    for (number, (method, status, allow)) in
        [("FROB", 501, None), ("REFER", 405, Some(allow))].into_iter().enumerate()
    {
        element.receive(invite_text(&format!("z9hG4bK{number}")).replace("INVITE", method));
        let outside = element.last_response().clone();
        element.request_in_dialog_of(&invite, method, "p", u32::try_from(number).unwrap(), "");
        for response in [&outside, element.last_response()] {
            assert_eq!(response.status.code(), status, "{method}");
            assert_eq!(response.header.fields.get(&FieldName::ALLOW), allow, "{method}");
        }
    }
    assert_eq!(element.events.len(), heard, "nobody was asked");
}

#[test]
fn a_tag_of_no_dialog_is_481_and_its_ack_silence() {
    let mut element = Element::new();
    for (index, method) in ["BYE", "INVITE", "INFO", "NOTIFY"].into_iter().enumerate() {
        element.receive(request_text(method, "1", "p", "0123456789abcdef", 2, ""));
        assert_eq!(element.statuses().len(), index + 1);
        assert_eq!(element.last_response().status.code(), 481, "{method}");
    }
    element.receive(request_text("ACK", "1", "p", "0123456789abcdef", 2, ""));
    assert_eq!((element.statuses().len(), element.events.len()), (4, 0));
    assert_eq!(element.endpoint.counts(), (0, 0));
}

#[test]
fn the_tags_of_another_call_or_another_peer_are_481() {
    let (mut element, invite) = standing();
    let local = invite.header.from.tag().unwrap().to_owned();
    element.receive(request_text("BYE", "other", "p", &local, 2, ""));
    element.receive(request_text("BYE", &invite.header.call_id.0, "other", &local, 3, ""));
    assert_eq!(element.statuses(), [481, 481]);
    assert!(element.gone().is_none());
}

#[test]
fn what_is_required_and_not_known_is_420_but_not_in_cancel() {
    let mut element = Element::new();
    let require =
        |text: String| text.replace("Max-Forwards", "Require: 100rel, precondition, tdialog\r\nMax-Forwards");
    element.receive(require(invite_text("z9hG4bK1")));
    let response = element.last_response();
    assert_eq!(response.status.code(), 420);
    assert_eq!(response.header.fields.get(&FieldName::UNSUPPORTED), Some("precondition, tdialog"));
    assert!(element.events.is_empty());

    element.receive(invite_text("z9hG4bK2"));
    element.take_last();
    element.receive(require(invite_text("z9hG4bK2").replace("INVITE", "CANCEL")));
    assert_eq!(element.statuses(), [420, 100, 200, 487]);
}

#[test]
fn a_420_is_short_whatever_was_asked_for() {
    let mut element = Element::new();
    let options = vec!["an-option-of-some-length"; 200].join(", ");
    element.receive(
        invite_text("z9hG4bK1").replace("Max-Forwards", &format!("Require: {options}\r\nMax-Forwards")),
    );
    assert!(element.last_response().print().len() < 600);
}

#[test]
fn a_cancel_of_nothing_is_481() {
    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1").replace("INVITE", "CANCEL"));
    assert_eq!((element.statuses(), element.events.len()), (vec![481], 0));
}

#[test]
fn the_answers_to_invite_and_cancel_have_one_tag() {
    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1"));
    let invite = element.take_last();
    element.ring(invite, StatusCode::RINGING, None);
    element.receive(invite_text("z9hG4bK1").replace("INVITE", "CANCEL"));
    assert_eq!(element.statuses(), [100, 180, 200, 487]);
    let tags: Vec<_> = element.responses()[1..].iter().map(|response| response.header.to.tag()).collect();
    assert!(tags.iter().all(|tag| tag.is_some() && *tag == tags[0]), "{tags:?}");
}

#[test]
fn a_request_that_came_over_two_ways_is_482_the_second_time() {
    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1"));
    element.take_last();
    element.receive(invite_text("z9hG4bK2"));
    assert_eq!((element.statuses(), element.events.len()), (vec![100, 482], 0));
    element.receive(invite_text("z9hG4bK3").replace("CSeq: 1", "CSeq: 2"));
    assert_eq!(element.events.len(), 1, "another CSeq is another request");
}

#[test]
fn what_was_answered_long_ago_is_no_second_way() {
    let mut element = Element::new();
    for (branch, handed_up) in [("z9hG4bK1", true), ("z9hG4bK2", false)] {
        element.receive(invite_text(branch));
        assert_eq!(element.events.len(), usize::from(handed_up));
        if handed_up {
            let incoming = element.incoming();
            element.endpoint.respond(
                &incoming,
                incoming.request.response(StatusCode::BUSY_HERE),
                element.now,
            );
        }
    }
    element.pass_all();
    element.receive(invite_text("z9hG4bK3"));
    assert_eq!(element.events.len(), 1);
}

#[test]
fn sequence_numbers_have_to_rise() {
    let (mut element, invite) = standing();
    element.request_in_dialog_of(&invite, "INFO", "p", 7, "");
    element.request_in_dialog_of(&invite, "OPTIONS", "p", 7, "");
    element.request_in_dialog_of(&invite, "BYE", "p", 6, "");
    assert_eq!(element.statuses(), [500, 500]);
    element.request_in_dialog_of(&invite, "OPTIONS", "p", 8, "");
    assert_eq!(element.last_response().status, StatusCode::OK);
    assert!(element.last_response().header.fields.get(&FieldName::ALLOW).is_some());
}

#[test]
fn a_request_for_the_user_waits_for_its_answer() {
    let (mut element, invite) = standing();
    element.request_in_dialog_of(&invite, "INFO", "p", 1, "x");
    let Some(Event::Invite { event: InviteEvent::Requested { responder, request, .. }, .. }) =
        element.events.pop()
    else {
        panic!("nothing was handed up");
    };
    assert_eq!((&request.method, &request.body[..]), (&Method::INFO, &b"x"[..]));
    element.respond_in_dialog(responder.clone(), StatusCode::OK);
    element.respond_in_dialog(responder, StatusCode::FORBIDDEN);
    element.request_in_dialog_of(&invite, "INFO", "p", 1, "x");
    assert_eq!(element.statuses(), [200, 200], "answered once, repeated to a copy");
}

#[test]
fn an_info_of_a_package_is_469_and_says_that_none_is_taken() {
    let (mut element, invite) = standing();
    let (local, call_id) = (invite.header.from.tag().unwrap(), &invite.header.call_id.0);
    let info = request_text("INFO", call_id, "p", local, 1, "x");
    element.receive(info.replace("Max-Forwards", "Info-Package: foo\r\nMax-Forwards"));
    assert_eq!(element.last_response().status.code(), 469);
    assert_eq!(element.last_response().header.fields.get(&FieldName::RECV_INFO), Some(""));
    assert!(!matches!(
        element.events.last(),
        Some(Event::Invite { event: InviteEvent::Requested { .. }, .. })
    ));
}

#[test]
fn an_unanswered_request_in_a_dialog_is_forgotten_when_its_client_has_given_up() {
    let (mut element, invite) = standing();
    element.request_in_dialog_of(&invite, "INFO", "p", 1, "x");
    element.pass_all();
    assert_eq!(element.endpoint.counts().0, 0);
}

#[test]
fn an_ack_that_matches_nothing_is_absorbed() {
    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1").replace("INVITE", "ACK"));
    assert_eq!((element.sent.len(), element.events.len()), (0, 0));
}

#[test]
fn every_message_says_who_we_are() {
    let mut element = Element::new();
    element.invite(new_invite(udp()));
    let invite = element.last_request(&Method::INVITE);
    assert_eq!(invite.header.fields.get(&FieldName::USER_AGENT), Some("element"));
    assert!(invite.header.fields.get(&FieldName::ALLOW).is_some());
    assert_eq!(invite.header.max_forwards, Some(70));
    assert_eq!(invite.header.via[0].to_string().split(";branch").next(), Some("SIP/2.0/UDP 192.0.2.1:5060"));
    assert!(invite.header.via[0].parameters.get("rport").is_some());
    element.receive(request_text("BYE", "1", "p", "x", 2, ""));
    assert_eq!(element.last_response().header.fields.get(&FieldName::SERVER), Some("element"));
    assert_eq!(element.sent.last().unwrap().1.remote.to_string(), PEER);
}

/// Messages of a call with octets changed, doubled and cut: whatever they mean then, the endpoint goes on and holds
/// no more than its bound.
#[test]
fn no_octets_do_harm() {
    let mut random = ChaCha12Rng::seed_from_u64(5);
    let mut below = move |bound: usize| random.next_u32() as usize % bound;
    for _ in 0..60 {
        let mut element = Element::new();
        let id = element.invite(new_invite(udp()));
        let invite = element.last_request(&Method::INVITE).clone();
        element.respond(&invite, 200, "p", "answer");
        let local = invite.header.from.tag().unwrap().to_owned();
        let call_id = invite.header.call_id.0.to_string();
        let ours: Vec<_> = [180, 200, 401, 491].map(|status| response_to(&invite, status, "q", "x")).into();
        let theirs = ["INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "INFO", "OPTIONS"]
            .map(|method| request_text(method, &call_id, "p", &local, 2, "x").into_bytes());
        let samples: Vec<_> =
            ours.into_iter().chain(theirs).chain([invite_text("z9hG4bK1").into_bytes()]).collect();
        for _ in 0..50 {
            let mut octets = samples[below(samples.len())].clone();
            for _ in 0..=below(3) {
                let at = below(octets.len());
                match below(4) {
                    0 => octets[at] = u8::try_from(below(256)).unwrap(),
                    1 => octets.truncate(at + 1),
                    2 => octets.insert(at, b" \r\n,;:<>\"0"[below(10)]),
                    _ => drop(octets.drain(at..(at + below(20)).min(octets.len()))),
                }
                octets.push(b'\n');
            }
            element.endpoint.handle_octets(&octets, udp(), element.now);
            // The answer to a broken request repeats what is broken in it.
            while element.endpoint.poll_action().is_some() {}
        }
        assert!(element.endpoint.counts().0 <= 60);
        element.hang_up(id, None);
        element.pass(std::time::Duration::from_secs(200));
        assert_eq!(element.endpoint.counts(), (0, 0));
    }
}

#[test]
fn a_request_that_is_refused_gets_the_same_answer_for_each_copy() {
    for (method, status) in [("REFER", 405), ("FROB", 501)] {
        let (mut element, invite) = standing();
        for _ in 0..3 {
            element.request_in_dialog_of(&invite, method, "p", 1, "");
        }
        assert_eq!(element.statuses(), [status; 3], "{method}");
    }
}

#[test]
fn a_peer_that_asks_without_end_is_told_to_wait_and_may_still_hang_up() {
    let (mut element, invite) = standing();
    for cseq in 1..=21 {
        element.request_in_dialog_of(&invite, "OPTIONS", "p", cseq, "");
    }
    assert_eq!(element.statuses()[..20], [200; 20]);
    assert_eq!(element.last_response().status.code(), 503);
    assert_eq!(element.last_response().header.fields.get(&FieldName::RETRY_AFTER), Some("1"));
    element.request_in_dialog_of(&invite, "BYE", "p", 22, "");
    assert_eq!(element.last_response().status.code(), 200);
}

/// The usage that an INFO was handed up for, answered with 200.
fn answer_info(element: &mut Element) {
    let Some(Event::Invite { event: InviteEvent::Requested { responder, request, .. }, .. }) =
        element.events.pop()
    else {
        panic!("nothing was handed up");
    };
    assert_eq!((&request.method, &request.body[..]), (&Method::INFO, &b"5"[..]));
    element.respond_in_dialog(responder, StatusCode::OK);
    assert_eq!(element.last_response().status, StatusCode::OK);
    assert_eq!(element.last_response().header.cseq.method, Method::INFO);
}

/// RFC 6086 §4.2: INFO may come in an early dialog too.
#[test]
fn an_info_of_a_phone_that_rings_is_handed_up() {
    let mut element = Element::new();
    let id = element.invite(new_invite(udp()));
    let invite = element.last_request(&Method::INVITE).clone();
    element.respond(&invite, 180, "p", "");
    element.request_in_dialog_of(&invite, "INFO", "p", 1, "5");
    answer_info(&mut element);
    element.respond(&invite, 200, "p", "answer");
    assert!(matches!(element.invite_events().last(), Some(InviteEvent::Answered { .. })));
    element.request_in_dialog_of(&invite, "INFO", "p", 2, "5");
    answer_info(&mut element);
    element.hang_up(id, None);
    element.request_in_dialog_of(&invite, "INFO", "p", 3, "5");
    assert_eq!(element.last_response().status.code(), 481);
}

#[test]
fn an_info_of_a_caller_whom_we_let_wait_is_handed_up() {
    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1"));
    let id = element.take_last();
    element.ring(id, StatusCode::RINGING, None);
    let local = element.last_response().header.to.tag().unwrap().to_owned();
    element.receive(request_text("INFO", "1", "p", &local, 2, "5"));
    answer_info(&mut element);
    element.accept(id, b"answer");
    assert_eq!(element.last_response().header.cseq.method, Method::INVITE);
    element.receive(request_text("INFO", "1", "p", &local, 2, "5").replace("z9hG4bKINFOp2", "z9hG4bKother"));
    assert_eq!(element.last_response().status.code(), 500, "its number was taken");
}

#[test]
fn methods_and_extensions_are_the_same_wherever_they_are_said() {
    let allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO, REGISTER";
    let supported = "timer, 100rel, path";
    let said = |header: &sip_message::Header| {
        let field = |name| header.fields.get_all(name).collect::<Vec<_>>().join(" and ");
        (field(&FieldName::ALLOW), field(&FieldName::SUPPORTED))
    };
    let both = (allow.to_owned(), supported.to_owned());
    let (mut element, invite) = standing();
    assert_eq!(said(&invite.header), both);
    element.request_in_dialog_of(&invite, "OPTIONS", "p", 1, "");
    assert_eq!(said(&element.last_response().header), both);
    assert_eq!(element.last_response().header.fields.get(&FieldName::ACCEPT), Some("application/sdp"));
    element.request_in_dialog_of(&invite, "UPDATE", "p", 2, "");
    assert_eq!(said(&element.last_response().header), both);
    element.request_in_dialog_of(&invite, "REFER", "p", 3, "");
    assert_eq!(said(&element.last_response().header).0, allow);
    element.request_in_dialog_of(&invite, "BYE", "p", 4, "");
    assert_eq!(said(&element.last_response().header).0, "");

    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1").replace("INVITE", "REFER"));
    assert_eq!((element.statuses(), said(&element.last_response().header).0), (vec![405], allow.to_owned()));
    for (branch, method) in [("z9hG4bK2", "OPTIONS"), ("z9hG4bK3", "REGISTER")] {
        element.receive(invite_text(branch).replace("INVITE", method));
        let incoming = element.incoming();
        element.endpoint.respond(&incoming, incoming.request.response(StatusCode::OK), element.now);
        element.collect();
        assert_eq!(said(&element.last_response().header), both, "{method}");
    }
    element.receive(invite_text("z9hG4bK4"));
    let id = element.take_last();
    element.accept(id, b"answer");
    assert_eq!(said(&element.last_response().header), both);
    element.offer(id, b"offer");

    let late = NewInvite { offer: None, ..new_invite(udp()) };
    let mut element = Element::new();
    element.invite(late);
    let invite = element.last_request(&Method::INVITE);
    assert_eq!(
        said(&invite.header),
        (allow.to_owned(), "timer, path".to_owned()),
        "no early offer is wanted"
    );
}

#[test]
fn options_outside_of_dialogs_are_answered_when_the_user_does_not_want_to() {
    let mut element = Element::with(Config { serves: vec![Method::INVITE.into()], ..config() });
    element.receive(invite_text("z9hG4bK1").replace("INVITE", "OPTIONS"));
    let response = element.last_response();
    assert_eq!((response.status.code(), element.events.len()), (200, 0));
    let allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO";
    assert_eq!(response.header.fields.get(&FieldName::ALLOW), Some(allow));
    assert!(response.header.to.tag().is_some());
}

#[test]
fn a_request_that_has_its_place_in_a_dialog_is_481_outside() {
    let mut element = Element::new();
    for (index, method) in ["BYE", "UPDATE", "PRACK", "INFO"].into_iter().enumerate() {
        element.receive(invite_text(&format!("z9hG4bK{index}")).replace("INVITE", method));
        assert_eq!(element.last_response().status.code(), 481, "{method}");
    }
    assert!(element.events.is_empty());
}

#[test]
fn what_is_required_is_known_for_its_method_only() {
    let cases = [
        ("REGISTER", "path", None),
        ("REGISTER", "PATH, gruu", Some("gruu")),
        ("REGISTER", "timer", Some("timer")),
        ("OPTIONS", "path", Some("path")),
        ("INVITE", "100rel, timer", None),
        ("INVITE", "path", Some("path")),
    ];
    for (method, required, unsupported) in cases {
        let mut element = Element::new();
        let text = invite_text("z9hG4bK1").replace("INVITE", method);
        element.receive(text.replace("Max-Forwards", &format!("Require: {required}\r\nMax-Forwards")));
        match unsupported {
            None => assert_eq!((element.sent.len(), element.events.len()), (0, 1), "{method} {required}"),
            Some(unsupported) => {
                assert_eq!((element.statuses(), element.events.len()), (vec![420], 0), "{method} {required}");
                let field = element.last_response().header.fields.get(&FieldName::UNSUPPORTED);
                assert_eq!(field, Some(unsupported), "{method}");
            }
        }
    }
    let (mut element, invite) = standing();
    let local = invite.header.from.tag().unwrap();
    let require = |text: String| text.replace("Max-Forwards", "Require: timer, 100rel\r\nMax-Forwards");
    element.receive(require(request_text("UPDATE", &invite.header.call_id.0, "p", local, 1, "")));
    let response = element.last_response();
    assert_eq!(
        (response.status.code(), response.header.fields.get(&FieldName::UNSUPPORTED)),
        (420, Some("100rel"))
    );
    // The method is looked at first (RFC 3261 §8.2).
    element.receive(require(request_text("REFER", &invite.header.call_id.0, "p", local, 2, "")));
    assert_eq!(element.last_response().status.code(), 405);
}

/// Tags and branches that are there and empty would be taken for those that are absent.
#[test]
fn what_is_there_and_empty_is_400_and_what_is_absent_is_of_rfc_2543() {
    let whole = options_text("SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKx;rport", "one");
    let with = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from}: {whole}");
        let mut element = Element::new();
        element.receive(whole.replacen(from, to, 1));
        // What is taken goes to the user.
        match element.events.last() {
            Some(Event::Request(_)) => 200,
            Some(_) | None => element.last_response().status.code(),
        }
    };
    let from = whole.lines().find(|line| line.starts_with("From")).unwrap();
    let (_, tag) = from.split_once(";tag=").unwrap();
    let tag = format!(";tag={tag}");
    for (one, other, status) in [
        (&*tag, ";tag=", 400),
        (&*tag, ";tag", 400),
        (&*tag, "", 200),
        (&*tag, &*format!("{tag};"), 200),
        (&*tag, &*format!(";{tag}"), 200),
        (";branch=z9hG4bKx", ";branch=", 400),
        (";branch=z9hG4bKx", ";branch", 400),
        (";branch=z9hG4bKx", "", 200),
        (";branch=z9hG4bKx", ";;branch=z9hG4bKx;", 200),
        ("CSeq:", "Route: <<\r\nCSeq:", 400),
        ("CSeq:", "Record-Route: x\r\nCSeq:", 400),
        ("CSeq:", "Route: <sip:a.example;lr>;\r\nCSeq:", 200),
    ] {
        assert_eq!(with(one, other), status, "{one:?} {other:?}");
    }
}

#[test]
fn a_field_that_is_too_long_is_513_whichever_it_is() {
    let long = "a".repeat(12_000);
    let whole = options_text("SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKx;rport", "one");
    let from = whole.lines().find(|line| line.starts_with("From")).unwrap();
    let (before, _) = from.split_once(";tag=").unwrap();
    for (one, other) in [
        (from, &*format!("{before};tag={long}")),
        ("branch=z9hG4bKx", &*format!("branch=z9hG4bK{long}")),
        ("Call-ID: one", &*format!("Call-ID: {long}")),
        ("CSeq:", &*format!("Subject: {long}\r\nCSeq:")),
    ] {
        let mut element = Element::new();
        let now = element.now;
        element.endpoint.handle_octets(whole.replacen(one, other, 1).as_bytes(), udp(), now);
        let Some(Action::Send { octets, .. }) = element.endpoint.poll_action() else { panic!("{one}") };
        let text = String::from_utf8(octets).unwrap();
        assert!(text.starts_with("SIP/2.0 513 "), "{one}");
        assert!(!other.contains("tag=") || text.contains(&long), "its tag says whose answer it is");
    }
}

#[test]
fn what_has_its_place_in_a_dialog_and_names_none_is_481() {
    for method in ["BYE", "INFO", "UPDATE", "PRACK"] {
        let mut element = Element::new();
        let text = options_text("SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKx;rport", "one");
        element.receive(text.replace("OPTIONS", method));
        assert_eq!(element.last_response().status.code(), 481, "{method}");
    }
}

/// A request outside of dialogs.
fn options_text(via: &str, call_id: &str) -> String {
    format!(
        "OPTIONS sip:a.example SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: <sip:bob@b.example>;tag=p\r\n\
         To: <sip:a.example>\r\nCall-ID: {call_id}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}
