//! Character classes of RFC 3261 §25.1, and a scanner over the text of one header field.

/// One `token` and nothing else.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_octet)
}

pub(crate) const fn is_token_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || matches!(octet, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

pub(crate) const fn is_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// `unreserved`
pub(crate) const fn is_unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || matches!(octet, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')')
}

/// A decimal number that saturates; `None` when there is anything but digits.
pub(crate) fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// A port of 1*DIGIT, up to 65535.
pub(crate) fn port(digits: &str) -> Option<u16> {
    number(digits).and_then(|number| u16::try_from(number).ok())
}

/// Reads one unfolded field value from left to right.
#[derive(Debug, Clone)]
pub(crate) struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    pub(crate) const fn rest(&self) -> &'a str {
        self.rest
    }

    pub(crate) const fn is_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.bytes().next()
    }

    pub(crate) fn skip_space(&mut self) {
        self.take_while(is_space);
    }

    /// The octet itself, with no white space around it.
    pub(crate) fn eat(&mut self, octet: u8) -> bool {
        let found = self.peek() == Some(octet);
        if found {
            self.split(1);
        }
        found
    }

    /// `SWS octet SWS`; takes nothing when the octet is not there.
    pub(crate) fn separator(&mut self, octet: u8) -> bool {
        let before = self.rest;
        self.skip_space();
        if !self.eat(octet) {
            self.rest = before;
            return false;
        }
        self.skip_space();
        true
    }

    /// May be empty. The class must take all octets over 127 or none of them.
    pub(crate) fn take_while(&mut self, class: impl Fn(u8) -> bool) -> &'a str {
        let length = self.rest.bytes().position(|octet| !class(octet)).unwrap_or(self.rest.len());
        self.split(length)
    }

    pub(crate) fn token(&mut self) -> Option<&'a str> {
        let token = self.take_while(is_token_octet);
        (!token.is_empty()).then_some(token)
    }

    /// A `quoted-string`, without its quotes and backslashes; `None` when it is not closed or holds a control
    /// character that is no quoted-pair.
    pub(crate) fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut characters = self.rest.char_indices();
        characters.next().filter(|(_, first)| *first == '"')?;
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.split(at + 1);
                    return Some(text);
                }
                '\\' => {
                    text.push(characters.next().map(|(_, pair)| pair).filter(|c| !matches!(c, '\r' | '\n'))?)
                }
                control if control.is_ascii_control() && control != '\t' => return None,
                other => text.push(other),
            }
        }
        None
    }

    fn split(&mut self, at: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(at).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::{Scanner, is_token, number, port};

    #[test]
    fn separators_take_the_white_space_around_them() {
        let mut scanner = Scanner::new("a \t; b");
        assert_eq!(scanner.token(), Some("a"));
        assert!(!scanner.separator(b','));
        assert!(scanner.separator(b';'));
        assert_eq!(scanner.rest(), "b");
    }

    #[test]
    fn quoted_pairs_lose_their_backslash() {
        let mut scanner = Scanner::new(r#""a\"b\\" rest"#);
        assert_eq!(scanner.quoted().as_deref(), Some(r#"a"b\"#));
        assert_eq!(scanner.rest(), " rest");
        assert_eq!(Scanner::new("\"NUL \\\0\"").quoted().as_deref(), Some("NUL \0"));
    }

    #[test]
    fn open_quotes_and_bare_controls_are_refused() {
        for text in ["\"abc", "\"abc\\\"", "\"a\0b\"", "\"a\rb\"", "\"a\\\rb\"", "abc", ""] {
            assert_eq!(Scanner::new(text).quoted(), None, "{text:?}");
        }
    }

    #[test]
    fn numbers_never_wrap() {
        assert_eq!(number("0009"), Some(9));
        assert_eq!(number("36893488147419103232"), Some(u64::MAX));
        for text in ["", "-1", "+1", "1 ", "five"] {
            assert_eq!(number(text), None, "{text:?}");
        }
        assert_eq!(port("65535"), Some(65535));
        assert_eq!(port("65536"), None);
    }

    #[test]
    fn tokens_are_ascii() {
        assert!(is_token("!interesting-Method0123456789_*+`.%indeed'~"));
        assert!(!is_token("") && !is_token("a b") && !is_token("é") && !is_token("a:b"));
    }
}
