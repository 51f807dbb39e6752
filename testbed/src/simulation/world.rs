//! A server, some phones, and what a story can ask of them.

use super::network::{Delivery, UnderWay};
use super::phone_set::PhoneSet;
use super::server::{DOMAIN, SERVER, password, registrar, relay_command, settings};
use super::{ByHand, Network};
use call_control::{Call, CallEvent, CallEventKind, CallId, CallState, ClickToCall, Number, Refusal};
use media_relay::Relay;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use sip_b2bua::{Command, Moment, Output, Switchboard, Ticket};
use sip_core::{Endpoint, Flow, Transport};
use sip_message::Host;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use test_phone::{Account, CallMedia, Handset, HandsetOutput, PhoneEvent, Script, Source};

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
    switchboard: Switchboard,
    relay: Relay,
    bound: BTreeSet<u16>,
    under_way: UnderWay,
    phones: Vec<PhoneInWorld>,
    answers: BTreeMap<Ticket, Result<CallId, Refusal>>,
    views: BTreeMap<CallId, Arc<Call>>,
    events: Vec<Arc<CallEvent>>,
    records: BTreeMap<CallId, Arc<Call>>,
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
    media: Vec<CallMedia>,
}

/// 2026-11-22T10:00:00Z.
const WALL_CLOCK_START: i64 = 1_795_341_600_000;
/// Milliseconds that the disk takes.
const DISK: Duration = Duration::from_millis(2);
/// Nothing may be left of a call after it. The longest that RFC 3261 allows: an INVITE whose first provisional response
/// comes in its last moment (64·T1, §17.1.1.2) is cancelled only then (§9.1), and its 2xx absorbed for as long again.
const QUIET: Duration = Duration::from_secs(105);

/// The session interval (RFC 4028), and some.
const SESSION: Duration = Duration::from_secs(2000);

