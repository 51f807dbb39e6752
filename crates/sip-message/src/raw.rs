//! The lines of a message as they were sent, good or bad: for those who keep messages without reading them.
//!
//! Nothing is checked and nothing is copied. A line ends in CR, LF or both, so that no reader finds a line where there
//! is none here; a line that begins with white space belongs to the one before it (RFC 3261 §7.3.1).
use crate::FieldName;
use crate::field_name::long_form;
use crate::scan::is_space;

/// A line, with those that continue it.
#[derive(Debug, Clone, Copy)]
pub struct RawLine<'a> {
    /// Where it begins in the message.
    pub start: usize,
    /// Without the end of its last line.
    pub octets: &'a [u8],
    /// An empty line stands before it: of a message without mistakes, the first line of the body.
    pub after_empty_line: bool,
    /// Others continue it.
    pub is_folded: bool,
}

/// The lines of a message, empty ones left out.
#[derive(Debug, Clone)]
pub struct RawLines<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> RawLines<'a> {
    /// All of them, start line and body included.
    pub const fn of(octets: &'a [u8]) -> Self {
        Self { octets, at: 0 }
    }

    /// Behind the line ends at `at`, and whether there is more than one of them.
    fn skip_line_ends(&self, mut at: usize) -> (usize, bool) {
        let mut feeds = 0;
        while let Some(octet) = self.octets.get(at).filter(|octet| is_line_end(**octet)) {
            feeds += usize::from(*octet == b'\n');
            at += 1;
        }
        (at, feeds > 1)
    }

    fn line_end(&self, at: usize) -> usize {
        let rest = self.octets.get(at..).unwrap_or_default();
        at + rest.iter().position(|octet| is_line_end(*octet)).unwrap_or(rest.len())
    }
}

impl<'a> Iterator for RawLines<'a> {
    type Item = RawLine<'a>;

    fn next(&mut self) -> Option<RawLine<'a>> {
        let (start, after_empty_line) = self.skip_line_ends(self.at);
        if start == self.octets.len() {
            return None;
        }
        let first_end = self.line_end(start);
        let mut end = first_end;
        loop {
            let (next, is_after_empty_line) = self.skip_line_ends(end);
            if is_after_empty_line || !self.octets.get(next).is_some_and(|octet| is_space(*octet)) {
                break;
            }
            end = self.line_end(next);
        }
        self.at = end;
        let octets = self.octets.get(start..end)?;
        Some(RawLine { start, octets, after_empty_line, is_folded: end > first_end })
    }
}

impl<'a> RawLine<'a> {
    /// It and each line that continues it, from behind the white space before it to the end of the last one: what stands
    /// where nothing can be continued, as behind a start line, may be read as a line of its own.
    pub fn pieces(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (mut rest, is_folded) = (Some(self.octets), self.is_folded);
        std::iter::from_fn(move || {
            let piece = rest?.trim_ascii_start();
            let next = if is_folded { piece.iter().position(|octet| is_line_end(*octet)) } else { None };
            rest = next.and_then(|end| piece.get(end..));
            (!piece.is_empty()).then_some(piece)
        })
    }

    /// Name and value as those of a header field, each without the white space around it.
    pub fn field(&self) -> Option<(&'a [u8], &'a [u8])> {
        let colon = self.octets.iter().position(|octet| *octet == b':')?;
        let (name, value) = self.octets.split_at_checked(colon)?;
        Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
    }

    /// The value, if this is the header field of that name, written long or compact.
    pub fn value_of(&self, name: &FieldName) -> Option<&'a [u8]> {
        let (written, value) = self.field()?;
        let is_it = match written {
            [letter] => long_form(*letter, "") == name.as_str(),
            long => long.eq_ignore_ascii_case(name.as_str().as_bytes()),
        };
        is_it.then_some(value)
    }
}

