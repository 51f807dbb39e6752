//! Server-sent events over real sockets.

use crate::fake::{Api, KEY, KEY_OTHER, call, event, id};
use crate::serving::Server;
use axum::body::Body;
use call_control::{CallEventKind, CallState};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(20);

/// A client of a stream: its head has been read.
struct Client {
    lines: BufReader<TcpStream>,
    head: String,
}

impl Client {
    async fn connect(server: &Server, path: &str, last: Option<u64>) -> Self {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let mut lines = BufReader::new(stream);
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        // Of version 1.0, so that there are no chunks in the way.
        let request = format!("GET /api/v1{path} HTTP/1.0\r\nX-API-Key: {KEY_OTHER}\r\n{last}\r\n");
        lines.get_mut().write_all(request.as_bytes()).await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = tokio::time::timeout(PATIENCE, lines.read_line(&mut head)).await.unwrap().unwrap();
            assert!(read > 0, "{head}");
        }
        Self { lines, head }
    }

    /// The next event that has a name, as id, name and data; `None` at the end of the stream.
    async fn next(&mut self) -> Option<(u64, String, serde_json::Value)> {
        let (mut id, mut name, mut data) = (0, String::new(), serde_json::Value::Null);
        loop {
            let mut line = String::new();
            let reading = self.lines.read_line(&mut line);
            let read = tokio::time::timeout(PATIENCE, reading).await.unwrap().unwrap_or(0);
            // A reader that is dropped is cut off anywhere, also within a line: that is no event.
            if read == 0 || !line.ends_with('\n') {
                return None;
            }
            match line.trim_end().split_once(':').map(|(field, value)| (field, value.trim_start())) {
                Some(("id", value)) => id = value.parse().unwrap(),
                Some(("event", value)) => name = value.to_owned(),
                Some(("data", value)) => data = serde_json::from_str(value).unwrap(),
                Some(("retry", "2000")) | Some(("", _)) => {}
                None if name.is_empty() => {}
                None => return Some((id, name, data)),
                other => panic!("{other:?}"),
            }
        }
    }

    async fn ids(&mut self, count: usize) -> Vec<u64> {
        let mut ids = Vec::new();
        while ids.len() < count {
            ids.push(self.next().await.unwrap().0);
        }
        ids
    }
}

#[tokio::test]
async fn an_event_comes_with_its_id_its_name_and_the_call() {
    let api = Api::new().await;
    let server = Server::start(&api).await;
    let mut client = Client::connect(&server, "/events", None).await;
    assert!(
        client.head.starts_with("HTTP/1.0 200") || client.head.starts_with("HTTP/1.1 200"),
        "{}",
        client.head
    );
    assert!(client.head.contains("content-type: text/event-stream"), "{}", client.head);
    let ringing = event(1, CallEventKind::Ringing);
    api.happen(&[ringing.clone(), event(2, CallEventKind::Ended)]).await;
    let (id, name, data) = client.next().await.unwrap();
    assert_eq!((id, &*name, data), (1, "call.ringing", serde_json::to_value(ringing).unwrap()));
    assert_eq!(client.next().await.unwrap().1, "call.ended");
    server.stop().await;
    assert_eq!(client.next().await, None, "a server that stops ends its streams");
}

