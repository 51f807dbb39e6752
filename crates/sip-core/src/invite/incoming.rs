//! An INVITE that we received, until it is answered, gone or expired (RFC 3261 §9.2, §13.3; RFC 3262 §3).

use super::{Action, Answer, Ending, patience};
use crate::endpoint::TransactionId;
use crate::{GoneCause, Timers};
use deadlines::Deadlines;
use sip_message::{FieldName, Reason, StatusCode};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What each event does in each state; the last three columns are one state: without a session, with one, and when the
/// user has accepted. `tests/crossings.rs` plays the table cell by cell, and explains its words; what a PRACK lets go is in
/// `tests/reliable_provisionals.rs`. `cannot`: there is no dialog yet.
///
/// | event | `waiting` | `ringing` | `unacknowledged` | `unacknowledged_with_a_session` | `unacknowledged_with_a_session_and_accepted` |
/// |---|---|---|---|---|---|
/// | `ring` | 180 INVITE | 180 INVITE | – | – | – |
/// | `ring with a session` | 183 INVITE | 183 INVITE | – | – | – |
/// | `accept` | 200 INVITE | 200 INVITE | 200 INVITE | – | – |
/// | `reject` | 486 INVITE, Gone(Rejected) | 486 INVITE, Gone(Rejected) | 486 INVITE, Gone(Rejected) | 486 INVITE, Gone(Rejected) | 486 INVITE, Gone(Rejected) |
/// | `hang-up` | 480 INVITE, Gone(Rejected) | 480 INVITE, Gone(Rejected) | 480 INVITE, Gone(Rejected) | 480 INVITE, Gone(Rejected) | 480 INVITE, Gone(Rejected) |
/// | `CANCEL` | 200 CANCEL, 487 INVITE, Gone(CancelledByPeer) | 200 CANCEL, 487 INVITE, Gone(CancelledByPeer) | 200 CANCEL, 487 INVITE, Gone(CancelledByPeer) | 200 CANCEL, 487 INVITE, Gone(CancelledByPeer) | 200 CANCEL, 487 INVITE, Gone(CancelledByPeer) |
/// | `BYE` | cannot | 200 BYE, 487 INVITE, Gone(HungUpByPeer) | 200 BYE, 487 INVITE, Gone(HungUpByPeer) | 200 BYE, 487 INVITE, Gone(HungUpByPeer) | 200 BYE, 487 INVITE, Gone(HungUpByPeer) |
/// | `PRACK` | cannot | 481 PRACK | 200 PRACK | 200 PRACK | 200 PRACK, 200 INVITE |
/// | `copy of the INVITE` | 100 INVITE | 180 INVITE | 180 INVITE | 183 INVITE | 183 INVITE |
/// | `re-INVITE` | cannot | 500 INVITE | 500 INVITE | 500 INVITE | 500 INVITE |
/// | `UPDATE` | cannot | 500 UPDATE | 500 UPDATE | 500 UPDATE | 500 UPDATE |
/// | `UPDATE without an offer` | cannot | 200 UPDATE | 200 UPDATE | 200 UPDATE | 200 UPDATE |
/// | `INFO` | cannot | Requested | Requested | Requested | Requested |
/// | `silence` | – | 180 INVITE | 180 INVITE ×6, 500 INVITE ×11, Gone(NoAck) | 183 INVITE ×6, 500 INVITE ×11, Gone(NoAck) | 183 INVITE ×6, 500 INVITE ×11, Gone(NoAck) |
///
/// The end of the time in its Expires brings 487 and gone in each of these:
/// `expiry::an_invite_that_is_not_answered_in_its_time_is_answered_487`.
///
/// From Over on the state is that of `Established`: R §3.1.1, §3.1.2.
#[derive(Debug)]
enum State {
    /// 100 was sent.
    Waiting,
    /// A provisional response above 100 was sent.
    Ringing(Progress),
    /// A reliable one was sent, and its PRACK is awaited.
    Unacknowledged { progress: Progress, retransmit_after: Duration, next: Option<Next> },
    /// Answered, or gone.
    Over,
}

