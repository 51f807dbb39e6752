//! How calls begin: from a request of the API, or from a phone that calls, to a scenario that rings.
//!
//! The relay session is opened and the call's row written before anybody is rung, and before the request is answered.

use super::admission::{Known, RETRY_AFTER, RETRY_WRITING};
use super::calls::{Origin, Stage};
use super::{Action, Switchboard, Ticket};
use crate::call::{Dialog, RunningCall, Seats};
use crate::leg::Arrival;
use crate::moment::{CallClock, Moment};
use crate::place::{CallNumber, Place};
use crate::routing::facing;
use crate::scenario::{Dialling, LegEnd, LegId, Shows, Whom};
use crate::trunks::TrunkId;
use call_control::{
    Call, CallDirection, CallEvent, CallEventKind, CallId, CallState, ClickToCall, EndReason, Party,
    PartyType, PartyView, Refusal, whole_seconds,
};
use call_store::FirstAnswer;
use media_relay::{OpenError, TerminationId};
use rand::RngCore;
use sip_core::{Command, Flow, Incoming, InviteId, Reach};
use sip_message::{FieldName, StatusCode};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// The leg of a phone that calls.
const CALLER: LegId = LegId(1);

/// A call that somebody begins by dialling.
#[derive(Debug)]
pub(super) struct Dials {
    /// Who calls and who is called, each with the trunk that it is reached through if that is known.
    pub(super) parties: [(Whom, Option<Box<str>>); 2],
    /// Whom that leads to; or why it leads to nobody.
    pub(super) to: Result<Whom, LegEnd>,
    /// What is shown of the caller.
    pub(super) shows: Shows,
    pub(super) direction: CallDirection,
    /// The trunk that the caller comes through.
    pub(super) by: Option<TrunkId>,
}

impl Switchboard {
    pub(super) fn click_to_call(&mut self, ticket: Ticket, mut request: Box<ClickToCall>, moment: Moment) {
        let (directory, registrar, trunks) = (&self.directory, &self.registrar, &self.trunks);
        let known = Known { calls: &self.calls, directory, registrar, trunks };
        known.complete(&mut request);
        let admitted = self.admission.admit(&request, known, moment.now);
        let admitted = admitted.and_then(|parties| match self.journal.can_write() {
            true => Ok(parties),
            false => Err(Refusal::StorageUnavailable { retry_after: RETRY_WRITING }),
        });
        let whom = match admitted {
            Ok(parties) => parties,
            Err(refusal) => {
                return self.actions.push_back(Action::AnswerCall { ticket, answer: Err(refusal) });
            }
        };
        let parties = [
            PartyView::waiting(request.from.clone(), whom[0].party_type),
            PartyView::waiting(request.to.clone(), whom[1].party_type),
        ];
        let local = [&whom[0], &whom[1]].map(|whom| facing(&self.settings, self.flows_of(whom, moment.now)));
        let scenario = Arc::clone(&self.scenarios).click_to_call(&request, whom);
        let Some((number, mut call, clock)) = self.new_call(parties, moment) else { return };
        call.caller_id = request.caller_id.clone();
        call.variables = request.variables.clone();
        let (id, key_name) = (call.call_id, request.key_name.clone());
        let shows = Shows::asked_for(&request);
        let call = Box::new(RunningCall::new(number, call, clock, (scenario, shows)));
        let origin = Origin::Asked { ticket, request };
        self.calls.add(number, id, key_name, Stage::Beginning { call, origin });
        self.open(number, local);
    }

