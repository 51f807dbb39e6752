//! The usages of an endpoint: making them, feeding them, forgetting them.

use super::compose::{SDP, body_of};
use super::outbox::Outbox;
use super::transactions::Owner;
use super::{Due, Endpoint, TransactionId};
use crate::authentication::{Attempts, Authentication};
use crate::dialog::Dialog;
use crate::invite::{
    Action, Agreement, Established, EstablishedEvent, Incoming as IncomingInvite, IncomingEvent, Outgoing,
    OutgoingEvent,
};
use crate::transaction::key;
use crate::{Flow, Incoming, InviteEvent, InviteId, NewInvite, transport};
use sip_message::{CallId, Contacts, FieldName, Method, NameAddr, Reason, Request, StatusCode};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// ACKs that one usage remembers.
const ACKS_MAX: usize = 16;

/// An INVITE usage: its machine, and what its messages are made of.
#[derive(Debug)]
pub(super) struct Usage {
    pub(super) call_id: CallId,
    pub(super) local_tag: u64,
    /// Along which the INVITE went or came.
    pub(super) flow: Flow,
    pub(super) contact: Contacts,
    pub(super) stage: Stage,
    /// From the moment at which it stands for us: our 2xx, or theirs.
    pub(super) dialog: Option<Dialog>,
    /// Early dialogs in which we acknowledged reliable provisional responses, by the tag of the peer.
    pub(super) early: BTreeMap<Box<str>, Dialog>,
    /// The RSeq of our reliable provisional response whose PRACK is awaited.
    pub(super) unacknowledged: Option<u32>,
    /// A reliable provisional response of ours had a body.
    pub(super) session_in_progress: bool,
    /// What the PRACK of it answered, when it made the offer.
    pub(super) early_answer: Option<Vec<u8>>,
    /// The INVITE that made it, or our last re-INVITE.
    pub(super) transaction: Option<TransactionId>,
    /// We sent that INVITE, and so made the Call-ID.
    pub(super) outgoing: bool,
    /// That INVITE had no offer.
    pub(super) late_offer: bool,
    /// CSeq of that INVITE.
    pub(super) invite_cseq: u32,
    /// The session description that the peer has of us: sent again by a refresh.
    pub(super) session: Vec<u8>,
    pub(super) agreement: Option<Agreement>,
    /// The shortest session interval that the peer takes, as it told us.
    pub(super) min_se: Option<Duration>,
    pub(super) intervals_refused: u8,
    /// Its Allow says so.
    pub(super) peer_takes_update: bool,
    /// What its last Allow lists, if it sent one.
    pub(super) peer_allows: Option<Vec<Method>>,
    /// The INVITE with credentials, or a longer session interval, ready to be sent.
    pub(super) retry: Option<(Request, Attempts)>,
    pub(super) authentication: Authentication,
    /// ACKs sent, by the CSeq of their INVITE and the tag of the peer: repeated for repeated 2xx.
    pub(super) acks: BTreeMap<(u32, Box<str>), (Flow, Vec<u8>)>,
    /// So many of them at most: further branches of a fork are not answered.
    pub(super) acks_max: usize,
    /// Our 2xx whose ACK is awaited.
    pub(super) accepted: Option<(Flow, Vec<u8>)>,
    /// INFO and the like of the user: one at a time, so that none overtakes another.
    pub(super) outbox: Outbox,
    /// When the peer sent the last requests that are not of the session.
    pub(super) asked_at: VecDeque<Instant>,
    /// Client INVITE transactions that may still bring a 2xx to acknowledge.
    pub(super) holds: usize,
    /// The user was told that it is over.
    pub(super) gone: bool,
    pub(super) due: Option<Instant>,
}

/// The machine of a usage.
#[derive(Debug)]
pub(super) enum Stage {
    Outgoing(Outgoing),
    Incoming(IncomingInvite),
    Established(Established),
}

impl Endpoint {
    pub(super) fn invite(&mut self, invite: InviteId, new: NewInvite, now: Instant) {
        let call_id = self.random.call_id();
        let local_tag = self.tag_of_own_call(&call_id);
        let from = new.from.with_tag(&key::tag(local_tag));
        let contact = contact(new.contact_user.as_deref(), new.flow);
        let mut request = Request::new(Method::INVITE, new.uri, from, new.to, call_id.clone(), 1);
        request.header.contact = Some(contact.clone());
        for route in &new.route {
            request.header.fields.push(FieldName::ROUTE, route.to_string());
        }
        for (name, value) in new.fields {
            request.header.fields.push(name, value);
        }
        self.ask_for_session_timer(&mut request);
        let late_offer = new.offer.is_none();
        let session = new.offer.clone().unwrap_or_default();
        if let Some(offer) = new.offer {
            request.set_body(SDP, offer);
        }
        self.dress_request(&mut request);
        let stage = Stage::Outgoing(Outgoing::start(self.config.timers));
        let usage = Usage {
            outgoing: true,
            late_offer,
            session,
            authentication: Authentication::new(new.credentials),
            ..Usage::new(call_id.clone(), local_tag, new.flow, contact, stage)
        };
        self.add_usage(invite, usage);
        self.emit_invite(invite, InviteEvent::Sent { call_id });
        self.send_invite(invite, request, Attempts::default(), now);
    }

