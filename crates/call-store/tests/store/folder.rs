//! One server at a time holds a folder.

use crate::journal::{Journal, at, event, id, running};
use call_control::CallEventKind;
use call_store::{Round, Store, StoreError};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const HELD: &str = "the folder is held";

#[tokio::test]
async fn a_folder_is_opened_once_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    store.put_calls(&[running(1)]).await.unwrap();
    let error = Store::open(folder.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::InUse { pid: Some(pid) } if pid == std::process::id()), "{error:?}");
    let expected = format!("another server holds this data folder (process {})", std::process::id());
    assert_eq!(error.to_string(), expected);
    assert_eq!(StoreError::InUse { pid: None }.to_string(), "another server holds this data folder");
    // The refused one has done nothing to what the first one holds.
    store.put_calls(&[running(2)]).await.unwrap();
    assert!(matches!(Store::open(folder.path()).await, Err(StoreError::InUse { .. })));

    let kept = store.store.clone();
    store.close().await;
    let other = Journal::open(folder.path()).await;
    assert!(matches!(kept.call(id(1)).await, Err(StoreError::Closed)));
    let clone = other.store.clone();
    drop(other);
    assert!(matches!(Store::open(folder.path()).await, Err(StoreError::InUse { .. })), "a clone lives");
    drop(clone);
    let again = Journal::open(folder.path()).await;
    assert_eq!(again.call(id(2)).await.unwrap(), Some(running(2)));
    let lock = std::fs::read_to_string(folder.path().join("dialbridge.lock")).unwrap();
    assert_eq!(lock, format!("{}\n", std::process::id()));
}

#[tokio::test]
async fn a_lock_file_of_anything_says_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dialbridge.lock");
    std::fs::write(&path, b"\xff what is this").unwrap();
    let other = std::fs::File::open(&path).unwrap();
    other.lock().unwrap();
    let refused = Store::open(folder.path()).await;
    assert!(matches!(refused, Err(StoreError::InUse { pid: None })), "{refused:?}");
    assert!(!folder.path().join("dialbridge.db").exists(), "nothing is made in a folder of another server");
    drop(other);
    assert!(Store::open(folder.path()).await.is_ok());
}

#[tokio::test]
async fn a_child_of_the_server_does_not_hold_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = Journal::open(folder.path()).await;
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    drop(store);
    let again = Store::open(folder.path()).await;
    child.kill().unwrap();
    child.wait().unwrap();
    again.unwrap();
}

/// Not a test of its own: the process that the next one kills.
#[tokio::test]
async fn holds_the_folder_for_another_test() {
    let Some(folder) = std::env::var_os("CALL_STORE_HOLDS") else { return };
    let mut store = Journal::open(Path::new(&folder)).await;
    let events = vec![event(&running(1), CallEventKind::Initiated, at(1))];
    store.put(Round { calls: vec![running(1).into()], events, ..Round::default() }).await.unwrap();
    println!("{HELD}");
    loop {
        std::thread::park();
    }
}

fn holder(folder: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "folder::holds_the_folder_for_another_test", "--nocapture"])
        .env("CALL_STORE_HOLDS", folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains(HELD)), "the child opened the store");
    child
}

#[tokio::test]
async fn a_process_that_is_killed_lets_the_folder_go_and_leaves_its_calls() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = holder(folder.path());
    let refused = Store::open(folder.path()).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(matches!(refused, Err(StoreError::InUse { pid: Some(pid) }) if pid == child.id()), "{refused:?}");

    let mut store = Journal::open(folder.path()).await;
    assert_eq!(store.run().0, 2);
    assert_eq!(store.unfinished().await.unwrap().calls, [running(1)]);
    let over = running(1).broken_off(call_control::EndReason::ServerCrashed, at(5));
    let events = vec![event(&over, CallEventKind::Ended, at(5))];
    let written = store.put(Round { calls: vec![over.into()], events, ..Round::default() }).await.unwrap();
    assert_eq!(written[0].id.0, 2);
}
