//! Transcoded packets: those that are due at once, and those whose time comes.

use super::Relay;
use std::cmp::Reverse;
use std::net::SocketAddr;
use std::time::Instant;

impl Relay {
    /// Looks at each half where something has become due.
    pub(super) fn wake_transcoded(&mut self, now: Instant) {
        while let Some(Reverse((_, session, side))) =
            self.paced.peek().filter(|next| next.0.0 <= now).copied()
        {
            self.paced.pop();
            let Some(&slot) = self.slots.get(&session) else { continue };
            self.session_mut(slot).half_mut(side).wake_transcoded();
            self.transcoded.push_back((slot, side, now));
        }
    }

    /// Puts the next transcoded packet into the buffer.
    pub(super) fn next_transcoded(&mut self) -> Option<(u16, SocketAddr)> {
        loop {
            let (slot, side, now) = *self.transcoded.front()?;
            let next = self.guarded_with_buffer(slot, now, |session, buffer| {
                let (id, half) = (session.id, session.half_mut(side));
                let route = half.next_transcoded(buffer, now);
                route.ok_or_else(|| half.schedule_transcoded().map(|due| Reverse((due, id, side))))
            });
            match next {
                Some(Ok(route)) => return Some(route),
                Some(Err(later)) => self.paced.extend(later),
                None => {}
            }
            self.transcoded.pop_front();
        }
    }
}
