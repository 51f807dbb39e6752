//! The tables that are there many times: API keys and extensions.

use super::mistake::Fault;
use super::reader::{Table, Value};
use super::values;
use crate::Secret;
use audio::Codec;
use call_control::Number;
use control_api::ApiKey;
use numbering::{Denial, DialPolicy};
use sip_b2bua::{AutoAnswer, Extension, Forward};
use sip_core::digest;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::time::Duration;

/// An `[[api_keys]]`.
#[derive(Debug, Clone)]
pub struct KeyEntry {
    /// As the API holds it.
    pub key: ApiKey,
    /// Whether the file holds the key itself and not its SHA-256.
    pub is_plain: bool,
}

/// An `[[extensions]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtensionEntry {
    /// The user part of its address-of-record.
    pub number: Number,
    /// Of its phones.
    pub password: Secret,
    /// Shown to the other party.
    pub name: Option<Box<str>>,
    /// Offered to it instead of `media.codecs`.
    pub codecs: Option<Vec<Codec>>,
    /// Rung when no phone is registered, or none answers.
    pub forward: Option<Forward>,
    /// What makes its phones answer by themselves.
    pub auto_answer: Option<AutoAnswer>,
}

impl ExtensionEntry {
    /// As the B2BUA holds it: without the password.
    pub fn hashed(&self, realm: &str) -> Extension {
        Extension {
            number: self.number.clone(),
            name: self.name.clone(),
            secret: digest::Secret::new(self.number.as_str(), realm, self.password.expose()),
            codecs: self.codecs.clone(),
            forward: self.forward.clone(),
            auto_answer: self.auto_answer,
        }
    }
}

pub(super) fn extensions(tables: Vec<Table<'_>>, policy: Option<&DialPolicy>) -> Vec<ExtensionEntry> {
    let mut read: Vec<ExtensionEntry> = Vec::new();
    let mut forwards = Vec::new();
    let mut seen: Seen<Number> = Seen::default();
    for mut table in tables {
        let number = table.required("number").and_then(|value| {
            let number = value.parsed(values::number)?;
            let earlier = seen.before(&number, value.line());
            if let Some(line) = earlier {
                value.refuse(Fault::Repeated { value: number.to_string(), line });
            }
            Some(number)
        });
        let password = table.required("password").and_then(|value| {
            let password = value.secret()?;
            if password.expose().chars().any(char::is_control)
                || password.expose().len() > PASSWORD_OCTETS_MAX
            {
                value.refuse(Fault::SecretForm {
                    expected: "at most 256 octets, none of them a control character",
                });
            }
            Some(password)
        });
        let name = table.optional("name").and_then(|value| value.parsed(values::display_name));
        let codecs = table.optional("codecs").and_then(|value| value.set("a list of codecs", values::codec));
        let forward = forward(&mut table).map(|(value, forward)| {
            forwards.push((number.clone(), value, forward.to.clone()));
            forward
        });
        let auto_answer = table.optional("auto_answer").and_then(|value| value.parsed(values::auto_answer));
        table.end();
        if let (Some(number), Some(password)) = (number, password) {
            read.push(ExtensionEntry { number, password, name, codecs, forward, auto_answer });
        }
    }
    for (own, value, to) in forwards {
        must_be_rung(&read, policy, own.as_ref(), (&value, &to));
    }
    read
}

