//! Raw phones in a world, and what else is out of the ordinary: ports that are taken, a server that starts anew.

use super::super::server::SERVER;
use super::{PhoneId, PhoneInWorld, World};
use crate::simulation::{RawPhone, RawScript};
use media_relay::BindError;
use sip_core::{Flow, Transport};
use std::net::SocketAddr;
use std::time::Instant;
use test_phone::Script;

impl World {
    /// Plugs in a raw phone of an extension. A handset beside it registers for it.
    pub fn raw_phone(&mut self, user: &str, script: RawScript) -> PhoneId {
        let id = self.phone(user, Script::default(), 0.0);
        let phone = &mut self.phones[id.0];
        phone.raw = Some(RawPhone::new(script, phone.sip, phone.rtp));
        id
    }

    /// What a raw phone saw.
    pub fn raw(&self, phone: PhoneId) -> &RawPhone {
        self.phones[phone.0].raw.as_ref().expect("a raw phone")
    }

    /// Nobody listens where a phone was any more, and the network says so.
    pub fn refuse_packets_to(&mut self, phone: PhoneId) {
        self.unplug(phone);
        let (local, remote) = (SocketAddr::new(SERVER, 5060), self.phones[phone.0].sip);
        let flow = Flow { transport: Transport::Udp, local, remote };
        self.switchboard.handle_unreachable(flow, self.moment());
        self.settle();
    }

    /// Somebody else has every media port from now on, or has none any more.
    pub fn take_ports(&mut self, taken: bool) {
        self.ports_are_taken = taken;
    }

    pub(super) fn bind(&mut self, port: u16) -> Result<(), BindError> {
        if self.ports_are_taken {
            return Err(BindError::PortTaken);
        }
        self.bound.insert(port);
        Ok(())
    }

    pub(super) fn settle_raw(&mut self, index: usize) -> bool {
        let phone = &mut self.phones[index];
        let (from, plugged_in) = (phone.sip, phone.plugged_in);
        let mut messages = Vec::new();
        while let Some(octets) = phone.raw.as_mut().and_then(RawPhone::poll_output) {
            messages.push(octets);
        }
        let acted = !messages.is_empty();
        for octets in messages.into_iter().filter(|_| plugged_in) {
            self.send_sip(from, SocketAddr::new(SERVER, 5060), octets);
        }
        acted
    }
}

impl PhoneInWorld {
    pub(super) fn timeouts(&self) -> impl Iterator<Item = Instant> {
        self.handset.poll_timeout().into_iter().chain(self.raw.as_ref().and_then(RawPhone::poll_timeout))
    }

    pub(super) fn handle_sip(&mut self, octets: &[u8], flow: Flow, now: Instant) {
        let taken = self.raw.as_mut().is_some_and(|raw| raw.handle_sip(octets, now));
        if !taken {
            self.handset.handle_sip(octets, flow, now);
        }
    }

    pub(super) fn handle_raw_timeout(&mut self, now: Instant) {
        if let Some(raw) = self.raw.as_mut().filter(|raw| raw.poll_timeout().is_some_and(|due| due <= now)) {
            raw.handle_timeout(now);
        }
    }
}
