//! The signalling messages of calls: octets whose form only their recorder knows.
//!
//! Messages of one call are much like each other: compressed they take a quarter of the room, and a call costs the disk
//! hardly more than without them.

use crate::{RowFault, Store, StoreError};
use call_control::{CallId, Timestamp};
use sqlx::{Sqlite, Transaction};
use std::sync::Arc;

/// Calls whose messages are kept: with 2 KiB each, 40 MiB.
const CALLS_MAX: i64 = 20_000;
/// How long they are kept, in milliseconds before the newest: a week.
const AGE: i64 = 7 * 24 * 60 * 60 * 1000;
/// Octets of a call beyond which a row makes no sense.
const OCTETS_MAX: usize = 1024 * 1024;

/// What was recorded of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallMessages {
    /// Of this call.
    pub call: CallId,
    /// When it ended.
    pub at: Timestamp,
    /// As the recorder wrote them; at most 1 MiB.
    pub octets: Arc<[u8]>,
}

impl Store {
    /// The messages of a call that has ended, unless they are forgotten.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn messages(&self, call: CallId) -> Result<Option<Vec<u8>>, StoreError> {
        let row: Option<(Vec<u8>,)> = sqlx::query_as("SELECT body FROM messages WHERE call_id = ?1")
            .bind(call.to_string())
            .fetch_optional(self.readers())
            .await?;
        row.map(|(body,)| unpacked(call, &body)).transpose()
    }
}

/// A row as it is written.
pub(crate) struct Row {
    call_id: String,
    at: i64,
    body: Vec<u8>,
}

pub(crate) fn message_rows(messages: &[CallMessages]) -> Vec<Row> {
    let row = |messages: &CallMessages| Row {
        call_id: messages.call.to_string(),
        at: messages.at.unix_milliseconds(),
        body: lz4_flex::block::compress_prepend_size(&messages.octets),
    };
    messages.iter().map(row).collect()
}

/// Those of calls that ended over a week before, or more than 20,000 calls ago, are forgotten.
pub(crate) async fn insert_messages(
    transaction: &mut Transaction<'static, Sqlite>,
    rows: &[Row],
) -> Result<(), sqlx::Error> {
    let mut newest = None;
    for Row { call_id, at, body } in rows {
        let done = sqlx::query(
            "INSERT INTO messages (call_id, at, body) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )
        .bind(call_id)
        .bind(at)
        .bind(body)
        .execute(&mut **transaction)
        .await?;
        if done.rows_affected() == 1 {
            newest = Some((done.last_insert_rowid(), at));
        }
    }
    let Some((id, at)) = newest else { return Ok(()) };
    // The newest is young enough: there is always a first one that stays.
    sqlx::query(
        "DELETE FROM messages WHERE id <= ?1 OR id < (SELECT id FROM messages WHERE at >= ?2 ORDER BY id LIMIT 1)",
    )
    .bind(id - CALLS_MAX)
    .bind(at - AGE)
    .execute(&mut **transaction)
    .await
    .map(drop)
}

fn unpacked(call: CallId, body: &[u8]) -> Result<Vec<u8>, StoreError> {
    let row = || call.to_string().into();
    let corrupt = |fault| StoreError::Corrupt { table: "messages", fault };
    let (size, packed) = lz4_flex::block::uncompressed_size(body)
        .map_err(|source| corrupt(RowFault::Packed { row: row(), source }))?;
    if size > OCTETS_MAX {
        let value = i64::try_from(size).unwrap_or(i64::MAX);
        return Err(corrupt(RowFault::Range { row: row(), value }));
    }
    lz4_flex::block::decompress(packed, size)
        .map_err(|source| corrupt(RowFault::Packed { row: row(), source }))
}
