//! A call by its id: as the B2BUA shows it, or as it is kept.

use crate::api::Api;
use crate::error::ApiError;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use call_control::{Call, CallId};
use std::sync::Arc;

/// The id in the path.
///
/// # Errors
/// 404: what is no id names no call.
pub(crate) fn call_id(id: Result<Path<String>, PathRejection>) -> Result<CallId, ApiError> {
    id.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(ApiError::no_such_call)
}

/// The call as it stands, or as it ended.
///
/// # Errors
/// 500 when the store cannot be read.
pub(crate) async fn call(api: &Api, id: CallId) -> Result<Option<Arc<Call>>, ApiError> {
    // The store has the end of a call before the call leaves the live ones; asked in this order, none slips through.
    match api.calls.live(id) {
        Some(call) => Ok(Some(call)),
        None => Ok(stored(api, id).await?.map(Arc::new)),
    }
}

/// The call as it is on disk: a running one as it began.
///
/// # Errors
/// 500 when the store cannot be read.
pub(crate) async fn stored(api: &Api, id: CallId) -> Result<Option<Call>, ApiError> {
    api.store.call(id).await.map_err(unreadable)
}

/// The answer to those who ask for what cannot be read.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
pub(crate) fn unreadable(error: call_store::StoreError) -> ApiError {
    log_unreadable(&error);
    ApiError::internal()
}

pub(crate) fn log_unreadable(error: &call_store::StoreError) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(%error, cause, "the store cannot be read");
}
