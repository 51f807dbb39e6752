//! The binary as its user meets it: exit codes, what it prints, what its signals do. On loopback.

#![expect(clippy::unwrap_used, reason = "in a test a broken promise is a failure")]

mod addresses;
mod carrier;
#[path = "../certificates/mod.rs"]
mod certificates;
mod commands;
mod connections;
mod limits;
mod log;
mod names;
mod running;
mod signals;
mod tls;
mod tls_trunks;
mod trunk_connections;
