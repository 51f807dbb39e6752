//! Requests that come in: which transaction, dialog or user they are for (RFC 3261 §8.2, §17.2.3).

use super::abilities::refusal_of;
use super::compose::{RETRY_AFTER_OVERLOAD, SDP};
use super::transactions::Machine;
use super::{Endpoint, TransactionId};
use crate::invite::IncomingEvent;
use crate::transaction::key::{self, MergeKey, ServerKey};
use crate::{Event, Flow, Incoming, InviteId, transport};
use sip_message::{FieldName, FramingError, Message, Method, Request, Salvage, StatusCode};
use std::time::Instant;

impl Endpoint {
    /// One datagram, or one message that was cut from a stream.
    pub fn handle_octets(&mut self, octets: &[u8], flow: Flow, now: Instant) {
        let read = Message::parse(octets).map(|mut message| {
            message.unwrap_part(SDP);
            message
        });
        match read {
            Ok(Message::Request(request)) => self.handle_request(request, flow, now),
            Ok(Message::Response(response)) => self.handle_response(response, flow, now),
            Err(error) => self.refuse_unreadable(error.salvage, flow),
        }
    }

    /// A stream that cannot be cut into messages any more: what can be answered is, before its connection is closed.
    pub fn handle_unframed(&mut self, error: &FramingError, flow: Flow) {
        self.refuse_unreadable(error.salvage(), flow);
    }

    /// Answers what can be answered of a message that cannot be read.
    fn refuse_unreadable(&mut self, salvage: Option<Box<Salvage>>, flow: Flow) {
        let Some(mut salvage) = salvage else { return };
        transport::mark_source(&mut salvage.request, flow);
        let mut response = salvage.request.response(salvage.status);
        response.reason = salvage.reason;
        self.send_statelessly(&salvage.request, response, flow);
    }

    fn handle_request(&mut self, mut request: Request, flow: Flow, now: Instant) {
        transport::mark_source(&mut request, flow);
        let Some(key) = ServerKey::of(&request) else { return };
        let known = self.server_keys.get(&key).copied();
        if request.method == Method::ACK {
            return self.handle_ack(request, known, now);
        }
        if let Some(id) = known {
            return self.repeat(id, now);
        }
        if let Some(mistake) = mistake_in(&request) {
            let mut response = request.response(StatusCode::BAD_REQUEST);
            response.reason = format!("Bad Request ({mistake})").into();
            return self.send_statelessly(&request, response, flow);
        }
        if request.method == Method::CANCEL {
            return self.handle_cancel(request, flow, now);
        }
        if self.transactions.len() >= self.config.transactions_max {
            let mut response = request.response(StatusCode::SERVICE_UNAVAILABLE);
            response.header.fields.push(FieldName::RETRY_AFTER, RETRY_AFTER_OVERLOAD);
            return self.send_statelessly(&request, response, flow);
        }
        if let Some(response) = self.abilities.bad_extension(&request) {
            return self.send_statelessly(&request, response, flow);
        }
        if let Some(response) = self.interval_too_small(&request) {
            return self.send_statelessly(&request, response, flow);
        }
        if request.header.to.tag().is_some() {
            match self.usage_of_request(&request) {
                Some(invite) => self.handle_in_dialog(invite, request, flow, now),
                None => self.answer_statelessly(&request, StatusCode::CALL_TRANSACTION_DOES_NOT_EXIST, flow),
            }
            return;
        }
        // RFC 3261 §8.2.2.2: the same request reached us over another way.
        if MergeKey::of(&request).is_some_and(|key| self.merge_keys.has(&key)) {
            return self.answer_statelessly(&request, StatusCode::LOOP_DETECTED, flow);
        }
        self.handle_outside_of_dialogs(request, flow);
    }

