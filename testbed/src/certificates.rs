//! An authority of a test's own, and what it certifies.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::path::{Path, PathBuf};

/// Certifies names, with its files in one folder.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM files.
#[derive(Debug, Clone)]
pub struct Certified {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Authority {
    /// One whose own certificate is `ca.pem` in `folder`.
    ///
    /// # Panics
    /// When nothing can be written there.
    pub fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "the authority of the test");
        let key = KeyPair::generate().expect("a key");
        let root = params.self_signed(&key).expect("a certificate");
        let authority = Self { folder: folder.to_owned(), issuer: Issuer::new(params, key) };
        authority.write("ca.pem", &root.pem());
        authority
    }

    /// The file with its own certificate.
    pub fn roots(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A certificate for these names and addresses, in `NAME-cert.pem` and `NAME-key.pem`.
    ///
    /// # Panics
    /// When one is no name.
    pub fn certify(&self, name: &str, names: &[&str]) -> Certified {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(names).expect("names");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Certified {
            certificate: self.write(&format!("{name}-cert.pem"), &certificate.pem()),
            key: self.write(&format!("{name}-key.pem"), &key.serialize_pem()),
        }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.join(name);
        std::fs::write(&file, text).expect("a file of a certificate");
        file
    }
}
