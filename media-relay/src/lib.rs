//! RTP between two parties, and the sounds of the server.
//!
//! A [`RelayHandle`] is what signalling holds: add terminations to a session, describe and link them, play to them, move
//! them, close; what happens comes back as [`Event`]s. Behind it is a [`Relay`], which decides and has neither sockets
//! nor clock, and a thread that does what it says. Absent: SIP, SDP, who the parties are, encryption.

mod command;
mod conversion;
mod event;
mod names;
mod ports;
mod relay;
mod rtp;
mod session;
mod sound;
mod termination;
mod thread;

pub use command::{Command, Config, Description, Keys, Payload, Payloads, Playback, Sound, Topology};
pub use conversion::Transcoding;
pub use event::{Event, OpenError, Statistics};
pub use names::{PlayId, SessionId, TerminationId};
pub use relay::{BindError, Forward, Output, Relay};
pub use rtp::header::{Malformed, RtpHeader};
pub use thread::{RelayHandle, start};
