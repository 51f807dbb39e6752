//! What the phones of stories do.

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
