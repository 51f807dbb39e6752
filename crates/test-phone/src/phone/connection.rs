//! The TCP connection to the server: when it closes, the binding is worth nothing (RFC 5626 §4.5), and the phone
//! connects and registers again.

use super::registration::Purpose;
use super::{Phone, Stage, Timer};
use crate::Registering;
use sip_core::Flow;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Connection {
    state: State,
    /// Before the next attempt.
    wait: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Until `Timer::Reconnect`, or for good when nothing is to be registered.
    Closed,
    /// To be opened.
    Wanted,
    /// It is being opened.
    Opening,
}

impl Connection {
    /// The one that the phone begins with.
    pub(super) const fn open() -> Self {
        Self { state: State::Open, wait: FIRST_WAIT }
    }

    /// It carried a registration: what comes later is another trouble.
    pub(super) const fn has_proved_good(&mut self) {
        self.wait = FIRST_WAIT;
    }

    pub(super) const fn want(&mut self) {
        self.state = State::Wanted;
    }
}

impl Phone {
    /// The connection `flow` is closed, or cannot be written to any more.
    pub fn handle_closed(&mut self, flow: Flow, now: Instant) {
        self.handle_unreachable(flow, now);
        if flow == self.account.flow && self.connection.state == State::Open {
            self.connect_later(now);
        }
    }

    /// Whether a connection to the server is to be opened now; says so once. [`handle_connected`](Self::handle_connected)
    /// or [`handle_not_connected`](Self::handle_not_connected) is due then.
    pub fn poll_connect(&mut self) -> bool {
        let is_wanted = self.connection.state == State::Wanted;
        if is_wanted {
            self.connection.state = State::Opening;
        }
        is_wanted
    }

    /// The connection that was wanted is open.
    pub fn handle_connected(&mut self, flow: Flow, now: Instant) {
        self.connection.state = State::Open;
        self.registration.leave_contact(&self.account);
        self.account.flow = flow;
        match self.stage {
            Stage::Working => self.register(Purpose::Refresh, now),
            Stage::Leaving | Stage::Done => {}
        }
        self.perform_actions(now);
    }

    /// The connection that was wanted cannot be had.
    pub fn handle_not_connected(&mut self, now: Instant) {
        self.connect_later(now);
    }

    fn connect_later(&mut self, now: Instant) {
        self.connection.state = State::Closed;
        match (self.stage, self.script.registering) {
            (Stage::Working, Registering::Keep { .. }) => {
                self.deadlines.clear(Timer::Refresh);
                self.deadlines.set(Timer::Reconnect, now + self.connection.wait);
                self.connection.wait = (self.connection.wait * 2).min(LONGEST_WAIT);
            }
            (Stage::Leaving | Stage::Done, _) | (_, Registering::Never | Registering::RemoveAll) => {}
        }
    }
}

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
