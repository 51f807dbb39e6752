//! Bringing a database to this version.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

/// Each is done once, in order, and never changed: what is added comes after it.
const MIGRATIONS: [(i64, &str); 5] = [
    (1, include_str!("../migrations/0001_first.sql")),
    (2, include_str!("../migrations/0002_lists_events_answers.sql")),
    (3, include_str!("../migrations/0003_invites.sql")),
    (4, include_str!("../migrations/0004_messages.sql")),
    (5, include_str!("../migrations/0005_runs.sql")),
];
/// The last one that sqlx did, which counts in a table of its own.
const LAST_OF_SQLX: i64 = 4;

/// Why it was not done.
#[derive(Debug)]
pub(crate) enum Refused {
    /// This one is unknown here.
    Newer(i64),
    /// SQLite refused.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// All that are missing, or none.
pub(crate) fn run(connection: &mut Connection) -> Result<(), Refused> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = version(&transaction)?;
    let newest = MIGRATIONS.map(|(number, _)| number).into_iter().max().unwrap_or_default();
    if version > newest {
        return Err(Refused::Newer(version));
    }
    for (_, statements) in MIGRATIONS.iter().filter(|(number, _)| *number > version) {
        transaction.execute_batch(statements)?;
    }
    if version < newest {
        transaction.pragma_update(None, "user_version", newest)?;
    }
    Ok(transaction.commit()?)
}

/// The last migration that was done; 0 for an empty file.
fn version(connection: &Connection) -> Result<i64, Refused> {
    let counted: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let is_of_sqlx: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations')",
        [],
        |row| row.get(0),
    )?;
    if !is_of_sqlx {
        return Ok(counted);
    }
    let of_sqlx: Option<i64> = connection
        .query_row("SELECT max(version) FROM _sqlx_migrations WHERE success", [], |row| row.get(0))
        .optional()?
        .flatten();
    match of_sqlx.unwrap_or_default() {
        newer if newer > LAST_OF_SQLX => Err(Refused::Newer(newer)),
        of_sqlx => Ok(counted.max(of_sqlx)),
    }
}