/// A provisional response.
#[derive(Debug, Clone)]
struct Progress {
    status: StatusCode,
    body: Option<Vec<u8>>,
}

/// What waits for the PRACK.
#[derive(Debug)]
enum Next {
    /// RFC 3262 §3: one reliable provisional response after the other.
    Ring(Progress),
    /// RFC 3262 §3: no 2xx before the PRACK of one with a session.
    Accept,
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
    /// The PRACK of the reliable provisional response; the answer to it was sent.
    Acknowledged,
    /// The peer's CANCEL; the 200 to it was sent.
    Cancelled(Option<Reason>),
    /// The peer's BYE in the early dialog; the 200 to it was sent.
    Bye(Option<Reason>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    /// Proxies forget an INVITE that stays silent for three minutes (RFC 3261 §13.3.1.1).
    Remind,
    /// The reliable provisional response is due again (RFC 3262 §3).
    Retransmit,
    /// 64*T1 without a PRACK (RFC 3262 §3).
    NoPrack,
    /// The peer gave us no more time (RFC 3261 §13.3.1).
    Expire,
}

const REMIND_AFTER: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(crate) struct Incoming {
    transaction: TransactionId,
    timers: Timers,
    state: State,
    /// Of the next reliable provisional response; `None` when they are not to be reliable.
    rseq: Option<u32>,
    /// A reliable provisional response brought our session: nothing behind it repeats one.
    session_sent: bool,
    /// When the invitation is over.
    expires_at: Option<Instant>,
    deadlines: Deadlines<Timer>,
    actions: VecDeque<Action>,
}

impl Incoming {
    /// `transaction` has sent its 100. With an RSeq for the first, provisional responses are reliable.
    pub(crate) fn start(
        transaction: TransactionId,
        rseq: Option<u32>,
        expires_at: Option<Instant>,
        timers: Timers,
    ) -> Self {
        let mut incoming = Self {
            transaction,
            timers,
            state: State::Waiting,
            rseq,
            session_sent: false,
            expires_at,
            deadlines: Deadlines::new(),
            actions: VecDeque::new(),
        };
        incoming.enter(State::Waiting);
        incoming
    }

    /// Of the INVITE.
    pub(crate) const fn transaction(&self) -> TransactionId {
        self.transaction
    }

    pub(crate) fn handle_event(&mut self, event: Event, now: Instant) {
        if matches!(self.state, State::Over) {
            return;
        }
        match event {
            Event::Ring { status, body } => self.handle_ring(Progress { status, body }, now),
            Event::Accept { body } => self.handle_accept(body),
            Event::Reject { status, fields } => {
                self.end(Answer::Status { status, fields }, Ending::new(GoneCause::Rejected, None));
            }
            Event::HangUp(reason) => {
                let fields =
                    reason.iter().map(|reason| (FieldName::REASON, reason.to_string().into())).collect();
                let answer = Answer::Status { status: StatusCode::TEMPORARILY_UNAVAILABLE, fields };
                self.end(answer, Ending::new(GoneCause::Rejected, reason));
            }
            Event::Acknowledged => self.handle_acknowledged(now),
            Event::Cancelled(reason) => self.end_terminated(GoneCause::CancelledByPeer, reason),
            // RFC 3261 §15.1.2: requests that wait are answered 487.
            Event::Bye(reason) => self.end_terminated(GoneCause::HungUpByPeer, reason),
        }
    }

