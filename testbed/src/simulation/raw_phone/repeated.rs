//! A message that is sent again and again until somebody hears it (RFC 3261 §13.3.1.4, §17).

use std::time::{Duration, Instant};

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// 64·T1.
const PATIENCE: Duration = Duration::from_secs(32);

#[derive(Debug)]
pub(super) struct Repeated {
    octets: Vec<u8>,
    lost: usize,
    copies: usize,
    repeat_after: Duration,
    next: Option<Instant>,
    until: Instant,
}

impl Repeated {
    /// Due at once, and `copies` times in all; the first `lost` of them never leave.
    pub(super) fn new(octets: Vec<u8>, lost: usize, copies: usize, now: Instant) -> Self {
        Self { octets, lost, copies, repeat_after: T1, next: Some(now), until: now + PATIENCE }
    }

    /// The copy that is due.
    pub(super) fn due(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.next.filter(|next| *next <= now)?;
        self.copies -= 1;
        self.next = Some(now + self.repeat_after).filter(|next| self.copies > 0 && *next < self.until);
        self.repeat_after = (self.repeat_after * 2).min(T2);
        if self.lost > 0 {
            self.lost -= 1;
            return None;
        }
        Some(self.octets.clone())
    }

    /// Somebody heard it.
    pub(super) fn stop(&mut self) {
        self.next = None;
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }
}
