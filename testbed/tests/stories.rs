//! Stories: the whole B2BUA, its relay and phones on a simulated network.

use audio::tone_milliseconds;
use call_control::{CallEventKind, CallState, EndReason, EndedBy, Party, PartyState, Refusal};
use sip_message::StatusCode;
use test_phone::{CallMedia, PhoneEvent, Registering, Script};
use testbed::simulation::{
    Network, World, answers_after, percent, refuses, rings_for_ever, seconds, talks_for,
};

const FROM_HERTZ: f64 = 700.0;
const TO_HERTZ: f64 = 1100.0;

fn tone_heard(media: Option<&CallMedia>, hertz: f64) -> u64 {
    media.map_or(0, |media| tone_milliseconds(&media.heard.samples, media.heard.sample_rate, hertz))
}

#[test]
fn both_hear_each_other_and_from_hangs_up() {
    let mut world = World::with_seed(1);
    let from = world.phone("1001", talks_for(8.0), FROM_HERTZ);
    let to = world.phone("1002", answers_after(2.0), TO_HERTZ);
    world.register_all();
    let id = world.click_to_call(World::request("1001", "1002")).unwrap();
    assert!(
        world.run_until(seconds(10.0), |world| world.state(id) == CallState::Talking),
        "{}",
        world.story()
    );
    let call = world.run_until_ended(id);
    let end = call.end.as_ref().unwrap();
    assert_eq!((end.reason, end.by), (EndReason::HungUp, EndedBy::From));
    use CallEventKind::{Answered, Connected, Ended, Initiated, Ringing, Talking};
    let expected = [Initiated, Ringing, Answered, Ringing, Answered, Connected, Talking, Ended];
    assert_eq!(world.events_of(id), expected);
    assert!(tone_heard(world.heard(from), TO_HERTZ) >= 3000);
    assert!(tone_heard(world.heard(to), FROM_HERTZ) >= 3000);
    let media = call.from.media.as_ref().unwrap();
    assert!(media.packets_received > 300 && media.packets_lost == 0, "{media:?}");
    assert_eq!(media.mos, Some(4.4));
    assert!(media.first_packet_ms_after_answer.unwrap() < 100);
}

#[test]
fn while_a_call_runs_its_figures_are_told_each_second_and_say_what_is_lost() {
    let mut world = World::with_seed(1);
    world.phone("1001", talks_for(8.0), FROM_HERTZ);
    world.phone("1002", answers_after(1.0), TO_HERTZ);
    world.register_all();
    let id = world.click_to_call(World::request("1001", "1002")).unwrap();
    assert!(world.run_until(seconds(10.0), |world| world.state(id) == CallState::Talking));
    world.set_network(Network { loss: percent(20), ..Network::default() });
    let figures = |world: &World| {
        let call = world.call(id);
        [&call.from, &call.to].map(|party| {
            let media = party.media.as_ref().expect("both have audio");
            (media.packets_received, media.packets_lost)
        })
    };
    let mut before = figures(&world);
    for _ in 0..4 {
        world.run_for(seconds(1.1));
        let now = figures(&world);
        for (before, now) in before.iter().zip(now) {
            assert!(now.0 > before.0 + 20 && now.1 > before.1, "{before:?}, a second later {now:?}");
        }
        before = now;
    }
}

#[test]
fn from_hears_the_ringback_on_the_stream_that_the_other_party_continues() {
    let mut world = World::with_seed(2);
    let from = world.phone("1001", talks_for(12.0), FROM_HERTZ);
    world.phone("1002", answers_after(6.0), TO_HERTZ);
    world.register_all();
    let id = world.click_to_call(World::request("1001", "1002")).unwrap();
    world.run_until_ended(id);
    let heard = world.heard(from).unwrap();
    let ringback = |hertz| tone_milliseconds(&heard.heard.samples, heard.heard.sample_rate, hertz);
    assert!(ringback(440.0) > 0 || ringback(480.0) > 0, "no ringback");
    assert_eq!(heard.figures.sources, 1, "more than one SSRC");
    assert_eq!(heard.figures.packets_lost, 0, "sequence numbers do not run on");
    assert!(heard.figures.longest_gap_ms <= 60, "{:?}", heard.figures);
}

