//! The HTTP server: bounded connections, bounded waiting.

use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;

/// Connections at once; more wait in the listener's queue.
const CONNECTIONS: u32 = 1024;
/// From the first look for a request to the end of its header; also how long a connection may be idle.
const HEADER_TIME: Duration = Duration::from_secs(10);
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

/// Serves `router` over HTTP/1.1 until `shutdown` is ready, then answers what has been asked and returns, after
/// 10 s at the latest.
///
/// At most 1,024 connections at once; a request has 10 s for its header.
///
/// # Errors
/// None that is known: what keeps a connection from being accepted is waited out.
pub async fn serve(listener: TcpListener, router: axum::Router, shutdown: impl Future) -> io::Result<()> {
    let connections = Arc::new(Semaphore::new(CONNECTIONS as usize));
    let (stopping, stopped) = watch::channel(());
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = async {
            let permit = Arc::clone(&connections).acquire_owned().await.map_err(io::Error::other)?;
            Ok((permit, accept(&listener).await))
        };
        let (permit, stream) = tokio::select! {
            biased;
            _ = &mut shutdown => break,
            accepted = accepted => match accepted {
                Ok(accepted) => accepted,
                Err(error) => return Err(error),
            },
        };
        let connection = connection(stream, router.clone(), stopped.clone());
        tokio::spawn(async move {
            connection.await;
            drop(permit);
        });
    }
    drop(listener);
    drop(stopping);
    // All permits are free again when all connections are gone.
    let _ = tokio::time::timeout(GRACE, connections.acquire_many(CONNECTIONS)).await;
    Ok(())
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // The client has gone, or descriptors have run out: the next try can succeed.
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, router: axum::Router, mut stopped: watch::Receiver<()>) {
    // An answer is one small segment; waiting for more to send with it only delays it.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(UNREAD_TIME));
    let told = Stopped(stopped.clone());
    let service = hyper::service::service_fn(move |request| answer(router.clone(), told.clone(), request));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_LIMIT)
        .serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        ended = poll_fn(|context| connection.poll_without_shutdown(context)) => ended,
        _ = stopped.changed() => {
            Pin::new(&mut connection).graceful_shutdown();
            poll_fn(|context| connection.poll_without_shutdown(context)).await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
    linger(connection.into_parts().io.into_inner()).await;
}

type Answer = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

fn answer(router: axum::Router, stopped: Stopped, request: hyper::Request<Incoming>) -> Answer {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(stopped);
    Box::pin(router.oneshot(request))
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
