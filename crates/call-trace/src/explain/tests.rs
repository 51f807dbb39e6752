//! Calls made of messages by hand: what phones and networks do that nobody else in the tests does.

use super::*;
use crate::{FarEnd, RungPhone, Tracer};
use call_control::{
    CallDirection, CallId, CallState, End, EndedBy, Media, Number, PartyState, PartyType, PartyView,
    q850_cause,
};
use sip_message::Transport;

const START: i64 = 1_795_255_200_000;
const PHONE: &str = "203.0.113.7:5060";

/// A call, and what is noted of it.
struct Case {
    tracer: Tracer,
    call: Call,
    now: i64,
    transport: Transport,
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_unix_milliseconds(START + milliseconds).unwrap()
}

fn sdp(address: &str, formats: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio 4000 RTP/AVP {formats}\r\n"
    )
}

fn media(codec: &str, packets_received: u64, packets_lost: u64, mos: Option<f64>) -> Option<Media> {
    Some(Media {
        codec: codec.into(),
        packets_received,
        packets_lost,
        packets_from_strangers: 0,
        strangers: Vec::new(),
        packets_not_agreed: 0,
        jitter_ms: 1.0,
        mos,
        first_packet_ms_after_answer: None,
    })
}

impl Case {
    /// An INVITE with PCMA and PCMU has just been sent to the phone of `to`.
    fn begin(transport: Transport) -> Self {
        let party = |number| PartyView::waiting(Number::new(number).unwrap(), PartyType::Extension);
        let id = CallId::new(START.unsigned_abs(), &[1; 10]);
        let mut call = Call::beginning(id, [party("1001"), party("1002")], CallDirection::Internal, at(0));
        call.state = CallState::CallingTo;
        let mut case = Self { tracer: Tracer::default(), call, now: 0, transport };
        let phone = RungPhone {
            far_end: case.far_end(),
            registered_at: START - 61_000,
            user_agent: "Desk <1>",
            trunk: None,
        };
        case.tracer.begin_dialog(case.call.call_id, Party::To, "d@h", &phone);
        case.send("INVITE", "1 INVITE", "", &sdp("198.51.100.1", "8 0"));
        case
    }

    fn far_end(&self) -> FarEnd {
        FarEnd { transport: self.transport, address: PHONE.parse().unwrap() }
    }

    fn note(&mut self, is_sent: bool, start: &str, cseq: &str, fields: &str, body: &str) {
        // Whoever has answered knows the other one's tag.
        let tag = if start == "INVITE" && self.call.connected_at.is_none() { "" } else { ";tag=b" };
        let (start, to) = match start.split_once(' ') {
            Some(_) => (format!("SIP/2.0 {start}"), tag),
            None => (format!("{start} sip:1002@{PHONE} SIP/2.0"), tag),
        };
        let kind = if body.is_empty() { "" } else { "c: application/sdp\r\n" };
        let text = format!(
            "{start}\r\nv: SIP/2.0/UDP h;branch=z9hG4bK1\r\nf: <sip:1001@h>;tag=a\r\nt: <sip:1002@h>{to}\r\n\
             i: d@h\r\nCSeq: {cseq}\r\n{fields}{kind}l: {}\r\n\r\n{body}",
            body.len()
        );
        self.tracer.note(text.as_bytes(), self.far_end(), is_sent, START + self.now);
        self.now += 100;
    }

    fn send(&mut self, start: &str, cseq: &str, fields: &str, body: &str) {
        self.note(true, start, cseq, fields, body);
    }

    fn receive(&mut self, start: &str, cseq: &str, fields: &str, body: &str) {
        self.note(false, start, cseq, fields, body);
    }

    /// The phone answers, and both are connected.
    fn connect(&mut self, fields: &str, body: &str) {
        self.connect_with(1, fields, body);
    }