    pub(super) fn take(&mut self, invite: InviteId, incoming: Incoming, now: Instant) {
        let Incoming { request, flow } = incoming;
        let local_tag = self.random.number();
        let user = request.uri.as_sip().and_then(|uri| uri.decoded_user());
        let dialog = Dialog::from_request(&request, local_tag, flow);
        let call_id = request.header.call_id.clone();
        let (late_offer, invite_cseq) = (request.body.is_empty(), request.header.cseq.number);
        let rseq = self.first_rseq(&request);
        let expires = request.header.fields.delta_seconds(&FieldName::EXPIRES).and_then(Result::ok);
        let expires_at = expires.and_then(|seconds| now.checked_add(Duration::from_secs(seconds.into())));
        let transaction = self.start_server(request, flow, Some(invite), now);
        // Of a request without a Via, which cannot be parsed, there is no transaction to answer.
        let id = transaction.unwrap_or(TransactionId(0));
        let machine = IncomingInvite::start(id, rseq, expires_at, self.config.timers);
        let stage = Stage::Incoming(machine);
        let contact = contact(user.as_deref(), flow);
        let usage = Usage {
            dialog: Some(dialog),
            transaction,
            late_offer,
            invite_cseq,
            ..Usage::new(call_id, local_tag, flow, contact, stage)
        };
        self.add_usage(invite, usage);
        if let Some(id) = transaction {
            self.send_trying(id, now);
        }
        self.schedule_usage(invite);
    }

    pub(super) fn send_invite(
        &mut self,
        invite: InviteId,
        request: Request,
        attempts: Attempts,
        now: Instant,
    ) {
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        usage.invite_cseq = request.header.cseq.number;
        let flow = usage.flow;
        let id = self.start_client(request, flow, Owner::Invite(invite), attempts, now);
        if let Some(usage) = self.usages.get_mut(&invite) {
            usage.transaction = Some(id);
        }
    }

    pub(super) fn hang_up(&mut self, invite: InviteId, reason: Option<Reason>, now: Instant) {
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        match &mut usage.stage {
            Stage::Outgoing(machine) => machine.handle_event(OutgoingEvent::HangUp(reason), now),
            Stage::Incoming(machine) => machine.handle_event(IncomingEvent::HangUp(reason), now),
            Stage::Established(machine) => machine.handle_event(EstablishedEvent::HangUp(reason), now),
        }
        self.drive(invite, now);
    }

    pub(super) fn ring(&mut self, invite: InviteId, status: StatusCode, body: Option<Vec<u8>>, now: Instant) {
        if status.is_provisional() && status != StatusCode::TRYING {
            let body = body.and_then(body_of);
            self.incoming(invite, IncomingEvent::Ring { status, body }, now);
        }
    }

    pub(super) fn accept(&mut self, invite: InviteId, body: Vec<u8>, now: Instant) {
        self.incoming(invite, IncomingEvent::Accept { body }, now);
    }

    pub(super) fn reject(
        &mut self,
        invite: InviteId,
        status: StatusCode,
        fields: Vec<(FieldName, Box<str>)>,
        now: Instant,
    ) {
        let refuses = status.is_final() && !status.is_success();
        let status = if refuses { status } else { StatusCode::SERVER_INTERNAL_ERROR };
        self.incoming(invite, IncomingEvent::Reject { status, fields }, now);
    }

    pub(super) fn acknowledge(&mut self, invite: InviteId, now: Instant) {
        // The answer to the offer of a 2xx goes with its ACK.
        if self.usages.get(&invite).is_some_and(|usage| !usage.late_offer) {
            self.established(invite, EstablishedEvent::Acknowledge, now);
        }
    }

    pub(super) fn outgoing(&mut self, invite: InviteId, event: OutgoingEvent, now: Instant) {
        if let Some(Stage::Outgoing(machine)) = self.usages.get_mut(&invite).map(|usage| &mut usage.stage) {
            machine.handle_event(event, now);
            self.drive(invite, now);
        }
    }

    pub(super) fn incoming(&mut self, invite: InviteId, event: IncomingEvent, now: Instant) {
        if let Some(Stage::Incoming(machine)) = self.usages.get_mut(&invite).map(|usage| &mut usage.stage) {
            machine.handle_event(event, now);
            self.drive(invite, now);
        }
    }

    pub(super) fn established(&mut self, invite: InviteId, event: EstablishedEvent, now: Instant) {
        if let Some(Stage::Established(machine)) = self.usages.get_mut(&invite).map(|usage| &mut usage.stage)
        {
            machine.handle_event(event, now);
            self.drive(invite, now);
        }
    }

