//! Parameters of header fields and of URIs.
use crate::limits;
use crate::print::{Escaped, Quoted};
use crate::scan::{Scanner, is_token_octet, is_unreserved};
use std::fmt::{self, Write as _};

/// `;name=value;name`, in order; names compared without case, and no name twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(Vec<Parameter>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parameter {
    name: Box<str>,
    value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Absent,
    Bare(Box<str>),
    Quoted(Box<str>),
}

impl Parameters {
    /// `None` when absent; `Some(None)` when present without a value; a quoted value comes unquoted.
    pub fn get(&self, name: &str) -> Option<Option<&str>> {
        self.0
            .iter()
            .find(|parameter| parameter.name.eq_ignore_ascii_case(name))
            .map(|found| found.value.text())
    }

    /// The value, when there is one.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.get(name).flatten()
    }

    /// Replaces the value, or appends the parameter. Octets that may not stand in a name are replaced by `_`.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        self.put(name, value.map_or(Value::Absent, |value| Value::Bare(value.into())));
    }

    /// As [`set`](Self::set), with a value that is printed in quotes even where a token would do.
    pub fn set_quoted(&mut self, name: &str, value: &str) {
        self.put(name, Value::Quoted(value.into()));
    }

    /// Nothing happens when it is absent.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|parameter| !parameter.name.eq_ignore_ascii_case(name));
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|parameter| (&*parameter.name, parameter.value.text()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn put(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|parameter| parameter.name.eq_ignore_ascii_case(name)) {
            Some(parameter) => parameter.value = value,
            None => self.0.push(Parameter { name: clean_name(name), value }),
        }
    }

    /// `*( SEMI generic-param )` of a header field, up to what is none.
    pub(crate) fn scan(scanner: &mut Scanner<'_>) -> Option<Self> {
        let mut parameters = Self::default();
        while scanner.separator(b';') {
            // Some write one too many, and nothing behind it.
            if matches!(scanner.peek(), None | Some(b';' | b',')) {
                continue;
            }
            let name = scanner.token()?;
            parameters.append(name, Value::scan(scanner)?)?;
        }
        Some(parameters)
    }

    /// As [`scan`](Self::scan), but keeps what it can read, and never fails.
    pub(crate) fn scan_readable(scanner: &mut Scanner<'_>) -> Self {
        let mut parameters = Self::default();
        while scanner.separator(b';') {
            let Some(name) = scanner.token() else { continue };
            let Some(value) = Value::scan(scanner) else { break };
            // What is repeated is left out.
            let _ = parameters.append(name, value);
        }
        parameters
    }

    /// `name=value` pairs between commas, each with a value (RFC 3261 §25.1 `auth-param`), to the end.
    pub(crate) fn scan_comma_separated(scanner: &mut Scanner<'_>) -> Option<Self> {
        let mut parameters = Self::default();
        loop {
            let name = scanner.token()?;
            let value = Value::scan(scanner).filter(|value| *value != Value::Absent)?;
            parameters.append(name, value)?;
            if !scanner.separator(b',') {
                scanner.skip_space();
                return scanner.is_end().then_some(parameters);
            }
        }
    }

    /// `*( ";" uri-parameter )` of a URI.
    pub(crate) fn scan_uri(scanner: &mut Scanner<'_>) -> Option<Self> {
        let mut parameters = Self::default();
        while scanner.eat(b';') {
            if matches!(scanner.peek(), None | Some(b';' | b'?')) {
                continue;
            }
            let name = scanner.take_while(is_uri_octet);
            let value =
                scanner.eat(b'=').then(|| scanner.take_while(|octet| is_uri_octet(octet) || octet == b'='));
            let value = value.filter(|value| !value.is_empty());
            if name.is_empty()
                || !crate::uri::escapes_are_whole(name)
                || !value.is_none_or(crate::uri::escapes_are_whole)
            {
                return None;
            }
            parameters.append(name, value.map_or(Value::Absent, |value| Value::Bare(value.into())))?;
        }
        Some(parameters)
    }

    /// `None` when there are too many, or the name is there already (RFC 3261 §7.3.1, §19.1.1).
    fn append(&mut self, name: &str, value: Value) -> Option<()> {
        if self.0.len() >= limits::PARAMETERS || self.get(name).is_some() {
            return None;
        }
        self.0.push(Parameter { name: name.into(), value });
        Some(())
    }

    pub(crate) fn comma_separated(&self) -> impl fmt::Display {
        fmt::from_fn(|f| {
            let mut separator = "";
            self.0.iter().try_for_each(|parameter| {
                write!(f, "{}{}", std::mem::replace(&mut separator, ", "), parameter)
            })
        })
    }

    pub(crate) fn of_uri(&self) -> impl fmt::Display {
        fmt::from_fn(|f| {
            self.0.iter().try_for_each(|Parameter { name, value }| {
                write!(f, ";{}", Escaped(name, is_uri_octet))?;
                match value.text() {
                    None | Some("") => Ok(()),
                    Some(value) => {
                        write!(f, "={}", Escaped(value, |octet| is_uri_octet(octet) || octet == b'='))
                    }
                }
            })
        })
    }
}

