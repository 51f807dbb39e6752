//! First answers to requests that may be repeated.

use crate::{RowFault, Store, StoreError};

/// How long a first answer is given again, in milliseconds: a day.
const AGE: i64 = 24 * 60 * 60 * 1000;
/// How many are kept at most; the oldest go first.
const ANSWERS_MAX: i64 = 100_000;

/// Which request: who made it, and how they named it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestName {
    /// SHA-256 of the API key.
    pub api_key: [u8; 32],
    /// `Idempotency-Key`.
    pub idempotency_key: Box<str>,
}

/// The first answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstAnswer {
    /// SHA-256 of the body of the request.
    pub request: [u8; 32],
    /// HTTP status.
    pub status: u16,
    /// Location.
    pub location: Option<Box<str>>,
    /// The body of the answer.
    pub body: Box<str>,
}

impl Store {
    /// The first answer to a request, if it was given within the day before `now`, in milliseconds since 1970.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn first_answer(
        &self,
        name: &RequestName,
        now: i64,
    ) -> Result<Option<FirstAnswer>, StoreError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT request, status, location, body FROM first_answers
             WHERE api_key = ?1 AND idempotency_key = ?2 AND at > ?3",
        )
        .bind(name.api_key.as_slice())
        .bind(&*name.idempotency_key)
        .bind(now - AGE)
        .fetch_optional(self.readers())
        .await?;
        row.map(|row| row.into_answer(name)).transpose()
    }

    /// Keeps the first answer to a request, given at `now` in milliseconds since 1970, in the place of one that is
    /// there. Those older than a day, or more than 100,000, are forgotten. On return it is on disk.
    ///
    /// # Errors
    /// See [`StoreError`]; it is not kept then.
    pub async fn put_first_answer(
        &self,
        name: &RequestName,
        answer: &FirstAnswer,
        now: i64,
    ) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        sqlx::query("DELETE FROM first_answers WHERE at <= ?1")
            .bind(now - AGE)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "INSERT OR REPLACE INTO first_answers
             (api_key, idempotency_key, request, at, status, location, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .bind(name.api_key.as_slice())
        .bind(&*name.idempotency_key)
        .bind(answer.request.as_slice())
        .bind(now)
        .bind(answer.status)
        .bind(answer.location.as_deref())
        .bind(&*answer.body)
        .execute(&mut *transaction)
        .await?;
        // A row that is written gets the highest rowid: those that are 100,000 behind are the oldest.
        sqlx::query("DELETE FROM first_answers WHERE rowid <= (SELECT max(rowid) FROM first_answers) - ?1")
            .bind(ANSWERS_MAX)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    request: Vec<u8>,
    status: i64,
    location: Option<Box<str>>,
    body: Box<str>,
}

impl Row {
    fn into_answer(self, name: &RequestName) -> Result<FirstAnswer, StoreError> {
        let corrupt = |fault| StoreError::Corrupt { table: "first_answers", fault };
        let row = || name.idempotency_key.clone();
        let octets = self.request.len();
        let Ok(request) = self.request.try_into() else {
            return Err(corrupt(RowFault::Digest { row: row(), octets }));
        };
        let Ok(status) = u16::try_from(self.status) else {
            return Err(corrupt(RowFault::Range { row: row(), value: self.status }));
        };
        Ok(FirstAnswer { request, status, location: self.location, body: self.body })
    }
}
