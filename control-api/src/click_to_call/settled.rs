//! `Prefer: wait` (RFC 7240 §4.3): an answer that waits for the call. It tells nothing that is not on disk.

use crate::api::Api;
use crate::lookup::{log_unreadable, stored};
use call_control::{Call, CallId, EventReader, EventsEnd};
use std::sync::Arc;
use std::time::Duration;

/// A client that waits for its call, from before the call is placed.
pub(crate) struct Waiting {
    events: Box<dyn EventReader>,
    limit: Duration,
}

impl Waiting {
    pub(crate) fn begin(api: &Api, limit: Duration) -> Self {
        Self { events: api.calls.subscribe(), limit }
    }

    pub(crate) const fn limit(&self) -> Duration {
        self.limit
    }

    /// The call once it is connected or has ended, or as it is when the time is over.
    pub(crate) async fn settled(mut self, api: &Api, id: CallId) -> Option<Arc<Call>> {
        let mut told = None;
        let settling = settling(api, id, &mut *self.events, &mut told);
        match tokio::time::timeout(self.limit, settling).await {
            Ok(Some(call)) => Some(call),
            Ok(None) | Err(_) => as_it_is(api, id, told).await,
        }
    }
}

/// `told` is the call as the last of its events had it.
async fn settling(
    api: &Api,
    id: CallId,
    events: &mut dyn EventReader,
    told: &mut Option<Arc<Call>>,
) -> Option<Arc<Call>> {
    loop {
        let call = match events.next().await {
            Ok(numbered) if numbered.event.call.call_id == id => Some(numbered.event.call.clone()),
            Ok(_) => None,
            // Those that were missed are on disk.
            Err(EventsEnd::TooSlow) => last_on_disk(api, id).await,
            Err(EventsEnd::Stopped) => return None,
        };
        let Some(call) = call else { continue };
        let call = told.insert(Arc::new(call));
        if call.connected_at.is_some() || call.end.is_some() {
            return Some(Arc::clone(call));
        }
    }
}

async fn last_on_disk(api: &Api, id: CallId) -> Option<Call> {
    api.store.call_at_last_event(id).await.inspect_err(log_unreadable).ok().flatten()
}

/// The live view, unless it is ahead of what is on disk.
async fn as_it_is(api: &Api, id: CallId, told: Option<Arc<Call>>) -> Option<Arc<Call>> {
    let live = api.calls.live(id);
    match (live, told) {
        (Some(live), Some(told)) if live.state == told.state => Some(live),
        (Some(live), None) if live.end.is_none() => Some(live),
        (_, Some(told)) => Some(told),
        (_, None) => stored(api, id).await.ok().flatten().map(Arc::new),
    }
}
