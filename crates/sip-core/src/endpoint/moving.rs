//! Peers whose way to us changes: a connection is lost, and they come back along another one.

use super::transactions::{Failure, Machine, Owner};
use super::usage::{Stage, moved};
use super::{Endpoint, TransactionId};
use crate::{Flow, InviteEvent, InviteId};
use std::time::Instant;

impl Endpoint {
    /// Nothing can be sent to the far end of `flow` (the connection was refused or closed): transactions that wait on it fail
    /// (RFC 3261 §17.1.4). An INVITE that rings is not one of them: it has been sent, and its answer may come along a
    /// connection that the phone opens for it (RFC 3261 §18.2.2). Dialogs that went along it go on along another one.
    pub fn handle_unreachable(&mut self, flow: Flow, now: Instant) {
        for usage in self.usages.values_mut() {
            if let Some(dialog) = usage.stage.dialog_mut() {
                dialog.note_lost(flow);
            }
        }
        let waiting = self.transactions.iter().filter(|(_, entry)| {
            entry.flow.has_far_end_of(&flow) && entry.machine.is_pending() && !self.rings(&entry.machine)
        });
        let waiting: Vec<_> = waiting.map(|(id, _)| *id).collect();
        let ringing = self
            .transactions
            .values()
            .filter(|entry| entry.flow == flow && flow.transport.is_reliable() && self.rings(&entry.machine));
        let ringing: Vec<_> =
            ringing.filter_map(|entry| entry.machine.sent().map(|sent| sent.owner)).collect();
        for owner in ringing {
            if let Owner::Invite(invite) = owner {
                self.emit_invite(invite, InviteEvent::Disconnected);
            }
        }
        for id in waiting {
            self.fail(id, Failure::Unreachable, now);
            self.abandon(id, now);
        }
    }

    /// A peer that was reached along `before` is reached along `after` from now on: what is said to it in its dialogs goes
    /// there. Others may share a way with it (a proxy, a NAT): `is_its` tells which usages are those of the peer.
    pub fn handle_moved(&mut self, before: Flow, after: Flow, is_its: impl Fn(InviteId) -> bool) {
        let reached = |invite: &InviteId| {
            is_its(*invite)
                && self.usages.get(invite).is_some_and(|usage| {
                    let dialog = usage.stage.dialog();
                    dialog.map_or(usage.flow, |dialog| dialog.flow()) == before || usage.flow == before
                })
        };
        let usages: Vec<_> = self.usages.keys().copied().filter(reached).collect();
        for invite in usages {
            self.move_usage(invite, after);
        }
    }

    /// The response to a request came along another connection than that went: the peer has opened a new one.
    pub(super) fn follow_response(&mut self, id: TransactionId, flow: Flow) {
        let Some(entry) = self.transactions.get_mut(&id) else { return };
        if !flow.transport.is_reliable() || !entry.flow.transport.is_reliable() || entry.flow == flow {
            return;
        }
        entry.flow = flow;
        let owner = entry.machine.sent().map(|sent| sent.owner);
        if let Some(Owner::Invite(invite)) = owner {
            self.move_usage(invite, flow);
        }
    }

    fn rings(&self, machine: &Machine) -> bool {
        match machine.sent().map(|sent| sent.owner) {
            Some(Owner::Invite(invite)) => match self.stage(invite) {
                Some(Stage::Outgoing { machine, .. }) => machine.is_proceeding(),
                Some(Stage::Incoming { .. } | Stage::Established { .. }) | None => false,
            },
            Some(_) | None => false,
        }
    }

    fn move_usage(&mut self, invite: InviteId, flow: Flow) {
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        usage.flow = flow;
        usage.contact = moved(&usage.contact, flow);
        if let Some(dialog) = usage.stage.dialog_mut() {
            dialog.follow(flow, true);
        }
        usage.stage.early_mut().into_iter().flatten().for_each(|(_, dialog)| {
            dialog.follow(flow, true);
        });
        let transaction = Stage::invite_transaction(&usage.stage);
        if let Some(entry) = transaction.and_then(|id| self.transactions.get_mut(&id))
            && let Machine::ClientInvite(..) = entry.machine
        {
            entry.flow = flow;
        }
    }
}
