//! Two gateways behind one name, of which one is dead.

use super::*;
use std::net::UdpSocket;
use std::time::Instant;

/// What is at the gateway that is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dead {
    /// A port that nobody listens at.
    Closed,
    /// Somebody who never says anything.
    Silent,
}

fn a_call_and_the_next_one(dead: Dead, lines: &str, first_takes: Duration) {
    let ends = Ends::claim();
    let carrier = Kamailio::start(&CarrierOptions::with_outside(ends.outside));
    let ip = Loopback::claim();
    let gateway = ip.free_port();
    let _silent = (dead == Dead::Silent).then(|| UdpSocket::bind(gateway).expect("its port"));
    let servers = [(10, gateway.port(), "dead.test"), (20, carrier.sip.port(), "living.test")];
    let names = Records::default()
        .srv("_sip._udp.carrier.test", &servers)
        .host("dead.test", &[gateway.ip()])
        .host("living.test", &[carrier.sip.ip()])
        .serve(ends.ip());
    let tables = trunk("sip:carrier.test;transport=udp", &format!("probe_seconds = 0\n{lines}"));
    let server = serve(tables, resolved_by(&names), false, &ends);
    if lines.contains("register") {
        registered(&server.api(), Duration::from_secs(10));
    }
    for limit in [first_takes, Duration::from_millis(1_500)] {
        let begun = Instant::now();
        let mut phone = ends.phone("answer", &server);
        let mut outside = ends.outside("answer_and_hang_up", &server);
        let api = server.api();
        let call = api.place(&json!({"from": "1001", "to": CALLED}));
        outside.received("INVITE", Duration::from_secs(8));
        // SIPp itself starts and answers within that.
        assert!(begun.elapsed() <= limit, "{dead:?}, {lines}: {:?} instead of {limit:?}", begun.elapsed());
        outside.succeeds(Duration::from_secs(8));
        phone.succeeds(SOON);
        let ended = api.wait_for_state(&call, "ended", SOON);
        assert_eq!(ended["end"]["reason"], json!("hung_up"), "{ended:#}");
    }
}

#[test]
fn a_gateway_with_a_closed_port_is_passed_over_at_once() {
    a_call_and_the_next_one(Dead::Closed, "", Duration::from_millis(2_500));
}

#[test]
fn a_silent_gateway_is_passed_over_after_four_seconds_and_tried_last_by_the_next_call() {
    a_call_and_the_next_one(Dead::Silent, "", Duration::from_millis(6_500));
}

#[test]
fn a_trunk_that_registers_is_registered_and_calls_at_the_gateway_that_lives() {
    for dead in [Dead::Closed, Dead::Silent] {
        a_call_and_the_next_one(dead, "register = true", Duration::from_millis(1_500));
    }
}
