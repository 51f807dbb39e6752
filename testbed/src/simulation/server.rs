//! The server of a world: its settings, its registrar, what it asks of its relay.

use super::outside::policy;
use audio::{Codec, TonePlan};
use call_control::Number;
use media_relay::Relay;
use rand::Rng;
use sip_b2bua::registrar::{Registrar, RegistrarConfig};
use sip_b2bua::scenario::Scenarios;
use sip_b2bua::{
    Extension, Forward, Limits, MediaSettings, RegistrationTimes, Settings, SocketsMax, Switchboard,
    TrunkSettings,
};
use sip_core::{Endpoint, Transport, digest::Secret};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where it is.
pub(super) const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
/// Where 1007 is reached when its phone is not, after five seconds, in a world with trunks.
pub const FORWARD_OF_1007: &str = "+919900112233";
/// Domain of its addresses-of-record.
pub(super) const DOMAIN: &str = "pbx.example.com";

pub(super) fn password(user: &str) -> String {
    format!("secret-of-{user}")
}

/// A server that has just been started, and its relay.
pub(super) fn server(
    random: &mut impl Rng,
    scenarios: Arc<dyn Scenarios>,
    (trunks, limits): (&[TrunkSettings], Limits),
    now: Instant,
) -> (Switchboard, Relay) {
    let settings = settings(trunks, limits);
    // Those of one world know each other's calls.
    let config = sip_core::Config { call_key: Some(sip_core::CallKey([7; 32])), ..settings.endpoint() };
    let endpoint = Endpoint::new(config, random.random());
    let registrar = registrar(&settings, random.random());
    let relay = Relay::new(media_relay::Config {
        ports: settings.media.ports.clone(),
        ringback: settings.media.ringback.clone(),
        silence_timeout: settings.media.silence_timeout,
        port_rest: Duration::from_secs(5),
        sockets_max: settings.sockets.media,
        seed: random.random(),
    });
    (Switchboard::new(settings, scenarios, endpoint, registrar, random.random(), now), relay)
}

/// 1007 leads outside; 1005 and 1006 to each other, where there are trunks.
fn forward_of(index: u32, has_trunks: bool) -> Option<Forward> {
    let to = match index {
        5 => "1006",
        6 => "1005",
        7 => FORWARD_OF_1007,
        _ => return None,
    };
    let to = Number::new(to).expect("a number");
    has_trunks.then(|| Forward { to, after: Duration::from_secs(5) })
}

fn settings(trunks: &[TrunkSettings], limits: Limits) -> Settings {
    let has_trunks = !trunks.is_empty();
    let extension = |index: u32| {
        let user = format!("100{index}");
        Extension {
            number: Number::new(&user).expect("a number"),
            name: None,
            secret: Secret::new(&user, DOMAIN, &password(&user)),
            codecs: (index >= 8).then(|| Codec::ALL.to_vec()),
            forward: forward_of(index, has_trunks),
            auto_answer: None,
        }
    };
    Settings {
        listen: vec![(Transport::Udp, SocketAddr::new(SERVER, 5060))],
        tls: None,
        domain: DOMAIN.into(),
        external_address: None,
        user_agent: "dialbridge".into(),
        session_expires: Duration::from_secs(1800),
        registration: RegistrationTimes {
            min: Duration::from_secs(60),
            default: Duration::from_secs(600),
            max: Duration::from_secs(3600),
        },
        media: MediaSettings {
            address: None,
            ports: 20_000..=20_399,
            codecs: vec![Codec::Pcma, Codec::Pcmu],
            silence_timeout: Duration::from_secs(60),
            ringback: TonePlan::ringback("us").expect("a known tone plan"),
        },
        limits,
        sockets: SocketsMax::default(),
        extensions: (1..10).map(extension).collect(),
        resolvers: Vec::new(),
        dial_policy: (!trunks.is_empty()).then(policy),
        trunks: trunks.to_vec(),
    }
}

fn registrar(settings: &Settings, nonce_key: [u8; 32]) -> Registrar {
    let config = RegistrarConfig {
        domain: settings.domain.clone(),
        min: settings.registration.min,
        default: settings.registration.default,
        max: settings.registration.max,
        bindings_max: 10,
        nonce_key,
    };
    Registrar::new(config, [])
}
