//! A message cut into start line, unfolded header fields and body (RFC 3261 §7), before any value is read.
use crate::scan::is_space;
use crate::{FieldName, ParseErrorKind, limits};

/// What stands where, and the first thing that is wrong with it. Lines end in CRLF; a bare LF is taken too.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    pub(crate) start_line: &'a [u8],
    pub(crate) fields: Vec<Field>,
    /// What follows the empty line.
    pub(crate) body: &'a [u8],
    /// Of all of it.
    pub(crate) octets: usize,
    /// With one, `fields` holds what was read up to it or past it.
    pub(crate) problem: Option<ParseErrorKind>,
}

/// A header field, its value unfolded, trimmed and made UTF-8.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: FieldName,
    pub(crate) value: String,
}

impl<'a> Section<'a> {
    /// Begins with the start line: empty lines before it are gone already.
    pub(crate) fn read(octets: &'a [u8]) -> Self {
        let mut lines = Lines { rest: octets, left: limits::HEADER_OCTETS };
        let mut section =
            Self { start_line: b"", fields: Vec::new(), body: b"", octets: octets.len(), problem: None };
        match lines.next() {
            Some(line) => section.start_line = line,
            None => {
                section.note(lines.why_no_line());
                return section;
            }
        }
        let mut pending = None;
        loop {
            match lines.next() {
                None => {
                    section.note(lines.why_no_line());
                    section.keep(pending);
                    return section;
                }
                Some([]) => {
                    section.keep(pending);
                    section.body = lines.rest;
                    return section;
                }
                Some([first, ..])
                    if !is_space(*first)
                        && section.fields.len() + usize::from(pending.is_some()) == limits::FIELDS =>
                {
                    section.note(ParseErrorKind::TooManyFields);
                    section.keep(pending);
                    return section;
                }
                Some(line) => pending = section.line(pending, line),
            }
            if pending.as_ref().is_some_and(|field: &Pending<'_>| field.value.len() > limits::FIELD_OCTETS) {
                section.note(ParseErrorKind::FieldTooLarge);
                // What it is answered with stands in it.
                pending = pending.filter(|field| ANSWERED_WITH.contains(&field.name));
            }
        }
    }

    /// Takes a line of the header, and returns the field that it belongs to.
    fn line(&mut self, mut pending: Option<Pending<'a>>, line: &'a [u8]) -> Option<Pending<'a>> {
        if line.first().is_some_and(|first| is_space(*first)) {
            match &mut pending {
                Some(field) => field.fold(line),
                None => self.note(ParseErrorKind::HeaderLine),
            }
            return pending;
        }
        self.keep(pending);
        let field = Pending::new(line);
        if field.is_none() {
            self.note(ParseErrorKind::HeaderLine);
        }
        field
    }

    fn keep(&mut self, pending: Option<Pending<'a>>) {
        let Some(Pending { name, value }) = pending else { return };
        if controls_are_out_of_place(&value) {
            self.note(ParseErrorKind::ControlCharacter);
        }
        self.fields.push(Field { name, value: String::from_utf8_lossy(&value).into_owned() });
    }

    fn note(&mut self, problem: ParseErrorKind) {
        self.problem.get_or_insert(problem);
    }
}

struct Lines<'a> {
    rest: &'a [u8],
    /// Octets that header and start line may still take.
    left: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.iter().take(self.left).position(|octet| *octet == b'\n')?;
        let (line, rest) = self.rest.split_at_checked(end + 1)?;
        self.rest = rest;
        self.left -= line.len();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    const fn why_no_line(&self) -> ParseErrorKind {
        if self.rest.len() > self.left {
            ParseErrorKind::HeaderTooLarge
        } else {
            ParseErrorKind::HeaderNotEnded
        }
    }
}

struct Pending<'a> {
    name: FieldName,
    value: std::borrow::Cow<'a, [u8]>,
}

impl<'a> Pending<'a> {
    fn new(line: &'a [u8]) -> Option<Self> {
        let colon = line.iter().position(|octet| *octet == b':')?;
        let (name, value) = line.split_at_checked(colon)?;
        let name = std::str::from_utf8(trim(name)).ok().and_then(FieldName::new)?;
        Some(Self { name, value: trim(value.strip_prefix(b":")?).into() })
    }

    fn fold(&mut self, line: &[u8]) {
        let more = trim(line);
        if !more.is_empty() {
            let value = self.value.to_mut();
            if !value.is_empty() {
                value.push(b' ');
            }
            value.extend_from_slice(more);
        }
    }
}

/// Fields of a request that its response repeats (RFC 3261 §8.2.6.2).
const ANSWERED_WITH: [FieldName; 5] =
    [FieldName::VIA, FieldName::FROM, FieldName::TO, FieldName::CALL_ID, FieldName::CSEQ];

