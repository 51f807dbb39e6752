//! INVITEs that start calls: who calls, whom, and whether that may be.
//!
//! | who | known by |
//! |---|---|
//! | the phone of an extension | the connection along which it has registered, or its credentials |
//! | a trunk | the address that it comes from, or its credentials where these are asked for; and the number that it calls |
//! | anybody else | nothing: a challenge, as for a phone whose password is wrong |
//!
//! A UDP source proves nothing of a phone: it can be anybody's.

use super::admission::{RETRY_AFTER, RETRY_WRITING};
use super::beginning::Dials;
use super::requests::unavailable;
use super::{Action, Switchboard};
use crate::media;
use crate::moment::Moment;
use crate::registrar::Authenticated;
use crate::routing::{
    Caller, Diversion, DiversionReason, add_diversion, caller_of, dialled_number, diversions_of,
};
use crate::scenario::{LegEnd, Shows, Whom};
use crate::trunks::{NoTrunk, Source, TrunkId};
use call_control::{CallDirection, CallerId, Number, PartyType, Refusal};
use rand::RngCore;
use sip_core::{Flow, Incoming};
use sip_message::{FieldName, Host, Replaces, Response, StatusCode};
use std::time::{Duration, Instant};

/// Between two lines of the log about calls of strangers to our numbers.
const BETWEEN_LINES: Duration = Duration::from_secs(60);

/// What is answered to an INVITE that starts no call.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Box<Response>);

impl Switchboard {
    /// An INVITE that starts a call of its own.
    pub(super) fn invite_from_outside(&mut self, incoming: &Incoming, moment: Moment) {
        let user = &incoming.request.header.from.uri;
        let user = user.as_sip().and_then(|uri| uri.decoded_user());
        let registered = user.filter(|user| self.registrar.has_connection(user, incoming.flow, moment.now));
        if let Some(user) = registered {
            return self.dialled_by_phone(&user, incoming, moment);
        }
        if !self.registrar.has_credentials(&incoming.request) {
            let is_a_phone = self.registrar.has_phone_along(incoming.flow, moment.now);
            match self.trunks.at(incoming.flow.remote.ip(), &incoming.request) {
                Source::Trunk(trunk) if !is_a_phone => return self.dialled_by_trunk(trunk, incoming, moment),
                // A number of another customer of that carrier.
                Source::OtherNumber if !is_a_phone => return self.no_such_number(incoming, moment),
                Source::Unproven => {}
                Source::Trunk(_) | Source::OtherNumber | Source::Stranger => {
                    self.note_stranger(incoming, moment);
                }
            }
        }
        let random = self.random.next_u64();
        match self.registrar.authenticate(incoming, moment.now, random) {
            Authenticated::Challenge(response) | Authenticated::Refused(response) => {
                self.endpoint.respond_statelessly(incoming, response);
            }
            Authenticated::Dropped => {}
            Authenticated::Extension(user) => {
                self.actions.push_back(Action::Trust { flow: incoming.flow, user: user.clone() });
                self.dialled_by_phone(&user, incoming, moment);
            }
            Authenticated::Account(username) => {
                let trunk = self.trunks.of_account(&username, incoming);
                self.actions.push_back(Action::Trust { flow: incoming.flow, user: username });
                match trunk {
                    Some(trunk) => self.dialled_by_trunk(trunk, incoming, moment),
                    None => self.no_such_number(incoming, moment),
                }
            }
        }
    }

    fn no_such_number(&mut self, incoming: &Incoming, moment: Moment) {
        let Refused(response) = refused(incoming, StatusCode::NOT_FOUND, None);
        self.endpoint.respond(incoming, *response, moment.now);
    }

    /// Somebody who is no trunk calls a number of one: a carrier may have other addresses than its name leads to.
    fn note_stranger(&mut self, incoming: &Incoming, moment: Moment) {
        let is_told = |at: Instant| moment.now.saturating_duration_since(at) < BETWEEN_LINES;
        if self.strangers_told_at.is_some_and(is_told) {
            return;
        }
        let Some(trunk) = self.trunks.would_take(&incoming.request) else { return };
        self.strangers_told_at = Some(moment.now);
        tracing::warn!(
            source = %incoming.flow.remote.ip(),
            trunk = &*trunk.name,
            "a call to a number of this trunk came from an address that is not among its own and was challenged; \
             if it is the carrier's, add the address to `from` of the trunk"
        );
    }

    fn dialled_by_phone(&mut self, user: &str, incoming: &Incoming, moment: Moment) {
        let dials = self.phone_dials(user, incoming, moment);
        self.begin_or_refuse(dials, incoming, moment);
    }

    fn dialled_by_trunk(&mut self, trunk: TrunkId, incoming: &Incoming, moment: Moment) {
        let dials = self.trunk_dials(trunk, incoming, moment);
        self.begin_or_refuse(dials, incoming, moment);
    }

