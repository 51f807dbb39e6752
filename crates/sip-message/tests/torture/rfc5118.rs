//! RFC 5118 §4, one test for each message, and the same as they were archived, with bare LF.
use super::{accepted, octets, refused, request};
use sip_message::{Contacts, Host, Message, ParseErrorKind, Uri};

fn host(uri: &Uri) -> &Host {
    &uri.as_sip().unwrap_or_else(|| panic!("{uri}")).host
}

fn address(text: &str) -> Host {
    Host::Address(text.parse().unwrap_or_else(|error| panic!("{text}: {error}")))
}

#[test]
fn ipv6_references_are_read() {
    let request = request("rfc5118/ipv6-good.dat");
    assert_eq!(host(&request.uri), &address("2001:db8::10"));
    assert_eq!(request.header.via[0].host, address("2001:db8::9:1"));
    assert!(
        matches!(&request.header.contact, Some(Contacts::List(list)) if host(&list[0].uri) == &address("2001:db8::1"))
    );
}

#[test]
fn an_ipv6_address_without_brackets_is_refused() {
    refused("rfc5118/ipv6-bad.dat", ParseErrorKind::RequestUri, 400);
}

#[test]
fn the_last_group_of_an_address_is_no_port() {
    let uri = request("rfc5118/port-ambiguous.dat").uri;
    assert_eq!((host(&uri), uri.as_sip().and_then(|uri| uri.port)), (&address("2001:db8::10:5070"), None));
}

#[test]
fn a_port_stands_outside_the_brackets() {
    let uri = request("rfc5118/port-unambiguous.dat").uri;
    assert_eq!((host(&uri), uri.as_sip().and_then(|uri| uri.port)), (&address("2001:db8::10"), Some(5070)));
}

#[test]
fn received_may_have_brackets() {
    let via = &request("rfc5118/via-received-param-with-delim.dat").header.via[0];
    assert_eq!(via.received(), "2001:db8::9:255".parse().ok());
}

#[test]
fn received_may_have_no_brackets() {
    let via = &request("rfc5118/via-received-param-no-delim.dat").header.via[0];
    assert_eq!(via.received(), "2001:db8::9:255".parse().ok());
}

#[test]
fn bodies_are_not_looked_at() {
    assert!(request("rfc5118/ipv6-in-sdp.dat").body.starts_with(b"v=0\r\n"));
    assert!(request("rfc5118/mult-ip-in-sdp.dat").body.starts_with(b"v=0\r\n"));
}

#[test]
fn both_families_may_stand_in_one_header() {
    let via = request("rfc5118/mult-ip-in-header.dat").header.via;
    let hosts: Vec<_> = via.iter().map(|via| via.host.to_string()).collect();
    assert_eq!(hosts, ["[2001:db8::9:1]", "192.0.2.1", "[2001:db8::9:255]"]);
}

#[test]
fn mapped_addresses_are_read() {
    let request = request("rfc5118/ipv4-mapped-ipv6.dat");
    assert!(request.header.via.iter().any(|via| via.host == address("::ffff:192.0.2.10")));
    assert!(request.header.via.iter().any(|via| via.port == Some(19823)));
}

#[test]
fn three_colons_are_tolerated() {
    let two = request("rfc5118/ipv6-correct-abnf-2-colons.dat").uri;
    let three = request("rfc5118/ipv6-bug-abnf-3-colons.dat").uri;
    assert_eq!(host(&two), &address("2001:db8::192.0.2.1"));
    assert!(two.is_equivalent(&three));
}

/// The archived octets: bare LF, and Content-Length counted for CRLF.
#[test]
fn the_archived_forms_are_read_or_refused_with_an_answer() {
    for name in [
        "ipv4-mapped-ipv6",
        "ipv6-bad",
        "ipv6-bug-abnf-3-colons",
        "ipv6-correct-abnf-2-colons",
        "ipv6-good",
        "ipv6-in-sdp",
        "mult-ip-in-header",
        "mult-ip-in-sdp",
        "port-ambiguous",
        "port-unambiguous",
        "via-received-param-no-delim",
        "via-received-param-with-delim",
    ] {
        let file = format!("rfc5118-archive/{name}.dat");
        match Message::parse(&octets(&file)) {
            Ok(_) => {
                accepted(&file);
            }
            Err(error) => assert_eq!(error.salvage.map(|salvage| salvage.status.code()), Some(400), "{file}"),
        }
    }
}
