//! One way to a party as the B2BUA sees it: phones that are rung, or a phone that calls; then one phone that talks.
//!
//! | | progress | answered | fork gone | hang up | no answer | release time over |
//! |---|---|---|---|---|---|---|
//! | `Reaching` | cannot | cannot | cannot | → gone | → gone | cannot |
//! | `Ringing` | another 18x → `Progress`; first answer in one → `EarlyMedia` | others cancelled → `Answered` | last one of a group: the next group is rung, or others are asked for, or the best status of all → gone; a 6xx → gone; hung up before its answer came → gone | → `Releasing` | → `Releasing` | cannot |
//! | `Offered` | cannot | cannot | it gave up → gone | refused → `Releasing` | cannot | cannot |
//! | `Talking` | — | — | the answered one → gone | → `Releasing` | cannot | cannot |
//! | `Releasing` | — | — | last one → gone | — | cannot | → gone |
//! | `Gone` | — | — | — | — | cannot | cannot |
//!
//! `outgoing.rs` rings, `incoming.rs` is called, `session.rs` talks. A leg says what it wants of SIP and of the relay in
//! their own words, and tells the call what happened. The tests try every order of these with one phone and with two;
//! `call/crossings.md` has them beside the other leg.

#[cfg(test)]
pub(crate) mod by_hand;
mod early;
mod incoming;
mod information;
mod outgoing;
mod referring;
mod session;
#[cfg(test)]
mod tests;

pub(crate) use self::incoming::Arrival;
use self::incoming::Offered;
pub(crate) use self::information::Information;
use self::outgoing::{Fork, ForkState, Ringing};
pub(crate) use self::outgoing::{Route, Routes};
pub(crate) use self::referring::Refer;
use self::referring::Referring;
use self::session::Talk;
use crate::place::{CallNumber, Place};
use crate::scenario::{LegEnd, LegId, Why};
use crate::trunks::Failure;
use deadlines::Deadlines;
use media_relay::{Description, SessionId, TerminationId};
use sdp::{Format, Origin};
use sip_core::{Command, Flow, Gone, GoneCause, Incoming, InviteEvent, InviteId};
use sip_message::{Reason, StatusCode, Uri};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a leg wants done, in order.
#[derive(Debug)]
pub(crate) enum LegAction {
    Sip(Command),
    Relay(media_relay::Command),
    Tell(LegEvent),
}

/// What happened to a leg.
#[derive(Debug)]
pub(crate) enum LegEvent {
    /// An INVITE goes out; the next message with this Call-ID is the INVITE itself.
    Sent { sip_call_id: Box<str>, flow: Flow },
    /// None of the phones that were named is left, and none has rung, or the last one says where else to ask
    /// (RFC 3261 §21.3): are there others? Answered by [`Leg::ring`] or
    /// [`Leg::cannot_ring`].
    Exhausted { failure: Failure, contacts: Vec<Uri> },
    /// A phone of the party rings.
    Progress { status: u16 },
    /// A phone that rings may send audio, described like this, as this provisional response says; again when another one may
    /// instead. Comes before the `Progress` of that response.
    EarlyMedia { status: u16, description: Description },
    /// The party answered; what was agreed is known to the relay.
    Answered { format: Format, status: u16 },
    /// Another codec is in use from now on; the relay knows it.
    CodecChanged(Format),
    /// The party wants to send and to hear in another way from now on: hold or its end. `Leg::wish` says which.
    Wishes,
    /// The party wants to be transferred away: somebody else is to take its place. Answered by [`Leg::accept_refer`] or
    /// [`Leg::refuse_refer`].
    Refers(Refer),
    /// The party has this to say to the other one.
    Informed(Information),
    /// The leg will never speak again. Exactly once, and last.
    Gone(LegEnd),
}

/// The end of the relay session that faces a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Termination {
    pub(crate) session: SessionId,
    pub(crate) id: TerminationId,
}

/// One way to a party.
#[derive(Debug)]
pub(crate) struct Leg {
    call: CallNumber,
    id: LegId,
    termination: Termination,
    state: State,
    forks: Vec<Fork>,
    /// Codecs that we know in this leg, as they are offered.
    formats: Vec<Format>,
    origin: Origin,
    referring: Referring,
    deadlines: Deadlines<Timer>,
    actions: VecDeque<LegAction>,
}

