//! Stories: the messages of a call as they are kept, and what is said of them.

use audio::Codec;
use call_control::{CallId, CallState, Direction, Explanation, FindingCode, Ladder, Party, Severity};
use sip_message::StatusCode;
use std::collections::BTreeSet;
use test_phone::{Answering, Command, Reply, Script};
use testbed::simulation::{Network, World, answers_after, percent, seconds};

const FROM_HERTZ: f64 = 700.0;
const TO_HERTZ: f64 = 1100.0;

fn replies(reply: Reply) -> Script {
    Script { answering: Answering { reply, ..Answering::default() }, ..Script::default() }
}

fn refuses(status: StatusCode) -> Script {
    replies(Reply::Reject { status, after: seconds(0.5) })
}

fn steps(ladder: &Ladder) -> Vec<(Party, Direction, &str)> {
    let first = ladder.messages.iter().filter(|message| message.repeats.is_none());
    first.map(|message| (message.party, message.direction, message.summary.as_str())).collect()
}

/// Codes and whom they are about.
fn codes(explanation: &Explanation) -> Vec<(FindingCode, Option<Party>)> {
    explanation.findings.iter().map(|finding| (finding.code, finding.party)).collect()
}

fn said(explanation: &Explanation, code: FindingCode) -> &call_control::Finding {
    let found = explanation.findings.iter().find(|finding| finding.code == code);
    found.unwrap_or_else(|| panic!("no {code:?} in {explanation:#?}"))
}

/// Places a call of 1001 and 1002.
fn place(world: &mut World) -> CallId {
    world.register_all();
    world.click_to_call(World::request("1001", "1002")).expect("the call is taken")
}

#[test]
fn every_message_of_a_call_is_in_its_ladder_in_order() {
    use Direction::{Received, Sent};
    use Party::{From, To};
    let mut world = World::with_seed(61);
    world.phone("1001", Script { hang_up_after: Some(seconds(6.0)), ..answers_after(1.0) }, FROM_HERTZ);
    world.phone("1002", answers_after(2.0), TO_HERTZ);
    let id = place(&mut world);
    let first = world.ladder(id);
    assert_eq!(steps(&first), [(From, Sent, "INVITE")], "the very first one, while it is under way");
    world.run_until(seconds(10.0), |world| world.state(id) == CallState::Talking);
    assert_eq!(codes(&world.explanation(id)), [(FindingCode::Running, None)]);
    let call = world.run_until_ended(id);
    let ladder = world.ladder(id);
    let leg = |party| {
        let of = move |step: &(Party, Direction, &str)| step.0 == party;
        steps(&ladder).into_iter().filter(of).map(|(_, way, what)| (way, what)).collect::<Vec<_>>()
    };
    let begun = [
        (Sent, "INVITE"),
        (Received, "100 Trying"),
        (Received, "180 Ringing"),
        (Received, "200 OK"),
        (Sent, "ACK"),
    ];
    assert_eq!(&leg(From)[..begun.len()], begun, "{ladder:#?}");
    assert_eq!(&leg(From)[begun.len()..], [(Received, "BYE"), (Sent, "200 OK (BYE)")]);
    assert_eq!(&leg(To)[..begun.len()], begun);
    assert_eq!(&leg(To)[begun.len()..], [(Sent, "BYE"), (Received, "200 OK (BYE)")]);
    let numbers: Vec<u32> = ladder.messages.iter().map(|message| message.number).collect();
    assert_eq!(numbers, (1..=14).collect::<Vec<u32>>());
    assert!(ladder.messages.windows(2).all(|pair| pair[0].at <= pair[1].at));
    let described: Vec<&str> = ladder
        .messages
        .iter()
        .filter(|message| message.sdp)
        .map(|message| message.summary.as_str())
        .collect();
    assert_eq!(described, ["INVITE", "200 OK", "INVITE", "200 OK"]);
    assert_eq!(ladder.from.devices[0].address, ladder.messages[0].address);
    assert!(ladder.to.devices[0].registered_at <= call.created_at);
    assert_eq!(ladder.left_out, None);
    let explanation = world.explanation(id);
    assert_eq!(codes(&explanation), [(FindingCode::WentWell, None)]);
    let said = &explanation.findings[0];
    assert!(said.sentence.ends_with("then 1001 hung up."), "{}", said.sentence);
    assert_eq!(said.evidence[0].summary, "BYE");
}

