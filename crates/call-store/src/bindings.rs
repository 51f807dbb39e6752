//! Registrations, kept over a restart.

use crate::{RowFault, Store, StoreError};
use sqlx::{Sqlite, Transaction};

/// One contact of an extension, as it is kept over a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBinding {
    /// The extension, or whatever the address-of-record's user part is.
    pub user: Box<str>,
    /// The contact as a whole name-addr, printed.
    pub contact: Box<str>,
    /// Call-ID of the REGISTER.
    pub call_id: Box<str>,
    /// CSeq of the REGISTER.
    pub cseq: u32,
    /// Milliseconds since 1970.
    pub expires_at: i64,
    /// `udp` or `tcp`: with `local` and `remote`, the flow on which it registered.
    pub transport: Box<str>,
    /// Our address.
    pub local: Box<str>,
    /// The far address.
    pub remote: Box<str>,
    /// Path values, printed, comma separated (RFC 3327).
    pub path: Option<Box<str>>,
    /// User-Agent of the REGISTER.
    pub user_agent: Option<Box<str>>,
}

impl Store {
    /// Every binding, those that have expired included, in the order in which they were given.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn bindings(&self) -> Result<Vec<StoredBinding>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT user, contact, call_id, cseq, expires_at, transport, local, remote, path, user_agent
             FROM bindings ORDER BY rowid",
        )
        .fetch_all(self.readers())
        .await?;
        rows.into_iter().map(Row::into_binding).collect()
    }

    /// All bindings of one user, replaced in one transaction; with none given, none is left. Each is kept under
    /// `user`; two of one contact are refused (RFC 3261 §10.3: a binding is known by its contact).
    ///
    /// # Errors
    /// See [`StoreError`]; the old bindings then stay.
    pub async fn replace_bindings(&self, user: &str, bindings: &[StoredBinding]) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        replace_bindings(&mut transaction, user, bindings).await?;
        Ok(transaction.commit().await?)
    }
}

pub(crate) async fn replace_bindings(
    transaction: &mut Transaction<'static, Sqlite>,
    user: &str,
    bindings: &[StoredBinding],
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM bindings WHERE user = ?1").bind(user).execute(&mut **transaction).await?;
    for binding in bindings {
        sqlx::query(
            "INSERT INTO bindings
             (user, contact, call_id, cseq, expires_at, transport, local, remote, path, user_agent)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )
        .bind(user)
        .bind(&*binding.contact)
        .bind(&*binding.call_id)
        .bind(binding.cseq)
        .bind(binding.expires_at)
        .bind(&*binding.transport)
        .bind(&*binding.local)
        .bind(&*binding.remote)
        .bind(binding.path.as_deref())
        .bind(binding.user_agent.as_deref())
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    user: Box<str>,
    contact: Box<str>,
    call_id: Box<str>,
    cseq: i64,
    expires_at: i64,
    transport: Box<str>,
    local: Box<str>,
    remote: Box<str>,
    path: Option<Box<str>>,
    user_agent: Option<Box<str>>,
}

impl Row {
    fn into_binding(self) -> Result<StoredBinding, StoreError> {
        let Ok(cseq) = u32::try_from(self.cseq) else {
            let fault = RowFault::Range { row: self.contact, value: self.cseq };
            return Err(StoreError::Corrupt { table: "bindings", fault });
        };
        Ok(StoredBinding {
            user: self.user,
            contact: self.contact,
            call_id: self.call_id,
            cseq,
            expires_at: self.expires_at,
            transport: self.transport,
            local: self.local,
            remote: self.remote,
            path: self.path,
            user_agent: self.user_agent,
        })
    }
}
