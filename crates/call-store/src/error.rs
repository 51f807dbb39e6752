//! What can go wrong. The messages hold no path: what they hold may be shown to a stranger. The path, and what SQLite
//! said, are in the chain of sources.

use rusqlite::ffi;
use std::fmt;
use std::path::PathBuf;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder or the file cannot be made, read or brought to this version.
    #[error("the database cannot be opened")]
    Open(#[source] Box<AtPath>),
    /// A later version of this program has changed the database.
    #[error("the database was written by a newer version of this program (migration {version})")]
    Newer {
        /// The migration that is unknown here.
        version: i64,
    },
    /// Another process holds the folder.
    #[error("another server holds this data folder{}", process(*.pid))]
    InUse {
        /// That process, as far as it has said.
        pid: Option<u32>,
    },
    /// The file that was opened, or one of SQLite's beside it, is not in its place: deleted, moved away, or another
    /// file is there. Writing goes on when the file that was opened is back; SQLite's own are made anew.
    #[error("the database is not in its place any more")]
    Gone(#[source] Box<AtPath>),
    /// SQLite refused.
    #[error("the database failed: {cause}")]
    Sql {
        /// Why, in words.
        cause: Cause,
        /// What SQLite said.
        #[source]
        source: Box<rusqlite::Error>,
    },
    /// Rounds are numbered 1, 2, 3 … within a run, and this one does not follow.
    #[error("round {given} was to be written after round {written}")]
    OutOfTurn {
        /// Its number.
        given: u64,
        /// The last round of this run that is written.
        written: u64,
    },
    /// This run has no row in the database: another database was put into the file.
    #[error("the database does not know this run")]
    UnknownRun,
    /// The store was closed.
    #[error("the database is closed")]
    Closed,
    /// The operating system gives no thread to work on.
    #[error("no thread can be started")]
    NoThread(#[source] std::io::Error),
    /// A bug: the code of the store panicked. Nothing of what was asked is written.
    #[error("the storage code panicked")]
    Panicked,
    /// A row is there and makes no sense.
    #[error("a row of {table} is corrupt")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What is wrong with the row.
        #[source]
        fault: RowFault,
    },
    /// The value has no JSON text.
    #[error("the value cannot be written")]
    Unwritable(#[source] serde_json::Error),
}

fn process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql { cause: Cause::of(&error), source: Box::new(error) }
    }
}

/// Why SQLite refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Another process, such as a backup or a shell, holds its lock for too long.
    Locked,
    /// The file or its file system cannot be written.
    ReadOnly,
    /// There is no room left.
    Full,
    /// The disk or the file system failed.
    Io,
    /// The file, or its folder, cannot be opened.
    Unopenable,
    /// The file is no database, or a damaged one.
    Damaged,
    /// There is no memory left.
    Memory,
    /// Anything else.
    Other,
}

impl Cause {
    fn of(error: &rusqlite::Error) -> Self {
        let rusqlite::Error::SqliteFailure(failure, _) = error else { return Self::Other };
        // Room for the index of the write-ahead log is taken with octets that are written: the file system is full.
        if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE {
            return Self::Full;
        }
        match failure.extended_code & 0xFF {
            ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_PROTOCOL => Self::Locked,
            ffi::SQLITE_READONLY | ffi::SQLITE_PERM => Self::ReadOnly,
            ffi::SQLITE_FULL => Self::Full,
            ffi::SQLITE_IOERR => Self::Io,
            ffi::SQLITE_CANTOPEN | ffi::SQLITE_AUTH => Self::Unopenable,
            ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB => Self::Damaged,
            ffi::SQLITE_NOMEM => Self::Memory,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Locked => "another process has locked it",
            Self::ReadOnly => "its file or its file system is read-only",
            Self::Full => "the disk is full",
            Self::Io => "the disk or the file system failed",
            Self::Unopenable => "its file cannot be opened",
            Self::Damaged => "its file is damaged or is no database",
            Self::Memory => "there is no memory left",
            Self::Other => "SQLite refused",
        })
    }
}

/// A fault, and the file or folder it is about.
#[derive(Debug, thiserror::Error)]
#[error("{}", .path.display())]
pub struct AtPath {
    /// The file or folder.
    pub path: PathBuf,
    /// What happened.
    #[source]
    pub failure: FileFailure,
}

/// What happened to a file.
#[derive(Debug, thiserror::Error)]
pub enum FileFailure {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// SQLite refused: no database, a damaged one, or one that is locked.
    #[error("{cause}")]
    Sql {
        /// Why, in words.
        cause: Cause,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// Another file is in the place of the one that was opened.
    #[error("another file is in its place")]
    Replaced,
}

impl From<rusqlite::Error> for FileFailure {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sql { cause: Cause::of(&source), source }
    }
}

/// What is wrong with a row.
#[derive(Debug, thiserror::Error)]
pub enum RowFault {
    /// A column that should hold JSON of a known shape holds something else.
    #[error("row {row}")]
    Json {
        /// Its primary key.
        row: Box<str>,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A digest has another length than its algorithm gives.
    #[error("row {row}: a digest of {octets} octets")]
    Digest {
        /// Its primary key.
        row: Box<str>,
        /// The octets found.
        octets: usize,
    },
    /// Compressed octets are damaged.
    #[error("row {row}")]
    Packed {
        /// Its primary key.
        row: Box<str>,
        /// What is wrong.
        #[source]
        source: lz4_flex::block::DecompressError,
    },
    /// A number is outside of what it may be.
    #[error("row {row}: {value} is out of range")]
    Range {
        /// Its primary key.
        row: Box<str>,
        /// The number found.
        value: i64,
    },
    /// A word is not in the list that it comes from.
    #[error("{word:?} is not of the list")]
    Word {
        /// The word found.
        word: Box<str>,
    },
}
