//! An answered INVITE, until it is gone: ACK, re-INVITE, UPDATE and BYE (RFC 3261 §13.3.1.4, §14, §15; RFC 3311).

mod acknowledging;
mod offers;
mod refreshing;

pub(crate) use refreshing::{Agreement, Refresher};

use super::{Action, Answer, Ending, patience};
use crate::endpoint::TransactionId;
use crate::{Flow, GoneCause, InviteEvent, Timers};
use deadlines::Deadlines;
use refreshing::SessionTimer;
use sip_message::{Reason, StatusCode};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What each event does in each state; `ack_held` has a column for each of its reasons, `awaiting_ack` one for each of
/// these: the session is agreed, the ACK brings the answer, the user has hung up, the 2xx was one to a re-INVITE.
/// `tests/crossings.rs` plays the table cell by cell, and explains its words. `cannot`: there is none of ours that could be
/// answered, or the first INVITE was none of theirs. `R §3.x` are the tests of that section of RFC 5407 in
/// `tests/race_conditions.rs`: R §3.1.4 and §3.1.5 are about the re-INVITE before the ACK, §3.1.6 and §3.2.1 about the BYE,
/// §3.2.2 and §3.2.3 about the re-INVITE behind it, §3.2.4 about the ACK behind it, §3.3.1 and §3.3.2 about offers that
/// cross, §3.3.3 about other requests behind the BYE.
///
/// | event | `ack_held` | `ack_held_for_the_user` | `awaiting_ack` | `awaiting_ack_with_the_answer` | `awaiting_ack_and_unwanted` | `awaiting_ack_again` | `stable` | `offering` | `backing_off` | `answering` | `ending` |
/// |---|---|---|---|---|---|---|---|---|---|---|---|
/// | `ACK` | – | – | Confirmed | Confirmed | BYE, Confirmed | – | – | – | – | – | – |
/// | `BYE` | 200 BYE, ACK, Gone(HungUpByPeer) | 200 BYE, ACK, Gone(HungUpByPeer) | 200 BYE, Gone(HungUpByPeer) | 200 BYE, Gone(HungUpByPeer) | 200 BYE, Gone(HungUpByPeer) | 200 BYE, Gone(HungUpByPeer) | 200 BYE, Gone(HungUpByPeer) | 200 BYE, Gone(HungUpByPeer) | 200 BYE, Gone(HungUpByPeer) | 200 BYE, 487 INVITE, Gone(HungUpByPeer) | 200 BYE, Gone(HungUp) |
/// | `re-INVITE` | 491 INVITE | 491 INVITE | Confirmed, Offered | 491 INVITE | 491 INVITE | Offered | Offered | 491 INVITE | Offered | 500 INVITE | 481 INVITE |
/// | `UPDATE` | 491 UPDATE | 491 UPDATE | Confirmed, Offered | 491 UPDATE | 491 UPDATE | Offered | Offered | 491 UPDATE | Offered | 500 UPDATE | 481 UPDATE |
/// | `UPDATE without an offer` | 200 UPDATE | 200 UPDATE | 200 UPDATE | 200 UPDATE | 200 UPDATE | 200 UPDATE | 200 UPDATE | 200 UPDATE | 200 UPDATE | 200 UPDATE | 481 UPDATE |
/// | `INFO` | Requested | Requested | Requested | Requested | Requested | Requested | Requested | Requested | Requested | Requested | 481 INFO |
/// | `PRACK` | 481 PRACK | 481 PRACK | 481 PRACK | 481 PRACK | 481 PRACK | 481 PRACK | 481 PRACK | 481 PRACK | 481 PRACK | 481 PRACK | 481 PRACK |
/// | `acknowledge` | – | ACK | – | – | – | – | – | – | – | – | – |
/// | `offer` | – | – | – | – | – | – | INVITE | – | – | – | – |
/// | `answer` | ACK | – | – | – | – | – | – | – | – | 200 INVITE | – |
/// | `refuse` | ACK, BYE | – | – | – | – | – | – | – | – | 488 INVITE | – |
/// | `hang-up` | ACK, BYE | ACK, BYE | – | – | – | BYE | BYE | BYE | BYE | 487 INVITE, BYE | – |
/// | `200 to our INVITE` | – | – | cannot | cannot | cannot | cannot | ACK | ACK, Reanswered | – | ACK | ACK |
/// | `491 to our INVITE` | – | – | cannot | cannot | cannot | cannot | – | ACK | ACK | – | – |
/// | `481 to our INVITE` | – | – | cannot | cannot | cannot | cannot | – | ACK, Gone(SessionExpired) | ACK | – | – |
/// | `486 to our INVITE` | – | – | cannot | cannot | cannot | cannot | – | ACK, ReofferRefused | ACK | – | – |
/// | `200 to our BYE` | cannot | cannot | cannot | cannot | cannot | cannot | cannot | cannot | cannot | cannot | Gone(HungUp) |
/// | `CANCEL` | cannot | cannot | 200 CANCEL | 200 CANCEL | 200 CANCEL | 200 CANCEL | cannot | cannot | cannot | cannot | cannot |
/// | `copy of the INVITE` | cannot | cannot | – | – | – | – | cannot | cannot | cannot | cannot | cannot |
///
/// What else can come behind a 2xx of ours, CANCEL and copies of the INVITE: R §3.1.1, §3.1.2. The session timer
/// (`refreshing`) runs beside these until the end; `tests/session_timers.rs`.
#[derive(Debug)]
enum State {
    /// The ACK of the 2xx to our INVITE waits.
    AckHeld(Held),
    AwaitingAck(Accepted),
    Stable,
    /// Our re-INVITE is under way; without a body of the user it only refreshes.
    Offering {
        body: Option<Vec<u8>>,
        glares: u8,
    },
    /// Our re-INVITE met one of the peer and will be sent again (RFC 3261 §14.1).
    BackingOff {
        body: Option<Vec<u8>>,
        glares: u8,
    },
    /// An offer of the peer waits for the user.
    Answering(Offered),
    /// Our BYE is under way.
    Ending(Ending),
    Gone,
}

