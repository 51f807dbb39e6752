//! Stories: phones dial each other, and numbers outside.

use audio::tone_milliseconds;
use call_control::{CallDirection, CallEventKind, CallId, EndReason, EndedBy, Party};
use sip_message::StatusCode;
use std::time::Duration;
use test_phone::{Command, PhoneEvent, Script};
use testbed::simulation::{
    DiskState, Network, PhoneId, RawScript, World, Zone, answers_after, each_seed, percent, refuses,
    rings_for_ever, says, seconds, talks_for, trunk,
};

fn world(seed: u64, to: Script) -> (World, PhoneId, PhoneId) {
    let mut world = World::with_seed(seed);
    let from = world.phone("1001", Script::default(), 700.0);
    let to = world.phone("1002", to, 1100.0);
    world.register_all();
    (world, from, to)
}

/// The call that is on disk, once it is.
fn only_call(world: &mut World) -> CallId {
    assert!(world.run_until(seconds(5.0), |world| !world.records().is_empty()), "{}", world.story());
    world.records()[0].call_id
}

fn heard(world: &World, phone: PhoneId, hertz: f64) -> u64 {
    world
        .heard(phone)
        .map_or(0, |media| tone_milliseconds(&media.heard.samples, media.heard.sample_rate, hertz))
}

#[test]
fn a_phone_calls_another_one_and_they_hear_each_other() {
    let (mut world, from, to) = world(1, talks_for(4.0));
    world.press(from, &Command::Call("1002".into()));
    let id = only_call(&mut world);
    let call = world.run_until_ended(id);
    let end = call.end.as_ref().unwrap();
    assert_eq!((end.reason, end.by), (EndReason::HungUp, EndedBy::To), "{}", world.story());
    assert!(heard(&world, from, 1100.0) >= 3000 && heard(&world, to, 700.0) >= 3000);
    assert_eq!((call.from.number.as_str(), call.to.number.as_str()), ("1001", "1002"));
    assert!(call.talk_seconds > 3.5 && call.ring_seconds > 0.9, "{call:?}");
    use CallEventKind::{Answered, Connected, Ended, Initiated, Ringing, Talking};
    assert_eq!(world.events_of(id), [Initiated, Ringing, Answered, Answered, Connected, Talking, Ended]);
}

#[test]
fn the_phone_that_calls_is_told_of_ringing_and_of_a_refusal() {
    let (mut world, from, _) = world(2, refuses(StatusCode::BUSY_HERE));
    world.press(from, &Command::Call("1002".into()));
    let id = only_call(&mut world);
    let call = world.run_until_ended(id);
    let end = call.end.as_ref().unwrap();
    assert_eq!((end.reason, end.by, end.sip_status), (EndReason::Busy, EndedBy::To, Some(486)));
    assert!(world.trace().iter().any(|line| line.contains("10.0.1.1:5060 SIP/2.0 180")), "{}", world.story());
    assert!(world.trace().iter().any(|line| line.contains("10.0.1.1:5060 SIP/2.0 486")), "{}", world.story());
}

#[test]
fn a_phone_that_gives_up_leaves_nobody_ringing() {
    for moment in 0..12 {
        let at = 0.01 + f64::from(moment) * 0.2;
        let (mut world, from, to) = world(3, answers_after(1.2));
        world.press(from, &Command::Call("1002".into()));
        world.run_for(seconds(at));
        world.press(from, &Command::HangUp);
        let id = only_call(&mut world);
        let call = world.run_until_ended(id);
        let end = call.end.as_ref().unwrap();
        assert!(
            matches!(end.reason, EndReason::Cancelled | EndReason::HungUp) && end.by == EndedBy::From,
            "after {at} s: {end:?}\n{}",
            world.story()
        );
        assert!(!world.is_busy(to) && !world.is_busy(from), "after {at} s");
    }
}

#[test]
fn nobody_is_rung_for_a_call_that_cannot_be_written() {
    let (mut world, from, to) = world(4, answers_after(1.0));
    world.set_disk(DiskState::Fails);
    world.press(from, &Command::Call("1002".into()));
    world.run_for(seconds(3.0));
    world.set_disk(DiskState::Takes(Duration::from_millis(2)));
    world.run_for(seconds(10.0));
    assert!(!world.phone_events(to).iter().any(|event| matches!(event, PhoneEvent::Incoming { .. })));
    assert!(world.trace().iter().any(|line| line.contains("10.0.1.1:5060 SIP/2.0 503")), "{}", world.story());
    let refused = |world: &World| {
        world
            .records()
            .iter()
            .all(|call| call.end.as_ref().is_some_and(|end| end.reason == EndReason::Refused))
    };
    assert!(refused(&world), "{:?}", world.records());
    assert!(!world.is_busy(from));
}