#[derive(Debug)]
enum State {
    /// Whom to ring is being found out.
    Reaching,
    Ringing(Ringing),
    Offered(Box<Offered>),
    Talking(Box<Talk>),
    Releasing {
        end: LegEnd,
    },
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Timer {
    NoAnswer,
    /// The phones that ring are given up for others.
    GiveWay,
    /// This fork has not said anything for as long as it may.
    Silence(usize),
    /// The party had time enough to confirm the end.
    Release,
}

/// A phone that does not confirm CANCEL or BYE in this time is given up; its usage goes on repeating by itself.
const RELEASE: Duration = Duration::from_secs(5);

impl Leg {
    fn new(call: CallNumber, id: LegId, termination: Termination, session_id: u64, state: State) -> Self {
        Self {
            call,
            id,
            termination,
            state,
            forks: Vec::new(),
            formats: Vec::new(),
            origin: Origin { session_id, version: 1 },
            referring: Referring::default(),
            deadlines: Deadlines::new(),
            actions: VecDeque::new(),
        }
    }

    /// The INVITE of the phone that talks.
    pub(crate) fn talking(&self) -> Option<InviteId> {
        self.talking_fork().map(|fork| self.invite(fork))
    }

    fn talking_fork(&self) -> Option<usize> {
        match &self.state {
            State::Talking(talk) => Some(talk.fork),
            State::Reaching
            | State::Ringing(_)
            | State::Offered(_)
            | State::Releasing { .. }
            | State::Gone => None,
        }
    }

    /// The way to the phone that calls, or talks.
    pub(crate) fn flow(&self) -> Option<Flow> {
        let fork = match &self.state {
            State::Talking(talk) => talk.fork,
            State::Offered(_) => 0,
            State::Reaching | State::Ringing(_) | State::Releasing { .. } | State::Gone => return None,
        };
        self.forks.get(fork).map(|fork| fork.flow)
    }

    /// Its audio comes in there from now on: the relay is told by whoever moves it.
    pub(crate) fn moves_to(&mut self, termination: Termination) {
        self.termination = termination;
    }

    /// Ends the leg whatever its state; `LegEvent::Gone` follows.
    pub(crate) fn hang_up(&mut self, why: Why, now: Instant) {
        self.release(LegEnd::HungUpByUs, why, now);
    }

