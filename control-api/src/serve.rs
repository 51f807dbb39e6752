//! The HTTP server: bounded connections, bounded waiting.

mod given;
mod patience;

use crate::error::{ApiError, Code};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Version, header};
use axum::response::{IntoResponse, Response};
use given::Given;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use ipnet::IpNet;
use parking_lot::Mutex;
use patience::{Patience, Progress, Watched};
use places::{Capacity, Entered, Places};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, watch};
use tower::ServiceExt;

/// From the first octet of a request to the end of its header; a connection that has shown no key is not kept longer
/// without a request either.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// The same when most places are taken.
const HEADER_TIME_NEARLY_FULL: Duration = Duration::from_secs(2);
/// How long a connection that has shown a key may be idle, as it is told (`Keep-Alive`): longer than clients and proxies
/// commonly keep one, so that it is they who close it.
const IDLE_TIME_TOLD: Duration = Duration::from_secs(75);
/// A request that was sent before that time is still answered.
const IDLE_TIME_MORE: Duration = Duration::from_secs(5);
/// When a client that found no place may come again.
const PLACE_AGAIN: Duration = Duration::from_secs(2);
/// Connections of one source that have shown no key.
const STRANGERS_OF_ONE: usize = 64;
/// Octets of a request line and header.
const HEADER_LIMIT: usize = 32 * 1024;
/// After the shutdown, for requests that are being answered.
const GRACE: Duration = Duration::from_secs(10);
/// How much, and for how long, is still read from a client that has been answered and goes on sending.
const LINGER_OCTETS: u64 = 4 * 1024 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(2);
/// How long octets may lie unread by a client before its connection is given up (RFC 5482).
#[cfg(target_os = "linux")]
const UNREAD_TIME: Duration = Duration::from_secs(30);
/// Between two tries when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// With every request: tells those who answer without an end that the server stops.
#[derive(Debug, Clone)]
pub(crate) struct Stopped(watch::Receiver<()>);

impl Stopped {
    /// Ready when the server stops.
    pub(crate) async fn wait(&mut self) {
        // The one who could say something is gone: that is the sign.
        let _ = self.0.changed().await;
    }
}

/// With every request: who asks, as far as the connection says.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    id: u64,
    table: Arc<Table>,
}

impl Peer {
    /// It has shown a good key: it keeps its connection.
    pub(crate) fn trust(&self) {
        self.table.places.lock().trust(self.id);
    }
}

/// What an operator says of connections.
#[derive(Debug, Clone)]
pub struct Connections {
    /// At once, those for the health not counted.
    pub max: usize,
    /// Beyond these, on which the server says how it is, and nothing else.
    pub for_health: usize,
    /// Addresses whose connections many clients share. Each connection from there is trusted as if a key had been shown: it
    /// never gives way to others, and may take any place.
    pub proxies: Vec<IpNet>,
}

impl Default for Connections {
    fn default() -> Self {
        Self { max: 1024, for_health: 16, proxies: Vec::new() }
    }
}

/// All connections, and the news that one has gone.
#[derive(Debug)]
struct Table {
    proxies: Vec<IpNet>,
    places: Mutex<Places<Arc<Notify>>>,
    left: Notify,
}

/// Serves `router` over HTTP/1.1 until `shutdown` is ready, then answers what has been asked and returns, after
/// 10 s at the latest.
///
/// Whoever has shown no key has 10 s for the header of a request, and gives way to others when places are few. Others may
/// be idle for 75 s. What keeps a connection from being accepted is waited out.
pub async fn serve(
    listener: TcpListener,
    router: axum::Router,
    connections: Connections,
    shutdown: impl Future,
) {
    let Connections { max, for_health, proxies } = connections;
    let capacity = Capacity { all: max, strangers_of_one: STRANGERS_OF_ONE, beyond: for_health };
    let table = Arc::new(Table { proxies, places: Mutex::new(Places::new(capacity)), left: Notify::new() });
    let (stopping, stopped) = watch::channel(());
    // Closed when the last connection is.
    let (open, mut all_gone) = mpsc::channel::<Infallible>(1);
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut shutdown => break,
            accepted = accept(&listener) => accepted,
        };
        let (stream, from) = accepted;
        let end = Arc::new(Notify::new());
        let entered = tokio::select! {
            biased;
            _ = &mut shutdown => break,
            entered = enter(&table, from.ip(), &end) => entered,
        };
        let peer = Peer { address: from.ip().to_canonical(), id: entered.id, table: Arc::clone(&table) };
        let connection = Connection {
            router: router.clone(),
            stopped: stopped.clone(),
            peer,
            progress: Progress::new(),
            is_for_health: entered.is_beyond,
        };
        let open = open.clone();
        tokio::spawn(async move {
            connection.serve(stream, &end).await;
            drop(open);
        });
    }
    drop(listener);
    drop(stopping);
    drop(open);
    let _ = tokio::time::timeout(GRACE, all_gone.recv()).await;
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The client has gone, or descriptors have run out: the next try can succeed.
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Waits for a place; whoever has to give way for it is ended.
async fn enter(table: &Table, peer: IpAddr, end: &Arc<Notify>) -> Entered<Arc<Notify>> {
    let is_proxy = table.proxies.iter().any(|proxy| proxy.contains(&peer.to_canonical()));
    loop {
        let left = table.left.notified();
        let entered = table.places.lock().enter(peer, is_proxy, Arc::clone(end), Instant::now());
        match entered {
            Ok(entered) => {
                if let Some(other) = &entered.gives_way {
                    other.notify_one();
                }
                return entered;
            }
            Err(until) => {
                let _ = tokio::time::timeout_at(until.into(), left).await;
            }
        }
    }
}

