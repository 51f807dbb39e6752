//! An INVITE whose Expires says how long it is meant (RFC 3261 §13.3.1).
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod by_hand;

use by_hand::{Element, invite_text, with_fields};
use sip_core::{GoneCause, InviteId};
use sip_message::StatusCode;
use std::time::Duration;

fn invited(fields: &str) -> (Element, InviteId) {
    let mut element = Element::new();
    element.receive(with_fields(invite_text("z9hG4bK1"), fields));
    let invite = element.take_last();
    (element, invite)
}

#[test]
fn an_invite_that_is_not_answered_in_its_time_is_answered_487() {
    let ring: fn(&mut Element, InviteId) = |element, invite| element.ring(invite, StatusCode::RINGING, None);
    for (state, fields, reach) in [
        ("waiting", "", (|_, _| {}) as fn(&mut Element, InviteId)),
        ("ringing", "", ring),
        ("unacknowledged", "Require: 100rel\r\n", ring),
    ] {
        let (mut element, invite) = invited(&format!("Expires: 20\r\n{fields}"));
        reach(&mut element, invite);
        element.pass(Duration::from_millis(19_900));
        assert!(element.gone().is_none(), "{state}");
        element.pass(Duration::from_millis(200));
        assert_eq!(element.last_response().status.code(), 487, "{state}");
        assert_eq!(element.gone().unwrap().cause, GoneCause::CancelledByPeer);
        element.pass_all();
        assert_eq!(element.endpoint.counts(), (0, 0));
    }
}

#[test]
fn what_is_answered_in_time_stands() {
    let (mut element, invite) = invited("Expires: 20\r\n");
    element.accept(invite, b"answer");
    element.pass(Duration::from_secs(21));
    assert!(element.gone().is_none());
    assert!(!element.statuses().contains(&487));
}

#[test]
fn an_expires_that_is_no_number_is_no_limit() {
    let (mut element, _) = invited("Expires: soon\r\n");
    element.pass(Duration::from_mins(10));
    assert!(element.gone().is_none());
}