#[test]
fn on_a_bad_network_the_ladder_tells_copies_from_originals() {
    let mut copies = 0;
    for seed in 0..20 {
        let mut world = World::with_seed(seed);
        world.phone("1001", Script { hang_up_after: Some(seconds(6.0)), ..answers_after(1.0) }, FROM_HERTZ);
        world.phone("1002", answers_after(1.0), TO_HERTZ);
        world.register_all();
        world.set_network(Network { loss: percent(20), doubling: percent(10), ..Network::default() });
        let id = place(&mut world);
        world.run_until_ended(id);
        let ladder = world.ladder(id);
        let mut seen = BTreeSet::new();
        for message in &ladder.messages {
            let key = (message.direction == Direction::Sent, message.address, message.text.clone());
            assert_eq!(seen.insert(key), message.repeats.is_none(), "{message:?}");
            if let Some(first) = message.repeats {
                let first = &ladder.messages[first as usize - 1];
                assert_eq!((&first.text, first.repeats), (&message.text, None));
                copies += 1;
            }
        }
    }
    assert!(copies > 20, "only {copies} copies");
}

#[test]
fn who_refused_and_with_what_is_said() {
    for (status, code, words) in [
        (StatusCode::BUSY_HERE, FindingCode::Busy, "486 Busy Here"),
        (StatusCode::DECLINE, FindingCode::Declined, "603 Decline"),
        (StatusCode::NOT_FOUND, FindingCode::Refused, "404 Not Found"),
        (StatusCode::NOT_ACCEPTABLE_HERE, FindingCode::NoCommonCodec, "It was offered PCMA, PCMU."),
    ] {
        for party in [Party::From, Party::To] {
            let mut world = World::with_seed(62);
            let script = |refuser| if party == refuser { refuses(status) } else { answers_after(1.0) };
            world.phone("1001", script(Party::From), FROM_HERTZ);
            world.phone("1002", script(Party::To), TO_HERTZ);
            let id = place(&mut world);
            world.run_until_ended(id);
            let explanation = world.explanation(id);
            assert_eq!(codes(&explanation), [(code, Some(party))], "{explanation:#?}");
            let finding = &explanation.findings[0];
            assert!(finding.sentence.contains(words), "{}", finding.sentence);
            assert_eq!(finding.severity, Severity::Fault);
            let evidence: Vec<&str> = finding.evidence.iter().map(|message| &*message.summary).collect();
            assert_eq!(evidence, ["INVITE", &format!("{status} {}", status.reason())]);
        }
    }
}

#[test]
fn a_phone_that_is_unplugged_is_said_to_be_unreachable_however_the_call_ends() {
    for (timeout, sends) in [(5.0, "4 times over UDP"), (60.0, "7 times over UDP")] {
        let mut world = World::with_seed(63);
        let from = world.phone("1001", answers_after(1.0), FROM_HERTZ);
        world.phone("1002", answers_after(1.0), TO_HERTZ);
        world.register_all();
        world.run_for(seconds(20.0));
        world.unplug(from);
        let mut request = World::request("1001", "1002");
        request.timeout = seconds(timeout);
        let id = world.click_to_call(request).unwrap();
        world.run_until_ended(id);
        let explanation = world.explanation(id);
        assert_eq!(codes(&explanation), [(FindingCode::Unreachable, Some(Party::From))], "{explanation:#?}");
        let finding = &explanation.findings[0];
        for words in [sends, "at 10.0.1.1:5060", "It registered last 20."] {
            assert!(finding.sentence.contains(words), "{}", finding.sentence);
        }
        assert_eq!(finding.severity, Severity::Fault);
        assert!(finding.evidence.len() >= 4 && finding.evidence.iter().all(|it| it.summary == "INVITE"));
    }
}