/// One connection.
struct Connection {
    router: axum::Router,
    stopped: watch::Receiver<()>,
    peer: Peer,
    progress: Progress,
    is_for_health: bool,
}

impl Connection {
    async fn serve(self, stream: TcpStream, end: &Notify) {
        // An answer is one small segment; waiting for more to send with it only delays it.
        let _ = stream.set_nodelay(true);
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(UNREAD_TIME));
        let this = &self;
        let service =
            hyper::service::service_fn(move |request| -> Answer<'_> { Box::pin(this.answer(request)) });
        let stream = Watched { stream, progress: self.progress.clone() };
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // Said by `patience`, which tells a header from idleness.
            .header_read_timeout(None)
            .max_buf_size(HEADER_LIMIT)
            .serve_connection(TokioIo::new(stream), service);
        let mut stopped = self.stopped.clone();
        let serving = async {
            tokio::select! {
                ended = poll_fn(|context| connection.poll_without_shutdown(context)) => return ended,
                _ = stopped.changed() => {}
            }
            Pin::new(&mut connection).graceful_shutdown();
            poll_fn(|context| connection.poll_without_shutdown(context)).await
        };
        let is_whole = tokio::select! {
            ended = serving => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                true
            }
            () = self.progress.runs_out(|| self.patience()) => true,
            () = end.notified() => false,
        };
        let stream = connection.into_parts().io.into_inner().stream;
        if is_whole {
            tokio::select! {
                () = linger(stream) => {}
                () = end.notified() => {}
            }
        }
    }

    fn patience(&self) -> Patience {
        let places = self.peer.table.places.lock();
        if !places.is_stranger(self.peer.id) {
            return Patience { header: HEADER_TIME, idle: IDLE_TIME_TOLD + IDLE_TIME_MORE };
        }
        let header = if places.is_nearly_full() { HEADER_TIME_NEARLY_FULL } else { HEADER_TIME };
        Patience { header, idle: header }
    }

    /// How long it is told that it is kept: a little less than it is.
    fn told(&self) -> Duration {
        let idle = self.patience().idle;
        idle.saturating_sub(IDLE_TIME_MORE).max(idle / 2)
    }

    async fn answer(&self, request: hyper::Request<Incoming>) -> Result<Response, Infallible> {
        let answering = self.progress.answering();
        let is_kept = request.version() == Version::HTTP_11 && !wants_close(request.headers());
        let mut response = if self.is_for_health && !is_about_health(request.uri().path()) {
            full().into_response()
        } else {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Stopped(self.stopped.clone()));
            request.extensions_mut().insert(self.peer.clone());
            let Ok(response) = self.router.clone().oneshot(request).await;
            response
        };
        if self.is_for_health {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        } else if is_kept
            && !response.headers().contains_key(header::CONNECTION)
            && let Ok(told) = HeaderValue::try_from(format!("timeout={}", self.told().as_secs()))
        {
            response.headers_mut().insert("keep-alive", told);
        }
        Ok(response.map(|body| Body::new(Given::new(body, answering))))
    }
}

/// However it ends, its place is free again.
impl Drop for Connection {
    fn drop(&mut self) {
        self.peer.table.places.lock().leave(self.peer.id);
        self.peer.table.left.notify_one();
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send + 'a>>;

/// The request is the last one of its connection (RFC 9112 §9.6).
fn wants_close(headers: &HeaderMap) -> bool {
    let mut options = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    options.any(|options| options.split(',').any(|option| option.trim().eq_ignore_ascii_case("close")))
}

fn is_about_health(path: &str) -> bool {
    ["/healthz", "/readyz"].contains(&path.strip_prefix("/api/v1").unwrap_or(path))
}

fn full() -> ApiError {
    let message = "Too many connections are open; only /healthz and /readyz are answered on further ones";
    ApiError::new(Code::TooManyConnections, message).retry_after(PLACE_AGAIN)
}

/// Closes so that the answer arrives: a socket closed with octets unread resets the connection, and the client may
/// lose the answer that says why (RFC 9112 §9.6).
async fn linger(mut stream: TcpStream) {
    let reading = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_OCTETS), &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(LINGER_TIME, reading).await;
}
