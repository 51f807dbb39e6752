//! Events of calls as a stream of server-sent events (HTML Living Standard §9.2): what was missed, then what happens.
//!
//! An event is told when it is on disk, in the order of ids. A reader is subscribed first and reads the store then; what
//! comes both ways is told once, by its id. A reader that is too slow is dropped, and comes back with the last id it had.

use crate::api::{Api, READERS};
use crate::auth::{Caller, LIVE};
use crate::error::{ApiError, Code};
use crate::lookup::{call_id, stored, unreadable};
use crate::request::query::Parameters;
use crate::serve::Stopped;
use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use call_control::{CallEventKind, CallId, EventId, EventReader, EventsEnd};
use call_store::StoredEvent;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Events that are read from the store at once.
const PAGE: u32 = 256;
/// How often a silent stream says that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How soon a client that was dropped may come back.
const RETRY: Duration = Duration::from_secs(2);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// `GET /events`: of all calls, after the last event that the client has, or from now on.
pub(crate) async fn of_all(
    State(api): State<Api>,
    Caller(key): Caller,
    stopped: Option<Extension<Stopped>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    key.must(LIVE)?;
    let asked = last_event_id(&headers, &uri)?;
    let mut feed = Feed::new(api, None, stopped)?;
    let (oldest, newest) = feed.api.store.event_range().await.map_err(unreadable)?;
    // An id that was never given is of another database: the reader begins anew.
    feed.last = asked.filter(|asked| *asked <= newest).unwrap_or(newest);
    if feed.last.0 + 1 < oldest.0 {
        feed.notices.push_back(lost(feed.last, oldest));
    }
    feed.phase = if feed.last == newest { Phase::Live } else { Phase::Replaying };
    Ok(feed.into_response())
}

/// `GET /calls/{id}/events`: of one call, from its first or after the last that the client has, to its end. When that
/// has been told there is no content, which keeps a client from coming back.
pub(crate) async fn of_one(
    State(api): State<Api>,
    Caller(key): Caller,
    id: Result<Path<String>, PathRejection>,
    stopped: Option<Extension<Stopped>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    key.must(LIVE)?;
    let id = call_id(id)?;
    let asked = last_event_id(&headers, &uri)?;
    let mut feed = Feed::new(api, Some(id), stopped)?;
    // Read before the events: the end of a call and its event are written together, so a call that has ended here has
    // its last event there.
    let has_ended = match stored(&feed.api, id).await? {
        Some(call) => call.end.is_some(),
        None if feed.api.calls.live(id).is_some() => false,
        None => return Err(ApiError::no_such_call()),
    };
    feed.last = asked.unwrap_or(EventId(0));
    feed.after_replay = if has_ended { Phase::Over } else { Phase::Live };
    feed.read_page().await?;
    if has_ended && feed.page.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(feed.into_response())
}

/// The header, or else the parameter: what a browser sends when it comes back is later than what its address says.
fn last_event_id(headers: &HeaderMap, uri: &Uri) -> Result<Option<EventId>, ApiError> {
    let mut parameters = Parameters::of(uri)?;
    let mistake = || "must be the id of an event".to_owned();
    let by_parameter = parameters.read("last_event_id", |text| text.parse().map_err(|_| mistake()))?;
    parameters.must_be_empty()?;
    let Some(header) = headers.get(LAST_EVENT_ID) else { return Ok(by_parameter) };
    match header.to_str().ok().and_then(|text| text.parse().ok()) {
        Some(id) => Ok(Some(id)),
        None => Err(ApiError::new(Code::InvalidField, format!("The header Last-Event-ID {}", mistake()))
            .about("Last-Event-ID")),
    }
}

