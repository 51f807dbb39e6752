//! What is kept of an INVITE outside of this process, so that after a crash somebody can still end it.

use super::Endpoint;
use super::transactions::{Machine, Owner};
use super::usage::{FirstInvite, Stage, Usage, contact};
use crate::dialog::Dialog;
use crate::invite::{Established, Outgoing};
use crate::transaction::key;
use crate::{Gone, GoneCause, InviteEvent, InviteId, SavedInvite, transport};
use sip_message::{FieldName, Message, Method, Reason, Request};
use std::time::Instant;

impl Endpoint {
    /// What is to be kept of an INVITE that has rung or been answered, for [`Command::EndSaved`](crate::Command::EndSaved)
    /// after a crash. It changes when the INVITE is answered and when the peer moves. `None` when it is over.
    pub fn saved(&self, invite: InviteId) -> Option<SavedInvite> {
        let usage = self.usages.get(&invite).filter(|usage| !usage.gone)?;
        let (mut request, flow, branch) = match &usage.stage {
            Stage::Outgoing { held: Some(held), .. } => (bare(&held.0), usage.flow, held.1),
            Stage::Outgoing { transaction, .. } => {
                let entry = self.transactions.get(&(*transaction)?)?;
                let Machine::ClientInvite(machine, sent) = &entry.machine else { return None };
                (bare(machine.invite()), usage.flow, sent.branch())
            }
            Stage::Established { dialog, .. } => (dialog.saved(), dialog.flow_anew(), 0),
            Stage::Incoming { .. } => return None,
        };
        request.header.via = vec![transport::via(flow, &key::branch(branch))];
        Some(SavedInvite { call_id: usage.call_id.clone(), flow, request: request.print() })
    }

    pub(super) fn end_saved(
        &mut self,
        invite: InviteId,
        saved: &SavedInvite,
        reason: Option<Reason>,
        now: Instant,
    ) {
        match self.resume(invite, saved, now) {
            Some(()) => self.hang_up(invite, reason, now),
            None => {
                let gone = Gone { cause: GoneCause::NothingToEnd, reason: None, response: None };
                self.emit_invite(invite, InviteEvent::Gone(gone));
            }
        }
    }

    /// Makes the usage of what was saved. `None` when that cannot be read, or is known here already.
    fn resume(&mut self, invite: InviteId, saved: &SavedInvite, now: Instant) -> Option<()> {
        let Ok(Message::Request(request)) = Message::parse(&saved.request) else { return None };
        let local_tag = request.header.from.tag().and_then(key::number)?;
        if self.usage_keys.has(&local_tag) || request.header.call_id != saved.call_id {
            return None;
        }
        let (timers, flow, cseq) = (self.config.timers, saved.flow, request.header.cseq.number);
        let usage =
            |stage| Usage::new(saved.call_id.clone(), local_tag, flow, contact(None, flow, false), stage);
        if request.method != Method::INVITE {
            let dialog = Dialog::resume(&request, flow);
            self.add_usage(invite, usage(Stage::resumed(Established::resume(timers), cseq, dialog)));
            return Some(());
        }
        let branch = request.header.via.first().and_then(|via| via.branch());
        let branch = branch.and_then(key::branch_number)?;
        let first = FirstInvite { cseq, late_offer: false };
        self.add_usage(invite, usage(Stage::outgoing(Outgoing::resume(timers), first)));
        let id = self.resume_client_invite(request, branch, flow, Owner::Invite(invite), now);
        if let Some(Stage::Outgoing { transaction, .. }) = self.stage_mut(invite) {
            *transaction = Some(id);
        }
        Some(())
    }
}

/// As much of an INVITE as its CANCEL and the ACK of a refusal repeat (RFC 3261 §9.1, §17.1.1.3): no credentials.
fn bare(invite: &Request) -> Request {
    let header = &invite.header;
    let (from, to, call_id) = (header.from.clone(), header.to.clone(), header.call_id.clone());
    let mut bare = Request::new(Method::INVITE, invite.uri.clone(), from, to, call_id, header.cseq.number);
    for route in header.fields.get_all(&FieldName::ROUTE) {
        bare.header.fields.push(FieldName::ROUTE, route);
    }
    bare
}
