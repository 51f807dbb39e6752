//! Legs that go from one call into another: an attended transfer makes one call of two.
//!
//! The INVITE of such a leg keeps its name, which says where it began; where its events belong is known here.

use super::{Action, Switchboard};
use crate::moment::Moment;
use crate::place::{CallNumber, Place};
use crate::scenario::{Foreign, LegId};
use call_control::Party;
use sip_core::InviteId;
use std::collections::BTreeMap;

/// Where legs have gone.
#[derive(Debug, Default)]
pub(super) struct Adopted {
    /// From where they began to where they are.
    gone_to: BTreeMap<Key, Key>,
}

type Key = (CallNumber, LegId);

impl Adopted {
    /// Where the events of an INVITE belong.
    pub(super) fn place_of(&self, invite: InviteId) -> Place {
        let place = Place::from(invite);
        let (call, leg) =
            self.gone_to.get(&(place.call, place.leg)).copied().unwrap_or((place.call, place.leg));
        Place { call, leg, ..place }
    }

    /// A leg that began in this call lives in another one: a call that begins would get its events.
    pub(super) fn has_leg_of(&self, call: CallNumber) -> bool {
        self.gone_to.range((call, LegId(0))..=(call, LegId(u16::MAX))).next().is_some()
    }

    fn moved(&mut self, before: Key, after: Key) {
        let began = self.gone_to.iter().find(|(_, is)| **is == before).map(|(began, _)| *began);
        self.gone_to.insert(began.unwrap_or(before), after);
    }

    pub(super) fn end(&mut self, leg: Key) {
        self.gone_to.retain(|_, is| *is != leg);
    }

    pub(super) fn end_all_of(&mut self, call: CallNumber) {
        self.gone_to.retain(|_, (is_in, _)| *is_in != call);
    }
}

impl Switchboard {
    /// A leg of another call is from now on one of this. That call is told so, and ends.
    pub(super) fn adopt(
        &mut self,
        number: CallNumber,
        (leg, party): (LegId, Party),
        foreign: Foreign,
        moment: Moment,
    ) {
        let before = (foreign.call, foreign.leg);
        let into = self.calls.id_of(number);
        let given = self.calls.machine(foreign.call).and_then(|call| call.give(foreign.leg, moment));
        let (Some(given), Some(into)) = (given, into) else {
            return self.with_call(number, moment, |call| call.cannot_take_over(leg, moment));
        };
        let (session, termination) = (foreign.call.into(), given.seat());
        if let Some(dialog) = given.dialog() {
            self.trace_dialog(number, party, &dialog, moment);
        }
        let after = (number, leg);
        self.lines.moved(before, after);
        self.trunks.moved(before, after);
        self.adopted.moved(before, after);
        let Some(call) = self.calls.machine(number) else { return };
        let name = call.take_over(leg, party, given);
        let to = number.into();
        self.actions.push_back(Action::Relay(media_relay::Command::Move { session, termination, to, name }));
        self.with_call(number, moment, |call| call.taken_over(leg, moment));
        self.with_call(foreign.call, moment, |call| call.lose(foreign.leg, into, moment));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_a_leg_that_has_gone_twice_belong_where_it_is() {
        let key = |call, leg| (CallNumber(call), LegId(leg));
        let invite = InviteId::from(Place { call: CallNumber(1), leg: LegId(2), fork: 3 });
        let mut adopted = Adopted::default();
        adopted.moved(key(1, 2), key(5, 3));
        adopted.moved(key(5, 3), key(7, 4));
        assert_eq!(adopted.place_of(invite), Place { call: CallNumber(7), leg: LegId(4), fork: 3 });
        assert!(adopted.has_leg_of(CallNumber(1)) && !adopted.has_leg_of(CallNumber(5)));
        adopted.end(key(7, 4));
        assert_eq!(adopted.place_of(invite), Place::from(invite));
        adopted.moved(key(1, 2), key(5, 3));
        adopted.end_all_of(CallNumber(5));
        assert!(adopted.gone_to.is_empty());
    }
}
