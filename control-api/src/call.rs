//! One call: `/calls/{id}`.

use crate::api::Api;
use crate::auth::{Caller, HANG_UP, READ};
use crate::error::{ApiError, Code};
use crate::lookup;
use crate::refusal::AFTER_DRAINING;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use call_control::{Call, CallId, HangUpRefusal};
use serde::Serialize;
use std::sync::Arc;

/// `GET /calls/{id}`: the call as it stands, or as it ended.
pub(crate) async fn read(
    State(api): State<Api>,
    Caller(key): Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Arc<Call>>, ApiError> {
    key.must(READ)?;
    let call = lookup::call(&api, lookup::call_id(id)?).await?;
    call.map(Json).ok_or_else(ApiError::no_such_call)
}

#[derive(Serialize)]
pub(crate) struct HangUpRequested {
    status: &'static str,
    message: &'static str,
    call_id: CallId,
}

/// What is asked of a call that is over.
pub(crate) fn has_ended() -> ApiError {
    ApiError::new(Code::CallEnded, "The call has ended already")
}

/// `POST /calls/{id}/hangup`: ends a call at any moment.
pub(crate) async fn hang_up(
    State(api): State<Api>,
    Caller(key): Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<HangUpRequested>, ApiError> {
    key.must(HANG_UP)?;
    let call_id = lookup::call_id(id)?;
    // One whose end is not on disk yet is shown as ended, too.
    if api.calls.live(call_id).is_some_and(|call| call.end.is_some()) {
        return Err(has_ended());
    }
    match api.calls.hang_up(call_id).await {
        Ok(()) => {
            tracing::info!(%call_id, key = %key.name, "hang-up");
            Ok(Json(HangUpRequested { status: "success", message: "Hang-up requested", call_id }))
        }
        Err(HangUpRefusal::NotFound(_)) => {
            let known = lookup::call(&api, call_id).await?;
            Err(known.map_or_else(ApiError::no_such_call, |_| has_ended()))
        }
        Err(refusal @ HangUpRefusal::Stopped) => {
            Err(ApiError::new(Code::Draining, refusal.to_string()).retry_after(AFTER_DRAINING))
        }
    }
}
