//! Whether the server lives, and whether it can take calls.

use crate::Api;
use crate::error::{ApiError, Code};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::time::Duration;

const READY_AGAIN: Duration = Duration::from_secs(5);

#[derive(Serialize)]
pub(crate) struct Health {
    status: &'static str,
}

/// 200 as long as the process lives.
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// 200 when new calls can be taken.
pub(crate) async fn readyz(State(api): State<Api>) -> Result<Json<Health>, ApiError> {
    if api.calls.is_ready() {
        return Ok(Json(Health { status: "ready" }));
    }
    Err(ApiError::new(Code::NotReady, "The server takes no new calls now").retry_after(READY_AGAIN))
}
