//! An INVITE that we sent, until it is answered or gone (RFC 3261 §9.1, §13.2).

use super::{Action, Ending, patience};
use crate::authentication::Retry;
use crate::endpoint::rseq_of;
use crate::{Gone, GoneCause, InviteEvent, Timers};
use deadlines::Deadlines;
use sip_message::{Reason, Response, StatusCode};
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// What each event does in each state; `hung_up` has two columns, one for each of its kinds. `tests/crossings.rs` plays
/// the table cell by cell, and explains its words. `R §3.x` are the tests of that section of RFC 5407 in
/// `tests/race_conditions.rs`: R §3.1.1 and §3.1.2 are about the 200, §3.1.3 about the hang-up; reliable responses have
/// their own in `tests/reliable_provisionals.rs`.
///
/// | event | `calling` | `proceeding` | `unwanted` | `cancelling` | `hung_up` | `hung_up_and_cancelled` |
/// |---|---|---|---|---|---|---|
/// | `180` | Progress | Progress | CANCEL | – | CANCEL | – |
/// | `reliable 183` | PRACK, Progress | PRACK, Progress | CANCEL | – | CANCEL | – |
/// | `200` | ACK, Answered | ACK, Answered | ACK, BYE | ACK, BYE | ACK, BYE | ACK, BYE |
/// | `401` | ACK, INVITE | ACK, INVITE | ACK, Gone(Cancelled) | ACK, Gone(Cancelled) | ACK | ACK |
/// | `422` | ACK, INVITE | ACK, INVITE | ACK, Gone(Cancelled) | ACK, Gone(Cancelled) | ACK | ACK |
/// | `486` | ACK, Gone(Refused 486) | ACK, Gone(Refused 486) | ACK, Gone(Cancelled) | ACK, Gone(Cancelled) | ACK | ACK |
/// | `BYE` | 200 BYE, Gone(HungUpByPeer) | 200 BYE, CANCEL, Gone(HungUpByPeer) | 200 BYE | 200 BYE | 481 BYE | 481 BYE |
/// | `re-INVITE` | 491 INVITE | 491 INVITE | 491 INVITE | 491 INVITE | 481 INVITE | 481 INVITE |
/// | `UPDATE` | 491 UPDATE | 491 UPDATE | 491 UPDATE | 491 UPDATE | 481 UPDATE | 481 UPDATE |
/// | `INFO` | Requested | Requested | Requested | Requested | 481 INFO | 481 INFO |
/// | `PRACK` | 481 PRACK | 481 PRACK | 481 PRACK | 481 PRACK | 481 PRACK | 481 PRACK |
/// | `hang-up` | – | CANCEL | – | – | – | – |
/// | `unreachable` | Gone(Unreachable) | – | Gone(Unreachable) | Gone(Unreachable) | – | – |
/// | `silence` | INVITE ×6, Gone(TimedOut) | – | INVITE ×6, Gone(TimedOut) | CANCEL ×10, Gone(TimedOut) | INVITE ×6 | CANCEL ×10 |
///
/// A 2xx from Over on: another branch (`calls::each_further_branch_that_answers_is_acknowledged_and_hung_up_by_its_own_tags`),
/// or one that comes when the usage is forgotten (`late_success::a_late_2xx_gets_ack_and_bye_and_the_user_hears_nothing`).
#[derive(Debug)]
enum State {
    /// Nothing was heard.
    Calling,
    /// A provisional response came.
    Proceeding,
    /// As Calling, but it shall end: no CANCEL before a provisional response (RFC 3261 §9.1).
    Unwanted(Ending),
    /// CANCEL was sent.
    Cancelling(Ending),
    /// The peer hung up: its 2xx was overtaken by its BYE. The user knows; the INVITE is still to be ended, with CANCEL
    /// as soon as a provisional response allows it. Its 2xx, should it come, is one that nobody waits for.
    HungUp { cancelled: bool },
    /// Answered, or gone.
    Over,
}

