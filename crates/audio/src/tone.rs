//! Ringback tones of the world (ITU-T E.180 supplement 2).

use std::f64::consts::TAU;

/// The ringback tone of a country: frequencies and cadence (ITU-T E.180 supplement 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TonePlan {
    sound: Sound,
    /// Milliseconds of sound and silence by turns, over and over; multiples of 20.
    cadence: &'static [u16],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sound {
    One(u16),
    /// Both at once, equally loud.
    Two(u16, u16),
    /// The first swells and fades as often as the second says.
    Modulated(u16, u16),
}

impl TonePlan {
    /// `us`, `eu`, `uk`, `in`, …; `None` for an unknown name.
    pub fn ringback(name: &str) -> Option<Self> {
        let (_, sound, cadence) = RINGBACKS.iter().find(|(known, _, _)| *known == name)?;
        Some(Self { sound: *sound, cadence })
    }

    /// The names that [`ringback`](Self::ringback) knows.
    pub fn names() -> &'static [&'static str] {
        &NAMES
    }

    /// The frequencies in hertz: one or two, of a modulated tone its carrier.
    pub fn frequencies(&self) -> Vec<f64> {
        match self.sound {
            Sound::One(hertz) | Sound::Modulated(hertz, _) => vec![f64::from(hertz)],
            Sound::Two(low, high) => vec![f64::from(low), f64::from(high)],
        }
    }

    /// Milliseconds of sound and silence by turns, over and over, beginning with sound.
    pub fn cadence(&self) -> &'static [u16] {
        self.cadence
    }

    /// One period of the cadence at -12 dB of full scale.
    pub fn samples(&self, sample_rate: u32) -> Vec<i16> {
        let mut samples = Vec::new();
        for (index, milliseconds) in self.cadence.iter().enumerate() {
            let length = usize::from(*milliseconds) * sample_rate as usize / 1_000;
            if index % 2 == 0 {
                samples.extend((0..length).map(|position| self.sample(position, length, sample_rate)));
            } else {
                samples.resize(samples.len() + length, 0);
            }
        }
        samples
    }

    fn sample(&self, position: usize, length: usize, sample_rate: u32) -> i16 {
        let seconds = position as f64 / f64::from(sample_rate);
        let sine = |hertz: u16| (TAU * f64::from(hertz) * seconds).sin();
        let wave = match self.sound {
            Sound::One(hertz) => sine(hertz),
            Sound::Two(low, high) => (sine(low) + sine(high)) / 2.0,
            Sound::Modulated(hertz, swell) => sine(hertz) * (1.0 - sine(swell)) / 2.0,
        };
        // Soft edges: an abrupt one is heard as a click.
        let edge = f64::from(sample_rate) * EDGE_SECONDS;
        let distance = position.min(length - 1 - position) as f64;
        (wave * (distance / edge).min(1.0) * LEVEL * f64::from(i16::MAX)) as i16
    }
}

const LEVEL: f64 = 0.25;
const EDGE_SECONDS: f64 = 0.004;

const DOUBLE_RING: &[u16] = &[400, 200, 400, 2_000];
const ONE_FOUR: &[u16] = &[1_000, 4_000];

static RINGBACKS: [(&str, Sound, &[u16]); 18] = [
    ("us", Sound::Two(440, 480), &[2_000, 4_000]),
    ("ca", Sound::Two(440, 480), &[2_000, 4_000]),
    ("uk", Sound::Two(400, 450), DOUBLE_RING),
    ("eu", Sound::One(425), ONE_FOUR),
    ("de", Sound::One(425), ONE_FOUR),
    ("fr", Sound::One(440), &[1_500, 3_500]),
    ("it", Sound::One(425), ONE_FOUR),
    ("es", Sound::One(425), &[1_500, 3_000]),
    ("ch", Sound::One(425), ONE_FOUR),
    ("se", Sound::One(425), &[1_000, 5_000]),
    ("in", Sound::Modulated(400, 25), DOUBLE_RING),
    ("au", Sound::Two(400, 450), DOUBLE_RING),
    ("nz", Sound::Two(400, 450), DOUBLE_RING),
    ("za", Sound::Modulated(400, 33), DOUBLE_RING),
    ("jp", Sound::Modulated(400, 16), &[1_000, 2_000]),
    ("cn", Sound::One(450), ONE_FOUR),
    ("br", Sound::One(425), ONE_FOUR),
    ("mx", Sound::One(425), ONE_FOUR),
];

static NAMES: [&str; RINGBACKS.len()] = {
    let mut names = [""; RINGBACKS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = RINGBACKS[index].0;
        index += 1;
    }
    names
};

#[cfg(test)]
mod tests {
    use super::TonePlan;
    use crate::detect::{chord_milliseconds, chord_share};

    #[test]
    fn every_name_is_known_and_every_period_is_whole_packets() {
        assert!(TonePlan::ringback("atlantis").is_none());
        for name in TonePlan::names() {
            let plan = TonePlan::ringback(name).expect("a name");
            assert_eq!(plan.cadence().len() % 2, 0, "{name}");
            assert!(plan.cadence().iter().all(|milliseconds| milliseconds % 20 == 0), "{name}");
        }
    }

    #[test]
    fn cadence_and_frequencies_are_in_the_samples() {
        for name in TonePlan::names() {
            let plan = TonePlan::ringback(name).expect("a name");
            let samples = plan.samples(8_000);
            let period: usize = plan.cadence().iter().map(|ms| usize::from(*ms)).sum();
            assert_eq!(samples.len(), period * 8, "{name}");
            assert!(chord_share(&samples, 8_000, &plan.frequencies()) > 0.6, "{name}");
            let heard = chord_milliseconds(&samples, 8_000, &plan.frequencies());
            let modulated = matches!(*name, "in" | "za" | "jp");
            assert!(modulated || heard.abs_diff(u64::from(plan.cadence()[0])) <= 20, "{name}: {heard} ms");
        }
    }

    #[test]
    fn the_us_ringback_is_two_seconds_in_six() {
        let samples = TonePlan::ringback("us").expect("us").samples(8_000);
        assert_eq!(samples.len(), 48_000);
        assert!(samples[..16_000].iter().any(|sample| *sample > 7_000));
        assert!(samples[16_000..].iter().all(|sample| *sample == 0));
    }
}
