//! Stories out of a seed: phones that do anything, in any order, on both legs, on a network that loses packets, and an API
//! that hangs up at any moment. Whatever happens, the call ends once and no phone is left alone with it.

use call_control::{Call, EndReason, EndedBy, Party};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use sip_message::{Message, Method};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testbed::simulation::{
    Deed, DescriptionHabit, Habits, Network, RawScript, RegistrationHabit, Story, World, each_seed, hangs_up,
    percent, reinvites, says, says_as, says_of_cancel, seconds,
};

const REFUSALS: [u16; 14] = [300, 302, 401, 404, 407, 408, 480, 486, 487, 488, 500, 503, 600, 603];
const BRANCHES: [char; 3] = ['a', 'b', 'c'];

struct Wild(ChaCha12Rng);

impl Wild {
    fn one_of<T: Copy>(&mut self, these: &[T]) -> T {
        these[self.0.random_range(0..these.len())]
    }

    fn within(&mut self, longest: f64) -> f64 {
        // Some things come a hair apart, some very late.
        let scale = self.one_of(&[0.002, 0.3, 1.0, 1.0]);
        self.0.random::<f64>() * longest * scale
    }

    /// Provisional responses, then nothing, a refusal, or one or more 2xx.
    fn course(&mut self, longest: f64) -> Vec<Deed> {
        let mut deeds = Vec::new();
        for _ in 0..self.0.random_range(0..3_u8) {
            let (branch, status) = (self.one_of(&BRANCHES), self.one_of(&[100, 180, 180, 183]));
            let time = self.within(longest);
            deeds.push(says_as(branch, time, status));
        }
        let time = self.within(longest);
        match self.0.random_range(0..10_u8) {
            0 | 1 => {}
            2..=4 => deeds.push(says(time, self.one_of(&REFUSALS))),
            5..=7 => deeds.push(says(time, 200)),
            _ => {
                for branch in BRANCHES {
                    let time = self.within(longest);
                    deeds.push(says_as(branch, time, 200));
                }
            }
        }
        if self.0.random_bool(0.2) {
            deeds.push(hangs_up(time + self.within(longest)));
        }
        deeds
    }

    fn phone(&mut self) -> RawScript {
        let mut to_cancel = self.course(40.0);
        if self.0.random_bool(0.7) {
            to_cancel.push(says_of_cancel(0.0, self.one_of(&[200, 200, 481, 500])));
        }
        let mut to_ack = Vec::new();
        if self.0.random_bool(0.5) {
            to_ack.push(hangs_up(self.within(5.0)));
        }
        if self.0.random_bool(0.2) {
            to_ack.push(reinvites(self.within(5.0)));
        }
        RawScript {
            to_bye: self.one_of(&[200, 200, 200, 0, 401, 481, 500]),
            lost_finals: self.one_of(&[0, 0, 1, 3]),
            lost_acks: self.one_of(&[0, 0, 1, 3]),
            habits: self.habits(),
            ..RawScript::new(self.course(4.0)).to_cancel(to_cancel).to_ack(to_ack)
        }
    }

    fn habits(&mut self) -> Habits {
        let usual = DescriptionHabit::Usual;
        let description = self.one_of(&[
            usual,
            usual,
            usual,
            DescriptionHabit::Multipart,
            DescriptionHabit::ManyAttributes,
            DescriptionHabit::OddNames,
        ]);
        let registration = self.one_of(&[
            RegistrationHabit::Usual,
            RegistrationHabit::Usual,
            RegistrationHabit::WithoutRport,
            RegistrationHabit::BehindNat,
            RegistrationHabit::EmptyCredentials,
        ]);
        Habits {
            without_contact: self.0.random_bool(0.1),
            semicolons: self.0.random_bool(0.2),
            description,
            registration,
        }
    }

    fn phones(&mut self) -> Vec<RawScript> {
        (0..self.one_of(&[1, 1, 2, 3])).map(|_| self.phone()).collect()
    }

    fn network(&mut self) -> Network {
        let (loss, jitter) = (percent(self.one_of(&[0, 0, 5, 15])), self.one_of(&[0, 0, 5, 40]));
        let jitter = Duration::from_millis(jitter);
        Network { loss, doubling: loss, jitter, ..Network::default() }
    }
}

/// What the story itself did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    HangUp,
    Stop,
}

fn life(seed: u64) -> (Arc<Call>, Asked, Played) {
    let mut wild = Wild(ChaCha12Rng::seed_from_u64(seed));
    let mut request = World::request("1001", "1002");
    request.timeout = wild.one_of(&[seconds(1.0), seconds(3.0), seconds(30.0)]);
    request.to_timeout = wild.one_of(&[seconds(1.0), seconds(3.0), seconds(60.0)]);
    request.max_duration = wild.one_of(&[None, Some(seconds(1.0)), Some(seconds(4.0))]);
    let (from, to) = (wild.phones(), wild.phones());
    let mut story = Story::asked(request, &from, &to);
    story.world.set_network(wild.network());
    let mut asked = Asked::Nothing;
    if wild.0.random_bool(0.5) {
        story.run_for(wild.within(8.0));
        asked = if wild.0.random_bool(0.8) { Asked::HangUp } else { Asked::Stop };
        match asked {
            Asked::Nothing => {}
            Asked::HangUp => story.hang_up(),
            Asked::Stop => story.world.end_all(),
        }
    }
    // Behind it nothing is under way any more that a phone was told to say: 40 s after a CANCEL, 60 s after the answer of `from`.
    story.run_for(150.0);
    let call = story.end_despite_losses();
    (call, asked, Played { story, phones: [from.len(), to.len()] })
}

