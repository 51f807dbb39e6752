//! Requests outside of dialogs: what phones and strangers ask of the server itself.

use super::{Action, Switchboard};
use crate::journal::RegisterKey;
use crate::media;
use crate::moment::Moment;
use crate::place::Place;
use crate::registrar::{Authenticated, Registration};
use call_control::Number;
use rand::RngCore;
use sip_core::Incoming;
use sip_message::{FieldName, Method, Response, StatusCode, Uri};
use std::collections::BTreeMap;

/// REGISTERs that wait for the disk at once; more get 503.
const REGISTERING_MAX: usize = 4096;

/// When a phone may try again whose registration could not be written, in seconds.
const RETRY_AFTER: &str = "5";

/// REGISTERs whose answer waits for the disk.
#[derive(Debug, Default)]
pub(super) struct Registering {
    waiting: BTreeMap<RegisterKey, WaitingRegister>,
}

#[derive(Debug)]
struct WaitingRegister {
    user: Box<str>,
    incoming: Incoming,
    response: Response,
}

impl Registering {
    fn has(&self, key: &RegisterKey) -> bool {
        self.waiting.contains_key(key)
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= REGISTERING_MAX
    }

    fn add(&mut self, key: RegisterKey, register: WaitingRegister) {
        self.waiting.insert(key, register);
    }

    fn take(&mut self, key: &RegisterKey) -> Option<WaitingRegister> {
        self.waiting.remove(key)
    }
}

impl Switchboard {
    /// The bindings of a REGISTER are on disk: they take effect, and it is answered.
    pub(super) fn answer_register(&mut self, key: &RegisterKey, moment: Moment) {
        if let Some(WaitingRegister { user, incoming, response }) = self.registering.take(key) {
            self.registrar.written(&user);
            self.endpoint.respond(&incoming, response, moment.now);
        }
    }

    /// They cannot be written now: all is as if it had not come.
    pub(super) fn refuse_register(&mut self, key: &RegisterKey, moment: Moment) {
        if let Some(WaitingRegister { user, incoming, .. }) = self.registering.take(key) {
            if let Some((user, bindings)) = self.registrar.take_back(&user) {
                self.journal.keep_bindings(user, bindings, None);
            }
            self.endpoint.respond(&incoming, unavailable(&incoming), moment.now);
        }
    }

    pub(super) fn handle_request(&mut self, incoming: Incoming, moment: Moment) {
        if let Uri::Other { .. } = incoming.request.uri {
            return self.refuse_request(&incoming, StatusCode::UNSUPPORTED_URI_SCHEME);
        }
        match &incoming.request.method {
            &Method::REGISTER => self.register(&incoming, moment),
            &Method::OPTIONS => self.options(&incoming),
            &Method::INVITE => self.invite_from_outside(&incoming, moment),
            // The endpoint hands nothing else up.
            Method::Known(_) | Method::Extension(_) => {
                self.refuse_request(&incoming, StatusCode::NOT_IMPLEMENTED)
            }
        }
    }

    fn register(&mut self, incoming: &Incoming, moment: Moment) {
        let header = &incoming.request.header;
        let key = (header.call_id.clone(), header.cseq.number);
        if self.registering.has(&key) {
            return; // Sent again while the disk is slow.
        }
        if self.registering.is_full() {
            return self.endpoint.respond_statelessly(incoming, unavailable(incoming));
        }
        let random = self.random.next_u64();
        let registration = self.registrar.register(incoming, moment.now, moment.unix_milliseconds, random);
        if let Registration::Answered { user, .. } = &registration {
            self.actions.push_back(Action::Trust { flow: incoming.flow, user: user.clone() });
        }
        match registration {
            Registration::Stateless(response) => self.endpoint.respond_statelessly(incoming, response),
            Registration::Answered { response, changed: None, .. } => {
                self.endpoint.respond(incoming, response, moment.now);
            }
            Registration::Answered { response, changed: Some((user, bindings)), moved, .. } => {
                // Only its own: others may share a proxy or a NAT with it.
                let lines = &self.lines;
                for (before, after) in moved {
                    self.endpoint.handle_moved(before, after, |invite| {
                        let place = Place::from(invite);
                        lines.is_of(place.call, place.leg, &user)
                    });
                }
                let (endpoint, journal) = (&mut self.endpoint, &mut self.journal);
                self.left_behind.tell_returned(&user, incoming.flow, endpoint, journal, moment);
                let (user_name, incoming) = (user.clone(), incoming.clone());
                self.registering.add(key.clone(), WaitingRegister { user: user_name, incoming, response });
                self.journal.keep_bindings(user, bindings, Some(key));
            }
            Registration::Dropped => {}
        }
    }

    /// OPTIONS asks what the server can do (RFC 3261 §11.2); everybody may know.
    fn options(&mut self, incoming: &Incoming) {
        let status =
            if self.admission.is_draining() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
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
            Authenticated::Extension(user) => {
                self.actions.push_back(Action::Trust { flow: incoming.flow, user: user.clone() });
                if !self.is_dialled(&user, incoming, moment) {
                    let response = self.answer_to_dialling(incoming);
                    self.endpoint.respond(incoming, response, moment.now);
                }
            }
        }
    }

    /// Whether the phone of `user` may call, and calls now.
    fn is_dialled(&mut self, user: &str, incoming: &Incoming, moment: Moment) -> bool {
        let callee = incoming.request.uri.as_sip().and_then(|uri| uri.decoded_user());
        let (Ok(caller), Some(Ok(callee))) = (Number::new(user), callee.map(|callee| Number::new(&callee)))
        else {
            return false;
        };
        self.directory.has(&callee) && self.dialled(&caller, &callee, incoming, moment)
    }

    pub(super) fn answer_to_dialling(&self, incoming: &Incoming) -> Response {
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
        if !request.body.is_empty() && media::read_offer(&request.body, incoming.flow).is_err() {
            return request.response(StatusCode::NOT_ACCEPTABLE_HERE);
        }
        let user = request.uri.as_sip().and_then(|uri| uri.decoded_user());
        let known =
            user.and_then(|user| Number::new(&user).ok()).is_some_and(|number| self.directory.has(&number));
        let status = if known { StatusCode::FORBIDDEN } else { StatusCode::NOT_FOUND };
        let mut response = request.response(status);
        if known {
            response.reason = "Calls are placed through the HTTP API".into();
        }
        response
    }

    fn refuse_request(&mut self, incoming: &Incoming, status: StatusCode) {
        self.endpoint.respond_statelessly(incoming, incoming.request.response(status));
    }
}

const SDP: &str = "application/sdp";

/// 503 with Retry-After.
pub(super) fn unavailable(incoming: &Incoming) -> Response {
    let mut response = incoming.request.response(StatusCode::SERVICE_UNAVAILABLE);
    response.header.fields.push(FieldName::RETRY_AFTER, RETRY_AFTER);
    response
}
