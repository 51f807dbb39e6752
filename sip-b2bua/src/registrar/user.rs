//! The bindings of one user: those that hold, and those that will once they are on disk.

use super::binding::Binding;
use sip_core::Flow;
use sip_core::digest::Secret;
use std::collections::VecDeque;
use std::time::Instant;

pub(super) struct User {
    pub(super) secret: Secret,
    /// On disk: the phones that are rung.
    bindings: Vec<Binding>,
    /// What each REGISTER whose answer waits for the disk makes of them, in the order in which they came.
    unwritten: VecDeque<Vec<Binding>>,
    /// Phones whose connection was closed, as they were: they may be in a call, and come back along another one.
    disconnected: VecDeque<Binding>,
}

/// Phones that are remembered when their connection is closed.
const DISCONNECTED_MAX: usize = 8;

impl User {
    pub(super) const fn new(secret: Secret) -> Self {
        Self { secret, bindings: Vec::new(), unwritten: VecDeque::new(), disconnected: VecDeque::new() }
    }

    pub(super) fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// What the next REGISTER changes.
    pub(super) fn latest(&self) -> &[Binding] {
        self.unwritten.back().unwrap_or(&self.bindings)
    }

    /// When the first binding expires, written or not.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.unwritten.iter().flatten().chain(&self.bindings).map(|binding| binding.expires).min()
    }

    /// Takes back what was on disk.
    pub(super) fn restore(&mut self, binding: Binding) {
        self.bindings.push(binding);
    }

    pub(super) fn await_write(&mut self, bindings: Vec<Binding>) {
        self.unwritten.push_back(bindings);
    }

    /// What the oldest of the REGISTERs that wait asked for is on disk.
    pub(super) fn written(&mut self) {
        if let Some(bindings) = self.unwritten.pop_front() {
            self.bindings = bindings;
        }
    }

    /// None of the REGISTERs that wait takes effect (RFC 3261 §10.3 step 7). Tells whether any did wait.
    pub(super) fn take_back(&mut self) -> bool {
        !std::mem::take(&mut self.unwritten).is_empty()
    }

    pub(super) fn disconnected(&self, now: Instant) -> impl Iterator<Item = &Binding> {
        self.disconnected.iter().filter(move |binding| binding.is_live(now))
    }

    /// A connection is closed.
    pub(super) fn note_closed(&mut self, flow: Flow) {
        let closed = self.bindings.iter().find(|binding| binding.flow == flow && binding.has_connection);
        if let Some(mut binding) = closed.cloned() {
            binding.has_connection = false;
            self.disconnected.truncate(DISCONNECTED_MAX - 1);
            self.disconnected.push_front(binding);
        }
    }

    /// These are reached elsewhere now.
    pub(super) fn have_returned(&mut self, moved: &[(Flow, Flow)]) {
        self.disconnected.retain(|binding| moved.iter().all(|(before, _)| *before != binding.flow));
    }

    /// Replaces or drops each binding. Tells whether that changed which there are, or where they are.
    pub(super) fn change_each(&mut self, change: impl Fn(&Binding) -> Option<Binding>) -> bool {
        let mut is_other = false;
        for bindings in self.unwritten.iter_mut().chain([&mut self.bindings]) {
            let after: Vec<_> = bindings.iter().filter_map(&change).collect();
            is_other |= after.len() != bindings.len()
                || after.iter().zip(bindings.iter()).any(|(after, before)| after.flow != before.flow);
            *bindings = after;
        }
        is_other
    }
}
