//! Secrets that the server makes for itself and needs again after a restart.

use crate::{RowFault, Store, StoreError};

impl Store {
    /// The secret of this name; `fresh` becomes it when there is none yet.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let mut transaction = self.write().await?;
        sqlx::query("INSERT INTO secrets (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
            .bind(name)
            .bind(&fresh[..])
            .execute(&mut *transaction)
            .await?;
        let (value,): (Vec<u8>,) = sqlx::query_as("SELECT value FROM secrets WHERE name = ?1")
            .bind(name)
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let octets = value.len();
        value.try_into().map_err(|_| StoreError::Corrupt {
            table: "secrets",
            fault: RowFault::Digest { row: name.into(), octets },
        })
    }
}
