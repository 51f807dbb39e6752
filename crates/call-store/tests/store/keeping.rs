//! What is written reads back, also after the file was opened anew.

use crate::journal::{Journal, at, beside, binding, chain, id, meddle, messages, running};
use call_control::{
    Call, CallState, CallerId, End, EndReason, EndedBy, Media, Party, PartyState, VariableName, VariableValue,
};
use call_store::{Cause, FileFailure, Round, RowFault, Store, StoreError, StoredExtension, StoredKey};
use std::error::Error;
use std::path::Path;

fn ended(n: u32) -> Call {
    let mut call = running(n);
    call.state = CallState::Ended;
    call.from.state = PartyState::Gone;
    call.from.ringing_at = Some(at(1));
    call.from.answered_at = Some(at(2));
    call.from.ended_at = Some(at(4));
    call.from.sip_call_id = Some("a\"b'c\u{2028}é".into());
    call.from.sip_status = Some(200);
    call.from.media = Some(Media {
        codec: "PCMU".into(),
        packets_received: u64::MAX,
        packets_lost: 0,
        packets_from_strangers: 0,
        strangers: Vec::new(),
        packets_not_agreed: 0,
        // More digits than a quick reader of decimal numbers gets right.
        jitter_ms: 0.091_769_949_100_660_61,
        mos: Some(4.4),
        first_packet_ms_after_answer: Some(21),
    });
    call.caller_id = Some(CallerId::new("\"Astra Sales\" <+918065978015>").unwrap());
    let variable = |json: &str| VariableValue::new(serde_json::from_str(json).unwrap()).unwrap();
    call.variables =
        [("text", r#""ü \"q\"""#), ("yes", "true"), ("big", "18446744073709551615"), ("part", "-0.1")]
            .map(|(name, json)| (VariableName::new(name).unwrap(), variable(json)))
            .into();
    call.connected_at = Some(at(3));
    call.ended_at = Some(at(4));
    (call.duration_seconds, call.ring_seconds, call.talk_seconds) = (0.004, 0.001, 1.2346);
    call.end = Some(End {
        reason: EndReason::Busy,
        by: EndedBy::To,
        party: Some(Party::To),
        sip_status: Some(486),
        q850_cause: Some(17),
        into: None,
    });
    call
}

fn first_start() -> ([StoredExtension; 2], [StoredKey; 1]) {
    let extension = |number: &str| StoredExtension {
        number: number.into(),
        name: "Asha".into(),
        realm: "pbx.example.com".into(),
        sha256: [0xAB; 32],
        md5: [0xCD; 16],
    };
    let key = StoredKey {
        name: "first".into(),
        sha256: [9; 32],
        permissions: vec!["calls.*".into(), "config.read".into()],
    };
    ([extension("1001"), extension("1002")], [key])
}

#[tokio::test]
async fn a_call_reads_back_exactly_and_a_later_writing_takes_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    store.put_calls(&[running(1), running(2)]).await.unwrap();
    assert_eq!(store.call(id(1)).await.unwrap(), Some(running(1)));
    assert_eq!(store.running_calls().await.unwrap(), [running(1), running(2)]);

    store.put_calls(&[ended(1)]).await.unwrap();
    assert_eq!(store.call(id(1)).await.unwrap(), Some(ended(1)));
    assert_eq!(store.running_calls().await.unwrap(), [running(2)]);
    assert_eq!(store.call(id(3)).await.unwrap(), None);
}

#[tokio::test]
async fn in_one_batch_the_last_writing_of_a_call_counts() {
    let mut store = Journal::in_memory().await;
    store.put_calls(&[running(1), ended(1)]).await.unwrap();
    assert_eq!(store.call(id(1)).await.unwrap(), Some(ended(1)));
    store.put_calls(&[]).await.unwrap();
}

#[tokio::test]
async fn the_columns_for_searching_say_what_the_call_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    store.put_calls(&[ended(1)]).await.unwrap();
    store.close().await;
    type Columns = (i64, i64, String, String, String, String, String, String, i64, i64);
    let row: Columns = beside(folder.path())
        .query_row(
            "SELECT created_at, ended_at, state, direction, from_number, to_number, to_type, end_reason, talk_ms, run
             FROM calls",
            [],
            |row| row.try_into(),
        )
        .unwrap();
    let word = |text: &str| text.to_owned();
    let expected = (
        1_795_255_200_001,
        1_795_255_200_004,
        word("ended"),
        word("outbound"),
        word("1001"),
        word("+918065978015"),
        word("external"),
        word("busy"),
        1235,
        1,
    );
    assert_eq!(row, expected);
}

