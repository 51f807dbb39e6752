//! Is a tone in there?
//!
//! The samples of a window are fitted with sines of the frequencies in question; the share of the energy that
//! the fit explains is the answer. For one frequency this is what the Goertzel algorithm gives; for several
//! it also holds where a window is too short to tell them apart.

use std::f64::consts::TAU;

/// Share of the energy of `samples` that lies at `hertz`, 0.0 to 1.0, over windows of 100 ms. A tone that is
/// one of two equally loud ones has a share of a half.
pub fn tone_share(samples: &[i16], sample_rate: u32, hertz: f64) -> f64 {
    chord_share(samples, sample_rate, &[hertz])
}

/// Share of the energy of `samples` that lies at any of `hertz`, 0.0 to 1.0, over windows of 100 ms.
pub fn chord_share(samples: &[i16], sample_rate: u32, hertz: &[f64]) -> f64 {
    let window = (sample_rate as usize / 10).max(1);
    let fits = samples.chunks(window).map(|samples| Fit::new(samples, sample_rate, hertz));
    let (explained, energy) = fits.fold((0.0, 0.0), |sum, fit| (sum.0 + fit.explained, sum.1 + fit.energy));
    if energy > 0.0 { explained / energy } else { 0.0 }
}

/// Longest run, in milliseconds, in which `hertz` dominates (share over 0.5 in 20 ms windows and level over
/// -40 dBFS).
///
/// A tone of several frequencies, such as the ringback of the United States, is no such run: see
/// [`chord_milliseconds`].
pub fn tone_milliseconds(samples: &[i16], sample_rate: u32, hertz: f64) -> u64 {
    chord_milliseconds(samples, sample_rate, &[hertz])
}

/// Longest run, in milliseconds, in which these frequencies together dominate (share over 0.5 in 20 ms
/// windows and level over
/// -40 dBFS).
pub fn chord_milliseconds(samples: &[i16], sample_rate: u32, hertz: &[f64]) -> u64 {
    let window = (sample_rate as usize / 50).max(1);
    let (mut run, mut longest) = (0_u64, 0_u64);
    for samples in samples.chunks_exact(window) {
        run = if Fit::new(samples, sample_rate, hertz).dominates() { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest * 20
}

/// The energy of a window, and how much of it sines explain.
struct Fit {
    energy: f64,
    explained: f64,
    samples: usize,
}

impl Fit {
    fn new(samples: &[i16], sample_rate: u32, hertz: &[f64]) -> Self {
        let signal: Vec<f64> = samples.iter().map(|sample| f64::from(*sample)).collect();
        let energy = dot(&signal, &signal);
        let basis = orthonormal_basis(signal.len(), sample_rate, hertz);
        let explained: f64 = basis.iter().map(|vector| dot(vector, &signal).powi(2)).sum();
        Self { energy, explained: explained.min(energy), samples: signal.len() }
    }

    fn dominates(&self) -> bool {
        let mean_square = self.energy / self.samples.max(1) as f64;
        mean_square > LEVEL_MIN.powi(2) && self.explained > self.energy / 2.0
    }
}

/// Cosine and sine of each frequency, made orthogonal to one another; those that are not independent are left
/// out.
fn orthonormal_basis(length: usize, sample_rate: u32, hertz: &[f64]) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for hertz in hertz {
        let step = TAU * hertz / f64::from(sample_rate);
        for function in [f64::cos, f64::sin] {
            let mut vector: Vec<f64> = (0..length).map(|index| function(step * index as f64)).collect();
            for known in &basis {
                let share = dot(known, &vector);
                vector.iter_mut().zip(known).for_each(|(value, known)| *value -= share * known);
            }
            let size = dot(&vector, &vector).sqrt();
            if size > 1e-6 * (length as f64).sqrt() {
                vector.iter_mut().for_each(|value| *value /= size);
                basis.push(vector);
            }
        }
    }
    basis
}

fn dot(one: &[f64], two: &[f64]) -> f64 {
    one.iter().zip(two).map(|(one, two)| one * two).sum()
}

/// -40 dB of full scale, as the root of the mean square.
const LEVEL_MIN: f64 = 327.68;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sine::Sine;

    fn tone(hertz: f64, level: f64, length: usize) -> Vec<i16> {
        let mut samples = vec![0; length];
        Sine::new(hertz, level, 8_000).fill(&mut samples);
        samples
    }

    /// Noise from a linear congruential generator, -`level` to `level` of full scale.
    fn noise(level: f64, length: usize) -> Vec<i16> {
        let mut state = 1_u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (f64::from(state >> 8) / f64::from(1 << 23) - 1.0) * level * 32_767.0
        };
        std::iter::repeat_with(next).take(length).map(|value| value as i16).collect()
    }

    fn mixed(one: &[i16], two: &[i16]) -> Vec<i16> {
        one.iter().zip(two).map(|(one, two)| one.saturating_add(*two)).collect()
    }

    #[test]
    fn a_tone_is_found_and_another_is_not() {
        let samples = tone(440.0, 0.5, 8_000);
        assert!(tone_share(&samples, 8_000, 440.0) > 0.99);
        assert!(tone_share(&samples, 8_000, 480.0) < 0.05);
        assert!(tone_share(&samples, 8_000, 1_000.0) < 0.01);
    }

    #[test]
    fn a_noisy_tone_is_found() {
        let samples = mixed(&tone(700.0, 0.3, 8_000), &noise(0.15, 8_000));
        let share = tone_share(&samples, 8_000, 700.0);
        assert!(share > 0.8 && share < 0.95, "{share}");
        assert!(tone_share(&samples, 8_000, 900.0) < 0.05);
        assert_eq!(tone_milliseconds(&samples, 8_000, 700.0), 1_000);
    }

    #[test]
    fn silence_and_noise_have_no_tone() {
        assert_eq!(tone_share(&[0; 8_000], 8_000, 440.0), 0.0);
        assert_eq!(tone_share(&[], 8_000, 440.0), 0.0);
        assert_eq!(tone_milliseconds(&[0; 8_000], 8_000, 440.0), 0);
        assert!(tone_share(&noise(0.5, 8_000), 8_000, 440.0) < 0.05);
        assert_eq!(tone_milliseconds(&tone(440.0, 0.01, 8_000), 8_000, 440.0), 0, "too soft");
    }

    #[test]
    fn the_longest_run_counts() {
        let samples = [tone(440.0, 0.3, 1_600), vec![0; 800], tone(440.0, 0.3, 4_000), vec![0; 800]].concat();
        let milliseconds = tone_milliseconds(&samples, 8_000, 440.0);
        assert!((480..=520).contains(&milliseconds), "{milliseconds}");
    }

    #[test]
    fn two_tones_at_once_are_each_half_and_together_all() {
        let samples = mixed(&tone(440.0, 0.2, 8_000), &tone(480.0, 0.2, 8_000));
        assert!((tone_share(&samples, 8_000, 440.0) - 0.5).abs() < 0.05);
        assert!((tone_share(&samples, 8_000, 480.0) - 0.5).abs() < 0.05);
        assert!(chord_share(&samples, 8_000, &[440.0, 480.0]) > 0.99);
        assert_eq!(chord_milliseconds(&samples, 8_000, &[440.0, 480.0]), 1_000);
    }

    #[test]
    fn naming_a_frequency_twice_changes_nothing() {
        let samples = tone(440.0, 0.5, 800);
        assert!(chord_share(&samples, 8_000, &[440.0, 440.0]) <= 1.0);
    }
}
