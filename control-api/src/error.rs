//! Errors as the API answers them: one table of codes and statuses, one body for all.

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use call_control::whole_seconds;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::time::Duration;

/// What went wrong, as one word for programs: the `code` of every error body. The list is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The body is no JSON object, or no text at all.
    InvalidBody,
    /// A field has the wrong type or value.
    InvalidField,
    /// A field that is required is absent.
    MissingField,
    /// A field that nobody knows.
    UnknownField,
    /// A field is given twice.
    DuplicateField,
    /// `from` and `to` are one.
    SameParty,
    /// The key is absent, malformed, unknown or revoked.
    Unauthorized,
    /// The key lacks the permission.
    PermissionMissing,
    /// The key may not show this caller id.
    CallerIdNotAllowed,
    /// The dial policy does not let the number be dialled.
    PolicyDenied,
    /// There is no such path.
    PathNotFound,
    /// There is no such call.
    CallNotFound,
    /// The SIP messages of the call are not kept.
    MessagesNotKept,
    /// There is no such extension, queue, IVR or AI agent.
    DestinationNotFound,
    /// There is no trunk of that name.
    TrunkNotFound,
    /// The path does not take this method; `Allow` names those it takes.
    MethodNotAllowed,
    /// The body did not come in time.
    RequestTimeout,
    /// The extension exists and no phone is registered for it.
    ExtensionNotRegistered,
    /// The call has ended already.
    CallEnded,
    /// One of the two parties is not there yet.
    CallNotConnected,
    /// Somebody is being rung for a transfer of the call.
    BeingTransferred,
    /// The party is not held by the API.
    NotHeld,
    /// The call has been transferred as often as one may be.
    TransferredTooOften,
    /// The `Idempotency-Key` was used with another body.
    IdempotencyConflict,
    /// The body is too large.
    BodyTooLarge,
    /// The body is not `application/json`, or is compressed.
    UnsupportedMediaType,
    /// No trunk takes the number.
    NoTrunk,
    /// Too many calls at once; `Retry-After` says when to try again.
    TooManyCalls,
    /// Too many wrong keys from one address; `Retry-After` says when another one will be looked at.
    TooManyWrongKeys,
    /// A fault of the server.
    InternalError,
    /// No media port is free; `Retry-After` says when to try again.
    NoMediaPort,
    /// No channel of a trunk is free; `Retry-After` says when to try again.
    NoChannel,
    /// The process may not open more sockets; `Retry-After` says when to try again.
    NoDescriptor,
    /// Too many connections are open; `Retry-After` says when to try again.
    TooManyConnections,
    /// Too many read events at once; `Retry-After` says when to try again.
    TooManyReaders,
    /// Nothing can be written to disk, and nobody was rung; `Retry-After` says when to try again.
    StorageUnavailable,
    /// The server is stopping; `Retry-After` says when to try again.
    Draining,
    /// New calls cannot be taken; `Retry-After` says when to try again.
    NotReady,
}