    fn handle_outside_of_dialogs(&mut self, request: Request, flow: Flow) {
        let method = &request.method;
        if self.abilities.are_of_user(method) {
            self.emit(Event::Request(Incoming { request, flow }));
        } else if *method == Method::OPTIONS {
            self.answer_statelessly(&request, StatusCode::OK, flow);
        } else if self.abilities.include(method) {
            // It has its place in a dialog, and names none (RFC 3261 §12.2.2, §15.1.2).
            self.answer_statelessly(&request, StatusCode::CALL_TRANSACTION_DOES_NOT_EXIST, flow);
        } else {
            let status = refusal_of(method);
            self.answer_statelessly(&request, status, flow);
        }
    }

    /// A copy of a request that we know.
    pub(super) fn repeat(&mut self, id: TransactionId, now: Instant) {
        let Some(entry) = self.transactions.get_mut(&id) else { return };
        match &mut entry.machine {
            Machine::ServerInvite(machine, _) => machine.handle_retransmission(),
            Machine::Server(machine, _) => machine.handle_retransmission(),
            Machine::ClientInvite(..) | Machine::Client(..) => {}
        }
        self.drain(id, now);
    }

    /// An ACK that matches nothing is absorbed.
    fn handle_ack(&mut self, ack: Request, known: Option<TransactionId>, now: Instant) {
        if let Some(id) = known
            && let Some(entry) = self.transactions.get_mut(&id)
            && let Machine::ServerInvite(machine, _) = &mut entry.machine
            && machine.takes_ack()
        {
            machine.handle_ack(now);
            return self.drain(id, now);
        }
        if let Some(invite) = self.usage_of_request(&ack) {
            self.handle_ack_of_success(invite, ack, now);
        }
    }

    /// RFC 3261 §9.2. Never challenged, and no Require in it is looked at.
    fn handle_cancel(&mut self, cancel: Request, flow: Flow, now: Instant) {
        let key = ServerKey::cancelled_by(&cancel);
        let Some(id) = key.and_then(|key| self.server_keys.get(&key).copied()) else {
            return self.answer_statelessly(&cancel, StatusCode::CALL_TRANSACTION_DOES_NOT_EXIST, flow);
        };
        let invite = self.received(id).and_then(|received| received.invite);
        let mut response = cancel.response(StatusCode::OK);
        if response.header.to.tag().is_none()
            && let Some(tag) = invite.and_then(|invite| self.usages.get(&invite)).map(|usage| usage.local_tag)
        {
            response.header.to.parameters.set("tag", Some(&key::tag(tag)));
        }
        let reason = super::reason_of(&cancel.header);
        self.respond(&Incoming { request: cancel, flow }, response, now);
        if let Some(invite) = invite {
            self.incoming(invite, IncomingEvent::Cancelled(reason), now);
        }
    }

    /// The usage whose local tag is the To tag.
    fn usage_of_request(&self, request: &Request) -> Option<InviteId> {
        self.usage_by_tag(request.header.to.tag()?, &request.header.call_id)
    }

    /// A final response without a body that needs no state.
    pub(super) fn answer_statelessly(&mut self, request: &Request, status: StatusCode, flow: Flow) {
        self.send_statelessly(request, request.response(status), flow);
    }
}

/// What can be read of a request, and still cannot be meant: it would be taken for something else. A tag and a branch that
/// are absent are those of RFC 2543.
fn mistake_in(request: &Request) -> Option<&'static str> {
    let header = &request.header;
    let is_empty = |value: Option<Option<&str>>| value.is_some_and(|value| value.is_none_or(str::is_empty));
    let fields = &header.fields;
    if is_empty(header.from.parameters.get("tag")) {
        Some("empty tag in From")
    } else if is_empty(header.to.parameters.get("tag")) {
        Some("empty tag in To")
    } else if header.via.first().is_some_and(|via| is_empty(via.parameters.get("branch"))) {
        Some("empty branch in Via")
    } else if fields.addresses(&FieldName::ROUTE).is_err() {
        Some("malformed Route")
    } else if fields.addresses(&FieldName::RECORD_ROUTE).is_err() {
        Some("malformed Record-Route")
    } else {
        None
    }
}