    /// Fires the first timer that is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(timer) = self.deadlines.pop_due(now) {
            match timer {
                Timer::Remind => self.remind(now),
                Timer::Retransmit => self.retransmit(now),
                Timer::NoPrack => {
                    let answer = Answer::status(StatusCode::SERVER_INTERNAL_ERROR);
                    self.end(answer, Ending::new(GoneCause::NoAck, None));
                }
                Timer::Expire => self.end_terminated(GoneCause::CancelledByPeer, None),
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn handle_ring(&mut self, progress: Progress, now: Instant) {
        match &mut self.state {
            State::Waiting | State::Ringing(_) => self.ring(progress, now),
            State::Unacknowledged { next: next @ (None | Some(Next::Ring(_))), .. } => {
                *next = Some(Next::Ring(progress));
            }
            State::Unacknowledged { next: Some(Next::Accept), .. } | State::Over => {}
        }
    }

    fn handle_accept(&mut self, body: Vec<u8>) {
        match &mut self.state {
            State::Unacknowledged { progress, next, .. } if progress.body.is_some() => {
                *next = Some(Next::Accept);
            }
            State::Waiting | State::Ringing(_) | State::Unacknowledged { .. } => {
                let body = Some(body).filter(|_| !self.session_sent);
                self.accept(body);
            }
            State::Over => {}
        }
    }

    fn handle_acknowledged(&mut self, now: Instant) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Unacknowledged { next: Some(Next::Accept), .. } => self.accept(None),
            State::Unacknowledged { next: Some(Next::Ring(progress)), .. } => self.ring(progress, now),
            State::Unacknowledged { progress, next: None, .. } => self.rest(progress, now),
            other @ (State::Waiting | State::Ringing(_) | State::Over) => self.state = other,
        }
    }

    fn remind(&mut self, now: Instant) {
        match &self.state {
            State::Ringing(progress) => self.ring(progress.clone(), now),
            State::Waiting | State::Unacknowledged { .. } | State::Over => {}
        }
    }

    fn retransmit(&mut self, now: Instant) {
        if let State::Unacknowledged { retransmit_after, .. } = &mut self.state {
            // RFC 3262 §3: the interval doubles without a cap.
            *retransmit_after *= 2;
            self.deadlines.set(Timer::Retransmit, now + *retransmit_after);
            self.actions.push_back(Action::RepeatProvisional);
        }
    }

    fn ring(&mut self, progress: Progress, now: Instant) {
        let Progress { status, body } = progress;
        let body = body.filter(|_| !self.session_sent);
        let rseq = self.rseq;
        let answer = Answer::Progress { status, body: body.clone(), rseq };
        let progress = Progress { status, body };
        match rseq {
            None => self.rest(progress, now),
            Some(rseq) => {
                self.rseq = Some(rseq.saturating_add(1));
                self.session_sent |= progress.body.is_some();
                let retransmit_after = self.timers.t1;
                self.enter(State::Unacknowledged { progress, retransmit_after, next: None });
                self.deadlines.set(Timer::Retransmit, now + retransmit_after);
                self.deadlines.set(Timer::NoPrack, now + patience(self.timers));
            }
        }
        self.actions.push_back(Action::Respond { transaction: self.transaction, answer });
    }

    fn rest(&mut self, progress: Progress, now: Instant) {
        self.enter(State::Ringing(progress));
        self.deadlines.set(Timer::Remind, now + REMIND_AFTER);
    }

    fn accept(&mut self, body: Option<Vec<u8>>) {
        self.enter(State::Over);
        self.actions.push_back(Action::Accept { body });
    }

    fn end_terminated(&mut self, cause: GoneCause, reason: Option<Reason>) {
        self.end(Answer::status(StatusCode::REQUEST_TERMINATED), Ending::new(cause, reason));
    }

    fn end(&mut self, answer: Answer, ending: Ending) {
        self.enter(State::Over);
        self.actions.push_back(Action::Respond { transaction: self.transaction, answer });
        self.actions.push_back(ending.gone());
    }

    /// No timer outlives the state that set it, but the one that all states but the last have.
    fn enter(&mut self, state: State) {
        self.deadlines.clear_all();
        self.state = state;
        match (&self.state, self.expires_at) {
            (State::Waiting | State::Ringing(_) | State::Unacknowledged { .. }, Some(at)) => {
                self.deadlines.set(Timer::Expire, at);
            }
            (State::Over, _) | (_, None) => {}
        }
    }
}
