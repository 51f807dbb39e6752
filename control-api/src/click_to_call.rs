//! `POST /calls/click-to-call`.

mod placed;
mod repeats;
mod settled;

use crate::api::Api;
use crate::auth::{ApiKey, CLICK_TO_CALL, Caller, ORIGINATE_AI};
use crate::error::ApiError;
use crate::guard::whole;
use crate::request::body::click_to_call_from;
use crate::request::header;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use call_control::{ClickToCall, PartyType, Repeatable};
use placed::Placed;
use settled::Waiting;
use sha2::{Digest, Sha256};

/// Starts a call. The order of the checks is part of the contract: 401, 403, 415, 400, 403 for the caller id, then what
/// the B2BUA says.
pub(crate) async fn click_to_call(
    State(api): State<Api>,
    Caller(key): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    if !key.may(ORIGINATE_AI) {
        key.must(CLICK_TO_CALL)?;
    }
    header::must_be_json(&headers)?;
    let idempotency_key = header::idempotency_key(&headers)?;
    let wait = header::wait(&headers);
    let body = whole(body).await?;
    let mut request = click_to_call_from(&body, &key.name)?;
    request.caller_ids = key.caller_ids.clone().unwrap_or_default();
    must_be_allowed(&key, &request)?;
    if let Some(idempotency_key) = idempotency_key {
        let name = Repeatable { api_key: key.sha256, idempotency_key, body: Sha256::digest(&body).into() };
        return repeats::once(api, name, request, wait).await;
    }
    let waiting = wait.map(|limit| Waiting::begin(&api, limit));
    let placed = Placed::place(&api, request).await?;
    let placed = match waiting {
        Some(waiting) => placed.settled(&api, waiting).await,
        None => placed,
    };
    Ok(placed.into_response())
}

/// What could not be checked before the body was read.
fn must_be_allowed(key: &ApiKey, request: &ClickToCall) -> Result<(), ApiError> {
    let to_an_agent = request.to_type == Some(PartyType::AiAgent) && key.may(ORIGINATE_AI);
    if !to_an_agent {
        key.must(CLICK_TO_CALL)?;
    }
    key.must_show(request.caller_id.as_ref()).inspect_err(|_| {
        if let Some(number) = request.caller_id.as_ref().and_then(|caller_id| caller_id.number.as_ref()) {
            placed::log_caller_id(&key.name, number);
        }
    })
}
