//! Requests of ours in a dialog that are not of the session: INFO of the user, one after the other, and the OPTIONS that
//! asks whether the peer is still there.

use super::transactions::Owner;
use super::usage::Stage;
use super::{Endpoint, InviteId};
use crate::authentication::Attempts;
use crate::invite::EstablishedEvent;
use sip_message::{FieldName, Method, StatusCode};
use std::collections::VecDeque;
use std::time::Instant;

/// What waits for the one before it: over UDP a later request can overtake an earlier one, which is then refused for its
/// CSeq (RFC 3261 §12.2.2).
#[derive(Debug, Default)]
pub(super) struct Outbox {
    sending: Option<Method>,
    waiting: VecDeque<Letter>,
}

/// One request of the user.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) method: Method,
    pub(super) fields: Vec<(FieldName, Box<str>)>,
    pub(super) content_type: Box<str>,
    pub(super) body: Vec<u8>,
}

/// Requests that wait; what a user wants sent beyond them is dropped.
const WAITING_MAX: usize = 32;

impl Endpoint {
    /// Sends a request in the dialog of a live usage, behind those that are under way.
    pub(super) fn send_in_dialog(&mut self, invite: InviteId, letter: Letter, now: Instant) {
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        let Stage::Established { outbox, .. } = &mut usage.stage else { return };
        let is_allowed = letter.method == Method::NOTIFY
            || usage.peer_allows.as_ref().is_none_or(|methods| methods.contains(&letter.method));
        if matches!(letter.method, Method::INVITE | Method::ACK | Method::CANCEL | Method::BYE)
            || !is_allowed
            || outbox.waiting.len() >= WAITING_MAX
        {
            return;
        }
        outbox.waiting.push_back(letter);
        if outbox.sending.is_none() {
            self.send_next(invite, now);
        }
    }

    /// The request under way has its final response, or will never have one.
    pub(super) fn sent_in_dialog(&mut self, invite: InviteId, status: Option<StatusCode>, now: Instant) {
        let sent = match self.stage_mut(invite) {
            Some(Stage::Established { outbox, .. }) => outbox.sending.take(),
            Some(Stage::Outgoing { .. } | Stage::Incoming { .. }) | None => None,
        };
        // Whoever takes no INFO, and does not even say so, may talk on; so may one that waits for no NOTIFY.
        if status == Some(StatusCode::CALL_TRANSACTION_DOES_NOT_EXIST) && sent != Some(Method::NOTIFY) {
            self.established(invite, EstablishedEvent::Lost { dialog_unknown: true }, now);
        }
        self.send_next(invite, now);
    }

    pub(super) fn probe(&mut self, invite: InviteId, now: Instant) {
        let Some(Stage::Established { dialog, .. }) = self.stage_mut(invite) else { return };
        let (mut request, flow) = (dialog.request(Method::OPTIONS), dialog.flow());
        self.dress_request(&mut request);
        self.start_client(request, flow, Owner::Probe(invite), Attempts::default(), now);
    }

    fn send_next(&mut self, invite: InviteId, now: Instant) {
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        let Stage::Established { machine, dialog, outbox, .. } = &mut usage.stage else { return };
        if !machine.is_live() {
            return outbox.waiting.clear();
        }
        let Some(Letter { method, fields, content_type, body }) = outbox.waiting.pop_front() else { return };
        outbox.sending = Some(method.clone());
        let mut request = dialog.request(method);
        let flow = dialog.flow();
        if request.method == Method::NOTIFY {
            request.header.contact = Some(usage.contact.clone());
        }
        for (name, value) in fields {
            request.header.fields.push(name, value);
        }
        if !body.is_empty() {
            request.set_body(&content_type, body);
        }
        self.dress_request(&mut request);
        self.start_client(request, flow, Owner::InDialog(invite), Attempts::default(), now);
    }
}
