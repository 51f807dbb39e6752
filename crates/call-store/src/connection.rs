//! Connections to SQLite.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Result};
use std::path::Path;
use std::time::Duration;

/// How long a statement waits for another process, such as a backup, that holds the lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);
/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 64;

/// The connection that writes, to a file that is there.
pub(crate) fn to_write(path: &Path) -> Result<Connection> {
    let connection = open(path)?;
    // A file that is mapped and then cut short, or whose disk fails, kills the process; so nothing is mapped.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -2048; PRAGMA mmap_size = 0;",
    )?;
    reads(connection)
}

/// One that reads beside it.
pub(crate) fn to_read(path: &Path) -> Result<Connection> {
    let connection = open(path)?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -1024; PRAGMA mmap_size = 0;")?;
    reads(connection)
}

/// A database of its own.
pub(crate) fn in_memory() -> Result<Connection> {
    Connection::open_in_memory()
}

fn open(path: &Path) -> Result<Connection> {
    // Without SQLITE_OPEN_CREATE: nothing takes the place of a file that is gone.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // The last connection to close would delete the write-ahead log by its name, whatever has that name by then.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// With the first statement that reads, SQLite opens the files beside the database.
fn reads(connection: Connection) -> Result<Connection> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}
