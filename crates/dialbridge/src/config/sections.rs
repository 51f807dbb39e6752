//! The tables that are there once.

use super::mistake::Fault;
use super::reader::{Table, Value};
use super::{Http, Sip, tls, values};
use numbering::{DialPolicy, NumberingPlan};
use sip_b2bua::{Limits, MediaSettings, RegistrationTimes};
use sip_core::Transport;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// A day: longer than any of these times makes sense.
const SECONDS_MAX: u64 = 86_400;
/// The shortest session interval (RFC 4028 §4).
const SESSION_SECONDS_MIN: u64 = 90;

pub(super) fn http(mut table: Table<'_>, default: Http) -> Http {
    let listen = table.optional("listen").and_then(|value| value.parsed(values::socket_address));
    let health_listen =
        table.optional("health_listen").and_then(|value| value.parsed(values::socket_address));
    let proxies = table.optional("proxies").and_then(|value| {
        let items = value.list("a list of networks such as [\"10.0.0.0/8\"]")?;
        Some(items.iter().filter_map(|item| item.parsed(values::network)).collect())
    });
    table.end();
    Http {
        listen: listen.unwrap_or(default.listen),
        health_listen: health_listen.or(default.health_listen),
        proxies: proxies.unwrap_or(default.proxies),
    }
}

pub(super) fn sip(mut table: Table<'_>, default: Sip, media_ports: &RangeInclusive<u16>) -> Sip {
    let domain = table.optional("domain").and_then(|value| value.parsed(values::domain));
    let listen = table.optional("listen").and_then(|value| listen(&value, media_ports));
    let tls = table.optional("tls").map(|value| value.table("a table").and_then(tls::server));
    let has_tls =
        |listen: &Vec<(Transport, _)>| listen.iter().any(|(transport, _)| *transport == Transport::Tls);
    if tls.is_none() && listen.as_ref().is_some_and(has_tls) {
        table.refuse("tls", Fault::NoCertificate);
    }
    let external_address = table.optional("external_address");
    let user_agent = table.optional("user_agent").and_then(|value| value.parsed(values::user_agent));
    let registration = registration(table.table("registration_seconds"), default.registration);
    let session_expires = table.optional("session_expires_seconds");
    let session_expires = session_expires.and_then(|value| value.seconds(SESSION_SECONDS_MIN..=SECONDS_MAX));
    let resolvers = table.optional("resolvers");
    let resolvers =
        resolvers.and_then(|value| value.set("a list such as [\"192.0.2.53\"]", values::resolver));
    table.end();
    Sip {
        domain,
        listen: listen.unwrap_or(default.listen),
        tls: tls.flatten(),
        external_address: external_address.and_then(|value| value.parsed(values::reachable_address)),
        resolvers: resolvers.unwrap_or(default.resolvers),
        user_agent: user_agent.unwrap_or(default.user_agent),
        registration,
        session_expires: session_expires.unwrap_or(default.session_expires),
    }
}

fn listen(value: &Value<'_>, media_ports: &RangeInclusive<u16>) -> Option<Vec<(Transport, SocketAddr)>> {
    let items = value.list("a list such as [\"udp:0.0.0.0:5060\"]")?;
    if items.is_empty() {
        value.refuse(Fault::Empty);
    }
    let mut read: Vec<((Transport, SocketAddr), usize)> = Vec::new();
    for item in items {
        let Some(address) = item.parsed(values::listen) else { continue };
        let (transport, at) = address;
        if transport == Transport::Udp && media_ports.contains(&at.port()) {
            item.refuse(Fault::PortInMediaRange(at));
        }
        // Port 0 takes a free one each time.
        match read.iter().find(|(earlier, _)| *earlier == address && at.port() != 0) {
            Some((_, line)) => {
                let value = item.text().unwrap_or_default().to_owned();
                item.refuse(Fault::Repeated { value, line: *line });
            }
            None => read.push((address, item.line())),
        }
    }
    Some(read.into_iter().map(|(address, _)| address).collect())
}

