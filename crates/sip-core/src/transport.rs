//! Transport rules: what is written into a received Via, and where a response goes (RFC 3261 §18.2, RFC 3581).

use crate::{Flow, Transport};
use sip_message::{Host, Request, SipUri, Via};
use std::net::{IpAddr, SocketAddr};

/// Marks the top Via with where the request came from (RFC 3261 §18.2.1, RFC 3581 §4).
pub(crate) fn mark_source(request: &mut Request, flow: Flow) {
    if let Some(via) = request.header.via.first_mut() {
        via.set_received(flow.remote);
    }
}

/// Where the responses to a request go. Never anywhere but to the address it came from: `maddr` and a foreign
/// sent-by of RFC 3261 §18.2.2 would make us a reflector.
pub(crate) fn response_flow(via: Option<&Via>, flow: Flow) -> Flow {
    match via {
        Some(via) if listens_where_it_says(via, flow) => {
            let port = via.port.filter(|port| *port != 0).unwrap_or(flow.transport.default_port());
            Flow { remote: SocketAddr::new(flow.remote.ip(), port), ..flow }
        }
        Some(_) | None => flow,
    }
}

/// Does the sender listen on the port of its Via, and not where it sent from? It does unless it asks for answers there
/// (`rport`, RFC 3581 §4). But the port of an address that is not where the request came from means nothing outside of
/// the NAT in between.
fn listens_where_it_says(via: &Via, flow: Flow) -> bool {
    let is_behind_nat = matches!(via.host, Host::Address(address) if address != flow.remote.ip());
    flow.transport == Transport::Udp && via.parameters.get("rport").is_none() && !is_behind_nat
}

/// Along which flow the sender of a request is reached at its Contact: at the port of that, if it says by its Via that it
/// listens on another one than it sends from, and both are on the host that it came from. Else along `flow`.
pub fn listening_flow(via: Option<&Via>, contact: &SipUri, flow: Flow) -> Flow {
    match via {
        Some(via) if listens_where_it_says(via, flow) => target_flow(Some(contact), flow),
        Some(_) | None => flow,
    }
}

/// Where a request in a dialog goes: along its flow, or to the port of the peer's Contact when that is an
/// address on the same host. A connection is kept.
pub(crate) fn target_flow(target: Option<&SipUri>, flow: Flow) -> Flow {
    match (flow.transport, target.map(|target| (&target.host, target.port))) {
        (Transport::Udp, Some((Host::Address(address), port))) if *address == flow.remote.ip() => {
            let port = port.filter(|port| *port != 0).unwrap_or(flow.transport.default_port());
            Flow { remote: SocketAddr::new(*address, port), ..flow }
        }
        (Transport::Udp | Transport::Tcp | Transport::Tls, Some(_) | None) => flow,
    }
}

/// Where a request goes whose next hop is `hop`, as far as that is an address. A private one means something only to
/// those who are on that network too: of a peer that is not, it is what a NAT on its side has hidden. The connection to
/// the same host is kept.
pub(crate) fn routed_flow(hop: Option<&SipUri>, flow: Flow) -> Flow {
    let Some(SipUri { host: Host::Address(address), port, .. }) = hop else { return flow };
    let is_near = is_private(flow.remote.ip());
    if address.is_ipv4() != flow.remote.is_ipv4() || (is_private(*address) && !is_near) {
        return flow;
    }
    if flow.transport.is_reliable() && *address == flow.remote.ip() {
        return flow;
    }
    let port = port.filter(|port| *port != 0).unwrap_or(flow.transport.default_port());
    Flow { remote: SocketAddr::new(*address, port), ..flow }
}

/// Where somebody who has connected to us along `flow` listens, as its next hop says: at that address, else on the host that
/// it came from.
pub(crate) fn listening_at(hop: Option<&SipUri>, flow: Flow) -> Flow {
    let came_from = flow.remote.ip();
    let can_be_reached = |address: IpAddr| {
        address.is_ipv4() == came_from.is_ipv4() && (!is_private(address) || is_private(came_from))
    };
    let host = match hop.map(|hop| &hop.host) {
        Some(Host::Address(address)) if can_be_reached(*address) => *address,
        Some(Host::Address(_) | Host::Name(_)) | None => came_from,
    };
    let port = hop.and_then(|hop| hop.port).filter(|port| *port != 0);
    Flow { remote: SocketAddr::new(host, port.unwrap_or(flow.transport.default_port())), ..flow }
}

/// Whether an address means something on the network of its host alone (RFC 1918, RFC 3927, RFC 6598, RFC 4193).
const fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local(),
    }
}

/// The Via of a request of ours.
pub(crate) fn via(flow: Flow, branch: &str) -> Via {
    Via::new(flow.transport.via_word(), flow.local, branch)
}

/// Our Contact in a dialog: where requests of the peer reach us. `is_secure`: the dialog is one of `sips` URIs, and our
/// Contact has to be one as well (RFC 3261 §8.1.1.8, §12.1.1).
pub(crate) fn contact(user: Option<&str>, flow: Flow, is_secure: bool) -> SipUri {
    let mut contact = SipUri::at(user, flow.local);
    match flow.transport {
        Transport::Udp => {}
        Transport::Tls if is_secure => contact.secure = true,
        Transport::Tcp | Transport::Tls => contact.parameters.set("transport", Some(flow.transport.word())),
    }
    contact
}
