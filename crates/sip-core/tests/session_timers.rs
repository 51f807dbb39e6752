//! Session timers in both roles (RFC 4028).
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod by_hand;

use by_hand::{Element, invite_text, new_invite, request_text, response_to, udp, with_fields};
use sip_core::{GoneCause, InviteEvent, InviteId};
use sip_message::{FieldName, Message, Method, Request, StatusCode};
use std::collections::BTreeSet;
use std::time::Duration;

const INTERVAL: &str = "Session-Expires: 600;refresher=uac\r\n";
const PEER_REFRESHES: &str = "Session-Expires: 600;refresher=uas\r\n";
const UPDATES: &str = "Allow: INVITE, UPDATE\r\n";

fn call() -> (Element, InviteId, Request) {
    let mut element = Element::new();
    let id = element.invite(new_invite(udp()));
    let invite = element.last_request(&Method::INVITE).clone();
    (element, id, invite)
}

/// A call of ours, answered with these fields.
fn standing(fields: &str) -> (Element, InviteId, Request) {
    let (mut element, id, invite) = call();
    element.receive(with_fields(response_to(&invite, 200, "p", "answer"), fields));
    (element, id, invite)
}

/// A call of the peer with these fields, which we answered.
fn taken(fields: &str) -> (Element, InviteId, String) {
    let mut element = Element::new();
    element.receive(with_fields(invite_text("z9hG4bK1"), fields));
    let id = element.take_last();
    element.accept(id, b"answer");
    let local = element.last_response().header.to.tag().unwrap().to_owned();
    element.receive(request_text("ACK", "1", "p", &local, 1, ""));
    (element, id, local)
}

fn wait(element: &mut Element, seconds: u64) {
    element.pass(Duration::from_secs(seconds));
}

fn cause(element: &Element) -> Option<GoneCause> {
    element.gone().map(|gone| gone.cause)
}

fn field(message: &Request, name: &FieldName) -> Option<String> {
    message.header.fields.get(name).map(ToOwned::to_owned)
}

/// Requests of that method, without retransmissions.
fn count(element: &Element, method: &Method) -> usize {
    let numbers = element.requests(method).into_iter().map(|request| request.header.cseq.number);
    numbers.collect::<BTreeSet<_>>().len()
}

fn agreed(element: &Element) -> (Option<String>, Option<String>) {
    let fields = &element.last_response().header.fields;
    let of = |name| fields.get(&name).map(ToOwned::to_owned);
    (of(FieldName::SESSION_EXPIRES), of(FieldName::REQUIRE))
}

#[test]
fn our_invite_asks_for_a_session_timer() {
    let (_, _, invite) = call();
    assert!(invite.header.fields.tokens(&FieldName::SUPPORTED).contains(&"timer"));
    assert_eq!(field(&invite, &FieldName::SESSION_EXPIRES).as_deref(), Some("1800"));
    assert_eq!(field(&invite, &FieldName::MIN_SE).as_deref(), Some("90"));
}

#[test]
fn an_interval_too_small_is_asked_again_with_the_larger_one() {
    let (mut element, _, invite) = call();
    element.receive(with_fields(response_to(&invite, 422, "p", ""), "Min-SE: 3600\r\n"));
    let second = element.last_request(&Method::INVITE).clone();
    assert_eq!((second.header.cseq.number, second.header.to.tag()), (2, None));
    assert_eq!(field(&second, &FieldName::SESSION_EXPIRES).as_deref(), Some("3600"));
    assert_eq!(field(&second, &FieldName::MIN_SE).as_deref(), Some("3600"));
    assert_eq!(second.body, invite.body);
    element.receive(with_fields(
        response_to(&second, 200, "p", "answer"),
        "Session-Expires: 3600;refresher=uac\r\n",
    ));
    wait(&mut element, 1_800);
    let refresh = element.last_request(&Method::INVITE);
    assert_eq!(field(refresh, &FieldName::MIN_SE).as_deref(), Some("3600"));
}

