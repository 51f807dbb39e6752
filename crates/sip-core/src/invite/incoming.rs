//! An INVITE that we received, until it is answered or gone (RFC 3261 §9.2, §13.3).

use super::{Action, Answer, Ending};
use crate::GoneCause;
use crate::endpoint::TransactionId;
use deadlines::Deadlines;
use sip_message::{FieldName, Reason, StatusCode};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// | state | leaves on |
/// |---|---|
/// | Waiting | a final response, CANCEL, BYE |
/// | Ringing | the same |
#[derive(Debug)]
enum State {
    /// 100 was sent.
    Waiting,
    /// A provisional response above 100 was sent.
    Ringing { status: StatusCode, body: Option<Vec<u8>> },
    /// Answered, or gone.
    Over,
}

/// What happens to it.
#[derive(Debug)]
pub(crate) enum Event {
    Ring {
        status: StatusCode,
        body: Option<Vec<u8>>,
    },
    Accept {
        body: Vec<u8>,
    },
    Reject {
        status: StatusCode,
        fields: Vec<(FieldName, Box<str>)>,
    },
    HangUp(Option<Reason>),
    /// The peer's CANCEL; the 200 to it was sent.
    Cancelled(Option<Reason>),
    /// The peer's BYE in the early dialog; the 200 to it was sent.
    Bye(Option<Reason>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    /// Proxies forget an INVITE that stays silent for three minutes (RFC 3261 §13.3.1.1).
    Remind,
}

const REMIND_AFTER: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(crate) struct Incoming {
    transaction: TransactionId,
    state: State,
    deadlines: Deadlines<Timer>,
    outputs: VecDeque<Action>,
}

impl Incoming {
    /// `transaction` has sent its 100.
    pub(crate) fn start(transaction: TransactionId) -> Self {
        Self { transaction, state: State::Waiting, deadlines: Deadlines::new(), outputs: VecDeque::new() }
    }

    pub(crate) fn handle_event(&mut self, event: Event, now: Instant) {
        match (&self.state, event) {
            (State::Over, _) => {}
            (State::Waiting | State::Ringing { .. }, Event::Ring { status, body }) => {
                self.ring(status, body, now);
            }
            (State::Waiting | State::Ringing { .. }, Event::Accept { body }) => {
                self.enter(State::Over);
                self.outputs.push_back(Action::Accept { body });
            }
            (State::Waiting | State::Ringing { .. }, Event::Reject { status, fields }) => {
                let ending = Ending::new(GoneCause::Rejected, None);
                self.end(Answer::Status { status, fields }, ending);
            }
            (State::Waiting | State::Ringing { .. }, Event::HangUp(reason)) => {
                let fields =
                    reason.iter().map(|reason| (FieldName::REASON, reason.to_string().into())).collect();
                let answer = Answer::Status { status: StatusCode::TEMPORARILY_UNAVAILABLE, fields };
                self.end(answer, Ending::new(GoneCause::Rejected, reason));
            }
            (State::Waiting | State::Ringing { .. }, Event::Cancelled(reason)) => {
                let ending = Ending::new(GoneCause::CancelledByPeer, reason);
                self.end(Answer::status(StatusCode::REQUEST_TERMINATED), ending);
            }
            (State::Waiting | State::Ringing { .. }, Event::Bye(reason)) => {
                // RFC 3261 §15.1.2: requests that wait are answered 487.
                let ending = Ending::new(GoneCause::HungUpByPeer, reason);
                self.end(Answer::status(StatusCode::REQUEST_TERMINATED), ending);
            }
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some(Timer::Remind) = self.deadlines.pop_due(now) {
            if let State::Ringing { status, body } = &self.state {
                let (status, body) = (*status, body.clone());
                self.ring(status, body, now);
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    pub(crate) fn poll_output(&mut self) -> Option<Action> {
        self.outputs.pop_front()
    }

    fn ring(&mut self, status: StatusCode, body: Option<Vec<u8>>, now: Instant) {
        let answer = Answer::Progress { status, body: body.clone() };
        self.enter(State::Ringing { status, body });
        self.deadlines.set(Timer::Remind, now + REMIND_AFTER);
        self.outputs.push_back(Action::Respond { transaction: self.transaction, answer });
    }

    fn end(&mut self, answer: Answer, ending: Ending) {
        self.enter(State::Over);
        self.outputs.push_back(Action::Respond { transaction: self.transaction, answer });
        self.outputs.push_back(ending.gone());
    }

    /// No timer outlives the state that set it.
    fn enter(&mut self, state: State) {
        self.deadlines.clear_all();
        self.state = state;
    }
}
