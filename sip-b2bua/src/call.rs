//! One running call: the scenario, its legs by name, its relay session, and what the API shows of it.
//!
//! The scenario decides; here its actions become those of legs and relay, and what legs and relay report becomes
//! its events and the view. The record is complete when [`CallAction::Over`] comes.
#![doc = include_str!("call/crossings.md")]

mod actions;
mod adopting;
#[cfg(test)]
mod crossings;
mod legs;
mod seats;
mod span;
mod statistics;

use crate::leg::{Arrival, Leg, Refer, Routes, Termination};
use crate::media::Announced;
use crate::moment::{CallClock, Moment};
use crate::place::CallNumber;
use crate::routing::{Diversion, DiversionReason, add_diversion};
use crate::scenario::{
    self, Actions, Ask, EndCause, Event, Foreign, LegEnd, LegId, Order, Scenario, Shows, SoundId, Told, Whom,
    Wish,
};
use crate::trunks::Failure;
use audio::Codec;
use call_control::{
    Call, CallDirection, CallEventKind, CallId, CallState, CallerId, End, EndReason, NotNow, Number, Party,
    PartyState, PartyType, Reached, StepKind, Timestamp,
};
use deadlines::Deadlines;
pub(crate) use legs::Dialog;
use legs::LegInCall;
use media_relay::{SessionId, Statistics, TerminationId};
pub(crate) use seats::Seats;
use sip_core::{Flow, InviteEvent, InviteId};
use sip_message::{FieldName, StatusCode, Uri};
use span::Span;
use statistics::Heard;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What a call wants done, in order.
#[derive(Debug)]
pub(crate) enum CallAction {
    Sip(sip_core::Command),
    Relay(media_relay::Command),
    /// Whom is this leg to ring? Answered by `RunningCall::handle_routes`.
    Reach {
        leg: LegId,
        order: Box<Order>,
    },
    /// The relay is to receive the audio of whoever is rung there. Answered by `RunningCall::handle_added` or
    /// `RunningCall::handle_not_added`.
    Open {
        termination: TerminationId,
        whom: Whom,
    },
    /// None of those whom a leg was to ring took the call. Answered by `RunningCall::handle_routes`.
    ReachOn {
        leg: LegId,
        failure: Failure,
        /// Where the last one says to ask.
        contacts: Vec<Uri>,
    },
    /// The phone of a leg wants it to be transferred. Answered by `RunningCall::ask`, or not at all.
    Refer {
        leg: LegId,
        refer: Refer,
    },
    /// A leg of another call is to be one of this. Answered by `RunningCall::take_over`, or by
    /// `RunningCall::cannot_take_over`.
    Adopt {
        leg: LegId,
        party: Party,
        foreign: Foreign,
    },
    /// The phone of a leg talks to somebody else from now on.
    Identify {
        invite: InviteId,
        shows: Shows,
    },
    /// Answered by `RunningCall::handle_told`.
    Ask(Ask),
    /// A leg with this number has begun.
    Begins {
        leg: LegId,
        number: Number,
    },
    /// That leg is over.
    Ends(LegId),
    /// The INVITE of this dialog is about to go out.
    Sent {
        party: Party,
        dialog: Dialog,
    },
    /// This happened; the view has changed.
    Happened {
        event: CallEventKind,
        party: Option<Party>,
        at: Timestamp,
    },
    /// The view has changed.
    Changed,
    /// All legs are over, the figures are in: the view is the record.
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Timer {
    Scenario(scenario::Timer),
    /// Time to bring the figures of the view up to date.
    Report,
    /// The relay did not give its last figures.
    Figures,
}

/// One running call.
#[derive(Debug)]
pub(crate) struct RunningCall {
    number: CallNumber,
    view: Call,
    clock: CallClock,
    span: Span,
    scenario: Box<dyn Scenario>,
    script: Actions,
    legs: BTreeMap<LegId, LegInCall>,
    seats: Seats,
    heard: BTreeMap<Party, Heard>,
    /// Of the INVITEs that it sends, where it began with one.
    max_forwards: Option<u8>,
    /// What whoever is rung for `from` sees of it, as long as it is there.
    shows: Shows,
    /// Those whose audio goes to each other.
    connected: Option<(LegId, LegId)>,
    /// Those whom the phone of the other one holds.
    held_by_phones: BTreeSet<Party>,
    /// The call that goes on with a leg of this one.
    into: Option<CallId>,
    /// What each leg hears.
    sounds: BTreeMap<LegId, SoundId>,
    phase: Phase,
    deadlines: Deadlines<Timer>,
    actions: VecDeque<CallAction>,
}

#[derive(Debug)]
enum Phase {
    /// The row is not on disk yet; what happens meanwhile is told to the scenario then.
    Waiting(Vec<Event>),
    Running,
    /// The scenario is over; legs have not confirmed their end yet.
    Ending(End),
    /// All legs are over; the relay is asked for its last figures.
    Closing,
    Over,
}

/// How often the figures of a call are brought up to date.
const REPORT: Duration = Duration::from_secs(1);
/// How often one leg follows a redirection: phones that send calls to each other end there.
const REDIRECTIONS_MAX: u8 = 5;
/// How long the relay may take to close a session.
const FIGURES: Duration = Duration::from_secs(2);

impl RunningCall {
    /// A call that waits for its beginning.
    pub(crate) fn new(
        number: CallNumber,
        view: Call,
        clock: CallClock,
        (scenario, shows): (Box<dyn Scenario>, Shows),
    ) -> Self {
        Self {
            number,
            view,
            span: Span::new(clock),
            clock,
            scenario,
            script: Actions::default(),
            legs: BTreeMap::new(),
            seats: Seats::new(),
            heard: BTreeMap::new(),
            max_forwards: None,
            shows,
            connected: None,
            held_by_phones: BTreeSet::new(),
            into: None,
            sounds: BTreeMap::new(),
            phase: Phase::Waiting(Vec::new()),
            deadlines: Deadlines::new(),
            actions: VecDeque::new(),
        }
    }