#[test]
fn a_phone_that_rings_on_is_told_from_one_that_is_gone() {
    let mut world = World::with_seed(64);
    world.phone("1001", answers_after(1.0), FROM_HERTZ);
    world.phone("1002", replies(Reply::Never), TO_HERTZ);
    world.register_all();
    let mut request = World::request("1001", "1002");
    request.to_timeout = seconds(7.0);
    let id = world.click_to_call(request).unwrap();
    world.run_until_ended(id);
    let explanation = world.explanation(id);
    assert_eq!(codes(&explanation), [(FindingCode::NoAnswer, Some(Party::To))], "{explanation:#?}");
    let finding = &explanation.findings[0];
    assert!(finding.sentence.contains("rang for 7."), "{}", finding.sentence);
    let evidence: Vec<&str> = finding.evidence.iter().map(|message| &*message.summary).collect();
    assert_eq!(evidence, ["INVITE", "180 Ringing", "CANCEL"]);
}

#[test]
fn of_two_phones_the_dead_one_is_a_hint_while_the_other_answers() {
    let mut world = World::with_seed(65);
    let dead = world.phone("1001", answers_after(1.0), FROM_HERTZ);
    world.phone("1001", answers_after(4.0), FROM_HERTZ);
    world.phone("1002", answers_after(1.0), TO_HERTZ);
    world.register_all();
    world.unplug(dead);
    let id = place(&mut world);
    assert!(world.run_until(seconds(10.0), |world| world.state(id) == CallState::Talking));
    world.run_for(seconds(3.0));
    world.hang_up(id);
    world.run_until_ended(id);
    let explanation = world.explanation(id);
    let expected = [(FindingCode::WentWell, None), (FindingCode::Unreachable, Some(Party::From))];
    assert_eq!(codes(&explanation), expected, "{explanation:#?}");
    assert_eq!(explanation.findings[1].severity, Severity::Hint);
    assert_eq!(world.ladder(id).from.devices.len(), 2);
}

#[test]
fn who_was_not_heard_by_whom_is_said() {
    for (mute_from, mute_to, expected) in [
        (true, false, (FindingCode::OneWayAudio, Some(Party::From))),
        (false, true, (FindingCode::OneWayAudio, Some(Party::To))),
        (true, true, (FindingCode::NoAudio, None)),
    ] {
        let mut world = World::with_seed(66);
        let from = world.phone("1001", answers_after(1.0), FROM_HERTZ);
        let to = world.phone("1002", answers_after(1.0), TO_HERTZ);
        world.mute(from, mute_from);
        world.mute(to, mute_to);
        let id = place(&mut world);
        assert!(world.run_until(seconds(10.0), |world| world.state(id) == CallState::Connected));
        world.run_for(seconds(5.0));
        let running = world.explanation(id);
        world.hang_up(id);
        world.run_until_ended(id);
        let explanation = world.explanation(id);
        assert_eq!(codes(&explanation), [expected], "{explanation:#?}");
        assert_eq!(codes(&running), [expected], "{running:#?}");
        let sentence = &explanation.findings[0].sentence;
        if !mute_to {
            assert!(sentence.contains("1002 could not hear 1001"), "{sentence}");
            assert!(sentence.contains("its own session description has 10.0.1.1:4000"), "{sentence}");
        }
    }
}

#[test]
fn a_hold_that_stays_and_silence_that_ends_a_call_are_said() {
    let mut world = World::with_seed(67);
    let from = world.phone("1001", answers_after(1.0), FROM_HERTZ);
    let to = world.phone("1002", answers_after(1.0), TO_HERTZ);
    let id = place(&mut world);
    assert!(world.run_until(seconds(10.0), |world| world.state(id) == CallState::Talking));
    world.press(from, &Command::Hold);
    world.run_for(seconds(3.0));
    let held = world.explanation(id);
    assert_eq!(codes(&held), [(FindingCode::Running, None), (FindingCode::Held, Some(Party::From))]);
    assert!(held.findings[1].sentence.contains("has not taken it back yet"));
    world.press(from, &Command::Resume);
    world.run_for(seconds(3.0));
    assert_eq!(codes(&world.explanation(id)), [(FindingCode::Running, None)]);
    world.mute(to, true);
    world.run_until_ended(id);
    let explanation = world.explanation(id);
    assert_eq!(codes(&explanation), [(FindingCode::MediaTimeout, Some(Party::To))], "{explanation:#?}");
}

