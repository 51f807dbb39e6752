//! The audio of the parties: when it began, and the figures of the relay in the view of a call.

use super::RunningCall;
use crate::media;
use crate::moment::Moment;
use media_relay::{Statistics, TerminationId};
use std::time::Instant;

/// When the leg that the view shows of a party answered, and was heard first.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) answered: Option<Instant>,
    pub(super) first_packet: Option<Instant>,
}

impl RunningCall {
    /// The relay says how it goes.
    pub(crate) fn handle_report(&mut self, statistics: &[(TerminationId, Statistics)], moment: Moment) {
        self.note_figures(statistics);
        self.changed(moment);
    }

    pub(super) fn note_figures(&mut self, statistics: &[(TerminationId, Statistics)]) {
        for (termination, figures) in statistics {
            let Some(party) = self.seats.party(*termination) else { continue };
            // Those who have left it, or are not there yet, are nobody's figures.
            if self.shown(party).is_some_and(|shown| shown.seat != *termination) {
                continue;
            }
            let heard = self.heard.entry(party).or_default();
            let first = heard.first_packet.or(figures.first_packet_at).zip(heard.answered);
            if let Some(media) = &mut self.view.party_mut(party).media {
                media.packets_received = figures.packets_received;
                media.packets_lost = figures.packets_lost;
                media.packets_from_strangers = figures.packets_from_strangers;
                media.strangers = figures.strangers.into_iter().flatten().collect();
                media.packets_not_agreed = figures.packets_not_agreed;
                media.mos = media::mean_opinion_score(&media.codec, figures);
                media.jitter_ms = (figures.jitter_ms * 100.0).round() / 100.0;
                media.first_packet_ms_after_answer = first.map(|(packet, answer)| {
                    u64::try_from(packet.saturating_duration_since(answer).as_millis()).unwrap_or(u64::MAX)
                });
            }
        }
    }
}
