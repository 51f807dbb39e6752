//! Registrations, extensions and keys of a first start, call records and their
//! events, in SQLite.
//!
//! Read [`Store`] first, then [`Round`] and [`StoreError`]. One thread with one connection writes, a few read beside it
//! (WAL); what is said to be written is on disk (`synchronous = FULL`). Whether and when to try again is left to the
//! caller, and nothing is logged here. Nothing here knows SIP or HTTP.

mod bindings;
mod calls;
mod connection;
mod error;
mod events;
mod files;
mod first_answers;
mod first_start;
mod invites;
mod lists;
mod messages;
mod migrations;
mod readers;
mod round;
mod runs;
mod secrets;
mod store;
#[cfg(test)]
mod tests;
mod writer;

pub use bindings::StoredBinding;
pub use error::{AtPath, Cause, FileFailure, RowFault, StoreError};
pub use events::StoredEvent;
pub use first_answers::FirstAnswer;
pub use first_start::{StoredExtension, StoredKey};
pub use invites::{InviteChanges, StoredInvite};
pub use lists::{CallCount, CallFilter, CallStatistics};
pub use messages::CallMessages;
pub use round::Round;
pub use runs::{RunId, Unfinished};
pub use store::Store;
