//! From a SIP URI to the addresses that a request for it may be sent to (RFC 3263 §4).
//!
//! [`Locating`] decides what a name server is asked and what follows from its [`Answer`]s; [`Located`] is the list of
//! targets to be tried one after the other (RFC 3263 §4.3). Asking, caching and trying are the driver's: there is no
//! socket and no clock here, CNAMEs are followed by the library that asks, and the random number that spreads the load
//! over the servers of a domain is an argument. The driver checks the certificate of a TLS server for the domain of the
//! URI, whatever the DNS has said (RFC 5922 §7.3).

mod address;
mod aim;
mod dns;
mod ledger;
mod locating;
mod name;
mod naptr;
mod outcome;
mod service;
mod srv;
mod step;

pub use dns::{Answer, Question, Record};
pub use ledger::{AFTER_FAILURE, QUESTIONS_MAX, VALID_MAX, VALID_MIN};
pub use locating::{Locating, TARGETS_MAX};
pub use outcome::{Families, Located, Target, Unlocated};
pub use step::{Found, PassedOver, Step};