/// As they stand in a header field.
impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|parameter| write!(f, ";{parameter}"))
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::print::Token(&self.name).fmt(f)?;
        match &self.value {
            Value::Absent => Ok(()),
            Value::Bare(value) if !value.is_empty() && value.bytes().all(is_bare_octet) => {
                f.write_char('=')?;
                f.write_str(value)
            }
            Value::Bare(value) | Value::Quoted(value) => write!(f, "={}", Quoted(value)),
        }
    }
}

impl Value {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Absent => None,
            Self::Bare(value) | Self::Quoted(value) => Some(value),
        }
    }

    /// `[ EQUAL ( token / host / quoted-string ) ]`; a bare value is read as far as no separator stands in it,
    /// because branches and the like hold more than tokens in the wild.
    fn scan(scanner: &mut Scanner<'_>) -> Option<Self> {
        if !scanner.separator(b'=') {
            return Some(Self::Absent);
        }
        if scanner.peek() == Some(b'"') {
            return scanner.quoted().map(|value| Self::Quoted(value.into()));
        }
        let value = scanner.take_while(is_bare_octet);
        Some(if value.is_empty() { Self::Absent } else { Self::Bare(value.into()) })
    }
}

const fn is_bare_octet(octet: u8) -> bool {
    octet.is_ascii_graphic() && !matches!(octet, b';' | b',' | b'"' | b'<' | b'>' | b'\\')
}

/// `paramchar`, but for the escape.
const fn is_uri_octet(octet: u8) -> bool {
    is_unreserved(octet) || matches!(octet, b'[' | b']' | b'/' | b':' | b'&' | b'+' | b'$' | b'%')
}

fn clean_name(name: &str) -> Box<str> {
    let octet = |octet| if is_token_octet(octet) || is_uri_octet(octet) { octet as char } else { '_' };
    name.bytes().map(octet).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::Parameters;
    use crate::scan::Scanner;

    fn header(text: &str) -> Option<Parameters> {
        let mut scanner = Scanner::new(text);
        Parameters::scan(&mut scanner).filter(|_| scanner.is_end())
    }

    #[test]
    fn names_are_compared_without_case() {
        let parameters = header("; Tag = abc ;lr").unwrap();
        assert_eq!(parameters.value("tAG"), Some("abc"));
        assert_eq!(parameters.get("LR"), Some(None));
        assert_eq!(parameters.get("absent"), None);
    }

    #[test]
    fn quoted_values_come_unquoted_and_go_quoted() {
        let parameters = header(r#";a="x;y\"";b="plain""#).unwrap();
        assert_eq!(parameters.value("a"), Some("x;y\""));
        assert_eq!(parameters.to_string(), r#";a="x;y\"";b="plain""#);
    }

    #[test]
    fn a_value_that_is_no_token_is_quoted() {
        let mut parameters = Parameters::default();
        parameters.set("text", Some("a b\r\nX: 1"));
        parameters.set("received", Some("2001:db8::1"));
        assert_eq!(parameters.to_string(), ";text=\"a b  X: 1\";received=2001:db8::1");
    }

    #[test]
    fn empty_and_repeated_names_are_refused() {
        for text in [";=x", ";a=1;A=2", ";a=\"x", ";a=<b>"] {
            assert_eq!(header(text), None, "{text}");
        }
    }

    #[test]
    fn a_semicolon_too_many_is_passed_over() {
        for (text, kept) in
            [(";", ""), (";;", ""), (";a=1;", ";a=1"), (";;a=1", ";a=1"), (";a ; ;b=2", ";a;b=2")]
        {
            assert_eq!(header(text).expect(text).to_string(), kept, "{text}");
        }
    }

    #[test]
    fn there_are_64_at_most() {
        let many = |count: usize| (0..count).map(|number| format!(";p{number}")).collect::<String>();
        assert!(header(&many(64)).is_some());
        assert!(header(&many(65)).is_none());
    }

    #[test]
    fn a_uri_escapes_what_it_cannot_hold() {
        let mut parameters = Parameters::default();
        parameters.set("x", Some("a b>\r\n"));
        parameters.set("lr", None);
        assert_eq!(parameters.of_uri().to_string(), ";x=a%20b%3E%0D%0A;lr");
    }

    #[test]
    fn set_replaces_in_place() {
        let mut parameters = header(";a=1;rport;b=2").unwrap();
        parameters.set("RPORT", Some("5060"));
        assert_eq!(parameters.to_string(), ";a=1;rport=5060;b=2");
        parameters.remove("A");
        assert_eq!(parameters.to_string(), ";rport=5060;b=2");
    }
}