    /// The phone answers the INVITE of this CSeq number.
    fn connect_with(&mut self, cseq: u32, fields: &str, body: &str) {
        self.receive("200 OK", &format!("{cseq} INVITE"), fields, body);
        self.send("ACK", &format!("{cseq} ACK"), "", "");
        self.call.connected_at = Some(at(self.now));
        self.call.state = CallState::Talking;
        for party in PARTIES {
            let view = self.call.party_mut(party);
            view.state = PartyState::Answered;
            view.answered_at = Some(at(self.now));
            view.media = media("PCMA", 500, 0, Some(4.4));
        }
    }

    fn end(&mut self, reason: EndReason, by: EndedBy, party: Option<Party>, sip_status: Option<u16>) {
        self.call.state = CallState::Ended;
        self.call.ended_at = Some(at(self.now));
        let q850_cause = sip_status.and_then(q850_cause);
        self.call.end = Some(End { reason, by, party, sip_status, q850_cause, into: None });
    }

    /// The phone refuses, and that ends the call.
    fn refused(mut self, reason: &str, fields: &str, body: &str) -> Vec<Finding> {
        let status = reason[..3].parse().unwrap();
        self.receive(reason, "1 INVITE", fields, body);
        self.end(EndReason::of_status(status), EndedBy::To, Some(Party::To), Some(status));
        self.findings()
    }

    fn findings(&self) -> Vec<Finding> {
        let octets = self.tracer.octets_of(self.call.call_id);
        explain(&self.call, Some(&octets), at(self.now)).findings
    }
}

fn codes(findings: &[Finding]) -> Vec<FindingCode> {
    findings.iter().map(|finding| finding.code).collect()
}

fn numbers(finding: &Finding) -> Vec<u32> {
    finding.evidence.iter().map(|message| message.number).collect()
}

#[track_caller]
fn says(finding: &Finding, words: &[&str]) {
    for word in words {
        assert!(finding.sentence.contains(word), "{word:?} is not in {:?}", finding.sentence);
    }
}

#[test]
fn what_a_refusing_phone_gives_as_its_reasons_is_passed_on() {
    let fields = "Reason: Q.850;cause=17;text=\"in a meeting\"\r\nRetry-After: 120 (soon)\r\n\
                  Warning: 399 h \"nobody there\"\r\n";
    let findings = Case::begin(Transport::Udp).refused("486 Busy Here", fields, "");
    assert_eq!(codes(&findings), [FindingCode::Busy]);
    says(&findings[0], &["in a meeting", "120 s", "nobody there", "203.0.113.7:5060 (Desk <1>)"]);
    assert_eq!((findings[0].severity, findings[0].party), (Severity::Fault, Some(Party::To)));
    assert_eq!(numbers(&findings[0]), [1, 2]);
}

#[test]
fn a_phone_that_sends_elsewhere_or_wants_a_password_is_understood() {
    let findings =
        Case::begin(Transport::Udp).refused("302 Moved", "m: <sip:+4930@trunk.example>, <sip:x@y>\r\n", "");
    assert_eq!(codes(&findings), [FindingCode::Redirected]);
    says(&findings[0], &["sip:+4930@trunk.example, sip:x@y", "not followed"]);
    let fields = "WWW-Authenticate: Digest realm=\"desk\", nonce=\"SECRET\"\r\n";
    let findings = Case::begin(Transport::Udp).refused("401 Unauthorized", fields, "");
    assert_eq!(codes(&findings), [FindingCode::Challenged]);
    says(&findings[0], &["Digest realm=\"desk\", (left out)"]);
    let findings = Case::begin(Transport::Udp).refused("404 Not Found", "", "");
    assert_eq!(codes(&findings), [FindingCode::Refused]);
    says(&findings[0], &["sip:1002@203.0.113.7:5060"]);
}

#[test]
fn what_a_phone_answers_once_it_was_cancelled_is_no_refusal() {
    let mut case = Case::begin(Transport::Udp);
    case.receive("180 Ringing", "1 INVITE", "", "");
    case.now = 30_000;
    case.send("CANCEL", "1 CANCEL", "", "");
    case.receive("486 Busy Here", "1 INVITE", "", "");
    case.end(EndReason::NoAnswer, EndedBy::Server, Some(Party::To), None);
    let findings = case.findings();
    assert_eq!(codes(&findings), [FindingCode::NoAnswer]);
    says(&findings[0], &["rang for 30.1 s"]);
    assert_eq!(numbers(&findings[0]), [1, 2, 3]);
}

