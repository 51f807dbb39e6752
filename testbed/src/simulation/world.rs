//! A server, some phones, and what a story can ask of them.

mod driving;
mod raw;
mod restart;

use super::disk::Disk;
use super::network::UnderWay;
use super::outside::Zone;
use super::phone_set::PhoneSet;
use super::server::{DOMAIN, SERVER, password, server};
use super::{ByHand, Network};
use call_control::{
    Call, CallEvent, CallEventKind, CallId, CallState, ClickToCall, EventId, Explanation, Ladder, Number,
    Refusal, Timestamp, TrunkView, Wish, WishRefusal,
};
use media_relay::Relay;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use sip_b2bua::scenario::{Scenarios, Standard};
use sip_b2bua::{Command, Limits, Moment, StorageState, Switchboard, Ticket, TrunkSettings};
use sip_core::{Flow, Transport};
use sip_message::Host;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use test_phone::{Account, CallMedia, Handset, PhoneEvent, Script, Source};

/// One of the phones of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhoneId(usize);

/// `percent(10)` is 0.1.
pub fn percent(share: u8) -> f64 {
    f64::from(share) / 100.0
}

/// A server and phones.
pub struct World {
    network: Network,
    start: Instant,
    now: Instant,
    random: ChaCha12Rng,
    scenarios: Arc<dyn Scenarios>,
    trunks: Vec<TrunkSettings>,
    limits: Limits,
    zone: Zone,
    switchboard: Switchboard,
    relay: Relay,
    bound: BTreeSet<u16>,
    disk: Disk,
    /// Nobody is there to receive what is sent to the server.
    server_is_down: bool,
    /// Somebody else has every port.
    ports_are_taken: bool,
    under_way: UnderWay,
    phones: Vec<PhoneInWorld>,
    answers: BTreeMap<Ticket, Result<CallId, Refusal>>,
    asked: Option<Result<(), WishRefusal>>,
    views: BTreeMap<CallId, Arc<Call>>,
    /// The last event that was told.
    told: Option<EventId>,
    /// What the server said of its disk.
    storage: Vec<StorageState>,
    next_ticket: u64,
    trace: Vec<String>,
}

struct PhoneInWorld {
    handset: PhoneSet,
    sip: SocketAddr,
    rtp: SocketAddr,
    plugged_in: bool,
    /// Its audio goes nowhere.
    muted: bool,
    events: Vec<PhoneEvent>,
    /// When each of them was reported.
    moments: Vec<Instant>,
    media: Vec<CallMedia>,
}

/// 2026-11-22T10:00:00Z.
const WALL_CLOCK_START: i64 = 1_795_341_600_000;
/// A click-to-call is answered by then, whatever the disk does.
const ANSWERED: Duration = Duration::from_secs(3);
/// Nothing may be left of a call after it. The longest that RFC 3261 allows: an INVITE whose first provisional response
/// comes in its last moment (64·T1, §17.1.1.2) is cancelled only then (§9.1), and its 2xx absorbed for as long again.
const QUIET: Duration = Duration::from_secs(105);

/// As many as there are ports for.
const LIMITS: Limits = Limits { calls: 100, calls_per_second: 100, calls_per_key: 100 };
/// The session interval (RFC 4028), and some.
const SESSION: Duration = Duration::from_secs(2000);

impl World {
    /// A world with extensions 1001 to 1009 and no phones; 1008 and 1009 are offered every codec.
    pub fn with_seed(seed: u64) -> Self {
        Self::with_scenarios(seed, Arc::new(Standard))
    }

    /// The same with trunks, to whose addresses `zone` leads.
    pub fn with_trunks(seed: u64, trunks: Vec<TrunkSettings>, zone: Zone) -> Self {
        Self::new(seed, Arc::new(Standard), (trunks, LIMITS), zone)
    }

    /// The same with limits that a story meets.
    pub fn with_limits(seed: u64, trunks: Vec<TrunkSettings>, limits: Limits) -> Self {
        Self::new(seed, Arc::new(Standard), (trunks, limits), Zone::default())
    }

