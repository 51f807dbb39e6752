//! URIs (RFC 3261 §19.1).
use crate::print::Escaped;
use crate::scan::{self, Scanner, is_unreserved};
use crate::{Host, Parameters, ParseError, ParseErrorKind};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// A URI of any scheme.
#[derive(Debug, Clone)]
pub enum Uri {
    /// `sip:` and `sips:`.
    Sip(SipUri),
    /// Any other scheme, kept as it was written.
    Other {
        /// In lower case.
        scheme: Box<str>,
        /// What follows the colon.
        rest: Box<str>,
    },
}

/// `sip:user:password@host:port;parameters?headers`
#[derive(Debug, Clone)]
pub struct SipUri {
    /// `sips`.
    pub secure: bool,
    /// With its escapes as written; [`decoded_user`](Self::decoded_user) decodes.
    pub user: Option<Box<str>>,
    /// With its escapes as written.
    pub password: Option<Box<str>>,
    /// Where the user is.
    pub host: Host,
    /// As written, no default.
    pub port: Option<u16>,
    /// Of the URI, not of the header field that it stands in.
    pub parameters: Parameters,
    /// Behind `?`, as written.
    pub headers: Option<Box<str>>,
}

impl Uri {
    /// Reads one URI and nothing else: no white space, no `<>`, ASCII only.
    ///
    /// # Errors
    /// [`ParseErrorKind::Uri`]; a scheme that is not known is no error.
    pub fn parse(octets: &[u8]) -> Result<Self, ParseError> {
        std::str::from_utf8(octets).ok().and_then(Self::read).ok_or_else(|| ParseErrorKind::Uri.into())
    }

    /// The URI, when its scheme is `sip` or `sips`.
    pub const fn as_sip(&self) -> Option<&SipUri> {
        match self {
            Self::Sip(uri) => Some(uri),
            Self::Other { .. } => None,
        }
    }

    /// Its scheme is `sips`.
    pub fn is_secure(&self) -> bool {
        self.as_sip().is_some_and(|uri| uri.secure)
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        if !is_scheme(scheme) || !text.bytes().all(is_uri_octet) {
            return None;
        }
        match scheme.to_ascii_lowercase().as_str() {
            "sip" => SipUri::read(false, rest).map(Self::Sip),
            "sips" => SipUri::read(true, rest).map(Self::Sip),
            other => (!rest.is_empty()).then(|| Self::Other { scheme: other.into(), rest: rest.into() }),
        }
    }
}

impl SipUri {
    /// `sip:user@host:port`; the user is escaped where RFC 3261 §25.1 asks for it.
    pub fn new(user: Option<&str>, host: Host, port: Option<u16>) -> Self {
        Self {
            secure: false,
            user: user.filter(|user| !user.is_empty()).map(escaped_user),
            password: None,
            host,
            port,
            parameters: Parameters::default(),
            headers: None,
        }
    }

    /// `sip:user@address:port`
    pub fn at(user: Option<&str>, address: SocketAddr) -> Self {
        Self::new(user, Host::Address(address.ip()), Some(address.port()))
    }

    /// The user with its escapes decoded once, when that is UTF-8 without control characters.
    pub fn decoded_user(&self) -> Option<String> {
        let user = self.user.as_deref()?;
        let octets = units(user).map(|(octet, _)| octet).collect();
        String::from_utf8(octets).ok().filter(|user| !user.chars().any(char::is_control))
    }

    /// A header field behind the `?` (RFC 3261 §19.1.1), its escapes decoded once, when that is UTF-8 without control
    /// characters.
    pub fn decoded_header(&self, name: &str) -> Option<String> {
        let mut fields = self.headers.as_deref()?.split('&').filter_map(|field| field.split_once('='));
        let (_, value) = fields.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        let octets = units(value).map(|(octet, _)| octet).collect();
        String::from_utf8(octets).ok().filter(|value| !value.chars().any(char::is_control))
    }

    /// The `transport` parameter in lower case.
    pub fn transport(&self) -> Option<String> {
        self.parameters.value("transport").map(str::to_ascii_lowercase)
    }

