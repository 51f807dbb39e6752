//! Phones that transfer their calls (RFC 3515, RFC 5589).
//!
//! | Refer-To | what becomes of it |
//! |---|---|
//! | a number here or outside | it is rung in the place of the phone, if the dial policy lets it be |
//! | with Replaces, a call of the same phone that is answered | whoever it talks to there takes its place |
//! | with Replaces, a call of the same phone that still rings | that call is given up, and its number rung from this one |
//! | anything else | 403, or 603: nobody is rung, and the call goes on |
//!
//! A carrier transfers nothing: it would have us pay for where it leads (RFC 3515 §5.1). So would whoever has seen the
//! names of a dialog, and writes into it from elsewhere: a phone that has not registered along the way that its REFER
//! came proves itself (RFC 3261 §22.1).

use super::calls::Stage;
use super::{Action, Switchboard};
use crate::leg::Refer;
use crate::moment::Moment;
use crate::place::CallNumber;
use crate::registrar::Authenticated;
use crate::routing::dialled_number;
use crate::scenario::{EndCause, Foreign, LegId, Step, Target, Transfer, Whom, Wish};
use call_control::{NotNow, Number, Party, PartyType, Refusal, StepKind};
use rand::RngCore;
use sip_core::Incoming;
use sip_message::{FieldName, Method, Replaces, Request, SipUri, StatusCode};

/// Who is to take the place of a phone.
#[derive(Debug)]
struct Named {
    target: Target,
    /// The call that is given up for it.
    given_up: Option<CallNumber>,
}

/// Why a transfer is refused.
#[derive(Debug)]
struct Denied {
    status: StatusCode,
    /// The number, where it is one that may not be rung.
    number: Option<Number>,
    /// Challenges.
    fields: Vec<(FieldName, Box<str>)>,
}

impl From<StatusCode> for Denied {
    fn from(status: StatusCode) -> Self {
        Self { status, number: None, fields: Vec::new() }
    }
}

impl Switchboard {
    /// The phone of a leg wants somebody else to take its place.
    pub(super) fn refer(&mut self, number: CallNumber, leg: LegId, refer: Refer, moment: Moment) {
        let Some((place, whom)) = self.calls.machine(number).and_then(|call| call.party_of(leg)) else {
            return;
        };
        let by = whom.clone();
        let proven = self.prove(&by, &refer.incoming, moment);
        let named = proven.and_then(|()| {
            let named = self.named((number, leg), place, &by, &refer.incoming.request, moment)?;
            let transfer = Transfer { place, to: named.target, by: Some(leg) };
            let wish = Wish::Transfer(Box::new(transfer));
            let call = self.calls.machine(number).ok_or(StatusCode::DECLINE)?;
            call.takes(&wish).map_err(|why| match why {
                NotNow::BeingTransferred => StatusCode::REQUEST_PENDING,
                NotNow::NotConnected | NotNow::NotHeld | NotNow::TransferredTooOften => StatusCode::FORBIDDEN,
            })?;
            Ok((wish, named.given_up))
        });
        match named {
            Ok((wish, given_up)) => {
                if let Some(given_up) = given_up {
                    let into = self.calls.id_of(number);
                    self.with_call(given_up, moment, |call| {
                        call.goes_into(into);
                        call.request_end(EndCause::Transferred, moment);
                    });
                }
                self.with_call(number, moment, |call| {
                    call.accept_refer(leg, refer);
                    call.ask(wish, moment);
                });
            }
            Err(Denied { status: StatusCode::UNAUTHORIZED, fields, .. }) => {
                self.with_call(number, moment, |call| {
                    call.refuse_refer(leg, refer, StatusCode::UNAUTHORIZED, fields, moment);
                });
            }
            Err(Denied { status, number: denied, fields }) => {
                tracing::warn!(from = %by.number, status = status.code(), "a phone's wish to transfer its call was refused");
                self.with_call(number, moment, |call| {
                    let step = StepKind::TransferDenied;
                    let sip_status = Some(status.code());
                    call.refuse_refer(leg, refer, status, fields, moment);
                    call.keep_step(Step { step, party: place, number: denied, sip_status }, moment);
                });
            }
        }
    }

