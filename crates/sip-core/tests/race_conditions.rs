//! The thirteen flows of RFC 5407 §3, from the side of the callee, of the caller, or of both.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod by_hand;

use by_hand::{Element, invite_text, new_invite, request_text, response_to, udp, with_fields};
use sip_core::{GoneCause, InviteEvent, InviteId};
use sip_message::{Method, Request, StatusCode};
use std::time::Duration;

/// A call of ours, and its INVITE.
fn calling() -> (Element, InviteId, Request) {
    let mut element = Element::new();
    let id = element.invite(new_invite(udp()));
    let invite = element.last_request(&Method::INVITE).clone();
    (element, id, invite)
}

/// A call of ours that stands.
fn called() -> (Element, InviteId, Dialog) {
    let (mut element, id, invite) = calling();
    element.respond(&invite, 200, "p", "answer");
    let dialog = Dialog {
        call_id: invite.header.call_id.0.to_string(),
        local: invite.header.from.tag().unwrap().to_owned(),
    };
    (element, id, dialog)
}

/// A call of the peer that we answered, and whose ACK has not come.
fn accepted() -> (Element, InviteId, Dialog) {
    accepted_of(&invite_text("z9hG4bK1"))
}

fn accepted_of(invite: &str) -> (Element, InviteId, Dialog) {
    let mut element = Element::new();
    element.receive(invite);
    let id = element.take_last();
    element.accept(id, b"session");
    let local = element.last_response().header.to.tag().unwrap().to_owned();
    (element, id, Dialog { call_id: "1".to_owned(), local })
}

/// A call of the peer that stands.
fn confirmed() -> (Element, InviteId, Dialog) {
    let (mut element, id, dialog) = accepted();
    element.receive(dialog.request("ACK", 1, ""));
    (element, id, dialog)
}

struct Dialog {
    call_id: String,
    local: String,
}

impl Dialog {
    /// A request of the peer.
    fn request(&self, method: &str, cseq: u32, body: &str) -> String {
        request_text(method, &self.call_id, "p", &self.local, cseq, body)
    }
}

fn hang_up(element: &mut Element, id: InviteId) {
    element.hang_up(id, None);
}

fn offer(element: &mut Element, id: InviteId) -> Request {
    element.offer(id, b"our offer");
    element.last_request(&Method::INVITE).clone()
}

fn answer(element: &mut Element, id: InviteId) {
    element.answer_offer(id, b"our answer");
}

fn cause(element: &Element) -> Option<GoneCause> {
    element.gone().map(|gone| gone.cause)
}

/// Status and method of the last response.
fn last(element: &Element) -> (u16, String) {
    let response = element.last_response();
    (response.status.code(), response.header.cseq.method.to_string())
}

fn is(status: u16, method: &str) -> (u16, String) {
    (status, method.to_owned())
}

/// Nothing is left once time has passed.
fn ends(mut element: Element, expected: GoneCause) {
    element.pass_all();
    assert_eq!((cause(&element), element.endpoint.counts()), (Some(expected), (0, 0)));
}

#[test]
fn s3_1_1_the_callee_answers_a_copy_of_the_invite_by_its_2xx_only() {
    let (mut element, _, dialog) = accepted();
    element.receive(invite_text("z9hG4bK1"));
    assert_eq!((element.statuses(), element.events.len()), (vec![100, 200], 0));
    element.pass(Duration::from_millis(500));
    assert_eq!(element.statuses(), [100, 200, 200]);
    element.receive(dialog.request("ACK", 1, ""));
    element.pass(Duration::from_secs(60));
    assert_eq!(element.statuses().len(), 3);
}

#[test]
fn s3_1_1_the_caller_acknowledges_each_copy_of_the_2xx() {
    let (mut element, _, invite) = calling();
    element.pass(Duration::from_millis(500));
    assert_eq!(element.requests(&Method::INVITE).len(), 2);
    element.respond(&invite, 200, "p", "answer");
    element.respond(&invite, 200, "p", "answer");
    assert_eq!((element.requests(&Method::ACK).len(), element.invite_events().len()), (2, 1));
}

