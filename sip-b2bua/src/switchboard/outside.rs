//! Legs that are rung through trunks.

use super::calls::Stage;
use super::{Action, Switchboard};
use crate::moment::Moment;
use crate::place::CallNumber;
use crate::routing::{DiversionReason, Through, dialled_number};
use crate::scenario::{LegEnd, LegId, Order};
use crate::settings::TrunkSettings;
use crate::trunks::{Failure, Located, NoTrunk, NotLocated, Step, TrunkAction, TrunkId};
use call_control::{EndReason, PartyType, Refusal};
use sip_message::{Host, Uri};

impl Switchboard {
    /// Where a trunk's name leads to.
    pub fn handle_located(&mut self, trunk: TrunkId, result: Result<Located, NotLocated>, moment: Moment) {
        self.trunks.handle_located(trunk, result, moment.now);
        self.drain_trunks(moment);
        self.drain_endpoint(moment);
    }

    pub(super) fn ring_outside(&mut self, number: CallNumber, leg: LegId, order: Box<Order>, moment: Moment) {
        let is_emergency = self.directory.is_emergency(&order.whom.number);
        let step = self.trunks.begin((number, leg), order, is_emergency, moment.now);
        self.take_step(number, leg, step, moment);
    }

    /// Those whom the leg was told to ring did not take the call.
    pub(super) fn ring_on(&mut self, number: CallNumber, leg: LegId, failure: Failure, moment: Moment) {
        if self.trunks.order((number, leg)).is_none() {
            return self.forward(number, leg, failure, moment);
        }
        let step = self.trunks.failed((number, leg), failure, moment.now);
        self.take_step(number, leg, step, moment);
    }

    /// A phone or a carrier says where its user is: whoever is named is rung in its place, if the number may be (RFC 3261
    /// §8.1.3.4).
    pub(super) fn redirect(
        &mut self,
        number: CallNumber,
        leg: LegId,
        failure: Failure,
        contacts: &[Uri],
        moment: Moment,
    ) {
        let refused = match failure {
            Failure::Refused { status, .. } => LegEnd::Refused { status },
            Failure::Silent | Failure::Unreachable | Failure::NoAnswer => LegEnd::Unreachable,
        };
        let is_known = |host: &Host| self.registrar.is_local_host(host) || self.trunks.has_host(host);
        let named = contacts.iter().filter_map(|uri| dialled_number(uri, is_known));
        let found: Vec<_> = named.map(|named| self.directory.find(&named, None, "to")).collect();
        let denied = found.iter().any(|found| matches!(found, Err(Refusal::PolicyDenied { .. })));
        let whom = found.into_iter().find_map(Result::ok);
        self.trunks.end((number, leg));
        let reason = DiversionReason::Deflection;
        let is_sent_on = whom.is_some();
        let order = whom.and_then(|whom| self.calls.machine(number)?.redirect(leg, &whom, reason, moment));
        let Some(order) = order else {
            let why = match (is_sent_on, denied) {
                (true, _) => LegEnd::LOOPED,
                (false, true) => LegEnd::Denied,
                (false, false) => refused,
            };
            return self.with_call(number, moment, |call| call.handle_routes(leg, Err(why), moment));
        };
        self.ring_elsewhere(number, leg, order, moment);
    }

