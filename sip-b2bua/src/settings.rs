//! What the B2BUA is told at its start.

use audio::{Codec, TonePlan};
use call_control::Number;
use numbering::DialPolicy;
use sip_core::{Served, Transport, digest::Secret};
use sip_message::Method;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Everything that an operator can set of signalling and media. Checked: nothing in here is validated again.
#[derive(Debug, Clone)]
pub struct Settings {
    /// SIP sockets; port 0 takes any.
    pub listen: Vec<(Transport, SocketAddr)>,
    /// Digest realm and domain of the addresses-of-record.
    pub domain: Box<str>,
    /// Put into Contact and Via instead of the local address, behind NAT.
    pub external_address: Option<IpAddr>,
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
    /// Which outside numbers may be dialled; none, and nobody judges them, when it is not set.
    pub dial_policy: Option<DialPolicy>,
}

/// Transactions at once, in all.
const TRANSACTIONS_MAX: usize = 100_000;

impl Settings {
    /// What the SIP endpoint is told.
    pub fn endpoint(&self) -> sip_core::Config {
        sip_core::Config {
            user_agent: self.user_agent.clone(),
            passes_to_user: vec![Method::INFO],
            serves: vec![
                Method::INVITE.into(),
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
    /// Connections of phones (TCP).
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
}
