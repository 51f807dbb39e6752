//! The seam between the API and the B2BUA.

use crate::{
    Call, CallId, ClickToCall, Explanation, ExtensionView, Ladder, Number, NumberedEvent, PartyType,
    TrunkView, Wish, WishRefusal,
};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// What the API can ask of the B2BUA.
pub trait Calls: Send + Sync + 'static {
    /// Starts a click-to-call; answers as soon as it is sure that `from` will be rung.
    fn click_to_call(
        &self,
        request: ClickToCall,
    ) -> Pin<Box<dyn Future<Output = Result<CallId, Refusal>> + Send + '_>>;

    /// Ends a call at any moment.
    fn hang_up(&self, call: CallId) -> Pin<Box<dyn Future<Output = Result<(), HangUpRefusal>> + Send + '_>>;

    /// Asks something of a running call; answers as soon as it is sure that it will be tried.
    fn ask(
        &self,
        call: CallId,
        wish: Wish,
    ) -> Pin<Box<dyn Future<Output = Result<(), WishRefusal>> + Send + '_>>;

    /// A running call as it stands.
    fn live(&self, call: CallId) -> Option<Arc<Call>>;

    /// All running calls as they stand, in no order.
    fn live_calls(&self) -> Vec<Arc<Call>>;

    /// The SIP messages of a call, running or ended.
    fn ladder(
        &self,
        call: CallId,
    ) -> Pin<Box<dyn Future<Output = Result<Ladder, MessagesRefusal>> + Send + '_>>;

    /// What a call, running or ended, was like, in words. Never `MessagesRefusal::NotKept`: what the call itself shows
    /// is said then.
    fn explanation(
        &self,
        call: CallId,
    ) -> Pin<Box<dyn Future<Output = Result<Explanation, MessagesRefusal>> + Send + '_>>;

    /// Events of all calls from now on. Each is on disk when it comes, and they come in the order of their ids. What
    /// happens to a call before `click_to_call` answers may come before the answer.
    fn subscribe(&self) -> Box<dyn EventReader>;

    /// All extensions, by their numbers.
    fn extensions(&self) -> Pin<Box<dyn Future<Output = Vec<ExtensionView>> + Send + '_>>;

    /// All trunks, as they are configured.
    fn trunks(&self) -> Pin<Box<dyn Future<Output = Vec<TrunkView>> + Send + '_>>;

    /// Whether new calls can be taken, and else why not.
    fn readiness(&self) -> Readiness;
}

/// Who reads events as they happen.
pub trait EventReader: Send {
    /// The next one. May be dropped while it waits: nothing is lost.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<Arc<NumberedEvent>, EventsEnd>> + Send + '_>>;
}

/// Why a reader gets no further event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventsEnd {
    /// It was too slow and has lost some; those are on disk.
    #[error("the reader was too slow")]
    TooSlow,
    /// There will be none.
    #[error("there will be no further event")]
    Stopped,
}

/// Whether the server takes new calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It is being stopped.
    Draining,
    /// Nothing can be written to disk.
    StorageUnavailable,
}

