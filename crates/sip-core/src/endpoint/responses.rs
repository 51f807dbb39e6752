//! Responses that come in, and responses that never come (RFC 3261 §8.1.3, §17.1.3).

use super::abilities::with_other_options;
use super::compose::body_of;
use super::transactions::{Failure, Machine, Owner};
use super::usage::Stage;
use super::{Endpoint, TransactionId};
use crate::authentication::{Retry, give};
use crate::invite::{EstablishedEvent, OutgoingEvent};
use crate::transaction::key::ClientKey;
use crate::{Flow, GoneCause, InviteId, Outcome};
use sip_message::{FieldName, Method, Response, StatusCode};
use std::time::Instant;

impl Endpoint {
    pub(super) fn handle_response(&mut self, mut response: Response, flow: Flow, now: Instant) {
        // RFC 3261 §8.1.3.3: more than one Via is for somebody else.
        if response.header.via.len() != 1 {
            return;
        }
        let known = ClientKey::of(&response).and_then(|key| self.client_keys.get(&key).copied());
        match known {
            Some(id) if self.is_response_to(id, &response) => {
                let asked = self.transactions.get(&id).map(|entry| entry.flow.remote.ip());
                if asked != Some(flow.remote.ip()) {
                    // Credentials are for whoever was asked: what others would have of us they do not get.
                    response.header.fields.remove(&FieldName::WWW_AUTHENTICATE);
                    response.header.fields.remove(&FieldName::PROXY_AUTHENTICATE);
                }
                self.follow_response(id, flow);
                self.handle_client_response(id, response, now);
            }
            Some(_) => {}
            None => self.handle_stray(response, flow, now),
        }
    }

    /// A 2xx whose transaction is over may come from another branch of a fork (RFC 3261 §13.2.2.4), or too late.
    fn handle_stray(&mut self, response: Response, flow: Flow, now: Instant) {
        if !response.status.is_success() || response.header.cseq.method != Method::INVITE {
            return;
        }
        let tag = response.header.from.tag();
        match tag.and_then(|tag| self.usage_by_tag(tag, &response.header.call_id)) {
            Some(invite) => self.handle_success(invite, response, now),
            None => self.end_late_success(&response, flow, now),
        }
    }

    /// RFC 3261 §17.1.3, and that it is of the same call: nobody else knows the tag.
    fn is_response_to(&self, id: TransactionId, response: &Response) -> bool {
        let request = match self.transactions.get(&id).map(|entry| &entry.machine) {
            Some(Machine::ClientInvite(machine, _)) => machine.invite(),
            Some(Machine::Client(machine, _)) => machine.request(),
            Some(Machine::ServerInvite(..) | Machine::Server(..)) | None => return false,
        };
        let (sent, got) = (&request.header, &response.header);
        got.cseq == sent.cseq && got.call_id == sent.call_id && got.from.tag() == sent.from.tag()
    }

    /// A response that a transaction delivers.
    pub(super) fn deliver(&mut self, id: TransactionId, response: Response, now: Instant) {
        let Some(owner) = self.owner_of(id) else { return };
        if let Owner::Invite(invite) = owner {
            return self.deliver_to_outgoing(invite, id, response, now);
        }
        if response.status.is_provisional() || self.retry(id, owner, &response, now) {
            return;
        }
        match owner {
            // Whatever becomes of a PRACK, the final response to its INVITE tells how the call goes.
            Owner::Invite(_) | Owner::Prack(_) | Owner::Nobody => {}
            Owner::Reinvite(invite) => self.deliver_to_reinvite(invite, id, response, now),
            Owner::Refresh(invite) => match lost_by(response.status) {
                Some(event) => self.established(invite, event, now),
                None => self.deliver_to_refresh(invite, &response, now),
            },
            Owner::Bye(invite) => {
                self.established(invite, EstablishedEvent::ByeDone { unheard: None }, now);
            }
            Owner::InDialog(invite) => self.sent_in_dialog(invite, Some(response.status), now),
            // Whoever answers is there.
            Owner::Probe(invite) => {
                if let Some(event) = lost_by(response.status) {
                    self.established(invite, event, now);
                }
            }
            Owner::Request(request) => self.finish_request(request, Outcome::Final(Box::new(response))),
        }
    }

    /// A client transaction without a final response.
    pub(super) fn fail(&mut self, id: TransactionId, failure: Failure, now: Instant) {
        let Some(owner) = self.owner_of(id) else { return };
        match (owner, failure) {
            (Owner::Nobody | Owner::Prack(_), _) => {}
            (Owner::Invite(invite), Failure::TimedOut) => self.outgoing(invite, OutgoingEvent::TimedOut, now),
            (Owner::Invite(invite), Failure::Unreachable) => {
                self.outgoing(invite, OutgoingEvent::Unreachable, now);
            }
            // RFC 3261 §8.1.3.1: silence counts as a 408, a transport error as a 503.
            (Owner::Reinvite(invite) | Owner::Refresh(invite), Failure::TimedOut) => {
                self.established(invite, EstablishedEvent::Lost { dialog_unknown: false }, now);
            }
            (Owner::Reinvite(invite), Failure::Unreachable) => {
                let event = EstablishedEvent::ReofferRefused(StatusCode::SERVICE_UNAVAILABLE);
                self.established(invite, event, now);
            }
            (Owner::Refresh(invite), Failure::Unreachable) => {
                let event = EstablishedEvent::RefreshRefused { by_update: true };
                self.established(invite, event, now);
            }
            (Owner::InDialog(invite), _) => self.sent_in_dialog(invite, None, now),
            (Owner::Probe(invite), _) => {
                self.established(invite, EstablishedEvent::Lost { dialog_unknown: false }, now);
            }
            (Owner::Bye(invite), failure) => {
                let unheard = Some(match failure {
                    Failure::TimedOut => GoneCause::TimedOut,
                    Failure::Unreachable => GoneCause::Unreachable,
                });
                self.established(invite, EstablishedEvent::ByeDone { unheard }, now);
            }
            (Owner::Request(request), Failure::TimedOut) => self.finish_request(request, Outcome::TimedOut),
            (Owner::Request(request), Failure::Unreachable) => {
                self.finish_request(request, Outcome::Unreachable);
            }
        }
    }

