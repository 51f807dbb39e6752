//! Which dialogs are recorded, who may read what was, and when it goes to the store.

use super::*;
use crate::recorder::Device;

impl Switchboard {
    /// A call that runs, or whose record is being written, and what was recorded of it until now.
    pub fn messages(&self, id: CallId) -> Option<(Call, Arc<[u8]>)> {
        let call = match &self.calls.get(&id)?.stage {
            Stage::Opening { .. } => return None,
            Stage::Running { call, .. } => call.view().clone(),
            Stage::Keeping { record } => Call::clone(record),
        };
        Some((call, self.recorder.octets_of(id)))
    }

    /// The messages of this dialog are recorded from now on, the INVITE that is about to go out included.
    pub(super) fn record_dialog(
        &mut self,
        id: CallId,
        party: Party,
        sip_call_id: &str,
        flow: Flow,
        moment: Moment,
    ) {
        let Some(Entry { stage: Stage::Running { request, .. }, .. }) = self.calls.get(&id) else { return };
        let number = match party {
            Party::From => &request.from,
            Party::To => &request.to,
        };
        let binding = self.registrar.binding_along(number.as_str(), flow);
        let registered = binding.map_or(moment.now, |binding| binding.registered);
        let device = Device {
            flow,
            registered_at: moment.wall_clock_at(registered),
            user_agent: binding.and_then(|binding| binding.user_agent.as_deref()).unwrap_or_default(),
        };
        self.recorder.begin_dialog(id, party, sip_call_id, &device);
    }

    /// The call is over: what was recorded goes to disk with its record.
    pub(super) fn keep_messages(&mut self, record: &Call) {
        let octets = self.recorder.close(record.call_id);
        let at = record.ended_at.unwrap_or(record.created_at);
        self.outputs.push_back(Output::KeepMessages { call: record.call_id, at, octets });
    }
}
