//! Stories: the disk of the server is slow, full, or fails behind the commit, and the server dies between two writes.

use call_control::{CallEventKind, CallId, CallState, ClickToCall, EndReason, EndedBy, Refusal, Repeatable};
use sip_b2bua::StorageState;
use std::time::Duration;
use test_phone::PhoneEvent;
use testbed::simulation::{DiskState, PhoneId, World, answers_after, rings_for_ever, seconds};

const SLOW: DiskState = DiskState::Takes(Duration::from_millis(500));
const USUAL: DiskState = DiskState::Takes(Duration::from_millis(2));

/// 1001 answers after a second, 1002 a second later; nothing is being written.
fn two_phones(seed: u64) -> (World, PhoneId, PhoneId) {
    let mut world = World::with_seed(seed);
    let from = world.phone("1001", answers_after(1.0), 700.0);
    let to = world.phone("1002", answers_after(1.0), 1100.0);
    world.register_all();
    world.run_for(seconds(0.5));
    (world, from, to)
}

fn request() -> ClickToCall {
    World::request("1001", "1002")
}

/// A request with an Idempotency-Key.
fn repeatable() -> ClickToCall {
    let key = Repeatable { api_key: [1; 32], idempotency_key: "once".into(), body: [2; 32] };
    ClickToCall { repeatable: Some(key), ..request() }
}

