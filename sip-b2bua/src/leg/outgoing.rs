//! Phones that are rung: those of a group together, one group after the other.

use super::early::EarlyAnswer;
use super::{Leg, LegEvent, State, Termination, Timer, reason};
use crate::media::{self, Announced};
use crate::place::CallNumber;
use crate::scenario::{LegEnd, LegId, Why};
use crate::trunks::{Failure, PATIENCE};
use audio::Codec;
use sdp::{Direction, Offer};
use sip_core::{Command, Flow, Gone, GoneCause, NewInvite};
use sip_message::{Contacts, FieldName, NameAddr, Reason, Response, StatusCode, Uri};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::session::Talk;

/// One phone, and what it is told.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// The INVITE but for its offer.
    pub(crate) invite: NewInvite,
    /// The relay's address that this phone is told.
    pub(crate) announced: Announced,
    /// It is given up then if it has not said anything, not even 100; when absent, only with the leg.
    pub(crate) gives_up_at: Option<Instant>,
    /// Where it goes first when it is too large for a datagram, and until when that has to say something.
    pub(crate) stream: Option<(Flow, Instant)>,
}

/// Whom a leg rings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routes {
    /// One after the other; the phones of each together.
    pub(crate) groups: VecDeque<Vec<Route>>,
    /// In the order in which they are offered.
    pub(crate) codecs: Vec<Codec>,
    /// When none of these is left, whoever named them is asked for more: [`LegEvent::Exhausted`].
    pub(crate) are_there_more: bool,
    /// Through which they are reached.
    pub(crate) trunk: Option<Box<str>>,
    /// When they have not answered in this time, they are given up for the others that there are.
    pub(crate) give_way_after: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Ringing {
    /// The last provisional response above 100 that was told.
    rung: Option<StatusCode>,
    /// The fork that may be heard.
    pub(super) early: Option<usize>,
    /// Groups that are rung if nobody of those before answers.
    next: VecDeque<Vec<Route>>,
    more: More,
    /// They are reached through a trunk.
    is_outside: bool,
    /// The next group is the same one by datagram: it is rung only when nothing is heard of this one.
    falls_back: bool,
}

/// Whether others can be rung than those that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    No,
    /// When nobody is left.
    Yes,
    /// They are asked for.
    Awaited,
}

/// One phone that was rung.
#[derive(Debug)]
pub(super) struct Fork {
    pub(super) flow: Flow,
    pub(super) announced: Announced,
    /// What we offered; absent where the phone made the first offer.
    pub(super) offer: Option<Offer>,
    pub(super) early: Option<EarlyAnswer>,
    pub(super) state: ForkState,
    /// A provisional response above 100 came.
    pub(super) has_progressed: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum ForkState {
    /// Nothing heard.
    Calling,
    /// A provisional response came, or its INVITE to us.
    Proceeding,
    /// Its 2xx was taken, or ours was sent.
    Answered,
    /// We hung up on it.
    Dropped { confirmation_expected: bool },
    /// It will never speak again.
    Gone { status: Option<u16> },
}

impl Leg {
    /// A leg that is to ring somebody, once [`Leg::ring`] says whom.
    pub(crate) fn outgoing(
        call: CallNumber,
        id: LegId,
        termination: Termination,
        session_id: u64,
        gives_up_at: Instant,
    ) -> Self {
        let mut leg = Self::new(call, id, termination, session_id, State::Reaching);
        leg.deadlines.set(Timer::NoAnswer, gives_up_at);
        leg
    }

    /// Rings the first group of `routes`, and the others after it.
    pub(crate) fn ring(&mut self, routes: Routes, now: Instant) {
        match &self.state {
            State::Reaching | State::Ringing(Ringing { more: More::Awaited, .. }) => {}
            State::Ringing(_)
            | State::Offered(_)
            | State::Talking(_)
            | State::Releasing { .. }
            | State::Gone => return,
        }
        self.formats = media::formats(&routes.codecs);
        if let Some(after) = routes.give_way_after.filter(|_| routes.are_there_more) {
            self.deadlines.set(Timer::GiveWay, now + after);
        }
        let more = if routes.are_there_more { More::Yes } else { More::No };
        let is_outside = routes.trunk.is_some();
        self.state = State::Ringing(Ringing {
            rung: None,
            early: None,
            next: routes.groups,
            more,
            is_outside,
            falls_back: false,
        });
        self.ring_next(Failure::Unreachable);
    }

