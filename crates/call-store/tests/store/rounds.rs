//! What a server writes at one time, and what of it belongs to which run.

use crate::journal::{Journal, at, beside, binding, chain, event, id, invite, messages, running};
use call_control::{CallEventKind, EventId, Repeatable};
use call_store::{FirstAnswer, Round, RunId, Store, StoreError, StoredInvite};
use std::sync::Arc;

fn of_invites(changes: impl IntoIterator<Item = (&'static str, Option<StoredInvite>)>) -> Round {
    let invites = changes.into_iter().map(|(sip_call_id, invite)| (sip_call_id.into(), invite)).collect();
    Round { invites, ..Round::default() }
}

/// Something of everything.
fn whole(n: u32) -> Round {
    let call = running(n);
    let request = Repeatable { api_key: [1; 32], idempotency_key: n.to_string().into(), body: [2; 32] };
    Round {
        calls: vec![call.clone().into()],
        events: [CallEventKind::Initiated, CallEventKind::Ringing, CallEventKind::Ringing]
            .map(|kind| event(&call, kind, at(i64::from(n))))
            .into(),
        messages: vec![messages(n, at(0), b"message")],
        bindings: [("1001".into(), vec![binding("1001", "<sip:a@192.0.2.2>", n)])].into(),
        first_answers: vec![FirstAnswer { request, call_id: id(n), at: 1, body: None }],
        ..of_invites([("a", Some(invite("a", b"INVITE")))])
    }
}

#[tokio::test]
async fn invites_are_kept_as_they_were_last_written_until_they_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    let (first, second) = (invite("a", b"INVITE"), invite("b", b"INVITE"));
    store.put(of_invites([("a", Some(first)), ("b", Some(second.clone()))])).await.unwrap();
    let mut moved = invite("a", b"BYE");
    // No list of transports is anywhere in the database.
    (moved.transport, moved.remote) = ("wss".into(), "192.0.2.3:5060".into());
    store.put(of_invites([("a", Some(moved.clone()))])).await.unwrap();
    store.close().await;

    let mut store = Journal::open(folder.path()).await;
    assert_eq!(store.invites().await.unwrap(), [moved, second]);
    store.put(of_invites([("a", None), ("b", None), ("never", None)])).await.unwrap();
    assert_eq!(store.invites().await.unwrap(), []);
}

#[tokio::test]
async fn a_round_is_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    assert!(Round { number: 7, ..Round::default() }.is_empty() && !whole(1).is_empty());
    // Nothing that is written last can be.
    beside(folder.path())
        .execute_batch("CREATE TRIGGER no BEFORE INSERT ON first_answers BEGIN SELECT RAISE(FAIL, 'no'); END")
        .unwrap();
    let error = store.put(whole(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Sql { .. }) && chain(&error).contains(": no: "), "{}", chain(&error));
    let nothing = async |store: &Store| {
        assert_eq!(store.call(id(1)).await.unwrap(), None);
        assert_eq!(store.event_range().await.unwrap(), (EventId(1), EventId(0)));
        assert_eq!(store.bindings().await.unwrap(), []);
        assert_eq!(store.invites().await.unwrap(), []);
        assert_eq!(store.messages(id(1)).await.unwrap(), None);
    };
    nothing(&store).await;
    assert!(store.put(whole(1)).await.is_err());
    nothing(&store).await;
    beside(folder.path()).execute_batch("DROP TRIGGER no").unwrap();
    assert_eq!(store.put(whole(1)).await.unwrap().len(), 3);
    assert!(store.call(id(1)).await.unwrap().is_some());
    assert_eq!(store.bindings().await.unwrap().len(), 1);
    assert_eq!(store.invites().await.unwrap().len(), 1);
    assert!(store.messages(id(1)).await.unwrap().is_some());
    assert!(store.first_answer(&[1; 32], "1", 2).await.unwrap().is_some());
}

#[tokio::test]
async fn a_round_that_is_given_again_is_not_written_again_and_its_events_keep_their_ids() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    store.put(whole(1)).await.unwrap();
    // Its first event is there already, and takes an id for nothing.
    let mut second = whole(2);
    second.events.insert(0, event(&running(1), CallEventKind::Initiated, at(9)));
    let second = store.next(second);
    let written = store.give(&second).await.unwrap();
    assert_eq!(written.iter().map(|event| event.id.0).collect::<Vec<_>>(), [5, 6, 7]);
    assert!(Arc::ptr_eq(&written[0].event, &second.events[1]));

    for _ in 0..2 {
        assert_eq!(store.give(&second).await.unwrap(), written);
    }
    assert_eq!(store.event_range().await.unwrap(), (EventId(1), EventId(7)));
    let third = store.put(whole(3)).await.unwrap();
    assert_eq!(third[0].id, EventId(8));
    let without_events = store.next(of_invites([("b", None)]));
    assert_eq!(store.give(&without_events).await.unwrap(), []);
    assert_eq!(store.give(&without_events).await.unwrap(), [], "not those of the round before");
}

#[tokio::test]
async fn rounds_follow_each_other_within_their_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    let given = async |store: &Store, number| {
        store.put_round(Round { number, ..whole(9) }.into()).await.map(|events| events.len())
    };
    for number in [0, 2, u64::MAX] {
        let refused = given(&store, number).await;
        assert!(matches!(refused, Err(StoreError::OutOfTurn { written: 0, .. })), "{refused:?}");
    }
    store.put(whole(1)).await.unwrap();
    store.put(whole(2)).await.unwrap();
    let refused = given(&store, 1).await;
    assert!(matches!(refused, Err(StoreError::OutOfTurn { given: 1, written: 2 })), "{refused:?}");
    assert_eq!(store.call(id(9)).await.unwrap(), None);
    store.close().await;
    let store = Journal::open(folder.path()).await;
    assert_eq!(store.run(), RunId(2));
    assert_eq!(given(&store, 1).await.unwrap(), 3);
}

