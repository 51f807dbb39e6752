//! A steady sine.

use std::f64::consts::TAU;

/// A steady sine for tests; `level` 0.0 to 1.0 of full scale.
#[derive(Debug, Clone)]
pub struct Sine {
    level: f64,
    /// Turns per sample.
    step: f64,
    /// In turns.
    phase: f64,
}

impl Sine {
    /// A sine of `hertz` for samples that are `1 / sample_rate` seconds apart, beginning at zero.
    pub fn new(hertz: f64, level: f64, sample_rate: u32) -> Self {
        Self { level: level.clamp(0.0, 1.0), step: hertz / f64::from(sample_rate), phase: 0.0 }
    }

    /// Writes the next samples; the phase runs on from call to call.
    pub fn fill(&mut self, samples: &mut [i16]) {
        for sample in samples {
            *sample = ((self.phase * TAU).sin() * self.level * f64::from(i16::MAX)) as i16;
            self.phase = (self.phase + self.step).fract();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sine;

    #[test]
    fn the_phase_runs_on_between_calls() {
        let mut whole = [0; 320];
        Sine::new(440.0, 0.5, 8_000).fill(&mut whole);
        let mut halves = [0; 320];
        let mut sine = Sine::new(440.0, 0.5, 8_000);
        let (first, second) = halves.split_at_mut(133);
        sine.fill(first);
        sine.fill(second);
        assert_eq!(whole, halves);
        assert!(whole.iter().any(|sample| *sample > 16_000));
    }
}
