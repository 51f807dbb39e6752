//! Dialogs: identifiers, sequence numbers, route set and remote target (RFC 3261 §12).

use crate::transport::{listening_at, routed_flow, target_flow};
use crate::{Flow, PeerId, Reach, Transport, transaction::key};
use sip_message::{CallId, Contacts, FieldName, Header, Method, NameAddr, Request, Response, Uri};

/// A peer-to-peer relation, made by a 2xx or by taking an INVITE.
#[derive(Debug)]
pub(crate) struct Dialog {
    call_id: CallId,
    /// With our tag.
    local: NameAddr,
    /// With the tag of the peer, if it has one.
    remote: NameAddr,
    /// Of the last request that we sent.
    local_cseq: u32,
    /// Of the last request that came, if one did.
    remote_cseq: Option<u32>,
    remote_target: Uri,
    route_set: Vec<NameAddr>,
    flow: Flow,
    reach: Reach,
    /// Its requests come from elsewhere than they did, under the same Contact: the port in that one is out of date.
    is_rebound: bool,
    /// The peer has made the way itself: what its connection came from listens to nobody.
    is_of_peer: bool,
    /// That connection is gone.
    is_cut: bool,
}

/// How the peer of an INVITE is reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) flow: Flow,
    /// Request-URI of the INVITE.
    pub(crate) sent_to: Option<&'a Uri>,
    pub(crate) reach: Reach,
}

impl Dialog {
    /// RFC 3261 §12.1.2: the dialog that `response` to our INVITE made. All that matters stands in the response; in one
    /// without a Contact, which there has to be, it is where the INVITE was sent to.
    pub(crate) fn from_response(response: &Response, way: Way<'_>) -> Self {
        let Way { flow, sent_to, reach } = way;
        let header = &response.header;
        let target = contact_of(header);
        let mut route_set = record_routes(header);
        route_set.reverse();
        Self {
            call_id: header.call_id.clone(),
            local: header.from.clone(),
            remote: header.to.clone(),
            local_cseq: header.cseq.number,
            remote_cseq: None,
            is_rebound: target.is_none(),
            remote_target: target.unwrap_or_else(|| sent_to.unwrap_or(&header.to.uri).clone()),
            route_set,
            flow,
            reach,
            is_of_peer: false,
            is_cut: false,
        }
    }

    /// RFC 3261 §13.2.2.4: the dialog of a 2xx goes on from the early dialog with the same tags.
    pub(crate) fn confirm(response: &Response, way: Way<'_>, early: Option<Self>) -> Self {
        let mut dialog = Self::from_response(response, way);
        if let Some(early) = early {
            dialog.local_cseq = early.local_cseq;
        }
        dialog
    }

    /// RFC 3261 §12.1.1: the dialog that our response to `invite` makes.
    pub(crate) fn from_request(invite: &Request, local_tag: u64, flow: Flow, reach: Reach) -> Self {
        let header = &invite.header;
        Self {
            call_id: header.call_id.clone(),
            local: header.to.clone().with_tag(&key::tag(local_tag)),
            remote: header.from.clone(),
            local_cseq: 0,
            remote_cseq: Some(header.cseq.number),
            remote_target: contact_of(header).unwrap_or_else(|| header.from.uri.clone()),
            route_set: record_routes(header),
            flow,
            reach,
            is_rebound: false,
            is_of_peer: true,
            is_cut: false,
        }
    }

    /// The dialog of which `saved` tells, and where its requests go.
    pub(crate) fn resume(saved: &Request, flow: Flow) -> Self {
        let header = &saved.header;
        Self {
            call_id: header.call_id.clone(),
            local: header.from.clone(),
            remote: header.to.clone(),
            local_cseq: header.cseq.number,
            remote_cseq: None,
            remote_target: saved.uri.clone(),
            route_set: header.fields.addresses(&FieldName::ROUTE).unwrap_or_default(),
            flow,
            reach: Reach::AlongFlow,
            // `flow` is where requests go, not where one came from.
            is_rebound: true,
            is_of_peer: false,
            is_cut: false,
        }
    }

    /// A BYE that says all of the dialog. Its number is above all that will be used before it is saved again, which
    /// is no error for the peer (RFC 3261 §12.2.2).
    pub(crate) fn saved(&self) -> Request {
        let cseq = (self.local_cseq | (CSEQ_STEP - 1)) & 0x7fff_ffff;
        let (local, remote) = (self.local.clone(), self.remote.clone());
        let target = self.remote_target.clone();
        let mut bye = Request::new(Method::BYE, target, local, remote, self.call_id.clone(), cseq);
        for route in &self.route_set {
            bye.header.fields.push(FieldName::ROUTE, route.to_string());
        }
        bye
    }

    /// The peer's tag; empty for a peer of RFC 2543 that has none.
    pub(crate) fn remote_tag(&self) -> &str {
        self.remote.tag().unwrap_or_default()
    }

    /// The next request in the dialog (RFC 3261 §12.2.1.1).
    pub(crate) fn request(&mut self, method: Method) -> Request {
        let cseq = self.next_cseq();
        self.with_cseq(method, cseq)
    }

    /// The ACK of a 2xx to our INVITE of that number (RFC 3261 §13.2.2.4).
    pub(crate) fn ack(&self, cseq: u32) -> Request {
        self.with_cseq(Method::ACK, cseq)
    }