#[tokio::test]
async fn opening_again_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("not/there/yet");
    let (extensions, keys) = first_start();
    let mut store = Journal::open(&inner).await;
    store.put_calls(&[ended(1), running(2)]).await.unwrap();
    store.put_bindings("1001", &[binding("1001", "<sip:1001@a>", u32::MAX)]).await.unwrap();
    assert!(store.put_first_start(&extensions, &keys).await.unwrap());
    store.close().await;

    let store = Journal::open(&inner).await;
    assert_eq!(store.call(id(1)).await.unwrap(), Some(ended(1)));
    assert_eq!(store.call(id(2)).await.unwrap(), Some(running(2)));
    assert_eq!(store.bindings().await.unwrap(), [binding("1001", "<sip:1001@a>", u32::MAX)]);
    assert_eq!(store.extensions().await.unwrap(), extensions);
    assert_eq!(store.keys().await.unwrap(), keys);
}

#[tokio::test]
async fn what_was_written_is_there_without_a_close() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    store.put_calls(&[ended(1)]).await.unwrap();
    drop(store);
    let other = Journal::open(folder.path()).await;
    assert_eq!(other.call(id(1)).await.unwrap(), Some(ended(1)));
}

#[tokio::test]
async fn bindings_of_a_user_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    let old = [binding("1001", "<sip:1001@a>", 1), binding("1001", "<sip:1001@b>", 2)];
    let neighbour = [binding("1002", "<sip:1002@a>", 3)];
    store.put_bindings("1001", &old).await.unwrap();
    store.put_bindings("1002", &neighbour).await.unwrap();

    assert_eq!(store.bindings().await.unwrap(), [&old[..], &neighbour[..]].concat());

    // No list makes a round fail for ever.
    let twice = [binding("1001", "<sip:1001@c>", 4), binding("1001", "<sip:1001@c>", 5)];
    store.put_bindings("1001", &twice).await.unwrap();
    let all = [&neighbour[..], &twice[1..]].concat();
    assert_eq!(store.bindings().await.unwrap(), all, "the later of one contact counts");

    store.put_bindings("1001", &[]).await.unwrap();
    assert_eq!(store.bindings().await.unwrap(), neighbour);
}

#[tokio::test]
async fn a_first_start_is_kept_only_once_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = Journal::open(folder.path()).await;
    let (extensions, keys) = first_start();

    let twice = [keys[0].clone(), keys[0].clone()];
    assert!(store.put_first_start(&extensions, &twice).await.is_err());
    assert_eq!(store.extensions().await.unwrap(), [], "nothing of a start that failed is kept");

    let (one, two) =
        tokio::join!(store.put_first_start(&extensions, &keys), store.put_first_start(&extensions, &keys));
    assert_ne!(one.unwrap(), two.unwrap(), "one of two that race");
    let others = [StoredExtension { number: "1003".into(), ..extensions[0].clone() }];
    assert!(!store.put_first_start(&others, &[]).await.unwrap());
    assert_eq!(store.extensions().await.unwrap(), extensions);
    assert_eq!(store.keys().await.unwrap(), keys);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dialbridge.db");
    let garbage = "This is no database. ".repeat(500);
    std::fs::write(&file, &garbage).unwrap();
    let error = Store::open(folder.path()).await.unwrap_err();
    assert!(!error.to_string().contains("dialbridge"), "no path in the message: {error}");
    let source = error.source().unwrap();
    assert!(source.to_string().ends_with("dialbridge.db"), "the path in the source: {source}");
    assert!(
        matches!(error, StoreError::Open(at) if matches!(at.failure, FileFailure::Sql { cause: Cause::Damaged, .. }))
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), garbage);
}

#[tokio::test]
async fn a_file_with_damaged_pages_gives_errors() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    let calls: Vec<Call> = (0..500).map(ended).collect();
    store.put_calls(&calls).await.unwrap();
    store.close().await;
    let file = folder.path().join("dialbridge.db");
    let mut octets = std::fs::read(&file).unwrap();
    octets[64 * 1024..].fill(0xA5);
    std::fs::write(&file, octets).unwrap();

    let outcome = match Store::open(folder.path()).await {
        Ok(store) => {
            let calls = calls.into_iter().map(Into::into).collect();
            store.put_round(Round { number: 1, calls, ..Round::default() }.into()).await
        }
        Err(error) => Err(error),
    };
    let error = outcome.unwrap_err();
    assert!(chain(&error).contains("its file is damaged"), "{}", chain(&error));
}

