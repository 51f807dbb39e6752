//! Disks and files that fail, and what is as before once they do not.

use crate::journal::{Journal, at, beside, chain, event, id, messages, running};
use call_control::CallEventKind;
use call_store::{Cause, Round, Store, StoreError};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A call and its first event.
fn beginning(n: u32) -> Round {
    let call = running(n);
    let events = vec![event(&call, CallEventKind::Initiated, at(i64::from(n)))];
    Round { calls: vec![call.into()], events, ..Round::default() }
}

/// The next round is refused for as long as it is refused, with this in its chain, and nothing appears in the folder.
async fn refused(store: &mut Journal, folder: &Path, round: &Arc<Round>, words: &str) {
    let names = names(folder);
    for _ in 0..3 {
        let error = store.give(round).await.unwrap_err();
        assert!(matches!(error, StoreError::Gone(_)), "{error:?}");
        assert!(chain(&error).contains(words), "{}", chain(&error));
        assert!(!error.to_string().contains("dialbridge"), "no path in the message: {error}");
    }
    let secret = store.secret("a", [1; 32]).await;
    assert!(matches!(secret, Err(StoreError::Gone(_))), "{secret:?}");
    assert_eq!(self::names(folder), names);
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names
}

/// The calls 1 to `count` and one event of each are there, now and after the process is over.
async fn all_is_there(store: Journal, folder: &Path, count: u32) {
    let whole = async |store: &Store| {
        for n in 1..=count {
            assert_eq!(store.call(id(n)).await.unwrap(), Some(running(n)), "call {n}");
        }
        let (first, last) = store.event_range().await.unwrap();
        assert_eq!((first.0, last.0), (1, u64::from(count)));
    };
    whole(&store).await;
    drop(store);
    let sound: String = beside(folder).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    whole(&Journal::open(folder).await.store).await;
}

#[tokio::test]
async fn a_file_that_is_gone_is_missed_and_writing_goes_on_when_it_is_back() {
    let outer = tempfile::tempdir().unwrap();
    let (folder, away) = (outer.path().join("data"), outer.path().join("away"));
    let (file, kept) = (folder.join("dialbridge.db"), outer.path().join("kept"));
    let mut store = Journal::open(&folder).await;
    store.put(beginning(1)).await.unwrap();

    // Deleted; the same file, since a second name of it was kept.
    fs::hard_link(&file, &kept).unwrap();
    fs::remove_file(&file).unwrap();
    let round = store.next(beginning(2));
    refused(&mut store, &folder, &round, "No such file").await;
    assert_eq!(store.call(id(1)).await.unwrap(), Some(running(1)), "reading goes on");
    fs::rename(&kept, &file).unwrap();
    store.give(&round).await.unwrap();

    // Another file in its place, which stays as it is.
    fs::rename(&file, &kept).unwrap();
    fs::copy(&kept, &file).unwrap();
    let (round, copy) = (store.next(beginning(3)), fs::read(&file).unwrap());
    refused(&mut store, &folder, &round, "another file is in its place").await;
    assert_eq!(fs::read(&file).unwrap(), copy);
    fs::rename(&kept, &file).unwrap();
    store.give(&round).await.unwrap();

    // The folder, with all that is in it.
    fs::rename(&folder, &away).unwrap();
    let round = store.next(beginning(4));
    refused(&mut store, &folder, &round, "No such file").await;
    assert!(!folder.exists());
    fs::write(&folder, "a file").unwrap();
    refused(&mut store, &folder, &round, "Not a directory").await;
    fs::remove_file(&folder).unwrap();
    fs::rename(&away, &folder).unwrap();
    store.give(&round).await.unwrap();
    all_is_there(store, &folder, 4).await;
}