#[test]
fn a_refusal_of_from_never_reaches_to() {
    for (status, reason) in [
        (StatusCode::BUSY_HERE, EndReason::Busy),
        (StatusCode::DECLINE, EndReason::Declined),
        (StatusCode::TEMPORARILY_UNAVAILABLE, EndReason::Unreachable),
        (StatusCode::NOT_ACCEPTABLE_HERE, EndReason::NoCommonCodec),
    ] {
        let mut world = World::with_seed(3);
        world.phone("1001", refuses(status), FROM_HERTZ);
        let to = world.phone("1002", answers_after(1.0), TO_HERTZ);
        world.register_all();
        let id = world.click_to_call(World::request("1001", "1002")).unwrap();
        let call = world.run_until_ended(id);
        let end = call.end.as_ref().unwrap();
        assert_eq!((end.reason, end.party, end.sip_status), (reason, Some(Party::From), Some(status.code())));
        assert!(!world.phone_events(to).iter().any(|event| matches!(event, PhoneEvent::Incoming { .. })));
        assert_eq!(call.to.state, PartyState::Waiting);
    }
}

#[test]
fn from_is_let_go_when_to_is_busy() {
    let mut world = World::with_seed(4);
    let from = world.phone("1001", answers_after(1.0), FROM_HERTZ);
    world.phone("1002", refuses(StatusCode::BUSY_HERE), TO_HERTZ);
    world.register_all();
    let id = world.click_to_call(World::request("1001", "1002")).unwrap();
    let call = world.run_until_ended(id);
    let end = call.end.as_ref().unwrap();
    assert_eq!((end.reason, end.by, end.party), (EndReason::Busy, EndedBy::To, Some(Party::To)));
    assert!(!world.is_busy(from));
}

#[test]
fn no_answer_is_noticed_in_time_on_either_side() {
    for (from_script, to_script, party, after) in [
        (rings_for_ever(), answers_after(1.0), Party::From, 5.0),
        (answers_after(1.0), rings_for_ever(), Party::To, 8.0),
    ] {
        let mut world = World::with_seed(5);
        let from = world.phone("1001", from_script, FROM_HERTZ);
        let to = world.phone("1002", to_script, TO_HERTZ);
        world.register_all();
        let asked_at = world.elapsed();
        let mut request = World::request("1001", "1002");
        request.timeout = seconds(5.0);
        request.to_timeout = seconds(7.0);
        let id = world.click_to_call(request).unwrap();
        assert!(world.run_until(seconds(30.0), |world| world.events_of(id).contains(&CallEventKind::Ended)));
        let took = (world.elapsed() - asked_at).as_secs_f64();
        assert!((took - after).abs() < 0.25, "{took} s");
        let call = world.run_until_ended(id);
        let end = call.end.as_ref().unwrap();
        assert_eq!((end.reason, end.by, end.party), (EndReason::NoAnswer, EndedBy::Server, Some(party)));
        assert!(!world.is_busy(from) && !world.is_busy(to));
    }
}

#[test]
fn the_api_ends_a_call_in_every_state() {
    for after in [0.0005, 0.5, 1.2, 2.5, 5.0] {
        let mut world = World::with_seed(6);
        let from = world.phone("1001", answers_after(1.0), FROM_HERTZ);
        let to = world.phone("1002", answers_after(2.0), TO_HERTZ);
        world.register_all();
        let id = world.click_to_call(World::request("1001", "1002")).unwrap();
        world.run_for(seconds(after));
        world.hang_up(id);
        let call = world.run_until_ended(id);
        let end = call.end.as_ref().unwrap();
        let reason = if after > 4.0 { EndReason::HungUp } else { EndReason::Cancelled };
        assert_eq!((end.reason, end.by), (reason, EndedBy::Api), "after {after} s");
        assert!(!world.is_busy(from) && !world.is_busy(to), "after {after} s\n{}", world.story());
    }
}

