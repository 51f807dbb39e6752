//! Two phones and the wire between them, in simulated time.

use sip_core::{Flow, Transport};
use sip_message::Host;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use test_phone::{
    Account, CallMedia, Command, Handset, HandsetAction, Outcome, PhoneEvent, Registering, Script, Source,
};

/// Two phones that know each other's address; neither registers.
pub(crate) struct World {
    pub(crate) now: Instant,
    began: Instant,
    phones: [Handset; 2],
    wire: VecDeque<(Instant, usize, Datagram)>,
    pub(crate) events: [Vec<(Duration, PhoneEvent)>; 2],
    pub(crate) calls: [Vec<CallMedia>; 2],
    /// Drops what it says yes to; counts RTP packets.
    pub(crate) loses_rtp: fn(u64) -> bool,
    rtp_sent: u64,
}

enum Datagram {
    Sip { from: SocketAddr, octets: Vec<u8> },
    Rtp { from: SocketAddr, octets: Vec<u8> },
}

/// What a phone plays and listens for.
#[derive(Default)]
pub(crate) struct Sound {
    pub(crate) plays: Source,
    pub(crate) expects: Option<f64>,
}

const LATENCY: Duration = Duration::from_millis(5);

impl World {
    pub(crate) fn new(scripts: [Script; 2], sounds: [Sound; 2]) -> Self {
        let now = Instant::now();
        let [first, second] = scripts;
        let [one, two] = sounds;
        let phones = [handset(0, first, one, now), handset(1, second, two, now)];
        let (events, calls) = (Default::default(), Default::default());
        let mut world = Self {
            now,
            began: now,
            phones,
            wire: VecDeque::new(),
            events,
            calls,
            loses_rtp: |_| false,
            rtp_sent: 0,
        };
        world.collect();
        world
    }

    pub(crate) fn command(&mut self, phone: usize, command: &Command) {
        self.phones[phone].handle_command(command, self.now);
        self.collect();
    }

    /// Lets so much time pass.
    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(due) = self.next_due().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            if self.wire.front().is_some_and(|(at, ..)| *at <= self.now) {
                let (_, phone, datagram) = self.wire.pop_front().expect("it was there a line ago");
                self.deliver(phone, datagram);
            } else {
                self.phones.iter_mut().for_each(|phone| phone.handle_timeout(self.now));
            }
            self.collect();
        }
        self.now = end;
    }

    pub(crate) fn outcome(&self, phone: usize) -> Option<&Outcome> {
        self.events[phone].iter().find_map(|(_, event)| {
            if let PhoneEvent::Finished(outcome) = event { Some(outcome) } else { None }
        })
    }

    /// When an event happened first, in milliseconds since the beginning.
    pub(crate) fn at(&self, phone: usize, is: impl Fn(&PhoneEvent) -> bool) -> Option<u128> {
        self.events[phone].iter().find(|(_, event)| is(event)).map(|(at, _)| at.as_millis())
    }

    pub(crate) fn has(&self, phone: usize, event: &PhoneEvent) -> bool {
        self.at(phone, |other| other == event).is_some()
    }

    fn next_due(&self) -> Option<Instant> {
        let wire = self.wire.front().map(|(at, ..)| *at);
        self.phones.iter().filter_map(Handset::poll_timeout).chain(wire).min()
    }

    fn deliver(&mut self, phone: usize, datagram: Datagram) {
        match datagram {
            Datagram::Sip { from, octets } => {
                let flow = Flow { transport: Transport::Udp, local: sip(phone), remote: from, peer: None };
                self.phones[phone].handle_sip(&octets, flow, self.now);
            }
            Datagram::Rtp { from, octets } => self.phones[phone].handle_rtp(&octets, from, self.now),
        }
    }

    fn collect(&mut self) {
        let arrives = self.now + LATENCY;
        for phone in 0..2 {
            while let Some(action) = self.phones[phone].poll_action() {
                match action {
                    HandsetAction::Sip { flow, octets } => {
                        assert_eq!(flow.remote, sip(1 - phone));
                        let datagram = Datagram::Sip { from: sip(phone), octets };
                        self.wire.push_back((arrives, 1 - phone, datagram));
                    }
                    HandsetAction::Rtp { to, octets } => {
                        assert_eq!(to, rtp(1 - phone));
                        self.rtp_sent += 1;
                        if !(self.loses_rtp)(self.rtp_sent) {
                            let datagram = Datagram::Rtp { from: rtp(phone), octets };
                            self.wire.push_back((arrives, 1 - phone, datagram));
                        }
                    }
                    HandsetAction::Report(event) => self.events[phone].push((self.now - self.began, event)),
                    HandsetAction::CallMedia(call) => self.calls[phone].push(call),
                }
            }
        }
    }
}

/// A script that does not register.
pub(crate) fn script() -> Script {
    Script { registering: Registering::Never, ..Script::default() }
}

pub(crate) fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn handset(phone: usize, script: Script, sound: Sound, now: Instant) -> Handset {
    let account = Account {
        user: format!("100{}", phone + 1).into(),
        password: None,
        display_name: Some(format!("Phone {}", phone + 1).into()),
        domain: Host::Address([192, 0, 2, 2].into()),
        flow: Flow { transport: Transport::Udp, local: sip(phone), remote: sip(1 - phone), peer: None },
        rtp: rtp(phone),
    };
    Handset::new(account, script, sound.plays, sound.expects, [phone as u8 + 1; 32], now)
}

fn sip(phone: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, phone as u8 + 1], 5060))
}

fn rtp(phone: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, phone as u8 + 1], 4000))
}
