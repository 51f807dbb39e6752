//! Names of header fields: one spelling, compact forms included (RFC 3261 §7.3, IANA registry).
use crate::print::Token;
use crate::scan::{is_token, is_token_octet};
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

/// The name of a header field, compared without case; a compact form and its long form are one name.
#[derive(Debug, Clone)]
pub struct FieldName(Cow<'static, str>);

impl FieldName {
    /// A name of our own making; panics unless it is a token.
    pub const fn from_static(name: &'static str) -> Self {
        let octets = name.as_bytes();
        assert!(!octets.is_empty(), "a field name is a token");
        let mut at = 0;
        while at < octets.len() {
            assert!(is_token_octet(octets[at]), "a field name is a token");
            at += 1;
        }
        Self(Cow::Borrowed(if octets.len() == 1 { long_form(octets[0], name) } else { name }))
    }

    /// `None` unless it is a token. Known names get their usual spelling, compact forms their long form.
    pub fn new(name: &str) -> Option<Self> {
        if let [letter] = name.as_bytes() {
            let long = long_form(*letter, "");
            if !long.is_empty() {
                return Some(Self(Cow::Borrowed(long)));
            }
        }
        if let Some(known) = KNOWN.iter().find(|known| known.eq_ignore_ascii_case(name)) {
            return Some(Self(Cow::Borrowed(known)));
        }
        is_token(name).then(|| Self(Cow::Owned(name.to_owned())))
    }

    /// The name as it is printed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The compact forms of the IANA registry.
pub(crate) const fn long_form(letter: u8, otherwise: &'static str) -> &'static str {
    match letter.to_ascii_lowercase() {
        b'a' => "Accept-Contact",
        b'b' => "Referred-By",
        b'c' => "Content-Type",
        b'd' => "Request-Disposition",
        b'e' => "Content-Encoding",
        b'f' => "From",
        b'i' => "Call-ID",
        b'j' => "Reject-Contact",
        b'k' => "Supported",
        b'l' => "Content-Length",
        b'm' => "Contact",
        b'n' => "Identity-Info",
        b'o' => "Event",
        b'r' => "Refer-To",
        b's' => "Subject",
        b't' => "To",
        b'u' => "Allow-Events",
        b'v' => "Via",
        b'x' => "Session-Expires",
        b'y' => "Identity",
        _ => otherwise,
    }
}

impl PartialEq for FieldName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for FieldName {}

impl Hash for FieldName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_ascii_lowercase().hash(state);
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Token(&self.0).fmt(f)
    }
}

macro_rules! field_names {
    ($($constant:ident = $name:literal;)*) => {
        /// Names that are known.
        impl FieldName {
            $(#[doc = $name] pub const $constant: Self = Self(Cow::Borrowed($name));)*
        }

        const KNOWN: &[&str] = &[$($name),*];
    };
}

field_names! {
    ACCEPT = "Accept";
    ACCEPT_CONTACT = "Accept-Contact";
    ACCEPT_ENCODING = "Accept-Encoding";
    ACCEPT_LANGUAGE = "Accept-Language";
    ALERT_INFO = "Alert-Info";
    ALLOW = "Allow";
    ALLOW_EVENTS = "Allow-Events";
    AUTHENTICATION_INFO = "Authentication-Info";
    AUTHORIZATION = "Authorization";
    CALL_ID = "Call-ID";
    CALL_INFO = "Call-Info";
    CONTACT = "Contact";
    CONTENT_DISPOSITION = "Content-Disposition";
    CONTENT_ENCODING = "Content-Encoding";
    CONTENT_LANGUAGE = "Content-Language";
    CONTENT_LENGTH = "Content-Length";
    CONTENT_TYPE = "Content-Type";
    CSEQ = "CSeq";
    DATE = "Date";
    DIVERSION = "Diversion";
    ERROR_INFO = "Error-Info";
    EVENT = "Event";
    EXPIRES = "Expires";
    FROM = "From";
    HISTORY_INFO = "History-Info";
    IDENTITY = "Identity";
    IDENTITY_INFO = "Identity-Info";
    INFO_PACKAGE = "Info-Package";
    IN_REPLY_TO = "In-Reply-To";
    MAX_FORWARDS = "Max-Forwards";
    MIME_VERSION = "MIME-Version";
    MIN_EXPIRES = "Min-Expires";
    MIN_SE = "Min-SE";
    ORGANIZATION = "Organization";
    PATH = "Path";
    PRIORITY = "Priority";
    PRIVACY = "Privacy";
    PROXY_AUTHENTICATE = "Proxy-Authenticate";
    PROXY_AUTHORIZATION = "Proxy-Authorization";
    PROXY_REQUIRE = "Proxy-Require";
    P_ASSERTED_IDENTITY = "P-Asserted-Identity";
    P_PREFERRED_IDENTITY = "P-Preferred-Identity";
    RACK = "RAck";
    REASON = "Reason";
    RECORD_ROUTE = "Record-Route";
    RECV_INFO = "Recv-Info";
    REFERRED_BY = "Referred-By";
    REFER_SUB = "Refer-Sub";
    REFER_TO = "Refer-To";
    REJECT_CONTACT = "Reject-Contact";
    REMOTE_PARTY_ID = "Remote-Party-ID";
    REPLACES = "Replaces";
    REPLY_TO = "Reply-To";
    REQUEST_DISPOSITION = "Request-Disposition";
    REQUIRE = "Require";
    RETRY_AFTER = "Retry-After";
    ROUTE = "Route";
    RSEQ = "RSeq";
    SERVER = "Server";
    SERVICE_ROUTE = "Service-Route";
    SESSION_EXPIRES = "Session-Expires";
    SIP_ETAG = "SIP-ETag";
    SIP_IF_MATCH = "SIP-If-Match";
    SUBJECT = "Subject";
    SUBSCRIPTION_STATE = "Subscription-State";
    SUPPORTED = "Supported";
    TIMESTAMP = "Timestamp";
    TO = "To";
    UNSUPPORTED = "Unsupported";
    USER_AGENT = "User-Agent";
    VIA = "Via";
    WARNING = "Warning";
    WWW_AUTHENTICATE = "WWW-Authenticate";
}

#[cfg(test)]
mod tests {
    use super::{FieldName, KNOWN, long_form};

    #[test]
    fn compact_forms_are_their_long_forms() {
        for letter in b'a'..=b'z' {
            let long = long_form(letter, "");
            if !long.is_empty() {
                let compact = FieldName::new(&char::from(letter.to_ascii_uppercase()).to_string()).unwrap();
                assert_eq!(compact.as_str(), long);
                assert!(KNOWN.contains(&long), "{long}");
            }
        }
        let letters: String =
            (b'a'..=b'z').filter(|l| !long_form(*l, "").is_empty()).map(char::from).collect();
        assert_eq!(letters, "abcdefijklmnorstuvxy");
        assert_eq!(FieldName::new("K"), Some(FieldName::SUPPORTED));
        assert_eq!(FieldName::from_static("x"), FieldName::SESSION_EXPIRES);
        assert_eq!(FieldName::new("z").unwrap().as_str(), "z");
    }

    #[test]
    fn names_are_compared_without_case() {
        assert_eq!(FieldName::new("cAlL-iD").unwrap().as_str(), "Call-ID");
        assert_eq!(FieldName::new("X-Foo"), FieldName::new("x-foo"));
        assert_ne!(FieldName::new("C%6Fntact"), FieldName::new("Contact"));
    }

    #[test]
    fn what_is_no_token_is_no_name() {
        for name in ["", "a b", "a:b", "é", "a\r\n"] {
            assert_eq!(FieldName::new(name), None, "{name:?}");
        }
    }
}
