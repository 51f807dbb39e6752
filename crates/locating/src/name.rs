//! Names of domains and hosts, and how what is none is shown.

use std::fmt::{self, Write as _};

/// RFC 1035 §2.3.4, less the dot at the end and the octet of length before the first label.
const NAME_MAX: usize = 253;
/// RFC 1035 §2.3.4.
const LABEL_MAX: usize = 63;
/// More of a text is not shown.
const SHOWN_MAX: usize = 255;

/// The name in lower case without a dot at the end, when it is one that can be asked for: letters, digits, hyphens and
/// underscores in its labels, and more than a number for its last, so that no address passes for a name.
pub(crate) fn read(text: &str) -> Option<Box<str>> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_sound = name.len() <= NAME_MAX && name.split('.').all(is_label) && !ends_in_a_number(name);
    is_sound.then(|| name.to_ascii_lowercase().into())
}

fn is_label(label: &str) -> bool {
    let is_octet = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    (1..=LABEL_MAX).contains(&label.len()) && label.bytes().all(is_octet)
}

fn ends_in_a_number(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, top)| top.bytes().all(|octet| octet.is_ascii_digit()))
}

/// A text that a stranger wrote: what could end a line or move a cursor is escaped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printable<'a>(pub(crate) &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars().take(SHOWN_MAX) {
            match character {
                ' '..='~' => f.write_char(character)?,
                other => write!(f, "{}", other.escape_default())?,
            }
        }
        match self.0.chars().nth(SHOWN_MAX) {
            Some(_) => f.write_char('…'),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_one_form() {
        for (text, name) in [
            ("Carrier.Example.", "carrier.example"),
            ("_sip._udp.carrier.example", "_sip._udp.carrier.example"),
            ("pbx", "pbx"),
            ("1001", "1001"),
        ] {
            assert_eq!(read(text).as_deref(), Some(name));
        }
        let (label, long) = ("a".repeat(LABEL_MAX), "a.".repeat(NAME_MAX / 2));
        assert!(read(&label).is_some() && read(&format!("{long}a")).is_some());
        for text in ["", ".", "a..b", ".a", "a b", "é.example", "a\0", "192.0.2.1", "2001:db8::1"] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!(read(&format!("{label}a")), None);
        assert_eq!(read(&format!("{long}aa")), None);
    }

    #[test]
    fn what_a_stranger_wrote_stays_in_its_line() {
        assert_eq!(Printable("a\r\n\u{1b}[2J é").to_string(), "a\\r\\n\\u{1b}[2J \\u{e9}");
        assert_eq!(Printable(&"a".repeat(SHOWN_MAX)).to_string().chars().last(), Some('a'));
        assert_eq!(Printable(&"a".repeat(SHOWN_MAX + 1)).to_string().chars().last(), Some('…'));
    }
}
