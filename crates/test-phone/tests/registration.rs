//! A phone and its registrar, in simulated time.

use sip_core::{Flow, Transport};
use sip_message::{Contacts, FieldName, Host, Message, Method, Request, Response, StatusCode};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use test_phone::{
    Account, Command, Failure, Handset, HandsetAction, PhoneEvent, Registering, Script, Source,
};

/// Answers REGISTER after one challenge.
struct Registrar {
    least: u32,
    final_status: StatusCode,
    retry_after: Option<&'static str>,
    /// Expires of each REGISTER that had credentials, and whether its Contact was `*`.
    accepted: Vec<(u32, bool)>,
    /// Call-ID and CSeq of all.
    seen: Vec<(String, u32)>,
    /// Contacts of the last one.
    contacts: Vec<String>,
    is_silent: bool,
}

impl Registrar {
    fn new() -> Self {
        Self {
            least: 60,
            final_status: StatusCode::OK,
            retry_after: None,
            accepted: Vec::new(),
            seen: Vec::new(),
            contacts: Vec::new(),
            is_silent: false,
        }
    }

    fn answer(&mut self, request: &Request) -> Response {
        assert_eq!(request.method, Method::REGISTER);
        let fields = &request.header.fields;
        self.seen.push((request.header.call_id.to_string(), request.header.cseq.number));
        if let Some(Contacts::List(contacts)) = &request.header.contact {
            self.contacts = contacts.iter().map(ToString::to_string).collect();
        }
        let Some(credentials) = fields.get(&FieldName::AUTHORIZATION) else {
            let mut challenge = request.response(StatusCode::UNAUTHORIZED);
            let value = r#"Digest realm="pbx.test", nonce="n1", algorithm=SHA-256, qop="auth""#;
            challenge.header.fields.push(FieldName::WWW_AUTHENTICATE, value);
            return challenge;
        };
        assert!(credentials.contains(r#"username="1001""#), "{credentials}");
        let expires = fields.delta_seconds(&FieldName::EXPIRES).and_then(Result::ok).expect("Expires");
        if expires > 0 && expires < self.least {
            let mut brief = request.response(StatusCode::INTERVAL_TOO_BRIEF);
            brief.header.fields.push(FieldName::MIN_EXPIRES, self.least.to_string());
            return brief;
        }
        let star = matches!(request.header.contact, Some(Contacts::Star));
        self.accepted.push((expires, star));
        let mut response = request.response(self.final_status);
        if let Some(after) = self.retry_after {
            response.header.fields.push(FieldName::RETRY_AFTER, after);
        }
        if let Some(Contacts::List(mut contacts)) = request.header.contact.clone().filter(|_| expires > 0) {
            contacts[0].parameters.set("expires", Some(&expires.to_string()));
            response.header.contact = Some(Contacts::List(contacts));
        }
        response
    }
}

struct World {
    now: Instant,
    flow: Flow,
    phone: Handset,
    registrar: Registrar,
    events: Vec<PhoneEvent>,
}

impl World {
    fn new(registering: Registering, registrar: Registrar) -> Self {
        Self::over(Transport::Udp, registering, registrar)
    }

    fn over(transport: Transport, registering: Registering, registrar: Registrar) -> Self {
        let flow = Flow { transport, local: address(1), remote: address(2), peer: None };
        let now = Instant::now();
        let account = Account {
            user: "1001".into(),
            password: Some("secret".into()),
            display_name: None,
            domain: Host::new("pbx.test").expect("a host name"),
            flow,
            rtp: SocketAddr::from(([192, 0, 2, 1], 4000)),
        };
        let script = Script { registering, ..Script::default() };
        let phone = Handset::new(account, script, Source::Silence, None, [7; 32], now);
        let mut world = Self { now, flow, phone, registrar, events: Vec::new() };
        world.collect();
        world
    }

    fn run_for(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(due) = self.phone.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.phone.handle_timeout(self.now);
            self.collect();
        }
        self.now = end;
    }

    /// The connection of the phone closes.
    fn close(&mut self) {
        self.phone.handle_closed(self.flow, self.now);
        self.collect();
    }

    /// Seconds until the phone wants to connect again.
    fn connects_after(&mut self) -> u64 {
        let before = self.now;
        for _ in 0..60 {
            self.run_for(1);
            if self.phone.poll_connect() {
                return (self.now - before).as_secs();
            }
        }
        panic!("it never connects")
    }

    /// The phone is connected from another port.
    fn connect(&mut self, port: u16) {
        self.flow.local.set_port(port);
        self.phone.handle_connected(self.flow, self.now);
        self.collect();
    }

    fn leave(&mut self) {
        self.phone.handle_command(&Command::Leave, self.now);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(action) = self.phone.poll_action() {
            match action {
                HandsetAction::Sip { flow, octets } => {
                    assert_eq!(flow, self.flow);
                    let Ok(Message::Request(request)) = Message::parse(&octets) else { panic!("a request") };
                    let response = self.registrar.answer(&request).print();
                    if !self.registrar.is_silent {
                        self.phone.handle_sip(&response, flow, self.now);
                    }
                }
                HandsetAction::Report(event) => self.events.push(event),
                HandsetAction::Rtp { .. } | HandsetAction::CallMedia(_) => panic!("there is no call"),
            }
        }
    }

    fn failures(&self) -> Option<&[Failure]> {
        let PhoneEvent::Finished(outcome) = self.events.last()? else { return None };
        Some(&outcome.failures)
    }
}

fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], 5060))
}

