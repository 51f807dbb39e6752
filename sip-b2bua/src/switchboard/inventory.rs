//! What calls can reach, as the API shows it.

use super::Switchboard;
use crate::moment::Moment;
use call_control::{ExtensionState, ExtensionView, Number, PhoneView, Timestamp, TrunkView};
use std::time::Instant;

impl Switchboard {
    /// All extensions, by their numbers.
    pub fn extensions(&self, moment: Moment) -> Vec<ExtensionView> {
        self.directory.numbers().map(|number| self.extension(number, moment)).collect()
    }

    /// All trunks, as they are configured.
    pub fn trunks(&self, now: Instant) -> Vec<TrunkView> {
        self.trunks.views(now)
    }

    fn extension(&self, number: &Number, moment: Moment) -> ExtensionView {
        let bindings = self.registrar.bindings_of(number.as_str(), moment.now);
        let phones = bindings.into_iter().filter_map(|binding| {
            Some(PhoneView {
                address: binding.flow.remote,
                transport: call_trace::transport(binding.flow.transport),
                user_agent: binding.user_agent,
                registered_at: Timestamp::from_unix_milliseconds(moment.wall_clock_at(binding.registered))?,
                expires_at: Timestamp::from_unix_milliseconds(binding.expires_at)?,
            })
        });
        let phones: Vec<PhoneView> = phones.collect();
        let state = if self.lines.is_busy(number) {
            ExtensionState::Busy
        } else if phones.is_empty() {
            ExtensionState::Unregistered
        } else {
            ExtensionState::Free
        };
        let name = self.directory.name_of(number).map(Into::into);
        ExtensionView { number: number.clone(), name, state, phones }
    }
}
