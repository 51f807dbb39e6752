//! All that a server wants kept at one time, in one transaction.

use crate::bindings::replace_bindings;
use crate::calls::insert_calls;
use crate::events::{events_of_round, insert_events};
use crate::first_answers::{forget_answers, insert_answers};
use crate::invites::change_invites;
use crate::messages::insert_messages;
use crate::runs::{RunId, Turn, take_turn};
use crate::{CallMessages, FirstAnswer, InviteChanges, Store, StoreError, StoredBinding};
use call_control::{Call, CallEvent, CallId, NumberedEvent};
use rusqlite::Transaction;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What is written together: all of it is on disk, or nothing.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// Within the run: 1, 2, 3 … A round that failed keeps its number and is given again, unchanged, before the next.
    pub number: u64,
    /// Calls, running or ended, each over what is there under its id. A row belongs to the run that wrote it first.
    pub calls: Vec<Arc<Call>>,
    /// In their order. A second `call.initiated` or `call.ended` of a call is left out.
    pub events: Vec<Arc<CallEvent>>,
    /// Of calls that have ended; those of one call are written once.
    pub messages: Vec<CallMessages>,
    /// INVITEs to keep or to forget.
    pub invites: InviteChanges,
    /// All bindings of a user, in place of those that are there. Of two of one contact the later one counts
    /// (RFC 3261 §10.3: a binding is known by its contact).
    pub bindings: BTreeMap<Box<str>, Vec<StoredBinding>>,
    /// What a repeat of a request is answered with, each over what is there under its name.
    pub first_answers: Vec<FirstAnswer>,
    /// Calls whose first answers are forgotten: a repeat of the request is a new one then.
    pub forgotten_answers: Vec<CallId>,
}

impl Round {
    /// Nothing is to be written, whatever its number.
    pub fn is_empty(&self) -> bool {
        let Self { number: _, calls, events, messages, invites, bindings, first_answers, forgotten_answers } =
            self;
        calls.is_empty()
            && events.is_empty()
            && messages.is_empty()
            && invites.is_empty()
            && bindings.is_empty()
            && first_answers.is_empty()
            && forgotten_answers.is_empty()
    }
}

impl Store {
    /// Has a round written, and returns at once; `done` is called on the thread that writes, and holds up what comes
    /// after it. It is given the events that were written, with their ids. Events older than a day, or more than
    /// 100,000, are forgotten.
    ///
    /// With an error nothing is known to be written, and nothing is tried again here: the same round is to be given
    /// again, at any later time. That is safe even when the round had been written and only the answer was lost: it is
    /// not written twice, and its events come with the ids that they got.
    ///
    /// The queue has no bound: a caller has one round under way at a time.
    pub fn write(
        &self,
        round: Arc<Round>,
        done: impl FnOnce(Result<Vec<NumberedEvent>, StoreError>) + Send + 'static,
    ) {
        let run = self.run();
        self.order(Box::new(move |writer| {
            done(writer.transact(|transaction| put(transaction, run, &round)));
        }));
    }

    /// As [`Store::write`], awaited. A future that is dropped stops nothing.
    ///
    /// # Errors
    /// See [`StoreError`]; the same round is to be given again then.
    pub async fn put_round(&self, round: Arc<Round>) -> Result<Vec<NumberedEvent>, StoreError> {
        let (done, answer) = oneshot::channel();
        self.write(round, move |outcome| {
            let _ = done.send(outcome);
        });
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

fn put(transaction: &Transaction<'_>, run: RunId, round: &Round) -> Result<Vec<NumberedEvent>, StoreError> {
    match take_turn(transaction, run, round.number)? {
        Turn::Written => return events_of_round(transaction, run, round),
        Turn::Next => {}
    }
    for (user, bindings) in &round.bindings {
        replace_bindings(transaction, run, user, bindings)?;
    }
    insert_calls(transaction, run, &round.calls)?;
    let numbered = insert_events(transaction, run, round)?;
    insert_messages(transaction, &round.messages)?;
    change_invites(transaction, run, &round.invites)?;
    insert_answers(transaction, &round.first_answers)?;
    forget_answers(transaction, &round.forgotten_answers)?;
    Ok(numbered)
}