fn keep(seconds: u64) -> Registering {
    Registering::Keep { expires: Duration::from_secs(seconds) }
}

#[test]
fn a_phone_registers_refreshes_in_time_and_removes_its_binding_at_the_end() {
    let mut world = World::new(keep(100), Registrar::new());
    assert_eq!(world.events, [PhoneEvent::Registered { expires: 100, refreshed: false }]);
    world.run_for(99);
    assert_eq!(world.events.last(), Some(&PhoneEvent::Registered { expires: 100, refreshed: true }));
    world.leave();
    let expires: Vec<u32> = world.registrar.accepted.iter().map(|(expires, ..)| *expires).collect();
    assert_eq!(expires, [100, 100, 0]);
    assert!(world.events.contains(&PhoneEvent::Unregistered));
    assert_eq!(world.failures(), Some(&[][..]));
}

#[test]
fn all_registers_of_a_phone_have_one_call_id_and_rising_numbers() {
    let mut world = World::new(keep(60), Registrar::new());
    world.run_for(200);
    let seen = &world.registrar.seen;
    assert!(seen.len() > 4 && seen.iter().all(|(id, _)| *id == seen[0].0), "{seen:?}");
    assert!(seen.windows(2).all(|pair| pair[0].1 < pair[1].1), "{seen:?}");
}

#[test]
fn a_registration_that_is_too_brief_is_asked_for_again() {
    let world = World::new(keep(10), Registrar { least: 120, ..Registrar::new() });
    assert_eq!(world.events, [PhoneEvent::Registered { expires: 120, refreshed: false }]);
}

#[test]
fn a_refusal_ends_the_script_with_a_failure() {
    let world = World::new(keep(100), Registrar { final_status: StatusCode::FORBIDDEN, ..Registrar::new() });
    assert_eq!(world.failures(), Some(&[Failure::NotRegistered { status: Some(403) }][..]));
}

#[test]
fn a_registrar_that_says_when_to_come_again_is_asked_again_then() {
    let refused = PhoneEvent::RegisterFailed { status: Some(503), reason: "Service Unavailable".into() };
    let busy = Registrar {
        final_status: StatusCode::SERVICE_UNAVAILABLE,
        retry_after: Some("5 (the disk is full)"),
        ..Registrar::new()
    };
    let mut world = World::new(keep(100), busy);
    assert_eq!(world.events, std::slice::from_ref(&refused));
    world.run_for(4);
    assert_eq!(world.events.len(), 1);
    world.run_for(2);
    assert_eq!(world.events, [refused.clone(), refused]);
    world.registrar.final_status = StatusCode::OK;
    world.run_for(5);
    assert_eq!(world.events.last(), Some(&PhoneEvent::Registered { expires: 100, refreshed: false }));
}

#[test]
fn removing_all_bindings_is_a_script_of_its_own() {
    let world = World::new(Registering::RemoveAll, Registrar::new());
    let stars: Vec<bool> = world.registrar.accepted.iter().map(|(_, star)| *star).collect();
    assert_eq!((stars, world.failures()), (vec![true], Some(&[][..])));
}

#[test]
fn a_phone_whose_connection_closes_connects_and_registers_again() {
    let mut world = World::over(Transport::Tcp, keep(3600), Registrar::new());
    world.close();
    // The driver may tell of it twice: what it reads and what it writes fails.
    world.close();
    assert_eq!(world.connects_after(), 1);
    for wait in [2, 4, 8, 16, 30, 30] {
        world.phone.handle_not_connected(world.now);
        assert_eq!(world.connects_after(), wait);
    }
    assert_eq!(world.registrar.accepted.len(), 1);
    world.connect(40_001);
    assert_eq!(world.events.last(), Some(&PhoneEvent::Registered { expires: 3600, refreshed: true }));
    assert_eq!(world.registrar.accepted.len(), 2);
    let contact = |port| format!("<sip:1001@192.0.2.1:{port};transport=tcp>");
    assert_eq!(world.registrar.contacts, [contact(40_001), format!("{};expires=0", contact(5060))]);

    world.close();
    assert_eq!(world.connects_after(), 1, "it was registered in between");
    world.connect(40_002);
    world.run_for(3_000);
    assert_eq!(world.registrar.accepted.len(), 4, "it refreshes");
    assert_eq!(world.registrar.contacts, [contact(40_002)]);
    world.leave();
    assert_eq!(world.failures(), Some(&[][..]));
}

#[test]
fn a_connection_that_closes_before_the_registrar_answers_is_no_good_one() {
    let mut world = World::over(Transport::Tcp, keep(3600), Registrar::new());
    world.registrar.is_silent = true;
    world.close();
    assert_eq!(world.connects_after(), 1);
    for (port, wait) in [(40_001, 2), (40_002, 4)] {
        world.connect(port);
        world.close();
        assert_eq!(world.connects_after(), wait);
    }
    assert_eq!(world.failures(), None);
}

#[test]
fn a_phone_that_leaves_or_does_not_register_does_not_connect_again() {
    for registering in [keep(3600), Registering::Never] {
        let mut world = World::over(Transport::Tcp, registering, Registrar::new());
        world.close();
        if registering != Registering::Never {
            world.leave();
        }
        world.run_for(60);
        assert!(!world.phone.poll_connect(), "{registering:?}");
    }
}
