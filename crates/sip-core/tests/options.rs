//! Peers that want other options than our INVITE has (RFC 3261 §21.4.15, §21.4.16).
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod by_hand;

use by_hand::{Element, new_invite, response_to, udp, with_fields};
use sip_core::GoneCause;
use sip_message::{FieldName, Method, Request, StatusCode};

/// What is asked of the peer when our INVITE has met this refusal: Require, Supported and Session-Expires of the second
/// INVITE; `None`: there is none.
fn second(status: u16, fields: &str) -> Option<[Option<String>; 3]> {
    let mut element = Element::new();
    element.invite(new_invite(udp()));
    let invite = element.last_request(&Method::INVITE).clone();
    element.receive(with_fields(response_to(&invite, status, "p", ""), fields));
    let last = element.last_request(&Method::INVITE).clone();
    if last.header.cseq.number == invite.header.cseq.number {
        let refused = GoneCause::Refused { status: StatusCode::new(status)? };
        assert_eq!(element.gone().map(|gone| gone.cause), Some(refused));
        return None;
    }
    assert_eq!((last.header.to.tag(), &last.body), (None, &invite.body));
    // The same once more is a refusal.
    element.receive(with_fields(response_to(&last, status, "p", ""), fields));
    assert_eq!(element.last_request(&Method::INVITE).header.cseq.number, last.header.cseq.number);
    assert!(element.gone().is_some());
    let of = |request: &Request, name: FieldName| request.header.fields.get(&name).map(ToOwned::to_owned);
    Some([FieldName::REQUIRE, FieldName::SUPPORTED, FieldName::SESSION_EXPIRES].map(|name| of(&last, name)))
}

#[test]
fn what_the_peer_requires_and_we_can_is_required_once() {
    let text = |text: &str| Some(text.to_owned());
    let all = [text("100rel"), text("timer, 100rel, path"), text("1800")];
    assert_eq!(second(421, "Require: 100rel\r\n"), Some(all));
    for cannot in ["", "Require: precondition\r\n", "Require: 100rel, sec-agree\r\n"] {
        assert_eq!(second(421, cannot), None, "{cannot}");
    }
}

#[test]
fn what_the_peer_does_not_know_is_left_out_once() {
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(second(420, "Unsupported: timer\r\n"), Some([None, text("100rel, path"), None]));
    assert_eq!(second(420, "Unsupported: 100REL\r\n"), Some([None, text("timer, path"), text("1800")]));
    assert_eq!(second(420, "Unsupported: timer, 100rel\r\n"), Some([None, text("path"), None]));
    for cannot in ["", "Unsupported: x\r\n"] {
        assert_eq!(second(420, cannot), None, "{cannot}");
    }
}
