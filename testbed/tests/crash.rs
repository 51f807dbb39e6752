//! The server is killed in the middle of calls and started again: nobody is left in a call, every call has its record.

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testbed::{
    Api, Baresip, Extension, Linphone, Loopback, PhoneAccount, Registration, RtpPeer, Server, Sipp,
    Transport, Wire,
};

const SOON: Duration = Duration::from_secs(8);

/// A SIPp phone that has registered, and where its sound is.
struct Device {
    sipp: Sipp,
    audio: RtpPeer,
    _ip: Loopback,
}

fn device(server: &Server, extension: &Extension, scenario: &str) -> Device {
    let ip = Loopback::claim();
    let at = ip.free_port();
    let answer = Registration::new(Transport::Udp, at, server.sip, extension.credentials()).register(600);
    assert_eq!(answer.status(), Some(200), "{}", answer.as_str());
    let audio = RtpPeer::bind(ip.ip());
    let sipp = Sipp::start(scenario, at, audio.address(), "-", server.folder());
    Device { sipp, audio, _ip: ip }
}

fn place(server: &Server) -> (Api, String) {
    let api = server.api();
    let call = api.place(&json!({"from": "1001", "to": "1002"}));
    (api, call)
}

/// A call in which both talk.
fn talk(server: &Server) -> String {
    let (api, call) = place(server);
    api.wait_for_event(&call, "call.talking", SOON);
    call
}

/// The record of a call that the crash has cut off, and the events that were told of it.
fn cut_off(server: &Server, call: &str) -> Value {
    let ended = server.api().wait_for_state(call, "ended", SOON);
    assert_eq!(ended["end"]["reason"], "server_crashed");
    assert_eq!(ended["end"]["by"], "server");
    for party in ["from", "to"] {
        assert_ne!(ended[party]["state"], "answered");
    }
    ended
}

#[test]
fn phones_that_talk_get_a_bye_and_the_call_its_record() {
    let mut server = Server::start();
    let extensions = server.extensions.clone();
    let mut from = device(&server, &extensions[0], "answer");
    let mut to = device(&server, &extensions[1], "answer");
    let (api, call) = place(&server);
    let offered = |device: &Device| {
        device.sipp.received("INVITE", SOON).message.audio_address().expect("an offer of audio")
    };
    let _from_talks = from.audio.talk(offered(&from), 600.0);
    let _to_talks = to.audio.talk(offered(&to), 950.0);
    api.wait_for_event(&call, "call.talking", SOON);
    let before = api.call(&call).body;

    let killed = Instant::now();
    server.kill_and_restart();
    assert!(killed.elapsed() < Duration::from_secs(2), "ready only after {:?}", killed.elapsed());

    for device in [&mut from, &mut to] {
        let bye = device.sipp.received("BYE", SOON).message;
        assert!(bye.field("reason").is_some_and(|reason| reason.starts_with("Q.850;cause=41")));
        device.sipp.succeeds(SOON);
    }
    let ended = cut_off(&server, &call);
    assert_eq!(ended["connected_at"], before["connected_at"]);

    // The registrations are there, and nothing is ended twice.
    server.kill_and_restart();
    cut_off(&server, &call);
    assert_eq!((from.sipp.count("BYE"), to.sipp.count("BYE")), (1, 1));
    assert_eq!(server.api().click_to_call(&json!({"from": "1001", "to": "1002"})).status, 200);
}

#[test]
fn phones_that_ring_are_cancelled() {
    let mut server = Server::start();
    let extensions = server.extensions.clone();
    let mut from = device(&server, &extensions[0], "ring");
    let _to = device(&server, &extensions[1], "answer");
    let (api, call) = place(&server);
    api.wait_for_event(&call, "call.ringing", SOON);
    server.kill_and_restart();
    from.sipp.succeeds(SOON);
    cut_off(&server, &call);
}

fn accounts(server: &Server, wire: Wire) -> (PhoneAccount, PhoneAccount) {
    let of = |position, hertz| PhoneAccount::of(server, position, hertz).over(wire).with_codec("PCMU");
    (of(0, 600.0), of(1, 950.0))
}

#[test]
fn real_phones_are_released() {
    let mut server = Server::start();
    let (from, to) = accounts(&server, Wire::Udp);
    let mut from = Baresip::start(&from, &server.folder().join("from"));
    let mut to = Linphone::start(&to, &server.folder().join("to"));
    from.wait_until_registered();
    to.wait_until_registered();
    let call = talk(&server);
    server.kill_and_restart();
    from.process().wait_for_output("session closed", SOON);
    to.process().wait_for_output("LinphoneCallReleased", SOON);
    cut_off(&server, &call);
}

/// Their connections have died with the server: they are told when they have come back.
#[test]
fn real_phones_whose_connections_were_cut_are_released_when_they_return() {
    let mut server = Server::start();
    let (from, to) = accounts(&server, Wire::Tcp);
    let mut from = Linphone::start(&from, &server.folder().join("from"));
    let mut to = Linphone::start(&to, &server.folder().join("to"));
    from.wait_until_registered();
    to.wait_until_registered();
    let call = talk(&server);
    server.kill_and_restart();
    // One that came back too early, to nobody, tries again after a minute.
    for phone in [&mut from, &mut to] {
        phone.process().wait_for_output("LinphoneCallReleased", Duration::from_secs(100));
    }
    cut_off(&server, &call);
}
