//! Malformed bodies, each with what is right for it.

use sdp::{Direction, Format, Origin, ReceivedOffer, SdpError};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/torture")
}

fn answered(body: &[u8]) -> Result<String, SdpError> {
    let offer = ReceivedOffer::parse(body)?;
    let ours = Format { payload_type: 0, name: "PCMU".into(), clock_rate: 8_000, channels: 1, fmtp: None };
    let address = SocketAddr::from(([127, 0, 0, 1], 20_000));
    let origin = Origin { session_id: 1, version: 1 };
    let answer = offer.answer(&origin, address, &[ours], Direction::SendRecv)?;
    Ok(String::from_utf8_lossy(&answer.print()).into_owned())
}

#[test]
fn every_case_gets_what_it_expects() {
    let text = std::fs::read_to_string(folder().join("cases.json")).expect("cases.json");
    let cases: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let cases = cases["cases"].as_array().expect("a list");
    assert_eq!(cases.len(), 30);
    let mut wrong = Vec::new();
    for case in cases {
        let id = case["id"].as_str().expect("an id");
        let body = std::fs::read(folder().join(format!("{id}.sdp"))).expect("a file");
        let start = Instant::now();
        let result = answered(&body);
        if start.elapsed() > Duration::from_millis(100) {
            wrong.push(format!("{id}: slow"));
        }
        let expect = &case["expect"];
        let accepted_is_wrong = expect["action"] == "reject";
        let refused_is_wrong = expect["prefer"] == "accept";
        match &result {
            Ok(answer) if answer.contains(char::REPLACEMENT_CHARACTER) => {
                wrong.push(format!("{id}: no UTF-8"))
            }
            Ok(answer) if accepted_is_wrong => wrong.push(format!("{id}: accepted with {answer}")),
            Err(error) if refused_is_wrong => wrong.push(format!("{id}: refused with {error:?}")),
            Ok(_) | Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn refusal(id: &str) -> SdpError {
    answered(&std::fs::read(folder().join(format!("{id}.sdp"))).expect("a file")).expect_err("a refusal")
}

#[test]
fn refusals_name_the_fact() {
    assert_eq!(refusal("x-version-one"), SdpError::NoVersion);
    assert_eq!(refusal("x-conn-none"), SdpError::NoConnection);
    assert_eq!(refusal("x-conn-999"), SdpError::NotAnAddress);
    assert_eq!(refusal("x-conn-family"), SdpError::NotAnAddress);
    assert_eq!(refusal("x-format-128"), SdpError::NotAPayloadType);
    assert_eq!(refusal("x-rtpmap-rate0"), SdpError::NoUsableFormat);
    assert!(matches!(refusal("x-port-65536"), SdpError::Syntax(_)));
    assert!(matches!(refusal("x-target-broadcast"), SdpError::ForbiddenAddress(_)));
    assert!(matches!(refusal("x-target-multicast"), SdpError::ForbiddenAddress(_)));
    assert!(matches!(refusal("x-bomb-media"), SdpError::TooManyMedia { .. }));
    assert!(matches!(refusal("x-bomb-line"), SdpError::LineTooLong { .. }));
}

#[test]
fn an_unspecified_address_is_hold() {
    let body = std::fs::read(folder().join("x-target-zero.sdp")).expect("a file");
    let offer = ReceivedOffer::parse(&body).expect("an offer");
    let audio = offer.audio().expect("audio");
    assert!(audio.rtp.ip().is_unspecified());
    assert!(!audio.direction.receives());
    assert!(answered(&body).expect("an answer").contains("a=recvonly\r\n"));
}
