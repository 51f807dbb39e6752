//! The HTTP API: place a call, watch it, end it.
//!
//! Read [`router`] first: all routes on one screen. Then [`Code`]: every error there is. `calls.rs` has the handlers of
//! one call, `lists.rs` those of many, `events.rs` what happens to them, `messages.rs` how
//! their signalling went; `body.rs` and `query.rs` read what is asked,
//! `auth.rs` knows who asks, `repeats.rs` and `prefer.rs` how. The API knows nothing of SIP or RTP: it speaks to
//! [`Calls`], and reads ended calls and past events from the store.

mod auth;
mod body;
mod calls;
mod error;
mod events;
mod guard;
mod health;
mod json;
mod ladder_svg;
mod lists;
mod messages;
mod prefer;
mod query;
mod repeats;
mod serve;

pub use auth::{ApiKey, Keys, Permission, is_key, key_from_random, key_sha256};
pub use error::Code;
pub use serve::serve;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use call_control::Calls;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What every handler holds.
#[derive(Clone)]
struct Api {
    calls: Arc<dyn Calls>,
    store: call_store::Store,
    keys: Keys,
    under_way: repeats::UnderWay,
    /// Those who read events at once.
    readers: Arc<Semaphore>,
}

/// All routes.
pub fn router(calls: Arc<dyn Calls>, store: call_store::Store, keys: Keys) -> Router {
    let health = Router::new().route("/healthz", get(health::healthz)).route("/readyz", get(health::readyz));
    let version_1 = health
        .clone()
        .route("/calls/click-to-call", post(calls::click_to_call))
        .route("/calls", get(lists::list))
        .route("/calls/live", get(lists::live))
        .route("/calls/count", get(lists::count))
        .route("/calls/stats", get(lists::statistics))
        .route("/events", get(events::of_all))
        .route("/calls/{id}/events", get(events::of_one))
        .route("/calls/{id}/ladder", get(messages::ladder))
        .route("/calls/{id}/explain", get(messages::explanation))
        .route("/calls/{id}", get(calls::read))
        .route("/calls/{id}/hangup", post(calls::hang_up));
    let under_way = repeats::UnderWay::default();
    let readers = Arc::new(Semaphore::new(events::READERS));
    health
        .nest("/api/v1", version_1)
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(from_fn(guard::refuse_large_bodies))
        .layer(from_fn(guard::catch_panics))
        .with_state(Api { calls, store, keys, under_way, readers })
}
