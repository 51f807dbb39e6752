//! Numbers as they are written in one country, completed to E.164.

use call_control::Number;
use phonenumber::country::{self, Source};
use phonenumber::metadata::DATABASE;

/// So many digits an E.164 number has at most.
pub const DIGITS_MAX: usize = 15;
/// So short a national number has to be one that is in use: an emergency or service number is none, and completed it
/// would ring somebody else.
pub(crate) const SHORT_MAX: usize = 6;

/// How numbers are written where the server stands. Without a country only numbers with a `+` can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberingPlan {
    home: Option<Home>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Home {
    code: u16,
    region: country::Id,
    national_prefix: Box<str>,
}

/// Why there is no such plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No country has it.
    #[error("must be the calling code of a country, such as 91")]
    Country,
    /// Not digits.
    #[error("must be at most 4 digits, such as 0")]
    NationalPrefix,
    /// There is no country that would have it.
    #[error("needs country beside it: the calling code, such as 91")]
    NoCountry,
}

/// Why a text is no outside number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// E.164 has 15 digits.
    #[error("has more than 15 digits, and nothing that is configured has that number")]
    TooLong,
    /// National, and nobody said where.
    #[error(
        "must have + and its country's code in front: dial_policy.country, which completes national numbers, is not set"
    )]
    National,
    /// No numbering plan has numbers like it.
    #[error("is no phone number that can exist: no country has numbers of that form")]
    Impossible,
}

impl NumberingPlan {
    /// The plan of the country with this calling code, and its own national prefix.
    ///
    /// # Errors
    /// [`PlanError::Country`].
    pub fn of(country: &str) -> Result<Self, PlanError> {
        let is_code = country.bytes().all(|b| b.is_ascii_digit()) && !country.starts_with('0');
        let code: u16 = country.parse().ok().filter(|_| is_code).ok_or(PlanError::Country)?;
        // The first region is the one whose plan the others of the code share.
        let main = DATABASE.region(&code).and_then(|regions| regions.first().copied());
        let main = main.ok_or(PlanError::Country)?;
        let region = main.parse().map_err(|_| PlanError::Country)?;
        let national_prefix = DATABASE.by_id(main).and_then(|plan| plan.national_prefix());
        Ok(Self {
            home: Some(Home { code, region, national_prefix: national_prefix.unwrap_or_default().into() }),
        })
    }

    /// The same with another national prefix.
    ///
    /// # Errors
    /// [`PlanError::NationalPrefix`], [`PlanError::NoCountry`].
    pub fn with_national_prefix(self, prefix: &str) -> Result<Self, PlanError> {
        if prefix.len() > 4 || !prefix.bytes().all(|b| b.is_ascii_digit()) {
            return Err(PlanError::NationalPrefix);
        }
        let home = self.home.ok_or(PlanError::NoCountry)?;
        Ok(Self { home: Some(Home { national_prefix: prefix.into(), ..home }) })
    }

    /// Whether national numbers can be read and written.
    pub const fn has_country(&self) -> bool {
        self.home.is_some()
    }

    /// The number with `+` and its country's code.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub fn international(&self, number: &Number) -> Result<Number, Unreadable> {
        let text = number.as_str();
        if number.digits() > DIGITS_MAX {
            return Err(Unreadable::TooLong);
        }
        if !text.trim_start_matches('+').bytes().all(|b| b.is_ascii_digit()) {
            return Err(Unreadable::Impossible);
        }
        let parsed = match (&self.home, text.starts_with('+')) {
            (_, true) => phonenumber::parse(None, text),
            (None, false) => return Err(Unreadable::National),
            (Some(home), false) => home.parse(text),
        };
        let parsed = parsed.map_err(|_| Unreadable::Impossible)?;
        let (code, national) = (parsed.code().value(), parsed.national().to_string());
        if !is_possible(code, &national) || (national.len() <= SHORT_MAX && !parsed.is_valid()) {
            return Err(Unreadable::Impossible);
        }
        Number::new(&format!("+{code}{national}")).map_err(|_| Unreadable::Impossible)
    }

    /// The same for what a carrier says of a caller: where it is no number of this country, the code of another one stands
    /// in front, and the `+` was left out.
    pub fn international_of_caller(&self, number: &Number) -> Option<Number> {
        let with_plus =
            || Number::new(&format!("+{number}")).ok().and_then(|number| self.international(&number).ok());
        self.international(number).ok().or_else(with_plus)
    }

    /// A number that is one in this context only (RFC 3966 §5.1.5): in a country, or in an area of it, whose digits
    /// `context` has.
    pub fn in_context(context: &str, local: &Number) -> Option<Number> {
        let digits = context.strip_prefix('+')?;
        // Calling codes have one to three digits, and none begins another one.
        let (plan, area) = (1..=3).find_map(|length| {
            let (code, area) = digits.split_at_checked(length)?;
            Some((Self::of(code).ok()?, area))
        })?;
        let national = Number::new(&format!("{area}{local}")).ok()?;
        plan.international(&national).ok()
    }
}