#[tokio::test]
async fn what_was_missed_comes_first_and_without_an_id_nothing_does() {
    let api = Api::new().await;
    let server = Server::start(&api).await;
    let many: Vec<_> = (0..600).map(|_| event(1, CallEventKind::Ringing)).collect();
    api.happen(&many).await;
    let mut fresh = Client::connect(&server, "/events", None).await;
    let mut by_header = Client::connect(&server, "/events", Some(10)).await;
    let mut by_parameter = Client::connect(&server, "/events?last_event_id=590", None).await;
    let mut of_another_database = Client::connect(&server, "/events", Some(9_999)).await;
    api.happen(&[event(1, CallEventKind::Talking)]).await;
    assert_eq!(by_header.ids(591).await, (11..=601).collect::<Vec<_>>());
    assert_eq!(by_parameter.ids(11).await, (591..=601).collect::<Vec<_>>());
    assert_eq!(fresh.ids(1).await, [601]);
    assert_eq!(of_another_database.ids(1).await, [601]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_between_replay_and_subscription_is_not_lost() {
    let api = Api::new().await;
    let server = Server::start(&api).await;
    api.happen(&[event(1, CallEventKind::Initiated)]).await;
    api.calls.script().live = Some(Arc::new(call(1, CallState::CallingFrom)));
    api.calls.script().busy = true;
    for path in ["/events?last_event_id=0".to_owned(), format!("/calls/{}/events", id(1))] {
        let mut client = Client::connect(&server, &path, None).await;
        let before = api.store.event_range().await.unwrap().1.0;
        assert_eq!(client.ids(usize::try_from(before).unwrap()).await, (1..=before).collect::<Vec<_>>());
        api.happen(&[event(1, CallEventKind::Talking)]).await;
        assert_eq!(client.ids(1).await, [before + 1]);
    }
    server.stop().await;
}

#[tokio::test]
async fn under_load_no_event_is_lost_or_told_twice() {
    const EVENTS: u64 = 3000;
    let api = Arc::new(Api::new().await);
    let server = Server::start(&api).await;
    let happening = tokio::spawn({
        let api = Arc::clone(&api);
        async move {
            for _ in 0..EVENTS / 10 {
                let few: Vec<_> = (0..10).map(|_| event(1, CallEventKind::Ringing)).collect();
                api.happen(&few).await;
            }
        }
    });
    let mut last = 0;
    let mut connections = 0;
    // Comes and goes all the time, and is dropped when it is slow.
    while last < EVENTS {
        let mut client =
            Client::connect(&server, "/events?last_event_id=0", (last > 0).then_some(last)).await;
        connections += 1;
        for _ in 0..=last % 97 {
            match client.next().await {
                Some((id, ..)) => {
                    assert_eq!(id, last + 1);
                    last = id;
                }
                None => break,
            }
            if last == EVENTS {
                break;
            }
        }
    }
    assert!(connections > 10, "{connections}");
    happening.await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_slow_reader_is_dropped_and_comes_back_with_its_last_id() {
    let api = Api::new().await;
    let server = Server::start(&api).await;
    let mut client = Client::connect(&server, "/events", None).await;
    // More at once than the channel holds: the reader cannot have taken the first when the last is sent.
    let many: Vec<_> = (0..20_000).map(|_| event(1, CallEventKind::Ringing)).collect();
    api.happen(&many).await;
    let mut last = 0;
    while let Some((id, ..)) = client.next().await {
        assert_eq!(id, last + 1);
        last = id;
    }
    assert!(last < 20_000);
    let mut again = Client::connect(&server, "/events?last_event_id=0", Some(last)).await;
    assert_eq!(again.ids(1).await, [last + 1]);
    drop(again);
    server.stop().await;
}

#[tokio::test]
async fn the_stream_of_a_call_has_all_its_events_and_ends_with_it() {
    let api = Api::new().await;
    let server = Server::start(&api).await;
    api.calls.script().live = Some(Arc::new(call(1, CallState::CallingFrom)));
    api.happen(&[event(1, CallEventKind::Initiated), event(2, CallEventKind::Initiated)]).await;
    let path = format!("/calls/{}/events", id(1));
    let mut client = Client::connect(&server, &path, None).await;
    assert_eq!(client.next().await.unwrap().1, "call.initiated");
    api.happen(&[event(2, CallEventKind::Ended), event(1, CallEventKind::Ended)]).await;
    let (last, name, data) = client.next().await.unwrap();
    assert_eq!((last, &*name), (4, "call.ended"));
    assert_eq!(data["call"]["call_id"], id(1).to_string());
    assert_eq!(client.next().await, None);

    api.calls.script().live = None;
    let mut later = Client::connect(&server, &path, None).await;
    assert_eq!(later.ids(2).await, [1, 4]);
    assert_eq!(later.next().await, None);
    let told = Client::connect(&server, &path, Some(4)).await;
    assert!(told.head.contains(" 204 "), "{}", told.head);
    server.stop().await;
}

#[tokio::test]
async fn a_stream_says_when_events_are_lost() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::with(call_store::Store::open(folder.path()).await.unwrap());
    let server = Server::start(&api).await;
    let mut late = event(1, CallEventKind::Ringing);
    api.happen(&[late.clone(), late.clone(), late.clone()]).await;
    late.at =
        call_control::Timestamp::from_unix_milliseconds(late.at.unix_milliseconds() + 90_000_000).unwrap();
    api.happen(&[late]).await;
    let mut client = Client::connect(&server, "/events", Some(1)).await;
    let (_, name, data) = client.next().await.unwrap();
    assert_eq!((&*name, data), ("events.lost", serde_json::json!({"after": 1, "oldest": 4})));
    assert_eq!(client.ids(1).await, [4]);
    let mut whole = Client::connect(&server, "/events", Some(3)).await;
    assert_eq!(whole.next().await.unwrap().1, "call.ringing");
    server.stop().await;
}

#[tokio::test]
async fn streams_need_their_permission_a_call_and_a_place() {
    let api = Api::new().await;
    let server = Server::start(&api).await;
    let ask = async |path: &str, headers: &[(&str, &str)]| api.ask("GET", path, headers, Body::empty()).await;
    let of_one = format!("/api/v1/calls/{}/events", id(9));
    for path in ["/api/v1/events", &of_one] {
        let refused = ask(path, &[("x-api-key", KEY)]).await;
        assert!(refused.is_error(403, "permission_missing").0.contains("calls.live"));
        let bad = ask(path, &[("x-api-key", KEY_OTHER), ("last-event-id", "-1")]).await;
        assert_eq!(bad.is_error(400, "invalid_field").1, Some("Last-Event-ID"));
        let bad = ask(&format!("{path}?last_event_id=x"), &[("x-api-key", KEY_OTHER)]).await;
        assert_eq!(bad.is_error(400, "invalid_field").1, Some("last_event_id"));
        let unknown = ask(&format!("{path}?x=1"), &[("x-api-key", KEY_OTHER)]).await;
        unknown.is_error(400, "unknown_field");
    }
    ask(&of_one, &[("x-api-key", KEY_OTHER)]).await.is_error(404, "call_not_found");
    let mut readers = Vec::new();
    for _ in 0..256 {
        readers.push(Client::connect(&server, "/events", None).await);
    }
    ask("/api/v1/events", &[("x-api-key", KEY_OTHER)]).await.is_error(503, "too_many_readers");
    drop(readers);
    server.stop().await;
}
