//! How well a listener would judge what arrives: the E-model (ITU-T G.107) for packet loss and delay.
//!
//! What no packet tells (noise, loudness, echo) stays at the model's defaults, which leaves
//! `R = 93.2 - Id - Ie,eff`. All codecs are judged on the narrow-band scale, whose best is 4.4.

use crate::codec::Codec;
use std::time::Duration;

/// What happened to audio on its way to a listener.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Impairment {
    /// Share of packets that were lost, 0 to 1.
    pub loss: f64,
    /// From mouth to ear, buffers included.
    pub delay: Duration,
}

/// The mean opinion score, 1 (bad) to 4.5, that listeners would give.
pub fn mean_opinion_score(codec: Codec, impairment: Impairment) -> f64 {
    score(rating(codec, impairment))
}

/// R (G.107 §7.1).
fn rating(codec: Codec, Impairment { loss, delay }: Impairment) -> f64 {
    let percent = if loss.is_finite() { loss.clamp(0.0, 1.0) * 100.0 } else { 100.0 };
    let (equipment, robustness) = codec_values(codec);
    // G.107 §7.5, losses at random.
    let by_loss = equipment + (95.0 - equipment) * percent / (percent + robustness);
    BEST - by_delay(delay.as_secs_f64() * 1_000.0) - by_loss
}

/// Id (G.107 §7.4) without echo, in the linear form that is within one unit of it up to 400 ms.
fn by_delay(milliseconds: f64) -> f64 {
    0.024 * milliseconds + 0.11 * (milliseconds - 177.3).max(0.0)
}

/// G.107 Annex B.
fn score(rating: f64) -> f64 {
    if rating <= 0.0 {
        1.0
    } else if rating >= 100.0 {
        4.5
    } else {
        // Slightly below 1 for the smallest ratings, where the formula is not meant to be used.
        (1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6).max(1.0)
    }
}

/// Ie and Bpl: how much a codec takes away, and how well it bears losses. G.711 with concealment as in G.113
/// Appendix I. G.722 and opus at the rates used here are no worse than it on this scale; G.113 has no narrow-band
/// values for them, so they get the same.
const fn codec_values(codec: Codec) -> (f64, f64) {
    match codec {
        Codec::Pcma | Codec::Pcmu | Codec::G722 | Codec::Opus => (0.0, 25.1),
    }
}

/// R of a path with nothing wrong (G.107 §7.7).
const BEST: f64 = 93.2;

#[cfg(test)]
mod tests {
    use super::*;

    fn mos(percent: f64, milliseconds: u64) -> f64 {
        let delay = Duration::from_millis(milliseconds);
        let score = mean_opinion_score(Codec::Pcmu, Impairment { loss: percent / 100.0, delay });
        (score * 100.0).round() / 100.0
    }

    #[test]
    fn the_scores_of_annex_b_are_met() {
        // R and MOS of G.107 Table B.1.
        for (rating, expected) in [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)] {
            assert!((score(rating) - expected).abs() < 0.008, "R {rating}: {}", score(rating));
        }
    }

    #[test]
    fn a_clean_path_has_the_best_score_and_losses_the_known_ones() {
        assert_eq!(mos(0.0, 0), 4.41);
        // Ie,eff = 95 · 1/26.1 = 3.64: R = 89.56. At 5 %: 15.78, R = 77.42.
        assert_eq!(mos(1.0, 0), 4.33);
        assert_eq!(mos(5.0, 0), 3.92);
        assert_eq!(mos(100.0, 0), 1.18);
    }

    #[test]
    fn delay_costs_little_up_to_177_milliseconds_and_much_beyond() {
        // Id = 3.6: R = 89.6. At 400 ms: 34.1, R = 59.1.
        assert_eq!(mos(0.0, 150), 4.33);
        assert_eq!(mos(0.0, 400), 3.05);
    }

    #[test]
    fn no_values_leave_the_scale() {
        for loss in [-1.0, 0.0, 0.5, 2.0, f64::NAN, f64::INFINITY] {
            for delay in [0, 1_000, 1_000_000] {
                let impairment = Impairment { loss, delay: Duration::from_millis(delay) };
                for codec in Codec::ALL {
                    let score = mean_opinion_score(codec, impairment);
                    assert!((1.0..=4.5).contains(&score), "{impairment:?}: {score}");
                }
            }
        }
    }
}
