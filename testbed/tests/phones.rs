//! baresip and linphone: they register, are called, and hear each other's tone.

use serde_json::{Value, json};
use std::time::Duration;
use testbed::{Baresip, Linphone, PhoneAccount, Recording, Server, ServerOptions, Wire};

const SOON: Duration = Duration::from_secs(8);
const FROM_TONE: f64 = 600.0;
const TO_TONE: f64 = 950.0;

fn accounts(server: &Server, wire: Wire, codec: &'static str) -> (PhoneAccount, PhoneAccount) {
    let of = |position, hertz| PhoneAccount::of(server, position, hertz).over(wire).with_codec(codec);
    (of(0, FROM_TONE), of(1, TO_TONE))
}

/// Calls 1001, then 1002, lets them talk, and hangs up by the API: the call at its end.
fn call(server: &Server) -> Value {
    let api = server.api();
    let call = api.place(&json!({"from": "1001", "to": "1002"}));
    api.wait_for_state(&call, "talking", SOON);
    std::thread::sleep(Duration::from_millis(3500));
    assert_eq!(api.hang_up(&call).status, 200);
    api.wait_for_state(&call, "ended", SOON)
}

fn heard(recording: &Recording, tone: f64, own: f64) {
    let (other, echo) = (recording.tone_milliseconds(tone), recording.tone_milliseconds(own));
    assert!(
        other >= 2000 && echo < 200,
        "heard {other} ms of the other's {tone} Hz and {echo} ms of its own {own} Hz"
    );
}

fn baresip_calls_linphone(wire: Wire, codec: &'static str) {
    let server = Server::start_with(&ServerOptions { tls: wire == Wire::Tls, ..ServerOptions::default() });
    let (from, to) = accounts(&server, wire, codec);
    let mut from = Baresip::start(&from, &server.folder().join("from"));
    let mut to = Linphone::start(&to, &server.folder().join("to"));
    from.wait_until_registered();
    to.wait_until_registered();
    let ended = call(&server);
    assert_eq!(ended["from"]["media"]["codec"], codec);
    assert_eq!(ended["to"]["media"]["codec"], codec);
    std::thread::sleep(Duration::from_millis(500));
    heard(&from.recording(), TO_TONE, FROM_TONE);
    heard(&to.recording(), FROM_TONE, TO_TONE);
}

#[test]
fn baresip_and_linphone_hear_each_other_over_udp() {
    baresip_calls_linphone(Wire::Udp, "PCMU");
}

#[test]
fn baresip_and_linphone_hear_each_other_over_tcp() {
    baresip_calls_linphone(Wire::Tcp, "PCMA");
}

#[test]
fn baresip_and_linphone_hear_each_other_over_tls_and_look_at_the_certificate() {
    baresip_calls_linphone(Wire::Tls, "PCMU");
}

#[test]
fn baresip_and_linphone_hear_each_other_with_opus() {
    baresip_calls_linphone(Wire::Udp, "opus");
}

#[test]
fn baresip_and_linphone_hear_each_other_with_g722() {
    baresip_calls_linphone(Wire::Udp, "G722");
}

#[test]
fn two_linphones_hear_each_other_and_register_with_sha_256() {
    let server = Server::start();
    let (from, to) = accounts(&server, Wire::Udp, "PCMU");
    let mut from = Linphone::start(&from, &server.folder().join("from"));
    let mut to = Linphone::start(&to, &server.folder().join("to"));
    from.wait_until_registered();
    to.wait_until_registered();
    let printed = from.process().output();
    let proof =
        printed.lines().find(|line| line.starts_with("Authorization:")).expect("it logs its credentials");
    assert!(proof.contains("algorithm=SHA-256"), "{proof}");
    call(&server);
    std::thread::sleep(Duration::from_millis(500));
    heard(&from.recording(), TO_TONE, FROM_TONE);
    heard(&to.recording(), FROM_TONE, TO_TONE);
}

#[test]
fn baresip_hanging_up_ends_the_call_of_linphone() {
    let server = Server::start();
    let (from, to) = accounts(&server, Wire::Udp, "PCMU");
    let mut from = Baresip::start(&from, &server.folder().join("from"));
    let mut to = Linphone::start(&to, &server.folder().join("to"));
    from.wait_until_registered();
    to.wait_until_registered();
    let api = server.api();
    let call = api.place(&json!({"from": "1001", "to": "1002"}));
    api.wait_for_state(&call, "talking", SOON);
    from.hang_up();
    to.process().wait_for_output("LinphoneCallReleased", SOON);
    let ended = api.wait_for_state(&call, "ended", SOON);
    assert_eq!((&ended["end"]["reason"], &ended["end"]["by"]), (&json!("hung_up"), &json!("from")));
}

#[test]
fn linphone_hanging_up_ends_the_call_of_baresip() {
    let server = Server::start();
    let (from, to) = accounts(&server, Wire::Udp, "PCMU");
    let mut from = Baresip::start(&from, &server.folder().join("from"));
    let mut to = Linphone::start(&to, &server.folder().join("to"));
    from.wait_until_registered();
    to.wait_until_registered();
    let api = server.api();
    let call = api.place(&json!({"from": "1001", "to": "1002"}));
    api.wait_for_state(&call, "talking", SOON);
    to.hang_up();
    from.process().wait_for_output("session closed", SOON);
    let ended = api.wait_for_state(&call, "ended", SOON);
    assert_eq!((&ended["end"]["reason"], &ended["end"]["by"]), (&json!("hung_up"), &json!("to")));
}

#[test]
fn phones_that_have_gone_are_not_registered() {
    let server = Server::start();
    let (from, to) = accounts(&server, Wire::Udp, "PCMU");
    let body = json!({"from": "1001", "to": "1002"});
    let api = server.api();

    let mut baresip = Baresip::start(&from, &server.folder().join("baresip"));
    baresip.wait_until_registered();
    baresip.quit();
    assert_eq!(api.click_to_call(&body).status, 409, "after baresip has gone");

    let mut linphone = Linphone::start(&to, &server.folder().join("linphone"));
    linphone.wait_until_registered();
    linphone.quit();
    assert_eq!(
        api.click_to_call(&json!({"from": "1002", "to": "1001"})).status,
        409,
        "after linphone has gone"
    );
}

#[test]
fn phones_are_called_after_a_restart_without_registering_again() {
    let mut server = Server::start();
    let (from, to) = accounts(&server, Wire::Udp, "PCMU");
    let mut from = Baresip::start(&from, &server.folder().join("from"));
    let mut to = Linphone::start(&to, &server.folder().join("to"));
    from.wait_until_registered();
    to.wait_until_registered();
    server.restart();
    call(&server);
}
