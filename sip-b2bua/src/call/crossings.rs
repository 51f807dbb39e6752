//! What each event does in each state of the two legs: one test for each state, one line for each event. A line says what
//! the call wants done. `crossings.md` is the same as a table, and is held to it.

use super::*;
use crate::leg::Routes;
use crate::leg::by_hand::{gone, refused, ringing, route, two_hundred};
use crate::scenario::{Scenarios, Shows, Standard, Whom};
use call_control::{CallDirection, CallId, ClickToCall, PartyType, PartyView};
use sip_core::{Command, GoneCause};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const PARTIES: [Party; 2] = [Party::From, Party::To];
const MAX_DURATION: Duration = Duration::from_mins(10);
const TIMEOUT: Duration = Duration::from_secs(30);
/// The legs of the parties, each with one phone.
const LEGS: [LegId; 2] = [LegId(1), LegId(2)];

/// A call in some state, each party with one phone.
struct World {
    call: RunningCall,
    start: Instant,
    now: Instant,
    /// What the usages were told, which promise their end for it.
    hung_up: [bool; 2],
    gone: [bool; 2],
    invited: [bool; 2],
    done: Vec<String>,
    overs: usize,
}

type Deed = fn(&mut World);

impl World {
    fn new() -> Self {
        let number = |text| Number::new(text).unwrap();
        let request = ClickToCall {
            from: number("1001"),
            to: number("1002"),
            to_type: None,
            caller_id: None,
            caller_ids: Vec::new(),
            timeout: TIMEOUT,
            to_timeout: TIMEOUT,
            max_duration: Some(MAX_DURATION),
            variables: BTreeMap::new(),
            auto_answer: false,
            key_name: "test".into(),
            repeatable: None,
        };
        let now = Instant::now();
        let clock = CallClock::starting(Moment { now, unix_milliseconds: 0 }).unwrap();
        let numbers = [request.from.clone(), request.to.clone()];
        let parties = numbers.clone().map(|number| PartyView::waiting(number, PartyType::Extension));
        let whom = numbers.map(|number| Whom { number, party_type: PartyType::Extension });
        let id = CallId::new(1, &[0; 10]);
        let view = Call::beginning(id, parties, CallDirection::Internal, clock.created_at());
        let scenario = Arc::new(Standard).click_to_call(&request, whom);
        let none = [false; 2];
        let mut world = Self {
            call: RunningCall::new(CallNumber(1), view, clock, (scenario, Shows::asked_for(&request))),
            start: now,
            now,
            hung_up: none,
            gone: none,
            invited: none,
            done: Vec::new(),
            overs: 0,
        };
        for party in [Party::From, Party::To] {
            let rtp = ([127, 0, 0, 1], 20_000 + party as u16).into();
            world.call.handle_added(Seats::first(party), rtp, world.moment());
        }
        world.call.begin(world.moment());
        world.perform();
        world
    }

    fn then(mut self, deeds: &[Deed]) -> Self {
        for deed in deeds {
            self.play(*deed);
        }
        self
    }

    fn play(&mut self, deed: Deed) {
        self.done.clear();
        deed(self);
        self.perform();
    }

    fn moment(&self) -> Moment {
        let elapsed = i64::try_from((self.now - self.start).as_millis()).unwrap();
        Moment { now: self.now, unix_milliseconds: elapsed }
    }

    fn hear(&mut self, party: Party, event: InviteEvent) {
        self.gone[party as usize] |= matches!(event, InviteEvent::Gone(_));
        self.call.handle_invite(LEGS[party as usize], 0, event, self.moment());
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.call.handle_timeout(self.moment());
    }

