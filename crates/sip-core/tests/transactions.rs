//! Timers, retransmissions and matching of transactions (RFC 3261 §17, RFC 6026), seen from outside.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod by_hand;

use by_hand::{Element, PEER, flow, invite_text, new_invite, response_to, udp};
use sip_core::{Event, Flow, GoneCause, NewRequest, Outcome, Transport};
use sip_message::{FieldName, Message, Method, NameAddr, SipUri, StatusCode};
use std::time::Duration;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn options() -> NewRequest {
    let peer = SipUri::at(None, PEER.parse().unwrap());
    NewRequest {
        flow: udp(),
        method: Method::OPTIONS,
        uri: peer.clone().into(),
        from: NameAddr::new(peer.clone()),
        to: NameAddr::new(peer),
        call_id: None,
        cseq: None,
        contact: None,
        fields: Vec::new(),
        credentials: None,
    }
}

fn options_text(via: &str, call_id: &str) -> String {
    format!(
        "OPTIONS sip:h SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n\
         Call-ID: {call_id}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

#[test]
fn an_invite_is_repeated_with_doubling_intervals_and_given_up_after_32_s() {
    let mut element = Element::new();
    element.invite(new_invite(udp()));
    element.pass(ms(31_999));
    assert_eq!(element.times(), [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    assert!(element.gone().is_none());
    element.pass(ms(1));
    assert_eq!(element.gone().unwrap().cause, GoneCause::TimedOut);
    assert_eq!(element.endpoint.counts(), (0, 0));
}

#[test]
fn over_tcp_nothing_is_repeated_but_the_patience_is_the_same() {
    let mut element = Element::new();
    element.invite(new_invite(flow(Transport::Tcp)));
    element.pass_all();
    assert_eq!((element.times(), element.milliseconds()), (vec![0], 32_000));
    assert_eq!(element.gone().unwrap().cause, GoneCause::TimedOut);
}

#[test]
fn a_provisional_response_ends_repetition_and_patience_of_an_invite() {
    let mut element = Element::new();
    element.invite(new_invite(udp()));
    let invite = element.last_request(&Method::INVITE).clone();
    element.pass(ms(600));
    element.respond(&invite, 100, "", "");
    element.pass(Duration::from_mins(5));
    assert_eq!(element.times(), [0, 500]);
    assert!(element.gone().is_none());
}

#[test]
fn a_failure_is_acknowledged_each_time_it_comes_for_32_s() {
    let mut element = Element::new();
    element.invite(new_invite(udp()));
    let invite = element.last_request(&Method::INVITE).clone();
    for _ in 0..3 {
        element.respond(&invite, 486, "x", "");
        element.pass(ms(1_000));
    }
    let acks = element.requests(&Method::ACK);
    assert_eq!(acks.len(), 3);
    assert_eq!(
        acks[0].header.via[0].branch(),
        invite.header.via[0].branch(),
        "the ACK is part of the transaction"
    );
    assert_eq!((acks[0].header.to.tag(), acks[0].header.cseq.number), (Some("x"), 1));
    assert_eq!(element.endpoint.counts(), (1, 1));
    element.pass(ms(28_999));
    assert_eq!(element.endpoint.counts().0, 1);
    element.pass(ms(1));
    assert_eq!(element.endpoint.counts(), (0, 0));
}

#[test]
fn another_request_is_repeated_up_to_every_4_s_and_given_up_after_32_s() {
    let mut element = Element::new();
    element.endpoint.request(options(), element.now);
    element.collect();
    element.pass_all();
    let times = [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!((element.times(), element.milliseconds()), (times.to_vec(), 32_000));
    assert!(matches!(&element.events[..], [Event::Response { outcome: Outcome::TimedOut, .. }]));
}

#[test]
fn a_provisional_response_slows_another_request_down_but_its_patience_runs_on() {
    let mut element = Element::new();
    element.endpoint.request(options(), element.now);
    element.collect();
    element.pass(ms(600));
    let request = element.last_request(&Method::OPTIONS).clone();
    element.respond(&request, 100, "", "");
    element.pass_all();
    let times = [0, 500, 1_500, 5_500, 9_500, 13_500, 17_500, 21_500, 25_500, 29_500];
    assert_eq!((element.times(), element.milliseconds()), (times.to_vec(), 32_000));
}

#[test]
fn copies_of_a_final_response_are_absorbed_for_5_s() {
    let mut element = Element::new();
    element.endpoint.request(options(), element.now);
    element.collect();
    let request = element.last_request(&Method::OPTIONS).clone();
    element.respond(&request, 200, "x", "");
    element.respond(&request, 200, "x", "");
    assert_eq!(element.events.len(), 1);
    assert_eq!(element.pass_all(), ms(5_000));
}

#[test]
fn a_refusal_is_repeated_until_its_ack() {
    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1"));
    let incoming = element.incoming();
    let response = incoming.request.response(StatusCode::BUSY_HERE);
    element.endpoint.respond(&incoming, response, element.now);
    element.collect();
    element.pass(ms(3_600));
    assert_eq!(element.times(), [0, 500, 1_500, 3_500]);
    element.receive(invite_text("z9hG4bK1"));
    assert_eq!(element.sent.len(), 5, "a copy of the INVITE brings the response at once");
    element.receive(invite_text("z9hG4bK1").replace("INVITE", "ACK"));
    let left = element.pass_all();
    assert_eq!((element.sent.len(), left), (5, ms(5_000)));
}

#[test]
fn a_refusal_without_ack_is_repeated_every_4_s_and_given_up_after_32_s() {
    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1"));
    let incoming = element.incoming();
    element.endpoint.respond(&incoming, incoming.request.response(StatusCode::BUSY_HERE), element.now);
    element.collect();
    element.pass_all();
    let times = [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!((element.times(), element.milliseconds()), (times.to_vec(), 32_000));
}

#[test]
fn a_2xx_is_repeated_until_its_ack_and_then_the_call_is_given_up() {
    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1"));
    let invite = element.take_last();
    element.accept(invite, b"answer");
    assert_eq!(element.statuses(), [100, 200]);
    element.pass(ms(31_999));
    let times = [0, 0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(element.times(), times);
    element.receive(invite_text("z9hG4bK1"));
    assert_eq!(element.sent.len(), times.len(), "copies of an accepted INVITE are absorbed");
    element.pass(ms(1));
    assert_eq!(element.gone().unwrap().cause, GoneCause::NoAck);
    assert_eq!(element.requests(&Method::BYE).len(), 1);
}

#[test]
fn a_re_invite_that_waits_for_its_user_gets_100_after_200_ms() {
    let mut element = Element::new();
    element.invite(new_invite(udp()));
    let invite = element.last_request(&Method::INVITE).clone();
    element.respond(&invite, 200, "p", "answer");
    element.request_in_dialog_of(&invite, "INVITE", "p", 1, "offer");
    element.pass(ms(199));
    assert!(element.statuses().is_empty());
    element.pass(ms(1));
    assert_eq!(element.statuses(), [100]);
}

#[test]
fn a_request_of_old_is_matched_by_all_that_makes_it_different() {
    for branch in ["", ";branch=1", ";branch=z9hG4bK"] {
        let mut element = Element::new();
        let via = format!("SIP/2.0/UDP {PEER}{branch}");
        element.receive(options_text(&via, "one"));
        let incoming = element.incoming();
        element.endpoint.respond(&incoming, incoming.request.response(StatusCode::OK), element.now);
        element.collect();
        element.receive(options_text(&via, "one"));
        assert_eq!((element.sent.len(), element.events.len()), (2, 0), "{branch}: a copy is absorbed");
        element.receive(options_text(&via, "two"));
        assert_eq!(
            (element.sent.len(), element.events.len()),
            (2, 1),
            "{branch}: another Call-ID is another"
        );
    }
}

#[test]
fn the_same_branch_of_another_sender_or_method_is_another_transaction() {
    let mut element = Element::new();
    let via = |host| format!("SIP/2.0/UDP {host};branch=z9hG4bKx");
    element.receive(options_text(&via("h1"), "one"));
    let incoming = element.incoming();
    element.endpoint.respond(&incoming, incoming.request.response(StatusCode::OK), element.now);
    element.collect();
    element.receive(options_text(&via("h2"), "two"));
    element.receive(options_text(&via("h1"), "three").replace("OPTIONS", "REGISTER"));
    assert_eq!(element.events.len(), 2);
    element.receive(options_text(&via("h1"), "one"));
    assert_eq!(element.events.len(), 2);
}

#[test]
fn a_response_goes_where_the_request_came_from() {
    let to = |via: &str, transport| {
        let mut element = Element::new();
        element.receive_along(options_text(via, "one"), flow(transport));
        let incoming = element.incoming();
        let response = incoming.request.response(StatusCode::OK);
        element.endpoint.respond_statelessly(&incoming, response);
        element.collect();
        element.sent[0].1.remote.to_string()
    };
    for (sent_by, goes) in [
        ("192.0.2.9:5090;rport", PEER),
        // RFC 3261 §18.2.2: the port of the sent-by, of an address and of a name.
        ("192.0.2.9:5090", "192.0.2.9:5090"),
        ("192.0.2.9", "192.0.2.9:5060"),
        ("192.0.2.9:0;received=10.9.9.9", "192.0.2.9:5060"),
        ("192.0.2.9;maddr=255.255.255.255", "192.0.2.9:5060"),
        ("phone.example.com:5090", "192.0.2.9:5090"),
        ("phone.example.com", "192.0.2.9:5060"),
        // Behind a NAT, or with another address of a host that has several: that port means nothing here.
        ("10.0.0.1:5090", PEER),
        ("10.0.0.1;maddr=255.255.255.255", PEER),
        ("10.0.0.1:5090;rport", PEER),
        ("[2001:db8::1]:5090", PEER),
    ] {
        assert_eq!(to(&format!("SIP/2.0/UDP {sent_by};branch=z9hG4bKx"), Transport::Udp), goes, "{sent_by}");
    }
    assert_eq!(to("SIP/2.0/TCP 10.0.0.1:5090;branch=z9hG4bKx", Transport::Tcp), PEER);
}

#[test]
fn the_source_is_written_over_what_the_sender_claims() {
    let mut element = Element::new();
    element.receive(options_text("SIP/2.0/UDP 10.0.0.1;rport=1;received=10.9.9.9;branch=z9hG4bKx", "one"));
    let incoming = element.incoming();
    let via = &incoming.request.header.via[0];
    assert_eq!(via.received(), Some("192.0.2.9".parse().unwrap()));
    assert_eq!(via.parameters.value("rport"), Some("5070"));
}

#[test]
fn a_broken_connection_fails_what_waits_on_it_and_nothing_else() {
    let mut element = Element::new();
    let other = Flow { remote: "192.0.2.10:5060".parse().unwrap(), ..udp() };
    element.invite(new_invite(udp()));
    element.endpoint.request(NewRequest { flow: other, ..options() }, element.now);
    element.endpoint.handle_unreachable(udp(), element.now);
    element.collect();
    assert_eq!(element.gone().unwrap().cause, GoneCause::Unreachable);
    assert_eq!(element.endpoint.counts(), (1, 0));
    // From whichever of our addresses it is not reached.
    let refused = Flow { local: "192.0.2.99:5060".parse().unwrap(), ..other };
    element.endpoint.handle_unreachable(refused, element.now);
    element.collect();
    assert!(matches!(element.events.last(), Some(Event::Response { outcome: Outcome::Unreachable, .. })));
    assert_eq!((element.endpoint.counts(), element.endpoint.poll_timeout()), ((0, 0), None));
}

#[test]
fn responses_that_match_nothing_are_dropped() {
    let mut element = Element::new();
    element.invite(new_invite(udp()));
    let invite = element.last_request(&Method::INVITE).clone();
    let mut stray = invite.clone();
    stray.header.via[0].parameters.set("branch", Some("z9hG4bK0123456789abcdef"));
    element.respond(&stray, 486, "x", "");
    let mut two_vias = invite.clone();
    two_vias.header.via.push(invite.header.via[0].clone());
    element.respond(&two_vias, 486, "x", "");
    let mut other_call = invite.clone();
    other_call.header.call_id.0 = "other".into();
    element.respond(&other_call, 486, "x", "");
    let mut other_method = invite;
    other_method.header.cseq.method = Method::OPTIONS;
    element.respond(&other_method, 486, "x", "");
    assert_eq!((element.sent.len(), element.events.len()), (1, 0));
}

#[test]
fn beyond_the_bound_requests_get_503_and_leave_nothing() {
    let mut element = Element::with(sip_core::Config { transactions_max: 1, ..by_hand::config() });
    element.receive(invite_text("z9hG4bK1"));
    element.take_last();
    let second = invite_text("z9hG4bK2").replace("Call-ID: 1", "Call-ID: 2");
    element.receive(&second);
    element.receive(second.replace("INVITE", "ACK"));
    assert_eq!(element.statuses(), [100, 503]);
    assert!(element.last_response().header.fields.get(&FieldName::RETRY_AFTER).is_some());
    assert_eq!((element.events.len(), element.endpoint.counts()), (0, (1, 1)));
}

#[test]
fn a_broken_request_is_answered_and_broken_rubbish_is_not() {
    let mut element = Element::new();
    element.receive("rubbish\r\n\r\n");
    element.receive(
        options_text(&format!("SIP/2.0/UDP {PEER};branch=z9hG4bKx"), "one")
            .replace("-Forwards: 70", "-Forwards: x"),
    );
    assert_eq!((element.statuses(), element.events.len()), (vec![400], 0));
    assert!(element.last_response().header.to.tag().is_some());
    assert_eq!(element.endpoint.counts(), (0, 0));
}

#[test]
fn a_stateless_answer_is_the_same_for_each_copy() {
    let mut element = Element::new();
    for _ in 0..2 {
        element.receive(options_text(&format!("SIP/2.0/UDP {PEER};branch=z9hG4bKx"), "one"));
        let incoming = element.incoming();
        element.endpoint.respond_statelessly(&incoming, incoming.request.response(StatusCode::NOT_FOUND));
        element.collect();
    }
    let octets = |index: usize| match &element.sent[index].2 {
        Message::Response(response) => response.print(),
        Message::Request(_) => panic!("a response"),
    };
    assert_eq!(octets(0), octets(1));
    assert_eq!(element.endpoint.counts(), (0, 0));
}

#[test]
fn a_challenge_is_answered_with_credentials_once() {
    let mut element = Element::new();
    let request = NewRequest { credentials: by_hand::identity(), ..options() };
    element.endpoint.request(request, element.now);
    element.collect();
    for count in 2..4 {
        let request = element.last_request(&Method::OPTIONS).clone();
        element.receive(response_to(&request, 401, "x", ""));
        assert_eq!(element.requests(&Method::OPTIONS).len(), 2, "challenge {count}");
    }
    let second = element.last_request(&Method::OPTIONS);
    assert!(second.header.fields.get(&FieldName::AUTHORIZATION).unwrap().contains("username=\"alice\""));
    assert_eq!(second.header.cseq.number, 2);
    match &element.events[..] {
        [Event::Response { outcome: Outcome::Final(response), .. }] => {
            assert_eq!(response.status, StatusCode::UNAUTHORIZED);
        }
        other => panic!("{other:?}"),
    }
}

/// RFC 6026 §7.2: the transaction passes on each copy of the 2xx, until timer M ends it.
#[test]
fn copies_of_a_2xx_are_acknowledged_until_timer_m_which_ends_the_transaction() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut element = Element::new();
        element.invite(new_invite(flow(transport)));
        let invite = element.last_request(&Method::INVITE).clone();
        for copies in 1..=3 {
            element.respond(&invite, 200, "p", "answer");
            assert_eq!(element.requests(&Method::ACK).len(), copies);
            element.pass(ms(10_000));
            assert_eq!(element.endpoint.counts(), (1, 1), "{transport:?}");
        }
        // A non-2xx behind the 2xx is none of this transaction any more.
        element.respond(&invite, 486, "p", "");
        assert_eq!(element.requests(&Method::ACK).len(), 3);
        element.pass(ms(1_999));
        assert_eq!(element.endpoint.counts(), (1, 1), "{transport:?}");
        element.pass(ms(1));
        assert_eq!(element.endpoint.counts(), (0, 1), "timer M, {transport:?}");
        assert!(element.gone().is_none());
    }
}

/// RFC 3261 §17.2.3: host and port of the sent-by are part of what makes a transaction.
#[test]
fn the_same_branch_behind_another_port_is_another_transaction() {
    let mut element = Element::new();
    let via = |sent_by| format!("SIP/2.0/UDP {sent_by};branch=z9hG4bKx;rport");
    for (number, sent_by) in ["h:5070", "h:5071", "h"].into_iter().enumerate() {
        element.receive(options_text(&via(sent_by), sent_by));
        assert_eq!(element.events.len(), 1, "{sent_by}");
        let incoming = element.incoming();
        element.endpoint.respond(&incoming, incoming.request.response(StatusCode::OK), element.now);
        element.collect();
        assert_eq!((element.endpoint.counts().0, element.sent.len()), (number + 1, 2 * number + 1));
        element.receive(options_text(&via(sent_by), sent_by));
        assert_eq!((element.sent.len(), element.events.len()), (2 * number + 2, 0), "{sent_by}: a copy");
    }
}

/// RFC 3261 §17.2.3, §9.2: so it is for CANCEL and for the ACK of a refusal.
#[test]
fn a_cancel_or_ack_from_behind_another_port_is_not_for_this_invite() {
    let elsewhere = |text: String| text.replacen(PEER, "192.0.2.9:5071", 1);
    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1"));
    let invite = element.take_last();
    element.receive(elsewhere(invite_text("z9hG4bK1").replace("INVITE", "CANCEL")));
    assert_eq!((element.statuses(), element.gone().is_none()), (vec![100, 481], true));
    element.reject(invite, StatusCode::BUSY_HERE);
    let ack = invite_text("z9hG4bK1").replace("INVITE", "ACK");
    element.receive(elsewhere(ack.clone()));
    element.pass(ms(500));
    assert_eq!(element.statuses()[2..], [486, 486], "no ACK has come");
    element.receive(ack);
    element.pass(ms(1_000));
    assert_eq!(element.statuses()[2..], [486, 486]);
}

/// RFC 3261 §18.2.2, RFC 3581 §4: without `rport` to the port of the sent-by, whoever answers and however often.
#[test]
fn every_response_goes_to_the_port_of_the_sent_by_when_there_is_no_rport() {
    let without = |text: String| {
        text.replacen(&format!("{PEER};branch=z9hG4bK1;rport"), "192.0.2.9:5090;branch=z9hG4bK1", 1)
    };
    let mut element = Element::new();
    element.receive(without(invite_text("z9hG4bK1")));
    let invite = element.take_last();
    element.ring(invite, StatusCode::RINGING, None);
    element.receive(without(invite_text("z9hG4bK1")));
    element.accept(invite, b"answer");
    element.pass(ms(500));
    assert_eq!(element.statuses(), [100, 180, 180, 200, 200]);
    let to: Vec<_> = element.sent.iter().map(|(_, flow, _)| flow.remote.to_string()).collect();
    assert_eq!(to, ["192.0.2.9:5090"; 5]);
}
