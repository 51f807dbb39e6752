//! Request methods (RFC 3261 §7.1).
use crate::{print, scan};
use std::fmt;
use std::hash::{Hash, Hasher};

/// A request method; names are compared with case (RFC 3261 §7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// A method of the vocabulary of `rsip`.
    Known(rsip::Method),
    /// Any other token.
    Extension(Box<str>),
}

impl Method {
    /// INVITE, RFC 3261 §13.
    pub const INVITE: Self = Self::Known(rsip::Method::Invite);
    /// ACK, RFC 3261 §13.2.2.4.
    pub const ACK: Self = Self::Known(rsip::Method::Ack);
    /// CANCEL, RFC 3261 §9.
    pub const CANCEL: Self = Self::Known(rsip::Method::Cancel);
    /// BYE, RFC 3261 §15.
    pub const BYE: Self = Self::Known(rsip::Method::Bye);
    /// REGISTER, RFC 3261 §10.
    pub const REGISTER: Self = Self::Known(rsip::Method::Register);
    /// OPTIONS, RFC 3261 §11.
    pub const OPTIONS: Self = Self::Known(rsip::Method::Options);
    /// INFO, RFC 6086.
    pub const INFO: Self = Self::Known(rsip::Method::Info);
    /// UPDATE, RFC 3311.
    pub const UPDATE: Self = Self::Known(rsip::Method::Update);
    /// PRACK, RFC 3262.
    pub const PRACK: Self = Self::Known(rsip::Method::PRack);
    /// REFER, RFC 3515.
    pub const REFER: Self = Self::Known(rsip::Method::Refer);
    /// MESSAGE, RFC 3428.
    pub const MESSAGE: Self = Self::Known(rsip::Method::Message);
    /// SUBSCRIBE, RFC 6665.
    pub const SUBSCRIBE: Self = Self::Known(rsip::Method::Subscribe);
    /// NOTIFY, RFC 6665.
    pub const NOTIFY: Self = Self::Known(rsip::Method::Notify);
    /// PUBLISH, RFC 3903.
    pub const PUBLISH: Self = Self::Known(rsip::Method::Publish);

    /// The method as it stands in the start line.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(known) => name(*known),
            Self::Extension(token) => token,
        }
    }

    /// `None` unless it is a token. A name in another case is another method.
    pub fn new(token: &str) -> Option<Self> {
        let known = KNOWN.iter().find(|known| name(**known) == token);
        match known {
            Some(known) => Some(Self::Known(*known)),
            None => scan::is_token(token).then(|| Self::Extension(token.into())),
        }
    }
}

const KNOWN: [rsip::Method; 14] = [
    rsip::Method::Invite,
    rsip::Method::Ack,
    rsip::Method::Cancel,
    rsip::Method::Bye,
    rsip::Method::Register,
    rsip::Method::Options,
    rsip::Method::Info,
    rsip::Method::Update,
    rsip::Method::PRack,
    rsip::Method::Refer,
    rsip::Method::Message,
    rsip::Method::Subscribe,
    rsip::Method::Notify,
    rsip::Method::Publish,
];

fn name(method: rsip::Method) -> &'static str {
    match method {
        rsip::Method::Invite => "INVITE",
        rsip::Method::Ack => "ACK",
        rsip::Method::Cancel => "CANCEL",
        rsip::Method::Bye => "BYE",
        rsip::Method::Register => "REGISTER",
        rsip::Method::Options => "OPTIONS",
        rsip::Method::Info => "INFO",
        rsip::Method::Update => "UPDATE",
        rsip::Method::PRack => "PRACK",
        rsip::Method::Refer => "REFER",
        rsip::Method::Message => "MESSAGE",
        rsip::Method::Subscribe => "SUBSCRIBE",
        rsip::Method::Notify => "NOTIFY",
        rsip::Method::Publish => "PUBLISH",
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print::Token(self.as_str()).fmt(f)
    }
}

impl Hash for Method {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::{KNOWN, Method, name};

    #[test]
    fn names_are_those_of_the_vocabulary() {
        assert_eq!(KNOWN.len(), rsip::Method::all().len());
        for known in KNOWN {
            assert_eq!(name(known), known.to_string());
            assert_eq!(Method::new(name(known)), Some(Method::Known(known)));
        }
    }

    #[test]
    fn case_makes_another_method() {
        assert_eq!(Method::new("Invite"), Some(Method::Extension("Invite".into())));
        assert_eq!(Method::new("RE%47IST%45R").as_ref().map(Method::as_str), Some("RE%47IST%45R"));
    }

    #[test]
    fn what_is_no_token_is_no_method() {
        assert_eq!(Method::new(""), None);
        assert_eq!(Method::new("INV ITE"), None);
        assert_eq!(Method::new("INVITE\r"), None);
    }
}
