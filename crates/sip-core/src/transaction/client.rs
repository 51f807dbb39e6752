//! The client transaction of every method but INVITE and ACK: RFC 3261 §17.1.2.

use super::{Action, Timing};
use deadlines::Deadlines;
use sip_message::{Request, Response};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// | state | leaves on |
/// |---|---|
/// | Trying | a response, timer F |
/// | Proceeding | a final response, timer F |
/// | Completed | timer K |
#[derive(Debug)]
enum State {
    Trying { retransmit_after: Duration, retransmit_at: Instant, give_up_at: Instant },
    Proceeding,
    Completed,
    Terminated,
}

/// Named as in RFC 3261 appendix A.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    E,
    F,
    K,
}

/// One request that we sent.
#[derive(Debug)]
pub(crate) struct Client {
    request: Request,
    octets: Vec<u8>,
    timing: Timing,
    state: State,
    deadlines: Deadlines<Timer>,
    actions: VecDeque<Action>,
}

impl Client {
    /// Sends `request`, whose top Via carries the branch of the transaction.
    pub(crate) fn start(request: Request, timing: Timing, now: Instant) -> Self {
        let octets = request.print();
        let actions = VecDeque::from([Action::Send(octets.clone())]);
        let state = State::Trying {
            retransmit_after: timing.timers.t1,
            retransmit_at: now + timing.timers.t1,
            give_up_at: now + timing.patience(),
        };
        let mut client = Self { request, octets, timing, state, deadlines: Deadlines::new(), actions };
        client.set_timers(now + timing.timers.t1, now + timing.patience());
        client
    }

    pub(crate) fn handle_response(&mut self, response: Response, now: Instant) {
        match self.state {
            State::Trying { .. } | State::Proceeding if response.status.is_final() => {
                self.enter(State::Completed);
                self.actions.push_back(Action::Deliver(Box::new(response)));
                if self.timing.reliable {
                    self.terminate();
                } else {
                    self.deadlines.set(Timer::K, now + self.timing.timers.t4);
                }
            }
            State::Trying { retransmit_at, give_up_at, .. } => {
                self.enter(State::Proceeding);
                self.set_timers(retransmit_at, give_up_at);
                self.actions.push_back(Action::Deliver(Box::new(response)));
            }
            State::Proceeding => self.actions.push_back(Action::Deliver(Box::new(response))),
            State::Completed | State::Terminated => {}
        }
    }

    /// Fires the first timer that is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(timer) = self.deadlines.pop_due(now) {
            match timer {
                Timer::E => self.retransmit(now),
                Timer::F => {
                    self.actions.push_back(Action::TimedOut);
                    self.terminate();
                }
                Timer::K => self.terminate(),
            }
        }
    }

    /// Nothing more is awaited: nothing can be sent.
    pub(crate) fn terminate(&mut self) {
        if !matches!(self.state, State::Terminated) {
            self.enter(State::Terminated);
            self.actions.push_back(Action::Terminated);
        }
    }

    /// Tells whether no final response has come.
    pub(crate) fn is_pending(&self) -> bool {
        match self.state {
            State::Trying { .. } | State::Proceeding => true,
            State::Completed | State::Terminated => false,
        }
    }

    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn retransmit(&mut self, now: Instant) {
        let after = match &mut self.state {
            State::Trying { retransmit_after, retransmit_at, .. } => {
                *retransmit_after = self.timing.doubled(*retransmit_after);
                *retransmit_at = now + *retransmit_after;
                *retransmit_after
            }
            State::Proceeding => self.timing.timers.t2,
            State::Completed | State::Terminated => return,
        };
        self.actions.push_back(Action::Send(self.octets.clone()));
        self.deadlines.set(Timer::E, now + after);
    }

    /// A provisional response stops neither timer (RFC 3261 §17.1.2.2).
    fn set_timers(&mut self, retransmit_at: Instant, give_up_at: Instant) {
        if !self.timing.reliable {
            self.deadlines.set(Timer::E, retransmit_at);
        }
        self.deadlines.set(Timer::F, give_up_at);
    }

    /// No timer outlives the state that set it.
    fn enter(&mut self, state: State) {
        self.deadlines.clear_all();
        self.state = state;
    }
}
