//! Many calls: `/calls`, and figures over them.

use crate::api::{Api, unix_milliseconds};
use crate::auth::{Caller, LIVE, READ};
use crate::error::ApiError;
use crate::lookup::{stored, unreadable};
use crate::request::query::{Page, Parameters, period};
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use call_control::{Call, Disposition, EndReason, Timestamp};
use call_store::CallStatistics;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const DAY: i64 = 24 * 60 * 60 * 1000;

#[derive(Serialize)]
pub(crate) struct List {
    data: Vec<Arc<Call>>,
    total: u64,
    page: u32,
    pages: u64,
}

/// `GET /calls`: ended and running, newest first.
pub(crate) async fn list(
    State(api): State<Api>,
    Caller(key): Caller,
    uri: Uri,
) -> Result<Json<List>, ApiError> {
    key.must(READ)?;
    let Page { filter, limit, offset } = Page::of(&uri)?;
    let (calls, total) = api.store.calls(&filter, limit, offset).await.map_err(unreadable)?;
    let mut data = Vec::with_capacity(calls.len());
    for call in calls {
        data.push(as_it_stands(&api, call).await?);
    }
    Ok(Json(List { data, total, page: offset / limit + 1, pages: total.div_ceil(limit.into()) }))
}

/// A running call is in the store as it began; the live one takes its place.
async fn as_it_stands(api: &Api, call: Call) -> Result<Arc<Call>, ApiError> {
    if call.end.is_some() {
        return Ok(Arc::new(call));
    }
    if let Some(live) = api.calls.live(call.call_id) {
        return Ok(live);
    }
    // It has ended since the list was read: then its record is in the store.
    Ok(Arc::new(stored(api, call.call_id).await?.unwrap_or(call)))
}

#[derive(Serialize)]
pub(crate) struct Live {
    data: Vec<Arc<Call>>,
    total: usize,
}

/// `GET /calls/live`: those that run, newest first; one that has ended is among them until its end is on disk.
pub(crate) async fn live(
    State(api): State<Api>,
    Caller(key): Caller,
    uri: Uri,
) -> Result<Json<Live>, ApiError> {
    key.must(LIVE)?;
    Parameters::of(&uri)?.must_be_empty()?;
    let mut data = api.calls.live_calls();
    data.sort_unstable_by_key(|call| std::cmp::Reverse((call.created_at, call.call_id)));
    Ok(Json(Live { total: data.len(), data }))
}

#[derive(Serialize)]
pub(crate) struct Count {
    live: usize,
    today: u64,
    total: u64,
}

/// `GET /calls/count`: how many run, were placed since midnight (UTC), and there are in all.
pub(crate) async fn count(
    State(api): State<Api>,
    Caller(key): Caller,
    uri: Uri,
) -> Result<Json<Count>, ApiError> {
    key.must(READ)?;
    Parameters::of(&uri)?.must_be_empty()?;
    let now = unix_milliseconds();
    let midnight = Timestamp::from_unix_milliseconds(now - now.rem_euclid(DAY));
    let midnight = midnight.ok_or_else(ApiError::internal)?;
    let stored = api.store.call_count(midnight).await.map_err(unreadable)?;
    Ok(Json(Count { live: api.calls.live_calls().len(), today: stored.since, total: stored.total }))
}

#[derive(Serialize)]
pub(crate) struct Statistics {
    total: u64,
    by_disposition: BTreeMap<Disposition, u64>,
    by_end_reason: BTreeMap<EndReason, u64>,
    /// Of the calls that have ended, those that were answered.
    answer_rate: Option<f64>,
    /// From connected to ended, of the calls that were answered.
    average_talk_seconds: Option<f64>,
    /// From answering to the first audio of the later party, of the calls in which both were heard.
    average_ms_to_first_audio: Option<f64>,
}

/// `GET /calls/stats`: figures over the calls of a period.
pub(crate) async fn statistics(
    State(api): State<Api>,
    Caller(key): Caller,
    uri: Uri,
) -> Result<Json<Statistics>, ApiError> {
    key.must(READ)?;
    let figures = api.store.call_statistics(&period(&uri)?).await.map_err(unreadable)?;
    Ok(Json(Statistics::of(&figures)))
}

impl Statistics {
    fn of(figures: &CallStatistics) -> Self {
        let by_disposition: BTreeMap<_, _> = Disposition::ALL
            .into_iter()
            .map(|disposition| {
                (disposition, figures.by_disposition.get(&disposition).copied().unwrap_or_default())
            })
            .collect();
        let answered = by_disposition[&Disposition::Answered];
        let ended = figures.by_end_reason.values().sum();
        Self {
            total: by_disposition.values().sum(),
            by_disposition,
            by_end_reason: figures.by_end_reason.clone(),
            answer_rate: average(answered as f64, ended),
            average_talk_seconds: average(figures.talk.as_secs_f64(), answered),
            average_ms_to_first_audio: average(milliseconds(figures.to_first_audio), figures.heard),
        }
    }
}

/// With three digits after the point; `None` of nothing.
fn average(sum: f64, of: u64) -> Option<f64> {
    (of > 0).then(|| (sum / of as f64 * 1000.0).round() / 1000.0)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
