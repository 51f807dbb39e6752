//! A story drawn from its seed: what the network is like, what the phones do, and what people do to them.

use super::{Network, PhoneId, World, percent, seconds};
use audio::Codec;
use call_control::{Call, CallId, CallState, ClickToCall, EndReason, EndedBy, Party};
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
            // What is younger than this is not on disk yet, and nobody was told of it.
            let at = seconds(random.random_range(0.005..LONGEST));
            life.acts.push((at, act(random, party, device)));
        }
        let silenced = life.acts.iter().any(|(_, act)| matches!(act, Act::Unplug(..) | Act::Mute(..)));
        let longest = if silenced && random.random_bool(0.25) { NOTICES_SILENCE } else { LONGEST };
        life.acts.push((seconds(longest), Act::HangUp));
        life.acts.sort_by_key(|(at, _)| *at);
        life
    }

    /// Lives it, and judges what became of the call.
    ///
    /// # Panics
    /// When the call did not come to one right end for everybody.
    pub fn live(&self, world: &mut World) -> Arc<Call> {
        let mut plug_in = |user: &str, scripts: &[Script], hertz: f64| -> Vec<PhoneId> {
            scripts.iter().map(|script| world.phone(user, script.clone(), hertz)).collect()
        };
        let phones = [plug_in("1001", &self.from, 700.0), plug_in("1002", &self.to, 1100.0)];
        world.register_all();
        world.set_network(self.network);
        let call = world.click_to_call(self.request.clone()).expect("both are registered");
        let began = world.elapsed();
        let mut unplugged = Vec::new();
        for (at, act) in &self.acts {
            world.run_for((began + *at).saturating_sub(world.elapsed()));
            if let Act::Unplug(party, device) = act {
                unplugged.push(phones[*party as usize][*device]);
            }
            self.perform(act, call, &phones, world);
        }
        let ended = world.run_until_ended(call);
        for phone in phones.iter().flatten().filter(|phone| !unplugged.contains(phone)) {
            assert!(!world.is_busy(*phone), "{phone:?} is left behind: {self:#?}\n{}", world.story());
        }
        self.judge(&ended, world);
        ended
    }

    fn perform(&self, act: &Act, call: CallId, phones: &[Vec<PhoneId>; 2], world: &mut World) {
        let phone = |party: &Party, device: &usize| phones[*party as usize][*device];
        match act {
            Act::HangUp => world.hang_up(call),
            Act::Stop => world.end_all(),
            Act::Kill(down) => {
                world.kill_server();
                world.run_for(*down);
                world.start_server_again();
            }
            Act::Press(party, device, key) => world.press(phone(party, device), key),
            Act::Unplug(party, device) => world.unplug(phone(party, device)),
            Act::Mute(party, device) => world.mute(phone(party, device), true),
        }
    }

    /// Whether the record can be true.
    fn judge(&self, call: &Call, world: &World) {
        let end = call.end.as_ref().expect("it has ended");
        let connected = call.connected_at.is_some();
        let acted = |act: Act| self.acts.iter().any(|(_, it)| *it == act);
        let refused = || end.sip_status.is_some_and(|status| EndReason::of_status(status) == end.reason);
        let right = match end.reason {
            EndReason::HungUp => connected,
            EndReason::Cancelled => !connected && end.by != EndedBy::Server,
            EndReason::NoAnswer => !connected && end.by == EndedBy::Server && end.party.is_some(),
            EndReason::Busy | EndReason::Declined | EndReason::NotFound | EndReason::Refused => {
                !connected && refused() && end.party.is_some()
            }
            EndReason::Unreachable => !connected && end.party.is_some(),
            EndReason::NoCommonCodec => !connected,
            EndReason::MediaTimeout | EndReason::SessionExpired => connected && end.party.is_some(),
            EndReason::MaxDuration => connected && self.request.max_duration.is_some(),
            EndReason::ServerStopped => acted(Act::Stop),
            EndReason::ServerCrashed => self.acts.iter().any(|(_, act)| matches!(act, Act::Kill(_))),
            EndReason::TrunkFailed | EndReason::InternalError => false,
        };
        let answered = [Party::From, Party::To].map(|party| call.party(party).answered_at.is_some());
        let right = right
            && call.state == CallState::Ended
            && connected == (answered == [true, true])
            && (answered[Party::From as usize] || call.to.sip_call_id.is_none());
        assert!(right, "{end:?} cannot be: {call:#?}\n{self:#?}\n{}", world.story());
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

fn request(random: &mut impl Rng) -> ClickToCall {
    let mut request = World::request("1001", "1002");
    request.timeout = Duration::from_secs(random.random_range(1..=8));
    request.to_timeout = Duration::from_secs(random.random_range(1..=8));
    request.max_duration = random.random_bool(0.2).then(|| Duration::from_secs(random.random_range(1..=6)));
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