#[tokio::test]
async fn many_rounds_are_ordered_at_once_and_done_in_order() {
    let store = Store::in_memory().await.unwrap();
    let (done, mut order) = tokio::sync::mpsc::unbounded_channel();
    for number in 1..=50 {
        let done = done.clone();
        store.write(Round { number, ..whole(1) }.into(), move |outcome| {
            done.send((number, outcome.is_ok(), std::thread::current().name().map(str::to_owned))).unwrap();
        });
    }
    for number in 1..=50 {
        assert_eq!(order.recv().await.unwrap(), (number, true, Some("store-writer".into())));
    }
}

#[tokio::test]
async fn the_last_clone_may_go_while_its_round_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let (done, answered) = tokio::sync::oneshot::channel();
    let (kept, other) = (store.clone(), store);
    other.write(Round { number: 1, ..whole(1) }.into(), move |outcome| {
        drop(kept);
        let _ = done.send(outcome.is_ok());
    });
    drop(other);
    assert!(answered.await.unwrap());
    // The thread ends after its answer.
    let began = std::time::Instant::now();
    while matches!(Store::open(folder.path()).await, Err(StoreError::InUse { .. })) {
        assert!(began.elapsed().as_secs() < 10, "the thread has ended");
        std::thread::yield_now();
    }
    // A panic in an answer is the caller's; the thread goes on.
    let mut store = Journal::open(folder.path()).await;
    store.write(store.next(whole(2)), |_| panic!("as the test wants it"));
    assert!(store.give(&store.next(whole(2))).await.is_ok());
    assert!(store.put(whole(3)).await.is_ok());
}

#[tokio::test]
async fn what_other_runs_left_is_unfinished_until_it_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    let mut talking = running(1);
    talking.state = call_control::CallState::Talking;
    let round = Round {
        calls: vec![running(2).into(), running(1).into()],
        events: vec![event(&talking, CallEventKind::Talking, at(3))],
        ..of_invites([("z", Some(invite("z", b"1")))])
    };
    store.put(round).await.unwrap();
    store.put(of_invites([("a", Some(invite("a", b"2")))])).await.unwrap();
    let own = store.unfinished().await.unwrap();
    assert_eq!((own.calls.len(), own.invites.len()), (0, 0), "this run is not over");
    drop(store);

    // Another run writes them again: they stay with the run that wrote them first.
    for n in [3, 4] {
        let mut store = Journal::open(folder.path()).await;
        let left = store.unfinished().await.unwrap();
        assert_eq!(left.calls, [talking.clone(), running(2)]);
        assert_eq!(left.invites, [invite("z", b"1"), invite("a", b"2")]);
        let again = Round {
            calls: vec![running(1).into(), running(n).into()],
            ..of_invites([("z", Some(invite("z", b"1")))])
        };
        store.put(again).await.unwrap();
        assert_eq!(store.unfinished().await.unwrap(), left);
        let over = running(n).broken_off(call_control::EndReason::ServerCrashed, at(5));
        store.put_calls(&[over]).await.unwrap();
        store.close().await;
    }
    let mut store = Journal::open(folder.path()).await;
    let ended = [1, 2].map(|n| running(n).broken_off(call_control::EndReason::ServerCrashed, at(5)));
    let calls = ended.into_iter().map(Arc::new).collect();
    store.put(Round { calls, ..of_invites([("a", None), ("z", None)]) }).await.unwrap();
    assert_eq!(store.unfinished().await.unwrap(), call_store::Unfinished::default());
}

#[tokio::test]
async fn runs_are_counted_and_a_close_is_their_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    store.put(whole(1)).await.unwrap();
    drop(store);
    let mut store = Journal::open(folder.path()).await;
    store.put(whole(1)).await.unwrap();
    store
        .put_bindings("1001", &[binding("1001", "<sip:b>", 1), binding("1001", "<sip:a@192.0.2.2>", 1)])
        .await
        .unwrap();
    store.close().await;
    let other = beside(folder.path());
    let all = |sql: &str| -> Vec<(i64, i64)> {
        let mut statement = other.prepare(sql).unwrap();
        statement.query_map([], |row| row.try_into()).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(all("SELECT round, ended_at IS NOT NULL FROM runs"), [(1, 0), (2, 1)]);
    assert_eq!(all("SELECT DISTINCT run, round FROM events"), [(1, 1), (2, 1)]);
    assert_eq!(all("SELECT run, 0 FROM calls UNION ALL SELECT run, 1 FROM invites"), [(1, 0), (1, 1)]);
    assert_eq!(
        all("SELECT run, cseq FROM bindings ORDER BY rowid"),
        [(2, 1), (1, 1)],
        "a device of each run"
    );
}

#[tokio::test]
async fn a_secret_stays_what_it_was_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = Journal::open(folder.path()).await;
    assert_eq!(store.secret("one", [1; 32]).await.unwrap(), [1; 32]);
    assert_eq!(store.secret("two", [2; 32]).await.unwrap(), [2; 32]);
    store.close().await;
    let store = Journal::open(folder.path()).await;
    assert_eq!(store.secret("one", [3; 32]).await.unwrap(), [1; 32]);
}

#[tokio::test]
async fn stores_in_memory_are_apart() {
    let (mut one, two) = (Journal::in_memory().await, Journal::in_memory().await);
    one.put_calls(&[running(1)]).await.unwrap();
    assert_eq!(two.call(id(1)).await.unwrap(), None);
    assert_eq!(two.unfinished().await.unwrap().calls, []);
    assert_eq!(one.call(id(1)).await.unwrap(), Some(running(1)));
}