    /// Nobody is to be rung, or nobody else. What somebody said of the number goes before why that is.
    pub(crate) fn cannot_ring(&mut self, why: LegEnd) {
        match &self.state {
            State::Reaching => self.gone(why),
            State::Ringing(Ringing { more: More::Awaited, .. }) => {
                let said = self.best_status().filter(|_| why != LegEnd::Denied && why != LegEnd::LOOPED);
                let is_outside = matches!(why, LegEnd::TrunkFailed { .. } | LegEnd::NoChannel);
                let end = match said {
                    Some(status) if is_outside && Failure::refused(status).is_of_trunk() => {
                        LegEnd::TrunkFailed { status: Some(status) }
                    }
                    Some(status) => LegEnd::Refused { status },
                    None => why,
                };
                self.gone(end);
            }
            State::Ringing(_)
            | State::Offered(_)
            | State::Talking(_)
            | State::Releasing { .. }
            | State::Gone => {}
        }
    }

    /// `failure`: of the last one of those before.
    fn ring_next(&mut self, failure: Failure) {
        let State::Ringing(ringing) = &mut self.state else { return };
        let is_heard = !matches!(failure, Failure::Silent | Failure::Unreachable);
        if std::mem::take(&mut ringing.falls_back) && is_heard {
            ringing.next.pop_front();
        }
        while let Some(group) = ringing.next.pop_front() {
            if group.is_empty() {
                continue;
            }
            return group.into_iter().for_each(|route| self.add_fork(route));
        }
        match ringing.more {
            // Whoever rang is not passed over for another one.
            More::Yes if ringing.rung.is_none() => {
                ringing.more = More::Awaited;
                return self.tell(LegEvent::Exhausted { failure, contacts: Vec::new() });
            }
            More::Awaited => return,
            More::Yes | More::No => {}
        }
        let end = self.best_status().map_or(LegEnd::Unreachable, |status| LegEnd::Refused { status });
        self.gone(end);
    }

    fn add_fork(&mut self, route: Route) {
        let stream = media::stream(route.announced, self.formats.clone(), Direction::SendRecv);
        let offer = Offer::new(&self.origin, stream);
        let mut new = Box::new(NewInvite { offer: Some(offer.print()), ..route.invite });
        let mut gives_up_at = route.gives_up_at;
        if let Some((flow, until)) = route.stream.filter(|_| size_of(&new) > DATAGRAM_MAX)
            && let State::Ringing(ringing) = &mut self.state
        {
            let invite = NewInvite { offer: None, ..(*new).clone() };
            ringing.next.push_front(vec![Route { invite, stream: None, ..route }]);
            ringing.falls_back = true;
            (new.flow, gives_up_at) = (flow, Some(until));
        }
        let invite = self.invite(self.forks.len());
        if let Some(gives_up_at) = gives_up_at {
            self.deadlines.set(Timer::Silence(self.forks.len()), gives_up_at);
        }
        self.forks.push(Fork {
            flow: new.flow,
            announced: route.announced,
            offer: Some(offer),
            early: None,
            state: ForkState::Calling,
            has_progressed: false,
        });
        self.sip(Command::Invite { invite, new });
    }

    /// The time is over, and nobody has answered.
    pub(super) fn end_without_answer(&self) -> LegEnd {
        let is_reached = self.forks.iter().any(|fork| matches!(fork.state, ForkState::Proceeding));
        if !is_reached
            && let State::Ringing(Ringing { more: More::Yes | More::Awaited, is_outside: true, .. }) =
                &self.state
        {
            return LegEnd::TrunkFailed { status: self.best_status() };
        }
        if self.is_silent() { LegEnd::Unreachable } else { LegEnd::NoAnswer }
    }

    /// No phone has said anything at all, but for those that are gone.
    fn is_silent(&self) -> bool {
        self.forks.iter().all(|fork| match fork.state {
            ForkState::Calling | ForkState::Gone { status: None } => true,
            ForkState::Proceeding
            | ForkState::Answered
            | ForkState::Dropped { .. }
            | ForkState::Gone { status: Some(_) } => false,
        })
    }

    pub(super) fn reached(&mut self, fork: usize) {
        if let ForkState::Calling = self.forks[fork].state {
            self.forks[fork].state = ForkState::Proceeding;
            self.deadlines.clear(Timer::Silence(fork));
        }
    }

