//! What is written in which round, and what may be said, answered or acknowledged only after it.
//!
//! One round is under way at a time; what comes meanwhile is gathered for the next one, so that under load many calls
//! share one commit, and without load nothing waits. A round that failed is given again, unchanged, until it lands: what
//! was promised is never forgotten.
//!
//! | waits | the round lands | a round fails, or takes too long |
//! |---|---|---|
//! | a new call | it begins | refused: nobody was rung. Its row, when it lands after all, is closed as `refused` |
//! | an INVITE to a trunk | it is sent | sent: its call's row is on disk |
//! | an answer of a phone | it is acknowledged | acknowledged: its call's row is on disk |
//! | a REGISTER | it is answered | refused |
//! | the end of a call | it is told | waits |
//!
//! While that lasts, new calls and registrations are refused at once, and running calls go on. Their records and events
//! wait here; of what would grow without a bound, the traces, the oldest give way.

use crate::moment::Moment;
use crate::place::CallNumber;
use call_control::{Call, CallEvent, CallEventKind, CallId, EndReason, NumberedEvent, Timestamp};
use call_store::{CallMessages, FirstAnswer, Round, StoredBinding, StoredInvite};
use sip_core::InviteId;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Call-ID and CSeq number of a REGISTER that waits for its bindings to be on disk.
pub(crate) type RegisterKey = (sip_message::CallId, u32);

/// What waits for a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// A call, before anybody is rung.
    Begin(CallNumber, CallId),
    /// An INVITE to a trunk.
    Send(InviteId),
    /// The ACK of an answer.
    Acknowledge(InviteId),
    /// The answer to a REGISTER.
    Register(RegisterKey),
    /// The telling of a call's end.
    End(CallNumber),
}

/// What the journal wants done, in order.
#[derive(Debug)]
pub(crate) enum JournalAction {
    /// Write this; `Journal::handle_written` is due.
    Write(Arc<Round>),
    /// What it waited for is on disk, or need not be waited for.
    Go(Waiting),
    /// What it waited for cannot be written now.
    Refuse(Waiting),
    /// The event is on disk.
    Announce(NumberedEvent),
    /// Whether things can be written has changed.
    Storage(StorageState),
}

/// Whether things can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageState {
    /// Rounds land.
    Fine,
    /// A round takes longer than two seconds.
    Slow,
    /// A round failed; with everything that it came from.
    Failing(Arc<str>),
}

/// Rounds, and what waits for them.
#[derive(Debug)]
pub(crate) struct Journal {
    next_number: u64,
    gathered: Round,
    waiting: Vec<Waiting>,
    under_way: Option<UnderWay>,
    storage: StorageState,
    actions: VecDeque<JournalAction>,
}

/// A round that has not landed.
#[derive(Debug)]
struct UnderWay {
    round: Arc<Round>,
    waiting: Vec<Waiting>,
    /// Calls in it that were refused meanwhile.
    refused: Vec<CallId>,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The writer has it; it is slow from then on.
    Writing { slow_at: Option<Instant> },
    /// It failed, and is given again then.
    Failed { again_at: Instant },
}

/// A round that takes longer keeps nobody waiting.
const SLOW: Duration = Duration::from_secs(2);
/// A round that failed is given again after so long.
const AGAIN: Duration = Duration::from_secs(1);
/// Octets of traces that are kept while nothing can be written.
const TRACES_OCTETS_MAX: usize = 8 * 1024 * 1024;

impl Journal {
    /// A journal whose first round has the number 1.
    pub(crate) fn new() -> Self {
        Self {
            next_number: 1,
            gathered: Round::default(),
            waiting: Vec::new(),
            under_way: None,
            storage: StorageState::Fine,
            actions: VecDeque::new(),
        }
    }

    /// Whether what is given now will be written soon, as far as is known.
    pub(crate) fn can_write(&self) -> bool {
        self.storage == StorageState::Fine
    }

