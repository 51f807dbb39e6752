//! The SIP messages of a call: kept as they go by, secrets left out, drawn as a ladder, and explained.
//!
//! Pure: it opens no socket and reads no clock. Absent: the disk on which a trace is kept once its call is over, and the
//! logging of messages. Read [`Tracer`] first, whose octets go into [`ladder`] and [`explain`]; then [`FarEnd`].

mod explain;
mod far_end;
mod ladder;
mod redaction;
mod trace;
mod tracer;
mod wire;

pub use explain::explain;
pub use far_end::FarEnd;
pub use ladder::{ladder, transport};
pub use tracer::{RungPhone, Tracer};
pub use wire::{WireMessage, log_line};
