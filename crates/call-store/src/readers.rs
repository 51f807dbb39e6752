//! Connections that read, beside the one that writes.

use crate::files::Files;
use crate::{StoreError, connection};
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A few connections that are lent to those who read.
pub(crate) struct Readers {
    files: Arc<Files>,
    lending: Mutex<Lending>,
    changed: Condvar,
}

#[derive(Default)]
struct Lending {
    idle: Vec<Connection>,
    lent: usize,
    state: State,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// The writer needs all connections closed.
    Paused,
    Closed,
}

impl Readers {
    /// As many connections at once as there are threads that read.
    pub(crate) fn open(files: Arc<Files>, count: usize) -> Result<Self, rusqlite::Error> {
        let idle =
            (0..count).map(|_| connection::to_read(files.database())).collect::<Result<Vec<_>, _>>()?;
        let lending = Mutex::new(Lending { idle, ..Lending::default() });
        Ok(Self { files, lending, changed: Condvar::new() })
    }

    /// Runs `work` on a connection; one that has failed is not used again.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut lent = self.lend()?;
        let mut connection = match lent.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let outcome = work(&mut connection);
        let is_good = !matches!(outcome, Err(StoreError::Sql { .. })) && connection.is_autocommit();
        lent.connection = is_good.then_some(connection);
        outcome
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        // Opened without its log, a database looks as it did long ago.
        self.files.all_in_place()?;
        Ok(connection::to_read(self.files.database())?)
    }

    fn lend(&self) -> Result<Lent<'_>, StoreError> {
        let mut lending = self.lending.lock();
        loop {
            match lending.state {
                State::Open => break,
                State::Paused => self.changed.wait(&mut lending),
                State::Closed => return Err(StoreError::Closed),
            }
        }
        lending.lent += 1;
        Ok(Lent { readers: self, connection: lending.idle.pop() })
    }

    /// Closes every connection and lends none while the guard lives; `None` when some are not given back in time.
    pub(crate) fn pause(&self, patience: Duration) -> Option<Paused<'_>> {
        let until = Instant::now() + patience;
        let mut lending = self.lending.lock();
        lending.state = State::Paused;
        let paused = Paused(self);
        while lending.lent > 0 {
            if self.changed.wait_until(&mut lending, until).timed_out() && lending.lent > 0 {
                drop(lending);
                return None;
            }
        }
        lending.idle.clear();
        drop(lending);
        Some(paused)
    }

    /// For ever.
    pub(crate) fn close(&self) {
        let mut lending = self.lending.lock();
        lending.state = State::Closed;
        lending.idle.clear();
        self.changed.notify_all();
    }
}

/// One connection, or the right to open one.
struct Lent<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut lending = self.readers.lending.lock();
        lending.lent -= 1;
        if lending.state == State::Open {
            lending.idle.extend(self.connection.take());
        } else {
            self.connection = None;
        }
        self.readers.changed.notify_all();
    }
}

/// No connection that reads is open.
pub(crate) struct Paused<'a>(&'a Readers);

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        let mut lending = self.0.lending.lock();
        if lending.state == State::Paused {
            lending.state = State::Open;
        }
        self.0.changed.notify_all();
    }
}
