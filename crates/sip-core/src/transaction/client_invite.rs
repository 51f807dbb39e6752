//! The client INVITE transaction: RFC 3261 §17.1.1, as amended by RFC 6026 §7.2.

use super::{Action, Timing};
use deadlines::Deadlines;
use sip_message::{FieldName, Fields, Method, Reason, Request, Response};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// | state | leaves on |
/// |---|---|
/// | Calling | a response, timer B |
/// | Proceeding | a final response |
/// | Completed (non-2xx) | timer D |
/// | Accepted (2xx) | timer M |
#[derive(Debug)]
enum State {
    Calling {
        octets: Vec<u8>,
        retransmit_after: Duration,
    },
    Proceeding,
    /// `ack` answers copies of the final response.
    Completed {
        ack: Vec<u8>,
    },
    /// The usage above acknowledges each 2xx.
    Accepted,
    Terminated,
}

/// Named as in RFC 3261 appendix A and RFC 6026.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    A,
    B,
    D,
    M,
}

/// One INVITE that we sent.
#[derive(Debug)]
pub(crate) struct ClientInvite {
    invite: Request,
    timing: Timing,
    state: State,
    deadlines: Deadlines<Timer>,
    actions: VecDeque<Action>,
}

impl ClientInvite {
    /// Sends `invite`, whose top Via carries the branch of the transaction.
    pub(crate) fn start(invite: Request, timing: Timing, now: Instant) -> Self {
        let octets = invite.print();
        let mut deadlines = Deadlines::new();
        if !timing.reliable {
            deadlines.set(Timer::A, now + timing.timers.t1);
        }
        deadlines.set(Timer::B, now + timing.patience());
        let actions = VecDeque::from([Action::Send(octets.clone())]);
        let state = State::Calling { octets, retransmit_after: timing.timers.t1 };
        Self { invite, timing, state, deadlines, actions }
    }

    /// An INVITE that was sent in an earlier life, and that a provisional response has answered.
    pub(crate) fn resume(invite: Request, timing: Timing) -> Self {
        let (deadlines, actions) = (Deadlines::new(), VecDeque::new());
        Self { invite, timing, state: State::Proceeding, deadlines, actions }
    }

    pub(crate) fn handle_response(&mut self, response: Response, now: Instant) {
        match &self.state {
            State::Calling { .. } | State::Proceeding if response.status.is_provisional() => {
                self.proceed();
                self.deliver(response);
            }
            State::Calling { .. } | State::Proceeding if response.status.is_success() => {
                self.enter(State::Accepted);
                // Nothing is made of them any more, and the INVITE is kept for half a minute.
                self.invite.header.fields = Fields::default();
                self.deadlines.set(Timer::M, now + self.timing.patience());
                self.deliver(response);
            }
            State::Calling { .. } | State::Proceeding => self.complete(response, now),
            State::Completed { ack } => {
                if response.status.is_final() && !response.status.is_success() {
                    self.actions.push_back(Action::Send(ack.clone()));
                }
            }
            State::Accepted => {
                if response.status.is_success() {
                    self.deliver(response);
                }
            }
            State::Terminated => {}
        }
    }

    /// Fires the first timer that is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(timer) = self.deadlines.pop_due(now) {
            match timer {
                Timer::A => self.retransmit(now),
                Timer::B => {
                    self.actions.push_back(Action::TimedOut);
                    self.terminate();
                }
                Timer::D | Timer::M => self.terminate(),
            }
        }
    }

    /// Nothing more is awaited: the end of RFC 3261 §9.1, or nothing can be sent.
    pub(crate) fn terminate(&mut self) {
        if !matches!(self.state, State::Terminated) {
            self.enter(State::Terminated);
            self.actions.push_back(Action::Terminated);
        }
    }

    /// Tells whether no final response has come.
    pub(crate) fn is_pending(&self) -> bool {
        match self.state {
            State::Calling { .. } | State::Proceeding => true,
            State::Completed { .. } | State::Accepted | State::Terminated => false,
        }
    }

    /// What an INVITE offered that was accepted, which nobody else asks for.
    pub(crate) fn take_offer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.invite.body)
    }

    pub(crate) fn invite(&self) -> &Request {
        &self.invite
    }

    /// The CANCEL of this INVITE (RFC 3261 §9.1), whose top Via is the one of the INVITE.
    pub(crate) fn cancel(&self, reason: Option<&Reason>) -> Request {
        let mut cancel = self.hop_by_hop(Method::CANCEL);
        cancel.header.to = self.invite.header.to.clone();
        if let Some(reason) = reason {
            cancel.header.fields.push(FieldName::REASON, reason.to_string());
        }
        cancel
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn proceed(&mut self) {
        if matches!(self.state, State::Calling { .. }) {
            self.enter(State::Proceeding);
        }
    }

    fn complete(&mut self, response: Response, now: Instant) {
        let mut ack = self.hop_by_hop(Method::ACK);
        ack.header.to = response.header.to.clone();
        let ack = ack.print();
        self.actions.push_back(Action::Send(ack.clone()));
        self.enter(State::Completed { ack });
        self.deliver(response);
        if self.timing.reliable {
            self.terminate();
        } else {
            // RFC 3261 §17.1.1.2: timer D is at least 32 s, which is 64*T1 by default.
            self.deadlines.set(Timer::D, now + self.timing.patience());
        }
    }

    fn retransmit(&mut self, now: Instant) {
        if let State::Calling { octets, retransmit_after } = &mut self.state {
            // RFC 3261 §17.1.1.2: unlike timer E, timer A doubles without a cap.
            *retransmit_after *= 2;
            self.actions.push_back(Action::Send(octets.clone()));
            self.deadlines.set(Timer::A, now + *retransmit_after);
        }
    }

    /// What ACK (RFC 3261 §17.1.1.3) and CANCEL (§9.1) copy from the INVITE.
    fn hop_by_hop(&self, method: Method) -> Request {
        let header = &self.invite.header;
        let mut request = Request::new(
            method,
            self.invite.uri.clone(),
            header.from.clone(),
            header.to.clone(),
            header.call_id.clone(),
            header.cseq.number,
        );
        request.header.via.extend(header.via.first().cloned());
        for name in [FieldName::ROUTE, FieldName::USER_AGENT] {
            for value in header.fields.get_all(&name) {
                request.header.fields.push(name.clone(), value);
            }
        }
        request
    }

    fn deliver(&mut self, response: Response) {
        self.actions.push_back(Action::Deliver(Box::new(response)));
    }

    /// No timer outlives the state that set it.
    fn enter(&mut self, state: State) {
        self.deadlines.clear_all();
        self.state = state;
    }
}
