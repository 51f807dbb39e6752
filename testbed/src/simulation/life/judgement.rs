//! Whether what became of a life can be true.

use super::{Act, Ended, Life};
use crate::simulation::{Network, PhoneId, World, seconds};
use audio::tone_share;
use call_control::{
    Call, CallEventKind, CallId, CallState, End, EndReason, EndedBy, Party, PartyState, Refusal,
};
use std::time::{Duration, Instant};
use test_phone::PhoneEvent;

/// What is known of a life beside what the world keeps.
pub(super) struct Lived<'a> {
    life: &'a Life,
    phones: [Vec<PhoneId>; 2],
    /// When the end of the call was asked for.
    pub(super) ends: Vec<Instant>,
    /// Phones that nothing reaches any more.
    pub(super) unplugged: Vec<PhoneId>,
    /// When somebody did something to a phone, or to all.
    touched: Vec<(Option<PhoneId>, Instant)>,
}

/// Those who hear each other: the one phone of each party that has answered.
struct Talk {
    phones: [PhoneId; 2],
    from: Instant,
    until: Instant,
}

/// A phone is told of the end of a call by then, if the network loses nothing: as long as an answer is sent again
/// (64·T1), and some.
const TOLD: Duration = Duration::from_secs(37);
/// What a phone that was left behind is told when it registers next; each does within the hour.
const RETURNED: Duration = Duration::from_hours(2);
/// The tone of each party.
pub(super) const HERTZ: [f64; 2] = [700.0, 1100.0];

impl<'a> Lived<'a> {
    pub(super) const fn new(life: &'a Life, phones: [Vec<PhoneId>; 2]) -> Self {
        Self { life, phones, ends: Vec::new(), unplugged: Vec::new(), touched: Vec::new() }
    }

    /// Somebody does something to a phone.
    pub(super) fn touched(&mut self, party: Party, device: usize, now: Instant) -> PhoneId {
        let phone = self.phones[party as usize][device];
        self.touched.push((Some(phone), now));
        phone
    }

    /// Nobody hears anything from now on.
    pub(super) fn interrupted(&mut self, now: Instant) {
        self.touched.push((None, now));
    }

    /// What became of it.
    ///
    /// # Panics
    /// When it cannot be.
    pub(super) fn judge(self, answer: Option<Result<CallId, Refusal>>, world: &mut World) -> Ended {
        for phone in self.reachable() {
            assert!(!world.is_busy(phone), "{phone:?} is left behind: {}", self.tell(world));
        }
        self.check_that_all_was_told(world);
        let records = world.records();
        assert!(records.len() <= 1, "one request, {} calls: {}", records.len(), self.tell(world));
        let record = records.into_iter().next();
        if let Some(call) = &record {
            world.check_events(call.call_id);
            self.check_record(call, answer.as_ref(), world);
        }
        match &answer {
            Some(Ok(id)) => assert_eq!(record.as_ref().map(|call| call.call_id), Some(*id)),
            Some(Err(_)) | None => self.check_that_nobody_was_rung(world),
        }
        assert!(answer.is_some() || self.acted(|act| matches!(act, Act::Kill(_))), "{}", self.tell(world));
        self.check_first_answer(&answer, record.is_some(), world);
        if self.loses_nothing() && !self.died_unwritten() {
            self.check_that_all_end_together(world);
        }
        if let Some(call) = &record {
            self.check_talk(call, world);
        }
        Ended { answer, record }
    }

    /// Whether the record can be true.
    fn check_record(&self, call: &Call, answer: Option<&Result<CallId, Refusal>>, world: &World) {
        let end = call.end.as_ref().expect("it has ended");
        let has_begun = match answer {
            Some(Ok(_)) => self.can_be(call, end),
            Some(Err(Refusal::StorageUnavailable { .. })) => {
                end.reason == EndReason::Refused || self.has_crashed(end)
            }
            Some(Err(Refusal::Draining)) => end.reason == EndReason::ServerStopped || self.has_crashed(end),
            Some(Err(_)) => false,
            None => self.has_crashed(end),
        };
        let right = has_begun && call.state == CallState::Ended;
        assert!(right, "{end:?} behind {answer:?} cannot be: {call:#?}\n{}", self.tell(world));
    }