#[test]
fn codecs_that_were_offered_and_those_that_the_phone_has_are_named() {
    let findings =
        Case::begin(Transport::Udp).refused("488 Not Acceptable Here", "", &sdp("203.0.113.7", "18 3"));
    assert_eq!(codes(&findings), [FindingCode::NoCommonCodec]);
    says(&findings[0], &["offered PCMA, PCMU.", "It has G729, GSM."]);

    let mut case = Case::begin(Transport::Udp);
    case.receive("200 OK", "1 INVITE", "", &sdp("203.0.113.7", "18"));
    case.send("ACK", "1 ACK", "", "");
    case.send("BYE", "2 BYE", "", "");
    case.end(EndReason::NoCommonCodec, EndedBy::Server, Some(Party::To), None);
    let findings = case.findings();
    assert_eq!(codes(&findings), [FindingCode::NoCommonCodec]);
    says(&findings[0], &["offered PCMA, PCMU and answered G729"]);
    assert_eq!(numbers(&findings[0]), [1, 2]);
}

#[test]
fn a_phone_that_does_not_hear_our_ack_is_found() {
    let mut case = Case::begin(Transport::Udp);
    let contact = "m: <sip:1002@192.168.1.7:5060>\r\n";
    case.connect(contact, &sdp("203.0.113.7", "8"));
    assert_eq!(codes(&case.findings()), [FindingCode::Running]);
    for _ in 0..3 {
        case.receive("200 OK", "1 INVITE", contact, &sdp("203.0.113.7", "8"));
        case.send("ACK", "1 ACK", "", "");
    }
    let findings = case.findings();
    assert_eq!(codes(&findings), [FindingCode::AckNotHeard]);
    says(
        &findings[0],
        &["repeated its answer 4 times", "sip:1002@192.168.1.7:5060", "sent to 203.0.113.7:5060"],
    );
    assert_eq!(numbers(&findings[0]), [2, 3, 8]);
}

#[test]
fn a_phone_that_never_acknowledges_is_found_and_one_that_is_late_is_not() {
    let mut case = Case::begin(Transport::Udp);
    case.connect("", &sdp("203.0.113.7", "8"));
    case.receive("INVITE", "7 INVITE", "", &sdp("203.0.113.7", "8"));
    for _ in 0..5 {
        case.send("200 OK", "7 INVITE", "", &sdp("198.51.100.1", "8"));
    }
    let findings = case.findings();
    assert_eq!(codes(&findings), [FindingCode::AckMissing]);
    says(&findings[0], &["sent 5 times within 0.4 s", "203.0.113.7:5060"]);
    assert_eq!(numbers(&findings[0]), [4, 5, 9]);
    case.receive("ACK", "7 ACK", "", "");
    assert_eq!(codes(&case.findings()), [FindingCode::Running]);
}

#[test]
fn a_connection_that_cannot_be_made_is_told_from_silence() {
    let mut case = Case::begin(Transport::Tcp);
    case.end(EndReason::Unreachable, EndedBy::Server, Some(Party::To), None);
    let findings = case.findings();
    assert_eq!(codes(&findings), [FindingCode::Unreachable]);
    says(&findings[0], &["no connection to it over TCP", "registered last 61.0 s before"]);
    case.now = 32_000;
    case.end(EndReason::Unreachable, EndedBy::Server, Some(Party::To), None);
    says(&case.findings()[0], &["sent once over TCP within 32.0 s"]);
}

/// A call to a phone that answered with this description, which was of no use, and has ended.
fn after_a_useless_answer(description: &str) -> Vec<Finding> {
    let mut case = Case::begin(Transport::Udp);
    case.connect("", description);
    case.now += 100;
    case.end(EndReason::NoCommonCodec, EndedBy::Server, Some(Party::To), None);
    case.findings()
}