    fn begin_or_refuse(&mut self, dials: Result<Dials, Refused>, incoming: &Incoming, moment: Moment) {
        let begun = dials.and_then(|dials| {
            if self.admission.is_draining() || !self.journal.can_write() {
                return Err(Refused(unavailable(incoming).into()));
            }
            if !self.is_emergency(&dials) && self.admission.admit_dialled(&self.calls, moment.now).is_err() {
                return Err(retry_later(incoming, RETRY_AFTER.as_secs()));
            }
            self.begin_dialled(dials, incoming, moment).map_err(|status| refused(incoming, status, None))
        });
        if let Err(Refused(response)) = begun {
            self.endpoint.respond(incoming, *response, moment.now);
        }
    }

    /// Whether it is a phone of ours that calls for help.
    fn is_emergency(&self, dials: &Dials) -> bool {
        let is_outside = |to: &Whom| to.party_type == PartyType::External;
        let to = dials.to.as_ref().ok().filter(|to| is_outside(to));
        dials.by.is_none() && to.is_some_and(|to| self.directory.is_emergency(&to.number))
    }

    /// What the phone of `user` wants.
    pub(super) fn phone_dials(
        &self,
        user: &str,
        incoming: &Incoming,
        moment: Moment,
    ) -> Result<Dials, Refused> {
        check_content(incoming)?;
        self.check_replaces(incoming)?;
        let nobody = || refused(incoming, StatusCode::NOT_FOUND, None);
        let from = Number::new(user).map_err(|_| nobody())?;
        let is_known = |host: &Host| self.is_known(host, incoming.flow);
        let dialled = dialled_number(&incoming.request.uri, is_known).ok_or_else(nobody)?;
        let from = Whom { number: from, party_type: PartyType::Extension };
        let (view, to) = self.whom_dialled(&dialled, incoming, moment)?;
        if view == from {
            return Err(refused(incoming, StatusCode::BUSY_HERE, Some("This is the number that calls")));
        }
        let is_outside = view.party_type == PartyType::External;
        let shows = self.wish_of(&from.number, incoming);
        Ok(Dials {
            shows,
            parties: [(from, None), (Whom { number: dialled, ..view }, None)],
            to,
            direction: if is_outside { CallDirection::Outbound } else { CallDirection::Internal },
            by: None,
        })
    }

    /// What somebody outside wants, through the trunk one of whose numbers it calls.
    fn trunk_dials(&self, id: TrunkId, incoming: &Incoming, moment: Moment) -> Result<Dials, Refused> {
        check_content(incoming)?;
        self.check_replaces(incoming)?;
        let nobody = || refused(incoming, StatusCode::NOT_FOUND, None);
        let trunk = self.trunks.settings(id).ok_or_else(nobody)?;
        let ours = self.trunks.number_dialled(id, &incoming.request).ok_or_else(nobody)?;
        let (asked, kind) = trunk.destination_of(&ours).ok_or_else(|| {
            tracing::warn!(trunk = &*trunk.name, number = %ours, "a call to a number that has no destination was refused");
            nobody()
        })?;
        let to = self.directory.find(asked, Some(kind), "to");
        let (view, to) = self.reached(to, asked, incoming, moment)?;
        let Caller { number, name } = caller_of(&incoming.request, trunk);
        let caller_id = CallerId { name, number: number.clone() };
        let number = number.unwrap_or_else(Number::anonymous);
        let from = Whom { number: number.clone(), party_type: PartyType::External };
        let mut diverted = diversions_of(&incoming.request.header, &trunk.writing.plan);
        if view.party_type == PartyType::External {
            let reason = DiversionReason::Unconditional;
            add_diversion(&mut diverted, Diversion { number: ours.clone(), is_ours: true, reason });
        }
        let shows = Shows { caller_id: Some(caller_id), diverted, ..Shows::number(number) };
        Ok(Dials {
            shows,
            parties: [(from, Some(trunk.name.clone())), (Whom { number: ours, ..view }, None)],
            to,
            direction: CallDirection::Inbound,
            by: Some(id),
        })
    }

    /// An INVITE takes nobody's place by itself: a phone asks for that by REFER, in a call of its own (RFC 3891 §3, §8.1).
    fn check_replaces(&self, incoming: &Incoming) -> Result<(), Refused> {
        let fields = &incoming.request.header.fields;
        let values: Vec<_> = fields.get_all(&FieldName::REPLACES).collect();
        let status = match values[..] {
            [] => return Ok(()),
            [value] => match Replaces::read(value) {
                None => StatusCode::BAD_REQUEST,
                Some(replaces) => {
                    let tags = [&*replaces.to_tag, &*replaces.from_tag];
                    match self.endpoint.dialog_of(&replaces.call_id, tags) {
                        Some(_) => StatusCode::FORBIDDEN,
                        None => StatusCode::CALL_TRANSACTION_DOES_NOT_EXIST,
                    }
                }
            },
            [_, _, ..] => StatusCode::BAD_REQUEST,
        };
        Err(refused(incoming, status, None))
    }

    /// Whether this host is us for a phone along `flow`: our domain, an address of ours, or the one that it speaks to.
    pub(super) fn is_ours(&self, host: &Host, flow: Flow) -> bool {
        self.registrar.is_local_host(host) || *host == Host::Address(flow.local.ip())
    }

