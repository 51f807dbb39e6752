//! How messages are printed: whatever the values hold, lines end only where this module ends them.
use crate::scan::{is_token_octet, is_unreserved};
use crate::{Contacts, Header, Request, Response};
use std::fmt::{self, Display, Write as _};

impl Request {
    /// The octets of the message, Content-Length computed.
    pub fn print(&self) -> Vec<u8> {
        octets(&format_args!("{} {} SIP/2.0", self.method, self.uri), &self.header, &self.body, &LONG)
    }
}

impl Response {
    /// The octets of the message, Content-Length computed.
    pub fn print(&self) -> Vec<u8> {
        self.print_with(&LONG)
    }

    /// The same, with the fields that every message has under their compact names (RFC 3261 §7.3.3).
    pub fn print_compact(&self) -> Vec<u8> {
        self.print_with(&COMPACT)
    }

    fn print_with(&self, names: &Names) -> Vec<u8> {
        let start = format_args!("SIP/2.0 {} {}", self.status, Line(&self.reason));
        octets(&start, &self.header, &self.body, names)
    }
}

/// How the fields that every message has are named.
struct Names {
    via: &'static str,
    from: &'static str,
    to: &'static str,
    call_id: &'static str,
    contact: &'static str,
    content_length: &'static str,
}

const LONG: Names = Names {
    via: "Via",
    from: "From",
    to: "To",
    call_id: "Call-ID",
    contact: "Contact",
    content_length: "Content-Length",
};
const COMPACT: Names =
    Names { via: "v", from: "f", to: "t", call_id: "i", contact: "m", content_length: "l" };

fn octets(start: &dyn Display, header: &Header, body: &[u8], names: &Names) -> Vec<u8> {
    let mut text = String::with_capacity(1024 + body.len());
    let Names { via: via_name, from, to, call_id, contact: contact_name, content_length } = names;
    line(&mut text, start);
    for via in &header.via {
        line(&mut text, &format_args!("{via_name}: {via}"));
    }
    if let Some(hops) = header.max_forwards {
        line(&mut text, &format_args!("Max-Forwards: {hops}"));
    }
    line(&mut text, &format_args!("{from}: {}", header.from));
    line(&mut text, &format_args!("{to}: {}", header.to));
    line(&mut text, &format_args!("{call_id}: {}", header.call_id));
    line(&mut text, &format_args!("CSeq: {}", header.cseq));
    match &header.contact {
        None => {}
        Some(Contacts::Star) => line(&mut text, &format_args!("{contact_name}: *")),
        Some(Contacts::List(list)) => {
            list.iter().for_each(|contact| line(&mut text, &format_args!("{contact_name}: {contact}")));
        }
    }
    for (name, value) in header.fields.iter() {
        line(&mut text, &format_args!("{name}: {}", Line(value)));
    }
    line(&mut text, &format_args!("{content_length}: {}", body.len()));
    line(&mut text, &"");
    let mut octets = text.into_bytes();
    octets.extend_from_slice(body);
    octets
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
