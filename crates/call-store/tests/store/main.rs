//! The store, mostly on a real file.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod failing;
mod folder;
mod journal;
mod keeping;
mod lists;
mod old;
mod rounds;
