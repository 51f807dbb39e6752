//! `name-addr` and `addr-spec` with the parameters of their header field (RFC 3261 §25.1).
use crate::print::Quoted;
use crate::scan::{Scanner, is_space};
use crate::{Parameters, ParseError, ParseErrorKind, Uri};
use std::fmt;
use std::str::FromStr;

/// `"Display" <uri>;parameters`, the value of From, To, Contact, Route, Record-Route, Path and their like.
#[derive(Debug, Clone)]
pub struct NameAddr {
    /// Without its quotes and backslashes. May hold control characters that the sender wrote as quoted-pairs
    /// (RFC 4475 §3.1.1.2), never CR or LF.
    pub display_name: Option<Box<str>>,
    /// What stands between `<` and `>`, or in their place.
    pub uri: Uri,
    /// Of the header field: without `<>` all parameters are these (RFC 3261 §20).
    pub parameters: Parameters,
}

impl NameAddr {
    /// No display name, no parameters.
    pub fn new(uri: impl Into<Uri>) -> Self {
        Self { display_name: None, uri: uri.into(), parameters: Parameters::default() }
    }

    /// An empty name is none.
    #[must_use]
    pub fn with_display_name(mut self, name: &str) -> Self {
        self.display_name = (!name.is_empty()).then(|| name.into());
        self
    }

    /// Sets or replaces the `tag` parameter.
    #[must_use]
    pub fn with_tag(mut self, tag: &str) -> Self {
        self.parameters.set("tag", Some(tag));
        self
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&str> {
        self.parameters.value("tag")
    }

    /// One value, up to what is no part of it: the end or a comma, if it is well formed.
    pub(crate) fn scan(scanner: &mut Scanner<'_>) -> Option<Self> {
        scanner.skip_space();
        let display_name = scan_display_name(scanner)?;
        let uri = if scanner.eat(b'<') {
            let uri = Uri::read(scanner.take_while(|octet| octet != b'>'))?;
            scanner.eat(b'>').then_some(uri)?
        } else {
            let uri = scanner.take_while(|octet| !is_space(octet) && !matches!(octet, b';' | b','));
            // RFC 3261 §20: a URI with a question mark has to stand in <>.
            Uri::read(uri).filter(|_| !uri.contains('?'))?
        };
        let parameters = Parameters::scan(scanner)?;
        scanner.skip_space();
        Some(Self { display_name, uri, parameters })
    }

    /// A value that is the whole text.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut scanner = Scanner::new(text);
        Self::scan(&mut scanner).filter(|_| scanner.is_end())
    }

    /// Comma-separated values, at least one and at most so many.
    pub(crate) fn read_list(text: &str, most: usize) -> Option<Vec<Self>> {
        let mut scanner = Scanner::new(text);
        let mut list = Vec::new();
        loop {
            list.push(Self::scan(&mut scanner)?);
            if scanner.is_end() {
                return Some(list);
            }
            if list.len() == most || !scanner.separator(b',') {
                return None;
            }
        }
    }
}

/// Leaves the scanner at `<`, or where an `addr-spec` has to begin. White space before `<` may be missing
/// (RFC 4475 §3.1.1.6), and unquoted names hold more than tokens in the wild.
fn scan_display_name(scanner: &mut Scanner<'_>) -> Option<Option<Box<str>>> {
    if scanner.peek() == Some(b'"') {
        let name = scanner.quoted()?;
        scanner.skip_space();
        return (scanner.peek() == Some(b'<')).then(|| (!name.is_empty()).then(|| name.into()));
    }
    let mut ahead = scanner.clone();
    let name = ahead.take_while(|octet| match octet {
        b'<' | b'>' | b'"' | b',' | b';' | b':' | b'\\' => false,
        _ => octet == b'\t' || !octet.is_ascii_control(),
    });
    if ahead.peek() != Some(b'<') {
        return Some(None);
    }
    *scanner = ahead;
    let name = name.trim_matches([' ', '\t']);
    Some((!name.is_empty()).then(|| name.into()))
}

impl FromStr for NameAddr {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::read(text).ok_or_else(|| ParseErrorKind::NameAddr.into())
    }
}

/// Always with `<>`, the display name always quoted.
impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.display_name {
            write!(f, "{} ", Quoted(name))?;
        }
        write!(f, "<{}>{}", self.uri, self.parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::NameAddr;
    use crate::{Host, SipUri};

    fn name_addr(text: &str) -> NameAddr {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn without_brackets_the_parameters_are_those_of_the_field() {
        let bare = name_addr("sip:user@example.net;tag=x");
        assert_eq!(bare.tag(), Some("x"));
        assert!(bare.uri.as_sip().unwrap().parameters.is_empty());
        let bracketed = name_addr("<sip:user@example.net;tag=x>");
        assert_eq!(bracketed.tag(), None);
        assert_eq!(bracketed.uri.as_sip().unwrap().parameters.value("tag"), Some("x"));
    }

    #[test]
    fn display_names_are_quoted_or_not() {
        for (text, name) in [
            (r#""J Rosenberg \\\"" <sip:a@h> ; tag = 1"#, "J Rosenberg \\\""),
            ("caller<sip:caller@example.com>", "caller"),
            ("token1~` token2'+_ token3*%!.- <sip:a@h>", "token1~` token2'+_ token3*%!.-"),
            ("+1 (555) 0100 <sip:a@h>", "+1 (555) 0100"),
            ("Żółw <sip:a@h>", "Żółw"),
        ] {
            assert_eq!(name_addr(text).display_name.as_deref(), Some(name), "{text}");
        }
        assert_eq!(name_addr("\"\" <sip:a@h>").display_name, None);
    }

    #[test]
    fn what_is_no_name_addr_is_refused() {
        for text in [
            "",
            "\"open <sip:a@h>",
            "Bell, Alexander <sip:a@h>",
            "< sip:a@h >",
            "<sip:a@h",
            "sip:a@h?x=1",
            "<sip:a@h> x",
            "<sip:a@h>,",
            "\"a\" b <sip:a@h>",
            "a",
            "<>",
            "sip:a@h sip:b@h",
            "\"a\" sip:a@h",
            "a\0b <sip:a@h>",
            "a\nb <sip:a@h>",
            "<sip:a@h>\r\n",
        ] {
            assert!(text.parse::<NameAddr>().is_err(), "{text}");
        }
    }

    #[test]
    fn lists_are_cut_at_commas_outside_quotes_and_brackets() {
        let list = NameAddr::read_list("\"a, b\" <sip:a,b@h>;x=\"1,2\" , sip:c@h;lr,<sip:d@h>", 3).unwrap();
        let tags: Vec<_> = list.iter().map(|value| value.uri.to_string()).collect();
        assert_eq!(tags, ["sip:a,b@h", "sip:c@h", "sip:d@h"]);
        assert!(NameAddr::read_list("<sip:a@h>,<sip:b@h>,<sip:c@h>", 2).is_none());
        assert!(NameAddr::read_list("<sip:a@h>,", 9).is_none());
    }

    #[test]
    fn printing_escapes_the_display_name() {
        let uri = SipUri::new(Some("a"), Host::new("h").unwrap(), None);
        let value = NameAddr::new(uri).with_display_name("a\"b\r\nX: 1").with_tag("t");
        assert_eq!(value.to_string(), "\"a\\\"b  X: 1\" <sip:a@h>;tag=t");
    }
}
