//! Databases that earlier versions wrote.

use crate::journal::{Journal, beside, meddle};
use call_control::{
    Call, CallDirection, CallEvent, CallId, CallState, Disposition, EventId, PartyState, VariableName,
};
use call_store::{CallFilter, RunId};
use std::path::Path;

/// As version 0.1 wrote it, which had sqlx: an answered call, one whose `to` was busy, one during which the clock was
/// set back, one that was cut off while it talked, and one that was cut off at its beginning.
const WRITTEN_BY_SQLX: &[u8] = include_bytes!("data/written-by-sqlx.db");

fn id(n: u8) -> CallId {
    CallId::new(1_795_255_200_000 + u64::from(n), &[n; 10])
}

async fn open_copy() -> (tempfile::TempDir, Journal) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dialbridge.db"), WRITTEN_BY_SQLX).unwrap();
    let store = Journal::open(folder.path()).await;
    (folder, store)
}

fn seconds(call: &Call) -> (f64, f64, f64) {
    (call.duration_seconds, call.ring_seconds, call.talk_seconds)
}

#[tokio::test]
async fn calls_of_before_know_their_direction_and_seconds() {
    let (_folder, store) = open_copy().await;
    let (calls, total) = store.calls(&CallFilter::default(), 20, 0).await.unwrap();
    assert_eq!(total, 5);
    assert_eq!(calls.iter().map(|call| call.call_id).collect::<Vec<_>>(), [5, 4, 3, 2, 1].map(id));
    assert!(calls.iter().all(|call| call.direction == CallDirection::Internal));
    let times: Vec<_> = calls.iter().rev().map(seconds).collect();
    let expected = [
        (18.002, 4.247, 11.655),
        // Busy, without a word that it rang.
        (2.5, 0.5, 0.0),
        // The clock was set back, and `to` was never rung.
        (0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0),
    ];
    assert_eq!(times, expected);
    let internal = CallFilter { direction: Some("internal"), ..CallFilter::default() };
    assert_eq!(store.calls(&internal, 20, 0).await.unwrap().1, 5);
    let figures = store.call_statistics(&CallFilter::default()).await.unwrap();
    assert_eq!(
        (figures.talk.as_millis(), figures.heard, figures.to_first_audio.as_millis()),
        (11_655, 1, 40)
    );
    let by_disposition = [
        (Disposition::Answered, 1),
        (Disposition::NoAnswer, 1),
        (Disposition::Busy, 1),
        (Disposition::Running, 2),
    ];
    assert_eq!(figures.by_disposition, by_disposition.into());
}

#[tokio::test]
async fn a_party_that_was_never_called_was_not_rung() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dialbridge.db"), WRITTEN_BY_SQLX).unwrap();
    meddle(
        folder.path(),
        "UPDATE calls SET body = json_set(body, '$.to.state', 'waiting') WHERE end_reason = 'busy';
         UPDATE events SET body = json_set(body, '$.call.to.state', 'waiting') WHERE call_id IN
         (SELECT call_id FROM calls WHERE end_reason = 'busy')",
    );
    let store = Journal::open(folder.path()).await;
    assert_eq!(seconds(&store.call(id(2)).await.unwrap().unwrap()), (2.5, 0.0, 0.0));
    assert_eq!(seconds(&store.call_at_last_event(id(2)).await.unwrap().unwrap()), (2.5, 0.0, 0.0));
}

#[tokio::test]
async fn nothing_of_a_call_of_before_is_changed_beside() {
    let (_folder, store) = open_copy().await;
    let call = store.call(id(1)).await.unwrap().unwrap();
    let media = call.from.media.as_ref().unwrap();
    assert_eq!((media.packets_received, media.jitter_ms), (u64::MAX, 0.1 + 0.2));
    assert_eq!(call.to.media.as_ref().unwrap().jitter_ms, 1e-7);
    assert_eq!(call.from.sip_call_id.as_deref(), Some("a\"b'c\u{2028}é"));
    let variable = |name| serde_json::to_string(&call.variables[&VariableName::new(name).unwrap()]).unwrap();
    assert_eq!(variable("big"), "18446744073709551615");
    assert_eq!(variable("part"), "-0.1");
    assert_eq!(variable("order"), "\"Grüße \\\"7\\\"\"");
    assert_eq!(call.connected_at.unwrap().to_string(), "2026-11-21T10:00:07.347Z");
}

#[tokio::test]
async fn events_of_before_can_be_read_and_are_followed_by_new_ones() {
    let (_folder, store) = open_copy().await;
    assert_eq!(store.event_range().await.unwrap(), (EventId(1), EventId(10)));
    let events = store.events_after(EventId(0), None, 100).await.unwrap();
    let read: Vec<CallEvent> =
        events.iter().map(|event| serde_json::from_str(&event.json).unwrap()).collect();
    let of_first: Vec<_> = read.iter().filter(|event| event.call.call_id == id(1)).collect();
    let times: Vec<_> = of_first.iter().map(|event| seconds(&event.call)).collect();
    let expected = [
        (0.0, 0.0, 0.0),
        (0.25, 0.0, 0.0),
        (2.0, 0.0, 0.0),
        (2.1, 0.0, 0.0),
        (6.347, 4.247, 0.0),
        (18.002, 4.247, 11.655),
    ];
    assert_eq!(times, expected);
    for (event, call) in events.iter().zip(&read) {
        let json: serde_json::Value = serde_json::from_str(&event.json).unwrap();
        assert_eq!(json["call"]["direction"], "internal");
        assert_eq!(
            json["call"]["disposition"],
            Disposition::of(&call.call).as_str(),
            "as new events have it"
        );
    }
}

