//! The registrar, over the wire.

use serde_json::json;
use std::time::Duration;
use testbed::{Algorithm, Loopback, Registration, Server, ServerOptions, SipText, Sipp, Transport};

const SOON: Duration = Duration::from_secs(5);

fn device(server: &Server, ip: &Loopback) -> Registration {
    Registration::new(Transport::Udp, ip.free_port(), server.sip, server.extensions[0].credentials())
}

/// Registers 1002, which never answers.
fn other_party(server: &Server, ip: &Loopback) -> Registration {
    let (at, credentials) = (ip.free_port(), server.extensions[1].credentials());
    let mut phone = Registration::new(Transport::Udp, at, server.sip, credentials);
    assert_eq!(phone.register(600).status(), Some(200));
    phone
}

fn contacts(answer: &SipText) -> Vec<&str> {
    assert_eq!(answer.status(), Some(200), "{}", answer.as_str());
    answer.fields("Contact").flat_map(|value| value.split(',')).map(str::trim).collect()
}

/// What a click-to-call from 1001 is answered with while 1002 is there; a call that is taken is ended.
fn status_of_a_call(server: &Server) -> u16 {
    let (api, ip) = (server.api(), Loopback::claim());
    let _to = other_party(server, &ip);
    let answer = api.click_to_call(&json!({"from": "1001", "to": "1002"}));
    if let Some(call) = answer.body["call_id"].as_str() {
        api.hang_up(call);
    }
    answer.status
}

fn registers(transport: Transport, algorithm: Algorithm) {
    let (server, ip) = (Server::start(), Loopback::claim());
    let mut phone =
        Registration::new(transport, ip.free_port(), server.sip, server.extensions[0].credentials())
            .with_algorithm(algorithm);
    assert_eq!(status_of_a_call(&server), 409);
    let answer = phone.register(600);
    let all = contacts(&answer);
    assert_eq!(all.len(), 1);
    assert!(all[0].starts_with(phone.contact()) && all[0].contains("expires=600"), "{all:?}");
    assert_eq!(status_of_a_call(&server), 200);
}

#[test]
fn a_phone_registers_over_udp_with_sha_256() {
    registers(Transport::Udp, Algorithm::Sha256);
}

#[test]
fn a_phone_registers_over_udp_with_md5() {
    registers(Transport::Udp, Algorithm::Md5);
}

#[test]
fn a_phone_registers_over_tcp_with_sha_256() {
    registers(Transport::Tcp, Algorithm::Sha256);
}

#[test]
fn a_phone_registers_over_tcp_with_md5() {
    registers(Transport::Tcp, Algorithm::Md5);
}

#[test]
fn a_wrong_password_and_an_unknown_extension_get_the_same_refusal() {
    let (server, ip) = (Server::start(), Loopback::claim());
    let refusal = |user: &str| {
        let mut phone = Registration::new(Transport::Udp, ip.free_port(), server.sip, (user, "wrong"));
        phone.register(600).status()
    };
    let known = refusal("1001");
    assert!(matches!(known, Some(401 | 403)), "{known:?}");
    assert_eq!(known, refusal("1999"));
    assert_eq!(status_of_a_call(&server), 409);
}

#[test]
fn a_refresh_keeps_one_contact() {
    let (server, ip) = (Server::start(), Loopback::claim());
    let mut phone = device(&server, &ip);
    phone.register(600);
    let answer = phone.register(300);
    let all = contacts(&answer);
    assert!(all.len() == 1 && all[0].contains("expires=300"), "{all:?}");
}

#[test]
fn a_registration_expires() {
    let options =
        ServerOptions { sip: "registration_seconds = { min = 1 }".into(), ..ServerOptions::default() };
    let (server, ip) = (Server::start_with(&options), Loopback::claim());
    let mut phone = device(&server, &ip);
    assert_eq!(contacts(&phone.register(2)).len(), 1);
    assert_eq!(status_of_a_call(&server), 200);
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(status_of_a_call(&server), 409);
    assert!(contacts(&phone.query()).is_empty());
}

#[test]
fn a_registration_that_is_too_short_is_423_with_the_shortest() {
    let (server, ip) = (Server::start(), Loopback::claim());
    let answer = device(&server, &ip).register(30);
    assert_eq!(
        (answer.status(), answer.field("Min-Expires")),
        (Some(423), Some("60")),
        "{}",
        answer.as_str()
    );
}

