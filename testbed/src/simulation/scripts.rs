//! What the phones of stories do.

use sip_message::StatusCode;
use std::time::Duration;
use test_phone::{Answering, Reply, Script};

/// `seconds(0.5)`.
pub fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Rings for so many seconds, then answers.
pub fn answers_after(time: f64) -> Script {
    let answering = Answering { reply: Reply::Accept { after: seconds(time) }, ..Answering::default() };
    Script { answering, ..Script::default() }
}

/// Rings for half a second, then refuses.
pub fn refuses(status: StatusCode) -> Script {
    let reply = Reply::Reject { status, after: seconds(0.5) };
    Script { answering: Answering { reply, ..Answering::default() }, ..Script::default() }
}

/// Rings until the other side gives up.
pub fn rings_for_ever() -> Script {
    Script { answering: Answering { reply: Reply::Never, ..Answering::default() }, ..Script::default() }
}

/// Answers after a second, and hangs up so many seconds later.
pub fn talks_for(time: f64) -> Script {
    Script { hang_up_after: Some(seconds(time)), ..answers_after(1.0) }
}
