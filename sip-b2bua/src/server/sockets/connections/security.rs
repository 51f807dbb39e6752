//! TLS: whom we believe, what we show, and why a handshake came to nothing.

use super::stream;
use crate::settings::{Settings, TrunkTls};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};
use sip_core::{Flow, PeerId};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// What is needed for handshakes in both directions.
pub(in crate::server::sockets) struct Security {
    acceptor: Option<TlsAcceptor>,
    peers: BTreeMap<PeerId, Peer>,
    /// About those that connect to us; anybody can.
    log_lines: DefaultDirectRateLimiter,
}

/// A trunk that has to prove its name.
struct Peer {
    trunk: Box<str>,
    tls: TrunkTls,
    log_lines: DefaultDirectRateLimiter,
}

/// Whoever connects has said so much by then that messages can follow.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Log lines a minute about handshakes that fail: of all who connect to us, and of each trunk.
const LINES_A_MINUTE: NonZeroU32 = NonZeroU32::new(10).expect("it is not zero");
/// Of a certificate for many names so many are shown.
const NAMES_SHOWN: usize = 5;

impl Default for Security {
    /// No TLS.
    fn default() -> Self {
        Self { acceptor: None, peers: BTreeMap::new(), log_lines: limiter() }
    }
}

impl Security {
    /// A trunk has one name to prove, and one set of certificates that are believed.
    pub(in crate::server::sockets) fn new(settings: &Settings) -> Self {
        let peer = |tls: &TrunkTls, trunk: &str| Peer {
            trunk: trunk.into(),
            tls: tls.clone(),
            log_lines: limiter(),
        };
        let peers = settings.trunks.iter();
        let peers = peers.filter_map(|trunk| Some((trunk.peer(), peer(trunk.tls.as_ref()?, &trunk.name))));
        Self {
            acceptor: settings.tls.clone().map(TlsAcceptor::from),
            peers: peers.collect(),
            log_lines: limiter(),
        }
    }

    /// There is a certificate to show.
    pub(super) const fn can_accept(&self) -> bool {
        self.acceptor.is_some()
    }

    /// The handshake with whoever has connected to us; `None` when it came to nothing.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
    ) -> Option<server::TlsStream<TcpStream>> {
        let acceptor = self.acceptor.as_ref()?;
        let mut first = [0; FIRST_OCTETS];
        let handshake = async {
            stream.peek(&mut first).await?;
            acceptor.accept(stream).await
        };
        let why = match timeout(HANDSHAKE_TIMEOUT, handshake).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        match in_tls(&why).and_then(remedy) {
            Some(remedy) if self.log_lines.check().is_ok() => {
                let offered = offered(&first).unwrap_or("no version");
                tracing::warn!(%remote, offered, "a phone cannot be served over TLS: {remedy}");
            }
            // Whoever does not speak TLS at all.
            Some(_) | None => tracing::debug!(%remote, error = %why, "a TLS handshake came to nothing"),
        }
        None
    }

    /// A connection to one who has proved its name. To others none is opened: what is said over TLS is meant for one.
    ///
    /// # Errors
    /// Why the peer is not reached or not believed, for people.
    pub(super) async fn connect(&self, flow: Flow) -> Result<client::TlsStream<TcpStream>, Box<str>> {
        let Flow { remote, .. } = flow;
        let Some(peer) = flow.peer.and_then(|peer| self.peers.get(&peer)) else {
            tracing::debug!(%remote, "nobody is known whose certificate would be there: no connection is opened");
            return Err("nobody is known whose certificate would be there".into());
        };
        let stream = TcpStream::connect(remote).await;
        let stream = stream.map_err(|error| super::not_connected(remote, &error))?;
        stream::prepare(&stream);
        let TrunkTls { name, config, .. } = peer.tls.clone();
        match TlsConnector::from(config).connect(name.clone(), stream).await {
            Ok(stream) => Ok(stream),
            Err(why) => {
                let why = in_tls(&why).map_or_else(|| why.to_string(), |why| doubt(why, &name));
                if peer.log_lines.check().is_ok() {
                    tracing::warn!(trunk = &*peer.trunk, %remote, "a trunk is not reached over TLS: {why}");
                }
                Err(format!("TLS: {why}").into())
            }
        }
    }
}