#[test]
fn a_registration_that_is_too_long_is_cut() {
    let (server, ip) = (Server::start(), Loopback::claim());
    let answer = device(&server, &ip).register(100_000);
    let all = contacts(&answer);
    assert!(all.len() == 1 && all[0].contains("expires=3600"), "{all:?}");
}

#[test]
fn all_devices_of_from_ring_and_the_others_stop_when_one_answers() {
    let (server, ip) = (Server::start(), Loopback::claim());
    let (first, second) = (ip.free_port(), ip.free_port());
    for at in [first, second] {
        Registration::new(Transport::Udp, at, server.sip, server.extensions[0].credentials()).register(600);
    }
    let audio = testbed::RtpPeer::bind(ip.ip());
    let mut answers = Sipp::start("answer", first, audio.address(), "-", server.folder());
    let mut rings = Sipp::start("ring", second, audio.address(), "-", server.folder());
    let (api, to_ip) = (server.api(), Loopback::claim());
    let _to = other_party(&server, &to_ip);
    let call = api.place(&json!({"from": "1001", "to": "1002"}));
    rings.succeeds(SOON);
    api.hang_up(&call);
    answers.succeeds(SOON);
    api.wait_for_state(&call, "ended", SOON);
}

#[test]
fn one_device_is_removed_and_the_other_stays() {
    let (server, ip) = (Server::start(), Loopback::claim());
    let (mut first, mut second) = (device(&server, &ip), device(&server, &ip));
    first.register(600);
    assert_eq!(contacts(&second.register(600)).len(), 2);
    let answer = first.remove();
    let all = contacts(&answer);
    assert!(all.len() == 1 && all[0].starts_with(second.contact()), "{all:?}");
    assert_eq!(status_of_a_call(&server), 200);
    assert!(contacts(&second.remove()).is_empty());
    assert_eq!(status_of_a_call(&server), 409);
}

#[test]
fn a_star_removes_all_devices() {
    let (server, ip) = (Server::start(), Loopback::claim());
    let (mut first, mut second) = (device(&server, &ip), device(&server, &ip));
    first.register(600);
    second.register(600);
    assert!(contacts(&first.remove_all()).is_empty());
    assert!(contacts(&second.query()).is_empty());
    assert_eq!(status_of_a_call(&server), 409);
}

#[test]
fn registrations_survive_a_restart() {
    let (mut server, ip) = (Server::start(), Loopback::claim());
    let mut phone = device(&server, &ip);
    phone.register(600);
    server.restart();
    let answer = phone.query();
    let all = contacts(&answer);
    assert!(all.len() == 1 && all[0].starts_with(phone.contact()), "{all:?}");
    assert_eq!(status_of_a_call(&server), 200);
}

#[test]
fn registrations_that_were_acknowledged_survive_a_crash() {
    let (mut server, ip) = (Server::start(), Loopback::claim());
    let mut phone = device(&server, &ip);
    phone.register(600);
    server.kill_and_restart();
    assert_eq!(contacts(&phone.query()).len(), 1);
    assert_eq!(status_of_a_call(&server), 200);
}

#[test]
fn a_phone_behind_nat_is_called_where_it_was_seen() {
    let (server, ip) = (Server::start(), Loopback::claim());
    let at = ip.free_port();
    let mut phone = Registration::new(Transport::Udp, at, server.sip, server.extensions[0].credentials())
        .with_contact("<sip:1001@192.0.2.77:5062>");
    assert_eq!(phone.register(600).status(), Some(200));
    drop(phone);
    let audio = testbed::RtpPeer::bind(ip.ip());
    let mut seen = Sipp::start("ring", at, audio.address(), "-", server.folder());
    let (api, to_ip) = (server.api(), Loopback::claim());
    let _to = other_party(&server, &to_ip);
    let call = api.place(&json!({"from": "1001", "to": "1002"}));
    let invite = seen.received("INVITE", SOON).message;
    assert!(
        invite.start_line().contains("192.0.2.77"),
        "the Request-URI is the contact: {}",
        invite.start_line()
    );
    api.wait(&call, SOON, "ringing", |it| it["from"]["state"] == "ringing");
    api.hang_up(&call);
    seen.succeeds(SOON);
}
