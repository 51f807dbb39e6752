//! The extensions and keys that a first start made.

use crate::{RowFault, Store, StoreError};
use rusqlite::{Transaction, params};
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
        self.look_up(|connection| {
            let mut statement = connection
                .prepare("SELECT number, name, realm, sha256, md5 FROM extensions ORDER BY number")?;
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let number: Box<str> = row.get(0)?;
                found.push(StoredExtension {
                    sha256: digest("extensions", &number, &row.get::<_, Vec<u8>>(3)?)?,
                    md5: digest("extensions", &number, &row.get::<_, Vec<u8>>(4)?)?,
                    number,
                    name: row.get(1)?,
                    realm: row.get(2)?,
                });
            }
            Ok(found)
        })
        .await
    }

    /// The keys that the first start made, by name.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        self.look_up(|connection| {
            let mut statement =
                connection.prepare("SELECT name, sha256, permissions FROM api_keys ORDER BY name")?;
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let name: Box<str> = row.get(0)?;
                let sha256 = digest("api_keys", &name, &row.get::<_, Vec<u8>>(1)?)?;
                let permissions: Box<str> = row.get(2)?;
                match serde_json::from_str(&permissions) {
                    Ok(permissions) => found.push(StoredKey { name, sha256, permissions }),
                    Err(source) => {
                        let fault = RowFault::Json { row: name, source };
                        return Err(StoreError::Corrupt { table: "api_keys", fault });
                    }
                }
            }
            Ok(found)
        })
        .await
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
        let (extensions, keys) = (extensions.to_vec(), keys.to_vec());
        self.have_written(move |writer| writer.transact(|transaction| put(transaction, &extensions, &keys)))
            .await
    }
}

fn put(
    transaction: &Transaction<'_>,
    extensions: &[StoredExtension],
    keys: &[StoredKey],
) -> Result<bool, StoreError> {
    let is_started: bool = transaction.query_row(
        "SELECT EXISTS (SELECT 1 FROM extensions) OR EXISTS (SELECT 1 FROM api_keys)",
        [],
        |row| row.get(0),
    )?;
    if is_started {
        return Ok(false);
    }
    for StoredExtension { number, name, realm, sha256, md5 } in extensions {
        transaction.execute(
            "INSERT INTO extensions (number, name, realm, sha256, md5) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![number, name, realm, sha256, md5],
        )?;
    }
    for StoredKey { name, sha256, permissions } in keys {
        let permissions = serde_json::to_string(permissions).map_err(StoreError::Unwritable)?;
        transaction.execute(
            "INSERT INTO api_keys (name, sha256, permissions) VALUES (?1, ?2, ?3)",
            params![name, sha256, permissions],
        )?;
    }
    Ok(true)
}

fn digest<const N: usize>(table: &'static str, row: &str, octets: &[u8]) -> Result<[u8; N], StoreError> {
    octets.try_into().map_err(|_| StoreError::Corrupt {
        table,
        fault: RowFault::Digest { row: row.into(), octets: octets.len() },
    })
}