fn registration(mut table: Table<'_>, default: RegistrationTimes) -> RegistrationTimes {
    let mut seconds = |key| table.optional(key).and_then(|value| value.seconds(1..=SECONDS_MAX));
    let (min, middle, max) = (seconds("min"), seconds("default"), seconds("max"));
    // What is not set moves with what is: `{ max = 300 }` alone is no contradiction.
    let max = max.unwrap_or_else(|| default.max.max(min.unwrap_or_default()).max(middle.unwrap_or_default()));
    let min = min.unwrap_or_else(|| default.min.min(max).min(middle.unwrap_or(max)));
    let middle = middle.unwrap_or_else(|| default.default.clamp(min.min(max), max));
    if min > middle || middle > max {
        table.refuse_whole(Fault::RegistrationOrder);
    }
    table.end();
    RegistrationTimes { min, default: middle, max }
}

pub(super) fn media(mut table: Table<'_>, default: MediaSettings) -> MediaSettings {
    let address = table.optional("address").and_then(|value| value.parsed(values::reachable_address));
    let ports = table.optional("ports").and_then(|value| value.parsed(values::ports));
    let codecs = table.optional("codecs").and_then(|value| value.set("a list of codecs", values::codec));
    let silence = table.optional("silence_timeout_seconds").and_then(|value| value.seconds(1..=SECONDS_MAX));
    let ringback = table.optional("ringback").and_then(|value| value.parsed(values::ringback));
    table.later("music_folder", "music on hold is");
    table.later("prompt_folder", "prompts are");
    table.end();
    MediaSettings {
        address,
        ports: ports.unwrap_or(default.ports),
        codecs: codecs.unwrap_or(default.codecs),
        silence_timeout: silence.unwrap_or(default.silence_timeout),
        ringback: ringback.unwrap_or(default.ringback),
    }
}

pub(super) fn data(mut table: Table<'_>, default: PathBuf) -> PathBuf {
    let folder = table.optional("folder").and_then(|value| value.text().map(PathBuf::from));
    table.end();
    folder.unwrap_or(default)
}

pub(super) fn limits(mut table: Table<'_>, default: Limits) -> Limits {
    let calls = count(&mut table, "calls");
    let calls_per_second = count(&mut table, "calls_per_second");
    let calls_per_key = count(&mut table, "calls_per_key");
    table.end();
    Limits {
        calls: calls.map_or(default.calls, |count| count as usize),
        calls_per_second: calls_per_second.unwrap_or(default.calls_per_second),
        calls_per_key: calls_per_key.map_or(default.calls_per_key, |count| count as usize),
    }
}

/// Which outside numbers may be dialled: with the section there, what `allow` says and nothing else.
pub(super) fn dial_policy(mut table: Table<'_>) -> Option<DialPolicy> {
    let plan = match table.optional("country") {
        Some(value) => value.parsed(NumberingPlan::of),
        None => Some(NumberingPlan::default()),
    };
    let plan = match (plan, table.optional("national_prefix")) {
        (Some(plan), Some(value)) => value.parsed(|prefix| plan.with_national_prefix(prefix)),
        (plan, _) => plan,
    };
    let mut entries = |key, expected| {
        let items = table.optional(key).and_then(|value| value.list(expected)).unwrap_or_default();
        items.iter().filter_map(|item| item.parsed(values::dial_entry)).collect::<Vec<_>>()
    };
    let allow = entries("allow", "a list such as [\"+91\", \"112\"]");
    let deny = entries("deny", "a list such as [\"+1900\"]");
    let emergency = table
        .optional("emergency")
        .and_then(|value| value.list("a list such as [\"112\"]"))
        .unwrap_or_default();
    let emergency = emergency.iter().filter_map(|item| item.parsed(values::number)).collect();
    table.end();
    Some(DialPolicy::new(plan?, allow, deny, emergency))
}

fn count(table: &mut Table<'_>, key: &'static str) -> Option<u32> {
    let count = table.optional(key).and_then(|value| value.whole(1..=1_000_000))?;
    u32::try_from(count).ok()
}
