//! `Prefer: wait` (RFC 7240 §4.3): an answer that waits for the call.

use crate::Api;
use crate::calls::stored;
use axum::http::{HeaderMap, HeaderName};
use call_control::{Call, CallEventKind, CallId, EventReader, EventsEnd};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Seconds.
const WAIT_MAX: u64 = 600;

/// How long the client is ready to wait, 600 s at most. What cannot be read is no preference (RFC 7240 §2); of two the
/// first counts.
pub(crate) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let fields = headers.get_all(PREFER).iter().filter_map(|field| field.to_str().ok());
    let mut preferences = fields.flat_map(|field| field.split(','));
    let value = preferences.find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim())
    })?;
    let digits = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    Some(Duration::from_secs(digits.parse().unwrap_or(u64::MAX).min(WAIT_MAX)))
}

/// The call once it is connected or has ended, or as it is when the time is over.
pub(crate) async fn settled(
    api: &Api,
    id: CallId,
    events: Box<dyn EventReader>,
    limit: Duration,
) -> Option<Arc<Call>> {
    match tokio::time::timeout(limit, settling(api, id, events)).await {
        Ok(Some(call)) => Some(call),
        Ok(None) | Err(_) => view(api, id).await,
    }
}

async fn settling(api: &Api, id: CallId, mut events: Box<dyn EventReader>) -> Option<Arc<Call>> {
    loop {
        match events.next().await {
            Ok(numbered) if numbered.event.call.call_id == id && settles(numbered.event.event) => {
                return Some(Arc::new(numbered.event.call.clone()));
            }
            Ok(_) => {}
            Err(EventsEnd::TooSlow) => {
                let call = view(api, id).await?;
                if call.connected_at.is_some() || call.end.is_some() {
                    return Some(call);
                }
            }
            Err(EventsEnd::Stopped) => return None,
        }
    }
}

const fn settles(kind: CallEventKind) -> bool {
    match kind {
        CallEventKind::Connected | CallEventKind::Talking | CallEventKind::Ended => true,
        CallEventKind::Initiated | CallEventKind::Ringing | CallEventKind::Answered => false,
    }
}

async fn view(api: &Api, id: CallId) -> Option<Arc<Call>> {
    match api.calls.live(id) {
        Some(call) => Some(call),
        None => stored(api, id).await.ok().flatten().map(Arc::new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[&str]) -> Option<u64> {
        let fields = fields.iter().map(|field| (PREFER, field.parse().unwrap()));
        wait(&fields.collect()).map(|wait| wait.as_secs())
    }

    #[test]
    fn a_wait_is_found_among_other_preferences() {
        assert_eq!(of(&["wait=10"]), Some(10));
        assert_eq!(of(&["respond-async, Wait = \"10\"; x=1"]), Some(10));
        assert_eq!(of(&["return=minimal"]), None);
        assert_eq!(of(&[]), None);
        for bad in ["wait", "wait=", "wait=-1", "wait=1.5", "wait=\"1", "wait=a", "await=1"] {
            assert_eq!(of(&[bad]), None, "{bad}");
        }
        assert_eq!(of(&["wait=601"]), Some(600));
        assert_eq!(of(&["wait=99999999999999999999"]), Some(600));
        assert_eq!(of(&["wait=1, wait=2"]), Some(1));
    }
}
