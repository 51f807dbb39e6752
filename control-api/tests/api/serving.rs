//! The server on a real port: slow, broken and talkative clients.

use crate::fake::{Api, KEY};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(crate) async fn start(api: &Api) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(control_api::serve(listener, api.router.clone(), stopped));
        Self { address, stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(5), self.task).await.unwrap().unwrap().unwrap();
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
