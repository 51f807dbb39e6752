//! Calls, running and ended: the whole call as JSON, with columns beside it to search by.

use crate::runs::RunId;
use crate::{RowFault, Store, StoreError};
use call_control::{Call, CallId, PartyView};
use rusqlite::{Row, Transaction, params};
use serde::Serialize;
use std::sync::Arc;

impl Store {
    /// A call as it was last written.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn call(&self, id: CallId) -> Result<Option<Call>, StoreError> {
        self.look_up(move |connection| {
            let mut statement =
                connection.prepare_cached("SELECT call_id, body FROM calls WHERE call_id = ?1")?;
            let mut rows = statement.query([id.to_string()])?;
            rows.next()?.map(read).transpose()
        })
        .await
    }

    /// The calls that were last written without an end, of any run, oldest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn running_calls(&self) -> Result<Vec<Call>, StoreError> {
        self.search(|connection| {
            let mut statement = connection.prepare(
                "SELECT call_id, body FROM calls WHERE ended_at IS NULL ORDER BY created_at, call_id",
            )?;
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(read(row)?);
            }
            Ok(found)
        })
        .await
    }
}

/// A row belongs to the run that wrote it first.
pub(crate) fn insert_calls(
    transaction: &Transaction<'_>,
    run: RunId,
    calls: &[Arc<Call>],
) -> Result<(), StoreError> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO calls (call_id, run, created_at, ended_at, state, direction, from_number, to_number, to_type,
         end_reason, connected_at, talk_ms, first_audio_ms, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (call_id) DO UPDATE SET created_at = excluded.created_at, ended_at = excluded.ended_at,
         state = excluded.state, direction = excluded.direction, from_number = excluded.from_number,
         to_number = excluded.to_number, to_type = excluded.to_type, end_reason = excluded.end_reason,
         connected_at = excluded.connected_at, talk_ms = excluded.talk_ms,
         first_audio_ms = excluded.first_audio_ms, body = excluded.body",
    )?;
    for call in calls {
        insert.execute(params![
            call.call_id.to_string(),
            run.number(),
            call.created_at.unix_milliseconds(),
            call.ended_at.map(|moment| moment.unix_milliseconds()),
            word(&call.state)?,
            call.direction.as_str(),
            call.from.number.to_string(),
            call.to.number.to_string(),
            word(&call.to.party_type)?,
            call.end.as_ref().map(|end| end.reason.as_str()),
            call.connected_at.map(|moment| moment.unix_milliseconds()),
            talk_ms(call),
            first_audio_ms(call),
            serde_json::to_string(&**call).map_err(StoreError::Unwritable)?,
        ])?;
    }
    Ok(())
}

/// How long it was connected; `None` unless it was and has ended.
fn talk_ms(call: &Call) -> Option<i64> {
    call.connected_at.and(call.ended_at)?;
    // A cast of what is too large or no number gives the nearest one, or 0.
    Some(((call.talk_seconds * 1000.0).round() as i64).max(0))
}

/// Until the later party was heard; `None` unless both were.
fn first_audio_ms(call: &Call) -> Option<i64> {
    let first = |party: &PartyView| party.media.as_ref()?.first_packet_ms_after_answer;
    i64::try_from(first(&call.from)?.max(first(&call.to)?)).ok()
}

/// The word that the API has for a value of an enum.
fn word(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_value(value).and_then(serde_json::from_value).map_err(StoreError::Unwritable)
}

/// Of `call_id` and `body`, the first two columns.
pub(crate) fn read(row: &Row<'_>) -> Result<Call, StoreError> {
    let body = row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?;
    match serde_json::from_slice(body) {
        Ok(call) => Ok(call),
        Err(source) => {
            let fault = RowFault::Json { row: row.get(0)?, source };
            Err(StoreError::Corrupt { table: "calls", fault })
        }
    }
}
