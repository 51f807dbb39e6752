//! Secrets that the server makes for itself and needs again after a restart.

use crate::{RowFault, Store, StoreError};
use rusqlite::params;

impl Store {
    /// The secret of this name; `fresh` becomes it when there is none yet.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let name: Box<str> = name.into();
        self.have_written(move |writer| {
            let value: Vec<u8> = writer.transact(|transaction| {
                transaction.execute(
                    "INSERT INTO secrets (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                    params![name, fresh],
                )?;
                Ok(transaction
                    .query_row("SELECT value FROM secrets WHERE name = ?1", [&name], |row| row.get(0))?)
            })?;
            let octets = value.len();
            value.try_into().map_err(|_| StoreError::Corrupt {
                table: "secrets",
                fault: RowFault::Digest { row: name, octets },
            })
        })
        .await
    }
}
