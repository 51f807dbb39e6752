//! Calls that come in through trunks: from whose address, and to which number of ours.

use super::{LegKey, TrunkId, Trunks};
use crate::routing::dialled_number;
use crate::settings::TrunkSettings;
use call_control::{Number, PartyType};
use sip_core::Flow;
use sip_message::{FieldName, Host, Request, Uri};
use std::net::IpAddr;

impl Trunks {
    /// The trunks that have the address that something came from.
    pub(crate) fn of_source(&self, source: IpAddr) -> Vec<TrunkId> {
        let has = |id: &TrunkId| {
            self.trunk(*id).is_some_and(|trunk| {
                let is_there = |flow: &Flow| flow.remote.ip() == source;
                trunk.flows().iter().any(is_there)
                    || trunk.settings.from.iter().any(|network| network.contains(&source))
            })
        };
        self.ids().filter(has).collect()
    }

    /// Through which trunk somebody at this address calls: the one whose number is called. `None`: it is nobody's.
    pub(crate) fn called_through(&self, source: IpAddr, request: &Request) -> Option<TrunkId> {
        self.of_source(source).into_iter().find(|id| self.number_dialled(*id, request).is_some())
    }

    /// The number of this trunk that is called. It stands in the Request-URI, unless that is our Contact there; then in
    /// P-Called-Party-ID (RFC 7315 §4.2.2) or in To.
    pub(crate) fn number_dialled(&self, id: TrunkId, request: &Request) -> Option<Number> {
        let trunk = self.settings(id)?;
        let called_party = request.header.fields.addresses(&FieldName::from_static("P-Called-Party-ID"));
        let called_party = called_party.unwrap_or_default().into_iter().map(|address| address.uri);
        let uris =
            [request.uri.clone()].into_iter().chain(called_party).chain([request.header.to.uri.clone()]);
        uris.into_iter().find_map(|uri| trunk.own_number(&uri))
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

    /// Who would be let in if `source` were an address of a trunk: what an operator wants to know of a stranger.
    pub(crate) fn would_take(&self, request: &Request) -> Option<&TrunkSettings> {
        let id = self.ids().find(|id| self.number_dialled(*id, request).is_some())?;
        self.settings(id)
    }
}

impl TrunkSettings {
    /// Where calls to a number of ours go.
    pub(crate) fn destination_of(&self, number: &Number) -> Option<(&Number, PartyType)> {
        let found = self.destinations.iter().find(|(pattern, _)| pattern.fits(number))?;
        Some((&found.1.number, found.1.party_type))
    }

    /// The number of ours that a URI names, however it is written.
    fn own_number(&self, uri: &Uri) -> Option<Number> {
        let number = dialled_number(uri, |_: &Host| true)?;
        let number = self.writing.plan.international(&number).ok()?;
        self.owns(&number).then_some(number)
    }
}
