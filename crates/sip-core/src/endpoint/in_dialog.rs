//! Requests in a dialog (RFC 3261 §12.2.2), and the ACK of our 2xx.

use super::abilities::refusal_of;
use super::compose::body_of;
use super::usage::{Stage, moved};
use super::{Endpoint, TransactionId};
use crate::dialog::contact_of;
use crate::invite::{Action, Answer, EstablishedEvent, IncomingEvent, Offered, OutgoingEvent};
use crate::{Event, Flow, InviteEvent, InviteId, Responder};
use sip_message::{FieldName, Method, Request, StatusCode};
use std::time::{Duration, Instant};

/// What a request in a dialog asks for.
enum Kind {
    Bye,
    Session,
    Prack,
    Options,
    ForUser,
    NotServed,
}

impl Kind {
    /// It has nothing to do with the session or its end.
    const fn is_beside_the_session(&self) -> bool {
        match self {
            Self::Bye | Self::Session | Self::Prack => false,
            Self::Options | Self::ForUser | Self::NotServed => true,
        }
    }

    const fn is_served(&self) -> bool {
        match self {
            Self::Bye | Self::Session | Self::Prack | Self::Options | Self::ForUser => true,
            Self::NotServed => false,
        }
    }
}

/// Requests beside the session that are taken in one dialog in a second; digits by INFO come at most ten a second.
const ASKED_IN_A_SECOND_MAX: usize = 20;

impl Endpoint {
    pub(super) fn handle_in_dialog(&mut self, invite: InviteId, request: Request, flow: Flow, now: Instant) {
        let kind = self.kind_of(&request.method);
        if kind.is_beside_the_session() && self.is_asked_too_often(invite, now) {
            let mut response = request.response(StatusCode::SERVICE_UNAVAILABLE);
            response.header.fields.push(FieldName::RETRY_AFTER, "1");
            return self.send_statelessly(&request, response, flow);
        }
        if let Err(status) = self.check_in_dialog(invite, &request) {
            return self.answer_statelessly(&request, status, flow);
        }
        if kind.is_served() {
            self.follow(invite, &request, flow);
        }
        let is_over = self.stage(invite).is_some_and(Stage::is_ending);
        match kind {
            // RFC 5407 §3.3.3: the session is over for whoever did not hear of our BYE, too.
            Kind::Prack | Kind::Options | Kind::ForUser | Kind::NotServed if is_over => {
                self.answer_at_once(request, StatusCode::CALL_TRANSACTION_DOES_NOT_EXIST, flow, now);
            }
            Kind::Bye => self.handle_bye(invite, request, flow, now),
            Kind::Session => self.handle_session_request(invite, request, flow, now),
            Kind::Prack => self.handle_prack(invite, request, flow, now),
            Kind::Options => self.answer_at_once(request, StatusCode::OK, flow, now),
            Kind::ForUser => self.hand_up(invite, request, flow, now),
            Kind::NotServed => {
                let status = refusal_of(&request.method);
                self.answer_at_once(request, status, flow, now);
            }
        }
    }

    pub(super) fn handle_ack_of_success(&mut self, invite: InviteId, ack: Request, now: Instant) {
        let Some(dialog) = self.stage(invite).and_then(Stage::dialog) else { return };
        if dialog.remote_tag() != ack.header.from.tag().unwrap_or_default() {
            return;
        }
        let event = EstablishedEvent::Ack { cseq: ack.header.cseq.number, body: body_of(ack.body) };
        self.established(invite, event, now);
    }

    /// The dialog exists, and the request is its next one.
    fn check_in_dialog(&mut self, invite: InviteId, request: &Request) -> Result<(), StatusCode> {
        let usage = self
            .usages
            .get_mut(&invite)
            .filter(|usage| !usage.gone)
            .ok_or(StatusCode::CALL_TRANSACTION_DOES_NOT_EXIST)?;
        // Early dialogs of an INVITE that we sent are not told apart.
        let Some(dialog) = usage.stage.dialog_mut() else { return Ok(()) };
        let header = &request.header;
        if dialog.remote_tag() != header.from.tag().unwrap_or_default() {
            return Err(StatusCode::CALL_TRANSACTION_DOES_NOT_EXIST);
        }
        if !dialog.take_cseq(header.cseq.number) {
            return Err(StatusCode::SERVER_INTERNAL_ERROR);
        }
        Ok(())
    }

    /// The dialog goes on along the way that a request of the peer came.
    fn follow(&mut self, invite: InviteId, request: &Request, flow: Flow) {
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        let via = request.header.via.first();
        let listens_there = via.is_some_and(|via| via.parameters.get("rport").is_some());
        if usage.stage.dialog_mut().is_some_and(|dialog| dialog.follow(flow, listens_there)) {
            usage.contact = moved(&usage.contact, flow);
        }
    }

