//! What legs tell.

use super::*;
use crate::leg::{Information, LegAction, LegEvent};
use crate::scenario::Progress;
use call_control::{Media, STEPS_MAX, Step, StepKind};
use media_relay::Description;
use sdp::Format;

/// A leg, and what the call knows of it.
#[derive(Debug)]
pub(super) struct LegInCall {
    pub(super) leg: Leg,
    /// Whom it stands for.
    pub(super) party: Party,
    /// Where its audio comes in.
    pub(super) seat: TerminationId,
    /// Who that is.
    pub(super) whom: Whom,
    pub(super) sip_call_id: Option<Box<str>>,
    /// Through which it is reached.
    pub(super) trunk: Option<Box<str>>,
    /// The view shows this one of the legs of its party.
    pub(super) is_shown: bool,
    /// Whom its phone knows that it talks to.
    pub(super) knows: Option<Number>,
    /// Its user wants to be shown to nobody.
    pub(super) is_hidden: bool,
    /// How often it was sent elsewhere.
    pub(super) redirected: u8,
    /// What it was told to do, where it rings somebody.
    pub(super) order: Option<Order>,
    /// What was agreed; `None` before it answered.
    pub(super) format: Option<Format>,
    /// What may be heard before it answers.
    pub(super) early: Option<Description>,
}

/// A dialog of a leg, as it is traced.
#[derive(Debug)]
pub(crate) struct Dialog {
    /// Whose phone it is with.
    pub of: Number,
    /// Through which it is reached.
    pub trunk: Option<Box<str>>,
    pub sip_call_id: Box<str>,
    pub flow: Flow,
}

impl LegInCall {
    pub(super) fn dialog(&self, sip_call_id: Box<str>, flow: Flow) -> Dialog {
        Dialog { of: self.whom.number.clone(), trunk: self.trunk.clone(), sip_call_id, flow }
    }

    pub(super) const fn new(leg: Leg, party: Party, seat: TerminationId, whom: Whom) -> Self {
        Self {
            leg,
            party,
            seat,
            whom,
            sip_call_id: None,
            trunk: None,
            is_shown: true,
            knows: None,
            is_hidden: false,
            redirected: 0,
            order: None,
            format: None,
            early: None,
        }
    }
}

impl RunningCall {
    pub(super) fn handle_leg(&mut self, leg: LegId, action: LegAction, moment: Moment) {
        match action {
            LegAction::Sip(command) => self.actions.push_back(CallAction::Sip(command)),
            LegAction::Relay(command) => self.actions.push_back(CallAction::Relay(command)),
            LegAction::Tell(event) => self.handle_leg_event(leg, event, moment),
        }
    }

    fn handle_leg_event(&mut self, leg: LegId, event: LegEvent, moment: Moment) {
        match event {
            LegEvent::Sent { sip_call_id, flow } => self.leg_sent(leg, sip_call_id, flow),
            LegEvent::Exhausted { failure, contacts } => {
                self.actions.push_back(CallAction::ReachOn { leg, failure, contacts });
            }
            LegEvent::Progress { status } => self.leg_rings(leg, status, moment),
            LegEvent::EarlyMedia { status, description } => {
                if let Some(in_call) = self.legs.get_mut(&leg) {
                    in_call.early = Some(description);
                }
                self.tell(Event::Rings(leg, Progress::EarlyMedia(status)));
            }
            LegEvent::Answered { format, status } => self.leg_answered(leg, format, status, moment),
            LegEvent::CodecChanged(format) => self.codec_changed(leg, format, moment),
            LegEvent::Wishes => {
                self.pass_wish(leg);
                self.note_hold(leg, moment);
            }
            LegEvent::Refers(refer) => self.actions.push_back(CallAction::Refer { leg, refer }),
            LegEvent::Informed(information) => self.pass_information(leg, information),
            LegEvent::Gone(end) => self.leg_gone(leg, end, moment),
        }
    }

