//! How calls end: with their record, or with a fault.

use super::admission::RETRY_AFTER;
use super::calls::Stage;
use super::{Action, Switchboard};
use crate::moment::Moment;
use crate::place::CallNumber;
use call_control::{Call, EndReason, Refusal};
use call_store::CallMessages;
use sip_core::Command;
use std::sync::Arc;

impl Switchboard {
    /// The call is over: its record goes to disk before anybody is told.
    pub(super) fn keep(&mut self, number: CallNumber) {
        let Some(record) = self.calls.machine(number).map(|call| Arc::new(call.view().clone())) else {
            return;
        };
        self.keep_record(number, record);
    }

    /// The record is on disk: the API finds it there, and is told.
    pub(super) fn forget(&mut self, number: CallNumber) {
        let Some(id) = self.calls.id_of(number) else { return };
        self.calls.remove(number);
        self.tracer.forget(id);
        self.actions.push_back(Action::Forget(id));
    }

    /// The relay gave up a session: its call ends, or never begins.
    pub(super) fn media_broken(&mut self, number: CallNumber, moment: Moment) {
        match self.calls.stage_mut(number) {
            // Its row is being written; then it is refused.
            Some(Stage::Beginning { call, .. }) if call.is_bound() => call.lose_media(),
            Some(Stage::Beginning { .. }) => {
                self.refuse_call(number, Refusal::NoMediaPort { retry_after: RETRY_AFTER }, moment);
            }
            Some(Stage::Running { .. } | Stage::Keeping { .. }) | None => self.break_off(number, moment),
        }
    }

    /// A machine of this call panicked: BYE or CANCEL to both parties, a record, and nothing else is touched.
    pub(super) fn break_off(&mut self, number: CallNumber, moment: Moment) {
        if let Some(Stage::Beginning { .. }) = self.calls.stage(number) {
            return self.media_broken(number, moment);
        }
        let Some(call) = self.calls.machine(number) else { return };
        let record = Arc::new(call.broken_off(EndReason::InternalError, moment));
        tracing::error!(call_id = %record.call_id, "a machine of this call broke; the call is ended");
        for invite in call.invites() {
            self.endpoint.handle_command(Command::HangUp { invite, reason: None }, moment.now);
        }
        self.actions.push_back(Action::Relay(media_relay::Command::Close { session: number.into() }));
        // The last messages belong to the trace.
        self.calls.keep(number, Arc::clone(&record));
        self.drain_endpoint(moment);
        self.keep_record(number, record);
    }

    fn keep_record(&mut self, number: CallNumber, record: Arc<Call>) {
        self.calls.keep(number, Arc::clone(&record));
        self.lines.end_all_of(number);
        self.trunks.end_all_of(number);
        self.adopted.end_all_of(number);
        let octets = self.tracer.close(record.call_id);
        let at = record.ended_at.unwrap_or(record.created_at);
        self.journal.end(number, &record, Some(CallMessages { call: record.call_id, at, octets }));
        // Until its record is on disk the API shows the call as ended, and does not tell so.
        self.actions.push_back(Action::View(record));
    }
}
