//! Numbers outside, with SIPp as the carriers: what each is told, and who is asked when one does not take the call.

use serde_json::json;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;
use testbed::line::SOON;
use testbed::{Extension, Loopback, Records, Registration, RtpPeer, Server, ServerOptions, Sipp, Transport};

/// The server, the phone of 1001, and the addresses of two carriers.
struct Outside {
    server: Server,
    phone: SocketAddr,
    audio: [RtpPeer; 3],
    carriers: [SocketAddr; 2],
    _ips: [Loopback; 3],
}

impl Outside {
    fn open(first: &str, second: &str) -> Self {
        let ips = [Loopback::claim(), Loopback::claim(), Loopback::claim()];
        let carriers = [ips[1].free_port(), ips[2].free_port()];
        let trunk = |name: &str, address: SocketAddr, lines: &str| {
            format!(
                "[[trunks]]\nname = \"{name}\"\naddress = \"sip:{address}\"\n\
                 numbers = [\"+918065978015\", \"+918065978016\"]\n{lines}\n"
            )
        };
        let policy = "[dial_policy]\ncountry = \"91\"\nallow = [\"+91\"]\n";
        let (first, second) = (trunk("first", carriers[0], first), trunk("second", carriers[1], second));
        let tables = [policy, &first, &second].concat();
        let server = Server::start_with(&ServerOptions { tables, ..ServerOptions::default() });
        let phone = ips[0].free_port();
        let extension: &Extension = &server.extensions[0];
        Registration::new(Transport::Udp, phone, server.sip, extension.credentials()).register(600);
        let audio = [0, 1, 2].map(|index: usize| RtpPeer::bind(ips[index].ip()));
        Self { server, phone, audio, carriers, _ips: ips }
    }

    fn phone(&self) -> Sipp {
        Sipp::start("answer", self.phone, self.audio[0].address(), "-", self.server.folder())
    }

    fn carrier(&self, index: usize, scenario: &str, status: &str) -> Sipp {
        let audio = self.audio[index + 1].address();
        Sipp::start(scenario, self.carriers[index], audio, status, self.server.folder())
    }
}

