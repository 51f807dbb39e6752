//! Sounds: one clock for all of them.

use super::{Forward, Relay, Spot};
use crate::names::PlayId;
use crate::sound::{TICK, Turn};
use std::time::Instant;

/// A tick whose packets are being taken out.
#[derive(Debug)]
pub(super) struct Round {
    /// Index into `playing`.
    next: usize,
    left: u64,
    now: Instant,
    /// Whose own report follows its packet, and at which clock rate that is.
    report: Option<(Spot, u32)>,
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
        for index in 0..self.playing.len() {
            let spot = self.playing[index];
            if let Some(hearer) = self.session_mut(spot.slot).at_mut(spot.place) {
                hearer.outward.skip_sound(packets - left);
            }
        }
        self.round = Some(Round { next: 0, left, now, report: None });
    }

    /// Writes the next packet of the round into the buffer.
    pub(super) fn next_of_round(&mut self) -> Option<Forward> {
        loop {
            let round = self.round.as_mut()?;
            let now = round.now;
            if let Some((spot, clock_rate)) = round.report.take() {
                let report = self.guarded_with_buffer(spot.slot, now, |session, buffer| {
                    let hearer = session.at(spot.place)?;
                    hearer.rtcp_route().filter(|_| hearer.outward.own_report(clock_rate, buffer, now))
                });
                if let Some(Some(route)) = report {
                    return Some(route);
                }
                continue;
            }
            let Some(&spot) = self.playing.get(round.next) else {
                round.next = 0;
                round.left -= 1;
                if round.left == 0 {
                    self.round = None;
                }
                continue;
            };
            round.next += 1;
            let turn = self.guarded_with_buffer(spot.slot, now, |session, buffer| {
                let hearer = session.at_mut(spot.place)?;
                let route = hearer.rtp_route();
                let (description, outward) = (hearer.description.as_ref(), &mut hearer.outward);
                Some((outward.next_of_sound(description, route.is_some(), buffer, now), route))
            });
            match turn.flatten() {
                Some((Turn::Packet { report_rate }, Some(route))) => {
                    if let Some(round) = &mut self.round {
                        round.report = report_rate.map(|clock_rate| (spot, clock_rate));
                    }
                    return Some(route);
                }
                Some((Turn::Over(play), _)) => self.is_over(spot, play),
                Some((Turn::Packet { .. } | Turn::Nothing, _)) | None => {}
            }
        }
    }

    /// Tells what is over. Where something else plays it has its turn now.
    fn is_over(&mut self, spot: Spot, play: Option<PlayId>) {
        let hearer = self.session(spot.slot).at(spot.place);
        if !hearer.is_some_and(|hearer| hearer.outward.is_playing()) {
            self.stop_playing(|playing| playing == spot);
        } else if let Some(round) = &mut self.round {
            round.next -= 1;
        }
        if let Some(play) = play {
            self.tell_played(spot, play);
        }
    }

    /// A listener who no longer hears a sound is skipped, and nobody else is.
    pub(super) fn stop_playing(&mut self, is_over: impl Fn(Spot) -> bool) {
        if let Some(round) = &mut self.round {
            let had_turn = &self.playing[..round.next.min(self.playing.len())];
            round.next -= had_turn.iter().filter(|spot| is_over(**spot)).count();
        }
        self.playing.retain(|spot| !is_over(*spot));
    }
}

const CATCH_UP_MAX: u64 = 3;