#[tokio::test]
async fn a_log_that_is_deleted_is_saved_into_the_file() {
    for (name, returns) in
        [("dialbridge.db-wal", false), ("dialbridge.db-shm", false), ("dialbridge.db-wal", true)]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let mut store = Journal::open(folder.path()).await;
        store.put(beginning(1)).await.unwrap();
        let old = fs::read(&path).unwrap();
        for n in 2..=20 {
            store.put(beginning(n)).await.unwrap();
        }
        fs::remove_file(&path).unwrap();
        if returns {
            // What somebody has copied before: SQLite alone would take the file back to call 1.
            fs::write(&path, old).unwrap();
        }
        let round = store.next(beginning(21));
        let error = store.give(&round).await.unwrap_err();
        assert!(matches!(error, StoreError::Gone(_)) && chain(&error).contains(name), "{}", chain(&error));
        store.give(&round).await.unwrap();
        for n in 22..=30 {
            store.put(beginning(n)).await.unwrap();
        }
        assert!(path.exists());
        all_is_there(store, folder.path(), 30).await;
    }
}

#[tokio::test]
async fn a_store_that_is_only_dropped_leaves_what_is_in_the_place_of_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dialbridge.db-wal");
    let mut store = Journal::open(folder.path()).await;
    store.put(beginning(1)).await.unwrap();
    // SQLite would delete it by its name.
    fs::rename(&path, folder.path().join("away")).unwrap();
    fs::write(&path, "of somebody else").unwrap();
    drop(store);
    // The connections that read are closed by their own threads.
    let began = Instant::now();
    while is_open(folder.path()) {
        assert!(began.elapsed() < Duration::from_secs(10), "they are closed");
        std::thread::yield_now();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "of somebody else");
}

/// Whether this process has a file of the folder open, as Linux tells it.
fn is_open(folder: &Path) -> bool {
    let Ok(open) = fs::read_dir("/proc/self/fd") else { return false };
    open.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|path| path.starts_with(folder)))
}

#[tokio::test]
async fn a_log_that_is_deleted_waits_for_those_who_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    store.put(beginning(1)).await.unwrap();
    let reader = beside(folder.path());
    reader.execute_batch("BEGIN; SELECT count(*) FROM calls").unwrap();
    store.put(beginning(2)).await.unwrap();
    fs::remove_file(folder.path().join("dialbridge.db-wal")).unwrap();
    let round = store.next(beginning(3));
    for _ in 0..2 {
        let error = store.give(&round).await.unwrap_err();
        assert!(matches!(error, StoreError::Sql { cause: Cause::Locked, .. }), "{error:?}");
    }
    drop(reader);
    assert!(matches!(store.give(&round).await, Err(StoreError::Gone(_))));
    store.give(&round).await.unwrap();
    all_is_there(store, folder.path(), 3).await;
}

#[tokio::test]
async fn a_lock_of_another_process_holds_up_writing_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    store.put(beginning(1)).await.unwrap();
    let other = beside(folder.path());
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();

    let round = store.next(beginning(2));
    let began = Instant::now();
    let (done, outcome) = tokio::sync::oneshot::channel();
    store.write(Arc::clone(&round), move |outcome| done.send(outcome).unwrap());
    assert!(began.elapsed() < Duration::from_millis(300), "the caller goes on");
    for _ in 0..100 {
        assert_eq!(store.call(id(1)).await.unwrap(), Some(running(1)));
        assert_eq!(store.call_count(at(0)).await.unwrap().total, 1);
    }
    assert!(began.elapsed() < Duration::from_millis(900), "those who read go on");
    let error = outcome.await.unwrap().unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(matches!(error, StoreError::Sql { cause: Cause::Locked, .. }), "{error:?}");
    assert_eq!(
        chain(&error),
        "the database failed: another process has locked it: database is locked: Error code 5: database is locked"
    );

    assert!(store.give(&round).await.is_err());
    other.execute_batch("ROLLBACK").unwrap();
    store.give(&round).await.unwrap();
    all_is_there(store, folder.path(), 2).await;
}

#[tokio::test]
async fn a_reader_that_never_ends_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    store.put(beginning(1)).await.unwrap();
    let reader = beside(folder.path());
    reader.execute_batch("BEGIN; SELECT count(*) FROM calls").unwrap();
    for n in 2..=400 {
        store.put(beginning(n)).await.unwrap();
    }
    let seen: u32 = reader.query_row("SELECT count(*) FROM calls", [], |row| row.get(0)).unwrap();
    assert_eq!(seen, 1);
    drop(reader);
    all_is_there(store, folder.path(), 400).await;
}

