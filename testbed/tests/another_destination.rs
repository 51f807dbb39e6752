//! The seam for a new kind of destination: one that rings extensions one after the other, with a second of the tone
//! between them, is this file and nothing else. It is reached by click-to-call as it stands.

use audio::tone_milliseconds;
use call_control::{
    CallEventKind, CallState, ClickToCall as Request, EndReason, EndedBy, Number, Party, PartyType,
};
use media_relay::Sound;
use sip_b2bua::scenario::{
    Action, Actions, ClickToCall, Destination, Dialling, Event, Found, LegId, Order, Progress, Scenario,
    Scenarios, Standard, Timer, Wanted, Whom,
};
use sip_message::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use test_phone::PhoneEvent;
use testbed::simulation::{
    Network, PhoneId, World, answers_after, each_seed, percent, refuses, rings_for_ever, seconds, talks_for,
};

/// What the number 1002 leads to.
#[derive(Debug)]
struct InTurn;

/// Extensions that are rung one after the other.
#[derive(Debug)]
struct OneAfterTheOther {
    next: Vec<Whom>,
    wanted: Wanted,
    for_whom: Option<LegId>,
    state: State,
}

#[derive(Debug)]
enum State {
    Begins,
    Rings(LegId),
    Pauses(Timer),
}

/// How long each of them is rung, and the pause between two.
const EACH: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_secs(1);

impl Scenarios for InTurn {
    fn click_to_call(self: Arc<Self>, request: &Request, parties: [Whom; 2]) -> Box<dyn Scenario> {
        Box::new(ClickToCall::new(request, parties, self))
    }

    fn dialled(self: Arc<Self>, dialling: Dialling) -> Box<dyn Scenario> {
        Arc::new(Standard).dialled(dialling)
    }

    fn destination(&self, whom: &Whom, wanted: &Wanted) -> Option<Box<dyn Destination>> {
        if whom.number.as_str() != "1002" {
            return Standard.destination(whom, wanted);
        }
        let extension = |number| Whom {
            number: Number::new(number).expect("a number"),
            party_type: PartyType::Extension,
        };
        let next = ["1005", "1004", "1003"].map(extension).to_vec();
        Some(Box::new(OneAfterTheOther {
            next,
            wanted: wanted.clone(),
            for_whom: None,
            state: State::Begins,
        }))
    }
}

impl Destination for OneAfterTheOther {
    fn begin(&mut self, for_whom: LegId, actions: &mut Actions) -> Option<Found> {
        self.for_whom = Some(for_whom);
        actions.play(for_whom, Sound::Ringback);
        self.ring_next(actions);
        None
    }

    fn handle(&mut self, event: &Event, actions: &mut Actions) -> Option<Found> {
        match (&self.state, event) {
            (State::Rings(rung), Event::Answered(leg)) if leg == rung => Some(Found::Reached(*leg)),
            (State::Rings(rung), Event::Gone(leg, why)) if leg == rung => {
                if self.next.is_empty() {
                    return Some(Found::Failed(*why));
                }
                self.state = State::Pauses(actions.after(PAUSE));
                None
            }
            (State::Rings(rung), Event::Rings(leg, Progress::EarlyMedia(_))) if leg == rung => {
                let (who, whom) = (self.for_whom?, *rung);
                actions.push(Action::Hear { who, whom });
                None
            }
            (State::Pauses(timer), Event::Due(due)) if due == timer => {
                self.ring_next(actions);
                None
            }
            _ => None,
        }
    }
}

impl OneAfterTheOther {
    fn ring_next(&mut self, actions: &mut Actions) {
        let Some(whom) = self.next.pop() else { return };
        let rung = actions.call(Order {
            party: Party::To,
            whom,
            rings_for: EACH,
            offers_codec_of: self.for_whom,
            will_be_joined_by: None,
            shows: self.wanted.shows.clone(),
            answers_by_itself: false,
        });
        self.state = State::Rings(rung);
    }
}

/// 1001 asks for 1002, which leads to 1003, 1004 and 1005.
fn world(seed: u64, in_turn: [test_phone::Script; 3]) -> (World, Vec<PhoneId>) {
    let mut world = World::with_scenarios(seed, Arc::new(InTurn));
    let mut phones =
        vec![world.phone("1001", answers_after(0.5), 700.0), world.phone("1002", rings_for_ever(), 500.0)];
    for (script, (user, hertz)) in
        in_turn.into_iter().zip([("1003", 900.0), ("1004", 1100.0), ("1005", 1300.0)])
    {
        phones.push(world.phone(user, script, hertz));
    }
    world.register_all();
    (world, phones)
}

fn has_rung(world: &World, phone: PhoneId) -> bool {
    world.phone_events(phone).iter().any(|event| matches!(event, PhoneEvent::Incoming { .. }))
}

fn heard(world: &World, phone: PhoneId, hertz: f64) -> u64 {
    world
        .heard(phone)
        .map_or(0, |media| tone_milliseconds(&media.heard.samples, media.heard.sample_rate, hertz))
}

