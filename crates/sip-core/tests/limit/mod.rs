//! A limit for the tests of one file: something that loops for ever fails instead of keeping everybody waiting.

use std::sync::{Once, mpsc};
use std::time::Duration;

const LIMIT: Duration = Duration::from_mins(12);

/// From the first call on.
pub(crate) fn give_up_in_the_end() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        std::thread::spawn(|| {
            let (_nobody, never) = mpsc::channel::<()>();
            let _ = never.recv_timeout(LIMIT);
            eprintln!("the tests of this file take longer than {LIMIT:?}");
            std::process::abort();
        });
    });
}