    pub(super) fn time_out_usage(&mut self, invite: InviteId, now: Instant) {
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        usage.due = None;
        match &mut usage.stage {
            Stage::Outgoing(machine) => machine.handle_timeout(now),
            Stage::Incoming(machine) => machine.handle_timeout(now),
            Stage::Established(machine) => machine.handle_timeout(now),
        }
        self.drive(invite, now);
    }

    /// Performs what a usage wants done.
    pub(super) fn drive(&mut self, invite: InviteId, now: Instant) {
        while let Some(action) = self.usages.get_mut(&invite).and_then(|usage| usage.stage.poll_action()) {
            self.perform(invite, action, now);
        }
        self.schedule_usage(invite);
    }

    /// A usage outlives its end as long as a 2xx may want an ACK.
    pub(super) fn hold_usage(&mut self, invite: InviteId) {
        if let Some(usage) = self.usages.get_mut(&invite) {
            usage.holds += 1;
        }
    }

    pub(super) fn release_usage(&mut self, invite: InviteId) {
        if let Some(usage) = self.usages.get_mut(&invite) {
            usage.holds = usage.holds.saturating_sub(1);
            self.forget_usage(invite);
        }
    }

    pub(super) fn forget_usage(&mut self, invite: InviteId) {
        if self.usages.get(&invite).is_some_and(|usage| usage.gone && usage.holds == 0)
            && let Some(usage) = self.usages.remove(&invite)
        {
            self.usage_keys.remove(&usage.local_tag);
            if let Some(due) = usage.due {
                self.timetable.remove(&(due, Due::Usage(invite)));
            }
        }
    }

    pub(super) fn usage_by_tag(&self, tag: &str, call_id: &CallId) -> Option<InviteId> {
        let invite = *self.usage_keys.get(&key::number(tag)?)?;
        self.usages.get(&invite).filter(|usage| usage.call_id == *call_id).map(|_| invite)
    }

    pub(super) fn local_tag(&self, invite: InviteId) -> Option<u64> {
        self.usages.get(&invite).map(|usage| usage.local_tag)
    }

    pub(super) fn owns_call_id(&self, invite: InviteId) -> bool {
        self.usages.get(&invite).is_some_and(|usage| usage.outgoing)
    }

    pub(super) fn prepare_retry(&mut self, invite: InviteId, request: Request, attempts: Attempts) {
        if let Some(usage) = self.usages.get_mut(&invite) {
            usage.retry = Some((request, attempts));
        }
    }

    pub(super) fn add_usage(&mut self, invite: InviteId, usage: Usage) {
        self.usage_keys.insert(usage.local_tag, invite);
        self.usages.insert(invite, usage);
    }

    fn schedule_usage(&mut self, invite: InviteId) {
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        let due = usage.stage.poll_timeout();
        if due != usage.due {
            if let Some(old) = std::mem::replace(&mut usage.due, due) {
                self.timetable.remove(&(old, Due::Usage(invite)));
            }
            self.timetable.extend(due.map(|due| (due, Due::Usage(invite))));
        }
    }
}

impl Usage {
    /// One of which nothing else is known yet.
    pub(super) fn new(call_id: CallId, local_tag: u64, flow: Flow, contact: Contacts, stage: Stage) -> Self {
        Self {
            call_id,
            local_tag,
            flow,
            contact,
            stage,
            dialog: None,
            early: BTreeMap::new(),
            unacknowledged: None,
            session_in_progress: false,
            early_answer: None,
            transaction: None,
            outgoing: false,
            late_offer: false,
            invite_cseq: 1,
            session: Vec::new(),
            agreement: None,
            min_se: None,
            intervals_refused: 0,
            peer_takes_update: false,
            peer_allows: None,
            retry: None,
            authentication: Authentication::new(None),
            acks: BTreeMap::new(),
            acks_max: ACKS_MAX,
            accepted: None,
            outbox: Outbox::default(),
            asked_at: VecDeque::new(),
            holds: 0,
            gone: false,
            due: None,
        }
    }

    /// The dialog with the peer of that tag, early or not.
    pub(super) fn dialog_with(&mut self, tag: &str) -> Option<&mut Dialog> {
        self.early.get_mut(tag).or(self.dialog.as_mut())
    }
}

impl Stage {
    fn poll_action(&mut self) -> Option<Action> {
        match self {
            Self::Outgoing(machine) => machine.poll_action(),
            Self::Incoming(machine) => machine.poll_action(),
            Self::Established(machine) => machine.poll_action(),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Outgoing(machine) => machine.poll_timeout(),
            Self::Incoming(machine) => machine.poll_timeout(),
            Self::Established(machine) => machine.poll_timeout(),
        }
    }
}

/// Our Contact on another way.
pub(super) fn moved(old: &Contacts, flow: Flow) -> Contacts {
    let user = match old {
        Contacts::List(list) => list.first().and_then(|address| address.uri.as_sip()?.decoded_user()),
        Contacts::Star => None,
    };
    contact(user.as_deref(), flow)
}

pub(super) fn contact(user: Option<&str>, flow: Flow) -> Contacts {
    Contacts::List(vec![NameAddr::new(transport::contact(user, flow))])
}
