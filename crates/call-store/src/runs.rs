//! Runs: each start of the process is one, and what it writes is its own.
//!
//! A run numbers its rounds, and its row has the number of the last one that is written. So a round is written once,
//! even when the answer to its commit was lost; and what belongs to a run that is over may be taken up by the next one.

use crate::{Store, StoreError, StoredInvite, calls, invites};
use call_control::{Call, CallEvent};
use rusqlite::{Connection, OptionalExtension, Transaction};
use std::time::{SystemTime, UNIX_EPOCH};

/// One start of the process. 0 stands for all before runs were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

impl RunId {
    /// As SQLite has it.
    pub(crate) fn number(self) -> i64 {
        number(self.0)
    }
}

pub(crate) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// What runs that are over have left unfinished.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Unfinished {
    /// Calls without an end, oldest first: each as its last event had it, or else as its row has it.
    pub calls: Vec<Call>,
    /// INVITEs that were not ended, in the order in which they were written first.
    pub invites: Vec<StoredInvite>,
}

impl Store {
    /// What runs that are over have left unfinished. Nothing is changed by it: what is taken up is written in rounds.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn unfinished(&self) -> Result<Unfinished, StoreError> {
        let run = self.run();
        self.search(move |connection| {
            // One transaction: both are of one moment.
            let reading = connection.transaction()?;
            let calls = unfinished_calls(&reading, run)?;
            Ok(Unfinished { calls, invites: invites::of_others(&reading, run)? })
        })
        .await
    }
}

fn unfinished_calls(connection: &Connection, run: RunId) -> Result<Vec<Call>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT call_id, body, (SELECT body FROM events WHERE events.call_id = calls.call_id ORDER BY id DESC LIMIT 1)
         FROM calls WHERE ended_at IS NULL AND run <> ?1 ORDER BY created_at, call_id",
    )?;
    let mut rows = statement.query([run.number()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let event: Option<Box<str>> = row.get(2)?;
        // An event that an earlier version wrote and this one cannot read is none.
        let last = event.and_then(|body| serde_json::from_str::<CallEvent>(&body).ok());
        found.push(match last {
            Some(event) => event.call,
            None => calls::read(row)?,
        });
    }
    Ok(found)
}

/// A run begins with a number that was never given before.
pub(crate) fn begin(connection: &Connection) -> Result<RunId, rusqlite::Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    connection.execute("INSERT INTO runs (started_at, round) VALUES (?1, 0)", [now])?;
    Ok(RunId(u64::try_from(connection.last_insert_rowid()).unwrap_or_default()))
}

pub(crate) fn end(transaction: &Transaction<'_>, run: RunId) -> Result<(), StoreError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    transaction.execute("UPDATE runs SET ended_at = ?2 WHERE run = ?1", [run.number(), now])?;
    Ok(())
}

/// Whether a round is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is the next one.
    Next,
    /// It is the last one that was written.
    Written,
}

/// Counts the round as written, in the transaction that writes it.
pub(crate) fn take_turn(transaction: &Transaction<'_>, run: RunId, round: u64) -> Result<Turn, StoreError> {
    let next = number(round);
    let counted = transaction
        .prepare_cached("UPDATE runs SET round = ?2 WHERE run = ?1 AND round = ?2 - 1")?
        .execute([run.number(), next])?;
    if counted == 1 {
        return Ok(Turn::Next);
    }
    let written: Option<i64> = transaction
        .prepare_cached("SELECT round FROM runs WHERE run = ?1")?
        .query_row([run.number()], |row| row.get(0))
        .optional()?;
    match written {
        None => Err(StoreError::UnknownRun),
        Some(written) if written == next && round > 0 => Ok(Turn::Written),
        Some(written) => {
            Err(StoreError::OutOfTurn { given: round, written: u64::try_from(written).unwrap_or_default() })
        }
    }
}