#[tokio::test]
async fn all_of_before_belongs_to_a_run_that_is_over() {
    let (folder, store) = open_copy().await;
    assert_eq!(store.run(), RunId(1));
    let left = store.unfinished().await.unwrap();
    assert_eq!(left.calls.iter().map(|call| call.call_id).collect::<Vec<_>>(), [id(4), id(5)]);
    let [talking, begun] = &left.calls[..] else { panic!("{left:?}") };
    assert_eq!((talking.state, talking.to.state), (CallState::Talking, PartyState::Answered));
    assert_eq!(seconds(talking), (2.85, 1.0, 0.75));
    assert_eq!(begun.state, CallState::CallingFrom);
    let invites: Vec<_> = left
        .invites
        .iter()
        .map(|invite| (&*invite.sip_call_id, &*invite.transport, invite.call_id))
        .collect();
    assert_eq!(invites, [("z", "udp", id(4)), ("a", "tcp", id(4))]);
    assert!(left.invites[0].request.ends_with(b"\xff\0"));

    let bindings = store.bindings().await.unwrap();
    let contacts: Vec<_> = bindings.iter().map(|binding| (&*binding.contact, binding.cseq)).collect();
    assert_eq!(contacts, [("<sip:1001@b>", u32::MAX), ("<sip:1001@a>", 2), ("<sip:1002@a>", 3)]);
    assert_eq!(bindings[1].path.as_deref(), Some("<sip:edge;lr>"));
    store.close().await;
    let runs: i64 = beside(folder.path())
        .query_row(
            "SELECT sum(run) FROM (SELECT run FROM calls UNION ALL SELECT run FROM invites
             UNION ALL SELECT run FROM bindings UNION ALL SELECT run FROM events)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(runs, 0);
}

#[tokio::test]
async fn answers_messages_and_the_first_start_of_before_are_there() {
    let (folder, store) = open_copy().await;
    let now = 1_795_255_200_000;
    let answer = store.first_answer(&[1; 32], "a", now).await.unwrap().unwrap();
    assert_eq!((answer.call_id, answer.at, answer.request.body), (id(1), now + 1000, [1; 32]));
    assert!(answer.body.unwrap().starts_with("{\"status\":\"success\""));
    assert_eq!(store.first_answer(&[2; 32], "a", now).await.unwrap().unwrap().call_id, id(2));
    assert_eq!(store.first_answer(&[2; 32], "nowhere", now).await.unwrap(), None, "of no call");

    assert_eq!(store.messages(id(1)).await.unwrap().as_deref(), Some(&b"one\0\xff"[..]));
    assert_eq!(store.messages(id(2)).await.unwrap(), Some(vec![b'x'; 3000]));
    let numbers: Vec<_> = store.extensions().await.unwrap().into_iter().map(|one| one.number).collect();
    assert_eq!(numbers, ["1001".into(), "1002".into()]);
    assert_eq!(store.keys().await.unwrap()[0].permissions, ["calls.*".into(), "config.read".into()]);
    assert_eq!(store.secret("call_key", [0; 32]).await.unwrap(), [5; 32]);
    store.close().await;
    assert_eq!(counted(folder.path()), (5, 4), "what sqlx counted stays as it was");
    // And it is done once.
    let store = Journal::open(folder.path()).await;
    assert_eq!(store.run(), RunId(2));
    assert_eq!(seconds(&store.call(id(1)).await.unwrap().unwrap()), (18.002, 4.247, 11.655));
}

/// Our count of migrations, and that of sqlx.
fn counted(folder: &Path) -> (i64, i64) {
    let sql = "SELECT user_version, (SELECT max(version) FROM _sqlx_migrations) FROM pragma_user_version";
    beside(folder).query_row(sql, [], |row| row.try_into()).unwrap()
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_to_this_one() {
    let folder = tempfile::tempdir().unwrap();
    {
        let old = beside(folder.path());
        old.execute_batch(include_str!("../../migrations/0001_first.sql")).unwrap();
        old.execute_batch(
            "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
             installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL,
             checksum BLOB NOT NULL, execution_time BIGINT NOT NULL);
             INSERT INTO _sqlx_migrations VALUES (1, 'first', '2026-10-01', TRUE, x'00', 1);",
        )
        .unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), WRITTEN_BY_SQLX).unwrap();
        old.execute("ATTACH ?1 AS later", [file.path().to_str().unwrap()]).unwrap();
        old.execute_batch(
            "INSERT INTO calls SELECT call_id, created_at, ended_at, state, direction, from_number, to_number, to_type,
             end_reason, body FROM later.calls; DETACH later",
        )
        .unwrap();
    }
    let store = Journal::open(folder.path()).await;
    assert_eq!(store.calls(&CallFilter::default(), 20, 0).await.unwrap().1, 5);
    let figures = store.call_statistics(&CallFilter::default()).await.unwrap();
    assert_eq!(
        (figures.talk.as_millis(), figures.heard, figures.to_first_audio.as_millis()),
        (11_655, 1, 40)
    );
    assert_eq!(counted(folder.path()), (5, 1));
}
