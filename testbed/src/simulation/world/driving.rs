//! Time goes on: what is under way arrives, what is due happens, and what everybody wants done is done.

use super::super::network::Delivery;
use super::super::server::{SERVER, relay_command};
use super::{DISK, PhoneInWorld, ToDisk, World};
use sip_b2bua::Output;
use sip_core::{Flow, Transport};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use test_phone::HandsetAction;

impl World {
    /// Goes on to the next thing that happens before `end`; `false` when there is none.
    pub(super) fn step(&mut self, end: Instant) -> bool {
        let phones = self.phones.iter().filter_map(|phone| phone.handset.poll_timeout());
        let others = [self.under_way.next(), self.switchboard.poll_timeout(), self.relay.poll_timeout()];
        let next = phones.chain(others.into_iter().flatten()).min();
        let Some(next) = next.filter(|next| *next <= end) else {
            self.now = end;
            return false;
        };
        self.now = self.now.max(next);
        if let Some(delivery) = self.under_way.pop_due(self.now) {
            self.deliver(delivery);
        }
        if self.switchboard.poll_timeout().is_some_and(|due| due <= self.now) {
            self.switchboard.handle_timeout(self.moment());
        }
        if self.relay.poll_timeout().is_some_and(|due| due <= self.now) {
            self.relay.handle_timeout(self.now);
        }
        for phone in &mut self.phones {
            if phone.handset.poll_timeout().is_some_and(|due| due <= self.now) {
                phone.handset.handle_timeout(self.now);
            }
        }
        self.settle();
        true
    }

    fn deliver(&mut self, delivery: Delivery) {
        let now = self.now;
        match delivery {
            Delivery::Written(item) => self.disk.write(item),
            Delivery::BindingsKept(key) => self.switchboard.handle_bindings_kept(&key, self.moment()),
            Delivery::Kept(id) => self.switchboard.handle_kept(id, self.moment()),
            Delivery::InviteKept(invite) => self.switchboard.handle_invite_kept(invite, self.moment()),
            Delivery::Sip { from, to, octets } => {
                let flow = Flow { transport: Transport::Udp, local: to, remote: from };
                if to.ip() == SERVER {
                    if self.server_is_down {
                        return;
                    }
                    self.switchboard.handle_octets(&octets, flow, self.moment());
                } else if let Some(phone) = self.plugged_in(|phone| phone.sip == to) {
                    phone.handset.handle_sip(&octets, flow, now);
                }
            }
            Delivery::Rtp { from, to, mut octets } => {
                if to.ip() != SERVER {
                    if let Some(phone) = self.plugged_in(|phone| phone.rtp == to) {
                        phone.handset.handle_rtp(&octets, from, now);
                    }
                    return;
                }
                let even = to.port() % 2 == 0;
                let forward = if even {
                    self.relay.handle_rtp(to.port(), from, &mut octets, now)
                } else {
                    self.relay.handle_rtcp(to.port(), from, &mut octets, now)
                };
                if let Some(forward) = forward {
                    self.send_rtp(SocketAddr::new(SERVER, forward.port), forward.to, octets);
                }
            }
        }
    }

    fn plugged_in(&mut self, which: impl Fn(&PhoneInWorld) -> bool) -> Option<&mut PhoneInWorld> {
        self.phones.iter_mut().find(|phone| phone.plugged_in && which(phone))
    }

    /// Performs what everybody wants done until nobody wants anything.
    pub(super) fn settle(&mut self) {
        loop {
            let mut idle = true;
            while let Some(output) = self.switchboard.poll_output() {
                idle = false;
                self.perform(output);
            }
            idle &= !self.settle_relay();
            for index in 0..self.phones.len() {
                while let Some(action) = self.phones[index].handset.poll_action() {
                    idle = false;
                    self.perform_phone(index, action);
                }
            }
            if idle {
                return;
            }
        }
    }

