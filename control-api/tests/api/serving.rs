//! The server on a real port: slow, broken and talkative clients.

use crate::fake::{Api, KEY, KEY_OTHER, event};
use call_control::CallEventKind;
use control_api::Connections;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(api: &Api) -> Self {
        Self::start_with(api, Connections::default()).await
    }

    async fn start_with(api: &Api, connections: Connections) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(control_api::serve(listener, api.router.clone(), connections, stopped));
        Self { address, stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(5), self.task).await.unwrap().unwrap();
    }

    /// All that comes back for these octets, up to the end of the connection.
    async fn converse(&self, octets: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(octets).await.unwrap();
        let mut answer = String::new();
        let reading = stream.read_to_string(&mut answer);
        tokio::time::timeout(Duration::from_secs(15), reading).await.unwrap().unwrap();
        answer
    }
}

fn post(more: &str, body: &str) -> String {
    format!(
        "POST /api/v1/calls/click-to-call HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n\
         Content-Type: application/json\r\n{more}\r\n{body}"
    )
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_one_after_the_other() {
    let api = Api::new().await;
    let server = Server::start(&api).await;
    let good = r#"{"from":"1001","to":"1002"}"#;
    let length = format!("Content-Length: {}\r\n", good.len());
    let chunked = format!("{:x}\r\n{good}\r\n0\r\n\r\n", good.len());
    let octets = [
        post(&length, good),
        post("Transfer-Encoding: chunked\r\n", &chunked),
        post(&format!("{length}Connection: close\r\n"), good),
    ]
    .concat();
    let answer = server.converse(octets.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
    assert_eq!(api.calls.script().asked.len(), 3);
    server.stop().await;
}

#[tokio::test]
async fn a_request_with_two_lengths_is_not_two_requests() {
    let api = Api::new().await;
    let server = Server::start(&api).await;
    let good = r#"{"from":"1001","to":"1002"}"#;
    let inner = post(&format!("Content-Length: {}\r\n", good.len()), good);
    let both =
        post(&format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", inner.len() + 5), "0\r\n\r\n");
    let twice = post("Content-Length: 5\r\nContent-Length: 6\r\n", "");
    for octets in [both + &inner, twice] {
        let answer = server.converse(octets.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
    assert!(api.calls.script().asked.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_on_sending_still_gets_its_answer() {
    let api = Api::new().await;
    let server = Server::start(&api).await;
    for _ in 0..20 {
        let request = post("Content-Length: 1048576\r\n", &"9".repeat(1_048_576));
        let answer = server.converse(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        assert!(answer.contains("\"status\":\"error\""), "{answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn who_waits_for_a_continue_is_refused_before_it_sends() {
    let api = Api::new().await;
    let server = Server::start(&api).await;
    let request = post("Content-Length: 1048576\r\nExpect: 100-continue\r\n", "");
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut octets = [0; 12];
    stream.read_exact(&mut octets).await.unwrap();
    assert_eq!(&octets, b"HTTP/1.1 413");
    drop(stream);
    server.stop().await;
}

#[tokio::test]
async fn a_slow_header_and_a_slow_body_are_given_up() {
    let api = Api::new().await;
    let server = Server::start(&api).await;
    let body = post("Content-Length: 50\r\n", r#"{"from":"1001","#);
    let begun = Instant::now();
    let (header, body, silence) = tokio::join!(
        server.converse(b"GET /healthz HTTP/1.1\r\nHost: x\r\n"),
        server.converse(body.as_bytes()),
        server.converse(b""),
    );
    let taken = begun.elapsed();
    assert!((8..14).contains(&taken.as_secs()), "{taken:?}");
    assert!(!header.contains("200") && silence.is_empty(), "{header} {silence}");
    assert!(body.starts_with("HTTP/1.1 408") && body.contains("request_timeout"), "{body}");
    server.stop().await;
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_takes_no_new_ones() {
    let api = Api::new().await;
    let server = Server::start(&api).await;
    let address = server.address;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut octets = [0; 15];
    idle.read_exact(&mut octets).await.unwrap();
    assert_eq!(&octets, b"HTTP/1.1 200 OK");
    server.stop().await;
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

/// A connection on which one request follows the other.
struct Kept(TcpStream);

impl Kept {
    async fn open(server: &Server) -> Self {
        Self(TcpStream::connect(server.address).await.unwrap())
    }

    /// Whether this text comes before the end of the connection.
    async fn is_told(&mut self, text: &str) -> bool {
        let (mut told, mut octets) = (String::new(), [0; 1024]);
        while !told.contains(text) {
            let read = tokio::time::timeout(Duration::from_secs(10), self.0.read(&mut octets)).await.unwrap();
            let Ok(count @ 1..) = read else { return false };
            told.push_str(&String::from_utf8_lossy(&octets[..count]));
        }
        true
    }

    /// The header of the answer; its body is read and let go.
    async fn get(&mut self, path: &str, key: Option<&str>) -> String {
        let key = key.map(|key| format!("X-API-Key: {key}\r\n")).unwrap_or_default();
        self.0.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{key}\r\n").as_bytes()).await.unwrap();
        let mut header = Vec::new();
        while !header.ends_with(b"\r\n\r\n") {
            let read = tokio::time::timeout(Duration::from_secs(10), self.0.read_u8()).await.unwrap();
            let Ok(octet) = read else { break };
            header.push(octet);
        }
        let header = String::from_utf8(header).unwrap().to_ascii_lowercase();
        let length = header.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).await.unwrap();
        header
    }
}

const COUNT: &str = "/api/v1/calls/count";

#[tokio::test]
async fn half_sent_headers_of_one_address_keep_nobody_out() {
    let api = Api::new().await;
    let server = Server::start_with(&api, Connections { max: 100, ..Connections::default() }).await;
    let mut with_key = Kept::open(&server).await;
    assert!(with_key.get(COUNT, Some(KEY)).await.starts_with("http/1.1 200"));
    let mut half_sent = Vec::new();
    for _ in 0..130 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n").await.unwrap();
        half_sent.push(stream);
    }
    let begun = Instant::now();
    let health = server.converse(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(with_key.get(COUNT, Some(KEY)).await.starts_with("http/1.1 200"), "a key keeps its connection");
    drop(half_sent);
    server.stop().await;
}

#[tokio::test]
async fn when_those_with_keys_have_all_places_the_health_is_still_answered() {
    let api = Api::new().await;
    let server = Server::start_with(&api, Connections { max: 4, ..Connections::default() }).await;
    let mut kept = Vec::new();
    for _ in 0..4 {
        let mut connection = Kept::open(&server).await;
        assert!(connection.get(COUNT, Some(KEY)).await.starts_with("http/1.1 200"));
        kept.push(connection);
    }
    for path in ["/healthz", "/api/v1/readyz"] {
        let answer = Kept::open(&server).await.get(path, None).await;
        assert!(answer.starts_with("http/1.1 200") && answer.contains("connection: close"), "{answer}");
    }
    let answer = Kept::open(&server).await.get(COUNT, Some(KEY)).await;
    assert!(answer.starts_with("http/1.1 503") && answer.contains("retry-after: 2"), "{answer}");
    assert!(answer.contains("content-length: ") && !answer.contains("transfer-encoding"), "{answer}");
    kept.pop();
    let begun = Instant::now();
    while !Kept::open(&server).await.get(COUNT, Some(KEY)).await.starts_with("http/1.1 200") {
        assert!(begun.elapsed() < Duration::from_secs(5), "the place is free again");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_connection_says_how_long_it_is_kept_and_is() {
    let api = Api::new().await;
    let server = Server::start(&api).await;
    let (mut stranger, mut with_key) = (Kept::open(&server).await, Kept::open(&server).await);
    let told = stranger.get("/healthz", None).await;
    assert!(told.contains("keep-alive: timeout=5\r\n"), "{told}");
    let told = with_key.get(COUNT, Some(KEY)).await;
    assert!(told.contains("keep-alive: timeout=75\r\n"), "{told}");
    let begun = Instant::now();
    let ended = tokio::time::timeout(Duration::from_secs(14), stranger.0.read_u8()).await.unwrap();
    assert!(ended.is_err() && begun.elapsed() > Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(with_key.get(COUNT, Some(KEY)).await.starts_with("http/1.1 200"));
    server.stop().await;
}

#[tokio::test]
async fn a_stranger_has_less_time_when_most_places_are_taken_and_more_when_they_are_free_again() {
    let api = Api::new().await;
    let server = Server::start_with(&api, Connections { max: 4, ..Connections::default() }).await;
    let mut stranger = Kept::open(&server).await;
    assert!(stranger.get("/healthz", None).await.contains("keep-alive: timeout=5\r\n"));
    let mut others = Vec::new();
    for _ in 0..3 {
        let mut other = Kept::open(&server).await;
        assert!(other.get(COUNT, Some(KEY)).await.starts_with("http/1.1 200"));
        others.push(other);
    }
    assert!(stranger.get("/healthz", None).await.contains("keep-alive: timeout=1\r\n"));
    drop(others);
    let begun = Instant::now();
    while !stranger.get("/healthz", None).await.contains("keep-alive: timeout=5\r\n") {
        assert!(begun.elapsed() < Duration::from_secs(5), "the places are free again");
    }
    server.stop().await;
}

#[tokio::test]
async fn whoever_closes_is_not_told_how_long_the_connection_is_kept() {
    let api = Api::new().await;
    let server = Server::start(&api).await;
    for wish in ["close", "Close", "TE, close", "TE\r\nConnection: close"] {
        let request =
            format!("GET /healthz HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: {wish}\r\n\r\n");
        let answer = server.converse(request.as_bytes()).await.to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 200") && !answer.contains("keep-alive"), "{wish}: {answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn wrong_keys_of_one_address_are_limited_and_good_ones_are_not() {
    let api = Api::new().await;
    let server = Server::start(&api).await;
    let wrong = format!("ak_{}", "9".repeat(32));
    let mut connection = Kept::open(&server).await;
    for _ in 0..20 {
        assert!(connection.get(COUNT, Some(&wrong)).await.starts_with("http/1.1 401"));
    }
    for key in [&wrong, "no key"] {
        let refused = connection.get(COUNT, Some(key)).await;
        assert!(
            refused.starts_with("http/1.1 429") && refused.contains("retry-after: 1"),
            "{key}: {refused}"
        );
    }
    assert!(connection.get(COUNT, None).await.starts_with("http/1.1 401"), "none is no wrong one");
    assert!(connection.get(COUNT, Some(KEY)).await.starts_with("http/1.1 200"));
    server.stop().await;
}

#[tokio::test]
async fn one_address_may_read_events_256_times_and_still_ask() {
    let api = Api::new().await;
    let server = Server::start(&api).await;
    let mut readers = Vec::new();
    for _ in 0..256 {
        let mut reader = Kept::open(&server).await;
        let answer = reader.get("/api/v1/events", Some(KEY_OTHER)).await;
        assert!(answer.starts_with("http/1.1 200"), "{answer}");
        readers.push(reader);
    }
    assert!(Kept::open(&server).await.get(COUNT, Some(KEY)).await.starts_with("http/1.1 200"));
    // Nobody gives way to others in the second after it has come, and the clock of sockets cannot be put forward: a test
    // without this wait passes also where a key does not keep a reader's connection.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(Kept::open(&server).await.get("/healthz", None).await.starts_with("http/1.1 200"));
    api.happen(&[event(1, CallEventKind::Ringing)]).await;
    for reader in &mut readers {
        assert!(reader.is_told("event: call.ringing\n").await, "each is still there");
    }
    server.stop().await;
}
