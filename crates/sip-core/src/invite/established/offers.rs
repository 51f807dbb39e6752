//! Offers in an established session: re-INVITE and UPDATE in both directions, and glare (RFC 3261 §14, RFC 3311).

use super::{Established, Held, Offered, State, Timer};
use crate::invite::{Action, Answer, Ending};
use crate::{Flow, GoneCause, InviteEvent};
use sip_message::StatusCode;
use std::time::{Duration, Instant};

/// Glares after which a peer that always answers 491 is believed to mean it.
const GLARES_MAX: u8 = 5;

impl Established {
    pub(super) fn handle_offered(&mut self, offered: Offered, body: Option<Vec<u8>>, flow: Flow) {
        let transaction = offered.transaction;
        if body.is_none() && offered.invite.is_none() && self.is_live() {
            // An UPDATE without an offer only refreshes the target (RFC 3311 §5.2).
            return self.respond(transaction, Answer::status(StatusCode::OK));
        }
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Stable => {
                self.enter(State::Answering(offered));
                self.emit(InviteEvent::Offered { body, flow });
            }
            State::BackingOff { body: ours, .. } => {
                // A refresh of ours has become needless when theirs succeeds.
                self.next_offer = self.next_offer.take().or(ours);
                self.enter(State::Answering(offered));
                self.emit(InviteEvent::Offered { body, flow });
            }
            // RFC 3261 §14.2, RFC 3311 §5.2: the first offer of the peer is not answered yet.
            State::Answering(first) => {
                self.state = State::Answering(first);
                self.respond(transaction, Answer::RetryLater);
            }
            // A peer that goes on has our 2xx, whatever became of its ACK (RFC 5407 §3.1.4).
            State::AwaitingAck(accepted) if !accepted.offers && accepted.unwanted.is_none() => {
                if accepted.initial {
                    self.emit(InviteEvent::Confirmed { body: None });
                }
                self.enter(State::Answering(offered));
                self.emit(InviteEvent::Offered { body, flow });
            }
            // RFC 3261 §14.2: an offer of ours, or its answer in the ACK, is under way (RFC 5407 §3.1.5).
            other @ (State::AckHeld(_) | State::AwaitingAck(_) | State::Offering { .. }) => {
                self.state = other;
                self.respond(transaction, Answer::status(StatusCode::REQUEST_PENDING));
            }
            other @ (State::Ending(_) | State::Gone) => {
                self.state = other;
                self.respond(transaction, Answer::status(StatusCode::CALL_TRANSACTION_DOES_NOT_EXIST));
            }
        }
    }

    pub(super) fn handle_offer(&mut self, body: Vec<u8>) {
        match &mut self.state {
            State::Stable => self.reinvite(Some(body), 0),
            State::BackingOff { body: waiting, .. } => *waiting = Some(body),
            State::AckHeld(_) | State::AwaitingAck(_) | State::Offering { .. } | State::Answering(_) => {
                self.next_offer = Some(body);
            }
            State::Ending(_) | State::Gone => {}
        }
    }

    pub(super) fn handle_answer(&mut self, body: Vec<u8>, now: Instant) {
        match &self.state {
            State::AckHeld(Held::ForAnswer) => {
                self.actions.push_back(Action::Acknowledge { body: Some(body) });
                self.settle();
            }
            State::Answering(offered) => {
                let Offered { transaction, invite, late } = *offered;
                self.respond(transaction, Answer::Session(Some(body)));
                match invite {
                    Some(cseq) => self.await_ack(cseq, false, late, now),
                    None => self.settle(),
                }
            }
            State::AckHeld(Held::ForUser)
            | State::AwaitingAck(_)
            | State::Stable
            | State::Offering { .. }
            | State::BackingOff { .. }
            | State::Ending(_)
            | State::Gone => {}
        }
    }

    pub(super) fn handle_refuse(&mut self, status: StatusCode) {
        match &self.state {
            // There is no way to refuse the offer of a 2xx but to hang up (RFC 3261 §13.2.2.4).
            State::AckHeld(Held::ForAnswer) => {
                self.hang_up_unacknowledged(Ending::new(GoneCause::HungUp, None))
            }
            State::Answering(offered) => {
                let transaction = offered.transaction;
                self.respond(transaction, Answer::status(status));
                self.settle();
            }
            State::AckHeld(Held::ForUser)
            | State::AwaitingAck(_)
            | State::Stable
            | State::Offering { .. }
            | State::BackingOff { .. }
            | State::Ending(_)
            | State::Gone => {}
        }
    }

    pub(super) fn handle_reanswered(&mut self, answer: Vec<u8>) {
        if let State::Offering { body, .. } = &self.state {
            if body.is_some() {
                let is_overtaken = self.next_offer.is_some();
                self.emit(InviteEvent::Reanswered { body: answer, is_overtaken });
            }
            self.settle();
        }
    }

    pub(super) fn handle_reoffer_refused(&mut self, status: StatusCode, now: Instant) {
        if let State::Offering { body, .. } = &self.state {
            match body {
                Some(_) if self.next_offer.is_none() => self.emit(InviteEvent::ReofferRefused { status }),
                Some(_) => {}
                None => self.refresh_later(now),
            }
            self.settle();
        }
    }

    pub(super) fn handle_glare(&mut self, wait: Duration, now: Instant) {
        match std::mem::replace(&mut self.state, State::Gone) {
            other @ State::Offering { glares, .. } if glares >= GLARES_MAX => {
                self.state = other;
                self.handle_reoffer_refused(StatusCode::REQUEST_PENDING, now);
            }
            State::Offering { body, glares } => {
                // A later offer of the user takes the place of the one that met the glare.
                let body = self.next_offer.take().or(body);
                self.enter(State::BackingOff { body, glares: glares + 1 });
                self.deadlines.set(Timer::Glare, now + wait);
            }
            other @ (State::AckHeld(_)
            | State::AwaitingAck(_)
            | State::Stable
            | State::BackingOff { .. }
            | State::Answering(_)
            | State::Ending(_)
            | State::Gone) => self.state = other,
        }
    }

    pub(super) fn offer_again(&mut self) {
        if let State::BackingOff { body, glares } = &mut self.state {
            let (body, glares) = (body.take(), *glares);
            self.reinvite(body, glares);
        }
    }

    /// The session is stable: an offer that waited goes out.
    pub(super) fn settle(&mut self) {
        self.enter(State::Stable);
        if let Some(body) = self.next_offer.take() {
            self.reinvite(Some(body), 0);
        }
    }

    pub(super) fn reinvite(&mut self, body: Option<Vec<u8>>, glares: u8) {
        self.actions.push_back(Action::Reinvite { body: body.clone() });
        self.enter(State::Offering { body, glares });
    }
}