#[test]
fn a_description_that_cannot_be_used_is_said_with_its_line_and_limit() {
    let usual = sdp("192.0.2.7", "8");
    let many = "a=\n".repeat(2_100);
    for (description, words) in [
        (sdp("169.254.1.1", "8"), ["nothing may be sent", "169.254.1.1"]),
        (sdp("127.0.0.1", "8"), ["nothing may be sent", "127.0.0.1"]),
        (format!("{usual}{many}"), ["beyond the 2000 lines", "line 2006"]),
        (usual.replace("c=IN", "q IN"), ["cannot be read", "line 4"]),
        (usual.replace("m=audio", "m=video"), ["", ""]),
    ] {
        let findings = after_a_useless_answer(&description);
        if words[0].is_empty() {
            assert_eq!(codes(&findings), [FindingCode::NoCommonCodec]);
            continue;
        }
        assert_eq!(codes(&findings), [FindingCode::DescriptionUnreadable], "{words:?}");
        says(&findings[0], &words);
    }
}

#[test]
fn packets_of_strangers_and_packets_that_mean_nothing_are_named() {
    let mut case = Case::begin(Transport::Udp);
    case.connect("", &sdp("192.0.2.7", "8"));
    case.now += 5_000;
    let mut figures = media("PCMA", 250, 0, Some(4.4)).unwrap();
    figures.packets_from_strangers = 125;
    figures.strangers = vec!["198.51.100.9".parse().unwrap()];
    figures.packets_not_agreed = 40;
    case.call.to.media = Some(figures.clone());
    let findings = case.findings();
    assert_eq!(codes(&findings)[1..], [FindingCode::Strangers, FindingCode::NotAgreed]);
    says(&findings[1], &["125 packets came from 198.51.100.9, which is not where", "192.0.2.7:4000"]);
    says(&findings[2], &["40 of 250 packets of 1002", "not agreed"]);
    assert_eq!(findings[1].severity, Severity::Hint);
    figures.packets_received = 0;
    figures.strangers.push("203.0.113.5".parse().unwrap());
    figures.packets_not_agreed = 9;
    case.call.to.media = Some(figures);
    let findings = case.findings();
    let strangers = findings.iter().find(|finding| finding.code == FindingCode::Strangers).unwrap();
    says(strangers, &["198.51.100.9 and other addresses, which are not where"]);
    assert_eq!(strangers.severity, Severity::Fault, "the phone itself was not heard");
    assert!(!codes(&findings).contains(&FindingCode::NotAgreed));
}

#[test]
fn inner_addresses_are_a_hint_when_audio_came_all_the_same() {
    for (address, kind) in [("100.64.3.4", "RFC 6598"), ("192.168.3.4", "RFC 1918")] {
        let mut case = Case::begin(Transport::Udp);
        case.connect("", &sdp(address, "8"));
        case.now += 5_000;
        let findings = case.findings();
        assert_eq!(codes(&findings), [FindingCode::Running, FindingCode::PrivateAddress]);
        assert_eq!(findings[1].severity, Severity::Hint);
        says(&findings[1], &[address, kind, "come from 203.0.113.7", "its audio came"]);
        case.call.to.media = media("PCMA", 0, 0, None);
        let findings = case.findings();
        assert_eq!(codes(&findings), [FindingCode::OneWayAudio, FindingCode::PrivateAddress]);
        assert_eq!(findings[1].severity, Severity::Fault);
    }
    let mut case = Case::begin(Transport::Udp);
    case.connect("", &sdp("203.0.113.7", "8"));
    assert_eq!(codes(&case.findings()), [FindingCode::Running]);
}

#[test]
fn a_party_that_only_listens_is_not_one_that_is_not_heard() {
    let mut case = Case::begin(Transport::Udp);
    case.connect("", &(sdp("203.0.113.7", "8") + "a=recvonly\r\n"));
    case.call.to.media = media("PCMA", 0, 0, None);
    case.now += 5_000;
    assert_eq!(codes(&case.findings()), [FindingCode::Running]);
}

