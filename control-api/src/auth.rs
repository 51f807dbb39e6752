//! Who asks, and what they may: API keys and their permissions.

use crate::error::{ApiError, Code};
use crate::serve::Peer;
use crate::wrong_keys::WrongKeys;
use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use call_control::{CallerId, Number};
use parking_lot::RwLock;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

pub(crate) const CLICK_TO_CALL: &str = "calls.click_to_call";
pub(crate) const ORIGINATE_AI: &str = "calls.originate_ai";
pub(crate) const READ: &str = "calls.read";
pub(crate) const LIVE: &str = "calls.live";
pub(crate) const HANG_UP: &str = "calls.hangup";
pub(crate) const TRANSFER: &str = "calls.transfer";
pub(crate) const HOLD: &str = "calls.hold";
pub(crate) const WRITE: &str = "calls.write";
pub(crate) const CONFIG_READ: &str = "config.read";

const PERMISSIONS: [&str; 11] = [
    CLICK_TO_CALL,
    ORIGINATE_AI,
    READ,
    LIVE,
    HANG_UP,
    TRANSFER,
    HOLD,
    "calls.recording",
    WRITE,
    CONFIG_READ,
    "config.write",
];
const FAMILIES: [&str; 2] = ["calls.*", "config.*"];

const KEY_PREFIX: &str = "ak_";
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// One API key, as it is kept: never the key itself.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// Its name, for logs and for limits per key.
    pub name: Box<str>,
    /// SHA-256 of the whole key, `ak_` included.
    pub sha256: [u8; 32],
    /// What it may do.
    pub permissions: Vec<Permission>,
    /// Numbers it may show as caller; `None`: any.
    pub caller_ids: Option<Vec<Number>>,
}

impl ApiKey {
    /// Whether it may.
    pub(crate) fn may(&self, permission: &str) -> bool {
        self.permissions.iter().any(|held| held.covers(permission))
    }

    /// # Errors
    /// 403, with the permission named.
    pub(crate) fn must(&self, permission: &'static str) -> Result<(), ApiError> {
        if self.may(permission) {
            return Ok(());
        }
        Err(ApiError::new(
            Code::PermissionMissing,
            format!("The API key does not have the permission {permission}"),
        ))
    }

    /// A number that is written as it is in its country the B2BUA completes, and then holds it against these.
    ///
    /// # Errors
    /// 403 when the key is bound to other caller ids.
    pub(crate) fn must_show(&self, caller_id: Option<&CallerId>) -> Result<(), ApiError> {
        let is_whole = |number: &Number| number.as_str().starts_with('+');
        let may_be = |allowed: &[Number], number: &Number| {
            allowed.iter().any(|own| own == number || !is_whole(own) || !is_whole(number))
        };
        match (&self.caller_ids, caller_id) {
            (Some(allowed), Some(CallerId { number: Some(number), .. })) if !may_be(allowed, number) => {
                let message =
                    format!("The API key may not show the caller_id {number}: its caller_ids do not have it");
                Err(ApiError::new(Code::CallerIdNotAllowed, message).about("caller_id"))
            }
            (None | Some(_), _) => Ok(()),
        }
    }
}

/// A permission such as `calls.read`, or a family such as `calls.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission(Box<str>);

impl Permission {
    /// `None` for a word that is not in the closed list.
    pub fn new(text: &str) -> Option<Self> {
        (PERMISSIONS.contains(&text) || FAMILIES.contains(&text)).then(|| Self(text.into()))
    }

