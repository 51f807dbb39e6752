//! Stories: INFO, OPTIONS and what is not served, in the middle of a call.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod talk;

use talk::Talk;
use testbed::SipText;
use testbed::simulation::{Otherwise, seconds};

const DIGIT: (&str, &str) = ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n");

/// Content-Type and body of the INFOs that a phone was told.
fn informed(talk: &Talk, phone: testbed::simulation::PhoneId) -> Vec<(String, String)> {
    let infos = talk.world.by_hand(phone).requests("INFO").into_iter();
    infos.map(|info| (info.field("Content-Type").unwrap().into(), info.body().into())).collect()
}

#[test]
fn an_info_is_answered_and_reaches_the_other_party_as_it_is() {
    for sender_is_from in [true, false] {
        let mut talk = Talk::new();
        let (sender, other) = talk.parties(sender_is_from);
        let refresh = "<media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder>";
        let bodies = [DIGIT, ("application/dtmf", "5"), ("application/media_control+xml", refresh)];
        for body in bodies {
            talk.world.play(sender, |phone, _| phone.ask("INFO", "", body));
            talk.world.run_for(seconds(1.0));
        }
        let expected: Vec<(String, String)> =
            bodies.into_iter().map(|(kind, body)| (kind.into(), body.into())).collect();
        assert_eq!(informed(&talk, other), expected);
        assert_eq!(talk.seen(sender).iter().filter(|seen| *seen == "200").count() - 1, bodies.len());
        assert_eq!(informed(&talk, sender), []);
        talk.end();
    }
}

#[test]
fn an_info_of_2048_octets_is_passed_on_and_a_longer_one_is_refused() {
    for (octets, status, passed) in [(2_048, 200, 1), (2_049, 413, 0)] {
        let mut talk = Talk::new();
        let (from, to) = (talk.from, talk.to);
        let body = "5".repeat(octets);
        talk.world.play(from, |phone, _| phone.ask("INFO", "", ("application/dtmf", &body)));
        talk.world.run_for(seconds(1.0));
        assert_eq!(talk.world.by_hand(from).answers("INFO")[0].status(), Some(status));
        assert_eq!(informed(&talk, to).len(), passed);
        talk.end();
    }
}

#[test]
fn whatever_the_other_phone_makes_of_an_info_the_call_goes_on() {
    let refusals = [
        Otherwise::With("405 Method Not Allowed", "Allow: INVITE, ACK, BYE\r\n"),
        Otherwise::With("415 Unsupported Media Type", ""),
        Otherwise::With("500 Server Internal Error", ""),
        Otherwise::With("408 Request Timeout", ""),
        Otherwise::With("603 Decline", ""),
        Otherwise::Silence,
    ];
    for refusal in refusals {
        let mut talk = Talk::new();
        let (from, to) = (talk.from, talk.to);
        talk.world.play(to, |phone, _| phone.next_time("INFO", refusal.clone()));
        talk.world.play(from, |phone, _| phone.ask("INFO", "", DIGIT));
        talk.world.run_for(seconds(1.0));
        assert_eq!(talk.world.by_hand(from).answers("INFO")[0].status(), Some(200));
        if matches!(refusal, Otherwise::Silence) {
            talk.world.run_for(seconds(40.0));
        }
        talk.assert_both_hear(&format!("{refusal:?}"));
        talk.end();
    }
}

#[test]
fn an_info_is_not_passed_to_a_phone_that_does_not_allow_it() {
    let mut talk = Talk::prepared(|phone, is_from| {
        if !is_from {
            phone.next_time("INVITE", Otherwise::And("Allow: INVITE, ACK, CANCEL, BYE\r\n"));
        }
    });
    let from = talk.from;
    talk.world.play(from, |phone, _| phone.ask("INFO", "", DIGIT));
    talk.assert_both_hear("after it");
    assert_eq!(talk.world.by_hand(from).answers("INFO")[0].status(), Some(200));
    assert_eq!(informed(&talk, talk.to), []);
    talk.end();
}

#[test]
fn an_info_before_the_connection_is_answered_and_goes_nowhere() {
    let mut talk = Talk::ringing(["1001", "1002"], |phone, is_from| {
        phone.answers_after = Some(seconds(if is_from { 1.0 } else { 5.0 }));
    });
    let from = talk.from;
    talk.world.run_for(seconds(2.0));
    talk.world.play(from, |phone, _| phone.ask("INFO", "", DIGIT));
    let talk = talk.talking();
    assert_eq!(talk.world.by_hand(from).answers("INFO")[0].status(), Some(200));
    assert_eq!(informed(&talk, talk.to), []);
    talk.end();
}

#[test]
fn an_info_that_is_too_large_of_a_package_or_empty_is_not_passed_on() {
    let mut talk = Talk::new();
    let from = talk.from;
    let large = "x".repeat(2_049);
    let cases = [
        ("", ("text/plain", large.as_str()), 413),
        ("Info-Package: foo\r\n", DIGIT, 469),
        ("", ("", ""), 200),
    ];
    for (lines, body, status) in cases {
        talk.world.play(from, |phone, _| phone.ask("INFO", lines, body));
        talk.world.run_for(seconds(1.0));
        assert_eq!(talk.world.by_hand(from).answers("INFO").last().unwrap().status(), Some(status));
    }
    assert_eq!(informed(&talk, talk.to), []);
    talk.end();
}

#[test]
fn options_says_what_we_can_and_what_is_not_served_is_said_so() {
    let mut talk = Talk::new();
    let to = talk.to;
    let mut ask = |method: &str, lines: &str| -> SipText {
        talk.world.play(to, |phone, _| phone.ask(method, lines, ("", "")));
        talk.world.run_for(seconds(0.5));
        (*talk.world.by_hand(to).answers(method).last().unwrap()).clone()
    };
    let options = ask("OPTIONS", "");
    assert_eq!(options.status(), Some(200));
    assert_eq!(options.field("Accept"), Some("application/sdp"));
    assert_eq!(options.field("Supported"), Some("timer, 100rel, replaces, path"));
    let allow = Some("INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO, REFER, REGISTER");
    assert_eq!(options.field("Allow"), allow);
    for method in ["SUBSCRIBE", "NOTIFY", "MESSAGE", "PUBLISH"] {
        let answer = ask(method, "Refer-To: <sip:1003@pbx.example.com>\r\nEvent: dialog\r\n");
        assert_eq!((answer.status(), answer.field("Allow")), (Some(405), allow), "{method}");
    }
    assert_eq!(ask("FROB", "").status(), Some(501));
    for method in ["INVITE", "UPDATE", "BYE", "INFO", "OPTIONS"] {
        let answer = ask(method, "Require: frob, timer2\r\n");
        assert_eq!(answer.status(), Some(420), "{method}");
        assert_eq!(answer.field("Unsupported"), Some("frob, timer2"));
    }
    talk.assert_both_hear("after all of it");
    talk.end();
}
