//! What calls can reach: `GET /extensions` and `GET /trunks`.

use crate::api::Api;
use crate::auth::{CONFIG_READ, Caller};
use crate::error::{ApiError, Code};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use call_control::{ExtensionView, TrunkView};
use serde::Serialize;

/// All of a kind.
#[derive(Serialize)]
pub(crate) struct All<T> {
    data: Vec<T>,
}

/// `GET /extensions`: who is registered with which phone, busy or free.
pub(crate) async fn extensions(
    State(api): State<Api>,
    Caller(key): Caller,
) -> Result<Json<All<ExtensionView>>, ApiError> {
    key.must(CONFIG_READ)?;
    Ok(Json(All { data: api.calls.extensions().await }))
}

/// `GET /extensions/{number}`.
pub(crate) async fn extension(
    State(api): State<Api>,
    Caller(key): Caller,
    number: Result<Path<String>, PathRejection>,
) -> Result<Json<ExtensionView>, ApiError> {
    key.must(CONFIG_READ)?;
    let number = number.map(|Path(number)| number).unwrap_or_default();
    let found =
        api.calls.extensions().await.into_iter().find(|extension| extension.number.as_str() == number);
    found.map(Json).ok_or_else(|| ApiError::new(Code::DestinationNotFound, "There is no such extension"))
}

/// `GET /trunks`: registered, reachable, channels in use, last failure.
pub(crate) async fn trunks(
    State(api): State<Api>,
    Caller(key): Caller,
) -> Result<Json<All<TrunkView>>, ApiError> {
    key.must(CONFIG_READ)?;
    Ok(Json(All { data: api.calls.trunks().await }))
}

/// `GET /trunks/{name}`.
pub(crate) async fn trunk(
    State(api): State<Api>,
    Caller(key): Caller,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<TrunkView>, ApiError> {
    key.must(CONFIG_READ)?;
    let name = name.map(|Path(name)| name).unwrap_or_default();
    let found = api.calls.trunks().await.into_iter().find(|trunk| *trunk.name == *name);
    found.map(Json).ok_or_else(|| ApiError::new(Code::TrunkNotFound, "There is no such trunk"))
}