    /// The leg that this one is connected with.
    pub(super) fn partner(&self, leg: LegId) -> Option<LegId> {
        match self.connected? {
            (one, other) if one == leg => Some(other),
            (one, other) if other == leg => Some(one),
            _ => None,
        }
    }

    /// The codecs to offer: first the one that is in use with `first`, so that nothing needs to be transcoded where it
    /// can do without.
    pub(super) fn offered(&self, codecs: Vec<Codec>, first: Option<LegId>) -> Vec<Codec> {
        let taken = first.and_then(|first| self.legs.get(&first)?.format.as_ref());
        let offered = || first.and_then(|first| self.legs.get(&first)?.leg.offers());
        match taken.and_then(|format| Codec::from_name(&format.name)) {
            Some(taken) => {
                let others = codecs.into_iter().filter(|codec| *codec != taken);
                std::iter::once(taken).chain(others).collect()
            }
            // Whoever calls has not agreed to anything yet: what it offers first is offered first.
            None => match offered() {
                Some(theirs) => {
                    let (known, others): (Vec<Codec>, Vec<Codec>) =
                        codecs.into_iter().partition(|codec| theirs.contains(codec));
                    let known = theirs.into_iter().filter(|codec| known.contains(codec));
                    known.chain(others).collect()
                }
                None => codecs,
            },
        }
    }

    /// The other party is told what this one wants: hold, or its end.
    pub(super) fn pass_wish(&mut self, leg: LegId) {
        let Some(partner) = self.partner(leg) else { return };
        let Some(wish) = self.legs.get(&leg).map(|in_call| in_call.leg.wish()) else { return };
        if let Some(in_call) = self.legs.get_mut(&partner) {
            in_call.leg.tell_wish(wish);
        }
    }

    /// What one party says in an INFO is for the other one, once they talk.
    fn pass_information(&mut self, leg: LegId, information: Information) {
        if let Some(in_call) = self.partner(leg).and_then(|partner| self.legs.get_mut(&partner)) {
            in_call.leg.inform(information);
        }
    }

    fn leg_sent(&mut self, leg: LegId, sip_call_id: Box<str>, flow: Flow) {
        let Some(in_call) = self.legs.get_mut(&leg) else { return };
        in_call.sip_call_id = Some(sip_call_id.clone());
        let party = in_call.party;
        let dialog = in_call.dialog(sip_call_id, flow);
        if in_call.is_shown {
            self.view.party_mut(party).sip_call_id = Some(dialog.sip_call_id.to_string());
        }
        self.actions.push_back(CallAction::Sent { party, dialog });
    }

    fn leg_rings(&mut self, leg: LegId, status: u16, moment: Moment) {
        let Some(in_call) = self.legs.get(&leg) else { return };
        if in_call.is_shown {
            let (party, at) = (in_call.party, self.clock.at(moment.now));
            let view = self.view.party_mut(party);
            view.state = PartyState::Ringing;
            view.sip_status = Some(status);
            // What follows it is no second ringing.
            match view.ringing_at {
                None => {
                    view.ringing_at = Some(at);
                    self.happened(CallEventKind::Ringing, Some(party), moment);
                }
                Some(_) => self.changed(moment),
            }
        }
        self.tell(Event::Rings(leg, Progress::Status(status)));
    }

    fn leg_answered(&mut self, leg: LegId, format: Format, status: u16, moment: Moment) {
        let Some(in_call) = self.legs.get_mut(&leg) else { return };
        let (party, codec) = (in_call.party, format.name.to_string());
        in_call.format = Some(format);
        if in_call.is_shown {
            let at = self.clock.at(moment.now);
            self.heard.entry(party).or_default().answered = Some(moment.now);
            let view = self.view.party_mut(party);
            view.state = PartyState::Answered;
            view.answered_at = Some(at);
            view.sip_status = Some(status);
            view.media = Some(media_of(&codec));
            if party == Party::To {
                self.span.rung_no_more(moment.now);
            }
            self.happened(CallEventKind::Answered, Some(party), moment);
        }
        self.tell(Event::Answered(leg));
    }