    fn can_be(&self, call: &Call, end: &End) -> bool {
        let connected = call.connected_at.is_some();
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
            EndReason::MaxDuration => connected && self.life.request.max_duration.is_some(),
            EndReason::ServerStopped => self.acted(|act| *act == Act::Stop),
            EndReason::ServerCrashed => self.has_crashed(end),
            EndReason::TrunkFailed
            | EndReason::PolicyDenied
            | EndReason::LimitReached
            | EndReason::LoopDetected
            | EndReason::Transferred
            | EndReason::TransferFailed
            | EndReason::InternalError => false,
        };
        let answered = [Party::From, Party::To].map(|party| call.party(party).answered_at.is_some());
        let is_over = |party| matches!(call.party(party).state, PartyState::Gone | PartyState::Waiting);
        right
            && connected == (answered == [true, true])
            && (answered[Party::From as usize] || call.to.sip_call_id.is_none())
            && [Party::From, Party::To].into_iter().all(is_over)
    }

    fn has_crashed(&self, end: &End) -> bool {
        end.reason == EndReason::ServerCrashed && self.acted(|act| matches!(act, Act::Kill(_)))
    }

    /// A repeat of the request gets the call if the first one got it, and a new one if it was refused.
    fn check_first_answer(&self, answer: &Option<Result<CallId, Refusal>>, is_on_disk: bool, world: &World) {
        let is_kept = self.life.request.repeatable.is_some() && is_on_disk && !matches!(answer, Some(Err(_)));
        let kept = world.kept().0;
        // One that was refused, and whose row landed with the server dying, names a call that is over.
        let may_be = answer.as_ref().is_some_and(Result::is_err) && is_on_disk && self.died_unwritten();
        assert!(kept == usize::from(is_kept) || may_be, "{kept} first answers: {}", self.tell(world));
    }

    fn check_that_nobody_was_rung(&self, world: &World) {
        for phone in self.phones.iter().flatten() {
            let rang =
                world.phone_events(*phone).iter().any(|event| matches!(event, PhoneEvent::Incoming { .. }));
            assert!(!rang, "{phone:?} was rung for a call that was never promised: {}", self.tell(world));
        }
    }

    /// What INVITEs are ended with is kept no longer than they last. After a crash a phone that cannot be reached is told
    /// when it registers again.
    fn check_that_all_was_told(&self, world: &mut World) {
        let all_told = |world: &World| world.kept().1 == 0;
        let crashed = self.acted(|act| matches!(act, Act::Kill(_)));
        if crashed && self.reachable().next().is_some() {
            world.run_until(RETURNED, all_told);
        }
        let nobody_comes_back = crashed && self.reachable().next().is_none();
        assert!(
            all_told(world) || nobody_comes_back,
            "{} INVITEs are kept: {}",
            world.kept().1,
            self.tell(world)
        );
    }

    /// No phone stays in a call whose other party has gone, or that somebody has ended.
    fn check_that_all_end_together(&self, world: &World) {
        let gone = self.phones.iter().filter_map(|phones| self.party_gone(phones, world));
        let Some(first) = gone.chain(self.ends.iter().copied()).min() else { return };
        for phone in self.reachable() {
            for (at, event) in world.dated_phone_events(phone) {
                let late = matches!(event, PhoneEvent::Ended { .. }) && at > first + TOLD;
                assert!(!late, "{phone:?} stays for {:?}: {}", at - first, self.tell(world));
            }
        }
    }

    /// When the last phone of a party that has answered ended its call.
    fn party_gone(&self, phones: &[PhoneId], world: &World) -> Option<Instant> {
        let answered: Vec<PhoneId> =
            phones.iter().copied().filter(|phone| answered(*phone, world).is_some()).collect();
        let known = !answered.iter().any(|phone| self.unplugged.contains(phone));
        answered.iter().filter_map(|phone| ended(*phone, world)).max().filter(|_| known)
    }

    /// Those who talked for a second heard each other.
    fn check_talk(&self, call: &Call, world: &World) {
        let Some(Talk { phones, from, until }) = self.talk(call, world) else { return };
        if from + seconds(1.0) > until || !world.events_of(call.call_id).contains(&CallEventKind::Talking) {
            return;
        }
        let [one, other] = phones.map(|phone| world.heard(phone).map(|media| media.figures.codec));
        let arrives = arriving(&self.life.network, one != other);
        let least = if arrives > 0.999 { 0.95 } else { 0.7 * arrives };
        for (phone, hertz) in phones.into_iter().zip([HERTZ[1], HERTZ[0]]) {
            let heard = &world.heard(phone).expect("its call is over").heard;
            let share = tone_share(heard.between(from, until), heard.sample_rate, hertz);
            let packets = heard.arrivals.iter().filter(|packet| (from..until).contains(&packet.at)).count();
            let sent = (until - from).as_secs_f64() / 0.02;
            // They come unevenly.
            let enough = packets as f64 >= least * sent - 6.0;
            assert!(
                share >= least && enough,
                "{phone:?} heard {share:.2} of {hertz} Hz in {packets} packets of {sent:.0}: {}",
                self.tell(world)
            );
        }
    }

    /// From when until when both were to hear each other.
    fn talk(&self, call: &Call, world: &World) -> Option<Talk> {
        let connected = world.instant_of(call.connected_at?);
        let one_that_answered = |phones: &[PhoneId]| {
            let mut answered = phones.iter().copied().filter(|phone| answered(*phone, world).is_some());
            answered.next().filter(|_| answered.next().is_none())
        };
        let phones = [one_that_answered(&self.phones[0])?, one_that_answered(&self.phones[1])?];
        let there_and_back = 2 * (self.life.network.delay + self.life.network.jitter);
        let mut until: Vec<Instant> = self.ends.clone();
        until.extend(self.life.request.max_duration.map(|longest| connected + longest));
        let touched = self.touched.iter();
        until.extend(
            touched.filter(|(phone, _)| phone.is_none_or(|phone| phones.contains(&phone))).map(|(_, at)| *at),
        );
        for (phone, script) in phones.iter().zip([self.script(phones[0]), self.script(phones[1])]) {
            let confirmed =
                world.dated_phone_events(*phone).find(|(_, event)| matches!(event, PhoneEvent::Confirmed));
            let acts = [script.hold_after, script.hang_up_after].into_iter().flatten();
            until.extend(confirmed.into_iter().flat_map(|(at, _)| acts.clone().map(move |after| at + after)));
            until.extend(ended(*phone, world));
        }
        let until = until.into_iter().min()?;
        Some(Talk { phones, from: connected + there_and_back + seconds(0.1), until })
    }

    fn script(&self, phone: PhoneId) -> &test_phone::Script {
        let place = |phones: &[PhoneId]| phones.iter().position(|it| *it == phone);
        match (place(&self.phones[0]), place(&self.phones[1])) {
            (Some(device), _) => &self.life.from[device],
            (None, device) => &self.life.to[device.expect("a phone of this life")],
        }
    }

    fn reachable(&self) -> impl Iterator<Item = PhoneId> {
        self.phones.iter().flatten().copied().filter(|phone| !self.unplugged.contains(phone))
    }

    fn loses_nothing(&self) -> bool {
        self.life.network.loss == 0.0
    }

    /// The server died when it could perhaps not write what it had done.
    fn died_unwritten(&self) -> bool {
        let mut acts = self.life.acts.iter().map(|(_, act)| act);
        acts.by_ref().any(|act| matches!(act, Act::Disk(_))) && acts.any(|act| matches!(act, Act::Kill(_)))
    }

    fn acted(&self, which: impl Fn(&Act) -> bool) -> bool {
        self.life.acts.iter().any(|(_, act)| which(act))
    }

    fn tell(&self, world: &World) -> String {
        format!("{:#?}\n{}", self.life, world.story())
    }
}