impl World {
    /// A world with extensions 1001 to 1009 and no phones; 1008 and 1009 are offered every codec.
    pub fn with_seed(seed: u64) -> Self {
        let start = Instant::now();
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let settings = settings();
        let endpoint = Endpoint::new(settings.endpoint(), random.random());
        let registrar = registrar(&settings, random.random());
        let relay = Relay::new(media_relay::Config {
            ports: settings.media.ports.clone(),
            ringback: settings.media.ringback.clone(),
            silence_timeout: settings.media.silence_timeout,
            port_rest: Duration::from_secs(5),
            seed: random.random(),
        });
        let switchboard = Switchboard::new(settings, endpoint, registrar, random.random());
        Self {
            network: Network::default(),
            start,
            now: start,
            random,
            switchboard,
            relay,
            bound: BTreeSet::new(),
            under_way: UnderWay::default(),
            phones: Vec::new(),
            answers: BTreeMap::new(),
            views: BTreeMap::new(),
            events: Vec::new(),
            records: BTreeMap::new(),
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
        let flow = Flow { transport: Transport::Udp, local: sip, remote: SocketAddr::new(SERVER, 5060) };
        let account = Account {
            user: user.into(),
            password: Some(password(user).into()),
            display_name: None,
            domain: Host::new(DOMAIN).expect("a host name"),
            flow,
            rtp,
        };
        let seed = self.random.random();
        let handset = Handset::new(account, script, Source::Tone { hertz }, None, seed, self.now);
        self.plug_in(PhoneSet::Whole(handset), sip, rtp)
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

    /// SIP and RTP addresses of the next phone.
    fn free_place(&self) -> (SocketAddr, SocketAddr) {
        let index = u8::try_from(self.phones.len() + 1).expect("a world has few phones");
        let ip = IpAddr::from([10, 0, 1, index]);
        (SocketAddr::new(ip, 5060), SocketAddr::new(ip, 4000))
    }

    fn plug_in(&mut self, handset: PhoneSet, sip: SocketAddr, rtp: SocketAddr) -> PhoneId {
        let (events, media) = (Vec::new(), Vec::new());
        let phone = PhoneInWorld { handset, sip, rtp, plugged_in: true, muted: false, events, media };
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
            timeout: Duration::from_secs(30),
            to_timeout: Duration::from_secs(60),
            max_duration: None,
            variables: BTreeMap::new(),
            auto_answer: false,
            key_name: "story".into(),
        }
    }

    /// Asks for a call, and runs until the answer is there.
    pub fn click_to_call(&mut self, request: ClickToCall) -> Result<CallId, Refusal> {
        let ticket = self.ticket();
        let request = Box::new(request);
        self.switchboard.handle_command(Command::ClickToCall { ticket, request }, self.moment());
        self.settle();
        self.answers.remove(&ticket).expect("a click-to-call is answered at once")
    }

    /// The API ends a call.
    pub fn hang_up(&mut self, call: CallId) {
        let ticket = self.ticket();
        self.switchboard.handle_command(Command::HangUp { ticket, call }, self.moment());
        self.settle();
    }

    /// The server is told to stop: every call ends.
    pub fn end_all(&mut self) {
        self.switchboard.handle_command(Command::EndAll, self.moment());
        self.settle();
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
        let registered = |world: &Self| {
            world
                .phones
                .iter()
                .all(|phone| phone.events.iter().any(|event| matches!(event, PhoneEvent::Registered { .. })))
        };
        assert!(self.run_until(Duration::from_secs(120), registered), "{}", self.story());
    }

    /// Runs until the call has ended, then until nothing can be left of it, and checks that nothing is.
    pub fn run_until_ended(&mut self, call: CallId) -> Arc<Call> {
        let over = self.run_until(Duration::from_secs(700), |world| world.has_ended(call));
        assert!(over, "the call never ended\n{}", self.story());
        self.run_until(QUIET, |world| world.switchboard.counts() == (0, 0, 0));
        self.check_nothing_is_left();
        // A phone that every BYE missed finds out by the session timer.
        let phones: Vec<PhoneId> = (0..self.phones.len()).map(PhoneId).collect();
        self.run_until(SESSION, |world| !phones.iter().any(|phone| world.is_busy(*phone)));
        self.check_nothing_is_left();
        self.check_events(call);
        Arc::clone(&self.records[&call])
    }

    /// Live calls, transactions, usages, relay sessions and ports: none.
    pub fn check_nothing_is_left(&self) {
        assert_eq!(self.switchboard.counts(), (0, 0, 0), "calls, transactions, usages\n{}", self.story());
        assert_eq!(self.relay.sessions(), 0, "relay sessions\n{}", self.story());
        assert!(self.bound.is_empty(), "open ports: {:?}\n{}", self.bound, self.story());
    }

    /// Exactly one `call.initiated`, first, and exactly one `call.ended`, last.
    fn check_events(&self, call: CallId) {
        let kinds = self.events_of(call);
        let count = |kind| kinds.iter().filter(|event| **event == kind).count();
        assert_eq!(count(CallEventKind::Initiated), 1, "{kinds:?}");
        assert_eq!(count(CallEventKind::Ended), 1, "{kinds:?}");
        assert_eq!(kinds.first(), Some(&CallEventKind::Initiated), "{kinds:?}");
        assert_eq!(kinds.last(), Some(&CallEventKind::Ended), "{kinds:?}");
    }

    /// What happened to a call.
    pub fn events_of(&self, call: CallId) -> Vec<CallEventKind> {
        self.events.iter().filter(|event| event.call.call_id == call).map(|event| event.event).collect()
    }

    /// A call as the API shows it.
    pub fn call(&self, call: CallId) -> &Call {
        self.views.get(&call).or_else(|| self.records.get(&call)).expect("the call is known")
    }

    /// Where a call stands.
    pub fn state(&self, call: CallId) -> CallState {
        self.call(call).state
    }

    fn has_ended(&self, call: CallId) -> bool {
        self.events.iter().any(|event| event.call.call_id == call && event.event == CallEventKind::Ended)
    }

    /// What a phone reported.
    pub fn phone_events(&self, phone: PhoneId) -> &[PhoneEvent] {
        &self.phones[phone.0].events
    }

    /// What a phone heard in its last call.
    pub fn heard(&self, phone: PhoneId) -> Option<&CallMedia> {
        self.phones[phone.0].media.last()
    }

    /// Whether a phone has a call: it rings, or somebody talks.
    pub fn is_busy(&self, phone: PhoneId) -> bool {
        let events = &self.phones[phone.0].events;
        let count = |kind: fn(&PhoneEvent) -> bool| events.iter().filter(|event| kind(event)).count();
        count(|event| matches!(event, PhoneEvent::Incoming { .. }))
            > count(|event| matches!(event, PhoneEvent::Ended { .. }))
    }

    /// The present.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Every message so far, a line each: equal for equal seeds.
    pub fn trace(&self) -> &[String] {
        &self.trace
    }

    /// The trace as a text, for those who ask why.
    pub fn story(&self) -> String {
        let last = self.trace.len().saturating_sub(60);
        format!("{}\n{:#?}", self.trace[last..].join("\n"), self.views.values().last())
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    fn moment(&self) -> Moment {
        let elapsed = i64::try_from(self.elapsed().as_millis()).expect("stories are short");
        Moment { now: self.now, unix_milliseconds: WALL_CLOCK_START + elapsed }
    }

    /// Goes on to the next thing that happens before `end`; `false` when there is none.
    fn step(&mut self, end: Instant) -> bool {
        let phones = self.phones.iter().filter_map(|phone| phone.handset.poll_timeout());
        let others = [self.under_way.next(), self.switchboard.poll_timeout(), self.relay.poll_timeout()];
        let next = phones.chain(others.into_iter().flatten()).min();
        let Some(next) = next.filter(|next| *next <= end) else {
            self.now = end;
            return false;
        };
        self.now = self.now.max(next);
        if let Some(delivery) = self.under_way.pop_due(self.now) {
            self.deliver(delivery);
        }
        if self.switchboard.poll_timeout().is_some_and(|due| due <= self.now) {
            self.switchboard.handle_timeout(self.moment());
        }
        if self.relay.poll_timeout().is_some_and(|due| due <= self.now) {
            self.relay.handle_timeout(self.now);
        }
        for phone in &mut self.phones {
            if phone.handset.poll_timeout().is_some_and(|due| due <= self.now) {
                phone.handset.handle_timeout(self.now);
            }
        }
        self.settle();
        true
    }

    fn deliver(&mut self, delivery: Delivery) {
        let now = self.now;
        match delivery {
            Delivery::BindingsKept(key) => self.switchboard.handle_bindings_kept(&key, self.moment()),
            Delivery::Kept(id) => self.switchboard.handle_kept(id, self.moment()),
            Delivery::Sip { from, to, octets } => {
                let flow = Flow { transport: Transport::Udp, local: to, remote: from };
                if to.ip() == SERVER {
                    self.switchboard.handle_octets(&octets, flow, self.moment());
                } else if let Some(phone) = self.plugged_in(|phone| phone.sip == to) {
                    phone.handset.handle_sip(&octets, flow, now);
                }
            }
            Delivery::Rtp { from, to, mut octets } => {
                if to.ip() != SERVER {
                    if let Some(phone) = self.plugged_in(|phone| phone.rtp == to) {
                        phone.handset.handle_rtp(&octets, from, now);
                    }
                    return;
                }
                let even = to.port() % 2 == 0;
                let forward = if even {
                    self.relay.handle_rtp(to.port(), from, &mut octets, now)
                } else {
                    self.relay.handle_rtcp(to.port(), from, &mut octets, now)
                };
                if let Some(forward) = forward {
                    self.send_rtp(SocketAddr::new(SERVER, forward.port), forward.to, octets);
                }
            }
        }
    }

    fn plugged_in(&mut self, which: impl Fn(&PhoneInWorld) -> bool) -> Option<&mut PhoneInWorld> {
        self.phones.iter_mut().find(|phone| phone.plugged_in && which(phone))
    }

    /// Performs what everybody wants done until nobody wants anything.
    fn settle(&mut self) {
        loop {
            let mut idle = true;
            while let Some(output) = self.switchboard.poll_output() {
                idle = false;
                self.perform(output);
            }
            idle &= !self.settle_relay();
            for index in 0..self.phones.len() {
                while let Some(output) = self.phones[index].handset.poll_output() {
                    idle = false;
                    self.perform_phone(index, output);
                }
            }
            if idle {
                return;
            }
        }
    }

    fn settle_relay(&mut self) -> bool {
        let mut events = Vec::new();
        let mut binds = Vec::new();
        let mut packets = Vec::new();
        while let Some(output) = self.relay.poll_output() {
            match output {
                media_relay::Output::Bind { port, .. } => binds.push(port),
                media_relay::Output::Release { port } => {
                    self.bound.remove(&port);
                }
                media_relay::Output::Send { port, to, octets } => packets.push((port, to, octets.to_vec())),
                media_relay::Output::Event(event) => events.push(event),
            }
        }
        let acted = !(events.is_empty() && binds.is_empty() && packets.is_empty());
        for port in binds {
            self.bound.insert(port);
            self.relay.handle_bound(port, Ok(()), self.now);
        }
        for (port, to, octets) in packets {
            self.send_rtp(SocketAddr::new(SERVER, port), to, octets);
        }
        for event in events {
            self.switchboard.handle_relay(event, self.moment());
        }
        acted
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Send { flow, octets } => self.send_sip(flow.local, flow.remote, octets),
            Output::OpenMedia { session, local } => {
                self.relay.handle_command(media_relay::Command::Open { session, local }, self.now);
            }
            Output::Relay { session, action } => {
                self.relay.handle_command(relay_command(session, action), self.now);
            }
            Output::CallAnswer { ticket, answer } => {
                self.answers.insert(ticket, answer);
            }
            Output::HangUpAnswer { .. } => {}
            Output::KeepBindings { waiting, .. } => {
                if let Some(key) = waiting {
                    self.under_way.at(self.now + DISK, Delivery::BindingsKept(key));
                }
            }
            Output::KeepCall(call) => {
                if call.end.is_some() {
                    self.under_way.at(self.now + DISK, Delivery::Kept(call.call_id));
                }
                self.records.insert(call.call_id, call);
            }
            Output::View(call) => {
                self.views.insert(call.call_id, call);
            }
            Output::Forget(id) => {
                self.views.remove(&id);
            }
            Output::Happened(event) => {
                self.trace.push(format!("{:>10.3} {:?}", self.elapsed().as_secs_f64(), event.event));
                self.events.push(event);
            }
        }
    }

    fn perform_phone(&mut self, index: usize, output: HandsetOutput) {
        match output {
            HandsetOutput::Sip { flow, octets } if self.phones[index].plugged_in => {
                self.send_sip(flow.local, flow.remote, octets);
            }
            HandsetOutput::Rtp { to, octets }
                if self.phones[index].plugged_in && !self.phones[index].muted =>
            {
                self.send_rtp(self.phones[index].rtp, to, octets);
            }
            HandsetOutput::Sip { .. } | HandsetOutput::Rtp { .. } => {}
            HandsetOutput::Report(event) => self.phones[index].events.push(event),
            HandsetOutput::CallMedia(media) => self.phones[index].media.push(media),
        }
    }

    fn send_sip(&mut self, from: SocketAddr, to: SocketAddr, octets: Vec<u8>) {
        let first_line =
            String::from_utf8_lossy(octets.split(|octet| *octet == b'\r').next().unwrap_or_default())
                .into_owned();
        self.trace.push(format!("{:>10.3} {from} > {to} {first_line}", self.elapsed().as_secs_f64()));
        let packet = || Delivery::Sip { from, to, octets: octets.clone() };
        self.under_way.send(&self.network, &mut self.random, self.now, packet);
    }

    fn send_rtp(&mut self, from: SocketAddr, to: SocketAddr, octets: Vec<u8>) {
        let packet = || Delivery::Rtp { from, to, octets: octets.clone() };
        self.under_way.send(&self.network, &mut self.random, self.now, packet);
    }
}
