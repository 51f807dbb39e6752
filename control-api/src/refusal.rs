//! What the B2BUA refuses, as the API answers it.

use crate::error::{ApiError, Code};
use call_control::{MessagesRefusal, Refusal};
use std::time::Duration;

/// When a stopping server, or the one that takes its place, may be there again.
pub(crate) const AFTER_DRAINING: Duration = Duration::from_secs(10);

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let (message, retry_after) = (refusal.to_string(), refusal.retry_after());
        let error = match refusal {
            Refusal::NotFound { field, .. } => Self::new(Code::DestinationNotFound, message).about(field),
            Refusal::SameParty => Self::new(Code::SameParty, message).about("to"),
            Refusal::NotRegistered { field } => Self::new(Code::ExtensionNotRegistered, message).about(field),
            Refusal::NoSuchNumber { field, .. } => Self::new(Code::InvalidField, message).about(field),
            Refusal::PolicyDenied { field, .. } => Self::new(Code::PolicyDenied, message).about(field),
            Refusal::NoTrunk { field, .. } => Self::new(Code::NoTrunk, message).about(field),
            Refusal::CallerIdNotAllowed { .. } => {
                Self::new(Code::CallerIdNotAllowed, message).about("caller_id")
            }
            Refusal::TooManyCalls { .. } | Refusal::TooManyNewCalls { .. } => {
                Self::new(Code::TooManyCalls, message)
            }
            Refusal::NoChannel { .. } => Self::new(Code::NoChannel, message),
            Refusal::NoMediaPort { .. } => Self::new(Code::NoMediaPort, message),
            Refusal::NoDescriptor { .. } => Self::new(Code::NoDescriptor, message),
            Refusal::StorageUnavailable { .. } => Self::new(Code::StorageUnavailable, message),
            Refusal::Draining => Self::new(Code::Draining, message).retry_after(AFTER_DRAINING),
        };
        match retry_after {
            Some(wait) => error.retry_after(wait),
            None => error,
        }
    }
}

impl From<MessagesRefusal> for ApiError {
    fn from(refusal: MessagesRefusal) -> Self {
        match refusal {
            MessagesRefusal::NotFound(_) => Self::no_such_call(),
            MessagesRefusal::NotKept(_) => Self::new(Code::MessagesNotKept, refusal.to_string()),
            MessagesRefusal::Unreadable => Self::internal(),
        }
    }
}
