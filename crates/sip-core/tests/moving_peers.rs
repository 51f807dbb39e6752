//! A peer that reconnects, or whose address changes, in the middle of a call: its next request moves the dialog.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod by_hand;

use by_hand::{Element, flow, invite_text, new_invite, request_text, response_to};
use sip_core::{Flow, InviteEvent, InviteId, PeerId, Reach, Transport};
use sip_message::{Method, Request};

/// A call of ours that stands along that flow.
fn standing(transport: Transport) -> (Element, InviteId, Request) {
    let mut element = Element::new();
    let id = element.invite(new_invite(flow(transport)));
    let invite = element.last_request(&Method::INVITE).clone();
    element.receive_along(response_to(&invite, 200, "p", "answer"), flow(transport));
    (element, id, invite)
}

fn elsewhere(transport: Transport) -> Flow {
    Flow { remote: "198.51.100.7:40000".parse().unwrap(), ..flow(transport) }
}

/// A request of the peer in the dialog of our `invite`, along that flow.
fn receive(element: &mut Element, invite: &Request, method: &str, tag: &str, cseq: u32, flow: Flow) {
    let local = invite.header.from.tag().unwrap();
    let text = request_text(method, &invite.header.call_id.0, tag, local, cseq, "");
    element.receive_along(text, flow);
}

fn flow_of_bye(element: &mut Element, id: InviteId) -> Flow {
    element.hang_up(id, None);
    assert_eq!(element.sent.last().unwrap().2.header().cseq.method, Method::BYE);
    element.sent.last().unwrap().1
}

#[test]
fn each_request_of_the_peer_moves_the_dialog_to_the_way_it_came_along() {
    for transport in [Transport::Udp, Transport::Tcp] {
        for method in ["OPTIONS", "INFO", "UPDATE", "INVITE"] {
            let (mut element, id, invite) = standing(transport);
            receive(&mut element, &invite, method, "p", 1, elsewhere(transport));
            assert_eq!(flow_of_bye(&mut element, id), elsewhere(transport), "{transport:?} {method}");
        }
    }
}

#[test]
fn a_port_that_a_nat_has_changed_is_used_until_the_contact_names_another_one() {
    let rebound = Flow { remote: "192.0.2.9:61000".parse().unwrap(), ..flow(Transport::Udp) };
    let (mut element, id, invite) = standing(Transport::Udp);
    receive(&mut element, &invite, "INFO", "p", 1, rebound);
    receive(&mut element, &invite, "UPDATE", "p", 2, rebound);
    assert_eq!(flow_of_bye(&mut element, id), rebound);

    let (mut element, id, invite) = standing(Transport::Udp);
    receive(&mut element, &invite, "INFO", "p", 1, rebound);
    let (local, call_id) = (invite.header.from.tag().unwrap(), &invite.header.call_id.0);
    let update = request_text("UPDATE", call_id, "p", local, 2, "");
    element.receive_along(
        update.replace("Contact: <sip:bob@192.0.2.9:5070>", "Contact: <sip:bob@192.0.2.9:5080>"),
        rebound,
    );
    let there = Flow { remote: "192.0.2.9:5080".parse().unwrap(), ..rebound };
    assert_eq!(flow_of_bye(&mut element, id), there);
}

#[test]
fn a_peer_that_does_not_ask_for_answers_where_it_sends_from_is_reached_at_its_contact() {
    let sends_from = Flow { remote: "192.0.2.9:39000".parse().unwrap(), ..flow(Transport::Udp) };
    let (mut element, id, invite) = standing(Transport::Udp);
    let (local, call_id) = (invite.header.from.tag().unwrap(), &invite.header.call_id.0);
    let info = request_text("INFO", call_id, "p", local, 1, "").replace(";rport", "");
    element.receive_along(info, sends_from);
    assert_eq!(flow_of_bye(&mut element, id), flow(Transport::Udp));
}

#[test]
fn what_does_not_belong_to_the_dialog_moves_nothing() {
    let there = flow(Transport::Tcp);
    let (mut element, id, invite) = standing(Transport::Tcp);
    receive(&mut element, &invite, "OPTIONS", "p", 5, there);
    receive(&mut element, &invite, "OPTIONS", "other", 6, elsewhere(Transport::Tcp));
    receive(&mut element, &invite, "UPDATE", "p", 5, elsewhere(Transport::Tcp));
    receive(&mut element, &invite, "UPDATE", "p", 4, elsewhere(Transport::Tcp));
    assert_eq!(element.statuses(), [200, 481, 500, 500]);
    assert_eq!(flow_of_bye(&mut element, id), there);
}

