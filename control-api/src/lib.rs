//! The HTTP API: place a call, watch it, end it.
//!
//! Read [`router`] first: all routes on one screen. Then [`Code`]: every error there is. `calls.rs` has the handlers,
//! `body.rs` reads what is asked, `auth.rs` knows who asks. The API knows nothing of SIP or RTP: it speaks to
//! [`Calls`], and reads ended calls from the store.
//!
//! Absent: lists of calls, events, `Prefer: wait`, `Idempotency-Key`.

mod auth;
mod body;
mod calls;
mod error;
mod guard;
mod health;
mod json;
mod serve;

pub use auth::{ApiKey, Keys, Permission, is_key, key_from_random, key_sha256};
pub use error::Code;
pub use serve::serve;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use call_control::Calls;
use std::sync::Arc;

/// What every handler holds.
#[derive(Clone)]
struct Api {
    calls: Arc<dyn Calls>,
    store: call_store::Store,
    keys: Keys,
}

/// All routes.
pub fn router(calls: Arc<dyn Calls>, store: call_store::Store, keys: Keys) -> Router {
    let health = Router::new().route("/healthz", get(health::healthz)).route("/readyz", get(health::readyz));
    let version_1 = health
        .clone()
        .route("/calls/click-to-call", post(calls::click_to_call))
        .route("/calls/{id}", get(calls::read))
        .route("/calls/{id}/hangup", post(calls::hang_up));
    health
        .nest("/api/v1", version_1)
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(from_fn(guard::refuse_large_bodies))
        .layer(from_fn(guard::catch_panics))
        .with_state(Api { calls, store, keys })
}
