//! What a name server is asked, and what it answers.

use crate::name::Printable;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// What a name server is asked. Names are in lower case, without a dot at the end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Question {
    /// Which services a domain has, and where (RFC 3403).
    Naptr(Box<str>),
    /// Which hosts and ports serve (RFC 2782).
    Srv(Box<str>),
    /// The IPv4 addresses of a host.
    A(Box<str>),
    /// The IPv6 addresses of a host.
    Aaaa(Box<str>),
}

/// One record of an answer. Names may be written in any case, with or without a dot at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A service. Its regular expression is absent: RFC 3263 §4.1 wants it to be empty.
    Naptr {
        /// The lowest goes first.
        order: u16,
        /// Among those of one order the lowest goes first.
        preference: u16,
        /// `s`: the replacement has SRV records; `a`: it has addresses.
        flags: Box<str>,
        /// Such as `SIP+D2U`.
        service: Box<str>,
        /// What to ask for next.
        replacement: Box<str>,
    },
    /// A server.
    Srv {
        /// The lowest goes first.
        priority: u16,
        /// The share of the load among those of one priority.
        weight: u16,
        /// Where it listens.
        port: u16,
        /// Its host; the root when the service is decidedly not offered.
        target: Box<str>,
    },
    /// An address of a host.
    Address(IpAddr),
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// There are records.
    Records {
        /// In any order.
        records: Vec<Record>,
        /// The shortest of their times to live.
        valid: Duration,
    },
    /// There is no such name, or it has no such record.
    Nothing {
        /// The time to live of that (RFC 2308 §5).
        valid: Duration,
    },
    /// No name server answered, or it would not: the reason as people read it.
    Failed(Box<str>),
}

impl Question {
    /// The name that is asked for.
    pub const fn name(&self) -> &str {
        match self {
            Self::Naptr(name) | Self::Srv(name) | Self::A(name) | Self::Aaaa(name) => name,
        }
    }
}

/// As in `NAPTR carrier.example`.
impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Naptr(_) => "NAPTR",
            Self::Srv(_) => "SRV",
            Self::A(_) => "A",
            Self::Aaaa(_) => "AAAA",
        };
        write!(f, "{kind} {}", Printable(self.name()))
    }
}

/// As in a zone file, with `->` before the name where the search goes on.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Naptr { order, preference, flags, service, replacement } => {
                let [flags, service, replacement] = [flags, service, replacement].map(|text| Printable(text));
                write!(f, "{order} {preference} \"{flags}\" \"{service}\" -> {replacement}")
            }
            Self::Srv { priority, weight, port, target } => {
                write!(f, "{priority} {weight} {port} -> {}", Printable(target))
            }
            Self::Address(address) => address.fmt(f),
        }
    }
}
