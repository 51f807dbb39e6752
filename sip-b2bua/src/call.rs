//! One running call: the scenario, its two legs, its relay session, and what the API shows of it.
//!
//! The scenario decides; here its actions become those of legs and relay, and what legs and relay report becomes
//! its events and the view. The record is complete when [`Effect::Over`] comes.
#![doc = include_str!("call/crossings.md")]

#[cfg(test)]
mod crossings;
mod vocabulary;

mod figures;

use crate::click_to_call::{Action, ClickToCall, Event};
use crate::end::{EndCause, LegEnd};
use crate::leg::{self, Device, Information, Leg};
use crate::media;
use audio::Codec;
use call_control::{Call, CallEventKind, CallState, End, Media, Party, PartyState};
use deadlines::Deadlines;
use media_relay::{Description, Side, Sound, Statistics};
use sdp::Format;
use sip_core::{InviteEvent, InviteId};
use sip_message::{Reason, StatusCode};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub(crate) use vocabulary::{CallLimits, Effect, party, side};
pub use vocabulary::{Moment, RelayAction};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Timer {
    /// `max_duration` is over.
    MaxDuration,
    /// Time to ask the relay for figures.
    Report,
    /// The relay did not give its last figures.
    Figures,
}

/// One running call.
#[derive(Debug)]
pub(crate) struct RunningCall {
    view: Call,
    scenario: ClickToCall,
    parties: [PartyInCall; 2],
    limits: CallLimits,
    phase: Phase,
    deadlines: Deadlines<Timer>,
    effects: VecDeque<Effect>,
}

#[derive(Debug, Default)]
struct PartyInCall {
    leg: Option<Leg>,
    codecs: Vec<Codec>,
    format: Option<Format>,
    answered_at: Option<Instant>,
    first_packet: Option<Instant>,
}

#[derive(Debug)]
enum Phase {
    Running,
    /// Both legs are over; the relay is asked for its last figures.
    Closing,
    Over,
}

/// How often the figures of a connected call are brought up to date.
const REPORT: Duration = Duration::from_secs(1);
/// How long the relay may take to close a session.
const FIGURES: Duration = Duration::from_secs(2);

const PARTIES: [Party; 2] = [Party::From, Party::To];

impl RunningCall {
    /// A call whose relay session is open. `codecs` are those to offer to either party.
    pub(crate) fn start(view: Call, codecs: [Vec<Codec>; 2], limits: CallLimits) -> Self {
        let [from, to] = codecs.map(|codecs| PartyInCall { codecs, ..PartyInCall::default() });
        let mut call = Self {
            view,
            scenario: ClickToCall::start(),
            parties: [from, to],
            limits,
            phase: Phase::Running,
            deadlines: Deadlines::new(),
            effects: VecDeque::new(),
        };
        call.effects.push_back(Effect::Happened { event: CallEventKind::Initiated, party: None });
        call
    }

    /// The call as the API shows it.
    pub(crate) const fn view(&self) -> &Call {
        &self.view
    }

    /// Performs the first action of the scenario.
    pub(crate) fn begin(&mut self, moment: Moment) {
        self.perform(moment);
    }

    /// The phones to ring, asked for by [`Effect::Ring`].
    pub(crate) fn ring(&mut self, party: Party, devices: Vec<Device>, moment: Moment) {
        if self.view.party(party).state == PartyState::Gone {
            return; // Hung up before it could be rung.
        }
        let codecs = self.offered_to(party);
        let formats = media::formats(&codecs);
        let session_id = u64::try_from(moment.unix_milliseconds).unwrap_or_default();
        let no_answer = self.limits.no_answer[party as usize];
        self.view.party_mut(party).state = PartyState::Calling;
        self.parties[party as usize].leg =
            Some(Leg::ring(devices, formats, session_id, no_answer, moment.now));
        self.effects.push_back(Effect::Changed);
        self.drain_leg(party, moment);
    }

    /// The INVITE of a fork was sent, with this Call-ID.
    pub(crate) fn invited(&mut self, party: Party, fork: usize, invite: InviteId, sip_call_id: Option<&str>) {
        self.view.party_mut(party).sip_call_id = sip_call_id.map(str::to_owned);
        if let Some(leg) = &mut self.parties[party as usize].leg {
            leg.invited(fork, invite);
        }
    }

    pub(crate) fn handle_invite(&mut self, party: Party, fork: usize, event: InviteEvent, moment: Moment) {
        if let Some(leg) = &mut self.parties[party as usize].leg {
            leg.handle(fork, event, moment.now);
        }
        self.drain_leg(party, moment);
    }

    /// Somebody wants the end of the call.
    pub(crate) fn request_end(&mut self, cause: EndCause, moment: Moment) {
        self.scenario.handle(Event::EndRequested(cause));
        self.perform(moment);
    }

    /// The first RTP packet of a side.
    pub(crate) fn handle_first_packet(&mut self, side: Side, at: Instant) {
        self.parties[party(side) as usize].first_packet.get_or_insert(at);
        self.notice_talking();
    }

