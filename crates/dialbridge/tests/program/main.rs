//! The binary as its user meets it: exit codes, what it prints, what its signals do. On loopback.

#![expect(clippy::unwrap_used, reason = "in a test a broken promise is a failure")]

mod commands;
mod connections;
mod limits;
mod log;
mod running;
mod signals;
