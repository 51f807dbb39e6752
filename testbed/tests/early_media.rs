//! Stories: what `from` hears while `to` rings.

use audio::tone_share;
use call_control::{CallEventKind, EndReason};
use sip_message::StatusCode;
use std::time::{Duration, Instant};
use test_phone::{Answering, CallMedia, Command, Reply, Script};
use testbed::simulation::{World, seconds};

const RINGBACK_HERTZ: f64 = 440.0;
const FROM_HERTZ: f64 = 700.0;
const TO_HERTZ: f64 = 1100.0;
const OTHER_HERTZ: f64 = 1500.0;

fn answers_at_once() -> Script {
    Script { answering: Answering::default(), ..Script::default() }
}

fn sends_early(reply: Reply) -> Script {
    Script { answering: Answering { early_media: true, reply, ..Answering::default() }, ..Script::default() }
}

fn share(heard: &CallMedia, hertz: f64, from: Instant, until: Instant) -> f64 {
    tone_share(heard.heard.between(from, until), heard.heard.sample_rate, hertz)
}

/// When packets came, in this time.
fn arrivals(heard: &CallMedia, from: Instant, until: Instant) -> Vec<Instant> {
    let arrivals = heard.heard.arrivals.iter().map(|arrival| arrival.at);
    arrivals.filter(|at| *at >= from && *at < until).collect()
}

