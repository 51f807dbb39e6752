//! Thousands of calls that are held, transferred and consulted about, by phones and by the API, at any moment and beside
//! each other, on networks that lose, with phones that refuse, wait, and hang up. Whatever happens, each call comes to one
//! right end, its record tells its steps in order, and nothing is left of it.

use call_control::{
    Call, CallEventKind, CallId, CallState, Digits, EndReason, EndedBy, Number, Party, StepKind, Transfer,
    Wish,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use sip_message::StatusCode;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use test_phone::{Command, Script};
use testbed::simulation::{
    Network, Otherwise, PhoneId, Said, World, Zone, answers_after, each_seed, percent, refuses,
    rings_for_ever, seconds, talks_for, trunk,
};

/// Who may be rung for a transfer.
const TARGETS: [&str; 7] = ["1003", "1003", "1004", "+919944421125", "09944421125", "1005", "0019005550123"];

/// Some calls, and what is done to them.
struct Life {
    random: ChaCha12Rng,
    world: World,
    /// 1001 and 1002, who transfer.
    callers: [PhoneId; 2],
    /// Another device of 1001, with which it consults.
    second: Option<PhoneId>,
    third: PhoneId,
    fourth: PhoneId,
    calls: Vec<CallId>,
    loses: bool,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let mut world = World::with_trunks(seed, vec![trunk("carrier", "sip:10.0.9.1")], Zone::default());
        let gateway = world.caller("10.0.9.1:5060", 1900.0);
        if let Some(otherwise) = some_refusal(&mut random) {
            world.play(gateway, |phone, _| phone.next_time("INVITE", otherwise));
        }
        let callers = [world.phone_by_hand("1001", 700.0), world.phone_by_hand("1002", 1100.0)];
        let third = world.phone("1003", some_phone(&mut random), 1700.0);
        let fourth = world.phone("1004", some_phone(&mut random), 2300.0);
        world.register_all();
        let loses = random.random_bool(0.4);
        if loses {
            world.set_network(Network {
                loss: percent(8),
                doubling: percent(5),
                delay: seconds(0.02),
                jitter: seconds(0.03),
            });
        }
        Self { random, world, callers, second: None, third, fourth, calls: Vec::new(), loses }
    }

    fn live(&mut self) -> Vec<Arc<Call>> {
        let Ok(id) = self.world.click_to_call(World::request("1001", "1002")) else {
            return Vec::new();
        };
        self.calls.push(id);
        // It is answered after two seconds; some things happen before that.
        let early = self.random.random_range(1.0..6.0);
        self.world.run_for(seconds(early));
        for _ in 0..self.random.random_range(1..6) {
            self.act();
            let pause = self.random.random_range(0.0..4.0);
            self.world.run_for(seconds(pause));
        }
        if !self.loses && self.has_transferred() {
            // Whoever answers does so in four seconds, and a phone that has transferred has three to hang up.
            self.world.run_for(seconds(8.0));
            self.check_that_two_are_left();
        }
        let calls = self.calls.clone();
        for id in &calls {
            if self.world.is_live(*id) {
                self.world.hang_up(*id);
            }
        }
        let ended: Vec<_> = calls.iter().map(|id| self.world.run_until_ended(*id)).collect();
        ended.iter().for_each(|call| self.judge(call));
        ended
    }

    fn act(&mut self) {
        let index = self.random.random_range(0..2);
        let phone = self.callers[index];
        let party = if self.random.random_bool(0.5) { Party::From } else { Party::To };
        let target = TARGETS[self.random.random_range(0..TARGETS.len())];
        let id = self.calls[self.random.random_range(0..self.calls.len())];
        match self.random.random_range(0..18) {
            0 => drop(self.world.wish(id, Wish::Hold(party))),
            1 => drop(self.world.wish(id, Wish::Resume(party))),
            2 => {
                let keys = Digits::new("12#").expect("they are keys");
                drop(self.world.wish(id, Wish::Dial(party, keys)));
            }
            3..=5 => {
                let to = Number::new(target).expect("a number");
                let transfer = Transfer { party, to, to_type: None, caller_ids: Vec::new() };
                drop(self.world.wish(id, Wish::Transfer(transfer)));
            }
            6 => self.world.play(phone, |phone, _| phone.offer("INVITE", Said::hold("sendonly"))),
            7 => self.world.play(phone, |phone, _| phone.offer("UPDATE", Said::default())),
            8..=10 => {
                let lines = format!("Refer-To: <sip:{target}@10.0.0.1>\r\n");
                self.world.play(phone, |phone, _| phone.ask("REFER", &lines, ("", "")));
                // Some phones hang up at the 202.
                if self.random.random_bool(0.3) {
                    self.world.run_for(seconds(0.1));
                    self.world.play(phone, |phone, _| phone.ask("BYE", "", ("", "")));
                }
            }
            11..=14 => self.consult(),
            15 => self.world.play(phone, |phone, _| phone.ask("BYE", "", ("", ""))),
            16 => self.world.press(self.third, &Command::HangUp),
            _ => match self.random.random_range(0..6) {
                0 => self.world.end_all(),
                1 => {
                    self.world.kill_server();
                    self.world.run_for(seconds(0.5));
                    self.world.start_server_again();
                }
                2 => self.world.press(self.third, &Command::Hold),
                _ => self.world.hang_up(id),
            },
        }
    }

    /// 1001 calls 1003 beside its call, or names that call in a transfer: by 1001, or by 1002 whose call it is not.
    fn consult(&mut self) {
        let Some(second) = self.second else {
            let busy = Otherwise::With("486 Busy Here", "");
            self.world.play(self.callers[0], |phone, _| phone.next_time("INVITE", busy));
            self.second = Some(self.world.phone_by_hand("1001", 1300.0));
            self.world.run_for(seconds(0.3));
            if let Ok(id) = self.world.click_to_call(World::request("1001", "1003")) {
                self.calls.push(id);
            }
            return;
        };
        let ack = self.world.by_hand(second).requests("ACK").into_iter().next_back().cloned();
        let Some(ack) = ack else { return };
        let tag = |name| Some(ack.field(name)?.split("tag=").nth(1)?.to_owned());
        let (Some(call_id), Some(to), Some(from)) = (ack.field("Call-ID"), tag("From"), tag("To")) else {
            return;
        };
        let lines = format!(
            "Refer-To: <sip:1003@10.0.0.1?Replaces={call_id}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}>\r\n"
        );
        let index = usize::from(self.random.random_bool(0.1));
        self.world.play(self.callers[index], |phone, _| phone.ask("REFER", &lines, ("", "")));
    }

    fn has_transferred(&self) -> bool {
        let live = self.calls.iter().filter(|id| self.world.is_live(**id));
        live.into_iter().any(|id| self.world.call(*id).path.iter().any(|step| is_of_transfer(step.step)))
    }

    /// Where nobody is being rung, each call has two legs.
    fn check_that_two_are_left(&self) {
        let live: Vec<_> = self.calls.iter().filter(|id| self.world.is_live(**id)).collect();
        let talk = |id: &&CallId| {
            let call = self.world.call(**id);
            let is_open = call.path.iter().rfind(|step| is_of_transfer(step.step));
            call.state == CallState::Talking
                && is_open.is_none_or(|step| step.step != StepKind::TransferStarted)
        };
        if live.iter().all(talk) {
            assert_eq!(self.world.busy_legs(), 2 * live.len(), "{}", self.world.story());
        }
    }

    fn judge(&self, call: &Call) {
        let story = || self.world.story();
        let end = call.end.as_ref().expect("it has ended");
        for phone in [self.third, self.fourth] {
            assert!(!self.world.is_busy(phone), "{phone:?}\n{}", story());
        }
        let right = match end.reason {
            EndReason::HungUp => call.connected_at.is_some() && end.by != EndedBy::Server,
            EndReason::Transferred => end.into.is_some_and(|into| self.calls.contains(&into)),
            EndReason::TransferFailed => call.connected_at.is_some() && end.by == EndedBy::Server,
            EndReason::ServerStopped | EndReason::ServerCrashed | EndReason::MediaTimeout => true,
            EndReason::InternalError
            | EndReason::LoopDetected
            | EndReason::PolicyDenied
            | EndReason::LimitReached
            | EndReason::SessionExpired
            | EndReason::TrunkFailed
            | EndReason::MaxDuration => false,
            EndReason::Cancelled
            | EndReason::NoAnswer
            | EndReason::Busy
            | EndReason::Declined
            | EndReason::Unreachable
            | EndReason::NotFound
            | EndReason::Refused
            | EndReason::NoCommonCodec => call.connected_at.is_none(),
        };
        assert!(right, "{end:?}\n{}", story());
        assert_eq!(end.into.is_some(), end.reason == EndReason::Transferred, "{end:?}");
        // Each transfer that began has one outcome, unless the call ended first.
        let mut is_open = false;
        for step in &call.path {
            match step.step {
                StepKind::TransferStarted => {
                    assert!(!std::mem::replace(&mut is_open, true), "{:?}\n{}", call.path, story());
                }
                StepKind::TransferCompleted | StepKind::TransferFailed => {
                    assert!(std::mem::take(&mut is_open), "{:?}\n{}", call.path, story());
                }
                StepKind::TransferDenied | StepKind::Held | StepKind::Resumed | StepKind::Forwarded => {}
            }
        }
        let count = |kind| call.path.iter().filter(|step| step.step == kind).count();
        let told = self.world.events_of(call.call_id);
        let told_of = |kind| told.iter().filter(|event| **event == kind).count();
        assert_eq!(told_of(CallEventKind::Transferred), count(StepKind::TransferCompleted), "{}", story());
        if !self.loses && call.connected_at.is_some() {
            let completed = count(StepKind::TransferCompleted) > 0;
            let has_moved = call.from.reached.is_some() || call.to.reached.is_some();
            assert!(!completed || has_moved, "{call:?}\n{}", story());
        }
    }
}

