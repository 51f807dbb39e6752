//! Calls, running and ended: the whole call as JSON, with columns beside it to search by.

use crate::{RowFault, Store, StoreError};
use call_control::{Call, CallId, PartyView};
use serde::Serialize;
use sqlx::{QueryBuilder, Sqlite, Transaction};

/// Rows of one statement: twelve values each stay far below SQLite's 32,766 (`SQLITE_MAX_VARIABLE_NUMBER`).
const ROWS: usize = 200;

impl Store {
    /// Writes calls, running or ended, in one transaction, each over what is there under its id. On return they are on
    /// disk.
    ///
    /// # Errors
    /// See [`StoreError`]; none of them is written then.
    pub async fn put_calls(&self, calls: &[Call]) -> Result<(), StoreError> {
        let rows = rows(calls)?;
        let mut transaction = self.write().await?;
        insert_calls(&mut transaction, &rows).await?;
        Ok(transaction.commit().await?)
    }

    /// A call as it was last written.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn call(&self, id: CallId) -> Result<Option<Call>, StoreError> {
        let row: Option<(Box<str>, Box<str>)> =
            sqlx::query_as("SELECT call_id, body FROM calls WHERE call_id = ?1")
                .bind(id.to_string())
                .fetch_optional(self.readers())
                .await?;
        row.map(read).transpose()
    }

    /// The calls that were last written without an end, oldest first: after a crash, those that it cut off.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn running_calls(&self) -> Result<Vec<Call>, StoreError> {
        let rows: Vec<(Box<str>, Box<str>)> = sqlx::query_as(
            "SELECT call_id, body FROM calls WHERE ended_at IS NULL ORDER BY created_at, call_id",
        )
        .fetch_all(self.readers())
        .await?;
        rows.into_iter().map(read).collect()
    }
}

pub(crate) struct Row {
    call_id: String,
    created_at: i64,
    ended_at: Option<i64>,
    state: String,
    from_number: String,
    to_number: String,
    to_type: String,
    end_reason: Option<String>,
    connected_at: Option<i64>,
    first_audio_ms: Option<i64>,
    body: String,
}

impl Row {
    fn of(call: &Call) -> Result<Self, serde_json::Error> {
        Ok(Self {
            call_id: call.call_id.to_string(),
            created_at: call.created_at.unix_milliseconds(),
            ended_at: call.ended_at.map(|moment| moment.unix_milliseconds()),
            state: word(&call.state)?,
            from_number: call.from.number.to_string(),
            to_number: call.to.number.to_string(),
            to_type: word(&call.to.party_type)?,
            end_reason: call.end.as_ref().map(|end| word(&end.reason)).transpose()?,
            connected_at: call.connected_at.map(|moment| moment.unix_milliseconds()),
            first_audio_ms: first_audio_ms(call),
            body: serde_json::to_string(call)?,
        })
    }
}

/// Until the later party was heard; `None` unless both were.
fn first_audio_ms(call: &Call) -> Option<i64> {
    let first = |party: &PartyView| party.media.as_ref()?.first_packet_ms_after_answer;
    i64::try_from(first(&call.from)?.max(first(&call.to)?)).ok()
}

pub(crate) fn rows<'a>(calls: impl IntoIterator<Item = &'a Call>) -> Result<Vec<Row>, StoreError> {
    calls.into_iter().map(Row::of).collect::<Result<_, _>>().map_err(StoreError::Unwritable)
}

pub(crate) async fn insert_calls(
    transaction: &mut Transaction<'static, Sqlite>,
    rows: &[Row],
) -> Result<(), sqlx::Error> {
    for chunk in rows.chunks(ROWS) {
        insert(chunk).build().execute(&mut **transaction).await?;
    }
    Ok(())
}

/// The word that the API has for a value of an enum.
fn word(value: &impl Serialize) -> Result<String, serde_json::Error> {
    serde_json::from_value(serde_json::to_value(value)?)
}

fn insert(rows: &[Row]) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(
        "INSERT INTO calls (call_id, created_at, ended_at, state, direction, from_number, to_number, to_type,
         end_reason, connected_at, first_audio_ms, body) ",
    );
    query.push_values(rows, |mut values, row| {
        values
            .push_bind(row.call_id.clone())
            .push_bind(row.created_at)
            .push_bind(row.ended_at)
            .push_bind(row.state.clone())
            .push("'outbound'")
            .push_bind(row.from_number.clone())
            .push_bind(row.to_number.clone())
            .push_bind(row.to_type.clone())
            .push_bind(row.end_reason.clone())
            .push_bind(row.connected_at)
            .push_bind(row.first_audio_ms)
            .push_bind(row.body.clone());
    });
    query.push(
        " ON CONFLICT (call_id) DO UPDATE SET created_at = excluded.created_at, ended_at = excluded.ended_at,
         state = excluded.state, from_number = excluded.from_number, to_number = excluded.to_number,
         to_type = excluded.to_type, end_reason = excluded.end_reason,
         connected_at = excluded.connected_at, first_audio_ms = excluded.first_audio_ms, body = excluded.body",
    );
    query
}

pub(crate) fn read((row, body): (Box<str>, Box<str>)) -> Result<Call, StoreError> {
    serde_json::from_str(&body)
        .map_err(|source| StoreError::Corrupt { table: "calls", fault: RowFault::Json { row, source } })
}
