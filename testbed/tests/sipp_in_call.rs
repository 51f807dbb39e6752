//! What phones do in a call, on the wire: SIPp plays both of them, step by step, against the real server.

use Step::{Acknowledge, AcknowledgeRefusal, Answer, Ask, Await, Expect, Invited, Pause, Respond};
use audio::Codec;
use serde_json::{Value, json};
use std::time::Duration;
use testbed::line::{FROM_TONE, Line, SOON, TO_TONE, end};
use testbed::{Audio, Content, RtpPeer, Sipp, Step};

const RINGING: Step = Respond("180 Ringing", "", None);

/// Rings and answers with this audio.
fn answers(audio: &Audio) -> Vec<Step> {
    vec![Invited, RINGING, Pause(100), Respond("200 OK", "", Some(audio.clone())), Await("ACK")]
}

/// Is hung up.
fn hung_up() -> Vec<Step> {
    vec![Await("BYE"), Answer("200 OK", "", None)]
}

/// An offer by INVITE or UPDATE that is accepted.
fn offers(method: &'static str, audio: Audio) -> Vec<Step> {
    let mut steps = vec![Ask(method, "", Content::Audio(audio)), Expect(200)];
    if method == "INVITE" {
        steps.push(Acknowledge(Content::Nothing));
    }
    steps
}

/// Takes a re-INVITE and answers it with this audio.
fn is_offered(audio: Audio) -> Vec<Step> {
    vec![Await("INVITE"), Answer("200 OK", "", Some(audio)), Await("ACK")]
}

/// A line and a call whose phones go these steps, between its answer and its end.
struct Wire {
    line: Line,
    from: Sipp,
    to: Sipp,
    call: String,
}

impl Wire {
    fn of(steps: impl FnOnce(&Audio, &Audio) -> [Vec<Step>; 2]) -> Self {
        Self::of_whole(|from, to| {
            let [of_from, of_to] = steps(from, to);
            [[answers(from), of_from, hung_up()].concat(), [answers(to), of_to, hung_up()].concat()]
        })
    }

    fn of_whole(steps: impl FnOnce(&Audio, &Audio) -> [Vec<Step>; 2]) -> Self {
        let line = Line::open();
        let (from, to) = (Audio::at(line.from_audio.address()), Audio::at(line.to_audio.address()));
        let [of_from, of_to] = steps(&from, &to);
        let folder = line.server.folder();
        let (from, to) = (Sipp::steps(&of_from, line.from, folder), Sipp::steps(&of_to, line.to, folder));
        let call = line.call();
        Self { line, from, to, call }
    }

    /// Waits until SIPp has seen so many requests of this method at this phone.
    fn wait_for(phone: &Sipp, method: &str, count: usize) {
        let seen = testbed::wait_for(SOON, || (phone.count(method) >= count).then_some(()));
        assert!(seen.is_some(), "{} of {count} {method} came", phone.count(method));
    }

    /// The API hangs up once everything else was done, and both scenarios went as written.
    fn ends(mut self) -> Value {
        let quiet = || (self.from.is_waiting_for_bye() && self.to.is_waiting_for_bye()).then_some(());
        testbed::wait_for(Duration::from_secs(12), quiet);
        assert_eq!(self.line.api.hang_up(&self.call).status, 200);
        self.from.succeeds(SOON);
        self.to.succeeds(SOON);
        let ended = self.line.ended(&self.call);
        assert_eq!((end(&ended).0, end(&ended).1), ("hung_up", "api"));
        ended
    }

    /// Statuses of the final responses to requests of this method that a phone received.
    fn statuses(phone: &Sipp, method: &str) -> Vec<u16> {
        let answers = phone.seen().into_iter().filter(|it| !it.sent).map(|it| it.message);
        let of_method = answers.filter(|it| it.field("CSeq").is_some_and(|cseq| cseq.ends_with(method)));
        of_method.filter_map(|it| it.status()).filter(|status| *status >= 200).collect()
    }
}

