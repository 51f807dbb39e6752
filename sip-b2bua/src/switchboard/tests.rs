//! What an earlier run left behind, and what nobody knows, told by hand.

use super::*;
use crate::registrar::RegistrarConfig;
use crate::scenario::Standard;
use crate::settings::{Limits, MediaSettings, RegistrationTimes};
use crate::stored_flow;
use audio::TonePlan;
use sip_core::Transport;
use std::time::Duration;

fn moment(start: Instant, seconds: u64) -> Moment {
    let unix_milliseconds = i64::try_from(seconds).unwrap() * 1000;
    Moment { now: start + Duration::from_secs(seconds), unix_milliseconds }
}

fn switchboard() -> Switchboard {
    let registration = RegistrationTimes {
        min: Duration::from_secs(60),
        default: Duration::from_secs(600),
        max: Duration::from_secs(3600),
    };
    let settings = Settings {
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
        extensions: Vec::new(),
    };
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
    Switchboard::new(settings, Arc::new(Standard), endpoint, registrar, [2; 32])
}

fn flow(remote: &str) -> Flow {
    let local = "192.0.2.1:5060".parse().unwrap();
    Flow { transport: Transport::Tcp, local, remote: remote.parse().unwrap() }
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
