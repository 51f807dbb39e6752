//! Whether a call may begin.

use super::calls::Calls;
use crate::registrar::Registrar;
use crate::routing::Directory;
use crate::settings::Limits;
use call_control::{ClickToCall, Refusal};
use std::time::{Duration, Instant};

/// When a client that met a limit may try again.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(2);
/// When a client may try again whose call could not be written.
pub(super) const RETRY_WRITING: Duration = Duration::from_secs(5);

/// What stands against new calls.
#[derive(Debug)]
pub(super) struct Admission {
    limits: Limits,
    is_draining: bool,
    is_ending: bool,
}

impl Admission {
    pub(super) const fn new(limits: Limits) -> Self {
        Self { limits, is_draining: false, is_ending: false }
    }

    /// No new calls are taken from now on.
    pub(super) fn drain(&mut self) {
        self.is_draining = true;
    }

    /// Nor do those begin that were taken already.
    pub(super) fn end(&mut self) {
        self.is_draining = true;
        self.is_ending = true;
    }

    pub(super) const fn is_draining(&self) -> bool {
        self.is_draining
    }

    pub(super) const fn is_ending(&self) -> bool {
        self.is_ending
    }

    /// Every reason for which nobody is rung, but for the disk and the relay.
    pub(super) fn admit(
        &self,
        request: &ClickToCall,
        calls: &Calls,
        directory: &Directory,
        registrar: &Registrar,
        now: Instant,
    ) -> Result<(), Refusal> {
        if self.is_draining {
            return Err(Refusal::Draining);
        }
        if request.from == request.to {
            return Err(Refusal::SameParty);
        }
        directory.find(&request.from, None, "from")?;
        directory.find(&request.to, request.to_type, "to")?;
        for (number, field) in [(&request.from, "from"), (&request.to, "to")] {
            if registrar.bindings_of(number.as_str(), now).is_empty() {
                return Err(Refusal::NotRegistered { field });
            }
        }
        self.admit_one_more(&request.key_name, calls)
    }

    /// Whether there is room for a call.
    pub(super) fn admit_one_more(&self, key_name: &str, calls: &Calls) -> Result<(), Refusal> {
        if calls.len() >= self.limits.calls || calls.key_has(key_name, self.limits.calls_per_key) {
            return Err(Refusal::TooManyCalls { retry_after: RETRY_AFTER });
        }
        Ok(())
    }
}