/// What one reader gets.
struct Feed {
    api: Api,
    of: Option<CallId>,
    /// The last that was told.
    last: EventId,
    phase: Phase,
    after_replay: Phase,
    notices: VecDeque<Event>,
    page: VecDeque<StoredEvent>,
    live: Box<dyn EventReader>,
    stopped: Option<Stopped>,
    _place: OwnedSemaphorePermit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// More is in the store.
    Replaying,
    /// All that was in the store has been read.
    Live,
    /// When what has been read is told, that is all.
    Over,
}

impl Feed {
    fn new(api: Api, of: Option<CallId>, stopped: Option<Extension<Stopped>>) -> Result<Self, ApiError> {
        let Ok(place) = Arc::clone(&api.readers).try_acquire_owned() else {
            let message = format!("{READERS} clients read events; there is no place for more");
            return Err(ApiError::new(Code::TooManyReaders, message).retry_after(RETRY));
        };
        Ok(Self {
            of,
            last: EventId(0),
            phase: Phase::Replaying,
            after_replay: Phase::Live,
            notices: [Event::default().retry(RETRY)].into(),
            page: VecDeque::new(),
            live: api.calls.subscribe(),
            stopped: stopped.map(|Extension(stopped)| stopped),
            api,
            _place: place,
        })
    }

    fn into_response(self) -> Response {
        let stream = futures_util::stream::unfold(self, |mut feed| async move {
            let event = feed.next().await?;
            Some((Ok::<_, Infallible>(event), feed))
        });
        let mut response = Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
        // For proxies that gather what they pass on.
        let unbuffered = (HeaderName::from_static("x-accel-buffering"), "no".parse());
        if let (name, Ok(value)) = unbuffered {
            response.headers_mut().insert(name, value);
        }
        response
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(notice) = self.notices.pop_front() {
                return Some(notice);
            }
            if let Some(event) = self.page.pop_front() {
                return Some(self.told(event.id, &event.kind, event.json.as_ref()));
            }
            match self.phase {
                Phase::Over => return None,
                Phase::Replaying => self.read_page().await.ok()?,
                Phase::Live => return self.next_live().await,
            }
        }
    }

    /// Subscribed anew before each page, so that a long replay is not too slow for what happens meanwhile.
    async fn read_page(&mut self) -> Result<(), ApiError> {
        self.live = self.api.calls.subscribe();
        let page = self.api.store.events_after(self.last, self.of, PAGE).await.map_err(unreadable)?;
        self.phase = if page.len() < PAGE as usize { self.after_replay } else { Phase::Replaying };
        self.page = page.into();
        Ok(())
    }

    async fn next_live(&mut self) -> Option<Event> {
        loop {
            let next = tokio::select! {
                biased;
                next = self.live.next() => next,
                () = stop(&mut self.stopped) => return None,
            };
            match next {
                Ok(numbered) => {
                    let event = &numbered.event;
                    let elsewhere = self.of.is_some_and(|of| of != event.call.call_id);
                    if numbered.id <= self.last || elsewhere {
                        continue;
                    }
                    let json = serde_json::to_string(&**event).ok()?;
                    return Some(self.told(numbered.id, event.event.as_str(), &json));
                }
                Err(EventsEnd::TooSlow) => {
                    tracing::info!(last = %self.last, "a reader of events was too slow and is dropped");
                    return None;
                }
                Err(EventsEnd::Stopped) => return None,
            }
        }
    }

    fn told(&mut self, id: EventId, kind: &str, json: &str) -> Event {
        self.last = id;
        if self.of.is_some() && kind == CallEventKind::Ended.as_str() {
            self.page.clear();
            self.phase = Phase::Over;
        }
        Event::default().id(id.to_string()).event(kind).data(json)
    }
}

/// Some that the reader has missed are not kept any more.
fn lost(after: EventId, oldest: EventId) -> Event {
    let json = format!("{{\"after\":{after},\"oldest\":{oldest}}}");
    Event::default().event("events.lost").data(json)
}

async fn stop(stopped: &mut Option<Stopped>) {
    match stopped {
        Some(stopped) => stopped.wait().await,
        None => std::future::pending().await,
    }
}
