//! Numbers of ours: one, or a block of them.

use call_control::Number;
use std::fmt;

/// An E.164 number in which an `X` stands for any digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NumberPattern(Box<str>);

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a number with + and its country's code, such as +918065978015; an X stands for any digit")]
pub struct PatternError;

impl NumberPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let digits = text.strip_prefix('+').ok_or(PatternError)?;
        let legal = (3..=15).contains(&digits.len()) && !digits.starts_with('0');
        let is_part = |b: u8| b.is_ascii_digit() || b == b'X';
        // Whole countries are nobody's.
        let begins = digits.bytes().take(3).all(|b| b.is_ascii_digit());
        (legal && begins && digits.bytes().all(is_part)).then(|| Self(text.into())).ok_or(PatternError)
    }

    /// Whether an E.164 number is one of them.
    pub fn fits(&self, number: &Number) -> bool {
        let (pattern, number) = (self.0.as_bytes(), number.as_str().as_bytes());
        pattern.len() == number.len()
            && pattern
                .iter()
                .zip(number)
                .all(|(part, digit)| part == digit || (*part == b'X' && digit.is_ascii_digit()))
    }

    /// Whether a number can be one of both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.bytes().zip(other.0.bytes()).all(|(a, b)| a == b || a == b'X' || b == b'X')
    }

    /// The number, when it is one.
    pub fn number(&self) -> Option<Number> {
        if self.0.contains('X') { None } else { Number::new(&self.0).ok() }
    }
}

impl fmt::Display for NumberPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_x_is_any_digit() {
        let number = |text| Number::new(text).unwrap();
        let block = NumberPattern::new("+91806597801X").unwrap();
        assert!(block.fits(&number("+918065978015")) && block.fits(&number("+918065978010")));
        for other in ["+918065978025", "+9180659780155", "918065978015", "08065978015"] {
            assert!(!block.fits(&number(other)), "{other}");
        }
        assert_eq!((block.number(), block.to_string().as_str()), (None, "+91806597801X"));
        let one = NumberPattern::new("+918065978015").unwrap();
        assert!(one.fits(&number("+918065978015")) && one.number() == Some(number("+918065978015")));
        let other = NumberPattern::new("+918065978XX5").unwrap();
        assert!(block.overlaps(&one) && one.overlaps(&block) && block.overlaps(&other));
        assert!(!one.overlaps(&NumberPattern::new("+918065978016").unwrap()));
        for bad in
            ["", "+", "918065978015", "+0918065978015", "+91x", "+XXX", "+12", "+1234567890123456", "112"]
        {
            assert_eq!(NumberPattern::new(bad), Err(PatternError), "{bad}");
        }
    }
}
