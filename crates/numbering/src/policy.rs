//! Which outside numbers may be dialled.

use crate::plan::{NumberingPlan, SHORT_MAX, Unreadable};
use call_control::Number;
use std::fmt;

/// The longest short number that can be allowed.
const SHORT_ENTRY_MAX: usize = 12;

/// What may be dialled, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialPolicy {
    plan: NumberingPlan,
    allow: Vec<Entry>,
    deny: Vec<Entry>,
    emergency: Vec<Number>,
}

/// One entry of `allow` or `deny`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Entry {
    /// Every number that begins so: `+` and digits.
    Prefix(Box<str>),
    /// This number and no other: a short one, as it is dialled.
    Short(Number),
}

/// Why a text is no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be + and the first digits of numbers, such as +91, or a short number as it is dialled, such as 112"
)]
pub struct EntryError;

/// Why a number is not dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// It is none.
    Unreadable(Unreadable),
    /// It is one that may not be dialled.
    Forbidden(Rule),
}

/// The rule that a number met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// An entry of `deny`.
    Denied(Entry),
    /// No entry of `allow` is the beginning of this number.
    NotAllowed(Number),
    /// A short number that `allow` does not name.
    ShortNotNamed(Number),
}

impl Entry {
    /// Reads an entry.
    ///
    /// # Errors
    /// [`EntryError`].
    pub fn new(text: &str) -> Result<Self, EntryError> {
        match text.strip_prefix('+') {
            Some(digits) => {
                let legal = digits.len() <= 15 && digits.bytes().all(|b| b.is_ascii_digit());
                (legal && !digits.starts_with('0')).then(|| Self::Prefix(text.into())).ok_or(EntryError)
            }
            None if text.len() <= SHORT_ENTRY_MAX => {
                Number::new(text).map(Self::Short).map_err(|_| EntryError)
            }
            None => Err(EntryError),
        }
    }

    /// How well a trunk that takes such numbers fits: the length of what it shares with this one. A short number that no
    /// entry names is one of the country, and goes through any trunk.
    pub fn fits(&self, number: &Number) -> Option<usize> {
        match self {
            Self::Prefix(prefix) if self.begins(number) => Some(prefix.len()),
            Self::Prefix(_) => (!number.as_str().starts_with('+')).then_some(0),
            Self::Short(_) => self.names(number).then_some(usize::MAX),
        }
    }

    fn begins(&self, number: &Number) -> bool {
        matches!(self, Self::Prefix(prefix) if number.as_str().starts_with(&**prefix))
    }

    fn names(&self, number: &Number) -> bool {
        matches!(self, Self::Short(short) if short == number)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(prefix) => f.write_str(prefix),
            Self::Short(number) => number.fmt(f),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(entry) => write!(f, "dial_policy.deny has {entry}"),
            Self::NotAllowed(number) => write!(f, "dial_policy.allow has no beginning of {number}"),
            Self::ShortNotNamed(number) => {
                write!(
                    f,
                    "a short number is dialled only if dial_policy.allow names it, and it has no {number}"
                )
            }
        }
    }
}

impl DialPolicy {
    /// Allows what begins as an entry of `allow`, but for what begins as one of `deny`; short numbers only by name.
    /// Those of `emergency` are never taken for another number, and dialled only if they are allowed.
    pub fn new(plan: NumberingPlan, allow: Vec<Entry>, deny: Vec<Entry>, emergency: Vec<Number>) -> Self {
        crate::plan::read_tables();
        Self { plan, allow, deny, emergency }
    }

    /// Whether it is one of the short or emergency numbers that are named, to be dialled or not.
    pub fn names(&self, number: &Number) -> bool {
        let mut entries = self.allow.iter().chain(&self.deny);
        self.emergency.contains(number) || entries.any(|entry| entry.names(number))
    }

    /// How numbers are written here.
    pub const fn plan(&self) -> &NumberingPlan {
        &self.plan
    }

    /// Whether it is one that passes all limits.
    pub fn is_emergency(&self, number: &Number) -> bool {
        self.emergency.contains(number)
    }

    /// The emergency numbers, and whether each may be dialled.
    pub fn emergency(&self) -> impl Iterator<Item = (&Number, bool)> {
        self.emergency.iter().map(|number| (number, self.judge(number).is_ok()))
    }

    /// What is dialled for this number: with `+` and its country's code, or a short one as it stands. A short number is looked up as it stands before anything is completed, so that
    /// no prefix and no country's code make another number of it.
    ///
    /// # Errors
    /// See [`Denial`].
    pub fn judge(&self, number: &Number) -> Result<Number, Denial> {
        if let Some(entry) = self.deny.iter().find(|entry| entry.names(number)) {
            return Err(Denial::Forbidden(Rule::Denied(entry.clone())));
        }
        if self.allow.iter().any(|entry| entry.names(number)) {
            return Ok(number.clone());
        }
        if self.emergency.contains(number) {
            return Err(Denial::Forbidden(Rule::ShortNotNamed(number.clone())));
        }
        let international = match self.plan.international(number) {
            Ok(international) => international,
            Err(_) if is_short(number) => {
                return Err(Denial::Forbidden(Rule::ShortNotNamed(number.clone())));
            }
            Err(unreadable) => return Err(Denial::Unreadable(unreadable)),
        };
        if let Some(entry) = self.deny.iter().find(|entry| entry.begins(&international)) {
            return Err(Denial::Forbidden(Rule::Denied(entry.clone())));
        }
        if self.allow.iter().any(|entry| entry.begins(&international)) {
            Ok(international)
        } else {
            Err(Denial::Forbidden(Rule::NotAllowed(international)))
        }
    }
}

