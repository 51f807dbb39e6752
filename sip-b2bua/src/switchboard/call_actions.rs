//! What calls want done.

use super::calls::Stage;
use super::{Action, Switchboard, far_end};
use crate::call::{CallAction, Dialog, RunningCall};
use crate::leg::Routes;
use crate::moment::Moment;
use crate::place::CallNumber;
use crate::routing::{Reaching, facing};
use crate::scenario::{Ask, LegEnd, LegId, Order, Told, Whom};
use call_control::{Call, CallEvent, Party, PartyType};
use call_trace::RungPhone;
use media_relay::TerminationId;
use std::sync::Arc;

impl Switchboard {
    /// Lets something happen to a call, then performs what it wants. A call whose machine panics ends alone.
    pub(super) fn with_call(
        &mut self,
        number: CallNumber,
        moment: Moment,
        change: impl FnOnce(&mut RunningCall),
    ) {
        let act = std::panic::AssertUnwindSafe(|| {
            let Some(call) = self.calls.machine(number) else { return };
            change(call);
            self.perform(number, moment);
        });
        if std::panic::catch_unwind(act).is_err() {
            self.break_off(number, moment);
        }
    }

    /// Performs what a call wants done.
    pub(super) fn perform(&mut self, number: CallNumber, moment: Moment) {
        while let Some(action) = self.calls.machine(number).and_then(RunningCall::poll_action) {
            match action {
                CallAction::Sip(command) => self.endpoint.handle_command(command, moment.now),
                CallAction::Relay(command) => self.actions.push_back(Action::Relay(command)),
                CallAction::Reach { leg, order } if order.whom.party_type == PartyType::External => {
                    self.ring_outside(number, leg, order, moment);
                }
                CallAction::ReachOn { leg, failure, contacts } if contacts.is_empty() => {
                    self.ring_on(number, leg, failure, moment);
                }
                CallAction::ReachOn { leg, failure, contacts } => {
                    self.redirect(number, leg, failure, &contacts, moment);
                }
                CallAction::Open { termination, whom } => {
                    self.open_another(number, termination, &whom, moment)
                }
                CallAction::Reach { leg, order } => {
                    let routes = self.routes(number, leg, &order, moment);
                    self.with_call(number, moment, |call| call.handle_routes(leg, routes, moment));
                }
                CallAction::Refer { leg, refer } => self.refer(number, leg, refer, moment),
                CallAction::Adopt { leg, party, foreign } => {
                    self.adopt(number, (leg, party), foreign, moment);
                }
                CallAction::Identify { invite, shows } => {
                    let fields = self.reaching().identity(&shows);
                    self.endpoint.handle_command(sip_core::Command::Identify { invite, fields }, moment.now);
                }
                CallAction::Ask(Ask::IsBusy(asked)) => {
                    let told = Told::Busy(asked.clone(), self.lines.is_busy(&asked));
                    self.with_call(number, moment, |call| call.handle_told(told, moment));
                }
                CallAction::Begins { leg, number: of } => self.lines.begin(number, leg, of),
                CallAction::Ends(leg) => {
                    self.lines.end(number, leg);
                    self.trunks.end((number, leg));
                    self.adopted.end((number, leg));
                }
                CallAction::Sent { party, dialog } => self.trace_dialog(number, party, &dialog, moment),
                CallAction::Happened { event, party, at } => {
                    if let Some(view) = self.show(number) {
                        let call = Call::clone(&view);
                        self.journal.happened(CallEvent { event, party, at, call });
                    }
                }
                CallAction::Changed => drop(self.show(number)),
                CallAction::Over => return self.keep(number),
            }
        }
        self.calls.schedule(number);
    }

    /// Where the audio of whoever takes a party's place will come in.
    fn open_another(&mut self, number: CallNumber, termination: TerminationId, whom: &Whom, moment: Moment) {
        let local = facing(&self.settings, self.flows_of(whom, moment.now));
        let add = media_relay::Command::Add { session: number.into(), termination, local };
        self.actions.push_back(Action::Relay(add));
    }

    pub(super) fn routes(
        &self,
        number: CallNumber,
        leg: LegId,
        order: &Order,
        moment: Moment,
    ) -> Result<Routes, LegEnd> {
        let Some(Stage::Running { call }) = self.calls.stage(number) else {
            return Err(LegEnd::Unreachable);
        };
        let bound = call.rtp_of(leg).ok_or(LegEnd::Unreachable)?;
        self.reaching().routes(order, call.view(), bound, moment.now)
    }

    pub(super) fn reaching(&self) -> Reaching<'_> {
        Reaching { settings: &self.settings, directory: &self.directory, registrar: &self.registrar }
    }

    /// The view of a call that runs, shown to the API.
    pub(super) fn show(&mut self, number: CallNumber) -> Option<Arc<Call>> {
        let Some(Stage::Running { call }) = self.calls.stage(number) else { return None };
        let view = Arc::new(call.view().clone());
        self.actions.push_back(Action::View(Arc::clone(&view)));
        Some(view)
    }

    /// The messages of this dialog are traced from now on: the INVITE that is about to go out, or has come in, is the first.
    pub(super) fn trace_dialog(&mut self, number: CallNumber, party: Party, dialog: &Dialog, moment: Moment) {
        let Some(id) = self.calls.id_of(number) else { return };
        let Dialog { of, trunk, sip_call_id, flow } = dialog;
        let binding = self.registrar.binding_along(of.as_str(), *flow);
        let registered = binding.map_or(moment.now, |binding| binding.registered);
        let phone = RungPhone {
            far_end: far_end(*flow),
            registered_at: moment.wall_clock_at(registered),
            user_agent: binding.and_then(|binding| binding.user_agent.as_deref()).unwrap_or_default(),
            trunk: trunk.as_deref(),
        };
        self.tracer.begin_dialog(id, party, sip_call_id, &phone);
    }
}
