//! What is asked of a running call: `/calls/{id}/hold`, `/unhold`, `/dtmf`, `/transfer`.

use crate::api::Api;
use crate::auth::{ApiKey, Caller, HOLD, TRANSFER, WRITE};
use crate::call::has_ended;
use crate::error::{ApiError, Code};
use crate::guard::whole;
use crate::lookup;
use crate::refusal::AFTER_DRAINING;
use crate::request::header;
use crate::request::wishes::{keys_from, party_from, transfer_from};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use call_control::{CallId, NotNow, Wish, WishRefusal};
use serde::Serialize;

/// It is being tried; what comes of it is in the call and in its events.
#[derive(Serialize)]
pub(crate) struct Asked {
    status: &'static str,
    message: &'static str,
    call_id: CallId,
}

type Id = Result<Path<String>, PathRejection>;

/// `POST /calls/{id}/hold`: a party hears a quiet tone, and the other one does not hear it.
pub(crate) async fn hold(
    State(api): State<Api>,
    Caller(key): Caller,
    id: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Asked>, ApiError> {
    key.must(HOLD)?;
    let (id, body) = read(id, &headers, body).await?;
    ask(&api, &key, id, Wish::Hold(party_from(&body)?), "Hold requested").await
}

/// `POST /calls/{id}/unhold`: the end of a hold.
pub(crate) async fn unhold(
    State(api): State<Api>,
    Caller(key): Caller,
    id: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Asked>, ApiError> {
    key.must(HOLD)?;
    let (id, body) = read(id, &headers, body).await?;
    ask(&api, &key, id, Wish::Resume(party_from(&body)?), "Resume requested").await
}

/// `POST /calls/{id}/dtmf`: a party hears keys (RFC 4733).
pub(crate) async fn dtmf(
    State(api): State<Api>,
    Caller(key): Caller,
    id: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Asked>, ApiError> {
    key.must(WRITE)?;
    let (id, body) = read(id, &headers, body).await?;
    ask(&api, &key, id, keys_from(&body)?, "Keys are being sent").await
}

/// `POST /calls/{id}/transfer`: a party is connected with somebody else.
pub(crate) async fn transfer(
    State(api): State<Api>,
    Caller(key): Caller,
    id: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Asked>, ApiError> {
    key.must(TRANSFER)?;
    let (id, body) = read(id, &headers, body).await?;
    let wish = transfer_from(&body, key.caller_ids.clone().unwrap_or_default())?;
    ask(&api, &key, id, wish, "Transfer requested").await
}

async fn read(id: Id, headers: &HeaderMap, body: Body) -> Result<(CallId, Bytes), ApiError> {
    header::must_be_json(headers)?;
    let body = whole(body).await?;
    Ok((lookup::call_id(id)?, body))
}

async fn ask(
    api: &Api,
    key: &ApiKey,
    call_id: CallId,
    wish: Wish,
    message: &'static str,
) -> Result<Json<Asked>, ApiError> {
    // One whose end is not on disk yet is shown as ended, too.
    if api.calls.live(call_id).is_some_and(|call| call.end.is_some()) {
        return Err(has_ended());
    }
    match api.calls.ask(call_id, wish).await {
        Ok(()) => {
            tracing::info!(%call_id, key = %key.name, "{message}");
            Ok(Json(Asked { status: "success", message, call_id }))
        }
        Err(WishRefusal::NotFound(_)) => {
            let known = lookup::call(api, call_id).await?;
            Err(known.map_or_else(ApiError::no_such_call, |_| has_ended()))
        }
        Err(WishRefusal::NotNow(why)) => Err(ApiError::new(code_of(why), why.to_string())),
        Err(WishRefusal::Refused(refusal)) => {
            tracing::info!(%call_id, key = %key.name, %refusal, "a transfer was refused");
            Err(refusal.into())
        }
        Err(refusal @ WishRefusal::Stopped) => {
            Err(ApiError::new(Code::Draining, refusal.to_string()).retry_after(AFTER_DRAINING))
        }
    }
}

const fn code_of(why: NotNow) -> Code {
    match why {
        NotNow::NotConnected => Code::CallNotConnected,
        NotNow::BeingTransferred => Code::BeingTransferred,
        NotNow::NotHeld => Code::NotHeld,
        NotNow::TransferredTooOften => Code::TransferredTooOften,
    }
}