/// A story that is over, and how many phones each party had.
struct Played {
    story: Story,
    phones: [usize; 2],
}

impl Played {
    /// Whether a phone of a party sent such a message.
    fn sent(&self, party: Party, which: impl Fn(&Message) -> bool) -> bool {
        let mut logs =
            (0..self.phones[party as usize]).flat_map(|phone| self.story.phone(party, phone).log());
        logs.any(|logged| logged.sent && which(&logged.message))
    }

    fn hung_up(&self, party: Party) -> bool {
        self.sent(party, |message| matches!(message, Message::Request(it) if it.method == Method::BYE))
    }

    fn refused_with(&self, party: Party, status: u16) -> bool {
        self.sent(party, |message| {
            matches!(message, Message::Response(it)
                if it.status.code() == status && it.header.cseq.method == Method::INVITE)
        })
    }
}

fn check(call: &Call, asked: Asked, played: &Played) {
    let end = call.end.as_ref().expect("it has ended");
    let connected = call.connected_at.is_some();
    let by_party = match end.by {
        EndedBy::From => Some(Party::From),
        EndedBy::To => Some(Party::To),
        EndedBy::Api => {
            assert_eq!(asked, Asked::HangUp, "{end:?}");
            None
        }
        EndedBy::Server => None,
    };
    match end.reason {
        EndReason::HungUp | EndReason::Cancelled => {
            assert_eq!((connected, end.party), (end.reason == EndReason::HungUp, None), "{end:?}");
            assert!(
                by_party.is_none_or(|party| played.hung_up(party)),
                "{end:?}\n{}",
                played.story.world.story()
            );
            assert!(end.by != EndedBy::Server, "nobody wanted it: {end:?}\n{}", played.story.world.story());
        }
        EndReason::NoAnswer => {
            assert!(!connected && end.by == EndedBy::Server && end.party.is_some(), "{end:?}")
        }
        EndReason::MaxDuration => assert!(connected && end.by == EndedBy::Server, "{end:?}"),
        EndReason::MediaTimeout => {
            assert!(connected && end.by == EndedBy::Server && end.party.is_some(), "{end:?}")
        }
        EndReason::ServerStopped => assert_eq!((end.by, asked), (EndedBy::Server, Asked::Stop), "{end:?}"),
        EndReason::Busy
        | EndReason::Declined
        | EndReason::Unreachable
        | EndReason::NotFound
        | EndReason::Refused
        | EndReason::NoCommonCodec => assert!(!connected && end.party.is_some(), "{end:?}"),
        EndReason::SessionExpired
        | EndReason::TrunkFailed
        | EndReason::PolicyDenied
        | EndReason::LimitReached
        | EndReason::LoopDetected
        | EndReason::Transferred
        | EndReason::TransferFailed
        | EndReason::ServerCrashed
        | EndReason::InternalError => panic!("{end:?}"),
    }
    check_status(call, played);
    // However an answer is written, there is a codec of ours in it.
    assert!(end.reason != EndReason::NoCommonCodec || end.by != EndedBy::Server, "{end:?}");
    assert!(call.to.answered_at.is_none() || call.from.answered_at.is_some(), "{:?} before from", Party::To);
}

/// An end that a refusal brought about has its status, which a phone of that party said; any other end has none.
fn check_status(call: &Call, played: &Played) {
    let end = call.end.as_ref().expect("it has ended");
    let is_refusal = match end.reason {
        EndReason::Busy | EndReason::Declined | EndReason::NotFound | EndReason::Refused => true,
        // A phone said so, or none said anything.
        EndReason::Unreachable | EndReason::NoCommonCodec => end.by != EndedBy::Server,
        EndReason::HungUp
        | EndReason::Cancelled
        | EndReason::NoAnswer
        | EndReason::MaxDuration
        | EndReason::MediaTimeout
        | EndReason::ServerStopped
        | EndReason::SessionExpired
        | EndReason::TrunkFailed
        | EndReason::PolicyDenied
        | EndReason::LimitReached
        | EndReason::LoopDetected
        | EndReason::Transferred
        | EndReason::TransferFailed
        | EndReason::ServerCrashed
        | EndReason::InternalError => false,
    };
    let Some(status) = end.sip_status else {
        assert!(!is_refusal, "a refusal without its status: {end:?}");
        return;
    };
    assert!(is_refusal, "nobody refused: {end:?}");
    let party = end.party.expect("whose refusal it is");
    assert_eq!(EndReason::of_status(status), end.reason, "{end:?}");
    assert_eq!((end.by, call.party(party).sip_status), (EndedBy::from(party), Some(status)), "{end:?}");
    let said = played.refused_with(party, status);
    assert!(said, "no phone said {status}\n{}", played.story.world.story());
}

#[test]
fn whatever_phones_do_the_call_ends_once_and_nobody_is_left_alone() {
    let reasons = Mutex::new(BTreeSet::new());
    each_seed(500, |seed| {
        let (call, asked, played) = life(seed);
        check(&call, asked, &played);
        reasons.lock().expect("no story has failed").extend(call.end.as_ref().map(|end| end.reason));
    });
    let reasons = reasons.into_inner().expect("no story has failed");
    assert!(std::env::var("STORY_SEED").is_ok() || reasons.len() >= 9, "only {reasons:?}");
}