#[test]
fn s3_1_2_the_callee_stands_by_its_2xx_when_the_cancel_comes_late() {
    let (mut element, _, dialog) = accepted();
    element.receive(invite_text("z9hG4bK1").replace("INVITE", "CANCEL"));
    assert_eq!((last(&element), cause(&element)), (is(200, "CANCEL"), None));
    element.receive(dialog.request("ACK", 1, ""));
    element.receive(dialog.request("BYE", 2, ""));
    assert_eq!(last(&element), is(200, "BYE"));
    ends(element, GoneCause::HungUpByPeer);
}

#[test]
fn s3_1_2_the_caller_acknowledges_and_hangs_up_what_crossed_its_cancel() {
    let (mut element, id, invite) = calling();
    element.respond(&invite, 180, "p", "");
    hang_up(&mut element, id);
    element.respond(&invite, 200, "p", "answer");
    let cancel = element.last_request(&Method::CANCEL).clone();
    element.respond(&cancel, 200, "p", "");
    assert_eq!(element.requests(&Method::ACK).len(), 1);
    let bye = element.last_request(&Method::BYE).clone();
    element.respond(&bye, 200, "p", "");
    ends(element, GoneCause::Cancelled);
}

#[test]
fn s3_1_3_the_callee_ends_on_a_bye_of_the_early_dialog() {
    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1"));
    let id = element.take_last();
    element.ring(id, StatusCode::RINGING, None);
    let local = element.last_response().header.to.tag().unwrap().to_owned();
    element.accept(id, b"answer");
    element.receive(request_text("BYE", "1", "p", &local, 2, ""));
    assert_eq!(last(&element), is(200, "BYE"));
    element.receive(request_text("ACK", "1", "p", &local, 1, ""));
    let sent = element.sent.len();
    element.pass(Duration::from_secs(40));
    assert_eq!(element.sent.len(), sent, "the 2xx is not repeated");
    ends(element, GoneCause::HungUpByPeer);
}

#[test]
fn s3_1_3_the_caller_sends_no_bye_in_an_early_dialog() {
    let (mut element, id, invite) = calling();
    element.respond(&invite, 180, "p", "");
    hang_up(&mut element, id);
    assert_eq!((element.requests(&Method::CANCEL).len(), element.requests(&Method::BYE).len()), (1, 0));
}

#[test]
fn s3_1_4_the_callee_takes_a_re_invite_before_the_ack_when_the_session_is_agreed() {
    let (mut element, id, dialog) = accepted();
    element.receive(dialog.request("INVITE", 2, "offer"));
    assert!(matches!(
        &element.invite_events()[..],
        [InviteEvent::Confirmed { body: None }, InviteEvent::Offered { body: Some(_), .. }]
    ));
    answer(&mut element, id);
    element.receive(dialog.request("ACK", 1, ""));
    assert_eq!((last(&element), element.last_response().header.cseq.number), (is(200, "INVITE"), 2));
    element.receive(dialog.request("ACK", 2, ""));
    let sent = element.sent.len();
    element.pass(Duration::from_secs(60));
    assert_eq!((element.sent.len(), element.invite_events().len()), (sent, 2), "both 2xx are acknowledged");
}

#[test]
fn s3_1_5_the_callee_refuses_a_re_invite_before_the_ack_that_brings_the_answer() {
    let late = invite_text("z9hG4bK1");
    let late = format!("{}Content-Length: 0\r\n\r\n", late.split_once("Content-Type").unwrap().0);
    let (mut element, _, dialog) = accepted_of(&late);
    element.receive(dialog.request("INVITE", 2, "offer"));
    assert_eq!((last(&element), element.invite_events().len()), (is(491, "INVITE"), 0));
    element.receive(dialog.request("ACK", 1, "answer"));
    assert!(
        matches!(&element.invite_events()[..], [InviteEvent::Confirmed { body: Some(body) }] if body == b"answer")
    );
}

