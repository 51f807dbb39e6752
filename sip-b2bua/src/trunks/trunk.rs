//! One trunk: its channels, and how it is reached.

use super::hunt::Failure;
use super::probing::{Probing, Shown};
use super::registration::{Due, News, Registration};
use super::requests;
use super::whereabouts::{Located, NotLocated, Whereabouts};
use super::{LegKey, Purpose};
use crate::settings::TrunkSettings;
use call_control::{Number, ReachedAt, TrunkView};
use rand_chacha::ChaCha12Rng;
use sip_core::{Flow, NewRequest, Outcome};
use sip_message::{FieldName, NameAddr, SipUri};
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// A trunk, and what is known of it.
#[derive(Debug)]
pub(super) struct Trunk {
    pub(super) settings: TrunkSettings,
    whereabouts: Whereabouts,
    registration: Option<Registration>,
    probing: Probing,
    /// Why the last connection to it did not come about, until somebody answers.
    unreached: Option<Box<str>>,
    legs: BTreeSet<LegKey>,
    /// When the last legs began, where so many a second are the most.
    begun: VecDeque<Instant>,
    /// Connections along which nobody answers any more.
    silent: Vec<Flow>,
    random: ChaCha12Rng,
}

/// How a trunk is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Along(Flow),
    /// It will soon be known.
    Awaited,
    /// No way that was not tried.
    None,
}

/// The longest reason that is shown, in characters.
const WHY_MAX: usize = 400;

const SECOND: Duration = Duration::from_secs(1);

impl Trunk {
    pub(super) fn new(settings: TrunkSettings, random: ChaCha12Rng, now: Instant) -> Self {
        Self {
            whereabouts: Whereabouts::new(now),
            registration: settings.registration.map(|wanted| Registration::new(wanted, now)),
            probing: Probing::new(settings.probe, now),
            unreached: None,
            settings,
            legs: BTreeSet::new(),
            begun: VecDeque::new(),
            silent: Vec::new(),
            random,
        }
    }

    /// How well it fits: the length of the prefix that the number has. A short number that no trunk names is one of the
    /// country, and every trunk will do.
    pub(super) fn takes(&self, number: &Number) -> Option<usize> {
        self.settings.prefixes.iter().filter_map(|prefix| prefix.fits(number)).max()
    }

    pub(super) fn has_room(&self, now: Instant) -> bool {
        self.legs.len() < self.settings.channels && self.may_begin(now)
    }

    /// A leg takes a channel. `false`: none is free.
    pub(super) fn enter(&mut self, leg: LegKey, is_emergency: bool, now: Instant) -> bool {
        if !is_emergency && !self.has_room(now) {
            return false;
        }
        self.legs.insert(leg);
        if let Some(most) = self.settings.calls_per_second {
            self.begun.push_back(now);
            while self.begun.len() > most {
                self.begun.pop_front();
            }
        }
        true
    }

    /// A call came in.
    pub(super) fn take(&mut self, leg: LegKey) {
        self.legs.insert(leg);
    }

    pub(super) fn moved(&mut self, before: LegKey, after: LegKey) {
        if self.legs.remove(&before) {
            self.legs.insert(after);
        }
    }

    pub(super) fn leave(&mut self, leg: LegKey) {
        self.legs.remove(&leg);
    }

    pub(super) fn channels_in_use(&self) -> usize {
        self.legs.len()
    }

    /// The ways that are known.
    pub(super) fn flows(&self) -> &[Flow] {
        self.whereabouts.flows()
    }

    /// Routes that the carrier wants its requests to take, where it is registered at.
    pub(super) fn route(&self) -> &[NameAddr] {
        self.registration.as_ref().map(Registration::route).unwrap_or_default()
    }

    /// A trunk that registers is called along the way that it is registered along, and along no other.
    pub(super) fn way(&self, tried: &[Flow], now: Instant) -> Way {
        let is_located_soon = self.whereabouts.is_awaited();
        let Some(registration) = &self.registration else {
            return match self.whereabouts.next(tried, now) {
                Some(flow) => Way::Along(flow),
                None if is_located_soon => Way::Awaited,
                None => Way::None,
            };
        };
        match registration.flow(now).filter(|flow| !tried.contains(flow)) {
            Some(flow) => Way::Along(flow),
            None if registration.is_awaited() || is_located_soon => Way::Awaited,
            None => Way::None,
        }
    }

    /// Where a request goes that is too large for this way (RFC 3261 §18.1.1). A URI that names its transport means it, and
    /// a carrier that we register at knows us by one way.
    pub(super) fn stream_for(&self, flow: &Flow, now: Instant) -> Option<Flow> {
        let names_transport = self.settings.next_hop().parameters.get("transport").is_some();
        let may = self.registration.is_none() && !names_transport;
        self.whereabouts.stream_for(flow, now).filter(|_| may)
    }