    /// Every word of the closed list, families left out.
    pub fn all() -> &'static [&'static str] {
        &PERMISSIONS
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn covers(&self, wanted: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(family) => wanted.starts_with(family),
            None => *self.0 == *wanted,
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A new key, `ak_` and 32 hexadecimal digits, from 16 random octets; and the SHA-256 under which it is kept.
pub fn key_from_random(random: &[u8; 16]) -> (String, [u8; 32]) {
    let key = format!("{KEY_PREFIX}{}", hex::encode(random));
    let sha256 = key_sha256(&key);
    (key, sha256)
}

/// The SHA-256 under which a key is kept. A key is random, so it needs neither salt nor a slow digest.
pub fn key_sha256(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// Whether a text has the form of a key: `ak_` and 32 to 128 hexadecimal digits. Another text opens nothing.
pub fn is_key(text: &str) -> bool {
    text.strip_prefix(KEY_PREFIX).is_some_and(|digits| {
        (32..=128).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

/// The keys in force; replaced as a whole when the configuration is read again. Clones share them.
#[derive(Debug, Clone)]
pub struct Keys(Arc<RwLock<Arc<[ApiKey]>>>);

impl Keys {
    /// These and no others.
    pub fn new(keys: Vec<ApiKey>) -> Self {
        Self(Arc::new(RwLock::new(keys.into())))
    }

    /// From now on these; requests that are under way keep what they were allowed.
    pub fn replace(&self, keys: Vec<ApiKey>) {
        *self.0.write() = keys.into();
    }

    /// Takes the same steps whatever the key is: each digest is compared as a whole, and none ends the search.
    fn find(&self, presented: &str) -> Option<ApiKey> {
        let keys = Arc::clone(&self.0.read());
        let digest = key_sha256(presented);
        let mut position = u64::MAX;
        let mut found = Choice::from(u8::from(false));
        for (at, key) in (0_u64..).zip(keys.iter()) {
            let same = key.sha256.ct_eq(&digest);
            position.conditional_assign(&at, same);
            found |= same;
        }
        let position = usize::try_from(position).ok()?;
        if bool::from(found) { keys.get(position).cloned() } else { None }
    }
}

/// The key as it was presented: `X-API-Key`, or else `Authorization: Bearer`. One given twice is none.
fn presented(headers: &HeaderMap) -> Option<&str> {
    if headers.contains_key(X_API_KEY) {
        return single(headers, &X_API_KEY);
    }
    let (scheme, key) = single(headers, &header::AUTHORIZATION)?.split_once(' ')?;
    // RFC 9110 §11.1: the scheme is not case-sensitive.
    scheme.eq_ignore_ascii_case("Bearer").then(|| key.trim_matches(' '))
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// The key that a request was made with.
pub(crate) struct Caller(pub(crate) ApiKey);

impl<S: Sync> FromRequestParts<S> for Caller
where
    Keys: FromRef<S>,
    WrongKeys: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let presented = presented(&parts.headers);
        let key = presented.filter(|key| is_key(key));
        let found = Keys::from_ref(state).find(key.unwrap_or_default()).filter(|_| key.is_some());
        let peer = parts.extensions.get::<Peer>();
        match (found, peer) {
            (Some(key), peer) => {
                peer.inspect(|peer| peer.trust());
                Ok(Self(key))
            }
            (None, Some(peer)) if presented.is_some() => {
                let counted = WrongKeys::from_ref(state).count(peer.address);
                Err(counted.map_or_else(ApiError::too_many_wrong_keys, |()| ApiError::unauthorized()))
            }
            (None, _) => Err(ApiError::unauthorized()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, sha256: [u8; 32]) -> ApiKey {
        ApiKey { name: name.into(), sha256, permissions: vec![], caller_ids: None }
    }

    #[test]
    fn a_new_key_is_found_by_its_digest_until_it_is_replaced() {
        let (text, sha256) = key_from_random(&[0xA0; 16]);
        assert_eq!(text, format!("ak_{}", "a0".repeat(16)));
        assert!(is_key(&text));
        let (other, other_sha256) = key_from_random(&[1; 16]);
        let keys = Keys::new(vec![key("one", other_sha256), key("two", sha256), key("three", [0; 32])]);
        assert_eq!(&*keys.find(&text).unwrap().name, "two");
        assert_eq!(&*keys.find(&other).unwrap().name, "one");
        assert!(keys.find("").is_none());
        assert!(keys.find(&text.to_uppercase()).is_none());
        let clone = keys.clone();
        clone.replace(vec![key("one", other_sha256)]);
        assert!(keys.find(&text).is_none() && clone.find(&other).is_some());
        assert!(Keys::new(vec![]).find(&text).is_none());
    }

    #[test]
    fn the_digest_is_sha_256_of_the_whole_key() {
        // The example of FIPS 180-4 for "abc".
        assert_eq!(
            hex::encode(key_sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_key_has_the_prefix_and_at_least_32_hexadecimal_digits() {
        assert!(is_key("ak_0123456789abcdef0123456789abcdef"));
        assert!(is_key(&format!("ak_{}", "f".repeat(128))));
        for bad in ["", "ak_", "0123456789abcdef0123456789abcdef", "ak_0123456789abcdef0123456789abcde"] {
            assert!(!is_key(bad), "{bad}");
        }
        assert!(!is_key(&format!("ak_{}", "g".repeat(32))));
        assert!(!is_key(&format!("AK_{}", "f".repeat(32))));
        assert!(!is_key(&format!("ak_{}", "f".repeat(129))));
    }

    #[test]
    fn permissions_are_a_closed_list_with_families() {
        for word in Permission::all() {
            assert_eq!(Permission::new(word).unwrap().as_str(), *word);
        }
        for unknown in
            ["", "*", "calls", "calls.", "calls.**", "users.*", "Calls.read", "calls.read ", "root"]
        {
            assert_eq!(Permission::new(unknown), None, "{unknown}");
        }
        let family = Permission::new("calls.*").unwrap();
        assert!(family.covers(READ) && family.covers(ORIGINATE_AI));
        assert!(!family.covers("config.read"));
        let one = Permission::new(READ).unwrap();
        assert!(one.covers(READ) && !one.covers("calls.live"));
    }
}
