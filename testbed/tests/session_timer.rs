//! Stories: sessions that are refreshed, or not (RFC 4028).
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod talk;

use call_control::{CallState, EndReason, Party};
use talk::Talk;
use testbed::SipText;
use testbed::simulation::{Otherwise, PhoneId, Said, seconds};

const TIMER: &str = "Supported: timer\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE\r\n";
const WE_REFRESH: &str =
    "Require: timer\r\nSession-Expires: 90;refresher=uac\r\nAllow: INVITE, ACK, BYE, UPDATE\r\n";
const WE_REFRESH_BY_INVITE: &str =
    "Require: timer\r\nSession-Expires: 90;refresher=uac\r\nAllow: INVITE, ACK, BYE\r\n";
const IT_REFRESHES: &str =
    "Require: timer\r\nSession-Expires: 90;refresher=uas\r\nAllow: INVITE, ACK, BYE, UPDATE\r\n";

/// A call whose `from` answers our INVITE with these lines.
fn talk_with(lines: &'static str) -> Talk {
    Talk::prepared(|phone, is_from| {
        if is_from {
            // Its 200 comes at once, without a 180.
            phone.next_time("INVITE", Otherwise::And(lines));
        }
    })
}

fn requests<'a>(talk: &'a Talk, phone: PhoneId, method: &str) -> Vec<&'a SipText> {
    talk.world.by_hand(phone).requests(method)
}

fn assert_expired(mut talk: Talk, party: Party) {
    let call = talk.ended();
    let end = call.end.as_ref().unwrap();
    assert_eq!((end.reason, end.party), (EndReason::SessionExpired, Some(party)), "{}", talk.world.story());
}

#[test]
fn we_ask_for_a_session_timer_and_leave_it_to_the_phone_who_refreshes() {
    let talk = Talk::new();
    let invite = requests(&talk, talk.from, "INVITE")[0];
    assert_eq!(invite.field("Session-Expires"), Some("1800"));
    assert!(invite.fields("Supported").any(|value| value.contains("timer")));
    talk.end();
}

#[test]
fn we_refresh_by_update_where_the_phone_takes_it_and_by_reinvite_elsewhere() {
    for (lines, method) in [(WE_REFRESH, "UPDATE"), (WE_REFRESH_BY_INVITE, "INVITE")] {
        let mut talk = talk_with(lines);
        let before = requests(&talk, talk.from, method).len();
        for _ in 0..5 {
            let from = talk.from;
            // A phone that says nothing of timers in its answer would end the timer: it repeats what was agreed.
            talk.world.play(from, |phone, _| phone.next_time(method, Otherwise::And(lines)));
            talk.world.run_for(seconds(45.0));
        }
        let refreshes = &requests(&talk, talk.from, method)[before..];
        assert_eq!(refreshes.len(), 5, "{method}\n{}", talk.world.story());
        assert_eq!(refreshes[0].field("Session-Expires"), Some("90;refresher=uac"));
        assert_eq!(refreshes[0].body().is_empty(), method == "UPDATE");
        let to = talk.to;
        assert_eq!(requests(&talk, to, "INVITE").len(), 1, "the other one is not disturbed");
        talk.assert_both_hear("refreshed");
        talk.end();
    }
}

#[test]
fn a_phone_that_never_refreshes_ends_the_call_for_both() {
    let mut talk = talk_with(IT_REFRESHES);
    talk.world.run_for(seconds(50.0));
    assert_eq!(talk.world.state(talk.id), CallState::Talking);
    talk.world.run_for(seconds(20.0));
    assert_ne!(talk.world.state(talk.id), CallState::Talking, "RFC 4028 §10: a third of 90 s before its end");
    assert_expired(talk, Party::From);
}

#[test]
fn a_phone_refreshes_by_reinvite_without_change_and_by_update_without_a_body() {
    for method in ["INVITE", "UPDATE"] {
        let mut talk = talk_with(IT_REFRESHES);
        let from = talk.from;
        for _ in 0..5 {
            let lines = "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n";
            talk.world.play(from, |phone, _| {
                let body = phone.description_of(&Said::default());
                let body = if method == "INVITE" { body.as_str() } else { "" };
                phone.ask(method, lines, ("application/sdp", body));
            });
            talk.world.run_for(seconds(40.0));
        }
        let answer = (*talk.world.by_hand(from).answers(method).last().unwrap()).clone();
        assert_eq!(answer.status(), Some(200));
        assert_eq!(answer.field("Session-Expires"), Some("90;refresher=uac"));
        assert_eq!(requests(&talk, talk.to, "INVITE").len(), 1, "the other one is not disturbed");
        talk.assert_both_hear(method);
        // Now it stops.
        assert_expired(talk, Party::From);
    }
}

