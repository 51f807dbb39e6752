//! What the scenario wants done.

use super::*;
use crate::scenario::{Action, Why};
use media_relay::Command;

impl RunningCall {
    pub(super) fn perform(&mut self, action: Action, moment: Moment) {
        match action {
            Action::Call { leg, order } => self.call(leg, order, moment),
            Action::Progress(leg, progress) => self.with_leg(leg, |leg| leg.tell_progress(progress)),
            Action::Answer(leg) => self.with_leg(leg, |leg| leg.answer(moment.now)),
            Action::HangUp(leg, why) => self.with_leg(leg, |leg| leg.hang_up(why, moment.now)),
            Action::Play { leg, sound, id } => self.play(leg, sound, id),
            Action::Stop(sound) => self.stop(sound),
            Action::Hear { whom, .. } => self.hear(whom),
            Action::Connect(one, other) => self.connect(one, other, moment),
            Action::Ask(ask) => self.actions.push_back(CallAction::Ask(ask)),
            Action::After(timer, time) => self.deadlines.set(Timer::Scenario(timer), moment.now + time),
            Action::Forget(timer) => self.deadlines.clear(Timer::Scenario(timer)),
            Action::Show(state) => self.show(state, moment),
            Action::Finish(end) => self.finish(end, moment),
        }
    }

    fn with_leg(&mut self, leg: LegId, act: impl FnOnce(&mut Leg)) {
        if let Some(in_call) = self.legs.get_mut(&leg) {
            act(&mut in_call.leg);
        }
    }

    fn call(&mut self, id: LegId, order: Box<Order>, moment: Moment) {
        let Order { party, rings_for, offers_codec_of, .. } = *order;
        let termination = Termination { session: self.session(), side: side(party) };
        let leg = Leg::outgoing(self.number, id, termination, self.session_id(), rings_for);
        // The view has one leg of each party: the last.
        for in_call in self.legs.values_mut().filter(|in_call| in_call.party == party) {
            in_call.is_shown = false;
        }
        self.legs.insert(id, LegInCall { offers_codec_of, ..LegInCall::new(leg, party) });
        self.heard.remove(&party);
        let view = self.view.party_mut(party);
        (view.ended_at, view.ringing_at, view.answered_at, view.sip_status) = (None, None, None, None);
        if party == Party::To {
            self.span.rung(moment.now);
        }
        self.actions.push_back(CallAction::Begins { leg: id, number: order.whom.number.clone() });
        self.actions.push_back(CallAction::Reach { leg: id, order });
    }

    fn play(&mut self, leg: LegId, sound: media_relay::Sound, id: SoundId) {
        let Some(in_call) = self.legs.get(&leg).filter(|in_call| in_call.format.is_some()) else { return };
        let (session, side) = (self.session(), side(in_call.party));
        self.sounds.insert(leg, id);
        self.actions.push_back(CallAction::Relay(Command::Play { session, side, sound }));
    }

    fn stop(&mut self, sound: SoundId) {
        let Some(leg) = self.sounds.iter().find_map(|(leg, playing)| (*playing == sound).then_some(*leg))
        else {
            return;
        };
        self.sounds.remove(&leg);
        if let Some(in_call) = self.legs.get(&leg) {
            let (session, side) = (self.session(), side(in_call.party));
            self.actions.push_back(CallAction::Relay(Command::Stop { session, side }));
        }
    }

    fn hear(&mut self, whom: LegId) {
        let Some(in_call) = self.legs.get(&whom) else { return };
        let Some(description) = in_call.early.clone() else { return };
        let (session, side) = (self.session(), side(in_call.party));
        self.actions.push_back(CallAction::Relay(Command::Describe { session, side, description }));
        self.actions.push_back(CallAction::Relay(Command::Listen { session, side }));
    }

    fn connect(&mut self, one: LegId, other: LegId, moment: Moment) {
        if !(self.legs.contains_key(&one) && self.legs.contains_key(&other)) {
            return;
        }
        self.connected = Some((one, other));
        self.sounds.clear();
        let session = self.session();
        self.actions.push_back(CallAction::Relay(Command::Connect { session }));
        for leg in [one, other] {
            // Whoever held before the other one answered holds it now.
            self.pass_wish(leg);
        }
        self.notice_talking(moment);
    }

    fn show(&mut self, state: CallState, moment: Moment) {
        self.view.state = state;
        match state {
            CallState::Connected => {
                self.view.connected_at = Some(self.clock.at(moment.now));
                self.span.connected(moment.now);
                self.happened(CallEventKind::Connected, None, moment);
                self.notice_talking(moment);
            }
            CallState::CallingFrom | CallState::CallingTo | CallState::Talking | CallState::Ended => {
                self.changed(moment);
            }
        }
    }

    fn finish(&mut self, end: End, moment: Moment) {
        self.span.decided(moment.now);
        let refused = end.sip_status.filter(|status| *status >= 300);
        for in_call in self.legs.values_mut() {
            // What the other one said is of no concern to the one who said it.
            let refused = refused.filter(|_| end.party.is_some_and(|party| party != in_call.party));
            in_call.leg.hang_up(refused.map_or(Why::Over, Why::Refused), moment.now);
        }
        self.phase = Phase::Ending(end);
    }
}