    /// The phone of `from` has called: its leg. `false`: what it offers is of no use; it is not taken.
    pub(crate) fn take(&mut self, leg: LegId, arrival: Arrival, codecs: &[Codec], moment: Moment) -> bool {
        // One less for each INVITE that it leads to (RFC 7332 §4).
        self.max_forwards = arrival.incoming.request.header.max_forwards.map(|hops| hops.saturating_sub(1));
        let seat = Seats::first(Party::From);
        let termination = Termination { session: self.session(), id: seat };
        let name = (self.number, leg);
        let session_id = self.session_id();
        let sip_call_id = arrival.incoming.request.header.call_id.0.clone();
        let Some(taken) = Leg::incoming(name, termination, session_id, arrival, codecs) else {
            return false;
        };
        self.script.next_leg();
        let from = &self.view.from;
        let whom = Whom { number: from.number.clone(), party_type: from.party_type };
        let trunk = from.trunk.clone();
        self.legs.insert(
            leg,
            LegInCall {
                sip_call_id: Some(sip_call_id.clone()),
                trunk,
                ..LegInCall::new(taken, Party::From, seat, whom)
            },
        );
        self.view.from.sip_call_id = Some(sip_call_id.into());
        self.view.from.state = PartyState::Calling;
        let number = self.view.from.number.clone();
        self.actions.push_back(CallAction::Begins { leg, number });
        self.tell(Event::Offered(leg));
        self.settle(moment);
        true
    }