    fn deliver_to_outgoing(&mut self, invite: InviteId, id: TransactionId, response: Response, now: Instant) {
        if response.status.is_success() {
            if let Some(entry) = self.transactions.get_mut(&id)
                && let Machine::ClientInvite(machine, _) = &mut entry.machine
            {
                machine.take_offer();
            }
            return self.handle_success(invite, response, now);
        }
        let response = Box::new(response);
        let event = if response.status.is_provisional() {
            OutgoingEvent::Provisional(response)
        } else if let Some(retry) = self.mended_request(id, invite, &response) {
            OutgoingEvent::Challenged(Box::new(retry))
        } else {
            OutgoingEvent::Failure(response)
        };
        self.outgoing(invite, event, now);
    }

    fn deliver_to_reinvite(&mut self, invite: InviteId, id: TransactionId, response: Response, now: Instant) {
        if response.status.is_success() {
            if self.acknowledge_reinvite(invite, &response) {
                self.keep_offer_of(invite, id);
                self.agree_by_response(invite, &response, now);
                let body = body_of(response.body).unwrap_or_default();
                self.established(invite, EstablishedEvent::Reanswered(body), now);
            }
            return;
        }
        let event = match lost_by(response.status) {
            Some(event) => event,
            None if response.status == StatusCode::REQUEST_PENDING => {
                let owns_call_id = self.stage(invite).is_some_and(Stage::is_ours);
                EstablishedEvent::Glare(self.random.glare(owns_call_id))
            }
            None => EstablishedEvent::ReofferRefused(response.status),
        };
        self.established(invite, event, now);
    }

    /// Answers a challenge to any request but the first INVITE of a usage.
    fn retry(&mut self, id: TransactionId, owner: Owner, response: &Response, now: Instant) -> bool {
        match owner {
            Owner::Invite(_) | Owner::Nobody => false,
            Owner::Reinvite(invite)
            | Owner::InDialog(invite)
            | Owner::Probe(invite)
            | Owner::Bye(invite)
            | Owner::Prack(invite)
            | Owner::Refresh(invite) => {
                let Some(Retry { mut request, attempts }) = self.mended_request(id, invite, response) else {
                    return false;
                };
                let tag = request.header.to.tag().unwrap_or_default();
                let Some(dialog) = self.stage_mut(invite).and_then(|stage| stage.dialog_with(tag)) else {
                    return false;
                };
                request.header.cseq.number = dialog.next_cseq();
                let flow = dialog.flow();
                let id = self.start_client(request, flow, owner, attempts, now);
                if let (Owner::Reinvite(_), Some(Stage::Established { reinvite, .. })) =
                    (owner, self.stage_mut(invite))
                {
                    *reinvite = Some(id);
                }
                true
            }
            Owner::Request(request) => self.retry_request(id, request, response, now),
        }
    }

    /// The session is what we offered, from now on.
    fn keep_offer_of(&mut self, invite: InviteId, id: TransactionId) {
        if let Some(entry) = self.transactions.get_mut(&id)
            && let Machine::ClientInvite(machine, _) = &mut entry.machine
            && let Some(usage) = self.usages.get_mut(&invite)
        {
            usage.session = machine.take_offer();
        }
    }

    /// The request of a transaction once more, without what the response did not like.
    fn mended_request(&mut self, id: TransactionId, invite: InviteId, response: &Response) -> Option<Retry> {
        match response.status {
            StatusCode::SESSION_INTERVAL_TOO_SMALL => self.request_with_larger_interval(id, invite, response),
            StatusCode::BAD_EXTENSION | StatusCode::EXTENSION_REQUIRED => {
                let (request, attempts) = self.transactions.get_mut(&id)?.machine.take_attempts()?;
                Some(Retry { request: with_other_options(request, response)?, attempts })
            }
            _ => self.request_with_credentials(id, invite, response),
        }
    }

    /// The request of a transaction once more, with the answer to the challenge in `response`.
    fn request_with_credentials(
        &mut self,
        id: TransactionId,
        invite: InviteId,
        response: &Response,
    ) -> Option<Retry> {
        let (request, mut attempts) = self.transactions.get_mut(&id)?.machine.take_attempts()?;
        let usage = self.usages.get_mut(&invite)?;
        let (field, value) =
            usage.authentication.answer(request, response, &mut attempts, &mut self.random)?;
        let mut request = request.clone();
        if request.method == Method::INVITE {
            usage.authentication.keep(&field, &value);
        }
        give(&mut request, field, &value);
        Some(Retry { request, attempts })
    }

    fn owner_of(&self, id: TransactionId) -> Option<Owner> {
        Some(self.transactions.get(&id)?.machine.sent()?.owner)
    }
}

/// What ends a dialog (RFC 3261 §12.2.1.2).
fn lost_by(status: StatusCode) -> Option<EstablishedEvent> {
    match status {
        StatusCode::CALL_TRANSACTION_DOES_NOT_EXIST => Some(EstablishedEvent::Lost { dialog_unknown: true }),
        StatusCode::REQUEST_TIMEOUT => Some(EstablishedEvent::Lost { dialog_unknown: false }),
        _ => None,
    }
}
