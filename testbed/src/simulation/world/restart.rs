//! The disk fails, the server dies and comes back with what is on its disk, or breaks in one of its calls.

use super::super::disk::DiskState;
use super::super::network::Delivery;
use super::super::server::server;
use super::World;
use call_control::CallId;
use rand::Rng;
use std::sync::Arc;

impl World {
    /// The server dies in the middle of whatever it does: what is not on its disk is lost. Of what the disk is at just now
    /// nobody can tell.
    pub fn kill_server(&mut self) {
        if let Some(round) = self.under_way.round()
            && self.disk.state != DiskState::Fails
            && self.random.random()
        {
            self.disk.commit(&round);
        }
        let (switchboard, relay) =
            server(&mut self.random, Arc::clone(&self.scenarios), (&self.trunks, self.limits), self.now);
        (self.switchboard, self.relay) = (switchboard, relay);
        self.under_way.retain(|delivery| matches!(delivery, Delivery::Sip { .. } | Delivery::Rtp { .. }));
        self.bound.clear();
        self.views.clear();
        self.server_is_down = true;
    }

    /// What was on the disk of the server is gone.
    pub fn lose_disk(&mut self) {
        self.disk = super::super::disk::Disk::default();
    }

    /// From now on the disk is like this.
    pub fn set_disk(&mut self, state: DiskState) {
        self.disk.state = state;
    }

    /// The server is started again.
    pub fn start_server_again(&mut self) {
        self.server_is_down = false;
        let left = self.disk.begin_run();
        self.switchboard.recover(left, self.moment());
        self.settle();
    }

    /// A fault in the machine of one call.
    pub fn break_call(&mut self, call: CallId) {
        self.switchboard.fail(call, self.moment());
        self.settle();
    }
}
