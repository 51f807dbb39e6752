//! What a phone plays.

use audio::Sine;
use std::sync::Arc;

/// What a phone plays, at any sampling rate.
#[derive(Debug, Clone, Default)]
pub enum Source {
    /// Nothing: packets of silence.
    #[default]
    Silence,
    /// A steady tone.
    Tone {
        /// Its frequency in hertz.
        hertz: f64,
    },
    /// A recording, round and round.
    Recording {
        /// Samples a second.
        sample_rate: u32,
        /// Mono.
        samples: Arc<[i16]>,
    },
}

impl Source {
    pub(super) fn player(&self, sample_rate: u32) -> Player {
        match self {
            Self::Silence => Player::Silence,
            Self::Tone { hertz } => Player::Sine(Sine::new(*hertz, LEVEL, sample_rate)),
            Self::Recording { sample_rate: own, samples } if samples.is_empty() || *own == 0 => {
                Player::Silence
            }
            Self::Recording { sample_rate: own, samples } => {
                let step = f64::from(*own) / f64::from(sample_rate);
                Player::Recording { samples: samples.clone(), position: 0.0, step }
            }
        }
    }
}

/// A source at one sampling rate.
pub(super) enum Player {
    Silence,
    Sine(Sine),
    Recording {
        samples: Arc<[i16]>,
        /// In samples of the recording.
        position: f64,
        /// Samples of the recording for one of ours.
        step: f64,
    },
}

impl Player {
    pub(super) fn fill(&mut self, out: &mut [i16]) {
        match self {
            Self::Silence => out.fill(0),
            Self::Sine(sine) => sine.fill(out),
            Self::Recording { samples, position, step } => {
                let length = samples.len() as f64;
                for sample in out {
                    *sample = interpolated(samples, *position);
                    *position = (*position + *step) % length;
                }
            }
        }
    }
}

/// Between two samples on a straight line: enough for speech and tones that are to be recognised.
fn interpolated(samples: &[i16], position: f64) -> i16 {
    let at = position as usize % samples.len();
    let (this, next) = (f64::from(samples[at]), f64::from(samples[(at + 1) % samples.len()]));
    (this + (next - this) * position.fract()).round() as i16
}

/// Of full scale.
const LEVEL: f64 = 0.3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_stretched_to_our_rate_and_begins_again() {
        let source = Source::Recording { sample_rate: 8_000, samples: [0, 100, 200, 100].into() };
        let mut out = [0; 16];
        source.player(16_000).fill(&mut out);
        assert_eq!(out, [0, 50, 100, 150, 200, 150, 100, 50, 0, 50, 100, 150, 200, 150, 100, 50]);
    }

    #[test]
    fn an_empty_recording_is_silence() {
        let mut out = [7; 4];
        Source::Recording { sample_rate: 8_000, samples: [].into() }.player(8_000).fill(&mut out);
        assert_eq!(out, [0; 4]);
    }
}
