//! Digest authentication (RFC 7616, RFC 8760, RFC 3261 §22): [`answer`] as client, [`Authenticator`] as server.

mod client;
mod nonce;
mod server;

pub use client::{answer, challenge_nonce};
pub use server::{Authenticator, Verdict};

use md5::Md5;
use sha2::{Digest, Sha256};
use std::fmt;

/// A hash function of RFC 8760 §2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `SHA-256`
    Sha256,
    /// `MD5`: what a field without `algorithm` means (RFC 7616 §3.3).
    Md5,
}

impl Algorithm {
    /// The value of the `algorithm` parameter.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        }
    }

    /// Reads the `algorithm` parameter. The session variants are not served: which `cnonce` goes into their key on a
    /// second request, and in which form, is read differently by different peers.
    fn from_parameter(value: Option<&str>) -> Option<Self> {
        let Some(token) = value else { return Some(Self::Md5) };
        [Self::Sha256, Self::Md5].into_iter().find(|algorithm| algorithm.token().eq_ignore_ascii_case(token))
    }

    /// The hash over the parts with a colon between them, in lower-case hexadecimal digits.
    fn hash(self, parts: &[&str]) -> String {
        match self {
            Self::Sha256 => hex::encode(hash::<Sha256>(parts)),
            Self::Md5 => hex::encode(hash::<Md5>(parts)),
        }
    }
}

fn hash<D: Digest>(parts: &[&str]) -> sha2::digest::Output<D> {
    let mut digest = D::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            digest.update(b":");
        }
        digest.update(part.as_bytes());
    }
    digest.finalize()
}

/// Who we are towards a server that challenges us. Debug shows no password.
#[derive(Clone)]
pub struct Identity {
    /// The `username` parameter.
    pub username: Box<str>,
    /// Never sent.
    pub password: Box<str>,
    /// Challenges of another realm are not answered; all are when it is absent.
    pub realm: Option<Box<str>>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("username", &self.username).finish_non_exhaustive()
    }
}

impl Identity {
    /// Of whatever realm the server is.
    pub fn new(username: &str, password: &str) -> Self {
        Self { username: username.into(), password: password.into(), realm: None }
    }

    fn is_of(&self, realm: &str) -> bool {
        self.realm.as_deref().is_none_or(|ours| ours == realm)
    }

    fn secret(&self, algorithm: Algorithm, realm: &str) -> String {
        algorithm.hash(&[&self.username, realm, &self.password])
    }
}

/// H(username:realm:password) for both algorithms: what a server keeps instead of a password. Debug shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// With SHA-256.
    pub sha256: [u8; 32],
    /// With MD5.
    pub md5: [u8; 16],
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}

impl Secret {
    /// The secret of one user in one realm.
    pub fn new(username: &str, realm: &str, password: &str) -> Self {
        let parts = [username, realm, password];
        Self { sha256: hash::<Sha256>(&parts).into(), md5: hash::<Md5>(&parts).into() }
    }

    fn digits(&self, algorithm: Algorithm) -> String {
        match algorithm {
            Algorithm::Sha256 => hex::encode(self.sha256),
            Algorithm::Md5 => hex::encode(self.md5),
        }
    }
}

/// What a response vouches for (RFC 7616 §3.4.1).
struct Vouched<'a> {
    method: &'a str,
    uri: &'a str,
    nonce: &'a str,
    /// `nc` and `cnonce`, with `qop=auth`; absent with a peer of the time before it.
    counted: Option<(&'a str, &'a str)>,
}

impl Vouched<'_> {
    /// The `response` parameter for H(username:realm:password), which is given in hexadecimal digits.
    fn response(&self, algorithm: Algorithm, secret: &str) -> String {
        let request = algorithm.hash(&[self.method, self.uri]);
        match self.counted {
            Some((count, cnonce)) => algorithm.hash(&[secret, self.nonce, count, cnonce, "auth", &request]),
            None => algorithm.hash(&[secret, self.nonce, &request]),
        }
    }
}

/// Whether a challenge or credentials are of our scheme; others need not even be readable.
fn is_digest(value: &str) -> bool {
    value.split([' ', '\t']).next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("Digest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616 §3.9.1
    fn mufasa(algorithm: Algorithm) -> String {
        let secret = Secret::new("Mufasa", "http-auth@example.org", "Circle of Life");
        let vouched = Vouched {
            method: "GET",
            uri: "/dir/index.html",
            nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            counted: Some(("00000001", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")),
        };
        vouched.response(algorithm, &secret.digits(algorithm))
    }

    #[test]
    fn the_examples_of_rfc_7616_come_out() {
        assert_eq!(mufasa(Algorithm::Md5), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(
            mufasa(Algorithm::Sha256),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
    }

    #[test]
    fn the_example_of_rfc_2617_comes_out() {
        let secret = Secret::new("Mufasa", "testrealm@host.com", "Circle Of Life");
        let vouched = Vouched {
            method: "GET",
            uri: "/dir/index.html",
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            counted: Some(("00000001", "0a4f113b")),
        };
        let response = vouched.response(Algorithm::Md5, &secret.digits(Algorithm::Md5));
        assert_eq!(response, "6629fae49393a05397450978507c4ef1");
    }

    #[test]
    fn without_qop_the_response_is_that_of_rfc_2069() {
        // RFC 2069 §2.4 with the response of its erratum 749.
        let secret = Secret::new("Mufasa", "testrealm@host.com", "CircleOfLife");
        let vouched = Vouched {
            method: "GET",
            uri: "/dir/index.html",
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            counted: None,
        };
        let response = vouched.response(Algorithm::Md5, &secret.digits(Algorithm::Md5));
        assert_eq!(response, "1949323746fe6a43ef61f9606e7febea");
    }

    #[test]
    fn an_absent_algorithm_is_md5_and_an_unknown_one_is_none() {
        assert_eq!(Algorithm::from_parameter(None), Some(Algorithm::Md5));
        assert_eq!(Algorithm::from_parameter(Some("sha-256")), Some(Algorithm::Sha256));
        for unknown in ["SHA256", "SHA-512-256", "MD5-sess", "SHA-256-sess", "", "é"] {
            assert_eq!(Algorithm::from_parameter(Some(unknown)), None, "{unknown}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let identity = Identity::new("1001", "hunter2");
        assert!(!format!("{identity:?} {:?}", Secret::new("1001", "a", "hunter2")).contains("hunter2"));
        assert_eq!(format!("{:?}", Secret::new("1001", "a", "hunter2")), "Secret { .. }");
    }
}