#[test]
fn the_number_rings_through_the_trunk_with_its_caller_id() {
    let outside = Outside::open("priority = 1", "");
    let (mut phone, mut carrier) = (outside.phone(), outside.carrier(0, "answer_and_hang_up", "-"));
    let api = outside.server.api();
    let body = json!({
        "from": "1001", "to": "9944421125", "to_type": "external", "caller_id": "+918065978016",
        "variables": {"order": "77"},
    });
    let answer = api.click_to_call(&body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let call = answer.body["call_id"].as_str().expect("an id").to_owned();
    let invite = carrier.received("INVITE", SOON).message;
    let address = outside.carriers[0];
    assert_eq!(invite.start_line(), format!("INVITE sip:+919944421125@{address} SIP/2.0"));
    assert!(invite.field("From").is_some_and(|from| from.starts_with("<sip:+918065978016@")));
    let ip = address.ip();
    assert_eq!(invite.field("P-Asserted-Identity"), Some(&*format!("<sip:+918065978016@{ip}>")));
    assert_eq!(invite.field("X-Variable-order"), None);
    let ringing = phone.received("INVITE", SOON).message;
    assert!(ringing.field("From").is_some_and(|from| from.contains("sip:9944421125@")), "{ringing:?}");
    let call_now = api.wait_for_state(&call, "connected", SOON);
    assert_eq!((&call_now["to"]["trunk"], &call_now["direction"]), (&json!("first"), &json!("outbound")));
    carrier.succeeds(Duration::from_secs(8));
    phone.succeeds(SOON);
}

/// What is at the address of the first carrier.
enum First {
    /// Somebody who never says anything.
    Silent,
    /// A port that nobody listens at.
    Closed,
    Refuses,
}

#[test]
fn the_next_trunk_is_asked_after_silence_after_a_closed_port_and_after_a_503() {
    for (first, least, most) in
        [(First::Silent, 3.5, 5.5), (First::Closed, -1.0, 2.0), (First::Refuses, -1.0, 2.0)]
    {
        let outside = Outside::open("priority = 1\nprobe_seconds = 0", "priority = 2\nprobe_seconds = 0");
        let (mut phone, mut second) = (outside.phone(), outside.carrier(1, "answer_and_hang_up", "-"));
        let _silent =
            matches!(first, First::Silent).then(|| UdpSocket::bind(outside.carriers[0]).expect("its port"));
        let _refuses = matches!(first, First::Refuses)
            .then(|| outside.carrier(0, "refuse_at_once", "503 Service Unavailable"));
        let api = outside.server.api();
        let call = api.place(&json!({"from": "1001", "to": "+919944421125"}));
        let invited = second.received("INVITE", Duration::from_secs(8)).at;
        let answered =
            phone.seen().into_iter().find(|it| it.message.method() == Some("ACK")).expect("its ACK").at;
        // The ACK waits for the disk, the INVITE does not.
        let after = invited.as_secs_f64() - answered.as_secs_f64();
        assert!((least..=most).contains(&after), "{after} s");
        let connected = api.wait_for_state(&call, "connected", SOON);
        assert_eq!(connected["to"]["trunk"], json!("second"));
        second.succeeds(Duration::from_secs(8));
        phone.succeeds(SOON);
    }
}

#[test]
fn a_number_that_may_not_be_dialled_or_shown_rings_nobody() {
    let outside = Outside::open("prefixes = [\"+9180\"]", "prefixes = [\"+9180\"]");
    let api = outside.server.api();
    for (body, status, code) in [
        (json!({"from": "1001", "to": "+442079460000"}), 403, "policy_denied"),
        (json!({"from": "1001", "to": "+919944421125"}), 422, "no_trunk"),
        (
            json!({"from": "1001", "to": "+918065971111", "caller_id": "+918065979999"}),
            403,
            "caller_id_not_allowed",
        ),
        (json!({"from": "1001", "to": "sip:+918065971111@carrier.example"}), 400, "invalid_field"),
        (json!({"from": "1001", "to": "+91 80 6597 111 222 333"}), 400, "invalid_field"),
    ] {
        let answer = api.click_to_call(&body);
        assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{body}: {answer:?}");
    }
}

#[test]
fn a_name_is_resolved_by_naptr_and_srv_and_its_dead_gateway_is_passed_over() {
    let ips = [Loopback::claim(), Loopback::claim(), Loopback::claim()];
    let (dead, living) = (ips[1].free_port(), ips[2].free_port());
    let names = Records::default()
        .naptr(
            "carrier.example",
            &[(10, "SIP+D2T", "_sip._tcp.nowhere.example"), (20, "SIP+D2U", "_sip._udp.other.example")],
        )
        .srv(
            "_sip._udp.other.example",
            &[(10, dead.port(), "dead.other.example"), (20, living.port(), "living.other.example")],
        )
        .host("dead.other.example", &[dead.ip()])
        .host("living.other.example", &[living.ip()])
        .serve(ips[0].ip());
    let tables = "[dial_policy]\ncountry = \"91\"\nallow = [\"+91\"]\n[[trunks]]\nname = \"carrier\"\n\
                  address = \"sip:carrier.example\"\nnumbers = [\"+918065978015\"]\nprobe_seconds = 0\n";
    let sip = format!("resolvers = [\"{}\"]\n", names.address);
    let server =
        Server::start_with(&ServerOptions { tables: tables.into(), sip, ..ServerOptions::default() });
    let phone = ips[0].free_port();
    Registration::new(Transport::Udp, phone, server.sip, server.extensions[0].credentials()).register(600);
    let audio = [RtpPeer::bind(ips[0].ip()), RtpPeer::bind(ips[2].ip())];
    let _from = Sipp::start("answer", phone, audio[0].address(), "-", server.folder());
    let mut carrier = Sipp::start("answer_and_hang_up", living, audio[1].address(), "-", server.folder());
    let api = server.api();
    let call = api.place(&json!({"from": "1001", "to": "09944421125"}));
    let invite = carrier.received("INVITE", SOON).message;
    assert_eq!(invite.start_line(), "INVITE sip:+919944421125@carrier.example SIP/2.0");
    let connected = api.wait_for_state(&call, "connected", SOON);
    assert_eq!(connected["to"]["trunk"], json!("carrier"));
    carrier.succeeds(Duration::from_secs(8));
}