    /// Somebody calls. An error is what its INVITE is answered with.
    pub(super) fn begin_dialled(
        &mut self,
        dials: Dials,
        incoming: &Incoming,
        moment: Moment,
    ) -> Result<(), StatusCode> {
        let Dials { parties, to, shows, direction, by } = dials;
        let [from, whom] = parties.each_ref().map(|(whom, _)| whom.clone());
        let local = [
            facing(&self.settings, [incoming.flow]),
            match &to {
                Ok(to) => facing(&self.settings, self.flows_of(to, moment.now)),
                Err(_) => facing(&self.settings, [incoming.flow]),
            },
        ];
        let dialling = Dialling { leg: CALLER, to, shows: shows.clone() };
        let scenario = Arc::clone(&self.scenarios).dialled(dialling);
        let parties = parties
            .map(|(whom, trunk)| PartyView { trunk, ..PartyView::waiting(whom.number, whom.party_type) });
        let new = self.new_call(parties, moment);
        let (number, mut call, clock) = new.ok_or(StatusCode::SERVER_INTERNAL_ERROR)?;
        (call.state, call.direction) = (CallState::CallingTo, direction);
        let codecs = self.reaching().codecs(&from, Some(&whom));
        let id = call.call_id;
        let mut call = Box::new(RunningCall::new(number, call, clock, (scenario, shows)));
        let trunk = by.and_then(|trunk| self.trunks.settings(trunk));
        let arrival = Arrival {
            incoming: incoming.clone(),
            reach: trunk.map_or(Reach::AlongFlow, |trunk| Reach::ByRoute(Some(trunk.peer()))),
            credentials: trunk.and_then(|trunk| trunk.credentials.clone()),
        };
        if !call.take(CALLER, arrival, &codecs, moment) {
            return Err(StatusCode::NOT_ACCEPTABLE_HERE);
        }
        if let Some(trunk) = by {
            self.trunks.take((number, CALLER), trunk);
        }
        let dialog = Dialog {
            of: from.number,
            trunk: call.view().from.trunk.clone(),
            sip_call_id: incoming.request.header.call_id.0.clone(),
            flow: incoming.flow,
        };
        let invite = InviteId::from(Place { call: number, leg: CALLER, fork: 0 });
        let origin = Origin::Dialled { invite };
        self.calls.add(number, id, "".into(), Stage::Beginning { call, origin });
        self.trace_dialog(number, Party::From, &dialog, moment);
        self.trace(&incoming.request.print(), incoming.flow, false, moment);
        self.perform(number, moment);
        self.open(number, local);
        Ok(())
    }

    /// The ports of a termination are bound. When those of both parties are, the call's row is written.
    pub(super) fn added(
        &mut self,
        number: CallNumber,
        termination: TerminationId,
        rtp: SocketAddr,
        moment: Moment,
    ) {
        self.with_call(number, moment, |call| call.handle_added(termination, rtp, moment));
        let Some(Stage::Beginning { call, origin }) = self.calls.stage(number) else { return };
        if !call.is_bound() {
            return;
        }
        let call = call.view().clone();
        let answer = match origin {
            Origin::Asked { request, .. } => request.repeatable.clone().map(|request| FirstAnswer {
                request,
                call_id: call.call_id,
                at: moment.unix_milliseconds,
                body: None,
            }),
            Origin::Dialled { .. } => None,
        };
        if self.admission.is_ending() {
            return self.refuse_call(number, Refusal::Draining, moment);
        }
        let at = call.created_at;
        let initiated = CallEvent { event: CallEventKind::Initiated, party: None, at, call };
        self.journal.begin(number, initiated, answer);
    }

    pub(super) fn not_added(
        &mut self,
        number: CallNumber,
        termination: TerminationId,
        reason: OpenError,
        moment: Moment,
    ) {
        match self.calls.stage(number) {
            Some(Stage::Beginning { .. }) => {}
            Some(Stage::Running { .. }) => {
                tracing::warn!(%reason, "nobody else can be rung in this call");
                return self.with_call(number, moment, |call| call.handle_not_added(termination, moment));
            }
            // The other party had none either.
            Some(Stage::Keeping { .. }) | None => return,
        }
        tracing::warn!(%reason, "a call was refused");
        let refusal = match reason {
            OpenError::NoDescriptor => Refusal::NoDescriptor { retry_after: RETRY_AFTER },
            OpenError::NoPortFree { free_in: Some(rest) } => {
                Refusal::NoMediaPort { retry_after: whole_seconds(rest) }
            }
            OpenError::NoPortFree { free_in: None } | OpenError::AddressNotUsable => {
                Refusal::NoMediaPort { retry_after: RETRY_AFTER }
            }
        };
        self.refuse_call(number, refusal, moment);
    }

