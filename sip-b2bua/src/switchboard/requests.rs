//! Requests outside of dialogs: what phones and strangers ask of the server itself.

use super::*;
use crate::registrar::{Authenticated, Registration};
use sdp::ReceivedOffer;
use sip_message::{FieldName, Method, StatusCode, Uri};

/// REGISTERs that wait for the disk at once; more get 503.
const REGISTERING_MAX: usize = 4096;

impl Switchboard {
    /// The bindings of a REGISTER are on disk: now it is answered.
    pub fn handle_bindings_kept(&mut self, key: &RegisterKey, moment: Moment) {
        if let Some((incoming, response)) = self.registering.remove(key) {
            self.endpoint.respond(&incoming, response, moment.now);
            self.drain_endpoint(moment);
        }
    }

    pub(super) fn handle_request(&mut self, incoming: Incoming, moment: Moment) {
        if let Uri::Other { .. } = incoming.request.uri {
            return self.refuse(&incoming, StatusCode::UNSUPPORTED_URI_SCHEME);
        }
        match &incoming.request.method {
            &Method::REGISTER => self.register(&incoming, moment),
            &Method::OPTIONS => self.options(&incoming),
            &Method::INVITE => self.invite_from_outside(&incoming, moment),
            // The endpoint hands nothing else up.
            Method::Known(_) | Method::Extension(_) => self.refuse(&incoming, StatusCode::NOT_IMPLEMENTED),
        }
    }

    fn register(&mut self, incoming: &Incoming, moment: Moment) {
        let header = &incoming.request.header;
        let key = (header.call_id.clone(), header.cseq.number);
        if self.registering.contains_key(&key) {
            return; // Sent again while the disk is slow.
        }
        if self.registering.len() >= REGISTERING_MAX {
            let mut response = incoming.request.response(StatusCode::SERVICE_UNAVAILABLE);
            response.header.fields.push(FieldName::RETRY_AFTER, "5");
            return self.endpoint.respond_statelessly(incoming, response);
        }
        let random = self.random.next_u64();
        match self.registrar.register(incoming, moment.now, moment.unix_milliseconds, random) {
            Registration::Stateless(response) => self.endpoint.respond_statelessly(incoming, response),
            Registration::Answered { response, changed: None } => {
                self.endpoint.respond(incoming, response, moment.now);
            }
            Registration::Answered { response, changed: Some((user, bindings)) } => {
                self.tell_returned(&user, incoming.flow, moment);
                self.registering.insert(key.clone(), (incoming.clone(), response));
                self.outputs.push_back(Output::KeepBindings { user, bindings, waiting: Some(key) });
            }
            Registration::Dropped => {}
        }
    }

    pub(super) fn keep_bindings(&mut self, changed: impl IntoIterator<Item = Changed>) {
        for (user, bindings) in changed {
            self.outputs.push_back(Output::KeepBindings { user, bindings, waiting: None });
        }
    }

    /// OPTIONS asks what the server can do (RFC 3261 §11.2); everybody may know.
    fn options(&mut self, incoming: &Incoming) {
        let status = if self.draining { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        self.endpoint.respond_statelessly(incoming, incoming.request.response(status));
    }

    /// An INVITE that starts a call of its own: phones are called here, they do not dial.
    fn invite_from_outside(&mut self, incoming: &Incoming, moment: Moment) {
        let random = self.random.next_u64();
        match self.registrar.authenticate(incoming, moment.now, random) {
            Authenticated::Challenge(response) | Authenticated::Refused(response) => {
                self.endpoint.respond_statelessly(incoming, response);
            }
            Authenticated::Dropped => {}
            Authenticated::Extension(_) => {
                let response = self.answer_to_dialling(incoming);
                self.endpoint.respond(incoming, response, moment.now);
            }
        }
    }

    fn answer_to_dialling(&self, incoming: &Incoming) -> Response {
        let request = &incoming.request;
        let fields = &request.header.fields;
        let is_sdp =
            |value: &str| value.split(';').next().is_some_and(|t| t.trim().eq_ignore_ascii_case(SDP));
        let typed_as_sdp = fields.get(&FieldName::CONTENT_TYPE).is_some_and(is_sdp);
        let encoded = fields.get(&FieldName::CONTENT_ENCODING).is_some();
        if !request.body.is_empty() && (!typed_as_sdp || encoded) {
            let mut response = request.response(StatusCode::UNSUPPORTED_MEDIA_TYPE);
            response.header.fields.push(FieldName::ACCEPT, SDP);
            return response;
        }
        let accepts = fields.tokens(&FieldName::ACCEPT);
        let takes_sdp =
            |value: &&str| is_sdp(value) || value.starts_with("*/*") || value.starts_with("application/*");
        if !accepts.is_empty() && !accepts.iter().any(takes_sdp) {
            return request.response(StatusCode::NOT_ACCEPTABLE);
        }
        if !request.body.is_empty() && ReceivedOffer::parse(&request.body).is_err() {
            return request.response(StatusCode::NOT_ACCEPTABLE_HERE);
        }
        let user = request.uri.as_sip().and_then(|uri| uri.decoded_user());
        let known =
            user.and_then(|user| Number::new(&user).ok()).is_some_and(|n| self.extensions.contains_key(&n));
        let status = if known { StatusCode::FORBIDDEN } else { StatusCode::NOT_FOUND };
        let mut response = request.response(status);
        if known {
            response.reason = "Calls are placed through the HTTP API".into();
        }
        response
    }

    fn refuse(&mut self, incoming: &Incoming, status: StatusCode) {
        self.endpoint.respond_statelessly(incoming, incoming.request.response(status));
    }
}

const SDP: &str = "application/sdp";