    /// A carrier that has said no more than 100 may be gone for good: it is waited for as long as one that says nothing.
    pub(super) fn disconnected(&mut self, fork: usize, now: Instant) {
        let State::Ringing(Ringing { is_outside: true, .. }) = &self.state else { return };
        let gone = &mut self.forks[fork];
        if let (ForkState::Proceeding, false) = (gone.state, gone.has_progressed) {
            gone.state = ForkState::Calling;
            self.deadlines.set(Timer::Silence(fork), now + PATIENCE);
        }
    }

    /// They rang for as long as they may while there are others.
    pub(super) fn give_way(&mut self) {
        let State::Ringing(Ringing { rung, next, more: More::Yes, .. }) = &mut self.state else { return };
        *rung = None;
        next.clear();
        (0..self.forks.len()).for_each(|fork| {
            self.drop_fork(fork, None);
            self.hear_another(fork);
        });
        self.ring_next(Failure::NoAnswer);
    }

    /// Nothing has been heard of it for as long as it may be silent. Its INVITE cannot be taken back before it says
    /// something (RFC 3261 §9.1); then it is.
    pub(super) fn give_up_fork(&mut self, fork: usize) {
        if let ForkState::Calling = self.forks[fork].state {
            self.drop_fork(fork, None);
            if self.all_gone() {
                self.ring_next(Failure::Silent);
            }
        }
    }

    pub(super) fn progress(&mut self, fork: usize, status: StatusCode) {
        self.reached(fork);
        self.forks[fork].has_progressed |= status.code() > 100;
        if let State::Ringing(Ringing { rung, .. }) = &mut self.state
            && status.code() > 100
            && *rung != Some(status)
        {
            *rung = Some(status);
            self.tell(LegEvent::Progress { status: status.code() });
        }
    }

    pub(super) fn answered(&mut self, fork: usize, response: &Response, now: Instant) {
        let (State::Ringing(_), ForkState::Calling | ForkState::Proceeding) =
            (&self.state, self.forks[fork].state)
        else {
            return; // It crossed our CANCEL: the usage sends ACK and BYE by itself.
        };
        self.forks[fork].state = ForkState::Answered;
        let Some((description, format)) = self.forks[fork].agreed(response) else {
            return self.release(LegEnd::NoCommonCodec, Why::Refused(488), now);
        };
        self.deadlines.clear_all();
        let elsewhere = reason(Why::AnsweredElsewhere);
        for other in (0..self.forks.len()).filter(|other| *other != fork) {
            self.drop_fork(other, elsewhere.as_ref());
        }
        let wish = Direction::from_parts(description.sends, description.receives);
        self.describe(description);
        self.tell(LegEvent::Answered { format: format.clone(), status: response.status.code() });
        self.state = State::Talking(Box::new(Talk::new(fork, format, wish)));
    }

    /// A phone that was rung is gone.
    pub(super) fn phone_gone(&mut self, gone: &Gone, now: Instant) {
        let failure = failure_of(gone);
        let status = match failure {
            Failure::Refused { status, .. } => Some(status),
            Failure::Silent | Failure::Unreachable | Failure::NoAnswer => None,
        };
        // A 6xx speaks for the user, not for one phone (RFC 3261 §16.7 step 5).
        if let Some(status) = status.filter(|status| *status >= 600) {
            return self.release(LegEnd::Refused { status }, Why::Over, now);
        }
        if !self.all_gone() {
            return;
        }
        let contacts = contacts_of(gone);
        if let State::Ringing(ringing) = &mut self.state
            && ringing.next.iter().all(Vec::is_empty)
            && ringing.more != More::Awaited
            && !contacts.is_empty()
        {
            (ringing.more, ringing.rung) = (More::Awaited, None);
            return self.tell(LegEvent::Exhausted { failure, contacts });
        }
        match gone.cause {
            GoneCause::HungUpByPeer => self.gone(LegEnd::HungUp),
            GoneCause::Refused { .. }
            | GoneCause::TimedOut
            | GoneCause::Unreachable
            | GoneCause::NothingToEnd
            | GoneCause::Cancelled
            | GoneCause::CancelledByPeer
            | GoneCause::Rejected
            | GoneCause::HungUp
            | GoneCause::NoAck
            | GoneCause::SessionExpired => self.ring_next(failure),
        }
    }

