//! One phone calls another: what each of them sees.

mod world;

use sip_message::StatusCode;
use test_phone::{Answering, Command, Dtmf, EndCause, Failure, HeldBy, PhoneEvent, Reply, Script, Source};
use world::{Sound, World, script, secs};

fn calling() -> Script {
    Script { call: Some("1002".into()), ..script() }
}

fn answering(answering: Answering) -> Script {
    Script { answering, ..script() }
}

fn accepting_after(seconds: f64) -> Script {
    answering(Answering { reply: Reply::Accept { after: secs(seconds) }, ..Answering::default() })
}

fn rejecting(status: StatusCode) -> Script {
    answering(Answering { reply: Reply::Reject { status, after: secs(0.0) }, ..Answering::default() })
}

fn silent(scripts: [Script; 2]) -> World {
    World::new(scripts, [Sound::default(), Sound::default()])
}

fn tones(scripts: [Script; 2]) -> World {
    let sound = |plays, expects| Sound { plays: Source::Tone { hertz: plays }, expects: Some(expects) };
    World::new(scripts, [sound(700.0, 1_100.0), sound(1_100.0, 700.0)])
}

fn ended(cause: EndCause) -> PhoneEvent {
    PhoneEvent::Ended { cause, reason: None }
}

fn failures(world: &World, phone: usize) -> &[Failure] {
    &world.outcome(phone).expect("the script has ended").failures
}

#[test]
fn a_call_rings_is_answered_and_is_ended_by_the_caller() {
    let caller = Script { hang_up_after: Some(secs(3.0)), ..calling() };
    let mut world = tones([caller, Script { calls: Some(1), ..accepting_after(2.0) }]);
    world.run_for(secs(10.0));
    let incoming = world.events[1].iter().find_map(|(_, event)| {
        let PhoneEvent::Incoming { number, name, codecs, .. } = event else { return None };
        Some((number.clone(), name.clone(), codecs.len()))
    });
    assert_eq!(incoming, Some(("1001".to_owned(), Some("Phone 1".to_owned()), 6)));
    assert!(world.has(0, &PhoneEvent::Ringing { status: 180, early_media: false }));
    let answered = world.at(0, |event| matches!(event, PhoneEvent::Answered { .. })).unwrap();
    assert!((2_000..2_100).contains(&answered), "{answered}");
    assert!(world.has(1, &PhoneEvent::Confirmed));
    assert!(world.has(0, &ended(EndCause::HungUp)));
    assert!(world.has(1, &ended(EndCause::HungUpByPeer)));
    assert_eq!((failures(&world, 0), failures(&world, 1)), (&[][..], &[][..]));
}

#[test]
fn each_hears_the_tone_of_the_other_without_loss() {
    let caller = Script { hang_up_after: Some(secs(3.0)), ..calling() };
    let mut world = tones([caller, Script { calls: Some(1), ..accepting_after(0.5) }]);
    world.run_for(secs(10.0));
    for phone in 0..2 {
        let figures = &world.calls[phone][0].figures;
        let tone = figures.tone.unwrap();
        assert!(tone.milliseconds >= 2_800 && tone.share > 0.9, "{figures:?}");
        assert!((145..155).contains(&figures.packets_received), "{figures:?}");
        assert_eq!(
            (figures.packets_lost, figures.packets_unusable, figures.sources),
            (0, 0, 1),
            "{figures:?}"
        );
        assert!(figures.first_audio_ms_after_answer.unwrap() <= 20, "{figures:?}");
        assert!(figures.jitter_ms < 1.0, "{figures:?}");
    }
}

#[test]
fn lost_packets_are_counted_and_leave_silence() {
    let caller = Script { hang_up_after: Some(secs(4.0)), ..calling() };
    let mut world = tones([caller, Script { calls: Some(1), ..accepting_after(0.0) }]);
    world.loses_rtp = |number| (100..110).contains(&number);
    world.run_for(secs(10.0));
    let lost: u64 = world.calls.iter().map(|calls| calls[0].figures.packets_lost).sum();
    assert_eq!(lost, 10);
    let heard = &world.calls[0][0].heard;
    assert!((3_980..=4_020).contains(&heard.duration().as_millis()), "{:?}", heard.duration());
    assert!(world.calls[0][0].figures.tone.unwrap().milliseconds < 3_500);
}

