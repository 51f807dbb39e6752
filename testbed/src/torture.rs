//! Judges how the running server takes the torture messages of RFC 4475, RFC 5118 and the generated ones.
//!
//! The octets are those of `crates/sip-message/tests/torture`; what is right stands in `testbed/torture/cases.json`:
//!
//! | `action` | right |
//! |---|---|
//! | `accept` | past the parser; any final status but those of `status_not` |
//! | `reject` | one final answer with one of `status` |
//! | `accept-or-reject` | either; a refusal for its syntax has one of `status` |
//! | `reject-or-discard` | a refusal or silence |
//! | `discard` | silence |
//! | `any` | one answer or silence |
//!
//! `auth_first`: a challenge is right too; where the extension is one of the server's, the judge logs in and looks at
//! what comes then. Whatever a case says, an answer is well formed, belongs to its request, is not much bigger than it,
//! and the server answers a plain OPTIONS afterwards.

mod answer;
mod exchange;
mod verdict;

pub use exchange::Judge;

use serde::Deserialize;
use std::path::{Path, PathBuf};

/// A message and what the server has to do with it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Its name, as the RFC has it.
    pub id: String,
    /// Below `crates/sip-message/tests/torture`.
    file: PathBuf,
    /// What is right.
    pub expect: Expect,
    /// Cases that share its branch, sent-by and method, so that a server takes one for a retransmission of the other.
    #[serde(default)]
    pub same_transaction_as: Vec<String>,
    /// The reason.
    pub why: String,
}

/// What is right.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    action: Action,
    #[serde(default)]
    status: Vec<u16>,
    #[serde(default)]
    status_not: Vec<u16>,
    #[serde(default)]
    auth_first: bool,
    #[serde(default)]
    after_auth: Vec<u16>,
    replies_max: usize,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, Vec<String>>,
    /// What must hold afterwards, in words.
    #[serde(default)]
    pub state: Option<String>,
    #[serde(default)]
    no_line: Option<String>,
    #[serde(default)]
    output_utf8: bool,
    #[serde(default)]
    amplification_max: Option<f64>,
    #[serde(default)]
    max_ms: Option<u64>,
    /// For those who look at TCP, at the log or beyond loopback.
    #[serde(default, rename = "tcp")]
    _tcp: Option<String>,
    #[serde(default, rename = "never_to")]
    _never_to: Vec<String>,
    #[serde(default, rename = "sends_nothing")]
    _sends_nothing: bool,
    #[serde(default, rename = "reply_to")]
    _reply_to: Option<String>,
    #[serde(default, rename = "log_safe")]
    _log_safe: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Accept,
    Reject,
    AcceptOrReject,
    RejectOrDiscard,
    Discard,
    Any,
}

impl Case {
    /// The message.
    pub fn octets(&self) -> Vec<u8> {
        let path = root().join("crates/sip-message/tests/torture").join(&self.file);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

/// All cases, in rounds: no message of a round shares a transaction with another one of it.
pub fn rounds() -> Vec<Vec<Case>> {
    let path = root().join("testbed/torture/cases.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases: Vec<Case> =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let count = cases.iter().map(|case| case.same_transaction_as.len()).max().unwrap_or(0) + 1;
    let mut rounds = vec![Vec::new(); count];
    for case in cases {
        rounds[case.same_transaction_as.len()].push(case);
    }
    rounds
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