#[test]
fn a_422_that_asks_for_nothing_new_is_a_refusal_and_growth_has_a_bound() {
    let refused = Some(GoneCause::Refused { status: StatusCode::SESSION_INTERVAL_TOO_SMALL });
    for fields in ["", "Min-SE: 1800\r\n", "Min-SE: x\r\n"] {
        let (mut element, _, invite) = call();
        element.receive(with_fields(response_to(&invite, 422, "p", ""), fields));
        assert_eq!((cause(&element), count(&element, &Method::INVITE)), (refused, 1));
    }
    let (mut element, _, _) = call();
    for seconds in 2_000..2_010 {
        let invite = element.last_request(&Method::INVITE).clone();
        element.receive(with_fields(response_to(&invite, 422, "p", ""), &format!("Min-SE: {seconds}\r\n")));
    }
    assert_eq!((cause(&element), count(&element, &Method::INVITE)), (refused, 5));
}

/// A peer that knows no session timers is asked every quarter of an hour whether it is still there.
#[test]
fn without_an_agreement_the_session_stands_as_long_as_the_peer_answers() {
    for status in [200, 405, 500] {
        let (mut element, _, _) = standing("");
        for probes in 1..=4 {
            wait(&mut element, 899);
            assert_eq!(count(&element, &Method::OPTIONS), probes - 1);
            wait(&mut element, 1);
            assert_eq!(count(&element, &Method::OPTIONS), probes);
            let options = element.last_request(&Method::OPTIONS).clone();
            element.respond(&options, status, "p", "");
        }
        assert_eq!((count(&element, &Method::INVITE), cause(&element)), (1, None));
    }
}

#[test]
fn a_peer_that_does_not_answer_or_does_not_know_the_call_any_more_has_ended_it() {
    let (mut element, _, _) = standing("");
    wait(&mut element, 931);
    assert_eq!(cause(&element), None);
    wait(&mut element, 1);
    assert_eq!((cause(&element), count(&element, &Method::BYE)), (Some(GoneCause::SessionExpired), 1));

    let (mut element, _, _) = standing("");
    wait(&mut element, 900);
    let options = element.last_request(&Method::OPTIONS).clone();
    element.respond(&options, 481, "p", "");
    assert_eq!((cause(&element), count(&element, &Method::BYE)), (Some(GoneCause::SessionExpired), 0));
}

#[test]
fn we_refresh_at_half_time_with_the_session_as_it_is_and_nobody_hears_of_it() {
    let (mut element, _, invite) = standing(INTERVAL);
    let heard = element.events.len();
    element.pass(Duration::from_millis(299_999));
    assert_eq!(count(&element, &Method::INVITE), 1);
    element.pass(Duration::from_millis(1));
    let refresh = element.last_request(&Method::INVITE).clone();
    assert_eq!((refresh.header.cseq.number, &refresh.body), (2, &invite.body));
    assert_eq!(field(&refresh, &FieldName::SESSION_EXPIRES).as_deref(), Some("600;refresher=uac"));
    element.receive(with_fields(response_to(&refresh, 200, "p", "answer"), INTERVAL));
    assert_eq!(element.last_request(&Method::ACK).header.cseq.number, 2);
    wait(&mut element, 300);
    assert_eq!((count(&element, &Method::INVITE), element.events.len()), (3, heard));
}

#[test]
fn what_is_refreshed_is_what_was_agreed_last() {
    let (mut element, id, _) = standing(INTERVAL);
    for (offer, status) in [("hold", 200), ("refused", 488)] {
        element.offer(id, offer.as_bytes().to_vec());
        let reinvite = element.last_request(&Method::INVITE).clone();
        element.receive(with_fields(response_to(&reinvite, status, "p", "held"), INTERVAL));
    }
    wait(&mut element, 300);
    assert_eq!(element.last_request(&Method::INVITE).body, b"hold");

    let (mut element, id, local) = taken("Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n");
    let fields = "Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n";
    element.receive(with_fields(request_text("INVITE", "1", "p", &local, 2, "offer"), fields));
    element.answer_offer(id, b"new answer");
    element.receive(request_text("ACK", "1", "p", &local, 2, ""));
    wait(&mut element, 300);
    assert_eq!(element.last_request(&Method::INVITE).body, b"new answer");
}

#[test]
fn a_peer_that_takes_update_is_refreshed_by_it() {
    let (mut element, _, _) = standing(&format!("{INTERVAL}{UPDATES}"));
    for _ in 0..3 {
        wait(&mut element, 300);
        let update = element.last_request(&Method::UPDATE).clone();
        assert!(update.body.is_empty());
        assert_eq!(field(&update, &FieldName::SESSION_EXPIRES).as_deref(), Some("600;refresher=uac"));
        element.receive(with_fields(response_to(&update, 200, "p", ""), INTERVAL));
    }
    assert_eq!((count(&element, &Method::UPDATE), count(&element, &Method::INVITE)), (3, 1));
}

