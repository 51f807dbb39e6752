//! Whether the server lives, and whether it can take calls.

use crate::api::Api;
use crate::error::{ApiError, Code};
use axum::Json;
use axum::extract::State;
use call_control::Readiness;
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

/// 200 when new calls can be taken; else the message says why not.
pub(crate) async fn readyz(State(api): State<Api>) -> Result<Json<Health>, ApiError> {
    readyz_of(api.calls.readiness())
}

pub(crate) fn readyz_of(readiness: Readiness) -> Result<Json<Health>, ApiError> {
    let message = match readiness {
        Readiness::Ready => return Ok(Json(Health { status: "ready" })),
        Readiness::Draining => "The server is stopping; it takes no new calls",
        Readiness::StorageUnavailable => {
            "Nothing can be written to disk; until it can be again, no new calls are taken"
        }
    };
    Err(ApiError::new(Code::NotReady, message).retry_after(READY_AGAIN))
}