    /// Nothing is left to be written.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_none() && self.gathered.is_empty()
    }

    /// Calls whose end is not on disk.
    pub(crate) fn unwritten_ends(&self) -> usize {
        let is_end = |waiting: &&Waiting| matches!(waiting, Waiting::End(_));
        let under_way = self.under_way.iter().flat_map(|round| &round.waiting);
        self.waiting.iter().chain(under_way).filter(is_end).count()
    }

    /// A call is to begin once its row, and the answer to its request, are on disk.
    pub(crate) fn begin(&mut self, number: CallNumber, initiated: CallEvent, answer: Option<FirstAnswer>) {
        let call = Arc::new(initiated.call.clone());
        let waiting = Waiting::Begin(number, call.call_id);
        if !self.can_write() {
            return self.actions.push_back(JournalAction::Refuse(waiting));
        }
        self.gathered.calls.push(call);
        self.gathered.events.push(Arc::new(initiated));
        self.gathered.first_answers.extend(answer);
        self.waiting.push(waiting);
    }

    /// Something happened to a call that runs.
    pub(crate) fn happened(&mut self, event: CallEvent) {
        self.gathered.events.push(Arc::new(event));
    }

    /// A call is over: its record, the event that tells of it, and its trace go together.
    pub(crate) fn end(&mut self, number: CallNumber, record: &Arc<Call>, trace: Option<CallMessages>) {
        self.close(record);
        self.gathered.messages.extend(trace);
        self.waiting.push(Waiting::End(number));
        if !self.can_write() {
            self.let_traces_give_way();
        }
    }

    /// A call that nobody here runs is over.
    pub(crate) fn close(&mut self, record: &Arc<Call>) {
        self.gathered.calls.push(Arc::clone(record));
        self.gathered.events.push(Arc::new(end_of(record)));
    }

    /// A call whose row is on disk never began: it is closed, and a repeat of its request is a new one.
    pub(crate) fn close_unbegun(&mut self, record: &Arc<Call>) {
        self.close(record);
        self.gathered.forgotten_answers.push(record.call_id);
    }

    /// What an INVITE is ended with, should this process die, and what waits for that.
    pub(crate) fn keep_invite(&mut self, invite: StoredInvite, waiting: Option<Waiting>) {
        self.gathered.invites.insert(invite.sip_call_id.clone(), Some(invite));
        let Some(waiting) = waiting else { return };
        if self.can_write() {
            self.waiting.push(waiting);
        } else {
            self.actions.push_back(JournalAction::Go(waiting));
        }
    }

    /// The INVITE of this Call-ID is over.
    pub(crate) fn forget_invite(&mut self, sip_call_id: Box<str>) {
        self.gathered.invites.insert(sip_call_id, None);
    }

    /// All bindings of a user; `register` waits for them.
    pub(crate) fn keep_bindings(
        &mut self,
        user: Box<str>,
        bindings: Vec<StoredBinding>,
        register: Option<RegisterKey>,
    ) {
        self.gathered.bindings.insert(user, bindings);
        let Some(register) = register.map(Waiting::Register) else { return };
        if self.can_write() {
            self.waiting.push(register);
        } else {
            self.actions.push_back(JournalAction::Refuse(register));
        }
    }

    /// What became of the round that was to be written. An error is everything that it came from.
    pub(crate) fn handle_written(&mut self, result: Result<Vec<NumberedEvent>, Arc<str>>, moment: Moment) {
        match result {
            Ok(events) => self.landed(events, moment),
            Err(cause) => {
                let Some(under_way) = &mut self.under_way else { return };
                under_way.progress = Progress::Failed { again_at: moment.now + AGAIN };
                self.trouble(StorageState::Failing(cause));
            }
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let Some(under_way) = &mut self.under_way else { return };
        match under_way.progress {
            Progress::Writing { slow_at: Some(slow_at) } if slow_at <= now => {
                under_way.progress = Progress::Writing { slow_at: None };
                self.trouble(StorageState::Slow);
            }
            Progress::Failed { again_at } if again_at <= now => {
                under_way.progress = Progress::Writing { slow_at: Some(now + SLOW) };
                self.actions.push_back(JournalAction::Write(Arc::clone(&under_way.round)));
            }
            Progress::Writing { .. } | Progress::Failed { .. } => {}
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.under_way.as_ref()?.progress {
            Progress::Writing { slow_at } => slow_at,
            Progress::Failed { again_at } => Some(again_at),
        }
    }

    /// What is to be done next. Asked last, when everything else is done: what was gathered until then is one round.
    pub(crate) fn poll_action(&mut self, now: Instant) -> Option<JournalAction> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        if self.under_way.is_some() || self.gathered.is_empty() {
            return None;
        }
        let round = Round { number: self.next_number, ..std::mem::take(&mut self.gathered) };
        self.next_number += 1;
        let round = Arc::new(round);
        self.under_way = Some(UnderWay {
            round: Arc::clone(&round),
            waiting: std::mem::take(&mut self.waiting),
            refused: Vec::new(),
            progress: Progress::Writing { slow_at: Some(now + SLOW) },
        });
        Some(JournalAction::Write(round))
    }

    fn landed(&mut self, events: Vec<NumberedEvent>, moment: Moment) {
        let Some(UnderWay { round, waiting, refused, .. }) = self.under_way.take() else { return };
        if self.storage != StorageState::Fine {
            self.storage = StorageState::Fine;
            self.actions.push_back(JournalAction::Storage(StorageState::Fine));
        }
        for call in round.calls.iter().filter(|call| refused.contains(&call.call_id)) {
            let now = moment.timestamp().unwrap_or(call.created_at);
            self.close_unbegun(&broken_off(Call::clone(call), EndReason::Refused, now));
        }
        self.actions.extend(waiting.into_iter().map(JournalAction::Go));
        self.actions.extend(events.into_iter().map(JournalAction::Announce));
    }

    /// Nobody who can be told now waits any longer.
    fn trouble(&mut self, storage: StorageState) {
        if self.storage != storage {
            let is_news =
                !matches!((&self.storage, &storage), (StorageState::Failing(_), StorageState::Slow));
            if is_news {
                self.storage = storage.clone();
                self.actions.push_back(JournalAction::Storage(storage));
            }
        }
        if let Some(under_way) = &mut self.under_way {
            for waiting in std::mem::take(&mut under_way.waiting) {
                if let Waiting::Begin(_, call) = &waiting {
                    under_way.refused.push(*call);
                }
                match without_waiting(waiting) {
                    Ok(action) => self.actions.push_back(action),
                    Err(waits) => under_way.waiting.push(waits),
                }
            }
        }
        for waiting in std::mem::take(&mut self.waiting) {
            if let Waiting::Begin(_, call) = &waiting {
                // Nothing of it was written.
                self.gathered.calls.retain(|row| row.call_id != *call);
                self.gathered.events.retain(|event| event.call.call_id != *call);
                self.gathered.first_answers.retain(|answer| answer.call_id != *call);
            }
            match without_waiting(waiting) {
                Ok(action) => self.actions.push_back(action),
                Err(waits) => self.waiting.push(waits),
            }
        }
    }

    fn let_traces_give_way(&mut self) {
        let traces = &mut self.gathered.messages;
        let mut octets: usize = traces.iter().map(|trace| trace.octets.len()).sum();
        while octets > TRACES_OCTETS_MAX && !traces.is_empty() {
            octets -= traces.remove(0).octets.len();
        }
    }
}

