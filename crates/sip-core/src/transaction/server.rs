//! The server transaction of every method but INVITE and ACK: RFC 3261 §17.2.2.

use super::{Action, Timing};
use deadlines::Deadlines;
use sip_message::StatusCode;
use std::collections::VecDeque;
use std::time::Instant;

/// | state | leaves on |
/// |---|---|
/// | Trying | a response of the user, `Unanswered` |
/// | Proceeding | a final response of the user, `Unanswered` |
/// | Completed | timer J |
#[derive(Debug)]
enum State {
    Trying,
    Proceeding { last: Vec<u8> },
    Completed { response: Vec<u8> },
    Terminated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    /// The client has given up by its timer F: a response would find nobody (RFC 4320 §4.1).
    Unanswered,
    /// As in RFC 3261 appendix A.
    J,
}

/// One request that we received.
#[derive(Debug)]
pub(crate) struct Server {
    timing: Timing,
    state: State,
    deadlines: Deadlines<Timer>,
    actions: VecDeque<Action>,
}

impl Server {
    pub(crate) fn start(timing: Timing, now: Instant) -> Self {
        let mut deadlines = Deadlines::new();
        deadlines.set(Timer::Unanswered, now + timing.patience());
        Self { timing, state: State::Trying, deadlines, actions: VecDeque::new() }
    }

    /// A copy of the request.
    pub(crate) fn handle_retransmission(&mut self) {
        match &self.state {
            State::Proceeding { last: octets } | State::Completed { response: octets } => {
                self.actions.push_back(Action::Send(octets.clone()));
            }
            State::Trying | State::Terminated => {}
        }
    }

    /// A response of the user; after a final one there is no other.
    pub(crate) fn respond(&mut self, status: StatusCode, octets: Vec<u8>, now: Instant) {
        match self.state {
            State::Trying | State::Proceeding { .. } => self.actions.push_back(Action::Send(octets.clone())),
            State::Completed { .. } | State::Terminated => return,
        }
        if status.is_provisional() {
            // The patience of the client runs on.
            self.state = State::Proceeding { last: octets };
            return;
        }
        self.enter(State::Completed { response: octets });
        if self.timing.reliable {
            self.terminate();
        } else {
            self.deadlines.set(Timer::J, now + self.timing.patience());
        }
    }

    /// Fires the first timer that is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(timer) = self.deadlines.pop_due(now) {
            match timer {
                Timer::Unanswered | Timer::J => self.terminate(),
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn terminate(&mut self) {
        self.enter(State::Terminated);
        self.actions.push_back(Action::Terminated);
    }

    /// No timer outlives the state that set it.
    fn enter(&mut self, state: State) {
        self.deadlines.clear_all();
        self.state = state;
    }
}