impl Code {
    /// The table: each code, its HTTP status and its word.
    const fn row(self) -> (StatusCode, &'static str) {
        match self {
            Self::InvalidBody => (StatusCode::BAD_REQUEST, "invalid_body"),
            Self::InvalidField => (StatusCode::BAD_REQUEST, "invalid_field"),
            Self::MissingField => (StatusCode::BAD_REQUEST, "missing_field"),
            Self::UnknownField => (StatusCode::BAD_REQUEST, "unknown_field"),
            Self::DuplicateField => (StatusCode::BAD_REQUEST, "duplicate_field"),
            Self::SameParty => (StatusCode::BAD_REQUEST, "same_party"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::PermissionMissing => (StatusCode::FORBIDDEN, "permission_missing"),
            Self::CallerIdNotAllowed => (StatusCode::FORBIDDEN, "caller_id_not_allowed"),
            Self::PolicyDenied => (StatusCode::FORBIDDEN, "policy_denied"),
            Self::PathNotFound => (StatusCode::NOT_FOUND, "path_not_found"),
            Self::CallNotFound => (StatusCode::NOT_FOUND, "call_not_found"),
            Self::MessagesNotKept => (StatusCode::NOT_FOUND, "messages_not_kept"),
            Self::DestinationNotFound => (StatusCode::NOT_FOUND, "destination_not_found"),
            Self::TrunkNotFound => (StatusCode::NOT_FOUND, "trunk_not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
            Self::ExtensionNotRegistered => (StatusCode::CONFLICT, "extension_not_registered"),
            Self::CallEnded => (StatusCode::CONFLICT, "call_ended"),
            Self::CallNotConnected => (StatusCode::CONFLICT, "call_not_connected"),
            Self::BeingTransferred => (StatusCode::CONFLICT, "being_transferred"),
            Self::NotHeld => (StatusCode::CONFLICT, "not_held"),
            Self::TransferredTooOften => (StatusCode::CONFLICT, "transferred_too_often"),
            Self::IdempotencyConflict => (StatusCode::CONFLICT, "idempotency_conflict"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            Self::NoTrunk => (StatusCode::UNPROCESSABLE_ENTITY, "no_trunk"),
            Self::TooManyCalls => (StatusCode::TOO_MANY_REQUESTS, "too_many_calls"),
            Self::TooManyWrongKeys => (StatusCode::TOO_MANY_REQUESTS, "too_many_wrong_keys"),
            Self::InternalError => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
            Self::NoMediaPort => (StatusCode::SERVICE_UNAVAILABLE, "no_media_port"),
            Self::NoChannel => (StatusCode::SERVICE_UNAVAILABLE, "no_channel"),
            Self::NoDescriptor => (StatusCode::SERVICE_UNAVAILABLE, "no_descriptor"),
            Self::TooManyConnections => (StatusCode::SERVICE_UNAVAILABLE, "too_many_connections"),
            Self::TooManyReaders => (StatusCode::SERVICE_UNAVAILABLE, "too_many_readers"),
            Self::StorageUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable"),
            Self::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
            Self::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
        }
    }

    /// The HTTP status that goes with it.
    pub const fn status(self) -> u16 {
        self.row().0.as_u16()
    }

    /// The word in the body.
    pub const fn as_str(self) -> &'static str {
        self.row().1
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// An error on its way to the client.
#[derive(Debug)]
pub(crate) struct ApiError {
    code: Code,
    message: Cow<'static, str>,
    field: Option<Cow<'static, str>>,
    retry_after: Option<Duration>,
}

impl ApiError {
    /// With a sentence for people: no secret, no path, no name of a type.
    pub(crate) fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), field: None, retry_after: None }
    }

    /// About one field; the message names it, too.
    pub(crate) fn about(self, field: impl Into<Cow<'static, str>>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    /// With the time after which another try makes sense.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// The one answer to every request without a good key.
    pub(crate) fn unauthorized() -> Self {
        Self::new(
            Code::Unauthorized,
            "A valid API key is needed, as X-API-Key: ak_... or as Authorization: Bearer ak_...",
        )
    }

    /// The answer to a wrong key where there were many.
    pub(crate) fn too_many_wrong_keys(retry_after: Duration) -> Self {
        Self::new(
            Code::TooManyWrongKeys,
            "Too many wrong API keys came from your address; a valid one is answered as ever",
        )
        .retry_after(retry_after)
    }

    /// The answer to a request for a call that nobody knows.
    pub(crate) fn no_such_call() -> Self {
        Self::new(Code::CallNotFound, "There is no such call")
    }

    /// A fault of ours; what it was is for the log alone.
    pub(crate) fn internal() -> Self {
        Self::new(Code::InternalError, "The server made a mistake; its log says more")
    }
}

#[cfg(test)]
impl ApiError {
    pub(crate) const fn code(&self) -> Code {
        self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    status: &'static str,
    message: &'a str,
    code: Code,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            status: "error",
            message: &self.message,
            code: self.code,
            field: self.field.as_deref(),
        };
        let mut response = (self.code.row().0, Json(body)).into_response();
        let headers = response.headers_mut();
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait).as_secs()));
        }
        if self.code == Code::Unauthorized {
            // RFC 9110 §11.6.1: every 401 has one.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"api\""));
        }
        response
    }
}

pub(crate) async fn no_such_path() -> ApiError {
    ApiError::new(Code::PathNotFound, "There is no such path")
}

/// The router adds `Allow`.
pub(crate) async fn method_not_allowed(method: Method) -> ApiError {
    let shown: String = method.as_str().chars().take(20).collect();
    ApiError::new(
        Code::MethodNotAllowed,
        format!("The method {shown} is not allowed here; Allow names those that are"),
    )
}
