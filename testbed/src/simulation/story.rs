//! One call between raw phones, from the request to the last trace of it.

use super::{PhoneId, RawPhone, RawScript, World, seconds};
use call_control::CallEventKind::{Answered, Connected, Ringing, Talking};
use call_control::{Call, CallId, ClickToCall, Party, PartyState};
use sip_message::{FieldName, Method, Reason, Request};
use std::sync::Arc;
use std::time::Duration;

/// A call of 1001 and 1002, each with some raw phones.
pub struct Story {
    /// Everything.
    pub world: World,
    /// The call.
    pub call: CallId,
    phones: [Vec<PhoneId>; 2],
}

impl Story {
    /// Registers the phones of `from` and of `to`, and asks for the call.
    pub fn of(from: &[RawScript], to: &[RawScript]) -> Self {
        Self::asked(World::request("1001", "1002"), from, to)
    }

    /// The same with a request of its own.
    pub fn asked(request: ClickToCall, from: &[RawScript], to: &[RawScript]) -> Self {
        let mut world = World::with_seed(1);
        let mut plug_in = |user, scripts: &[RawScript]| {
            scripts.iter().map(|script| world.raw_phone(user, script.clone())).collect()
        };
        let phones = [plug_in("1001", from), plug_in("1002", to)];
        world.register_all();
        let call = world.click_to_call(request).expect("both are registered");
        Self { world, call, phones }
    }

    /// `party` has these phones, the other one a phone that answers after 0.3 s.
    pub fn where_one_is(party: Party, scripts: &[RawScript]) -> Self {
        Self::asked_where_one_is(World::request("1001", "1002"), party, scripts)
    }

    /// The same with a request of its own.
    pub fn asked_where_one_is(request: ClickToCall, party: Party, scripts: &[RawScript]) -> Self {
        let other = [RawScript::answers_after(0.3)];
        match party {
            Party::From => Self::asked(request, scripts, &other),
            Party::To => Self::asked(request, &other, scripts),
        }
    }

    /// A phone of a party.
    pub fn phone(&self, party: Party, index: usize) -> &RawPhone {
        self.world.raw(self.id(party, index))
    }

    /// The name of a phone of a party.
    pub fn id(&self, party: Party, index: usize) -> PhoneId {
        self.phones[party as usize][index]
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: f64) {
        self.world.run_for(seconds(time));
    }

    /// The API hangs up.
    pub fn hang_up(&mut self) {
        self.world.hang_up(self.call);
    }

    /// Runs to the end and beyond, and checks that nothing is left: in the server, in the record, and at any phone.
    pub fn end(&mut self) -> Arc<Call> {
        let call = self.end_despite_losses();
        for phone in self.phones.iter().flatten() {
            let raw = self.world.raw(*phone);
            assert!(!raw.has_unacknowledged(), "{:?}\n{}", raw.standing(), self.world.story());
        }
        call
    }

    /// The same on a network that loses packets.
    pub fn end_despite_losses(&mut self) -> Arc<Call> {
        let call = self.world.run_until_ended(self.call);
        let kinds = self.world.events_of(self.call);
        for (kind, most) in [(Ringing, 2), (Answered, 2), (Connected, 1), (Talking, 1)] {
            assert!(kinds.iter().filter(|it| **it == kind).count() <= most, "{kinds:?}");
        }
        for party in [&call.from, &call.to] {
            let over = party.state == PartyState::Gone && party.ended_at.is_some();
            assert!(over || party.state == PartyState::Waiting, "{party:?}");
        }
        for phone in self.phones.iter().flatten() {
            let raw = self.world.raw(*phone);
            assert!(!raw.is_left_alone(), "{:?}\n{}", raw.standing(), self.world.story());
        }
        call
    }

    /// How many requests of that method a phone got.
    pub fn count(&self, party: Party, index: usize, method: &Method) -> usize {
        self.phone(party, index).received(method).len()
    }

    /// What the CANCEL or BYE that a phone got gives as its reason (RFC 3326).
    pub fn told(&self, party: Party, index: usize) -> Option<Reason> {
        let phone = self.phone(party, index);
        let ends = [Method::CANCEL, Method::BYE];
        let mut requests = ends.iter().flat_map(|method| phone.received(method));
        requests.find_map(|request: &Request| {
            Reason::parse_list(request.header.fields.get(&FieldName::REASON)?).ok()?.into_iter().next()
        })
    }

    /// How long a call that has ended took from the request on.
    pub fn took(call: &Call) -> Duration {
        let end = call.ended_at.expect("it has ended").unix_milliseconds();
        let milliseconds = u64::try_from(end - call.created_at.unix_milliseconds()).expect("time runs on");
        Duration::from_millis(milliseconds)
    }
}
