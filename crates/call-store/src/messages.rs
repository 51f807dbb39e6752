//! The signalling messages of calls: octets whose form only their recorder knows.
//!
//! Messages of one call are much like each other: compressed they take a quarter of the room, and a call costs the disk
//! hardly more than without them.

use crate::{RowFault, Store, StoreError};
use call_control::{CallId, Timestamp};
use sqlx::{QueryBuilder, Sqlite, Transaction};
use std::sync::Arc;

/// Calls whose messages are kept: with 2 KiB each, 40 MiB.
const CALLS_MAX: i64 = 20_000;
/// How long they are kept, in milliseconds before the newest: a week.
const AGE: i64 = 7 * 24 * 60 * 60 * 1000;
/// How often old ones are looked for, in calls.
const FORGET_EVERY: i64 = 100;
/// Rows of one statement: three values each stay far below SQLite's 32,766 (`SQLITE_MAX_VARIABLE_NUMBER`).
const ROWS: usize = 200;
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

/// With every hundredth call, those of calls that ended over a week before, or more than 20,000 calls ago, are
/// forgotten.
pub(crate) async fn insert_messages(
    transaction: &mut Transaction<'static, Sqlite>,
    messages: &[CallMessages],
) -> Result<(), sqlx::Error> {
    for chunk in messages.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO messages (call_id, at, body) ");
        query.push_values(chunk, |mut values, messages| {
            values
                .push_bind(messages.call.to_string())
                .push_bind(messages.at.unix_milliseconds())
                .push_bind(lz4_flex::block::compress_prepend_size(&messages.octets));
        });
        query.push(" ON CONFLICT DO NOTHING");
        let done = query.build().execute(&mut **transaction).await?;
        let (newest, written) = (done.last_insert_rowid(), done.rows_affected());
        let is_round = newest.rem_euclid(FORGET_EVERY).unsigned_abs() < written;
        if let Some(last) = chunk.last().filter(|_| is_round) {
            forget_old(transaction, newest, last.at.unix_milliseconds()).await?;
        }
    }
    Ok(())
}

async fn forget_old(
    transaction: &mut Transaction<'static, Sqlite>,
    newest: i64,
    at: i64,
) -> Result<(), sqlx::Error> {
    // The newest is young enough: there is always a first one that stays.
    sqlx::query(
        "DELETE FROM messages WHERE id <= ?1 OR id < (SELECT id FROM messages WHERE at >= ?2 ORDER BY id LIMIT 1)",
    )
    .bind(newest - CALLS_MAX)
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
