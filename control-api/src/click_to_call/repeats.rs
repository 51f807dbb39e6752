//! `Idempotency-Key`: a request that is repeated, because its answer was lost, does its work once.
//!
//! The B2BUA keeps what a repeat is known by in the same write as the call, before anybody is rung. What is added here
//! is only the text that a client that waited was given.

use crate::api::{Api, unix_milliseconds};
use crate::click_to_call::placed::Placed;
use crate::click_to_call::settled::Waiting;
use crate::error::{ApiError, Code};
use crate::lookup::log_unreadable;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use call_control::{ClickToCall, Repeatable};
use call_store::FirstAnswer;
use std::time::Duration;
use tokio::sync::oneshot;

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// When a store that cannot be read may be there again.
const STORE_AGAIN: Duration = Duration::from_secs(5);

/// A named request: its first answer if there is one, else its work. The work goes on to its end when the client is
/// gone: the client will ask again.
///
/// # Errors
/// 409 when the name was used for another body, 503 when it cannot be known whether it was used; else those of the work,
/// and these are not kept.
pub(crate) async fn once(
    api: Api,
    name: Repeatable,
    request: ClickToCall,
    wait: Option<Duration>,
) -> Result<Response, ApiError> {
    let turn = api.turns.turn((name.api_key, name.idempotency_key.clone())).await;
    if let Some(first) = first_answer(&api, &name).await? {
        return again(first, &name);
    }
    let request = ClickToCall { repeatable: Some(name.clone()), ..request };
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        work(&api, &name, request, wait, tell).await;
        drop(turn);
    });
    // Nothing is told when the work panicked.
    told.await.unwrap_or_else(|_| Err(ApiError::internal())).map(IntoResponse::into_response)
}

async fn first_answer(api: &Api, name: &Repeatable) -> Result<Option<FirstAnswer>, ApiError> {
    let first = api.store.first_answer(&name.api_key, &name.idempotency_key, unix_milliseconds()).await;
    first.map_err(|error| {
        log_unreadable(&error);
        let message = format!(
            "It cannot be known now whether this Idempotency-Key was used, and nobody was rung; try again in {} s",
            STORE_AGAIN.as_secs()
        );
        ApiError::new(Code::StorageUnavailable, message).retry_after(STORE_AGAIN)
    })
}

async fn work(
    api: &Api,
    name: &Repeatable,
    request: ClickToCall,
    wait: Option<Duration>,
    mut tell: oneshot::Sender<Result<Placed, ApiError>>,
) {
    let waiting = wait.map(|limit| Waiting::begin(api, limit));
    let placed = match (Placed::place(api, request).await, waiting) {
        (Ok(placed), Some(waiting)) => tokio::select! {
            placed = placed.settled(api, waiting) => placed,
            // The client has gone, and is given the plain answer when it comes again.
            () = tell.closed() => return,
        },
        (placed, _) => return drop(tell.send(placed)),
    };
    if let Err(error) = api.store.put_first_body(name, &placed.body()).await {
        // A repeat gets the plain answer.
        tracing::warn!(%error, "what a client that waited was answered is not kept");
    }
    // Gone in the last moment.
    let _gone = tell.send(Ok(placed));
}

fn again(first: FirstAnswer, name: &Repeatable) -> Result<Response, ApiError> {
    if first.request.body != name.body {
        return Err(ApiError::new(
            Code::IdempotencyConflict,
            "The Idempotency-Key was used for a request with another body; a new request needs a new key",
        ));
    }
    let placed = Placed::earlier(first.call_id);
    let body = first.body.map_or_else(|| placed.body(), String::from);
    let mut response = placed.with_body(body);
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}
