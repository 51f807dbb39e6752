//! A click-to-call that was taken, and how it is answered.

use crate::api::Api;
use crate::click_to_call::settled::Waiting;
use crate::error::ApiError;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use call_control::{Call, CallId, ClickToCall, Number, Refusal};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// A call that was taken.
pub(crate) struct Placed {
    call_id: CallId,
    /// As it is, for those who waited.
    call: Option<Arc<Call>>,
    waited: Option<Duration>,
}

#[derive(Serialize)]
struct Body<'a> {
    status: &'static str,
    message: &'static str,
    call_id: CallId,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<&'a Call>,
}

/// A key wanted to show a number that is not its own.
pub(super) fn log_caller_id(key: &str, number: &Number) {
    tracing::warn!(key, %number, "a caller_id that may not be shown");
}

impl Placed {
    /// Asks the B2BUA for the call.
    ///
    /// # Errors
    /// What it refuses; nobody has been rung then.
    pub(crate) async fn place(api: &Api, request: ClickToCall) -> Result<Self, ApiError> {
        let key_name = request.key_name.clone();
        let call_id = api.calls.click_to_call(request).await.inspect_err(|refusal| {
            // Who tries what is not allowed is looked for in the log; the other refusals are the client's to read.
            if let Refusal::PolicyDenied { number, rule, .. } = refusal {
                tracing::warn!(key = %key_name, %number, %rule, "a number that may not be dialled");
            }
            if let Refusal::CallerIdNotAllowed { number } = refusal {
                log_caller_id(&key_name, number);
            }
        })?;
        tracing::info!(%call_id, key = %key_name, "click-to-call");
        Ok(Self::earlier(call_id))
    }

    /// One that was taken before.
    pub(crate) const fn earlier(call_id: CallId) -> Self {
        Self { call_id, call: None, waited: None }
    }

    /// The same when its client has waited.
    pub(crate) async fn settled(self, api: &Api, waiting: Waiting) -> Self {
        let waited = Some(waiting.limit());
        let call = waiting.settled(api, self.call_id).await;
        Self { call, waited, ..self }
    }

    /// The body of the answer.
    pub(crate) fn body(&self) -> String {
        let Self { call_id, call, waited: _ } = self;
        let (status, message) = ("success", "Call initiated");
        let body = Body { status, message, call_id: *call_id, call: call.as_deref() };
        // Its keys are names: it has a text.
        serde_json::to_string(&body).unwrap_or_default()
    }

    /// The answer with this body.
    pub(crate) fn with_body(&self, body: String) -> Response {
        let location = format!("/api/v1/calls/{}", self.call_id);
        let headers = [(header::LOCATION, location), (header::CONTENT_TYPE, "application/json".to_owned())];
        (StatusCode::OK, headers, body).into_response()
    }
}

impl IntoResponse for Placed {
    fn into_response(self) -> Response {
        let mut response = self.with_body(self.body());
        let applied = self.waited.map(|wait| HeaderValue::from_str(&format!("wait={}", wait.as_secs())));
        if let Some(Ok(applied)) = applied {
            response.headers_mut().insert(PREFERENCE_APPLIED, applied);
        }
        response
    }
}
