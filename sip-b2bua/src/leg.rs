//! One party as the B2BUA sees it: its phones rung in parallel, its offer and answer, its no-answer deadline.
//!
//! | | progress | answered | fork gone | hang up | no answer | release time over |
//! |---|---|---|---|---|---|---|
//! | `Ringing` | first 18x → `Ringing` event; first answer in one → `EarlyMedia` | others cancelled → `Answered` | last one, or a 6xx: the best status → gone; hung up before its answer came → gone | → `Releasing` | → `Releasing` | cannot |
//! | `Answered` | — | — | the answered one → gone | → `Releasing` | cannot | cannot |
//! | `Releasing` | — | — | last one → gone | — | cannot | → gone |
//! | `Gone` | — | — | — | — | cannot | cannot |
//!
//! The tests below try every order of these with one phone and with two; `call/crossings.md` has them beside the other leg.

#[cfg(test)]
pub(crate) mod by_hand;
mod early;
mod information;
mod session;

use self::early::EarlyAnswer;
pub(crate) use self::information::Information;
use self::session::Talk;
use crate::end::LegEnd;
use crate::media::{self, Announced};
use deadlines::Deadlines;
use media_relay::Description;
use sdp::{Direction, Format, Offer, Origin};
use sip_core::{Flow, Gone, GoneCause, InviteEvent, InviteId, NewInvite, Responder};
use sip_message::{Reason, Response, StatusCode};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A phone that is rung, and what it is told.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    /// The INVITE but for its offer.
    pub(crate) invite: NewInvite,
    /// The relay's address that this phone is told.
    pub(crate) announced: Announced,
}

/// What a leg wants done, in order.
#[derive(Debug)]
pub(crate) enum Output {
    /// Send an INVITE; `Leg::invited` says which it became.
    Invite {
        fork: usize,
        invite: Box<NewInvite>,
    },
    HangUp {
        invite: InviteId,
        reason: Option<Reason>,
    },
    AnswerOffer {
        invite: InviteId,
        body: Vec<u8>,
    },
    RefuseOffer {
        invite: InviteId,
        status: StatusCode,
    },
    /// Send a re-INVITE.
    Reoffer {
        invite: InviteId,
        body: Vec<u8>,
    },
    /// Answer a request in the dialog.
    Respond {
        responder: Responder,
        status: StatusCode,
    },
    /// The party has this to say to the other one.
    Informed(Information),
    /// Say this to the party in an INFO.
    Inform {
        invite: InviteId,
        information: Information,
    },
    /// The party wants to send and to hear in another way from now on: hold or its end. `Leg::wish` says which.
    Wishes,
    /// What was agreed with the party; for the relay.
    Describe(Description),
    /// Another codec is in use from now on; `Describe` came before.
    CodecChanged(Format),
    /// A phone that rings may send audio, described like this; again when another one may instead.
    EarlyMedia(Description),
    /// A phone of the party rings.
    Ringing {
        status: u16,
    },
    /// The party answered; `Describe` came before.
    Answered {
        format: Format,
        status: u16,
    },
    /// The leg will never speak again. Exactly once, and last.
    Gone(LegEnd),
}

/// One party.
#[derive(Debug)]
pub(crate) struct Leg {
    state: State,
    forks: Vec<Fork>,
    formats: Vec<Format>,
    origin: Origin,
    deadlines: Deadlines<Timer>,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    /// `early` is the fork that may be heard.
    Ringing {
        has_rung: bool,
        early: Option<usize>,
    },
    Answered(Box<Talk>),
    Releasing {
        end: LegEnd,
    },
    Gone,
}

/// One phone of the party.
#[derive(Debug)]
struct Fork {
    flow: Flow,
    announced: Announced,
    offer: Offer,
    early: Option<EarlyAnswer>,
    state: ForkState,
}