    /// Whether a number at this host is one that we can look for: it is us, or a trunk of ours.
    pub(super) fn is_known(&self, host: &Host, flow: Flow) -> bool {
        self.is_ours(host, flow) || self.trunks.has_host(host)
    }

    fn whom_dialled(
        &self,
        dialled: &Number,
        incoming: &Incoming,
        moment: Moment,
    ) -> Result<(Whom, Result<Whom, LegEnd>), Refused> {
        let found = self.directory.find(dialled, None, "to");
        self.reached(found, dialled, incoming, moment)
    }

    /// How the number is shown, and whom it leads to. What the dial policy forbids makes a call that ends at once: the
    /// operator finds it among the others.
    fn reached(
        &self,
        found: Result<Whom, Refusal>,
        dialled: &Number,
        incoming: &Incoming,
        moment: Moment,
    ) -> Result<(Whom, Result<Whom, LegEnd>), Refused> {
        let outside = |number: &Number| Whom { number: number.clone(), party_type: PartyType::External };
        let whom = match found {
            Ok(whom) => whom,
            Err(refusal @ Refusal::PolicyDenied { .. }) => {
                tracing::warn!(source = %incoming.flow.remote, %refusal, "a call was refused");
                return Ok((outside(dialled), Err(LegEnd::Denied)));
            }
            Err(_) => return Err(refused(incoming, StatusCode::NOT_FOUND, None)),
        };
        if whom.party_type == PartyType::External {
            let is_emergency = self.directory.is_emergency(&whom.number);
            match self.trunks.can_take(&whom.number, is_emergency, moment.now) {
                Ok(()) => {}
                Err(NoTrunk::Full) => return Err(retry_later(incoming, RETRY_AFTER.as_secs())),
                Err(NoTrunk::None | NoTrunk::AllFailed) => {
                    return Err(refused(incoming, StatusCode::NOT_FOUND, Some("No trunk takes this number")));
                }
            }
        }
        Ok((whom.clone(), Ok(whom)))
    }

    /// What a phone wants to be shown of itself: nothing (RFC 3323 §4.1), and outside one of the numbers of the trunk
    /// (RFC 3325 §9.2). Here it is its extension, whatever it prefers.
    fn wish_of(&self, number: &Number, incoming: &Incoming) -> Shows {
        let header = &incoming.request.header;
        let is_anonymous = crate::routing::is_anonymous(header);
        let preferred = header.fields.addresses(&FieldName::P_PREFERRED_IDENTITY).unwrap_or_default();
        let preferred = preferred.iter().find_map(|address| dialled_number(&address.uri, |_| true));
        Shows {
            caller_id: is_anonymous.then_some(CallerId { name: None, number: None }),
            prefers: preferred.and_then(|number| self.directory.international(&number)),
            ..Shows::number(number.clone())
        }
    }
}

/// Whether its body can be read, and its answer understood (RFC 3261 §8.2.3).
fn check_content(incoming: &Incoming) -> Result<(), Refused> {
    let request = &incoming.request;
    let fields = &request.header.fields;
    let is_sdp =
        |value: &str| value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(SDP));
    let typed_as_sdp = fields.get(&FieldName::CONTENT_TYPE).is_some_and(is_sdp);
    let encoded = fields.get(&FieldName::CONTENT_ENCODING).is_some();
    if !request.body.is_empty() && (!typed_as_sdp || encoded) {
        let mut response = request.response(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        response.header.fields.push(FieldName::ACCEPT, SDP);
        return Err(Refused(response.into()));
    }
    let accepts = fields.tokens(&FieldName::ACCEPT);
    let takes_sdp =
        |value: &&str| is_sdp(value) || value.starts_with("*/*") || value.starts_with("application/*");
    if !accepts.is_empty() && !accepts.iter().any(takes_sdp) {
        return Err(refused(incoming, StatusCode::NOT_ACCEPTABLE, None));
    }
    if !request.body.is_empty() && media::read_offer(&request.body, incoming.flow).is_err() {
        return Err(refused(incoming, StatusCode::NOT_ACCEPTABLE_HERE, None));
    }
    // A call that has gone round too often (RFC 3261 §8.1.1.6, RFC 7332): ours would be the next one.
    if request.header.max_forwards == Some(0) {
        return Err(refused(incoming, StatusCode::TOO_MANY_HOPS, None));
    }
    Ok(())
}

const SDP: &str = "application/sdp";

fn refused(incoming: &Incoming, status: StatusCode, reason: Option<&'static str>) -> Refused {
    let mut response = incoming.request.response(status);
    if let Some(reason) = reason {
        response.reason = reason.into();
    }
    Refused(response.into())
}

fn retry_later(incoming: &Incoming, seconds: u64) -> Refused {
    let mut response = incoming.request.response(StatusCode::SERVICE_UNAVAILABLE);
    response.header.fields.push(FieldName::RETRY_AFTER, seconds.max(RETRY_WRITING.as_secs()).to_string());
    Refused(response.into())
}
