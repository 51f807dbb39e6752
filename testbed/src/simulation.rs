//! The whole B2BUA, its relay and phones on a simulated network, in simulated time, out of one seed.
//!
//! Nothing here opens a socket or reads a clock but once, for the zero of its own time: a day of calls takes seconds,
//! and the same seed gives the same trace, octet for octet.

mod by_hand;
mod network;
mod phone_set;
mod scripts;
mod server;
mod world;

pub use by_hand::{ByHand, Otherwise, Read, Said};
pub use network::Network;
pub use scripts::{answers_after, seconds};
pub use world::{PhoneId, World, percent};
