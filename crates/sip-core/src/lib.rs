//! SIP without I/O: transactions, dialogs, the INVITE usage with reliable provisional responses and session timers, and
//! digest (RFC 3261, RFC 3262, RFC 4028).
//!
//! [`Endpoint`] is the one value to hold: received octets, commands and the present time go in, octets to send and
//! events come out. It owns no socket, no clock and no source of randomness. Absent: what a body means, who may
//! call whom, where names resolve to.
//! Read [`Command`] and [`Event`] first.

mod authentication;
mod command;
mod dialog;
pub mod digest;
mod endpoint;
mod event;
mod flow;
mod index;
mod invite;
mod random;
mod transaction;
mod transport;

pub use command::{Command, InviteId, NewInvite, NewRequest, Reach, SavedInvite};
pub use endpoint::{CallKey, Config, Endpoint, Served, Timers};
pub use event::{Action, Event, Gone, GoneCause, Incoming, InviteEvent, Outcome, RequestId, Responder};
pub use flow::{Flow, PeerId};
pub use sip_message::Transport;
pub use transport::listening_flow;