    /// A call along this way came to nothing; `tried` are all those that it has gone.
    pub(super) fn note_failure(&mut self, tried: &[Flow], failure: Failure, now: Instant) {
        let Some(flow) = tried.last().copied() else { return };
        match failure {
            Failure::Silent | Failure::Unreachable => self.whereabouts.note_dead(flow, now),
            Failure::Refused { status: 503, retry_after: Some(time) } => {
                self.whereabouts.note_wish(flow, time, now);
            }
            Failure::Refused { status: 503, retry_after: None } => {}
            Failure::NoAnswer | Failure::Refused { .. } => return self.note_alive(flow),
        }
        let has_another = self.whereabouts.next(tried, now).is_some();
        let Some(registration) = &mut self.registration else { return };
        match failure {
            // It is registered elsewhere first: carriers refuse calls from those who are not.
            _ if has_another => registration.leave(flow, now),
            // Whether the way still stands is found out at once.
            Failure::Silent | Failure::Unreachable => registration.lost(flow, now),
            Failure::NoAnswer | Failure::Refused { .. } => {}
        }
    }

    pub(super) fn note_alive(&mut self, flow: Flow) {
        self.whereabouts.note_alive(flow);
        self.probing.note_alive(flow);
        self.unreached = None;
    }

    pub(super) fn note_unreached(&mut self, flow: Flow, why: &str, now: Instant) {
        self.whereabouts.note_no_stream(flow, now);
        if self.whereabouts.flows().contains(&flow) {
            self.unreached = Some(why.chars().take(WHY_MAX).collect::<String>().into());
        }
    }

    /// A connection is closed, or nothing can be sent along it.
    pub(super) fn note_lost(&mut self, flow: Flow, now: Instant) {
        if let Some(registration) = &mut self.registration {
            registration.lost(flow, now);
        }
    }

    /// Our addresses have become others.
    pub(super) fn renew_flows(&mut self, renews: &impl Fn(Flow) -> Flow, now: Instant) {
        self.whereabouts.renew_flows(renews);
        if let Some(registration) = &mut self.registration {
            registration.renew_flows(renews, now);
        }
    }

    /// Nobody answers along it any more.
    fn note_silent(&mut self, flow: Flow, now: Instant) {
        if flow.transport.is_reliable() {
            self.silent.push(flow);
        }
        self.note_lost(flow, now);
    }

    /// What is to be looked up now.
    pub(super) fn asks_for(&mut self, now: Instant) -> Option<SipUri> {
        self.whereabouts.asks(now).then(|| self.settings.next_hop().clone())
    }

    pub(super) fn handle_located(&mut self, result: Result<Located, NotLocated>, now: Instant) {
        let before = self.whereabouts.why_not().is_some();
        let name = &*self.settings.name;
        match &result {
            Err(NotLocated { why, .. }) if !before => {
                tracing::warn!(trunk = name, %why, "the address of a trunk cannot be resolved");
            }
            Ok(_) if before => tracing::info!(trunk = name, "the address of a trunk is resolved again"),
            Err(_) | Ok(_) => {}
        }
        let is_news = self.whereabouts.flows().is_empty();
        self.whereabouts.handle_located(result, now);
        if let Some(registration) = self.registration.as_mut().filter(|_| is_news) {
            registration.located(now);
        }
    }

    /// Connections that are to be given up.
    pub(super) fn take_silent(&mut self) -> impl Iterator<Item = Flow> + use<> {
        std::mem::take(&mut self.silent).into_iter()
    }

    /// The requests that are due, and what each is for.
    pub(super) fn requests(&mut self, now: Instant) -> Vec<(Purpose, NewRequest)> {
        let mut due = Vec::new();
        while let Some(register) = self.register(now) {
            due.push(register);
        }
        let flows = match &self.registration {
            Some(registration) => registration.flow(now).into_iter().collect(),
            None => self.whereabouts.flows().to_vec(),
        };
        if !flows.is_empty() {
            for flow in self.probing.due(&flows, now) {
                due.push((Purpose::Probe(flow), requests::options(&self.settings, flow)));
            }
        }
        due
    }

    /// The server stops: a carrier that knows where we are is to forget it (RFC 3261 §10.2.2).
    pub(super) fn unregister(&mut self) -> Option<NewRequest> {
        let (flow, call_id, cseq) = self.registration.as_mut()?.end()?;
        Some(requests::register(&self.settings, flow, call_id, cseq, Duration::ZERO))
    }

