//! A phone behind a NAT: baresip in a network of its own, the server in another one.

use Step::{Answer, Await, Invited, Pause, Respond};
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;
use testbed::line::{FROM_TONE, SOON, TO_TONE};
use testbed::{
    Audio, Baresip, Nat, PhoneAccount, Registration, RtpPeer, Server, ServerOptions, SipText, Sipp, Step,
    Tool, Transport,
};

/// Seconds after which baresip registers again.
const REFRESH: u32 = 10;

/// The network, a server outside, and 1001 behind the NAT.
struct Site {
    server: Server,
    phone: Baresip,
    audio: RtpPeer,
    nat: Nat,
    _folder: tempfile::TempDir,
}

const OTHER_PHONE: SocketAddr = SocketAddr::new(IpAddr::V4(Nat::OPEN), 5070);

impl Site {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let nat = Nat::open(folder.path());
        let sip =
            format!("registration_seconds = {{ min = {REFRESH}, default = {REFRESH}, max = {REFRESH} }}");
        let server = Server::start_with(&ServerOptions {
            ip: Some(Nat::SERVER.into()),
            sip,
            ..ServerOptions::default()
        });
        let account = PhoneAccount::of(&server, 0, FROM_TONE).at(nat.home());
        let mut phone = Baresip::start(&account, &server.folder().join("behind"));
        phone.wait_until_registered();
        let credentials = server.extensions[1].credentials();
        Registration::new(Transport::Udp, OTHER_PHONE, server.sip, credentials).register(600);
        Self { server, phone, audio: RtpPeer::bind(OTHER_PHONE.ip()), nat, _folder: folder }
    }

    /// SIPp as the phone of 1002, which is in the open.
    fn other(&self, talks: &[Step]) -> Sipp {
        let audio = Audio::at(self.audio.address());
        let begins = [
            Invited,
            Respond("180 Ringing", "", None),
            Pause(100),
            Respond("200 OK", "", Some(audio)),
            Await("ACK"),
        ];
        let ends = [Await("BYE"), Answer("200 OK", "", None)];
        Sipp::steps(&[&begins, talks, &ends].concat(), OTHER_PHONE, self.server.folder())
    }

    /// Where the phone is seen.
    fn seen_at(&self) -> Value {
        self.server.api().extension("1001")["phones"][0]["address"].clone()
    }

    fn call(&self) -> String {
        self.server.api().place(&json!({"from": "1001", "to": "1002", "timeout": 3}))
    }
}

#[test]
fn a_phone_behind_a_nat_is_called_and_heard_and_holds_and_hangs_up() {
    if !Nat::is_within("a_phone_behind_a_nat_is_called_and_heard_and_holds_and_hangs_up") {
        return;
    }
    let site = Site::open();
    let seen = site.seen_at();
    assert!(seen.as_str().is_some_and(|at| at.starts_with(&Nat::ROUTER.to_string())), "{seen}");

    let audio = || Audio::at(site.audio.address());
    let takes = |direction| {
        [Await("INVITE"), Answer("200 OK", "", Some(audio().with_direction(direction))), Await("ACK")]
    };
    let mut other = site.other(&[takes("recvonly"), takes("sendrecv")].concat());
    let api = site.server.api();
    let call = site.call();
    let offer = other.received("INVITE", SOON).message.audio_address().expect("an offer of audio");
    let talking = site.audio.talk(offer, TO_TONE);
    api.wait_for_state(&call, "talking", SOON);
    std::thread::sleep(Duration::from_millis(3000));
    site.phone.hold();
    assert!(testbed::wait_for(SOON, || (other.count("INVITE") == 2).then_some(())).is_some(), "no hold");
    std::thread::sleep(Duration::from_millis(500));
    site.phone.resume();
    assert!(testbed::wait_for(SOON, || (other.count("INVITE") == 3).then_some(())).is_some(), "no end of it");
    std::thread::sleep(Duration::from_millis(500));
    site.phone.hang_up();
    other.succeeds(SOON);
    let ended = api.wait_for_state(&call, "ended", SOON);
    assert_eq!(
        (&ended["end"]["reason"], &ended["end"]["by"]),
        (&json!("hung_up"), &json!("from")),
        "{ended:#}"
    );
    let heard = talking.stop().tone_milliseconds(FROM_TONE);
    assert!(heard >= 2000, "1002 heard {heard} ms");
    std::thread::sleep(Duration::from_millis(500));
    let heard = site.phone.recording().tone_milliseconds(TO_TONE);
    assert!(heard >= 2000, "1001 heard {heard} ms");
}

