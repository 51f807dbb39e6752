//! The handlers of `/calls`.

use crate::Api;
use crate::auth::{ApiKey, CLICK_TO_CALL, Caller, HANG_UP, ORIGINATE_AI, READ};
use crate::body::click_to_call_from;
use crate::error::{ApiError, Code};
use crate::guard::whole;
use crate::{prefer, repeats};
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use call_control::{Call, CallId, ClickToCall, HangUpRefusal, PartyType, Refusal};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// When a stopping server, or the one that takes its place, may be there again.
const AFTER_DRAINING: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct Success<'a> {
    status: &'static str,
    message: &'static str,
    call_id: CallId,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<&'a Call>,
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
    let name = repeats::name(&headers, key.sha256)?;
    let wait = prefer::wait(&headers);
    let body = whole(body).await?;
    let request = click_to_call_from(&body, &key.name)?;
    must_be_allowed(&key, &request)?;
    if let Some(name) = name {
        return repeats::once(api, name, Sha256::digest(&body).into(), request, wait).await;
    }
    let events = wait.map(|_| api.calls.subscribe());
    let mut placed = place(&api, request).await?;
    if let (Some(events), Some(wait)) = (events, wait) {
        placed.call = prefer::settled(&api, placed.call_id, events, wait).await;
        placed.waited = Some(wait);
    }
    Ok(placed.into_response())
}

/// A call that was taken.
pub(crate) struct Placed {
    pub(crate) call_id: CallId,
    /// As it is, for those who waited.
    pub(crate) call: Option<Arc<Call>>,
    pub(crate) waited: Option<Duration>,
}

pub(crate) async fn place(api: &Api, request: ClickToCall) -> Result<Placed, ApiError> {
    let key_name = request.key_name.clone();
    let call_id = api.calls.click_to_call(request).await?;
    tracing::info!(%call_id, key = %key_name, "click-to-call");
    Ok(Placed { call_id, call: None, waited: None })
}

impl Placed {
    pub(crate) fn location(&self) -> String {
        format!("/api/v1/calls/{}", self.call_id)
    }

    pub(crate) fn body(&self) -> String {
        let Self { call_id, call, .. } = self;
        let success = Success {
            status: "success",
            message: "Call initiated",
            call_id: *call_id,
            call: call.as_deref(),
        };
        // Its keys are names: it has a text.
        serde_json::to_string(&success).unwrap_or_default()
    }
}

impl IntoResponse for Placed {
    fn into_response(self) -> Response {
        let headers =
            [(header::LOCATION, self.location()), (header::CONTENT_TYPE, "application/json".to_owned())];
        let mut response = (StatusCode::OK, headers, self.body()).into_response();
        let applied = self.waited.map(|wait| HeaderValue::from_str(&format!("wait={}", wait.as_secs())));
        if let Some(Ok(applied)) = applied {
            response.headers_mut().insert(prefer::PREFERENCE_APPLIED, applied);
        }
        response
    }
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
            Ok(Json(Success { status: "success", message: "Hang-up requested", call_id, call: None })
                .into_response())
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

pub(crate) fn call_id(id: Result<Path<String>, PathRejection>) -> Result<CallId, ApiError> {
    id.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(no_such_call)
}

pub(crate) fn no_such_call() -> ApiError {
    ApiError::new(Code::CallNotFound, "There is no such call")
}

pub(crate) async fn stored(api: &Api, id: CallId) -> Result<Option<Call>, ApiError> {
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
