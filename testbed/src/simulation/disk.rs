//! The disk of the server: it does as the product's store does, in the way that a story wants.

use call_control::{Call, CallEvent, CallEventKind, CallId, EventId, NumberedEvent};
use call_store::{FirstAnswer, Round, StoredBinding, StoredInvite};
use sip_b2bua::Left;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskState {
    /// A write takes so long.
    Takes(Duration),
    /// Every write fails, nothing of it is there: a full disk.
    Fails,
    /// Every write is there, and is said to have failed: an error behind the commit.
    FailsBehind,
}

/// What the server has written.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) state: DiskState,
    /// The present start of the server.
    run: u64,
    /// The last round of it.
    round: u64,
    calls: BTreeMap<CallId, (u64, Arc<Call>)>,
    events: Vec<(u64, u64, NumberedEvent)>,
    traces: BTreeMap<CallId, Arc<[u8]>>,
    bindings: BTreeMap<Box<str>, Vec<StoredBinding>>,
    invites: BTreeMap<Box<str>, (u64, StoredInvite)>,
    answers: Vec<FirstAnswer>,
}

/// What a write takes.
pub(super) const USUAL: Duration = Duration::from_millis(2);

impl Default for Disk {
    fn default() -> Self {
        Self {
            state: DiskState::Takes(USUAL),
            run: 1,
            round: 0,
            calls: BTreeMap::new(),
            events: Vec::new(),
            traces: BTreeMap::new(),
            bindings: BTreeMap::new(),
            invites: BTreeMap::new(),
            answers: Vec::new(),
        }
    }
}

impl Disk {
    /// How long the next write takes.
    pub(super) const fn delay(&self) -> Duration {
        match self.state {
            DiskState::Takes(delay) => delay,
            DiskState::Fails | DiskState::FailsBehind => USUAL,
        }
    }

    /// What becomes of a round.
    pub(super) fn write(&mut self, round: &Round) -> Result<Vec<NumberedEvent>, Arc<str>> {
        match self.state {
            DiskState::Takes(_) => Ok(self.commit(round)),
            DiskState::Fails => Err("the disk is full".into()),
            DiskState::FailsBehind => {
                self.commit(round);
                Err("the disk failed behind the commit".into())
            }
        }
    }

    /// Writes a round once; its events with their ids.
    ///
    /// # Panics
    /// When a round is left out.
    pub(super) fn commit(&mut self, round: &Round) -> Vec<NumberedEvent> {
        if round.number != self.round {
            assert_eq!(round.number, self.round + 1, "a round is missing");
            self.round = round.number;
            self.apply(round);
        }
        let own = self.events.iter().filter(|(run, number, _)| (*run, *number) == (self.run, round.number));
        own.map(|(_, _, event)| event.clone()).collect()
    }

    fn apply(&mut self, round: &Round) {
        for call in &round.calls {
            let run = self.calls.get(&call.call_id).map_or(self.run, |(run, _)| *run);
            self.calls.insert(call.call_id, (run, Arc::clone(call)));
        }
        for event in &round.events {
            self.add_event(round.number, event);
        }
        for trace in &round.messages {
            self.traces.insert(trace.call, Arc::clone(&trace.octets));
        }
        for (sip_call_id, invite) in &round.invites {
            match invite {
                Some(invite) => drop(self.invites.insert(sip_call_id.clone(), (self.run, invite.clone()))),
                None => drop(self.invites.remove(sip_call_id)),
            }
        }
        self.bindings.extend(round.bindings.clone());
        self.answers.extend(round.first_answers.iter().cloned());
        self.answers.retain(|answer| !round.forgotten_answers.contains(&answer.call_id));
    }

    /// A second beginning or end of a call is none.
    fn add_event(&mut self, round: u64, event: &Arc<CallEvent>) {
        let comes_once = matches!(event.event, CallEventKind::Initiated | CallEventKind::Ended);
        let is_there = self.events.iter().any(|(_, _, there)| {
            there.event.event == event.event && there.event.call.call_id == event.call.call_id
        });
        assert!(!(comes_once && is_there), "{:?} comes twice", event.event);
        let id = EventId(self.events.len() as u64 + 1);
        self.events.push((self.run, round, NumberedEvent { id, event: Arc::clone(event) }));
    }

    /// A new start of the server; what those before it left.
    pub(super) fn begin_run(&mut self) -> Left {
        self.run += 1;
        self.round = 0;
        let unfinished = self.calls.values().filter(|(run, call)| *run < self.run && call.end.is_none());
        let as_it_was_last = |call: &Arc<Call>| {
            let last = self.events.iter().rev().find(|(_, _, told)| told.event.call.call_id == call.call_id);
            last.map_or_else(|| Call::clone(call), |(_, _, last)| last.event.call.clone())
        };
        Left {
            bindings: self.bindings.values().flatten().cloned().collect(),
            calls: unfinished.map(|(_, call)| as_it_was_last(call)).collect(),
            invites: self.invites.values().map(|(_, invite)| invite.clone()).collect(),
        }
    }

    pub(super) fn call(&self, id: CallId) -> Option<&Arc<Call>> {
        self.calls.get(&id).map(|(_, call)| call)
    }

    pub(super) fn calls(&self) -> impl Iterator<Item = &Arc<Call>> {
        self.calls.values().map(|(_, call)| call)
    }

    pub(super) fn trace(&self, id: CallId) -> Option<&Arc<[u8]>> {
        self.traces.get(&id)
    }

    pub(super) fn events(&self) -> impl Iterator<Item = &NumberedEvent> {
        self.events.iter().map(|(_, _, event)| event)
    }

    pub(super) fn answers(&self) -> &[FirstAnswer] {
        &self.answers
    }

    /// INVITEs that were not ended.
    pub(super) fn invites(&self) -> usize {
        self.invites.len()
    }
}