#[test]
fn a_tone_that_was_not_heard_is_a_failure() {
    let caller = Script { hang_up_after: Some(secs(2.0)), ..calling() };
    let sounds = [Sound { expects: Some(1_100.0), ..Sound::default() }, Sound::default()];
    let mut world = World::new([caller, accepting_after(0.0)], sounds);
    world.run_for(secs(5.0));
    assert_eq!(failures(&world, 0), [Failure::ToneNotHeard { hertz: 1_100.0, milliseconds: 0 }]);
}

#[test]
fn a_tone_is_not_expected_of_a_call_that_was_never_answered_but_missed() {
    let sounds = [Sound { expects: Some(1_100.0), ..Sound::default() }, Sound::default()];
    let mut world = World::new([calling(), rejecting(StatusCode::BUSY_HERE)], sounds);
    world.run_for(secs(5.0));
    let missed = Failure::NothingHeard { hertz: 1_100.0 };
    assert_eq!(failures(&world, 0), [Failure::CallRefused { status: 486 }, missed]);
}

#[test]
fn the_callee_may_hang_up_too() {
    let callee = Script { hang_up_after: Some(secs(1.0)), ..accepting_after(0.0) };
    let mut world = silent([calling(), callee]);
    world.run_for(secs(5.0));
    assert!(world.has(0, &ended(EndCause::HungUpByPeer)));
    assert!(world.has(1, &ended(EndCause::HungUp)));
    assert_eq!(failures(&world, 0), []);
}

#[test]
fn busy_and_declined_are_told_apart() {
    for (status, code) in [(StatusCode::BUSY_HERE, 486), (StatusCode::DECLINE, 603)] {
        let mut world = silent([calling(), rejecting(status)]);
        world.run_for(secs(2.0));
        assert!(world.has(0, &ended(EndCause::Refused { status: code })));
        assert!(world.has(1, &ended(EndCause::Rejected)));
        assert_eq!(failures(&world, 0), [Failure::CallRefused { status: code }]);
    }
}

#[test]
fn a_call_that_rings_for_ever_is_cancelled_by_the_caller() {
    let never = answering(Answering { reply: Reply::Never, ..Answering::default() });
    let mut world = silent([calling(), never]);
    world.run_for(secs(60.0));
    assert!(world.outcome(0).is_none());
    world.command(0, &Command::HangUp);
    world.run_for(secs(1.0));
    assert!(world.has(0, &ended(EndCause::Cancelled)));
    assert!(world.has(1, &ended(EndCause::CancelledByPeer)));
    assert_eq!(failures(&world, 0), []);
}

#[test]
fn a_phone_that_does_not_ring_answers_all_the_same() {
    let mut world = silent([calling(), answering(Answering { rings: false, ..Answering::default() })]);
    world.run_for(secs(1.0));
    assert!(world.at(0, |event| matches!(event, PhoneEvent::Ringing { .. })).is_none());
    assert!(world.has(0, &PhoneEvent::Confirmed));
}

#[test]
fn early_media_is_heard_before_the_answer() {
    let early =
        Answering { early_media: true, reply: Reply::Accept { after: secs(2.0) }, ..Answering::default() };
    let caller = Script { hang_up_after: Some(secs(1.0)), ..calling() };
    let mut world = tones([caller, Script { calls: Some(1), ..answering(early) }]);
    world.run_for(secs(6.0));
    assert!(world.has(0, &PhoneEvent::Ringing { status: 183, early_media: true }));
    assert!(world.has(0, &PhoneEvent::FirstAudio { ms_after_answer: None }));
    assert!(world.calls[0][0].figures.tone.unwrap().milliseconds > 2_500);
    assert_eq!((failures(&world, 0), failures(&world, 1)), (&[][..], &[][..]));
}