#[test]
fn hold_and_resume_by_reinvite_and_by_update_reach_the_other_phone_and_audio_returns() {
    for method in ["INVITE", "UPDATE"] {
        for (direction, told, is_old) in
            [("sendonly", "sendonly", false), ("inactive", "inactive", false), ("sendrecv", "sendonly", true)]
        {
            let wire = Wire::of(|from, to| {
                let mut hold = from.clone().with_direction(direction);
                if is_old {
                    hold.at = None;
                }
                let of_from = [
                    vec![Pause(400)],
                    offers(method, hold),
                    vec![Pause(600)],
                    offers(method, from.clone()),
                    vec![Pause(900)],
                ];
                let answer = if told == "inactive" { "inactive" } else { "recvonly" };
                let of_to = [is_offered(to.clone().with_direction(answer)), is_offered(to.clone())];
                [of_from.concat(), of_to.concat()]
            });
            let (from_talks, to_talks) = wire.line.talk(&wire.from, &wire.to);
            Wire::wait_for(&wire.to, "INVITE", 2);
            let hold = wire.to.seen().into_iter().rfind(|it| it.message.method() == Some("INVITE")).unwrap();
            assert!(
                hold.message.body().contains(&format!("a={told}")),
                "{method} {direction}\n{}",
                hold.message.as_str()
            );
            Wire::wait_for(&wire.to, "INVITE", 3);
            drop((from_talks, to_talks));
            let (from_talks, to_talks) = wire.line.talk(&wire.from, &wire.to);
            std::thread::sleep(Duration::from_millis(700));
            let (at_from, at_to) = (from_talks.stop(), to_talks.stop());
            for heard in [at_from.tone_milliseconds(TO_TONE), at_to.tone_milliseconds(FROM_TONE)] {
                assert!(heard >= 400, "{method} {direction}: {heard} ms");
            }
            wire.ends();
        }
    }
}

#[test]
fn a_late_offer_is_made_in_the_200_and_answered_in_the_ack() {
    let wire = Wire::of(|from, _| {
        let late = vec![
            Pause(300),
            Ask("INVITE", "", Content::Nothing),
            Expect(200),
            Acknowledge(Content::Audio(from.clone())),
            Pause(300),
        ];
        [late, Vec::new()]
    });
    Wire::wait_for(&wire.from, "ACK", 1);
    let offer = testbed::wait_for(SOON, || {
        wire.from.seen().into_iter().find(|it| {
            !it.sent && it.message.status() == Some(200) && it.message.field("CSeq") == Some("1 INVITE")
        })
    });
    let offer = offer.expect("a 200 to the re-INVITE").message;
    assert!(offer.audio_address().is_some() && offer.body().contains("a=sendrecv"), "{}", offer.as_str());
    wire.ends();
}

#[test]
fn a_phone_changes_codec_and_address_in_one_offer() {
    let line_ip = testbed::Loopback::claim();
    let moved = RtpPeer::bind(line_ip.ip()).with_codec(Codec::Pcma);
    let there = Audio { formats: "8", ..Audio::at(moved.address()) };
    let mut wire = Wire::of(|_, _| [[vec![Pause(300)], offers("INVITE", there)].concat(), Vec::new()]);
    let offered =
        |phone: &Sipp| phone.received("INVITE", SOON).message.audio_address().expect("an offer of audio");
    let to_talks = wire.line.to_audio.talk(offered(&wire.to), TO_TONE);
    let from_talks = moved.talk(offered(&wire.from), FROM_TONE);
    wire.line.api.wait(&wire.call, SOON, "PCMA", |it| it["from"]["media"]["codec"] == "PCMA");
    // What came before the change still waits in the old socket.
    let waiting = wire.line.from_audio.listen();
    std::thread::sleep(Duration::from_millis(200));
    drop(waiting.stop());
    let at_old = wire.line.from_audio.with_codec(Codec::Pcma).listen();
    std::thread::sleep(Duration::from_millis(1_000));
    assert_eq!(at_old.stop().packets, 0, "the old address is still sent to");
    let (at_from, at_to) = (from_talks.stop(), to_talks.stop());
    for heard in [at_from.tone_milliseconds(TO_TONE), at_to.tone_milliseconds(FROM_TONE)] {
        assert!(heard >= 700, "{heard} ms");
    }
    assert_eq!(wire.line.api.hang_up(&wire.call).status, 200);
    wire.from.succeeds(SOON);
    assert_eq!(wire.line.api.wait_for_state(&wire.call, "ended", SOON)["to"]["media"]["codec"], "PCMU");
}

#[test]
fn info_is_answered_and_passed_on_and_options_tells_what_we_can() {
    let digit = Content::Text("application/dtmf-relay", "Signal=5\nDuration=160");
    let wire = Wire::of(|_, _| {
        let of_from = vec![
            Pause(400),
            Ask("INFO", "", digit),
            Expect(200),
            Ask("OPTIONS", "", Content::Nothing),
            Expect(200),
            Ask("REFER", "Refer-To: <sip:1003@pbx.test>", Content::Nothing),
            Expect(603),
            Ask("FROB", "", Content::Nothing),
            Expect(501),
            Ask("UPDATE", "Require: frob", Content::Nothing),
            Expect(420),
        ];
        [of_from, vec![Await("INFO"), Answer("200 OK", "", None)]]
    });
    let info = wire.to.received("INFO", SOON).message;
    assert_eq!(info.field("Content-Type"), Some("application/dtmf-relay"));
    assert_eq!(info.body().trim_end(), "Signal=5\r\nDuration=160");
    wire.ends();
}

