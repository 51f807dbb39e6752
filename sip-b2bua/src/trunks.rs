//! The trunks: carriers and gateways through which numbers outside are reached.
//!
//! [`Trunks`] owns them all: it is told of each leg that goes through one, so that channels are counted by what lives,
//! and it leads a leg from one address to the next.
//!
//! | file | what |
//! |---|---|
//! | `trunk.rs` | one trunk: its channels, and how it is reached |
//! | `whereabouts.rs` | where a name leads to, and which of its addresses are of use |
//! | `registration.rs` | what a trunk keeps at its carrier |
//! | `probing.rs` | OPTIONS, to know who is there |
//! | `requests.rs` | what a carrier is asked outside of calls |
//! | `inbound.rs` | calls that come in |
//! | `hunt.rs` | a leg that looks for a trunk |

mod hunt;
mod inbound;
mod probing;
mod registration;
mod requests;
mod trunk;
mod whereabouts;

pub(crate) use hunt::{Failure, PATIENCE};
pub(crate) use inbound::Source;
pub use whereabouts::{Located, NotLocated};

use crate::place::CallNumber;
use crate::scenario::{LegId, Order};
use crate::settings::TrunkSettings;
use call_control::{Number, TrunkView};
use hunt::{Attempt, Hunt, Verdict};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use sip_core::{Flow, NewRequest, Outcome, RequestId};
use sip_message::{NameAddr, SipUri};
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;
use trunk::{Trunk, Way};

/// Names a trunk: its place in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrunkId(pub u16);

/// Names a leg among those of all calls.
type LegKey = (CallNumber, LegId);

/// All trunks.
#[derive(Debug)]
pub(crate) struct Trunks {
    trunks: Vec<Trunk>,
    hunts: BTreeMap<LegKey, Hunt>,
    /// Calls that came in.
    inbound: BTreeMap<LegKey, TrunkId>,
    /// Those whose outcome is awaited.
    requests: BTreeMap<RequestId, (TrunkId, Purpose)>,
    actions: VecDeque<TrunkAction>,
}

/// What trunks want done.
#[derive(Debug)]
pub(crate) enum TrunkAction {
    /// Look up where this leads to; answered by [`Trunks::handle_located`].
    Locate(TrunkId, Box<SipUri>),
    /// Nobody answers along this way: give its connection up.
    Close(Flow),
    /// Send this; [`Trunks::sent`] is told its name.
    Request(TrunkId, Purpose, Box<NewRequest>),
    /// Nobody waits for what comes of this any more.
    Forget(RequestId),
    /// The leg can go on: [`Trunks::go_on`] says how.
    GoOn(CallNumber, LegId),
}

/// What a request to a carrier is for, and along which way it goes where that matters later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Of the attempt with this number.
    Register(Flow, u32),
    /// A REGISTER that takes back what others have asked for.
    Unregister,
    Probe(Flow),
}

/// What a leg that looks for a trunk is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ring through this trunk, along this way, or along `stream` first where that is there and the INVITE too large for
    /// a datagram; if it says nothing until then it is given up.
    Ring { trunk: TrunkId, flow: Flow, stream: Option<Flow>, gives_up_at: Instant },
    /// Wait for [`TrunkAction::GoOn`].
    Wait,
    /// No trunk is left.
    Over(NoTrunk),
}

/// Why no trunk takes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoTrunk {
    /// None has such numbers.
    None,
    /// Those that have are full.
    Full,
    /// Each was tried.
    AllFailed,
}

impl Trunks {
    /// `seed` is their only source of randomness.
    pub(crate) fn new(settings: Vec<TrunkSettings>, seed: [u8; 32], now: Instant) -> Self {
        let mut random = ChaCha12Rng::from_seed(seed);
        let trunks = settings.into_iter().map(|settings| {
            let own = ChaCha12Rng::from_rng(&mut random);
            Trunk::new(settings, own, now)
        });
        Self {
            trunks: trunks.collect(),
            hunts: BTreeMap::new(),
            inbound: BTreeMap::new(),
            requests: BTreeMap::new(),
            actions: VecDeque::new(),
        }
    }

    /// A request of [`TrunkAction::Request`] is on its way.
    pub(crate) fn sent(&mut self, request: RequestId, trunk: TrunkId, purpose: Purpose) {
        self.requests.insert(request, (trunk, purpose));
    }