#[test]
fn a_phone_that_does_not_know_the_call_any_more_says_so() {
    let mut case = Case::begin(Transport::Udp);
    case.connect("", &sdp("203.0.113.7", "8"));
    case.send("UPDATE", "2 UPDATE", "", "");
    case.receive("481 Call/Transaction Does Not Exist", "2 UPDATE", "", "");
    case.end(EndReason::SessionExpired, EndedBy::Server, Some(Party::To), None);
    let findings = case.findings();
    assert_eq!(codes(&findings), [FindingCode::SessionExpired]);
    says(&findings[0], &["481 Call/Transaction Does Not Exist (UPDATE)", "restart"]);
    assert_eq!(numbers(&findings[0]), [4, 5]);
}

#[test]
fn ends_that_no_phone_brought_about_are_said() {
    for (reason, by, code, words) in [
        (EndReason::ServerStopped, EndedBy::Server, FindingCode::ServerStopped, "told to stop"),
        (EndReason::MaxDuration, EndedBy::Server, FindingCode::MaxDuration, "after 5.0 s"),
        (EndReason::InternalError, EndedBy::Server, FindingCode::InternalError, "log"),
        (EndReason::TrunkFailed, EndedBy::Server, FindingCode::TrunkFailed, "trunk"),
        (EndReason::PolicyDenied, EndedBy::Server, FindingCode::PolicyDenied, "dial_policy"),
        (EndReason::LimitReached, EndedBy::Server, FindingCode::LimitReached, "channels"),
        (EndReason::LoopDetected, EndedBy::Server, FindingCode::LoopDetected, "in a circle"),
        (EndReason::Transferred, EndedBy::Server, FindingCode::Transferred, "went into another one"),
        (EndReason::TransferFailed, EndedBy::Server, FindingCode::TransferFailed, "had hung up by then"),
        (EndReason::HungUp, EndedBy::Api, FindingCode::WentWell, "a request of the API ended it"),
    ] {
        let mut case = Case::begin(Transport::Udp);
        case.connect("", &sdp("203.0.113.7", "8"));
        case.now += 5_000;
        case.end(reason, by, None, None);
        let findings = case.findings();
        assert_eq!(codes(&findings), [code], "{findings:#?}");
        says(&findings[0], &[words]);
    }
}

#[test]
fn without_messages_the_call_itself_speaks_and_what_was_left_out_is_said() {
    let mut case = Case::begin(Transport::Udp);
    case.connect("", &sdp("203.0.113.7", "8"));
    case.end(EndReason::HungUp, EndedBy::To, None, None);
    let without = explain(&case.call, None, at(0)).findings;
    assert_eq!(codes(&without), [FindingCode::WentWell, FindingCode::MessagesMissing]);
    assert_eq!(codes(&explain(&case.call, Some(b"nonsense"), at(0)).findings), codes(&without));
    case.end(EndReason::Busy, EndedBy::To, Some(Party::To), Some(486));
    case.call.connected_at = None;
    let busy = explain(&case.call, None, at(0)).findings;
    assert_eq!(codes(&busy), [FindingCode::Busy, FindingCode::MessagesMissing]);
    says(&busy[0], &["1002 is busy, SIP status 486"]);

    let mut case = Case::begin(Transport::Udp);
    case.connect("", &sdp("203.0.113.7", "8"));
    case.end(EndReason::HungUp, EndedBy::To, None, None);
    for _ in 0..500 {
        case.receive("INFO", "9 INFO", "", "");
    }
    let findings = case.findings();
    assert_eq!(codes(&findings), [FindingCode::WentWell, FindingCode::MessagesMissing]);
    says(&findings[1], &["more, which are not shown"]);
}