fn longest_gap(arrivals: &[Instant]) -> Duration {
    arrivals.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

/// Runs on, and says between which moments.
fn stretch(world: &mut World, time: f64) -> (Instant, Instant) {
    let from = world.now();
    world.run_for(seconds(time));
    (from, world.now())
}

#[test]
fn from_hears_the_tone_then_early_packets_then_the_tone_again_then_the_answer() {
    let mut world = World::with_seed(21);
    let from = world.phone("1001", answers_at_once(), FROM_HERTZ);
    let to = world.phone("1002", sends_early(Reply::Accept { after: seconds(9.0) }), TO_HERTZ);
    world.register_all();
    world.mute(to, true);
    let id = world.click_to_call(World::request("1001", "1002")).unwrap();
    world.run_for(seconds(0.2));
    let without_packets = stretch(&mut world, 1.5);
    world.mute(to, false);
    let early = stretch(&mut world, 2.0);
    world.mute(to, true);
    let stopped = stretch(&mut world, 2.9);
    world.mute(to, false);
    let again = stretch(&mut world, 1.0);
    assert!(!world.events_of(id).contains(&CallEventKind::Connected));
    world.run_for(seconds(3.5));
    assert!(world.events_of(id).contains(&CallEventKind::Connected));
    let talk = stretch(&mut world, 2.0);
    world.hang_up(id);
    world.run_until_ended(id);
    let heard = world.heard(from).unwrap();

    let (start, end) = without_packets;
    assert!(share(heard, RINGBACK_HERTZ, start, end) > 0.4, "a 183 alone changes nothing");
    assert!(share(heard, TO_HERTZ, start, end) < 0.01);
    for (start, end) in [early, again, talk] {
        assert!(share(heard, TO_HERTZ, start + seconds(0.08), end) > 0.95);
        assert!(share(heard, RINGBACK_HERTZ, start + seconds(0.08), end) < 0.01, "both at once");
    }
    let (start, end) = stopped;
    let last = *arrivals(heard, early.0, start + seconds(0.06)).last().unwrap();
    let returned = arrivals(heard, start + seconds(0.06), end)[0];
    assert!((seconds(1.0)..=seconds(1.06)).contains(&(returned - last)), "{:?}", returned - last);
    assert!(share(heard, RINGBACK_HERTZ, returned, end) > 0.4, "the tone is back");
    let before = arrivals(heard, without_packets.0, last);
    let after = arrivals(heard, returned, talk.1);
    assert!(longest_gap(&before).max(longest_gap(&after)) <= Duration::from_millis(60));
    assert_eq!((heard.figures.sources, heard.figures.packets_lost), (1, 0), "not one stream");
    let to_heard = world.heard(to).unwrap();
    let first = to_heard.heard.arrivals[0].at;
    assert!(first >= talk.0 - seconds(2.2), "the one who rings hears nothing before it answers");
}

#[test]
fn the_phone_that_answers_is_heard_though_another_one_sent_early() {
    let mut world = World::with_seed(22);
    let from = world.phone("1001", answers_at_once(), FROM_HERTZ);
    world.phone("1002", sends_early(Reply::Never), TO_HERTZ);
    let other = world.phone("1002", sends_early(Reply::Accept { after: seconds(3.0) }), OTHER_HERTZ);
    world.register_all();
    let id = world.click_to_call(World::request("1001", "1002")).unwrap();
    world.run_for(seconds(0.5));
    let early = stretch(&mut world, 2.0);
    world.run_for(seconds(1.0));
    let talk = stretch(&mut world, 2.0);
    world.hang_up(id);
    assert_eq!(world.run_until_ended(id).end.as_ref().unwrap().reason, EndReason::HungUp);
    let heard = world.heard(from).unwrap();
    let one_of_two = [TO_HERTZ, OTHER_HERTZ].map(|hertz| share(heard, hertz, early.0, early.1));
    assert!(one_of_two.iter().any(|share| *share > 0.95), "one at a time: {one_of_two:?}");
    assert!(share(heard, OTHER_HERTZ, talk.0, talk.1) > 0.95);
    assert!(world.heard(other).unwrap().figures.packets_received > 50);
}

#[test]
fn when_the_phone_that_is_heard_declines_another_one_is_heard() {
    let mut world = World::with_seed(23);
    let from = world.phone("1001", answers_at_once(), FROM_HERTZ);
    let busy = Reply::Reject { status: StatusCode::BUSY_HERE, after: seconds(2.0) };
    world.phone("1002", sends_early(busy), TO_HERTZ);
    world.phone("1002", sends_early(Reply::Accept { after: seconds(6.0) }), OTHER_HERTZ);
    world.register_all();
    let id = world.click_to_call(World::request("1001", "1002")).unwrap();
    world.run_for(seconds(2.5));
    let early = stretch(&mut world, 2.0);
    world.hang_up(id);
    world.run_until_ended(id);
    assert!(share(world.heard(from).unwrap(), OTHER_HERTZ, early.0, early.1) > 0.95);
}

#[test]
fn a_phone_that_dials_hears_what_the_other_one_sends_before_it_answers_and_no_tone_of_ours() {
    let mut world = World::with_seed(33);
    let from = world.phone("1001", Script::default(), FROM_HERTZ);
    world.phone("1002", sends_early(Reply::Accept { after: seconds(3.0) }), TO_HERTZ);
    world.register_all();
    world.press(from, &Command::Call("1002".into()));
    world.run_for(seconds(0.3));
    let early = stretch(&mut world, 2.0);
    let id = world.records()[0].call_id;
    assert!(!world.events_of(id).contains(&CallEventKind::Connected));
    world.run_for(seconds(1.5));
    assert!(world.events_of(id).contains(&CallEventKind::Connected));
    let talk = stretch(&mut world, 2.0);
    world.hang_up(id);
    world.run_until_ended(id);
    let heard = world.heard(from).unwrap();
    for (start, end) in [early, talk] {
        assert!(share(heard, TO_HERTZ, start + seconds(0.1), end) > 0.9, "{}", world.story());
        assert!(share(heard, RINGBACK_HERTZ, start, end) < 0.01);
    }
}

#[test]
fn a_refusal_behind_an_announcement_is_told_and_the_announcement_was_heard() {
    let mut world = World::with_seed(34);
    let from = world.phone("1001", Script::default(), FROM_HERTZ);
    let reject = Reply::Reject { status: StatusCode::NOT_FOUND, after: seconds(3.0) };
    world.phone("1002", sends_early(reject), TO_HERTZ);
    world.register_all();
    world.press(from, &Command::Call("1002".into()));
    world.run_for(seconds(0.5));
    let early = stretch(&mut world, 2.0);
    let id = world.records()[0].call_id;
    let call = world.run_until_ended(id);
    assert_eq!(call.end.as_ref().unwrap().sip_status, Some(404));
    let heard = world.heard(from).unwrap();
    assert!(share(heard, TO_HERTZ, early.0, early.1) > 0.9, "{}", world.story());
}
