//! What can be wrong with a configuration, and where.

use super::values::{ListenFault, PortsFault};
use crate::TlsFault;
use call_control::NumberError;
use numbering::{EntryError, PatternError, PlanError};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// One thing that is wrong: its place and a sentence about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Counted from 1; absent when the file as a whole is meant.
    pub line: Option<usize>,
    /// Such as `extensions[1].password`, counted from 0; empty when no key is meant.
    pub key: String,
    /// What is wrong with it.
    pub what: Fault,
}

/// Everything that is wrong with one file, in the order of its lines. Printed: one line each, `FILE:LINE: key: what`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes {
    /// The file as it was named.
    pub file: PathBuf,
    /// At least one.
    pub all: Vec<Mistake>,
}

impl Mistakes {
    pub(super) fn about_file(file: &Path, what: Fault) -> Self {
        Self { file: file.into(), all: vec![Mistake { line: None, key: String::new(), what }] }
    }

    /// Each mistake as a line of text, without a line break.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.all.iter().map(|mistake| {
            let mut line = self.file.display().to_string();
            if let Some(number) = mistake.line {
                line.push_str(&format!(":{number}"));
            }
            if !mistake.key.is_empty() {
                line.push_str(&format!(": {}", mistake.key));
            }
            format!("{line}: {}", mistake.what)
        })
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&line)?;
        }
        Ok(())
    }
}