/// What becomes of those that wait when nothing can be written; an error is one that waits on.
fn without_waiting(waiting: Waiting) -> Result<JournalAction, Waiting> {
    match waiting {
        Waiting::Begin(..) | Waiting::Register(_) => Ok(JournalAction::Refuse(waiting)),
        Waiting::Send(_) | Waiting::Acknowledge(_) => Ok(JournalAction::Go(waiting)),
        Waiting::End(_) => Err(waiting),
    }
}

/// The event that tells of the end of a call.
fn end_of(call: &Arc<Call>) -> CallEvent {
    let at = call.ended_at.unwrap_or(call.created_at);
    CallEvent { event: CallEventKind::Ended, party: None, at, call: Call::clone(call) }
}

/// The record of a call that nobody but the server ended. A clock that was set back does not make it end before it began.
fn broken_off(call: Call, reason: EndReason, now: Timestamp) -> Arc<Call> {
    let began = call.connected_at.unwrap_or(call.created_at);
    Arc::new(call.broken_off(reason, now.max(began)))
}

/// After a crash: calls of runs that are over are closed as they last were, and their ends told.
pub(crate) fn recover(journal: &mut Journal, unfinished: Vec<Call>, moment: Moment) {
    for call in unfinished {
        tracing::warn!(call_id = %call.call_id, "a call was cut off when the server died");
        let now = moment.timestamp().unwrap_or(call.created_at);
        journal.close(&broken_off(call, EndReason::ServerCrashed, now));
    }
}

#[cfg(test)]
mod tests;
