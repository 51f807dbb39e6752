//! Names of trunks, looked up by name servers.

use super::sockets::Ways;
use crate::trunks::{Located, NotLocated};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, RecordType};
use locating::{Answer, Locating, Question, Record, Step, Unlocated};
use parking_lot::Mutex;
use sip_core::{PeerId, Transport};
use sip_message::SipUri;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Asks name servers.
#[derive(Clone)]
pub(crate) struct Resolver {
    servers: Arc<[SocketAddr]>,
    /// Made anew after a failure: the name servers of the system may be others by then.
    current: Arc<Mutex<Option<TokioResolver>>>,
    /// Those that ask at once.
    turns: Arc<Semaphore>,
}

/// A name server may be silent for so long before it is asked once more, and then for as long again.
const TIMEOUT: Duration = Duration::from_millis(900);
const ATTEMPTS: usize = 1;
/// All questions about one URI take no longer.
const ALL_QUESTIONS: Duration = Duration::from_secs(8);
const LOOKUPS_AT_ONCE: usize = 32;
/// Aliases of aliases.
const ALIASES_MAX: usize = 8;
/// How long a negative answer is believed that does not say so itself.
const NOTHING: Duration = Duration::from_secs(60);

/// A name that was looked up, for whoever debugs her name servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookedUp {
    /// Each question and what came of it, a line each.
    pub steps: Vec<String>,
    /// Where it leads to, in the order in which it is tried; or why it leads nowhere.
    pub targets: Result<Vec<String>, String>,
}

/// Looks up where `uri` leads to, as a server would that listens there.
pub async fn look_up(uri: &SipUri, listen: &[(Transport, SocketAddr)], resolvers: &[SocketAddr]) -> LookedUp {
    let ways = Ways::new(listen.to_vec(), None);
    let (result, steps) = Resolver::new(resolvers).search(uri, &ways).await;
    let lines = |text: String| text.lines().map(Into::into).collect::<Vec<String>>();
    LookedUp {
        steps: steps.into_iter().flat_map(|step| lines(step.to_string())).collect(),
        targets: match result {
            Ok(located) => Ok(located.targets.iter().map(ToString::to_string).collect()),
            Err(why) => Err(why.to_string()),
        },
    }
}

impl Resolver {
    /// Asks `servers`, or those of the system when there are none.
    pub(crate) fn new(servers: &[SocketAddr]) -> Self {
        let turns = Arc::new(Semaphore::new(LOOKUPS_AT_ONCE));
        Self { servers: servers.into(), current: Arc::default(), turns }
    }

    /// Where `uri` leads to, along the ways that there are; over TLS it has to be `peer` who is there.
    pub(crate) async fn locate(
        &self,
        uri: &SipUri,
        peer: PeerId,
        ways: &Ways,
    ) -> Result<Located, NotLocated> {
        let (result, _) = self.search(uri, ways).await;
        match result {
            Ok(located) => {
                let to = |transport, address| ways.to(transport, address, peer);
                let flows = located.targets.iter().filter_map(|target| to(target.transport, target.address));
                let flows: Vec<_> = flows.collect();
                let streams = flows.iter().filter(|flow| flow.transport == Transport::Udp);
                let streams =
                    streams.filter_map(|flow| Some((*flow, to(Transport::Tcp, flow.remote)?))).collect();
                Ok(Located { flows, streams, valid: located.valid })
            }
            Err(why) => Err(NotLocated {
                why: why.to_string().into(),
                is_certain: !matches!(why, Unlocated::Failed { .. }),
                valid: why.valid(),
            }),
        }
    }

    /// The same, with each question and what came of it.
    pub(crate) async fn search(
        &self,
        uri: &SipUri,
        ways: &Ways,
    ) -> (Result<locating::Located, Unlocated>, Vec<Step>) {
        let mut locating = Locating::new(uri, &ways.transports(), ways.families(), rand::random());
        let deadline = tokio::time::Instant::now() + ALL_QUESTIONS;
        let mut asked: JoinSet<(Question, Answer)> = JoinSet::new();
        loop {
            while let Some(question) = locating.poll_question() {
                let resolver = self.clone();
                asked.spawn(async move {
                    let answer = tokio::time::timeout_at(deadline, resolver.ask(&question)).await;
                    let answer = answer.unwrap_or_else(|_| Answer::Failed("no answer in time".into()));
                    (question, answer)
                });
            }
            match asked.join_next().await {
                Some(Ok((question, answer))) => locating.handle_answer(&question, &answer),
                // A task that panicked is a fault of a library; its question stays open, and the search ends below.
                Some(Err(_)) => {}
                None => break,
            }
        }
        let failed = || Unlocated::Failed { name: uri.host.to_string().into(), valid: TIMEOUT };
        let result = locating.outcome().unwrap_or_else(|| Err(failed()));
        (result, locating.steps().to_vec())
    }

