//! The search: NAPTR, then SRV, then addresses (RFC 3263 §4.1, §4.2).

use crate::aim::{Aim, Whom, default_port};
use crate::ledger::{Ledger, Reply};
use crate::naptr::{self, Offer};
use crate::service::{Offers, Server, Servers, Service};
use crate::{Answer, Families, Located, PassedOver, Question, Step, Target, Unlocated, address, srv};
use sip_message::{SipUri, Transport};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The greatest number of targets for one URI.
pub const TARGETS_MAX: usize = 32;

/// The search for the addresses of one URI.
#[derive(Debug)]
pub struct Locating {
    domain: Box<str>,
    /// Those that may be used, in the order in which they are tried when the domain does not say.
    transports: Vec<Transport>,
    families: Families,
    random: u64,
    ledger: Ledger,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Which services has the domain?
    Naptr,
    /// Which servers have the services?
    Srv(Offers),
    /// Which addresses have the servers?
    Addresses {
        servers: Vec<Server>,
        found: BTreeMap<Box<str>, Vec<IpAddr>>,
    },
    Done(Result<Vec<Target>, Unlocated>),
}

impl Locating {
    /// Begins the search. `speaks` are the transports that we have, in any order; `random` chooses among the servers of
    /// one priority by their weights, and the same number chooses the same.
    pub fn new(uri: &SipUri, speaks: &[Transport], families: Families, random: u64) -> Self {
        let mut new = Self {
            domain: Box::default(),
            transports: Vec::new(),
            families,
            random,
            ledger: Ledger::new(),
            state: State::Naptr,
        };
        new.state = match Aim::of(uri, speaks, families) {
            Ok(aim) => new.begin(aim),
            Err(why) => State::Done(Err(why)),
        };
        new
    }

    /// The next question. Several may be outstanding at once, and be answered in any order.
    pub fn poll_question(&mut self) -> Option<Question> {
        self.ledger.poll()
    }

    /// Takes in what was answered. An answer to a question that is not outstanding changes nothing.
    pub fn handle_answer(&mut self, question: &Question, answer: &Answer) {
        if !self.ledger.settle(question) {
            return;
        }
        match &mut self.state {
            State::Naptr => {
                let judge = |record: &_| naptr::judge(record, &self.transports);
                let reply = self.ledger.note(question, answer, judge);
                self.state = self.handle_naptr(reply);
            }
            State::Srv(offers) => {
                let reply = self.ledger.note(question, answer, srv::judge);
                offers.take(question, &reply, self.random);
                if self.ledger.is_idle() {
                    let offers = std::mem::take(offers);
                    self.state = self.choose(offers);
                }
            }
            State::Addresses { servers, found } => {
                let reply = self.ledger.note(question, answer, |record| address::judge(question, record));
                if let Reply::Found { used, .. } = reply {
                    found.entry(question.name().into()).or_default().extend(used);
                }
                if self.ledger.is_idle() {
                    self.state = State::Done(targets(servers, found, &self.ledger));
                }
            }
            State::Done(_) => {}
        }
    }

    /// What came of it, once nothing is outstanding any more. It stays the same from then on.
    pub fn outcome(&self) -> Option<Result<Located, Unlocated>> {
        let State::Done(result) = &self.state else {
            return None;
        };
        let located = |targets| Located { targets, valid: self.ledger.valid(), steps: self.steps().to_vec() };
        Some(result.clone().map(located))
    }

    /// Each question that was answered, and what came of it: for a search that found nothing, too.
    pub fn steps(&self) -> &[Step] {
        self.ledger.steps()
    }

    fn begin(&mut self, aim: Aim) -> State {
        self.transports = aim.transports;
        match aim.whom {
            Whom::Address(target) => State::Done(Ok(vec![target])),
            Whom::Host { name, port } => {
                let transport = self.first_transport();
                self.ask_addresses(vec![Server { transport, host: name, port }])
            }
            Whom::Domain { name, has_transport: true } => {
                self.domain = name;
                self.ask_servers(self.offers_by_convention(false))
            }
            Whom::Domain { name, has_transport: false } => {
                self.ledger.ask(Question::Naptr(name.clone()));
                self.domain = name;
                State::Naptr
            }
        }
    }

