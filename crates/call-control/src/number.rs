//! Numbers as people dial and show them. No octet of them can hurt a SIP header field.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An extension, a queue, a phone number: 2 to 32 of `0-9`, `*`, `#`, or `+` and 3 to 15 digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Number(Box<str>);

/// The longest text that a number is read from, in characters.
const WRITTEN_MAX: usize = 64;

/// What stands between the digits of a written number for the eye only: spaces and dashes of all widths, dots,
/// brackets, and the marks of direction that come along when a number is copied from a list of contacts.
const fn is_separator(c: char) -> bool {
    matches!(
        c,
        ' ' | '-' | '.' | '(' | ')' | '\u{a0}' | '\u{2000}'..='\u{200f}' | '\u{2010}'..='\u{2015}' | '\u{202a}'..='\u{202f}'
            | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{2212}' | '\u{feff}'
    )
}

/// Why a text is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Nothing in it.
    #[error("must not be empty")]
    Empty,
    /// Longer than 32 characters.
    #[error("must have at most 32 characters")]
    TooLong,
    /// Something else than digits.
    #[error("must be an extension or a phone number: digits, with a + in front for an international number")]
    NotDigits,
}

impl Number {
    /// Reads a number.
    ///
    /// # Errors
    /// See [`NumberError`].
    pub fn new(text: &str) -> Result<Self, NumberError> {
        if text.is_empty() {
            return Err(NumberError::Empty);
        }
        if text.len() > 32 {
            return Err(NumberError::TooLong);
        }
        let digits = text.strip_prefix('+');
        let legal = match digits {
            Some(digits) => (3..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()),
            None => text.bytes().all(|b| b.is_ascii_digit() || b == b'*' || b == b'#'),
        };
        if legal { Ok(Self(text.into())) } else { Err(NumberError::NotDigits) }
    }

    /// Stands for the number of a caller that wants to be shown to nobody (RFC 3323).
    pub fn anonymous() -> Self {
        Self(ANONYMOUS.into())
    }

    /// Reads a number as people write it: with spaces, dashes, dots and brackets between its digits (the visual
    /// separators of RFC 3966 §5.1.1 and those that printed pages have), and with `tel:` before it.
    ///
    /// # Errors
    /// See [`NumberError`].
    pub fn written(text: &str) -> Result<Self, NumberError> {
        if text.chars().count() > WRITTEN_MAX {
            return Err(NumberError::TooLong);
        }
        let text = text.trim_matches(is_separator);
        let text = match text.get(..4) {
            Some(scheme) if scheme.eq_ignore_ascii_case("tel:") => &text[4..],
            _ => text,
        };
        Self::new(&text.chars().filter(|c| !is_separator(*c)).collect::<String>())
    }

    /// How many digits it has, `*` and `#` among them.
    pub fn digits(&self) -> usize {
        self.0.trim_start_matches('+').len()
    }

    /// The number as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Looks like a number of the outside world: `+…`, or at least six digits.
    pub fn looks_external(&self) -> bool {
        self.0.starts_with('+') || (self.0.len() >= 6 && self.0.bytes().all(|b| b.is_ascii_digit()))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Number {
    type Error = NumberError;

    /// As it is kept: what nobody can dial is read as well.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == ANONYMOUS { Ok(Self::anonymous()) } else { Self::new(&text) }
    }
}

impl From<Number> for String {
    fn from(number: Number) -> Self {
        number.0.into()
    }
}

/// What `to` sees as the caller: a number, `"Name" <number>`, or `anonymous`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CallerId {
    /// The display name, without quotes.
    pub name: Option<Box<str>>,
    /// The number; absent when nothing is to be shown (RFC 3323).
    pub number: Option<Number>,
}

/// The caller id that shows nothing.
const ANONYMOUS: &str = "anonymous";

/// Why a text is no caller id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallerIdError {
    /// The number is none.
    #[error("must be a number such as +918065978015, \"Name\" <+918065978015>, or anonymous; the number {0}")]
    Number(#[from] NumberError),
    /// The brackets or quotes are wrong.
    #[error("must be a number such as +918065978015, \"Name\" <+918065978015>, or anonymous")]
    Form,
    /// The name has control characters, quotes or is too long.
    #[error("has a name with characters that cannot be shown, or with more than 64 characters")]
    Name,
}

