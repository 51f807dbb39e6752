//! What the scenario wants done.

use super::legs::media_of;
use super::*;
use crate::scenario::{Action, Foreign, Why};
use call_control::{EndReason, Reached};
use media_relay::{Command, Playback, Sound, TerminationId, Topology};
use sdp::Direction;

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
            Action::Adopt { leg, party, foreign } => self.adopt(leg, party, foreign),
            Action::Part(one, other) => self.part(one, other),
            Action::Hold(leg) => self.with_leg(leg, |leg| leg.tell_wish(Direction::SendOnly)),
            Action::Resume(leg) => self.with_leg(leg, |leg| leg.tell_wish(Direction::SendRecv)),
            Action::Notify(leg, status) => self.with_leg(leg, |leg| leg.notify(status)),
            Action::Note(step) => self.note(step, moment),
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
        let is_taken =
            |seat| self.legs.values().any(|in_call| in_call.seat == seat && in_call.format.is_some());
        let free = self.seats.free(party, is_taken);
        let is_new = free.is_none();
        let seat = free.unwrap_or_else(|| self.seats.add(party, None));
        let termination = Termination { session: self.session(), id: seat };
        let gives_up_at = moment.now + rings_for;
        let leg = Leg::outgoing(self.number, id, termination, self.session_id(), gives_up_at);
        let in_call = LegInCall {
            order: Some((*order).clone()),
            ..LegInCall::new(leg, party, seat, order.whom.clone())
        };
        // Whoever is to take the place of somebody is shown when it has.
        let takes_a_place = self.shown(party).is_some_and(|shown| shown.format.is_some());
        self.legs.insert(id, LegInCall { is_shown: false, ..in_call });
        if !takes_a_place {
            self.show_leg(id);
            self.heard.remove(&party);
            let view = self.view.party_mut(party);
            (view.ended_at, view.ringing_at, view.answered_at, view.sip_status) = (None, None, None, None);
            if party == Party::To {
                self.span.rung(moment.now);
            }
        }
        let number = order.whom.number.clone();
        self.actions.push_back(CallAction::Begins { leg: id, number });
        if is_new {
            self.actions.push_back(CallAction::Open { termination: seat, whom: order.whom });
        } else if self.seats.rtp(seat).is_some() {
            self.actions.push_back(CallAction::Reach { leg: id, order });
        }
    }

    /// The leg that the view shows of a party.
    pub(super) fn shown(&self, party: Party) -> Option<&LegInCall> {
        self.legs.values().find(|in_call| in_call.party == party && in_call.is_shown)
    }

    /// The view has one leg of each party: this one from now on.
    fn show_leg(&mut self, leg: LegId) {
        let Some(party) = self.legs.get(&leg).map(|in_call| in_call.party) else { return };
        for (id, in_call) in self.legs.iter_mut().filter(|(_, in_call)| in_call.party == party) {
            in_call.is_shown = *id == leg;
        }
    }

    /// A leg that was not shown has taken the place of the party.
    fn takes_place(&mut self, leg: LegId) {
        let Some(in_call) = self.legs.get(&leg).filter(|in_call| !in_call.is_shown) else { return };
        let view = self.view.party_mut(in_call.party);
        view.reached =
            Some(Reached { number: in_call.whom.number.clone(), party_type: in_call.whom.party_type });
        (view.state, view.ended_at) = (PartyState::Answered, None);
        view.trunk = in_call.trunk.clone();
        view.sip_call_id = in_call.sip_call_id.as_deref().map(Into::into);
        view.media = in_call.format.as_ref().map(|format| media_of(&format.name));
        self.show_leg(leg);
    }

    fn play(&mut self, leg: LegId, sound: Sound, id: SoundId) {
        let Some(in_call) = self.legs.get(&leg).filter(|in_call| in_call.format.is_some()) else { return };
        let (session, termination) = (self.session(), in_call.seat);
        // Keys take no sound's place.
        if !matches!(sound, Sound::Keys(_)) {
            self.sounds.insert(leg, id);
        }
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
            let (session, termination, play) = (self.session(), in_call.seat, sound.into());
            self.actions.push_back(CallAction::Relay(Command::Stop { session, termination, play }));
        }
    }

    fn hear(&mut self, who: LegId, whom: LegId) {
        let (Some(hearer), Some(heard)) = (self.legs.get(&who), self.legs.get(&whom)) else { return };
        let Some(description) = heard.early.clone() else { return };
        let session = self.session();
        let (one, other) = (heard.seat, hearer.seat);
        let describe = Command::Describe { session, termination: one, description };
        self.actions.push_back(CallAction::Relay(describe));
        self.link(one, other, Topology::OneWay);
    }

    fn link(&mut self, one: TerminationId, other: TerminationId, topology: Topology) {
        let link = Command::Link { session: self.session(), one, other, topology };
        self.actions.push_back(CallAction::Relay(link));
    }

    fn connect(&mut self, one: LegId, other: LegId, moment: Moment) {
        let (Some(this), Some(that)) = (self.seat_of(one), self.seat_of(other)) else { return };
        for leg in [one, other] {
            self.takes_place(leg);
        }
        self.connected = Some((one, other));
        for sound in self.sounds.values().copied().collect::<Vec<_>>() {
            self.stop(sound);
        }
        self.link(this, that, Topology::BothWay);
        let told = [(one, other), (other, one)].map(|(leg, partner)| self.identify(leg, partner));
        for leg in [one, other] {
            // Whoever held before the other one answered holds it now.
            self.pass_wish(leg);
        }
        let tell = |invite| CallAction::Sip(sip_core::Command::TellIdentity { invite });
        self.actions.extend(told.into_iter().flatten().map(tell));
        self.notice_talking(moment);
    }

    /// A phone of ours that has a call with somebody else by now is to show that one; carriers are not told (RFC 4916 is
    /// for phones, and what they show is theirs).
    fn identify(&mut self, leg: LegId, partner: LegId) -> Option<InviteId> {
        let partner = self.legs.get(&partner)?;
        let (party, number) = (partner.party, partner.whom.number.clone());
        let in_call = self.legs.get_mut(&leg)?;
        let is_other = in_call.knows.replace(number.clone()).is_some_and(|known| known != number);
        let invite = in_call.leg.talking().filter(|_| is_other && in_call.trunk.is_none())?;
        let shows = self.shown_of(party);
        self.actions.push_back(CallAction::Identify { invite, shows });
        Some(invite)
    }

    fn seat_of(&self, leg: LegId) -> Option<TerminationId> {
        self.legs.get(&leg).map(|in_call| in_call.seat)
    }

    fn part(&mut self, one: LegId, other: LegId) {
        let (Some(this), Some(that)) = (self.seat_of(one), self.seat_of(other)) else { return };
        self.connected = None;
        self.link(this, that, Topology::Isolate);
    }

    fn adopt(&mut self, leg: LegId, party: Party, foreign: Foreign) {
        self.actions.push_back(CallAction::Adopt { leg, party, foreign });
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
        let refused = end.sip_status.filter(|status| *status >= 300).or_else(|| status_for(end.reason));
        for in_call in self.legs.values_mut() {
            // What the other one said is of no concern to the one who said it.
            let refused = refused.filter(|_| end.party.is_some_and(|party| party != in_call.party));
            in_call.leg.hang_up(refused.map_or(Why::Over, Why::Refused), moment.now);
        }
        self.phase = Phase::Ending(end);
    }
}

/// What a party is told of an end of which nobody has said anything: whoever was called is not the one who is away.
const fn status_for(reason: EndReason) -> Option<u16> {
    match reason {
        EndReason::TrunkFailed => Some(504),
        EndReason::LimitReached => Some(503),
        EndReason::LoopDetected => Some(482),
        EndReason::PolicyDenied => Some(403),
        EndReason::NoCommonCodec => Some(488),
        EndReason::HungUp
        | EndReason::Cancelled
        | EndReason::NoAnswer
        | EndReason::Busy
        | EndReason::Declined
        | EndReason::Unreachable
        | EndReason::NotFound
        | EndReason::Refused
        | EndReason::MediaTimeout
        | EndReason::SessionExpired
        | EndReason::MaxDuration
        | EndReason::Transferred
        | EndReason::TransferFailed
        | EndReason::ServerStopped
        | EndReason::ServerCrashed
        | EndReason::InternalError => None,
    }
}
