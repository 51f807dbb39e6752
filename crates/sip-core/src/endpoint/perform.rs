//! What usages want done, turned into messages.

use super::compose::SDP;
use super::provisional::make_reliable;
use super::transactions::{Machine, Owner};
use super::usage::Stage;
use super::{Endpoint, TransactionId};
use crate::authentication::Attempts;
use crate::dialog::Dialog;
use crate::invite::{Action, Answer, Ending, Established, EstablishedEvent, OutgoingEvent};
use crate::{Event, Flow, InviteEvent, InviteId};
use sip_message::{FieldName, Header, Method, Reason, Request, Response, StatusCode};
use std::time::Instant;

impl Endpoint {
    pub(super) fn perform(&mut self, invite: InviteId, action: Action, now: Instant) {
        match action {
            Action::Emit(event) => self.emit_invite(invite, event),
            Action::Authenticate => self.authenticate(invite, now),
            Action::Prack { response, rseq } => self.prack(invite, &response, rseq, now),
            Action::RepeatProvisional => {
                if let Some(id) = self.usages.get(&invite).and_then(|usage| usage.transaction) {
                    self.repeat(id, now);
                }
            }
            Action::Cancel(reason) => self.cancel(invite, reason.as_ref(), now),
            Action::Abandon => {
                if let Some(id) = self.usages.get(&invite).and_then(|usage| usage.transaction) {
                    self.abandon(id, now);
                }
            }
            Action::Establish { response, ending } => self.establish(invite, response, ending, now),
            Action::Accept { body } => self.send_accept(invite, body, now),
            Action::Respond { transaction, answer } => self.answer(invite, transaction, answer, now),
            Action::RepeatAccepted => {
                let accepted = self.usages.get(&invite).and_then(|usage| usage.accepted.clone());
                if let Some((flow, octets)) = accepted {
                    self.send(flow, octets);
                }
            }
            Action::Acknowledge { body } => self.send_ack_of(invite, body),
            Action::Reinvite { body } => self.reinvite(invite, body, now),
            Action::Update => self.refresh_by_update(invite, now),
            Action::Probe => self.probe(invite, now),
            Action::Bye { reason, watched } => self.bye(invite, reason.as_ref(), watched, now),
        }
    }

    /// A 2xx to our INVITE: the answer, a copy of it, or another branch of a fork (RFC 3261 §13.2.2.4).
    pub(super) fn handle_success(&mut self, invite: InviteId, response: Response, now: Instant) {
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        let tag: Box<str> = response.header.to.tag().unwrap_or_default().into();
        if let Some((flow, octets)) = usage.acks.get(&(response.header.cseq.number, tag.clone())) {
            let (flow, octets) = (*flow, octets.clone());
            return self.send(flow, octets);
        }
        if let Stage::Outgoing(_) = &usage.stage
            && !usage.gone
        {
            return self.outgoing(invite, OutgoingEvent::Success(Box::new(response)), now);
        }
        if usage.dialog.as_ref().is_some_and(|dialog| *dialog.remote_tag() == *tag) {
            // Of a re-INVITE that was given up, or a copy of the 2xx whose ACK waits for the user.
            if response.header.cseq.number != usage.invite_cseq {
                self.acknowledge_reinvite(invite, &response);
            }
            return;
        }
        self.end_branch(invite, &response, now);
    }

    /// Gives the 2xx to our re-INVITE its ACK; `false` for a copy.
    pub(super) fn acknowledge_reinvite(&mut self, invite: InviteId, response: &Response) -> bool {
        let Some(usage) = self.usages.get_mut(&invite) else { return false };
        let Some(dialog) = usage.dialog.as_mut() else { return false };
        let cseq = response.header.cseq.number;
        let key = (cseq, response.header.to.tag().unwrap_or_default().into());
        if let Some((flow, octets)) = usage.acks.get(&key) {
            let (flow, octets) = (*flow, octets.clone());
            self.send(flow, octets);
            return false;
        }
        dialog.refresh_target(&response.header);
        let (ack, flow) = (dialog.ack(cseq), dialog.flow());
        self.send_ack(invite, key, ack, flow);
        true
    }

    pub(super) fn send_trying(&mut self, id: TransactionId, now: Instant) {
        if let Some(entry) = self.transactions.get_mut(&id)
            && let Machine::ServerInvite(machine, _) = &mut entry.machine
        {
            machine.try_at_once();
            self.drain(id, now);
        }
    }

