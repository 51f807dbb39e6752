//! The configuration file: what can be set, what it is when it is not set, and what is wrong with it.
//!
//! [`read`] gives a [`Configuration`] in which everything is checked, or every mistake of the file at once.

mod entries;
mod mistake;
mod reader;
mod sections;
mod tls;
mod trunks;
mod values;

pub use entries::{ExtensionEntry, KeyEntry};
pub use mistake::{Fault, Mistake, Mistakes};
pub use tls::ServerTls;
pub use values::{ListenFault, PortsFault};

pub(crate) use values::{key_name, permission};

use crate::Identity;
use audio::{Codec, TonePlan};
use call_control::Number;
use control_api::IpNet;
use numbering::DialPolicy;
use reader::{Document, Table};
use rustls::pki_types::{ServerName, UnixTime};
use sip_b2bua::{Extension, Limits, MediaSettings, RegistrationTimes, Settings, SocketsMax, TrunkSettings};
use sip_core::Transport;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use toml::de::DeTable;

/// Everything that an operator can set, checked.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The API's addresses, and the proxies in front of it.
    pub http: Http,
    /// SIP.
    pub sip: Sip,
    /// Media.
    pub media: MediaSettings,
    /// Bounds.
    pub limits: Limits,
    /// Where the database lives; relative to the working directory.
    pub data_folder: PathBuf,
    /// Who may use the API.
    pub api_keys: Vec<KeyEntry>,
    /// Phones that may register.
    pub extensions: Vec<ExtensionEntry>,
    /// Which outside numbers may be dialled.
    pub dial_policy: Option<DialPolicy>,
    /// Through which they are reached.
    pub trunks: Vec<TrunkSettings>,
    /// What is shown to trunks that ask for a certificate, by the name of the trunk.
    pub client_certificates: Vec<(Box<str>, Identity)>,
}

/// The section `[http]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Where else the server says how it is.
    pub health_listen: Option<SocketAddr>,
    /// Addresses whose connections many clients share: they are trusted, and never give way to others.
    pub proxies: Vec<IpNet>,
}

/// The section `[sip]`.
#[derive(Debug, Clone)]
pub struct Sip {
    /// Realm and domain of the addresses-of-record; the listening address when absent.
    pub domain: Option<Box<str>>,
    /// Sockets.
    pub listen: Vec<(Transport, SocketAddr)>,
    /// What phones are shown that come over TLS.
    pub tls: Option<ServerTls>,
    /// What is put into Contact and Via when behind NAT.
    pub external_address: Option<IpAddr>,
    /// Name servers; those of the system when empty.
    pub resolvers: Vec<SocketAddr>,
    /// User-Agent and Server.
    pub user_agent: Box<str>,
    /// The session interval that phones are asked for (RFC 4028).
    pub session_expires: Duration,
    /// How long registrations last.
    pub registration: RegistrationTimes,
}

/// What holds when there is no file.
impl Default for Configuration {
    fn default() -> Self {
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            http: Http { listen: SocketAddr::new(any, 8000), health_listen: None, proxies: Vec::new() },
            sip: Sip {
                domain: None,
                listen: [Transport::Udp, Transport::Tcp].map(|t| (t, SocketAddr::new(any, 5060))).to_vec(),
                tls: None,
                external_address: None,
                resolvers: Vec::new(),
                user_agent: "dialbridge".into(),
                session_expires: Duration::from_secs(1800),
                registration: RegistrationTimes {
                    min: Duration::from_secs(60),
                    default: Duration::from_secs(600),
                    max: Duration::from_secs(3600),
                },
            },
            media: MediaSettings {
                address: None,
                ports: 20_000..=29_999,
                codecs: vec![Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu],
                silence_timeout: Duration::from_secs(60),
                ringback: TonePlan::ringback("us").expect("the plan of the default is there"),
            },
            limits: Limits { calls: 2000, calls_per_second: 100, calls_per_key: 200 },
            data_folder: "dialbridge-data".into(),
            api_keys: Vec::new(),
            extensions: Vec::new(),
            dial_policy: None,
            trunks: Vec::new(),
            client_certificates: Vec::new(),
        }
    }
}