    fn codec_changed(&mut self, leg: LegId, format: Format, moment: Moment) {
        let Some(in_call) = self.legs.get_mut(&leg) else { return };
        let party = in_call.party;
        if let Some(media) = self.view.party_mut(party).media.as_mut().filter(|_| in_call.is_shown) {
            media.codec = format.name.to_string();
        }
        in_call.format = Some(format);
        self.changed(moment);
    }

    /// Where somebody else has taken the place of a party, or has not, nobody sits any more.
    fn give_up_seat(&mut self, gone: &LegInCall) {
        let party = gone.party;
        let is_shown_elsewhere = self
            .legs
            .values()
            .any(|in_call| in_call.party == party && in_call.is_shown && in_call.seat != gone.seat);
        let is_used = self.legs.values().any(|in_call| in_call.seat == gone.seat);
        if is_shown_elsewhere && !is_used && self.seats.remove(gone.seat).is_some() {
            let remove = media_relay::Command::Remove { session: self.session(), termination: gone.seat };
            self.actions.push_back(CallAction::Relay(remove));
        }
    }

    /// A phone that holds the other party, or holds it no more, is told of once.
    fn note_hold(&mut self, leg: LegId, moment: Moment) {
        let Some(partner) = self.partner(leg) else { return };
        let (Some(holder), Some(other)) = (self.legs.get(&leg), self.legs.get(&partner)) else { return };
        let (is_held, party) = (!holder.leg.wish().receives(), other.party);
        let was_held = self.held_by_phones.contains(&party);
        if is_held == was_held {
            return;
        }
        let step = if is_held {
            self.held_by_phones.insert(party);
            StepKind::Held
        } else {
            self.held_by_phones.remove(&party);
            StepKind::Resumed
        };
        self.note(scenario::Step { step, party, number: None, sip_status: None }, moment);
    }

    /// Keeps a step, and tells it where it is an event. What comes beyond the most that are kept is not told either.
    pub(super) fn note(&mut self, step: scenario::Step, moment: Moment) {
        if self.view.path.len() >= STEPS_MAX {
            return;
        }
        let scenario::Step { step, party, number, sip_status } = step;
        let at = self.clock.at(moment.now);
        self.view.path.push(Step { at, step, party: Some(party), number, sip_status });
        let event = match step {
            StepKind::Held => CallEventKind::Held,
            StepKind::Resumed => CallEventKind::Resumed,
            StepKind::TransferCompleted => CallEventKind::Transferred,
            StepKind::Forwarded
            | StepKind::TransferStarted
            | StepKind::TransferFailed
            | StepKind::TransferDenied => return self.changed(moment),
        };
        self.happened(event, Some(party), moment);
    }

    fn leg_gone(&mut self, leg: LegId, end: LegEnd, moment: Moment) {
        let Some(in_call) = self.legs.remove(&leg) else { return };
        self.sounds.remove(&leg);
        self.give_up_seat(&in_call);
        if self.connected.is_some_and(|(one, other)| one == leg || other == leg) {
            self.connected = None;
        }
        if in_call.is_shown {
            let at = self.clock.at(moment.now);
            let view = self.view.party_mut(in_call.party);
            view.state = PartyState::Gone;
            view.ended_at = Some(at);
            // Of all its phones: what a single one of them said does not speak for the party.
            if let LegEnd::Refused { status } = end {
                view.sip_status = Some(status);
            }
            if in_call.party == Party::To {
                self.span.rung_no_more(moment.now);
            }
        }
        self.actions.push_back(CallAction::Ends(leg));
        self.changed(moment);
        self.tell(Event::Gone(leg, end));
    }
}

/// The audio of a party that has just answered.
pub(super) fn media_of(codec: &str) -> Media {
    Media {
        codec: codec.into(),
        packets_received: 0,
        packets_lost: 0,
        packets_from_strangers: 0,
        strangers: Vec::new(),
        packets_not_agreed: 0,
        jitter_ms: 0.0,
        mos: None,
        first_packet_ms_after_answer: None,
    }
}