fn trim(mut octets: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = octets
        && is_space(*first)
    {
        octets = rest;
    }
    while let [rest @ .., last] = octets
        && is_space(*last)
    {
        octets = rest;
    }
    octets
}

/// Control characters other than HTAB stand in quoted-pairs only, CR not even there (RFC 3261 §25.1).
fn controls_are_out_of_place(value: &[u8]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    value.iter().any(|octet| {
        let pair = escaped;
        escaped = quoted && !pair && *octet == b'\\';
        quoted ^= *octet == b'"' && !pair;
        octet.is_ascii_control() && *octet != b'\t' && (!pair || *octet == b'\r')
    })
}

#[cfg(test)]
mod tests {
    use super::Section;
    use crate::{ParseErrorKind, limits};

    fn values(section: &Section<'_>) -> Vec<String> {
        section.fields.iter().map(|field| format!("{}={}", field.name, field.value)).collect()
    }

    #[test]
    fn folds_are_one_space_and_names_may_have_white_space_after() {
        let section = Section::read(b"X\r\nTO :\r\n a\r\n\t b \r\n \r\ns:\r\nv: x\r\n\r\nbody");
        assert_eq!(values(&section), ["To=a b", "Subject=", "Via=x"]);
        assert_eq!((section.start_line, section.body, section.problem), (&b"X"[..], &b"body"[..], None));
    }

    #[test]
    fn bare_line_feeds_end_lines_too() {
        let section = Section::read(b"X\nX-A: 1\nX-B: 2\r\n\nbody");
        assert_eq!(values(&section), ["X-A=1", "X-B=2"]);
        assert_eq!(section.body, b"body");
    }

    #[test]
    fn problems_are_noted_and_reading_goes_on() {
        for (octets, problem) in [
            (&b"X\r\nnonsense\r\nX-B: 2\r\n\r\n"[..], ParseErrorKind::HeaderLine),
            (b"X\r\n folded\r\nX-B: 2\r\n\r\n", ParseErrorKind::HeaderLine),
            (b"X\r\n\x0bX-A: 1\r\nX-B: 2\r\n\r\n", ParseErrorKind::HeaderLine),
            (b"X\r\nX-B: 2\r\n", ParseErrorKind::HeaderNotEnded),
            (b"X\r\nX-B: 2\r\nC: cut", ParseErrorKind::HeaderNotEnded),
        ] {
            let section = Section::read(octets);
            assert_eq!(section.problem, Some(problem), "{octets:?}");
            assert_eq!(values(&section), ["X-B=2"], "{octets:?}");
        }
        assert_eq!(Section::read(b"X").problem, Some(ParseErrorKind::HeaderNotEnded));
    }

    #[test]
    fn controls_stand_in_quoted_pairs_only() {
        for (value, bad) in [
            ("\"\\\0 \\\u{7} \\\u{7f}\"", false),
            ("a\tb", false),
            ("a\0b", true),
            ("\"a\0b\"", true),
            ("\\\0", true),
            ("\"\\\\\0\"", true),
            ("\"\\\"\\\0\"", false),
            ("\"a\\\r\"", true),
            ("\"a\"\\\0", true),
            ("a\rb", true),
        ] {
            let octets = format!("X\r\nA: {value}\r\n\r\n");
            let problem = Section::read(octets.as_bytes()).problem;
            assert_eq!(problem, bad.then_some(ParseErrorKind::ControlCharacter), "{value:?}");
        }
    }

    #[test]
    fn the_limits_hold() {
        let many = format!("X\r\n{}\r\n", "A: 1\r\n".repeat(limits::FIELDS + 1));
        assert_eq!(Section::read(many.as_bytes()).problem, Some(ParseErrorKind::TooManyFields));
        let enough = format!("X\r\n{}\r\n", "A: 1\r\n".repeat(limits::FIELDS));
        assert_eq!(Section::read(enough.as_bytes()).problem, None);
        let long = format!("X\r\nA: {}\r\n\r\n", "x".repeat(limits::FIELD_OCTETS + 1));
        assert_eq!(Section::read(long.as_bytes()).problem, Some(ParseErrorKind::FieldTooLarge));
        let folded = format!("X\r\nA: 1{}\r\n\r\n", "\r\n 1".repeat(limits::FIELD_OCTETS));
        assert_eq!(Section::read(folded.as_bytes()).problem, Some(ParseErrorKind::FieldTooLarge));
        let deep = format!("X\r\n{}\r\n", format!("A: {}\r\n", "x".repeat(8000)).repeat(5));
        assert_eq!(Section::read(deep.as_bytes()).problem, Some(ParseErrorKind::HeaderTooLarge));
        let body = format!("X\r\nA: 1\r\n\r\n{}", "\n".repeat(limits::HEADER_OCTETS));
        assert_eq!(Section::read(body.as_bytes()).problem, None);
    }
}
