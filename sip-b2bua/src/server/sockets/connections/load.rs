//! How much of one connection is under way: what was read and not handled yet, and what waits to be written.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Octets; clones count the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Load(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    octets: AtomicUsize,
    lighter: Notify,
}

/// Above it nothing more is read: a client that asks without reading the answers waits, as it would without us.
const HIGH: usize = 128 * 1024;
/// Above it nobody reads what we have to say, and the connection is given up.
const GIVEN_UP: usize = 1024 * 1024;

impl Load {
    /// Tells whether it is still to be borne.
    pub(super) fn add(&self, octets: usize) -> bool {
        self.0.octets.fetch_add(octets, Ordering::Relaxed) + octets <= GIVEN_UP
    }

    pub(super) fn remove(&self, octets: usize) {
        // What is over already may be handled late, when another connection has taken its place.
        let less = |before: usize| Some(before.saturating_sub(octets));
        let before =
            self.0.octets.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).unwrap_or_default();
        if before > HIGH && before.saturating_sub(octets) <= HIGH {
            self.0.lighter.notify_one();
        }
    }

    pub(super) fn is_heavy(&self) -> bool {
        self.0.octets.load(Ordering::Relaxed) > HIGH
    }

    /// Waits until more may be read.
    pub(super) async fn is_light(&self) {
        while self.is_heavy() {
            self.0.lighter.notified().await;
        }
    }
}