#[test]
fn the_second_is_rung_when_the_first_is_busy_and_the_tone_plays_meanwhile() {
    let (mut world, phones) = world(1, [refuses(StatusCode::BUSY_HERE), talks_for(4.0), answers_after(0.1)]);
    let id = world.click_to_call(World::request("1001", "1002")).unwrap();
    assert!(
        world.run_until(seconds(10.0), |world| world.state(id) == CallState::Talking),
        "{}",
        world.story()
    );
    assert!(!world.line_is_busy("1003") && world.line_is_busy("1004") && world.line_is_busy("1001"));
    let call = world.run_until_ended(id);
    let end = call.end.as_ref().unwrap();
    assert_eq!((end.reason, end.by), (EndReason::HungUp, EndedBy::To));
    let [from, asked, busy, answered, spare] = phones[..] else { panic!("five phones") };
    assert!(has_rung(&world, busy) && has_rung(&world, answered));
    assert!(!has_rung(&world, asked) && !has_rung(&world, spare));
    assert!(heard(&world, from, 1100.0) >= 3000 && heard(&world, answered, 700.0) >= 3000);
    // The refusal, the pause and the ringing: all on one stream.
    assert!(heard(&world, from, 440.0) > 0 || heard(&world, from, 480.0) > 0, "no ringback");
    assert_eq!(world.heard(from).unwrap().figures.sources, 1);
    use CallEventKind::{Answered, Connected, Ended, Initiated, Ringing, Talking};
    let expected = [Initiated, Ringing, Answered, Ringing, Ringing, Answered, Connected, Talking, Ended];
    assert_eq!(world.events_of(id), expected);
}

#[test]
fn what_becomes_of_the_last_one_is_the_end_when_nobody_answers() {
    let busy = || refuses(StatusCode::BUSY_HERE);
    let (mut world, phones) = world(2, [busy(), rings_for_ever(), refuses(StatusCode::DECLINE)]);
    let id = world.click_to_call(World::request("1001", "1002")).unwrap();
    let call = world.run_until_ended(id);
    let end = call.end.as_ref().unwrap();
    assert_eq!((end.reason, end.by, end.sip_status), (EndReason::Declined, EndedBy::To, Some(603)));
    assert!(call.ring_seconds > 6.0 && call.talk_seconds == 0.0, "{call:?}");
    assert!(phones[2..].iter().all(|phone| has_rung(&world, *phone)));
}

#[test]
fn a_hang_up_at_any_moment_leaves_nobody_ringing() {
    for moment in 0..24 {
        let at = f64::from(moment) * 0.35;
        let (mut world, phones) =
            world(3, [refuses(StatusCode::BUSY_HERE), rings_for_ever(), talks_for(30.0)]);
        let id = world.click_to_call(World::request("1001", "1002")).unwrap();
        world.run_for(seconds(at));
        world.hang_up(id);
        let call = world.run_until_ended(id);
        let end = call.end.as_ref().unwrap();
        let is_connected = call.connected_at.is_some();
        let expected = if is_connected { EndReason::HungUp } else { EndReason::Cancelled };
        assert_eq!((end.reason, end.by), (expected, EndedBy::Api), "after {at} s");
        assert!(phones.iter().all(|phone| !world.is_busy(*phone)), "after {at} s");
    }
}

#[test]
fn it_ends_right_on_a_bad_network_and_when_the_server_dies() {
    let network =
        Network { loss: percent(10), doubling: percent(5), delay: seconds(0.02), jitter: seconds(0.03) };
    each_seed(40, |seed| {
        let (mut world, phones) =
            world(seed, [refuses(StatusCode::BUSY_HERE), rings_for_ever(), talks_for(2.0)]);
        world.set_network(network);
        let id = world.click_to_call(World::request("1001", "1002")).unwrap();
        if seed % 4 == 0 {
            world.run_for(seconds(0.4 * (seed as f64 / 4.0)));
            world.kill_server();
            world.run_for(seconds(0.5));
            world.start_server_again();
        }
        let call = world.run_until_ended(id);
        let expected = if seed % 4 == 0 { EndReason::ServerCrashed } else { EndReason::HungUp };
        assert_eq!(call.end.as_ref().unwrap().reason, expected, "{}", world.story());
        assert!(phones.iter().all(|phone| !world.is_busy(*phone)), "{}", world.story());
    });
}

#[test]
fn a_destination_that_is_not_there_ends_the_call() {
    #[derive(Debug)]
    struct Nowhere;
    impl Scenarios for Nowhere {
        fn click_to_call(self: Arc<Self>, request: &Request, parties: [Whom; 2]) -> Box<dyn Scenario> {
            Box::new(ClickToCall::new(request, parties, self))
        }
        fn dialled(self: Arc<Self>, dialling: Dialling) -> Box<dyn Scenario> {
            Arc::new(Standard).dialled(dialling)
        }
        fn destination(&self, _: &Whom, _: &Wanted) -> Option<Box<dyn Destination>> {
            None
        }
    }
    let mut world = World::with_scenarios(5, Arc::new(Nowhere));
    world.phone("1001", answers_after(0.5), 700.0);
    world.phone("1002", answers_after(0.5), 900.0);
    world.register_all();
    let id = world.click_to_call(World::request("1001", "1002")).unwrap();
    let call = world.run_until_ended(id);
    let end = call.end.as_ref().unwrap();
    assert_eq!((end.reason, end.party), (EndReason::Unreachable, Some(Party::To)));
}
