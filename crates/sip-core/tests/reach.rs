//! Where the requests of a dialog with a carrier go: its route set before its Contact, and neither where it hides a
//! private address (RFC 3261 §12.1.2, §12.2.1.1, §13.2.2.4).
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod by_hand;

use by_hand::{Element, PEER, flow, new_invite, response_to};
use sip_core::{Flow, NewInvite, Reach, Transport};
use sip_message::{FieldName, Message, Method, Request};

/// What the 2xx says, and what the requests behind it look like: where each goes, its Request-URI and its Route values.
fn sent(
    reach: Reach,
    along: Flow,
    contact: &str,
    record_routes: &str,
) -> Vec<(Method, String, String, Vec<String>)> {
    let mut element = Element::new();
    let id = element.invite(NewInvite { reach, ..new_invite(along) });
    let invite = element.last_request(&Method::INVITE).clone();
    let before = element.sent.len();
    let answer = |request: &Request, body: &str| {
        let text = String::from_utf8(response_to(request, 200, "p", body)).unwrap();
        let text = text.replace(&format!("<sip:bob@{PEER}>"), contact);
        text.replacen("Contact:", &format!("{record_routes}Contact:"), 1)
    };
    element.receive_along(answer(&invite, "answer"), along);
    element.offer(id, b"another offer");
    let again = element.last_request(&Method::INVITE).clone();
    element.receive_along(answer(&again, "another answer").replace(record_routes, ""), along);
    element.hang_up(id, None);
    let requests = element.sent[before..].iter().filter_map(|(_, flow, message)| match message {
        Message::Request(request) => {
            let routes = request.header.fields.get_all(&FieldName::ROUTE).map(Into::into).collect();
            Some((request.method.clone(), flow.remote.to_string(), request.uri.to_string(), routes))
        }
        Message::Response(_) => None,
    });
    requests.collect()
}

fn from(remote: &str, transport: Transport) -> Flow {
    Flow { remote: remote.parse().unwrap(), ..flow(transport) }
}

const CARRIER: &str = "203.0.113.9:5060";

#[test]
fn a_route_set_goes_before_a_contact_and_a_private_contact_is_never_sent_to() {
    let contact = "<sip:NUM@10.231.0.9:5070>";
    let routes = "Record-Route: <sip:10.255.0.1;r2=on;lr;ftag=x>, <sip:203.0.113.10;r2=on;lr;ftag=x>\r\n";
    let along = from(CARRIER, Transport::Udp);
    let all = sent(Reach::ByRoute(None), along, contact, routes);
    let methods: Vec<&str> = all.iter().map(|(method, ..)| method.as_str()).collect();
    assert_eq!(methods, ["ACK", "INVITE", "ACK", "BYE"]);
    for (method, to, uri, routes) in &all {
        assert_eq!((to.as_str(), uri.as_str()), ("203.0.113.10:5060", "sip:NUM@10.231.0.9:5070"), "{method}");
        let expected = ["<sip:203.0.113.10;r2=on;lr;ftag=x>", "<sip:10.255.0.1;r2=on;lr;ftag=x>"];
        assert_eq!(routes, &expected, "{method}");
    }
}

#[test]
fn without_a_route_set_requests_go_to_the_contact_where_that_can_be_reached() {
    let (udp, tcp) = (Transport::Udp, Transport::Tcp);
    for (remote, transport, contact, expected) in [
        (CARRIER, udp, "<sip:n@203.0.113.77:5070>", "203.0.113.77:5070"),
        (CARRIER, udp, "<sip:n@203.0.113.77>", "203.0.113.77:5060"),
        (CARRIER, udp, "<sip:n@203.0.113.9:5999>", "203.0.113.9:5999"),
        (CARRIER, udp, "<sip:n@192.168.1.9:5070>", CARRIER),
        (CARRIER, udp, "<sip:n@100.64.1.9:5070>", CARRIER),
        (CARRIER, udp, "<sip:n@edge.carrier.example>", CARRIER),
        (CARRIER, udp, "<sip:n@[2001:db8::9]>", CARRIER),
        ("10.0.0.9:5060", udp, "<sip:n@10.0.0.77:5070>", "10.0.0.77:5070"),
        // The connection is kept, whatever port the peer listens on.
        (CARRIER, tcp, "<sip:n@203.0.113.9:5999;transport=tcp>", CARRIER),
        (CARRIER, tcp, "<sip:n@203.0.113.77:5070;transport=tcp>", "203.0.113.77:5070"),
        (CARRIER, Transport::Tls, "<sip:n@203.0.113.77;transport=tls>", "203.0.113.77:5061"),
    ] {
        for (method, to, ..) in sent(Reach::ByRoute(None), from(remote, transport), contact, "") {
            assert_eq!(to, expected, "{method} to {contact} over {transport:?}");
        }
    }
}

#[test]
fn a_phone_is_reached_along_its_flow() {
    let routes = "Record-Route: <sip:203.0.113.10;lr>\r\n";
    for (contact, routes) in [("<sip:n@203.0.113.77:5070>", ""), ("<sip:n@203.0.113.9:5999>", routes)] {
        for (method, to, ..) in sent(Reach::AlongFlow, from(CARRIER, Transport::Udp), contact, routes) {
            assert_eq!(to, CARRIER, "{method}");
        }
    }
}
