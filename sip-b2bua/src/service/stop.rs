//! The end of the service: calls may go on for a while, then they are ended, and everything is written.

use super::{B2bua, Shared};
use crate::driver::{Asked, present};
use crate::records::{broken_off, end_of};
use crate::switchboard::Command;
use call_control::{Call, CallId, EndReason};
use call_store::{CallMessages, Round, Store, StoreError};
use std::collections::HashMap;
use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// What was recorded of calls that run.
type Recorded = HashMap<CallId, Arc<[u8]>>;

/// How long a phone has to confirm its BYE or CANCEL when the end is hurried. One whose answer is lost hears a second
/// BYE within it (timer E, RFC 3261 §17.1.2.2: after 500 ms).
const CONFIRMATION: Duration = Duration::from_millis(700);

impl B2bua {
    /// Takes no new calls, waits up to `limit` for the running ones, then ends the rest with BYE or CANCEL, and stops.
    /// When it returns no call is left, and every record and registration is on disk.
    pub async fn drain(&self, limit: Duration) {
        self.drain_or_hurry(limit, pending()).await;
    }

    /// As [`drain`](Self::drain); once `hurry` is over, calls are ended at once, and 700 ms later those of phones that
    /// have not confirmed it, too.
    pub async fn drain_or_hurry(&self, limit: Duration, hurry: impl Future<Output = ()> + Send) {
        self.shared.draining.store(true, Ordering::Relaxed);
        self.tell(Asked::Plain(Command::Drain)).await;
        let over = async {
            if timeout(limit, self.idle()).await.is_err() {
                self.tell(Asked::Plain(Command::EndAll)).await;
                self.idle().await;
            }
        };
        let unconfirmed = tokio::select! {
            () = over => None,
            () = hurry => self.end_all_now().await,
        };
        self.tell(Asked::Stop).await;
        // An error is a writer that has ended before.
        let _ = self.written.clone().wait_for(|written| *written).await;
        if let Some(recorded) = unconfirmed
            && let Err(error) = close_unconfirmed(&self.store, &self.shared, &recorded).await
        {
            tracing::error!(%error, "the ends of calls cannot be written; the next start closes them");
        }
    }

    /// Ends every call. What was recorded of them, if there are some whose phones do not confirm it.
    async fn end_all_now(&self) -> Option<Recorded> {
        self.tell(Asked::Plain(Command::EndAll)).await;
        if timeout(CONFIRMATION, self.idle()).await.is_ok() {
            return None;
        }
        let mut recorded = HashMap::new();
        for call in self.shared.live_calls() {
            let (answer, messages) = oneshot::channel();
            self.tell(Asked::Messages { call: call.call_id, answer }).await;
            if let Ok(Some((_, octets))) = messages.await {
                recorded.insert(call.call_id, octets);
            }
        }
        Some(recorded)
    }

    async fn idle(&self) {
        let (told, idle) = oneshot::channel();
        self.tell(Asked::WhenIdle(told)).await;
        let _ = idle.await;
    }
}

/// Gives calls that no phone has confirmed to be over their end, and tells of it. Their legs stay kept: the next start
/// sends BYE and CANCEL again.
async fn close_unconfirmed(store: &Store, shared: &Shared, recorded: &Recorded) -> Result<(), StoreError> {
    let mut round = Round::default();
    for stored in store.running_calls().await? {
        let live = shared.live_calls().into_iter().find(|live| live.call_id == stored.call_id);
        let call = live.map_or(stored, |live| Call::clone(&live));
        let now = present().timestamp().unwrap_or(call.created_at);
        let call = broken_off(call, EndReason::ServerStopped, now);
        let end = end_of(&call);
        let messages = recorded.get(&call.call_id).map(Arc::clone);
        round.messages.extend(messages.map(|octets| CallMessages { call: call.call_id, at: end.at, octets }));
        round.calls.push(call);
        round.events.push(end);
    }
    let told = store.put_round(&round).await?;
    round.calls.iter().for_each(|call| shared.forget(call.call_id));
    told.into_iter().for_each(|event| shared.announce(event));
    Ok(())
}
