//! Two endpoints on a simulated network that loses, doubles and reorders, in simulated time.

#[path = "../limit/mod.rs"]
mod limit;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sip_core::{
    Action, Command, Config, Endpoint, Event, Flow, Gone, GoneCause, InviteEvent, InviteId, NewInvite, Reach,
    Timers, Transport,
};
use sip_message::{Host, Message, Method, NameAddr, SipUri, StatusCode};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Of either side: it has only one.
const LEG: InviteId = InviteId(1);

pub(crate) const MS: Duration = Duration::from_millis(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Caller,
    Callee,
}
use Side::{Callee, Caller};

/// What the users do; times from the start of the call, or from the ringing at the callee.
#[derive(Debug, Clone, Default)]
pub(crate) struct Story {
    /// From the ringing; `None` rings for ever.
    pub(crate) accepts_after: Option<Duration>,
    pub(crate) rejects_after: Option<Duration>,
    /// From the start.
    pub(crate) caller_hangs_up_after: Option<Duration>,
    /// From the start.
    pub(crate) callee_hangs_up_after: Option<Duration>,
    /// From the start: offers of both sides, which may meet.
    pub(crate) caller_offers_after: Option<Duration>,
    pub(crate) callee_offers_after: Option<Duration>,
    pub(crate) late_offer: bool,
    pub(crate) session_expires: Option<Duration>,
    /// With early media, by the means of RFC 3262.
    pub(crate) rings_reliably: bool,
}

/// Chances in percent, delay in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network {
    pub(crate) loss: u32,
    pub(crate) doubling: u32,
    pub(crate) delay_max: u32,
}

/// What a user does.
#[derive(Debug)]
enum Deed {
    Accept,
    Reject,
    HangUp(Side),
    Offer(Side),
}

pub(crate) struct Pair {
    caller: Endpoint,
    callee: Endpoint,
    start: Instant,
    now: Instant,
    network: Network,
    transport: Transport,
    random: ChaCha12Rng,
    under_way: BTreeMap<(Instant, u64), Parcel>,
    counter: u64,
    story: Story,
    legs: [Option<InviteId>; 2],
    pub(crate) events: [Vec<InviteEvent>; 2],
    pub(crate) trace: Vec<String>,
}

enum Parcel {
    Octets(Side, Flow, Vec<u8>),
    Deed(Deed),
}

/// How often something is due at one moment.
const ROUNDS_MAX: usize = 1_000;

/// What both sides do at one moment.
const ACTIONS_MAX: usize = 10_000;

impl Pair {
    pub(crate) fn new(seed: u64, transport: Transport, network: Network, story: Story) -> Self {
        limit::give_up_in_the_end();
        let config = Config {
            user_agent: "pair".into(),
            timers: Timers::default(),
            passes_to_user: vec![Method::INFO],
            transactions_max: 100,
            rings_reliably: story.rings_reliably,
            session_expires: story.session_expires.unwrap_or(Duration::from_mins(30)),
            ..Config::default()
        };
        let mut seed_of = [0; 32];
        seed_of[..8].copy_from_slice(&seed.to_le_bytes());
        let mut other = seed_of;
        other[31] = 1;
        let start = Instant::now();
        Self {
            caller: Endpoint::new(config.clone(), seed_of),
            callee: Endpoint::new(config, other),
            start,
            now: start,
            network,
            transport,
            random: ChaCha12Rng::seed_from_u64(seed),
            under_way: BTreeMap::new(),
            counter: 0,
            story,
            legs: [None, None],
            events: [Vec::new(), Vec::new()],
            trace: Vec::new(),
        }
    }

    /// Places the call and lets time pass until nothing is left.
    pub(crate) fn run(&mut self) {
        let at = |side| NameAddr::new(SipUri::at(Some("user"), address(side)));
        let new = NewInvite {
            flow: self.flow_of(Caller),
            uri: SipUri::at(Some("callee"), address(Callee)).into(),
            from: at(Caller),
            to: NameAddr::new(SipUri::new(Some("callee"), Host::new("example.com").unwrap(), None)),
            contact_user: Some("caller".into()),
            route: Vec::new(),
            fields: Vec::new(),
            offer: (!self.story.late_offer).then(|| b"offer".to_vec()),
            credentials: None,
            reach: Reach::AlongFlow,
            waits: false,
            max_forwards: None,
        };
        self.legs[0] = Some(LEG);
        self.command(Caller, Command::Invite { invite: LEG, new: Box::new(new) });
        for (after, deed) in [
            (self.story.caller_hangs_up_after, Deed::HangUp(Caller)),
            (self.story.callee_hangs_up_after, Deed::HangUp(Callee)),
            (self.story.caller_offers_after, Deed::Offer(Caller)),
            (self.story.callee_offers_after, Deed::Offer(Callee)),
        ] {
            if let Some(after) = after {
                self.put(after, Parcel::Deed(deed));
            }
        }
        self.settle();
        self.let_time_pass();
    }

