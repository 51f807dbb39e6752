//! Whom a leg rings: from a number to the phones that are registered for it, each with the INVITE that it is to get.
//!
//! [`Directory`] knows the extensions, `extension.rs` the way to their phones. Other kinds of numbers come as files beside
//! it.

mod directory;
mod extension;

pub(crate) use directory::Directory;
pub(crate) use extension::{Reaching, facing};