const fn is_of_transfer(step: StepKind) -> bool {
    match step {
        StepKind::TransferStarted | StepKind::TransferCompleted | StepKind::TransferFailed => true,
        StepKind::TransferDenied | StepKind::Held | StepKind::Resumed | StepKind::Forwarded => false,
    }
}

fn some_phone(random: &mut ChaCha12Rng) -> Script {
    match random.random_range(0..6) {
        0 => refuses(StatusCode::BUSY_HERE),
        1 => refuses(StatusCode::DECLINE),
        2 => rings_for_ever(),
        3 => talks_for(random.random_range(0.5..4.0)),
        _ => answers_after(random.random_range(0.0..3.0)),
    }
}

fn some_refusal(random: &mut ChaCha12Rng) -> Option<Otherwise> {
    match random.random_range(0..5) {
        0 => Some(Otherwise::Silence),
        1 => Some(Otherwise::With("503 Service Unavailable", "")),
        2 => Some(Otherwise::With("486 Busy Here", "")),
        _ => None,
    }
}

#[test]
fn every_call_that_is_held_or_transferred_comes_to_one_right_end_and_leaves_nothing() {
    let ends: Mutex<BTreeMap<EndReason, usize>> = Mutex::default();
    let steps: Mutex<BTreeMap<String, usize>> = Mutex::default();
    each_seed(10_000, |seed| {
        for call in Life::new(seed).live() {
            let end = call.end.as_ref().expect("it has ended");
            *ends.lock().expect("no test has failed").entry(end.reason).or_default() += 1;
            let mut steps = steps.lock().expect("no test has failed");
            for step in &call.path {
                *steps.entry(format!("{:?}", step.step)).or_default() += 1;
            }
        }
    });
    let ends = ends.into_inner().expect("no test has failed");
    for reason in [
        EndReason::HungUp,
        EndReason::Transferred,
        EndReason::TransferFailed,
        EndReason::ServerStopped,
        EndReason::ServerCrashed,
    ] {
        assert!(ends.contains_key(&reason), "no life ends with {reason:?}: {ends:?}");
    }
    let steps = steps.into_inner().expect("no test has failed");
    for step in
        ["Held", "Resumed", "TransferStarted", "TransferCompleted", "TransferFailed", "TransferDenied"]
    {
        assert!(steps.contains_key(step), "no life has {step}: {steps:?}");
    }
}