/// What happens to it.
#[derive(Debug)]
pub(crate) enum Event {
    Provisional(Box<Response>),
    Success(Box<Response>),
    /// A 401 or 407 that our credentials answer, or a 422 that a longer session interval does.
    Challenged(Box<Retry>),
    Failure(Box<Response>),
    TimedOut,
    Unreachable,
    HangUp(Option<Reason>),
    /// The peer gave up an early dialog, which only we should do (RFC 3261 §15), or its 2xx was overtaken.
    Bye(Option<Reason>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    /// No final response after the CANCEL (RFC 3261 §9.1).
    Cancelled,
}

/// Early dialogs whose reliable responses are acknowledged.
const BRANCHES_MAX: usize = 16;

/// An early dialog with reliable responses.
#[derive(Debug)]
struct Branch {
    /// Of the last one that was acknowledged.
    rseq: u32,
    answer: Option<Vec<u8>>,
}

#[derive(Debug)]
pub(crate) struct Outgoing {
    timers: Timers,
    state: State,
    /// By To tag.
    branches: BTreeMap<Box<str>, Branch>,
    deadlines: Deadlines<Timer>,
    actions: VecDeque<Action>,
}

impl Outgoing {
    /// The INVITE is on its way.
    pub(crate) fn start(timers: Timers) -> Self {
        Self {
            timers,
            state: State::Calling,
            branches: BTreeMap::new(),
            deadlines: Deadlines::new(),
            actions: VecDeque::new(),
        }
    }

