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
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, Path, State};
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

/// What comes with each of these requests.
#[derive(FromRequest)]
#[from_request(state(Api))]
pub(crate) struct Asking {
    #[from_request(via(State))]
    api: Api,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
}

/// `POST /calls/{id}/hold`: a party hears a quiet tone, and the other one does not hear it.
pub(crate) async fn hold(asking: Asking) -> Result<Json<Asked>, ApiError> {
    asking.for_wish(HOLD, |_, body| party_from(body).map(Wish::Hold), "Hold requested").await
}

/// `POST /calls/{id}/unhold`: the end of a hold.
pub(crate) async fn unhold(asking: Asking) -> Result<Json<Asked>, ApiError> {
    asking.for_wish(HOLD, |_, body| party_from(body).map(Wish::Resume), "Resume requested").await
}

/// `POST /calls/{id}/dtmf`: a party hears keys (RFC 4733).
pub(crate) async fn dtmf(asking: Asking) -> Result<Json<Asked>, ApiError> {
    asking.for_wish(WRITE, |_, body| keys_from(body), "Keys are being sent").await
}

/// `POST /calls/{id}/transfer`: a party is connected with somebody else.
pub(crate) async fn transfer(asking: Asking) -> Result<Json<Asked>, ApiError> {
    let read = |key: &ApiKey, body: &[u8]| transfer_from(body, key.caller_ids.clone().unwrap_or_default());
    asking.for_wish(TRANSFER, read, "Transfer requested").await
}

impl Asking {
    async fn for_wish(
        self,
        permission: &'static str,
        read: impl FnOnce(&ApiKey, &[u8]) -> Result<Wish, ApiError>,
        message: &'static str,
    ) -> Result<Json<Asked>, ApiError> {
        let Self { api, caller: Caller(key), id, headers, body } = self;
        key.must(permission)?;
        header::must_be_json(&headers)?;
        let body = whole(body).await?;
        let id = lookup::call_id(id)?;
        ask(&api, &key, id, read(&key, &body)?, message).await
    }
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