/// What is wrong with a value. What is written here never holds a secret: of a value only what cannot be one is shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file is not there, or may not be read, or is not text.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
    /// The file is not TOML.
    #[error("this is not TOML: {0}")]
    Syntax(String),
    /// A key twice in one table.
    #[error("this key is there twice")]
    RepeatedKey,
    /// A key that is not known.
    #[error("there is no such key{}", suggestion(*.nearest))]
    UnknownKey {
        /// The known key that is most like it.
        nearest: Option<&'static str>,
    },
    /// A key whose feature comes with a later release.
    #[error("{feature} not available in this release; take this key out")]
    Later {
        /// What the key would configure, with its verb: `trunks are`.
        feature: &'static str,
    },
    /// A key that must be there.
    #[error("is missing")]
    Missing,
    /// Another TOML type.
    #[error("must be {expected}, not {found}")]
    WrongType {
        /// With its article.
        expected: &'static str,
        /// With its article.
        found: &'static str,
    },
    /// A number out of its range.
    #[error("must be a whole number from {min} to {max}")]
    OutOfRange {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// Nothing in it.
    #[error("must not be empty")]
    Empty,
    /// A text of a form that cannot be used.
    #[error("must be {expected}; {found:?} is not")]
    Form {
        /// What it must be, with its article.
        expected: &'static str,
        /// The value.
        found: String,
    },
    /// A secret of a form that cannot be used; it is not shown.
    #[error("must be {expected}")]
    SecretForm {
        /// What it must be, with its article.
        expected: &'static str,
    },
    /// Not one of a closed list.
    #[error("must be one of {}; {found:?} is not{}", .known.join(", "), suggestion(*.nearest))]
    NotListed {
        /// The closed list.
        known: Vec<&'static str>,
        /// The value.
        found: String,
        /// The word that is most like it.
        nearest: Option<&'static str>,
    },
    /// A listening address.
    #[error(transparent)]
    Listen(#[from] ListenFault),
    /// A range of ports.
    #[error(transparent)]
    Ports(#[from] PortsFault),
    /// An extension or a phone number.
    #[error(transparent)]
    Number(#[from] NumberError),
    /// A country or its national prefix.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// An entry of the dial policy.
    #[error("{0}; {1:?} is not")]
    Entry(EntryError, String),
    /// A number of a trunk.
    #[error("{0}")]
    Pattern(#[from] PatternError),
    /// The number that is shown when nothing else is.
    #[error(
        "must begin with one whole number, which is shown when no caller_id is given; a block with X comes behind it"
    )]
    FirstNumber,
    /// A destination of a number that the trunk does not have.
    #[error("is none of the numbers of this trunk")]
    NotOurs,
    /// A destination that is not there.
    #[error("there is no extension {0}")]
    NoSuchExtension(String),
    /// A number that an extension leads on to, and that is never rung.
    #[error("is never rung: {0}")]
    NeverRung(String),
    /// Two trunks at one address that both have a number.
    #[error("has a number that the trunk {0} has at the same address: their calls could not be told apart")]
    NumberOfAnother(String),
    /// Calls that are to prove whose they are, and know nothing that they could prove it with.
    #[error("is needed for inbound_digest = true, and must not be empty: its calls are challenged for it")]
    NoPasswordToProve,
    /// A carrier and a phone with one name.
    #[error("{0} is an extension too: with inbound_digest = true a call could be of either")]
    AccountOfExtension(String),
    /// Two trunks with one account and two passwords.
    #[error("is another one than that of the trunk {0}, whose calls prove themselves by the same username")]
    PasswordOfAnother(String),
    /// National numbers of nowhere.
    #[error("is needed for format = \"national\", here or in [dial_policy]: the calling code, such as 91")]
    NationalWithoutCountry,
    /// More tables than can be.
    #[error("there can be at most {most}")]
    TooMany {
        /// So many.
        most: usize,
    },
    /// The shortest, default and longest registration contradict each other.
    #[error("min, default and max must not become smaller from one to the next")]
    RegistrationOrder,
    /// The value was used before.
    #[error("{value:?} is already used in line {line}")]
    Repeated {
        /// The value.
        value: String,
        /// Where it was used first.
        line: usize,
    },
    /// The same API key twice.
    #[error("this is the key of line {line} again; each client needs one of its own")]
    RepeatedKeyValue {
        /// Where it was used first.
        line: usize,
    },
    /// Two keys that exclude each other.
    #[error("key and key_sha256 exclude each other; give one of them")]
    TwoKeys,
    /// Neither of two keys.
    #[error("needs key or key_sha256; `dialbridge key` makes one")]
    NoKey,
    /// A SIP port that the relay would take.
    #[error("the port of {0} lies in media.ports, where the relay takes any port")]
    PortInMediaRange(SocketAddr),
    /// A file for TLS.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// TLS without a certificate.
    #[error("is needed for tls: in listen: {{ certificate = \"cert.pem\", key = \"key.pem\" }}")]
    NoCertificate,
    /// A trunk over TLS whose requests in a call could not reach us.
    #[error("needs a tls: address in sip.listen, at which the carrier reaches us in a call")]
    NoTlsSocket,
    /// A `sips:` address behind a proxy that is not reached over TLS.
    #[error("must be reached over TLS, as the sips: of address has it (RFC 3261 section 26.2.2)")]
    InsecureProxy,
    /// A secret from the environment that is not there.
    #[error("the environment variable {0} is not set")]
    EnvironmentUnset(String),
    /// A secret from the environment that is not text.
    #[error("the environment variable {0} is not UTF-8")]
    EnvironmentNotText(String),
    /// A secret from a file that cannot be read.
    #[error("the file {path} cannot be read: {why}")]
    SecretFile {
        /// The file as it was named.
        path: String,
        /// What the operating system said.
        why: String,
    },
    /// A table of a secret that is neither `env` nor `file`.
    #[error("must be a string, {{ env = \"NAME\" }} or {{ file = \"PATH\" }}")]
    SecretShape,
}

fn suggestion(nearest: Option<&'static str>) -> String {
    nearest.map(|nearest| format!("; is {nearest} meant?")).unwrap_or_default()
}

/// The known word that a reader would take this one for, if any is close enough.
pub(super) fn nearest(found: &str, known: &[&'static str]) -> Option<&'static str> {
    let lower = found.to_lowercase();
    known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(&lower, &word.to_lowercase()), *word))
        .filter(|(distance, word)| *distance <= word.len().div_ceil(3))
        .min()
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_when_it_is_near() {
        let known = ["listen", "domain", "user_agent"];
        assert_eq!(nearest("lisen", &known), Some("listen"));
        assert_eq!(nearest("User-Agent", &known), Some("user_agent"));
        assert_eq!(nearest("realm", &known), None);
    }

    #[test]
    fn mistakes_are_printed_one_a_line_with_file_line_and_key() {
        let mistakes = Mistakes {
            file: "a.toml".into(),
            all: vec![
                Mistake { line: Some(3), key: "sip.domain".into(), what: Fault::Empty },
                Mistake { line: None, key: String::new(), what: Fault::Unreadable("no such file".into()) },
            ],
        };
        assert_eq!(
            mistakes.to_string(),
            "a.toml:3: sip.domain: must not be empty\na.toml: the file cannot be read: no such file"
        );
    }
}