#[derive(Debug, Clone, Copy)]
enum ForkState {
    /// Handed out, not sent yet.
    New,
    /// Sent, nothing heard.
    Calling(InviteId),
    /// A provisional response came.
    Proceeding(InviteId),
    /// Its 2xx was taken.
    Answered(InviteId),
    /// We hung up on it.
    Dropped { confirmation_expected: bool },
    /// It will never speak again.
    Gone { status: Option<u16> },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Timer {
    NoAnswer,
    /// The party had time enough to confirm the end.
    Release,
}

/// A phone that does not confirm CANCEL or BYE in this time is given up; its usage goes on repeating by itself.
const RELEASE: Duration = Duration::from_secs(5);

impl Leg {
    /// Rings all `devices` at once with an offer of `formats`.
    pub(crate) fn ring(
        devices: Vec<Device>,
        formats: Vec<Format>,
        session_id: u64,
        no_answer: Duration,
        now: Instant,
    ) -> Self {
        let origin = Origin { session_id, version: 1 };
        let mut leg = Self {
            state: State::Ringing { has_rung: false, early: None },
            forks: Vec::with_capacity(devices.len()),
            formats,
            origin,
            deadlines: Deadlines::new(),
            outputs: VecDeque::new(),
        };
        leg.deadlines.set(Timer::NoAnswer, now + no_answer);
        for device in devices {
            leg.add_fork(device);
        }
        if leg.forks.is_empty() {
            leg.gone(LegEnd::Unreachable);
        }
        leg
    }

    /// The INVITE of `fork` was sent.
    pub(crate) fn invited(&mut self, fork: usize, invite: InviteId) {
        self.forks[fork].state = ForkState::Calling(invite);
    }

