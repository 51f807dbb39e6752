//! What usages want done, turned into messages.

use super::Endpoint;
use super::compose::SDP;
use super::transactions::Owner;
use super::usage::Stage;
use crate::authentication::Attempts;
use crate::invite::Action;
use crate::{Event, InviteEvent, InviteId};
use sip_message::{FieldName, Method, Reason};
use std::time::Instant;

impl Endpoint {
    pub(super) fn perform(&mut self, invite: InviteId, action: Action, now: Instant) {
        match action {
            Action::Emit(event) => self.emit_invite(invite, event),
            Action::Retry(retry) => self.invite_again(invite, *retry, now),
            Action::Prack { response, rseq } => self.prack(invite, &response, rseq, now),
            Action::RepeatProvisional => {
                if let Some(id) = self.stage(invite).and_then(Stage::invite_transaction) {
                    self.repeat(id, now);
                }
            }
            Action::Cancel(reason) => self.cancel(invite, reason.as_ref(), now),
            Action::Abandon => {
                if let Some(id) = self.stage(invite).and_then(Stage::invite_transaction) {
                    self.abandon(id, now);
                }
            }
            Action::Establish { response, ending } => self.establish(invite, response, ending, now),
            Action::Accept { body } => self.accept(invite, body, now),
            Action::Respond { transaction, answer } => self.answer(invite, transaction, answer, now),
            Action::RepeatAccepted => {
                if let Some(Stage::Established { accepted: Some((flow, octets)), .. }) = self.stage(invite) {
                    let (flow, octets) = (*flow, octets.clone());
                    self.send(flow, octets);
                }
            }
            Action::Acknowledge { body } => self.acknowledge_first(invite, body),
            Action::Reinvite { body } => self.reinvite(invite, body, now),
            Action::Update => self.refresh_by_update(invite, now),
            Action::Probe => self.probe(invite, now),
            Action::Bye { reason, watched } => self.bye(invite, reason.as_ref(), watched, now),
        }
    }

    pub(super) fn emit_invite(&mut self, invite: InviteId, mut event: InviteEvent) {
        if let InviteEvent::Confirmed { body } = &mut event
            && let Some((_, provisionals)) = self.stage_mut(invite).and_then(Stage::provisionals_mut)
        {
            *body = body.take().or(provisionals.answer.take());
        }
        let gone = matches!(event, InviteEvent::Gone(_));
        // Nothing is told behind `Gone`.
        if self.usages.get(&invite).is_none_or(|usage| !usage.gone) {
            self.emit(Event::Invite { invite, event });
        }
        if gone && let Some(usage) = self.usages.get_mut(&invite) {
            usage.is_gone();
            self.forget_usage(invite);
        }
    }

    fn reinvite(&mut self, invite: InviteId, body: Option<Vec<u8>>, now: Instant) {
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        let Stage::Established { dialog, first, .. } = &mut usage.stage else { return };
        usage.acks.keep_only_of(first.cseq);
        let mut request = dialog.request(Method::INVITE);
        let flow = dialog.flow();
        request.header.contact = Some(usage.contact.clone());
        request.set_body(SDP, body.unwrap_or_else(|| usage.session.clone()));
        usage.terms.keep_in(&mut request);
        usage.identity.tell_in(&mut request);
        self.dress_request(&mut request);
        let id = self.start_client(request, flow, Owner::Reinvite(invite), Attempts::default(), now);
        if let Some(Stage::Established { reinvite, .. }) = self.stage_mut(invite) {
            *reinvite = Some(id);
        }
    }

    fn bye(&mut self, invite: InviteId, reason: Option<&Reason>, watched: bool, now: Instant) {
        let Some(Stage::Established { dialog, .. }) = self.stage_mut(invite) else { return };
        let mut bye = dialog.request(Method::BYE);
        let flow = dialog.flow();
        if let Some(reason) = reason {
            bye.header.fields.push(FieldName::REASON, reason.to_string());
        }
        self.dress_request(&mut bye);
        let owner = if watched { Owner::Bye(invite) } else { Owner::Nobody };
        self.start_client(bye, flow, owner, Attempts::default(), now);
    }
}