#[test]
fn a_phone_behind_a_nat_is_hung_up_and_is_reached_again_once_it_registers_after_its_flow_was_forgotten() {
    if !Nat::is_within(
        "a_phone_behind_a_nat_is_hung_up_and_is_reached_again_once_it_registers_after_its_flow_was_forgotten",
    ) {
        return;
    }
    let mut site = Site::open();
    let api = site.server.api();
    {
        let mut other = site.other(&[]);
        let call = site.call();
        api.wait_for_state(&call, "connected", SOON);
        assert_eq!(api.hang_up(&call).status, 200);
        other.succeeds(SOON);
        site.phone.process().wait_for_output("session closed", SOON);
        api.wait_for_state(&call, "ended", SOON);
    }

    let before = site.seen_at();
    site.nat.forget();
    // Nothing that is sent to the phone arrives, and nobody says so: the call ends by itself.
    let call = site.call();
    let ended = api.wait_for_state(&call, "ended", SOON);
    assert!(
        ["no_answer", "unreachable"].contains(&ended["end"]["reason"].as_str().unwrap_or_default()),
        "{ended:#}"
    );
    // It registers along a new flow, and is called there.
    let limit = Duration::from_secs(u64::from(REFRESH) + 5);
    let moved =
        testbed::wait_for(limit, || Some(site.seen_at()).filter(|at| *at != before && at.is_string()));
    assert!(moved.is_some(), "it is still seen at {before}");
    let mut other = site.other(&[]);
    let call = site.call();
    api.wait_for_state(&call, "connected", SOON);
    assert_eq!(api.hang_up(&call).status, 200);
    other.succeeds(SOON);
}

#[test]
fn a_nat_that_forgets_its_flows_in_a_call_ends_neither_the_call_nor_its_sound() {
    if !Nat::is_within("a_nat_that_forgets_its_flows_in_a_call_ends_neither_the_call_nor_its_sound") {
        return;
    }
    let site = Site::open();
    let api = site.server.api();
    let mut other = site.other(&[]);
    let call = site.call();
    let offer = other.received("INVITE", SOON).message.audio_address().expect("an offer of audio");
    let talking = site.audio.talk(offer, TO_TONE);
    api.wait_for_state(&call, "talking", SOON);
    std::thread::sleep(Duration::from_millis(1500));
    let before = talking.stop().tone_milliseconds(FROM_TONE);
    assert!(before >= 1000, "1002 heard {before} ms before");
    site.nat.forget();
    let talking = site.audio.talk(offer, TO_TONE);
    // Whoever speaks from elsewhere is not believed before the old place has been silent for three seconds.
    std::thread::sleep(Duration::from_millis(6000));
    site.phone.hang_up();
    other.succeeds(SOON);
    let ended = api.wait_for_state(&call, "ended", SOON);
    assert_eq!(
        (&ended["end"]["reason"], &ended["end"]["by"]),
        (&json!("hung_up"), &json!("from")),
        "{ended:#}"
    );
    let after = talking.stop().tone_milliseconds(FROM_TONE);
    std::thread::sleep(Duration::from_millis(500));
    let heard = site.phone.recording().tone_milliseconds(TO_TONE);
    assert!(
        after >= 2000 && heard >= 2000,
        "1002 heard {after} ms afterwards, and 1001 {heard} ms at once: {ended:#}"
    );
}

/// The address of the NAT that this server would be behind, and a carrier outside of it.
const EXTERNAL: &str = "198.51.100.7";
const CARRIER: &str = "192.0.2.99";

