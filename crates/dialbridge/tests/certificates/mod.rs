//! An authority of the test's own, and what it certifies.

#![expect(clippy::unwrap_used, reason = "in a test a broken promise is a failure")]

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Certificates of one authority, in a folder.
pub(crate) struct Authority {
    folder: PathBuf,
    name: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM files.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// In years; the present is in it.
pub(crate) const VALID: Range<i32> = 2000..2100;

impl Authority {
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let authority = Self { folder: folder.into(), name: name.into(), issuer: Issuer::new(params, key) };
        std::fs::write(authority.roots(), certificate.pem()).unwrap();
        authority
    }

    /// The file with its own certificate.
    pub(crate) fn roots(&self) -> String {
        self.file("ca.pem")
    }

    /// A certificate for these names and addresses.
    pub(crate) fn certify(&self, names: &[&str]) -> Files {
        self.certify_for(names, VALID)
    }

    pub(crate) fn certify_for(&self, names: &[&str], years: Range<i32>) -> Files {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let file = names.first().map_or("nobody".into(), |name| name.replace('*', "any"));
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate: Certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files =
            Files { certificate: self.file(&format!("{file}.pem")), key: self.file(&format!("{file}.key")) };
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(format!("{}-{name}", self.name)).display().to_string()
    }
}

impl Files {
    /// As `tls` of a configuration has it.
    pub(crate) fn table(&self) -> String {
        format!("{{ certificate = \"{}\", key = \"{}\" }}", self.certificate, self.key)
    }
}