    /// Whoever the leg was told to ring leads it on.
    fn divert(&mut self, leg: LegId, reason: DiversionReason) {
        let Some(order) = self.legs.get_mut(&leg).and_then(|in_call| in_call.order.as_mut()) else { return };
        let is_ours = order.whom.party_type != PartyType::External;
        // Outside the first of ours is known by the number that was dialled.
        let is_first = order.shows.diverted.iter().all(|step| !step.is_ours);
        let number = match is_ours && is_first {
            true => &self.view.party(order.party).number,
            false => &order.whom.number,
        };
        let step = Diversion { number: number.clone(), is_ours, reason };
        add_diversion(&mut order.shows.diverted, step);
    }

    /// A leg is sent elsewhere, to ring somebody else: what it does then. `None`: it was sent on too often.
    pub(crate) fn redirect(
        &mut self,
        leg: LegId,
        whom: &Whom,
        reason: DiversionReason,
        moment: Moment,
    ) -> Option<Order> {
        self.divert(leg, reason);
        let in_call = self.legs.get_mut(&leg)?;
        in_call.redirected += 1;
        if in_call.redirected > REDIRECTIONS_MAX {
            return None;
        }
        in_call.whom = whom.clone();
        let order = in_call.order.as_mut()?;
        order.whom = whom.clone();
        // Whoever was asked to open a microphone opens its own.
        order.answers_by_itself = false;
        let (order, party, is_shown) = (order.clone(), in_call.party, in_call.is_shown);
        if is_shown {
            let reached = Reached { number: whom.number.clone(), party_type: whom.party_type };
            self.view.party_mut(party).reached = Some(reached);
        }
        let (step, number) = (StepKind::Forwarded, Some(whom.number.clone()));
        self.note(scenario::Step { step, party, number, sip_status: None }, moment);
        Some(order)
    }

    /// What a leg was told to do.
    pub(crate) fn order_of(&self, leg: LegId) -> Option<&Order> {
        self.legs.get(&leg)?.order.as_ref()
    }

    /// What whoever is rung sees of a party that talks.
    pub(crate) fn shown_of(&self, party: Party) -> Shows {
        let first = self.view.party(party);
        if party == Party::From && first.reached.is_none() {
            return Shows { diverted: Vec::new(), ..self.shows.clone() };
        }
        let number = self.leg_of(party).map_or(&first.number, |(_, whom)| &whom.number);
        let is_hidden =
            self.legs.values().any(|in_call| in_call.is_shown && in_call.party == party && in_call.is_hidden);
        // Whoever has called without a number stays without one.
        let is_hidden = is_hidden || *number == Number::anonymous();
        let hidden = is_hidden.then_some(CallerId { name: None, number: None });
        Shows { caller_id: hidden, ..Shows::number(number.clone()) }
    }

    /// The call as the API shows it.
    pub(crate) const fn view(&self) -> &Call {
        &self.view
    }

    /// The row of the call is on disk: now it begins.
    pub(crate) fn begin(&mut self, moment: Moment) {
        let Phase::Waiting(happened) = std::mem::replace(&mut self.phase, Phase::Running) else { return };
        self.deadlines.set(Timer::Report, moment.now + REPORT);
        self.scenario.begin(&mut self.script);
        self.settle(moment);
        for event in happened {
            self.tell(event);
            self.settle(moment);
        }
    }

    /// The answer to [`CallAction::Reach`] and to [`CallAction::ReachOn`].
    pub(crate) fn handle_routes(&mut self, leg: LegId, routes: Result<Routes, LegEnd>, moment: Moment) {
        let Some(in_call) = self.legs.get(&leg) else { return };
        let first = in_call.order.as_ref().and_then(|order| order.offers_codec_of);
        let (party, is_shown) = (in_call.party, in_call.is_shown);
        match routes {
            Ok(mut routes) => {
                routes.codecs = self.offered(routes.codecs, first);
                let trunk = routes.trunk.clone();
                for route in routes.groups.iter_mut().flatten() {
                    route.invite.max_forwards = self.max_forwards;
                }
                if let Some(in_call) = self.legs.get_mut(&leg) {
                    in_call.trunk = trunk.clone();
                    in_call.leg.ring(routes, moment.now);
                }
                if trunk.is_some() && self.view.direction == CallDirection::Internal {
                    self.view.direction = CallDirection::Outbound;
                }
                if is_shown {
                    let view = self.view.party_mut(party);
                    (view.state, view.trunk) = (PartyState::Calling, trunk);
                }
                self.changed(moment);
            }
            Err(end) => {
                if let Some(in_call) = self.legs.get_mut(&leg) {
                    in_call.leg.cannot_ring(end);
                }
            }
        }
        self.settle(moment);
    }

