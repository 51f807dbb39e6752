//! Click-to-call against SIPp: every way a call can go, in signalling and in sound.

use serde_json::json;
use std::time::Duration;
use testbed::line::{FROM_TONE, Line, SOON, TO_TONE, end, refused};
use testbed::{RtpPeer, Server, Sipp};

#[test]
fn both_answer_and_hear_each_other_until_to_hangs_up() {
    let line = Line::open();
    let (mut from, mut to) = (line.phone_of_from("answer", "-"), line.phone_of_to("answer_and_hang_up", "-"));
    let call = line.call();
    let (from_talks, to_talks) = line.talk(&from, &to);
    let talking = line.api.wait_for_state(&call, "talking", SOON);
    assert_eq!(talking["from"]["state"], "answered");
    assert_eq!(talking["to"]["media"]["codec"], "PCMU");
    to.succeeds(SOON);
    from.succeeds(SOON);
    let (at_from, at_to) = (from_talks.stop(), to_talks.stop());
    assert!(
        at_from.tone_milliseconds(TO_TONE) >= 2000,
        "from heard to for {} ms",
        at_from.tone_milliseconds(TO_TONE)
    );
    assert!(
        at_to.tone_milliseconds(FROM_TONE) >= 2000,
        "to heard from for {} ms",
        at_to.tone_milliseconds(FROM_TONE)
    );
    assert_eq!(at_to.tone_milliseconds(TO_TONE), 0, "to heard itself");
    let ended = line.ended(&call);
    assert_eq!(end(&ended).0, "hung_up");
    assert_eq!(end(&ended).1, "to");
}

#[test]
fn from_hears_one_source_without_a_gap_from_ringback_to_the_other_party() {
    let line = Line::open();
    let (from, mut to) = (line.phone_of_from("answer", "-"), line.phone_of_to("answer_and_hang_up", "-"));
    line.call();
    let (from_talks, _to_talks) = line.talk(&from, &to);
    to.succeeds(Duration::from_secs(8));
    let at_from = from_talks.stop();
    assert!(at_from.tone_milliseconds(TO_TONE) >= 2000);
    assert_eq!(at_from.sources.len(), 1, "sources: {:x?}", at_from.sources);
    assert_eq!((at_from.sequence_jumps, at_from.timestamp_jumps), (0, 0));
}

#[test]
fn from_hears_ringback_while_to_rings() {
    let line = Line::open();
    let (from, to) = (line.phone_of_from("answer", "-"), line.phone_of_to("ring", "-"));
    let call = line.call();
    to.received("INVITE", SOON);
    let listening = line.from_audio.listen();
    std::thread::sleep(Duration::from_millis(1500));
    let heard = listening.stop();
    // The tone of the United States is 440 Hz and 480 Hz for two seconds, then four of silence (ITU-T E.180).
    let share = audio::chord_share(
        &heard.samples[..heard.samples.len().min(8000)],
        heard.sample_rate,
        &[440.0, 480.0],
    );
    assert!(share > 0.5, "{} packets, {share:.2} of them ringback", heard.packets);
    assert_eq!(line.api.hang_up(&call).status, 200);
    line.ended(&call);
    drop((from, to));
}

#[test]
fn to_is_hung_up_when_from_hangs_up() {
    let line = Line::open();
    let (mut from, mut to) = (line.phone_of_from("answer_and_hang_up", "-"), line.phone_of_to("answer", "-"));
    let call = line.call();
    from.succeeds(Duration::from_secs(8));
    to.succeeds(SOON);
    let ended = line.ended(&call);
    assert_eq!((end(&ended).0, end(&ended).1), ("hung_up", "from"));
}

#[test]
fn from_is_hung_up_when_it_leaves_while_to_rings() {
    let line = Line::open();
    let (mut from, mut to) = (line.phone_of_from("answer_and_hang_up", "-"), line.phone_of_to("ring", "-"));
    let call = line.call();
    from.succeeds(Duration::from_secs(8));
    to.succeeds(SOON);
    let ended = line.ended(&call);
    assert_eq!((end(&ended).0, end(&ended).1), ("cancelled", "from"));
}

#[test]
fn from_busy_ends_the_call() {
    refused("from", "486 Busy Here", "busy");
}

#[test]
fn to_busy_ends_the_call() {
    refused("to", "486 Busy Here", "busy");
}

#[test]
fn from_declining_ends_the_call() {
    refused("from", "603 Decline", "declined");
}

#[test]
fn to_declining_ends_the_call() {
    refused("to", "603 Decline", "declined");
}

#[test]
fn to_without_a_common_codec_ends_the_call() {
    refused("to", "488 Not Acceptable Here", "no_common_codec");
}

/// How long a phone that rings for ever was rung, by its own clock.
fn ring_time(phone: &Sipp) -> Duration {
    phone.received("CANCEL", SOON).at - phone.received("INVITE", SOON).at
}

