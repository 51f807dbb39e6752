//! Digest credentials (RFC 7616, RFC 8760), written apart from the server's.

use md5::Md5;
use sha2::{Digest, Sha256};

/// What hashes the credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// As every phone can.
    Md5,
    /// RFC 8760.
    Sha256,
}

impl Algorithm {
    /// As `algorithm=` has it.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    fn hash(self, text: &str) -> String {
        match self {
            Self::Md5 => hex::encode(Md5::digest(text)),
            Self::Sha256 => hex::encode(Sha256::digest(text)),
        }
    }
}

/// The value of `Authorization` for a challenge, with `qop=auth`.
pub fn authorization(
    algorithm: Algorithm,
    challenge: &str,
    (user, password): (&str, &str),
    (method, uri): (&str, &str),
) -> String {
    let realm = parameter(challenge, "realm").unwrap_or_default();
    let nonce = parameter(challenge, "nonce").unwrap_or_default();
    let cnonce = hex::encode(rand::random::<[u8; 8]>());
    let secret = algorithm.hash(&format!("{user}:{realm}:{password}"));
    let request = algorithm.hash(&format!("{method}:{uri}"));
    let response = algorithm.hash(&format!("{secret}:{nonce}:00000001:{cnonce}:auth:{request}"));
    let opaque = parameter(challenge, "opaque").map(|it| format!(", opaque=\"{it}\"")).unwrap_or_default();
    format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
         algorithm={}, qop=auth, nc=00000001, cnonce=\"{cnonce}\"{opaque}",
        algorithm.token()
    )
}

/// A parameter of a challenge, without its quotes.
pub(crate) fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let rest = challenge.strip_prefix("Digest")?;
    rest.split(',').find_map(|item| {
        let (key, value) = item.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_rfc() {
        // RFC 7616 §3.9.1.
        let of = |algorithm: Algorithm| {
            let secret = algorithm.hash("Mufasa:http-auth@example.org:Circle of Life");
            let request = algorithm.hash("GET:/dir/index.html");
            algorithm.hash(&format!(
                "{secret}:7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v:00000001:\
                 f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ:auth:{request}"
            ))
        };
        assert_eq!(of(Algorithm::Md5), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(of(Algorithm::Sha256), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    }
}
