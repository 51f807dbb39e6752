//! Tones: one clock for all of them.

use super::Relay;
use crate::side::Side;
use crate::tones::TICK;
use std::net::SocketAddr;
use std::time::Instant;

/// A tick whose packets are being taken out.
#[derive(Debug)]
pub(super) struct Round {
    /// Index into `playing`.
    next: usize,
    left: u64,
    now: Instant,
    /// Whose own report follows its packet.
    report: Option<(usize, Side)>,
}

impl Relay {
    /// After a late wake-up a few packets are sent at once, and those beyond are left out.
    pub(super) fn tick(&mut self, due: Instant, now: Instant) {
        if self.playing.is_empty() {
            self.tick_at = None;
            return;
        }
        let behind = (now - due).as_millis() / TICK.as_millis();
        let packets = u64::try_from(behind).unwrap_or(u64::MAX - 1).saturating_add(1);
        let left = packets.min(CATCH_UP_MAX);
        let since_due = u32::try_from(packets).unwrap_or(u32::MAX);
        self.tick_at = due.checked_add(TICK * since_due);
        for (slot, side) in self.playing.clone() {
            if let Some(tone) = &mut self.session_mut(slot).half_mut(side).tone {
                tone.skip(packets - left);
            }
        }
        self.round = Some(Round { next: 0, left, now, report: None });
    }

    /// Writes the next packet of the round into the buffer.
    pub(super) fn next_of_round(&mut self) -> Option<(u16, SocketAddr)> {
        loop {
            let round = self.round.as_mut()?;
            let now = round.now;
            if let Some((slot, side)) = round.report.take() {
                let report = self.guarded_with_buffer(slot, now, |session, buffer| {
                    session.half(side).own_report(buffer, now)
                });
                if let Some(Some(route)) = report {
                    return Some(route);
                }
                continue;
            }
            let Some(&(slot, side)) = self.playing.get(round.next) else {
                round.next = 0;
                round.left -= 1;
                if round.left == 0 {
                    self.round = None;
                }
                continue;
            };
            round.next += 1;
            let packet = self.guarded_with_buffer(slot, now, |session, buffer| {
                let half = session.half_mut(side);
                let route = half.next_tone_packet(buffer, now);
                route.map(|route| (route, half.owes_report()))
            });
            if let Some(Some((route, owes_report))) = packet {
                if let Some(round) = &mut self.round {
                    round.report = owes_report.then_some((slot, side));
                }
                return Some(route);
            }
        }
    }

    /// Who hears a tone no more, in the midst of a round too: nobody's turn is passed over.
    pub(super) fn stop_playing(&mut self, is_over: impl Fn(usize, Side) -> bool) {
        if let Some(round) = &mut self.round {
            let had_turn = &self.playing[..round.next.min(self.playing.len())];
            round.next -= had_turn.iter().filter(|(slot, side)| is_over(*slot, *side)).count();
        }
        self.playing.retain(|(slot, side)| !is_over(*slot, *side));
    }
}

const CATCH_UP_MAX: u64 = 3;
