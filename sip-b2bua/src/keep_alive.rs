//! Pings along a connection that we have opened (RFC 5626 §4.4.1): a NAT does not forget it, and one that has forgotten it is
//! noticed.
//!
//! | | due | something comes |
//! |---|---|---|
//! | `Resting` | pings → `Asking` where the far side has answered a ping before, else → `Resting` | — |
//! | `Asking` | the connection is lost | → `Resting` |
//!
//! Nobody has agreed with the far side on pings: one that has never answered any is not taken for gone.

use std::time::{Duration, Instant};

/// The pings of one connection.
#[derive(Debug)]
pub(crate) struct KeepAlive {
    every: Duration,
    patience: Duration,
    state: State,
    answers: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Resting { ping_at: Instant },
    Asking { lost_at: Instant },
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send [`PING`].
    Ping,
    /// Nobody is there any more.
    Lost,
    Nothing,
}

/// What a ping is; the answer is half of it.
pub(crate) const PING: &[u8] = b"\r\n\r\n";

/// NATs forget a connection after a minute at the least.
const EVERY: Duration = Duration::from_secs(25);
/// RFC 5626 §4.4.1.
const PATIENCE: Duration = Duration::from_secs(10);

impl KeepAlive {
    pub(crate) fn new(now: Instant) -> Self {
        Self::with(EVERY, PATIENCE, now)
    }

    pub(crate) fn with(every: Duration, patience: Duration, now: Instant) -> Self {
        let state = State::Resting { ping_at: now + every };
        Self { every, patience, state, answers: false }
    }

    /// Something came; it was the answer to a ping, or something else.
    pub(crate) fn handle_heard(&mut self, is_pong: bool, now: Instant) {
        self.answers |= is_pong;
        match self.state {
            State::Asking { .. } => self.state = State::Resting { ping_at: now + self.every },
            State::Resting { .. } => {}
        }
    }

    pub(crate) const fn poll_timeout(&self) -> Instant {
        match self.state {
            State::Resting { ping_at } => ping_at,
            State::Asking { lost_at } => lost_at,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Due {
        match self.state {
            State::Resting { ping_at } if ping_at <= now => {
                self.state = match self.answers {
                    true => State::Asking { lost_at: now + self.patience },
                    false => State::Resting { ping_at: now + self.every },
                };
                Due::Ping
            }
            State::Asking { lost_at } if lost_at <= now => Due::Lost,
            State::Resting { .. } | State::Asking { .. } => Due::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_pings_within_thirty_seconds_and_whoever_never_answers_is_not_lost() {
        let start = Instant::now();
        let mut pings = KeepAlive::new(start);
        let mut now = start;
        for _ in 0..100 {
            let due = pings.poll_timeout();
            assert!(due > now && due - now <= Duration::from_secs(30));
            assert_eq!(pings.handle_timeout(due - Duration::from_millis(1)), Due::Nothing);
            assert_eq!(pings.handle_timeout(due), Due::Ping);
            now = due;
        }
        // A message is no answer to a ping.
        pings.handle_heard(false, now);
        assert_eq!(pings.handle_timeout(pings.poll_timeout()), Due::Ping);
        assert_eq!(pings.handle_timeout(pings.poll_timeout()), Due::Ping);
    }

    #[test]
    fn whoever_has_answered_and_does_not_any_more_is_lost_after_ten_seconds() {
        for is_pong in [true, false] {
            let start = Instant::now();
            let mut pings = KeepAlive::new(start);
            assert_eq!(pings.handle_timeout(start + EVERY), Due::Ping);
            pings.handle_heard(true, start + EVERY);
            let second = start + EVERY * 2;
            assert_eq!(pings.handle_timeout(second), Due::Ping);
            assert_eq!(pings.handle_timeout(second + Duration::from_secs(9)), Due::Nothing);
            // Whatever it says, it is there.
            pings.handle_heard(is_pong, second + Duration::from_secs(9));
            let third = second + Duration::from_secs(9) + EVERY;
            assert_eq!(pings.handle_timeout(second + PATIENCE), Due::Nothing);
            assert_eq!(pings.handle_timeout(third), Due::Ping);
            assert_eq!(pings.poll_timeout(), third + PATIENCE);
            assert_eq!(pings.handle_timeout(third + PATIENCE), Due::Lost);
        }
    }
}
