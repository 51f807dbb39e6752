//! Keys that the API sends, packet by packet; and REFERs of those whose call it is not: SIPp and raw sockets against the
//! real server.

use Step::{Answer, Await, Invited, Respond};
use serde_json::json;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;
use testbed::line::{FROM_TONE, Line, SOON, TO_TONE, register};
use testbed::{
    Audio, Content, Extension, KeyPacket, Loopback, RtpPeer, Server, ServerOptions, SipText, Sipp, Step,
};

/// Long enough to be found in what is heard.
const TALK: Duration = Duration::from_millis(1500);

/// Rings, answers, says that it understands keys, and waits for the end.
fn understands_keys(line: &Line, party: &str) -> Sipp {
    const FORMATS: &str = "0 101\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15";
    let (at, sound) = if party == "from" { (line.from, &line.from_audio) } else { (line.to, &line.to_audio) };
    let audio = Audio { formats: FORMATS, ..Audio::at(sound.address()) };
    let steps = [
        Invited,
        Respond("180 Ringing", "", None),
        Respond("200 OK", "", Some(audio)),
        Await("ACK"),
        Await("BYE"),
        Answer("200 OK", "", None),
    ];
    Sipp::steps(&steps, at, line.server.folder())
}

#[test]
fn a_key_of_the_api_is_one_event_with_one_timestamp_and_an_end_that_is_repeated_and_no_voice_beside_it() {
    const KEYS: u8 = 101;
    let mut line = Line::open();
    line.from_audio = line.from_audio.with_keys(KEYS);
    line.to_audio = line.to_audio.with_keys(KEYS);
    let (mut from, mut to) = (understands_keys(&line, "from"), understands_keys(&line, "to"));
    let call = line.call();
    let (from_talks, to_talks) = line.talk(&from, &to);
    line.api.wait_for_state(&call, "talking", SOON);
    std::thread::sleep(TALK);
    assert_eq!(line.api.ask(&call, "dtmf", &json!({"party": "to", "digits": "12#"})).status, 200);
    std::thread::sleep(TALK);
    assert_eq!(line.api.hang_up(&call).status, 200);
    from.succeeds(SOON);
    to.succeeds(SOON);
    let (at_from, at_to) = (from_talks.stop(), to_talks.stop());
    assert!(at_from.keys.is_empty(), "the other party hears them, too: {:?}", at_from.keys);
    assert!(at_from.tone_milliseconds(TO_TONE) >= 2500, "{} ms", at_from.tone_milliseconds(TO_TONE));
    assert!(at_to.tone_milliseconds(FROM_TONE) >= 1000, "{} ms", at_to.tone_milliseconds(FROM_TONE));

    // One stream: whatever is sent takes the place of the voice, and nothing is sent twice.
    assert_eq!((at_to.sources.len(), at_to.sequence_jumps, at_to.timestamp_jumps), (1, 0, 0));
    let keys: Vec<&[KeyPacket]> = at_to.keys.chunk_by(|a, b| a.timestamp == b.timestamp).collect();
    assert_eq!(keys.iter().map(|key| key[0].code).collect::<Vec<_>>(), [1, 2, 11], "{keys:?}");
    for key in &keys {
        let first = key[0];
        let runs_on = |(index, packet): (usize, &KeyPacket)| {
            let index = u16::try_from(index).expect("few packets");
            packet.sequence == first.sequence.wrapping_add(index)
                && packet.marker == (index == 0)
                && packet.code == first.code
                && packet.duration == (160 * (index + 1)).min(800)
                && packet.is_end == (index >= 4)
        };
        assert!(key.len() == 7 && key.iter().enumerate().all(runs_on), "{key:?}");
    }
    for pair in keys.windows(2) {
        // 100 ms of key, at least 80 ms of pause.
        let apart = pair[1][0].timestamp.wrapping_sub(pair[0][0].timestamp);
        assert!((1440..4000).contains(&apart), "{apart}: {keys:?}");
    }
}

