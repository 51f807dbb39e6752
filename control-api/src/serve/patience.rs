//! How long a connection is waited for: what it is in the middle of, and until when that may last.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

/// What a connection is in the middle of.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// A header is coming since then.
    Header(Instant),
    /// A request is being answered.
    Answering,
    /// Nothing, since then.
    Idle(Instant),
}

/// The phase of one connection; clones tell of the same.
#[derive(Debug, Clone)]
pub(super) struct Progress(Arc<watch::Sender<Phase>>);

/// Held as long as a request is being answered.
#[derive(Debug)]
pub(super) struct Answering(Progress);

impl Progress {
    /// Of a connection from which a header is expected at once.
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Phase::Header(Instant::now()))))
    }

    /// A header is complete.
    pub(super) fn answering(&self) -> Answering {
        self.0.send_replace(Phase::Answering);
        Answering(self.clone())
    }

    fn octets_came(&self) {
        self.0.send_if_modified(|phase| match phase {
            Phase::Idle(_) => {
                *phase = Phase::Header(Instant::now());
                true
            }
            Phase::Header(_) | Phase::Answering => false,
        });
    }

    /// What an answer is made of may still be on its way when the answer is done: as long as the client takes it, it is
    /// waited for.
    fn octets_left(&self) {
        self.0.send_if_modified(|phase| match phase {
            Phase::Idle(since) | Phase::Header(since) => {
                *since = Instant::now();
                true
            }
            Phase::Answering => false,
        });
    }

    /// Returns when the connection has been in one phase for too long.
    pub(super) async fn runs_out(&self, patience: impl Fn() -> Patience) {
        let mut phases = self.0.subscribe();
        loop {
            let phase = *phases.borrow_and_update();
            let end = match phase {
                Phase::Header(since) => Some(since + patience().header),
                Phase::Idle(since) => Some(since + patience().idle),
                Phase::Answering => None,
            };
            let is_over = async {
                match end {
                    Some(end) => tokio::time::sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = phases.changed() => if changed.is_err() { return },
                () = is_over => return,
            }
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.send_replace(Phase::Idle(Instant::now()));
    }
}

/// How long each phase may last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) header: Duration,
    pub(super) idle: Duration,
}

/// A stream that says when octets come.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) stream: TcpStream,
    pub(super) progress: Progress,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.progress.octets_came();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, octets))?;
        self.progress.octets_left();
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, parts))?;
        self.progress.octets_left();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