#[test]
fn all_phones_of_a_party_ring_and_the_first_one_gets_the_call() {
    let mut world = World::with_seed(7);
    let slow = world.phone("1001", answers_after(3.0), FROM_HERTZ);
    let quick = world.phone("1001", talks_for(5.0), FROM_HERTZ);
    world.phone("1002", answers_after(1.0), TO_HERTZ);
    world.register_all();
    let id = world.click_to_call(World::request("1001", "1002")).unwrap();
    let call = world.run_until_ended(id);
    assert_eq!(call.end.as_ref().unwrap().reason, EndReason::HungUp);
    let rang =
        |phone| world.phone_events(phone).iter().any(|event| matches!(event, PhoneEvent::Ringing { .. }));
    assert!(rang(slow) && rang(quick));
    assert!(!world.is_busy(slow), "the other phone rings on");
    assert!(world.heard(slow).is_none() && world.heard(quick).is_some());
}

#[test]
fn an_extension_without_a_phone_is_refused_before_anything_rings() {
    for (present, field) in [("1002", "from"), ("1001", "to")] {
        let mut world = World::with_seed(8);
        let there = world.phone(present, answers_after(1.0), TO_HERTZ);
        world.register_all();
        let answer = world.click_to_call(World::request("1001", "1002"));
        let refusal = Refusal::NotRegistered { field };
        assert_eq!(refusal.to_string(), "Failed to originate call: extension not registered");
        assert_eq!(answer, Err(refusal));
        world.run_for(seconds(40.0));
        assert!(!world.phone_events(there).iter().any(|event| matches!(event, PhoneEvent::Incoming { .. })));
        world.check_nothing_is_left();
        assert!(world.records().is_empty(), "nothing of it is kept");
    }
}

#[test]
fn a_phone_that_is_unplugged_while_it_rings_does_not_keep_the_call() {
    let mut world = World::with_seed(9);
    let from = world.phone("1001", answers_after(1.0), FROM_HERTZ);
    let to = world.phone("1002", rings_for_ever(), TO_HERTZ);
    world.register_all();
    let mut request = World::request("1001", "1002");
    request.to_timeout = seconds(5.0);
    let id = world.click_to_call(request).unwrap();
    world.run_for(seconds(3.0));
    world.unplug(to);
    let call = world.run_until_ended(id);
    assert_eq!(call.end.as_ref().unwrap().reason, EndReason::NoAnswer);
    assert!(!world.is_busy(from));
}

/// A CANCEL may not be sent before a provisional response has come (RFC 3261 §9.1).
#[test]
fn a_phone_that_no_cancel_reaches_stops_ringing_by_itself() {
    let mut world = World::with_seed(16);
    let from = world.phone("1001", rings_for_ever(), FROM_HERTZ);
    world.phone("1002", answers_after(1.0), TO_HERTZ);
    world.register_all();
    let mut request = World::request("1001", "1002");
    request.timeout = seconds(5.0);
    let id = world.click_to_call(request).unwrap();
    // The INVITE is under way; nothing else will arrive.
    world.set_network(Network { loss: percent(100), ..Network::default() });
    assert!(world.run_until(seconds(1.0), |world| world.is_busy(from)));
    assert!(world.run_until(seconds(7.5), |world| !world.is_busy(from)), "{}", world.story());
    assert_eq!(world.run_until_ended(id).end.as_ref().unwrap().reason, EndReason::Unreachable);
}

#[test]
fn a_party_that_falls_silent_ends_the_call() {
    let mut world = World::with_seed(10);
    let from = world.phone("1001", answers_after(1.0), FROM_HERTZ);
    let to = world.phone("1002", answers_after(1.0), TO_HERTZ);
    world.register_all();
    let id = world.click_to_call(World::request("1001", "1002")).unwrap();
    assert!(world.run_until(seconds(10.0), |world| world.state(id) == CallState::Talking));
    world.unplug(to);
    let call = world.run_until_ended(id);
    let end = call.end.as_ref().unwrap();
    assert_eq!((end.reason, end.party), (EndReason::MediaTimeout, Some(Party::To)));
    assert!(!world.is_busy(from));
}

