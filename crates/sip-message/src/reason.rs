//! The Reason header field (RFC 3326).
use crate::list::split_commas;
use crate::print::Token;
use crate::scan::Scanner;
use crate::{Parameters, ParseError, ParseErrorKind};
use std::fmt;
use std::str::FromStr;

/// One Reason value: why a request was sent (RFC 3326 §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// `SIP`, `Q.850` or another token, as written.
    pub protocol: Box<str>,
    /// A SIP status or a Q.850 cause.
    pub cause: Option<u16>,
    /// For people.
    pub text: Option<Box<str>>,
}

impl Reason {
    /// A value with cause and text.
    pub fn new(protocol: &str, cause: u16, text: &str) -> Self {
        Self { protocol: protocol.into(), cause: Some(cause), text: Some(text.into()) }
    }

    /// All values of one header field.
    ///
    /// # Errors
    /// [`ParseErrorKind::Reason`] when one of them is none.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, ParseError> {
        split_commas(text).map(str::parse).collect()
    }

    /// Compared without case.
    pub fn is_protocol(&self, protocol: &str) -> bool {
        self.protocol.eq_ignore_ascii_case(protocol)
    }

    fn read(text: &str) -> Option<Self> {
        let mut scanner = Scanner::new(text);
        scanner.skip_space();
        let protocol = scanner.token()?.into();
        let parameters = Parameters::scan(&mut scanner)?;
        scanner.skip_space();
        let cause = match parameters.value("cause") {
            Some(cause) => Some(crate::scan::number(cause).and_then(|cause| u16::try_from(cause).ok())?),
            None => None,
        };
        let text = parameters.value("text").map(Into::into);
        scanner.is_end().then_some(Self { protocol, cause, text })
    }
}

/// One value; parameters other than `cause` and `text` are left out.
///
/// # Errors
/// [`ParseErrorKind::Reason`]
impl FromStr for Reason {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::read(text).ok_or_else(|| ParseErrorKind::Reason.into())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Token(&self.protocol).fmt(f)?;
        if let Some(cause) = self.cause {
            write!(f, ";cause={cause}")?;
        }
        match &self.text {
            Some(text) => write!(f, ";text={}", crate::print::Quoted(text)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn lists_are_read() {
        let text = "SIP ;cause=200 ;text=\"Call completed, elsewhere\" , Q.850 ; Cause = 16 ;x=y";
        let list = Reason::parse_list(text).unwrap();
        assert_eq!(list[0], Reason::new("SIP", 200, "Call completed, elsewhere"));
        assert_eq!(list[1], Reason { protocol: "Q.850".into(), cause: Some(16), text: None });
        assert!(list[1].is_protocol("q.850"));
    }

    #[test]
    fn what_is_printed_can_be_read() {
        let reason = Reason::new("Q.850", 17, "User \"busy\"\r\nX: 1");
        assert_eq!(reason.to_string(), "Q.850;cause=17;text=\"User \\\"busy\\\"  X: 1\"");
        assert!(reason.to_string().parse::<Reason>().is_ok());
    }

    #[test]
    fn what_is_no_reason_is_refused() {
        for text in ["", ";cause=1", "SIP;cause=65536", "SIP;cause=x", "SIP;text=\"open", "SIP cause=1"] {
            assert!(text.parse::<Reason>().is_err(), "{text}");
        }
    }
}