#[test]
fn a_peer_that_does_not_say_that_it_takes_update_is_sent_none() {
    for fields in ["", "Allow: INVITE, ACK, BYE\r\n"] {
        let (mut element, _, _) = standing(&format!("{INTERVAL}{fields}"));
        wait(&mut element, 300);
        assert_eq!((count(&element, &Method::UPDATE), count(&element, &Method::INVITE)), (0, 2));
    }
}

#[test]
fn an_update_that_is_not_taken_after_all_becomes_a_re_invite() {
    let (mut element, _, _) = standing(&format!("{INTERVAL}{UPDATES}"));
    wait(&mut element, 300);
    let update = element.last_request(&Method::UPDATE).clone();
    element.respond(&update, 405, "p", "");
    let refresh = element.last_request(&Method::INVITE).clone();
    assert_eq!(&refresh.body[..], b"offer");
    element.receive(with_fields(response_to(&refresh, 200, "p", "answer"), INTERVAL));
    wait(&mut element, 300);
    assert_eq!((count(&element, &Method::UPDATE), count(&element, &Method::INVITE)), (1, 3));
}

#[test]
fn a_refresh_that_is_refused_is_tried_again_until_the_session_ends() {
    for fields in [INTERVAL.to_owned(), format!("{INTERVAL}{UPDATES}")] {
        let (mut element, _, _) = standing(&fields);
        let method = if fields.contains("UPDATE") { Method::UPDATE } else { Method::INVITE };
        wait(&mut element, 300);
        let first = count(&element, &method);
        for attempt in 0..9 {
            assert_eq!(count(&element, &method), first + attempt);
            let refresh = element.last_request(&method).clone();
            element.respond(&refresh, 500, "p", "");
            wait(&mut element, 32);
        }
        assert_eq!(cause(&element), Some(GoneCause::SessionExpired));
        assert_eq!(count(&element, &Method::BYE), 1);
        assert!(
            !element.invite_events().iter().any(|event| matches!(event, InviteEvent::ReofferRefused { .. }))
        );
    }
}

#[test]
fn a_refresh_that_finds_no_dialog_or_no_answer_ends_the_call() {
    for (status, byes) in [(481, 0), (408, 1)] {
        for fields in [INTERVAL.to_owned(), format!("{INTERVAL}{UPDATES}")] {
            let (mut element, _, _) = standing(&fields);
            wait(&mut element, 300);
            let refresh = element.sent.iter().rev().find_map(|(_, _, message)| match message {
                Message::Request(request) => Some(request.clone()),
                Message::Response(_) => None,
            });
            element.respond(&refresh.unwrap(), status, "p", "");
            assert_eq!(
                (cause(&element), count(&element, &Method::BYE)),
                (Some(GoneCause::SessionExpired), byes)
            );
        }
    }
    let (mut element, _, _) = standing(&format!("{INTERVAL}{UPDATES}"));
    wait(&mut element, 300 + 31);
    assert_eq!(cause(&element), None);
    wait(&mut element, 1);
    assert_eq!(cause(&element), Some(GoneCause::SessionExpired), "timer F");
}

#[test]
fn a_refresh_that_meets_a_re_invite_is_tried_again_like_any_offer() {
    let (mut element, _, _) = standing(INTERVAL);
    wait(&mut element, 300);
    let refresh = element.last_request(&Method::INVITE).clone();
    element.respond(&refresh, 491, "p", "");
    wait(&mut element, 4);
    let again = element.last_request(&Method::INVITE);
    assert_eq!((again.header.cseq.number, &again.body[..]), (3, &b"offer"[..]));
}

#[test]
fn a_refresh_waits_for_an_exchange_that_is_under_way() {
    let (mut element, id, invite) = standing(INTERVAL);
    element.request_in_dialog_of(&invite, "INVITE", "p", 1, "offer");
    wait(&mut element, 310);
    assert_eq!(count(&element, &Method::INVITE), 1);
    element.refuse_offer(id, StatusCode::NOT_ACCEPTABLE_HERE);
    wait(&mut element, 4);
    assert_eq!(count(&element, &Method::INVITE), 2);
}

