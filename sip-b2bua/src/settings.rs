//! What the B2BUA is told at its start.

use crate::routing::AutoAnswer;
use audio::{Codec, TonePlan};
use call_control::{Number, PartyType};
use ipnet::IpNet;
use numbering::{DialPolicy, Entry, NumberPattern, Writing};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use sip_core::{PeerId, Served, Transport, digest, digest::Secret};
use sip_message::{Host, Method, NameAddr, SipUri};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// Everything that an operator can set of signalling and media. Checked: nothing in here is validated again.
#[derive(Debug, Clone)]
pub struct Settings {
    /// SIP sockets; port 0 takes any.
    pub listen: Vec<(Transport, SocketAddr)>,
    /// What whoever connects over TLS is shown: there when `listen` has TLS.
    pub tls: Option<Arc<ServerConfig>>,
    /// Digest realm and domain of the addresses-of-record.
    pub domain: Box<str>,
    /// Put into Contact, Via and SDP instead of the local address, behind NAT, for all but those on our side of it.
    pub external_address: Option<IpAddr>,
    /// Name servers; those of the system when empty.
    pub resolvers: Vec<SocketAddr>,
    /// User-Agent and Server.
    pub user_agent: Box<str>,
    /// The session interval that phones are asked for (RFC 4028), whole seconds.
    pub session_expires: Duration,
    /// Shortest, default and longest registration.
    pub registration: RegistrationTimes,
    /// Media.
    pub media: MediaSettings,
    /// Bounds.
    pub limits: Limits,
    /// What the system lets it open.
    pub sockets: SocketsMax,
    /// Phones that may register.
    pub extensions: Vec<Extension>,
    /// Which numbers outside may be dialled: none when it is not set.
    pub dial_policy: Option<DialPolicy>,
    /// Through which they are reached.
    pub trunks: Vec<TrunkSettings>,
}

/// Transactions at once, in all.
const TRANSACTIONS_MAX: usize = 100_000;

impl Settings {
    /// What the SIP endpoint is told.
    pub fn endpoint(&self) -> sip_core::Config {
        sip_core::Config {
            user_agent: self.user_agent.clone(),
            passes_to_user: vec![Method::INFO, Method::REFER],
            serves: vec![
                // RFC 3891 §4: whoever transfers looks for it. It counts in Refer-To.
                Served { method: Method::INVITE, options: vec!["replaces".into()] },
                Method::OPTIONS.into(),
                // RFC 3327 §5.1: Path is understood where it means something.
                Served { method: Method::REGISTER, options: vec!["path".into()] },
            ],
            transactions_max: TRANSACTIONS_MAX,
            session_expires: self.session_expires,
            holds_ack: true,
            ..sip_core::Config::default()
        }
    }
}

/// How long a registration lasts (RFC 3261 §10.2.1).
#[derive(Debug, Clone, Copy)]
pub struct RegistrationTimes {
    /// Below it: 423.
    pub min: Duration,
    /// When the phone does not say.
    pub default: Duration,
    /// Longer wishes are cut to it.
    pub max: Duration,
}

/// Ports, codecs and tones.
#[derive(Debug, Clone)]
pub struct MediaSettings {
    /// Put into SDP; the local address that faces the party when absent.
    pub address: Option<IpAddr>,
    /// RTP and RTCP ports.
    pub ports: RangeInclusive<u16>,
    /// Offered, in this order.
    pub codecs: Vec<Codec>,
    /// No RTP for so long from a party that should send ends the call.
    pub silence_timeout: Duration,
    /// What `from` hears while `to` rings.
    pub ringback: TonePlan,
}

/// Bounds on what runs at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Calls at once.
    pub calls: usize,
    /// New calls a second.
    pub calls_per_second: u32,
    /// Calls at once of one API key.
    pub calls_per_key: usize,
}

/// Bounds on sockets, which share one number of descriptors with the API and the store.
#[derive(Debug, Clone, Copy)]
pub struct SocketsMax {
    /// Of media: a call has four.
    pub media: usize,
    /// Connections of phones (TCP and TLS).
    pub connections: usize,
}

impl Default for SocketsMax {
    /// As if there were descriptors for all.
    fn default() -> Self {
        Self { media: usize::MAX, connections: 4096 }
    }
}