#[test]
fn it_ends_right_on_a_bad_network_and_when_the_server_dies() {
    let network =
        Network { loss: percent(10), doubling: percent(5), delay: seconds(0.02), jitter: seconds(0.03) };
    each_seed(40, |seed| {
        let to = if seed % 5 == 0 { rings_for_ever() } else { talks_for(2.0) };
        let (mut world, from, to) = world(seed, to);
        world.set_network(network);
        world.press(from, &Command::Call("1002".into()));
        let id = only_call(&mut world);
        if seed % 4 == 0 {
            world.run_for(seconds(0.2 * (seed as f64 / 4.0)));
            world.kill_server();
            world.run_for(seconds(0.5));
            world.start_server_again();
        }
        let call = world.run_until_ended(id);
        let reason = call.end.as_ref().unwrap().reason;
        let expected = match (seed % 4, seed % 5) {
            (0, _) => [EndReason::ServerCrashed, EndReason::HungUp],
            (_, 0) => [EndReason::NoAnswer, EndReason::NoAnswer],
            _ => [EndReason::HungUp, EndReason::HungUp],
        };
        assert!(expected.contains(&reason), "{reason:?}\n{}", world.story());
        assert!(!world.is_busy(from) && !world.is_busy(to), "{}", world.story());
    });
}

/// 1001 with a phone of its own and a carrier at 192.0.2.1.
fn outside(script: RawScript) -> (World, PhoneId, PhoneId) {
    let mut world = World::with_trunks(5, vec![trunk("carrier", "sip:192.0.2.1")], Zone::default());
    let from = world.phone("1001", Script::default(), 700.0);
    let gateway = world.gateway("192.0.2.1:5060", script);
    world.register_all();
    (world, from, gateway)
}

#[test]
fn a_phone_dials_outside_and_is_told_what_the_carrier_says() {
    for dialled in ["9944421125", "+919944421125", "00919944421125", "09944421125"] {
        let (mut world, from, gateway) = outside(RawScript::answers_after(0.5));
        world.press(from, &Command::Call(dialled.into()));
        let id = only_call(&mut world);
        world.run_for(seconds(3.0));
        world.press(from, &Command::HangUp);
        let call = world.run_until_ended(id);
        assert_eq!(call.direction, CallDirection::Outbound);
        assert_eq!((call.to.number.as_str(), call.to.trunk.as_deref()), (dialled, Some("carrier")));
        let end = call.end.as_ref().unwrap();
        assert_eq!((end.reason, end.by), (EndReason::HungUp, EndedBy::From));
        let invite = world.raw(gateway).received(&sip_message::Method::INVITE)[0];
        assert_eq!(invite.uri.to_string(), "sip:+919944421125@192.0.2.1");
        assert_eq!(invite.header.from.uri.to_string(), "sip:+918065978015@192.0.2.1");
        assert_eq!(invite.header.max_forwards, Some(69), "RFC 7332");
    }
}

#[test]
fn each_refusal_of_a_carrier_reaches_the_phone_as_it_is() {
    for status in [404, 480, 484, 486, 488, 403, 600, 603, 607] {
        let (mut world, from, _) = outside(RawScript::new([says(0.1, status)]));
        world.press(from, &Command::Call("9944421125".into()));
        let id = only_call(&mut world);
        let call = world.run_until_ended(id);
        assert_eq!(call.end.as_ref().unwrap().sip_status, Some(status));
        let told = format!("10.0.1.1:5060 SIP/2.0 {status}");
        assert!(world.trace().iter().any(|line| line.contains(&told)), "{status}: {}", world.story());
    }
}

#[test]
fn a_carrier_that_says_nothing_is_not_told_as_a_phone_that_is_away() {
    let (mut world, from, _) = outside(RawScript::new([]));
    world.press(from, &Command::Call("9944421125".into()));
    let id = only_call(&mut world);
    let call = world.run_until_ended(id);
    assert_eq!(call.end.as_ref().unwrap().reason, EndReason::TrunkFailed);
    assert!(world.trace().iter().any(|line| line.contains("10.0.1.1:5060 SIP/2.0 504")), "{}", world.story());
}

#[test]
fn an_answer_that_cannot_be_used_is_told_as_such_on_both_sides() {
    let g729 = "v=0\r\no=c 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 18\r\n";
    let mut world = World::with_trunks(5, vec![trunk("carrier", "sip:192.0.2.1")], Zone::default());
    let from = world.phone("1001", Script::default(), 700.0);
    let carrier = world.caller("192.0.2.1:5060", 900.0);
    world.register_all();
    world.play(carrier, |carrier, _| carrier.answers_with = Some(g729));
    world.press(from, &Command::Call("9944421125".into()));
    let id = only_call(&mut world);
    let call = world.run_until_ended(id);
    let end = call.end.as_ref().unwrap();
    assert_eq!((end.reason, end.party), (EndReason::NoCommonCodec, Some(Party::To)));
    assert!(world.trace().iter().any(|line| line.contains("10.0.1.1:5060 SIP/2.0 488")), "{}", world.story());
    let bye = world.by_hand(carrier).requests("BYE")[0];
    assert!(bye.field("Reason").unwrap().contains("cause=488"), "{bye:?}");
}

