//! The server INVITE transaction: RFC 3261 §17.2.1, as amended by RFC 6026 §7.1.

use super::{Action, Timing};
use deadlines::Deadlines;
use sip_message::StatusCode;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// | state | leaves on |
/// |---|---|
/// | Proceeding | a final response of the user |
/// | Completed (non-2xx) | ACK, timer H |
/// | Confirmed | timer I |
/// | Accepted (2xx) | timer L |
#[derive(Debug)]
enum State {
    /// `last` answers copies of the INVITE.
    Proceeding {
        last: Option<Vec<u8>>,
    },
    Completed {
        response: Vec<u8>,
        retransmit_after: Duration,
    },
    Confirmed,
    /// The usage above repeats its 2xx.
    Accepted,
    Terminated,
}

/// Named as in RFC 3261 appendix A and RFC 6026.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    /// The 200 ms within which the user may answer without a 100 (RFC 3261 §17.2.1).
    Trying,
    G,
    H,
    I,
    L,
}

const TRYING_AFTER: Duration = Duration::from_millis(200);

/// One INVITE that we received.
#[derive(Debug)]
pub(crate) struct ServerInvite {
    trying: Vec<u8>,
    timing: Timing,
    state: State,
    deadlines: Deadlines<Timer>,
    actions: VecDeque<Action>,
}

impl ServerInvite {
    /// `trying` is the 100 of this INVITE, sent when the user has not answered within 200 ms.
    pub(crate) fn start(trying: Vec<u8>, timing: Timing, now: Instant) -> Self {
        let mut deadlines = Deadlines::new();
        deadlines.set(Timer::Trying, now + TRYING_AFTER);
        let state = State::Proceeding { last: None };
        Self { trying, timing, state, deadlines, actions: VecDeque::new() }
    }

    /// Sends the 100 at once.
    pub(crate) fn try_at_once(&mut self) {
        if matches!(self.state, State::Proceeding { last: None }) {
            self.deadlines.clear(Timer::Trying);
            let trying = std::mem::take(&mut self.trying);
            self.state = State::Proceeding { last: Some(trying.clone()) };
            self.actions.push_back(Action::Send(trying));
        }
    }

    /// A copy of the INVITE.
    pub(crate) fn handle_retransmission(&mut self) {
        match &self.state {
            State::Proceeding { last: Some(octets) } | State::Completed { response: octets, .. } => {
                self.actions.push_back(Action::Send(octets.clone()));
            }
            State::Proceeding { last: None } | State::Confirmed | State::Accepted | State::Terminated => {}
        }
    }

    /// An ACK of a non-2xx; the ACK of a 2xx is none of this machine's business.
    pub(crate) fn handle_ack(&mut self, now: Instant) {
        match self.state {
            State::Completed { .. } => {
                self.enter(State::Confirmed);
                if self.timing.reliable {
                    self.terminate();
                } else {
                    self.deadlines.set(Timer::I, now + self.timing.timers.t4);
                }
            }
            State::Proceeding { .. } | State::Confirmed | State::Accepted | State::Terminated => {}
        }
    }

    /// A response of the user; after a final one there is no other.
    pub(crate) fn respond(&mut self, status: StatusCode, octets: Vec<u8>, now: Instant) {
        if !self.is_proceeding() {
            return;
        }
        self.actions.push_back(Action::Send(octets.clone()));
        if status.is_provisional() {
            self.enter(State::Proceeding { last: Some(octets) });
        } else if status.is_success() {
            self.enter(State::Accepted);
            self.deadlines.set(Timer::L, now + self.timing.patience());
        } else {
            let retransmit_after = self.timing.timers.t1;
            self.enter(State::Completed { response: octets, retransmit_after });
            if !self.timing.reliable {
                self.deadlines.set(Timer::G, now + retransmit_after);
            }
            self.deadlines.set(Timer::H, now + self.timing.patience());
        }
    }

    /// Fires the first timer that is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(timer) = self.deadlines.pop_due(now) {
            match timer {
                Timer::Trying => self.try_at_once(),
                Timer::G => self.retransmit(now),
                Timer::H | Timer::I | Timer::L => self.terminate(),
            }
        }
    }

    /// Tells whether the user has not given a final response.
    pub(crate) fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    /// Tells whether ACKs that match are for a non-2xx.
    pub(crate) fn takes_ack(&self) -> bool {
        matches!(self.state, State::Completed { .. } | State::Confirmed)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn retransmit(&mut self, now: Instant) {
        if let State::Completed { response, retransmit_after } = &mut self.state {
            *retransmit_after = self.timing.doubled(*retransmit_after);
            self.actions.push_back(Action::Send(response.clone()));
            self.deadlines.set(Timer::G, now + *retransmit_after);
        }
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
