//! A trunk that registers: calls go out through it, and come in along the flow of its registration.

use super::*;

/// Kamailio, and a server that has registered there by this transport.
fn registers(transport: &str) -> (Ends, Kamailio, Server) {
    let ends = Ends::claim();
    let carrier = Kamailio::start(&CarrierOptions::with_outside(ends.outside));
    let sip = carrier.sip;
    let service = format!("_sip._{transport}.carrier.test");
    let names =
        Records::default().srv(&service, &[(10, sip.port(), "edge.test")]).host("edge.test", &[sip.ip()]);
    let names = names.serve(ends.ip());
    let tables = trunk(&format!("sip:carrier.test;transport={transport}"), "register = true");
    let server = serve(tables, resolved_by(&names), false, &ends);
    let view = registered(&server.api(), SOON);
    assert_eq!(view["reached_at"][0]["address"], json!(sip.to_string()), "{view:#}");
    assert_eq!(
        (&view["reached_at"][0]["transport"], &view["last_failure"]),
        (&json!(transport), &Value::Null)
    );
    (ends, carrier, server)
}

#[test]
fn a_number_outside_is_called_through_it_and_either_side_hangs_up() {
    for (transport, hangs_up) in
        [("udp", HangsUp::Outside), ("udp", HangsUp::Phone), ("tcp", HangsUp::Outside)]
    {
        let (ends, carrier, server) = registers(transport);
        let invite = calls_outside(&server, &ends, hangs_up).message;
        assert_eq!(invite.start_line(), format!("INVITE sip:{CALLED}@carrier.test SIP/2.0"));
        assert!(invite.field("Record-Route").is_some(), "{invite:?}");
        let log = carrier.log();
        let asked =
            |method: &str| log.lines().filter(|line| line.contains(&format!("carrier: {method} of"))).count();
        // Each was challenged once, and nothing was sent twice. The ACK of a challenge it takes by itself.
        assert_eq!(
            (asked("INVITE"), asked("ACK"), asked("BYE")),
            (2, 1, 1),
            "{transport}, {hangs_up:?}: {log}"
        );
        assert_eq!(asked("REGISTER"), 2, "{transport}, {hangs_up:?}: {log}");
    }
}

#[test]
fn a_call_from_outside_reaches_the_phone_along_the_flow_of_the_registration() {
    for (transport, hangs_up) in [("udp", HangsUp::Outside), ("udp", HangsUp::Phone), ("tcp", HangsUp::Phone)]
    {
        let (ends, carrier, server) = registers(transport);
        let scenario = if hangs_up == HangsUp::Phone { "answer_and_hang_up" } else { "answer" };
        let mut phone = ends.phone(scenario, &server);
        let mut outside = ends.calls(&carrier, &server);
        let invite = phone.received("INVITE", SOON).message;
        assert!(invite.field("From").is_some_and(|from| from.contains(CALLED)), "{invite:?}");
        let answer = outside.answered(SOON).message;
        let talking = ends.talk(offered(&phone), answer.audio_address().expect("an answer"));
        phone.succeeds(Duration::from_secs(8));
        outside.succeeds(SOON);
        both_heard(talking);
        let call = server.api().only_call();
        let ended = server.api().wait_for_state(&call, "ended", SOON);
        let by = if hangs_up == HangsUp::Phone { "to" } else { "from" };
        assert_eq!(
            (&ended["end"]["reason"], &ended["end"]["by"]),
            (&json!("hung_up"), &json!(by)),
            "{ended:#}"
        );
        assert_eq!(
            (&ended["direction"], &ended["from"]["trunk"]),
            (&json!("inbound"), &json!("carrier")),
            "{ended:#}"
        );
        // Who registered over TCP is called along that connection.
        let log = carrier.log();
        assert!(transport == "udp" || !log.contains("tcp_do_connect"), "{log}");
    }
}