#[test]
fn a_session_that_the_peer_does_not_refresh_is_hung_up_a_little_before_its_end() {
    for (seconds, end) in [(600, 568), (90, 60)] {
        let (mut element, _, _) = standing(&format!("Session-Expires: {seconds};refresher=uas\r\n"));
        wait(&mut element, end - 1);
        assert_eq!((count(&element, &Method::INVITE), cause(&element)), (1, None), "the peer refreshes");
        wait(&mut element, 1);
        assert_eq!((cause(&element), count(&element, &Method::BYE)), (Some(GoneCause::SessionExpired), 1));
        element.pass_all();
        assert_eq!(element.endpoint.counts(), (0, 0));
    }
}

#[test]
fn each_refresh_of_the_peer_gives_the_session_its_whole_time_again() {
    let (mut element, id, invite) = standing(PEER_REFRESHES);
    let fields = "Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n";
    let local = invite.header.from.tag().unwrap().to_owned();
    for cseq in [1, 3] {
        wait(&mut element, 500);
        let update = request_text("UPDATE", &invite.header.call_id.0, "p", &local, cseq, "");
        element.receive(with_fields(update, fields));
        assert_eq!(agreed(&element), (Some("600;refresher=uac".into()), Some("timer".into())));
        wait(&mut element, 500);
        let reinvite = request_text("INVITE", &invite.header.call_id.0, "p", &local, cseq + 1, "offer");
        element.receive(with_fields(reinvite, fields));
        element.answer_offer(id, b"answer");
        element.receive(request_text("ACK", &invite.header.call_id.0, "p", &local, cseq + 1, ""));
        assert_eq!(agreed(&element), (Some("600;refresher=uac".into()), Some("timer".into())));
    }
    wait(&mut element, 567);
    assert_eq!(cause(&element), None);
    wait(&mut element, 1);
    assert_eq!(cause(&element), Some(GoneCause::SessionExpired));
}

#[test]
fn a_2xx_without_an_interval_ends_the_agreement() {
    let (mut element, _, _) = standing(INTERVAL);
    wait(&mut element, 300);
    let refresh = element.last_request(&Method::INVITE).clone();
    element.respond(&refresh, 200, "p", "answer");
    wait(&mut element, 899);
    assert_eq!((count(&element, &Method::INVITE), cause(&element)), (2, None));
    wait(&mut element, 1);
    assert_eq!(count(&element, &Method::OPTIONS), 1);
}

#[test]
fn an_interval_below_what_we_asked_for_does_not_have_us_send_without_end() {
    let (mut element, _, _) = standing("Session-Expires: 0;refresher=uac\r\n");
    wait(&mut element, 44);
    assert_eq!(count(&element, &Method::INVITE), 1);
    wait(&mut element, 1);
    assert_eq!(count(&element, &Method::INVITE), 2);
}

#[test]
fn our_2xx_says_what_is_agreed_on() {
    for (fields, interval, require) in [
        ("", None, None),
        ("Supported: timer\r\n", Some("1800;refresher=uac"), Some("timer")),
        ("Supported: timer\r\nSession-Expires: 600\r\n", Some("600;refresher=uac"), Some("timer")),
        ("k: timer\r\nx: 600;refresher=uas\r\n", Some("600;refresher=uas"), None),
        (
            "Require: timer\r\nSession-Expires: 7200;refresher=uac\r\n",
            Some("1800;refresher=uac"),
            Some("timer"),
        ),
        (
            "Supported: timer\r\nSession-Expires: 7200\r\nMin-SE: 3600\r\n",
            Some("3600;refresher=uac"),
            Some("timer"),
        ),
        ("Session-Expires: 600\r\n", Some("600;refresher=uas"), None),
        ("Session-Expires: 60\r\n", None, None),
    ] {
        let (element, ..) = taken(fields);
        let (said, required) = agreed(&element);
        assert_eq!((said.as_deref(), required.as_deref()), (interval, require), "{fields}");
    }
}