/// Runs a command of the system; `false`, with its words, when it does not succeed.
fn system(command: &str, arguments: &[&str]) -> bool {
    match Command::new(command).args(arguments).output() {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            eprintln!("{command} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            false
        }
        Err(error) => {
            eprintln!("{command}: {error}");
            false
        }
    }
}

/// Files that cannot be changed by anybody, until this is dropped.
struct Immutable<'a>(Vec<&'a str>);

impl<'a> Immutable<'a> {
    fn new(paths: &[&'a str]) -> Option<Self> {
        let made = Self(paths.to_vec());
        system("chattr", &[&["+i"], paths].concat()).then_some(made)
    }
}

impl Drop for Immutable<'_> {
    fn drop(&mut self) {
        system("chattr", &[&["-i"], &self.0[..]].concat());
    }
}

#[tokio::test]
async fn files_that_cannot_be_written_are_errors_until_they_can() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    store.put(beginning(1)).await.unwrap();
    // Not the index of the log, which is mapped: the kernel kills a process that writes into such a file.
    let paths = ["", "-wal"].map(|suffix| format!("{}/dialbridge.db{suffix}", folder.path().display()));
    let Some(immutable) = Immutable::new(&paths.each_ref().map(String::as_str)) else {
        println!("skipped: this user, or this file system, has no immutable files");
        return;
    };
    let round = store.next(beginning(2));
    // The connection that is open meets a failing disk, the next one a file that is read-only.
    let causes = [Cause::Io, Cause::ReadOnly, Cause::ReadOnly];
    for expected in causes {
        let error = store.give(&round).await.unwrap_err();
        assert!(matches!(error, StoreError::Sql { cause, .. } if cause == expected), "{}", chain(&error));
    }
    assert_eq!(store.call(id(1)).await.unwrap(), Some(running(1)));
    drop(immutable);
    store.give(&round).await.unwrap();
    all_is_there(store, folder.path(), 2).await;
}

/// A small file system of its own, until this is dropped.
struct Small(PathBuf);

impl Small {
    fn new(path: PathBuf) -> Option<Self> {
        fs::create_dir(&path).unwrap();
        let is_mounted =
            system("mount", &["-t", "tmpfs", "-o", "size=2m", "call-store-test", path.to_str()?]);
        is_mounted.then_some(Self(path))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        system("umount", &["-l", self.0.to_str().unwrap()]);
    }
}

#[tokio::test]
async fn a_full_disk_is_waited_for() {
    let outer = tempfile::tempdir().unwrap();
    let Some(disk) = Small::new(outer.path().join("disk")) else {
        println!("skipped: this user may not mount a file system");
        return;
    };
    let folder = disk.0.join("data");
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![1; 1024 * 1024]).unwrap();
    let mut store = Journal::open(&folder).await;
    // What no compression makes smaller.
    let mut state = 1_u64;
    let octets: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(60_000)
    .collect();
    let mut count = 0;
    let (round, error) = loop {
        count += 1;
        let round = store.next(Round { messages: vec![messages(count, at(1), &octets)], ..beginning(count) });
        match store.give(&round).await {
            Ok(_) => assert!(count < 100, "the disk has no end"),
            Err(error) => break (round, error),
        }
    };
    let words = chain(&error);
    assert!(matches!(error, StoreError::Sql { cause: Cause::Full, .. }), "{words}");
    assert!(words.contains("the disk is full"), "{words}");
    for _ in 0..5 {
        assert!(store.give(&round).await.is_err());
        assert_eq!(store.call(id(count)).await.unwrap(), None);
        assert_eq!(store.call(id(1)).await.unwrap(), Some(running(1)), "reading goes on");
    }
    fs::remove_file(ballast).unwrap();
    assert_eq!(store.give(&round).await.unwrap()[0].id.0, u64::from(count));
    store.put(beginning(count + 1)).await.unwrap();
    all_is_there(store, &folder, count + 1).await;
}