impl NumberingPlan {
    /// An E.164 number as somebody in this country dials it; as it is where no country is set, or nobody knows how
    /// that one dials abroad.
    pub(crate) fn national(&self, number: &Number) -> String {
        let (Some(home), Some(digits)) = (&self.home, number.as_str().strip_prefix('+')) else {
            return number.to_string();
        };
        let is_ours = |parsed: &phonenumber::PhoneNumber| parsed.code().value() == home.code;
        match phonenumber::parse(None, number.as_str()) {
            Ok(parsed) if is_ours(&parsed) => format!("{}{}", home.national_prefix, parsed.national()),
            Ok(_) | Err(_) => match home.abroad() {
                Some(prefix) => format!("{prefix}{digits}"),
                None => number.to_string(),
            },
        }
    }
}

impl Home {
    /// What is dialled before the code of another country; where there are several, none of them is the right one.
    fn abroad(&self) -> Option<&'static str> {
        let plan = DATABASE.by_id(self.region.as_ref())?;
        let prefix = plan
            .preferred_international_prefix()
            .or_else(|| plan.international_prefix().map(|prefix| prefix.as_str()))?;
        prefix.bytes().all(|b| b.is_ascii_digit()).then_some(prefix)
    }

    /// The library knows how the country dials abroad and between its cities. A national prefix that the operator has
    /// set goes before what it knows.
    fn parse(&self, digits: &str) -> Result<phonenumber::PhoneNumber, phonenumber::ParseError> {
        let parsed = phonenumber::parse(Some(self.region), digits);
        if parsed.as_ref().is_ok_and(|parsed| parsed.code().source() == Source::Idd) {
            return parsed;
        }
        match digits.strip_prefix(&*self.national_prefix) {
            Some(national) if !self.national_prefix.is_empty() && !national.is_empty() => {
                phonenumber::parse(None, format!("+{}{national}", self.code))
            }
            _ => parsed,
        }
    }
}

/// The tables of all countries take a tenth of a second to read: at the start, and not when somebody calls.
pub(crate) fn read_tables() {
    let _tables = &*DATABASE;
}

