//! Registrations, extensions and keys of a first start, call records and their
//! events, in SQLite.
//!
//! Read [`Store`] first, then [`StoreError`]. One connection writes, several read beside it (WAL); what a method has
//! written is on disk when it returns (`synchronous = FULL`). Nothing here knows SIP or HTTP.

mod bindings;
mod calls;
mod error;
mod events;
mod first_answers;
mod first_start;
mod invites;
mod lists;
mod messages;
mod round;
mod secrets;
mod store;

pub use bindings::StoredBinding;
pub use error::{AtPath, OpenFailure, RowFault, StoreError};
pub use events::StoredEvent;
pub use first_answers::{FirstAnswer, RequestName};
pub use first_start::{StoredExtension, StoredKey};
pub use invites::{InviteChanges, StoredInvite};
pub use lists::{CallCount, CallFilter, CallStatistics};
pub use messages::CallMessages;
pub use round::Round;
pub use store::Store;
