//! The end of the service: calls may go on for a while, then they are ended, and everything is written.

use super::driver::Asked;
use super::service::B2bua;
use crate::switchboard::Command;
use std::future::{Future, pending};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a phone has to confirm its BYE or CANCEL when the end is hurried. One whose answer is lost hears a second
/// BYE within it (timer E, RFC 3261 §17.1.2.2: after 500 ms).
const CONFIRMATION: Duration = Duration::from_millis(700);
/// How long calls may take to end that were told to: a phone that confirms nothing is given up after five seconds, the
/// relay after two.
const ENDING: Duration = Duration::from_secs(10);
/// How long carriers have to confirm that they have forgotten us.
const UNREGISTERING: Duration = Duration::from_secs(2);
/// How long what is left may take to be written.
const WRITING: Duration = Duration::from_secs(5);
/// The same when the end is hurried.
const WRITING_IN_A_HURRY: Duration = Duration::from_millis(200);

impl B2bua {
    /// Takes no new calls, waits up to `limit` for the running ones, then ends the rest with BYE or CANCEL, takes the
    /// registrations at carriers back, which has two seconds, and stops.
    /// When it returns no call is left, and every record and registration is on disk, or a log line says that they
    /// cannot be written.
    pub async fn drain(&self, limit: Duration) {
        self.drain_or_hurry(limit, pending()).await;
    }

    /// As [`drain`](Self::drain); once `hurry` is over, calls are ended at once, and 700 ms later those of phones that
    /// have not confirmed it, too: the next start tells these phones again.
    pub async fn drain_or_hurry(&self, limit: Duration, hurry: impl Future<Output = ()> + Send) {
        self.shared.draining.store(true, Ordering::Relaxed);
        self.tell(Asked::Plain(Command::Drain)).await;
        let calmly = async {
            if timeout(limit, self.idle()).await.is_err() {
                self.tell(Asked::Plain(Command::EndAll)).await;
                // Where nothing can be written, the last record keeps its call here.
                let _ = timeout(ENDING, self.idle()).await;
            }
            self.tell(Asked::Plain(Command::Unregister)).await;
            let _ = timeout(UNREGISTERING, self.unregistered()).await;
        };
        let writing = tokio::select! {
            () = calmly => WRITING,
            () = hurry => {
                self.end_all_now().await;
                WRITING_IN_A_HURRY
            }
        };
        self.tell(Asked::Stop(writing)).await;
        // An error is a loop that has ended before.
        let _ = self.over.clone().wait_for(|over| *over).await;
    }

    async fn end_all_now(&self) {
        self.tell(Asked::Plain(Command::EndAll)).await;
        self.tell(Asked::Plain(Command::Unregister)).await;
        let confirmed = async {
            self.idle().await;
            self.unregistered().await;
        };
        if timeout(CONFIRMATION, confirmed).await.is_err() {
            self.tell(Asked::Plain(Command::CloseAll)).await;
        }
    }

    async fn unregistered(&self) {
        let (told, unregistered) = oneshot::channel();
        self.tell(Asked::WhenUnregistered(told)).await;
        let _ = unregistered.await;
    }

    async fn idle(&self) {
        let (told, idle) = oneshot::channel();
        self.tell(Asked::WhenIdle(told)).await;
        let _ = idle.await;
    }
}
