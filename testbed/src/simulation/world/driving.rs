//! Time goes on: what is under way arrives, what is due happens, and what everybody wants done is done.

use super::super::network::Delivery;
use super::super::server::SERVER;
use super::{PhoneInWorld, World};
use rand::Rng;
use sip_b2bua::Action;
use sip_core::{Flow, Transport};
use std::net::SocketAddr;
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
            Delivery::Written(round) => {
                let result = self.disk.write(&round);
                self.switchboard.handle_written(result, self.moment());
            }
            Delivery::Located(trunk, result) => {
                self.switchboard.handle_located(trunk, result, self.moment());
            }
            Delivery::Sip { from, to, octets } => {
                let flow = Flow { transport: Transport::Udp, local: to, remote: from, peer: None };
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
            while let Some(action) = self.switchboard.poll_action(self.moment()) {
                idle = false;
                self.perform(action);
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
        let mut transcodings = Vec::new();
        while let Some(output) = self.relay.poll_output() {
            match output {
                media_relay::Output::Bind { port, .. } => binds.push(port),
                media_relay::Output::Release { port } => {
                    self.bound.remove(&port);
                }
                media_relay::Output::Send { port, to, octets } => packets.push((port, to, octets.to_vec())),
                media_relay::Output::Event(event) => events.push(event),
                media_relay::Output::Transcode(transcoding) => transcodings.push(transcoding),
            }
        }
        let acted = !(events.is_empty() && binds.is_empty() && packets.is_empty() && transcodings.is_empty());
        for mut transcoding in transcodings {
            transcoding.perform();
            self.relay.handle_transcoded(transcoding, self.now);
        }
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

    fn perform(&mut self, action: Action) {
        match action {
            Action::Send { flow, octets } => self.send_sip(flow.local, flow.remote, octets),
            Action::Relay(command) => self.relay.handle_command(command, self.now),
            Action::AnswerCall { ticket, answer } => {
                let is_kept = answer.as_ref().is_ok_and(|id| self.disk.call(*id).is_some());
                assert!(is_kept || answer.is_err(), "the row of a call that is promised is not on disk");
                self.answers.insert(ticket, answer);
            }
            Action::AnswerAsk { answer, .. } => self.asked = Some(answer),
            Action::AnswerHangUp { .. } => {}
            Action::Write(round) => {
                assert!(self.under_way.round().is_none(), "one round at a time");
                self.under_way.at(self.now + self.disk.delay(), Delivery::Written(round));
            }
            Action::Storage(state) => self.storage.push(state),
            Action::View(call) => {
                self.views.insert(call.call_id, call);
            }
            Action::Locate { trunk, peer: _, uri } => {
                let (result, delay) = self.zone.locate(&uri, self.random.random());
                self.under_way.at(self.now + delay, Delivery::Located(trunk, result));
            }
            // There are no strangers in here, and no connections.
            Action::Trust { .. } | Action::Close(_) => {}
            Action::Forget(id) => {
                self.views.remove(&id);
                let is_kept = self.disk.call(id).is_some_and(|call| call.end.is_some());
                assert!(is_kept, "the record of a call that is shown no more is not on disk");
            }
            Action::Announce(event) => {
                let kind = event.event.event;
                assert!(self.disk.events().any(|there| *there == event), "{kind:?} is told and not on disk");
                assert!(self.told.is_none_or(|last| last < event.id), "{kind:?} is told twice, or too late");
                self.told = Some(event.id);
                self.trace.push(format!("{:>10.3} {kind:?}", self.elapsed().as_secs_f64()));
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
            HandsetAction::Report(event) => {
                self.phones[index].events.push(event);
                self.phones[index].moments.push(self.now);
            }
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