/// What the ACK waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// The answer to the offer that the 2xx made goes with it (RFC 3261 §13.2.2.4).
    ForAnswer,
    /// The user says when.
    ForUser,
}

/// A 2xx of ours that is repeated until its ACK.
#[derive(Debug)]
struct Accepted {
    /// CSeq of the INVITE.
    cseq: u32,
    /// The first of the usage, no re-INVITE.
    initial: bool,
    /// It made the offer: the ACK brings the answer.
    offers: bool,
    retransmit_after: Duration,
    /// The user wants to hang up; BYE has to wait for the ACK (RFC 3261 §15).
    unwanted: Option<Option<Reason>>,
}

/// A request of the peer with an offer, or asking for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) transaction: TransactionId,
    /// The CSeq of a re-INVITE; `None` for an UPDATE, which has no ACK.
    pub(crate) invite: Option<u32>,
    /// It asks us to offer.
    pub(crate) late: bool,
}

/// What happens to it.
#[derive(Debug)]
pub(crate) enum Event {
    HangUp(Option<Reason>),
    /// A BYE of the peer, and its transaction.
    Bye {
        transaction: TransactionId,
        reason: Option<Reason>,
    },
    Ack {
        cseq: u32,
        body: Option<Vec<u8>>,
    },
    /// A re-INVITE or UPDATE of the peer.
    Offered {
        offered: Offered,
        body: Option<Vec<u8>>,
        flow: Flow,
    },
    /// The user lets the ACK go out that waits for it.
    Acknowledge,
    /// The user offers.
    Offer(Vec<u8>),
    /// The user answers what was offered.
    AnswerOffer(Vec<u8>),
    RefuseOffer(StatusCode),
    /// Our re-INVITE was answered, and acknowledged.
    Reanswered(Vec<u8>),
    ReofferRefused(StatusCode),
    /// An UPDATE is to go out, unless something is under way.
    Update,
    /// 491 to our re-INVITE, and how long to wait.
    Glare(Duration),
    /// A 2xx says how long the session stands without a refresh.
    SessionTimer(Option<Agreement>),
    /// Our UPDATE was refused; whether the peer takes any.
    RefreshRefused {
        by_update: bool,
    },
    /// Our BYE has its final response, or, for this cause, will never have one.
    ByeDone {
        unheard: Option<GoneCause>,
    },
    /// 481, or 408 in words or by silence, to a request in the dialog (RFC 3261 §12.2.1.2).
    Lost {
        dialog_unknown: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    /// Our 2xx is due again (RFC 3261 §13.3.1.4).
    Retransmit,
    /// 64*T1 without an ACK (RFC 3261 §13.3.1.4).
    NoAck,
    /// Our re-INVITE is due again (RFC 3261 §14.1).
    Glare,
    /// A re-INVITE that the end overtook has had time enough for its final response.
    Linger,
}

#[derive(Debug)]
pub(crate) struct Established {
    timers: Timers,
    state: State,
    /// An offer of the user that waits until the session is stable.
    next_offer: Option<Vec<u8>>,
    agreement: Option<Agreement>,
    session: Deadlines<SessionTimer>,
    deadlines: Deadlines<Timer>,
    actions: VecDeque<Action>,
}

impl Established {
    /// Our INVITE was answered.
    pub(crate) fn answered(held: Option<Held>, timers: Timers) -> Self {
        let mut established = Self::new(timers, held.map_or(State::Stable, State::AckHeld));
        if held.is_none() {
            established.actions.push_back(Action::Acknowledge { body: None });
        }
        established
    }