#[test]
fn what_a_carrier_asks_of_us_is_not_asked_of_the_phone() {
    for (status, told) in [(401, 502), (407, 502), (420, 502), (421, 502), (423, 502), (302, 480), (305, 480)]
    {
        let (mut world, from, _) = outside(RawScript::new([says(0.1, status)]));
        world.press(from, &Command::Call("9944421125".into()));
        let id = only_call(&mut world);
        let call = world.run_until_ended(id);
        assert_eq!(call.end.as_ref().unwrap().sip_status, Some(status), "the record has what was said");
        let said = |status: u16| format!("10.0.1.1:5060 SIP/2.0 {status}");
        let heard = |status| world.trace().iter().any(|line| line.contains(&said(status)));
        // 401 it is told in our own name.
        assert!(heard(told) && (status == 401 || !heard(status)), "{status}: {}", world.story());
        let ladder = world.ladder(id);
        let last = ladder
            .messages
            .iter()
            .rev()
            .find(|message| message.summary.starts_with("502 ") || message.summary.starts_with("480 "));
        assert!(last.unwrap().text.contains(&format!("Reason: SIP;cause={status}")), "{status}: {last:?}");
    }
}

#[test]
fn what_the_carrier_says_while_it_rings_is_passed_on_as_what_it_is() {
    for status in [180, 181, 182, 183] {
        let (mut world, from, _) = outside(RawScript::new([says(0.1, status), says(1.0, 486)]));
        world.press(from, &Command::Call("9944421125".into()));
        let id = only_call(&mut world);
        world.run_until_ended(id);
        let told = |status| {
            world
                .trace()
                .iter()
                .filter(|line| line.contains(&format!("10.0.1.1:5060 SIP/2.0 {status}")))
                .count()
        };
        assert_eq!([180, 181, 182, 183].map(told).iter().sum::<usize>(), 1, "{}", world.story());
        assert_eq!(told(status), 1, "{}", world.story());
    }
}

#[test]
fn what_the_policy_forbids_leaves_a_record_and_rings_nobody() {
    for forbidden in ["+4930901820", "+919001234567"] {
        let (mut world, from, gateway) = outside(RawScript::answers_after(0.5));
        world.press(from, &Command::Call(forbidden.into()));
        let id = only_call(&mut world);
        let call = world.run_until_ended(id);
        let end = call.end.as_ref().unwrap();
        assert_eq!((end.reason, end.sip_status), (EndReason::PolicyDenied, Some(403)), "{forbidden}");
        assert!(
            world.trace().iter().any(|line| line.contains("10.0.1.1:5060 SIP/2.0 403")),
            "{}",
            world.story()
        );
        assert!(world.raw(gateway).log().is_empty(), "{forbidden}");
    }
}

#[test]
fn a_number_of_nobody_is_404_and_ones_own_is_busy() {
    for (dialled, status) in [("7777", 404), ("911", 404), ("1001", 486), ("999999999999999999", 404)] {
        let (mut world, from, _) = outside(RawScript::answers_after(0.5));
        world.press(from, &Command::Call(dialled.into()));
        world.run_for(seconds(2.0));
        let told = format!("10.0.1.1:5060 SIP/2.0 {status}");
        assert!(world.trace().iter().any(|line| line.contains(&told)), "{dialled}: {}", world.story());
        assert!(world.records().is_empty(), "{dialled}");
    }
}

#[test]
fn a_phone_that_gives_up_while_trunks_are_tried_has_nobody_called_any_more() {
    for tenth in 0..60 {
        let second = sip_b2bua::TrunkSettings { priority: 20, ..trunk("second", "sip:192.0.2.2") };
        let mut world =
            World::with_trunks(5, vec![trunk("carrier", "sip:192.0.2.1"), second], Zone::default());
        let from = world.phone("1001", Script::default(), 700.0);
        let silent = world.gateway("192.0.2.1:5060", RawScript::new([]));
        let rings = world.gateway("192.0.2.2:5060", RawScript::rings());
        world.register_all();
        world.press(from, &Command::Call("9944421125".into()));
        let id = only_call(&mut world);
        world.run_for(seconds(0.1 * f64::from(tenth)));
        world.press(from, &Command::HangUp);
        world.run_for(seconds(0.02));
        let before = world.raw(rings).log().len();
        let call = world.run_until_ended(id);
        assert_eq!(call.end.as_ref().unwrap().reason, EndReason::Cancelled, "after {tenth} tenths");
        assert!(!world.is_busy(silent) && !world.is_busy(rings), "after {tenth} tenths");
        let invites = world.raw(rings).received(&sip_message::Method::INVITE).len();
        assert!(before > 0 || invites == 0, "after {tenth} tenths");
    }
}
