//! What an earlier run left behind, what nobody knows, limits, and phones that dial, told by hand.

use super::*;
use crate::registrar::RegistrarConfig;
use crate::routing::facing;
use crate::scenario::Standard;
use crate::settings::{Extension, Limits, MediaSettings, RegistrationTimes, SocketsMax};
use crate::stored_flow;
use audio::TonePlan;
use call_control::{ClickToCall, Number, Refusal};
use sip_core::Incoming;
use sip_core::Transport;
use sip_core::digest::Secret;
use sip_message::Message;
use std::collections::BTreeMap;
use std::time::Duration;

fn moment(start: Instant, seconds: u64) -> Moment {
    let unix_milliseconds = i64::try_from(seconds).unwrap() * 1000;
    Moment { now: start + Duration::from_secs(seconds), unix_milliseconds }
}

fn switchboard() -> Switchboard {
    switchboard_of(|_| {})
}

fn switchboard_of(change: impl FnOnce(&mut Settings)) -> Switchboard {
    let registration = RegistrationTimes {
        min: Duration::from_secs(60),
        default: Duration::from_secs(600),
        max: Duration::from_secs(3600),
    };
    let mut settings = Settings {
        tls: None,
        listen: Vec::new(),
        domain: "pbx.test".into(),
        external_address: None,
        user_agent: "test".into(),
        session_expires: Duration::from_secs(1800),
        registration,
        media: MediaSettings {
            address: None,
            ports: 20_000..=20_003,
            codecs: vec![audio::Codec::Pcmu],
            silence_timeout: Duration::from_secs(60),
            ringback: TonePlan::ringback("us").unwrap(),
        },
        limits: Limits { calls: 1, calls_per_second: 1, calls_per_key: 1 },
        sockets: SocketsMax::default(),
        extensions: Vec::new(),
        resolvers: Vec::new(),
        dial_policy: None,
        trunks: Vec::new(),
    };
    change(&mut settings);
    let config = RegistrarConfig {
        domain: settings.domain.clone(),
        min: registration.min,
        default: registration.default,
        max: registration.max,
        bindings_max: 10,
        nonce_key: [0; 32],
    };
    let registrar = Registrar::new(config, []);
    let endpoint = Endpoint::new(settings.endpoint(), [1; 32]);
    Switchboard::new(settings, Arc::new(Standard), endpoint, registrar, [2; 32], Instant::now())
}

fn flow(remote: &str) -> Flow {
    let local = "192.0.2.1:5060".parse().unwrap();
    Flow { transport: Transport::Tcp, local, remote: remote.parse().unwrap(), peer: None }
}

/// The dialog with a phone at 192.0.2.7 whose Contact names port 5062.
fn stored(remote: &str) -> StoredInvite {
    let request = "BYE sip:1001@192.0.2.7:5062;transport=tcp SIP/2.0\r\n\
                   Via: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK0000000000000000\r\n\
                   From: <sip:1002@pbx.test>;tag=0123456789abcdef\r\nTo: <sip:1001@pbx.test>;tag=p\r\n\
                   Call-ID: c\r\nCSeq: 65536 BYE\r\nContent-Length: 0\r\n\r\n";
    let [transport, local, remote] = stored_flow::words(flow(remote));
    StoredInvite {
        sip_call_id: "c".into(),
        call_id: CallId::new(1, &[0; 10]),
        transport,
        local,
        remote,
        request: request.into(),
    }
}

/// Where a BYE was sent, and whether the INVITE was forgotten.
#[expect(clippy::wildcard_enum_match_arm, reason = "whatever else is done is a fault")]
fn done(board: &mut Switchboard, moment: Moment) -> (Vec<Flow>, bool) {
    let (mut byes, mut forgotten) = (Vec::new(), false);
    while let Some(action) = board.poll_action(moment) {
        match action {
            Action::Send { flow, octets } => {
                assert!(octets.starts_with(b"BYE "));
                byes.push(flow);
            }
            Action::Write(round) => {
                let changes: Vec<_> = round.invites.iter().map(|(name, kept)| (&**name, kept)).collect();
                assert_eq!(changes, [("c", &None)]);
                forgotten = true;
                board.handle_written(Ok(Vec::new()), moment);
            }
            other => panic!("{other:?}"),
        }
    }
    (byes, forgotten)
}

fn left(invite: StoredInvite) -> Left {
    Left { invites: vec![invite], ..Left::default() }
}

fn return_along(board: &mut Switchboard, user: &str, flow: Flow, moment: Moment) {
    let Switchboard { left_behind, endpoint, journal, .. } = board;
    left_behind.tell_returned(user, flow, endpoint, journal, moment);
    board.drain_endpoint(moment);
}

