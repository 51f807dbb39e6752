//! Whom a leg rings: from a number to the phones that are registered for it, each with the INVITE that it is to get.
//!
//! [`Directory`] knows what numbers stand for, `extension.rs` the way to the phones of an extension, `outside.rs` what a
//! trunk is told, `dialled.rs` what those who call say, `diversion.rs` by whom a call was led on.

mod auto_answer;
mod dialled;
mod directory;
mod diversion;
mod extension;
mod outside;

pub use auto_answer::AutoAnswer;
pub(crate) use dialled::{Caller, caller_of, dialled_number, is_anonymous};
pub(crate) use directory::Directory;
pub use diversion::{Diversion, DiversionReason};
pub(crate) use diversion::{add as add_diversion, diversions_of};
pub(crate) use extension::{Reaching, facing};
pub(crate) use outside::Through;
