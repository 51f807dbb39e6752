//! RTP between two parties, and the sounds of the server.
//!
//! A [`RelayHandle`] is what signalling holds: open a session, describe its sides, play, connect, close; what
//! happens comes back as [`Event`]s. Behind it is a [`Relay`], which decides and has neither sockets nor
//! clock, and a thread that does what it says. Absent: SIP, SDP, who the parties are, encryption.

mod command;
mod continuity;
mod driver;
mod event;
mod half;
mod learning;
mod pacing;
mod packet;
mod ports;
mod reception;
mod relay;
mod rtcp_packet;
mod session;
mod side;
mod sockets;
mod sounds;
mod tones;
mod transcoder;
mod transcoding;

pub use command::{Command, Config, Description, Sound};
pub use driver::{RelayHandle, start};
pub use event::{Event, OpenError, Statistics};
pub use packet::{Malformed, RtpHeader};
pub use relay::{BindError, Forward, Output, Relay};
pub use side::{SessionId, Side};
