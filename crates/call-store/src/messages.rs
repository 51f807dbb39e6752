//! The signalling messages of calls: octets whose form only their recorder knows.

use crate::{Store, StoreError};
use call_control::{CallId, Timestamp};
use sqlx::{Sqlite, Transaction};
use std::sync::Arc;

/// Calls whose messages are kept: with 8 KiB each, 160 MiB; with the most that a recorder keeps, 1 GiB.
const CALLS_MAX: i64 = 20_000;
/// How long they are kept, in milliseconds before the newest: a week.
const AGE: i64 = 7 * 24 * 60 * 60 * 1000;

/// What was recorded of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallMessages {
    /// Of this call.
    pub call: CallId,
    /// When it ended.
    pub at: Timestamp,
    /// As the recorder wrote them.
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
        Ok(row.map(|(octets,)| octets))
    }
}

/// Those of calls that ended over a week before, or more than 20,000 calls ago, are forgotten.
pub(crate) async fn insert_messages(
    transaction: &mut Transaction<'static, Sqlite>,
    messages: &[CallMessages],
) -> Result<(), sqlx::Error> {
    let mut newest = None;
    for CallMessages { call, at, octets } in messages {
        let done = sqlx::query(
            "INSERT INTO messages (call_id, at, body) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )
        .bind(call.to_string())
        .bind(at.unix_milliseconds())
        .bind(&**octets)
        .execute(&mut **transaction)
        .await?;
        if done.rows_affected() == 1 {
            newest = Some((done.last_insert_rowid(), at.unix_milliseconds()));
        }
    }
    let Some((id, at)) = newest else { return Ok(()) };
    sqlx::query("DELETE FROM messages WHERE id <= ?1 OR at < ?2")
        .bind(id - CALLS_MAX)
        .bind(at - AGE)
        .execute(&mut **transaction)
        .await
        .map(drop)
}
