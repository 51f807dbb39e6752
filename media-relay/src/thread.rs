//! The threads of the relay: the only place with sockets, clock and channels.

mod driver;
mod sockets;
mod transcoders;

pub use driver::{RelayHandle, start};
