//! Without a configuration file: an API key and two extensions, made at the first start and kept in the store.

use call_control::Number;
use call_store::{Store, StoreError, StoredExtension, StoredKey};
use control_api::{ApiKey, Permission};
use rand::Rng;
use sip_b2bua::Extension;
use sip_core::digest::Secret;
use std::net::SocketAddr;

/// What a server without a file serves.
pub(crate) struct Kept {
    /// The realm of the digests; it stays when the machine's address changes.
    pub(crate) domain: Box<str>,
    pub(crate) extensions: Vec<Extension>,
    pub(crate) keys: Vec<ApiKey>,
}

/// What an earlier start made; nothing at the first.
///
/// # Errors
/// As the store.
pub(crate) async fn kept(store: &Store) -> Result<Option<Kept>, StoreError> {
    let (extensions, keys) = (store.extensions().await?, store.keys().await?);
    let Some(domain) = extensions.first().map(|extension| extension.realm.clone()) else { return Ok(None) };
    Ok(Some(Kept {
        domain,
        extensions: extensions.into_iter().filter_map(extension).collect(),
        keys: keys.into_iter().map(api_key).collect(),
    }))
}

/// New credentials, not yet kept: the only place where they are all in the open.
pub(crate) struct Made {
    domain: Box<str>,
    key: String,
    key_sha256: [u8; 32],
    passwords: [(&'static str, &'static str, String); 2],
}

impl Made {
    pub(crate) fn new(domain: Box<str>) -> Self {
        let (key, key_sha256) = control_api::key_from_random(&rand::random());
        let passwords =
            [("1001", "Phone 1001"), ("1002", "Phone 1002")].map(|(n, name)| (n, name, password()));
        Self { domain, key, key_sha256, passwords }
    }

    /// What is to be kept: digests only.
    pub(crate) fn to_store(&self) -> (Vec<StoredExtension>, Vec<StoredKey>) {
        let extensions = self.passwords.iter().map(|(number, name, password)| {
            let Secret { sha256, md5 } = Secret::new(number, &self.domain, password);
            let realm = self.domain.clone();
            StoredExtension { number: (*number).into(), name: (*name).into(), realm, sha256, md5 }
        });
        let permissions = ["calls.*", "config.*"].map(Into::into).to_vec();
        let key = StoredKey { name: "first".into(), sha256: self.key_sha256, permissions };
        (extensions.collect(), vec![key])
    }

    /// What a start with these serves.
    pub(crate) fn to_serve(&self) -> Kept {
        let (extensions, keys) = self.to_store();
        Kept {
            domain: self.domain.clone(),
            extensions: extensions.into_iter().filter_map(extension).collect(),
            keys: keys.into_iter().map(api_key).collect(),
        }
    }

    /// What is shown once.
    pub(crate) fn announcement(&self, http: SocketAddr, sip_port: u16) -> String {
        let Self { domain, key, key_sha256: _, passwords: [(one, _, first), (two, _, second)] } = self;
        // Whoever reads it sits at this machine.
        let host = if http.ip().is_unspecified() { "127.0.0.1".to_owned() } else { http.ip().to_string() };
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let port = http.port();
        format!(
            "This is the first start. What follows is shown only now:\n\n\
             API key    {key}\n\
             Extension  {one}  password  {first}\n\
             Extension  {two}  password  {second}\n\n\
             1. Set up two SIP phones: domain (server) {domain}, port {sip_port}, UDP or TCP, user name {one} or \
             {two}, its password.\n\
             2. When both are registered, let them talk:\n\n\
             curl -X POST http://{host}:{port}/api/v1/calls/click-to-call \\\n  \
             -H 'X-API-Key: {key}' -H 'Content-Type: application/json' \\\n  \
             -d '{{\"from\":\"{one}\",\"to\":\"{two}\"}}'\n"
        )
    }
}

fn extension(stored: StoredExtension) -> Option<Extension> {
    let StoredExtension { number, name, realm: _, sha256, md5 } = stored;
    match Number::new(&number) {
        Ok(number) => Some(Extension {
            number,
            name: Some(name),
            secret: Secret { sha256, md5 },
            codecs: None,
            forward: None,
            auto_answer: None,
        }),
        Err(fault) => {
            tracing::warn!(%number, %fault, "a stored extension is left out");
            None
        }
    }
}

fn api_key(stored: StoredKey) -> ApiKey {
    let StoredKey { name, sha256, permissions } = stored;
    let permissions = permissions.iter().filter_map(|word| Permission::new(word)).collect();
    ApiKey { name, sha256, permissions, caller_ids: None }
}

/// Sixteen characters of 32, 80 bits: long enough for digests that may be guessed at, short enough for a phone's
/// keys. Letters that look like digits are not among them.
fn password() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = rand::rng();
    (0..16).map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_made_is_served_again_at_the_next_start() {
        let store = Store::in_memory().await.unwrap();
        assert!(kept(&store).await.unwrap().is_none());
        let made = Made::new("192.0.2.1".into());
        let (extensions, keys) = made.to_store();
        assert!(store.put_first_start(&extensions, &keys).await.unwrap());
        let (first, again) = (made.to_serve(), kept(&store).await.unwrap().unwrap());
        assert_eq!(first.domain, again.domain);
        assert_eq!(first.extensions.len(), 2);
        for (one, other) in first.extensions.iter().zip(&again.extensions) {
            assert_eq!((&one.number, &one.secret, &one.name), (&other.number, &other.secret, &other.name));
        }
        assert_eq!(again.keys[0].sha256, control_api::key_sha256(&made.key));
        assert_eq!(
            again.keys[0].permissions,
            [Permission::new("calls.*"), Permission::new("config.*")].map(Option::unwrap)
        );
        let (number, _, password) = &made.passwords[1];
        assert_eq!(again.extensions[1].secret, Secret::new(number, "192.0.2.1", password));
    }

    #[test]
    fn the_announcement_holds_all_that_is_needed_and_every_start_makes_others() {
        let made = Made::new("192.0.2.1".into());
        let text = made.announcement("0.0.0.0:8000".parse().unwrap(), 5060);
        for needed in [&made.key, &made.passwords[0].2, &made.passwords[1].2] {
            assert!(text.contains(needed.as_str()), "{text}");
        }
        assert!(text.contains("curl -X POST http://127.0.0.1:8000/api/v1/calls/click-to-call"), "{text}");
        let other = Made::new("192.0.2.1".into());
        assert_ne!((&made.key, &made.passwords[0].2), (&other.key, &other.passwords[0].2));
    }
}
