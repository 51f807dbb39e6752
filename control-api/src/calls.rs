//! The handlers of `/calls`.

use crate::Api;
use crate::auth::{ApiKey, CLICK_TO_CALL, Caller, HANG_UP, ORIGINATE_AI, READ};
use crate::body::click_to_call_from;
use crate::error::{ApiError, Code};
use crate::guard::whole;
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use call_control::{Call, CallId, ClickToCall, HangUpRefusal, PartyType, Refusal};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// When a stopping server, or the one that takes its place, may be there again.
const AFTER_DRAINING: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct Success {
    status: &'static str,
    message: &'static str,
    call_id: CallId,
}

/// `POST /calls/click-to-call`. The order of the checks is part of the contract: 401, 403, 415, 400, 403 for the
/// caller id, then what the B2BUA says.
pub(crate) async fn click_to_call(
    State(api): State<Api>,
    Caller(key): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    if !key.may(ORIGINATE_AI) {
        key.must(CLICK_TO_CALL)?;
    }
    must_be_json(&headers)?;
    let request = click_to_call_from(&whole(body).await?, &key.name)?;
    must_be_allowed(&key, &request)?;
    let call_id = api.calls.click_to_call(request).await?;
    tracing::info!(%call_id, key = %key.name, "click-to-call");
    let location = [(header::LOCATION, format!("/api/v1/calls/{call_id}"))];
    let success = Success { status: "success", message: "Call initiated", call_id };
    Ok((StatusCode::OK, location, Json(success)).into_response())
}

/// `GET /calls/{id}`: the call as it stands, or as it ended.
pub(crate) async fn read(
    State(api): State<Api>,
    Caller(key): Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Arc<Call>>, ApiError> {
    key.must(READ)?;
    let id = call_id(id)?;
    // The store has a call before it leaves the live ones; asked in this order, none slips through.
    if let Some(call) = api.calls.live(id) {
        return Ok(Json(call));
    }
    stored(&api, id).await?.map(|call| Json(Arc::new(call))).ok_or_else(no_such_call)
}

/// `POST /calls/{id}/hangup`: ends a call at any moment.
pub(crate) async fn hang_up(
    State(api): State<Api>,
    Caller(key): Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    key.must(HANG_UP)?;
    let call_id = call_id(id)?;
    match api.calls.hang_up(call_id).await {
        Ok(()) => {
            tracing::info!(%call_id, key = %key.name, "hang-up");
            Ok(Json(Success { status: "success", message: "Hang-up requested", call_id }).into_response())
        }
        Err(HangUpRefusal::NotFound(_)) => match stored(&api, call_id).await? {
            Some(_) => Err(ApiError::new(Code::CallEnded, "The call has ended already")),
            None => Err(no_such_call()),
        },
        Err(refusal @ HangUpRefusal::Stopped) => {
            Err(ApiError::new(Code::Draining, refusal.to_string()).retry_after(AFTER_DRAINING))
        }
    }
}

/// `application/json`, with any parameters, and not compressed.
fn must_be_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let json = types
        .next()
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"));
    if !json || types.next().is_some() {
        return Err(ApiError::new(Code::UnsupportedMediaType, "The Content-Type must be application/json"));
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(ApiError::new(
            Code::UnsupportedMediaType,
            "The body must be plain JSON, without a Content-Encoding",
        ));
    }
    Ok(())
}

/// What could not be checked before the body was read.
fn must_be_allowed(key: &ApiKey, request: &ClickToCall) -> Result<(), ApiError> {
    let to_an_agent = request.to_type == Some(PartyType::AiAgent) && key.may(ORIGINATE_AI);
    if !to_an_agent {
        key.must(CLICK_TO_CALL)?;
    }
    key.must_show(request.caller_id.as_ref())
}

fn call_id(id: Result<Path<String>, PathRejection>) -> Result<CallId, ApiError> {
    id.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(no_such_call)
}

fn no_such_call() -> ApiError {
    ApiError::new(Code::CallNotFound, "There is no such call")
}

async fn stored(api: &Api, id: CallId) -> Result<Option<Call>, ApiError> {
    api.store.call(id).await.map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::error!(call_id = %id, %error, cause, "a call cannot be read");
        ApiError::internal()
    })
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::NotFound { field, .. } => Self::new(Code::DestinationNotFound, message).about(field),
            Refusal::SameParty => Self::new(Code::SameParty, message).about("to"),
            Refusal::NotRegistered => Self::new(Code::ExtensionNotRegistered, message),
            Refusal::NoTrunk(_) => Self::new(Code::NoTrunk, message).about("to"),
            Refusal::TooManyCalls { retry_after } | Refusal::TooManyNewCalls { retry_after } => {
                Self::new(Code::TooManyCalls, message).retry_after(retry_after)
            }
            Refusal::NoMediaPort { retry_after } => {
                Self::new(Code::NoMediaPort, message).retry_after(retry_after)
            }
            Refusal::Draining => Self::new(Code::Draining, message).retry_after(AFTER_DRAINING),
        }
    }
}
