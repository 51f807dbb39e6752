//! Challenges and credentials (RFC 3261 §20.7, §20.44, §25.1), without the arithmetic of digests.
use crate::print::Token;
use crate::scan::Scanner;
use crate::{Parameters, ParseError, ParseErrorKind};
use std::fmt;
use std::str::FromStr;

/// The value of WWW-Authenticate, Proxy-Authenticate, Authorization or Proxy-Authorization: a scheme and
/// `name=value` or `name="value"` pairs.
#[derive(Debug, Clone)]
pub struct AuthParams {
    /// `Digest`, as written; compared without case.
    pub scheme: Box<str>,
    /// In order, no name twice, each with a value.
    pub parameters: Parameters,
}

impl AuthParams {
    /// Without parameters.
    pub fn new(scheme: &str) -> Self {
        Self { scheme: scheme.into(), parameters: Parameters::default() }
    }

    /// Whether the scheme is this one.
    pub fn is_scheme(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The value of that name, without quotes and backslashes.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.parameters.value(name)
    }

    fn read(text: &str) -> Option<Self> {
        let mut scanner = Scanner::new(text);
        scanner.skip_space();
        let scheme = scanner.token()?.into();
        scanner.skip_space();
        if scanner.is_end() {
            return Some(Self { scheme, parameters: Parameters::default() });
        }
        let parameters = Parameters::scan_comma_separated(&mut scanner)?;
        Some(Self { scheme, parameters })
    }
}

/// # Errors
/// [`ParseErrorKind::AuthParams`], also for a quote that is not closed and a name that stands twice.
impl FromStr for AuthParams {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::read(text).ok_or_else(|| ParseErrorKind::AuthParams.into())
    }
}

impl fmt::Display for AuthParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Token(&self.scheme).fmt(f)?;
        if self.parameters.is_empty() { Ok(()) } else { write!(f, " {}", self.parameters.comma_separated()) }
    }
}

#[cfg(test)]
mod tests {
    use super::AuthParams;

    #[test]
    fn quoted_and_bare_values_are_read_and_printed() {
        let text = r#"Digest username="a\"b", realm="x, y", nc=00000001, qop=auth, response="""#;
        let params: AuthParams = text.parse().unwrap();
        assert!(params.is_scheme("digest"));
        assert_eq!(params.value("USERNAME"), Some("a\"b"));
        assert_eq!(params.value("realm"), Some("x, y"));
        assert_eq!(params.value("nc"), Some("00000001"));
        assert_eq!(params.value("response"), Some(""));
        assert_eq!(params.to_string(), text);
    }

    #[test]
    fn a_scheme_may_stand_alone() {
        let params: AuthParams = "NoOneKnowsThisScheme ".parse().unwrap();
        assert!(params.parameters.is_empty());
        assert_eq!(params.to_string(), "NoOneKnowsThisScheme");
    }

    #[test]
    fn white_space_may_stand_round_separators() {
        let params: AuthParams = "NoOneKnowsThisScheme opaque-data = here ,a=1 ".parse().unwrap();
        assert_eq!(params.to_string(), "NoOneKnowsThisScheme opaque-data=here, a=1");
    }

    #[test]
    fn what_is_broken_is_refused() {
        for text in [
            "",
            "Digest realm=\"open",
            "Digest a=1,",
            "Digest a=1, a=2",
            "Digest a",
            "Digest a=",
            "Digest ,a=1",
            "Digest a=1 b=2",
            "Digest,a=1",
            "Digest\"a\"",
            "Digest a=\"x\ny\"",
        ] {
            assert!(text.parse::<AuthParams>().is_err(), "{text}");
        }
    }

    #[test]
    fn values_cannot_break_out() {
        let mut params = AuthParams::new("Digest");
        params.parameters.set_quoted("realm", "a\"\r\nX-Evil: 1");
        params.parameters.set("algorithm", Some("MD5"));
        assert_eq!(params.to_string(), "Digest realm=\"a\\\"  X-Evil: 1\", algorithm=MD5");
    }
}
