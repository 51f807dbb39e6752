//! Our INVITE: sending it, sending it again, taking it back, and its answer (RFC 3261 §9.1, §13.2).

use super::Endpoint;
use super::compose::SDP;
use super::transactions::{Machine, Owner};
use super::usage::{FirstInvite, Stage, Usage, contact};
use crate::authentication::{Attempts, Authentication, Retry};
use crate::dialog::Way;
use crate::invite::{Ending, Held, Outgoing};
use crate::transaction::key;
use crate::{InviteEvent, InviteId, NewInvite};
use sip_message::{FieldName, Method, Reason, Request, Response};
use std::time::Instant;

impl Endpoint {
    pub(super) fn invite(&mut self, invite: InviteId, new: NewInvite, now: Instant) {
        let call_id = self.random.call_id();
        let local_tag = self.tag_of_own_call(&call_id);
        let from = new.from.with_tag(&key::tag(local_tag));
        let is_secure = new.uri.is_secure() || new.route.first().is_some_and(|hop| hop.uri.is_secure());
        let contact = contact(new.contact_user.as_deref(), new.flow, is_secure);
        let first = FirstInvite { cseq: 1, late_offer: new.offer.is_none() };
        let sent_to = Some(new.uri.clone());
        let mut request = Request::new(Method::INVITE, new.uri, from, new.to, call_id.clone(), first.cseq);
        request.header.max_forwards = new.max_forwards.or(request.header.max_forwards);
        request.header.contact = Some(contact.clone());
        for route in &new.route {
            request.header.fields.push(FieldName::ROUTE, route.to_string());
        }
        for (name, value) in new.fields {
            request.header.fields.push(name, value);
        }
        self.ask_for_session_timer(&mut request);
        let reach = new.reach;
        let session = new.offer.clone().unwrap_or_default();
        if let Some(offer) = new.offer {
            request.set_body(SDP, offer);
        }
        self.dress_request(&mut request);
        let stage = Stage::outgoing(Outgoing::start(self.config.timers), first);
        let authentication = Authentication::new(new.credentials);
        let usage = Usage::new(call_id.clone(), local_tag, new.flow, contact, stage);
        self.add_usage(invite, Usage { sent_to, session, authentication, reach, ..usage });
        if new.waits {
            let branch = self.random.number();
            if let Some(Stage::Outgoing { held, .. }) = self.stage_mut(invite) {
                *held = Some(Box::new((request, branch)));
            }
            return self.emit_invite(invite, InviteEvent::Sent { call_id });
        }
        self.emit_invite(invite, InviteEvent::Sent { call_id });
        self.send_invite(invite, request, Attempts::default(), now);
    }

    /// Whether our INVITE waits to be sent.
    pub fn waits(&self, invite: InviteId) -> bool {
        matches!(self.stage(invite), Some(Stage::Outgoing { held: Some(_), .. }))
    }

    /// Our INVITE has waited long enough.
    pub(super) fn send_held(&mut self, invite: InviteId, now: Instant) {
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        let flow = usage.flow;
        let Stage::Outgoing { held, .. } = &mut usage.stage else { return };
        let Some((request, branch)) = held.take().map(|held| *held) else { return };
        let id = self.start_client_as(branch, request, flow, Owner::Invite(invite), Attempts::default(), now);
        if let Some(Stage::Outgoing { transaction, .. }) = self.stage_mut(invite) {
            *transaction = Some(id);
        }
    }

    /// Our INVITE once more, mended.
    pub(super) fn invite_again(&mut self, invite: InviteId, retry: Retry, now: Instant) {
        let Retry { mut request, attempts } = retry;
        request.header.cseq.number = crate::dialog::next_cseq(request.header.cseq.number);
        if let Some(Stage::Outgoing { first, early, .. }) = self.stage_mut(invite) {
            first.cseq = request.header.cseq.number;
            early.clear();
        }
        self.send_invite(invite, request, attempts, now);
    }

    fn send_invite(&mut self, invite: InviteId, request: Request, attempts: Attempts, now: Instant) {
        let Some(flow) = self.usages.get(&invite).map(|usage| usage.flow) else { return };
        let id = self.start_client(request, flow, Owner::Invite(invite), attempts, now);
        if let Some(Stage::Outgoing { transaction, .. }) = self.stage_mut(invite) {
            *transaction = Some(id);
        }
    }

    pub(super) fn cancel(&mut self, invite: InviteId, reason: Option<&Reason>, now: Instant) {
        let Some(id) = self.stage(invite).and_then(Stage::invite_transaction) else { return };
        if let Some(entry) = self.transactions.get(&id)
            && let Machine::ClientInvite(machine, _) = &entry.machine
        {
            let (cancel, flow) = (machine.cancel(reason), entry.flow);
            self.start_cancel(cancel, flow, now);
        }
    }

    /// The first 2xx.
    pub(super) fn establish(
        &mut self,
        invite: InviteId,
        response: Box<Response>,
        ending: Option<Ending>,
        now: Instant,
    ) {
        let timers = self.config.timers;
        let held = self.config.holds_ack.then_some(Held::ForUser);
        let Some(usage) = self.usages.get(&invite) else { return };
        let (flow, sent_to, reach) = (usage.flow, usage.sent_to.clone(), usage.reach);
        let wanted = ending.is_none();
        let way = Way { flow, sent_to: sent_to.as_ref(), reach };
        self.advance(invite, |stage| stage.answered(&response, way, ending, held, timers));
        self.drive(invite, now);
        if wanted {
            self.agree_by_response(invite, &response, now);
            self.emit_invite(invite, InviteEvent::Answered { response });
        }
    }
}