    /// Ends what still stands, as a user does who hears nothing.
    pub(crate) fn hang_up_what_stands(&mut self) {
        for side in [Caller, Callee] {
            self.obey(Deed::HangUp(side));
            self.settle();
        }
        self.let_time_pass();
    }

    fn let_time_pass(&mut self) {
        let mut rounds = 0;
        while let Some(next) = self.next() {
            rounds = if next > self.now { 0 } else { rounds + 1 };
            assert!(rounds <= ROUNDS_MAX, "time stands still");
            // A call whose other side is gone stands for one session interval.
            assert!(next - self.start < Duration::from_mins(35), "the call never ends");
            self.now = self.now.max(next);
            while let Some(entry) = self.under_way.first_entry().filter(|entry| entry.key().0 <= self.now) {
                match entry.remove() {
                    Parcel::Octets(to, flow, octets) => {
                        let now = self.now;
                        self.endpoint(to).handle_octets(&octets, flow, now);
                    }
                    Parcel::Deed(deed) => self.obey(deed),
                }
                self.settle();
            }
            self.caller.handle_timeout(self.now);
            self.callee.handle_timeout(self.now);
            self.settle();
        }
    }

    /// One `Gone`, and nothing behind it.
    pub(crate) fn gone(&self, side: Side) -> Option<&Gone> {
        let events = &self.events[index(side)];
        let count = events.iter().filter(|event| matches!(event, InviteEvent::Gone(_))).count();
        assert!(count <= 1, "{side:?} was gone {count} times");
        match events.last() {
            Some(InviteEvent::Gone(gone)) => Some(gone),
            _ => {
                assert_eq!(count, 0, "{side:?} heard something behind Gone: {events:?}");
                None
            }
        }
    }

    pub(crate) fn cause(&self, side: Side) -> Option<GoneCause> {
        self.gone(side).map(|gone| gone.cause)
    }

    pub(crate) fn counts(&self) -> [(usize, usize); 2] {
        [self.caller.counts(), self.callee.counts()]
    }

    /// The INVITE reached the callee.
    pub(crate) fn was_called(&self) -> bool {
        self.legs[1].is_some()
    }

    fn next(&self) -> Option<Instant> {
        let under_way = self.under_way.first_key_value().map(|((due, _), _)| *due);
        [under_way, self.caller.poll_timeout(), self.callee.poll_timeout()].into_iter().flatten().min()
    }

    fn obey(&mut self, deed: Deed) {
        let leg = |side| self.legs[index(side)];
        let (side, command) = match deed {
            Deed::Accept => {
                (Callee, Command::Accept { invite: leg(Callee).unwrap(), body: b"answer".to_vec() })
            }
            Deed::Reject => {
                let (invite, status) = (leg(Callee).unwrap(), StatusCode::BUSY_HERE);
                (Callee, Command::Reject { invite, status, fields: Vec::new() })
            }
            Deed::HangUp(side) => {
                let Some(invite) = leg(side) else { return };
                (side, Command::HangUp { invite, reason: None })
            }
            Deed::Offer(side) => {
                let Some(invite) = leg(side) else { return };
                (side, Command::Offer { invite, body: b"another offer".to_vec() })
            }
        };
        self.command(side, command);
    }

    fn command(&mut self, side: Side, command: Command) {
        let now = self.now;
        self.endpoint(side).handle_command(command, now);
    }

    fn settle(&mut self) {
        for _ in 0..ACTIONS_MAX {
            let (side, action) = match (self.caller.poll_action(), ()) {
                (Some(action), ()) => (Caller, action),
                (None, ()) => match self.callee.poll_action() {
                    Some(action) => (Callee, action),
                    None => return,
                },
            };
            match action {
                Action::Send { flow, octets } => self.send(side, flow, octets),
                Action::Event(event) => self.hear(side, event),
            }
        }
        panic!("they never come to rest");
    }

