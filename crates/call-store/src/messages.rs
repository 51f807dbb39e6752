//! The signalling messages of calls: octets whose form only their recorder knows.
//!
//! Messages of one call are much like each other: compressed they take a quarter of the room, and a call costs the disk
//! hardly more than without them.

use crate::{RowFault, Store, StoreError};
use call_control::{CallId, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};
use std::sync::Arc;

/// Calls whose messages are kept: with 2 KiB each, 40 MiB.
const CALLS_MAX: i64 = 20_000;
/// How long they are kept, in milliseconds before the newest: a week.
const AGE: i64 = 7 * 24 * 60 * 60 * 1000;
/// How often old ones are looked for, in calls.
const FORGET_EVERY: i64 = 100;
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
        self.look_up(move |connection| {
            let body: Option<Vec<u8>> = connection
                .prepare_cached("SELECT body FROM messages WHERE call_id = ?1")?
                .query_row([call.to_string()], |row| row.get(0))
                .optional()?;
            body.map(|body| unpacked(call, &body)).transpose()
        })
        .await
    }
}

/// With every hundredth call, those of calls that ended over a week before, or more than 20,000 calls ago, are
/// forgotten.
pub(crate) fn insert_messages(
    transaction: &Transaction<'_>,
    messages: &[CallMessages],
) -> Result<(), StoreError> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO messages (call_id, at, body) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?;
    for CallMessages { call, at, octets } in messages {
        let packed = lz4_flex::block::compress_prepend_size(octets);
        let written = insert.execute(params![call.to_string(), at.unix_milliseconds(), packed])?;
        let id = transaction.last_insert_rowid();
        if written == 1 && id % FORGET_EVERY == 0 {
            forget_old(transaction, id, at.unix_milliseconds())?;
        }
    }
    Ok(())
}

fn forget_old(transaction: &Transaction<'_>, newest: i64, at: i64) -> Result<(), rusqlite::Error> {
    // The newest is young enough: there is always a first one that stays.
    transaction
        .prepare_cached(
            "DELETE FROM messages WHERE id <= ?1
             OR id < (SELECT id FROM messages WHERE at >= ?2 ORDER BY id LIMIT 1)",
        )?
        .execute([newest - CALLS_MAX, at - AGE])?;
    Ok(())
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