#[test]
fn our_contact_moves_along() {
    let (mut element, id, invite) = standing(Transport::Udp);
    receive(&mut element, &invite, "OPTIONS", "p", 1, elsewhere(Transport::Tcp));
    element.offer(id, b"offer");
    let text = String::from_utf8(element.last_request(&Method::INVITE).print()).unwrap();
    assert!(text.contains("\r\nContact: <sip:alice@192.0.2.1:5060;transport=tcp>\r\n"), "{text}");
    assert_eq!(element.sent.last().unwrap().1, elsewhere(Transport::Tcp));
}

#[test]
fn a_call_of_the_peer_moves_too() {
    let mut element = Element::new();
    element.receive_along(invite_text("z9hG4bK1").replace("/UDP", "/TCP"), flow(Transport::Tcp));
    let id = element.take_last();
    element.accept(id, b"answer");
    let local = element.last_response().header.to.tag().unwrap().to_owned();
    element.receive_along(request_text("ACK", "1", "p", &local, 1, ""), flow(Transport::Tcp));
    element.receive_along(request_text("OPTIONS", "1", "p", &local, 2, ""), elsewhere(Transport::Tcp));
    assert_eq!(flow_of_bye(&mut element, id), elsewhere(Transport::Tcp));
}

/// An INVITE of ours that rings along that flow.
fn ringing(transport: Transport) -> (Element, InviteId, Request) {
    let mut element = Element::new();
    let id = element.invite(new_invite(flow(transport)));
    let invite = element.last_request(&Method::INVITE).clone();
    element.receive_along(response_to(&invite, 180, "p", ""), flow(transport));
    (element, id, invite)
}

#[test]
fn a_phone_that_loses_its_connection_while_it_rings_may_answer_along_another_one() {
    let (mut element, id, invite) = ringing(Transport::Tcp);
    element.endpoint.handle_unreachable(flow(Transport::Tcp), element.now);
    element.collect();
    assert!(element.gone().is_none());
    element.receive_along(response_to(&invite, 200, "p", "answer"), elsewhere(Transport::Tcp));
    assert_eq!(element.sent.last().unwrap().2.header().cseq.method, Method::ACK);
    assert_eq!(element.sent.last().unwrap().1, elsewhere(Transport::Tcp));
    assert_eq!(flow_of_bye(&mut element, id), elsewhere(Transport::Tcp));
}

#[test]
fn the_user_is_told_when_the_connection_of_a_call_under_way_is_lost() {
    let lost = |transport: Transport, status: u16| {
        let mut element = Element::new();
        element.invite(new_invite(flow(transport)));
        let invite = element.last_request(&Method::INVITE).clone();
        element.receive_along(response_to(&invite, status, "p", ""), flow(transport));
        element.endpoint.handle_unreachable(flow(transport), element.now);
        element.collect();
        let told =
            element.invite_events().into_iter().filter(|event| matches!(event, InviteEvent::Disconnected));
        (told.count(), element.gone().is_some())
    };
    for status in [100, 180] {
        assert_eq!(lost(Transport::Tcp, status), (1, false), "{status}");
        assert_eq!(lost(Transport::Udp, status), (0, false), "{status}");
    }
    assert_eq!(lost(Transport::Tcp, 486), (0, true));
}

#[test]
fn a_phone_that_has_said_nothing_when_its_connection_is_lost_is_gone() {
    let mut element = Element::new();
    element.invite(new_invite(flow(Transport::Tcp)));
    element.endpoint.handle_unreachable(flow(Transport::Tcp), element.now);
    element.collect();
    assert!(element.gone().is_some());
}

#[test]
fn whoever_comes_back_along_another_way_is_told_there() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let (before, after) = (flow(transport), elsewhere(transport));
        let (mut element, id, _) = standing(transport);
        element.endpoint.handle_moved(before, after, |moved| moved == id);
        assert_eq!(flow_of_bye(&mut element, id), after, "{transport:?}");
        let (mut element, id, _) = ringing(transport);
        element.endpoint.handle_moved(before, after, |moved| moved == id);
        element.hang_up(id, None);
        let (_, along, cancel) = element.sent.last().unwrap();
        assert_eq!((&cancel.header().cseq.method, *along), (&Method::CANCEL, after), "{transport:?}");
        let (mut element, id, _) = standing(transport);
        element.endpoint.handle_moved(after, before, |moved| moved == id);
        element.endpoint.handle_moved(before, after, |moved| moved != id);
        assert_eq!(flow_of_bye(&mut element, id), before, "somebody else moved");
    }
}

#[test]
fn an_answer_without_contact_is_acknowledged_where_the_invite_was_sent() {
    let (mut element, id, invite) = ringing(Transport::Udp);
    let answer = String::from_utf8(response_to(&invite, 200, "p", "answer")).unwrap();
    let without: Vec<&str> = answer.split("\r\n").filter(|line| !line.starts_with("Contact")).collect();
    element.receive_along(without.join("\r\n"), flow(Transport::Udp));
    let ack = element.last_request(&Method::ACK);
    assert_eq!(ack.uri.to_string(), invite.uri.to_string());
    assert_eq!(element.sent.last().unwrap().1, flow(Transport::Udp));
    assert_eq!(flow_of_bye(&mut element, id), flow(Transport::Udp));
}

