//! Terminations come, go and move: ports are taken, bound, released and rest.

use super::{Output, Relay, Spot};
use crate::event::{Event, OpenError};
use crate::names::{SessionId, TerminationId};
use crate::rtp::continuity::Continuity;
use crate::session::Session;
use crate::termination::{Binding, Termination};
use rand_chacha::rand_core::RngCore;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

impl Relay {
    pub(super) fn add(&mut self, session: SessionId, id: TerminationId, local: IpAddr, now: Instant) {
        if self.spot(session, id).is_some() {
            return;
        }
        let not_added = |reason| Event::NotAdded { session, termination: id, reason };
        if self.ports.in_use() >= self.terminations_max {
            return self.tell(not_added(OpenError::NoDescriptor));
        }
        let Some(port) = self.ports.take(now) else {
            return self.tell(not_added(self.no_port_free(now)));
        };
        let (ssrc, sequence) = (self.random.next_u32(), self.random.next_u32() as u16);
        let continuity = Continuity::new(ssrc, sequence, self.random.next_u32());
        let termination = Termination::new(id, SocketAddr::new(local, port), continuity);
        let slot = self.slot_of(session);
        let place = self.session_mut(slot).put(termination);
        self.bind(Spot { slot, place });
    }

    /// The slot of a session, which begins if it is not there.
    fn slot_of(&mut self, session: SessionId) -> usize {
        if let Some(&slot) = self.slots.get(&session) {
            return slot;
        }
        let slot = self.free_slots.pop().unwrap_or(self.sessions.len());
        if slot == self.sessions.len() {
            self.sessions.push(None);
        }
        self.sessions[slot] = Some(Session::new(session));
        self.slots.insert(session, slot);
        slot
    }

    fn bind(&mut self, spot: Spot) {
        let Some(termination) = self.session(spot.slot).at(spot.place) else { return };
        let local = termination.local;
        self.routes.set(local.port(), spot);
        self.outputs.push_back(Output::Bind { port: local.port(), address: local.ip() });
    }

    pub(super) fn bound(&mut self, spot: Spot, now: Instant) {
        let session = self.session_mut(spot.slot);
        let id = session.id;
        let Some(termination) = session.at_mut(spot.place) else { return };
        termination.binding = Binding::Bound;
        let (name, rtp) = (termination.id, termination.local);
        self.tell(Event::Added { session: id, termination: name, rtp });
        self.check_silence_at(spot, now + self.silence_timeout);
    }

    /// Another program has its port. Where one is taken many around it may be: each try goes twice as far as the one
    /// before, and packets are not kept waiting for it.
    pub(super) fn try_another(&mut self, spot: Spot, now: Instant) {
        let Some(termination) = self.session_mut(spot.slot).at_mut(spot.place) else { return };
        let Binding::Trying { failed } = &mut termination.binding else { return };
        *failed += 1;
        let failed = *failed;
        if failed.is_multiple_of(TRIES_PER_ROUND) {
            if let Some((session, termination)) = self.names_of(spot) {
                self.looking.push_back((now, session, termination));
            }
            return;
        }
        self.ports.skip((1 << ((failed - 1) % STRIDES)) - 1);
        self.take_another(spot, now);
    }

    pub(super) fn take_another(&mut self, spot: Spot, now: Instant) {
        let Some(termination) = self.session(spot.slot).at(spot.place) else { return };
        // One of its names that has been added anew in the meantime looks for itself.
        let Binding::Trying { failed: failed @ 1.. } = termination.binding else { return };
        let port = if failed < self.ports.count() { self.ports.take(now) } else { None };
        let Some(port) = port else {
            let reason = self.no_port_free(now);
            return self.not_added(spot, reason, now);
        };
        if let Some(termination) = self.session_mut(spot.slot).at_mut(spot.place) {
            termination.local.set_port(port);
        }
        self.bind(spot);
    }

