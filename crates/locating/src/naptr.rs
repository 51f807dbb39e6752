//! Which services a domain has, as its NAPTR records tell (RFC 3263 §4.1).

use crate::service::{Servers, Service};
use crate::{PassedOver, Record, name};
use sip_message::Transport;

/// The greatest number of services that are used.
const SERVICES_MAX: usize = 8;

/// A NAPTR record that can be used.
#[derive(Debug)]
pub(crate) struct Offer {
    rank: (u16, u16),
    transport: Transport,
    /// The replacement has addresses, and no SRV records.
    is_host: bool,
    replacement: Box<str>,
}

/// Reads a record; `transports` are those that may be used.
pub(crate) fn judge(record: &Record, transports: &[Transport]) -> Result<Offer, PassedOver> {
    let Record::Naptr { order, preference, flags, service, replacement } = record else {
        return Err(PassedOver::NotAsked);
    };
    let transport = transport_of(service)?;
    if !transports.contains(&transport) {
        return Err(PassedOver::OtherTransport);
    }
    let is_host = match flags.to_ascii_lowercase().as_str() {
        "s" => false,
        "a" => true,
        _ => return Err(PassedOver::Flags),
    };
    let replacement = name::read(replacement).ok_or(PassedOver::Name)?;
    Ok(Offer { rank: (*order, *preference), transport, is_host, replacement })
}

fn transport_of(service: &str) -> Result<Transport, PassedOver> {
    match service.to_ascii_lowercase().as_str() {
        "sip+d2u" => Ok(Transport::Udp),
        "sip+d2t" => Ok(Transport::Tcp),
        "sips+d2t" => Ok(Transport::Tls),
        other if other.starts_with("sip+d2") || other.starts_with("sips+d2") => {
            Err(PassedOver::OtherTransport)
        }
        _ => Err(PassedOver::OtherService),
    }
}

/// The services in the order that the domain prefers. A later one is used too, once the servers of those before it have
/// failed: the domain offers it by its own record.
pub(crate) fn services(mut offers: Vec<Offer>) -> Vec<Service> {
    offers.sort_by_key(|offer| offer.rank);
    let mut services: Vec<Service> = Vec::new();
    for offer in offers {
        let is_known =
            |known: &Service| known.transport == offer.transport && known.name == offer.replacement;
        if services.iter().any(is_known) {
            continue;
        }
        if services.len() == SERVICES_MAX {
            break;
        }
        let servers = match offer.is_host {
            true => Servers::of_host(&offer.replacement, offer.transport),
            false => Servers::Asked,
        };
        services.push(Service { transport: offer.transport, name: offer.replacement, servers });
    }
    services
}
