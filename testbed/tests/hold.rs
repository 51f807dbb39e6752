//! Stories: a party holds the other one and resumes.

use audio::tone_share;
use call_control::{CallState, EndReason};
use std::time::{Duration, Instant};
use test_phone::{CallMedia, Command, HeldBy, PhoneEvent};
use testbed::simulation::{Network, PhoneId, World, answers_after, percent, seconds};

const FROM_HERTZ: f64 = 700.0;
const TO_HERTZ: f64 = 1100.0;

fn share(heard: &CallMedia, hertz: f64, (from, until): (Instant, Instant)) -> f64 {
    tone_share(heard.heard.between(from, until), heard.heard.sample_rate, hertz)
}

fn packets(heard: &CallMedia, (from, until): (Instant, Instant)) -> usize {
    heard.heard.arrivals.iter().filter(|arrival| arrival.at >= from && arrival.at < until).count()
}

/// Hold and resume as a phone saw them.
fn holds(world: &World, phone: PhoneId) -> Vec<PhoneEvent> {
    let events = world.phone_events(phone).iter();
    let is_hold = |event: &&PhoneEvent| matches!(event, PhoneEvent::Held { .. } | PhoneEvent::Resumed { .. });
    events.filter(is_hold).cloned().collect()
}

/// Runs on for a second, then for some more, and says when these were.
fn stretch(world: &mut World, time: f64) -> (Instant, Instant) {
    world.run_for(seconds(1.0));
    let from = world.now();
    world.run_for(seconds(time));
    (from, world.now())
}

#[test]
fn the_other_phone_sees_hold_and_resume_and_both_hear_each_other_again() {
    for holder_is_from in [true, false] {
        let mut world = World::with_seed(41);
        let from = world.phone("1001", answers_after(1.0), FROM_HERTZ);
        let to = world.phone("1002", answers_after(1.0), TO_HERTZ);
        world.register_all();
        let (holder, held) = if holder_is_from { (from, to) } else { (to, from) };
        let (holder_hertz, held_hertz) =
            if holder_is_from { (FROM_HERTZ, TO_HERTZ) } else { (TO_HERTZ, FROM_HERTZ) };
        let id = world.click_to_call(World::request("1001", "1002")).unwrap();
        assert!(world.run_until(seconds(10.0), |world| world.state(id) == CallState::Talking));
        world.run_for(seconds(1.0));
        world.press(holder, &Command::Hold);
        // Longer than the time after which silence ends a call.
        let on_hold = stretch(&mut world, 150.0);
        assert_eq!(holds(&world, held), [PhoneEvent::Held { by: HeldBy::Peer }]);
        assert_eq!(world.state(id), CallState::Talking, "{}", world.story());
        world.press(holder, &Command::Resume);
        let talk = stretch(&mut world, 3.0);
        world.hang_up(id);
        assert_eq!(world.run_until_ended(id).end.as_ref().unwrap().reason, EndReason::HungUp);
        let seen = [PhoneEvent::Held { by: HeldBy::Peer }, PhoneEvent::Resumed { by: HeldBy::Peer }];
        assert_eq!(holds(&world, held), seen);
        let seen = [PhoneEvent::Held { by: HeldBy::Us }, PhoneEvent::Resumed { by: HeldBy::Us }];
        assert_eq!(holds(&world, holder), seen);
        let (by_holder, by_held) = (world.heard(holder).unwrap(), world.heard(held).unwrap());
        assert_eq!(packets(by_holder, on_hold), 0, "whoever holds hears nothing");
        assert!(share(by_held, holder_hertz, on_hold) > 0.95, "what the holder plays is heard");
        assert!(share(by_holder, held_hertz, talk) > 0.95);
        assert!(share(by_held, holder_hertz, talk) > 0.95);
        assert_eq!((by_held.figures.sources, by_holder.figures.sources), (1, 1));
    }
}

