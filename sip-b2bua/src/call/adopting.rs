//! A leg that goes from one call into another.

use super::legs::LegInCall;
use super::*;

/// A leg that its call has given away.
#[derive(Debug)]
pub(crate) struct Given {
    in_call: LegInCall,
    rtp: Option<SocketAddr>,
}

impl Given {
    /// Where its audio comes in, in the session of the call that it leaves.
    pub(crate) const fn seat(&self) -> TerminationId {
        self.in_call.seat
    }

    /// Its dialog, where it has one.
    pub(crate) fn dialog(&self) -> Option<Dialog> {
        Some(self.in_call.dialog(self.in_call.sip_call_id.clone()?, self.in_call.leg.flow()?))
    }
}

impl RunningCall {
    /// Gives a leg away: [`RunningCall::lose`] follows.
    pub(crate) fn give(&mut self, leg: LegId, moment: Moment) -> Option<Given> {
        let at = self.clock.at(moment.now);
        let is_hidden = |shows: Shows| shows.caller_id.is_some_and(|shown| shown.number.is_none());
        let hides = self.legs.get(&leg).is_some_and(|in_call| is_hidden(self.shown_of(in_call.party)));
        let mut in_call = self.legs.remove(&leg)?;
        in_call.is_hidden = hides;
        if in_call.is_shown {
            let view = self.view.party_mut(in_call.party);
            (view.state, view.ended_at) = (PartyState::Gone, Some(at));
        }
        self.sounds.remove(&leg);
        self.connected = None;
        let rtp = self.seats.remove(in_call.seat);
        Some(Given { in_call, rtp })
    }

    /// Takes a leg of another call over; where its audio is to come in.
    pub(crate) fn take_over(&mut self, leg: LegId, party: Party, given: Given) -> TerminationId {
        let Given { mut in_call, rtp } = given;
        let seat = self.seats.add(party, rtp);
        in_call.leg.moves_to(Termination { session: self.session(), id: seat });
        (in_call.party, in_call.seat, in_call.is_shown, in_call.order) = (party, seat, false, None);
        if in_call.trunk.is_some() && self.view.direction == CallDirection::Internal {
            self.view.direction = CallDirection::Outbound;
        }
        self.legs.insert(leg, in_call);
        seat
    }

    /// The leg is here, with its audio.
    pub(crate) fn taken_over(&mut self, leg: LegId, moment: Moment) {
        self.tell(Event::Answered(leg));
        self.settle(moment);
    }

    /// It is not: its call is over, or does something else.
    pub(crate) fn cannot_take_over(&mut self, leg: LegId, moment: Moment) {
        self.tell(Event::Gone(leg, LegEnd::Unreachable));
        self.settle(moment);
    }

    /// A leg has gone into another call.
    pub(crate) fn lose(&mut self, leg: LegId, into: CallId, moment: Moment) {
        self.goes_into(Some(into));
        self.tell(Event::Gone(leg, LegEnd::TakenOver));
        self.settle(moment);
    }

    /// What ends as `transferred` names that call.
    pub(crate) fn goes_into(&mut self, into: Option<CallId>) {
        self.into = into;
    }
}
