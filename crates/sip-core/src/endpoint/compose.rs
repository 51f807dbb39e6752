//! What every message of ours carries (RFC 3261 §8.1.1, §8.2.6).

use super::Endpoint;
use super::amplification::fitted;
use crate::transaction::key;
use crate::{Flow, Incoming, transport};
use sip_message::{FieldName, Header, Method, Reason, Request, Response};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

/// The content type of session descriptions.
pub(super) const SDP: &str = "application/sdp";

/// Seconds after which somebody whom we turned away for want of room may come again.
pub(super) const RETRY_AFTER_OVERLOAD: &str = "10";

impl Endpoint {
    /// User-Agent, and our abilities where the far side wants to know them.
    pub(super) fn dress_request(&self, request: &mut Request) {
        let fields = &mut request.header.fields;
        if fields.get(&FieldName::USER_AGENT).is_none() {
            fields.push(FieldName::USER_AGENT, &self.config.user_agent);
        }
        self.abilities.tell_in_request(request);
    }

    /// Server, and what a 2xx or a 405 tells of our abilities.
    pub(super) fn dress_response(&self, response: &mut Response) {
        let fields = &mut response.header.fields;
        if fields.get(&FieldName::SERVER).is_none() {
            fields.push(FieldName::SERVER, &self.config.user_agent);
        }
        self.abilities.tell_in_response(response);
    }

    pub(super) fn send_statelessly(&mut self, request: &Request, mut response: Response, flow: Flow) {
        if request.method == Method::ACK {
            return;
        }
        if response.header.to.tag().is_none() && response.status.is_final() {
            let tag = key::tag(self.stateless_tag(request));
            response.header.to.parameters.set("tag", Some(&tag));
        }
        self.dress_response(&mut response);
        let flow = transport::response_flow(request.header.via.first(), flow);
        if let Some(octets) = fitted(request, response, flow) {
            self.send(flow, octets);
        }
    }

    /// Answers a request outside of dialogs once and keeps nothing: for strangers (RFC 3261 §8.2.7). The To tag is a hash
    /// of the request, so that retransmissions get the same answer.
    pub fn respond_statelessly(&mut self, incoming: &Incoming, response: Response) {
        self.send_statelessly(&incoming.request, response, incoming.flow);
    }

    /// Answers a request outside of dialogs through a server transaction, which repeats the response to retransmissions
    /// (and, for an INVITE, until the ACK). A To tag is added.
    pub fn respond(&mut self, incoming: &Incoming, mut response: Response, now: Instant) {
        let Incoming { request, flow } = incoming;
        if request.method == Method::ACK {
            return;
        }
        if response.header.to.tag().is_none() {
            // The tag of a CANCEL has to be the one of its INVITE (RFC 3261 §9.2): both are hashes of the same.
            let tag = key::tag(self.stateless_tag(request));
            response.header.to.parameters.set("tag", Some(&tag));
        }
        self.dress_response(&mut response);
        let (status, octets) = (response.status, response.print());
        let known = key::ServerKey::of(request).and_then(|key| self.server_keys.get(&key).copied());
        let id = match known {
            Some(id) => Some(id),
            None => self.start_answered_server(request, Vec::new(), *flow, None, now),
        };
        if let Some(id) = id {
            self.give_response(id, status, octets, now);
        }
    }

    /// A To tag that is the same for each copy of a request, and for the CANCEL of an INVITE.
    pub(super) fn stateless_tag(&self, request: &Request) -> u64 {
        let header = &request.header;
        let mut hasher = DefaultHasher::new();
        self.secret.hash(&mut hasher);
        header.call_id.hash(&mut hasher);
        header.from.tag().hash(&mut hasher);
        header.cseq.number.hash(&mut hasher);
        header.via.first().and_then(|via| via.branch()).hash(&mut hasher);
        hasher.finish()
    }
}

/// The first Reason that can be read (RFC 3326).
pub(crate) fn reason_of(header: &Header) -> Option<Reason> {
    let value = header.fields.get(&FieldName::REASON)?;
    Reason::parse_list(value).ok()?.into_iter().next()
}

/// The body, if there is one.
pub(super) fn body_of(body: Vec<u8>) -> Option<Vec<u8>> {
    (!body.is_empty()).then_some(body)
}