#[test]
fn a_call_ends_when_it_may_last_no_longer() {
    let mut world = World::with_seed(11);
    world.phone("1001", answers_after(1.0), FROM_HERTZ);
    world.phone("1002", answers_after(1.0), TO_HERTZ);
    world.register_all();
    let mut request = World::request("1001", "1002");
    request.max_duration = Some(seconds(10.0));
    let id = world.click_to_call(request).unwrap();
    let call = world.run_until_ended(id);
    assert_eq!(call.end.as_ref().unwrap().reason, EndReason::MaxDuration);
    let connected = call.connected_at.unwrap().unix_milliseconds();
    assert!((call.ended_at.unwrap().unix_milliseconds() - connected - 10_000).abs() < 100);
}

#[test]
fn the_end_of_the_server_ends_every_call_with_a_record() {
    let mut world = World::with_seed(12);
    world.phone("1001", answers_after(1.0), FROM_HERTZ);
    let to = world.phone("1002", answers_after(1.0), TO_HERTZ);
    world.register_all();
    let id = world.click_to_call(World::request("1001", "1002")).unwrap();
    world.run_for(seconds(4.0));
    world.end_all();
    let call = world.run_until_ended(id);
    assert_eq!(call.end.as_ref().unwrap().reason, EndReason::ServerStopped);
    assert!(!world.is_busy(to));
    assert_eq!(world.click_to_call(World::request("1001", "1002")), Err(Refusal::Draining));
}

/// Whatever its calls do when the server dies, nobody is left in one after it has come back.
#[test]
fn a_server_that_died_ends_its_calls_when_it_comes_back() {
    for (after, ringing) in [(0.5, 1), (1.5, 1), (2.5, 0), (6.0, 0)] {
        let mut world = World::with_seed(17);
        let from = world.phone("1001", answers_after(1.0), FROM_HERTZ);
        let to = world.phone("1002", answers_after(1.0), TO_HERTZ);
        world.register_all();
        let id = world.click_to_call(World::request("1001", "1002")).unwrap();
        world.run_for(seconds(after));
        world.kill_server();
        world.run_for(seconds(0.2));
        world.start_server_again();
        // What rings then is cancelled before it is answered.
        let free = |world: &World| !world.is_busy(from) && !world.is_busy(to);
        assert!(world.run_until(seconds(0.1), free), "killed after {after} s\n{}", world.story());
        let call = world.run_until_ended(id);
        assert_eq!(call.end.as_ref().unwrap().reason, EndReason::ServerCrashed);
        let cancels = world.trace().iter().filter(|line| line.ends_with("(1 CANCEL)")).count();
        assert_eq!(cancels, ringing, "killed after {after} s\n{}", world.story());
        // The registrations are there, and calls go on as ever.
        let id = world.click_to_call(World::request("1001", "1002")).unwrap();
        assert!(world.run_until(seconds(10.0), |world| world.state(id) == CallState::Talking));
        world.hang_up(id);
        world.run_until_ended(id);
    }
}

#[test]
fn what_was_ended_after_a_crash_is_not_ended_again() {
    let mut world = World::with_seed(18);
    let from = world.phone("1001", answers_after(1.0), FROM_HERTZ);
    let to = world.phone("1002", answers_after(1.0), TO_HERTZ);
    world.register_all();
    let id = world.click_to_call(World::request("1001", "1002")).unwrap();
    world.run_for(seconds(4.0));
    world.kill_server();
    world.run_for(seconds(1.0));
    world.start_server_again();
    world.run_until_ended(id);
    assert!(!world.is_busy(from) && !world.is_busy(to));
    let byes = |world: &World| world.trace().iter().filter(|line| line.contains(" BYE ")).count();
    assert_eq!(byes(&world), 2);
    world.kill_server();
    world.start_server_again();
    world.run_for(seconds(40.0));
    assert_eq!(byes(&world), 2, "{}", world.story());
}