    fn perform(&mut self) {
        while let Some(action) = self.call.poll_action() {
            assert_eq!(self.overs, 0, "{action:?} behind the end");
            match action {
                CallAction::Reach { leg, order } => {
                    assert_eq!(leg, LEGS[order.party as usize]);
                    let groups = [vec![route(6000 + order.party as u16)]].into();
                    let routes = Routes { groups, codecs: vec![Codec::Pcmu], ..Routes::default() };
                    self.call.handle_routes(leg, Ok(routes), self.moment());
                }
                CallAction::Sip(Command::Invite { invite, .. }) => {
                    let party = party_of(invite);
                    self.invited[party as usize] = true;
                    self.done.push(format!("INVITE {}", word(party)));
                }
                CallAction::Sip(Command::HangUp { invite, reason }) => {
                    let party = party_of(invite);
                    assert!(!self.hung_up[party as usize] && !self.gone[party as usize], "{party:?} again");
                    self.hung_up[party as usize] = true;
                    let cause = reason.and_then(|reason| reason.cause);
                    let cause = cause.map(|cause| format!(" because of {cause}")).unwrap_or_default();
                    self.done.push(format!("hang up {}{cause}", word(party)));
                }
                CallAction::Sip(command) => self.done.push(format!("{command:?}")),
                CallAction::Relay(command) => {
                    let name = format!("{command:?}").to_lowercase();
                    self.done.push(name.split(['(', ' ']).next().unwrap().to_owned());
                }
                CallAction::Happened { event, party, .. } => {
                    let of = party.map(|party| format!("{} ", word(party))).unwrap_or_default();
                    self.done.push(format!("{of}{event:?}").to_lowercase());
                }
                CallAction::Over => {
                    self.overs += 1;
                    self.done.push("the record".to_owned());
                }
                CallAction::ReachOn { .. } | CallAction::Open { .. } => {
                    panic!("each party has one phone, and no other")
                }
                CallAction::Refer { .. } | CallAction::Adopt { .. } => panic!("nobody transfers"),
                CallAction::Ask(_)
                | CallAction::Begins { .. }
                | CallAction::Ends(_)
                | CallAction::Identify { .. }
                | CallAction::Sent { .. }
                | CallAction::Changed => {}
            }
        }
    }

    /// What was done, and why the call ends if that is known.
    fn summary(&self) -> String {
        let parts = self.done.iter().map(|done| match (done.as_str(), &self.call.view().end) {
            ("close", Some(end)) => format!("ends: {} by {:?}", end.reason.as_str(), end.by).to_lowercase(),
            (done, _) => done.to_owned(),
        });
        let parts: Vec<_> = parts.collect();
        if parts.is_empty() { "–".to_owned() } else { parts.join(", ") }
    }

    /// The API ends it, every usage keeps its promise, the relay closes.
    fn finish(&mut self) {
        self.play(API);
        for party in PARTIES {
            if self.invited[party as usize] && !self.gone[party as usize] {
                assert!(self.hung_up[party as usize], "{party:?} is left alone");
                self.play(if party == Party::From { FROM_CONFIRMS } else { TO_CONFIRMS });
            }
        }
        if self.overs == 0 {
            self.play(CLOSES);
        }
    }
}

fn party_of(invite: InviteId) -> Party {
    let place = crate::place::Place::from(invite);
    PARTIES[LEGS.iter().position(|leg| *leg == place.leg).unwrap()]
}

const fn word(party: Party) -> &'static str {
    match party {
        Party::From => "from",
        Party::To => "to",
    }
}

