//! Numbers as a carrier wants them written.

use crate::plan::NumberingPlan;
use call_control::Number;

/// In which form a carrier takes E.164 numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// `+919944421125`
    #[default]
    E164,
    /// As somebody in the country dials: `09944421125`, and abroad `00442079460000`.
    National,
    /// `919944421125`
    Plain,
}

/// How numbers are written for one carrier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Writing {
    /// The form.
    pub format: Format,
    /// Put before a number that is dialled, behind which it has its form: an access code, an account.
    pub dial_prefix: Box<str>,
    /// Of the carrier's country.
    pub plan: NumberingPlan,
}

impl Writing {
    /// A number that is dialled. A short one stays as it is.
    pub fn dialled(&self, number: &Number) -> String {
        if number.as_str().starts_with('+') {
            format!("{}{}", self.dial_prefix, self.shown(number))
        } else {
            number.to_string()
        }
    }

    /// A number that is shown as the caller's.
    pub fn shown(&self, number: &Number) -> String {
        let Some(digits) = number.as_str().strip_prefix('+') else { return number.to_string() };
        match self.format {
            Format::E164 => number.to_string(),
            Format::Plain => digits.into(),
            Format::National => self.plan.national(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_as_the_carrier_wants_it() {
        let (here, abroad, service) = ("+918065978015", "+442079460000", "112");
        for (format, country, prefix, expected) in [
            (Format::E164, "91", "", ["+918065978015", "+442079460000", "112"]),
            (Format::Plain, "91", "", ["918065978015", "442079460000", "112"]),
            (Format::National, "91", "", ["08065978015", "00442079460000", "112"]),
            (Format::National, "44", "", ["00918065978015", "02079460000", "112"]),
            (Format::National, "1", "", ["011918065978015", "011442079460000", "112"]),
            (Format::Plain, "91", "00", ["00918065978015", "00442079460000", "112"]),
            (Format::E164, "91", "77#", ["77#+918065978015", "77#+442079460000", "112"]),
        ] {
            let plan = NumberingPlan::of(country).unwrap();
            let writing = Writing { format, dial_prefix: prefix.into(), plan };
            let written = [here, abroad, service].map(|n| writing.dialled(&Number::new(n).unwrap()));
            assert_eq!(written, expected, "{format:?} in {country}");
        }
    }

    #[test]
    fn whoever_calls_is_shown_without_the_dial_prefix() {
        let plan = NumberingPlan::of("91").unwrap();
        let writing = Writing { format: Format::Plain, dial_prefix: "00".into(), plan };
        assert_eq!(writing.shown(&Number::new("+918065978015").unwrap()), "918065978015");
        assert_eq!(writing.shown(&Number::new("1001").unwrap()), "1001");
        let nowhere = Writing { format: Format::National, ..Writing::default() };
        assert_eq!(nowhere.shown(&Number::new("+918065978015").unwrap()), "+918065978015");
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_as_what_was_meant(text in "\\+(91[6-9][0-9]{9}|4420[3-8][0-9]{7}|1212[2-9][0-9]{6}|4930[0-9]{6,8})",
                                                   country in "91|44|1|49", form in 0..3) {
            let plan = NumberingPlan::of(&country).unwrap();
            if let Ok(number) = plan.international(&Number::new(&text).unwrap()) {
                let format = [Format::E164, Format::National, Format::Plain][form as usize];
                let writing = Writing { format, dial_prefix: "".into(), plan: plan.clone() };
                let written = Number::new(&writing.dialled(&number)).unwrap();
                // Without a + and abroad, plain digits may be somebody else's national number.
                if format != Format::Plain || text[1..].starts_with(&country) {
                    proptest::prop_assert_eq!(plan.international(&written), Ok(number), "{:?}", format);
                }
            }
        }
    }
}
