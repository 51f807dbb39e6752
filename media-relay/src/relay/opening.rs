//! Sessions come and go: ports are taken, bound, released and rest.

use super::{Output, Relay};
use crate::continuity::Continuity;
use crate::event::{Event, OpenError};
use crate::half::Half;
use crate::session::{Session, Stage};
use crate::side::{SessionId, Side};
use rand_chacha::rand_core::RngCore;
use std::cmp::Reverse;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

impl Relay {
    pub(super) fn open(&mut self, id: SessionId, local: [IpAddr; 2], now: Instant) {
        if self.slots.contains_key(&id) {
            return;
        }
        let (Some(one), two) = (self.ports.take(now), self.ports.take(now)) else {
            return self.no_port(id);
        };
        let Some(two) = two else {
            self.ports.give_back(one, now);
            return self.no_port(id);
        };
        let halves = [(local[0], one), (local[1], two)].map(|(address, port)| {
            let (ssrc, sequence) = (self.random.next_u32(), self.random.next_u32() as u16);
            let continuity = Continuity::new(ssrc, sequence, self.random.next_u32());
            Half::new(SocketAddr::new(address, port), continuity)
        });
        let session = Session { id, stage: Stage::Opening { tries_left: TRIES_MAX }, halves };
        let slot = self.free_slots.pop().unwrap_or(self.sessions.len());
        if slot == self.sessions.len() {
            self.sessions.push(None);
        }
        self.sessions[slot] = Some(session);
        self.slots.insert(id, slot);
        for side in Side::BOTH {
            self.bind(slot, side);
        }
    }

    pub(super) fn bind(&mut self, slot: usize, side: Side) {
        let local = self.session(slot).half(side).local;
        self.routes[usize::from(local.port() / 2)] = Some((slot, side));
        self.outputs.push_back(Output::Bind { port: local.port(), address: local.ip() });
    }

    pub(super) fn bound(&mut self, slot: usize, side: Side, now: Instant) {
        let silence_check = now + self.silence_timeout;
        let session = self.session_mut(slot);
        session.half_mut(side).is_bound = true;
        if !session.halves.iter().all(|half| half.is_bound) {
            return;
        }
        session.stage = Stage::Open { heard: None };
        let (id, rtp) = (session.id, Side::BOTH.map(|side| session.half(side).local));
        self.outputs.push_back(Output::Event(Event::Opened { session: id, rtp }));
        for side in Side::BOTH {
            self.silence_checks.push(Reverse((silence_check, id, side)));
        }
    }

    pub(super) fn try_another(&mut self, slot: usize, side: Side, now: Instant) {
        let port = match &mut self.session_mut(slot).stage {
            Stage::Opening { tries_left } if *tries_left > 0 => {
                *tries_left -= 1;
                self.ports.take(now)
            }
            Stage::Opening { .. } | Stage::Open { .. } | Stage::Connected { .. } => None,
        };
        match port {
            Some(port) => {
                self.session_mut(slot).half_mut(side).local.set_port(port);
                self.bind(slot, side);
            }
            None => self.open_failed(slot, OpenError::NoPortFree, now),
        }
    }

    pub(super) fn no_port(&mut self, session: SessionId) {
        let reason = OpenError::NoPortFree;
        self.outputs.push_back(Output::Event(Event::OpenFailed { session, reason }));
    }

    pub(super) fn open_failed(&mut self, slot: usize, reason: OpenError, now: Instant) {
        let session = self.session(slot).id;
        self.remove(slot, now);
        self.outputs.push_back(Output::Event(Event::OpenFailed { session, reason }));
    }

    /// Takes a port that was not bound out of the routes.
    pub(super) fn give_up_port(&mut self, slot: usize, side: Side, now: Instant) {
        let port = self.session(slot).half(side).local.port();
        self.routes[usize::from(port / 2)] = None;
        self.ports.give_back(port, now);
    }

    /// Forgets a session. A port that is being bound is released when the answer comes.
    pub(super) fn remove(&mut self, slot: usize, now: Instant) {
        let Some(session) = self.sessions[slot].take() else { return };
        for half in &session.halves {
            let port = half.local.port();
            self.routes[usize::from(port / 2)].take_if(|(routed, _)| *routed == slot);
            if half.is_bound {
                self.outputs.push_back(Output::Release { port });
                self.ports.give_back(port, now);
            }
        }
        self.stop_playing(|playing, _| playing == slot);
        self.slots.remove(&session.id);
        self.free_slots.push(slot);
    }
}

const TRIES_MAX: u16 = 64;