    /// The same with calls and destinations of the story's own.
    pub fn with_scenarios(seed: u64, scenarios: Arc<dyn Scenarios>) -> Self {
        Self::new(seed, scenarios, (Vec::new(), LIMITS), Zone::default())
    }

    fn new(
        seed: u64,
        scenarios: Arc<dyn Scenarios>,
        (trunks, limits): (Vec<TrunkSettings>, Limits),
        zone: Zone,
    ) -> Self {
        let start = Instant::now();
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let (switchboard, relay) = server(&mut random, Arc::clone(&scenarios), (&trunks, limits), start);
        Self {
            network: Network::default(),
            start,
            now: start,
            random,
            scenarios,
            trunks,
            limits,
            zone,
            switchboard,
            relay,
            bound: BTreeSet::new(),
            disk: Disk::default(),
            server_is_down: false,
            ports_are_taken: false,
            under_way: UnderWay::default(),
            phones: Vec::new(),
            answers: BTreeMap::new(),
            asked: None,
            views: BTreeMap::new(),
            told: None,
            storage: Vec::new(),
            next_ticket: 1,
            trace: Vec::new(),
        }
    }

    /// From now on the network is like this.
    pub fn set_network(&mut self, network: Network) {
        self.network = network;
    }

    /// Plugs in a phone of an extension, which registers, and plays `hertz` in calls.
    pub fn phone(&mut self, user: &str, script: Script, hertz: f64) -> PhoneId {
        let (sip, rtp) = self.free_place();
        let handset = self.handset(user, script, Source::Tone { hertz });
        self.plug_in(PhoneSet::Whole(handset), sip, rtp)
    }

    /// A whole phone for the next free place.
    fn handset(&mut self, user: &str, script: Script, source: Source) -> Handset {
        let (sip, rtp) = self.free_place();
        let flow =
            Flow { transport: Transport::Udp, local: sip, remote: SocketAddr::new(SERVER, 5060), peer: None };
        let account = Account {
            user: user.into(),
            password: Some(password(user).into()),
            display_name: None,
            domain: Host::new(DOMAIN).expect("a host name"),
            flow,
            rtp,
        };
        let seed = self.random.random();
        Handset::new(account, script, source, None, seed, self.now)
    }

    /// Plugs in a phone of an extension whose part the story plays; it registers, and plays `hertz` in calls.
    pub fn phone_by_hand(&mut self, user: &str, hertz: f64) -> PhoneId {
        let (sip, rtp) = self.free_place();
        let server = SocketAddr::new(SERVER, 5060);
        let phone = ByHand::new((user, &password(user), DOMAIN), (sip, rtp, server), hertz);
        self.plug_in(PhoneSet::ByHand(phone), sip, rtp)
    }

    /// Lets a phone that is played by hand do something now.
    pub fn play<T>(&mut self, phone: PhoneId, act: impl FnOnce(&mut ByHand, Instant) -> T) -> T {
        let now = self.now;
        let entry = &mut self.phones[phone.0];
        let PhoneSet::ByHand(by_hand) = &mut entry.handset else { panic!("{phone:?} plays its part itself") };
        let done = act(by_hand, now);
        (entry.sip, entry.rtp) = (by_hand.sip, by_hand.rtp);
        self.settle();
        done
    }

    /// A phone that is played by hand.
    pub fn by_hand(&self, phone: PhoneId) -> &ByHand {
        let PhoneSet::ByHand(by_hand) = &self.phones[phone.0].handset else {
            panic!("{phone:?} plays its part itself")
        };
        by_hand
    }

    /// From now on name servers know this.
    pub fn set_zone(&mut self, zone: Zone) {
        self.zone = zone;
    }

    /// Channels of trunks in use.
    pub fn channels_in_use(&self) -> usize {
        self.switchboard.channels_in_use()
    }

    /// SIP and RTP addresses of the next phone.
    fn free_place(&self) -> (SocketAddr, SocketAddr) {
        let index = u8::try_from(self.phones.len() + 1).expect("a world has few phones");
        let ip = IpAddr::from([10, 0, 1, index]);
        (SocketAddr::new(ip, 5060), SocketAddr::new(ip, 4000))
    }