#[test]
fn we_refresh_a_call_of_the_peer_when_it_leaves_that_to_us() {
    let (mut element, _, _) = taken("Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n");
    wait(&mut element, 300);
    let refresh = element.last_request(&Method::INVITE);
    assert_eq!(&refresh.body[..], b"answer");
    assert_eq!(field(refresh, &FieldName::SESSION_EXPIRES).as_deref(), Some("600;refresher=uac"));
}

#[test]
fn too_small_an_interval_is_422_also_in_the_dialog() {
    let small = "Supported: timer\r\nSession-Expires: 89\r\n";
    let mut element = Element::new();
    element.receive(with_fields(invite_text("z9hG4bK1"), small));
    assert_eq!((element.statuses(), element.events.len()), (vec![422], 0));
    assert_eq!(element.last_response().header.fields.get(&FieldName::MIN_SE), Some("90"));

    let (mut element, _, local) = taken("");
    for (cseq, method) in [(2, "UPDATE"), (3, "INVITE")] {
        element.receive(with_fields(request_text(method, "1", "p", &local, cseq, "offer"), small));
        assert_eq!(element.last_response().status.code(), 422, "{method}");
    }
    assert!(element.gone().is_none());
}

#[test]
fn hanging_up_ends_the_session_timer() {
    let (mut element, id, _) = standing(INTERVAL);
    element.hang_up(id, None);
    let bye = element.last_request(&Method::BYE).clone();
    element.respond(&bye, 200, "p", "");
    assert!(element.pass_all() < Duration::from_secs(60));
    assert_eq!(element.endpoint.counts(), (0, 0));
}

/// Hangs up, or is hung up on, a little before a timer of the session is due; the peer says nothing any more.
fn end_before(element: &mut Element, id: InviteId, invite: &Request, by_peer: bool) {
    if by_peer {
        element.request_in_dialog_of(invite, "BYE", "p", 1, "");
    } else {
        element.hang_up(id, None);
    }
}

#[test]
fn no_timer_of_the_session_fires_behind_its_end() {
    // When the timer is due: our refresh, the expiry, the question whether the peer is there.
    let cases = [
        ("Session-Expires: 90;refresher=uac\r\n", 45),
        ("Session-Expires: 90;refresher=uas\r\n", 60),
        ("", 900),
    ];
    for (fields, due) in cases {
        for (updates, by_peer) in [("", false), (UPDATES, false), ("", true), (UPDATES, true)] {
            let (mut element, id, invite) = standing(&format!("{fields}{updates}"));
            wait(&mut element, due - 1);
            end_before(&mut element, id, &invite, by_peer);
            let byes = usize::from(!by_peer);
            wait(&mut element, 10);
            for method in [Method::OPTIONS, Method::UPDATE] {
                assert_eq!(count(&element, &method), 0, "{method} behind the end: {fields}");
            }
            assert_eq!(
                (count(&element, &Method::INVITE), count(&element, &Method::BYE)),
                (1, byes),
                "{fields}"
            );
            assert!(element.pass_all() < Duration::from_secs(32 + 5), "{fields}");
            assert_eq!((element.endpoint.counts(), count(&element, &Method::BYE)), ((0, 0), byes));
            let expected = if by_peer { GoneCause::HungUpByPeer } else { GoneCause::TimedOut };
            assert_eq!(cause(&element), Some(expected), "told once");
        }
    }
}

#[test]
fn a_2xx_behind_the_end_starts_no_timer_of_the_session() {
    for by_update in [false, true] {
        let (mut element, id, _) = standing(&format!(
            "Session-Expires: 90;refresher=uac\r\n{}",
            if by_update { UPDATES } else { "" }
        ));
        wait(&mut element, 45);
        let method = if by_update { Method::UPDATE } else { Method::INVITE };
        let refresh = element.last_request(&method).clone();
        assert_eq!(count(&element, &method), 2 - usize::from(by_update));
        element.hang_up(id, None);
        let fields = "Session-Expires: 90;refresher=uac\r\n";
        element.receive(with_fields(response_to(&refresh, 200, "p", "answer"), fields));
        let sent = (count(&element, &Method::INVITE), count(&element, &Method::UPDATE));
        assert!(element.pass_all() < Duration::from_secs(64 + 5));
        assert_eq!((count(&element, &Method::INVITE), count(&element, &Method::UPDATE)), sent);
        assert_eq!((count(&element, &Method::BYE), element.endpoint.counts()), (1, (0, 0)));
    }
}
