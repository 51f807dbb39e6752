//! The texts of the configuration that become something else.

use super::mistake::{Fault, nearest};
use audio::{Codec, TonePlan};
use call_control::{Number, NumberError};
use control_api::IpNet;
use numbering::Entry;
use sip_b2bua::AutoAnswer;
use sip_core::Transport;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

/// What is wrong with a listening address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListenFault {
    /// A transport that comes with a later release.
    #[error("{0} is not available in this release; listen on udp, tcp and tls")]
    Later(&'static str),
    /// Another word before the colon.
    #[error("must be udp:ADDRESS:PORT, tcp:ADDRESS:PORT or tls:ADDRESS:PORT; {0:?} is not")]
    Transport(String),
    /// No address after it.
    #[error(
        "must have an IP address and a port after {transport}:, such as {transport}:0.0.0.0:5060; {found:?} is none"
    )]
    Address {
        /// As it was written.
        transport: &'static str,
        /// What is there.
        found: String,
    },
}

/// What is wrong with a range of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PortsFault {
    /// Not two numbers with a dash between them.
    #[error("must be a range of ports such as 20000-29999")]
    Form,
    /// A port that is not for media.
    #[error("must lie between 1024 and 65535")]
    Bounds,
    /// Backwards, or too small for one call.
    #[error("must have room for one call at least: four ports, the first of them even")]
    TooSmall,
}

/// `udp:ADDRESS:PORT`, and the same with `tcp` and `tls`.
pub(super) fn listen(text: &str) -> Result<(Transport, SocketAddr), ListenFault> {
    let (word, address) = text.split_once(':').unwrap_or((text, ""));
    let later = ["ws", "wss"].into_iter().find(|later| *later == word);
    let Some(transport) = Transport::from_word(word).filter(|_| later.is_none()) else {
        return Err(later.map_or_else(|| ListenFault::Transport(text.into()), ListenFault::Later));
    };
    match address.parse() {
        Ok(address) => Ok((transport, address)),
        Err(_) => Err(ListenFault::Address { transport: transport.word(), found: address.into() }),
    }
}

/// `LOWEST-HIGHEST`. The relay takes pairs of an even and the next odd port, two pairs a call (RFC 3550 §11).
pub(super) fn ports(text: &str) -> Result<RangeInclusive<u16>, PortsFault> {
    let (lowest, highest) = text.split_once('-').ok_or(PortsFault::Form)?;
    let number = |text: &str| text.trim().parse::<u32>().map_err(|_| PortsFault::Form);
    let port =
        |number: u32| u16::try_from(number).ok().filter(|port| *port >= 1024).ok_or(PortsFault::Bounds);
    let (lowest, highest) = (port(number(lowest)?)?, port(number(highest)?)?);
    let even = u32::from(lowest).next_multiple_of(2);
    if even + 3 > u32::from(highest) {
        return Err(PortsFault::TooSmall);
    }
    Ok(lowest..=highest)
}

/// A prefix or a short number of the dial policy.
pub(super) fn dial_entry(text: &str) -> Result<Entry, Fault> {
    Entry::new(text).map_err(|error| Fault::Entry(error, text.into()))
}

/// A network such as 10.0.0.0/8, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, Fault> {
    let address = text.parse().map(|address: IpAddr| address.into()).ok();
    address
        .or_else(|| text.parse().ok())
        .ok_or_else(|| form("a network, such as 10.0.0.0/8, or an IP address", text))
}

/// An IP address and a port for TCP.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| form("an IP address and a port, such as 0.0.0.0:8000", text))
}

/// An address that others can send to.
pub(super) fn reachable_address(text: &str) -> Result<IpAddr, Fault> {
    let address: Option<IpAddr> = text.parse().ok();
    address
        .filter(|address| !address.is_unspecified() && !address.is_multicast())
        .ok_or_else(|| form("an IP address that others can send to", text))
}

/// A name server: an address, and a port where that is not 53.
pub(super) fn resolver(text: &str) -> Result<SocketAddr, Fault> {
    let with_port = text.parse().ok();
    let alone = || text.parse().ok().map(|address: IpAddr| SocketAddr::new(address, 53));
    let address =
        with_port.or_else(alone).filter(|at: &SocketAddr| at.port() != 0 && !at.ip().is_unspecified());
    address.ok_or_else(|| form("the IP address of a name server, such as 192.0.2.53 or 127.0.0.1:5353", text))
}

/// A host name or an IP address.
pub(super) fn domain(text: &str) -> Result<Box<str>, Fault> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_name = text.len() <= 253 && text.split('.').all(label);
    match text.parse() {
        Ok(address) => Ok(host(address)),
        Err(_) if is_name => Ok(text.to_ascii_lowercase().into()),
        Err(_) => Err(form("a host name or an IP address", text)),
    }
}

/// An address as it stands in a URI (RFC 3986 §3.2.2).
pub(super) fn host(address: IpAddr) -> Box<str> {
    match address {
        IpAddr::V4(address) => address.to_string().into(),
        IpAddr::V6(address) => format!("[{address}]").into(),
    }
}

