//! A story drawn from its seed: what the network is like, what the phones do, and what people do to them.

mod judgement;

use super::disk::USUAL;
use super::{DiskState, Network, PhoneId, World, percent, seconds};
use audio::Codec;
use call_control::{Call, CallId, ClickToCall, Party, Refusal, Repeatable};
use judgement::{HERTZ, Lived};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use sip_message::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use test_phone::{Answering, Command, Reply, Script};

/// All that will happen.
#[derive(Debug, Clone)]
pub struct Life {
    /// From the moment at which all phones have registered.
    pub network: Network,
    /// The devices of `from`.
    pub from: Vec<Script>,
    /// The devices of `to`.
    pub to: Vec<Script>,
    /// Asked for at the beginning.
    pub request: ClickToCall,
    /// What people do, and when, after the request; in order.
    pub acts: Vec<(Duration, Act)>,
}

/// What somebody does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Ends the call through the API.
    HangUp,
    /// Stops the server: every call ends.
    Stop,
    /// Kills the server; it comes back after this time.
    Kill(Duration),
    /// Presses a key of a device.
    Press(Party, usize, Command),
    /// Pulls the plug of a device.
    Unplug(Party, usize),
    /// The audio that a device sends goes nowhere from now on.
    Mute(Party, usize),
    /// The server's disk is like this from now on.
    Disk(DiskState),
}

/// What became of a life.
#[derive(Debug, Clone)]
pub struct Ended {
    /// What was said to the request; absent when the server died before.
    pub answer: Option<Result<CallId, Refusal>>,
    /// The record of the call; absent when nothing of it was kept.
    pub record: Option<Arc<Call>>,
}

/// A life that does not end by itself is ended.
const LONGEST: f64 = 14.0;
/// The server takes a minute to notice that nothing is heard of a party.
const NOTICES_SILENCE: f64 = 80.0;

impl Life {
    /// The life of this seed.
    pub fn of_seed(seed: u64) -> Self {
        let random = &mut ChaCha12Rng::seed_from_u64(seed);
        let (from, to) = (random.random_range(1..=3), random.random_range(1..=2));
        let mut life = Self {
            network: network(random),
            from: (0..from).map(|_| script(random)).collect(),
            to: (0..to).map(|_| script(random)).collect(),
            request: request(random),
            acts: Vec::new(),
        };
        for _ in 0..random.random_range(0..=3) {
            let party = if random.random() { Party::From } else { Party::To };
            let device = random.random_range(0..life.devices(party).len());
            let at = moment(random);
            life.acts.push((at, act(random, party, device)));
        }
        if random.random_bool(0.25) {
            life.trouble_the_disk(random);
        }
        let silenced = life.acts.iter().any(|(_, act)| matches!(act, Act::Unplug(..) | Act::Mute(..)));
        let longest = if silenced && random.random_bool(0.25) { NOTICES_SILENCE } else { LONGEST };
        life.acts.push((seconds(longest), Act::HangUp));
        life.acts.sort_by_key(|(at, _)| *at);
        life
    }

    /// The disk is slow or fails now and then, and is as usual again in the end.
    fn trouble_the_disk(&mut self, random: &mut impl Rng) {
        for _ in 0..random.random_range(1..=2) {
            // Often it has been so when the call is asked for.
            let at = if random.random_bool(0.4) { Duration::ZERO } else { moment(random) };
            self.acts.push((at, Act::Disk(disk(random))));
            let mended = at + seconds(random.random_range(0.05..8.0));
            self.acts.push((mended, Act::Disk(DiskState::Takes(USUAL))));
        }
    }

    /// Lives it, and judges what became of the call.
    ///
    /// # Panics
    /// When the call did not come to one right end for everybody.
    pub fn live(&self, world: &mut World) -> Ended {
        let mut plug_in = |user: &str, scripts: &[Script], hertz: f64| -> Vec<PhoneId> {
            scripts.iter().map(|script| world.phone(user, script.clone(), hertz)).collect()
        };
        let phones = [plug_in("1001", &self.from, HERTZ[0]), plug_in("1002", &self.to, HERTZ[1])];
        world.register_all();
        world.set_network(self.network);
        for (at, act) in &self.acts {
            if let (Duration::ZERO, Act::Disk(state)) = (*at, act) {
                world.set_disk(*state);
            }
        }
        let ticket = world.ask(self.request.clone());
        let began = world.elapsed();
        let mut lived = Lived::new(self, phones);
        for (at, act) in &self.acts {
            world.run_for((began + *at).saturating_sub(world.elapsed()));
            let call = world.answer(ticket).and_then(|answer| answer.clone().ok());
            self.perform(act, call, &mut lived, world);
        }
        world.run_for(seconds(3.0)); // The last act may have been the first.
        let answer = world.answer(ticket).cloned();
        if let Some(Ok(call)) = answer {
            world.run_until_ended(call);
        } else {
            world.run_until_nothing_is_left();
        }
        lived.judge(answer, world)
    }

