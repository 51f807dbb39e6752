//! What the phones heard, and whether that is a call.

use super::play::Recorded;
use super::stage::ROLES;
use audio::TonePlan;
use call_control::{Call, EndReason, EndedBy};
use std::time::{Duration, Instant};
use test_phone::{CallMedia, LoudTone, loud_tones};

/// What is known at the end.
pub(super) struct Findings {
    /// By phone; absent when it had no audio.
    pub(super) parties: [Option<PartyFindings>; 2],
    /// What 1001 heard while 1002 rang.
    pub(super) ringback: Option<Ringback>,
    /// Sentences; none when all is well.
    pub(super) missing: Vec<String>,
}

/// The audio of one phone.
pub(super) struct PartyFindings {
    pub(super) media: CallMedia,
    /// From the moment both had answered.
    pub(super) tone: Tone,
}

/// What a phone heard of the tone of the other one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tone {
    pub(super) hertz: f64,
    /// Of all that was heard, 0 to 1.
    pub(super) share: f64,
    /// The longest run.
    pub(super) milliseconds: u64,
}

/// What was heard before the other one answered.
pub(super) struct Ringback {
    pub(super) tones: Vec<LoudTone>,
    /// The longest run of the tones of the plan.
    pub(super) milliseconds: u64,
    /// The longest time between two packets.
    pub(super) longest_gap: Duration,
}

/// Looks through all that was recorded. `problem` is why the play broke off, as a sentence.
pub(super) fn find(problem: Option<String>, recorded: &Recorded, media: [Option<CallMedia>; 2]) -> Findings {
    let answered = media.each_ref().map(|media| media.as_ref().and_then(|media| media.answered_at));
    let both_answered = answered[0].zip(answered[1]).map(|(one, two)| one.max(two));
    let ringback = media[0].as_ref().zip(answered[0].zip(answered[1]));
    let ringback = ringback.map(|(media, (from, until))| Ringback::find(media, from, until));
    let [one, two] = media;
    let party = |media: Option<CallMedia>, other: usize| {
        media.map(|media| PartyFindings::find(media, ROLES[other].plays, both_answered, recorded.hung_up_at))
    };
    let mut findings = Findings { parties: [party(one, 1), party(two, 0)], ringback, missing: Vec::new() };
    findings.missing.extend(problem);
    findings.judge_audio();
    findings.judge_end(recorded.call.as_ref());
    findings
}

impl Findings {
    fn judge_audio(&mut self) {
        for (index, party) in self.parties.iter().enumerate() {
            let (number, other) = (ROLES[index].number, ROLES[1 - index].number);
            match party {
                None => self.missing.push(format!("{number} had no audio at all.")),
                Some(party) if party.tone.milliseconds < TONE_MILLISECONDS_MIN => {
                    let Tone { hertz, milliseconds, .. } = party.tone;
                    self.missing.push(format!(
                        "{number} heard the {hertz} Hz of {other} for {milliseconds} ms; \
                         at least {TONE_MILLISECONDS_MIN} ms were expected."
                    ));
                }
                Some(_) => {}
            }
        }
        let (from, to) = (ROLES[0].number, ROLES[1].number);
        match &self.ringback {
            None => self.missing.push(format!("{from} could not hear a ringback before {to} answered.")),
            Some(ringback) if ringback.milliseconds < RINGBACK_MILLISECONDS_MIN => self.missing.push(format!(
                "{from} heard the ringback for {} ms; at least {RINGBACK_MILLISECONDS_MIN} ms were expected.",
                ringback.milliseconds
            )),
            Some(_) => {}
        }
    }

    fn judge_end(&mut self, call: Option<&Call>) {
        let from = ROLES[0].number;
        let Some(call) = call else {
            return self.missing.push("The API did not show the ended call.".to_owned());
        };
        match &call.end {
            Some(end) if end.reason == EndReason::HungUp && end.by == EndedBy::From => {}
            Some(end) => self.missing.push(format!(
                "The call ended with {} by {}, and not because {from} hung up.",
                word(&end.reason),
                word(&end.by)
            )),
            None => self.missing.push("The API shows the call as if it had not ended.".to_owned()),
        }
    }
}

impl PartyFindings {
    fn find(media: CallMedia, hertz: f64, from: Option<Instant>, until: Option<Instant>) -> Self {
        let heard = &media.heard;
        let samples = match (from, until) {
            (Some(from), Some(until)) => heard.between(from, until),
            (Some(_), None) | (None, Some(_)) | (None, None) => &heard.samples,
        };
        let tone = Tone {
            hertz,
            share: audio::tone_share(samples, heard.sample_rate, hertz),
            milliseconds: audio::tone_milliseconds(samples, heard.sample_rate, hertz),
        };
        Self { media, tone }
    }
}

impl Ringback {
    fn find(media: &CallMedia, from: Instant, until: Instant) -> Self {
        let heard = &media.heard;
        let samples = heard.between(from, until);
        let expected = TonePlan::ringback("us").map(|plan| plan.frequencies()).unwrap_or_default();
        let within: Vec<Instant> =
            heard.arrivals.iter().map(|arrival| arrival.at).filter(|at| (from..until).contains(at)).collect();
        let gaps = within.windows(2).map(|pair| pair[1].duration_since(pair[0]));
        Self {
            tones: loud_tones(samples, heard.sample_rate),
            milliseconds: audio::chord_milliseconds(samples, heard.sample_rate, &expected),
            longest_gap: gaps.max().unwrap_or_default(),
        }
    }
}

/// As the API writes it.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

const TONE_MILLISECONDS_MIN: u64 = 2_000;
const RINGBACK_MILLISECONDS_MIN: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use test_phone::{Figures, Heard};

    #[test]
    fn a_demo_in_which_nothing_happened_says_all_that_is_missing() {
        let problem = Some("There was no call.connected in time.".to_owned());
        let findings = find(problem, &Recorded::default(), [None, None]);
        let expected = [
            "There was no call.connected in time.",
            "1001 had no audio at all.",
            "1002 had no audio at all.",
            "1001 could not hear a ringback before 1002 answered.",
            "The API did not show the ended call.",
        ];
        assert_eq!(findings.missing, expected);
    }

    #[test]
    fn the_tone_of_the_other_phone_is_what_counts() {
        let media = |hertz: f64, answered_at| {
            let mut samples = vec![0; 24_000];
            audio::Sine::new(hertz, 0.3, 8_000).fill(&mut samples);
            let heard = Heard { sample_rate: 8_000, samples, arrivals: Vec::new() };
            Some(CallMedia { figures: Figures::default(), heard, answered_at })
        };
        let findings = find(None, &Recorded::default(), [media(1_100.0, None), media(1_100.0, None)]);
        let tones = findings.parties.map(|party| party.map(|party| party.tone.milliseconds));
        assert_eq!(tones, [Some(3_000), Some(0)]);
        assert!(
            findings.missing.contains(
                &"1002 heard the 700 Hz of 1001 for 0 ms; at least 2000 ms were expected.".to_owned()
            )
        );
    }
}
