//! Requests that we send outside of dialogs.

use super::transactions::{Entry, Owner};
use super::{Endpoint, TransactionId};
use crate::authentication::{Attempts, Authentication, give};
use crate::transaction::key;
use crate::{Event, Flow, NewRequest, Outcome, RequestId};
use sip_message::{FieldName, Request, Response};
use std::time::Instant;

/// A request whose outcome is awaited.
#[derive(Debug)]
pub(super) struct Pending {
    flow: Flow,
    authentication: Authentication,
}

impl Endpoint {
    /// Sends a request outside of any dialog. Its outcome comes as [`Event::Response`], exactly once.
    pub fn request(&mut self, new: NewRequest, now: Instant) -> RequestId {
        let id = RequestId(self.next_id());
        let tag = self.random.number();
        let call_id = new.call_id.unwrap_or_else(|| self.random.call_id());
        let from = if new.from.tag().is_some() { new.from } else { new.from.with_tag(&key::tag(tag)) };
        let mut request = Request::new(new.method, new.uri, from, new.to, call_id, new.cseq.unwrap_or(1));
        request.header.contact = new.contact;
        for (name, value) in new.fields {
            request.header.fields.push(name, value);
        }
        if request.header.fields.get(&FieldName::ALLOW).is_none() {
            self.dress_request(&mut request);
        }
        let authentication = Authentication::new(new.credentials);
        self.requests.insert(id, Pending { flow: new.flow, authentication });
        self.start_client(request, new.flow, Owner::Request(id), Attempts::default(), now);
        id
    }

    /// Nobody waits for the outcome of a request any more: it is repeated no more, and what is answered is dropped.
    pub fn forget_request(&mut self, request: RequestId, now: Instant) {
        if self.requests.remove(&request).is_none() {
            return;
        }
        let owner = Owner::Request(request);
        let is_its = |entry: &Entry| entry.machine.sent().is_some_and(|sent| sent.owner == owner);
        let its: Vec<_> =
            self.transactions.iter().filter(|(_, entry)| is_its(entry)).map(|(id, _)| *id).collect();
        for id in its {
            self.abandon(id, now);
        }
    }

    pub(super) fn finish_request(&mut self, request: RequestId, outcome: Outcome) {
        if self.requests.remove(&request).is_some() {
            self.emit(Event::Response { request, outcome });
        }
    }

    /// Sends a request again with the answer to its challenge.
    pub(super) fn retry_request(
        &mut self,
        id: TransactionId,
        request_id: RequestId,
        response: &Response,
        now: Instant,
    ) -> bool {
        let Some(pending) = self.requests.get_mut(&request_id) else { return false };
        let Some((request, mut attempts)) =
            self.transactions.get_mut(&id).and_then(|entry| entry.machine.take_attempts())
        else {
            return false;
        };
        let answer = pending.authentication.answer(request, response, &mut attempts, &mut self.random);
        let Some((field, value)) = answer else { return false };
        let mut request = request.clone();
        request.header.cseq.number = crate::dialog::next_cseq(request.header.cseq.number);
        give(&mut request, field, &value);
        let flow = pending.flow;
        self.start_client(request, flow, Owner::Request(request_id), attempts, now);
        true
    }
}