    /// The answer to [`CallAction::Ask`].
    pub(crate) fn handle_told(&mut self, told: Told, moment: Moment) {
        self.tell(Event::Told(told));
        self.settle(moment);
    }

    /// What happened to an INVITE of a leg.
    pub(crate) fn handle_invite(&mut self, leg: LegId, fork: u16, event: InviteEvent, moment: Moment) {
        if let Some(in_call) = self.legs.get_mut(&leg) {
            in_call.leg.handle_invite(fork, event, moment.now);
        }
        self.settle(moment);
    }

    /// Whether this can be asked now.
    pub(crate) fn takes(&self, wish: &Wish) -> Result<(), NotNow> {
        match self.phase {
            Phase::Running => self.scenario.takes(wish),
            Phase::Waiting(_) | Phase::Ending(_) | Phase::Closing | Phase::Over => Err(NotNow::NotConnected),
        }
    }

    /// Asks something of the two who talk, if it can be asked now.
    pub(crate) fn ask(&mut self, wish: Wish, moment: Moment) {
        if self.takes(&wish).is_ok() {
            self.tell(Event::Asked(wish));
            self.settle(moment);
        }
    }

    /// The phone of a leg may transfer the call: what it asked for follows.
    pub(crate) fn accept_refer(&mut self, leg: LegId, refer: Refer) {
        if let Some(in_call) = self.legs.get_mut(&leg) {
            in_call.leg.accept_refer(refer);
        }
    }

    /// It may not, or has to prove itself first.
    pub(crate) fn refuse_refer(
        &mut self,
        leg: LegId,
        refer: Refer,
        status: StatusCode,
        fields: Vec<(FieldName, Box<str>)>,
        moment: Moment,
    ) {
        if let Some(in_call) = self.legs.get_mut(&leg) {
            in_call.leg.refuse_refer(refer, status, fields);
        }
        self.settle(moment);
    }

    /// Keeps what has happened.
    pub(crate) fn keep_step(&mut self, step: scenario::Step, moment: Moment) {
        self.note(step, moment);
        self.settle(moment);
    }

    /// The leg that stands for a party, and who that is.
    pub(crate) fn leg_of(&self, party: Party) -> Option<(LegId, &Whom)> {
        let mut legs = self.legs.iter().filter(|(_, in_call)| in_call.party == party && in_call.is_shown);
        legs.next().map(|(leg, in_call)| (*leg, &in_call.whom))
    }

    /// Which party a leg stands for, and who that is.
    pub(crate) fn party_of(&self, leg: LegId) -> Option<(Party, &Whom)> {
        self.legs.get(&leg).map(|in_call| (in_call.party, &in_call.whom))
    }

    /// The leg that this one talks to, where another call could take over either.
    pub(crate) fn left_by(&self, leg: LegId) -> Option<LegId> {
        let is_running = matches!(self.phase, Phase::Running);
        self.partner(leg).filter(|_| is_running && self.scenario.can_be_left())
    }

    /// Somebody wants the end of the call.
    pub(crate) fn request_end(&mut self, cause: EndCause, moment: Moment) {
        self.tell(Event::EndRequested(cause));
        self.settle(moment);
    }