/// Why a click-to-call was not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing of ours has that number.
    #[error("There is no {} {number}", kind(*.party_type))]
    NotFound {
        /// What was looked for.
        party_type: PartyType,
        /// The number.
        number: Number,
        /// `from` or `to`.
        field: &'static str,
    },
    /// `from` and `to` are one.
    #[error("from and to must be two different parties")]
    SameParty,
    /// The extension has no phone registered.
    #[error("Failed to originate call: extension not registered")]
    NotRegistered {
        /// Whose: `from` or `to`.
        field: &'static str,
    },
    /// It names nothing of ours, and no phone number can be read from it.
    #[error("{field} {why}")]
    NoSuchNumber {
        /// `from` or `to`.
        field: &'static str,
        /// What is wrong with it, as the rest of a sentence.
        why: Box<str>,
    },
    /// The operator does not let it be dialled.
    #[error("{number} is not dialled: {rule}")]
    PolicyDenied {
        /// The number.
        number: Number,
        /// The rule that it met.
        rule: Box<str>,
        /// `from` or `to`.
        field: &'static str,
    },
    /// No trunk takes the number.
    #[error("No trunk takes the number {number}")]
    NoTrunk {
        /// The number.
        number: Number,
        /// `from` or `to`.
        field: &'static str,
    },
    /// Every trunk that takes the number has as many calls as it may.
    #[error("No channel of a trunk is free for {number}; try again in {} s", .retry_after.as_secs())]
    NoChannel {
        /// The number.
        number: Number,
        /// When to try again.
        retry_after: Duration,
    },
    /// Neither is the API key bound to that number, nor has a trunk that takes the call.
    #[error(
        "The caller_id {number} may not be shown: it is none of the numbers of the trunk, nor of the key's caller_ids"
    )]
    CallerIdNotAllowed {
        /// What was to be shown.
        number: Number,
    },
    /// Calls at once: of the server, or of the key.
    #[error("Too many calls at once; try again in {} s", .retry_after.as_secs())]
    TooManyCalls {
        /// When to try again.
        retry_after: Duration,
    },
    /// New calls a second.
    #[error("Too many new calls in one second; try again in {} s", .retry_after.as_secs())]
    TooManyNewCalls {
        /// When to try again.
        retry_after: Duration,
    },
    /// No media port is free.
    #[error("No media port is free; try again in {} s", .retry_after.as_secs())]
    NoMediaPort {
        /// When to try again.
        retry_after: Duration,
    },
    /// The process may not open more sockets.
    #[error(
        "No descriptor is left for the sockets of another call; try again in {} s (the log says which limit to raise)",
        .retry_after.as_secs()
    )]
    NoDescriptor {
        /// When to try again.
        retry_after: Duration,
    },
    /// Nothing can be written to disk: no call begins that could not be kept.
    #[error("The call cannot be kept on disk now, and nobody was rung; try again in {} s", .retry_after.as_secs())]
    StorageUnavailable {
        /// When to try again.
        retry_after: Duration,
    },
    /// The server is being stopped.
    #[error("The server is stopping; it takes no new calls")]
    Draining,
}

impl Refusal {
    /// When to try again, where that can be said.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyCalls { retry_after }
            | Self::TooManyNewCalls { retry_after }
            | Self::NoMediaPort { retry_after }
            | Self::NoDescriptor { retry_after }
            | Self::NoChannel { retry_after, .. }
            | Self::StorageUnavailable { retry_after } => Some(*retry_after),
            Self::NotFound { .. }
            | Self::SameParty
            | Self::NotRegistered { .. }
            | Self::NoSuchNumber { .. }
            | Self::PolicyDenied { .. }
            | Self::NoTrunk { .. }
            | Self::CallerIdNotAllowed { .. }
            | Self::Draining => None,
        }
    }
}

/// Why a call was not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HangUpRefusal {
    /// No running call has that id.
    #[error("There is no running call {0}")]
    NotFound(CallId),
    /// The server is gone.
    #[error("The server is stopping")]
    Stopped,
}

/// Why the messages of a call are not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessagesRefusal {
    /// No call has that id.
    #[error("There is no such call")]
    NotFound(CallId),
    /// The call is too long ago, or the server died while it ran.
    #[error("The SIP messages of this call are not kept")]
    NotKept(CallId),
    /// The store failed; the log says how.
    #[error("The SIP messages of this call cannot be read")]
    Unreadable,
}

const fn kind(party_type: PartyType) -> &'static str {
    match party_type {
        PartyType::Extension => "extension",
        PartyType::Queue => "queue",
        PartyType::Ivr => "IVR",
        PartyType::AiAgent => "AI agent",
        PartyType::External => "outside number",
    }
}

/// How long whoever is refused is told to wait: whole seconds (RFC 3261 §20.33, RFC 9110 §10.2.3), at least one, and never
/// fewer than that time, since a try that comes too early is refused again.
pub fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs((time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_come_too_early() {
        for (nanoseconds, seconds) in
            [(0, 1), (1, 1), (999_999_999, 1), (1_000_000_000, 1), (1_000_000_001, 2), (4_000_000_000, 4)]
        {
            let told = whole_seconds(Duration::from_nanos(nanoseconds));
            assert_eq!(told, Duration::from_secs(seconds), "{nanoseconds}");
        }
    }
}
