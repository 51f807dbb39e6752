//! The store on a real file.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use call_control::{
    Call, CallId, CallState, CallerId, End, EndReason, EndedBy, Media, Number, Party, PartyState, PartyType,
    PartyView, Timestamp, VariableName, VariableValue,
};
use call_store::{
    CallMessages, OpenFailure, Round, RowFault, Store, StoreError, StoredBinding, StoredExtension, StoredKey,
};
use std::error::Error;
use std::path::Path;

fn id(n: u32) -> CallId {
    let mut random = [7; 10];
    random[6..].copy_from_slice(&n.to_be_bytes());
    CallId::new(1_795_255_200_000, &random)
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_unix_milliseconds(1_795_255_200_000 + milliseconds).unwrap()
}

fn running(n: u32) -> Call {
    Call {
        call_id: id(n),
        state: CallState::CallingFrom,
        from: PartyView::waiting(Number::new("1001").unwrap(), PartyType::Extension),
        to: PartyView::waiting(Number::new("+918065978015").unwrap(), PartyType::External),
        caller_id: None,
        variables: [].into(),
        created_at: at(i64::from(n)),
        connected_at: None,
        ended_at: None,
        end: None,
    }
}

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
    call.end = Some(End {
        reason: EndReason::Busy,
        by: EndedBy::To,
        party: Some(Party::To),
        sip_status: Some(486),
        q850_cause: Some(17),
    });
    call
}

fn binding(user: &str, contact: &str, cseq: u32) -> StoredBinding {
    StoredBinding {
        user: user.into(),
        contact: contact.into(),
        call_id: "abc@phone".into(),
        cseq,
        expires_at: 1_795_255_200_000,
        transport: "udp".into(),
        local: "127.0.0.1:5060".into(),
        remote: "127.0.0.1:40000".into(),
        path: cseq.is_multiple_of(2).then(|| "<sip:edge;lr>".into()),
        user_agent: (cseq % 2 == 1).then(|| "a phone".into()),
    }
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

/// A connection beside the store, to do what the store never does.
async fn meddle(folder: &Path, sql: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.join("dialbridge.db"));
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    pool.close().await;
}

#[tokio::test]
async fn a_call_reads_back_exactly_and_a_later_writing_takes_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
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
    let store = Store::in_memory().await.unwrap();
    store.put_calls(&[running(1), ended(1)]).await.unwrap();
    assert_eq!(store.call(id(1)).await.unwrap(), Some(ended(1)));
    store.put_calls(&[]).await.unwrap();
}

#[tokio::test]
async fn the_columns_for_searching_say_what_the_call_says() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    store.put_calls(&[ended(1)]).await.unwrap();
    store.close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("dialbridge.db"));
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let row: (i64, i64, String, String, String, String, String, String) = sqlx::query_as(
        "SELECT created_at, ended_at, state, direction, from_number, to_number, to_type, end_reason FROM calls",
    )
    .fetch_one(&pool)
    .await
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
    );
    assert_eq!(row, expected);
}

#[tokio::test]
async fn opening_again_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("not/there/yet");
    let (extensions, keys) = first_start();
    let store = Store::open(&inner).await.unwrap();
    store.put_calls(&[ended(1), running(2)]).await.unwrap();
    store.replace_bindings("1001", &[binding("1001", "<sip:1001@a>", u32::MAX)]).await.unwrap();
    assert!(store.put_first_start(&extensions, &keys).await.unwrap());
    store.close().await;

    let store = Store::open(&inner).await.unwrap();
    assert_eq!(store.call(id(1)).await.unwrap(), Some(ended(1)));
    assert_eq!(store.call(id(2)).await.unwrap(), Some(running(2)));
    assert_eq!(store.bindings().await.unwrap(), [binding("1001", "<sip:1001@a>", u32::MAX)]);
    assert_eq!(store.extensions().await.unwrap(), extensions);
    assert_eq!(store.keys().await.unwrap(), keys);
}

#[tokio::test]
async fn what_was_written_is_there_without_a_close() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    store.put_calls(&[ended(1)]).await.unwrap();
    let other = Store::open(folder.path()).await.unwrap();
    assert_eq!(other.call(id(1)).await.unwrap(), Some(ended(1)));
}

#[tokio::test]
async fn bindings_of_a_user_are_replaced_all_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let old = [binding("1001", "<sip:1001@a>", 1), binding("1001", "<sip:1001@b>", 2)];
    let neighbour = [binding("1002", "<sip:1002@a>", 3)];
    store.replace_bindings("1001", &old).await.unwrap();
    store.replace_bindings("1002", &neighbour).await.unwrap();

    let twice = [binding("1001", "<sip:1001@c>", 4), binding("1001", "<sip:1001@c>", 5)];
    assert!(matches!(store.replace_bindings("1001", &twice).await, Err(StoreError::Sql(_))));
    let all = [&old[..], &neighbour[..]].concat();
    assert_eq!(store.bindings().await.unwrap(), all, "the old ones stay");

    store.replace_bindings("1001", &[]).await.unwrap();
    assert_eq!(store.bindings().await.unwrap(), neighbour);
}

#[tokio::test]
async fn a_first_start_is_kept_only_once_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
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
    assert!(matches!(error, StoreError::Open(at) if matches!(at.failure, OpenFailure::Sql(_))));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), garbage);
}

