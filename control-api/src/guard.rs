//! What holds for every route: bodies have a bound, a panic has an answer.

use crate::error::{ApiError, Code};
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Octets of a body.
const BODY_LIMIT: usize = 64 * 1024;
/// From the first look at a body to its end.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Refuses a body by its length before anything else is looked at.
pub(crate) async fn refuse_large_bodies(request: Request, next: Next) -> Response {
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    // A length that does not even fit is larger still; hyper has refused those that are no number.
    if declared.is_some_and(|length| length.parse().unwrap_or(usize::MAX) > BODY_LIMIT) {
        return too_large().into_response();
    }
    next.run(request).await
}

/// The body, whole; one of unknown length is refused where it passes the bound.
///
/// # Errors
/// 413, 408, or 400 when the body breaks off.
pub(crate) async fn whole(body: Body) -> Result<Bytes, ApiError> {
    match tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, BODY_LIMIT)).await {
        Ok(Ok(octets)) => Ok(octets),
        Ok(Err(error)) if is_length_limit(&error) => Err(too_large()),
        Ok(Err(_)) => Err(ApiError::new(Code::InvalidBody, "The body broke off")),
        Err(_) => Err(ApiError::new(
            Code::RequestTimeout,
            format!("The body did not come within {} s", BODY_TIME.as_secs()),
        )),
    }
}

fn is_length_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}

fn too_large() -> ApiError {
    let message = format!("The body must have at most {BODY_LIMIT} octets, all its variables included");
    ApiError::new(Code::BodyTooLarge, message)
}

/// A panic in a handler ends its request, not the connection, and says nothing of itself to the client.
pub(crate) async fn catch_panics(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut answer = pin!(next.run(request));
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))) {
        Ok(poll) => poll,
        Err(_) => {
            tracing::error!(%method, ?path, "a handler panicked");
            Poll::Ready(ApiError::internal().into_response())
        }
    })
    .await
}