    /// What came of a request.
    pub(crate) fn handle_outcome(&mut self, request: RequestId, outcome: &Outcome, now: Instant) {
        let Some((id, purpose)) = self.requests.remove(&request) else { return };
        let Some(trunk) = self.trunks.get_mut(usize::from(id.0)) else { return };
        let is_news = trunk.handle_outcome(purpose, outcome, now);
        self.ask(id, now);
        if is_news {
            self.wake(|attempt| attempt.trunk == id);
        }
    }

    /// No connection came about along this way, and why.
    pub(crate) fn note_unreached(&mut self, flow: Flow, why: &str, now: Instant) {
        for trunk in &mut self.trunks {
            trunk.note_unreached(flow, why, now);
        }
    }

    /// The server stops: no registration is kept any more, and carriers are told so.
    pub(crate) fn unregister(&mut self) {
        for id in self.ids() {
            let Some(request) = self.trunks.get_mut(usize::from(id.0)).and_then(Trunk::unregister) else {
                continue;
            };
            self.forget_registers(id);
            self.actions.push_back(TrunkAction::Request(id, Purpose::Unregister, Box::new(request)));
        }
    }

    /// No carrier is being told that the server stops.
    pub(crate) fn is_unregistered(&self) -> bool {
        self.requests.values().all(|(_, purpose)| *purpose != Purpose::Unregister)
    }

    /// Nothing goes along this way any more.
    pub(crate) fn note_lost(&mut self, flow: Flow, now: Instant) {
        for trunk in &mut self.trunks {
            trunk.note_lost(flow, now);
        }
    }

    /// Our addresses have become others.
    pub(crate) fn renew_flows(&mut self, renews: &impl Fn(Flow) -> Flow, now: Instant) {
        for trunk in &mut self.trunks {
            trunk.renew_flows(renews, now);
        }
        self.handle_timeout(now);
    }

    /// Where the carrier wants its requests to go.
    pub(crate) fn route(&self, trunk: TrunkId) -> &[NameAddr] {
        self.trunk(trunk).map(Trunk::route).unwrap_or_default()
    }

    /// All trunks as the API shows them.
    pub(crate) fn views(&self, now: Instant) -> Vec<TrunkView> {
        self.trunks.iter().map(|trunk| trunk.view(now)).collect()
    }

    pub(crate) fn settings(&self, trunk: TrunkId) -> Option<&TrunkSettings> {
        self.trunks.get(usize::from(trunk.0)).map(|trunk| &trunk.settings)
    }

    /// What a leg that goes through a trunk was told to do.
    pub(crate) fn order(&self, leg: LegKey) -> Option<&Order> {
        self.hunts.get(&leg).map(|hunt| &*hunt.order)
    }

    /// Trunks that had no room for a leg since this was asked last.
    pub(crate) fn take_passed_over(&mut self, leg: LegKey) -> Vec<TrunkId> {
        self.hunts.get_mut(&leg).map(|hunt| std::mem::take(&mut hunt.passed_over)).unwrap_or_default()
    }

    /// Whether one of the trunks for this number has that one for its own.
    pub(crate) fn own(&self, number: &Number, shown: &Number) -> bool {
        let owns = |id: &TrunkId| self.settings(*id).is_some_and(|trunk| trunk.owns(shown));
        self.chosen(number).iter().any(owns)
    }

    /// Whether any trunk has this number for its own.
    pub(crate) fn owns(&self, number: &Number) -> bool {
        self.trunks.iter().any(|trunk| trunk.settings.owns(number))
    }

    /// The ways by which a number may be reached, as far as they are known.
    pub(crate) fn flows_for(&self, number: &Number) -> Vec<Flow> {
        let trunks = self.chosen(number).into_iter().filter_map(|id| self.trunk(id));
        trunks.flat_map(|trunk| trunk.flows().to_vec()).collect()
    }

    /// Whether a call of this number may begin now. It may still find every trunk full when it comes to ring it.
    pub(crate) fn can_take(&self, number: &Number, is_emergency: bool, now: Instant) -> Result<(), NoTrunk> {
        let chosen = self.chosen(number);
        if chosen.is_empty() {
            return Err(NoTrunk::None);
        }
        let has_room = |trunk: &TrunkId| self.trunk(*trunk).is_some_and(|trunk| trunk.has_room(now));
        if is_emergency || chosen.iter().any(has_room) { Ok(()) } else { Err(NoTrunk::Full) }
    }