#[tokio::test]
async fn a_file_with_damaged_pages_gives_errors() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let calls: Vec<Call> = (0..500).map(ended).collect();
    store.put_calls(&calls).await.unwrap();
    store.close().await;
    let file = folder.path().join("dialbridge.db");
    let mut octets = std::fs::read(&file).unwrap();
    octets[64 * 1024..].fill(0xA5);
    std::fs::write(&file, octets).unwrap();

    let outcome = match Store::open(folder.path()).await {
        Ok(store) => store.put_calls(&calls).await,
        Err(error) => Err(error),
    };
    assert!(matches!(outcome, Err(StoreError::Sql(_) | StoreError::Open(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_path_that_cannot_be_a_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Store::open(&file).await.unwrap_err();
    assert!(matches!(error, StoreError::Open(at) if matches!(at.failure, OpenFailure::Io(_))));
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    Store::open(folder.path()).await.unwrap().close().await;
    meddle(
        folder.path(),
        "INSERT INTO _sqlx_migrations VALUES (9000, 'later', '2030-01-01', TRUE, x'00', 1)",
    )
    .await;
    let error = Store::open(folder.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { version: 9000 }), "{error:?}");
    assert!(error.to_string().contains("newer version"));
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_an_error_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    store.put_calls(&[ended(1), ended(2)]).await.unwrap();
    store.replace_bindings("1001", &[binding("1001", "<sip:1001@a>", 1)]).await.unwrap();
    meddle(
        folder.path(),
        "UPDATE calls SET body = '{}' WHERE created_at % 2 = 1; UPDATE bindings SET cseq = -1",
    )
    .await;

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
    let store = Store::open(folder.path()).await.unwrap();
    store.put_calls(&[ended(0)]).await.unwrap();
    let (writing, still) = tokio::sync::watch::channel(true);
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (store, still) = (store.clone(), still.clone());
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
    let store = Store::open(folder.path()).await.unwrap();
    store.clone().close().await;
    assert!(matches!(store.call(id(1)).await, Err(StoreError::Sql(_))));
    assert!(matches!(store.put_calls(&[ended(1)]).await, Err(StoreError::Sql(_))));
    assert!(!folder.path().join("dialbridge.db-wal").exists(), "the log is folded into the file");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("data");
    let _store = Store::open(&inner).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    for name in ["dialbridge.db", "dialbridge.db-wal"] {
        assert_eq!(mode(&inner.join(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn messages_are_written_once_with_their_call_and_the_oldest_are_forgotten() {
    const WEEK: i64 = 7 * 24 * 60 * 60 * 1000;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let messages =
        |n: u32, at, octets: &[u8]| CallMessages { call: id(n), at, octets: octets.to_vec().into() };
    let put = async |store: &Store, messages| {
        let round = Round { calls: vec![ended(1).into()], messages: vec![messages], ..Round::default() };
        store.put_round(&round).await.unwrap();
    };
    put(&store, messages(1, at(0), b"one\0\xff")).await;
    put(&store, messages(1, at(1), b"again")).await;
    put(&store, messages(2, at(WEEK), b"")).await;
    store.close().await;
    let store = Store::open(folder.path()).await.unwrap();
    assert_eq!(store.call(id(1)).await.unwrap(), Some(ended(1)));
    assert_eq!(store.messages(id(1)).await.unwrap().as_deref(), Some(&b"one\0\xff"[..]));
    assert_eq!(store.messages(id(2)).await.unwrap().as_deref(), Some(&b""[..]));
    assert_eq!(store.messages(id(3)).await.unwrap(), None);

    // Old ones are looked for with every hundredth call.
    store.close().await;
    meddle(folder.path(), "UPDATE messages SET id = 98 WHERE id = 2").await;
    let store = Store::open(folder.path()).await.unwrap();
    put(&store, messages(3, at(WEEK + 1), b"late")).await;
    assert!(store.messages(id(1)).await.unwrap().is_some());
    put(&store, messages(4, at(WEEK + 1), b"later")).await;
    assert_eq!(store.messages(id(1)).await.unwrap(), None, "too old");
    assert!(store.messages(id(2)).await.unwrap().is_some());
    store.close().await;
    meddle(folder.path(), "UPDATE messages SET id = id + 19999 WHERE id > 98").await;
    let store = Store::open(folder.path()).await.unwrap();
    let many: Vec<_> = (5..105).map(|n| messages(n, at(WEEK + 1), &[b'x'; 50_000])).collect();
    store.put_round(&Round { messages: many, ..Round::default() }).await.unwrap();
    assert_eq!(store.messages(id(104)).await.unwrap(), Some(vec![b'x'; 50_000]));
    assert_eq!(store.messages(id(2)).await.unwrap(), None, "too many");
    assert!(store.messages(id(3)).await.unwrap().is_some());
    assert!(store.call(id(1)).await.unwrap().is_some(), "calls stay");
    store.close().await;

    meddle(
        folder.path(),
        "UPDATE messages SET body = x'' WHERE at = 1795255200000 + 604800001 AND length(body) < 20;
         UPDATE messages SET body = x'ffffffff00' WHERE length(body) > 20",
    )
    .await;
    let store = Store::open(folder.path()).await.unwrap();
    for n in [3, 4] {
        let damaged = store.messages(id(n)).await;
        assert!(matches!(damaged, Err(StoreError::Corrupt { table: "messages", .. })), "{damaged:?}");
    }
}
