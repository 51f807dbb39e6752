//! The only place with sockets, clock and channels: the loop that feeds the [`Switchboard`](crate::Switchboard) and
//! performs what it wants, and what the API and the program hold of it.

pub(crate) mod driver;
mod resolver;
mod service;
mod sockets;
mod stop;

pub use resolver::{LookedUp, look_up};
pub use service::{B2bua, StartError};
