//! The seam for a new way in which calls begin: a phone that calls another one is this file and nothing else. It finds the
//! other party by the destinations that there are.

use audio::tone_milliseconds;
use call_control::{
    CallEventKind, CallId, CallState, ClickToCall as Request, EndReason, EndedBy, Number, Party, PartyType,
};
use sip_b2bua::scenario::{
    Action, Actions, Destination, Event, LegId, Progress, Scenario, Scenarios, Search, SearchEnd, Shows,
    Standard, Wanted, Whom, end,
};
use sip_message::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use test_phone::{Command, PhoneEvent, Script};
use testbed::simulation::{
    DiskState, Network, PhoneId, World, answers_after, each_seed, percent, refuses, rings_for_ever, seconds,
    talks_for,
};

/// Phones may call each other.
#[derive(Debug)]
struct PhonesCall;

impl Scenarios for PhonesCall {
    fn click_to_call(self: Arc<Self>, request: &Request, parties: [Whom; 2]) -> Box<dyn Scenario> {
        Arc::new(Standard).click_to_call(request, parties)
    }

    fn dialled(self: Arc<Self>, caller: &Number, callee: &Number, leg: LegId) -> Option<Box<dyn Scenario>> {
        let (caller, callee) = (caller.clone(), callee.clone());
        Some(Box::new(Dialled { scenarios: self, caller, callee, leg, state: State::New }))
    }

    fn destination(&self, whom: &Whom, wanted: &Wanted) -> Option<Box<dyn Destination>> {
        Standard.destination(whom, wanted)
    }
}

/// A phone calls: the other party is looked for, and when it is found, both are connected.
#[derive(Debug)]
struct Dialled {
    scenarios: Arc<dyn Scenarios>,
    caller: Number,
    callee: Number,
    leg: LegId,
    state: State,
}

#[derive(Debug)]
enum State {
    New,
    Calling(Box<Search>),
    /// `to` has answered, and the phone that calls is answered.
    Answering {
        to: LegId,
    },
    Connected,
    Ended,
}

impl Scenario for Dialled {
    fn begin(&mut self, _: &mut Actions) {}

    fn handle(&mut self, event: Event, actions: &mut Actions) {
        let is_connected = matches!(self.state, State::Connected);
        self.state = match (std::mem::replace(&mut self.state, State::Ended), event) {
            (_, Event::EndRequested(cause)) => {
                actions.push(Action::Finish(end::requested(cause, is_connected)));
                State::Ended
            }
            (_, Event::Gone(leg, why)) if leg == self.leg => {
                actions.push(Action::Finish(end::of_party(Party::From, why, is_connected)));
                State::Ended
            }
            (State::New, Event::Offered(leg)) => {
                let shows = Shows::number(self.caller.clone());
                let wanted = Wanted { time: Duration::from_secs(20), shows };
                let whom = Whom { number: self.callee.clone(), party_type: PartyType::Extension };
                let (search, end) = Search::begin(Arc::clone(&self.scenarios), leg, &whom, wanted, actions);
                self.follow(search, end, actions)
            }
            (State::Calling(mut search), event) => {
                if let Event::Rings(_, progress @ Progress::Status(_)) = &event {
                    actions.push(Action::Progress(self.leg, *progress));
                }
                let end = search.handle(&event, actions);
                self.follow(*search, end, actions)
            }
            (State::Answering { to }, Event::Answered(leg)) if leg == self.leg => {
                actions.push(Action::Connect(self.leg, to));
                actions.push(Action::Show(CallState::Connected));
                State::Connected
            }
            (State::Answering { .. } | State::Connected, Event::Gone(_, why)) => {
                actions.push(Action::Finish(end::of_party(Party::To, why, is_connected)));
                State::Ended
            }
            (state, _) => state,
        };
    }
}

impl Dialled {
    fn follow(&self, search: Search, end: Option<SearchEnd>, actions: &mut Actions) -> State {
        match end {
            None | Some(SearchEnd::Itself) => State::Calling(Box::new(search)),
            Some(SearchEnd::Reached(to)) => {
                search.let_go_of_the_rest(to, actions);
                actions.push(Action::Answer(self.leg));
                State::Answering { to }
            }
            Some(SearchEnd::Failed(why)) => {
                actions.push(Action::Finish(end::of_party(Party::To, why, false)));
                State::Ended
            }
            Some(SearchEnd::Loop) => {
                actions.push(Action::Finish(end::looped()));
                State::Ended
            }
        }
    }
}

fn world(seed: u64, to: Script) -> (World, PhoneId, PhoneId) {
    let mut world = World::with_scenarios(seed, Arc::new(PhonesCall));
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