    fn plug_in(&mut self, handset: PhoneSet, sip: SocketAddr, rtp: SocketAddr) -> PhoneId {
        let (events, moments, media) = (Vec::new(), Vec::new(), Vec::new());
        let phone =
            PhoneInWorld { handset, sip, rtp, plugged_in: true, muted: false, events, moments, media };
        self.phones.push(phone);
        self.settle();
        PhoneId(self.phones.len() - 1)
    }

    /// Somebody trips over the cable: nothing reaches the phone any more, and nothing leaves it.
    pub fn unplug(&mut self, phone: PhoneId) {
        self.phones[phone.0].plugged_in = false;
    }

    /// The audio that a phone sends is lost from now on, or is not any more.
    pub fn mute(&mut self, phone: PhoneId, muted: bool) {
        self.phones[phone.0].muted = muted;
    }

    /// Somebody presses a key of a phone.
    pub fn press(&mut self, phone: PhoneId, key: &test_phone::Command) {
        self.phones[phone.0].handset.handle_command(key, self.now);
        self.settle();
    }

    /// A click-to-call of `from` and `to` with the default time limits.
    pub fn request(from: &str, to: &str) -> ClickToCall {
        let number = |text| Number::new(text).expect("a number");
        ClickToCall {
            from: number(from),
            to: number(to),
            to_type: None,
            caller_id: None,
            caller_ids: Vec::new(),
            timeout: Duration::from_secs(30),
            to_timeout: Duration::from_secs(60),
            max_duration: None,
            variables: BTreeMap::new(),
            auto_answer: false,
            key_name: "story".into(),
            repeatable: None,
        }
    }

    /// Asks for a call, and runs until the answer is there.
    pub fn click_to_call(&mut self, request: ClickToCall) -> Result<CallId, Refusal> {
        let ticket = self.ask(request);
        self.run_until(ANSWERED, |world| world.answers.contains_key(&ticket) || world.server_is_down);
        self.answers.remove(&ticket).expect("a click-to-call is answered")
    }

    /// Asks for a call and does not wait for the answer, which [`World::answer`] gives.
    pub fn ask(&mut self, request: ClickToCall) -> Ticket {
        let ticket = self.ticket();
        let request = Box::new(request);
        self.switchboard.handle_command(Command::ClickToCall { ticket, request }, self.moment());
        self.settle();
        ticket
    }

    /// The answer to [`World::ask`], if it is there.
    pub fn answer(&self, ticket: Ticket) -> Option<&Result<CallId, Refusal>> {
        self.answers.get(&ticket)
    }

    /// The API ends a call.
    pub fn hang_up(&mut self, call: CallId) {
        let ticket = self.ticket();
        self.switchboard.handle_command(Command::HangUp { ticket, call }, self.moment());
        self.settle();
    }

    /// The API asks something of a running call; whether that is being tried.
    ///
    /// # Errors
    /// Why not.
    ///
    /// # Panics
    /// When it is not answered at once.
    pub fn wish(&mut self, call: CallId, wish: Wish) -> Result<(), WishRefusal> {
        let ticket = self.ticket();
        let wish = Box::new(wish);
        self.switchboard.handle_command(Command::Ask { ticket, call, wish }, self.moment());
        self.settle();
        self.asked.take().expect("it is answered at once")
    }

    /// The server is told to stop: every call ends.
    pub fn end_all(&mut self) {
        self.switchboard.handle_command(Command::EndAll, self.moment());
        self.settle();
    }

    /// The server is told to take its registrations at carriers back: it stops.
    pub fn unregister(&mut self) {
        self.switchboard.handle_command(Command::Unregister, self.moment());
        self.settle();
    }

    /// The trunks as the API shows them.
    pub fn trunks(&self) -> Vec<TrunkView> {
        self.switchboard.trunks(self.now)
    }

    /// No carrier is being told that the server stops.
    pub fn is_unregistered(&self) -> bool {
        self.switchboard.is_unregistered()
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
    }

