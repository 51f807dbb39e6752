//! Certificates, keys and roots out of PEM files, and what TLS makes of them.
//!
//! There is one provider of cryptography, ring, and it is named wherever one is needed: nothing hangs on who installed
//! which one for the process.

use parking_lot::RwLock;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// What is wrong with a file for TLS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    /// The file is not there, or may not be read.
    #[error("the file {file} cannot be read: {why}")]
    Unreadable {
        /// As it was named.
        file: String,
        /// What the operating system said.
        why: String,
    },
    /// No certificate in it.
    #[error("the file {file} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")]
    NoCertificate {
        /// As it was named.
        file: String,
    },
    /// Something else in the armour of a certificate.
    #[error("the file {file} holds a certificate that cannot be read")]
    BrokenCertificate {
        /// As it was named.
        file: String,
    },
    /// No key in it.
    #[error(
        "the file {file} holds no private key in PEM form that needs no password (-----BEGIN PRIVATE KEY-----)"
    )]
    NoKey {
        /// As it was named.
        file: String,
    },
    /// A key of a kind that is not known.
    #[error(
        "the key in {file} cannot be used; it must be RSA with at least 2048 bits, ECDSA (P-256 or P-384) or Ed25519"
    )]
    UselessKey {
        /// As it was named.
        file: String,
    },
    /// Certificate and key are not a pair.
    #[error("this is not the key of the first certificate in {certificate}")]
    OtherKey {
        /// The file of the certificate.
        certificate: String,
    },
}

/// A certificate with what is needed to show it.
#[derive(Debug, Clone)]
pub struct Identity {
    key: Arc<CertifiedKey>,
}

/// Whom we believe.
#[derive(Debug)]
pub(crate) enum Trust {
    /// Those whom this machine trusts, and these as well.
    Roots(Vec<CertificateDer<'static>>),
    /// Whoever answers.
    Anybody,
}

/// How well a certificate will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validity {
    /// For two weeks at least.
    Good,
    /// It expires within two weeks.
    Ending,
    /// It has expired.
    Expired,
    /// Its time has not begun.
    NotYet,
}

/// A certificate that ends within this time is warned of.
const SOON: Duration = Duration::from_secs(14 * 86_400);

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(ring::default_provider()));
    Arc::clone(&PROVIDER)
}

/// All certificates of a file.
///
/// # Errors
/// There is none, or one that is none.
pub(crate) fn certificates(file: &str) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let none = || TlsFault::NoCertificate { file: file.into() };
    let read = CertificateDer::pem_file_iter(Path::new(file)).and_then(Iterator::collect);
    let read: Vec<_> = read.map_err(|error| unreadable(file, error).unwrap_or_else(none))?;
    if read.is_empty() {
        return Err(none());
    }
    let is_one = |certificate: &CertificateDer<'_>| ParsedCertificate::try_from(certificate).is_ok();
    if read.iter().all(is_one) { Ok(read) } else { Err(TlsFault::BrokenCertificate { file: file.into() }) }
}

/// The private key of a file.
///
/// # Errors
/// There is none.
pub(crate) fn private_key(file: &str) -> Result<PrivateKeyDer<'static>, TlsFault> {
    let none = || TlsFault::NoKey { file: file.into() };
    PrivateKeyDer::from_pem_file(Path::new(file))
        .map_err(|error| unreadable(file, error).unwrap_or_else(none))
}

fn unreadable(file: &str, error: pem::Error) -> Option<TlsFault> {
    let pem::Error::Io(why) = error else { return None };
    Some(TlsFault::Unreadable { file: file.into(), why: why.to_string() })
}

impl Identity {
    /// The chain, its own certificate first, and the key of that.
    ///
    /// # Errors
    /// They are no pair, or the key is of no use.
    pub(crate) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        (certificate_file, key_file): (&str, &str),
    ) -> Result<Self, TlsFault> {
        match CertifiedKey::from_der(chain, key, &provider()) {
            Ok(key) => Ok(Self { key: Arc::new(key) }),
            Err(Error::InconsistentKeys(_)) => {
                Err(TlsFault::OtherKey { certificate: certificate_file.into() })
            }
            Err(_) => Err(TlsFault::UselessKey { file: key_file.into() }),
        }
    }

    /// How well it will do at this time.
    pub(crate) fn validity(&self, now: UnixTime) -> Validity {
        let soon = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + SOON);
        match (self.judged(now), self.judged(soon)) {
            (Some(CertificateError::Expired | CertificateError::ExpiredContext { .. }), _) => {
                Validity::Expired
            }
            (Some(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }), _) => {
                Validity::NotYet
            }
            (_, Some(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
                Validity::Ending
            }
            (Some(_) | None, Some(_) | None) => Validity::Good,
        }
    }

    /// Whether it holds a name.
    pub(crate) fn is_for(&self, name: &ServerName<'_>) -> bool {
        let end_entity = self.key.end_entity_cert().and_then(ParsedCertificate::try_from);
        end_entity.is_ok_and(|certificate| verify_server_name(&certificate, name).is_ok())
    }

    /// Its times are looked at before who has signed it, whom nobody knows here.
    fn judged(&self, at: UnixTime) -> Option<CertificateError> {
        let algorithms = provider().signature_verification_algorithms.all;
        let end_entity = self.key.end_entity_cert().and_then(ParsedCertificate::try_from).ok()?;
        let nobody = RootCertStore::empty();
        match verify_server_cert_signed_by_trust_anchor(&end_entity, &nobody, &[], at, algorithms) {
            Err(Error::InvalidCertificate(why)) => Some(why),
            Ok(()) | Err(_) => None,
        }
    }
}

/// The certificate that the server shows, which may be replaced while it runs.
#[derive(Debug)]
pub struct Shown(RwLock<Identity>);

impl Shown {
    /// Shows this one from now on.
    pub(crate) fn replace(&self, identity: Identity) {
        *self.0.write() = identity;
    }
}

/// The same for all names: a phone that sends none (SNI) is shown it as well.
impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().key))
    }
}

/// A server that shows this certificate.
pub(crate) fn server(identity: Identity) -> (Arc<ServerConfig>, Arc<Shown>) {
    let shown = Arc::new(Shown(RwLock::new(identity)));
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has ciphers for TLS 1.2 and 1.3");
    let config = builder.with_no_client_auth().with_cert_resolver(Arc::<Shown>::clone(&shown));
    (Arc::new(config), shown)
}

/// A client that trusts these, and shows its certificate to whoever asks for one.
pub(crate) fn client(trust: Trust, identity: Option<Identity>) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has ciphers for TLS 1.2 and 1.3");
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier(trust));
    Arc::new(match identity {
        Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.key))),
        None => builder.with_no_client_auth(),
    })
}

fn verifier(trust: Trust) -> Arc<dyn ServerCertVerifier> {
    match trust {
        Trust::Roots(more) => {
            let mut roots = RootCertStore::clone(&SYSTEM_ROOTS);
            roots.add_parsable_certificates(more);
            let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
            // There are always roots, and no revocation lists that could be wrong.
            builder.build().expect("a verifier of roots")
        }
        Trust::Anybody => Arc::new(Unverified(provider())),
    }
}

/// What the system trusts, or `SSL_CERT_FILE` and `SSL_CERT_DIR` say; where there is nothing of that kind, as in small
/// containers, what Mozilla trusts.
static SYSTEM_ROOTS: LazyLock<RootCertStore> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
});

/// Believes whoever answers, whatever it shows. What it signs is not looked at either: anybody could sign it.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