/// Plays each event in that state, then ends the call: once, with a reason, and with nothing left.
fn state(reach: &[Deed], lines: &[(&str, Deed, &str)]) {
    let mut wrong = Vec::new();
    for (name, deed, expected) in lines {
        let mut world = World::new().then(reach);
        world.play(*deed);
        let found = world.summary();
        if found != *expected {
            wrong.push(format!("{name}: {found}, not {expected}"));
        }
        world.finish();
        assert_eq!(world.overs, 1, "{name}");
        assert!(world.call.view().end.is_some() && world.call.poll_timeout().is_none(), "{name}");
        assert_eq!(world.call.view().state, CallState::Ended, "{name}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

const FROM_RINGS: Deed = |world| world.hear(Party::From, ringing());
const TO_RINGS: Deed = |world| world.hear(Party::To, ringing());
const FROM_ANSWERS: Deed = |world| world.hear(Party::From, two_hundred("0"));
const TO_ANSWERS: Deed = |world| world.hear(Party::To, two_hundred("0"));
const FROM_ANSWERS_BADLY: Deed = |world| world.hear(Party::From, two_hundred("18"));
const TO_ANSWERS_BADLY: Deed = |world| world.hear(Party::To, two_hundred("18"));
const FROM_REFUSES: Deed = |world| world.hear(Party::From, refused(486));
const TO_REFUSES: Deed = |world| world.hear(Party::To, refused(486));
const FROM_IS_NOT_REACHED: Deed = |world| world.hear(Party::From, gone(GoneCause::Unreachable));
const TO_IS_NOT_REACHED: Deed = |world| world.hear(Party::To, gone(GoneCause::Unreachable));
const FROM_IS_SILENT: Deed = |world| world.hear(Party::From, gone(GoneCause::TimedOut));
const TO_IS_SILENT: Deed = |world| world.hear(Party::To, gone(GoneCause::TimedOut));
const FROM_HANGS_UP: Deed = |world| world.hear(Party::From, gone(GoneCause::HungUpByPeer));
const TO_HANGS_UP: Deed = |world| world.hear(Party::To, gone(GoneCause::HungUpByPeer));
const FROM_FORGETS: Deed = |world| world.hear(Party::From, gone(GoneCause::SessionExpired));
const TO_FORGETS: Deed = |world| world.hear(Party::To, gone(GoneCause::SessionExpired));
const FROM_CONFIRMS: Deed = |world| world.hear(Party::From, gone(GoneCause::HungUp));
const TO_CONFIRMS: Deed = |world| world.hear(Party::To, gone(GoneCause::Cancelled));
const API: Deed = |world| world.call.request_end(EndCause::Api, world.moment());
const STOP: Deed = |world| world.call.request_end(EndCause::ServerStopped, world.moment());
const TIMES_OUT: Deed = |world| world.pass(TIMEOUT);
const MAX_DURATION_IS_OVER: Deed = |world| world.pass(MAX_DURATION);
const FIVE_SECONDS: Deed = |world| world.pass(Duration::from_secs(5));
const FROM_IS_HEARD: Deed =
    |world| world.call.handle_first_packet(Seats::first(Party::From), world.now, world.moment());
const TO_IS_HEARD: Deed =
    |world| world.call.handle_first_packet(Seats::first(Party::To), world.now, world.moment());
const FROM_FALLS_SILENT: Deed = |world| world.call.handle_silence(Seats::first(Party::From), world.moment());
const TO_FALLS_SILENT: Deed = |world| world.call.handle_silence(Seats::first(Party::To), world.moment());
const CLOSES: Deed = |world| world.call.handle_closed(&[], world.moment());

#[test]
fn from_calling() {
    state(
        &[],
        &[
            ("from rings", FROM_RINGS, "from ringing"),
            ("from answers", FROM_ANSWERS, "describe, from answered, play, INVITE to"),
            ("from answers without a codec", FROM_ANSWERS_BADLY, "hang up from because of 488"),
            ("from refuses", FROM_REFUSES, "ends: busy by from"),
            ("from is not reached", FROM_IS_NOT_REACHED, "ends: unreachable by server"),
            ("from is silent", FROM_IS_SILENT, "ends: unreachable by server"),
            ("from hangs up", FROM_HANGS_UP, "ends: cancelled by from"),
            ("the API hangs up", API, "hang up from, ends: cancelled by api"),
            ("the server stops", STOP, "hang up from, ends: server_stopped by server"),
            ("timeout", TIMES_OUT, "hang up from, ends: unreachable by server"),
            ("five seconds pass", FIVE_SECONDS, "–"),
            ("first packet of from", FROM_IS_HEARD, "–"),
            ("first packet of to", TO_IS_HEARD, "–"),
            ("from sends no audio", FROM_FALLS_SILENT, "hang up from, ends: media_timeout by server"),
            ("to sends no audio", TO_FALLS_SILENT, "hang up from, ends: media_timeout by server"),
            ("the relay closes", CLOSES, "–"),
        ],
    );
}

#[test]
fn from_ringing() {
    state(
        &[FROM_RINGS],
        &[
            ("from rings", FROM_RINGS, "–"),
            ("from answers", FROM_ANSWERS, "describe, from answered, play, INVITE to"),
            ("from answers without a codec", FROM_ANSWERS_BADLY, "hang up from because of 488"),
            ("from refuses", FROM_REFUSES, "ends: busy by from"),
            ("from is not reached", FROM_IS_NOT_REACHED, "ends: unreachable by server"),
            ("from is silent", FROM_IS_SILENT, "ends: unreachable by server"),
            ("from hangs up", FROM_HANGS_UP, "ends: cancelled by from"),
            ("the API hangs up", API, "hang up from"),
            ("the server stops", STOP, "hang up from"),
            ("timeout", TIMES_OUT, "hang up from"),
            ("five seconds pass", FIVE_SECONDS, "–"),
            ("first packet of from", FROM_IS_HEARD, "–"),
            ("first packet of to", TO_IS_HEARD, "–"),
            ("from sends no audio", FROM_FALLS_SILENT, "hang up from"),
            ("to sends no audio", TO_FALLS_SILENT, "hang up from"),
            ("the relay closes", CLOSES, "–"),
        ],
    );
}

#[test]
fn from_ending_alone() {
    state(
        &[FROM_RINGS, API],
        &[
            ("from rings", FROM_RINGS, "–"),
            ("from answers", FROM_ANSWERS, "–"),
            ("from refuses", FROM_REFUSES, "ends: cancelled by api"),
            ("from is not reached", FROM_IS_NOT_REACHED, "ends: cancelled by api"),
            ("from is silent", FROM_IS_SILENT, "ends: cancelled by api"),
            ("from hangs up", FROM_HANGS_UP, "ends: cancelled by api"),
            ("from confirms its end", FROM_CONFIRMS, "ends: cancelled by api"),
            ("the API hangs up", API, "–"),
            ("the server stops", STOP, "–"),
            ("five seconds pass", FIVE_SECONDS, "ends: cancelled by api"),
            ("first packet of from", FROM_IS_HEARD, "–"),
            ("first packet of to", TO_IS_HEARD, "–"),
            ("from sends no audio", FROM_FALLS_SILENT, "–"),
            ("to sends no audio", TO_FALLS_SILENT, "–"),
            ("the relay closes", CLOSES, "–"),
        ],
    );
}

#[test]
fn to_calling() {
    state(
        &[FROM_ANSWERS],
        &[
            ("to rings", TO_RINGS, "to ringing"),
            ("to answers", TO_ANSWERS, "describe, to answered, stop, link, connected"),
            ("to answers without a codec", TO_ANSWERS_BADLY, "hang up to because of 488"),
            ("to refuses", TO_REFUSES, "hang up from because of 486"),
            ("to is not reached", TO_IS_NOT_REACHED, "hang up from"),
            ("to is silent", TO_IS_SILENT, "hang up from"),
            ("from hangs up", FROM_HANGS_UP, "hang up to, ends: cancelled by from"),
            ("to hangs up", TO_HANGS_UP, "hang up from"),
            ("from forgets the dialog", FROM_FORGETS, "hang up to, ends: session_expired by server"),
            ("the API hangs up", API, "hang up from, hang up to"),
            ("the server stops", STOP, "hang up from, hang up to"),
            ("to_timeout", TIMES_OUT, "hang up to, hang up from"),
            ("five seconds pass", FIVE_SECONDS, "–"),
            ("first packet of from", FROM_IS_HEARD, "–"),
            ("first packet of to", TO_IS_HEARD, "–"),
            ("from sends no audio", FROM_FALLS_SILENT, "hang up from, hang up to"),
            ("to sends no audio", TO_FALLS_SILENT, "hang up from, hang up to"),
            ("the relay closes", CLOSES, "–"),
        ],
    );
}

#[test]
fn to_ringing() {
    state(
        &[FROM_ANSWERS, TO_RINGS],
        &[
            ("to rings", TO_RINGS, "–"),
            ("to answers", TO_ANSWERS, "describe, to answered, stop, link, connected"),
            ("to answers without a codec", TO_ANSWERS_BADLY, "hang up to because of 488"),
            ("to refuses", TO_REFUSES, "hang up from because of 486"),
            ("to is not reached", TO_IS_NOT_REACHED, "hang up from"),
            ("to is silent", TO_IS_SILENT, "hang up from"),
            ("from hangs up", FROM_HANGS_UP, "hang up to"),
            ("to hangs up", TO_HANGS_UP, "hang up from"),
            ("from forgets the dialog", FROM_FORGETS, "hang up to"),
            ("the API hangs up", API, "hang up from, hang up to"),
            ("the server stops", STOP, "hang up from, hang up to"),
            ("to_timeout", TIMES_OUT, "hang up to"),
            ("five seconds pass", FIVE_SECONDS, "–"),
            ("first packet of from", FROM_IS_HEARD, "–"),
            ("first packet of to", TO_IS_HEARD, "–"),
            ("from sends no audio", FROM_FALLS_SILENT, "hang up from, hang up to"),
            ("to sends no audio", TO_FALLS_SILENT, "hang up from, hang up to"),
            ("the relay closes", CLOSES, "–"),
        ],
    );
}

#[test]
fn connected() {
    state(
        &[FROM_ANSWERS, TO_RINGS, TO_ANSWERS],
        &[
            ("from hangs up", FROM_HANGS_UP, "hang up to"),
            ("to hangs up", TO_HANGS_UP, "hang up from"),
            ("from forgets the dialog", FROM_FORGETS, "hang up to"),
            ("to forgets the dialog", TO_FORGETS, "hang up from"),
            ("the API hangs up", API, "hang up from, hang up to"),
            ("the server stops", STOP, "hang up from, hang up to"),
            ("max_duration", MAX_DURATION_IS_OVER, "report, hang up from, hang up to"),
            ("five seconds pass", FIVE_SECONDS, "report"),
            ("first packet of from", FROM_IS_HEARD, "–"),
            ("first packet of to", TO_IS_HEARD, "–"),
            ("from sends no audio", FROM_FALLS_SILENT, "hang up from, hang up to"),
            ("to sends no audio", TO_FALLS_SILENT, "hang up from, hang up to"),
            ("the relay closes", CLOSES, "–"),
        ],
    );
}

#[test]
fn both_ending() {
    state(
        &[FROM_ANSWERS, TO_RINGS, TO_ANSWERS, API],
        &[
            ("from rings", FROM_RINGS, "–"),
            ("to rings", TO_RINGS, "–"),
            ("from answers", FROM_ANSWERS, "–"),
            ("to answers", TO_ANSWERS, "–"),
            ("from refuses", FROM_REFUSES, "–"),
            ("to refuses", TO_REFUSES, "–"),
            ("from is not reached", FROM_IS_NOT_REACHED, "–"),
            ("to is not reached", TO_IS_NOT_REACHED, "–"),
            ("from is silent", FROM_IS_SILENT, "–"),
            ("to is silent", TO_IS_SILENT, "–"),
            ("from hangs up", FROM_HANGS_UP, "–"),
            ("to hangs up", TO_HANGS_UP, "–"),
            ("from confirms its end", FROM_CONFIRMS, "–"),
            ("to confirms its end", TO_CONFIRMS, "–"),
            ("the API hangs up", API, "–"),
            ("the server stops", STOP, "–"),
            ("five seconds pass", FIVE_SECONDS, "report, ends: hung_up by api"),
            ("first packet of from", FROM_IS_HEARD, "–"),
            ("first packet of to", TO_IS_HEARD, "–"),
            ("from sends no audio", FROM_FALLS_SILENT, "–"),
            ("to sends no audio", TO_FALLS_SILENT, "–"),
            ("the relay closes", CLOSES, "–"),
        ],
    );
}

#[test]
fn from_ending() {
    state(
        &[FROM_ANSWERS, TO_RINGS, TO_ANSWERS, TO_HANGS_UP],
        &[
            ("from rings", FROM_RINGS, "–"),
            ("from answers", FROM_ANSWERS, "–"),
            ("from refuses", FROM_REFUSES, "ends: hung_up by to"),
            ("from is not reached", FROM_IS_NOT_REACHED, "ends: hung_up by to"),
            ("from is silent", FROM_IS_SILENT, "ends: hung_up by to"),
            ("from hangs up", FROM_HANGS_UP, "ends: hung_up by to"),
            ("from confirms its end", FROM_CONFIRMS, "ends: hung_up by to"),
            ("the API hangs up", API, "–"),
            ("the server stops", STOP, "–"),
            ("five seconds pass", FIVE_SECONDS, "report, ends: hung_up by to"),
            ("first packet of from", FROM_IS_HEARD, "–"),
            ("first packet of to", TO_IS_HEARD, "–"),
            ("from sends no audio", FROM_FALLS_SILENT, "–"),
            ("to sends no audio", TO_FALLS_SILENT, "–"),
            ("the relay closes", CLOSES, "–"),
        ],
    );
}

#[test]
fn to_ending() {
    state(
        &[FROM_ANSWERS, TO_RINGS, TO_ANSWERS, FROM_HANGS_UP],
        &[
            ("to rings", TO_RINGS, "–"),
            ("to answers", TO_ANSWERS, "–"),
            ("to refuses", TO_REFUSES, "ends: hung_up by from"),
            ("to is not reached", TO_IS_NOT_REACHED, "ends: hung_up by from"),
            ("to is silent", TO_IS_SILENT, "ends: hung_up by from"),
            ("to hangs up", TO_HANGS_UP, "ends: hung_up by from"),
            ("to confirms its end", TO_CONFIRMS, "ends: hung_up by from"),
            ("the API hangs up", API, "–"),
            ("the server stops", STOP, "–"),
            ("five seconds pass", FIVE_SECONDS, "report, ends: hung_up by from"),
            ("first packet of from", FROM_IS_HEARD, "–"),
            ("first packet of to", TO_IS_HEARD, "–"),
            ("from sends no audio", FROM_FALLS_SILENT, "–"),
            ("to sends no audio", TO_FALLS_SILENT, "–"),
            ("the relay closes", CLOSES, "–"),
        ],
    );
}

#[test]
fn closing() {
    state(
        &[FROM_REFUSES],
        &[
            ("the API hangs up", API, "–"),
            ("the server stops", STOP, "–"),
            ("five seconds pass", FIVE_SECONDS, "the record"),
            ("first packet of from", FROM_IS_HEARD, "–"),
            ("first packet of to", TO_IS_HEARD, "–"),
            ("from sends no audio", FROM_FALLS_SILENT, "–"),
            ("to sends no audio", TO_FALLS_SILENT, "–"),
            ("the relay closes", CLOSES, "the record"),
        ],
    );
}

/// The relay may be gone: the record is made without its last figures, but not before they can have come.
#[test]
fn the_relay_has_time_for_its_last_figures() {
    let world = World::new().then(&[FROM_REFUSES]);
    assert_eq!((world.overs, world.call.poll_timeout()), (0, Some(world.now + FIGURES)));
}

/// What usages that keep their promises, the timers and the API can do next.
fn possible(world: &World) -> Vec<(&'static str, Deed)> {
    let mut deeds: Vec<(&str, Deed)> =
        vec![("the API hangs up", API), ("timeout", TIMES_OUT), ("from sends no audio", FROM_FALLS_SILENT)];
    for (party, own) in [
        (Party::From, [FROM_RINGS, FROM_ANSWERS, FROM_REFUSES, FROM_HANGS_UP, FROM_CONFIRMS]),
        (Party::To, [TO_RINGS, TO_ANSWERS, TO_REFUSES, TO_HANGS_UP, TO_CONFIRMS]),
    ] {
        let [rings, answers, refuses, hangs_up, confirms] = own;
        let index = party as usize;
        if !world.invited[index] || world.gone[index] {
            continue;
        }
        let state = world.call.view().party(party).state;
        if world.hung_up[index] {
            deeds.extend([("answers", answers), ("confirms", confirms)]);
        } else if state == PartyState::Answered {
            deeds.push(("hangs up", hangs_up));
        } else {
            deeds.extend([
                ("rings", rings),
                ("answers", answers),
                ("refuses", refuses),
                ("hangs up", hangs_up),
            ]);
        }
    }
    deeds.push(("the relay closes", CLOSES));
    deeds
}

fn explore(path: &mut Vec<(&'static str, Deed)>, orders: &mut usize) {
    let reach = || World::new().then(&path.iter().map(|(_, deed)| *deed).collect::<Vec<_>>());
    let names = path.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    let mut world = reach();
    *orders += 1;
    let next = if world.overs == 0 && path.len() < 6 { possible(&world) } else { Vec::new() };
    if world.overs == 0 {
        world.finish();
    }
    assert_eq!(world.overs, 1, "{names:?}");
    assert!(world.call.view().end.is_some() && world.call.poll_timeout().is_none(), "{names:?}");
    for step in next {
        path.push(step);
        explore(path, orders);
        path.pop();
    }
}

#[test]
fn every_order_of_events_ends_once_and_leaves_nobody_alone() {
    let mut orders = 0;
    explore(&mut Vec::new(), &mut orders);
    assert!(orders > 10_000, "only {orders} orders were tried");
}

/// The lines of each test here: what becomes of each event.
fn lines() -> BTreeMap<&'static str, BTreeMap<&'static str, &'static str>> {
    let tests = include_str!("crossings.rs").split("#[test]\nfn ").skip(1).filter_map(|test| {
        let (name, body) = test.split_once("() {\n    state(\n")?;
        let body = body.split("\n    );\n}").next()?;
        let strings: Vec<_> = body.split('"').skip(1).step_by(2).collect();
        Some((name, strings.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()))
    });
    tests.collect()
}

#[test]
fn the_table_says_what_the_tests_say() {
    let documentation = include_str!("crossings.md");
    let rows = documentation.lines().skip_while(|line| !line.starts_with("| event |"));
    let rows: Vec<Vec<_>> = rows
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect())
        .collect();
    let lines = lines();
    let mut cells = 0;
    for row in &rows[2..] {
        for (column, cell) in rows[0].iter().zip(row).skip(1) {
            let expected = lines[column].get(row[0]).copied().unwrap_or("cannot");
            assert_eq!(*cell, expected, "{} in {column}", row[0]);
            cells += usize::from(*cell != "cannot");
        }
    }
    let columns: BTreeSet<_> = rows[0][1..].iter().copied().collect();
    assert_eq!(columns, lines.keys().copied().collect(), "each test is a column");
    assert_eq!(cells, lines.values().map(BTreeMap::len).sum::<usize>(), "each line is a cell");
}
