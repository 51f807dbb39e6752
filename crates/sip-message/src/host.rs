//! Host names, addresses and IPv6 references (RFC 3261 §25.1, RFC 5954).
use crate::scan::Scanner;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The host of a URI or of a Via.
#[derive(Debug, Clone)]
pub enum Host {
    /// A host name as written; compared without case.
    Name(Box<str>),
    /// An IPv4 address, or an IPv6 reference without its brackets.
    Address(IpAddr),
}

impl Host {
    /// A host name, an IPv4 address or an IPv6 reference in its brackets; `None` for anything else.
    pub fn new(text: &str) -> Option<Self> {
        let mut scanner = Scanner::new(text);
        let host = Self::scan(&mut scanner)?;
        scanner.is_end().then_some(host)
    }

    /// The address, when the host is one.
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::Address(address) => Some(*address),
        }
    }

    pub(crate) fn scan(scanner: &mut Scanner<'_>) -> Option<Self> {
        if scanner.eat(b'[') {
            let address =
                scanner.take_while(|octet| octet.is_ascii_hexdigit() || matches!(octet, b':' | b'.'));
            return scanner.eat(b']').then(|| ipv6(address)).flatten().map(|v6| Self::Address(v6.into()));
        }
        let name = scanner.take_while(is_name_octet);
        match name.parse::<Ipv4Addr>() {
            Ok(address) => Some(Self::Address(address.into())),
            Err(_) => is_name(name).then(|| Self::Name(name.into())),
        }
    }
}

/// An IPv6 address; three colons, which the grammar of RFC 3261 lets through before an IPv4 part, are read as
/// two (RFC 5118 §4.10).
fn ipv6(text: &str) -> Option<Ipv6Addr> {
    text.parse().ok().or_else(|| text.replacen(":::", "::", 1).parse().ok())
}

const fn is_name_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_')
}

/// Labels with something in them; dotted numbers that are no IPv4 address are not a name.
fn is_name(name: &str) -> bool {
    let labels = name.strip_suffix('.').unwrap_or(name);
    let top = labels.rsplit_once('.').map(|(_, top)| top);
    labels.split('.').all(|label| !label.is_empty())
        && !top.is_some_and(|top| top.bytes().all(|octet| octet.is_ascii_digit()))
}

impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::Address(a), Self::Address(b)) => a == b,
            (Self::Name(_), Self::Address(_)) | (Self::Address(_), Self::Name(_)) => false,
        }
    }
}

impl Eq for Host {}

impl Hash for Host {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Name(name) => name.to_ascii_lowercase().hash(state),
            Self::Address(address) => address.hash(state),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

/// An IPv6 address in its brackets; octets that no host name holds are printed as `-`.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        match self {
            Self::Name(name) => name
                .bytes()
                .try_for_each(|octet| f.write_char(if is_name_octet(octet) { octet as char } else { '-' })),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Host;

    #[test]
    fn names_addresses_and_references_are_hosts() {
        for text in
            ["example.com", "a_b.example.", "192.0.2.1", "[2001:db8::10]", "[::ffff:192.0.2.1]", "1001"]
        {
            assert_eq!(Host::new(text).map(|host| host.to_string()).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in
            ["", ".", "a..b", "2001:db8::10", "[2001:db8::10", "[]", "[192.0.2.1]", "999.1.1.1", "a b", "é"]
        {
            assert_eq!(Host::new(text), None, "{text}");
        }
    }

    #[test]
    fn three_colons_are_read_as_two() {
        assert_eq!(Host::new("[2001:db8:::192.0.2.1]"), Host::new("[2001:db8::192.0.2.1]"));
    }

    #[test]
    fn names_are_equal_without_case() {
        assert_eq!(Host::new("AtLanTa.CoM"), Host::new("atlanta.com"));
        assert_ne!(Host::new("atlanta.com"), Host::new("192.0.2.1"));
    }

    #[test]
    fn a_name_made_elsewhere_cannot_end_a_line() {
        assert_eq!(Host::Name("a\r\nb".into()).to_string(), "a--b");
    }
}