#[test]
fn a_phone_whose_connection_was_cut_is_tried_at_its_contact_and_told_when_it_returns() {
    let start = Instant::now();
    let (contact, back) = (flow("192.0.2.7:5062"), flow("192.0.2.7:50001"));
    let mut board = switchboard();
    board.recover(left(stored("192.0.2.7:50000")), moment(start, 0));
    assert_eq!(done(&mut board, moment(start, 0)), (vec![contact], false));
    board.handle_unreachable(contact, moment(start, 1));
    assert_eq!(done(&mut board, moment(start, 1)), (vec![], false));
    return_along(&mut board, "1002", back, moment(start, 2));
    return_along(&mut board, "1001", flow("192.0.2.8:50001"), moment(start, 2));
    assert_eq!(done(&mut board, moment(start, 2)), (vec![], false), "that is somebody else");
    return_along(&mut board, "1001", back, moment(start, 3));
    assert_eq!(done(&mut board, moment(start, 3)), (vec![back], false));
    // Nothing comes back along that way either.
    board.handle_timeout(moment(start, 40));
    assert_eq!((done(&mut board, moment(start, 40)), board.counts()), ((vec![], false), (0, 0, 0)));
    return_along(&mut board, "1001", back, moment(start, 50));
    assert_eq!(done(&mut board, moment(start, 50)), (vec![back], false));
    board.handle_timeout(moment(start, 90));
    // Not for ever, however often it comes back.
    return_along(&mut board, "1001", back, moment(start, 3600));
    assert_eq!((done(&mut board, moment(start, 3600)), board.counts()), ((vec![], true), (0, 0, 0)));
}

#[test]
fn a_phone_that_returns_before_its_old_connection_is_known_to_be_gone_is_told_too() {
    let start = Instant::now();
    let (contact, back) = (flow("192.0.2.7:5062"), flow("192.0.2.7:50001"));
    let mut board = switchboard();
    board.recover(left(stored("192.0.2.7:50000")), moment(start, 0));
    return_along(&mut board, "1001", back, moment(start, 1));
    board.handle_unreachable(contact, moment(start, 2));
    assert_eq!(done(&mut board, moment(start, 2)), (vec![contact, back], false));
}

#[test]
fn a_phone_that_does_not_return_is_given_up_and_what_cannot_be_read_is_forgotten() {
    let start = Instant::now();
    let mut board = switchboard();
    board.recover(left(stored("192.0.2.7:50000")), moment(start, 0));
    board.handle_unreachable(flow("192.0.2.7:5062"), moment(start, 1));
    done(&mut board, moment(start, 1));
    return_along(&mut board, "1002", flow("192.0.2.9:1"), moment(start, 3700));
    assert_eq!(done(&mut board, moment(start, 3700)), (vec![], true));
    let broken = StoredInvite { request: b"BYE".to_vec(), ..stored("192.0.2.7:50000") };
    board.recover(left(broken), moment(start, 3800));
    assert_eq!(done(&mut board, moment(start, 3800)), (vec![], true));
}

#[test]
fn a_hang_up_of_a_call_that_nobody_knows_is_refused() {
    let start = Instant::now();
    let mut board = switchboard();
    let call = CallId::new(9, &[9; 10]);
    board.handle_command(Command::HangUp { ticket: Ticket(1), call }, moment(start, 0));
    let Some(Action::AnswerHangUp { ticket, answer }) = board.poll_action(moment(start, 0)) else {
        panic!("an answer")
    };
    assert_eq!((ticket, answer), (Ticket(1), Err(HangUpRefusal::NotFound(call))));
    assert!(board.poll_action(moment(start, 0)).is_none());
}

/// Extensions 1001 to 1004, each with a phone, and room for `limits`.
fn board_with_phones(limits: Limits) -> Switchboard {
    let extension = |number: &str| Extension {
        number: Number::new(number).unwrap(),
        name: None,
        secret: Secret::new(number, "pbx.test", "secret"),
        codecs: None,
        forward: None,
        auto_answer: None,
    };
    let numbers = ["1001", "1002", "1003", "1004"];
    let mut board = switchboard_of(|settings| {
        settings.limits = limits;
        settings.extensions = numbers.map(extension).into();
    });
    let bindings = numbers.map(|user| StoredBinding {
        user: user.into(),
        contact: format!("<sip:{user}@192.0.2.7:5062>").into(),
        call_id: user.into(),
        cseq: 1,
        expires_at: 3_600_000,
        transport: "udp".into(),
        local: "192.0.2.1:5060".into(),
        remote: "192.0.2.7:5062".into(),
        path: None,
        user_agent: None,
    });
    board.recover(Left { bindings: bindings.into(), ..Left::default() }, moment(Instant::now(), 0));
    board
}

