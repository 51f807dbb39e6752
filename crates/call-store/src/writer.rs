//! The thread that writes, and its connection.

use crate::files::{self, Files, FolderLock};
use crate::readers::Readers;
use crate::runs::{self, RunId};
use crate::{AtPath, StoreError, connection, migrations};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, TransactionBehavior, ffi};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long those that read are waited for when every connection must be closed.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the thread is to do.
pub(crate) type Job = Box<dyn FnOnce(&mut Writer) + Send>;

/// The connection that writes.
pub(crate) struct Writer {
    run: RunId,
    connection: Option<Connection>,
    /// Something has failed on it: the next write has a new one. Until then it stays open, since the last connection
    /// knows what a log holds that somebody has deleted.
    is_doubtful: bool,
    is_closed: bool,
    disk: Option<Disk>,
    #[cfg(test)]
    pub(crate) faults: Faults,
}

struct Disk {
    files: Arc<Files>,
    readers: Arc<Readers>,
    /// Held as long as anything may be written.
    lock: Option<FolderLock>,
}

/// What a test lets fail.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct Faults {
    /// The next commit happens, and its answer is an error.
    pub(crate) answer_is_lost: bool,
    /// What happens within the next transaction.
    pub(crate) meanwhile: Option<Box<dyn FnOnce() + Send>>,
    /// Pages that the file may have.
    pub(crate) pages_max: Option<u32>,
    /// Connections that were made.
    pub(crate) connections: u32,
}

impl Writer {
    /// Opens the database in this folder, brings it to this version and begins a run.
    pub(crate) fn open(folder: &Path, readers: usize) -> Result<(Self, Arc<Readers>), StoreError> {
        let refused = |at: AtPath| StoreError::Open(Box::new(at));
        let folder = files::make_folder(folder).map_err(refused)?;
        let lock = files::lock(&folder)?;
        let files = Arc::new(Files::make(&folder).map_err(refused)?);
        files.room_for_companions().map_err(refused)?;
        let sql_refused =
            |error: rusqlite::Error| refused(AtPath { path: files.database().into(), failure: error.into() });
        let mut connection = connection::to_write(files.database()).map_err(sql_refused)?;
        files.learn_companions()?;
        migrations::run(&mut connection).map_err(|error| match error {
            migrations::Refused::Newer(version) => StoreError::Newer { version },
            migrations::Refused::Sql(error) => sql_refused(error),
        })?;
        let run = runs::begin(&connection).map_err(sql_refused)?;
        let readers = Arc::new(Readers::open(Arc::clone(&files), readers).map_err(sql_refused)?);
        files.all_in_place()?;
        let disk = Disk { files, readers: Arc::clone(&readers), lock: Some(lock) };
        Ok((Self::new(run, connection, Some(disk)), readers))
    }

    /// A database that lives as long as its connection.
    pub(crate) fn in_memory() -> Result<Self, StoreError> {
        let mut connection = connection::in_memory()?;
        migrations::run(&mut connection).map_err(|error| match error {
            migrations::Refused::Newer(version) => StoreError::Newer { version },
            migrations::Refused::Sql(error) => error.into(),
        })?;
        let run = runs::begin(&connection)?;
        Ok(Self::new(run, connection, None))
    }

    fn new(run: RunId, connection: Connection, disk: Option<Disk>) -> Self {
        Self {
            run,
            connection: Some(connection),
            is_doubtful: false,
            is_closed: false,
            disk,
            #[cfg(test)]
            faults: Faults::default(),
        }
    }

    pub(crate) const fn run(&self) -> RunId {
        self.run
    }

    /// Until nobody can ask for anything any more. A panic is reported by the hook of the process, and ends its job
    /// alone.
    pub(crate) fn work(mut self, mut jobs: tokio::sync::mpsc::UnboundedReceiver<Job>) {
        while let Some(job) = jobs.blocking_recv() {
            let _ = catch_unwind(AssertUnwindSafe(|| job(&mut self)));
        }
    }