    fn send(&mut self, from: Side, flow: Flow, octets: Vec<u8>) {
        assert_eq!(flow.local, address(from));
        let message = Message::parse(&octets).unwrap_or_else(|error| {
            panic!("{error}: {}", String::from_utf8_lossy(&octets));
        });
        let line = match &message {
            Message::Request(request) => request.method.to_string(),
            Message::Response(response) => {
                format!("{} {}", response.status.code(), response.header.cseq.method)
            }
        };
        let text = String::from_utf8(octets.clone()).unwrap();
        self.trace.push(format!("{:?} {from:?} {line}\n{text}", self.now - self.start));
        let to = if from == Caller { Callee } else { Caller };
        assert_eq!(flow.remote, address(to), "{line}");
        let (lost, doubled) = (self.percent(self.network.loss), self.percent(self.network.doubling));
        let copies = match self.transport {
            Transport::Tcp | Transport::Tls => 1,
            Transport::Udp if lost => 0,
            Transport::Udp => 1 + usize::from(doubled),
        };
        for _ in 0..copies {
            let delay = match self.transport {
                Transport::Udp => self.random.next_u32() % (self.network.delay_max + 1),
                Transport::Tcp | Transport::Tls => self.network.delay_max,
            };
            let flow = Flow { local: flow.remote, remote: flow.local, ..flow };
            self.put(MS * delay, Parcel::Octets(to, flow, octets.clone()));
        }
    }

    fn hear(&mut self, side: Side, event: Event) {
        self.trace.push(format!("{:?} {side:?} hears {event:?}", self.now - self.start));
        match event {
            Event::Request(incoming) if incoming.request.method == Method::INVITE => {
                // A copy that outlives its transaction starts a second call; the tests keep delays below that.
                assert!(self.legs[1].is_none(), "a second call");
                self.legs[1] = Some(LEG);
                self.command(
                    Callee,
                    Command::Take {
                        invite: LEG,
                        incoming: Box::new(incoming),
                        reach: Reach::AlongFlow,
                        credentials: None,
                    },
                );
                let body = self.story.rings_reliably.then(|| b"answer".to_vec());
                self.command(Callee, Command::Ring { invite: LEG, status: StatusCode::RINGING, body });
                if let Some(after) = self.story.accepts_after {
                    self.put(after, Parcel::Deed(Deed::Accept));
                }
                if let Some(after) = self.story.rejects_after {
                    self.put(after, Parcel::Deed(Deed::Reject));
                }
            }
            Event::Request(incoming) => panic!("{:?}", incoming.request),
            Event::Response { .. } => panic!("nobody asked"),
            Event::Invite { event: InviteEvent::Sent { .. }, .. } => {}
            Event::Invite { invite, event } => {
                assert_eq!(self.legs[index(side)].get_or_insert(invite), &invite);
                let answers = matches!(event, InviteEvent::Offered { .. })
                    || (matches!(event, InviteEvent::Answered { .. }) && self.story.late_offer);
                self.events[index(side)].push(event);
                if answers {
                    self.command(side, Command::AnswerOffer { invite, body: b"another answer".to_vec() });
                }
            }
        }
    }

    fn put(&mut self, after: Duration, parcel: Parcel) {
        self.counter += 1;
        self.under_way.insert((self.now + after, self.counter), parcel);
    }

    fn percent(&mut self, chance: u32) -> bool {
        self.random.next_u32() % 100 < chance
    }

    fn endpoint(&mut self, side: Side) -> &mut Endpoint {
        match side {
            Caller => &mut self.caller,
            Callee => &mut self.callee,
        }
    }

    fn flow_of(&self, side: Side) -> Flow {
        let other = if side == Caller { Callee } else { Caller };
        Flow { transport: self.transport, local: address(side), remote: address(other), peer: None }
    }
}

pub(crate) fn index(side: Side) -> usize {
    match side {
        Caller => 0,
        Callee => 1,
    }
}

fn address(side: Side) -> SocketAddr {
    match side {
        Caller => SocketAddr::from(([192, 0, 2, 1], 5060)),
        Callee => SocketAddr::from(([192, 0, 2, 2], 5070)),
    }
}