/// A carrier has called along that connection, with this Contact and these lines before it; and its tag of ours.
fn called(along: Flow, contact: &str, lines: &str) -> (Element, InviteId, String) {
    let mut element = Element::new();
    let text = invite_text("z9hG4bK1").replace("/UDP", &format!("/{}", along.transport.via_word()));
    let text = text.replace("<sip:bob@192.0.2.9:5070>", contact);
    element.receive_along(text.replacen("Contact:", &format!("{lines}Contact:"), 1), along);
    let id = element.take_last_from(Reach::ByRoute(Some(PeerId::of("carrier"))));
    element.accept(id, b"answer");
    let local = element.last_response().header.to.tag().unwrap().to_owned();
    element.receive_along(request_text("ACK", "1", "p", &local, 1, ""), along);
    (element, id, local)
}

fn by_carrier(remote: &str, transport: Transport) -> Flow {
    Flow { remote: remote.parse().unwrap(), ..flow(transport) }
}

#[test]
fn a_carrier_whose_own_connection_is_closed_is_reached_where_it_listens_and_has_to_prove_its_name_there() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let came_from = by_carrier("203.0.113.9:40001", transport);
        let default = transport.default_port();
        for (contact, lines, expected) in [
            ("<sip:n@203.0.113.9:5999>", "", "203.0.113.9:5999".to_owned()),
            ("<sip:n@203.0.113.9>", "", format!("203.0.113.9:{default}")),
            ("<sip:n@203.0.113.77:5070>", "", "203.0.113.77:5070".into()),
            ("<sip:n@10.1.1.1:5070>", "", "203.0.113.9:5070".into()),
            ("<sip:n@edge.carrier.example>", "", format!("203.0.113.9:{default}")),
            ("<sip:n@[2001:db8::9]:5070>", "", "203.0.113.9:5070".into()),
            ("<sip:n@10.1.1.1>", "Record-Route: <sip:203.0.113.10:5090;lr>\r\n", "203.0.113.10:5090".into()),
        ] {
            let (mut element, id, _) = called(came_from, contact, lines);
            element.endpoint.handle_unreachable(came_from, element.now);
            let to = flow_of_bye(&mut element, id);
            assert_eq!(to.remote.to_string(), expected, "{contact} {lines}");
            let peer = (transport == Transport::Tls).then(|| PeerId::of("carrier"));
            assert_eq!(to.peer, peer, "{contact} {lines}");
        }
    }
}

#[test]
fn the_newest_connection_of_a_carrier_is_the_one_that_counts() {
    let transport = Transport::Tls;
    let (first, second) =
        (by_carrier("203.0.113.9:40001", transport), by_carrier("203.0.113.9:40777", transport));
    let contact = "<sip:n@203.0.113.9:5999>";
    let (mut element, id, _) = called(first, contact, "");
    assert_eq!(flow_of_bye(&mut element, id), first, "as long as it is there");
    for close in [None, Some(first)] {
        let (mut element, id, local) = called(first, contact, "");
        element.receive_along(request_text("OPTIONS", "1", "p", &local, 2, ""), second);
        if let Some(closed) = close {
            element.endpoint.handle_unreachable(closed, element.now);
        }
        assert_eq!(flow_of_bye(&mut element, id), second, "{close:?}");
    }
    let (mut element, id, local) = called(first, contact, "");
    element.receive_along(request_text("OPTIONS", "1", "p", &local, 2, ""), second);
    element.endpoint.handle_unreachable(second, element.now);
    let anew = Flow { peer: Some(PeerId::of("carrier")), ..by_carrier("203.0.113.9:5999", transport) };
    assert_eq!(flow_of_bye(&mut element, id), anew);
    // It has called from there, whose call we have made.
    let (mut element, id, invite) = standing(Transport::Tcp);
    element.endpoint.handle_unreachable(flow(Transport::Tcp), element.now);
    receive(&mut element, &invite, "OPTIONS", "p", 1, flow(Transport::Tcp));
    assert_eq!(flow_of_bye(&mut element, id), flow(Transport::Tcp));
}

#[test]
fn what_is_kept_of_a_call_of_a_carrier_leads_to_where_it_listens() {
    let first = by_carrier("203.0.113.9:40001", Transport::Tls);
    let (element, id, _) = called(first, "<sip:n@203.0.113.9:5999>", "");
    let anew = Flow { peer: Some(PeerId::of("carrier")), ..by_carrier("203.0.113.9:5999", Transport::Tls) };
    assert_eq!(element.endpoint.saved(id).unwrap().flow, anew);
    assert_ne!(PeerId::of("carrier"), PeerId::of("carrier 2"));
    assert_eq!(PeerId::of("carrier"), PeerId(0x5803_587e_6791_c119), "the same in each process");
}
