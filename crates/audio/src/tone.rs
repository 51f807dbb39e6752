//! Tones: the ringback of each country (ITU-T E.180 supplement 2), that of a held call, and the keys of a telephone
//! (ITU-T Q.23).

use std::f64::consts::TAU;

/// A tone: frequencies, cadence and level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TonePlan {
    sound: Sound,
    /// Milliseconds of sound and silence by turns, over and over; multiples of 20.
    cadence: &'static [u16],
    /// Of its peaks, in decibels below full scale.
    level: u8,
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
    /// The ringback of a country: `us`, `eu`, `uk`, `in`, …; `None` for an unknown name.
    pub fn ringback(name: &str) -> Option<Self> {
        let (_, sound, cadence) = RINGBACKS.iter().find(|(known, _, _)| *known == name)?;
        Some(Self { sound: *sound, cadence, level: RINGBACK_LEVEL })
    }

    /// Two soft beeps every four seconds, for whoever is held. No ringback, busy or call waiting tone has this frequency
    /// or beeps this short.
    pub fn hold() -> Self {
        Self { sound: Sound::One(HOLD_HERTZ), cadence: HOLD_CADENCE, level: HOLD_LEVEL }
    }

    /// The two frequencies of a key (ITU-T Q.23) for 100 ms, and 80 ms of pause; both are twice what the exchanges of all
    /// countries ask for (ITU-T Q.24 table A-1). `None` for what is no key (RFC 4733 §3.2).
    pub fn key(code: u8) -> Option<Self> {
        let (low, high) = *KEYS.get(usize::from(code))?;
        Some(Self { sound: Sound::Two(low, high), cadence: KEY_CADENCE, level: KEY_LEVEL })
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

    /// One period of the cadence.
    pub fn samples(&self, sample_rate: u32) -> Vec<i16> {
        let mut samples = Vec::new();
        let peak = f64::from(i16::MAX) * 10_f64.powf(-f64::from(self.level) / 20.0);
        for (index, milliseconds) in self.cadence.iter().enumerate() {
            let length = usize::from(*milliseconds) * sample_rate as usize / 1_000;
            if index % 2 == 0 {
                samples.extend((0..length).map(|at| (self.wave(at, length, sample_rate) * peak) as i16));
            } else {
                samples.resize(samples.len() + length, 0);
            }
        }
        samples
    }

    /// From -1 to 1.
    fn wave(&self, position: usize, length: usize, sample_rate: u32) -> f64 {
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
        wave * (distance / edge).min(1.0)
    }
}

const RINGBACK_LEVEL: u8 = 12;
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

const HOLD_HERTZ: u16 = 800;
const HOLD_CADENCE: &[u16] = &[100, 100, 100, 3_700];
const HOLD_LEVEL: u8 = 30;

const KEY_CADENCE: &[u16] = &[100, 80];
/// Both frequencies together have 10 dB below 1 mW then.
const KEY_LEVEL: u8 = 10;
/// By event code (RFC 4733 §3.2).
const KEYS: [(u16, u16); 16] = [
    (941, 1_336),
    (697, 1_209),
    (697, 1_336),
    (697, 1_477),
    (770, 1_209),
    (770, 1_336),
    (770, 1_477),
    (852, 1_209),
    (852, 1_336),
    (852, 1_477),
    (941, 1_209),
    (941, 1_477),
    (697, 1_633),
    (770, 1_633),
    (852, 1_633),
    (941, 1_633),
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
    use crate::detect::{chord_milliseconds, chord_share, tone_milliseconds, tone_share};
    use crate::telephone_event::TelephoneEvent;

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

    #[test]
    fn the_hold_tone_is_soft_and_neither_a_ringback_nor_a_busy_tone() {
        let plan = TonePlan::hold();
        let samples = plan.samples(8_000);
        assert_eq!((samples.len(), plan.frequencies()), (4 * 8_000, vec![800.0]));
        let (beeps, pause) = samples.split_at(2_400);
        assert!(tone_share(beeps, 8_000, 800.0) > 0.9);
        assert_eq!(tone_milliseconds(beeps, 8_000, 800.0), 100, "two beeps, and a pause between them");
        assert!(pause.iter().all(|sample| *sample == 0));
        let peak = beeps.iter().map(|sample| sample.unsigned_abs()).max().expect("a beep");
        assert!((950..=1_040).contains(&peak), "{peak}, -30 dB of full scale");
        let ringbacks = TonePlan::names().iter().filter_map(|name| TonePlan::ringback(name));
        let busy = [vec![425.0], vec![400.0], vec![480.0, 620.0]];
        for frequencies in ringbacks.map(|plan| plan.frequencies()).chain(busy) {
            assert_eq!(chord_milliseconds(&samples, 8_000, &frequencies), 0, "{frequencies:?}");
        }
    }

    #[test]
    fn each_key_has_its_row_and_its_column() {
        let rows = [(697.0, "123A"), (770.0, "456B"), (852.0, "789C"), (941.0, "*0#D")];
        for (low, keys) in rows {
            for (high, key) in [1_209.0, 1_336.0, 1_477.0, 1_633.0].into_iter().zip(keys.chars()) {
                let plan = TelephoneEvent::from_key(key).and_then(TonePlan::key).expect("a key");
                assert_eq!((plan.frequencies(), plan.cadence()), (vec![low, high], &[100, 80][..]), "{key}");
                let samples = plan.samples(8_000);
                assert_eq!(samples.len(), 180 * 8);
                assert_eq!(chord_milliseconds(&samples, 8_000, &[low, high]), 100, "{key}");
                let sum: f64 = samples[..800].iter().map(|sample| f64::from(*sample).powi(2)).sum();
                let level = 10.0 * (sum / 800.0 / 32_767.0_f64.powi(2)).log10();
                assert!((-17.0..=-15.5).contains(&level), "{key}: {level} dB of full scale");
            }
        }
        assert_eq!(TonePlan::key(16), None);
    }
}