#[test]
fn a_fault_in_one_call_ends_that_call_alone() {
    for after in [0.0, 0.5, 1.5, 4.0] {
        let mut world = World::with_seed(19);
        let phones: Vec<_> = ["1001", "1002", "1003", "1004"]
            .map(|user| world.phone(user, answers_after(1.0), FROM_HERTZ))
            .to_vec();
        world.register_all();
        let broken = world.click_to_call(World::request("1001", "1002")).unwrap();
        let other = world.click_to_call(World::request("1003", "1004")).unwrap();
        world.run_for(seconds(after));
        world.break_call(broken);
        let ended = |world: &World| world.events_of(broken).contains(&CallEventKind::Ended);
        assert!(world.run_until(seconds(0.1), ended));
        assert!(world.run_until(seconds(5.0), |world| world.state(other) == CallState::Talking));
        world.run_for(seconds(0.1));
        assert!(!phones[..2].iter().any(|phone| world.is_busy(*phone)), "after {after} s\n{}", world.story());
        let call = world.call(broken);
        let end = call.end.as_ref().unwrap();
        assert_eq!((end.reason, end.by), (EndReason::InternalError, EndedBy::Server), "after {after} s");
        assert!([&call.from, &call.to].iter().all(|party| party.state != PartyState::Answered));
        world.run_for(seconds(5.0));
        world.hang_up(other);
        assert_eq!(world.run_until_ended(other).end.as_ref().unwrap().reason, EndReason::HungUp);
        world.run_until_ended(broken);
    }
}

#[test]
fn a_registration_that_is_taken_back_leaves_nobody_to_ring() {
    let mut world = World::with_seed(13);
    let from = world.phone("1001", answers_after(1.0), FROM_HERTZ);
    world.phone("1002", answers_after(1.0), TO_HERTZ);
    world.register_all();
    world.press(from, &test_phone::Command::Leave);
    world.run_for(seconds(2.0));
    assert_eq!(
        world.click_to_call(World::request("1001", "1002")),
        Err(Refusal::NotRegistered { field: "from" })
    );
}

#[test]
fn registrations_are_refreshed_before_they_expire() {
    let mut world = World::with_seed(14);
    let script = Script { registering: Registering::Keep { expires: seconds(60.0) }, ..talks_for(3.0) };
    world.phone("1001", script, FROM_HERTZ);
    world.phone("1002", answers_after(1.0), TO_HERTZ);
    world.register_all();
    world.run_for(seconds(1000.0));
    let id = world.click_to_call(World::request("1001", "1002")).unwrap();
    assert_eq!(world.run_until_ended(id).end.as_ref().unwrap().reason, EndReason::HungUp);
}

#[test]
fn a_phone_that_holds_and_resumes_with_other_codecs_in_its_offer_is_heard_again() {
    let mut world = World::with_seed(15);
    let script = Script { codecs: vec![audio::Codec::Pcmu], ..answers_after(1.0) };
    let from = world.phone("1001", script, FROM_HERTZ);
    let script =
        Script { hold_after: Some(seconds(1.0)), resume_after: Some(seconds(1.0)), ..answers_after(1.0) };
    let to = world.phone("1002", script, TO_HERTZ);
    world.register_all();
    let id = world.click_to_call(World::request("1001", "1002")).unwrap();
    let resumed = |event: &PhoneEvent| matches!(event, PhoneEvent::Resumed { .. });
    assert!(world.run_until(seconds(15.0), |world| world.phone_events(to).iter().any(resumed)));
    world.run_for(seconds(5.0));
    world.hang_up(id);
    assert_eq!(world.run_until_ended(id).end.as_ref().unwrap().reason, EndReason::HungUp);
    // Longer than the two seconds before the hold can be.
    assert!(tone_heard(world.heard(from), TO_HERTZ) >= 4000);
    assert!(tone_heard(world.heard(to), FROM_HERTZ) >= 4000);
}