#[test]
fn from_that_does_not_answer_is_cancelled_within_a_quarter_of_a_second_of_the_timeout() {
    let line = Line::open();
    let mut from = line.phone_of_from("ring", "-");
    let call = line.api.place(&json!({"from": "1001", "to": "1002", "timeout": 3}));
    from.succeeds(Duration::from_secs(8));
    let rung = ring_time(&from);
    assert!(rung.abs_diff(Duration::from_secs(3)) <= Duration::from_millis(250), "rung for {rung:?}");
    let ended = line.ended(&call);
    assert_eq!((end(&ended).0, end(&ended).2), ("no_answer", Some("from")));
}

#[test]
fn to_that_does_not_answer_is_cancelled_within_a_quarter_of_a_second_of_its_timeout() {
    let line = Line::open();
    let (mut from, mut to) = (line.phone_of_from("answer", "-"), line.phone_of_to("ring", "-"));
    let call = line.api.place(&json!({"from": "1001", "to": "1002", "to_timeout": 2}));
    to.succeeds(Duration::from_secs(8));
    from.succeeds(SOON);
    let rung = ring_time(&to);
    assert!(rung.abs_diff(Duration::from_secs(2)) <= Duration::from_millis(250), "rung for {rung:?}");
    let ended = line.ended(&call);
    assert_eq!((end(&ended).0, end(&ended).2), ("no_answer", Some("to")));
}

#[test]
fn a_call_is_ended_after_its_longest_time() {
    let line = Line::open();
    let (mut from, mut to) = (line.phone_of_from("answer", "-"), line.phone_of_to("answer", "-"));
    let call = line.api.place(&json!({"from": "1001", "to": "1002", "max_duration": 1}));
    from.succeeds(SOON);
    to.succeeds(SOON);
    assert_eq!(end(&line.ended(&call)).0, "max_duration");
}

#[test]
fn the_api_cancels_from_before_any_provisional_response() {
    let line = Line::open();
    let mut from = line.phone_of_from("ring_late", "-");
    let call = line.call();
    from.received("INVITE", SOON);
    assert_eq!(line.api.hang_up(&call).status, 200);
    from.succeeds(SOON);
    let ended = line.ended(&call);
    assert_eq!((end(&ended).0, end(&ended).1), ("cancelled", "api"));
}

#[test]
fn the_api_cancels_from_while_it_rings() {
    let line = Line::open();
    let mut from = line.phone_of_from("ring", "-");
    let call = line.call();
    line.api.wait(&call, SOON, "ringing", |it| it["from"]["state"] == "ringing");
    assert_eq!(line.api.hang_up(&call).status, 200);
    from.succeeds(SOON);
    let ended = line.ended(&call);
    assert_eq!((end(&ended).0, end(&ended).1), ("cancelled", "api"));
}

#[test]
fn the_api_cancels_to_and_hangs_up_from_while_to_rings() {
    let line = Line::open();
    let (mut from, mut to) = (line.phone_of_from("answer", "-"), line.phone_of_to("ring", "-"));
    let call = line.call();
    line.api.wait(&call, SOON, "ringing at to", |it| it["to"]["state"] == "ringing");
    assert_eq!(line.api.hang_up(&call).status, 200);
    to.succeeds(SOON);
    from.succeeds(SOON);
    let ended = line.ended(&call);
    assert_eq!((end(&ended).0, end(&ended).1), ("cancelled", "api"));
}

#[test]
fn the_api_hangs_up_both_when_they_are_connected() {
    let line = Line::open();
    let (mut from, mut to) = (line.phone_of_from("answer", "-"), line.phone_of_to("answer", "-"));
    let call = line.call();
    line.api.wait_for_state(&call, "connected", SOON);
    assert_eq!(line.api.hang_up(&call).status, 200);
    from.succeeds(SOON);
    to.succeeds(SOON);
    let ended = line.ended(&call);
    assert_eq!((end(&ended).0, end(&ended).1), ("hung_up", "api"));
}

#[test]
fn the_api_hangs_up_both_while_they_talk() {
    let line = Line::open();
    let (mut from, mut to) = (line.phone_of_from("answer", "-"), line.phone_of_to("answer", "-"));
    let call = line.call();
    let _talking = line.talk(&from, &to);
    line.api.wait_for_state(&call, "talking", SOON);
    assert_eq!(line.api.hang_up(&call).status, 200);
    from.succeeds(SOON);
    to.succeeds(SOON);
    let ended = line.ended(&call);
    assert_eq!((end(&ended).0, end(&ended).1), ("hung_up", "api"));
    assert_ne!(line.api.hang_up(&call).status, 500, "a second hang-up is an error of the server");
}

#[test]
fn an_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up() {
    let line = Line::open();
    let mut from = line.phone_of_from("answer_while_cancelled", "-");
    let call = line.call();
    line.api.wait(&call, SOON, "ringing", |it| it["from"]["state"] == "ringing");
    assert_eq!(line.api.hang_up(&call).status, 200);
    from.succeeds(SOON);
    line.ended(&call);
}

