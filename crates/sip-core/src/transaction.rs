//! Transactions (RFC 3261 §17): one request and all its responses.
//!
//! Each machine is a value of its own: messages and the time go in, octets to send and messages for the
//! user come out. Which message belongs to which machine is the matter of [`key`].

pub(crate) mod client;
pub(crate) mod client_invite;
pub(crate) mod key;
pub(crate) mod server;
pub(crate) mod server_invite;

use crate::Timers;
use sip_message::Response;
use std::time::Duration;

/// What a transaction wants done.
#[derive(Debug)]
pub(crate) enum Action {
    /// Octets for the wire.
    Send(Vec<u8>),
    /// A response for the user.
    Deliver(Box<Response>),
    /// No final response came in time: timer B or F.
    TimedOut,
    /// It is over; the last action.
    Terminated,
}

/// The timer values of one transaction, for its transport.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) timers: Timers,
    pub(crate) reliable: bool,
}

impl Timing {
    /// How long a transaction waits for the far side: timers B, F, H, J, L and M.
    pub(crate) fn patience(self) -> Duration {
        self.timers.t1 * 64
    }

    /// An interval that doubles up to T2.
    pub(crate) fn doubled(self, interval: Duration) -> Duration {
        (interval * 2).min(self.timers.t2)
    }
}
