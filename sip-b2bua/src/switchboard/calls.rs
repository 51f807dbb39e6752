//! The calls that there are, by their numbers and by their ids, and when each is due.

use crate::call::RunningCall;
use crate::place::CallNumber;
use call_control::{Call, CallId, ClickToCall};
use sip_core::InviteId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::Ticket;

/// All calls.
#[derive(Debug)]
pub(super) struct Calls {
    calls: BTreeMap<CallNumber, InSwitchboard>,
    numbers: BTreeMap<CallId, CallNumber>,
    due: BTreeSet<(Instant, CallNumber)>,
    last: CallNumber,
}

/// A call and what the switchboard has to know of it.
#[derive(Debug)]
struct InSwitchboard {
    id: CallId,
    key_name: Box<str>,
    due: Option<Instant>,
    stage: Stage,
}

/// How far a call has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// Its relay session is being opened, then its row is being written.
    Beginning {
        call: Box<RunningCall>,
        origin: Origin,
    },
    Running {
        call: Box<RunningCall>,
    },
    /// The record is being written.
    Keeping {
        record: Arc<Call>,
    },
}

/// Who wanted a call.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    Asked { ticket: Ticket, request: Box<ClickToCall> },
    Dialled { invite: InviteId },
}

impl Calls {
    pub(super) const fn new() -> Self {
        Self { calls: BTreeMap::new(), numbers: BTreeMap::new(), due: BTreeSet::new(), last: CallNumber(0) }
    }

    /// A number that no call has, and that is not taken otherwise.
    pub(super) fn next_number(&mut self, is_taken: impl Fn(CallNumber) -> bool) -> CallNumber {
        loop {
            self.last = self.last.next();
            if !self.calls.contains_key(&self.last) && !is_taken(self.last) {
                return self.last;
            }
        }
    }

    pub(super) fn add(&mut self, number: CallNumber, id: CallId, key_name: Box<str>, stage: Stage) {
        self.numbers.insert(id, number);
        self.calls.insert(number, InSwitchboard { id, key_name, due: None, stage });
    }

    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether so many calls of a key run.
    pub(super) fn key_has(&self, key_name: &str, count: usize) -> bool {
        self.calls.values().filter(|call| &*call.key_name == key_name).take(count).count() >= count
    }

    pub(super) fn number_of(&self, id: CallId) -> Option<CallNumber> {
        self.numbers.get(&id).copied()
    }

    pub(super) fn id_of(&self, number: CallNumber) -> Option<CallId> {
        self.calls.get(&number).map(|call| call.id)
    }

    pub(super) fn numbers(&self) -> Vec<CallNumber> {
        self.calls.keys().copied().collect()
    }

    pub(super) fn stage(&self, number: CallNumber) -> Option<&Stage> {
        self.calls.get(&number).map(|call| &call.stage)
    }

    pub(super) fn stage_mut(&mut self, number: CallNumber) -> Option<&mut Stage> {
        self.calls.get_mut(&number).map(|call| &mut call.stage)
    }

    /// The machine of a call that is not over.
    pub(super) fn machine(&mut self, number: CallNumber) -> Option<&mut RunningCall> {
        match &mut self.calls.get_mut(&number)?.stage {
            Stage::Beginning { call, .. } | Stage::Running { call } => Some(call),
            Stage::Keeping { .. } => None,
        }
    }

    /// From now on it runs; who wanted it.
    pub(super) fn run(&mut self, number: CallNumber) -> Option<Origin> {
        let entry = self.calls.remove(&number)?;
        match entry.stage {
            Stage::Beginning { call, origin } => {
                self.calls.insert(number, InSwitchboard { stage: Stage::Running { call }, ..entry });
                Some(origin)
            }
            stage @ (Stage::Running { .. } | Stage::Keeping { .. }) => {
                self.calls.insert(number, InSwitchboard { stage, ..entry });
                None
            }
        }
    }

    /// From now on only its record is waited for.
    pub(super) fn keep(&mut self, number: CallNumber, record: Arc<Call>) {
        self.schedule_at(number, None);
        if let Some(call) = self.calls.get_mut(&number) {
            call.stage = Stage::Keeping { record };
        }
    }

    pub(super) fn remove(&mut self, number: CallNumber) -> Option<Stage> {
        self.schedule_at(number, None);
        let call = self.calls.remove(&number)?;
        self.numbers.remove(&call.id);
        Some(call.stage)
    }

    /// Notes when a call is due, as it is now.
    pub(super) fn schedule(&mut self, number: CallNumber) {
        let due = self.machine(number).and_then(|call| call.poll_timeout());
        self.schedule_at(number, due);
    }

    fn schedule_at(&mut self, number: CallNumber, due: Option<Instant>) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        if call.due == due {
            return;
        }
        if let Some(old) = std::mem::replace(&mut call.due, due) {
            self.due.remove(&(old, number));
        }
        if let Some(due) = due {
            self.due.insert((due, number));
        }
    }

    /// Takes out the first call that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<CallNumber> {
        let (due, number) = self.due.first().copied().filter(|(due, _)| *due <= now)?;
        self.due.remove(&(due, number));
        if let Some(call) = self.calls.get_mut(&number) {
            call.due = None;
        }
        Some(number)
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }
}
