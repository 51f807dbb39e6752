//! The server dies, and comes back with what is on its disk; or breaks in one of its calls.

use super::super::network::Delivery;
use super::super::server::server;
use super::{DISK, World};
use call_control::{Call, CallEvent, CallEventKind, CallId, EndReason, Timestamp};
use call_store::{StoredBinding, StoredInvite};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the server has written.
#[derive(Debug, Default)]
pub(super) struct Disk {
    calls: BTreeMap<CallId, Arc<Call>>,
    bindings: BTreeMap<Box<str>, Vec<StoredBinding>>,
    invites: BTreeMap<Box<str>, StoredInvite>,
}

/// What the server wants written.
#[derive(Debug, Clone)]
pub(in super::super) enum ToDisk {
    Call(Arc<Call>),
    Bindings(Box<str>, Vec<StoredBinding>),
    Invite(Box<str>, Option<StoredInvite>),
}

impl Disk {
    pub(super) fn write(&mut self, item: ToDisk) {
        match item {
            ToDisk::Call(call) => {
                self.calls.insert(call.call_id, call);
            }
            ToDisk::Bindings(user, bindings) => {
                self.bindings.insert(user, bindings);
            }
            ToDisk::Invite(sip_call_id, Some(invite)) => {
                self.invites.insert(sip_call_id, invite);
            }
            ToDisk::Invite(sip_call_id, None) => {
                self.invites.remove(&sip_call_id);
            }
        }
    }
}

impl World {
    /// The server dies in the middle of whatever it does: what is not on its disk is lost.
    pub fn kill_server(&mut self) {
        let (switchboard, relay) = server(&mut self.random);
        (self.switchboard, self.relay) = (switchboard, relay);
        self.under_way.retain(|delivery| matches!(delivery, Delivery::Sip { .. } | Delivery::Rtp { .. }));
        self.bound.clear();
        self.views.clear();
        self.server_is_down = true;
    }

    /// What was on the disk of the server is gone.
    pub fn lose_disk(&mut self) {
        self.disk = Disk::default();
    }

    /// The server is started again.
    pub fn start_server_again(&mut self) {
        let moment = self.moment();
        self.server_is_down = false;
        let bindings = self.disk.bindings.values().flatten().cloned().collect();
        self.switchboard.restore_bindings(bindings, moment);
        let running: Vec<_> = self.disk.calls.values().filter(|call| call.end.is_none()).cloned().collect();
        for call in running {
            let last = self.events.iter().rev().find(|event| event.call.call_id == call.call_id);
            let call = last.map_or_else(|| Call::clone(&call), |event| event.call.clone());
            let at = Timestamp::from_unix_milliseconds(moment.unix_milliseconds)
                .expect("a moment of this century");
            let ended = Arc::new(call.broken_off(EndReason::ServerCrashed, at));
            self.disk.write(ToDisk::Call(Arc::clone(&ended)));
            let event = CallEvent { event: CallEventKind::Ended, party: None, at, call: Call::clone(&ended) };
            self.events.push(Arc::new(event));
            self.records.insert(ended.call_id, ended);
        }
        let left: Vec<_> = self.disk.invites.values().cloned().collect();
        self.switchboard.end_left_behind(left, moment);
        self.settle();
    }

    /// A fault in the machine of one call.
    pub fn break_call(&mut self, call: CallId) {
        self.switchboard.fail(call, self.moment());
        self.settle();
    }

    pub(super) fn write(&mut self, item: ToDisk) {
        self.under_way.at(self.now + DISK, Delivery::Written(item));
    }
}
