//! A fault in one session ends that session alone.

use super::{Output, Relay};
use crate::event::Event;
use crate::session::Session;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

impl Relay {
    /// Lets a session do something. `None` when it is not there, or not any more: one that panics is ended.
    pub(super) fn guarded<T>(
        &mut self,
        slot: usize,
        now: Instant,
        act: impl FnOnce(&mut Session) -> T,
    ) -> Option<T> {
        let session = self.sessions[slot].as_mut()?;
        let id = session.id;
        match catch_unwind(AssertUnwindSafe(|| act(session))) {
            Ok(done) => Some(done),
            Err(_) => {
                self.remove(slot, now);
                self.outputs.push_back(Output::Event(Event::Broken { session: id }));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, Config, SessionId, Side};
    use audio::TonePlan;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    #[test]
    fn a_session_that_panics_is_ended_and_the_other_goes_on() {
        let now = Instant::now();
        let mut relay = Relay::new(Config {
            ports: 20_000..=20_007,
            ringback: TonePlan::ringback("us").unwrap(),
            silence_timeout: Duration::from_secs(60),
            port_rest: Duration::from_secs(5),
            seed: [1; 32],
        });
        for session in [SessionId(1), SessionId(2)] {
            let local = [Ipv4Addr::LOCALHOST.into(); 2];
            relay.handle_command(Command::Open { session, local }, now);
            while let Some(output) = relay.poll_output() {
                if let Output::Bind { port, .. } = output {
                    relay.handle_bound(port, Ok(()), now);
                }
            }
        }
        let slot = relay.slots[&SessionId(1)];
        assert_eq!(relay.guarded(slot, now, |session| session.half(Side::One).local.port() % 2), Some(0));
        assert_eq!(relay.guarded(slot, now, |_| -> u8 { panic!("a fault that was asked for") }), None);
        let mut released = 0;
        let mut events = Vec::new();
        while let Some(output) = relay.poll_output() {
            match output {
                Output::Release { .. } => released += 1,
                Output::Event(event) => events.push(event),
                Output::Bind { .. } | Output::Send { .. } => {}
            }
        }
        assert_eq!((released, events), (2, vec![Event::Broken { session: SessionId(1) }]));
        assert_eq!(relay.sessions(), 1);
        assert_eq!(relay.guarded(slot, now, |_| ()), None);
    }
}
