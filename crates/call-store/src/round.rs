//! All that a server wants kept at one time, in one transaction.

use crate::bindings::replace_bindings;
use crate::calls::{insert_calls, rows};
use crate::events::insert_events;
use crate::invites::change_invites;
use crate::messages::insert_messages;
use crate::{CallMessages, InviteChanges, Store, StoreError, StoredBinding};
use call_control::{Call, CallEvent, NumberedEvent};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is written together: all of it is on disk, or nothing.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// Calls, running or ended, each over what is there under its id.
    pub calls: Vec<Arc<Call>>,
    /// In their order.
    pub events: Vec<Arc<CallEvent>>,
    /// Of calls that have ended; those of one call are written once.
    pub messages: Vec<CallMessages>,
    /// INVITEs to keep or to forget.
    pub invites: InviteChanges,
    /// All bindings of a user, in place of those that are there.
    pub bindings: BTreeMap<Box<str>, Vec<StoredBinding>>,
}

impl Round {
    /// Nothing is to be written.
    pub fn is_empty(&self) -> bool {
        let Self { calls, events, messages, invites, bindings } = self;
        calls.is_empty()
            && events.is_empty()
            && messages.is_empty()
            && invites.is_empty()
            && bindings.is_empty()
    }
}

impl Store {
    /// Writes calls and events as [`Store::put_round`] does.
    ///
    /// # Errors
    /// See [`StoreError`]; nothing is written then.
    pub async fn put(
        &self,
        calls: &[Arc<Call>],
        events: &[Arc<CallEvent>],
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        let (calls, events) = (calls.to_vec(), events.to_vec());
        self.put_round(&Round { calls, events, ..Round::default() }).await
    }

    /// Writes all of a round. Gives the events with the ids that they got, rising; a second `call.initiated` or
    /// `call.ended` of one call is not written and not given back. On return all is on disk. Events older than a
    /// day, or more than 100,000, are forgotten.
    ///
    /// # Errors
    /// See [`StoreError`]; nothing is written then.
    pub async fn put_round(&self, round: &Round) -> Result<Vec<NumberedEvent>, StoreError> {
        let calls = rows(round.calls.iter().map(|call| &**call))?;
        let mut transaction = self.write().await?;
        for (user, bindings) in &round.bindings {
            replace_bindings(&mut transaction, user, bindings).await?;
        }
        insert_calls(&mut transaction, &calls).await?;
        let numbered = insert_events(&mut transaction, &round.events).await?;
        insert_messages(&mut transaction, &round.messages).await?;
        change_invites(&mut transaction, &round.invites).await?;
        transaction.commit().await?;
        Ok(numbered)
    }
}
