//! Where two other parsers read a message too, they read the same.
use bytes::Bytes;
use rsip::prelude::{HasHeaders, HeadersExt, UntypedHeader};
use sip_message::{Contacts, Header, Message, NameAddr};
use sipx_sip::headers::{Address, ContactValue};
use sipx_sip::message::Headers;
use std::path::Path;

fn corpus() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let mut files = Vec::new();
    for folder in ["rfc4475", "rfc5118", "generated"] {
        for entry in std::fs::read_dir(root.join(folder)).expect(folder) {
            let path = entry.expect(folder).path();
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            files.push((name, std::fs::read(path).expect("a file of the corpus")));
        }
    }
    files.sort();
    files
}

/// One line for each thing that both know.
type Facts = Vec<String>;

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

fn ours(message: &Message) -> Facts {
    let mut facts = match message {
        Message::Request(request) => {
            vec![
                format!("{} {}", request.method, host_of(&request.uri)),
                format!("body {:?}", text(&request.body)),
            ]
        }
        Message::Response(response) => {
            vec![response.status.to_string(), format!("body {:?}", text(&response.body))]
        }
    };
    let Header { via, from, to, call_id, cseq, contact, .. } = message.header();
    for via in via {
        facts.push(format!("via {} {} {:?} {:?}", via.transport, bare(&via.host), via.port, via.branch()));
    }
    facts.extend([our_address("from", from), our_address("to", to)]);
    facts.extend([format!("id {}", call_id.0), format!("cseq {} {}", cseq.number, cseq.method)]);
    match contact {
        None => {}
        Some(Contacts::Star) => facts.push("contact *".to_owned()),
        Some(Contacts::List(list)) => {
            facts.extend(list.iter().map(|contact| our_address("contact", contact)))
        }
    }
    facts
}

/// They print IPv6 addresses without brackets.
fn bare(host: &sip_message::Host) -> String {
    host.to_string().trim_matches(['[', ']']).to_owned()
}

fn host_of(uri: &sip_message::Uri) -> String {
    uri.as_sip().map_or_else(String::new, |uri| format!("{:?} {} {:?}", uri.user, bare(&uri.host), uri.port))
}

fn our_address(name: &str, address: &NameAddr) -> String {
    format!("{name} {:?} {} tag {:?}", address.display_name, host_of(&address.uri), address.tag())
}

fn theirs(octets: &[u8]) -> Option<Facts> {
    let message =
        sipx_sip::parse_datagram(Bytes::copy_from_slice(octets), &sipx_sip::Limits::datagram()).ok()?;
    let body = format!("body {:?}", text(message.body()));
    let mut facts = match &message {
        sipx_sip::Message::Request(request) => {
            vec![format!("{} {}", text(request.method.as_bytes()), their_host_of(&request.uri)), body]
        }
        sipx_sip::Message::Response(response) => vec![response.status.code().to_string(), body],
    };
    facts.extend(their_header(message.headers())?);
    Some(facts)
}

fn their_header(headers: &Headers) -> Option<Facts> {
    let mut facts = Facts::new();
    for via in headers.typed_all::<sipx_sip::Via>() {
        let via = via.ok()?;
        let (host, branch) = (text(&via.host.to_bytes()), via.branch().map(text));
        facts.push(format!("via {} {host} {:?} {branch:?}", text(&via.transport), via.port));
    }
    facts.push(their_address("from", &headers.typed::<sipx_sip::headers::From>()?.ok()?.0));
    facts.push(their_address("to", &headers.typed::<sipx_sip::headers::To>()?.ok()?.0));
    facts.push(format!("id {}", text(&headers.typed::<sipx_sip::CallId>()?.ok()?.0)));
    let cseq = headers.typed::<sipx_sip::CSeq>()?.ok()?;
    facts.push(format!("cseq {} {}", cseq.sequence, text(cseq.method.as_bytes())));
    for contact in headers.typed_all::<ContactValue>() {
        facts.push(match contact.ok()? {
            ContactValue::Wildcard => "contact *".to_owned(),
            ContactValue::Address(address) => their_address("contact", &address),
        });
    }
    Some(facts)
}

fn their_host_of(uri: &sipx_sip::Uri) -> String {
    let Some(host) = uri.host() else { return String::new() };
    format!("{:?} {} {:?}", uri.user().map(text), text(&host.to_bytes()), uri.port())
}

fn their_address(name: &str, address: &Address) -> String {
    let display = address.display_name.as_deref().map(text).filter(|name| !name.is_empty());
    format!("{name} {display:?} {} tag {:?}", their_host_of(&address.uri), address.tag().map(text))
}

#[test]
fn the_torture_messages_say_the_same_to_both() {
    let (mut both, mut only_ours) = (0, Vec::new());
    for (name, octets) in corpus() {
        let Ok(message) = Message::parse(&octets) else { continue };
        match theirs(&octets) {
            Some(facts) => {
                assert_eq!(ours(&message), facts, "{name}");
                both += 1;
            }
            None => only_ours.push(name),
        }
    }
    assert_eq!(only_ours, Vec::<String>::new());
    assert_eq!(both, 81);
}

#[test]
fn a_plain_message_says_the_same_to_rsip() {
    let mut read = 0;
    for (name, octets) in corpus() {
        if !name.starts_with("stray-") && !name.starts_with("reply-") {
            continue;
        }
        let Ok(message) = Message::parse(&octets) else { continue };
        let rsip =
            rsip::SipMessage::try_from(octets.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let header = message.header();
        assert_eq!(rsip.call_id_header().expect("a Call-ID").value(), &*header.call_id.0, "{name}");
        assert_eq!(rsip.cseq_header().expect("a CSeq").value(), header.cseq.to_string(), "{name}");
        let tag = rsip.from_header().expect("a From").tag().expect("a From").map(|tag| tag.to_string());
        assert_eq!(tag.as_deref(), header.from.tag(), "{name}");
        assert_eq!(
            rsip.headers().iter().filter(|h| matches!(h, rsip::Header::Via(_))).count(),
            header.via.len()
        );
        read += 1;
    }
    assert_eq!(read, 9);
}