#[test]
fn behind_a_nat_the_external_address_is_for_those_outside_and_the_servers_own_for_its_neighbours() {
    if !Nat::is_within(
        "behind_a_nat_the_external_address_is_for_those_outside_and_the_servers_own_for_its_neighbours",
    ) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let _nat = Nat::open(folder.path());
    let server = Server::start_with(&ServerOptions {
        ip: Some(Nat::SERVER.into()),
        sip: format!("external_address = \"{EXTERNAL}\""),
        media: format!("address = \"{EXTERNAL}\""),
        tables: format!(
            "[dial_policy]\ncountry = \"91\"\nallow = [\"+91\"]\n\
             [[trunks]]\nname = \"carrier\"\naddress = \"sip:{CARRIER}\"\nnumbers = [\"+918065978015\"]\n"
        ),
        log: "info,sip.wire=debug".to_owned(),
        ..ServerOptions::default()
    });
    let credentials = server.extensions[1].credentials();
    Registration::new(Transport::Udp, OTHER_PHONE, server.sip, credentials).register(600);
    let phone = UdpSocket::bind(OTHER_PHONE).expect("the phone's port");
    phone.set_read_timeout(Some(SOON)).expect("a limit");
    let number = json!("9944421125");
    for (from, to) in [(&json!("1002"), &number), (&number, &json!("1002"))] {
        server.api().place(&json!({"from": from, "to": to, "timeout": 5}));
    }
    let mut octets = [0; 4096];
    let length = phone.recv(&mut octets).expect("the phone is rung");
    let invite = String::from_utf8_lossy(&octets[..length]).into_owned();
    let at = Nat::SERVER;
    for line in [format!("Via: SIP/2.0/UDP {at}:"), format!("c=IN IP4 {at}\r\n")] {
        assert!(invite.starts_with("INVITE ") && invite.contains(&line), "no {line} in\n{invite}");
    }
    assert!(!invite.contains(EXTERNAL), "{invite}");
    let wanted = |line: &&str| line.contains(&format!("remote={CARRIER}:5060")) && line.contains("INVITE ");
    let rung = testbed::wait_for(SOON, || server.log().lines().find(wanted).map(str::to_owned));
    let rung = rung.expect("the carrier is rung");
    for part in [format!("Via: SIP/2.0/UDP {EXTERNAL}:"), format!("c=IN IP4 {EXTERNAL}")] {
        assert!(rung.contains(&part) && !rung.contains(&at.to_string()), "no {part} in\n{rung}");
    }
}

#[test]
fn an_address_that_the_host_loses_is_one_that_nobody_is_told_any_more() {
    if !Nat::is_within("an_address_that_the_host_loses_is_one_that_nobody_is_told_any_more") {
        return;
    }
    let ip = |line: &str| {
        let status = Command::new(Tool::Ip.path()).args(line.split(' ')).status().expect("ip runs");
        assert!(status.success(), "ip {line}");
    };
    ip("link set lo up");
    ip("address add 10.1.0.1/32 dev lo");
    let any = IpAddr::from([0, 0, 0, 0]);
    let server = Server::start_with(&ServerOptions { ip: Some(any), ..ServerOptions::default() });
    let phone = SocketAddr::from(([127, 0, 0, 30], 5070));
    let credentials = server.extensions[1].credentials();
    let spoken_to = SocketAddr::from(([10, 1, 0, 1], server.sip.port()));
    Registration::new(Transport::Udp, phone, spoken_to, credentials).register(600);
    let other = SocketAddr::from(([127, 0, 0, 31], 5070));
    Registration::new(Transport::Udp, other, server.sip, server.extensions[0].credentials()).register(600);
    let phone = UdpSocket::bind(phone).expect("the phone's port");
    phone.set_read_timeout(Some(SOON)).expect("a limit");
    let mut octets = [0; 4096];
    let mut last = String::new();
    let mut rung = || {
        let call = server.api().place(&json!({"from": "1002", "to": "1001", "timeout": 1}));
        let invite = loop {
            let (length, from) = phone.recv_from(&mut octets).expect("the phone is rung");
            let text = SipText::new(&String::from_utf8_lossy(&octets[..length]));
            // The INVITE of the call before may come once more.
            let id = text.field("Call-ID").unwrap_or_default();
            if text.method() == Some("INVITE") && id != last {
                id.clone_into(&mut last);
                break (from, text.as_str().to_owned());
            }
        };
        server.api().wait_for_state(&call, "ended", SOON);
        invite
    };
    let (from, invite) = rung();
    assert!(from == spoken_to && invite.contains("c=IN IP4 10.1.0.1\r\n"), "from {from}\n{invite}");
    ip("address del 10.1.0.1/32 dev lo");
    let renewed = testbed::wait_for(SOON, || {
        let log = server.log();
        log.contains("the addresses of this host have changed").then_some(())
    });
    assert!(renewed.is_some(), "nobody has noticed");
    let (from, invite) = rung();
    assert!(from.ip().is_loopback() && !invite.contains("10.1.0.1"), "from {from}\n{invite}");
}