    fn read(secure: bool, text: &str) -> Option<Self> {
        let (userinfo, rest) = match text.split_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, text),
        };
        let (user, password) = match userinfo {
            Some(userinfo) => read_userinfo(userinfo)?,
            None => (None, None),
        };
        let mut scanner = Scanner::new(rest);
        let host = Host::scan(&mut scanner)?;
        let port = match scanner.eat(b':') {
            true => Some(scan::port(scanner.take_while(|octet| octet.is_ascii_digit()))?),
            false => None,
        };
        let parameters = Parameters::scan_uri(&mut scanner)?;
        let headers = scanner.eat(b'?').then(|| scanner.take_while(|_| true));
        if !scanner.is_end()
            || headers.is_some_and(|headers| headers.is_empty() || !escapes_are_whole(headers))
        {
            return None;
        }
        Some(Self { secure, user, password, host, port, parameters, headers: headers.map(Into::into) })
    }
}

type Userinfo = (Option<Box<str>>, Option<Box<str>>);

fn read_userinfo(userinfo: &str) -> Option<Userinfo> {
    let (user, password) = match userinfo.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (userinfo, None),
    };
    let user_is_good = !user.is_empty() && user.bytes().all(is_written_user_octet) && escapes_are_whole(user);
    let password_is_good = password.is_none_or(|password| {
        password.bytes().all(|octet| is_password_octet(octet) || octet == b'%') && escapes_are_whole(password)
    });
    (user_is_good && password_is_good).then(|| (Some(user.into()), password.map(Into::into)))
}

pub(crate) fn is_scheme(scheme: &str) -> bool {
    scheme.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
        && scheme.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'-' | b'.'))
}

const fn is_uri_octet(octet: u8) -> bool {
    octet.is_ascii_graphic() && !matches!(octet, b'<' | b'>' | b'"')
}

/// `unreserved` and `user-unreserved`
const fn is_user_octet(octet: u8) -> bool {
    is_unreserved(octet) || matches!(octet, b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/')
}

/// Phones write the `#` of feature codes as it is.
const fn is_written_user_octet(octet: u8) -> bool {
    is_user_octet(octet) || matches!(octet, b'#' | b'%')
}

const fn is_password_octet(octet: u8) -> bool {
    is_unreserved(octet) || matches!(octet, b'&' | b'=' | b'+' | b'$' | b',')
}

fn escaped_user(user: &str) -> Box<str> {
    user.split('%')
        .map(|part| Escaped(part, is_user_octet).to_string())
        .collect::<Vec<_>>()
        .join("%25")
        .into()
}

/// Every `%` has its two hexadecimal digits.
pub(crate) fn escapes_are_whole(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|after| after.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)))
}

/// The octets of a part of a URI, decoded once, and whether each was escaped. An escape that is not whole
/// stands for itself.
pub(crate) fn units(text: &str) -> impl Iterator<Item = (u8, bool)> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        if let [b'%', high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            rest = after;
            return Some((high * 16 + low, true));
        }
        let (first, after) = rest.split_first()?;
        rest = after;
        Some((*first, false))
    })
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

impl FromStr for Uri {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text.as_bytes())
    }
}

impl From<SipUri> for Uri {
    fn from(uri: SipUri) -> Self {
        Self::Sip(uri)
    }
}