#[test]
fn bad_audio_names_its_figures_and_their_bounds() {
    let mut case = Case::begin(Transport::Udp);
    case.connect("", &sdp("203.0.113.7", "8"));
    for (figures, is_bad) in [
        (media("PCMA", 970, 30, Some(4.0)), true),
        (media("PCMA", 980, 20, Some(3.5)), true),
        (media("PCMA", 980, 20, Some(3.6)), false),
        (media("PCMA", 10, 10, Some(1.0)), false),
    ] {
        case.call.to.media = figures;
        let expected = if is_bad { FindingCode::PoorAudio } else { FindingCode::Running };
        assert_eq!(codes(&case.findings()), [expected], "{:?}", case.call.to.media);
    }
    case.call.to.media = media("PCMA", 900, 100, Some(3.0));
    says(&case.findings()[0], &["10.0 % of 1000 packets", "score of 3.0", "From 3 %", "below 3.6"]);
}

#[test]
fn an_invite_that_was_sent_again_because_of_its_first_answer_speaks_for_the_call() {
    for (refusal, retried) in [
        ("422 Session Interval Too Small", "x: 3600\r\nMin-SE: 3600\r\n"),
        ("401 Unauthorized", "Authorization: Digest realm=\"desk\", (left out)\r\n"),
        ("407 Proxy Authentication Required", "Proxy-Authorization: Digest realm=\"desk\", (left out)\r\n"),
    ] {
        let again = || {
            let mut case = Case::begin(Transport::Udp);
            case.receive(refusal, "1 INVITE", "", "");
            case.send("ACK", "1 ACK", "", "");
            case.send("INVITE", "2 INVITE", retried, &sdp("198.51.100.1", "8 0"));
            case
        };
        let mut case = again();
        case.receive(refusal, "1 INVITE", "", "");
        case.connect_with(2, "", &sdp("203.0.113.7", "8"));
        case.now += 5_000;
        assert_eq!(codes(&case.findings()), [FindingCode::Running], "{refusal}");
        case.call.to.media = media("PCMA", 0, 0, None);
        let findings = case.findings();
        assert_eq!(codes(&findings), [FindingCode::OneWayAudio], "{refusal}");
        says(&findings[0], &["told to send to 198.51.100.1:4000", "has 203.0.113.7:4000"]);
        assert_eq!(numbers(&findings[0]), [4, 6]);

        let mut case = again();
        case.receive("486 Busy Here", "2 INVITE", "", "");
        case.end(EndReason::Busy, EndedBy::To, Some(Party::To), Some(486));
        let findings = case.findings();
        assert_eq!(codes(&findings), [FindingCode::Busy], "{refusal}");
        assert_eq!(numbers(&findings[0]), [4, 5]);

        let mut case = again();
        case.now = 32_300;
        case.end(EndReason::Unreachable, EndedBy::Server, Some(Party::To), None);
        let findings = case.findings();
        assert_eq!(codes(&findings), [FindingCode::Unreachable], "{refusal}");
        assert_eq!(findings[0].severity, Severity::Fault);
        says(
            &findings[0],
            &[&format!("it answered a first INVITE with {refusal}; then"), "sent once over UDP"],
        );
        assert_eq!(numbers(&findings[0]), [2, 4]);
    }
}

#[test]
fn a_phone_that_refuses_the_credentials_that_it_asked_for_wants_others() {
    let mut case = Case::begin(Transport::Udp);
    let challenge = "WWW-Authenticate: Digest realm=\"desk\", nonce=\"n\"\r\n";
    case.receive("401 Unauthorized", "1 INVITE", challenge, "");
    case.send("INVITE", "2 INVITE", "Authorization: Digest realm=\"desk\", nonce=\"n\"\r\n", "");
    case.receive("401 Unauthorized", "2 INVITE", challenge, "");
    case.end(EndReason::Refused, EndedBy::To, Some(Party::To), Some(401));
    let findings = case.findings();
    assert_eq!(codes(&findings), [FindingCode::Challenged]);
    says(&findings[0], &["wants another password than the server"]);
}

