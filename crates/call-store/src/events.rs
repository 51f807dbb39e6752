//! What happened to calls, kept for those who were not there.

use crate::runs::{RunId, number};
use crate::{Round, Store, StoreError};
use call_control::{Call, CallEvent, CallId, EventId, NumberedEvent};
use rusqlite::{OptionalExtension, Row, Transaction, params};
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
        let after = number(after.0);
        self.look_up(move |connection| {
            let read = |row: &Row<'_>| {
                Ok(StoredEvent { id: event_id(row.get(0)?), kind: row.get(1)?, json: row.get(2)? })
            };
            let events = match call {
                Some(call) => connection
                    .prepare_cached(
                        "SELECT id, kind, body FROM events WHERE call_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
                    )?
                    .query_map(params![call.to_string(), after, limit], read)?
                    .collect(),
                None => connection
                    .prepare_cached("SELECT id, kind, body FROM events WHERE id > ?1 ORDER BY id LIMIT ?2")?
                    .query_map(params![after, limit], read)?
                    .collect::<Result<Vec<_>, _>>(),
            };
            Ok(events?)
        })
        .await
    }

    /// The ids of the oldest event that is kept, or else of the next one, and of the newest that ever was, or else 0.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn event_range(&self) -> Result<(EventId, EventId), StoreError> {
        self.look_up(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT coalesce((SELECT min(id) FROM events), newest + 1), newest FROM
                 (SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) AS newest)",
            )?;
            Ok(statement.query_row([], |row| Ok((event_id(row.get(0)?), event_id(row.get(1)?))))?)
        })
        .await
    }

    /// A call as its last event had it, if one is kept.
    ///
    /// # Errors
    /// See [`StoreError`]. An event that an earlier version wrote and this one cannot read is none.
    pub async fn call_at_last_event(&self, call: CallId) -> Result<Option<Call>, StoreError> {
        self.look_up(move |connection| {
            let body: Option<Box<str>> = connection
                .prepare_cached("SELECT body FROM events WHERE call_id = ?1 ORDER BY id DESC LIMIT 1")?
                .query_row([call.to_string()], |row| row.get(0))
                .optional()?;
            let event = body.and_then(|body| serde_json::from_str::<CallEvent>(&body).ok());
            Ok(event.map(|event| event.call))
        })
        .await
    }
}

fn event_id(id: i64) -> EventId {
    EventId(u64::try_from(id).unwrap_or_default())
}

/// Gives the events with the ids that they got, but for those that are there already.
pub(crate) fn insert_events(
    transaction: &Transaction<'_>,
    run: RunId,
    round: &Round,
) -> Result<Vec<NumberedEvent>, StoreError> {
    let mut numbered = Vec::with_capacity(round.events.len());
    let mut insert = transaction.prepare_cached(
        "INSERT INTO events (call_id, kind, at, body, run, round, place) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT DO NOTHING",
    )?;
    for (place, event) in round.events.iter().enumerate() {
        let written = insert.execute(params![
            event.call.call_id.to_string(),
            event.event.as_str(),
            event.at.unix_milliseconds(),
            serde_json::to_string(&**event).map_err(StoreError::Unwritable)?,
            run.number(),
            number(round.number),
            i64::try_from(place).unwrap_or(i64::MAX),
        ])?;
        if written == 1 {
            let id = event_id(transaction.last_insert_rowid());
            numbered.push(NumberedEvent { id, event: Arc::clone(event) });
        }
    }
    if let Some(newest) = numbered.last() {
        forget_old(transaction, newest)?;
    }
    Ok(numbered)
}

fn forget_old(transaction: &Transaction<'_>, newest: &NumberedEvent) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached("DELETE FROM events WHERE id <= ?1 OR at < ?2")?
        .execute([number(newest.id.0) - EVENTS_MAX, newest.event.at.unix_milliseconds() - EVENTS_AGE])?;
    Ok(())
}

/// Those of a round that was written, with their ids. It was the last: they are the last.
pub(crate) fn events_of_round(
    transaction: &Transaction<'_>,
    run: RunId,
    round: &Round,
) -> Result<Vec<NumberedEvent>, StoreError> {
    let mut statement = transaction.prepare("SELECT id, run, round, place FROM events ORDER BY id DESC")?;
    let mut rows = statement.query([])?;
    let mut numbered = Vec::new();
    while let Some(row) = rows.next()? {
        if (row.get(1)?, row.get(2)?) != (run.number(), number(round.number)) {
            break;
        }
        let place = usize::try_from(row.get::<_, i64>(3)?).unwrap_or(usize::MAX);
        if let Some(event) = round.events.get(place) {
            numbered.push(NumberedEvent { id: event_id(row.get(0)?), event: Arc::clone(event) });
        }
    }
    numbered.reverse();
    Ok(numbered)
}
