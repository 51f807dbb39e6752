//! What the operating system asks of the server.

use std::io;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that are listened to, from the start on: one that comes early waits.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// SIGTERM, SIGINT.
    Stop,
    /// SIGHUP.
    ReadAgain,
}

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    pub(crate) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.hang_up.recv() => Wish::ReadAgain,
        }
    }

    /// Waits for a further signal to stop; others are let go, and so is one that belongs to the first: `timeout` and some
    /// supervisors tell a process and then its whole group.
    pub(crate) async fn stop_again(&mut self) {
        let first = Instant::now();
        while self.next().await != Wish::Stop || first.elapsed() < SAME_WISH {}
    }
}

const SAME_WISH: Duration = Duration::from_millis(100);
