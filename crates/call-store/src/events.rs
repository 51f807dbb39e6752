//! What happened to calls, kept for those who were not there.

use crate::calls::{insert_calls, rows};
use crate::messages::insert_messages;
use crate::{CallMessages, Store, StoreError};
use call_control::{Call, CallEvent, CallId, EventId, NumberedEvent};
use sqlx::{Sqlite, Transaction};
use std::sync::Arc;

/// Events that are kept at most: with 2 KiB each, 200 MiB.
const EVENTS_MAX: i64 = 100_000;
/// How long they are kept, in milliseconds before the newest: a day.
const EVENTS_AGE: i64 = 24 * 60 * 60 * 1000;

/// An event as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place.
    pub id: EventId,
    /// Such as `call.ringing`.
    pub kind: Box<str>,
    /// The `CallEvent`, as JSON.
    pub json: Box<str>,
}

impl Store {
    /// Writes calls as `Store::put_calls` does, and events, in one transaction. Gives the events with the ids that
    /// they got, rising; a second `call.initiated` or `call.ended` of one call is not written and not given back. On
    /// return all are on disk. Events older than a day, or more than 100,000, are forgotten.
    ///
    /// # Errors
    /// See [`StoreError`]; none of them is written then.
    pub async fn put(
        &self,
        calls: &[Arc<Call>],
        events: &[Arc<CallEvent>],
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        self.put_with_messages(calls, events, &[]).await
    }

    /// As [`Store::put`], and with the messages of calls that have ended. Those of one call are written once.
    ///
    /// # Errors
    /// See [`StoreError`]; nothing is written then.
    pub async fn put_with_messages(
        &self,
        calls: &[Arc<Call>],
        events: &[Arc<CallEvent>],
        messages: &[CallMessages],
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        let calls = rows(calls.iter().map(|call| &**call))?;
        let mut transaction = self.write().await?;
        insert_calls(&mut transaction, &calls).await?;
        let mut numbered = Vec::with_capacity(events.len());
        for event in events {
            if let Some(id) = insert(&mut transaction, event).await? {
                numbered.push(NumberedEvent { id, event: Arc::clone(event) });
            }
        }
        if let Some(newest) = numbered.last() {
            forget_old(&mut transaction, newest).await?;
        }
        insert_messages(&mut transaction, messages).await?;
        transaction.commit().await?;
        Ok(numbered)
    }

    /// The events after one, of one call or of all, in their order; `limit` at most.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn events_after(
        &self,
        after: EventId,
        call: Option<CallId>,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let after = i64::try_from(after.0).unwrap_or(i64::MAX);
        let rows: Vec<(i64, Box<str>, Box<str>)> = match call {
            Some(call) => sqlx::query_as(
                "SELECT id, kind, body FROM events WHERE call_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
            )
            .bind(call.to_string()),
            None => sqlx::query_as(
                "SELECT id, kind, body FROM events WHERE ?1 IS NULL AND id > ?2 ORDER BY id LIMIT ?3",
            )
            .bind(None::<String>),
        }
        .bind(after)
        .bind(limit)
        .fetch_all(self.readers())
        .await?;
        let events = rows.into_iter().map(|(id, kind, json)| StoredEvent {
            id: EventId(u64::try_from(id).unwrap_or_default()),
            kind,
            json,
        });
        Ok(events.collect())
    }

    /// The ids of the oldest event that is kept, or else of the next one, and of the newest that ever was, or else 0.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn event_range(&self) -> Result<(EventId, EventId), StoreError> {
        let (oldest, newest): (i64, i64) = sqlx::query_as(
            "SELECT coalesce((SELECT min(id) FROM events), newest + 1), newest FROM
             (SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) AS newest)",
        )
        .fetch_one(self.readers())
        .await?;
        let id = |id| EventId(u64::try_from(id).unwrap_or_default());
        Ok((id(oldest), id(newest)))
    }

    /// A call as its last event had it, if one is kept.
    ///
    /// # Errors
    /// See [`StoreError`]. An event that an earlier version wrote and this one cannot read is none.
    pub async fn call_at_last_event(&self, call: CallId) -> Result<Option<Call>, StoreError> {
        let row: Option<(Box<str>,)> =
            sqlx::query_as("SELECT body FROM events WHERE call_id = ?1 ORDER BY id DESC LIMIT 1")
                .bind(call.to_string())
                .fetch_optional(self.readers())
                .await?;
        Ok(row.and_then(|(body,)| serde_json::from_str::<CallEvent>(&body).ok()).map(|event| event.call))
    }
}

async fn insert(
    transaction: &mut Transaction<'static, Sqlite>,
    event: &CallEvent,
) -> Result<Option<EventId>, StoreError> {
    let body = serde_json::to_string(event).map_err(StoreError::Unwritable)?;
    let done = sqlx::query(
        "INSERT INTO events (call_id, kind, at, body) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
    )
    .bind(event.call.call_id.to_string())
    .bind(event.event.as_str())
    .bind(event.at.unix_milliseconds())
    .bind(body)
    .execute(&mut **transaction)
    .await?;
    let id = u64::try_from(done.last_insert_rowid()).unwrap_or_default();
    Ok((done.rows_affected() == 1).then_some(EventId(id)))
}

async fn forget_old(
    transaction: &mut Transaction<'static, Sqlite>,
    newest: &NumberedEvent,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM events WHERE id <= ?1 OR at < ?2")
        .bind(i64::try_from(newest.id.0).unwrap_or(i64::MAX) - EVENTS_MAX)
        .bind(newest.event.at.unix_milliseconds() - EVENTS_AGE)
        .execute(&mut **transaction)
        .await
        .map(drop)
}