    /// Our INVITE was answered when nobody wanted it any more: ACK, then BYE (RFC 3261 §9.1).
    pub(crate) fn unwanted(ending: Ending, timers: Timers) -> Self {
        let mut established = Self::new(timers, State::AckHeld(Held::ForUser));
        established.hang_up_unacknowledged(ending);
        established
    }

    /// We answered the INVITE with that CSeq. `offers`: our 2xx made the offer.
    pub(crate) fn accepted(cseq: u32, offers: bool, timers: Timers, now: Instant) -> Self {
        let mut established = Self::new(timers, State::Stable);
        established.await_ack(cseq, true, offers, now);
        established
    }

    /// The INVITE was answered, and the answer acknowledged, in an earlier life.
    pub(crate) fn resume(timers: Timers) -> Self {
        Self::new(timers, State::Stable)
    }

    fn new(timers: Timers, state: State) -> Self {
        Self {
            timers,
            state,
            next_offer: None,
            agreement: None,
            session: Deadlines::new(),
            deadlines: Deadlines::new(),
            actions: VecDeque::new(),
        }
    }

    pub(crate) fn handle_event(&mut self, event: Event, now: Instant) {
        match event {
            Event::HangUp(reason) => self.handle_hang_up(reason),
            Event::Bye { transaction, reason } => self.handle_bye(transaction, reason, now),
            Event::Ack { cseq, body } => self.handle_ack(cseq, body),
            Event::Offered { offered, body, flow } => self.handle_offered(offered, body, flow),
            Event::Acknowledge => self.handle_acknowledge(),
            Event::Offer(body) => self.handle_offer(body),
            Event::AnswerOffer(body) => self.handle_answer(body, now),
            Event::RefuseOffer(status) => self.handle_refuse(status),
            Event::Reanswered(body) => self.handle_reanswered(body),
            Event::ReofferRefused(status) => self.handle_reoffer_refused(status, now),
            Event::SessionTimer(agreement) => self.handle_session_timer(agreement, now),
            Event::RefreshRefused { by_update } => self.handle_refresh_refused(by_update, now),
            Event::Update if matches!(self.state, State::Stable) => self.actions.push_back(Action::Update),
            Event::Update => {}
            Event::Glare(wait) => self.handle_glare(wait, now),
            Event::ByeDone { unheard } => self.handle_bye_done(unheard, now),
            Event::Lost { dialog_unknown } => self.handle_lost(dialog_unknown, now),
        }
    }

