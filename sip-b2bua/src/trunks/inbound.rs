//! Calls that come in through trunks: from whose address or with whose credentials, and to which number of ours.

use super::{LegKey, TrunkId, Trunks};
use crate::routing::dialled_number;
use crate::settings::TrunkSettings;
use call_control::{Number, PartyType};
use sip_core::{Flow, Incoming, digest};
use sip_message::{FieldName, Host, Request, Uri};
use std::net::IpAddr;

/// Who calls, as far as an address tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The trunk whose number is called.
    Trunk(TrunkId),
    /// A carrier, and the number is of none of its trunks.
    OtherNumber,
    /// A carrier that proves by credentials who it is.
    Unproven,
    /// The address of no trunk.
    Stranger,
}

impl Trunks {
    /// Who calls from this address.
    pub(crate) fn at(&self, source: IpAddr, request: &Request) -> Source {
        let (proving, known): (Vec<_>, Vec<_>) =
            self.ids().filter(|id| self.is_at(*id, source)).partition(|id| self.proves(*id));
        match known.iter().find(|id| self.number_dialled(**id, request).is_some()) {
            Some(id) => Source::Trunk(*id),
            None if !proving.is_empty() => Source::Unproven,
            None if !known.is_empty() => Source::OtherNumber,
            None => Source::Stranger,
        }
    }

    /// The trunk of this account whose number is called; of several the one that has the address.
    pub(crate) fn of_account(&self, username: &str, incoming: &Incoming) -> Option<TrunkId> {
        let is_it = |id: &TrunkId| {
            let credentials = self.settings(*id).and_then(TrunkSettings::inbound_credentials);
            credentials.is_some_and(|own| *own.username == *username)
                && self.number_dialled(*id, &incoming.request).is_some()
        };
        let found: Vec<_> = self.ids().filter(is_it).collect();
        let here = found.iter().find(|id| self.is_at(**id, incoming.flow.remote.ip()));
        here.or(found.first()).copied()
    }

    fn is_at(&self, id: TrunkId, source: IpAddr) -> bool {
        self.trunk(id).is_some_and(|trunk| {
            let is_there = |flow: &Flow| flow.remote.ip() == source;
            trunk.flows().iter().any(is_there)
                || trunk.settings.from.iter().any(|network| network.contains(&source))
        })
    }

    fn proves(&self, id: TrunkId) -> bool {
        self.settings(id).is_some_and(|trunk| trunk.inbound_credentials().is_some())
    }

    /// The number of this trunk that is called. It stands in the Request-URI, unless that is our Contact there; then in
    /// P-Called-Party-ID (RFC 7315 §4.2.2) or in To. A number in the Request-URI that is not ours is that of somebody
    /// else, whoever the call was for on its way (RFC 3261 §8.1.1.2).
    pub(crate) fn number_dialled(&self, id: TrunkId, request: &Request) -> Option<Number> {
        let trunk = self.settings(id)?;
        if let Some(number) = trunk.own_number(&request.uri) {
            return Some(number);
        }
        if dialled_number(&request.uri, |_| true).is_some() && !trunk.is_contact(&request.uri) {
            return None;
        }
        let called_party = request.header.fields.addresses(&FieldName::from_static("P-Called-Party-ID"));
        let called_party = called_party.unwrap_or_default().into_iter().map(|address| address.uri);
        let mut uris = called_party.chain([request.header.to.uri.clone()]);
        uris.find_map(|uri| trunk.own_number(&uri))
    }

    /// Whether a host is the domain of a trunk.
    pub(crate) fn has_host(&self, host: &Host) -> bool {
        let is_its = |trunk: &TrunkSettings| {
            trunk.address.host == *host || trunk.from_domain.as_ref().is_some_and(|domain| domain == host)
        };
        self.ids().any(|id| self.settings(id).is_some_and(is_its))
    }

    /// A call came in through a trunk: it takes a channel, even of a full one, since the carrier has counted it too.
    pub(crate) fn take(&mut self, leg: LegKey, id: TrunkId) {
        if let Some(trunk) = self.trunks.get_mut(usize::from(id.0)) {
            trunk.take(leg);
            self.inbound.insert(leg, id);
        }
    }

    /// Which trunk would take it if it came from one of its addresses: what an operator wants to know of a stranger.
    pub(crate) fn would_take(&self, request: &Request) -> Option<&TrunkSettings> {
        let mut known = self.ids().filter(|id| !self.proves(*id));
        let id = known.find(|id| self.number_dialled(*id, request).is_some())?;
        self.settings(id)
    }
}

impl TrunkSettings {
    /// What its calls prove who they are with.
    pub(crate) fn inbound_credentials(&self) -> Option<&digest::Identity> {
        self.credentials.as_ref().filter(|_| self.inbound_digest)
    }

    /// Where calls to a number of ours go.
    pub(crate) fn destination_of(&self, number: &Number) -> Option<(&Number, PartyType)> {
        let found = self.destinations.iter().find(|(pattern, _)| pattern.fits(number))?;
        Some((&found.1.number, found.1.party_type))
    }

    /// Whether a URI is what the carrier knows us by, which may look like a number.
    fn is_contact(&self, uri: &Uri) -> bool {
        let user = uri.as_sip().and_then(|uri| uri.decoded_user());
        user.is_some_and(|user| self.username.as_deref() == Some(&*user) || *self.name == *user)
    }

    /// The number of ours that a URI names, however it is written.
    fn own_number(&self, uri: &Uri) -> Option<Number> {
        let number = dialled_number(uri, |_: &Host| true)?;
        let number = self.writing.plan.international(&number).ok()?;
        self.owns(&number).then_some(number)
    }
}
