//! Opening, closing, and the two pools.

use crate::{AtPath, OpenFailure, StoreError};
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};
use std::path::Path;
use std::time::Duration;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

const FILE_NAME: &str = "dialbridge.db";
const READERS: u32 = 4;
/// How long a statement waits for another process, such as a backup, that holds the lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The database. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    /// SQLite has one writer at a time; one connection lets writers queue here and not in its busy handler.
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Store {
    /// Opens or makes `folder/dialbridge.db` and brings it to this version. What is made here is readable by its
    /// owner alone: it holds the digests that phones log in with.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a later version has changed the database; [`StoreError::Open`] otherwise.
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(FILE_NAME);
        let opening = async {
            make_private(folder, &path)?;
            let file =
                SqliteConnectOptions::new().filename(&path).busy_timeout(BUSY_TIMEOUT).foreign_keys(true);
            let writing = file
                .clone()
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .optimize_on_close(true, None);
            let writer = lasting(1).connect_with(writing).await?;
            MIGRATIONS.run(&writer).await?;
            let readers = lasting(READERS).connect_with(file.pragma("query_only", "on")).await?;
            Ok(Self { writer, readers })
        };
        opening.await.map_err(|failure| refused(failure, &path))
    }

    /// An empty database that is gone when the last clone is. For tests.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn in_memory() -> Result<Self, StoreError> {
        let opening = async {
            let memory = SqliteConnectOptions::new().in_memory(true).foreign_keys(true);
            // Every connection of its own would be a database of its own.
            let writer = lasting(1).connect_with(memory).await?;
            MIGRATIONS.run(&writer).await?;
            Ok(Self { readers: writer.clone(), writer })
        };
        opening.await.map_err(|failure| refused(failure, Path::new(":memory:")))
    }

    /// Waits for what is being written and closes the file, for all clones; their methods give errors from then on.
    pub async fn close(self) {
        // The writer last: the last connection to close folds the write-ahead log into the file.
        self.readers.close().await;
        self.writer.close().await;
    }

    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// A transaction that holds the write lock from its start; rolled back when dropped.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }
}

fn lasting(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
}

fn make_private(folder: &Path, file: &Path) -> Result<(), std::io::Error> {
    let mut make_folder = std::fs::DirBuilder::new();
    let mut make_file = std::fs::OpenOptions::new();
    #[cfg(unix)]
    {
        std::os::unix::fs::DirBuilderExt::mode(&mut make_folder, 0o700);
        std::os::unix::fs::OpenOptionsExt::mode(&mut make_file, 0o600);
    }
    make_folder.recursive(true).create(folder)?;
    // SQLite gives its journal files the mode of this one.
    make_file.append(true).create(true).open(file).map(drop)
}

fn refused(failure: OpenFailure, path: &Path) -> StoreError {
    match failure {
        OpenFailure::Migrate(MigrateError::VersionMissing(version)) => StoreError::Newer { version },
        failure @ (OpenFailure::Io(_) | OpenFailure::Sql(_) | OpenFailure::Migrate(_)) => {
            StoreError::Open(Box::new(AtPath { path: path.into(), failure }))
        }
    }
}