    fn settle_relay(&mut self) -> bool {
        let mut events = Vec::new();
        let mut binds = Vec::new();
        let mut packets = Vec::new();
        while let Some(output) = self.relay.poll_output() {
            match output {
                media_relay::Output::Bind { port, .. } => binds.push(port),
                media_relay::Output::Release { port } => {
                    self.bound.remove(&port);
                }
                media_relay::Output::Send { port, to, octets } => packets.push((port, to, octets.to_vec())),
                media_relay::Output::Event(event) => events.push(event),
            }
        }
        let acted = !(events.is_empty() && binds.is_empty() && packets.is_empty());
        for port in binds {
            let bound = self.bind(port);
            self.relay.handle_bound(port, bound, self.now);
        }
        for (port, to, octets) in packets {
            self.send_rtp(SocketAddr::new(SERVER, port), to, octets);
        }
        for event in events {
            self.switchboard.handle_relay(event, self.moment());
        }
        acted
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Send { flow, octets } => self.send_sip(flow.local, flow.remote, octets),
            Output::OpenMedia { session, local } => {
                self.relay.handle_command(media_relay::Command::Open { session, local }, self.now);
            }
            Output::Relay { session, action } => {
                self.relay.handle_command(relay_command(session, action), self.now);
            }
            Output::CallAnswer { ticket, answer } => {
                self.answers.insert(ticket, answer);
            }
            Output::HangUpAnswer { .. } => {}
            Output::KeepBindings { user, bindings, waiting } => {
                self.write(ToDisk::Bindings(user, bindings));
                if let Some(key) = waiting {
                    self.under_way.at(self.now + DISK, Delivery::BindingsKept(key));
                }
            }
            Output::KeepCall(call) => {
                self.write(ToDisk::Call(Arc::clone(&call)));
                if call.end.is_some() {
                    self.under_way.at(self.now + DISK, Delivery::Kept(call.call_id));
                }
                self.records.insert(call.call_id, call);
            }
            Output::KeepMessages { call, octets, .. } => {
                self.messages.insert(call, octets);
            }
            Output::KeepInvite { invite, waiting } => {
                self.write(ToDisk::Invite(invite.sip_call_id.clone(), Some(invite)));
                if let Some(invite) = waiting {
                    self.under_way.at(self.now + DISK, Delivery::InviteKept(invite));
                }
            }
            Output::ForgetInvite(sip_call_id) => self.write(ToDisk::Invite(sip_call_id, None)),
            Output::View(call) => {
                self.views.insert(call.call_id, call);
            }
            Output::Forget(id) => {
                self.views.remove(&id);
            }
            Output::Happened(event) => {
                self.trace.push(format!("{:>10.3} {:?}", self.elapsed().as_secs_f64(), event.event));
                self.events.push(event);
            }
        }
    }

    fn perform_phone(&mut self, index: usize, action: HandsetAction) {
        match action {
            HandsetAction::Sip { flow, octets } if self.phones[index].plugged_in => {
                self.send_sip(flow.local, flow.remote, octets);
            }
            HandsetAction::Rtp { to, octets }
                if self.phones[index].plugged_in && !self.phones[index].muted =>
            {
                self.send_rtp(self.phones[index].rtp, to, octets);
            }
            HandsetAction::Sip { .. } | HandsetAction::Rtp { .. } => {}
            HandsetAction::Report(event) => self.phones[index].events.push(event),
            HandsetAction::CallMedia(media) => self.phones[index].media.push(media),
        }
    }

    pub(super) fn send_sip(&mut self, from: SocketAddr, to: SocketAddr, octets: Vec<u8>) {
        let line = summary(&octets);
        self.trace.push(format!("{:>10.3} {from} > {to} {line}", self.elapsed().as_secs_f64()));
        let packet = || Delivery::Sip { from, to, octets: octets.clone() };
        self.under_way.send(&self.network, &mut self.random, self.now, packet);
    }

    fn send_rtp(&mut self, from: SocketAddr, to: SocketAddr, octets: Vec<u8>) {
        let packet = || Delivery::Rtp { from, to, octets: octets.clone() };
        self.under_way.send(&self.network, &mut self.random, self.now, packet);
    }
}

/// The first line; for a response the method too.
fn summary(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let cseq = lines.find_map(|line| line.strip_prefix("CSeq: "));
    match cseq.filter(|_| first.starts_with("SIP/2.0")) {
        Some(cseq) => format!("{first} ({cseq})"),
        None => first.to_owned(),
    }
}