    /// A leg is to ring a number.
    pub(crate) fn begin(&mut self, leg: LegKey, order: Box<Order>, is_emergency: bool, now: Instant) -> Step {
        let mut next = self.chosen(&order.whom.number);
        if next.is_empty() {
            return Step::Over(NoTrunk::None);
        }
        // A number that is to be shown goes only through those that may show it, if there are any.
        let shows = |id: &TrunkId| self.settings(*id).is_some_and(|trunk| trunk.shows_wanted(&order.shows));
        if !is_emergency && next.iter().any(shows) {
            next.retain(shows);
        }
        let hunt = Hunt {
            order,
            is_emergency,
            next: next.into(),
            attempt: None,
            met_full: false,
            passed_over: Vec::new(),
        };
        self.hunts.insert(leg, hunt);
        self.go_on(leg, now)
    }

    /// The trunk that a leg was told to ring did not take the call.
    pub(crate) fn failed(&mut self, leg: LegKey, failure: Failure, now: Instant) -> Step {
        let Some(hunt) = self.hunts.get_mut(&leg) else { return Step::Over(NoTrunk::AllFailed) };
        let Some(attempt) = &mut hunt.attempt else { return Step::Over(NoTrunk::AllFailed) };
        let trunk = self.trunks.get_mut(usize::from(attempt.trunk.0));
        if let Some(trunk) = trunk {
            trunk.note_failure(&attempt.tried, failure, now);
        }
        match failure.verdict() {
            Verdict::NextAddress => attempt.gives_up_at = now + PATIENCE,
            Verdict::NextTrunk => self.leave(leg),
            Verdict::Final => {
                hunt.next.clear();
                self.leave(leg);
            }
        }
        self.go_on(leg, now)
    }

    /// What a leg that looks for a trunk is to do now.
    pub(crate) fn go_on(&mut self, leg: LegKey, now: Instant) -> Step {
        loop {
            let Some(hunt) = self.hunts.get_mut(&leg) else { return Step::Over(NoTrunk::AllFailed) };
            if let Some(attempt) = &mut hunt.attempt {
                let trunk = &self.trunks[usize::from(attempt.trunk.0)];
                match trunk.way(&attempt.tried, now) {
                    Way::Along(flow) => {
                        attempt.tried.push(flow);
                        attempt.waits = false;
                        let (trunk, gives_up_at) = (attempt.trunk, attempt.gives_up_at);
                        let stream = self.trunks[usize::from(trunk.0)].stream_for(&flow, now);
                        return Step::Ring { trunk, flow, stream, gives_up_at };
                    }
                    Way::Awaited if now < attempt.gives_up_at => {
                        attempt.waits = true;
                        return Step::Wait;
                    }
                    Way::Awaited | Way::None => self.leave(leg),
                }
                continue;
            }
            let Some(trunk) = hunt.next.pop_front() else {
                let why = if hunt.met_full { NoTrunk::Full } else { NoTrunk::AllFailed };
                return Step::Over(why);
            };
            let is_emergency = hunt.is_emergency;
            let entered = self.trunks[usize::from(trunk.0)].enter(leg, is_emergency, now);
            let Some(hunt) = self.hunts.get_mut(&leg) else { continue };
            if entered {
                hunt.attempt = Some(Attempt::new(trunk, now + PATIENCE));
            } else {
                hunt.met_full = true;
                hunt.passed_over.push(trunk);
            }
        }
    }

    /// The trunk said something to a leg: it is there.
    pub(crate) fn note_response(&mut self, leg: LegKey) {
        let Some(attempt) = self.hunts.get(&leg).and_then(|hunt| hunt.attempt.as_ref()) else { return };
        let trunk = self.trunks.get_mut(usize::from(attempt.trunk.0));
        if let (Some(trunk), Some(flow)) = (trunk, attempt.tried.last()) {
            trunk.note_alive(*flow);
        }
    }

    /// A leg goes on as one of another call: so does its channel.
    pub(crate) fn moved(&mut self, before: LegKey, after: LegKey) {
        if let Some(hunt) = self.hunts.remove(&before) {
            self.hunts.insert(after, hunt);
        }
        if let Some(trunk) = self.inbound.remove(&before) {
            self.inbound.insert(after, trunk);
        }
        self.trunks.iter_mut().for_each(|trunk| trunk.moved(before, after));
    }

    /// A leg is over, through a trunk or not.
    pub(crate) fn end(&mut self, leg: LegKey) {
        self.leave(leg);
        self.hunts.remove(&leg);
        let came_through = self.inbound.remove(&leg);
        if let Some(trunk) = came_through.and_then(|id| self.trunks.get_mut(usize::from(id.0))) {
            trunk.leave(leg);
        }
    }