#[test]
fn a_session_that_the_phone_did_not_refresh_is_not_blamed_on_what_it_answered_before() {
    for (request, answer) in [
        ("INVITE", "200 OK"),
        ("UPDATE", "200 OK"),
        ("INVITE", "491 Request Pending"),
        ("UPDATE", "500 Oops"),
    ] {
        let mut case = Case::begin(Transport::Udp);
        case.connect("", &sdp("203.0.113.7", "8"));
        case.send(request, &format!("2 {request}"), "", "");
        case.receive("100 Trying", &format!("2 {request}"), "", "");
        case.receive(answer, &format!("2 {request}"), "", "");
        case.now += 90_000;
        case.end(EndReason::SessionExpired, EndedBy::Server, Some(Party::To), None);
        let findings = case.findings();
        assert_eq!(codes(&findings), [FindingCode::SessionExpired]);
        says(&findings[0], &["was to confirm that the call still stands", "did not in time"]);
        assert!(findings[0].evidence.is_empty());
    }
    for (answers, words) in [
        (&["100 Trying", "408 Request Timeout"][..], "answered with 408 Request Timeout"),
        (&["100 Trying"], "asked by re-INVITE once within"),
    ] {
        let mut case = Case::begin(Transport::Udp);
        case.connect("", &sdp("203.0.113.7", "8"));
        case.send("INVITE", "2 INVITE", "", "");
        answers.iter().for_each(|answer| case.receive(answer, "2 INVITE", "", ""));
        case.end(EndReason::SessionExpired, EndedBy::Server, Some(Party::To), None);
        says(&case.findings()[0], &[words]);
    }
}

#[test]
fn what_cannot_be_reached_is_told_from_a_phone_that_answered_with_a_408() {
    let mut case = Case::begin(Transport::Udp);
    case.now = 32_000;
    case.end(EndReason::Unreachable, EndedBy::Server, Some(Party::To), None);
    let findings = case.findings();
    assert_eq!(codes(&findings), [FindingCode::Unreachable]);
    says(&findings[0], &["sent once over UDP within 32.0 s, and nothing came back"]);
    let mut closed = Case::begin(Transport::Udp);
    closed.now = 3;
    closed.end(EndReason::Unreachable, EndedBy::Server, Some(Party::To), None);
    says(&closed.findings()[0], &["sent over UDP", "nobody listens at that port (ICMP)"]);
    let bare = explain(&case.call, None, at(0)).findings;
    assert_eq!(codes(&bare), [FindingCode::Unreachable, FindingCode::MessagesMissing]);
    assert_eq!(bare[0].sentence, "The phone of 1002 cannot be reached.");

    let findings = Case::begin(Transport::Udp).refused("408 Request Timeout", "", "");
    assert_eq!(codes(&findings), [FindingCode::Refused]);
    says(&findings[0], &["refused the call: 408 Request Timeout.", "It can be reached"]);
}

#[test]
fn the_figures_of_a_call_that_was_cut_off_prove_nothing() {
    let mut case = Case::begin(Transport::Udp);
    case.connect("", &sdp("203.0.113.7", "8"));
    case.call.from.media = media("PCMA", 0, 0, None);
    case.call.to.media = media("PCMA", 0, 0, None);
    case.now += 10_000;
    case.end(EndReason::ServerCrashed, EndedBy::Server, None, None);
    assert_eq!(codes(&case.findings()), [FindingCode::ServerCrashed]);
    case.end(EndReason::HungUp, EndedBy::To, None, None);
    assert_eq!(codes(&case.findings()), [FindingCode::NoAudio]);
}

#[test]
fn a_phone_that_refused_is_not_the_one_that_did_not_answer() {
    let mut case = Case::begin(Transport::Udp);
    case.receive("100 Trying", "1 INVITE", "", "");
    case.receive("180 Ringing", "1 INVITE", "", "");
    case.receive("486 Busy Here", "1 INVITE", "", "");
    case.now += 10_000;
    case.end(EndReason::NoAnswer, EndedBy::Server, Some(Party::To), None);
    let findings = case.findings();
    assert!(!findings.iter().any(|finding| finding.sentence.contains("rang for")), "{findings:?}");
}