    /// Whoever waits for the trunk may know more now: `true`.
    pub(super) fn handle_outcome(&mut self, purpose: Purpose, outcome: &Outcome, now: Instant) -> bool {
        if let Outcome::Final(_) = outcome {
            self.unreached = None;
        }
        match purpose {
            Purpose::Probe(flow) => {
                match self.probing.handle_outcome(flow, outcome) {
                    Shown::Alive => self.whereabouts.note_alive(flow),
                    Shown::Dead => {
                        self.whereabouts.note_dead(flow, now);
                        self.note_silent(flow, now);
                    }
                    Shown::Nothing => {}
                }
                false
            }
            Purpose::Register(flow, attempt) => {
                self.handle_registered(flow, attempt, outcome, now);
                true
            }
            Purpose::Unregister => {
                let name = &*self.settings.name;
                match outcome {
                    Outcome::Final(response) if response.status.is_success() => {
                        tracing::info!(trunk = name, "the carrier has forgotten us, as the server stops");
                    }
                    Outcome::Final(_) | Outcome::TimedOut | Outcome::Unreachable => {
                        tracing::warn!(trunk = name, "the carrier does not confirm that it has forgotten us");
                    }
                }
                false
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let registration = self.registration.as_ref().filter(|_| !self.whereabouts.is_awaited());
        let probing = match &self.registration {
            Some(registration) => registration.has_way(),
            None => !self.whereabouts.flows().is_empty(),
        };
        let probing = self.probing.poll_timeout().filter(|_| probing);
        let registration = registration.and_then(Registration::poll_timeout);
        self.whereabouts.poll_timeout().into_iter().chain(registration).chain(probing).min()
    }

    /// The trunk as the API shows it.
    pub(super) fn view(&self, now: Instant) -> TrunkView {
        let registration = self.registration.as_ref();
        let last_failure = self.last_failure().or(self.whereabouts.why_not());
        let reached_at = |flow: &Flow| ReachedAt {
            address: flow.remote,
            transport: call_trace::transport(flow.transport),
        };
        TrunkView {
            name: self.settings.name.clone(),
            address: self.settings.address.to_string().into(),
            reached_at: self.whereabouts.flows().iter().map(reached_at).collect(),
            registration: registration.map(|registration| registration.view(now)),
            reachable: self.probing.is_reachable(),
            channels_in_use: self.legs.len(),
            channels: self.settings.channels,
            last_failure: last_failure.map(Into::into),
        }
    }

    fn last_failure(&self) -> Option<&str> {
        let registration = self.registration.as_ref().and_then(Registration::last_failure);
        self.unreached.as_deref().or(registration)
    }

    /// The next REGISTER, if one is due.
    fn register(&mut self, now: Instant) -> Option<(Purpose, NewRequest)> {
        if self.whereabouts.is_awaited() {
            return None; // It is asked again when the name is known.
        }
        if let Some(flow) = self.registration.as_ref()?.silent(now) {
            self.note_silent(flow, now);
        }
        let registration = self.registration.as_mut()?;
        if let Some(flow) = registration.unanswered(now) {
            self.whereabouts.note_dead(flow, now);
        }
        if registration.due(now) == Due::Nothing {
            return None;
        }
        let standing = registration.flow(now).filter(|flow| !registration.tried().contains(flow));
        let Some(flow) = standing.or_else(|| self.whereabouts.next(registration.tried(), now)) else {
            let why = self.whereabouts.why_not().filter(|_| self.whereabouts.flows().is_empty());
            let news = registration.no_way(why, &mut self.random, now);
            self.tell(news);
            return None;
        };
        let (call_id, cseq, wanted, attempt) = registration.ask(flow, now);
        let request = requests::register(&self.settings, flow, call_id, cseq, wanted);
        Some((Purpose::Register(flow, attempt), request))
    }

    fn handle_registered(&mut self, flow: Flow, attempt: u32, outcome: &Outcome, now: Instant) {
        let is_past = self.registration.as_ref().is_some_and(|it| it.asks_again_along(flow, attempt));
        match outcome {
            Outcome::Final(response) => {
                let wished = response.header.fields.delta_seconds(&FieldName::RETRY_AFTER);
                if let Some(Ok(seconds)) = wished.filter(|_| response.status.code() == 503) {
                    self.whereabouts.note_wish(flow, Duration::from_secs(seconds.into()), now);
                }
            }
            // What was said along a connection that is gone says nothing of the one that is tried now.
            Outcome::TimedOut | Outcome::Unreachable if is_past => {}
            Outcome::TimedOut | Outcome::Unreachable => self.whereabouts.note_dead(flow, now),
        }
        let Some(registration) = &mut self.registration else { return };
        let ours = requests::contact(&self.settings, flow);
        match registration.handle_outcome(outcome, (flow, attempt), &ours, &mut self.random, now) {
            Ok(news) => self.tell(news),
            // `requests` asks the next way.
            Err(Due::Ask | Due::Nothing) => registration.ask_at_once(now),
        }
    }

    fn tell(&self, news: Option<News>) {
        let name = &*self.settings.name;
        let why = self.last_failure().unwrap_or_default();
        match news {
            Some(News::Up) => tracing::info!(trunk = name, "trunk.up: the carrier has registered us"),
            Some(News::Down) => {
                tracing::warn!(trunk = name, why, "trunk.down: the carrier does not register us")
            }
            None => {}
        }
    }

    fn may_begin(&self, now: Instant) -> bool {
        let Some(most) = self.settings.calls_per_second else { return true };
        let oldest = self.begun.front().filter(|_| self.begun.len() >= most);
        oldest.is_none_or(|oldest| now.saturating_duration_since(*oldest) >= SECOND)
    }
}
