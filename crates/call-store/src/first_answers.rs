//! First answers to requests that may be repeated.

use crate::{RowFault, Store, StoreError};
use call_control::{CallId, Repeatable};
use rusqlite::{OptionalExtension, Transaction, params};

/// How long a first answer is given again, in milliseconds: a day.
const AGE: i64 = 24 * 60 * 60 * 1000;
/// How many are kept at most; the oldest go first.
const ANSWERS_MAX: i64 = 100_000;

/// What a request that may be repeated came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstAnswer {
    /// The request.
    pub request: Repeatable,
    /// The call that it placed.
    pub call_id: CallId,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// The text that the client got, where it waited for more than the call's id.
    pub body: Option<Box<str>>,
}

impl Store {
    /// The first answer to a request, if it was given within the day before `now`, in milliseconds since 1970.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn first_answer(
        &self,
        api_key: &[u8; 32],
        idempotency_key: &str,
        now: i64,
    ) -> Result<Option<FirstAnswer>, StoreError> {
        type Row = (Vec<u8>, Box<str>, i64, Option<Box<str>>);
        let (api_key, idempotency_key): (_, Box<str>) = (*api_key, idempotency_key.into());
        self.look_up(move |connection| {
            let row: Option<Row> = connection
                .prepare_cached(
                    "SELECT request, call_id, at, body FROM first_answers
                     WHERE api_key = ?1 AND idempotency_key = ?2 AND at > ?3",
                )?
                .query_row(params![api_key, idempotency_key, now.saturating_sub(AGE)], |row| row.try_into())
                .optional()?;
            let Some((request, call_id, at, body)) = row else { return Ok(None) };
            let corrupt = |fault| StoreError::Corrupt { table: "first_answers", fault };
            let octets = request.len();
            let digest = |_| corrupt(RowFault::Digest { row: idempotency_key.clone(), octets });
            let request = request.try_into().map_err(digest)?;
            let Ok(call_id) = call_id.parse() else { return Err(corrupt(RowFault::Word { word: call_id })) };
            let request = Repeatable { api_key, idempotency_key, body: request };
            Ok(Some(FirstAnswer { request, call_id, at, body }))
        })
        .await
    }

    /// Keeps the text that a client which waited got, beside the first answer to its request. There is nothing to do
    /// when that is forgotten. On return it is on disk.
    ///
    /// # Errors
    /// See [`StoreError`]; it is not kept then.
    pub async fn put_first_body(&self, request: &Repeatable, body: &str) -> Result<(), StoreError> {
        let (request, body): (_, Box<str>) = (request.clone(), body.into());
        self.have_written(move |writer| {
            writer.transact(|transaction| {
                transaction
                    .prepare_cached(
                        "UPDATE first_answers SET body = ?4
                         WHERE api_key = ?1 AND idempotency_key = ?2 AND request = ?3",
                    )?
                    .execute(params![request.api_key, request.idempotency_key, request.body, body])?;
                Ok(())
            })
        })
        .await
    }
}

/// Those older than a day, or more than 100,000, are forgotten.
pub(crate) fn insert_answers(
    transaction: &Transaction<'_>,
    answers: &[FirstAnswer],
) -> Result<(), StoreError> {
    let Some(newest) = answers.iter().map(|answer| answer.at).max() else { return Ok(()) };
    transaction
        .prepare_cached("DELETE FROM first_answers WHERE at <= ?1")?
        .execute([newest.saturating_sub(AGE)])?;
    // In the place of what is there, with the highest rowid: those that are 100,000 behind are the oldest.
    let mut insert = transaction.prepare_cached(
        "INSERT OR REPLACE INTO first_answers (api_key, idempotency_key, request, call_id, at, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for FirstAnswer { request, call_id, at, body } in answers {
        let Repeatable { api_key, idempotency_key, body: digest } = request;
        insert.execute(params![api_key, idempotency_key, digest, call_id.to_string(), at, body])?;
    }
    transaction
        .prepare_cached(
            "DELETE FROM first_answers WHERE rowid <= (SELECT max(rowid) FROM first_answers) - ?1",
        )?
        .execute([ANSWERS_MAX])?;
    Ok(())
}

pub(crate) fn forget_answers(transaction: &Transaction<'_>, calls: &[CallId]) -> Result<(), StoreError> {
    for call in calls {
        transaction
            .prepare_cached("DELETE FROM first_answers WHERE call_id = ?1")?
            .execute([call.to_string()])?;
    }
    Ok(())
}