    /// Runs `work` in one transaction: what it has written is on disk when this returns `Ok`, and with an error it is
    /// not, but for an answer to the commit that was lost.
    pub(crate) fn transact<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.attempt(work)));
        let outcome = outcome.unwrap_or(Err(StoreError::Panicked));
        if matches!(outcome, Err(StoreError::Sql { .. } | StoreError::Panicked)) {
            self.is_doubtful = true;
        }
        // Of a file alone: that a connection of memory is closed loses everything, and a rollback in it does not fail.
        if self.disk.is_some() && self.connection.as_ref().is_some_and(|open| !open.is_autocommit()) {
            self.connection = None;
        }
        outcome
    }

    fn attempt<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.make_ready()?;
        let connection = self.connection.as_mut().ok_or(StoreError::Closed)?;
        // Rolled back when it is dropped.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        #[cfg(test)]
        if let Some(happens) = self.faults.meanwhile.take() {
            happens();
        }
        let done = work(&transaction)?;
        transaction.commit()?;
        #[cfg(test)]
        if std::mem::take(&mut self.faults.answer_is_lost) {
            return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR), None).into());
        }
        // A file that was taken away meanwhile has it, and nobody else.
        if let Some(disk) = &self.disk {
            disk.files.all_in_place()?;
        }
        Ok(done)
    }

    /// As [`Writer::transact`], for what only reads. Of a database in memory.
    pub(crate) fn read<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.make_ready()?;
        work(self.connection.as_mut().ok_or(StoreError::Closed)?)
    }

    fn make_ready(&mut self) -> Result<(), StoreError> {
        if self.is_closed {
            return Err(StoreError::Closed);
        }
        let Some(disk) = &self.disk else { return Ok(()) };
        disk.files.database_in_place()?;
        if let Err(gone) = disk.files.companions_in_place() {
            self.save_lost_log()?;
            return Err(gone);
        }
        if self.is_doubtful || self.connection.is_none() {
            self.renew()?;
        }
        Ok(())
    }

    fn renew(&mut self) -> Result<(), StoreError> {
        let Some(disk) = &self.disk else { return Ok(()) };
        disk.files.room_for_companions().map_err(|at| StoreError::Open(Box::new(at)))?;
        let fresh = connection::to_write(disk.files.database())?;
        disk.files.all_in_place()?;
        #[cfg(test)]
        {
            self.faults.connections += 1;
            let pages = self.faults.pages_max.unwrap_or(u32::MAX - 1);
            fresh.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
        }
        self.connection = Some(fresh);
        self.is_doubtful = false;
        Ok(())
    }

    /// The write-ahead log was deleted, or its index. SQLite would go on with both, and a crash would lose what is in
    /// the log: it is folded into the database as long as a connection has it open, and then all begin anew.
    fn save_lost_log(&mut self) -> Result<(), StoreError> {
        let Some(disk) = &self.disk else { return Ok(()) };
        // All at once: the connections of a process share the index.
        let Some(paused) = disk.readers.pause(PATIENCE) else {
            return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None).into());
        };
        if let Some(connection) = &self.connection {
            fold(connection)?;
        }
        self.connection = None;
        disk.files.forget_companions();
        // A log that somebody has put there is older than what was folded, and SQLite would take it for news.
        let _ = std::fs::remove_file(disk.files.write_ahead_log());
        disk.files.room_for_companions().map_err(|at| StoreError::Open(Box::new(at)))?;
        let fresh = connection::to_write(disk.files.database())?;
        disk.files.learn_companions()?;
        self.connection = Some(fresh);
        self.is_doubtful = false;
        drop(paused);
        Ok(())
    }

    /// Ends the run, folds the log into the file, and lets the folder go.
    pub(crate) fn close(&mut self) {
        if self.is_closed {
            return;
        }
        let run = self.run;
        // An end that cannot be marked is one by a crash.
        let _ = self.transact(|transaction| runs::end(transaction, run));
        self.is_closed = true;
        let connection = self.connection.take();
        let Some(disk) = &mut self.disk else { return };
        let all_gone = disk.readers.pause(PATIENCE).is_some();
        disk.readers.close();
        if let Some(connection) = connection.filter(|_| all_gone && disk.files.all_in_place().is_ok()) {
            let _ = connection.execute_batch("PRAGMA optimize");
            // With its last connection SQLite folds the log and deletes it.
            let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
        }
        disk.lock = None;
    }
}

fn fold(connection: &Connection) -> Result<(), rusqlite::Error> {
    let is_busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if is_busy {
        return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None));
    }
    Ok(())
}
