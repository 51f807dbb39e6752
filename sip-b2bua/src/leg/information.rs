//! What a phone says in an INFO (RFC 6086 §2, "legacy" use): digits, a wish for a fresh picture. Answered here, at
//! once; passed on to the other party, which may refuse it.

use super::outgoing::ForkState;
use super::{Leg, LegEvent, State};
use sip_core::{Command, Incoming, Responder};
use sip_message::{FieldName, Method, StatusCode};

/// The body of an INFO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Information {
    /// Its Content-Type.
    pub(crate) content_type: Box<str>,
    pub(crate) body: Vec<u8>,
}

/// Digits have thirty octets, the longest that phones send some hundreds.
const BODY_OCTETS_MAX: usize = 2_048;

impl Leg {
    /// An INFO of a phone, or a REFER. Whatever it says is for those who talk: nobody else is told.
    pub(super) fn requested(&mut self, from_fork: usize, responder: Responder, incoming: Incoming) {
        if incoming.request.method == Method::REFER {
            return self.referred(from_fork, responder, incoming);
        }
        let Incoming { request, .. } = incoming;
        let content_type = request.header.fields.get(&FieldName::CONTENT_TYPE).map(Box::from);
        let is_too_large = request.body.len() > BODY_OCTETS_MAX;
        let status = if is_too_large { StatusCode::REQUEST_ENTITY_TOO_LARGE } else { StatusCode::OK };
        self.sip(Command::Respond { responder, status, fields: Vec::new() });
        let talks = matches!(&self.state, State::Talking(talk) if talk.fork == from_fork);
        if let Some(content_type) = content_type
            && talks
            && !is_too_large
            && !request.body.is_empty()
        {
            self.tell(LegEvent::Informed(Information { content_type, body: request.body }));
        }
    }

    /// Says to the party what the other one had to say.
    pub(crate) fn inform(&mut self, information: Information) {
        let State::Talking(talk) = &self.state else { return };
        if let ForkState::Answered = self.forks[talk.fork].state {
            let Information { content_type, body } = information;
            let invite = self.invite(talk.fork);
            let (method, fields) = (Method::INFO, Vec::new());
            self.sip(Command::Request { invite, method, fields, content_type, body });
        }
    }
}
