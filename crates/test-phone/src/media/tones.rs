//! Which tones there are in what was heard.

use std::f64::consts::TAU;

/// A tone among what was heard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoudTone {
    /// Its frequency, to 10 Hz.
    pub hertz: u32,
    /// Its share of the energy, 0 to 1.
    pub share: f64,
}

/// The tones from 100 to 3,400 Hz that have at least a tenth of the energy each, loudest first, at most four. Of
/// fewer than 100 ms nothing is said.
pub fn loud_tones(samples: &[i16], sample_rate: u32) -> Vec<LoudTone> {
    let window = sample_rate as usize / 10;
    if window == 0 || samples.len() < window {
        return Vec::new();
    }
    // Windows of 100 ms tell tones apart that are 10 Hz from each other, and are whole periods of each.
    let steps: Vec<u32> = (10..=340).collect();
    let mut powers = vec![0.0; steps.len()];
    let mut energy = 0.0;
    for chunk in samples.chunks_exact(window) {
        energy += chunk.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>();
        for (power, step) in powers.iter_mut().zip(&steps) {
            *power += goertzel(chunk, f64::from(*step * 10), f64::from(sample_rate));
        }
    }
    if energy == 0.0 {
        return Vec::new();
    }
    let mut tones: Vec<LoudTone> = steps
        .iter()
        .zip(&powers)
        .map(|(step, power)| LoudTone { hertz: step * 10, share: power / energy })
        .filter(|tone| tone.share >= SHARE_MIN)
        .collect();
    tones.sort_by(|a, b| b.share.total_cmp(&a.share));
    tones.truncate(TONES_MAX);
    tones
}

/// Energy at one frequency, in the measure of the sum of squares.
fn goertzel(samples: &[i16], hertz: f64, sample_rate: f64) -> f64 {
    let factor = 2.0 * (TAU * hertz / sample_rate).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in samples {
        (last, before) = (f64::from(*sample) + factor * last - before, last);
    }
    let power = last * last + before * before - factor * last * before;
    2.0 * power / samples.len() as f64
}

const SHARE_MIN: f64 = 0.1;
const TONES_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn sum_of(tones: &[f64], milliseconds: u32) -> Vec<i16> {
        let sample = |at: u32| {
            let time = f64::from(at) / 8_000.0;
            tones.iter().map(|hertz| 6_000.0 * (TAU * hertz * time).sin()).sum::<f64>() as i16
        };
        (0..milliseconds * 8).map(sample).collect()
    }

    #[test]
    fn two_tones_that_are_close_are_told_apart() {
        let mut found: Vec<u32> =
            loud_tones(&sum_of(&[440.0, 480.0], 1_000), 8_000).iter().map(|tone| tone.hertz).collect();
        found.sort_unstable();
        assert_eq!(found, [440, 480]);
    }

    #[test]
    fn one_tone_has_all_the_energy() {
        let found = loud_tones(&sum_of(&[1_100.0], 500), 8_000);
        assert_eq!(found.len(), 1);
        assert!(found[0].hertz == 1_100 && found[0].share > 0.99, "{found:?}");
    }

    #[test]
    fn silence_and_moments_have_no_tone() {
        assert_eq!(loud_tones(&[0; 8_000], 8_000), []);
        assert_eq!(loud_tones(&sum_of(&[440.0], 90), 8_000), []);
        assert_eq!(loud_tones(&[], 0), []);
    }
}