    /// Lets time pass until `done`, for at most `limit`; tells whether it came to that.
    pub fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while !done(self) {
            if !self.step(end) {
                return done(self);
            }
        }
        true
    }

    /// Runs until all phones that are plugged in have registered.
    pub fn register_all(&mut self) {
        let registered =
            |world: &Self| {
                world.phones.iter().filter(|phone| phone.handset.registers()).all(|phone| {
                    phone.events.iter().any(|event| matches!(event, PhoneEvent::Registered { .. }))
                })
            };
        assert!(self.run_until(Duration::from_secs(120), registered), "{}", self.story());
    }

    /// Runs until the call has ended, then until nothing can be left of it, and checks that nothing is.
    pub fn run_until_ended(&mut self, call: CallId) -> Arc<Call> {
        let over = self.run_until(Duration::from_secs(700), |world| world.has_ended(call));
        assert!(over, "the call never ended\n{}", self.story());
        self.run_until_nothing_is_left();
        self.check_events(call);
        Arc::clone(self.disk.call(call).expect("its record is on disk"))
    }

    /// Runs until the record of a call is on disk, whatever else goes on.
    pub fn run_until_written(&mut self, call: CallId) -> Arc<Call> {
        let over = self.run_until(Duration::from_secs(700), |world| world.has_ended(call));
        assert!(over, "the call never ended\n{}", self.story());
        self.check_events(call);
        Arc::clone(self.disk.call(call).expect("its record is on disk"))
    }

    /// Runs until nothing can be left of any call, and checks that nothing is.
    pub fn run_until_nothing_is_left(&mut self) {
        let is_quiet =
            |world: &Self| world.switchboard.counts() == (0, 0, 0) && world.switchboard.is_written();
        self.run_until(QUIET, is_quiet);
        self.check_nothing_is_left();
        // A phone that every BYE missed finds out by the session timer; one that answers too late is hung up then.
        let phones: Vec<PhoneId> = (0..self.phones.len()).map(PhoneId).collect();
        self.run_until(SESSION, |world| !phones.iter().any(|phone| world.is_busy(*phone)));
        self.run_until(QUIET, is_quiet);
        self.check_nothing_is_left();
    }

    /// Live calls, transactions, usages, relay sessions and ports: none; the API shows no call as running.
    pub fn check_nothing_is_left(&self) {
        assert_eq!(self.switchboard.counts(), (0, 0, 0), "calls, transactions, usages\n{}", self.story());
        assert_eq!(self.relay.sessions(), 0, "relay sessions\n{}", self.story());
        assert_eq!(self.switchboard.busy_legs(), 0, "busy legs\n{}", self.story());
        assert_eq!(self.switchboard.channels_in_use(), 0, "channels of trunks\n{}", self.story());
        assert!(self.bound.is_empty(), "open ports: {:?}\n{}", self.bound, self.story());
        assert!(self.views.is_empty(), "shown as running\n{}", self.story());
    }

    /// Exactly one `call.initiated`, first, and exactly one `call.ended`, last.
    pub fn check_events(&self, call: CallId) {
        let kinds = self.events_of(call);
        let count = |kind| kinds.iter().filter(|event| **event == kind).count();
        assert_eq!(count(CallEventKind::Initiated), 1, "{kinds:?}");
        assert_eq!(count(CallEventKind::Ended), 1, "{kinds:?}");
        assert_eq!(kinds.first(), Some(&CallEventKind::Initiated), "{kinds:?}");
        assert_eq!(kinds.last(), Some(&CallEventKind::Ended), "{kinds:?}");
    }

    /// What happened to a call.
    pub fn events_of(&self, call: CallId) -> Vec<CallEventKind> {
        self.happened(call).map(|event| event.event).collect()
    }

    fn happened(&self, call: CallId) -> impl Iterator<Item = &CallEvent> {
        self.disk.events().map(|event| &*event.event).filter(move |event| event.call.call_id == call)
    }

    /// Legs with a phone of ours or somebody outside, ringing or answered.
    pub fn busy_legs(&self) -> usize {
        self.switchboard.busy_legs()
    }

    /// The calls that are on disk.
    pub fn records(&self) -> Vec<Arc<Call>> {
        self.disk.calls().cloned().collect()
    }

    /// First answers, and INVITEs that were not ended, on disk.
    pub fn kept(&self) -> (usize, usize) {
        (self.disk.answers().len(), self.disk.invites())
    }

    /// What the server said of its disk, in order.
    pub fn storage(&self) -> &[StorageState] {
        &self.storage
    }

    /// The API shows a call as running, or as ended and not written yet.
    pub fn is_live(&self, call: CallId) -> bool {
        self.views.contains_key(&call)
    }

    /// Whether a leg of any call has this number.
    pub fn line_is_busy(&self, number: &str) -> bool {
        self.switchboard.is_busy(&Number::new(number).expect("a number"))
    }

    /// A call as the API shows it.
    pub fn call(&self, call: CallId) -> &Call {
        self.views.get(&call).or_else(|| self.disk.call(call)).expect("the call is known")
    }

    /// Where a call stands.
    pub fn state(&self, call: CallId) -> CallState {
        self.call(call).state
    }

    /// The SIP messages of a call, running or ended.
    pub fn ladder(&self, call: CallId) -> Ladder {
        let (call, octets) = self.recorded(call);
        call_trace::ladder(&call, &octets).expect("what was recorded can be read")
    }

    /// What is to be said of a call.
    pub fn explanation(&self, call: CallId) -> Explanation {
        let (call, octets) = self.recorded(call);
        let now = Timestamp::from_unix_milliseconds(self.moment().unix_milliseconds).expect("a moment");
        call_trace::explain(&call, Some(&octets), now)
    }

    fn recorded(&self, call: CallId) -> (Call, Arc<[u8]>) {
        let stored = || {
            let trace = self.disk.trace(call).expect("its trace is on disk");
            (self.call(call).clone(), Arc::clone(trace))
        };
        self.switchboard.trace_of(call).unwrap_or_else(stored)
    }

    fn has_ended(&self, call: CallId) -> bool {
        self.happened(call).any(|event| event.event == CallEventKind::Ended)
    }

    /// What a phone reported.
    pub fn phone_events(&self, phone: PhoneId) -> &[PhoneEvent] {
        &self.phones[phone.0].events
    }

    /// The same with the moments at which it happened.
    pub fn dated_phone_events(&self, phone: PhoneId) -> impl Iterator<Item = (Instant, &PhoneEvent)> {
        let phone = &self.phones[phone.0];
        phone.moments.iter().copied().zip(&phone.events)
    }

    /// What a phone heard in its last call.
    pub fn heard(&self, phone: PhoneId) -> Option<&CallMedia> {
        self.phones[phone.0].media.last()
    }

    /// Whether a phone has a call: it rings, or somebody talks.
    pub fn is_busy(&self, phone: PhoneId) -> bool {
        if let Some(raw) = self.phones[phone.0].handset.raw() {
            return raw.is_left_alone();
        }
        let events = &self.phones[phone.0].events;
        let count = |kind: fn(&PhoneEvent) -> bool| events.iter().filter(|event| kind(event)).count();
        count(|event| matches!(event, PhoneEvent::Incoming { .. }))
            > count(|event| matches!(event, PhoneEvent::Ended { .. }))
    }

    /// The present.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The moment that a record names.
    pub fn instant_of(&self, at: Timestamp) -> Instant {
        let elapsed = u64::try_from(at.unix_milliseconds() - WALL_CLOCK_START).expect("the world had begun");
        self.start + Duration::from_millis(elapsed)
    }

    /// Time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Every message so far, a line each: equal for equal seeds.
    pub fn trace(&self) -> &[String] {
        &self.trace
    }

    /// The end of the trace without registrations as a text, for those who ask why.
    pub fn story(&self) -> String {
        let calls: Vec<&str> =
            self.trace.iter().map(String::as_str).filter(|line| !line.contains("REGISTER")).collect();
        let last = calls.len().saturating_sub(100);
        format!("{}\n{:#?}", calls[last..].join("\n"), self.views.values().last())
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    fn moment(&self) -> Moment {
        let elapsed = i64::try_from(self.elapsed().as_millis()).expect("stories are short");
        Moment { now: self.now, unix_milliseconds: WALL_CLOCK_START + elapsed }
    }
}