    async fn ask(&self, question: &Question) -> Answer {
        let Ok(_turn) = self.turns.acquire().await else { return Answer::Failed("stopped".into()) };
        let resolver = match self.current() {
            Ok(resolver) => resolver,
            Err(error) => return Answer::Failed(error.to_string().into()),
        };
        let kind = match question {
            Question::Naptr(_) => RecordType::NAPTR,
            Question::Srv(_) => RecordType::SRV,
            Question::A(_) => RecordType::A,
            Question::Aaaa(_) => RecordType::AAAA,
        };
        // With the dot of the root no search list is tried.
        let mut name = format!("{}.", question.name());
        let mut answer = resolver.lookup(name.clone(), kind).await;
        // The library takes the target of an SRV record for another alias, and loses what is behind one.
        if matches!(question, Question::Srv(_) | Question::Naptr(_)) {
            for _ in 0..ALIASES_MAX {
                if answer
                    .as_ref()
                    .is_ok_and(|lookup| lookup.answers().iter().any(|it| it.record_type() == kind))
                {
                    break;
                }
                let Some(alias) = alias_of(&resolver, &name).await else { break };
                name = alias;
                answer = resolver.lookup(name.clone(), kind).await;
            }
        }
        match answer {
            Ok(lookup) => {
                let records = lookup.answers().iter().filter_map(|record| read(&record.data)).collect();
                let valid = lookup.valid_until().saturating_duration_since(Instant::now());
                Answer::Records { records, valid }
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none)))
                if matches!(none.response_code, ResponseCode::NXDomain | ResponseCode::NoError) =>
            {
                let ttl = none.negative_ttl.map(|ttl| Duration::from_secs(ttl.into()));
                Answer::Nothing { valid: ttl.unwrap_or(NOTHING) }
            }
            Err(error) => {
                *self.current.lock() = None;
                Answer::Failed(error.to_string().into())
            }
        }
    }

    fn current(&self) -> Result<TokioResolver, NetError> {
        let mut current = self.current.lock();
        if let Some(resolver) = &*current {
            return Ok(resolver.clone());
        }
        let mut builder = if self.servers.is_empty() {
            TokioResolver::builder_tokio()?
        } else {
            let config =
                ResolverConfig::from_parts(None, Vec::new(), self.servers.iter().map(server).collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options: &mut ResolverOpts = builder.options_mut();
        options.timeout = TIMEOUT;
        options.attempts = ATTEMPTS;
        options.edns0 = true;
        options.try_tcp_on_error = true;
        // A test has its own name server and its own truth.
        options.use_hosts_file =
            if self.servers.is_empty() { ResolveHosts::Auto } else { ResolveHosts::Never };
        let resolver = builder.build()?;
        *current = Some(resolver.clone());
        Ok(resolver)
    }
}

/// The name that this one is an alias of (RFC 1034 §3.6.2).
async fn alias_of(resolver: &TokioResolver, name: &str) -> Option<String> {
    let lookup = resolver.lookup(name, RecordType::CNAME).await.ok()?;
    lookup.answers().iter().find_map(|record| {
        let RData::CNAME(alias) = &record.data else { return None };
        Some(alias.0.to_ascii())
    })
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "there are dozens of kinds of records, none of which was asked for"
)]
fn read(data: &RData) -> Option<Record> {
    match data {
        RData::A(address) => Some(Record::Address(address.0.into())),
        RData::AAAA(address) => Some(Record::Address(address.0.into())),
        RData::SRV(srv) => Some(Record::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: srv.target.to_ascii().into(),
        }),
        RData::NAPTR(naptr) => {
            let text = |octets: &[u8]| String::from_utf8_lossy(octets).into();
            Some(Record::Naptr {
                order: naptr.order,
                preference: naptr.preference,
                flags: text(&naptr.flags),
                service: text(&naptr.services),
                replacement: naptr.replacement.to_ascii().into(),
            })
        }
        // What a CNAME leads to comes behind it.
        _ => None,
    }
}
