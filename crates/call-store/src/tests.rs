//! What cannot be brought about from outside.

use crate::writer::Writer;
use crate::{Cause, Round, Store, StoreError};
use call_control::{
    Call, CallDirection, CallEvent, CallEventKind, CallId, Number, NumberedEvent, PartyType, PartyView,
    Timestamp,
};
use std::sync::Arc;
use std::time::Duration;

fn round(number: u8) -> Arc<Round> {
    let at = Timestamp::from_unix_milliseconds(1_795_255_200_000).unwrap();
    let parties =
        ["1001", "1002"].map(|text| PartyView::waiting(Number::new(text).unwrap(), PartyType::Extension));
    let id = CallId::new(1_795_255_200_000, &[number; 10]);
    let call = Call::beginning(id, parties, CallDirection::Internal, at);
    let event = |event| Arc::new(CallEvent { event, party: None, at, call: call.clone() });
    Arc::new(Round {
        number: number.into(),
        calls: vec![Arc::new(call.clone())],
        events: vec![event(CallEventKind::Initiated), event(CallEventKind::Ringing)],
        ..Round::default()
    })
}

impl Store {
    async fn on_writer<T: Send + 'static>(&self, work: impl FnOnce(&mut Writer) -> T + Send + 'static) -> T {
        self.have_written(|writer| Ok(work(writer))).await.unwrap()
    }
}

fn ids(events: &[NumberedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.id.0).collect()
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_not_done_again() {
    let folder = tempfile::tempdir().unwrap();
    for store in [Store::open(folder.path()).await.unwrap(), Store::in_memory().await.unwrap()] {
        store.put_round(round(1)).await.unwrap();
        store.on_writer(|writer| writer.faults.answer_is_lost = true).await;
        let second = round(2);
        assert!(matches!(
            store.put_round(Arc::clone(&second)).await,
            Err(StoreError::Sql { cause: Cause::Io, .. })
        ));
        let written = store.put_round(Arc::clone(&second)).await.unwrap();
        assert_eq!(ids(&written), [3, 4]);
        assert!(Arc::ptr_eq(&written[1].event, &second.events[1]));
        assert_eq!(ids(&store.put_round(round(3)).await.unwrap()), [5, 6]);
    }
}

#[tokio::test]
async fn after_a_failure_the_connection_is_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    store.put_round(round(1)).await.unwrap();
    let made = async || store.on_writer(|writer| writer.faults.connections).await;
    assert_eq!(made().await, 0);
    store.on_writer(|writer| writer.faults.answer_is_lost = true).await;
    assert!(store.put_round(round(2)).await.is_err());
    assert_eq!(made().await, 0, "when it is needed");
    store.put_round(round(2)).await.unwrap();
    assert_eq!(made().await, 1);
    assert!(matches!(store.put_round(round(9)).await, Err(StoreError::OutOfTurn { .. })));
    store.put_round(round(3)).await.unwrap();
    assert_eq!(made().await, 1, "no statement had failed");
}

#[tokio::test]
async fn a_file_that_cannot_grow_is_full_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    store
        .on_writer(|writer| {
            writer.faults.pages_max = Some(1);
            writer.faults.answer_is_lost = true;
        })
        .await;
    assert!(store.put_round(round(1)).await.is_err());
    // The limit counts from the next connection; what is there goes on to be used until it is full.
    store.put_round(round(1)).await.unwrap();
    let big = |number| Arc::new(Round { messages: messages(), ..Round::clone(&round(number)) });
    for _ in 0..3 {
        let refused = store.put_round(big(2)).await;
        assert!(matches!(refused, Err(StoreError::Sql { cause: Cause::Full, .. })), "{refused:?}");
        assert_eq!(store.running_calls().await.unwrap().len(), 1);
    }
    store.on_writer(|writer| writer.faults.pages_max = None).await;
    assert_eq!(ids(&store.put_round(big(2)).await.unwrap()), [3, 4]);
}

fn messages() -> Vec<crate::CallMessages> {
    // What no compression makes smaller.
    let mut state = 1_u64;
    let octets: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(100_000)
    .collect();
    let at = Timestamp::from_unix_milliseconds(1_795_255_200_000).unwrap();
    vec![crate::CallMessages { call: CallId::new(1, &[1; 10]), at, octets: octets.into() }]
}

#[tokio::test]
async fn a_file_that_is_taken_away_while_it_is_written_has_not_been_written() {
    let folder = tempfile::tempdir().unwrap();
    let (file, away) = (folder.path().join("dialbridge.db"), folder.path().join("away"));
    let store = Store::open(folder.path()).await.unwrap();
    store.put_round(round(1)).await.unwrap();
    let (from, to) = (file.clone(), away.clone());
    let taken = move || std::fs::rename(from, to).unwrap();
    store.on_writer(move |writer| writer.faults.meanwhile = Some(Box::new(taken))).await;
    for _ in 0..2 {
        assert!(matches!(store.put_round(round(2)).await, Err(StoreError::Gone(_))));
    }
    std::fs::rename(away, file).unwrap();
    // It was, in the file that is back.
    assert_eq!(ids(&store.put_round(round(2)).await.unwrap()), [3, 4]);
    assert_eq!(ids(&store.put_round(round(3)).await.unwrap()), [5, 6]);
}

#[tokio::test]
async fn a_panic_writes_nothing_and_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for store in [Store::open(folder.path()).await.unwrap(), Store::in_memory().await.unwrap()] {
        store.put_round(round(1)).await.unwrap();
        let panics = || panic!("as the test wants it");
        store.on_writer(move |writer| writer.faults.meanwhile = Some(Box::new(panics))).await;
        assert!(matches!(store.put_round(round(2)).await, Err(StoreError::Panicked)));
        let panics = store.look_up(|_| -> Result<(), _> { panic!("as the test wants it") }).await;
        assert!(matches!(panics, Err(StoreError::Panicked)));
        assert_eq!(ids(&store.put_round(round(2)).await.unwrap()), [3, 4]);
    }
}

#[tokio::test]
async fn slow_searches_hold_up_neither_writing_nor_looking_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    store.put_round(round(1)).await.unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Arc::new(parking_lot::Mutex::new(held));
    // Far more than there are threads.
    let slow: Vec<_> = (0..100)
        .map(|_| {
            let (store, held) = (store.clone(), Arc::clone(&held));
            tokio::spawn(async move {
                let search = store.search(move |connection| {
                    let reading = connection.transaction()?;
                    let count: i64 = reading.query_row("SELECT count(*) FROM calls", [], |row| row.get(0))?;
                    let _ = held.lock().recv();
                    Ok(count)
                });
                search.await
            })
        })
        .collect();
    tokio::task::yield_now().await;
    let others = async {
        for number in 2..=20 {
            store.put_round(round(number)).await.unwrap();
            let id = round(number).calls[0].call_id;
            assert!(store.call(id).await.unwrap().is_some());
        }
    };
    let outcome = tokio::time::timeout(Duration::from_secs(10), others).await;
    // Those of clients that have gone are not done.
    for search in &slow[10..] {
        search.abort();
    }
    drop(release);
    outcome.expect("others go on");
    for search in slow.into_iter().take(10) {
        assert!(search.await.unwrap().unwrap() >= 1);
    }
}