    fn no_port_free(&self, now: Instant) -> OpenError {
        OpenError::NoPortFree { free_in: self.ports.free_in(now) }
    }

    pub(super) fn not_added(&mut self, spot: Spot, reason: OpenError, now: Instant) {
        let Some((session, termination)) = self.names_of(spot) else { return };
        self.take_out(spot, now);
        self.tell(Event::NotAdded { session, termination, reason });
    }

    /// Takes a port that was not bound out of the routes.
    pub(super) fn give_up_port(&mut self, spot: Spot, now: Instant) {
        let Some(termination) = self.session(spot.slot).at(spot.place) else { return };
        let port = termination.local.port();
        self.routes.clear_if(port, |routed| routed == spot);
        self.ports.give_back(port, now);
    }

    pub(super) fn remove(&mut self, spot: Spot, now: Instant) {
        let Some((session, termination)) = self.names_of(spot) else { return };
        let Some(removed) = self.take_out(spot, now) else { return };
        self.release(&removed, now);
        self.tell(Event::Removed { session, termination, statistics: removed.statistics() });
    }

    /// Moves it with all that belongs to it. What it says from then on, it says from there.
    pub(super) fn move_to(&mut self, spot: Spot, to: SessionId, name: TerminationId, now: Instant) {
        let is_bound = self.session(spot.slot).at(spot.place).is_some_and(|it| it.binding == Binding::Bound);
        if self.spot(to, name).is_some() || self.session(spot.slot).id == to || !is_bound {
            return;
        }
        let is_playing = self.session(spot.slot).at(spot.place).is_some_and(|it| it.outward.is_playing());
        let Some(mut termination) = self.take_out(spot, now) else { return };
        termination.id = name;
        let port = termination.local.port();
        let slot = self.slot_of(to);
        let place = self.session_mut(slot).put(termination);
        let spot = Spot { slot, place };
        self.routes.set(port, spot);
        if is_playing {
            self.playing.push(spot);
        }
        self.check_silence_at(spot, now + self.silence_timeout);
        self.tell(Event::Moved { session: to, termination: name });
    }

    /// Out of its session, which is over when none is left, and out of all that names it.
    fn take_out(&mut self, spot: Spot, now: Instant) -> Option<Termination> {
        let session = self.sessions[spot.slot].as_mut()?;
        let (id, termination) = (session.id, session.take(spot.place)?);
        if let Some(due) = termination.silence_check {
            self.silence_checks.remove(&(due, id, termination.id));
        }
        self.routes.clear_if(termination.local.port(), |routed| routed == spot);
        self.stop_playing(|playing| playing == spot);
        self.converted.retain(|(converted, _)| *converted != spot);
        if self.session(spot.slot).is_empty() {
            self.forget(spot.slot, now);
        }
        Some(termination)
    }

    /// Closes its ports. One that is being bound is released when the answer comes.
    fn release(&mut self, termination: &Termination, now: Instant) {
        if termination.binding == Binding::Bound {
            let port = termination.local.port();
            self.outputs.push_back(Output::Release { port });
            self.ports.give_back(port, now);
        }
    }

    /// Forgets a session with all of its terminations.
    pub(super) fn forget(&mut self, slot: usize, now: Instant) {
        let Some(session) = self.sessions[slot].take() else { return };
        for (_, termination) in session.terminations() {
            let port = termination.local.port();
            self.routes.clear_if(port, |routed| routed.slot == slot);
            if let Some(due) = termination.silence_check {
                self.silence_checks.remove(&(due, session.id, termination.id));
            }
            self.release(termination, now);
        }
        self.stop_playing(|playing| playing.slot == slot);
        self.converted.retain(|(converted, _)| converted.slot != slot);
        self.slots.remove(&session.id);
        self.free_slots.push(slot);
    }
}

/// Ports that are tried before packets have their turn.
const TRIES_PER_ROUND: usize = 32;
/// Strides double so often; the longest is a quarter of all ports there are.
const STRIDES: usize = 14;
