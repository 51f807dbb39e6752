//! Kamailio is stopped and started: the trunk goes down and comes up by itself, without a flood of REGISTERs.

use super::*;
use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::time::Instant;

/// Seconds for which Kamailio is away.
const AWAY: Duration = Duration::from_secs(20);

/// The different REGISTERs that came; copies of one are one.
fn registers_at(silent: &UdpSocket, until: Instant) -> usize {
    silent.set_read_timeout(Some(Duration::from_millis(100))).expect("a limit");
    let mut seen = BTreeSet::new();
    let mut octets = [0; 4096];
    while Instant::now() < until {
        let Ok(length) = silent.recv(&mut octets) else { continue };
        let message = testbed::SipText::new(&String::from_utf8_lossy(&octets[..length]));
        if message.method() == Some("REGISTER") {
            seen.insert(message.field("CSeq").unwrap_or_default().to_owned());
        }
    }
    seen.len()
}

#[test]
fn the_trunk_goes_down_and_up_with_its_carrier_and_asks_seldom_while_it_is_away_over_udp() {
    goes_down_and_up("udp");
}

#[test]
fn the_trunk_goes_down_and_up_with_its_carrier_over_tcp() {
    goes_down_and_up("tcp");
}

fn goes_down_and_up(transport: &str) {
    let ends = Ends::claim();
    let options = CarrierOptions { longest_registration: 5, ..CarrierOptions::with_outside(ends.outside) };
    let mut carrier = Kamailio::start(&options);
    let address = format!("sip:{};transport={transport}", carrier.sip);
    let server = serve(trunk(&address, "register = true\nprobe_seconds = 1"), String::new(), false, &ends);
    let api = server.api();
    registered(&api, SOON);
    calls_outside(&server, &ends, HangsUp::Outside);

    let away = Instant::now();
    carrier.stop();
    // Over TCP its port is closed.
    if transport == "udp" {
        let silent = UdpSocket::bind(carrier.sip).expect("its port");
        let asked = registers_at(&silent, away + AWAY);
        assert!((2..=6).contains(&asked), "{asked} REGISTERs in {AWAY:?}");
    }
    let view = api.wait_for_trunk("carrier", AWAY, "down", |it| it["registration"] == "failed");
    let why =
        if transport == "udp" { "no answer".into() } else { format!("nobody listens at {}", carrier.sip) };
    assert_eq!(view["last_failure"], json!(why), "{view:#}");
    assert!(server.log().contains("trunk.down"));

    carrier.start_again();
    registered(&api, Duration::from_secs(25));
    // One was perhaps under way when it came back; each is challenged once.
    let asked = carrier.log().matches("carrier: REGISTER").count();
    assert!(asked <= 4, "{asked}: {}", carrier.log());
    calls_outside(&server, &ends, HangsUp::Phone);
    let ups = server.log().matches("trunk.up").count();
    assert_eq!(ups, 2, "{}", server.log());
}
