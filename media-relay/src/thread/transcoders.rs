//! Threads that transcode, beside the one that forwards.
//!
//! All packets of one termination go to the same thread, one after the other. A thread that has too much to do takes
//! nothing more: what it does not take is a lost packet, and those who speak one codec do not notice.

use crate::conversion::Transcoding;
use std::io;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

/// The ways to the threads; they end when these are dropped.
#[derive(Debug)]
pub(super) struct Transcoders {
    lines: Vec<SyncSender<Box<Transcoding>>>,
}

impl Transcoders {
    /// One thread for each processor but the one that forwards. `done` gets back what was transcoded.
    pub(super) fn start(done: impl Fn(Box<Transcoding>) + Clone + Send + 'static) -> io::Result<Self> {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        let count = (processors - 1).clamp(1, THREADS_MAX);
        let mut lines = Vec::with_capacity(count);
        for _ in 0..count {
            let (line, work) = sync_channel(LINE_MAX);
            let done = done.clone();
            thread::Builder::new().name("transcoder".into()).spawn(move || transcode(&work, &done))?;
            lines.push(line);
        }
        Ok(Self { lines })
    }

    /// Gives it back when nobody has time for it.
    pub(super) fn give(&self, transcoding: Box<Transcoding>) -> Result<(), Box<Transcoding>> {
        let index = transcoding.share() % self.lines.len().max(1);
        let Some(line) = self.lines.get(index) else { return Err(transcoding) };
        line.try_send(transcoding).map_err(|refused| match refused {
            TrySendError::Full(transcoding) | TrySendError::Disconnected(transcoding) => transcoding,
        })
    }
}

fn transcode(work: &Receiver<Box<Transcoding>>, done: &impl Fn(Box<Transcoding>)) {
    // On Linux that is for this thread alone: where processors are few, those who forward come first.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::warn!(%error, "a transcoder has the priority of those who forward");
    }
    while let Ok(mut transcoding) = work.recv() {
        // A codec that breaks on a packet costs the packet.
        let perform = std::panic::AssertUnwindSafe(|| transcoding.perform());
        if std::panic::catch_unwind(perform).is_err() {
            transcoding.fail();
        }
        done(transcoding);
    }
}

/// Packets that wait for one thread: each termination has at most one.
const LINE_MAX: usize = 1_024;
const THREADS_MAX: usize = 16;
/// A third of the time that a thread of usual priority gets beside it, or less.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;
