//! The messages of RFC 4475 and RFC 5118, and a hundred generated ones, as octets in files: what the parser says
//! to each.
use sip_message::{Message, ParseErrorKind, Request, Response, Salvage};
use std::path::Path;

#[path = "torture/generated.rs"]
mod generated;
#[path = "torture/rfc4475.rs"]
mod rfc4475;
#[path = "torture/rfc5118.rs"]
mod rfc5118;

fn octets(file: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture").join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A message that is well formed, and whose print is read and printed again without a change.
fn accepted(file: &str) -> Message {
    let message = Message::parse(&octets(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let printed = print(&message);
    let again = Message::parse(&printed).unwrap_or_else(|error| panic!("{file}, printed: {error}"));
    assert_eq!(String::from_utf8_lossy(&print(&again)), String::from_utf8_lossy(&printed), "{file}");
    message
}

fn print(message: &Message) -> Vec<u8> {
    match message {
        Message::Request(request) => request.print(),
        Message::Response(response) => response.print(),
    }
}

fn request(file: &str) -> Request {
    match accepted(file) {
        Message::Request(request) => request,
        Message::Response(_) => panic!("{file} is a response"),
    }
}

fn response(file: &str) -> Response {
    match accepted(file) {
        Message::Response(response) => response,
        Message::Request(_) => panic!("{file} is a request"),
    }
}

/// A request that is refused with an answer, and the answer is well formed.
fn refused(file: &str, kind: ParseErrorKind, status: u16) -> Salvage {
    let error = Message::parse(&octets(file)).expect_err(file);
    assert_eq!(error.kind, kind, "{file}");
    let salvage = *error.salvage.unwrap_or_else(|| panic!("{file}: nothing to answer with"));
    assert_eq!(salvage.status.code(), status, "{file}");
    let answer = salvage.response().print();
    assert_well_formed(file, &answer, status);
    assert!(answer.len() < 3000.max(octets(file).len() * 3), "{file}: {} octets", answer.len());
    salvage
}

/// A message that is refused without an answer.
fn dropped(file: &str, kind: ParseErrorKind) {
    let error = Message::parse(&octets(file)).expect_err(file);
    assert_eq!(error.kind, kind, "{file}");
    assert!(error.salvage.is_none(), "{file}");
}

/// What whoever gets the answer asks of it.
fn assert_well_formed(file: &str, answer: &[u8], status: u16) {
    let text = std::str::from_utf8(answer).unwrap_or_else(|error| panic!("{file}: {error}"));
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{file}: {text}"));
    assert!(head.starts_with(&format!("SIP/2.0 {status} ")), "{file}: {head}");
    assert!(body.is_empty(), "{file}: {body}");
    for line in head.split("\r\n").skip(1) {
        assert!(line.contains(": ") && !line.contains(['\r', '\n', '\0']), "{file}: {line:?}");
    }
    for name in ["Via: ", "From: ", "To: ", "Call-ID: ", "CSeq: ", "Content-Length: 0"] {
        assert!(head.contains(&format!("\r\n{name}")), "{file}: {name} in {head}");
    }
}
