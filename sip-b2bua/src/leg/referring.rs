//! A phone that transfers the call (RFC 3515, RFC 5589): it is told how that goes.

use super::outgoing::ForkState;
use super::{Leg, LegEvent, State};
use sip_core::{Command, Incoming, Responder};
use sip_message::{FieldName, Method, StatusCode};

/// A REFER that waits for its answer.
#[derive(Debug)]
pub(crate) struct Refer {
    responder: Responder,
    pub(crate) incoming: Box<Incoming>,
}

/// What the phone of a leg has asked for.
#[derive(Debug, Default)]
pub(super) struct Referring {
    /// How often it was granted something.
    count: u32,
    current: Option<Subscription>,
}

/// What it waits for.
#[derive(Debug)]
struct Subscription {
    /// The value of Event.
    event: Box<str>,
    fork: usize,
}

const SIPFRAG: &str = "message/sipfrag;version=2.0";
/// How long a phone waits for the outcome, in seconds: longer than anybody is rung.
const EXPIRES: &str = "active;expires=300";
const OVER: &str = "terminated;reason=noresource";

impl Leg {
    pub(super) fn referred(&mut self, from_fork: usize, responder: Responder, incoming: Incoming) {
        let talks = matches!(&self.state, State::Talking(talk) if talk.fork == from_fork);
        let refer = Refer { responder, incoming: Box::new(incoming) };
        if talks {
            return self.tell(LegEvent::Refers(refer));
        }
        self.refuse_refer(refer, StatusCode::FORBIDDEN, Vec::new());
    }

    /// What a phone asks for cannot be done, or not before it has proven itself.
    pub(crate) fn refuse_refer(
        &mut self,
        refer: Refer,
        status: StatusCode,
        fields: Vec<(FieldName, Box<str>)>,
    ) {
        self.sip(Command::Respond { responder: refer.responder, status, fields });
    }

    /// It will be tried; [`Leg::notify`] says what became of it, unless the phone does not want to know (RFC 4488).
    pub(crate) fn accept_refer(&mut self, refer: Refer) {
        let Refer { responder, incoming } = refer;
        let header = &incoming.request.header;
        let does_not_want = header.fields.get(&FieldName::REFER_SUB).is_some_and(|value| {
            value.split(';').next().is_some_and(|value| value.trim().eq_ignore_ascii_case("false"))
        });
        // RFC 3515 §2.4.6: with a name, where there were others before it.
        let event = match self.referring.count {
            0 => "refer".into(),
            _ => format!("refer;id={}", header.cseq.number).into(),
        };
        self.referring.count = self.referring.count.saturating_add(1);
        let fork = self.talking_fork();
        self.referring.current = fork.filter(|_| !does_not_want).map(|fork| Subscription { event, fork });
        let fields = if does_not_want { vec![(FieldName::REFER_SUB, "false".into())] } else { Vec::new() };
        self.sip(Command::Respond { responder, status: StatusCode::ACCEPTED, fields });
    }

    /// Tells the phone what has become of what it asked for: a final status is the last that it hears of it.
    pub(crate) fn notify(&mut self, status: u16) {
        let is_over = status >= 200;
        let Some(Subscription { event, fork }) = &self.referring.current else { return };
        let (Some(status), ForkState::Answered) = (StatusCode::new(status), self.forks[*fork].state) else {
            return;
        };
        let state = if is_over { OVER } else { EXPIRES };
        let fields = vec![(FieldName::EVENT, event.clone()), (FieldName::SUBSCRIPTION_STATE, state.into())];
        let invite = self.invite(*fork);
        if is_over {
            self.referring.current = None;
        }
        let body = format!("SIP/2.0 {} {}\r\n", status.code(), status.reason()).into_bytes();
        self.sip(Command::Request {
            invite,
            method: Method::NOTIFY,
            fields,
            content_type: SIPFRAG.into(),
            body,
        });
    }
}