    fn perform(&self, act: &Act, call: Option<CallId>, lived: &mut Lived<'_>, world: &mut World) {
        match act {
            Act::HangUp => {
                // Who has no answer yet knows of no call.
                let Some(call) = call else { return };
                lived.ends.push(world.now());
                world.hang_up(call);
            }
            Act::Stop => {
                lived.ends.push(world.now());
                world.end_all();
            }
            Act::Kill(down) => {
                lived.interrupted(world.now());
                world.kill_server();
                world.run_for(*down);
                lived.ends.push(world.now());
                world.start_server_again();
            }
            Act::Press(party, device, key) => {
                let phone = lived.touched(*party, *device, world.now());
                world.press(phone, key);
            }
            Act::Unplug(party, device) => {
                let phone = lived.touched(*party, *device, world.now());
                lived.unplugged.push(phone);
                world.unplug(phone);
            }
            Act::Mute(party, device) => {
                let phone = lived.touched(*party, *device, world.now());
                world.mute(phone, true);
            }
            Act::Disk(state) => world.set_disk(*state),
        }
    }

    const fn devices(&self, party: Party) -> &Vec<Script> {
        match party {
            Party::From => &self.from,
            Party::To => &self.to,
        }
    }
}

fn network(random: &mut impl Rng) -> Network {
    let mut one_of = |shares: &[u8]| percent(*shares.choose(random).expect("there are some"));
    Network {
        loss: one_of(&[0, 0, 5, 10, 20, 30, 50]),
        doubling: one_of(&[0, 5, 20]),
        delay: seconds(random.random_range(0.001..0.15)),
        jitter: seconds(random.random_range(0.0..0.1)),
    }
}

/// When something happens; now and then while the first things are being written.
fn moment(random: &mut impl Rng) -> Duration {
    let longest = if random.random_bool(0.15) { 0.05 } else { LONGEST };
    seconds(random.random_range(0.0..longest))
}

fn disk(random: &mut impl Rng) -> DiskState {
    match random.random_range(0..4) {
        0 => DiskState::Fails,
        1 => DiskState::FailsBehind,
        2 => DiskState::Takes(seconds(random.random_range(0.002..0.2))),
        _ => DiskState::Takes(seconds(random.random_range(0.002..5.0))),
    }
}

fn request(random: &mut impl Rng) -> ClickToCall {
    let mut request = World::request("1001", "1002");
    request.timeout = Duration::from_secs(random.random_range(1..=8));
    request.to_timeout = Duration::from_secs(random.random_range(1..=8));
    request.max_duration = random.random_bool(0.2).then(|| Duration::from_secs(random.random_range(1..=6)));
    request.repeatable = random.random_bool(0.5).then(|| Repeatable {
        api_key: [1; 32],
        idempotency_key: "once".into(),
        body: [2; 32],
    });
    request
}

fn script(random: &mut impl Rng) -> Script {
    let after = seconds(random.random_range(0.0..3.0));
    let reply = match random.random_range(0..100) {
        0..75 => Reply::Accept { after },
        75..90 => Reply::Reject { status: *STATUSES.choose(random).expect("there are some"), after },
        _ => Reply::Never,
    };
    let answering = Answering {
        rings: random.random_bool(0.9),
        early_media: random.random_bool(0.2),
        auto_answer: false,
        reply,
    };
    let mut sometimes =
        |share, longest| random.random_bool(share).then(|| seconds(random.random_range(0.0..longest)));
    let (hang_up_after, hold_after, resume_after) =
        (sometimes(0.3, 6.0), sometimes(0.2, 3.0), sometimes(0.8, 2.0));
    let codecs = CODECS.choose(random).expect("there are some").to_vec();
    Script { answering, hang_up_after, hold_after, resume_after, codecs, ..Script::default() }
}

fn act(random: &mut impl Rng, party: Party, device: usize) -> Act {
    match random.random_range(0..100) {
        0..30 => Act::HangUp,
        30..34 => Act::Stop,
        34..40 => Act::Kill(seconds(random.random_range(0.1..3.0))),
        40..55 => Act::Press(party, device, Command::HangUp),
        55..70 => Act::Press(party, device, Command::Hold),
        70..85 => Act::Press(party, device, Command::Resume),
        85..95 => Act::Unplug(party, device),
        _ => Act::Mute(party, device),
    }
}

const CODECS: [&[Codec]; 4] =
    [&[Codec::Pcma, Codec::Pcmu], &[Codec::Pcmu, Codec::Pcma], &[Codec::Pcma], &[Codec::Pcmu]];

const STATUSES: [StatusCode; 15] = [
    StatusCode::MOVED_TEMPORARILY,
    StatusCode::UNAUTHORIZED,
    StatusCode::NOT_FOUND,
    StatusCode::PROXY_AUTHENTICATION_REQUIRED,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::TEMPORARILY_UNAVAILABLE,
    StatusCode::CALL_TRANSACTION_DOES_NOT_EXIST,
    StatusCode::BUSY_HERE,
    StatusCode::REQUEST_TERMINATED,
    StatusCode::NOT_ACCEPTABLE_HERE,
    StatusCode::REQUEST_PENDING,
    StatusCode::SERVER_INTERNAL_ERROR,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::BUSY_EVERYWHERE,
    StatusCode::DECLINE,
];