    /// The ports of a termination are bound.
    pub(crate) fn handle_added(&mut self, termination: TerminationId, rtp: SocketAddr, moment: Moment) {
        if self.seats.bind(termination, rtp) {
            let waiting = self.legs.iter().filter(|(_, in_call)| in_call.seat == termination);
            let orders = waiting.filter_map(|(leg, in_call)| Some((*leg, in_call.order.clone()?)));
            let reach = orders.map(|(leg, order)| CallAction::Reach { leg, order: Box::new(order) });
            self.actions.extend(reach);
        }
        self.settle(moment);
    }

    /// It has none.
    pub(crate) fn handle_not_added(&mut self, termination: TerminationId, moment: Moment) {
        self.seats.remove(termination);
        for in_call in self.legs.values_mut().filter(|in_call| in_call.seat == termination) {
            in_call.leg.cannot_ring(LegEnd::NoChannel);
        }
        self.settle(moment);
    }

    /// All of its terminations can receive.
    pub(crate) fn is_bound(&self) -> bool {
        self.seats.are_bound()
    }

    /// The relay has lost its session.
    pub(crate) fn lose_media(&mut self) {
        self.seats.lose();
    }

    /// Where the audio of a leg comes in.
    pub(crate) fn rtp_of(&self, leg: LegId) -> Option<SocketAddr> {
        self.seats.rtp(self.legs.get(&leg)?.seat)
    }

    /// The first RTP packet of a party.
    pub(crate) fn handle_first_packet(&mut self, termination: TerminationId, at: Instant, moment: Moment) {
        let Some(party) = self.seats.party(termination) else { return };
        self.heard.entry(party).or_default().first_packet.get_or_insert(at);
        self.notice_talking(moment);
    }

    /// A party that should send audio sends none.
    pub(crate) fn handle_silence(&mut self, termination: TerminationId, moment: Moment) {
        let Some(party) = self.seats.party(termination) else { return };
        self.request_end(EndCause::MediaTimeout(party), moment);
    }

    /// The relay session is closed.
    pub(crate) fn handle_closed(&mut self, statistics: &[(TerminationId, Statistics)], moment: Moment) {
        self.note_figures(statistics);
        self.over(moment);
    }

    /// The server waits for nobody any more: the record is made of what is known.
    pub(crate) fn close_at_once(&mut self, moment: Moment) {
        self.request_end(EndCause::ServerStopped, moment);
        for in_call in self.legs.values_mut() {
            in_call.leg.give_up();
        }
        self.settle(moment);
        self.over(moment);
    }

    /// A fault in this call: nothing of it is asked any more. What was known of it, ended.
    pub(crate) fn broken_off(&self, reason: EndReason, moment: Moment) -> Call {
        let mut view = self.view.clone();
        self.span.write_to(&mut view, moment.now);
        view.broken_off(reason, self.clock.at(moment.now))
    }

    pub(crate) fn handle_timeout(&mut self, moment: Moment) {
        while let Some(timer) = self.deadlines.pop_due(moment.now) {
            match timer {
                Timer::Scenario(timer) => self.tell(Event::Due(timer)),
                Timer::Report => self.report(moment),
                Timer::Figures => self.over(moment),
            }
            self.settle(moment);
        }
        for in_call in self.legs.values_mut() {
            in_call.leg.handle_timeout(moment.now);
        }
        self.settle(moment);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let legs = self.legs.values().filter_map(|in_call| in_call.leg.poll_timeout());
        legs.chain(self.deadlines.next()).min()
    }

    pub(crate) fn poll_action(&mut self) -> Option<CallAction> {
        self.actions.pop_front()
    }

    /// The INVITEs of all legs that are not gone.
    pub(crate) fn invites(&self) -> Vec<InviteId> {
        self.legs.values().flat_map(|in_call| in_call.leg.invites()).collect()
    }

    /// The way to the phone of a leg that calls, or talks.
    pub(crate) fn flow_of(&self, leg: LegId) -> Option<Flow> {
        self.legs.get(&leg)?.leg.flow()
    }