    pub(super) fn emit_invite(&mut self, invite: InviteId, mut event: InviteEvent) {
        if let InviteEvent::Confirmed { body } = &mut event
            && let Some(usage) = self.usages.get_mut(&invite)
        {
            *body = body.take().or(usage.early_answer.take());
        }
        let gone = matches!(event, InviteEvent::Gone(_));
        // Nothing is told behind `Gone`.
        if self.usages.get(&invite).is_none_or(|usage| !usage.gone) {
            self.emit(Event::Invite { invite, event });
        }
        if gone && let Some(usage) = self.usages.get_mut(&invite) {
            usage.gone = true;
            self.forget_usage(invite);
        }
    }

    fn authenticate(&mut self, invite: InviteId, now: Instant) {
        let Some((mut request, attempts)) = self.usages.get_mut(&invite).and_then(|usage| usage.retry.take())
        else {
            return;
        };
        request.header.cseq.number = crate::dialog::next_cseq(request.header.cseq.number);
        if let Some(usage) = self.usages.get_mut(&invite) {
            usage.early.clear();
        }
        self.send_invite(invite, request, attempts, now);
    }

    fn cancel(&mut self, invite: InviteId, reason: Option<&Reason>, now: Instant) {
        let Some(id) = self.usages.get(&invite).and_then(|usage| usage.transaction) else { return };
        if let Some(entry) = self.transactions.get(&id)
            && let Machine::ClientInvite(machine, _) = &entry.machine
        {
            let (cancel, flow) = (machine.cancel(reason), entry.flow);
            self.start_cancel(cancel, flow, now);
        }
    }

    fn establish(&mut self, invite: InviteId, response: Box<Response>, ending: Option<Ending>, now: Instant) {
        let timers = self.config.timers;
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        let early = usage.early.remove(response.header.to.tag().unwrap_or_default());
        usage.dialog = Some(Dialog::confirm(&response, usage.flow, early));
        let wanted = ending.is_none();
        usage.stage = Stage::Established(match ending {
            Some(ending) => Established::unwanted(ending, timers),
            None => Established::answered(usage.late_offer || self.config.holds_ack, timers),
        });
        self.drive(invite, now);
        if wanted {
            self.agree_by_response(invite, &response, now);
            self.emit_invite(invite, InviteEvent::Answered { response });
        }
    }

    fn send_accept(&mut self, invite: InviteId, body: Option<Vec<u8>>, now: Instant) {
        let timers = self.config.timers;
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        let offers = usage.late_offer && body.is_some();
        let (cseq, transaction) = (usage.invite_cseq, usage.transaction);
        usage.stage = Stage::Established(Established::accepted(cseq, offers, timers, now));
        if let Some(transaction) = transaction {
            self.answer(invite, transaction, Answer::Session(body), now);
        }
    }

    /// Makes and sends the response to a request that waits.
    fn answer(&mut self, invite: InviteId, id: TransactionId, answer: Answer, now: Instant) {
        let Some(flow) = self.transactions.get(&id).map(|entry| entry.flow) else { return };
        let Some(mut request) = self.received(id).and_then(|received| received.request.take()) else {
            return;
        };
        if let (Answer::Session(Some(body)), Some(usage)) = (&answer, self.usages.get_mut(&invite)) {
            usage.session.clone_from(body);
        }
        let mut response = self.response_for(invite, &request, answer);
        let refreshes = response.status.is_success()
            && (request.method == Method::INVITE || request.method == Method::UPDATE);
        if refreshes {
            self.agree_by_request(invite, &request, &mut response);
        }
        self.dress_response(&mut response);
        let (status, octets) = (response.status, response.print());
        if status.is_provisional() {
            request.body = Vec::new();
            if let Some(received) = self.received(id) {
                received.request = Some(request);
            }
        } else if status.is_success()
            && request.method == Method::INVITE
            && let Some(usage) = self.usages.get_mut(&invite)
        {
            usage.accepted = Some((flow, octets.clone()));
        }
        self.give_response(id, status, octets, now);
        if refreshes {
            let agreement = self.usages.get(&invite).and_then(|usage| usage.agreement);
            self.established(invite, EstablishedEvent::SessionTimer(agreement), now);
        }
    }

