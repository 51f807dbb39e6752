//! The usages of an endpoint: feeding them, driving them, forgetting them.

use super::usage::{Stage, Usage};
use super::{Due, Endpoint};
use crate::invite::{EstablishedEvent, IncomingEvent, OutgoingEvent};
use crate::transaction::key;
use crate::{Gone, GoneCause, InviteEvent, InviteId};
use sip_message::{CallId, Reason};
use std::time::Instant;

impl Endpoint {
    pub(super) fn hang_up(&mut self, invite: InviteId, reason: Option<Reason>, now: Instant) {
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        if let Stage::Outgoing { held, .. } = &mut usage.stage
            && held.take().is_some()
        {
            // Nobody knows of it.
            let gone = Gone { cause: GoneCause::Cancelled, reason, response: None };
            return self.emit_invite(invite, InviteEvent::Gone(gone));
        }
        usage.stage.hang_up(reason, now);
        self.drive(invite, now);
    }

    pub(super) fn outgoing(&mut self, invite: InviteId, event: OutgoingEvent, now: Instant) {
        if let Some(Stage::Outgoing { machine, .. }) = self.stage_mut(invite) {
            machine.handle_event(event, now);
            self.drive(invite, now);
        }
    }

    pub(super) fn incoming(&mut self, invite: InviteId, event: IncomingEvent, now: Instant) {
        if let Some(Stage::Incoming { machine, .. }) = self.stage_mut(invite) {
            machine.handle_event(event, now);
            self.drive(invite, now);
        }
    }

    pub(super) fn established(&mut self, invite: InviteId, event: EstablishedEvent, now: Instant) {
        if let Some(Stage::Established { machine, .. }) = self.stage_mut(invite) {
            machine.handle_event(event, now);
            self.drive(invite, now);
        }
    }

    pub(super) fn time_out_usage(&mut self, invite: InviteId, now: Instant) {
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        usage.due = None;
        usage.stage.handle_timeout(now);
        self.drive(invite, now);
    }

    /// Performs what a usage wants done.
    pub(super) fn drive(&mut self, invite: InviteId, now: Instant) {
        while let Some(action) = self.stage_mut(invite).and_then(Stage::poll_action) {
            self.perform(invite, action, now);
        }
        self.schedule_usage(invite);
    }

    pub(super) fn stage_mut(&mut self, invite: InviteId) -> Option<&mut Stage> {
        self.usages.get_mut(&invite).map(|usage| &mut usage.stage)
    }

    pub(super) fn stage(&self, invite: InviteId) -> Option<&Stage> {
        self.usages.get(&invite).map(|usage| &usage.stage)
    }

    /// The usage goes on in another stage.
    pub(super) fn advance(&mut self, invite: InviteId, next: impl FnOnce(Stage) -> Stage) {
        if let Some(usage) = self.usages.remove(&invite) {
            let stage = next(usage.stage);
            self.usages.insert(invite, Box::new(Usage { stage, ..*usage }));
        }
    }

    pub(super) fn add_usage(&mut self, invite: InviteId, usage: Usage) {
        self.usage_keys.insert(usage.local_tag, invite);
        self.usages.insert(invite, Box::new(usage));
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

    /// The usage whose dialog has this Call-ID and these tags, whichever of them is ours (RFC 3891 §3): phones mix them up.
    pub fn dialog_of(&self, call_id: &CallId, tags: [&str; 2]) -> Option<InviteId> {
        let [one, other] = tags;
        [(one, other), (other, one)].into_iter().find_map(|(ours, theirs)| {
            let invite = self.usage_by_tag(ours, call_id)?;
            let dialog = self.stage(invite)?.dialog()?;
            (dialog.remote_tag() == theirs).then_some(invite)
        })
    }

    pub(super) fn usage_by_tag(&self, tag: &str, call_id: &CallId) -> Option<InviteId> {
        let invite = *self.usage_keys.get(&key::number(tag)?)?;
        self.usages.get(&invite).filter(|usage| usage.call_id == *call_id).map(|_| invite)
    }

    pub(super) fn schedule_usage(&mut self, invite: InviteId) {
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