    /// The phone of an extension, and no one who only knows how its dialog is named.
    fn prove(&mut self, by: &Whom, incoming: &Incoming, moment: Moment) -> Result<(), Denied> {
        let Incoming { flow, .. } = incoming;
        let is_ours = by.party_type == PartyType::Extension;
        if !is_ours || self.registrar.has_phone_of(by.number.as_str(), *flow, moment.now) {
            return Ok(());
        }
        let random = self.random.next_u64();
        match self.registrar.authenticate(incoming, moment.now, random) {
            Authenticated::Extension(user) if *user == *by.number.as_str() => {
                self.actions.push_back(Action::Trust { flow: *flow, user });
                Ok(())
            }
            Authenticated::Challenge(response) => {
                let name = FieldName::WWW_AUTHENTICATE;
                let challenges =
                    response.header.fields.get_all(&name).map(|value| (name.clone(), value.into()));
                Err(Denied { fields: challenges.collect(), ..StatusCode::UNAUTHORIZED.into() })
            }
            Authenticated::Refused(_) => Err(StatusCode::BAD_REQUEST.into()),
            Authenticated::Extension(_) | Authenticated::Account(_) | Authenticated::Dropped => {
                Err(StatusCode::FORBIDDEN.into())
            }
        }
    }

    fn named(
        &self,
        here: (CallNumber, LegId),
        place: Party,
        by: &Whom,
        request: &Request,
        moment: Moment,
    ) -> Result<Named, Denied> {
        if by.party_type != PartyType::Extension {
            return Err(StatusCode::FORBIDDEN.into());
        }
        // RFC 3515 §2.4.2: exactly one.
        let addresses = request.header.fields.addresses(&FieldName::REFER_TO).unwrap_or_default();
        let [address] = &addresses[..] else { return Err(StatusCode::BAD_REQUEST.into()) };
        let is_invite = |uri: &SipUri| {
            uri.parameters.value("method").is_none_or(|method| method == Method::INVITE.as_str())
        };
        let uri = address.uri.as_sip();
        if !uri.is_none_or(is_invite) {
            return Err(StatusCode::DECLINE.into());
        }
        if let Some(replaces) = uri.and_then(|uri| uri.decoded_header("Replaces")) {
            return self.replaced(here, place, by, &replaces, moment);
        }
        let (call, leg) = here;
        let Some(Stage::Running { call: running }) = self.calls.stage(call) else {
            return Err(StatusCode::DECLINE.into());
        };
        let flow = running.flow_of(leg).ok_or(StatusCode::DECLINE)?;
        let number = dialled_number(&address.uri, |host| self.is_known(host, flow));
        self.can_be_rung(call, place, &number.ok_or(StatusCode::DECLINE)?, None, moment)
    }

    /// Whom a number stands for, if that may be rung. Whether it can be reached the phone hears of in time.
    fn can_be_rung(
        &self,
        call: CallNumber,
        place: Party,
        number: &Number,
        given_up: Option<CallNumber>,
        moment: Moment,
    ) -> Result<Named, Denied> {
        let denied = |refusal: Refusal| {
            let is_denied = matches!(refusal, Refusal::PolicyDenied { .. });
            let status = if is_denied { StatusCode::FORBIDDEN } else { StatusCode::DECLINE };
            Denied { number: Some(number.clone()), ..status.into() }
        };
        let whom = self.directory.find(number, None, "to").map_err(denied)?;
        match self.can_take_place(call, place, &whom, moment) {
            Ok(()) | Err(Refusal::NotRegistered { .. } | Refusal::NoChannel { .. }) => {}
            Err(refusal) => return Err(denied(refusal)),
        }
        let shows = self.shown_of(call, place.other(), &[]);
        Ok(Named { target: Target::Rung { whom, shows }, given_up })
    }

    /// Another call of the same phone: only that one can be named.
    fn replaced(
        &self,
        (here, _): (CallNumber, LegId),
        place: Party,
        by: &Whom,
        replaces: &str,
        moment: Moment,
    ) -> Result<Named, Denied> {
        let unknown = || Denied::from(StatusCode::DECLINE);
        let replaces = Replaces::read(replaces).ok_or(StatusCode::BAD_REQUEST)?;
        let tags = [&*replaces.to_tag, &*replaces.from_tag];
        let invite = self.endpoint.dialog_of(&replaces.call_id, tags).ok_or_else(unknown)?;
        let there = self.adopted.place_of(invite);
        let Some(Stage::Running { call }) = self.calls.stage(there.call) else { return Err(unknown()) };
        let (party, its) = call.party_of(there.leg).ok_or_else(unknown)?;
        if there.call == here || its != by {
            return Err(StatusCode::FORBIDDEN.into());
        }
        if let Some(other) = call.left_by(there.leg) {
            if replaces.early_only {
                return Err(unknown());
            }
            let (_, whom) = call.party_of(other).ok_or_else(unknown)?;
            let leg = Foreign { call: there.call, leg: other };
            return Ok(Named {
                target: Target::Foreign { number: whom.number.clone(), leg },
                given_up: None,
            });
        }
        // What is under way there cannot be taken over; what only rings is rung again from here.
        if party != Party::From || call.view().connected_at.is_some() {
            return Err(unknown());
        }
        let number = call.view().to.number.clone();
        self.can_be_rung(here, place, &number, Some(there.call), moment)
    }
}