/// When messages with these words were sent, in seconds since the beginning.
fn sent(world: &World, what: &str) -> Vec<f64> {
    let lines = world.trace().iter().filter(|line| line.contains(what));
    lines.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

fn now(world: &World) -> f64 {
    world.elapsed().as_secs_f64()
}

/// Two moments, a few milliseconds of the network apart.
fn is_about(is: f64, expected: f64) -> bool {
    (is - expected).abs() < 0.015
}

fn has_rung(world: &World, phone: PhoneId) -> bool {
    world.phone_events(phone).iter().any(|event| matches!(event, PhoneEvent::Incoming { .. }))
}

fn talks(world: &mut World, call: CallId) {
    assert!(world.run_until(seconds(10.0), |world| world.state(call) == CallState::Talking));
    world.run_for(seconds(0.5));
}

fn is_unavailable(answer: Option<&Result<CallId, Refusal>>) -> bool {
    matches!(answer, Some(Err(Refusal::StorageUnavailable { .. })))
}

fn reason_of(world: &World, call: CallId) -> Option<EndReason> {
    world.call(call).end.as_ref().map(|end| end.reason)
}

// What waits for the disk.

#[test]
fn nobody_is_rung_and_nothing_promised_before_the_call_is_on_disk() {
    let (mut world, from, _) = two_phones(1);
    world.set_disk(SLOW);
    let asked = now(&world);
    let ticket = world.ask(request());
    world.run_for(seconds(0.499));
    assert!(sent(&world, "INVITE").is_empty(), "{}", world.story());
    assert_eq!((world.answer(ticket), world.records().len()), (None, 0));
    world.run_for(seconds(0.01));
    assert!(matches!(world.answer(ticket), Some(Ok(_))) && has_rung(&world, from));
    assert!(is_about(sent(&world, "INVITE")[0], asked + 0.5));
    assert_eq!(world.records().len(), 1);
}

#[test]
fn a_registration_is_confirmed_when_it_is_on_disk() {
    let mut world = World::with_seed(2);
    world.set_disk(SLOW);
    world.phone("1001", answers_after(1.0), 700.0);
    world.phone("1002", answers_after(1.0), 1100.0);
    world.run_for(seconds(0.49));
    assert!(sent(&world, "200 OK").is_empty(), "{}", world.story());
    world.register_all();
    // Both came while nothing was written, and share a round, or the second one waits for the next.
    let confirmed = sent(&world, "200 OK");
    assert!(confirmed[0] >= 0.5 && confirmed.last().is_some_and(|last| *last < 1.1), "{confirmed:?}");
    world.kill_server();
    world.start_server_again();
    assert!(world.click_to_call(request()).is_ok(), "a confirmed registration is lost");
}

#[test]
fn the_end_of_a_call_is_told_when_its_record_is_on_disk() {
    let (mut world, from, to) = two_phones(3);
    let call = world.click_to_call(request()).unwrap();
    talks(&mut world, call);
    world.set_disk(SLOW);
    world.hang_up(call);
    world.run_for(seconds(0.05));
    assert!(!world.is_busy(from) && !world.is_busy(to), "phones do not wait for the disk");
    assert_eq!(reason_of(&world, call), Some(EndReason::HungUp), "the API shows what has happened");
    world.run_for(seconds(0.4));
    assert!(world.is_live(call) && sent(&world, "Ended").is_empty(), "{}", world.story());
    assert!(world.records()[0].end.is_none());
    world.run_for(seconds(0.6));
    assert!(!world.is_live(call));
    assert_eq!(sent(&world, "Ended").len(), 1);
    world.run_until_ended(call);
}

#[test]
fn an_answer_is_acknowledged_when_what_ends_it_is_on_disk() {
    let (mut world, ..) = two_phones(4);
    let call = world.click_to_call(request()).unwrap();
    world.run_for(seconds(0.5));
    world.set_disk(SLOW);
    world.run_for(seconds(3.0));
    let answers = sent(&world, "200 OK (1 INVITE)");
    let acks = sent(&world, "ACK ");
    assert!(is_about(acks[0], answers[0] + 0.5), "{acks:?} behind {answers:?}\n{}", world.story());
    // Nothing else waits for it.
    let invites = sent(&world, " INVITE ");
    assert!(is_about(invites[1], answers[0]), "{}", world.story());
    world.hang_up(call);
    world.run_until_ended(call);
}

/// A server that dies before it has acknowledged an answer, and one that dies when it just has.
#[test]
fn a_phone_whose_answer_was_acknowledged_is_let_go_after_a_crash() {
    for seed in 0..20 {
        let (mut world, from, _) = two_phones(seed);
        let call = world.click_to_call(request()).unwrap();
        let acknowledged = |world: &World| !sent(world, "ACK ").is_empty();
        assert!(world.run_until(seconds(2.0), acknowledged));
        world.kill_server();
        world.run_for(seconds(0.1));
        world.start_server_again();
        assert!(world.run_until(seconds(0.1), |world| !world.is_busy(from)), "{}", world.story());
        assert_eq!(world.run_until_ended(call).end.as_ref().unwrap().reason, EndReason::ServerCrashed);
    }
}

// A full disk.

#[test]
fn while_the_disk_is_full_new_calls_are_refused_at_once_and_ring_nobody() {
    let (mut world, from, to) = two_phones(5);
    world.set_disk(DiskState::Fails);
    for latest in [0.01, 0.0, 0.0] {
        let ticket = world.ask(repeatable());
        world.run_for(seconds(latest));
        assert!(is_unavailable(world.answer(ticket)), "{:?}", world.answer(ticket));
    }
    world.run_for(seconds(30.0));
    assert!(!has_rung(&world, from) && !has_rung(&world, to));
    assert!(matches!(world.storage(), [StorageState::Failing(_)]), "{:?}", world.storage());
    world.set_disk(USUAL);
    world.run_for(seconds(1.1));
    assert!(matches!(world.storage(), [StorageState::Failing(_), StorageState::Fine]));
    // The round of the first one was given again, and has landed.
    let records = world.records();
    assert_eq!(records.len(), 1);
    assert_eq!(reason_of(&world, records[0].call_id), Some(EndReason::Refused));
    world.check_events(records[0].call_id);
    assert_eq!(world.kept(), (0, 0));
    let call = world.click_to_call(repeatable()).expect("the disk is back");
    talks(&mut world, call);
    world.hang_up(call);
    assert_eq!(world.run_until_ended(call).end.as_ref().unwrap().reason, EndReason::HungUp);
    assert_eq!(world.kept(), (1, 0));
}

#[test]
fn while_the_disk_is_full_a_registration_is_refused_with_a_time_to_come_back() {
    let mut world = World::with_seed(6);
    world.set_disk(DiskState::Fails);
    let first = world.phone_by_hand("1001", 700.0);
    world.run_for(seconds(0.5));
    let second = world.phone_by_hand("1002", 1100.0);
    world.run_for(seconds(0.01));
    for phone in [first, second] {
        let answers = world.by_hand(phone).answers("REGISTER");
        let last = answers.last().expect("it is answered at once");
        assert_eq!(last.status(), Some(503), "{}", last.as_str());
        assert_eq!(last.field("Retry-After"), Some("5"));
    }
    world.set_disk(USUAL);
    world.run_for(seconds(1.1));
    let later = world.phone("1003", answers_after(1.0), 900.0);
    let registered = |event: &PhoneEvent| matches!(event, PhoneEvent::Registered { .. });
    assert!(world.run_until(seconds(0.1), |world| world.phone_events(later).iter().any(registered)));
    // What was refused has not taken effect (RFC 3261 §10.3 step 7), here or on the disk.
    let not_registered = Err(Refusal::NotRegistered { field: "from" });
    assert_eq!(world.click_to_call(request()), not_registered);
    world.run_for(seconds(1.0));
    world.kill_server();
    world.start_server_again();
    assert_eq!(world.click_to_call(request()), not_registered);
}

#[test]
fn calls_that_run_go_on_and_end_while_the_disk_is_full() {
    let (mut world, from, to) = two_phones(8);
    let [waits, late] = ["1003", "1004"].map(|user| world.phone(user, answers_after(1.0), 900.0));
    world.register_all();
    world.run_for(seconds(0.5));
    let talking = world.click_to_call(request()).unwrap();
    talks(&mut world, talking);
    let ringing = world.click_to_call(World::request("1003", "1004")).unwrap();
    world.run_for(seconds(0.5));
    let (acks, answers) = (sent(&world, "ACK ").len(), sent(&world, "200 OK (1 INVITE)").len());
    world.set_disk(DiskState::Fails);

    // A phone picks up: the ACK waits for the first round that fails, the other party is rung at once.
    assert!(world.run_until(seconds(1.0), |world| sent(world, "200 OK (1 INVITE)").len() > answers));
    let picked_up = now(&world);
    world.run_for(seconds(0.05));
    let acked = sent(&world, "ACK ").get(acks).copied().expect("it is acknowledged");
    assert!(is_about(acked, picked_up), "{acked} behind {picked_up}");
    assert!(has_rung(&world, late), "{}", world.story());
    let (acks, picked_up) = (acks + 1, picked_up + 1.0);

    // Another one, when it is known that nothing can be written.
    talks(&mut world, ringing);
    let acked = sent(&world, "ACK ")[acks];
    assert!(is_about(acked, picked_up), "{acked} behind {picked_up}\n{}", world.story());

    for (call, phones) in [(talking, [from, to]), (ringing, [waits, late])] {
        let byes = sent(&world, " BYE ").len();
        world.hang_up(call);
        world.run_for(seconds(0.05));
        assert_eq!(sent(&world, " BYE ").len(), byes + 2);
        assert!(!phones.iter().any(|phone| world.is_busy(*phone)), "{}", world.story());
        assert_eq!(reason_of(&world, call), Some(EndReason::HungUp));
        assert!(world.is_live(call) && !world.events_of(call).contains(&CallEventKind::Ended));
    }
    world.run_for(seconds(20.0));
    assert!(world.is_live(talking) && world.is_live(ringing), "its record is nowhere else");
    assert!(sent(&world, "Ended").is_empty(), "told, and not on disk");
    world.set_disk(USUAL);
    world.run_for(seconds(1.1));
    for call in [talking, ringing] {
        assert!(!world.is_live(call));
        let record = world.run_until_ended(call);
        assert_eq!(record.end.as_ref().unwrap().by, EndedBy::Api);
        assert!(!world.ladder(call).messages.is_empty(), "its trace came with it");
    }
    assert_eq!(sent(&world, "Ended").len(), 2);
    assert!(matches!(world.storage(), [StorageState::Failing(_), StorageState::Fine]));
    assert_eq!(world.kept().1, 0);
    let again = world.click_to_call(request()).expect("the disk is back");
    world.hang_up(again);
    world.run_until_ended(again);
}

// A slow write.

#[test]
fn a_request_does_not_wait_longer_than_two_seconds_for_the_disk() {
    let (mut world, from, to) = two_phones(9);
    world.set_disk(DiskState::Takes(seconds(5.0)));
    let ticket = world.ask(repeatable());
    world.run_for(seconds(1.99));
    assert_eq!(world.answer(ticket), None);
    world.run_for(seconds(0.02));
    assert!(is_unavailable(world.answer(ticket)));
    assert_eq!(world.storage(), [StorageState::Slow]);
    let next = world.ask(request());
    assert!(is_unavailable(world.answer(next)), "the next one is refused at once");
    world.set_disk(USUAL);
    world.run_for(seconds(2.98));
    assert!(world.records().is_empty());
    world.run_for(seconds(0.05));

    let records = world.records();
    assert_eq!(records.len(), 1, "its row has landed");
    let end = records[0].end.as_ref().expect("it is closed");
    assert_eq!((end.reason, end.by, end.party), (EndReason::Refused, EndedBy::Server, None));
    world.check_events(records[0].call_id);
    assert_eq!(world.kept(), (0, 0), "its key is free again");
    assert_eq!(world.storage(), [StorageState::Slow, StorageState::Fine]);
    assert!(!has_rung(&world, from) && !has_rung(&world, to), "{}", world.story());
    let again = world.click_to_call(repeatable()).expect("the disk is quick again");
    assert_eq!(world.kept().0, 1);
    world.hang_up(again);
    world.run_until_ended(again);
}

#[test]
fn an_answer_does_not_wait_longer_than_two_seconds_for_the_disk() {
    let (mut world, ..) = two_phones(10);
    let call = world.click_to_call(request()).unwrap();
    world.run_for(seconds(0.5));
    world.set_disk(DiskState::Takes(seconds(5.0)));
    world.run_for(seconds(3.0));
    let (answers, acks) = (sent(&world, "200 OK (1 INVITE)"), sent(&world, "ACK "));
    assert!(is_about(acks[0], answers[0] + 2.0), "{acks:?} behind {answers:?}");
    world.set_disk(USUAL);
    talks(&mut world, call);
    world.hang_up(call);
    world.run_until_ended(call);
}

/// A client whose request the end of the server has refused may ask the next server the same.
#[test]
fn a_request_that_is_refused_because_the_server_stops_leaves_its_key_free() {
    let (mut world, from, _) = two_phones(11);
    world.set_disk(SLOW);
    let ticket = world.ask(repeatable());
    world.run_for(seconds(0.1));
    world.end_all();
    world.run_for(seconds(2.0));
    assert_eq!(world.answer(ticket), Some(&Err(Refusal::Draining)));
    assert!(!has_rung(&world, from));
    let records = world.records();
    assert_eq!(reason_of(&world, records[0].call_id), Some(EndReason::ServerStopped));
    world.check_events(records[0].call_id);
    assert_eq!(world.kept(), (0, 0), "the key stands for a call that was refused");
}

// An error behind the commit: the world's disk notices what is written twice.

#[test]
fn what_is_on_disk_though_its_write_failed_is_there_once() {
    let (mut world, ..) = two_phones(12);
    let talking = world.click_to_call(request()).unwrap();
    world.run_for(seconds(0.5));
    world.set_disk(DiskState::FailsBehind);
    assert!(world.run_until(seconds(10.0), |world| world.state(talking) == CallState::Talking));
    let ticket = world.ask(repeatable());
    world.run_for(seconds(0.01));
    assert!(is_unavailable(world.answer(ticket)));
    world.hang_up(talking);
    world.run_for(seconds(5.0));
    assert!(world.is_live(talking), "nobody knows that it is on disk");
    world.set_disk(USUAL);
    world.run_for(seconds(1.1));
    world.run_until_ended(talking);
    use CallEventKind::{Answered, Connected, Ended, Initiated, Ringing, Talking};
    let once = [Initiated, Ringing, Answered, Ringing, Answered, Connected, Talking, Ended];
    assert_eq!(world.events_of(talking), once);
    assert_eq!(sent(&world, "Ended").len(), 1);
    assert_eq!(world.kept(), (0, 0));
}

#[test]
fn a_call_that_is_on_disk_though_its_write_failed_is_refused_and_closed() {
    let (mut world, from, _) = two_phones(13);
    world.set_disk(DiskState::FailsBehind);
    let ticket = world.ask(repeatable());
    world.run_for(seconds(0.01));
    assert!(is_unavailable(world.answer(ticket)));
    assert_eq!(world.records().len(), 1);
    world.set_disk(USUAL);
    world.run_for(seconds(1.1));
    let records = world.records();
    assert_eq!(reason_of(&world, records[0].call_id), Some(EndReason::Refused));
    world.check_events(records[0].call_id);
    assert_eq!(world.kept(), (0, 0));
    assert!(!has_rung(&world, from));
}

// The server dies.

/// Asks for a call and kills the server so long after; brings it back, and tells what became of it.
fn dies_after(milliseconds: u64, seed: u64) {
    let (mut world, from, to) = two_phones(seed);
    let ticket = world.ask(repeatable());
    world.run_for(Duration::from_millis(milliseconds));
    world.kill_server();
    let answer = world.answer(ticket).cloned();
    world.run_for(seconds(0.2));
    world.start_server_again();
    world.run_until_nothing_is_left();
    let story = || format!("killed after {milliseconds} ms, seed {seed}\n{}", world.story());
    assert!(!world.is_busy(from) && !world.is_busy(to), "{}", story());
    assert_eq!(world.kept().1, 0, "{}", story());
    let records = world.records();
    match answer {
        Some(answer) => assert_eq!(records[0].call_id, answer.expect("the disk is fine"), "{}", story()),
        None => assert!(!has_rung(&world, from), "rung and not promised\n{}", story()),
    }
    assert!(records.len() <= 1);
    assert_eq!(world.kept().0, records.len(), "a call and the answer to its request go together");
    for call in records {
        assert_eq!(reason_of(&world, call.call_id), Some(EndReason::ServerCrashed), "{}", story());
        world.check_events(call.call_id);
    }
}

#[test]
fn wherever_the_server_dies_there_is_one_record_with_one_end_and_nobody_is_left_alone() {
    // The request, the answer of `from` and that of `to`.
    for around in [0..50, 995..1_025, 1_995..2_030] {
        for milliseconds in around {
            (0..2).for_each(|seed| dies_after(milliseconds, seed));
        }
    }
}

/// The record of a call that ended is written when the server dies: it has one end, the right one or that of the crash.
#[test]
fn wherever_the_server_dies_behind_the_end_of_a_call_it_ends_once() {
    for milliseconds in 0..20 {
        for seed in 0..2 {
            let (mut world, from, to) = two_phones(seed);
            let call = world.click_to_call(request()).unwrap();
            talks(&mut world, call);
            world.hang_up(call);
            world.run_for(Duration::from_millis(milliseconds));
            let told = !sent(&world, "Ended").is_empty();
            world.kill_server();
            world.run_for(seconds(0.2));
            world.start_server_again();
            let record = world.run_until_ended(call);
            assert!(!world.is_busy(from) && !world.is_busy(to), "{}", world.story());
            let reason = record.end.as_ref().unwrap().reason;
            let crashed = reason == EndReason::ServerCrashed && !told;
            assert!(crashed || reason == EndReason::HungUp, "{reason:?} after {milliseconds} ms");
            assert_eq!(world.kept().1, 0);
        }
    }
}

/// It dies with the disk full, and comes back to a disk that is full.
#[test]
fn a_server_that_comes_back_to_a_full_disk_ends_its_calls_all_the_same() {
    let mut world = World::with_seed(14);
    let from = world.phone("1001", answers_after(1.0), 700.0);
    let to = world.phone("1002", rings_for_ever(), 1100.0);
    world.register_all();
    let call = world.click_to_call(request()).unwrap();
    world.run_for(seconds(3.0));
    world.set_disk(DiskState::Fails);
    world.kill_server();
    world.start_server_again();
    let free = |world: &World| !world.is_busy(from) && !world.is_busy(to);
    assert!(world.run_until(seconds(0.1), free), "{}", world.story());
    world.run_for(seconds(5.0));
    assert!(world.records()[0].end.is_none());
    world.set_disk(USUAL);
    let record = world.run_until_ended(call);
    assert_eq!(record.end.as_ref().unwrap().reason, EndReason::ServerCrashed);
    assert_eq!(world.kept().1, 0);
}