/// Whether a plan of the code has room for such a number, in use or not: plans grow faster than releases come. Room for
/// more is among the numbers of people; those of services begin and are as long as each kind says.
fn is_possible(code: u16, national: &str) -> bool {
    let plans = DATABASE.by_code(&code).unwrap_or_default();
    plans.iter().any(|plan| {
        let kinds = plan.descriptors();
        let is_as_long = |kind: &phonenumber::metadata::Descriptor| {
            kind.possible_length().iter().any(|length| usize::from(*length) == national.len())
        };
        let of_people = [kinds.fixed_line(), kinds.mobile()];
        let of_services = [
            kinds.toll_free(),
            kinds.premium_rate(),
            kinds.shared_cost(),
            kinds.personal_number(),
            kinds.voip(),
            kinds.pager(),
            kinds.uan(),
        ];
        let is_of_people =
            of_people.into_iter().flatten().any(is_as_long) && kinds.general().is_match(national);
        is_of_people || of_services.into_iter().flatten().any(|kind| kind.is_match(national))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(plan: &NumberingPlan, text: &str) -> Result<String, Unreadable> {
        let number = Number::new(text).map_err(|_| Unreadable::Impossible)?;
        plan.international(&number).map(String::from)
    }

    fn plan(country: &str) -> NumberingPlan {
        NumberingPlan::of(country).unwrap()
    }

    #[test]
    fn a_number_is_the_same_in_each_way_that_it_is_written() {
        for (country, e164, ways) in [
            ("91", "+918065978015", ["918065978015", "08065978015", "00918065978015", "8065978015"]),
            ("91", "+919944421125", ["919944421125", "09944421125", "00919944421125", "9944421125"]),
            ("44", "+442079460000", ["442079460000", "02079460000", "00442079460000", "2079460000"]),
            ("1", "+12125550123", ["12125550123", "2125550123", "01112125550123", "+12125550123"]),
            ("39", "+390669812345", ["390669812345", "0669812345", "00390669812345", "+390669812345"]),
            ("49", "+4930901820", ["4930901820", "030901820", "004930901820", "+4930901820"]),
        ] {
            let plan = plan(country);
            assert_eq!(read(&plan, e164).as_deref(), Ok(e164));
            for way in ways {
                assert_eq!(read(&plan, way).as_deref(), Ok(e164), "{way} in {country}");
            }
        }
        // People write the national prefix behind the country's code: +44 (0)20 7946 0000.
        assert_eq!(read(&plan("91"), "+4402079460000").as_deref(), Ok("+442079460000"));
        assert_eq!(read(&plan("91"), "00442079460000").as_deref(), Ok("+442079460000"));
    }

    #[test]
    fn an_emergency_number_is_never_completed() {
        for (country, text) in [
            ("91", "112"),
            ("91", "0112"),
            ("91", "+112"),
            ("91", "+91112"),
            ("91", "108"),
            ("91", "911"),
            ("49", "110"),
            ("49", "116117"),
            ("49", "+49116117"),
            ("49", "0112"),
            ("1", "911"),
            ("1", "9911"),
            ("44", "999"),
        ] {
            assert_eq!(read(&plan(country), text), Err(Unreadable::Impossible), "{text} in {country}");
        }
    }

    #[test]
    fn what_is_no_number_is_said_to_be_none() {
        let (india, nowhere) = (plan("91"), NumberingPlan::default());
        assert_eq!(read(&india, "1234567890123456"), Err(Unreadable::TooLong));
        assert_eq!(read(&india, "21#"), Err(Unreadable::Impossible));
        assert_eq!(read(&india, "*43"), Err(Unreadable::Impossible));
        assert_eq!(read(&india, "+999123456789"), Err(Unreadable::Impossible), "no country has 999");
        assert_eq!(read(&india, "+91994442112"), Err(Unreadable::Impossible), "a digit is missing");
        assert_eq!(read(&india, "+4420794600001"), Err(Unreadable::Impossible), "a digit too many");
        assert_eq!(read(&india, "+911800123456").as_deref(), Ok("+911800123456"));
        assert_eq!(read(&india, "+6834000").as_deref(), Ok("+6834000"), "Niue has four digits");
        assert_eq!(read(&nowhere, "9944421125"), Err(Unreadable::National));
        assert_eq!(read(&nowhere, "+919944421125").as_deref(), Ok("+919944421125"));
    }

    #[test]
    fn a_number_of_another_country_without_its_plus_is_none_of_this_one() {
        let india = plan("91");
        for text in ["442079460000", "14155550123", "19005550123", "4930901820123", "971501234567"] {
            assert_eq!(read(&india, text), Err(Unreadable::Impossible), "{text}");
        }
        for (text, caller) in [
            ("442079460000", Some("+442079460000")),
            ("14155550123", Some("+14155550123")),
            ("00442079460000", Some("+442079460000")),
            ("+442079460000", Some("+442079460000")),
            ("09944421125", Some("+919944421125")),
            ("9944421125", Some("+919944421125")),
            ("7777", None),
            ("999999999999999", None),
        ] {
            let number = Number::new(text).unwrap();
            let read = india.international_of_caller(&number);
            assert_eq!(read.as_ref().map(Number::as_str), caller, "{text}");
        }
        assert_eq!(read(&plan("1"), "18005550123").as_deref(), Ok("+18005550123"));
        assert_eq!(read(&plan("44"), "08001111").as_deref(), Ok("+448001111"), "numbers of services");
    }

    #[test]
    fn a_local_number_is_one_in_its_context_only() {
        let number = |text: &str| Number::new(text).unwrap();
        for (context, local, whole) in [
            ("+44", "2079460000", Some("+442079460000")),
            ("+44", "02079460000", Some("+442079460000")),
            ("+4420", "79460000", Some("+442079460000")),
            ("+9180", "65978015", Some("+918065978015")),
            ("+1", "2125550123", Some("+12125550123")),
            ("+91", "112", None),
            ("+999", "2079460000", None),
            ("44", "2079460000", None),
        ] {
            let read = NumberingPlan::in_context(context, &number(local));
            assert_eq!(read.as_ref().map(Number::as_str), whole, "{local} in {context}");
        }
    }

    #[test]
    fn a_national_prefix_of_the_operator_goes_before_the_countrys() {
        let nine = plan("91").with_national_prefix("9").unwrap();
        assert_eq!(read(&nine, "98065978015").as_deref(), Ok("+918065978015"));
        for country in ["999", "091", "India", "+91", "800", ""] {
            assert_eq!(NumberingPlan::of(country), Err(PlanError::Country), "{country}");
        }
        for prefix in ["zero", "00000"] {
            assert_eq!(plan("91").with_national_prefix(prefix), Err(PlanError::NationalPrefix), "{prefix}");
        }
        assert_eq!(NumberingPlan::default().with_national_prefix("0"), Err(PlanError::NoCountry));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_read_is_e164_and_reads_as_itself(text in "\\+?[0-9]{3,15}", country in "91|44|1|39|49|7|298") {
            let plan = plan(&country);
            if let Ok(e164) = plan.international(&Number::new(&text).unwrap()) {
                proptest::prop_assert!(e164.as_str().starts_with('+') && e164.as_str().len() <= 16);
                proptest::prop_assert_eq!(plan.international(&e164), Ok(e164));
            }
        }
    }
}
