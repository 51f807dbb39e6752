//! The figures of the relay in the view of a call.

use super::{Effect, PARTIES, RunningCall};
use crate::media;
use media_relay::Statistics;

impl RunningCall {
    /// The relay says how it goes.
    pub(crate) fn handle_report(&mut self, statistics: &[Statistics; 2]) {
        self.note_figures(statistics);
        self.effects.push_back(Effect::Changed);
    }

    pub(super) fn note_figures(&mut self, statistics: &[Statistics; 2]) {
        for (party, figures) in PARTIES.into_iter().zip(statistics) {
            let in_call = &self.parties[party as usize];
            let first = in_call.first_packet.or(figures.first_packet_at).zip(in_call.answered_at);
            if let Some(media) = &mut self.view.party_mut(party).media {
                media.packets_received = figures.packets_received;
                media.packets_lost = figures.packets_lost;
                media.mos = media::mean_opinion_score(&media.codec, figures);
                media.jitter_ms = (figures.jitter_ms * 100.0).round() / 100.0;
                media.first_packet_ms_after_answer = first.map(|(packet, answer)| {
                    u64::try_from(packet.saturating_duration_since(answer).as_millis()).unwrap_or(u64::MAX)
                });
            }
        }
    }
}
