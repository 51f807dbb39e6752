//! What the real server keeps and says of calls with SIPp.

use serde_json::{Value, json};
use std::time::Duration;
use testbed::Sipp;
use testbed::line::{FROM_TONE, Line, SOON};

/// Codes and whom they are about.
fn codes(findings: &[Value]) -> Vec<(&str, Option<&str>)> {
    findings.iter().map(|it| (it["code"].as_str().unwrap_or("-"), it["party"].as_str())).collect()
}

fn sentence(finding: &Value) -> &str {
    finding["sentence"].as_str().expect("a sentence")
}

/// The summaries of the messages that show it.
fn evidence(finding: &Value) -> Vec<&str> {
    let messages = finding["evidence"].as_array().expect("messages");
    messages.iter().map(|message| message["summary"].as_str().expect("a summary")).collect()
}

/// The phone of `from` answers at once and `to` refuses.
fn refused_by_to(line: &Line, status: &str) -> String {
    let (mut from, mut to) = (line.phone_of_from("answer", "-"), line.phone_of_to("refuse", status));
    let call = line.call();
    to.succeeds(SOON);
    from.succeeds(SOON);
    line.ended(&call);
    call
}

#[test]
fn a_good_call_is_kept_drawn_and_said_to_be_good_over_a_restart_of_the_server() {
    let mut line = Line::open();
    let (mut from, mut to) = (line.phone_of_from("answer", "-"), line.phone_of_to("answer_and_hang_up", "-"));
    let call = line.call();
    let talking = line.talk(&from, &to);
    line.api.wait_for_state(&call, "talking", SOON);
    assert_eq!(codes(&line.api.findings(&call)), [("running", None)]);
    to.succeeds(SOON);
    from.succeeds(SOON);
    line.ended(&call);
    drop(talking);
    let findings = line.api.findings(&call);
    assert_eq!(codes(&findings), [("went_well", None)], "{findings:#?}");
    assert!(sentence(&findings[0]).ends_with("then 1002 hung up."), "{findings:#?}");
    let ladder = line.api.ladder(&call);
    assert_eq!(ladder.status, 200);
    let messages = ladder.body["messages"].as_array().expect("messages");
    assert_eq!((&messages[0]["summary"], &messages[0]["direction"]), (&json!("INVITE"), &json!("sent")));
    assert!(messages.iter().all(|message| message["at"].as_str() >= ladder.body["created_at"].as_str()));
    let picture = line.api.picture(&call);
    let document = roxmltree::Document::parse(&picture).expect("a picture is XML");
    let rows = document.descendants().filter(|node| node.has_tag_name("g")).count();
    assert_eq!(rows, messages.len());

    line.server.restart();
    assert_eq!(line.api.ladder(&call), ladder);
    assert_eq!(line.api.findings(&call), findings);
}

#[test]
fn a_refusal_names_the_phone_and_its_status() {
    let line = Line::open();
    let call = refused_by_to(&line, "486 Busy \u{e4}<&>");
    let findings = line.api.findings(&call);
    assert_eq!(codes(&findings), [("busy", Some("to"))], "{findings:#?}");
    let said = sentence(&findings[0]);
    assert!(said.starts_with(&format!("The phone of 1002 at {}", line.to)), "{said}");
    assert!(said.contains("refused the call: 486 Busy \u{e4}<&>."), "{said}");
    assert_eq!(evidence(&findings[0]), ["INVITE", "486 Busy \u{e4}<&>"]);
    assert!(roxmltree::Document::parse(&line.api.picture(&call)).is_ok());
}

#[test]
fn a_phone_that_is_gone_is_named_with_its_address_and_the_tries() {
    let line = Line::open();
    // It is there, and says nothing.
    let silent = std::net::UdpSocket::bind(line.from).expect("nobody else listens there");
    let call = line.api.place(&json!({"from": "1001", "to": "1002", "timeout": 3}));
    line.ended(&call);
    let findings = line.api.findings(&call);
    assert_eq!(codes(&findings), [("unreachable", Some("from"))], "{findings:#?}");
    let said = sentence(&findings[0]);
    assert!(said.contains(&line.from.to_string()) && said.contains("sent 3 times over UDP"), "{said}");
    assert_eq!(evidence(&findings[0]), ["INVITE"; 3]);
    // Nobody listens there any more.
    drop(silent);
    let call = line.api.place(&json!({"from": "1001", "to": "1002", "timeout": 3}));
    line.ended(&call);
    let findings = line.api.findings(&call);
    assert_eq!(codes(&findings), [("unreachable", Some("from"))], "{findings:#?}");
    assert!(sentence(&findings[0]).contains("nobody listens at that port (ICMP)"), "{findings:#?}");
}

#[test]
fn a_private_address_in_the_session_description_is_named() {
    let line = Line::open();
    let hidden = "192.168.77.5:4000".parse().expect("an address");
    let mut from = Sipp::start("answer", line.from, hidden, "-", line.server.folder());
    let mut to = line.phone_of_to("answer_and_hang_up", "-");
    let call = line.call();
    to.succeeds(Duration::from_secs(8));
    from.succeeds(SOON);
    line.ended(&call);
    let findings = line.api.findings(&call);
    assert_eq!(codes(&findings), [("no_audio", None), ("private_address", Some("from"))], "{findings:#?}");
    let said = sentence(&findings[1]);
    for words in ["192.168.77.5:4000", "RFC 1918", &line.from.ip().to_string()] {
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(evidence(&findings[1]), ["200 OK"]);
    let text = findings[1]["evidence"][0]["text"].as_str().expect("a text");
    assert!(text.contains("c=IN IP4 192.168.77.5\r\n"), "{text}");
}

#[test]
fn one_way_audio_says_who_was_not_heard_by_whom() {
    let line = Line::open();
    let (mut from, mut to) = (line.phone_of_from("answer", "-"), line.phone_of_to("answer_and_hang_up", "-"));
    let call = line.call();
    let offered = from.received("INVITE", SOON).message.audio_address().expect("an offer of audio");
    let talking = line.from_audio.talk(offered, FROM_TONE);
    to.succeeds(Duration::from_secs(8));
    from.succeeds(SOON);
    line.ended(&call);
    drop(talking);
    let findings = line.api.findings(&call);
    assert_eq!(codes(&findings), [("one_way_audio", Some("to"))], "{findings:#?}");
    let said = sentence(&findings[0]);
    assert!(said.starts_with("One-way audio: 1001 could not hear 1002."), "{said}");
    assert!(said.contains(&format!("its own session description has {}", line.to_audio.address())), "{said}");
    assert_eq!(evidence(&findings[0]), ["INVITE", "200 OK"]);
}

#[test]
fn a_call_that_a_crash_cut_off_has_no_messages_and_says_why() {
    let mut line = Line::open();
    let from = line.phone_of_from("ring", "-");
    let call = line.call();
    line.api.wait(&call, SOON, "ringing", |it| it["from"]["state"] == "ringing");
    line.server.kill_and_restart();
    let ladder = line.api.ladder(&call);
    assert_eq!((ladder.status, ladder.body["code"].as_str()), (404, Some("messages_not_kept")), "{ladder:?}");
    let findings = line.api.findings(&call);
    assert_eq!(codes(&findings), [("server_crashed", None)], "{findings:#?}");
    drop(from);
}