impl Configuration {
    /// The domain that was set, or else the address at which phones find the first SIP socket.
    pub fn domain(&self) -> Box<str> {
        self.sip.domain.clone().unwrap_or_else(|| {
            let listening =
                self.sip.listen.first().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |(_, at)| at.ip());
            let address = if listening.is_unspecified() { outside_address(listening) } else { listening };
            values::host(address)
        })
    }

    /// The extensions with their passwords hashed for `realm`.
    pub fn extensions_in(&self, realm: &str) -> Vec<Extension> {
        self.extensions.iter().map(|entry| entry.hashed(realm)).collect()
    }

    /// The keys as the API holds them.
    pub fn keys(&self) -> Vec<control_api::ApiKey> {
        self.api_keys.iter().map(|entry| entry.key.clone()).collect()
    }

    /// What can be meant so, and is more likely to be a mistake that somebody pays for.
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = self.doubts_of_emergency_numbers();
        doubts.extend(self.doubts_of_tls(UnixTime::now()));
        doubts
    }

    fn doubts_of_emergency_numbers(&self) -> Vec<String> {
        let emergency = self.dial_policy.iter().flat_map(DialPolicy::emergency);
        let doubt = |(number, may_be_dialled): (&Number, bool)| {
            if self.extensions.iter().any(|extension| extension.number == *number) {
                Some(format!(
                    "the emergency number {number} rings the extension {number}, and nobody outside"
                ))
            } else if may_be_dialled {
                None
            } else {
                Some(format!("the emergency number {number} is refused: dial_policy.allow does not name it"))
            }
        };
        emergency.filter_map(doubt).collect()
    }

    fn doubts_of_tls(&self, now: UnixTime) -> Vec<String> {
        let mut doubts = Vec::new();
        if let Some(tls) = &self.sip.tls {
            doubts.extend(tls::doubt("sip.tls", &tls.identity, now));
            if !self.speaks_tls() {
                doubts.push("sip.tls is of no use: sip.listen has no tls: address".into());
            }
            let domain = self.sip.domain.as_deref().unwrap_or_default();
            if ServerName::try_from(domain).is_ok_and(|name| !tls.identity.is_for(&name)) {
                doubts.push(format!(
                    "sip.tls: the certificate is not for {domain}, the sip.domain; phones that register there and look at it \
                     refuse it"
                ));
            }
        }
        for (trunk, identity) in &self.client_certificates {
            doubts.extend(tls::doubt(&format!("tls of trunk {trunk}"), identity, now));
        }
        for trunk in self.trunks.iter().filter(|trunk| trunk.tls.as_ref().is_some_and(|tls| !tls.verifies)) {
            doubts.push(format!(
                "tls of trunk {}: verify = false; whoever answers in its place is believed to be it, and hears its calls",
                trunk.name
            ));
        }
        doubts
    }

    fn speaks_tls(&self) -> bool {
        self.sip.listen.iter().any(|(transport, _)| *transport == Transport::Tls)
    }

    /// What the B2BUA is told, for the given domain and extensions.
    pub fn settings(&self, domain: Box<str>, extensions: Vec<Extension>) -> Settings {
        Settings {
            listen: self.sip.listen.clone(),
            tls: self.sip.tls.as_ref().map(|tls| Arc::clone(&tls.config)),
            domain,
            external_address: self.sip.external_address,
            resolvers: self.sip.resolvers.clone(),
            user_agent: self.sip.user_agent.clone(),
            session_expires: self.sip.session_expires,
            registration: self.sip.registration,
            media: self.media.clone(),
            limits: self.limits,
            sockets: SocketsMax::default(),
            extensions,
            dial_policy: self.dial_policy.clone(),
            trunks: self.trunks.clone(),
        }
    }
}