    /// Nobody waits for the confirmation of its end any more.
    pub(crate) fn give_up(&mut self) {
        match self.state {
            State::Releasing { end } => self.gone(end),
            State::Reaching | State::Ringing(_) | State::Offered(_) | State::Talking(_) | State::Gone => {}
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.deadlines.pop_due(now) {
            match timer {
                Timer::NoAnswer => {
                    let end = self.end_without_answer();
                    self.release(end, Why::Over, now);
                }
                Timer::GiveWay => self.give_way(),
                Timer::Silence(fork) => self.give_up_fork(fork),
                Timer::Release => self.give_up(),
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    pub(crate) fn poll_action(&mut self) -> Option<LegAction> {
        self.actions.pop_front()
    }

    /// What happened to the INVITE of `fork`.
    pub(crate) fn handle_invite(&mut self, fork: u16, event: InviteEvent, now: Instant) {
        let fork = usize::from(fork);
        if fork >= self.forks.len() {
            return;
        }
        match event {
            InviteEvent::Sent { call_id } => {
                let flow = self.forks[fork].flow;
                self.tell(LegEvent::Sent { sip_call_id: call_id.0, flow });
            }
            InviteEvent::Trying => self.reached(fork),
            InviteEvent::Disconnected => self.disconnected(fork, now),
            InviteEvent::Progress { status, body, branch } => {
                if let Some(body) = body {
                    self.early_answer(fork, status, &body, branch);
                }
                self.progress(fork, status);
            }
            InviteEvent::Answered { response } => self.answered(fork, &response, now),
            InviteEvent::Offered { body, flow } => self.offered(fork, body.as_deref(), flow),
            InviteEvent::Reanswered { body, is_overtaken } => self.reanswered(fork, &body, is_overtaken),
            InviteEvent::Gone(gone) => self.fork_gone(fork, &gone, now),
            InviteEvent::ReofferRefused { .. } => self.reoffer_refused(fork),
            InviteEvent::Requested { responder, request, flow } => {
                self.requested(fork, responder, Incoming { request: *request, flow });
            }
            InviteEvent::Confirmed { body } => self.confirmed(fork, body.as_deref(), now),
        }
    }

    fn fork_gone(&mut self, fork: usize, gone: &Gone, now: Instant) {
        let status = match gone.cause {
            GoneCause::Refused { status } => Some(status.code()),
            // Silence counts as a 408 (RFC 3261 §8.1.3.1), but nobody said so.
            GoneCause::TimedOut
            | GoneCause::Unreachable
            | GoneCause::NothingToEnd
            | GoneCause::Cancelled
            | GoneCause::CancelledByPeer
            | GoneCause::Rejected
            | GoneCause::HungUpByPeer
            | GoneCause::HungUp
            | GoneCause::NoAck
            | GoneCause::SessionExpired => None,
        };
        self.forks[fork].state = ForkState::Gone { status };
        self.hear_another(fork);
        match &self.state {
            State::Ringing(_) => self.phone_gone(gone, now),
            State::Offered(_) => self.gone(LegEnd::HungUp),
            State::Talking(talk) if talk.fork == fork => {
                let expired = matches!(gone.cause, GoneCause::SessionExpired);
                self.gone(if expired { LegEnd::SessionExpired } else { LegEnd::HungUp });
            }
            State::Releasing { end } if self.all_gone() => self.gone(*end),
            State::Reaching | State::Talking(_) | State::Releasing { .. } | State::Gone => {}
        }
    }

    /// Hangs up on every phone and waits for those that can still confirm it.
    fn release(&mut self, end: LegEnd, why: Why, now: Instant) {
        match self.state {
            State::Reaching => return self.gone(end),
            State::Ringing(_) | State::Talking(_) => {
                (0..self.forks.len()).for_each(|fork| self.drop_fork(fork, reason(why).as_ref()));
            }
            State::Offered(_) => self.refuse(why),
            State::Releasing { .. } | State::Gone => return,
        }
        self.deadlines.clear_all();
        self.state = State::Releasing { end };
        if self.all_gone() {
            return self.gone(end);
        }
        self.deadlines.set(Timer::Release, now + RELEASE);
    }

    fn gone(&mut self, end: LegEnd) {
        self.deadlines.clear_all();
        self.state = State::Gone;
        self.tell(LegEvent::Gone(end));
    }

    /// The INVITEs of all its phones.
    pub(crate) fn invites(&self) -> impl Iterator<Item = InviteId> {
        (0..self.forks.len()).map(|fork| self.invite(fork))
    }

    /// The name of the INVITE of a fork.
    fn invite(&self, fork: usize) -> InviteId {
        Place { call: self.call, leg: self.id, fork: u16::try_from(fork).unwrap_or(u16::MAX) }.into()
    }

    fn tell(&mut self, event: LegEvent) {
        self.actions.push_back(LegAction::Tell(event));
    }

    fn sip(&mut self, command: Command) {
        self.actions.push_back(LegAction::Sip(command));
    }

    fn describe(&mut self, description: Description) {
        let Termination { session, id: termination } = self.termination;
        let describe = media_relay::Command::Describe { session, termination, description };
        self.actions.push_back(LegAction::Relay(describe));
    }
}

/// What a phone is told (RFC 3326).
fn reason(why: Why) -> Option<Reason> {
    let sip = |status: u16, text| Some(Reason { protocol: "SIP".into(), cause: Some(status), text });
    match why {
        Why::Over => None,
        Why::AnsweredElsewhere => sip(200, Some("Call completed elsewhere".into())), // RFC 3326 §3.1
        Why::Refused(status) => sip(status, StatusCode::new(status).map(|status| status.reason().into())),
    }
}
