//! The files of a store: made, locked, and known again.
//!
//! SQLite goes on to write into a file that was deleted or moved away under it, and says that all is well. So each file
//! is known by its inode, and looked for in its place at every write.

use crate::{AtPath, FileFailure, StoreError};
use parking_lot::Mutex;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const FILE_NAME: &str = "dialbridge.db";
const LOCK_NAME: &str = "dialbridge.lock";

/// Octets that SQLite's files beside a database begin with: 32 KiB of index, and the first pages of the log.
const COMPANIONS: usize = 64 * 1024;

/// The device and the inode of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    #[cfg(unix)]
    fn of(file: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self(file.dev(), file.ino())
    }

    #[cfg(not(unix))]
    const fn of(_: &Metadata) -> Self {
        Self(0, 0)
    }

    fn at(path: &Path) -> Result<Self, StoreError> {
        std::fs::metadata(path).map(|file| Self::of(&file)).map_err(|error| gone(path, error.into()))
    }
}

fn gone(path: &Path, failure: FileFailure) -> StoreError {
    StoreError::Gone(Box::new(AtPath { path: path.into(), failure }))
}

fn in_place(path: &Path, identity: Identity) -> Result<(), StoreError> {
    if Identity::at(path)? == identity { Ok(()) } else { Err(gone(path, FileFailure::Replaced)) }
}

/// The database and the two files that SQLite keeps beside it: the write-ahead log and its index.
#[derive(Debug)]
pub(crate) struct Files {
    database: PathBuf,
    identity: Identity,
    companions: [PathBuf; 2],
    /// Those of the companions, while a connection is open.
    known: Mutex<Option<[Identity; 2]>>,
}

impl Files {
    /// Makes the database, empty, if it is not there; readable by its owner alone: it holds the digests that phones log
    /// in with.
    pub(crate) fn make(folder: &Path) -> Result<Self, AtPath> {
        let database = folder.join(FILE_NAME);
        let failed = |failure: std::io::Error| AtPath { path: database.clone(), failure: failure.into() };
        // Closing a file drops all locks that this process has on it (POSIX): only before SQLite opens it.
        // SQLite gives its files beside it the mode of this one.
        let file = private(OpenOptions::new().append(true).create(true)).open(&database).map_err(failed)?;
        let identity = Identity::of(&file.metadata().map_err(failed)?);
        // Beside the file itself, where the database is a symbolic link.
        let real = std::fs::canonicalize(&database).map_err(failed)?;
        let beside = |suffix: &str| {
            let mut path = real.clone().into_os_string();
            path.push(suffix);
            PathBuf::from(path)
        };
        let companions = [beside("-wal"), beside("-shm")];
        Ok(Self { database, identity, companions, known: Mutex::new(None) })
    }

    pub(crate) fn database(&self) -> &Path {
        &self.database
    }

    pub(crate) fn write_ahead_log(&self) -> &Path {
        &self.companions[0]
    }

    pub(crate) fn database_in_place(&self) -> Result<(), StoreError> {
        in_place(&self.database, self.identity)
    }

    /// Nothing is amiss while none are known.
    pub(crate) fn companions_in_place(&self) -> Result<(), StoreError> {
        let Some(known) = *self.known.lock() else { return Ok(()) };
        self.companions.iter().zip(known).try_for_each(|(path, identity)| in_place(path, identity))
    }

    pub(crate) fn all_in_place(&self) -> Result<(), StoreError> {
        self.database_in_place()?;
        self.companions_in_place()
    }

    /// A connection has opened them, and no other one of this process had.
    pub(crate) fn learn_companions(&self) -> Result<(), StoreError> {
        let [log, index] = &self.companions;
        *self.known.lock() = Some([Identity::at(log)?, Identity::at(index)?]);
        Ok(())
    }

    /// Before a connection makes them, if none has: SQLite maps the index of its log, and a page of it for which a file system with
    /// small blocks has no room kills the process.
    pub(crate) fn room_for_companions(&self) -> Result<(), AtPath> {
        if self.known.lock().is_some() {
            return Ok(());
        }
        let mut path = self.write_ahead_log().as_os_str().to_owned();
        path.push("-trial");
        let path = PathBuf::from(path);
        let written = private(OpenOptions::new().write(true).create(true).truncate(true))
            .open(&path)
            .and_then(|mut file| file.write_all(&[1; COMPANIONS]).and_then(|()| file.sync_all()));
        let removed = std::fs::remove_file(&path);
        written.and(removed).map_err(|failure| AtPath { path, failure: failure.into() })
    }

    /// Every connection is closed.
    pub(crate) fn forget_companions(&self) {
        *self.known.lock() = None;
    }
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Makes the folder if it is not there; the path from the root, whatever the working directory becomes.
pub(crate) fn make_folder(folder: &Path) -> Result<PathBuf, AtPath> {
    let mut make = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut make, 0o700);
    make.recursive(true)
        .create(folder)
        .and_then(|()| std::path::absolute(folder))
        .map_err(|failure| AtPath { path: folder.into(), failure: failure.into() })
}

/// A folder that is held until this is dropped, which any death of the process does too. The file stays: were it
/// deleted, two processes could hold two files of one name.
#[derive(Debug)]
pub(crate) struct FolderLock(File);

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing alone does not: a child that is being started shares it until it has become its program.
        let _ = self.0.unlock();
    }
}

pub(crate) fn lock(folder: &Path) -> Result<FolderLock, StoreError> {
    let path = folder.join(LOCK_NAME);
    let failed = |failure: std::io::Error| {
        StoreError::Open(Box::new(AtPath { path: path.clone(), failure: failure.into() }))
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = private(&mut options).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let read = file.read_to_string(&mut text);
            return Err(StoreError::InUse { pid: read.ok().and_then(|_| text.trim().parse().ok()) });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    let pid = std::process::id();
    file.set_len(0).and_then(|()| writeln!(file, "{pid}")).map_err(failed)?;
    Ok(FolderLock(file))
}