fn limiter() -> DefaultDirectRateLimiter {
    RateLimiter::direct(Quota::per_minute(LINES_A_MINUTE))
}

fn in_tls(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// As many octets of a ClientHello as tell its version.
const FIRST_OCTETS: usize = 11;

/// The version that a client offers, by the first octets of its ClientHello (RFC 5246 §7.4.1.2; from TLS 1.3 on that field
/// stays at 1.2, RFC 8446 §4.1.2).
fn offered(first: &[u8; FIRST_OCTETS]) -> Option<&'static str> {
    let [HANDSHAKE, 3, _, _, _, CLIENT_HELLO, _, _, _, 3, minor] = *first else { return None };
    match minor {
        0 => Some("SSL 3.0"),
        1 => Some("TLS 1.0"),
        2 => Some("TLS 1.1"),
        3.. => Some("TLS 1.2 or newer"),
    }
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// What an operator can do for a phone that meant to speak TLS.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "most of what can be wrong is nothing that an operator can mend"
)]
fn remedy(error: &Error) -> Option<&'static str> {
    match error {
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::SignatureAlgorithmsExtensionRequired
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => Some(
            "it does not speak TLS 1.2, which is the oldest that is safe; give it newer firmware, or let it register over \
             tcp or udp",
        ),
        Error::PeerIncompatible(_) => Some(
            "it offers no cipher that is safe: TLS 1.2 needs ECDHE with AES-GCM or ChaCha20; give it newer firmware, or let \
             it register over tcp or udp",
        ),
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired,
        ) => Some(
            "it does not believe the certificate of [sip] tls; let it trust the authority that has signed it, and register \
             at a name that the certificate holds",
        ),
        _ => None,
    }
}

/// What is wrong with the one that we called, who has to be `name`.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others speak for themselves")]
fn doubt(error: &Error, name: &ServerName<'_>) -> String {
    let name = name.to_str();
    match error {
        Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) => {
            let shown: Vec<&str> = presented.iter().take(NAMES_SHOWN).map(|name| plain(name)).collect();
            let shown = if shown.is_empty() { "no name".to_owned() } else { shown.join(", ") };
            format!(
                "its certificate is for {shown}, and not for {name}; address (or proxy) has to be the name that the carrier \
                 gives for TLS"
            )
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "nobody who is trusted here has signed its certificate; where that is meant to be so, name the authority in \
             tls.roots"
                .into()
        }
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired".into()
        }
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "its certificate is not valid yet; is the clock of this machine right?".into(),
        other => other.to_string(),
    }
}

/// A name of a certificate, which is told as `DnsName("a.example")` or `IpAddress(192.0.2.1)`.
fn plain(presented: &str) -> &str {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(presented);
    inner.trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_that_a_client_offers_is_told_by_its_first_octets() {
        let hello = |minor| [22, 3, 1, 0, 200, 1, 0, 0, 196, 3, minor];
        for (minor, expected) in [(0, "SSL 3.0"), (1, "TLS 1.0"), (2, "TLS 1.1"), (3, "TLS 1.2 or newer")] {
            assert_eq!(offered(&hello(minor)), Some(expected));
        }
        assert_eq!(offered(b"OPTIONS sip"), None);
        assert_eq!(offered(&[0; FIRST_OCTETS]), None);
    }

    #[test]
    fn a_certificate_for_others_is_told_by_its_names_and_those_are_bounded() {
        let presented = (0..200).map(|number| format!("DnsName(\"edge{number}.example\")")).collect();
        let expected = ServerName::try_from("carrier.example").unwrap();
        let error = CertificateError::NotValidForNameContext { expected: expected.to_owned(), presented };
        assert_eq!(
            doubt(&Error::InvalidCertificate(error), &expected),
            "its certificate is for edge0.example, edge1.example, edge2.example, edge3.example, edge4.example, and not for \
             carrier.example; address (or proxy) has to be the name that the carrier gives for TLS"
        );
        assert_eq!(plain("IpAddress(192.0.2.1)"), "192.0.2.1");
        assert_eq!(plain("odd"), "odd");
    }
}
