//! Opening, closing, and who does the work.

use crate::StoreError;
use crate::readers::Readers;
use crate::runs::RunId;
use crate::writer::{Job, Writer};
use parking_lot::Mutex;
use rusqlite::Connection;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, mpsc as sync_mpsc};
use std::thread::ThreadId;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Threads for what is found by its key, and for what goes through many rows. They are apart, so that figures over a
/// million calls hold up other figures, and no call.
const LOOKUP_THREADS: usize = 2;
const SEARCH_THREADS: usize = 2;
/// Those who wait in a queue; others wait for a place in it.
const QUEUE: usize = 64;
/// How long the last clone waits for what is being written.
const PATIENCE: Duration = Duration::from_secs(3);

type Reading = Box<dyn FnOnce() + Send>;

/// The database. Clones share it. While one lives no other process opens its folder.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    run: RunId,
    /// `None` once the last clone is gone.
    jobs: Option<mpsc::UnboundedSender<Job>>,
    /// For those who are not the journal.
    places: Arc<Semaphore>,
    thread: ThreadId,
    ended: Mutex<sync_mpsc::Receiver<()>>,
    /// `None` for a database in memory: its only connection is the one that writes.
    reading: Option<ReadingThreads>,
}

struct ReadingThreads {
    readers: Arc<Readers>,
    lookups: mpsc::Sender<Reading>,
    searches: mpsc::Sender<Reading>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("run", &self.0.run).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens or makes `folder/dialbridge.db`, brings it to this version, and begins a run. What is made here is
    /// readable by its owner alone: it holds the digests that phones log in with. `folder/dialbridge.lock` is locked,
    /// and holds the number of this process, until the store is closed or its last clone is gone.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while another store holds the folder; [`StoreError::Newer`] when a later version has
    /// changed the database; [`StoreError::Open`] otherwise.
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        let folder = folder.to_owned();
        Self::begin(move || {
            let (writer, readers) = Writer::open(&folder, LOOKUP_THREADS + SEARCH_THREADS)?;
            Ok((writer, Some(readers)))
        })
        .await
    }

    /// An empty database of its own that is gone when the last clone is. For tests.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn in_memory() -> Result<Self, StoreError> {
        Self::begin(|| Ok((Writer::in_memory()?, None))).await
    }

    async fn begin(
        open: impl FnOnce() -> Result<(Writer, Option<Arc<Readers>>), StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::unbounded_channel();
        let (opened, outcome) = oneshot::channel();
        let (alive, ended) = sync_mpsc::channel::<()>();
        let thread = spawn("store-writer", move || {
            let _alive = alive;
            match open() {
                Ok((writer, readers)) => {
                    let _ = opened.send(Ok((writer.run(), readers)));
                    writer.work(queue);
                }
                Err(error) => {
                    let _ = opened.send(Err(error));
                }
            }
        })?;
        let (run, readers) = outcome.await.unwrap_or(Err(StoreError::Panicked))?;
        let reading = readers.map(ReadingThreads::spawn).transpose()?;
        Ok(Self(Arc::new(Inner {
            run,
            jobs: Some(jobs),
            places: Arc::new(Semaphore::new(QUEUE)),
            thread,
            ended: Mutex::new(ended),
            reading,
        })))
    }

    /// This start of the process.
    pub fn run(&self) -> RunId {
        self.0.run
    }

    /// Waits for what is being written, marks the run as ended and closes the file, for all clones; their methods give
    /// [`StoreError::Closed`] from then on. The write-ahead log is folded into the file and gone.
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        self.order(Box::new(move |writer| {
            writer.close();
            let _ = done.send(());
        }));
        let _ = closed.await;
    }

    /// Has the writer do something after all that was ordered before.
    pub(crate) fn order(&self, job: Job) {
        if let Some(jobs) = &self.0.jobs {
            // It takes jobs as long as one can be sent.
            let _ = jobs.send(job);
        }
    }

    /// Has the writer do something, once there is a place in its queue. It is done even when this future is dropped.
    pub(crate) async fn have_written<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let place = Arc::clone(&self.0.places).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let (done, answer) = oneshot::channel();
        self.order(Box::new(move |writer| {
            let _ = done.send(work(writer));
            drop(place);
        }));
        answer.await.unwrap_or(Err(StoreError::Panicked))
    }

    /// Reads what is found by its key.
    pub(crate) async fn look_up<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.0.reading {
            Some(threads) => threads.read(&threads.lookups, work).await,
            None => self.have_written(|writer| writer.read(work)).await,
        }
    }

    /// Reads what goes through many rows.
    pub(crate) async fn search<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.0.reading {
            Some(threads) => threads.read(&threads.searches, work).await,
            None => self.have_written(|writer| writer.read(work)).await,
        }
    }
}

impl ReadingThreads {
    fn spawn(readers: Arc<Readers>) -> Result<Self, StoreError> {
        let queue = |count: usize| {
            let (jobs, queue) = mpsc::channel::<Reading>(QUEUE);
            let queue = Arc::new(Mutex::new(queue));
            for _ in 0..count {
                let queue = Arc::clone(&queue);
                spawn("store-reader", move || {
                    loop {
                        let next = queue.lock().blocking_recv();
                        let Some(job) = next else { break };
                        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
                    }
                })?;
            }
            Ok::<_, StoreError>(jobs)
        };
        Ok(Self { readers, lookups: queue(LOOKUP_THREADS)?, searches: queue(SEARCH_THREADS)? })
    }

    async fn read<T: Send + 'static>(
        &self,
        queue: &mpsc::Sender<Reading>,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (done, answer) = oneshot::channel();
        let readers = Arc::clone(&self.readers);
        let job: Reading = Box::new(move || {
            // Nobody waits any more: a client that has gone costs nothing.
            if !done.is_closed() {
                let _ = done.send(readers.read(work));
            }
        });
        queue.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Panicked))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.jobs = None;
        // When this returns the folder is free: whoever opens it next is not refused. `done` of a round may drop the
        // last clone on the thread itself.
        if std::thread::current().id() != self.thread {
            let _ = self.ended.lock().recv_timeout(PATIENCE);
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<ThreadId, StoreError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map(|handle| handle.thread().id()).map_err(StoreError::NoThread)
}
