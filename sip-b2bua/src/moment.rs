//! The present, and the clock of one call.

use call_control::Timestamp;
use std::time::{Duration, Instant};

/// The present: the monotonic clock for timers, the wall clock for what people read.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Of the monotonic clock.
    pub now: Instant,
    /// Milliseconds since 1970.
    pub unix_milliseconds: i64,
}

impl Moment {
    /// What the wall clock showed at an earlier moment, in milliseconds since 1970.
    pub(crate) fn wall_clock_at(self, earlier: Instant) -> i64 {
        let ago = self.now.saturating_duration_since(earlier).as_millis();
        self.unix_milliseconds.saturating_sub(i64::try_from(ago).unwrap_or(i64::MAX))
    }

    pub(crate) fn timestamp(self) -> Option<Timestamp> {
        Timestamp::from_unix_milliseconds(self.unix_milliseconds)
    }
}

/// The clock of one call: what the wall clock showed when it began, and what has passed since then. A wall clock that is
/// set in the meantime changes neither the order nor the distance of what is written in one record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallClock {
    began: Instant,
    created_at: Timestamp,
}

impl CallClock {
    /// `None` past the year 9999.
    pub(crate) fn starting(moment: Moment) -> Option<Self> {
        Some(Self { began: moment.now, created_at: moment.timestamp()? })
    }

    pub(crate) const fn created_at(&self) -> Timestamp {
        self.created_at
    }

    pub(crate) fn at(&self, now: Instant) -> Timestamp {
        let passed = i64::try_from(self.passed(now).as_millis()).unwrap_or(i64::MAX);
        let unix_milliseconds = self.created_at.unix_milliseconds().saturating_add(passed);
        Timestamp::from_unix_milliseconds(unix_milliseconds).unwrap_or(self.created_at)
    }

    pub(crate) fn passed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }
}

/// Whole milliseconds, in seconds.
pub(crate) fn seconds(time: Duration) -> f64 {
    time.as_millis() as f64 / 1_000.0
}