    /// Ends the leg whatever its state; `Output::Gone` follows.
    pub(crate) fn hang_up(&mut self, reason: Option<&Reason>, now: Instant) {
        self.release(LegEnd::HungUpByUs, reason, now);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.deadlines.pop_due(now) {
            match timer {
                Timer::NoAnswer => {
                    let end = if self.is_silent() { LegEnd::Unreachable } else { LegEnd::NoAnswer };
                    self.release(end, None, now);
                }
                Timer::Release => {
                    if let State::Releasing { end } = self.state {
                        self.gone(end);
                    }
                }
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn handle(&mut self, fork: usize, event: InviteEvent, now: Instant) {
        match event {
            InviteEvent::Sent { .. } => {}
            InviteEvent::Trying => self.reached(fork),
            InviteEvent::Progress { status, body, branch } => {
                self.progress(fork, status);
                if let Some(body) = body {
                    self.early_answer(fork, &body, branch);
                }
            }
            InviteEvent::Answered { response } => self.answered(fork, &response, now),
            InviteEvent::Offered { body, flow } => self.offered(fork, body.as_deref(), flow),
            InviteEvent::Reanswered { body } => self.reanswered(fork, &body),
            InviteEvent::Gone(gone) => self.fork_gone(fork, &gone, now),
            InviteEvent::ReofferRefused { .. } => self.reoffer_refused(fork),
            InviteEvent::Requested { responder, request } => self.requested(fork, responder, *request),
            // We answer no INVITE.
            InviteEvent::Confirmed { .. } => {}
        }
    }

    fn add_fork(&mut self, device: Device) {
        let stream = media::stream(device.announced, self.formats.clone(), Direction::SendRecv);
        let offer = Offer::new(&self.origin, stream);
        let invite = NewInvite { offer: Some(offer.print()), ..device.invite };
        let fork = self.forks.len();
        self.forks.push(Fork {
            flow: invite.flow,
            announced: device.announced,
            offer,
            early: None,
            state: ForkState::New,
        });
        self.outputs.push_back(Output::Invite { fork, invite: Box::new(invite) });
    }

    /// No phone has said anything at all.
    fn is_silent(&self) -> bool {
        self.forks.iter().all(|fork| match fork.state {
            ForkState::New | ForkState::Calling(_) | ForkState::Gone { status: None } => true,
            ForkState::Proceeding(_)
            | ForkState::Answered(_)
            | ForkState::Dropped { .. }
            | ForkState::Gone { status: Some(_) } => false,
        })
    }

    fn reached(&mut self, fork: usize) {
        if let ForkState::Calling(invite) = self.forks[fork].state {
            self.forks[fork].state = ForkState::Proceeding(invite);
        }
    }

    fn progress(&mut self, fork: usize, status: StatusCode) {
        self.reached(fork);
        if let State::Ringing { has_rung: has_rung @ false, .. } = &mut self.state
            && status.code() > 100
        {
            *has_rung = true;
            self.outputs.push_back(Output::Ringing { status: status.code() });
        }
    }

    fn answered(&mut self, fork: usize, response: &Response, now: Instant) {
        let (State::Ringing { .. }, ForkState::Calling(invite) | ForkState::Proceeding(invite)) =
            (&self.state, self.forks[fork].state)
        else {
            return; // It crossed our CANCEL: the usage sends ACK and BYE by itself.
        };
        self.forks[fork].state = ForkState::Answered(invite);
        let agreed = self.forks[fork].agreed(response);
        let Some((description, format)) = agreed else {
            return self.release(LegEnd::NoCommonCodec, None, now);
        };
        self.deadlines.clear_all();
        let elsewhere = Reason {
            protocol: "SIP".into(),
            cause: Some(200),
            text: Some("Call completed elsewhere".into()), // RFC 3326 §3.1
        };
        for other in (0..self.forks.len()).filter(|other| *other != fork) {
            self.drop_fork(other, Some(&elsewhere));
        }
        let wish = Direction::from_parts(description.sends, description.receives);
        self.outputs.push_back(Output::Describe(description));
        self.outputs.push_back(Output::Answered { format: format.clone(), status: response.status.code() });
        self.state = State::Answered(Box::new(Talk::new(fork, format, wish)));
    }

    fn fork_gone(&mut self, fork: usize, gone: &Gone, now: Instant) {
        let status = match gone.cause {
            GoneCause::Refused { status } => Some(status.code()),
            // Silence counts as a 408 (RFC 3261 §8.1.3.1), but nobody said so.
            GoneCause::TimedOut
            | GoneCause::Unreachable
            | GoneCause::Cancelled
            | GoneCause::CancelledByPeer
            | GoneCause::Rejected
            | GoneCause::HungUpByPeer
            | GoneCause::HungUp
            | GoneCause::NoAck
            | GoneCause::SessionExpired
            | GoneCause::NothingToEnd => None,
        };
        self.forks[fork].state = ForkState::Gone { status };
        self.hear_another(fork);
        match &self.state {
            // A 6xx speaks for the user, not for one phone (RFC 3261 §16.7 step 5).
            State::Ringing { .. } if status.is_some_and(|status| status >= 600) => {
                self.release(LegEnd::Refused { status: status.unwrap_or(600) }, None, now);
            }
            State::Ringing { .. } if self.all_gone() && matches!(gone.cause, GoneCause::HungUpByPeer) => {
                self.gone(LegEnd::HungUp);
            }
            State::Ringing { .. } if self.all_gone() => {
                let end = self.best_status().map_or(LegEnd::Unreachable, |status| LegEnd::Refused { status });
                self.gone(end);
            }
            State::Answered(talk) if talk.fork == fork => {
                let expired = matches!(gone.cause, GoneCause::SessionExpired);
                self.gone(if expired { LegEnd::SessionExpired } else { LegEnd::HungUp });
            }
            State::Releasing { end } if self.all_gone() => self.gone(*end),
            State::Ringing { .. } | State::Answered(_) | State::Releasing { .. } | State::Gone => {}
        }
    }

    /// Hangs up on every phone and waits for those that can still confirm it.
    fn release(&mut self, end: LegEnd, reason: Option<&Reason>, now: Instant) {
        match self.state {
            State::Ringing { .. } | State::Answered(_) => {}
            State::Releasing { .. } | State::Gone => return,
        }
        for fork in 0..self.forks.len() {
            self.drop_fork(fork, reason);
        }
        self.deadlines.clear_all();
        self.state = State::Releasing { end };
        if self.all_gone() {
            return self.gone(end);
        }
        self.deadlines.set(Timer::Release, now + RELEASE);
    }

    fn drop_fork(&mut self, fork: usize, reason: Option<&Reason>) {
        let (invite, confirmation_expected) = match self.forks[fork].state {
            // Nothing can be sent before a provisional response (RFC 3261 §9.1), so nothing need be waited for.
            ForkState::Calling(invite) => (invite, false),
            ForkState::Proceeding(invite) | ForkState::Answered(invite) => (invite, true),
            ForkState::New | ForkState::Dropped { .. } | ForkState::Gone { .. } => return,
        };
        self.forks[fork].state = ForkState::Dropped { confirmation_expected };
        self.outputs.push_back(Output::HangUp { invite, reason: reason.cloned() });
    }

    fn all_gone(&self) -> bool {
        self.forks.iter().all(|fork| match fork.state {
            ForkState::Gone { .. } | ForkState::Dropped { confirmation_expected: false } => true,
            ForkState::New
            | ForkState::Calling(_)
            | ForkState::Proceeding(_)
            | ForkState::Answered(_)
            | ForkState::Dropped { confirmation_expected: true } => false,
        })
    }

    /// RFC 3261 §16.7 step 6: the lowest class; within it a busy or declining phone says more than an absent one, and
    /// any other failure more than the overload of one phone.
    fn best_status(&self) -> Option<u16> {
        let rank = |status: u16| match status {
            486 => (4, 0),
            408 | 480 | 487 => (4, 2),
            503 => (5, 2),
            other => (other / 100, 1),
        };
        let statuses = self.forks.iter().filter_map(|fork| match fork.state {
            ForkState::Gone { status } => status,
            ForkState::New
            | ForkState::Calling(_)
            | ForkState::Proceeding(_)
            | ForkState::Answered(_)
            | ForkState::Dropped { .. } => None,
        });
        statuses.min_by_key(|status| rank(*status))
    }

    fn gone(&mut self, end: LegEnd) {
        self.deadlines.clear_all();
        self.state = State::Gone;
        self.outputs.push_back(Output::Gone(end));
    }
}

#[cfg(test)]
mod tests {
    use super::by_hand::{device, gone, refused, ringing, two_hundred};
    use super::*;
    use audio::Codec;

    const STEP: Duration = Duration::from_millis(100);
    const NO_ANSWER: Duration = Duration::from_secs(30);

    /// A leg with phones that keep the promises of the INVITE usage.
    struct World {
        leg: Leg,
        now: Instant,
        phones: Vec<Phone>,
        answered: usize,
        ends: Vec<LegEnd>,
    }

    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Phone {
        heard_of: bool,
        answered: bool,
        hung_up: bool,
        gone: bool,
    }

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Step {
        Rings(usize),
        Answers(usize),
        AnswersBadly(usize),
        Refuses(usize, u16),
        HangsUp(usize),
        ConfirmsEnd(usize),
        WeHangUp,
        TimePasses,
    }

    impl World {
        fn new(phones: usize) -> Self {
            let now = Instant::now();
            let devices = (0..phones).map(|phone| device(6000 + u16::try_from(phone).unwrap())).collect();
            let leg = Leg::ring(devices, media::formats(&[Codec::Pcmu]), 7, NO_ANSWER, now);
            let phone = Phone { heard_of: false, answered: false, hung_up: false, gone: false };
            let mut world = Self { leg, now, phones: vec![phone; phones], answered: 0, ends: Vec::new() };
            world.drain();
            world
        }

        fn after(phones: usize, steps: &[Step]) -> Self {
            let mut world = Self::new(phones);
            for step in steps {
                world.step(*step);
            }
            world
        }

        fn step(&mut self, step: Step) {
            self.now += STEP;
            match step {
                Step::Rings(phone) => {
                    self.phones[phone].heard_of = true;
                    self.leg.handle(phone, ringing(), self.now);
                }
                Step::Answers(phone) => {
                    self.phones[phone].heard_of = true;
                    self.phones[phone].answered = true;
                    self.leg.handle(phone, two_hundred("0"), self.now);
                }
                Step::AnswersBadly(phone) => {
                    self.phones[phone].heard_of = true;
                    self.phones[phone].answered = true;
                    self.leg.handle(phone, two_hundred("18"), self.now);
                }
                Step::Refuses(phone, status) => self.end(phone, refused(status)),
                Step::HangsUp(phone) => self.end(phone, gone(GoneCause::HungUpByPeer)),
                Step::ConfirmsEnd(phone) => self.end(phone, gone(GoneCause::Cancelled)),
                Step::WeHangUp => self.leg.hang_up(None, self.now),
                Step::TimePasses => {
                    self.now += NO_ANSWER;
                    self.leg.handle_timeout(self.now);
                }
            }
            self.drain();
        }

        fn end(&mut self, phone: usize, event: InviteEvent) {
            self.phones[phone].gone = true;
            self.leg.handle(phone, event, self.now);
        }

        fn drain(&mut self) {
            while let Some(output) = self.leg.poll_output() {
                assert!(self.ends.is_empty(), "{output:?} after Gone");
                match output {
                    Output::Invite { fork, .. } => self.leg.invited(fork, InviteId(fork as u64)),
                    Output::HangUp { invite, .. } => {
                        let phone = &mut self.phones[usize::try_from(invite.0).unwrap()];
                        assert!(!phone.hung_up && !phone.gone, "hung up twice");
                        phone.hung_up = true;
                    }
                    Output::Answered { .. } => self.answered += 1,
                    Output::Gone(end) => self.ends.push(end),
                    Output::AnswerOffer { .. }
                    | Output::RefuseOffer { .. }
                    | Output::Reoffer { .. }
                    | Output::Respond { .. }
                    | Output::Informed(_)
                    | Output::Inform { .. }
                    | Output::Wishes
                    | Output::Describe(_)
                    | Output::CodecChanged(_)
                    | Output::EarlyMedia(_)
                    | Output::Ringing { .. } => {}
                }
            }
        }

        fn possible(&self) -> Vec<Step> {
            let mut steps = vec![Step::WeHangUp, Step::TimePasses];
            for (index, phone) in self.phones.iter().enumerate().filter(|(_, phone)| !phone.gone) {
                steps.push(Step::ConfirmsEnd(index));
                if phone.hung_up {
                    continue; // The usage reports nothing but the end after it was hung up.
                }
                steps.pop();
                if phone.answered {
                    steps.push(Step::HangsUp(index));
                } else {
                    let next = [Step::Rings(index), Step::Answers(index), Step::AnswersBadly(index)];
                    steps.extend(next);
                    steps.extend([Step::Refuses(index, 486), Step::Refuses(index, 603)]);
                }
            }
            steps
        }
    }

    fn explore(phones: usize, path: &mut Vec<Step>, depth: usize, orders: &mut usize) {
        let world = World::after(phones, path);
        *orders += 1;
        assert!(world.ends.len() <= 1 && world.answered <= 1, "{path:?}");
        if !world.ends.is_empty() {
            let left = world.phones.iter().any(|phone| !phone.gone && !phone.hung_up);
            assert!(!left, "a phone is left ringing or talking: {path:?}");
            assert_eq!(world.leg.poll_timeout(), None, "{path:?}");
        }
        if path.len() == depth {
            return;
        }
        for step in world.possible() {
            path.push(step);
            explore(phones, path, depth, orders);
            path.pop();
        }
    }

    #[test]
    fn every_order_of_events_leaves_no_phone_behind_and_ends_at_most_once() {
        let mut orders = 0;
        explore(1, &mut Vec::new(), 6, &mut orders);
        explore(2, &mut Vec::new(), 6, &mut orders);
        assert!(orders > 10_000, "only {orders} orders were tried");
    }

    #[test]
    fn no_answer_rings_for_exactly_as_long_as_it_may() {
        let mut world = World::after(1, &[Step::Rings(0)]);
        let due = world.leg.poll_timeout().unwrap();
        assert_eq!(due, world.now - STEP + NO_ANSWER);
        world.leg.handle_timeout(due);
        world.drain();
        assert!(world.phones[0].hung_up && world.ends.is_empty());
        world.step(Step::ConfirmsEnd(0));
        assert_eq!(world.ends, [LegEnd::NoAnswer]);
    }

    #[test]
    fn a_phone_that_never_confirms_is_given_up_after_five_seconds() {
        let mut world = World::after(1, &[Step::Rings(0), Step::WeHangUp]);
        assert_eq!(world.leg.poll_timeout(), Some(world.now + RELEASE));
        world.step(Step::TimePasses);
        assert_eq!(world.ends, [LegEnd::HungUpByUs]);
    }

    #[test]
    fn one_busy_phone_does_not_stop_the_other_but_a_6xx_does() {
        let world = World::after(2, &[Step::Rings(0), Step::Rings(1), Step::Refuses(0, 486)]);
        assert!(!world.phones[1].hung_up);
        let mut world = World::after(2, &[Step::Rings(0), Step::Rings(1), Step::Refuses(0, 603)]);
        assert!(world.phones[1].hung_up);
        world.step(Step::ConfirmsEnd(1));
        assert_eq!(world.ends, [LegEnd::Refused { status: 603 }]);
    }

    #[test]
    fn busy_says_more_than_unavailable() {
        let world = World::after(2, &[Step::Refuses(0, 480), Step::Refuses(1, 486)]);
        assert_eq!(world.ends, [LegEnd::Refused { status: 486 }]);
    }

    /// What becomes of the leg when its phone sends these in provisional responses and then answers without a body.
    fn after_early_answers(early: &[(&str, &str)]) -> Vec<Output> {
        let mut world = World::new(1);
        for (branch, codec) in early {
            let InviteEvent::Answered { response } = two_hundred(codec) else { unreachable!() };
            let status = StatusCode::SESSION_PROGRESS;
            let (body, branch) = (Some(response.body.to_vec()), Some((*branch).into()));
            world.leg.handle(0, InviteEvent::Progress { status, body, branch }, world.now);
        }
        let InviteEvent::Answered { mut response } = two_hundred("0") else { unreachable!() };
        response.set_body("application/sdp", Vec::new());
        response.header.to = response.header.to.clone().with_tag("b");
        world.leg.handle(0, InviteEvent::Answered { response }, world.now);
        std::iter::from_fn(|| world.leg.poll_output()).collect()
    }

    #[test]
    fn an_early_answer_holds_when_the_final_one_is_empty() {
        let outputs = after_early_answers(&[("b", "0"), ("b", "0"), ("c", "0")]);
        let early = outputs.iter().filter(|output| matches!(output, Output::EarlyMedia(_))).count();
        assert_eq!(early, 1, "{outputs:?}");
        assert!(outputs.iter().any(|output| matches!(output, Output::Answered { .. })));
    }

    #[test]
    fn an_early_answer_of_another_branch_or_without_a_codec_is_none() {
        for early in [("c", "0"), ("b", "18")] {
            let outputs = after_early_answers(&[early]);
            assert!(outputs.iter().any(|output| matches!(output, Output::HangUp { .. })), "{outputs:?}");
        }
    }

    #[test]
    fn a_party_without_phones_is_unreachable() {
        assert_eq!(World::new(0).ends, [LegEnd::Unreachable]);
    }

    #[test]
    fn an_answer_without_a_codec_of_the_offer_is_hung_up() {
        let mut world = World::after(1, &[Step::AnswersBadly(0)]);
        assert!(world.phones[0].hung_up && world.answered == 0);
        world.step(Step::ConfirmsEnd(0));
        assert_eq!(world.ends, [LegEnd::NoCommonCodec]);
    }
}