#[test]
fn from_that_is_not_registered_is_409() {
    let server = Server::start();
    let answer = server.api().click_to_call(&json!({"from": "1001", "to": "1002"}));
    assert_eq!(answer.status, 409, "{answer:?}");
    assert_eq!(answer.body["status"], "error");
    assert_eq!(answer.body["message"], "Failed to originate call: extension not registered");
}

#[test]
fn from_that_does_not_exist_is_404() {
    let server = Server::start();
    let answer = server.api().click_to_call(&json!({"from": "1999", "to": "1002"}));
    assert_eq!(answer.status, 404, "{answer:?}");
}

#[test]
fn a_party_that_echoes_is_heard_as_itself() {
    let line = Line::open();
    let echo_port = RtpPeer::bind(line.to.ip()).address();
    let from = line.phone_of_from("answer", "-");
    let to = Sipp::start_echoing("answer", line.to, echo_port, line.server.folder());
    let call = line.call();
    let offered = from.received("INVITE", SOON).message.audio_address().expect("an offer of audio");
    let talking = line.from_audio.talk(offered, FROM_TONE);
    line.api.wait_for_state(&call, "talking", SOON);
    std::thread::sleep(Duration::from_millis(2500));
    let heard = talking.stop();
    assert!(heard.tone_milliseconds(FROM_TONE) >= 2000, "heard {} ms", heard.tone_milliseconds(FROM_TONE));
    assert_eq!(line.api.hang_up(&call).status, 200);
    line.ended(&call);
    drop(to);
}

#[test]
fn each_party_sees_the_other_and_to_sees_the_caller_id() {
    let line = Line::open();
    let (mut from, mut to) = (line.phone_of_from("answer", "-"), line.phone_of_to("answer", "-"));
    let call = line.api.place(&json!({
        "from": "1001", "to": "1002", "caller_id": "\"Astra Sales\" <+918065978015>",
        "variables": {"custom_key": "custom value", "order.id": 4711, "vip": true, "text": "100% \u{e4}:;\"<>"},
    }));
    line.api.wait_for_state(&call, "connected", SOON);
    line.api.hang_up(&call);
    from.succeeds(SOON);
    to.succeeds(SOON);
    let (at_from, at_to) = (from.received("INVITE", SOON).message, to.received("INVITE", SOON).message);

    let shown = at_to.field("From").expect("a From");
    assert!(shown.starts_with("\"Astra Sales\" <sip:+918065978015@pbx.test>;tag="), "to sees {shown}");
    let shown = at_from.field("From").expect("a From");
    assert!(shown.contains("<sip:1002@pbx.test>") && shown.contains("Ravi"), "from sees {shown}");
    assert!(!at_from.as_str().contains("918065978015"), "from sees the caller id");

    for invite in [&at_from, &at_to] {
        assert_eq!(invite.field("X-Variable-custom_key"), Some("custom%20value"));
        assert_eq!(invite.field("X-Variable-order.id"), Some("4711"));
        assert_eq!(invite.field("X-Variable-vip"), Some("true"));
        assert_eq!(invite.field("X-Variable-text"), Some("100%25%20%C3%A4%3A%3B%22%3C%3E"));
    }
    let kept = &line.ended(&call)["variables"];
    assert_eq!(kept["order.id"], 4711);
}

#[test]
fn without_a_caller_id_to_sees_from() {
    let line = Line::open();
    let (from, to) = (line.phone_of_from("answer", "-"), line.phone_of_to("answer", "-"));
    let call = line.call();
    let shown = to.received("INVITE", SOON).message;
    let shown = shown.field("From").expect("a From");
    assert!(shown.contains("<sip:1001@pbx.test>"), "to sees {shown}");
    line.api.wait_for_state(&call, "connected", SOON);
    line.api.hang_up(&call);
    line.ended(&call);
    drop(from);
}

#[test]
fn ten_calls_one_after_the_other_leave_no_port_behind() {
    let line = Line::open();
    let open = |server: &Server| {
        std::fs::read_dir(format!("/proc/{}/fd", server.process().id())).expect("/proc").count()
    };
    let mut before = 0;
    for round in 0..10 {
        let (mut from, mut to) = (line.phone_of_from("answer", "-"), line.phone_of_to("answer", "-"));
        let call = line.call();
        line.api.wait_for_state(&call, "connected", SOON);
        line.api.hang_up(&call);
        from.succeeds(SOON);
        to.succeeds(SOON);
        line.ended(&call);
        if round == 1 {
            before = open(&line.server);
        }
    }
    let settled = testbed::wait_for(SOON, || (open(&line.server) <= before + 2).then_some(()));
    assert!(settled.is_some(), "{before} files were open after two calls, {} after ten", open(&line.server));
}