#[test]
fn a_phone_that_lost_its_network_did_not_confirm_the_session() {
    let mut world = World::with_seed(68);
    let from = world.phone("1001", answers_after(1.0), FROM_HERTZ);
    let to = world.phone("1002", answers_after(1.0), TO_HERTZ);
    let id = place(&mut world);
    assert!(world.run_until(seconds(10.0), |world| world.state(id) == CallState::Talking));
    // Whoever is held may be silent for as long as it likes: only the session timer finds out.
    world.press(from, &Command::Hold);
    world.run_for(seconds(2.0));
    world.unplug(to);
    world.run_until(seconds(2000.0), |world| world.call(id).end.is_some());
    let explanation = world.explanation(id);
    let finding = said(&explanation, FindingCode::SessionExpired);
    assert_eq!(finding.party, Some(Party::To));
    assert!(finding.sentence.contains("gave no answer"), "{}", finding.sentence);
}

#[test]
fn codecs_that_had_to_be_converted_are_a_hint() {
    let speaks = |codec| Script { codecs: vec![codec], ..answers_after(1.0) };
    let mut world = World::with_seed(69);
    world.phone("1008", speaks(Codec::G722), FROM_HERTZ);
    world.phone("1009", speaks(Codec::Pcmu), TO_HERTZ);
    world.register_all();
    let id = world.click_to_call(World::request("1008", "1009")).unwrap();
    world.run_for(seconds(6.0));
    world.hang_up(id);
    world.run_until_ended(id);
    let explanation = world.explanation(id);
    assert_eq!(codes(&explanation), [(FindingCode::WentWell, None), (FindingCode::Transcoded, None)]);
    let sentence = &explanation.findings[1].sentence;
    assert!(sentence.contains("1008 took G722 and 1009 took PCMU"), "{sentence}");
}

#[test]
fn audio_that_was_lost_is_measured_and_said() {
    let mut world = World::with_seed(70);
    world.phone("1001", answers_after(1.0), FROM_HERTZ);
    world.phone("1002", answers_after(1.0), TO_HERTZ);
    let id = place(&mut world);
    assert!(world.run_until(seconds(10.0), |world| world.state(id) == CallState::Talking));
    world.set_network(Network { loss: percent(12), ..Network::default() });
    world.run_for(seconds(10.0));
    world.set_network(Network::default());
    world.hang_up(id);
    world.run_until_ended(id);
    let explanation = world.explanation(id);
    let expected = [Party::From, Party::To].map(|party| (FindingCode::PoorAudio, Some(party)));
    assert_eq!(codes(&explanation), expected, "{explanation:#?}");
    assert!(explanation.findings[0].sentence.contains("% of"), "{}", explanation.findings[0].sentence);
}

#[test]
fn a_call_that_somebody_gave_up_says_who() {
    let mut world = World::with_seed(71);
    let from = world.phone("1001", answers_after(1.0), FROM_HERTZ);
    world.phone("1002", replies(Reply::Never), TO_HERTZ);
    let id = place(&mut world);
    world.run_for(seconds(4.0));
    world.press(from, &Command::HangUp);
    world.run_until_ended(id);
    let explanation = world.explanation(id);
    assert_eq!(codes(&explanation), [(FindingCode::Cancelled, Some(Party::From))], "{explanation:#?}");
    assert!(explanation.findings[0].sentence.contains("before 1002 had answered"));
    assert_eq!(explanation.findings[0].evidence[0].summary, "BYE");
}