#[test]
fn both_hold_and_both_resume() {
    let mut world = World::with_seed(42);
    let from = world.phone("1001", answers_after(1.0), FROM_HERTZ);
    let to = world.phone("1002", answers_after(1.0), TO_HERTZ);
    world.register_all();
    let id = world.click_to_call(World::request("1001", "1002")).unwrap();
    assert!(world.run_until(seconds(10.0), |world| world.state(id) == CallState::Talking));
    world.press(from, &Command::Hold);
    world.run_for(seconds(2.0));
    world.press(to, &Command::Hold);
    let both = stretch(&mut world, 100.0);
    world.press(from, &Command::Resume);
    let one = stretch(&mut world, 3.0);
    world.press(to, &Command::Resume);
    let none = stretch(&mut world, 3.0);
    world.hang_up(id);
    assert_eq!(world.run_until_ended(id).end.as_ref().unwrap().reason, EndReason::HungUp);
    let (by_from, by_to) = (world.heard(from).unwrap(), world.heard(to).unwrap());
    assert_eq!((packets(by_from, both), packets(by_to, both)), (0, 0));
    assert_eq!(packets(by_to, one), 0, "it still holds");
    assert!(share(by_from, TO_HERTZ, one) > 0.95);
    assert!(share(by_from, TO_HERTZ, none) > 0.95 && share(by_to, FROM_HERTZ, none) > 0.95);
}

#[test]
fn both_press_hold_at_once_and_resume_at_once() {
    let mut world = World::with_seed(43);
    let from = world.phone("1001", answers_after(1.0), FROM_HERTZ);
    let to = world.phone("1002", answers_after(1.0), TO_HERTZ);
    world.register_all();
    let id = world.click_to_call(World::request("1001", "1002")).unwrap();
    assert!(world.run_until(seconds(10.0), |world| world.state(id) == CallState::Talking));
    world.run_for(seconds(1.0));
    for key in [Command::Hold, Command::Resume] {
        world.press(from, &key);
        world.press(to, &key);
        world.run_for(seconds(20.0));
    }
    let talk = stretch(&mut world, 3.0);
    world.hang_up(id);
    assert_eq!(world.run_until_ended(id).end.as_ref().unwrap().reason, EndReason::HungUp);
    assert!(share(world.heard(from).unwrap(), TO_HERTZ, talk) > 0.95, "{}", world.story());
    assert!(share(world.heard(to).unwrap(), FROM_HERTZ, talk) > 0.95, "{}", world.story());
}

#[test]
fn whoever_is_held_before_it_answers_is_told_when_it_does() {
    let mut world = World::with_seed(44);
    let from = world.phone("1001", answers_after(1.0), FROM_HERTZ);
    let to = world.phone("1002", answers_after(5.0), TO_HERTZ);
    world.register_all();
    let id = world.click_to_call(World::request("1001", "1002")).unwrap();
    world.run_for(seconds(3.0));
    world.press(from, &Command::Hold);
    world.run_for(seconds(6.0));
    assert_eq!(holds(&world, to), [PhoneEvent::Held { by: HeldBy::Peer }]);
    world.press(from, &Command::Resume);
    let talk = stretch(&mut world, 3.0);
    world.hang_up(id);
    world.run_until_ended(id);
    assert!(share(world.heard(from).unwrap(), TO_HERTZ, talk) > 0.95);
    assert!(share(world.heard(to).unwrap(), FROM_HERTZ, talk) > 0.95);
}

#[test]
fn whatever_the_network_does_to_hold_both_hear_each_other_in_the_end() {
    for seed in 0..20 {
        let mut world = World::with_seed(seed);
        let from = world.phone("1001", answers_after(1.0), FROM_HERTZ);
        let to = world.phone("1002", answers_after(1.0), TO_HERTZ);
        world.register_all();
        let id = world.click_to_call(World::request("1001", "1002")).unwrap();
        world.run_for(seconds(4.0));
        let (delay, jitter) = (Duration::from_millis(20), Duration::from_millis(30));
        world.set_network(Network { loss: percent(10), doubling: percent(5), delay, jitter });
        for (key, pause) in [(Command::Hold, 0.05), (Command::Resume, 0.01), (Command::Hold, 0.0)] {
            world.press(from, &key);
            world.run_for(seconds(pause));
            world.press(to, &key);
            world.run_for(seconds(40.0));
        }
        world.set_network(Network::default());
        for phone in [from, to] {
            world.press(phone, &Command::Resume);
        }
        world.run_for(seconds(40.0));
        let talk = stretch(&mut world, 3.0);
        world.hang_up(id);
        assert_eq!(world.run_until_ended(id).end.as_ref().unwrap().reason, EndReason::HungUp, "seed {seed}");
        let heard = [(from, TO_HERTZ), (to, FROM_HERTZ)];
        let shares = heard.map(|(phone, hertz)| share(world.heard(phone).unwrap(), hertz, talk));
        assert!(shares.iter().all(|share| *share > 0.95), "seed {seed}: {shares:?}\n{}", world.story());
    }
}