/// A service, a feature code, an emergency call, if the numbering plan does not know it.
fn is_short(number: &Number) -> bool {
    let text = number.as_str();
    text.contains(['*', '#']) || (text.len() <= SHORT_MAX && !text.starts_with('+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::new(text).unwrap()
    }

    fn policy() -> DialPolicy {
        let entries = |texts: &[&str]| texts.iter().map(|text| Entry::new(text).unwrap()).collect();
        DialPolicy::new(
            NumberingPlan::of("91").unwrap().with_national_prefix("0").unwrap(),
            entries(&["+91", "+44", "+1", "112", "1800", "*31#"]),
            entries(&["+1900", "139"]),
            vec![number("112"), number("108")],
        )
    }

    #[test]
    fn only_what_is_allowed_and_not_denied_is_dialled_and_as_e164() {
        let policy = policy();
        for (dialled, e164) in [
            ("9944421125", "+919944421125"),
            ("09944421125", "+919944421125"),
            ("919944421125", "+919944421125"),
            ("+442079460000", "+442079460000"),
            ("00442079460000", "+442079460000"),
        ] {
            assert_eq!(policy.judge(&number(dialled)), Ok(number(e164)), "{dialled}");
        }
        let denied = Entry::new("+1900").unwrap();
        for premium in ["+19005550123", "0019005550123"] {
            let rule = Rule::Denied(denied.clone());
            assert_eq!(policy.judge(&number(premium)), Err(Denial::Forbidden(rule)), "{premium}");
        }
        for abroad in ["+4930901820", "004930901820"] {
            let rule = Rule::NotAllowed(number("+4930901820"));
            assert_eq!(policy.judge(&number(abroad)), Err(Denial::Forbidden(rule)), "{abroad}");
        }
    }

    #[test]
    fn short_numbers_are_dialled_by_name_and_as_they_stand() {
        let policy = policy();
        assert_eq!(policy.judge(&number("112")), Ok(number("112")));
        assert_eq!(policy.judge(&number("1800")), Ok(number("1800")));
        assert_eq!(policy.judge(&number("*31#")), Ok(number("*31#")));
        let named =
            ["112", "108", "1800", "*31#", "911", "139", "9944421125"].map(|n| policy.names(&number(n)));
        assert_eq!(named, [true, true, true, true, false, true, false]);
        let emergency: Vec<_> = policy.emergency().map(|(number, may)| (number.as_str(), may)).collect();
        assert_eq!(emergency, [("112", true), ("108", false)]);
        // 108 is an emergency number that nobody allowed; the others begin as an allowed one, or are another's.
        for short in ["108", "911", "1801", "18001", "9112", "*31", "*72", "21#", "0112"] {
            let rule = Rule::ShortNotNamed(number(short));
            assert_eq!(policy.judge(&number(short)), Err(Denial::Forbidden(rule)), "{short}");
        }
        let rule = Rule::Denied(Entry::new("139").unwrap());
        assert_eq!(policy.judge(&number("139")), Err(Denial::Forbidden(rule)));
        for completed in ["+112", "+91112", "0091112"] {
            let unreadable = Denial::Unreadable(Unreadable::Impossible);
            assert_eq!(policy.judge(&number(completed)), Err(unreadable), "{completed}");
        }
    }

    #[test]
    fn nothing_is_dialled_where_nothing_is_allowed() {
        let nothing = DialPolicy::new(NumberingPlan::of("91").unwrap(), vec![], vec![], vec![number("112")]);
        for text in ["9944421125", "+442079460000", "112", "1800"] {
            assert!(matches!(nothing.judge(&number(text)), Err(Denial::Forbidden(_))), "{text}");
        }
    }

    #[test]
    fn a_trunk_fits_by_the_length_of_its_prefix_and_short_numbers_go_through_any() {
        let fits = |entry, text| Entry::new(entry).unwrap().fits(&number(text));
        assert_eq!(fits("+", "+919944421125"), Some(1));
        assert_eq!(fits("+9199", "+919944421125"), Some(5));
        assert_eq!(fits("+44", "+919944421125"), None);
        assert_eq!(fits("+44", "112"), Some(0));
        assert_eq!(fits("112", "112"), Some(usize::MAX));
        assert_eq!(fits("112", "+112555"), None);
    }

    #[test]
    fn an_entry_is_a_prefix_with_a_plus_or_a_short_number() {
        for good in ["+91", "+", "+1900", "112", "*31#", "116117"] {
            assert_eq!(Entry::new(good).unwrap().to_string(), good);
        }
        for bad in ["", "+91x", "india", "+0", "+1234567890123456", "919944421125000", "00 44"] {
            assert_eq!(Entry::new(bad), Err(EntryError), "{bad}");
        }
    }
}