/// A REFER that belongs to no call of its sender: the final response.
fn refer(from: &UdpSocket, server: SocketAddr, dialog: (&str, &str, &str), lines: &str) -> SipText {
    let (own, branch) = (from.local_addr().expect("an address"), rand::random::<u64>());
    let (call_id, from_tag, to_tag) = dialog;
    let text = format!(
        "REFER sip:1002@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{branch:x};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:1003@pbx.test>;tag={from_tag}\r\nTo: <sip:1002@pbx.test>{to_tag}\r\n\
         Call-ID: {call_id}\r\nCSeq: 7 REFER\r\nContact: <sip:1003@{own}>\r\n\
         Refer-To: <sip:1003@pbx.test>\r\n{lines}Content-Length: 0\r\n\r\n"
    );
    from.send_to(text.as_bytes(), server).expect("it is sent");
    let mut octets = [0; 4096];
    let length = from.recv(&mut octets).expect("an answer");
    SipText::new(&String::from_utf8_lossy(&octets[..length]))
}

#[test]
fn a_stranger_and_a_phone_of_another_call_transfer_nothing() {
    let numbers = ["1001", "1002", "1003", "1004"];
    let extensions = numbers.map(|number| Extension::new(number, number)).to_vec();
    let server = Server::start_with(&ServerOptions { extensions, ..ServerOptions::default() });
    let ips = numbers.map(|_| Loopback::claim());
    let at = [0, 1, 2, 3].map(|index: usize| ips[index].free_port());
    let audio = [0, 1, 2, 3].map(|index: usize| RtpPeer::bind(ips[index].ip()));
    for (at, extension) in at.iter().zip(&server.extensions) {
        register(&server, *at, extension);
    }
    let (api, folder) = (server.api(), server.folder());
    let phone = |index: usize| Sipp::start("answer", at[index], audio[index].address(), "-", folder);
    let (mut first, mut second) = (phone(0), phone(1));
    let call = api.place(&json!({"from": "1001", "to": "1002"}));
    api.wait_for_state(&call, "connected", SOON);
    let ack = first.received("ACK", SOON).message;
    let tag = |name| ack.field(name).and_then(|value| value.split("tag=").nth(1)).expect("a tag");
    let (call_id, servers, phones) = (ack.field("Call-ID").expect("a Call-ID"), tag("From"), tag("To"));
    let target = format!("Target-Dialog: {call_id};local-tag={phones};remote-tag={servers}\r\n");
    let stranger = UdpSocket::bind((ips[3].ip(), 0)).expect("a socket");
    stranger.set_read_timeout(Some(SOON)).expect("a limit");
    let servers_tag = format!(";tag={servers}");
    for (dialog, lines) in [
        (("of-a-stranger", "a", ""), ""),
        (("of-a-stranger", "b", ""), &*target),
        ((call_id, "c", ""), ""),
        ((call_id, "d", &*servers_tag), ""),
        ((call_id, phones, ";tag=e"), ""),
    ] {
        let answer = refer(&stranger, server.sip, dialog, lines);
        assert_eq!(answer.status(), Some(481), "{dialog:?} {lines}: {}", answer.as_str());
    }
    // And one that is in another call.
    let replaces = format!("{call_id}%3Bto-tag%3D{servers}%3Bfrom-tag%3D{phones}");
    let lines = format!("Refer-To: <sip:1002@pbx.test?Replaces={replaces}>").leak();
    let steps = [
        Invited,
        Respond("200 OK", "", Some(Audio::at(audio[2].address()))),
        Await("ACK"),
        Step::Pause(1000),
        Step::Ask("REFER", lines, Content::Nothing),
        Step::Expect(403),
        Await("BYE"),
        Answer("200 OK", "", None),
    ];
    let (mut third, mut fourth) = (Sipp::steps(&steps, at[2], folder), phone(3));
    let other = api.place(&json!({"from": "1003", "to": "1004"}));
    api.wait_for_state(&other, "connected", SOON);
    let denied = api.wait(&other, SOON, "refused", |call| call["path"] != json!([]));
    let step = &denied["path"][0];
    assert_eq!((&step["step"], &step["party"]), (&json!("transfer.denied"), &json!("from")), "{denied:#}");
    assert_eq!(api.call(&call).body["path"], json!([]));
    for call in [&call, &other] {
        assert_eq!(api.hang_up(call).status, 200);
        let ended = api.wait_for_state(call, "ended", SOON);
        assert_eq!(ended["end"]["reason"], json!("hung_up"), "{ended:#}");
    }
    for phone in [&mut first, &mut second, &mut third, &mut fourth] {
        phone.succeeds(SOON);
    }
}
