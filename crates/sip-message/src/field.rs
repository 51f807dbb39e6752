//! Values of the header fields that are typed in [`Header`](crate::Header).
use crate::print::Line;
use crate::scan::{self, Scanner};
use crate::{Method, NameAddr, limits};
use std::fmt;

/// CSeq (RFC 3261 §20.16); the number is below 2³¹.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CSeq {
    /// The sequence number.
    pub number: u32,
    /// That of the request.
    pub method: Method,
}

impl CSeq {
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut scanner = Scanner::new(text);
        let number = scan::number(scanner.take_while(|octet| octet.is_ascii_digit()))?;
        let space = scanner.take_while(scan::is_space);
        let method = Method::new(scanner.rest())?;
        let number = u32::try_from(number).ok().filter(|number| *number < 1 << 31)?;
        (!space.is_empty()).then_some(Self { number, method })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// Call-ID (RFC 3261 §20.8), compared with case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub Box<str>);

impl CallId {
    /// `word [ "@" word ]`; any printable ASCII is taken, as it is only ever compared.
    pub(crate) fn read(text: &str) -> Option<Self> {
        (!text.is_empty() && text.bytes().all(|octet| octet.is_ascii_graphic())).then(|| Self(text.into()))
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Line(&self.0).fmt(f)
    }
}

/// The Contact values of a message (RFC 3261 §20.10).
#[derive(Debug, Clone)]
pub enum Contacts {
    /// `*`: all bindings of a REGISTER (RFC 3261 §10.2.2).
    Star,
    /// At least one in a message that was parsed.
    List(Vec<NameAddr>),
}

impl Contacts {
    /// The values of one header field.
    pub(crate) fn read(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Star);
        }
        NameAddr::read_list(text, limits::CONTACT_VALUES).map(Self::List)
    }

    /// Both as one; `None` when `*` is not alone or there are too many.
    pub(crate) fn join(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::List(mut list), Self::List(more)) => {
                list.extend(more);
                (list.len() <= limits::CONTACT_VALUES).then_some(Self::List(list))
            }
            (Self::Star, Self::Star | Self::List(_)) | (Self::List(_), Self::Star) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CSeq, CallId, Contacts};

    #[test]
    fn cseq_numbers_are_below_2_to_the_31() {
        assert_eq!(CSeq::read("0009   INVITE").map(|cseq| cseq.to_string()).as_deref(), Some("9 INVITE"));
        assert_eq!(CSeq::read("2147483647 BYE").map(|cseq| cseq.number), Some((1 << 31) - 1));
        for text in
            ["2147483648 BYE", "18446744073709551621 BYE", "-1 BYE", "1", "1 ", "BYE", "1BYE", "1 A B", ""]
        {
            assert_eq!(CSeq::read(text), None, "{text}");
        }
    }

    #[test]
    fn call_ids_are_printable_and_whole() {
        let text = r#"intmeth.word%ZK-!.*_+'@word`~)(><:\/"][?}{"#;
        assert_eq!(CallId::read(text).map(|id| id.to_string()).as_deref(), Some(text));
        for text in ["", "a b", "a\0b", "é"] {
            assert_eq!(CallId::read(text), None, "{text}");
        }
    }

    #[test]
    fn a_star_stands_alone() {
        let star = || Contacts::read("*").unwrap();
        let list = || Contacts::read("<sip:a@h>").unwrap();
        assert!(
            star().join(list()).is_none() && list().join(star()).is_none() && star().join(star()).is_none()
        );
        assert!(matches!(list().join(list()), Some(Contacts::List(list)) if list.len() == 2));
        assert!(Contacts::read("*;expires=0").is_none());
    }
}