fn request(from: &str, to: &str, key_name: &str) -> Box<ClickToCall> {
    Box::new(ClickToCall {
        from: Number::new(from).unwrap(),
        to: Number::new(to).unwrap(),
        to_type: None,
        caller_id: None,
        caller_ids: Vec::new(),
        timeout: Duration::from_secs(30),
        to_timeout: Duration::from_secs(60),
        max_duration: None,
        variables: BTreeMap::new(),
        auto_answer: false,
        key_name: key_name.into(),
        repeatable: None,
    })
}

/// The refusal of a request; `None` when the relay is asked for ports.
fn refusal(board: &mut Switchboard, request: Box<ClickToCall>, now: Moment) -> Option<Refusal> {
    board.handle_command(Command::ClickToCall { ticket: Ticket(7), request }, now);
    let mut asks = false;
    while let Some(action) = board.poll_action(now) {
        asks |= matches!(action, Action::Relay(media_relay::Command::Add { .. }));
        if let Action::AnswerCall { answer, .. } = action {
            return Some(answer.expect_err("nothing is bound yet"));
        }
    }
    assert!(asks, "neither refused nor begun");
    None
}

#[test]
fn calls_that_begin_count_against_the_limits() {
    let now = moment(Instant::now(), 0);
    let is_too_many = |refusal| matches!(refusal, Some(Refusal::TooManyCalls { .. }));
    let mut board = board_with_phones(Limits { calls: 2, calls_per_second: 9, calls_per_key: 1 });
    assert_eq!(refusal(&mut board, request("1001", "1002", "crm"), now), None);
    assert!(is_too_many(refusal(&mut board, request("1003", "1004", "crm"), now)));
    assert_eq!(refusal(&mut board, request("1003", "1004", "shop"), now), None);
    assert!(is_too_many(refusal(&mut board, request("1001", "1003", "third"), now)));
    assert_eq!(board.unwritten_ends(), 0);
}

#[test]
fn a_call_without_ports_is_refused_by_the_name_of_what_is_missing_and_when_to_come_again() {
    use media_relay::OpenError::{AddressNotUsable, NoDescriptor, NoPortFree};
    let seconds = Duration::from_secs;
    for (reason, expected) in [
        (NoDescriptor, Refusal::NoDescriptor { retry_after: seconds(2) }),
        (NoPortFree { free_in: None }, Refusal::NoMediaPort { retry_after: seconds(2) }),
        (NoPortFree { free_in: Some(Duration::ZERO) }, Refusal::NoMediaPort { retry_after: seconds(1) }),
        (NoPortFree { free_in: Some(seconds(4)) }, Refusal::NoMediaPort { retry_after: seconds(4) }),
        (
            NoPortFree { free_in: Some(Duration::from_millis(4_001)) },
            Refusal::NoMediaPort { retry_after: seconds(5) },
        ),
        (AddressNotUsable, Refusal::NoMediaPort { retry_after: seconds(2) }),
    ] {
        let now = moment(Instant::now(), 0);
        let mut board = board_with_phones(Limits { calls: 9, calls_per_second: 9, calls_per_key: 9 });
        let request = request("1001", "1002", "crm");
        board.handle_command(Command::ClickToCall { ticket: Ticket(7), request }, now);
        let mut asked = None;
        while let Some(action) = board.poll_action(now) {
            if let Action::Relay(media_relay::Command::Add { session, termination, .. }) = action {
                asked.get_or_insert((session, termination));
            }
        }
        let (session, termination) = asked.expect("ports are asked for");
        board.handle_relay(media_relay::Event::NotAdded { session, termination, reason }, now);
        let mut answers = Vec::new();
        while let Some(action) = board.poll_action(now) {
            if let Action::AnswerCall { answer, .. } = action {
                answers.push(answer);
            }
        }
        assert_eq!(answers, [Err(expected)], "{reason:?}");
    }
}

#[test]
fn an_extension_that_is_gone_from_the_configuration_is_gone_with_its_phones() {
    let now = moment(Instant::now(), 0);
    let mut board = board_with_phones(Limits { calls: 9, calls_per_second: 9, calls_per_key: 9 });
    assert_eq!(board.registered("1001", now.now), 1);
    board.handle_command(Command::ReplaceExtensions(Vec::new()), now);
    assert_eq!(board.registered("1001", now.now), 0);
    let refused = refusal(&mut board, request("1001", "1002", "crm"), now);
    assert!(matches!(refused, Some(Refusal::NotFound { .. })), "{refused:?}");
}

