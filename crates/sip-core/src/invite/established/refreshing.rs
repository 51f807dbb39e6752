//! Keeping a session alive, and noticing that nobody does (RFC 4028 §7.4, §10).

use super::{Established, State};
use crate::invite::{Action, patience};
use std::time::{Duration, Instant};

/// What both sides agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Agreement {
    /// After which the session is over when nothing refreshes it.
    pub(crate) interval: Duration,
    pub(crate) refresher: Refresher,
    /// The peer takes UPDATE.
    pub(crate) by_update: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refresher {
    Us,
    Peer,
}

/// These outlive the states of the offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionTimer {
    Refresh,
    /// The BYE is due a little before the interval ends (RFC 4028 §10).
    Expire,
    /// Nobody refreshes: time to ask whether the peer is still there.
    Probe,
}

/// How long a session may stand without a sign of the peer when no session timer was agreed.
const PROBE_AFTER: Duration = Duration::from_mins(15);

/// The BYE comes at most that long before the end of the interval (RFC 4028 §10).
const BYE_BEFORE_MAX: Duration = Duration::from_secs(32);

impl Established {
    /// A 2xx to an INVITE or UPDATE of either side.
    pub(super) fn handle_session_timer(&mut self, agreement: Option<Agreement>, now: Instant) {
        self.session.clear_all();
        self.agreement = agreement.filter(|_| self.is_live());
        let Some(Agreement { interval, refresher, .. }) = self.agreement else {
            if self.is_live() {
                self.session.set(SessionTimer::Probe, now + PROBE_AFTER);
            }
            return;
        };
        self.session.set(SessionTimer::Expire, now + interval - BYE_BEFORE_MAX.min(interval / 3));
        match refresher {
            Refresher::Us => self.session.set(SessionTimer::Refresh, now + interval / 2),
            Refresher::Peer => {}
        }
    }

    /// Our UPDATE was refused, by a peer that takes no UPDATE or for another reason.
    pub(super) fn handle_refresh_refused(&mut self, by_update: bool, now: Instant) {
        if let Some(agreement) = &mut self.agreement {
            agreement.by_update &= by_update;
            if by_update {
                self.refresh_later(now);
            } else {
                self.refresh(now);
            }
        }
    }

    pub(super) fn handle_session_timeout(&mut self, timer: SessionTimer, now: Instant) {
        match timer {
            SessionTimer::Refresh => self.refresh(now),
            SessionTimer::Expire => self.handle_lost(false, now),
            SessionTimer::Probe => {
                self.actions.push_back(Action::Probe);
                self.session.set(SessionTimer::Probe, now + PROBE_AFTER);
            }
        }
    }

    /// The session stands until its interval ends: another attempt may succeed, if it comes in time.
    pub(super) fn refresh_later(&mut self, now: Instant) {
        if let Some(end) = self.session.due(SessionTimer::Expire) {
            let left = end.saturating_duration_since(now);
            let pause = (left / 2).max(self.timers.t2).min(patience(self.timers));
            self.session.set(SessionTimer::Refresh, now + pause);
        }
    }

    fn refresh(&mut self, now: Instant) {
        match &self.state {
            State::Stable if self.agreement.is_some_and(|agreement| agreement.by_update) => {
                self.actions.push_back(Action::Update);
            }
            State::Stable => self.reinvite(None, 0),
            // What is under way refreshes too when it succeeds.
            State::AckHeld(_)
            | State::AwaitingAck(_)
            | State::Offering { .. }
            | State::BackingOff { .. }
            | State::Answering(_) => {
                self.session.set(SessionTimer::Refresh, now + self.timers.t2);
            }
            State::Ending(_) | State::Gone => {}
        }
    }
}
