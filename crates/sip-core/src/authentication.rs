//! When a challenge is answered, and with which count (RFC 3261 §22.2, RFC 7616 §3.4).

use crate::digest::{self, Identity};
use crate::random::Random;
use sip_message::{AuthParams, FieldName, Request, Response};

/// Challenges answered for one request at most: a proxy and the far end, each once more for a stale nonce.
const ATTEMPTS_MAX: usize = 4;
/// Nonces whose counts are remembered.
const NONCES_MAX: usize = 4;

/// Our credentials towards one far side, and how often each nonce was used.
#[derive(Debug)]
pub(crate) struct Authentication {
    identity: Option<Identity>,
    nonces: Vec<(Box<str>, u32)>,
    /// The credentials of the last INVITE, which its ACK repeats (RFC 3261 §22.1).
    pub(crate) given: Vec<(FieldName, String)>,
}

/// Which challenges were answered for one request.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Vec<Attempt>);

#[derive(Debug)]
struct Attempt {
    field: FieldName,
    realm: Box<str>,
    nonce: Box<str>,
}

/// A request that was refused, mended and ready to be sent once more.
#[derive(Debug)]
pub(crate) struct Retry {
    pub(crate) request: Request,
    pub(crate) attempts: Attempts,
}

impl Authentication {
    pub(crate) fn new(identity: Option<Identity>) -> Self {
        Self { identity, nonces: Vec::new(), given: Vec::new() }
    }

    /// The field that answers the challenge in `response`; `None` when we have no credentials or they were
    /// refused: a nonce is answered once, and another nonce of the same realm only when the old one was stale.
    pub(crate) fn answer(
        &mut self,
        request: &Request,
        response: &Response,
        attempts: &mut Attempts,
        random: &mut Random,
    ) -> Option<(FieldName, String)> {
        let identity = self.identity.as_ref().filter(|_| matches!(response.status.code(), 401 | 407))?;
        let (nonce, stale) = digest::challenge_nonce(identity, response)?;
        let used = self.nonces.iter().find(|(used, _)| *used == nonce).map_or(0, |(_, count)| *count);
        let uri = request.uri.to_string();
        let cnonce = random.cnonce();
        let count = used.saturating_add(1);
        let (field, value) = digest::answer(identity, &request.method, &uri, response, count, &cnonce)?;
        let given: AuthParams = value.parse().ok()?;
        let attempt = Attempt {
            realm: given.value("realm")?.into(),
            nonce: given.value("nonce")?.into(),
            field: field.clone(),
        };
        if !attempts.allow(&attempt, stale) {
            return None;
        }
        self.count(&attempt.nonce);
        attempts.0.push(attempt);
        Some((field, value))
    }

    fn count(&mut self, nonce: &str) {
        if let Some((_, count)) = self.nonces.iter_mut().find(|(used, _)| **used == *nonce) {
            *count = count.saturating_add(1);
            return;
        }
        if self.nonces.len() == NONCES_MAX {
            self.nonces.remove(0);
        }
        self.nonces.push((nonce.into(), 1));
    }

    /// Keeps the credentials of an INVITE for its ACK.
    pub(crate) fn keep(&mut self, field: &FieldName, value: &str) {
        self.given.retain(|(kept, _)| kept != field);
        self.given.push((field.clone(), value.into()));
    }
}

impl Attempts {
    fn allow(&self, attempt: &Attempt, stale: bool) -> bool {
        let mut same_realm = self
            .0
            .iter()
            .filter(|tried| tried.field == attempt.field && tried.realm == attempt.realm)
            .peekable();
        let fresh =
            same_realm.peek().is_none() || (stale && same_realm.all(|tried| tried.nonce != attempt.nonce));
        self.0.len() < ATTEMPTS_MAX && fresh
    }
}

/// Puts `value` into `request` in the place of older credentials of that kind.
pub(crate) fn give(request: &mut Request, field: FieldName, value: &str) {
    request.header.fields.set(field, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(realm: &str, nonce: &str) -> Attempt {
        Attempt { field: FieldName::AUTHORIZATION, realm: realm.into(), nonce: nonce.into() }
    }

    #[test]
    fn a_nonce_is_answered_once_and_another_only_when_the_first_was_stale() {
        let mut attempts = Attempts::default();
        assert!(attempts.allow(&attempt("a", "1"), false));
        attempts.0.push(attempt("a", "1"));
        assert!(!attempts.allow(&attempt("a", "1"), true));
        assert!(!attempts.allow(&attempt("a", "2"), false));
        assert!(attempts.allow(&attempt("a", "2"), true));
        assert!(attempts.allow(&attempt("b", "1"), false));
        for nonce in ["2", "3", "4"] {
            attempts.0.push(attempt("a", nonce));
        }
        assert!(!attempts.allow(&attempt("a", "5"), true), "stale for ever");
    }
}
