//! The calls: registrar, switchboard, click-to-call, and the driver that gives them sockets and a clock.
//!
//! Absent: HTTP. Read `click_to_call.rs` first, then [`Switchboard`]: all calls as one pure value. [`B2bua`] runs it.

mod call;
mod click_to_call;
mod driver;
mod end;
mod explain;
mod ladder;
mod leg;
mod media;
mod recorder;
mod records;
pub mod registrar;
mod service;
mod settings;
mod sockets;
mod stored_flow;
mod switchboard;
mod wire;

pub use call::{Moment, RelayAction};
pub use explain::explain;
pub use ladder::ladder;
pub use service::{B2bua, StartError};
pub use settings::{Extension, Limits, MediaSettings, RegistrationTimes, Settings};
pub use switchboard::{Command, Output, RegisterKey, Switchboard, Ticket};
pub use wire::WireMessage;