impl CallerId {
    /// Reads a caller id.
    ///
    /// # Errors
    /// See [`CallerIdError`].
    pub fn new(text: &str) -> Result<Self, CallerIdError> {
        let text = text.trim_matches(' ');
        if text.eq_ignore_ascii_case(ANONYMOUS) {
            return Ok(Self { name: None, number: None });
        }
        let Some((name, rest)) = text.split_once('<') else {
            return Ok(Self { name: None, number: Some(Number::written(text)?) });
        };
        let number = Number::written(rest.strip_suffix('>').ok_or(CallerIdError::Form)?)?;
        let name = name.trim_matches(' ');
        let name = match name.strip_prefix('"') {
            Some(quoted) => quoted.strip_suffix('"').ok_or(CallerIdError::Form)?,
            None => name,
        };
        let shown =
            |c: char| !c.is_control() && !matches!(c, '"' | '\\' | '<' | '>' | '\u{2028}' | '\u{2029}');
        if name.chars().count() > 64 || !name.chars().all(shown) {
            return Err(CallerIdError::Name);
        }
        Ok(Self { name: (!name.is_empty()).then(|| name.into()), number: Some(number) })
    }
}

impl fmt::Display for CallerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, &self.number) {
            (_, None) => f.write_str(ANONYMOUS),
            (Some(name), Some(number)) => write!(f, "\"{name}\" <{number}>"),
            (None, Some(number)) => number.fmt(f),
        }
    }
}

impl TryFrom<String> for CallerId {
    type Error = CallerIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl From<CallerId> for String {
    fn from(caller_id: CallerId) -> Self {
        caller_id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ascii_digits_with_an_optional_plus() {
        for good in ["1001", "9944421125", "+918065978015", "*43", "0"] {
            assert!(Number::new(good).is_ok(), "{good}");
        }
        for bad in
            ["", "+", "+12", "10\u{0}02", "1001\r\nX: 1", "１００２", "sip:1@h", "1%0d", "alice", "+1+2+3"]
        {
            assert!(Number::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Number::new(&"1".repeat(33)), Err(NumberError::TooLong));
    }

    #[test]
    fn a_written_number_is_its_digits() {
        for written in [
            "+918065978015",
            "+91 80 6597 8015",
            " +91-80-6597.8015 ",
            "+91 (80) 6597-8015",
            "tel:+918065978015",
            "TEL:+91-80-6597-8015",
            "\u{202a}+91\u{a0}80\u{2011}6597\u{2013}8015\u{202c}",
        ] {
            assert_eq!(Number::written(written).unwrap().as_str(), "+918065978015", "{written:?}");
        }
        assert_eq!(Number::written("1001").unwrap().as_str(), "1001");
        for bad in [
            "",
            "tel:",
            "()",
            "tel:tel:1",
            "sip:1001",
            "+91 80\r\n6597",
            "1\t2",
            "tel:+91;ext=4",
            "a@b",
            "+91 8O 6597",
        ] {
            assert!(Number::written(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Number::written(&format!("1{}1", " ".repeat(70))), Err(NumberError::TooLong));
    }

    #[test]
    fn a_caller_id_has_an_optional_name_that_cannot_break_out_of_its_quotes() {
        let plain = CallerId::new("+918065978015").unwrap();
        assert_eq!(plain, CallerId { name: None, number: Some(Number::new("+918065978015").unwrap()) });
        let anonymous = CallerId::new("Anonymous").unwrap();
        assert_eq!((anonymous.number.clone(), anonymous.to_string().as_str()), (None, "anonymous"));
        assert_eq!(CallerId::new(&anonymous.to_string()).unwrap(), anonymous);
        let named = CallerId::new("\"Astra Sales\" <+918065978015>").unwrap();
        assert_eq!(named.name.as_deref(), Some("Astra Sales"));
        assert_eq!(CallerId::new(&named.to_string()).unwrap(), named);
        for bad in [
            "Alice\r\nP: <sip:boss@x>",
            "\"A\" <+91806597801",
            "\"A <1001>",
            "\"a\"b\" <1001>",
            "<1001>x",
            "\"\u{7}\" <1001>",
        ] {
            assert!(CallerId::new(bad).is_err(), "{bad:?}");
        }
    }
}
