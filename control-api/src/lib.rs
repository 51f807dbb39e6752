//! The HTTP API: place a call, watch it, end it.
//!
//! Read [`router`] first: all routes on one screen. Then [`Code`]: every error there is. The API knows nothing of SIP or
//! RTP: it speaks to [`Calls`], and reads ended calls and past events from the store.
//!
//! A module uses only modules on lines below its own; `tests/order.rs` holds it to that:
//!
//! ```text
//! click_to_call                                           POST /calls/click-to-call
//! click_to_call::repeats                                  its Idempotency-Key
//! click_to_call::placed                                   its answer
//! click_to_call::settled                                  its Prefer: wait
//! wishes                                                  what is asked of running calls
//! call lists events messages inventory health             the other routes
//! ladder_svg lookup                                       what they show
//! api                                                     what all routes hold
//! turns auth                                              who asks, and when it is their turn
//! wrong_keys                                              who does not know
//! request                                                 what requests say
//! request::body request::wishes request::query request::header   in which part of them
//! request::fields                                         field by field
//! request::json refusal guard                             how it is read, refused and bounded
//! serve                                                   connections
//! serve::given                                             answers that are being given
//! serve::patience                                         how long they last
//! error                                                   how errors are answered
//! ```

mod api;
mod auth;
mod call;
mod click_to_call;
mod error;
mod events;
mod guard;
mod health;
mod inventory;
mod ladder_svg;
mod lists;
mod lookup;
mod messages;
mod refusal;
mod request;
mod serve;
mod turns;
mod wishes;
mod wrong_keys;

pub use auth::{ApiKey, Keys, Permission, is_key, key_from_random, key_sha256};
pub use error::Code;
pub use ipnet::IpNet;
pub use serve::{Connections, serve};

use api::Api;
use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use call_control::Calls;
use std::sync::Arc;

/// How the server is, for a listener that is not for others.
pub fn health_router(calls: Arc<dyn Calls>) -> Router {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(move || std::future::ready(health::readyz_of(calls.readiness()))))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::method_not_allowed)
}

/// All routes.
pub fn router(calls: Arc<dyn Calls>, store: call_store::Store, keys: Keys) -> Router {
    let health = Router::new().route("/healthz", get(health::healthz)).route("/readyz", get(health::readyz));
    let version_1 = health
        .clone()
        .route("/calls/click-to-call", post(click_to_call::click_to_call))
        .route("/calls", get(lists::list))
        .route("/calls/live", get(lists::live))
        .route("/calls/count", get(lists::count))
        .route("/calls/stats", get(lists::statistics))
        .route("/events", get(events::of_all))
        .route("/calls/{id}/events", get(events::of_one))
        .route("/calls/{id}/ladder", get(messages::ladder))
        .route("/calls/{id}/explain", get(messages::explanation))
        .route("/extensions", get(inventory::extensions))
        .route("/extensions/{number}", get(inventory::extension))
        .route("/trunks", get(inventory::trunks))
        .route("/trunks/{name}", get(inventory::trunk))
        .route("/calls/{id}", get(call::read))
        .route("/calls/{id}/hangup", post(call::hang_up))
        .route("/calls/{id}/hold", post(wishes::hold))
        .route("/calls/{id}/unhold", post(wishes::unhold))
        .route("/calls/{id}/dtmf", post(wishes::dtmf))
        .route("/calls/{id}/transfer", post(wishes::transfer));
    health
        .nest("/api/v1", version_1)
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(from_fn(guard::refuse_large_bodies))
        .layer(from_fn(guard::catch_panics))
        .with_state(Api::new(calls, store, keys))
}