    /// The phones of an extension did not answer, or it has none: another number is rung in their place, one of ours or,
    /// where the dial policy lets it be, one outside.
    fn forward(&mut self, number: CallNumber, leg: LegId, failure: Failure, moment: Moment) {
        let reason = match failure {
            Failure::NoAnswer => DiversionReason::NoAnswer,
            Failure::Refused { .. } | Failure::Silent | Failure::Unreachable => DiversionReason::Unavailable,
        };
        let order = self.calls.machine(number).and_then(|call| call.order_of(leg).cloned());
        let to = order.as_ref().and_then(|order| self.directory.forward_of(&order.whom.number));
        let (Some(order), Some(to)) = (order, to) else { return };
        let forwarded = match failure {
            // Whoever is there and says no is not passed over.
            Failure::Refused { status, .. } if EndReason::of_status(status) != EndReason::Unreachable => {
                Err(LegEnd::Refused { status })
            }
            Failure::Refused { .. } | Failure::Silent | Failure::Unreachable | Failure::NoAnswer => {
                self.directory.find(&to.to, None, "forward_to").map_err(|refusal| {
                    tracing::warn!(extension = %order.whom.number, %refusal, "an extension is not forwarded");
                    LegEnd::Denied
                })
            }
        };
        let order = forwarded.and_then(|whom| {
            let order = self.calls.machine(number).and_then(|call| call.redirect(leg, &whom, reason, moment));
            order.ok_or(LegEnd::LOOPED)
        });
        match order {
            Ok(order) => self.ring_elsewhere(number, leg, order, moment),
            Err(why) => self.with_call(number, moment, |call| call.handle_routes(leg, Err(why), moment)),
        }
    }

    /// A leg that was sent on rings whom that leads to.
    fn ring_elsewhere(&mut self, number: CallNumber, leg: LegId, order: Order, moment: Moment) {
        if order.whom.party_type == PartyType::External {
            return self.ring_outside(number, leg, Box::new(order), moment);
        }
        let routes = self.routes(number, leg, &order, moment);
        self.with_call(number, moment, |call| call.handle_routes(leg, routes, moment));
    }

    pub(super) fn drain_trunks(&mut self, moment: Moment) {
        while let Some(action) = self.trunks.poll_action() {
            match action {
                TrunkAction::Locate(trunk, uri) => {
                    let Some(peer) = self.trunks.settings(trunk).map(TrunkSettings::peer) else { continue };
                    self.actions.push_back(Action::Locate { trunk, peer, uri });
                }
                TrunkAction::Request(trunk, purpose, new) => {
                    let request = self.endpoint.request(*new, moment.now);
                    self.trunks.sent(request, trunk, purpose);
                }
                TrunkAction::Close(flow) => {
                    self.actions.push_back(Action::Close(flow));
                    self.endpoint.handle_unreachable(flow, moment.now);
                }
                TrunkAction::Forget(request) => self.endpoint.forget_request(request, moment.now),
                TrunkAction::GoOn(number, leg) => {
                    let step = self.trunks.go_on((number, leg), moment.now);
                    self.take_step(number, leg, step, moment);
                }
            }
        }
    }

    /// Trunks that had no room for a leg.
    fn trace_passed_over(&mut self, number: CallNumber, leg: LegId, moment: Moment) {
        let party = self.trunks.order((number, leg)).map(|order| order.party);
        let passed_over = self.trunks.take_passed_over((number, leg));
        let (Some(party), Some(call)) = (party, self.calls.id_of(number)) else { return };
        for trunk in passed_over {
            let Some(settings) = self.trunks.settings(trunk) else { continue };
            self.tracer.pass_over(call, party, &settings.name, moment.unix_milliseconds);
        }
    }

    fn take_step(&mut self, number: CallNumber, leg: LegId, step: Step, moment: Moment) {
        self.trace_passed_over(number, leg, moment);
        let routes = match step {
            Step::Ring { trunk, flow, stream, gives_up_at } => {
                let Some(Stage::Running { call }) = self.calls.stage(number) else { return };
                let (Some(settings), Some(order), Some(bound)) =
                    (self.trunks.settings(trunk), self.trunks.order((number, leg)), call.rtp_of(leg))
                else {
                    return;
                };
                let is_emergency = self.directory.is_emergency(&order.whom.number);
                let route = self.trunks.route(trunk);
                let through = Through { trunk: settings, flow, stream, route, gives_up_at, is_emergency };
                Ok(self.reaching().through(through, order, call.view(), bound))
            }
            Step::Wait => return,
            Step::Over(why) => Err(match why {
                NoTrunk::Full => LegEnd::NoChannel,
                NoTrunk::None | NoTrunk::AllFailed => LegEnd::TrunkFailed { status: None },
            }),
        };
        self.with_call(number, moment, |call| call.handle_routes(leg, routes, moment));
    }
}