    /// One phone in one call does not use up the transactions of all.
    fn is_asked_too_often(&mut self, invite: InviteId, now: Instant) -> bool {
        let Some(usage) = self.usages.get_mut(&invite) else { return false };
        let asked_at = &mut usage.asked_at;
        while asked_at.front().is_some_and(|at| now.saturating_duration_since(*at) >= Duration::from_secs(1))
        {
            asked_at.pop_front();
        }
        let too_often = asked_at.len() >= ASKED_IN_A_SECOND_MAX;
        if !too_often {
            asked_at.push_back(now);
        }
        too_often
    }

    /// Answers a request whose number was taken: copies of it get the same answer (RFC 3261 §8.2.7).
    fn answer_at_once(&mut self, request: Request, status: StatusCode, flow: Flow, now: Instant) {
        let response = request.response(status);
        self.respond(&crate::Incoming { request, flow }, response, now);
    }

    fn kind_of(&self, method: &Method) -> Kind {
        if *method == Method::BYE {
            Kind::Bye
        } else if *method == Method::INVITE || *method == Method::UPDATE {
            Kind::Session
        } else if *method == Method::PRACK {
            Kind::Prack
        } else if self.config.passes_to_user.contains(method) {
            Kind::ForUser
        } else if *method == Method::OPTIONS {
            Kind::Options
        } else {
            Kind::NotServed
        }
    }

    fn handle_bye(&mut self, invite: InviteId, request: Request, flow: Flow, now: Instant) {
        let reason = super::reason_of(&request.header);
        let Some(id) = self.start_server(request, flow, None, now) else { return };
        let ok = Action::Respond { transaction: id, answer: Answer::status(StatusCode::OK) };
        match self.stage(invite) {
            Some(Stage::Established { .. }) => {
                self.established(invite, EstablishedEvent::Bye { transaction: id, reason }, now);
            }
            Some(Stage::Incoming { .. }) => {
                self.perform(invite, ok, now);
                self.incoming(invite, IncomingEvent::Bye(reason), now);
            }
            Some(Stage::Outgoing { .. }) => {
                self.perform(invite, ok, now);
                self.outgoing(invite, OutgoingEvent::Bye(reason), now);
            }
            None => {}
        }
    }

    /// A re-INVITE or an UPDATE.
    fn handle_session_request(&mut self, invite: InviteId, mut request: Request, flow: Flow, now: Instant) {
        let body = body_of(std::mem::take(&mut request.body));
        let is_invite = request.method == Method::INVITE;
        let cseq = is_invite.then_some(request.header.cseq.number);
        let target = contact_of(&request.header);
        let Some(id) = self.start_server(request, flow, None, now) else { return };
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        if let (Some(dialog), Some(target)) = (usage.stage.dialog_mut(), target) {
            dialog.set_target(target);
        }
        let early = match (&usage.stage, is_invite, body.is_some()) {
            (Stage::Established { .. }, _, _) => None,
            (Stage::Incoming { .. } | Stage::Outgoing { .. }, false, false) => {
                Some(Answer::status(StatusCode::OK))
            }
            // RFC 3261 §14.2, RFC 3311 §5.2: the offer of the first INVITE is not answered yet.
            (Stage::Incoming { .. }, _, _) => Some(Answer::RetryLater),
            (Stage::Outgoing { .. }, _, _) => Some(Answer::status(StatusCode::REQUEST_PENDING)),
        };
        match early {
            Some(answer) => self.perform(invite, Action::Respond { transaction: id, answer }, now),
            None => {
                let offered = Offered { transaction: id, invite: cseq, late: body.is_none() };
                self.established(invite, EstablishedEvent::Offered { offered, body, flow }, now);
            }
        }
    }

    pub(super) fn respond_in_dialog(
        &mut self,
        responder: &Responder,
        status: StatusCode,
        fields: Vec<(FieldName, Box<str>)>,
        now: Instant,
    ) {
        let id = TransactionId(responder.transaction);
        let Some(request) = self.received(id).and_then(|received| received.request.take()) else { return };
        let mut response = request.response(status);
        // What it subscribes to is sent from there (RFC 3515 §2.2).
        if request.method == Method::REFER && status.is_success() {
            response.header.contact = self.usages.get(&responder.invite).map(|usage| usage.contact.clone());
        }
        for (name, value) in fields {
            response.header.fields.push(name, value);
        }
        self.dress_response(&mut response);
        self.give_response(id, status, response.print(), now);
    }

    fn hand_up(&mut self, invite: InviteId, request: Request, flow: Flow, now: Instant) {
        if request.method == Method::INFO && request.header.fields.get(&FieldName::INFO_PACKAGE).is_some() {
            // RFC 6086 §4.2.2: we said that we take none.
            let mut response = request.response(StatusCode::BAD_INFO_PACKAGE);
            response.header.fields.push(FieldName::RECV_INFO, "");
            return self.respond(&crate::Incoming { request, flow }, response, now);
        }
        let mut kept = request.clone();
        kept.body = Vec::new();
        let Some(TransactionId(id)) = self.start_server(kept, flow, None, now) else { return };
        let event = InviteEvent::Requested {
            responder: Responder { transaction: id, invite },
            request: Box::new(request),
            flow,
        };
        self.emit(Event::Invite { invite, event });
    }
}