/// Reads and checks a file, and fetches the secrets that it names.
///
/// # Errors
/// Every mistake of the file at once; a file that is not TOML has one.
pub fn read(file: &Path) -> Result<Configuration, Mistakes> {
    match std::fs::read_to_string(file) {
        Ok(text) => parse(&text).map_err(|all| Mistakes { file: file.into(), all }),
        Err(why) => Err(Mistakes::about_file(file, Fault::Unreadable(why.to_string()))),
    }
}

/// Reads and checks a text.
///
/// # Errors
/// As [`read`].
pub fn parse(text: &str) -> Result<Configuration, Vec<Mistake>> {
    let document = Document::new(text);
    let entries = match DeTable::parse(text) {
        Ok(entries) => entries,
        Err(fault) => {
            note_syntax(&document, text, &fault);
            return Err(document.into_mistakes());
        }
    };
    let configuration = configuration(Table::root(&document, entries.get_ref()));
    let mistakes = document.into_mistakes();
    if mistakes.is_empty() { Ok(configuration) } else { Err(mistakes) }
}

fn configuration(mut root: Table<'_>) -> Configuration {
    let default = Configuration::default();
    let http = sections::http(root.table("http"), default.http);
    let media = sections::media(root.table("media"), default.media);
    let sip = sections::sip(root.table("sip"), default.sip, &media.ports);
    let data_folder = sections::data(root.table("data"), default.data_folder);
    let limits = sections::limits(root.table("limits"), default.limits);
    let api_keys = entries::api_keys(root.tables("api_keys"));
    let dial_policy = root.optional("dial_policy");
    let dial_policy = dial_policy.and_then(|value| value.table("a table")).and_then(sections::dial_policy);
    let extensions = entries::extensions(root.tables("extensions"), dial_policy.as_ref());
    let speaks_tls = sip.listen.iter().any(|(transport, _)| *transport == Transport::Tls);
    let surroundings =
        trunks::Surroundings { policy: dial_policy.as_ref(), extensions: &extensions, speaks_tls };
    let (trunks, client_certificates) = trunks::trunks(root.tables("trunks"), &surroundings);
    root.later("queues", "queues are");
    root.later("ivrs", "IVRs are");
    root.later("ai_agents", "AI agents are");
    root.end();
    Configuration {
        http,
        sip,
        media,
        limits,
        data_folder,
        api_keys,
        extensions,
        dial_policy,
        trunks,
        client_certificates,
    }
}

/// One mistake, without the text around it, which may hold a secret.
fn note_syntax(document: &Document, text: &str, fault: &toml::de::Error) {
    let span = fault.span();
    let line = span.as_ref().map(|span| document.line(span.start));
    // The parser's words for it; the key is no secret, and the only thing that tells which one is meant.
    let repeated =
        (fault.message() == "duplicate key").then(|| span.and_then(|span| text.get(span))).flatten();
    match repeated {
        Some(key) => document.note(line, &key.escape_debug().to_string(), Fault::RepeatedKey),
        None => document.note(line, "", Fault::Syntax(fault.message().replace(['\r', '\n'], " "))),
    }
}

/// The address of this machine towards the outside: what a datagram to a public address would be sent from. None is
/// sent; 192.0.2.1 and 2001:db8::1 are nobody's (RFC 5737, RFC 3849).
fn outside_address(listening: IpAddr) -> IpAddr {
    let (any, far) = match listening {
        IpAddr::V4(_) => ("0.0.0.0:0", "192.0.2.1:9"),
        IpAddr::V6(_) => ("[::]:0", "[2001:db8::1]:9"),
    };
    let towards = std::net::UdpSocket::bind(any).and_then(|socket| {
        socket.connect(far)?;
        socket.local_addr()
    });
    towards.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |local| local.ip())
}