    /// The row is on disk: the request is answered, and the call begins.
    pub(super) fn begin(&mut self, number: CallNumber, moment: Moment) {
        let has_media = match self.calls.stage(number) {
            Some(Stage::Beginning { call, .. }) => call.is_bound(),
            Some(Stage::Running { .. } | Stage::Keeping { .. }) | None => false,
        };
        if !has_media {
            let refusal = Refusal::NoMediaPort { retry_after: RETRY_AFTER };
            return self.end_unbegun(number, refusal, EndReason::InternalError, moment);
        }
        if self.admission.is_ending() {
            return self.end_unbegun(number, Refusal::Draining, EndReason::ServerStopped, moment);
        }
        let Some(origin) = self.calls.run(number) else { return };
        self.show(number);
        match origin {
            Origin::Asked { ticket, .. } => {
                if let Some(id) = self.calls.id_of(number) {
                    self.actions.push_back(Action::AnswerCall { ticket, answer: Ok(id) });
                }
            }
            Origin::Dialled { .. } => self.announce_to_caller(number),
        }
        self.with_call(number, moment, |call| call.begin(moment));
    }

    /// The row cannot be written: nobody was rung, and nobody will be.
    pub(super) fn refuse_unwritten(&mut self, number: CallNumber, moment: Moment) {
        self.refuse_call(number, Refusal::StorageUnavailable { retry_after: RETRY_WRITING }, moment);
    }

    /// A call that never begins; nothing of it is on disk, or it is closed there.
    pub(super) fn refuse_call(&mut self, number: CallNumber, refusal: Refusal, moment: Moment) {
        let id = self.calls.id_of(number);
        let Some(Stage::Beginning { origin, .. }) = self.calls.remove(number) else { return };
        if let Some(id) = id {
            self.tracer.close(id);
            self.tracer.forget(id);
        }
        self.lines.end_all_of(number);
        self.trunks.end_all_of(number);
        self.actions.push_back(Action::Relay(media_relay::Command::Close { session: number.into() }));
        match origin {
            Origin::Asked { ticket, .. } => {
                self.actions.push_back(Action::AnswerCall { ticket, answer: Err(refusal) });
            }
            Origin::Dialled { invite } => {
                let after = refusal.retry_after().unwrap_or(RETRY_AFTER);
                let fields = vec![(FieldName::RETRY_AFTER, after.as_secs().to_string().into())];
                let status = StatusCode::SERVICE_UNAVAILABLE;
                self.endpoint.handle_command(Command::Reject { invite, status, fields }, moment.now);
            }
        }
    }

    /// The row of a call is on disk that cannot begin any more.
    fn end_unbegun(&mut self, number: CallNumber, refusal: Refusal, reason: EndReason, moment: Moment) {
        let Some(Stage::Beginning { call, .. }) = self.calls.stage(number) else { return };
        let record = Arc::new(call.broken_off(reason, moment));
        self.refuse_call(number, refusal, moment);
        self.journal.close_unbegun(&record);
    }

    fn open(&mut self, number: CallNumber, local: [std::net::IpAddr; 2]) {
        for (party, local) in [Party::From, Party::To].into_iter().zip(local) {
            let (session, termination) = (number.into(), Seats::first(party));
            let add = media_relay::Command::Add { session, termination, local };
            self.actions.push_back(Action::Relay(add));
        }
    }

    /// The phone that called will be told the relay's address.
    fn announce_to_caller(&mut self, number: CallNumber) {
        let Some(Stage::Running { call }) = self.calls.stage(number) else { return };
        let (Some(flow), Some(rtp)) = (call.flow_of(CALLER), call.rtp_of(CALLER)) else { return };
        let announced = self.reaching().announced(rtp, flow);
        if let Some(call) = self.calls.machine(number) {
            call.announce(CALLER, announced);
        }
    }

    fn new_call(&mut self, parties: [PartyView; 2], moment: Moment) -> Option<(CallNumber, Call, CallClock)> {
        let clock = CallClock::starting(moment)?;
        let direction = CallDirection::of_parties([parties[0].party_type, parties[1].party_type]);
        let mut random = [0; 10];
        self.random.fill_bytes(&mut random);
        let id = CallId::new(u64::try_from(moment.unix_milliseconds).unwrap_or_default(), &random);
        let number = self.calls.next_number(|number| self.adopted.has_leg_of(number));
        Some((number, Call::beginning(id, parties, direction, clock.created_at()), clock))
    }

    pub(super) fn flows_of(&self, whom: &Whom, now: Instant) -> Vec<Flow> {
        let number = &whom.number;
        if whom.party_type == PartyType::External {
            return self.trunks.flows_for(number);
        }
        self.registrar.bindings_of(number.as_str(), now).into_iter().map(|binding| binding.flow).collect()
    }
}
