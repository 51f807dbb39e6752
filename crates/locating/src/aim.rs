//! What a URI asks for (RFC 3263 §4, §4.1).

use crate::{Families, Target, Unlocated, address, name};
use sip_message::{Host, SipUri, Transport};
use std::net::{IpAddr, SocketAddr};

/// Room before the name of a domain for the longest `_service._proto.` that is asked for.
const PREFIX_MAX: usize = "_sips._tcp.".len();
const NAME_MAX: usize = 253 - PREFIX_MAX;

/// What a URI asks for.
#[derive(Debug)]
pub(crate) struct Aim {
    pub(crate) whom: Whom,
    /// Those that the URI allows and we speak, in the order in which they are tried when the domain does not say: at
    /// least one. UDP goes first, which every SIP URI may be sent by, and TLS last, so that nobody who did not ask for it
    /// waits for its handshake.
    pub(crate) transports: Vec<Transport>,
}

#[derive(Debug)]
pub(crate) enum Whom {
    Address(Target),
    /// Its addresses are asked for, and nothing else.
    Host {
        name: Box<str>,
        port: u16,
    },
    Domain {
        name: Box<str>,
        /// The URI names its transport: NAPTR records have nothing to add.
        has_transport: bool,
    },
}

impl Aim {
    pub(crate) fn of(uri: &SipUri, speaks: &[Transport], families: Families) -> Result<Self, Unlocated> {
        let transports = transports(uri, speaks)?;
        let first = transports.first().copied().unwrap_or(Transport::Udp);
        let whom = match (target_of(uri)?, uri.port) {
            (_, Some(0)) => return Err(Unlocated::BadPort),
            (Host::Address(address), port) => {
                let address = reachable(address, families)?;
                let address = SocketAddr::new(address, port.unwrap_or(default_port(first)));
                Whom::Address(Target { transport: first, address })
            }
            (Host::Name(name), Some(port)) => Whom::Host { name: read(name)?, port },
            (Host::Name(name), None) => {
                Whom::Domain { name: read(name)?, has_transport: uri.transport().is_some() }
            }
        };
        Ok(Self { whom, transports })
    }
}

/// `TARGET` of RFC 3263 §4: `maddr` goes before the host.
fn target_of(uri: &SipUri) -> Result<Host, Unlocated> {
    match uri.parameters.value("maddr") {
        None => Ok(uri.host.clone()),
        Some(maddr) => Host::new(maddr).ok_or_else(|| Unlocated::BadName { name: maddr.into() }),
    }
}

fn read(name: Box<str>) -> Result<Box<str>, Unlocated> {
    match name::read(&name).filter(|name| name.len() <= NAME_MAX) {
        Some(name) => Ok(name),
        None => Err(Unlocated::BadName { name }),
    }
}

fn reachable(address: IpAddr, families: Families) -> Result<IpAddr, Unlocated> {
    let address = address.to_canonical();
    let has_socket = if address.is_ipv4() { families.ipv4 } else { families.ipv6 };
    let is_reachable = has_socket && address::is_of_a_host(address);
    is_reachable.then_some(address).ok_or(Unlocated::Unreachable { address })
}

/// `sips` is TLS, whatever stream the parameter names (RFC 3261 §26.2.2); in a `sip` URI `tls` is what everybody writes,
/// though that section deprecates it.
fn transports(uri: &SipUri, speaks: &[Transport]) -> Result<Vec<Transport>, Unlocated> {
    let named = uri.transport();
    let allowed: &[Transport] = match (uri.secure, named.as_deref()) {
        (false, None) => &Transport::ALL,
        (false, Some("udp")) => &[Transport::Udp],
        (false, Some("tcp")) => &[Transport::Tcp],
        (true, None | Some("tcp")) | (_, Some("tls")) => &[Transport::Tls],
        (_, Some(_)) => &[],
    };
    let usable: Vec<_> = allowed.iter().copied().filter(|transport| speaks.contains(transport)).collect();
    if usable.is_empty() {
        let scheme = if uri.secure { "sips" } else { "sip" };
        let transport = named.as_deref().unwrap_or(if uri.secure { "tls" } else { "any transport" });
        return Err(Unlocated::NotSpoken { scheme, transport: transport.into() });
    }
    Ok(usable)
}

/// RFC 3261 §19.1.2.
pub(crate) const fn default_port(transport: Transport) -> u16 {
    match transport {
        Transport::Udp | Transport::Tcp => 5060,
        Transport::Tls => 5061,
    }
}
