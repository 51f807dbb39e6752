//! Whether a call may begin.

use super::calls::Calls;
use crate::registrar::Registrar;
use crate::routing::Directory;
use crate::scenario::Whom;
use crate::settings::Limits;
use crate::trunks::{NoTrunk, Trunks};
use call_control::{CallerId, ClickToCall, Number, PartyType, Refusal};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// Forwards of forwards that are followed; those of two extensions may lead to each other.
const FORWARDS_MAX: u8 = 5;
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
    /// When those began that somebody dialled, in the last second.
    dialled: VecDeque<Instant>,
}

impl Admission {
    pub(super) const fn new(limits: Limits) -> Self {
        Self { limits, is_draining: false, is_ending: false, dialled: VecDeque::new() }
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

    /// Who both parties are; or every reason for which nobody is rung, but for the disk and the relay.
    pub(super) fn admit(
        &self,
        request: &ClickToCall,
        known: Known<'_>,
        now: Instant,
    ) -> Result<[Whom; 2], Refusal> {
        if self.is_draining {
            return Err(Refusal::Draining);
        }
        let from = known.directory.find(&request.from, None, "from")?;
        let to = known.directory.find(&request.to, request.to_type, "to")?;
        if from == to {
            return Err(Refusal::SameParty);
        }
        let (of_from, of_to) = (known.can_be_rung(&from, "from", now), known.can_be_rung(&to, "to", now));
        // What no trying again will mend goes first.
        if let Err(refusal @ (Refusal::NoTrunk { .. } | Refusal::PolicyDenied { .. })) = of_to {
            return Err(refusal);
        }
        of_from.and(of_to)?;
        known.may_be_shown(request, &to)?;
        // Whoever calls for help passes the limits.
        if !known.is_emergency(&to) {
            self.admit_one_more(&request.key_name, known.calls)?;
        }
        Ok([from, to])
    }

    /// Whether one more call that somebody dials may begin: there is room, and not too many began in this second. One to an
    /// emergency number is not asked.
    pub(super) fn admit_dialled(&mut self, calls: &Calls, now: Instant) -> Result<(), Refusal> {
        self.admit_one_more("", calls)?;
        let most = self.limits.calls_per_second as usize;
        while self.dialled.front().is_some_and(|at| now.saturating_duration_since(*at) >= SECOND) {
            self.dialled.pop_front();
        }
        if self.dialled.len() >= most {
            return Err(Refusal::TooManyNewCalls { retry_after: SECOND });
        }
        self.dialled.push_back(now);
        Ok(())
    }

    /// Whether there is room for a call.
    pub(super) fn admit_one_more(&self, key_name: &str, calls: &Calls) -> Result<(), Refusal> {
        if calls.len() >= self.limits.calls
            || (!key_name.is_empty() && calls.key_has(key_name, self.limits.calls_per_key))
        {
            return Err(Refusal::TooManyCalls { retry_after: RETRY_AFTER });
        }
        Ok(())
    }
}

/// What whoever asks for a call is held against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) calls: &'a Calls,
    pub(super) directory: &'a Directory,
    pub(super) registrar: &'a Registrar,
    pub(super) trunks: &'a Trunks,
}

impl Known<'_> {
    fn is_emergency(self, whom: &Whom) -> bool {
        whom.party_type == PartyType::External && self.directory.is_emergency(&whom.number)
    }

    pub(super) fn can_be_rung(self, whom: &Whom, field: &'static str, now: Instant) -> Result<(), Refusal> {
        let mut whom = whom.clone();
        let mut forwards = 0;
        while whom.party_type != PartyType::External {
            if !self.registrar.bindings_of(whom.number.as_str(), now).is_empty() {
                return Ok(());
            }
            let forward = self.directory.forward_of(&whom.number).filter(|_| forwards < FORWARDS_MAX);
            let forward = forward.ok_or(Refusal::NotRegistered { field })?;
            whom = self.directory.find(&forward.to, None, field)?;
            forwards += 1;
        }
        let number = whom.number;
        self.trunks.can_take(&number, self.directory.is_emergency(&number), now).map_err(|why| match why {
            NoTrunk::Full => Refusal::NoChannel { number, retry_after: RETRY_AFTER },
            NoTrunk::None | NoTrunk::AllFailed => Refusal::NoTrunk { number, field },
        })
    }

    /// The numbers that are to be shown, as they are written everywhere, where they are numbers outside that may be.
    pub(super) fn complete(self, request: &mut ClickToCall) {
        let whole = |number: &Number| self.directory.international(number);
        for own in &mut request.caller_ids {
            *own = whole(own).unwrap_or_else(|| own.clone());
        }
        let Some(CallerId { number: Some(number), .. }) = &mut request.caller_id else { return };
        let is_ours = |number: &Number| request.caller_ids.contains(number) || self.trunks.owns(number);
        if let Some(whole) = whole(number).filter(is_ours) {
            *number = whole;
        }
    }

    /// Inside anything may be shown; outside, what the key is bound to or a trunk of ours has. A key that is bound shows
    /// nothing else anywhere.
    fn may_be_shown(self, request: &ClickToCall, to: &Whom) -> Result<(), Refusal> {
        let Some(CallerId { number: Some(number), .. }) = &request.caller_id else { return Ok(()) };
        let may = match request.caller_ids.is_empty() {
            false => request.caller_ids.contains(number),
            true => to.party_type != PartyType::External || self.trunks.own(&to.number, number),
        };
        if may { Ok(()) } else { Err(Refusal::CallerIdNotAllowed { number: number.clone() }) }
    }
}