    /// Tells whether the peer has it, and nobody has given it up.
    pub(crate) const fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding)
    }

    /// The INVITE rang in an earlier life.
    pub(crate) fn resume(timers: Timers) -> Self {
        Self { state: State::Proceeding, ..Self::start(timers) }
    }

    pub(crate) fn handle_event(&mut self, event: Event, now: Instant) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Calling => self.handle_calling(event),
            State::Proceeding => self.handle_proceeding(event, now),
            State::Unwanted(ending) => self.handle_unwanted(ending, event, now),
            State::Cancelling(ending) => self.handle_cancelling(ending, event),
            State::HungUp { cancelled } => self.handle_hung_up(cancelled, event, now),
            State::Over => {}
        }
    }

    /// Fires the first timer that is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(Timer::Cancelled) = self.deadlines.pop_due(now) {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Cancelling(ending) => {
                    self.actions.push_back(Action::Abandon);
                    self.end(timed_out(ending));
                }
                State::HungUp { .. } => self.actions.push_back(Action::Abandon),
                other @ (State::Calling | State::Proceeding | State::Unwanted(_) | State::Over) => {
                    self.state = other
                }
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn handle_calling(&mut self, event: Event) {
        match event {
            Event::Provisional(response) => {
                self.enter(State::Proceeding);
                if response.status == StatusCode::TRYING {
                    self.actions.push_back(Action::Emit(InviteEvent::Trying));
                }
                self.progress(response);
            }
            Event::Success(response) => self.establish(response, None),
            Event::Challenged(retry) => self.try_again(retry),
            Event::Failure(response) => self.refused(response),
            Event::TimedOut => self.end(Ending::new(GoneCause::TimedOut, None)),
            Event::Unreachable => self.end(Ending::new(GoneCause::Unreachable, None)),
            Event::HangUp(reason) => self.enter(State::Unwanted(Ending::new(GoneCause::Cancelled, reason))),
            Event::Bye(reason) => {
                self.end(Ending::new(GoneCause::HungUpByPeer, reason));
                self.state = State::HungUp { cancelled: false };
            }
        }
    }

    fn handle_proceeding(&mut self, event: Event, now: Instant) {
        match event {
            Event::Provisional(response) => {
                self.state = State::Proceeding;
                self.progress(response);
            }
            Event::Success(response) => self.establish(response, None),
            Event::Challenged(retry) => self.try_again(retry),
            Event::Failure(response) => self.refused(response),
            Event::TimedOut => self.end(Ending::new(GoneCause::TimedOut, None)),
            Event::Unreachable => self.end(Ending::new(GoneCause::Unreachable, None)),
            Event::HangUp(reason) => self.cancel(Ending::new(GoneCause::Cancelled, reason), now),
            Event::Bye(reason) => {
                self.actions.push_back(Action::Cancel(None));
                self.end(Ending::new(GoneCause::HungUpByPeer, reason));
                self.wait_for_final(State::HungUp { cancelled: true }, now);
            }
        }
    }

    fn handle_unwanted(&mut self, ending: Ending, event: Event, now: Instant) {
        match event {
            Event::Provisional(_) => self.cancel(ending, now),
            Event::Success(response) => self.establish(response, Some(ending)),
            // A refusal that could be mended is as good as any.
            Event::Challenged(_) | Event::Failure(_) => self.end(ending),
            Event::TimedOut => self.end(timed_out(ending)),
            Event::Unreachable => self.end(Ending { cause: GoneCause::Unreachable, ..ending }),
            Event::HangUp(_) | Event::Bye(_) => self.state = State::Unwanted(ending),
        }
    }

    fn handle_cancelling(&mut self, ending: Ending, event: Event) {
        match event {
            // The 2xx crossed our CANCEL (RFC 3261 §9.1, RFC 5407 §3.1.2).
            Event::Success(response) => self.establish(response, Some(ending)),
            Event::Challenged(_) | Event::Failure(_) => self.end(ending),
            Event::TimedOut => self.end(timed_out(ending)),
            Event::Unreachable => self.end(Ending { cause: GoneCause::Unreachable, ..ending }),
            Event::Provisional(_) | Event::HangUp(_) | Event::Bye(_) => {
                self.state = State::Cancelling(ending)
            }
        }
    }

    fn handle_hung_up(&mut self, cancelled: bool, event: Event, now: Instant) {
        match event {
            Event::Provisional(_) if !cancelled => {
                self.actions.push_back(Action::Cancel(None));
                self.wait_for_final(State::HungUp { cancelled: true }, now);
            }
            Event::Provisional(_) | Event::HangUp(_) | Event::Bye(_) => {
                self.state = State::HungUp { cancelled }
            }
            Event::Success(_)
            | Event::Challenged(_)
            | Event::Failure(_)
            | Event::TimedOut
            | Event::Unreachable => self.enter(State::Over),
        }
    }

    fn progress(&mut self, response: Box<Response>) {
        if response.status == StatusCode::TRYING {
            return;
        }
        let rseq = rseq_of(&response);
        if rseq.is_some_and(|rseq| !self.is_next(&response, rseq)) {
            return;
        }
        self.actions.push_back(Action::Emit(InviteEvent::Progress {
            status: response.status,
            body: (!response.body.is_empty()).then(|| response.body.clone()),
            branch: response.header.to.tag().map(Into::into),
        }));
        if let Some(rseq) = rseq {
            self.actions.push_back(Action::Prack { response, rseq });
        }
    }

    /// RFC 3262 §4: within an early dialog each RSeq is one above the last; what was acknowledged already and what
    /// is ahead of its turn is left alone, and will be repeated.
    fn is_next(&mut self, response: &Response, rseq: u32) -> bool {
        let tag = response.header.to.tag().unwrap_or_default();
        let answer = (!response.body.is_empty()).then(|| response.body.clone());
        if let Some(branch) = self.branches.get_mut(tag) {
            let is_next = branch.rseq.checked_add(1) == Some(rseq);
            if is_next {
                branch.rseq = rseq;
                branch.answer = branch.answer.take().or(answer);
            }
            return is_next;
        }
        let has_room = self.branches.len() < BRANCHES_MAX;
        if has_room {
            self.branches.insert(tag.into(), Branch { rseq, answer });
        }
        has_room
    }

    fn try_again(&mut self, retry: Box<Retry>) {
        self.enter(State::Calling);
        self.branches.clear();
        self.actions.push_back(Action::Retry(retry));
    }

    fn cancel(&mut self, ending: Ending, now: Instant) {
        self.actions.push_back(Action::Cancel(ending.reason.clone()));
        self.wait_for_final(State::Cancelling(ending), now);
    }

    fn wait_for_final(&mut self, state: State, now: Instant) {
        self.enter(state);
        self.deadlines.set(Timer::Cancelled, now + patience(self.timers));
    }

    fn establish(&mut self, mut response: Box<Response>, ending: Option<Ending>) {
        self.enter(State::Over);
        let branch = self.branches.remove(response.header.to.tag().unwrap_or_default());
        if response.body.is_empty()
            && let Some(answer) = branch.and_then(|branch| branch.answer)
        {
            response.body = answer;
        }
        self.actions.push_back(Action::Establish { response, ending });
    }

    fn refused(&mut self, response: Box<Response>) {
        self.enter(State::Over);
        let reason = crate::endpoint::reason_of(&response.header);
        let cause = GoneCause::Refused { status: response.status };
        self.actions.push_back(Action::Emit(InviteEvent::Gone(Gone {
            cause,
            reason,
            response: Some(response),
        })));
    }

    fn end(&mut self, ending: Ending) {
        self.enter(State::Over);
        self.actions.push_back(ending.gone());
    }

    /// No timer outlives the state that set it.
    fn enter(&mut self, state: State) {
        self.deadlines.clear_all();
        self.state = state;
    }
}

/// The far side fell silent: whether it took notice of the CANCEL is unknown.
fn timed_out(ending: Ending) -> Ending {
    Ending { cause: GoneCause::TimedOut, ..ending }
}