#[tokio::test]
async fn a_path_that_cannot_be_a_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Store::open(&file).await.unwrap_err();
    assert!(matches!(error, StoreError::Open(at) if matches!(at.failure, FileFailure::Io(_))));
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    for (later, number) in [
        ("PRAGMA user_version = 6", 6),
        (
            "CREATE TABLE _sqlx_migrations (version, success); INSERT INTO _sqlx_migrations VALUES (9000, TRUE)",
            9000,
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        Journal::open(folder.path()).await.close().await;
        meddle(folder.path(), later);
        let error = Store::open(folder.path()).await.unwrap_err();
        assert!(matches!(error, StoreError::Newer { version } if version == number), "{error:?}");
        assert!(error.to_string().contains("newer version"));
    }
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_an_error_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    store.put_calls(&[ended(1), ended(2)]).await.unwrap();
    store.put_bindings("1001", &[binding("1001", "<sip:1001@a>", 1)]).await.unwrap();
    meddle(
        folder.path(),
        "UPDATE calls SET body = '{}' WHERE created_at % 2 = 1; UPDATE bindings SET cseq = -1",
    );

    let error = store.call(id(1)).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Corrupt { table: "calls", fault: RowFault::Json { .. } }),
        "{error:?}"
    );
    assert_eq!(store.call(id(2)).await.unwrap(), Some(ended(2)));
    let error = store.bindings().await.unwrap_err();
    assert!(
        matches!(error, StoreError::Corrupt { fault: RowFault::Range { value: -1, .. }, .. }),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_are_written_in_batches_while_many_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    store.put_calls(&[ended(0)]).await.unwrap();
    let (writing, still) = tokio::sync::watch::channel(true);
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (store, still) = (store.store.clone(), still.clone());
            tokio::spawn(async move {
                let mut reads = 0;
                while *still.borrow() || reads == 0 {
                    assert_eq!(store.call(id(0)).await.unwrap(), Some(ended(0)));
                    reads += 1;
                }
            })
        })
        .collect();

    // 250 is more than one statement takes.
    let calls: Vec<Call> = (1..=1000).map(ended).collect();
    for batch in calls.chunks(250) {
        store.put_calls(batch).await.unwrap();
    }
    writing.send(false).unwrap();
    for reader in readers {
        reader.await.unwrap();
    }
    for call in &calls {
        assert_eq!(store.call(call.call_id).await.unwrap().as_ref(), Some(call));
    }
}

#[tokio::test]
async fn a_closed_store_gives_errors() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    store.put_calls(&[ended(1)]).await.unwrap();
    store.store.clone().close().await;
    assert!(matches!(store.call(id(1)).await, Err(StoreError::Closed)));
    assert!(matches!(store.put_calls(&[ended(1)]).await, Err(StoreError::Closed)));
    assert!(matches!(store.secret("a", [0; 32]).await, Err(StoreError::Closed)));
    assert!(!folder.path().join("dialbridge.db-wal").exists(), "the log is folded into the file");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("data");
    let _store = Journal::open(&inner).await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    for name in ["dialbridge.db", "dialbridge.db-wal", "dialbridge.lock"] {
        assert_eq!(mode(&inner.join(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn messages_are_written_once_with_their_call_and_the_oldest_are_forgotten() {
    const WEEK: i64 = 7 * 24 * 60 * 60 * 1000;
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    let put = async |store: &mut Journal, messages| {
        let round = Round { calls: vec![ended(1).into()], messages: vec![messages], ..Round::default() };
        store.put(round).await.unwrap();
    };
    put(&mut store, messages(1, at(0), b"one\0\xff")).await;
    put(&mut store, messages(1, at(1), b"again")).await;
    put(&mut store, messages(2, at(WEEK), b"")).await;
    store.close().await;
    let store = Journal::open(folder.path()).await;
    assert_eq!(store.call(id(1)).await.unwrap(), Some(ended(1)));
    assert_eq!(store.messages(id(1)).await.unwrap().as_deref(), Some(&b"one\0\xff"[..]));
    assert_eq!(store.messages(id(2)).await.unwrap().as_deref(), Some(&b""[..]));
    assert_eq!(store.messages(id(3)).await.unwrap(), None);

    // Old ones are looked for with every hundredth call.
    store.close().await;
    meddle(folder.path(), "UPDATE messages SET id = 98 WHERE id = 2");
    let mut store = Journal::open(folder.path()).await;
    put(&mut store, messages(3, at(WEEK + 1), b"late")).await;
    assert!(store.messages(id(1)).await.unwrap().is_some());
    put(&mut store, messages(4, at(WEEK + 1), b"later")).await;
    assert_eq!(store.messages(id(1)).await.unwrap(), None, "too old");
    assert!(store.messages(id(2)).await.unwrap().is_some());
    store.close().await;
    meddle(folder.path(), "UPDATE messages SET id = id + 19999 WHERE id > 98");
    let mut store = Journal::open(folder.path()).await;
    let many: Vec<_> = (5..105).map(|n| messages(n, at(WEEK + 1), &[b'x'; 50_000])).collect();
    store.put(Round { messages: many, ..Round::default() }).await.unwrap();
    assert_eq!(store.messages(id(104)).await.unwrap(), Some(vec![b'x'; 50_000]));
    assert_eq!(store.messages(id(2)).await.unwrap(), None, "too many");
    assert!(store.messages(id(3)).await.unwrap().is_some());
    assert!(store.call(id(1)).await.unwrap().is_some(), "calls stay");
    store.close().await;

    meddle(
        folder.path(),
        "UPDATE messages SET body = x'' WHERE at = 1795255200000 + 604800001 AND length(body) < 20;
         UPDATE messages SET body = x'ffffffff00' WHERE length(body) > 20",
    );
    let store = Journal::open(folder.path()).await;
    for n in [3, 4] {
        let damaged = store.messages(id(n)).await;
        assert!(matches!(damaged, Err(StoreError::Corrupt { table: "messages", .. })), "{damaged:?}");
    }
}
