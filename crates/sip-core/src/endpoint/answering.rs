//! The INVITE of a peer, and what requests of it are answered with (RFC 3261 §13.3, §14.2).

use super::compose::{SDP, body_of};
use super::provisional::make_reliable;
use super::transactions::Machine;
use super::usage::{FirstInvite, Stage, Usage, contact};
use super::{Endpoint, TransactionId};
use crate::authentication::Authentication;
use crate::dialog::Dialog;
use crate::invite::{self, Answer, EstablishedEvent, IncomingEvent};
use crate::transaction::key;
use crate::{Incoming, InviteId, Reach, digest};
use sip_message::{FieldName, Header, Method, Request, Response, StatusCode};
use std::time::{Duration, Instant};

impl Endpoint {
    pub(super) fn take(
        &mut self,
        invite: InviteId,
        incoming: Incoming,
        (reach, credentials): (Reach, Option<digest::Identity>),
        now: Instant,
    ) {
        let Incoming { request, flow } = incoming;
        let local_tag = self.random.number();
        let user = request.uri.as_sip().and_then(|uri| uri.decoded_user());
        let is_secure = request.uri.is_secure();
        let dialog = Dialog::from_request(&request, local_tag, flow, reach);
        let call_id = request.header.call_id.clone();
        let first = FirstInvite { cseq: request.header.cseq.number, late_offer: request.body.is_empty() };
        let rseq = self.first_rseq(&request);
        let expires = request.header.fields.delta_seconds(&FieldName::EXPIRES).and_then(Result::ok);
        let expires_at = expires.and_then(|seconds| now.checked_add(Duration::from_secs(seconds.into())));
        // Of a request without a Via, which cannot be parsed, there is no transaction to answer.
        let id = self.start_server(request, flow, Some(invite), now).unwrap_or(TransactionId(0));
        let machine = invite::Incoming::start(id, rseq, expires_at, self.config.timers);
        let provisionals = super::provisional::Provisionals::default();
        let stage = Stage::Incoming { machine, first, dialog, provisionals };
        let contact = contact(user.as_deref(), flow, is_secure);
        let usage = Usage::new(call_id, local_tag, flow, contact, stage);
        let authentication = Authentication::new(credentials);
        self.add_usage(invite, Usage { reach, authentication, ..usage });
        self.send_trying(id, now);
        self.schedule_usage(invite);
    }

    pub(super) fn ring(&mut self, invite: InviteId, status: StatusCode, body: Option<Vec<u8>>, now: Instant) {
        if status.is_provisional() && status != StatusCode::TRYING {
            let body = body.and_then(body_of);
            self.incoming(invite, IncomingEvent::Ring { status, body }, now);
        }
    }

    pub(super) fn reject(
        &mut self,
        invite: InviteId,
        status: StatusCode,
        fields: Vec<(FieldName, Box<str>)>,
        now: Instant,
    ) {
        let refuses = status.is_final() && !status.is_success();
        let status = if refuses { status } else { StatusCode::SERVER_INTERNAL_ERROR };
        self.incoming(invite, IncomingEvent::Reject { status, fields }, now);
    }

    /// The first 2xx.
    pub(super) fn accept(&mut self, invite: InviteId, body: Option<Vec<u8>>, now: Instant) {
        let timers = self.config.timers;
        let transaction = self.stage(invite).and_then(Stage::invite_transaction);
        self.advance(invite, |stage| stage.accepted(body.is_some(), timers, now));
        if let Some(transaction) = transaction {
            self.answer(invite, transaction, Answer::Session(body), now);
        }
    }

    /// Makes and sends the response to a request that waits.
    pub(super) fn answer(&mut self, invite: InviteId, id: TransactionId, answer: Answer, now: Instant) {
        let Some(flow) = self.transactions.get(&id).map(|entry| entry.flow) else { return };
        let Some(mut request) = self.received(id).and_then(|received| received.request.take()) else {
            return;
        };
        let mut response = self.response_for(invite, &request, answer);
        let refreshes = response.status.is_success() && is_of_session(&request.method);
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
            && let Some(Stage::Established { accepted, .. }) = self.stage_mut(invite)
        {
            *accepted = Some((flow, octets.clone()));
        }
        self.give_response(id, status, octets, now);
        if refreshes {
            let agreement = self.usages.get(&invite).and_then(|usage| usage.terms.agreement);
            self.established(invite, EstablishedEvent::SessionTimer(agreement), now);
        }
    }

    fn response_for(&mut self, invite: InviteId, request: &Request, answer: Answer) -> Response {
        let mut response = match answer {
            Answer::Session(body) => self.response_with_session(invite, request, body),
            Answer::Progress { status, body, rseq } => {
                self.provisional_response(invite, request.response(status), body, rseq)
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
            usage.sign(request, &mut response);
        }
        response
    }

    fn response_with_session(
        &mut self,
        invite: InviteId,
        request: &Request,
        body: Option<Vec<u8>>,
    ) -> Response {
        let mut response = request.response(StatusCode::OK);
        if let Some(body) = body {
            if let Some(usage) = self.usages.get_mut(&invite) {
                usage.session.clone_from(&body);
            }
            response.set_body(SDP, body);
        }
        response
    }

    fn provisional_response(
        &mut self,
        invite: InviteId,
        mut response: Response,
        body: Option<Vec<u8>>,
        rseq: Option<u32>,
    ) -> Response {
        if let Some(usage) = self.usages.get_mut(&invite)
            && let Some((_, provisionals)) = usage.stage.provisionals_mut()
        {
            provisionals.sent(rseq, body.is_some());
            if let (Some(_), Some(session)) = (rseq, &body) {
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

    fn send_trying(&mut self, id: TransactionId, now: Instant) {
        if let Some(entry) = self.transactions.get_mut(&id)
            && let Machine::ServerInvite(machine, _) = &mut entry.machine
        {
            machine.try_at_once();
            self.drain(id, now);
        }
    }
}

impl Usage {
    /// Puts into a response what says that it is of this dialog (RFC 3261 §12.1.1).
    fn sign(&self, request: &Request, response: &mut Response) {
        if response.header.to.tag().is_none() {
            response.header.to.parameters.set("tag", Some(&key::tag(self.local_tag)));
        }
        let goes_on = response.status.is_provisional() || response.status.is_success();
        if is_of_session(&request.method) && goes_on {
            response.header.contact = Some(self.contact.clone());
            copy_record_route(&request.header, &mut response.header);
        }
    }
}

/// Its 2xx refreshes the session and the target (RFC 3311 §5, RFC 4028 §9).
fn is_of_session(method: &Method) -> bool {
    *method == Method::INVITE || *method == Method::UPDATE
}

/// RFC 3261 §12.1.1: what makes the dialog tells the peer its route set.
fn copy_record_route(from: &Header, to: &mut Header) {
    for value in from.fields.get_all(&FieldName::RECORD_ROUTE) {
        to.fields.push(FieldName::RECORD_ROUTE, value);
    }
}