    /// The phone that called will be told this address of the relay.
    pub(crate) fn announce(&mut self, leg: LegId, announced: Announced) {
        if let Some(in_call) = self.legs.get_mut(&leg) {
            in_call.leg.announce(announced);
        }
    }

    fn session(&self) -> SessionId {
        self.number.into()
    }

    /// The session id of our descriptions (RFC 8866 §5.2).
    fn session_id(&self) -> u64 {
        u64::try_from(self.view.created_at.unix_milliseconds()).unwrap_or_default()
    }

    /// Tells the scenario.
    fn tell(&mut self, event: Event) {
        match &mut self.phase {
            Phase::Waiting(happened) => happened.push(event),
            Phase::Running => self.scenario.handle(event, &mut self.script),
            Phase::Ending(_) | Phase::Closing | Phase::Over => {}
        }
    }

    /// Performs what scenario and legs want done until none wants anything. What follows from what a leg told comes
    /// before what it says next.
    fn settle(&mut self, moment: Moment) {
        loop {
            if let Some(action) = self.script.poll() {
                self.perform(action, moment);
                continue;
            }
            let next =
                self.legs.iter_mut().find_map(|(leg, in_call)| Some((*leg, in_call.leg.poll_action()?)));
            let Some((leg, action)) = next else { break };
            self.handle_leg(leg, action, moment);
        }
        self.close_if_over(moment);
    }

    fn report(&mut self, moment: Moment) {
        self.deadlines.set(Timer::Report, moment.now + REPORT);
        if self.view.connected_at.is_some() {
            let session = self.session();
            self.actions.push_back(CallAction::Relay(media_relay::Command::Report { session }));
        } else {
            self.changed(moment);
        }
    }

    fn happened(&mut self, event: CallEventKind, party: Option<Party>, moment: Moment) {
        self.span.write_to(&mut self.view, moment.now);
        let at = self.clock.at(moment.now);
        self.actions.push_back(CallAction::Happened { event, party, at });
    }

    fn changed(&mut self, moment: Moment) {
        self.span.write_to(&mut self.view, moment.now);
        self.actions.push_back(CallAction::Changed);
    }

    fn notice_talking(&mut self, moment: Moment) {
        let is_heard = |party| self.heard.get(&party).is_some_and(|heard| heard.first_packet.is_some());
        if self.view.state == CallState::Connected && is_heard(Party::From) && is_heard(Party::To) {
            self.view.state = CallState::Talking;
            self.happened(CallEventKind::Talking, None, moment);
        }
    }

    /// Once the scenario is over and no leg is left, the relay is asked for its last figures.
    fn close_if_over(&mut self, moment: Moment) {
        if !self.legs.is_empty() {
            return;
        }
        let Phase::Ending(end) = &self.phase else { return };
        let into = self.into.filter(|_| end.reason == EndReason::Transferred);
        self.view.end = Some(End { into, ..end.clone() });
        self.view.ended_at = Some(self.clock.at(moment.now));
        self.span.ended(moment.now);
        self.phase = Phase::Closing;
        self.deadlines.clear_all();
        self.deadlines.set(Timer::Figures, moment.now + FIGURES);
        let session = self.session();
        self.actions.push_back(CallAction::Relay(media_relay::Command::Close { session }));
    }

    fn over(&mut self, moment: Moment) {
        match self.phase {
            Phase::Closing => {
                self.phase = Phase::Over;
                self.deadlines.clear_all();
                self.view.state = CallState::Ended;
                self.span.write_to(&mut self.view, moment.now);
                self.actions.push_back(CallAction::Over);
            }
            // A session that closes by itself is a fault of the relay, and is noticed as silence.
            Phase::Waiting(_) | Phase::Running | Phase::Ending(_) | Phase::Over => {}
        }
    }
}
