//! The API as a client sees it, before a B2BUA that does as it is told.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod events;
mod fake;
mod fuzz;
mod lists;
mod messages;
mod repeats;
mod routes;
mod serving;
mod torture;
mod waits;
mod wishes;