#[test]
fn a_phone_that_rings_reliably_gets_its_pracks_in_order() {
    let reliable = |status, rseq, audio| Respond(status, rseq, audio);
    let mut wire = Wire::of_whole(|from, to| {
        let of_to = vec![
            Invited,
            reliable("180 Ringing", "Require: 100rel\nRSeq: 4", None),
            Await("PRACK"),
            Answer("200 OK", "", None),
            // Ahead of its turn: nobody acknowledges it.
            reliable("183 Session Progress", "Require: 100rel\nRSeq: 6", Some(to.clone())),
            Pause(300),
            reliable("183 Session Progress", "Require: 100rel\nRSeq: 5", Some(to.clone())),
            Await("PRACK"),
            Answer("200 OK", "", None),
            Respond("200 OK", "", None),
            Await("ACK"),
        ];
        [[answers(from), hung_up()].concat(), [of_to, hung_up()].concat()]
    });
    wire.line.api.wait_for_state(&wire.call, "connected", SOON);
    let pracks = wire.to.seen().into_iter().filter(|it| it.message.method() == Some("PRACK"));
    let racks: Vec<String> = pracks.map(|it| it.message.field("RAck").unwrap().to_owned()).collect();
    assert_eq!(racks, ["4 1 INVITE", "5 1 INVITE"]);
    assert_eq!(wire.line.api.hang_up(&wire.call).status, 200);
    wire.from.succeeds(SOON);
    wire.to.succeeds(SOON);
}

#[test]
fn too_small_an_interval_is_asked_again_and_the_phone_refreshes() {
    let mut wire = Wire::of_whole(|from, to| {
        let of_from = vec![
            Invited,
            Respond("422 Session Interval Too Small", "Min-SE: 2400", None),
            Await("ACK"),
            Invited,
            RINGING,
            Respond("200 OK", "Require: timer\nSession-Expires: 2400;refresher=uas", Some(from.clone())),
            Await("ACK"),
            Pause(300),
            Ask("UPDATE", "Supported: timer\nSession-Expires: 2400;refresher=uac", Content::Nothing),
            Expect(200),
            Ask(
                "INVITE",
                "Supported: timer\nSession-Expires: 2400;refresher=uac",
                Content::Audio(from.clone()),
            ),
            Expect(200),
            Acknowledge(Content::Nothing),
            Ask("UPDATE", "Supported: timer\nSession-Expires: 60", Content::Nothing),
            Expect(422),
        ];
        [[of_from, hung_up()].concat(), [answers(to), hung_up()].concat()]
    });
    wire.line.api.wait_for_state(&wire.call, "connected", SOON);
    std::thread::sleep(Duration::from_millis(1_000));
    assert_eq!(wire.line.api.hang_up(&wire.call).status, 200);
    wire.from.succeeds(SOON);
    wire.to.succeeds(SOON);
    let invites = wire.from.seen().into_iter().filter(|it| it.message.method() == Some("INVITE") && !it.sent);
    let asked: Vec<String> =
        invites.map(|it| it.message.field("Session-Expires").unwrap_or_default().to_owned()).collect();
    assert_eq!(asked, ["1800", "2400"]);
    assert_eq!(wire.to.count("INVITE"), 1, "a refresh disturbs the other one");
}

#[test]
fn offers_that_cross_are_491_both_ways_and_the_server_offers_again() {
    let wire = Wire::of(|from, to| {
        let of_from = [vec![Pause(400)], offers("INVITE", from.clone().with_direction("sendonly"))].concat();
        let of_to = [
            vec![
                Await("INVITE"),
                Ask("INVITE", "", Content::Audio(to.clone())),
                Expect(491),
                AcknowledgeRefusal,
                // Of the INVITE that came before its own.
                Step::AnswerKept("491 Request Pending"),
                Await("ACK"),
            ],
            is_offered(to.clone().with_direction("recvonly")),
        ];
        [of_from, of_to.concat()]
    });
    Wire::wait_for(&wire.to, "INVITE", 3);
    assert_eq!(Wire::statuses(&wire.to, "INVITE"), [491]);
    wire.ends();
}

#[test]
fn a_session_that_the_phone_refuses_to_go_on_with_ends_for_both() {
    let mut wire = Wire::of_whole(|from, to| {
        let hold = [vec![Pause(400)], offers("UPDATE", from.clone().with_direction("sendonly"))].concat();
        let lost =
            vec![Await("INVITE"), Answer("481 Call/Transaction Does Not Exist", "", None), Await("ACK")];
        [[answers(from), hold, hung_up()].concat(), [answers(to), lost].concat()]
    });
    wire.from.succeeds(Duration::from_secs(8));
    wire.to.succeeds(SOON);
    let ended = wire.line.ended(&wire.call);
    assert_eq!((end(&ended).0, end(&ended).2), ("session_expired", Some("to")));
    assert_eq!(json!(null), ended["end"]["sip_status"]);
}