    /// The call is over, however it came to that.
    pub(crate) fn end_all_of(&mut self, call: CallNumber) {
        let all = (call, LegId(0))..=(call, LegId(u16::MAX));
        let hunting = self.hunts.range(all.clone()).map(|(leg, _)| *leg);
        let legs: Vec<LegKey> = hunting.chain(self.inbound.range(all).map(|(leg, _)| *leg)).collect();
        legs.into_iter().for_each(|leg| self.end(leg));
    }

    /// Where a trunk's name leads to.
    pub(crate) fn handle_located(
        &mut self,
        trunk: TrunkId,
        result: Result<Located, NotLocated>,
        now: Instant,
    ) {
        let Some(known) = self.trunks.get_mut(usize::from(trunk.0)) else { return };
        known.handle_located(result, now);
        self.ask(trunk, now);
        self.wake(|attempt| attempt.trunk == trunk);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for id in self.ids() {
            self.ask(id, now);
        }
        self.wake(|attempt| attempt.gives_up_at <= now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let waiting = self.hunts.values().filter_map(|hunt| hunt.attempt.as_ref());
        let waiting = waiting.filter(|attempt| attempt.waits).map(|attempt| attempt.gives_up_at);
        self.trunks.iter().filter_map(Trunk::poll_timeout).chain(waiting).min()
    }

    pub(crate) fn poll_action(&mut self) -> Option<TrunkAction> {
        self.actions.pop_front()
    }

    /// Legs that have a channel of a trunk.
    pub(crate) fn count(&self) -> usize {
        self.trunks.iter().map(Trunk::channels_in_use).sum()
    }

    /// The trunks for a number: those whose prefix is the longest first, then by priority, then as they are configured.
    fn chosen(&self, number: &Number) -> Vec<TrunkId> {
        let matches = self.trunks.iter().enumerate().filter_map(|(index, trunk)| {
            let id = TrunkId(u16::try_from(index).ok()?);
            Some((std::cmp::Reverse(trunk.takes(number)?), trunk.settings.priority, id))
        });
        let mut matches: Vec<_> = matches.collect();
        matches.sort_unstable();
        matches.into_iter().map(|(_, _, id)| id).collect()
    }

    fn ids(&self) -> impl Iterator<Item = TrunkId> + use<> {
        (0..u16::try_from(self.trunks.len()).unwrap_or(u16::MAX)).map(TrunkId)
    }

    /// Whatever a trunk wants to know now.
    fn ask(&mut self, id: TrunkId, now: Instant) {
        let Some(trunk) = self.trunks.get_mut(usize::from(id.0)) else { return };
        if let Some(uri) = trunk.asks_for(now) {
            self.actions.push_back(TrunkAction::Locate(id, Box::new(uri)));
        }
        let requests = trunk.requests(now);
        self.actions.extend(trunk.take_silent().map(TrunkAction::Close));
        // The REGISTER before is repeated no more beside this one (RFC 3261 §10.2).
        if requests.iter().any(|(purpose, _)| matches!(purpose, Purpose::Register(..))) {
            self.forget_registers(id);
        }
        for (purpose, new) in requests {
            self.actions.push_back(TrunkAction::Request(id, purpose, Box::new(new)));
        }
    }

    fn forget_registers(&mut self, id: TrunkId) {
        let is_its =
            |(trunk, purpose): &(TrunkId, Purpose)| *trunk == id && matches!(purpose, Purpose::Register(..));
        let forgotten = self.requests.extract_if(.., |_, request| is_its(request));
        self.actions.extend(forgotten.map(|(request, _)| TrunkAction::Forget(request)));
    }

    fn trunk(&self, id: TrunkId) -> Option<&Trunk> {
        self.trunks.get(usize::from(id.0))
    }

    /// The channel that a leg has is free again.
    fn leave(&mut self, leg: LegKey) {
        let Some(attempt) = self.hunts.get_mut(&leg).and_then(|hunt| hunt.attempt.take()) else { return };
        if let Some(trunk) = self.trunks.get_mut(usize::from(attempt.trunk.0)) {
            trunk.leave(leg);
        }
    }

    fn wake(&mut self, whom: impl Fn(&Attempt) -> bool) {
        for ((call, leg), hunt) in &mut self.hunts {
            if let Some(attempt) = hunt.attempt.as_mut().filter(|attempt| attempt.waits && whom(attempt)) {
                attempt.waits = false;
                self.actions.push_back(TrunkAction::GoOn(*call, *leg));
            }
        }
    }
}
