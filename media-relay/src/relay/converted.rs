//! Converted packets: those that are due at once, and those whose time comes.

use super::{Forward, Relay};
use std::cmp::Reverse;
use std::time::Instant;

impl Relay {
    /// Looks at each termination where something has become due.
    pub(super) fn wake_converted(&mut self, now: Instant) {
        while let Some(Reverse((_, session, termination))) =
            self.paced.peek().filter(|next| next.0.0 <= now).copied()
        {
            self.paced.pop();
            let Some(spot) = self.spot(session, termination) else { continue };
            if let Some(hearer) = self.session_mut(spot.slot).at_mut(spot.place) {
                hearer.outward.wake_converted();
                self.converted.push_back((spot, now));
            }
        }
    }

    /// Puts the next converted packet into the buffer.
    pub(super) fn next_converted(&mut self) -> Option<Forward> {
        loop {
            let (spot, now) = self.converted.pop_front()?;
            let next = self.guarded_with_buffer(spot.slot, now, |session, buffer| {
                let id = session.id;
                let hearer = session.at_mut(spot.place)?;
                let route = hearer.rtp_route();
                if hearer.outward.next_converted(buffer, route.is_some(), now) {
                    return route.map(Ok);
                }
                Some(Err(hearer.outward.schedule_converted().map(|due| Reverse((due, id, hearer.id)))))
            });
            match next.flatten() {
                Some(Ok(route)) => {
                    // There may be more.
                    self.converted.push_front((spot, now));
                    return Some(route);
                }
                Some(Err(later)) => self.paced.extend(later),
                None => {}
            }
        }
    }
}