/// A phone that may register.
#[derive(Debug, Clone)]
pub struct Extension {
    /// The user part of its address-of-record.
    pub number: Number,
    /// Shown to the other party.
    pub name: Option<Box<str>>,
    /// What its password hashes to in `Settings::domain`.
    pub secret: Secret,
    /// Offered to it instead of `MediaSettings::codecs`.
    pub codecs: Option<Vec<Codec>>,
    /// Rung when no phone of it is registered, or none answers.
    pub forward: Option<Forward>,
    /// What makes its phones answer by themselves; by their User-Agent when absent.
    pub auto_answer: Option<AutoAnswer>,
}

/// Where else an extension is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// A number outside, held to the dial policy when it is rung.
    pub to: Number,
    /// How long its own phones ring first.
    pub after: Duration,
}

/// A carrier or a gateway through which numbers outside are reached.
#[derive(Debug, Clone)]
pub struct TrunkSettings {
    /// In the API, in logs.
    pub name: Box<str>,
    /// Where it is, and the domain of its numbers.
    pub address: SipUri,
    /// Where its requests are sent instead; one with `lr` stands in a Route as well.
    pub proxy: Option<SipUri>,
    /// The account there, which stands in Contact.
    pub username: Option<Box<str>>,
    /// What its challenges are answered with.
    pub credentials: Option<digest::Identity>,
    /// Ours, the default caller id first.
    pub numbers: Vec<NumberPattern>,
    /// Of the numbers that it takes.
    pub prefixes: Vec<Entry>,
    /// Of those with the same prefix the lowest goes first.
    pub priority: u32,
    /// Calls at once.
    pub channels: usize,
    /// New calls a second.
    pub calls_per_second: Option<usize>,
    /// How numbers are written.
    pub writing: Writing,
    /// It keeps a registration there, and asks for one of so long.
    pub registration: Option<Duration>,
    /// How often its addresses are asked whether somebody is there.
    pub probe: Option<Duration>,
    /// Where its calls may come from, beside the addresses that it leads to.
    pub from: Vec<IpNet>,
    /// Its calls prove by `credentials` whose they are, wherever they come from; its addresses prove nothing.
    pub inbound_digest: bool,
    /// Where calls to its numbers go.
    pub destinations: Vec<(NumberPattern, Destination)>,
    /// Where the number that is shown stands.
    pub identity: IdentityField,
    /// User part of From, where that is not the number shown.
    pub from_user: Option<Box<str>>,
    /// Host of From; default: that of `address`.
    pub from_domain: Option<Host>,
    /// `;user=phone` in its URIs.
    pub user_phone: bool,
    /// It may see who calls anonymously, and what it says of its callers is believed (RFC 3325 §5).
    pub trusted: bool,
    /// It is told the variables of a call.
    pub pass_variables: bool,
    /// How it proves who it is: there when `Settings::listen` has TLS. Without it no TLS is spoken with it.
    pub tls: Option<TrunkTls>,
}

/// How the server of a trunk proves over TLS that it is the one that is meant.
#[derive(Debug, Clone)]
pub struct TrunkTls {
    /// What its certificate has to hold: the configured host, wherever name servers lead to (RFC 5922 §7.3).
    pub name: ServerName<'static>,
    /// Whom we believe, and what we show.
    pub config: Arc<ClientConfig>,
    /// What it shows is looked at.
    pub verifies: bool,
}

/// Where a call is led.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The number.
    pub number: Number,
    /// What it stands for.
    pub party_type: PartyType,
}

/// In which header field a carrier looks for the number that it is to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityField {
    /// P-Asserted-Identity (RFC 3325 §9.1), beside From.
    PAssertedIdentity,
    /// Remote-Party-ID, beside From: what carriers had before RFC 3325.
    RemotePartyId,
    /// From alone.
    From,
}

impl TrunkSettings {
    /// Who has to prove to be it over TLS.
    pub fn peer(&self) -> PeerId {
        PeerId::of(&self.name)
    }

    /// Where its requests are sent.
    pub const fn next_hop(&self) -> &SipUri {
        match &self.proxy {
            Some(proxy) => proxy,
            None => &self.address,
        }
    }

    /// A proxy that knows where loose routes go stands in one.
    pub(crate) fn proxy_route(&self) -> Option<NameAddr> {
        let proxy = self.proxy.as_ref().filter(|proxy| proxy.parameters.get("lr").is_some())?;
        Some(NameAddr::new(proxy.clone()))
    }

    /// The number that it shows when nothing else is to be shown.
    pub fn first_number(&self) -> Option<Number> {
        self.numbers.first().and_then(NumberPattern::number)
    }
}