/// Another extension, or a number that the dial policy lets be dialled.
fn must_be_rung(
    extensions: &[ExtensionEntry],
    policy: Option<&DialPolicy>,
    own: Option<&Number>,
    (value, to): (&Value<'_>, &Number),
) {
    let why = if own == Some(to) {
        "it is the number of this extension".into()
    } else if extensions.iter().any(|extension| extension.number == *to) {
        return;
    } else {
        match policy.map(|policy| policy.judge(to)) {
            Some(Ok(_)) => return,
            Some(Err(Denial::Unreadable(why))) => format!("it {why}"),
            Some(Err(Denial::Forbidden(rule))) => rule.to_string(),
            None => "no extension has it, and without [dial_policy] nothing outside is dialled".into(),
        }
    };
    value.refuse(Fault::NeverRung(why));
}

/// Where else an extension is reached.
fn forward<'d>(table: &mut Table<'d>) -> Option<(Value<'d>, Forward)> {
    let value = table.optional("forward_to");
    let to = value.as_ref().map(|value| value.parsed(Number::written));
    let after = table.optional("forward_after_seconds").map(|value| value.seconds(1..=600));
    if after.is_some() && to.is_none() {
        table.refuse("forward_to", Fault::Missing);
    }
    let after = match after {
        Some(after) => after?,
        None => FORWARD_AFTER,
    };
    Some((value?, Forward { to: to??, after }))
}

pub(super) fn api_keys(tables: Vec<Table<'_>>) -> Vec<KeyEntry> {
    let mut read: Vec<KeyEntry> = Vec::new();
    let mut names: Seen<Box<str>> = Seen::default();
    let mut keys: Seen<[u8; 32]> = Seen::default();
    for mut table in tables {
        let name = table.required("name").and_then(|value| {
            let name = value.parsed(values::key_name)?;
            if let Some(line) = names.before(&name, value.line()) {
                value.refuse(Fault::Repeated { value: name.to_string(), line });
            }
            Some(name)
        });
        let sha256 = key(&mut table, &mut keys);
        let permissions = table
            .required("permissions")
            .and_then(|value| value.set("a list such as [\"calls.read\"]", values::permission));
        let caller_ids =
            table.optional("caller_ids").and_then(|value| value.set("a list of numbers", values::number));
        table.end();
        if let (Some(name), Some((sha256, is_plain)), Some(permissions)) = (name, sha256, permissions) {
            read.push(KeyEntry { key: ApiKey { name, sha256, permissions, caller_ids }, is_plain });
        }
    }
    read
}

/// The SHA-256 of the key, and whether the key itself was given.
fn key(table: &mut Table<'_>, seen: &mut Seen<[u8; 32]>) -> Option<([u8; 32], bool)> {
    let (value, sha256, is_plain) = match (table.optional("key"), table.optional("key_sha256")) {
        (Some(value), None) => {
            let key = value.secret()?;
            if !control_api::is_key(key.expose()) {
                value.refuse(Fault::SecretForm { expected: KEY_FORM });
                return None;
            }
            let sha256 = control_api::key_sha256(key.expose());
            let is_plain = value.is_string();
            (value, sha256, is_plain)
        }
        (None, Some(value)) => {
            let sha256 = value.parsed(values::sha256)?;
            (value, sha256, false)
        }
        (Some(_), Some(sha256)) => {
            sha256.refuse(Fault::TwoKeys);
            return None;
        }
        (None, None) => {
            table.refuse_whole(Fault::NoKey);
            return None;
        }
    };
    if let Some(line) = seen.before(&sha256, value.line()) {
        value.refuse(Fault::RepeatedKeyValue { line });
    }
    Some((sha256, is_plain))
}

/// How long the phones of an extension ring before its other number does.
const FORWARD_AFTER: Duration = Duration::from_secs(20);
const PASSWORD_OCTETS_MAX: usize = 256;
const KEY_FORM: &str = "ak_ and 32 to 128 hexadecimal digits; `dialbridge key` makes one";

/// Values that must not come twice, and their lines.
pub(super) struct Seen<T>(HashMap<T, usize>);

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Eq + Hash + Clone> Seen<T> {
    /// The line in which the value came before; otherwise it is noted.
    pub(super) fn before(&mut self, value: &T, line: usize) -> Option<usize> {
        match self.0.entry(value.clone()) {
            Entry::Occupied(earlier) => Some(*earlier.get()),
            Entry::Vacant(free) => {
                free.insert(line);
                None
            }
        }
    }
}