/// Nothing stands against the call.
const BEGINS: u16 = 0;

/// What a phone that dials this number is told.
fn told(board: &Switchboard, number: &str, lines: &str, body: &str) -> u16 {
    let text = format!(
        "INVITE sip:{number}@pbx.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bK1\r\n\
         From: <sip:1001@pbx.test>;tag=a\r\nTo: <sip:{number}@pbx.test>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\
         {lines}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let Ok(Message::Request(request)) = Message::parse(text.as_bytes()) else { panic!("{text}") };
    let incoming = Incoming { request, flow: flow("192.0.2.7:5062") };
    let dials = board.phone_dials("1001", &incoming, moment(Instant::now(), 0));
    dials.map_or_else(|refused| refused.0.status.code(), |_| BEGINS)
}

#[test]
fn a_phone_that_dials_is_told_what_is_wrong_with_its_invite() {
    let board = board_with_phones(Limits { calls: 9, calls_per_second: 9, calls_per_key: 9 });
    let sdp =
        "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    let typed = "Content-Type: application/sdp;charset=utf-8\r\n";
    for (number, lines, body, status) in [
        ("1002", "", "", BEGINS),
        ("1009", "", "", 404),
        ("1002", typed, sdp, BEGINS),
        ("1009", typed, sdp, 404),
        ("1002", "Content-Type: text/plain\r\n", sdp, 415),
        ("1002", "", sdp, 415),
        ("1002", "Content-Type: text/plain\r\n", "", BEGINS),
        ("1002", "Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n", sdp, 415),
        ("1002", "Accept: text/plain\r\n", "", 406),
        ("1002", "Accept: application/*\r\n", "", BEGINS),
        ("1002", "Accept: text/plain, application/sdp\r\n", "", BEGINS),
        ("1001", "", "", 486),
        ("1002", typed, "nonsense", 488),
    ] {
        assert_eq!(told(&board, number, lines, body), status, "{number} {lines} {body}");
    }
}

#[test]
fn the_relay_is_bound_to_the_address_that_all_phones_see_and_announced_by_it() {
    let at = |ip: &str| Flow { local: format!("{ip}:5060").parse().unwrap(), ..flow("198.51.100.7:5060") };
    let mut board = switchboard();
    let bound =
        |board: &Switchboard, flows: &[Flow]| facing(&board.settings, flows.iter().copied()).to_string();
    assert_eq!(bound(&board, &[at("192.0.2.1"), at("192.0.2.1")]), "192.0.2.1");
    assert_eq!(bound(&board, &[at("192.0.2.1"), at("10.0.0.1")]), "0.0.0.0");
    assert_eq!(bound(&board, &[at("[2001:db8::1]"), at("[2001:db8::2]")]), "::");
    assert_eq!(bound(&board, &[]), "0.0.0.0");
    let announced = |board: &Switchboard, bound: &str, seen: &str| {
        let rtp = format!("{bound}:20000").parse().unwrap();
        board.reaching().announced(rtp, at(seen)).rtp.to_string()
    };
    assert_eq!(announced(&board, "0.0.0.0", "192.0.2.1"), "192.0.2.1:20000");
    assert_eq!(announced(&board, "10.0.0.1", "192.0.2.1"), "10.0.0.1:20000");
    // The address of a NAT in front of the server is none that can be bound.
    board.settings.external_address = Some("203.0.113.1".parse().unwrap());
    assert_eq!(bound(&board, &[at("203.0.113.1")]), "0.0.0.0");
    assert_eq!(bound(&board, &[at("192.0.2.1"), at("203.0.113.1")]), "0.0.0.0");
    assert_eq!(bound(&board, &[at("192.0.2.1")]), "192.0.2.1");
    // Those on our side of it are told the address that they see.
    board.settings.media.address = Some("203.0.113.2".parse().unwrap());
    assert_eq!(announced(&board, "0.0.0.0", "203.0.113.1"), "203.0.113.2:20000");
    assert_eq!(announced(&board, "0.0.0.0", "192.0.2.1"), "192.0.2.1:20000");
    assert_eq!(announced(&board, "[::]", "[2001:db8::1]"), "[2001:db8::1]:20000");
    board.settings.external_address = None;
    assert_eq!(announced(&board, "10.0.0.1", "192.0.2.1"), "203.0.113.2:20000");
}