#[test]
fn a_phone_that_wants_a_longer_interval_is_asked_again_with_it() {
    let mut talk = Talk::prepared(|phone, is_from| {
        if is_from {
            phone.next_time("INVITE", Otherwise::With("422 Session Interval Too Small", "Min-SE: 3600\r\n"));
        }
    });
    let invites = requests(&talk, talk.from, "INVITE");
    assert_eq!(invites.len(), 2);
    assert_eq!(invites[1].field("Session-Expires"), Some("3600"));
    assert_eq!(invites[1].field("Min-SE"), Some("3600"));
    assert_eq!(invites[0].field("Call-ID"), invites[1].field("Call-ID"));
    talk.assert_both_hear("after 422");
    talk.end();
}

#[test]
fn too_short_an_interval_of_the_phone_is_422_and_the_call_goes_on() {
    let mut talk = talk_with(TIMER);
    let from = talk.from;
    for method in ["INVITE", "UPDATE"] {
        let lines = "Supported: timer\r\nSession-Expires: 60\r\n";
        talk.world.play(from, |phone, _| {
            let body = phone.description_of(&Said::default());
            phone.ask(method, lines, ("application/sdp", &body));
        });
        talk.world.run_for(seconds(1.0));
        let answer = (*talk.world.by_hand(from).answers(method).last().unwrap()).clone();
        assert_eq!((answer.status(), answer.field("Min-SE")), (Some(422), Some("90")), "{method}");
    }
    talk.assert_both_hear("after 422");
    talk.end();
}

#[test]
fn a_refresh_refused_by_500_is_tried_again_and_by_481_is_the_end() {
    let mut talk = talk_with(WE_REFRESH);
    let from = talk.from;
    talk.world.play(from, |phone, _| {
        phone.next_time("UPDATE", Otherwise::With("500 Server Internal Error", ""));
        phone.next_time("UPDATE", Otherwise::And(WE_REFRESH));
        phone.next_time("UPDATE", Otherwise::With("481 Call Does Not Exist", ""));
    });
    talk.world.run_for(seconds(90.0));
    assert_eq!(requests(&talk, from, "UPDATE").len(), 2, "{}", talk.world.story());
    assert_eq!(talk.world.state(talk.id), CallState::Talking);
    let call = talk.world.run_until_ended(talk.id);
    let end = call.end.as_ref().unwrap();
    assert_eq!((end.reason, end.party), (EndReason::SessionExpired, Some(Party::From)));
    assert!(!talk.world.by_hand(talk.to).is_in_call());
}

#[test]
fn a_refresh_refused_by_405_is_made_by_reinvite() {
    let mut talk = talk_with(WE_REFRESH);
    let from = talk.from;
    talk.world.play(from, |phone, _| {
        phone.next_time("UPDATE", Otherwise::With("405 Method Not Allowed", ""));
        phone.next_time("INVITE", Otherwise::And(WE_REFRESH_BY_INVITE));
    });
    talk.world.run_for(seconds(60.0));
    assert_eq!(requests(&talk, from, "INVITE").len(), 2);
    talk.assert_both_hear("refreshed");
    talk.end();
}

#[test]
fn hold_and_resume_leave_the_session_timer_as_it_was() {
    let mut talk = talk_with(IT_REFRESHES);
    let (from, to) = (talk.from, talk.to);
    talk.world.run_for(seconds(30.0));
    for said in [Said::hold("sendonly"), Said::default()] {
        // Our re-INVITE refreshes the session of `from` too, when `from` says so.
        talk.world.play(from, |phone, _| phone.next_time("INVITE", Otherwise::And(IT_REFRESHES)));
        talk.world.play(to, |phone, _| phone.offer("INVITE", said));
        talk.world.run_for(seconds(30.0));
    }
    assert_eq!(talk.world.state(talk.id), CallState::Talking);
    let hold = requests(&talk, from, "INVITE")[1];
    assert_eq!(hold.field("Session-Expires"), Some("90;refresher=uas"));
    assert_expired(talk, Party::From);
}

/// Held, so that nobody expects audio of it either.
#[test]
fn a_phone_without_session_timers_that_has_gone_ends_the_call_for_both() {
    for goes in [false, true] {
        let mut talk = Talk::new();
        let from = talk.from;
        talk.world
            .play(from, |phone, _| phone.offer("INVITE", Said { direction: "inactive", ..Said::default() }));
        talk.world.run_for(seconds(890.0));
        assert_eq!(requests(&talk, from, "OPTIONS").len(), 0);
        if goes {
            talk.world.play(from, |phone, _| phone.next_time("OPTIONS", Otherwise::Silence));
        }
        talk.world.run_for(seconds(45.0));
        assert!(!requests(&talk, from, "OPTIONS").is_empty(), "{}", talk.world.story());
        assert_eq!(talk.world.state(talk.id) == CallState::Ended, goes, "{}", talk.world.story());
        if goes {
            assert_expired(talk, Party::From);
        } else {
            talk.end();
        }
    }
}