/// As it stands in a start line or between `<>`; what may not stand there is escaped.
impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sip(uri) => uri.fmt(f),
            Self::Other { scheme, rest } => {
                write!(f, "{}:{}", crate::print::Token(scheme), Escaped(rest, is_uri_octet))
            }
        }
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "sips:" } else { "sip:" })?;
        if let Some(user) = &self.user {
            Escaped(user, is_written_user_octet).fmt(f)?;
            if let Some(password) = &self.password {
                write!(f, ":{}", Escaped(password, is_password_octet))?;
            }
            f.write_str("@")?;
        }
        self.host.fmt(f)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.parameters.of_uri().fmt(f)?;
        match self.headers.as_deref() {
            None | Some("") => Ok(()),
            Some(headers) => write!(f, "?{}", Escaped(headers, is_uri_octet)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SipUri, Uri};
    use crate::Host;

    fn sip(text: &str) -> SipUri {
        match Uri::parse(text.as_bytes()) {
            Ok(Uri::Sip(uri)) => uri,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn every_part_is_found_and_printed() {
        let text = "sips:alice:secret@[2001:db8::1]:5061;transport=tcp;lr?Subject=x&Route=%3Csip:a%3E";
        let uri = sip(text);
        assert!(uri.secure);
        assert_eq!(uri.user.as_deref(), Some("alice"));
        assert_eq!(uri.password.as_deref(), Some("secret"));
        assert_eq!(uri.host, Host::new("[2001:db8::1]").unwrap());
        assert_eq!(uri.port, Some(5061));
        assert_eq!(uri.transport().as_deref(), Some("tcp"));
        assert_eq!(uri.headers.as_deref(), Some("Subject=x&Route=%3Csip:a%3E"));
        assert_eq!(uri.decoded_header("route").as_deref(), Some("<sip:a>"));
        assert_eq!((uri.decoded_header("Sub"), uri.decoded_header("x")), (None, None));
        assert_eq!(uri.to_string(), text);
    }

    #[test]
    fn the_user_part_may_hold_semicolons_and_questions() {
        let uri = sip("SIP:user;par=u%40example.net?x@example.com;lr");
        assert_eq!(uri.user.as_deref(), Some("user;par=u%40example.net?x"));
        assert_eq!(uri.decoded_user().as_deref(), Some("user;par=u@example.net?x"));
        assert_eq!(uri.parameters.get("par"), None);
    }

    #[test]
    fn users_are_decoded_once() {
        assert_eq!(sip("sip:%25%34%31@a").decoded_user().as_deref(), Some("%41"));
        assert_eq!(sip("sip:%00@a").decoded_user(), None);
        assert_eq!(sip("sip:%ff@a").decoded_user(), None);
        assert_eq!(sip("sip:a").decoded_user(), None);
    }

    #[test]
    fn a_port_inside_the_brackets_is_no_port() {
        assert_eq!(sip("sip:[2001:db8::10:5070]").port, None);
        assert_eq!(sip("sip:[2001:db8::10]:5070").port, Some(5070));
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        for text in [
            "",
            "sip",
            ":",
            "1001",
            "sip:",
            "sip:@h",
            "sip:a@",
            "sip:a@b@c",
            "sip:a b@h",
            "<sip:a@h>",
            "sip:a@h:65536",
            "sip:a@h:-1",
            "sip:a@h:",
            "sip:a@[::1",
            "sip:2001:db8::10",
            "sip:é@h",
            "sip:a%4@h",
            "sip:a@h;x=%g0",
            "sip:a@h;x=1;X=2",
            "sip:a\0@h",
            "sip:a@h\r\n",
            "s p:x",
            "tel:",
            "sip:a@h?",
        ] {
            assert!(Uri::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(Uri::parse(b"sip:..\xc0\xaf..@127.0.0.1").is_err());
    }

    #[test]
    fn other_schemes_are_kept_as_written() {
        let uri = Uri::parse(b"Soap.Beep://192.0.2.103:3002").unwrap();
        assert!(uri.as_sip().is_none());
        assert_eq!(uri.to_string(), "soap.beep://192.0.2.103:3002");
    }

    #[test]
    fn new_escapes_the_user() {
        let uri = SipUri::new(Some("100%#\r\nX: é"), Host::new("a.example").unwrap(), None);
        assert_eq!(uri.to_string(), "sip:100%25%23%0D%0AX%3A%20%C3%A9@a.example");
        assert_eq!(SipUri::at(None, "[::1]:5060".parse().unwrap()).to_string(), "sip:[::1]:5060");
    }

    #[test]
    fn parts_put_in_by_hand_cannot_break_out() {
        let uri = SipUri {
            headers: Some("a=b>\r\nX: 1".into()),
            ..SipUri::new(None, Host::new("h").unwrap(), None)
        };
        assert_eq!(uri.to_string(), "sip:h?a=b%3E%0D%0AX:%201");
        let other = Uri::Other { scheme: "te\r\nl".into(), rest: "1 2>".into() };
        assert_eq!(other.to_string(), "te__l:1%202%3E");
    }
}