/// Goes into User-Agent and Server.
pub(super) fn user_agent(text: &str) -> Result<Box<str>, Fault> {
    let legal = text.len() <= 128 && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    if legal && text.trim() == text {
        Ok(text.into())
    } else {
        Err(form("at most 128 printable ASCII characters", text))
    }
}

/// Shown to the other party, in the quotes of a name-addr.
pub(super) fn display_name(text: &str) -> Result<Box<str>, Fault> {
    let shown = |c: char| !c.is_control() && !matches!(c, '"' | '\\' | '<' | '>');
    if text.chars().count() <= 64 && text.chars().all(shown) {
        Ok(text.into())
    } else {
        Err(form("at most 64 characters without quotes, \\, < and >", text))
    }
}

/// Names a client in logs and calls.
pub(crate) fn key_name(text: &str) -> Result<Box<str>, Fault> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if (1..=64).contains(&text.len()) && text.bytes().all(legal) {
        Ok(text.into())
    } else {
        Err(form("1 to 64 of A-Z, a-z, 0-9, _, . and -", text))
    }
}

pub(super) fn number(text: &str) -> Result<Number, NumberError> {
    Number::new(text)
}

pub(super) fn codec(text: &str) -> Result<Codec, Fault> {
    let known = || [Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu].map(Codec::name);
    Codec::from_name(text).ok_or_else(|| not_listed(&known(), text))
}

/// Which header field a phone obeys.
pub(super) fn auto_answer(text: &str) -> Result<AutoAnswer, Fault> {
    match text {
        "call-info" => Ok(AutoAnswer::CallInfo),
        "alert-info" => Ok(AutoAnswer::AlertInfo),
        "answer-mode" => Ok(AutoAnswer::AnswerMode),
        "all" => Ok(AutoAnswer::All),
        other => Err(not_listed(&["call-info", "alert-info", "answer-mode", "all"], other)),
    }
}

pub(super) fn ringback(text: &str) -> Result<TonePlan, Fault> {
    TonePlan::ringback(text).ok_or_else(|| not_listed(TonePlan::names(), text))
}

/// The SHA-256 of a key in hexadecimal digits.
pub(super) fn sha256(text: &str) -> Result<[u8; 32], Fault> {
    let mut octets = [0; 32];
    match hex::decode_to_slice(text, &mut octets) {
        Ok(()) => Ok(octets),
        // Somebody may have put the key itself here.
        Err(_) => {
            Err(Fault::SecretForm { expected: "64 hexadecimal digits, as `dialbridge key` prints them" })
        }
    }
}

pub(crate) fn permission(text: &str) -> Result<control_api::Permission, Fault> {
    control_api::Permission::new(text).ok_or_else(|| not_listed(control_api::Permission::all(), text))
}

fn form(expected: &'static str, found: &str) -> Fault {
    Fault::Form { expected, found: found.into() }
}

pub(super) fn not_listed(known: &[&'static str], found: &str) -> Fault {
    Fault::NotListed { known: known.to_vec(), found: found.into(), nearest: nearest(found, known) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_address_has_a_transport_that_is_there_and_an_ip_address() {
        assert_eq!(listen("udp:0.0.0.0:5060"), Ok((Transport::Udp, "0.0.0.0:5060".parse().unwrap())));
        assert_eq!(listen("tcp:[::1]:0"), Ok((Transport::Tcp, "[::1]:0".parse().unwrap())));
        assert_eq!(listen("tls:0.0.0.0:5061"), Ok((Transport::Tls, "0.0.0.0:5061".parse().unwrap())));
        assert_eq!(listen("wss:0.0.0.0:443"), Err(ListenFault::Later("wss")));
        assert!(matches!(listen("0.0.0.0:5060"), Err(ListenFault::Transport(_))));
        assert!(matches!(listen("udp:example.com:5060"), Err(ListenFault::Address { .. })));
        assert!(matches!(listen("udp"), Err(ListenFault::Address { .. })));
    }

    #[test]
    fn a_range_of_ports_holds_one_call_at_least() {
        assert_eq!(ports("20000-29999"), Ok(20000..=29999));
        assert_eq!(ports("20001-20005"), Ok(20001..=20005));
        for small in ["20000-20002", "20001-20004", "30000-20000"] {
            assert_eq!(ports(small), Err(PortsFault::TooSmall), "{small}");
        }
        assert_eq!(ports("1-5000"), Err(PortsFault::Bounds));
        assert_eq!(ports("20000-70000"), Err(PortsFault::Bounds));
        for form in ["20000", "a-b", "20000-"] {
            assert_eq!(ports(form), Err(PortsFault::Form), "{form}");
        }
    }

    #[test]
    fn texts_that_go_into_header_fields_cannot_break_them() {
        assert!(domain("pbx.Example.com").is_ok() && domain("::1").is_ok() && domain("192.0.2.1").is_ok());
        for bad in ["a b", "a\r\nb", "-a.b", "a..b", "exämple", "\"", "a:5060"] {
            assert!(domain(bad).is_err(), "{bad:?}");
        }
        assert!(user_agent("Dialbridge 0.1 (test)").is_ok());
        assert!(user_agent("a\r\nX: 1").is_err() && user_agent(" a").is_err());
        assert!(display_name("Ravi Ñ").is_ok());
        assert!(display_name("a\"b").is_err() && display_name("a\nb").is_err());
    }
}