#[test]
fn s3_1_5_the_caller_offers_again_what_came_before_its_ack() {
    let (mut element, id, _) = called();
    let first = offer(&mut element, id);
    element.respond(&first, 491, "p", "");
    element.pass(Duration::from_secs(4));
    let second = element.last_request(&Method::INVITE).clone();
    assert_eq!((second.header.cseq.number, &second.body), (3, &first.body));
    element.respond(&second, 200, "p", "answer");
    assert!(matches!(element.invite_events().last(), Some(InviteEvent::Reanswered { .. })));
}

#[test]
fn s3_1_6_the_callee_ends_on_a_bye_that_overtakes_the_ack() {
    let (mut element, _, dialog) = accepted();
    element.receive(dialog.request("BYE", 2, ""));
    assert_eq!(last(&element), is(200, "BYE"));
    let sent = element.sent.len();
    element.pass(Duration::from_secs(40));
    assert_eq!(element.sent.len(), sent, "the 2xx is not repeated");
    ends(element, GoneCause::HungUpByPeer);
}

#[test]
fn s3_1_6_the_caller_acknowledges_a_copy_of_the_2xx_behind_its_bye() {
    let (mut element, id, invite) = calling();
    element.respond(&invite, 200, "p", "answer");
    hang_up(&mut element, id);
    element.respond(&invite, 200, "p", "answer");
    assert_eq!((element.requests(&Method::ACK).len(), element.requests(&Method::BYE).len()), (2, 1));
    ends(element, GoneCause::TimedOut);
}

#[test]
fn s3_2_1_byes_that_cross_are_both_answered() {
    for (mut element, id, dialog) in [called(), confirmed()] {
        hang_up(&mut element, id);
        let bye = element.last_request(&Method::BYE).clone();
        element.receive(dialog.request("BYE", 2, ""));
        assert_eq!(last(&element), is(200, "BYE"));
        element.respond(&bye, 200, "p", "");
        ends(element, GoneCause::HungUp);
    }
}

#[test]
fn s3_2_2_a_re_invite_that_crosses_our_bye_finds_no_dialog() {
    for (mut element, id, dialog) in [called(), confirmed()] {
        hang_up(&mut element, id);
        element.receive(dialog.request("INVITE", 2, "offer"));
        assert_eq!(last(&element), is(481, "INVITE"));
        assert!(!element.invite_events().iter().any(|event| matches!(event, InviteEvent::Offered { .. })));
        let bye = element.last_request(&Method::BYE).clone();
        element.respond(&bye, 200, "p", "");
        ends(element, GoneCause::HungUp);
    }
}

#[test]
fn s3_2_2_our_re_invite_that_the_bye_of_the_peer_crossed_is_told_481_and_acknowledged() {
    for (mut element, id, dialog) in [called(), confirmed()] {
        let reinvite = offer(&mut element, id);
        element.receive(dialog.request("BYE", 2, ""));
        assert_eq!((last(&element), cause(&element)), (is(200, "BYE"), Some(GoneCause::HungUpByPeer)));
        element.respond(&reinvite, 481, "p", "");
        assert_eq!(element.last_request(&Method::ACK).header.cseq.number, reinvite.header.cseq.number);
        ends(element, GoneCause::HungUpByPeer);
    }
}

#[test]
fn s3_2_3_a_2xx_to_our_re_invite_is_acknowledged_behind_a_bye_of_either_side() {
    for ours in [true, false] {
        for (mut element, id, dialog) in [called(), confirmed()] {
            let reinvite = offer(&mut element, id);
            if ours {
                hang_up(&mut element, id);
            } else {
                element.receive(dialog.request("BYE", 2, ""));
            }
            element.respond(&reinvite, 200, "p", "answer");
            assert_eq!(element.last_request(&Method::ACK).header.cseq.number, reinvite.header.cseq.number);
            assert!(
                !element.invite_events().iter().any(|event| matches!(event, InviteEvent::Reanswered { .. }))
            );
            ends(element, if ours { GoneCause::TimedOut } else { GoneCause::HungUpByPeer });
        }
    }
}

