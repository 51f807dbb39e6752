//! Why a phone that has logged in is not registered.

use sip_message::{FieldName, Request, Response, StatusCode};
use std::time::Duration;

/// What stands in the way of a REGISTER; nothing of it has been done then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("To Is Not A SIP URI")]
    ToIsNoSipUri,
    #[error("Domain Not Served Here")]
    ForeignDomain,
    #[error("Not Your Address Of Record")]
    NotTheOwner,
    #[error("Contact * Needs Expires 0")]
    StarWithoutExpires,
    #[error("Malformed Path")]
    Path,
    #[error("Contact Is Not A SIP URI")]
    ContactIsNoSipUri,
    #[error("Contact Is This Server")]
    ContactIsThisServer,
    #[error("Contact Too Long")]
    ContactTooLong,
    #[error("Interval Too Brief")]
    TooBrief,
    /// Not to be repeated by itself, which 503 would invite: there is room again when a binding ends.
    #[error("Too Many Contacts")]
    TooManyBindings,
    #[error("CSeq Out Of Order")]
    OutOfOrder,
}

impl Refusal {
    const fn status(&self) -> StatusCode {
        match self {
            Self::ToIsNoSipUri | Self::StarWithoutExpires | Self::Path | Self::ContactIsNoSipUri => {
                StatusCode::BAD_REQUEST
            }
            Self::ForeignDomain => StatusCode::NOT_FOUND,
            Self::NotTheOwner | Self::ContactIsThisServer | Self::TooManyBindings => StatusCode::FORBIDDEN,
            Self::ContactTooLong => StatusCode::MESSAGE_TOO_LARGE,
            Self::TooBrief => StatusCode::INTERVAL_TOO_BRIEF,
            // RFC 3261 §10.3 steps 6 and 7
            Self::OutOfOrder => StatusCode::SERVER_INTERNAL_ERROR,
        }
    }

    pub(super) fn response(&self, request: &Request, min: Duration) -> Response {
        let mut response = request.response(self.status());
        response.reason = self.to_string().into();
        if *self == Self::TooBrief {
            response.header.fields.push(FieldName::MIN_EXPIRES, min.as_secs().to_string());
        }
        response
    }
}
