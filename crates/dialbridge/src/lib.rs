//! The program Dialbridge: its commands, its configuration, and the wiring of B2BUA, API and store.
//!
//! [`run`] is the whole program; [`Server`] is what `serve` runs, and can be started from code. Absent: everything
//! about calls, SIP, HTTP and media, which live in the crates that are wired here.

mod check;
mod command;
pub mod config;
mod demo;
mod descriptors;
mod exit;
mod first_start;
mod key;
mod logging;
mod output;
mod phone;
mod reload;
mod secret;
mod serve;
mod server;
mod signals;
mod tls;

pub use command::run;
pub use secret::Secret;
pub use server::{HttpOptions, Server, ServerOptions, StartError};
pub use tls::{Identity, Shown, TlsFault};
