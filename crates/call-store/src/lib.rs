//! Registrations, extensions and keys of a first start, and call records, in SQLite.
//!
//! Read [`Store`] first, then [`StoreError`]. One connection writes, several read beside it (WAL); what a method has
//! written is on disk when it returns (`synchronous = FULL`). Nothing here knows SIP or HTTP.

mod bindings;
mod calls;
mod error;
mod first_start;
mod store;

pub use bindings::StoredBinding;
pub use error::{AtPath, OpenFailure, RowFault, StoreError};
pub use first_start::{StoredExtension, StoredKey};
pub use store::Store;
