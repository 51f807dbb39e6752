//! Answers to datagrams whose sender may be somebody else: so small that nobody gains by letting us send them.

use crate::Flow;
use sip_message::{FieldName, Request, Response};

/// What an answer can do without, the most dispensable first. A challenge stays as long as any other can go.
const DISPENSABLE: [FieldName; 5] = [
    FieldName::ACCEPT,
    FieldName::SUPPORTED,
    FieldName::SERVER,
    FieldName::ALLOW,
    FieldName::WWW_AUTHENTICATE,
];

/// The response, with as much of it as there may be; `None` when even the rest is too much. Over a connection the sender
/// is who it seems to be.
pub(super) fn fitted(request: &Request, mut response: Response, flow: Flow) -> Option<Vec<u8>> {
    let whole = response.print();
    if flow.transport.is_reliable() || request.octets == 0 {
        return Some(whole);
    }
    let most = octets_max(request.octets);
    if whole.len() <= most {
        return Some(whole);
    }
    for name in DISPENSABLE {
        let compact = response.print_compact();
        if compact.len() <= most {
            return Some(compact);
        }
        // Of several challenges the first is the one that suits the phone.
        let kept = if name == FieldName::WWW_AUTHENTICATE { 1 } else { 0 };
        response.header.fields.keep(&name, kept);
    }
    Some(response.print_compact()).filter(|octets| octets.len() <= most)
}

/// One and a half times what was asked with; twice that for what is smaller than any phone's request.
fn octets_max(request: usize) -> usize {
    if request >= 400 { request * 3 / 2 } else { request * 2 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Transport;
    use sip_message::{Message, StatusCode};

    fn flow(transport: Transport) -> Flow {
        let address = |text: &str| text.parse().expect("an address");
        Flow { transport, local: address("192.0.2.1:5060"), remote: address("192.0.2.9:5070"), peer: None }
    }

    /// A REGISTER with as little in it as there can be, and `more` octets beside.
    fn register(more: usize) -> Request {
        let pad = if more > 5 { format!("X: {}\r\n", "a".repeat(more - 5)) } else { String::new() };
        let text = format!(
            "REGISTER sip:a.example SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1;rport\r\n\
             f: <sip:1@a.example>;tag=1\r\nt: <sip:1@a.example>\r\ni: 1\r\nCSeq: 1 REGISTER\r\n{pad}\r\n"
        );
        match Message::parse(text.as_bytes()).expect("a request") {
            Message::Request(request) => request,
            Message::Response(_) => unreachable!("a request"),
        }
    }

    /// A challenge with a realm of that length, as an endpoint makes it.
    fn challenge(request: &Request, realm: usize) -> Response {
        let mut response = request.response(StatusCode::UNAUTHORIZED);
        response.header.to.parameters.set("tag", Some("0123456789abcdef"));
        for algorithm in ["MD5", "SHA-256"] {
            let (realm, nonce) = ("r".repeat(realm), "0".repeat(48));
            let value =
                format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"");
            response.header.fields.push(FieldName::WWW_AUTHENTICATE, value);
        }
        response.header.fields.push(FieldName::SERVER, "dialbridge");
        response.header.fields.push(FieldName::SUPPORTED, "timer, 100rel, replaces, path");
        response
    }

    #[test]
    fn an_answer_is_never_twice_as_large_and_challenges_as_long_as_it_can() {
        for more in 0..600 {
            for realm in [9, 63] {
                let request = register(more);
                let answer = fitted(&request, challenge(&request, realm), flow(Transport::Udp));
                let most = if request.octets >= 400 { request.octets * 3 / 2 } else { request.octets * 2 };
                let challenges = answer.map(|octets| {
                    assert!(octets.len() <= most, "{} for {}", octets.len(), request.octets);
                    String::from_utf8(octets).expect("text").matches("WWW-Authenticate").count()
                });
                assert!(challenges != Some(0));
                // No phone asks with less than 300 octets.
                if request.octets >= 300 {
                    assert!(challenges >= Some(1), "{} {realm}", request.octets);
                }
            }
        }
    }

    #[test]
    fn nothing_is_left_out_over_a_connection() {
        let request = register(0);
        let whole = challenge(&request, 63).print();
        assert_eq!(fitted(&request, challenge(&request, 63), flow(Transport::Tcp)), Some(whole));
    }

    #[test]
    fn what_goes_first_is_what_nobody_misses() {
        let answers = (0..200).filter_map(|more| {
            let request = register(more);
            fitted(&request, challenge(&request, 30), flow(Transport::Udp))
        });
        let texts: Vec<String> = answers.map(|octets| String::from_utf8(octets).expect("text")).collect();
        let has = |text: &String, name: &str| text.contains(name);
        let two = |text: &&String| text.matches("WWW-Authenticate").count() == 2;
        assert!(texts.iter().filter(two).any(|text| !has(text, "Supported") && has(text, "Server")));
        assert!(texts.iter().filter(two).any(|text| !has(text, "Server")));
        assert!(texts.iter().all(|text| has(text, "algorithm=MD5")), "the first challenge stays");
    }
}
