//! What the scenario wants done.

use super::*;
use crate::scenario::{Action, Why};
use media_relay::{Command, Playback, TerminationId, Topology};

impl RunningCall {
    pub(super) fn perform(&mut self, action: Action, moment: Moment) {
        match action {
            Action::Call { leg, order } => self.call(leg, order, moment),
            Action::Progress(leg, progress) => self.with_leg(leg, |leg| leg.tell_progress(progress)),
            Action::Answer(leg) => self.answer(leg, moment),
            Action::HangUp(leg, why) => self.with_leg(leg, |leg| leg.hang_up(why, moment.now)),
            Action::Play { leg, sound, id } => self.play(leg, sound, id),
            Action::Stop(sound) => self.stop(sound),
            Action::Hear { who, whom } => self.hear(who, whom),
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

    /// The one that calls gets the codec that the other one has taken, if it offered it.
    fn answer(&mut self, id: LegId, moment: Moment) {
        let others = self.legs.iter().filter(|(other, _)| **other != id);
        let taken = others.filter_map(|(_, in_call)| in_call.format.clone()).next();
        self.with_leg(id, |leg| leg.answer(taken.as_ref(), moment.now));
    }

    fn call(&mut self, id: LegId, order: Box<Order>, moment: Moment) {
        let Order { party, rings_for, .. } = *order;
        let termination = Termination { session: self.session(), id: termination_of(party) };
        let gives_up_at = moment.now + rings_for;
        let leg = Leg::outgoing(self.number, id, termination, self.session_id(), gives_up_at);
        // The view has one leg of each party: the last.
        for in_call in self.legs.values_mut().filter(|in_call| in_call.party == party) {
            in_call.is_shown = false;
        }
        self.legs.insert(id, LegInCall { order: Some((*order).clone()), ..LegInCall::new(leg, party) });
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
        let (session, termination) = (self.session(), termination_of(in_call.party));
        self.sounds.insert(leg, id);
        // Whom the leg hears already, before the other has answered, is heard in its place.
        let sound = Playback { sound, gives_way: true, lasts: None };
        let play = id.into();
        self.actions.push_back(CallAction::Relay(Command::Play { session, termination, play, sound }));
    }

    fn stop(&mut self, sound: SoundId) {
        let Some(leg) = self.sounds.iter().find_map(|(leg, playing)| (*playing == sound).then_some(*leg))
        else {
            return;
        };
        self.sounds.remove(&leg);
        if let Some(in_call) = self.legs.get(&leg) {
            let (session, termination, play) = (self.session(), termination_of(in_call.party), sound.into());
            self.actions.push_back(CallAction::Relay(Command::Stop { session, termination, play }));
        }
    }

    fn hear(&mut self, who: LegId, whom: LegId) {
        let (Some(hearer), Some(heard)) = (self.legs.get(&who), self.legs.get(&whom)) else { return };
        let Some(description) = heard.early.clone() else { return };
        let session = self.session();
        let (one, other) = (termination_of(heard.party), termination_of(hearer.party));
        let describe = Command::Describe { session, termination: one, description };
        self.actions.push_back(CallAction::Relay(describe));
        self.link(one, other, Topology::OneWay);
    }

    fn link(&mut self, one: TerminationId, other: TerminationId, topology: Topology) {
        let link = Command::Link { session: self.session(), one, other, topology };
        self.actions.push_back(CallAction::Relay(link));
    }

    fn connect(&mut self, one: LegId, other: LegId, moment: Moment) {
        let party_of = |leg| self.legs.get(&leg).map(|in_call| termination_of(in_call.party));
        let (Some(this), Some(that)) = (party_of(one), party_of(other)) else { return };
        self.connected = Some((one, other));
        for sound in self.sounds.values().copied().collect::<Vec<_>>() {
            self.stop(sound);
        }
        self.link(this, that, Topology::BothWay);
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
