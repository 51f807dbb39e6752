//! The extensions and keys that a first start made.

use crate::{RowFault, Store, StoreError};
use std::fmt;

/// An extension that the first start made.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredExtension {
    /// Its number.
    pub number: Box<str>,
    /// The name to show.
    pub name: Box<str>,
    /// The realm that the digests were made for.
    pub realm: Box<str>,
    /// SHA-256 of `number:realm:password` (RFC 7616 §3.4.2).
    pub sha256: [u8; 32],
    /// MD5 of the same.
    pub md5: [u8; 16],
}

/// Without the digests: who has one can log in.
impl fmt::Debug for StoredExtension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, name, realm, sha256: _, md5: _ } = self;
        f.debug_struct("StoredExtension")
            .field("number", number)
            .field("name", name)
            .field("realm", realm)
            .finish_non_exhaustive()
    }
}

/// An API key that the first start made; never the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Its name.
    pub name: Box<str>,
    /// SHA-256 of the key.
    pub sha256: [u8; 32],
    /// Such as `calls.read`.
    pub permissions: Vec<Box<str>>,
}

impl Store {
    /// The extensions that the first start made, by number.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn extensions(&self) -> Result<Vec<StoredExtension>, StoreError> {
        let rows: Vec<ExtensionRow> =
            sqlx::query_as("SELECT number, name, realm, sha256, md5 FROM extensions ORDER BY number")
                .fetch_all(self.readers())
                .await?;
        rows.into_iter().map(ExtensionRow::into_extension).collect()
    }

    /// The keys that the first start made, by name.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        let rows: Vec<KeyRow> =
            sqlx::query_as("SELECT name, sha256, permissions FROM api_keys ORDER BY name")
                .fetch_all(self.readers())
                .await?;
        rows.into_iter().map(KeyRow::into_key).collect()
    }

    /// Keeps what the first start made, in one transaction. Nothing is written, and the answer is `false`, when there
    /// are extensions or keys already.
    ///
    /// # Errors
    /// See [`StoreError`]; nothing is written then.
    pub async fn put_first_start(
        &self,
        extensions: &[StoredExtension],
        keys: &[StoredKey],
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let (started,): (bool,) =
            sqlx::query_as("SELECT EXISTS (SELECT 1 FROM extensions) OR EXISTS (SELECT 1 FROM api_keys)")
                .fetch_one(&mut *transaction)
                .await?;
        if started {
            return Ok(false);
        }
        for extension in extensions {
            sqlx::query(
                "INSERT INTO extensions (number, name, realm, sha256, md5) VALUES (?1, ?2, ?3, ?4, ?5)",
            )
            .bind(&*extension.number)
            .bind(&*extension.name)
            .bind(&*extension.realm)
            .bind(extension.sha256.as_slice())
            .bind(extension.md5.as_slice())
            .execute(&mut *transaction)
            .await?;
        }
        for key in keys {
            let permissions = serde_json::to_string(&key.permissions).map_err(StoreError::Unwritable)?;
            sqlx::query("INSERT INTO api_keys (name, sha256, permissions) VALUES (?1, ?2, ?3)")
                .bind(&*key.name)
                .bind(key.sha256.as_slice())
                .bind(permissions)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }
}

#[derive(sqlx::FromRow)]
struct ExtensionRow {
    number: Box<str>,
    name: Box<str>,
    realm: Box<str>,
    sha256: Vec<u8>,
    md5: Vec<u8>,
}

impl ExtensionRow {
    fn into_extension(self) -> Result<StoredExtension, StoreError> {
        let sha256 = digest("extensions", &self.number, &self.sha256)?;
        let md5 = digest("extensions", &self.number, &self.md5)?;
        Ok(StoredExtension { number: self.number, name: self.name, realm: self.realm, sha256, md5 })
    }
}

#[derive(sqlx::FromRow)]
struct KeyRow {
    name: Box<str>,
    sha256: Vec<u8>,
    permissions: Box<str>,
}

impl KeyRow {
    fn into_key(self) -> Result<StoredKey, StoreError> {
        let sha256 = digest("api_keys", &self.name, &self.sha256)?;
        match serde_json::from_str(&self.permissions) {
            Ok(permissions) => Ok(StoredKey { name: self.name, sha256, permissions }),
            Err(source) => Err(StoreError::Corrupt {
                table: "api_keys",
                fault: RowFault::Json { row: self.name, source },
            }),
        }
    }
}

fn digest<const N: usize>(table: &'static str, row: &str, octets: &[u8]) -> Result<[u8; N], StoreError> {
    octets.try_into().map_err(|_| StoreError::Corrupt {
        table,
        fault: RowFault::Digest { row: row.into(), octets: octets.len() },
    })
}
