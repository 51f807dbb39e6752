//! What can go wrong. The messages hold no path: what they hold may be shown to a stranger. The path, and what SQLite
//! said, are in the chain of sources.

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
    /// SQLite refused: a full disk, a damaged file, a closed store.
    #[error("the database failed")]
    Sql(#[from] sqlx::Error),
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

/// A fault, and the file or folder it is about.
#[derive(Debug, thiserror::Error)]
#[error("{}", .path.display())]
pub struct AtPath {
    /// The file or folder.
    pub path: PathBuf,
    /// What happened.
    #[source]
    pub failure: OpenFailure,
}

/// What happened when the database was opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenFailure {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// SQLite refused: no database, a damaged one, or one that is locked.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// A migration failed.
    #[error(transparent)]
    Migrate(#[from] sqlx::migrate::MigrateError),
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
