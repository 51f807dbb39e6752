//! A fault in one session ends that session alone.

use super::{Output, Relay};
use crate::event::Event;
use crate::session::Session;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

impl Relay {
    /// Lets a session do something. `None` when it is not there, or not any more: one that panics is ended.
    #[inline]
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
                self.forget(slot, now);
                self.outputs.push_back(Output::Event(Event::Broken { session: id }));
                None
            }
        }
    }

    /// Lets a session write into the buffer, as [`guarded`](Self::guarded).
    pub(super) fn guarded_with_buffer<T>(
        &mut self,
        slot: usize,
        now: Instant,
        act: impl FnOnce(&mut Session, &mut Vec<u8>) -> T,
    ) -> Option<T> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let done = self.guarded(slot, now, |session| act(session, &mut buffer));
        self.buffer = buffer;
        done
    }
}