#[test]
fn hold_and_resume_are_seen_by_both_and_stop_the_audio_of_the_one_held() {
    let caller = Script {
        hold_after: Some(secs(1.0)),
        resume_after: Some(secs(2.0)),
        hang_up_after: Some(secs(5.0)),
        ..calling()
    };
    let mut world = tones([caller, Script { calls: Some(1), ..accepting_after(0.0) }]);
    world.run_for(secs(10.0));
    for (phone, by) in [(0, HeldBy::Us), (1, HeldBy::Peer)] {
        let held = world.at(phone, |event| *event == PhoneEvent::Held { by }).unwrap();
        let resumed = world.at(phone, |event| *event == PhoneEvent::Resumed { by }).unwrap();
        assert!((1_900..2_100).contains(&(resumed - held)), "{held} {resumed}");
    }
    let (holding, held) = (&world.calls[0][0].figures, &world.calls[1][0].figures);
    assert!((145..160).contains(&held.packets_sent), "{held:?}");
    assert!((245..255).contains(&holding.packets_sent), "{holding:?}");
    assert_eq!((held.packets_lost, holding.packets_lost), (0, 0));
    // The time line has the hole of the hold.
    assert!(holding.heard_ms > 4_800, "{holding:?}");
}

#[test]
fn digits_arrive_once_each_and_in_order() {
    for codec in [audio::Codec::Pcmu, audio::Codec::Opus] {
        let dtmf = Some(Dtmf { digits: "1122#x*".into(), after: secs(0.5) });
        let caller = Script { dtmf, hang_up_after: Some(secs(4.0)), codecs: vec![codec], ..calling() };
        let mut world = silent([caller, accepting_after(0.0)]);
        world.run_for(secs(6.0));
        let digits: String = world.events[1]
            .iter()
            .filter_map(|(_, event)| if let PhoneEvent::Dtmf { digit } = event { Some(*digit) } else { None })
            .collect();
        assert_eq!(digits, "1122#*");
        assert_eq!(world.calls[1][0].figures.packets_lost, 0);
    }
}

#[test]
fn every_codec_carries_the_tone() {
    for codec in [audio::Codec::Opus, audio::Codec::G722, audio::Codec::Pcma, audio::Codec::Pcmu] {
        let caller = Script { codecs: vec![codec], hang_up_after: Some(secs(2.0)), ..calling() };
        let mut world = tones([caller, Script { calls: Some(1), ..accepting_after(0.0) }]);
        world.run_for(secs(4.0));
        assert_eq!(world.calls[1][0].figures.codec, Some(codec.name()));
        assert_eq!((failures(&world, 0), failures(&world, 1)), (&[][..], &[][..]), "{codec:?}");
    }
}

#[test]
fn a_second_call_is_neither_taken_nor_placed() {
    let mut world = silent([calling(), Script { call: Some("1001".into()), ..script() }]);
    world.run_for(secs(1.0));
    for phone in 0..2 {
        let refused = world.at(phone, |event| matches!(event, PhoneEvent::Refused { .. }));
        assert!(refused.is_some(), "both called at once, and both lines were busy");
        assert_eq!(failures(&world, phone), [Failure::CallRefused { status: 486 }]);
    }
    let mut world = silent([calling(), accepting_after(30.0)]);
    world.run_for(secs(1.0));
    world.command(1, &Command::Call("1001".into()));
    assert!(world.at(1, |event| matches!(event, PhoneEvent::Calling { .. })).is_none());
}

#[test]
fn leaving_ends_the_call_first() {
    let mut world = silent([calling(), accepting_after(0.0)]);
    world.run_for(secs(1.0));
    world.command(0, &Command::Leave);
    world.run_for(secs(1.0));
    assert!(world.has(1, &ended(EndCause::HungUpByPeer)));
    assert_eq!(failures(&world, 0), []);
}

#[test]
fn too_few_calls_by_the_end_of_the_time_are_a_failure() {
    let waiting = Script { calls: Some(1), exit_after: Some(secs(5.0)), ..script() };
    let mut world = silent([waiting, script()]);
    world.run_for(secs(6.0));
    assert_eq!(failures(&world, 0), [Failure::TooFewCalls { expected: 1, were: 0 }]);
}
