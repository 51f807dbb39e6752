//! `via-parm` (RFC 3261 §20.42, §25.1).
use crate::print::Token;
use crate::scan::{self, Scanner};
use crate::{Host, Parameters};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// One Via value (RFC 3261 §20.42).
#[derive(Debug, Clone)]
pub struct Via {
    /// `UDP`, `TCP`, … as written.
    pub transport: Box<str>,
    /// The host of `sent-by`.
    pub host: Host,
    /// The port of `sent-by`, as written, no default.
    pub port: Option<u16>,
    /// `branch`, `received`, `rport`, `maddr`, `ttl` and all others.
    pub parameters: Parameters,
}

impl Via {
    /// With an empty `rport` (RFC 3581 §3).
    pub fn new(transport: &str, sent_by: SocketAddr, branch: &str) -> Self {
        let mut parameters = Parameters::default();
        parameters.set("branch", Some(branch));
        parameters.set("rport", None);
        let host = Host::Address(sent_by.ip());
        Self { transport: transport.into(), host, port: Some(sent_by.port()), parameters }
    }

    /// The `branch` parameter.
    pub fn branch(&self) -> Option<&str> {
        self.parameters.value("branch")
    }

    /// Writes `received` and, where it was asked for, `rport`, over whatever the sender put there
    /// (RFC 3261 §18.2.1, RFC 3581 §4).
    pub fn set_received(&mut self, source: SocketAddr) {
        self.parameters.set("received", Some(&source.ip().to_canonical().to_string()));
        if self.parameters.get("rport").is_some() {
            self.parameters.set("rport", Some(&source.port().to_string()));
        }
    }

    /// The `received` parameter, with or without the brackets of an IPv6 reference (RFC 5118 §4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let received = self.parameters.value("received")?;
        let bare = received.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(received);
        bare.parse().ok()
    }

    /// One value, up to the end or a comma if it is well formed.
    pub(crate) fn scan(scanner: &mut Scanner<'_>) -> Option<Self> {
        let mut via = Self::scan_sent_by(scanner, |version| version == "2.0")?;
        via.parameters = Parameters::scan(scanner)?;
        scanner.skip_space();
        Some(via)
    }

    /// `sent-protocol LWS sent-by` of a version that is good, the parameters left unread.
    pub(crate) fn scan_sent_by(scanner: &mut Scanner<'_>, good: impl Fn(&str) -> bool) -> Option<Self> {
        scanner.skip_space();
        let protocol = scanner.token()?;
        let version = scanner.separator(b'/').then(|| scanner.token()).flatten()?;
        let transport = scanner.separator(b'/').then(|| scanner.token()).flatten()?;
        if !protocol.eq_ignore_ascii_case("SIP")
            || !good(version)
            || !scanner.peek().is_some_and(scan::is_space)
        {
            return None;
        }
        scanner.skip_space();
        let host = Host::scan(scanner)?;
        let port = match scanner.separator(b':') {
            true => Some(scan::port(scanner.take_while(|octet| octet.is_ascii_digit()))?),
            false => None,
        };
        Some(Self { transport: transport.into(), host, port, parameters: Parameters::default() })
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", Token(&self.transport), self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.parameters.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::Via;
    use crate::scan::Scanner;

    fn via(text: &str) -> Option<Via> {
        let mut scanner = Scanner::new(text);
        Via::scan(&mut scanner).filter(|_| scanner.is_end())
    }

    #[test]
    fn white_space_may_stand_round_every_separator() {
        let via =
            via("SIP  / 2.0  / TCP     spindle.example.com : 5070  ;  branch  =   z9hG4bK9ikj8  ").unwrap();
        assert_eq!(via.to_string(), "SIP/2.0/TCP spindle.example.com:5070;branch=z9hG4bK9ikj8");
        assert_eq!(via.branch(), Some("z9hG4bK9ikj8"));
    }

    #[test]
    fn what_is_no_via_is_refused() {
        for text in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/3.0/UDP h",
            "HTTP/2.0/UDP h",
            "SIP/2.0/UDP h:65536",
            "SIP/2.0 h",
            "SIP/2.0/UDP h:",
            "SIP/2.0/UDP ;branch=x",
            "SIP/2.0/UDP h x",
            "SIP/2.0/UDP[::1]",
        ] {
            assert!(via(text).is_none(), "{text}");
        }
    }

    #[test]
    fn received_is_read_with_and_without_brackets() {
        for text in ["2001:db8::9:255", "[2001:db8::9:255]"] {
            let via =
                via(&format!("SIP/2.0/UDP [2001:db8::9:1];received={text};branch=z9hG4bKas3-111")).unwrap();
            assert_eq!(via.received(), "2001:db8::9:255".parse().ok());
            assert_eq!(via.branch(), Some("z9hG4bKas3-111"));
        }
    }

    #[test]
    fn the_true_source_is_written_over_what_the_sender_claims() {
        let mut via = via("SIP/2.0/UDP h;received=203.0.113.9;rport=9;branch=z9hG4bK1").unwrap();
        via.set_received("[::ffff:192.0.2.1]:5099".parse().unwrap());
        assert_eq!(via.to_string(), "SIP/2.0/UDP h;received=192.0.2.1;rport=5099;branch=z9hG4bK1");
    }

    #[test]
    fn rport_is_only_filled_where_it_was_asked_for() {
        let mut via = via("SIP/2.0/UDP h;branch=z9hG4bK1").unwrap();
        via.set_received("[2001:db8::1]:5099".parse().unwrap());
        assert_eq!(via.to_string(), "SIP/2.0/UDP h;branch=z9hG4bK1;received=2001:db8::1");
    }

    #[test]
    fn new_asks_for_the_port() {
        let via = Via::new("TCP", "[::1]:5060".parse().unwrap(), "z9hG4bKx");
        assert_eq!(via.to_string(), "SIP/2.0/TCP [::1]:5060;branch=z9hG4bKx;rport");
    }
}