/// The Call-ID of a message, good or bad; the first, if there are two.
pub fn raw_call_id(octets: &[u8]) -> Option<&str> {
    let mut lines = RawLines::of(octets).skip(1).take_while(|line| !line.after_empty_line);
    let value = lines.find_map(|line| line.value_of(&FieldName::CALL_ID))?;
    std::str::from_utf8(value).ok()
}

const fn is_line_end(octet: u8) -> bool {
    matches!(octet, b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::{RawLines, raw_call_id};
    use crate::FieldName;

    fn lines(octets: &[u8]) -> Vec<(&str, bool)> {
        let shown = |octets| std::str::from_utf8(octets).unwrap();
        RawLines::of(octets).map(|line| (shown(line.octets), line.after_empty_line)).collect()
    }

    #[test]
    fn a_line_has_its_folds_and_ends_at_any_line_end() {
        let found = lines(b"\r\nX y\r\nA: 1\r\n\t2\n 3\rB: 4\r\n\r\nv=0\r\n\nw");
        let expected =
            [("X y", false), ("A: 1\r\n\t2\n 3", false), ("B: 4", false), ("v=0", true), ("w", true)];
        assert_eq!(found, expected);
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\r\n\r\n"), []);
        let octets = b"X\r\nA: 1\r\n";
        assert!(RawLines::of(octets).all(|line| octets[line.start..].starts_with(line.octets)));
    }

    #[test]
    fn a_body_that_begins_with_a_space_does_not_continue_the_header() {
        assert_eq!(lines(b"X\r\nA: 1\r\n\r\n body"), [("X", false), ("A: 1", false), (" body", true)]);
    }

    #[test]
    fn the_lines_that_continue_one_are_found() {
        let pieces = |octets: &'static str| {
            let lines = RawLines::of(octets.as_bytes());
            let pieces =
                lines.flat_map(|line| line.pieces()).map(|piece| std::str::from_utf8(piece).unwrap());
            pieces.collect::<Vec<_>>()
        };
        assert_eq!(
            pieces("X y\r\n A: 1\r\n\t \r\n\t2 \r\nB: 3\r\n"),
            ["X y\r\n A: 1\r\n\t \r\n\t2 ", "A: 1\r\n\t \r\n\t2 ", "2 ", "B: 3"]
        );
        assert_eq!(pieces("X\r\n\r\n  v=0\n "), ["X", "v=0\n "]);
        assert_eq!(pieces(" "), [""; 0]);
        assert!(RawLines::of(b"A: 1\r\nB: 2\r\n").all(|line| !line.is_folded));
    }

    #[test]
    fn names_are_compared_as_those_of_fields() {
        let value =
            |line: &'static [u8], name| RawLines::of(line).next().and_then(|line| line.value_of(&name));
        assert_eq!(value(b"I : x", FieldName::CALL_ID), Some(&b"x"[..]));
        assert_eq!(
            value(b"AUTHORIZATION\r\n : x\r\n y\r\n", FieldName::AUTHORIZATION),
            Some(&b"x\r\n y"[..])
        );
        assert_eq!(value(b"Authorizations: x", FieldName::AUTHORIZATION), None);
        assert_eq!(value(b"z: x", FieldName::CALL_ID), None);
        assert_eq!(value(b"no field", FieldName::CALL_ID), None);
    }

    #[test]
    fn the_call_id_is_found_wherever_it_stands_in_the_header() {
        let id =
            |rest: &str| raw_call_id(format!("BYE sip:a SIP/2.0\r\n{rest}").as_bytes()).map(str::to_owned);
        assert_eq!(id("Via: x\r\ncall-id: a@b\r\n\r\n").as_deref(), Some("a@b"));
        assert_eq!(id("i:\r\n a@b \r\nCall-ID: other\r\n\r\n").as_deref(), Some("a@b"));
        assert_eq!(id("Via: x\r\n\r\nCall-ID: a@b"), None);
        assert_eq!(raw_call_id(b"Call-ID: x"), None);
        assert_eq!(raw_call_id(b"\r\n\r\nX\r\ni: x\r\n"), Some("x"));
    }
}
