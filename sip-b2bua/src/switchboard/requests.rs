//! Requests outside of dialogs: what phones and strangers ask of the server itself.

use super::{Action, Switchboard};
use crate::journal::RegisterKey;
use crate::moment::Moment;
use crate::registrar::Registration;
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
        let is_tel = |scheme: &str| scheme == "tel" && incoming.request.method == Method::INVITE;
        if let Uri::Other { scheme, .. } = &incoming.request.uri
            && !is_tel(scheme)
        {
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
                let (lines, adopted) = (&self.lines, &self.adopted);
                for (before, after) in moved {
                    self.endpoint.handle_moved(before, after, |invite| {
                        let place = adopted.place_of(invite);
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

    fn refuse_request(&mut self, incoming: &Incoming, status: StatusCode) {
        self.endpoint.respond_statelessly(incoming, incoming.request.response(status));
    }
}

/// 503 with Retry-After.
pub(super) fn unavailable(incoming: &Incoming) -> Response {
    let mut response = incoming.request.response(StatusCode::SERVICE_UNAVAILABLE);
    response.header.fields.push(FieldName::RETRY_AFTER, RETRY_AFTER);
    response
}