/// The share of the packets that arrive, on two ways: to the server, and on from there. What was overtaken on the first one
/// is left out where codecs are translated.
fn arriving(network: &Network, is_transcoded: bool) -> f64 {
    let arrives = 1.0 - network.loss;
    let jitter = network.jitter.as_secs_f64();
    let in_order = |late: f64| -> f64 {
        let leads = (1_u32..).map(|next| late - 0.02 * f64::from(next)).take_while(|lead| *lead > 0.0);
        leads.map(|lead| 1.0 - arrives * lead / jitter).product()
    };
    let steps = 0..100_u32;
    let share: f64 =
        steps.map(|step| in_order(jitter * (f64::from(step) + 0.5) / 100.0)).sum::<f64>() / 100.0;
    arrives.powi(2) * if is_transcoded { share } else { 1.0 }
}

/// When a phone answered.
fn answered(phone: PhoneId, world: &World) -> Option<Instant> {
    let mut events = world.dated_phone_events(phone);
    events.find(|(_, event)| matches!(event, PhoneEvent::Answered { .. })).map(|(at, _)| at)
}

/// When the call of a phone ended.
fn ended(phone: PhoneId, world: &World) -> Option<Instant> {
    let mut events = world.dated_phone_events(phone);
    events.find(|(_, event)| matches!(event, PhoneEvent::Ended { .. })).map(|(at, _)| at)
}