    /// A side that should send audio sends none.
    pub(crate) fn handle_silence(&mut self, side: Side, moment: Moment) {
        self.request_end(EndCause::MediaTimeout(party(side)), moment);
    }

    /// The relay session is closed.
    pub(crate) fn handle_closed(&mut self, statistics: &[Statistics; 2]) {
        self.note_figures(statistics);
        self.over();
    }

    pub(crate) fn handle_timeout(&mut self, moment: Moment) {
        while let Some(timer) = self.deadlines.pop_due(moment.now) {
            match timer {
                Timer::MaxDuration => self.request_end(EndCause::MaxDuration, moment),
                Timer::Report => {
                    self.deadlines.set(Timer::Report, moment.now + REPORT);
                    self.effects.push_back(Effect::Relay(RelayAction::Report));
                }
                Timer::Figures => self.over(),
            }
        }
        for party in PARTIES {
            if let Some(leg) = &mut self.parties[party as usize].leg {
                leg.handle_timeout(moment.now);
            }
            self.drain_leg(party, moment);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let legs = self.parties.iter().filter_map(|party| party.leg.as_ref().and_then(Leg::poll_timeout));
        legs.chain(self.deadlines.next()).min()
    }

    pub(crate) fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// `to` is offered what `from` took first, so that nothing needs to be transcoded where it can do without.
    fn offered_to(&self, party: Party) -> Vec<Codec> {
        let codecs = self.parties[party as usize].codecs.clone();
        let taken = self.parties[Party::From as usize].format.as_ref();
        match (party, taken.and_then(|format| Codec::from_name(&format.name))) {
            (Party::To, Some(taken)) => {
                let others = codecs.into_iter().filter(|codec| *codec != taken);
                std::iter::once(taken).chain(others).collect()
            }
            (Party::To, None) | (Party::From, _) => codecs,
        }
    }

    fn drain_leg(&mut self, party: Party, moment: Moment) {
        while let Some(output) = self.parties[party as usize].leg.as_mut().and_then(Leg::poll_output) {
            match output {
                leg::Output::Invite { fork, invite } => {
                    self.effects.push_back(Effect::Invite { party, fork, invite });
                }
                leg::Output::HangUp { invite, reason } => {
                    self.effects.push_back(Effect::HangUp { invite, reason });
                }
                leg::Output::AnswerOffer { invite, body } => {
                    self.effects.push_back(Effect::AnswerOffer { invite, body });
                }
                leg::Output::RefuseOffer { invite, status } => {
                    self.effects.push_back(Effect::RefuseOffer { invite, status });
                }
                leg::Output::Reoffer { invite, body } => {
                    self.effects.push_back(Effect::Offer { invite, body });
                }
                leg::Output::Respond { responder, status } => {
                    self.effects.push_back(Effect::Respond { responder, status });
                }
                leg::Output::Informed(information) => self.pass_information(party, information, moment),
                leg::Output::Inform { invite, information } => {
                    self.effects.push_back(Effect::Inform { invite, information });
                }
                leg::Output::Wishes => self.pass_wish(party, moment),
                leg::Output::Describe(description) => {
                    let describe = RelayAction::Describe(side(party), description);
                    self.effects.push_back(Effect::Relay(describe));
                }
                leg::Output::CodecChanged(format) => self.codec_changed(party, format),
                leg::Output::EarlyMedia(description) => self.early_media(party, description),
                leg::Output::Ringing { status } => self.leg_rings(party, status, moment),
                leg::Output::Answered { format, status } => self.leg_answered(party, format, status, moment),
                leg::Output::Gone(end) => self.leg_gone(party, end, moment),
            }
        }
    }

    /// The other party is told what this one wants: hold, or its end.
    fn pass_wish(&mut self, party: Party, moment: Moment) {
        let Some(wish) = self.parties[party as usize].leg.as_ref().map(Leg::wish) else { return };
        if let Some(other) = &mut self.parties[party.other() as usize].leg {
            other.tell(wish);
            self.drain_leg(party.other(), moment);
        }
    }

    /// What one party says in an INFO is for the other one, once they talk.
    fn pass_information(&mut self, party: Party, information: Information, moment: Moment) {
        match self.view.state {
            CallState::Connected | CallState::Talking => {}
            CallState::CallingFrom | CallState::CallingTo | CallState::Ended => return,
        }
        if let Some(other) = &mut self.parties[party.other() as usize].leg {
            other.inform(information);
            self.drain_leg(party.other(), moment);
        }
    }

    /// `from` may hear `to` before it answers; what `from` has to say before it answers nobody could hear.
    fn early_media(&mut self, party: Party, description: Description) {
        match party {
            Party::From => {}
            Party::To => {
                let describe = RelayAction::Describe(side(party), description);
                self.effects.push_back(Effect::Relay(describe));
                self.effects.push_back(Effect::Relay(RelayAction::Listen(side(party))));
            }
        }
    }

    fn leg_rings(&mut self, party: Party, status: u16, moment: Moment) {
        let view = self.view.party_mut(party);
        view.state = PartyState::Ringing;
        view.ringing_at = moment.timestamp();
        view.sip_status = Some(status);
        self.effects.push_back(Effect::Happened { event: CallEventKind::Ringing, party: Some(party) });
    }

    fn leg_answered(&mut self, party: Party, format: Format, status: u16, moment: Moment) {
        let view = self.view.party_mut(party);
        view.state = PartyState::Answered;
        view.answered_at = moment.timestamp();
        view.sip_status = Some(status);
        view.media = Some(Media {
            codec: format.name.to_string(),
            packets_received: 0,
            packets_lost: 0,
            jitter_ms: 0.0,
            mos: None,
            first_packet_ms_after_answer: None,
        });
        let in_call = &mut self.parties[party as usize];
        in_call.answered_at = Some(moment.now);
        in_call.format = Some(format);
        self.effects.push_back(Effect::Happened { event: CallEventKind::Answered, party: Some(party) });
        self.scenario.handle(Event::Answered(party));
        self.perform(moment);
    }

    fn codec_changed(&mut self, party: Party, format: Format) {
        if let Some(media) = &mut self.view.party_mut(party).media {
            media.codec = format.name.to_string();
        }
        self.parties[party as usize].format = Some(format);
        self.effects.push_back(Effect::Changed);
    }

    fn leg_gone(&mut self, party: Party, end: LegEnd, moment: Moment) {
        let view = self.view.party_mut(party);
        view.state = PartyState::Gone;
        view.ended_at = moment.timestamp();
        // Of all its phones: what a single one of them said does not speak for the party.
        if let LegEnd::Refused { status } = end {
            view.sip_status = Some(status);
        }
        self.effects.push_back(Effect::Changed);
        self.scenario.handle(Event::Gone(party, end));
        self.perform(moment);
    }

    fn perform(&mut self, moment: Moment) {
        while let Some(action) = self.scenario.poll_action() {
            match action {
                Action::Invite(party) => {
                    if party == Party::To {
                        self.view.state = CallState::CallingTo;
                    }
                    self.effects.push_back(Effect::Ring(party));
                }
                Action::HangUp(party) => self.hang_up(party, moment),
                Action::PlayRingback(party) => {
                    self.effects.push_back(Effect::Relay(RelayAction::Play(side(party), Sound::Ringback)));
                }
                Action::ConnectMedia => self.connect(moment),
                Action::Finish(end) => self.finish(end, moment),
            }
        }
    }

    fn hang_up(&mut self, party: Party, moment: Moment) {
        let reason = self.reason_for(party);
        match &mut self.parties[party as usize].leg {
            Some(leg) => {
                leg.hang_up(reason.as_ref(), moment.now);
                self.drain_leg(party, moment);
            }
            // Asked to be rung in this very moment, and not any more.
            None => self.leg_gone(party, LegEnd::HungUpByUs, moment),
        }
    }

    /// What a party is told of the other one's refusal (RFC 3326).
    fn reason_for(&self, party: Party) -> Option<Reason> {
        let status = self.view.party(party.other()).sip_status.filter(|status| *status >= 300)?;
        let text = StatusCode::new(status).map(|status| status.reason().into());
        Some(Reason { protocol: "SIP".into(), cause: Some(status), text })
    }

    fn connect(&mut self, moment: Moment) {
        self.view.state = CallState::Connected;
        self.view.connected_at = moment.timestamp();
        self.effects.push_back(Effect::Relay(RelayAction::Connect));
        self.effects.push_back(Effect::Happened { event: CallEventKind::Connected, party: None });
        self.deadlines.set(Timer::Report, moment.now + REPORT);
        if let Some(max_duration) = self.limits.max_duration {
            self.deadlines.set(Timer::MaxDuration, moment.now + max_duration);
        }
        self.notice_talking();
        for party in PARTIES {
            // Whoever held before the other one answered holds it now.
            self.pass_wish(party, moment);
        }
    }

    fn notice_talking(&mut self) {
        let heard = self.parties.iter().all(|party| party.first_packet.is_some());
        if heard && self.view.state == CallState::Connected {
            self.view.state = CallState::Talking;
            self.effects.push_back(Effect::Happened { event: CallEventKind::Talking, party: None });
        }
    }

    fn finish(&mut self, end: End, moment: Moment) {
        self.view.end = Some(end);
        self.view.ended_at = moment.timestamp();
        self.phase = Phase::Closing;
        self.deadlines.clear_all();
        self.deadlines.set(Timer::Figures, moment.now + FIGURES);
        self.effects.push_back(Effect::Relay(RelayAction::Close));
    }

    fn over(&mut self) {
        match self.phase {
            Phase::Closing => {
                self.phase = Phase::Over;
                self.deadlines.clear_all();
                self.view.state = CallState::Ended;
                self.effects.push_back(Effect::Over);
            }
            // A session that closes by itself is a fault of the relay, and is noticed as silence.
            Phase::Running | Phase::Over => {}
        }
    }
}