    /// The number of a request that is sent again with credentials.
    pub(crate) fn next_cseq(&mut self) -> u32 {
        self.local_cseq = next_cseq(self.local_cseq);
        self.local_cseq
    }

    /// Where requests in the dialog go.
    pub(crate) fn flow(&self) -> Flow {
        if self.is_cut {
            return self.flow_anew();
        }
        match (self.reach, self.route_set.first()) {
            (Reach::ByRoute(peer), Some(route)) => {
                opened_to(peer, routed_flow(route.uri.as_sip(), self.flow), self.flow)
            }
            (Reach::ByRoute(peer), None) if !self.is_rebound => {
                opened_to(peer, routed_flow(self.remote_target.as_sip(), self.flow), self.flow)
            }
            (Reach::AlongFlow, None) if !self.is_rebound => {
                target_flow(self.remote_target.as_sip(), self.flow)
            }
            (Reach::AlongFlow | Reach::ByRoute(_), _) => self.flow,
        }
    }

    /// The same where no connection of now is left: one that the peer has made is not made by us again, but one to where
    /// it listens (RFC 3261 §12.2.1.1, §18.1.1).
    pub(crate) fn flow_anew(&self) -> Flow {
        match self.reach {
            Reach::ByRoute(peer) if self.is_of_peer && self.flow.transport.is_reliable() => {
                let hop = self.route_set.first().map_or(&self.remote_target, |route| &route.uri);
                opened_to(peer, listening_at(hop.as_sip(), self.flow), self.flow)
            }
            Reach::ByRoute(_) | Reach::AlongFlow if self.is_cut => self.flow,
            Reach::ByRoute(_) | Reach::AlongFlow => self.flow(),
        }
    }

    /// Nothing goes along this way any more.
    pub(crate) fn note_lost(&mut self, flow: Flow) {
        self.is_cut |= self.flow == flow && self.is_of_peer && flow.transport.is_reliable();
    }

    /// The peer came along another way: it reconnected, or its address changed. Tells whether that is so. One that
    /// listens where it sends from (`rport`, RFC 3581 §4) is reached there until it names another Contact.
    pub(crate) fn follow(&mut self, flow: Flow, listens_there: bool) -> bool {
        let moves = std::mem::replace(&mut self.flow, flow) != flow;
        (self.is_of_peer, self.is_cut) = (self.is_of_peer || moves, false);
        self.is_rebound |= moves && listens_there;
        moves
    }

    /// Requests go where the peer's messages came from, whatever its Contact says.
    pub(crate) fn answer_to_source(&mut self) {
        self.is_rebound = true;
    }

    /// Takes the number of a request of the peer; `false` when it does not rise (RFC 3261 §12.2.2).
    pub(crate) fn take_cseq(&mut self, number: u32) -> bool {
        let rises = self.remote_cseq.is_none_or(|last| number > last);
        if rises {
            self.remote_cseq = Some(number);
        }
        rises
    }

    /// Follows the Contact of the 2xx to a target refresh request (RFC 3261 §12.2.1.2).
    pub(crate) fn refresh_target(&mut self, header: &Header) {
        if let Some(target) = contact_of(header) {
            self.set_target(target);
        }
    }

    /// Follows the Contact of a target refresh request.
    pub(crate) fn set_target(&mut self, target: Uri) {
        self.is_rebound &= target.to_string() == self.remote_target.to_string();
        self.remote_target = target;
    }

    fn with_cseq(&self, method: Method, cseq: u32) -> Request {
        let strict = self.route_set.first().is_some_and(|route| !is_loose(route));
        let (uri, routes) = if strict {
            (&self.route_set[0].uri, &self.route_set[1..])
        } else {
            (&self.remote_target, &self.route_set[..])
        };
        let call_id = self.call_id.clone();
        let mut request =
            Request::new(method, uri.clone(), self.local.clone(), self.remote.clone(), call_id, cseq);
        let fields = &mut request.header.fields;
        for route in routes {
            fields.push(FieldName::ROUTE, route.to_string());
        }
        if strict {
            fields.push(FieldName::ROUTE, format!("<{}>", self.remote_target));
        }
        request
    }
}

/// A connection that is to be opened to somebody who has to prove a name.
fn opened_to(peer: Option<PeerId>, to: Flow, known: Flow) -> Flow {
    match to.transport {
        Transport::Tls if to.remote != known.remote => Flow { peer, ..to },
        Transport::Udp | Transport::Tcp | Transport::Tls => to,
    }
}

/// Requests that one dialog sends within a CSeq number that is saved.
const CSEQ_STEP: u32 = 1 << 16;

/// The sequence number of the next request, below 2³¹ (RFC 3261 §8.1.1.5).
pub(crate) fn next_cseq(last: u32) -> u32 {
    last.wrapping_add(1) & 0x7fff_ffff
}

/// The first Contact.
pub(crate) fn contact_of(header: &Header) -> Option<Uri> {
    match header.contact.as_ref()? {
        Contacts::List(list) => list.first().map(|contact| contact.uri.clone()),
        Contacts::Star => None,
    }
}

/// Values that cannot be read make no route.
fn record_routes(header: &Header) -> Vec<NameAddr> {
    header.fields.addresses(&FieldName::RECORD_ROUTE).unwrap_or_default()
}

/// RFC 3261 §19.1.1, the `lr` parameter.
fn is_loose(route: &NameAddr) -> bool {
    route.uri.as_sip().is_some_and(|uri| uri.parameters.get("lr").is_some())
}