    /// When the NAPTR records of a domain cannot be had, its SRV records are asked for all the same: it must have them for
    /// clients that know no NAPTR (RFC 3263 §4.1), so that nothing but its preference is lost.
    fn handle_naptr(&mut self, reply: Reply<Offer>) -> State {
        let offers = match reply {
            Reply::Found { used, passed_over } if used.is_empty() => {
                self.offers_by_convention(passed_over.contains(&PassedOver::OtherTransport))
            }
            Reply::Found { used, .. } => Offers { services: naptr::services(used), is_for_others: false },
            Reply::Absent | Reply::Failed => self.offers_by_convention(false),
        };
        self.ask_servers(offers)
    }

    fn offers_by_convention(&self, is_for_others: bool) -> Offers {
        let service = |transport: &_| Service::of_domain(&self.domain, *transport);
        Offers { services: self.transports.iter().map(service).collect(), is_for_others }
    }

    fn ask_servers(&mut self, offers: Offers) -> State {
        for service in offers.services.iter().filter(|service| service.is_asked()) {
            self.ledger.ask(service.question());
        }
        if self.ledger.is_idle() { self.choose(offers) } else { State::Srv(offers) }
    }

    /// All services are known. One that could not be asked for does not stand in the way of the others. When there are no
    /// others, the host with the name of the domain is not tried instead: an SRV record that could not be had is not an
    /// absent one, and that host is often a web server, where the call would hang until it times out.
    fn choose(&mut self, offers: Offers) -> State {
        let servers = offers.servers(TARGETS_MAX);
        if !servers.is_empty() {
            return self.ask_addresses(servers);
        }
        let valid = self.ledger.valid();
        if let Some(failed) = offers.first(|servers| matches!(servers, Servers::Failed)) {
            return State::Done(Err(Unlocated::Failed { name: failed.name.clone(), valid }));
        }
        // A domain that declines one service has SRV records for SIP: what it does not list, it does not offer.
        if offers.first(|servers| matches!(servers, Servers::NotOffered)).is_some() {
            return State::Done(Err(Unlocated::NoTransport { name: self.domain.clone(), valid }));
        }
        if let Some(unusable) = offers.first(|servers| matches!(servers, Servers::Known(_))) {
            return State::Done(Err(Unlocated::NoRecords { name: unusable.name.clone(), valid }));
        }
        self.go_on_without_srv(offers)
    }

    /// There is no SRV record: the host that has the name of the domain, at the port of the transport (RFC 3263 §4.2).
    fn go_on_without_srv(&mut self, offers: Offers) -> State {
        let by_habit = Service::tls_by_habit(&self.domain);
        if self.transports == [Transport::Tls] && self.ledger.ask(by_habit.question()) {
            return State::Srv(Offers { services: vec![by_habit], ..offers });
        }
        if offers.is_for_others {
            let (name, valid) = (self.domain.clone(), self.ledger.valid());
            return State::Done(Err(Unlocated::NoTransport { name, valid }));
        }
        let transport = offers.services.first().map_or(self.first_transport(), |service| service.transport);
        let port = default_port(transport);
        self.ask_addresses(vec![Server { transport, host: self.domain.clone(), port }])
    }

    fn ask_addresses(&mut self, servers: Vec<Server>) -> State {
        for server in &servers {
            if self.families.ipv6 {
                self.ledger.ask(Question::Aaaa(server.host.clone()));
            }
            if self.families.ipv4 {
                self.ledger.ask(Question::A(server.host.clone()));
            }
        }
        let found = BTreeMap::new();
        match self.ledger.is_idle() {
            true => State::Done(targets(&servers, &found, &self.ledger)),
            false => State::Addresses { servers, found },
        }
    }

    fn first_transport(&self) -> Transport {
        self.transports.first().copied().unwrap_or(Transport::Udp)
    }
}

/// The addresses of a server stand together, so that its priority counts for all of them.
fn targets(
    servers: &[Server],
    found: &BTreeMap<Box<str>, Vec<IpAddr>>,
    ledger: &Ledger,
) -> Result<Vec<Target>, Unlocated> {
    let mut targets = Vec::new();
    for server in servers {
        let addresses = found.get(&server.host).map(Vec::as_slice).unwrap_or_default();
        for address in address::interleave(addresses) {
            let address = SocketAddr::new(address, server.port);
            let target = Target { transport: server.transport, address };
            if targets.len() < TARGETS_MAX && !targets.contains(&target) {
                targets.push(target);
            }
        }
    }
    if !targets.is_empty() {
        return Ok(targets);
    }
    let valid = ledger.valid();
    match ledger.failed() {
        Some(name) => Err(Unlocated::Failed { name: name.into(), valid }),
        None => {
            let name = servers.first().map(|server| server.host.clone()).unwrap_or_default();
            Err(Unlocated::NoRecords { name, valid })
        }
    }
}