#[test]
fn s3_2_4_the_callee_absorbs_an_ack_that_comes_behind_the_bye() {
    let (mut element, _, dialog) = accepted();
    element.receive(dialog.request("BYE", 2, ""));
    let (sent, heard) = (element.sent.len(), element.events.len());
    element.receive(dialog.request("ACK", 1, ""));
    assert_eq!((element.sent.len(), element.events.len()), (sent, heard));
    ends(element, GoneCause::HungUpByPeer);
}

#[test]
fn s3_2_4_the_callee_holds_its_bye_back_until_the_ack() {
    let (mut element, id, dialog) = accepted();
    hang_up(&mut element, id);
    assert!(element.requests(&Method::BYE).is_empty());
    element.receive(dialog.request("ACK", 1, ""));
    element.receive(dialog.request("ACK", 1, ""));
    assert_eq!(element.requests(&Method::BYE).len(), 1);
    ends(element, GoneCause::TimedOut);
}

#[test]
fn s3_3_1_re_invites_that_cross_are_both_refused_and_both_come_again() {
    for ((mut element, id, dialog), least, most) in [(called(), 2_100, 4_000), (confirmed(), 0, 2_000)] {
        let ours = offer(&mut element, id);
        element.receive(dialog.request("INVITE", 2, "offer"));
        assert_eq!(last(&element), is(491, "INVITE"));
        let refused = element.milliseconds();
        element.respond(&ours, 491, "p", "");
        element.pass(Duration::from_secs(4));
        let again = element.sent.iter().find(|(_, _, message)| {
            let cseq = &message.header().cseq;
            cseq.method == Method::INVITE && cseq.number == ours.header.cseq.number + 1
        });
        let waited = again.unwrap().0.as_millis() - refused;
        assert!((least..=most).contains(&waited), "{waited} ms");
        let again = element.last_request(&Method::INVITE).clone();
        element.respond(&again, 200, "p", "answer");
        element.receive(dialog.request("INVITE", 3, "offer"));
        answer(&mut element, id);
        assert_eq!(last(&element), is(200, "INVITE"));
    }
}

#[test]
fn s3_3_2_an_update_with_an_offer_that_crosses_our_re_invite_is_refused() {
    for (mut element, id, dialog) in [called(), confirmed()] {
        let ours = offer(&mut element, id);
        element.receive(dialog.request("UPDATE", 2, "offer"));
        assert_eq!(last(&element), is(491, "UPDATE"));
        element.respond(&ours, 200, "p", "answer");
        assert!(matches!(element.invite_events().last(), Some(InviteEvent::Reanswered { .. })));
    }
}

#[test]
fn s3_3_2_our_update_without_an_offer_and_a_re_invite_pass_each_other() {
    let (mut element, id, invite) = calling();
    let fields = "Session-Expires: 90;refresher=uac\r\nAllow: UPDATE\r\n";
    element.receive(with_fields(response_to(&invite, 200, "p", "answer"), fields));
    element.pass(Duration::from_secs(45));
    let update = element.last_request(&Method::UPDATE).clone();
    element.request_in_dialog_of(&invite, "INVITE", "p", 1, "offer");
    answer(&mut element, id);
    assert_eq!(last(&element), is(200, "INVITE"));
    element.respond(&update, 200, "p", "");
    assert_eq!(cause(&element), None);
}

#[test]
fn s3_3_3_a_refer_that_crosses_our_bye_finds_no_dialog() {
    for (mut element, id, dialog) in [called(), confirmed()] {
        hang_up(&mut element, id);
        // INFO stands for each method that is handed up, as REFER would be.
        for (cseq, method) in [(2, "REFER"), (3, "INFO")] {
            element.receive(dialog.request(method, cseq, ""));
            assert_eq!(last(&element), is(481, method));
        }
        assert!(!element.invite_events().iter().any(|event| matches!(event, InviteEvent::Requested { .. })));
        ends(element, GoneCause::TimedOut);
    }
}