    fn response_for(&mut self, invite: InviteId, request: &Request, answer: Answer) -> Response {
        let mut response = match answer {
            Answer::Session(body) => {
                let mut response = request.response(StatusCode::OK);
                self.add_allow(&mut response);
                if let Some(body) = body {
                    response.set_body(SDP, body);
                }
                response
            }
            Answer::Progress { status, body, rseq } => {
                let mut response = request.response(status);
                if let Some(usage) = self.usages.get_mut(&invite) {
                    usage.unacknowledged = rseq;
                    if let (Some(_), Some(session)) = (rseq, &body) {
                        usage.session_in_progress = true;
                        usage.session.clone_from(session);
                    }
                }
                if let Some(rseq) = rseq {
                    make_reliable(&mut response, rseq);
                }
                if let Some(body) = body {
                    response.set_body(SDP, body);
                }
                response
            }
            Answer::Status { status, fields } => {
                let mut response = request.response(status);
                for (name, value) in fields {
                    response.header.fields.push(name, value);
                }
                response
            }
            Answer::RetryLater => {
                let mut response = request.response(StatusCode::SERVER_INTERNAL_ERROR);
                let seconds = self.random.retry_after().to_string();
                response.header.fields.push(FieldName::RETRY_AFTER, seconds);
                response
            }
        };
        if let Some(usage) = self.usages.get(&invite) {
            if response.header.to.tag().is_none() {
                let tag = crate::transaction::key::tag(usage.local_tag);
                response.header.to.parameters.set("tag", Some(&tag));
            }
            let targets = request.method == Method::INVITE || request.method == Method::UPDATE;
            if targets && (response.status.is_provisional() || response.status.is_success()) {
                response.header.contact = Some(usage.contact.clone());
                copy_record_route(&request.header, &mut response.header);
            }
        }
        response
    }

    fn send_ack_of(&mut self, invite: InviteId, body: Option<Vec<u8>>) {
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        let Some(dialog) = usage.dialog.as_ref() else { return };
        let mut ack = dialog.ack(usage.invite_cseq);
        if let Some(body) = body {
            ack.set_body(SDP, body.clone());
            usage.session = body;
        }
        let (key, flow) = ((usage.invite_cseq, dialog.remote_tag().into()), dialog.flow());
        self.send_ack(invite, key, ack, flow);
    }

    /// Sends an ACK with the credentials of its INVITE (RFC 3261 §13.2.2.4) and keeps it for copies of the 2xx.
    fn send_ack(&mut self, invite: InviteId, key: (u32, Box<str>), mut ack: Request, flow: Flow) {
        let branch = crate::transaction::key::branch(self.random.number());
        ack.header.via = vec![crate::transport::via(flow, &branch)];
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        for (field, value) in &usage.authentication.given {
            ack.header.fields.push(field.clone(), value);
        }
        ack.header.fields.push(FieldName::USER_AGENT, &self.config.user_agent);
        let octets = ack.print();
        usage.acks.insert(key, (flow, octets.clone()));
        self.send(flow, octets);
    }

    /// Another branch of a fork answered too: ACK and BYE in a dialog of its own (RFC 3261 §13.2.2.4).
    fn end_branch(&mut self, invite: InviteId, response: &Response, now: Instant) {
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        if usage.acks.len() >= usage.acks_max || !usage.outgoing {
            return;
        }
        let early = usage.early.remove(response.header.to.tag().unwrap_or_default());
        let mut dialog = Dialog::confirm(response, usage.flow, early);
        let cseq = response.header.cseq.number;
        let (ack, flow) = (dialog.ack(cseq), dialog.flow());
        self.send_ack(invite, (cseq, dialog.remote_tag().into()), ack, flow);
        let mut bye = dialog.request(Method::BYE);
        self.dress_request(&mut bye);
        self.start_client(bye, flow, Owner::Nobody, Attempts::default(), now);
    }

    fn reinvite(&mut self, invite: InviteId, body: Option<Vec<u8>>, now: Instant) {
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        let Some(dialog) = usage.dialog.as_mut() else { return };
        let first = usage.invite_cseq;
        usage.acks.retain(|(cseq, _), _| *cseq == first);
        let mut request = dialog.request(Method::INVITE);
        let flow = dialog.flow();
        request.header.contact = Some(usage.contact.clone());
        request.set_body(SDP, body.unwrap_or_else(|| usage.session.clone()));
        usage.keep_session_timer(&mut request);
        self.dress_request(&mut request);
        let id = self.start_client(request, flow, Owner::Reinvite(invite), Attempts::default(), now);
        if let Some(usage) = self.usages.get_mut(&invite) {
            usage.transaction = Some(id);
        }
    }

    fn bye(&mut self, invite: InviteId, reason: Option<&Reason>, watched: bool, now: Instant) {
        let Some(dialog) = self.usages.get_mut(&invite).and_then(|usage| usage.dialog.as_mut()) else {
            return;
        };
        let mut bye = dialog.request(Method::BYE);
        let flow = dialog.flow();
        if let Some(reason) = reason {
            bye.header.fields.push(FieldName::REASON, reason.to_string());
        }
        self.dress_request(&mut bye);
        let owner = if watched { Owner::Bye(invite) } else { Owner::Nobody };
        self.start_client(bye, flow, owner, Attempts::default(), now);
    }
}

/// RFC 3261 §12.1.1: what makes the dialog tells the peer its route set.
fn copy_record_route(from: &Header, to: &mut Header) {
    for value in from.fields.get_all(&FieldName::RECORD_ROUTE) {
        to.fields.push(FieldName::RECORD_ROUTE, value);
    }
}
