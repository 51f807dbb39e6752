//! The world outside of a simulated server: trunks, their gateways, and the names that lead to them.

use super::server::SERVER;
use locating::{Answer, Families, Locating, Question, Record};
use numbering::{DialPolicy, Entry, NumberPattern, NumberingPlan, Writing};
use sip_b2bua::{IdentityField, Located, NotLocated, TrunkSettings};
use sip_core::{Flow, Transport};
use sip_message::{SipUri, Uri};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What name servers know, and how they are.
#[derive(Debug, Clone, Default)]
pub struct Zone {
    records: BTreeMap<Question, Vec<Record>>,
    /// How long the answers take in all, where anything is asked.
    pub delay: Duration,
    /// No name server answers.
    pub is_down: bool,
    /// How long the answers are believed.
    pub valid: Duration,
}

impl Zone {
    /// Names that lead to addresses, and are believed for an hour.
    pub fn of(hosts: &[(&str, &[IpAddr])]) -> Self {
        let records = hosts.iter().map(|(name, addresses)| {
            let addresses = addresses.iter().map(|address| Record::Address(*address)).collect();
            (Question::A((*name).into()), addresses)
        });
        Self { records: records.collect(), valid: Duration::from_hours(1), ..Self::default() }
    }

    /// What either knows; the times are those of this one.
    #[must_use]
    pub fn merged(mut self, other: Self) -> Self {
        self.records.extend(other.records);
        self
    }

    /// With servers for a service: priority, port and host of each.
    #[must_use]
    pub fn with_srv(mut self, name: &str, servers: &[(u16, u16, &str)]) -> Self {
        let servers = servers.iter().map(|(priority, port, host)| Record::Srv {
            priority: *priority,
            weight: 0,
            port: *port,
            target: (*host).into(),
        });
        self.records.insert(Question::Srv(name.into()), servers.collect());
        self
    }

    /// Where `uri` leads to, and after how long that is known.
    pub(super) fn locate(&self, uri: &SipUri, random: u64) -> (Result<Located, NotLocated>, Duration) {
        let families = Families { ipv4: true, ipv6: false };
        let mut locating = Locating::new(uri, &[Transport::Udp], families, random);
        while let Some(question) = locating.poll_question() {
            let answer = match self.records.get(&question) {
                _ if self.is_down => Answer::Failed("no name server answers".into()),
                Some(records) => Answer::Records { records: records.clone(), valid: self.valid },
                None => Answer::Nothing { valid: self.valid },
            };
            locating.handle_answer(&question, &answer);
        }
        let flow = |remote| Flow {
            transport: Transport::Udp,
            local: SocketAddr::new(SERVER, 5060),
            remote,
            peer: None,
        };
        let delay = if locating.steps().is_empty() { Duration::ZERO } else { self.delay };
        let result = match locating.outcome().expect("every question was answered") {
            Ok(located) => Ok(Located {
                flows: located.targets.iter().map(|target| flow(target.address)).collect(),
                streams: BTreeMap::new(),
                valid: located.valid,
            }),
            Err(why) => Err(NotLocated {
                why: why.to_string().into(),
                is_certain: !matches!(why, locating::Unlocated::Failed { .. }),
                valid: why.valid(),
            }),
        };
        (result, delay)
    }
}

/// A trunk at an address, which takes every number and has two of its own.
pub fn trunk(name: &str, address: &str) -> TrunkSettings {
    let Ok(Uri::Sip(address)) = address.parse() else { panic!("{address} is no SIP URI") };
    let number = |text| NumberPattern::new(text).expect("a number");
    TrunkSettings {
        name: name.into(),
        address,
        proxy: None,
        username: None,
        credentials: None,
        registration: None,
        probe: None,
        numbers: vec![number("+918065978015"), number("+91806597802X")],
        prefixes: vec![Entry::new("+").expect("an entry")],
        priority: 10,
        channels: 30,
        calls_per_second: None,
        writing: Writing { plan: india(), ..Writing::default() },
        from: Vec::new(),
        inbound_digest: false,
        destinations: Vec::new(),
        identity: IdentityField::PAssertedIdentity,
        from_user: None,
        from_domain: None,
        user_phone: false,
        trusted: false,
        pass_variables: false,
        tls: None,
    }
}

/// Calls to India and Britain, and to its emergency number.
pub(super) fn policy() -> DialPolicy {
    let entries = |texts: &[&str]| texts.iter().map(|text| Entry::new(text).expect("an entry")).collect();
    let emergency = vec![call_control::Number::new("112").expect("a number")];
    DialPolicy::new(india(), entries(&["+91", "+44", "112"]), entries(&["+91900"]), emergency)
}

fn india() -> NumberingPlan {
    NumberingPlan::of("91").expect("a country")
}
