//! How messages are printed: whatever the values hold, lines end only where this module ends them.
use crate::scan::{is_token_octet, is_unreserved};
use crate::{Contacts, Header, NameAddr, Request, Response};
use std::fmt::{self, Display, Write as _};

impl Request {
    /// The octets of the message, Content-Length computed.
    pub fn print(&self) -> Vec<u8> {
        octets(&format_args!("{} {} SIP/2.0", self.method, self.uri), &self.header, &self.body)
    }
}

impl Response {
    /// The octets of the message, Content-Length computed.
    pub fn print(&self) -> Vec<u8> {
        octets(&format_args!("SIP/2.0 {} {}", self.status, Line(&self.reason)), &self.header, &self.body)
    }
}

fn octets(start: &dyn Display, header: &Header, body: &[u8]) -> Vec<u8> {
    let mut text = String::with_capacity(1024 + body.len());
    line(&mut text, start);
    for via in &header.via {
        line(&mut text, &format_args!("Via: {via}"));
    }
    if let Some(hops) = header.max_forwards {
        line(&mut text, &format_args!("Max-Forwards: {hops}"));
    }
    line(&mut text, &format_args!("From: {}", header.from));
    line(&mut text, &format_args!("To: {}", header.to));
    line(&mut text, &format_args!("Call-ID: {}", header.call_id));
    line(&mut text, &format_args!("CSeq: {}", header.cseq));
    match &header.contact {
        None => {}
        Some(Contacts::Star) => line(&mut text, &"Contact: *"),
        Some(Contacts::List(list)) => contacts(&mut text, list),
    }
    for (name, value) in header.fields.iter() {
        line(&mut text, &format_args!("{name}: {}", Line(value)));
    }
    line(&mut text, &format_args!("Content-Length: {}", body.len()));
    line(&mut text, &"");
    let mut octets = text.into_bytes();
    octets.extend_from_slice(body);
    octets
}

fn contacts(text: &mut String, list: &[NameAddr]) {
    for contact in list {
        line(text, &format_args!("Contact: {contact}"));
    }
}

fn line(text: &mut String, content: &dyn Display) {
    write!(text, "{content}\r\n").expect("writing to a string does not fail");
}

/// Text that may not end the line: every control character but HTAB is printed as a space.
pub(crate) struct Line<'a>(pub(crate) &'a str);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| f.write_char(if c.is_ascii_control() && c != '\t' { ' ' } else { c }))
    }
}

/// A token; octets that may not stand in one are printed as `_`.
pub(crate) struct Token<'a>(pub(crate) &'a str);

impl Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .bytes()
            .try_for_each(|octet| f.write_char(if is_token_octet(octet) { octet as char } else { '_' }))
    }
}

/// A quoted-string. CR and LF cannot be written in one and become a space; other control characters become
/// quoted-pairs, as RFC 3261 §25.1 allows.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '\r' | '\n' => f.write_char(' ')?,
                '"' | '\\' => write!(f, "\\{character}")?,
                control if control.is_ascii_control() && control != '\t' => write!(f, "\\{control}")?,
                other => f.write_char(other)?,
            }
        }
        f.write_char('"')
    }
}

/// Part of a URI with its escapes as written: what the class does not allow is escaped.
pub(crate) struct Escaped<'a>(pub(crate) &'a str, pub(crate) fn(u8) -> bool);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for octet in self.0.bytes() {
            if octet == b'%' || is_unreserved(octet) || (self.1)(octet) {
                f.write_char(octet as char)?;
            } else {
                write!(f, "%{octet:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Escaped, Line, Quoted, Token};

    #[test]
    fn nothing_ends_a_line() {
        let evil = "a\r\nX-Evil: 1\0\u{7f}";
        assert_eq!(Line(evil).to_string(), "a  X-Evil: 1  ");
        assert_eq!(Token(evil).to_string(), "a__X-Evil__1__");
        assert_eq!(Quoted(evil).to_string(), "\"a  X-Evil: 1\\\0\\\u{7f}\"");
        assert_eq!(Escaped(evil, |_| false).to_string(), "a%0D%0AX-Evil%3A%201%00%7F");
    }

    #[test]
    fn quotes_and_backslashes_are_escaped() {
        assert_eq!(Quoted(r#"a"b\"#).to_string(), r#""a\"b\\""#);
    }

    #[test]
    fn escapes_stay_as_written() {
        assert_eq!(Escaped("%41%zz é", |_| false).to_string(), "%41%zz%20%C3%A9");
    }
}