    /// Fires the first timer of each table that is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(timer) = self.deadlines.pop_due(now) {
            match timer {
                Timer::Retransmit => self.retransmit(now),
                Timer::NoAck => self.give_up_ack(now),
                Timer::Glare => self.offer_again(),
                Timer::Linger => self.actions.push_back(Action::Abandon),
            }
        }
        if let Some(timer) = self.session.pop_due(now) {
            self.handle_session_timeout(timer, now);
        }
    }

    /// Tells whether the usage goes on: no BYE was sent, none came.
    pub(crate) fn is_live(&self) -> bool {
        !matches!(self.state, State::Ending(_) | State::Gone)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next().into_iter().chain(self.session.next()).min()
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn handle_hang_up(&mut self, reason: Option<Reason>) {
        match &mut self.state {
            State::AckHeld(_) => self.hang_up_unacknowledged(Ending::new(GoneCause::HungUp, reason)),
            State::AwaitingAck(accepted) if accepted.initial => {
                accepted.unwanted.get_or_insert(reason);
            }
            State::Answering(offered) => {
                let transaction = offered.transaction;
                self.respond(transaction, Answer::status(StatusCode::REQUEST_TERMINATED));
                self.bye(Ending::new(GoneCause::HungUp, reason));
            }
            State::AwaitingAck(_) | State::Stable | State::Offering { .. } | State::BackingOff { .. } => {
                self.bye(Ending::new(GoneCause::HungUp, reason));
            }
            State::Ending(_) | State::Gone => {}
        }
    }

    fn handle_bye(&mut self, transaction: TransactionId, reason: Option<Reason>, now: Instant) {
        self.respond(transaction, Answer::status(StatusCode::OK));
        let by_peer = Ending::new(GoneCause::HungUpByPeer, reason);
        match std::mem::replace(&mut self.state, State::Gone) {
            State::AckHeld(_) => {
                self.actions.push_back(Action::Acknowledge { body: None });
                self.end(by_peer, now);
            }
            State::Answering(offered) => {
                // RFC 3261 §15.1.2: requests that wait are answered 487.
                self.respond(offered.transaction, Answer::status(StatusCode::REQUEST_TERMINATED));
                self.end(by_peer, now);
            }
            State::AwaitingAck(_) | State::Stable | State::Offering { .. } | State::BackingOff { .. } => {
                self.end(by_peer, now);
            }
            // BYE crossed BYE (RFC 5407 §3.2.1).
            State::Ending(ending) => self.end(ending, now),
            State::Gone => {}
        }
    }

    fn handle_bye_done(&mut self, unheard: Option<GoneCause>, now: Instant) {
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Ending(ending) => {
                let cause = unheard.filter(|_| ending.cause == GoneCause::HungUp).unwrap_or(ending.cause);
                self.end(Ending { cause, ..ending }, now);
            }
            other @ (State::AckHeld(_)
            | State::AwaitingAck(_)
            | State::Stable
            | State::Offering { .. }
            | State::BackingOff { .. }
            | State::Answering(_)
            | State::Gone) => self.state = other,
        }
    }

    fn handle_lost(&mut self, dialog_unknown: bool, now: Instant) {
        if !self.is_live() {
            return;
        }
        if let State::Answering(offered) = &self.state {
            let transaction = offered.transaction;
            self.respond(transaction, Answer::status(StatusCode::REQUEST_TERMINATED));
        }
        if matches!(self.state, State::AckHeld(_)) {
            self.actions.push_back(Action::Acknowledge { body: None });
        }
        if !dialog_unknown {
            self.actions.push_back(Action::Bye { reason: None, watched: false });
        }
        self.end(Ending::new(GoneCause::SessionExpired, None), now);
    }

    fn bye(&mut self, ending: Ending) {
        self.actions.push_back(Action::Bye { reason: ending.reason.clone(), watched: true });
        self.enter(State::Ending(ending));
    }

    fn end(&mut self, ending: Ending, now: Instant) {
        self.enter(State::Gone);
        self.deadlines.set(Timer::Linger, now + patience(self.timers));
        self.actions.push_back(ending.gone());
    }

    fn respond(&mut self, transaction: TransactionId, answer: Answer) {
        self.actions.push_back(Action::Respond { transaction, answer });
    }

    fn emit(&mut self, event: InviteEvent) {
        self.actions.push_back(Action::Emit(event));
    }

    /// No timer outlives the state that set it, and no session timer the session.
    fn enter(&mut self, state: State) {
        self.deadlines.clear_all();
        self.state = state;
        if !self.is_live() {
            self.session.clear_all();
        }
    }
}