    pub(super) fn drop_fork(&mut self, fork: usize, reason: Option<&Reason>) {
        let confirmation_expected = match self.forks[fork].state {
            // Nothing can be sent before a provisional response (RFC 3261 §9.1), so nothing need be waited for.
            ForkState::Calling => false,
            ForkState::Proceeding | ForkState::Answered => true,
            ForkState::Dropped { .. } | ForkState::Gone { .. } => return,
        };
        self.forks[fork].state = ForkState::Dropped { confirmation_expected };
        let invite = self.invite(fork);
        self.sip(Command::HangUp { invite, reason: reason.cloned() });
    }

    pub(super) fn all_gone(&self) -> bool {
        self.forks.iter().all(|fork| match fork.state {
            ForkState::Gone { .. } | ForkState::Dropped { confirmation_expected: false } => true,
            ForkState::Calling
            | ForkState::Proceeding
            | ForkState::Answered
            | ForkState::Dropped { confirmation_expected: true } => false,
        })
    }

    /// RFC 3261 §16.7 step 6: the lowest class; within it a busy or declining phone says more than an absent one, and
    /// any other failure more than the overload of one phone. A redirection that was followed says nothing beside what came
    /// of it (step 4).
    fn best_status(&self) -> Option<u16> {
        let rank = |status: u16| match status {
            486 => (4, 0),
            408 | 480 | 487 => (4, 2),
            503 => (5, 2),
            300..400 => (7, 0),
            other => (other / 100, 1),
        };
        let statuses = self.forks.iter().filter_map(|fork| match fork.state {
            ForkState::Gone { status } => status,
            ForkState::Calling | ForkState::Proceeding | ForkState::Answered | ForkState::Dropped { .. } => {
                None
            }
        });
        statuses.min_by_key(|status| rank(*status))
    }
}

/// More octets than these do not go into a datagram (RFC 3261 §18.1.1).
const DATAGRAM_MAX: usize = 1_300;
/// What every INVITE has beside: Via, Contact, Allow and the like.
const ALWAYS: usize = 480;

/// About how many octets an INVITE has.
fn size_of(new: &NewInvite) -> usize {
    let fields: usize = new.fields.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let routes: usize = new.route.iter().map(|route| route.to_string().len() + 9).sum();
    let parties = [new.uri.to_string(), new.from.to_string(), new.to.to_string()].map(|text| text.len());
    let body = new.offer.as_ref().map_or(0, Vec::len);
    ALWAYS + fields + routes + body + parties.iter().sum::<usize>()
}

/// Where else a phone that was rung says that its user is, the place that it likes best first (RFC 3261 §8.1.3.4). 305
/// names a proxy, and 380 another service (§21.3.4, §21.3.5).
fn contacts_of(gone: &Gone) -> Vec<Uri> {
    let redirects =
        matches!(gone.cause, GoneCause::Refused { status } if (300..=302).contains(&status.code()));
    match gone.response.as_ref().and_then(|response| response.header.contact.as_ref()) {
        Some(Contacts::List(contacts)) if redirects => {
            let mut contacts: Vec<_> = contacts.iter().collect();
            contacts.sort_by(|one, other| preference(other).total_cmp(&preference(one)));
            contacts.into_iter().map(|contact| contact.uri.clone()).collect()
        }
        Some(Contacts::List(_) | Contacts::Star) | None => Vec::new(),
    }
}

/// Its `q`: 0 to 1. A place without one is liked as well as any (RFC 3261 §20.10 leaves that open).
fn preference(contact: &NameAddr) -> f64 {
    let q = contact.parameters.value("q").and_then(|q| q.trim().parse().ok());
    q.filter(|q| (0.0..=1.0).contains(q)).unwrap_or(1.0)
}

/// Why a phone that was rung is gone.
fn failure_of(gone: &Gone) -> Failure {
    match gone.cause {
        GoneCause::Refused { status } => {
            let response = gone.response.as_deref();
            let wished =
                response.and_then(|response| response.header.fields.delta_seconds(&FieldName::RETRY_AFTER));
            let retry_after = wished.and_then(Result::ok).map(|seconds| Duration::from_secs(seconds.into()));
            Failure::Refused { status: status.code(), retry_after }
        }
        GoneCause::TimedOut => Failure::Silent,
        GoneCause::Unreachable
        | GoneCause::NothingToEnd
        | GoneCause::Cancelled
        | GoneCause::CancelledByPeer
        | GoneCause::Rejected
        | GoneCause::HungUpByPeer
        | GoneCause::HungUp
        | GoneCause::NoAck
        | GoneCause::SessionExpired => Failure::Unreachable,
    }
}
