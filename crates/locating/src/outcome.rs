//! What comes of it.

use crate::name::Printable;
use crate::{Step, VALID_MAX};
use sip_message::Transport;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Which IP addresses we have sockets for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Families {
    /// A records are asked for.
    pub ipv4: bool,
    /// AAAA records are asked for.
    pub ipv6: bool,
}

/// Where a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    /// By which transport.
    pub transport: Transport,
    /// To which address and port.
    pub address: SocketAddr,
}

/// Where the requests for a URI may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// At least one. The next is tried when one fails (RFC 3263 §4.3).
    pub targets: Vec<Target>,
    /// The shortest time to live of what it was made of, within [`VALID_MIN`](crate::VALID_MIN) and [`VALID_MAX`];
    /// [`AFTER_FAILURE`](crate::AFTER_FAILURE) when part of it was not to be had.
    pub valid: Duration,
    /// Each question and what came of it, in the order of the answers.
    pub steps: Vec<Step>,
}

/// Why a request for a URI can be sent nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unlocated {
    /// Before anything was asked: the URI wants another transport than those that we speak.
    #[error("{scheme} over {} is not spoken by this server", Printable(transport))]
    NotSpoken {
        /// `sip` or `sips`.
        scheme: &'static str,
        /// What the URI wants.
        transport: Box<str>,
    },
    /// Port 0.
    #[error("port 0 cannot be reached")]
    BadPort,
    /// A host that no name server can be asked for.
    #[error("{} is not a host name", Printable(name))]
    BadName {
        /// As it was written.
        name: Box<str>,
    },
    /// An address that we have no socket for, or that is unspecified, multicast or broadcast.
    #[error("this server can send nothing to the address {address}")]
    Unreachable {
        /// In the URI.
        address: IpAddr,
    },
    /// The domain offers SIP over no transport that can be used.
    #[error("{name} offers SIP, but over no transport that this server can use for it")]
    NoTransport {
        /// The domain.
        name: Box<str>,
        /// How long to believe it.
        valid: Duration,
    },
    /// There is no address.
    #[error("the DNS has no address for {name}")]
    NoRecords {
        /// Where the search ended.
        name: Box<str>,
        /// How long to believe it.
        valid: Duration,
    },
    /// Name servers did not answer.
    #[error("no name server answered for {name}")]
    Failed {
        /// The first name without an answer.
        name: Box<str>,
        /// When to ask again.
        valid: Duration,
    },
}

impl Unlocated {
    /// How long to believe it.
    pub const fn valid(&self) -> Duration {
        match self {
            Self::NoTransport { valid, .. } | Self::NoRecords { valid, .. } | Self::Failed { valid, .. } => {
                *valid
            }
            Self::NotSpoken { .. } | Self::BadPort | Self::BadName { .. } | Self::Unreachable { .. } => {
                VALID_MAX
            }
        }
    }
}

/// As in `TCP 192.0.2.1:5060`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.transport.via_word(), self.address)
    }
}

/// A line for each record on the way, then one for each target.
impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        for (index, target) in self.targets.iter().enumerate() {
            let line = if index == 0 { "" } else { "\n" };
            write!(f, "{line}-> {target}")?;
        }
        Ok(())
    }
}
