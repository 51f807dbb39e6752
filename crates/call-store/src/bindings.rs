//! Registrations, kept over a restart.

use crate::runs::RunId;
use crate::{RowFault, Store, StoreError};
use rusqlite::{Row, Transaction, params};

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
    /// Such as `udp`: with `local` and `remote`, the flow on which it registered.
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
        self.look_up(|connection| {
            let mut statement = connection.prepare(
                "SELECT user, contact, call_id, cseq, expires_at, transport, local, remote, path, user_agent
                 FROM bindings ORDER BY rowid",
            )?;
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(read(row)?);
            }
            Ok(found)
        })
        .await
    }
}

fn read(row: &Row<'_>) -> Result<StoredBinding, StoreError> {
    let contact: Box<str> = row.get(1)?;
    let value: i64 = row.get(3)?;
    let Ok(cseq) = u32::try_from(value) else {
        return Err(StoreError::Corrupt {
            table: "bindings",
            fault: RowFault::Range { row: contact, value },
        });
    };
    Ok(StoredBinding {
        user: row.get(0)?,
        contact,
        call_id: row.get(2)?,
        cseq,
        expires_at: row.get(4)?,
        transport: row.get(5)?,
        local: row.get(6)?,
        remote: row.get(7)?,
        path: row.get(8)?,
        user_agent: row.get(9)?,
    })
}

/// A binding belongs to the run to which its REGISTER came: one that is only written again, beside another of its user,
/// stays with its run.
pub(crate) fn replace_bindings(
    transaction: &Transaction<'_>,
    run: RunId,
    user: &str,
    bindings: &[StoredBinding],
) -> Result<(), StoreError> {
    let mut delete = transaction
        .prepare_cached("DELETE FROM bindings WHERE user = ?1 RETURNING contact, call_id, cseq, run")?;
    let mut rows = delete.query([user])?;
    let mut former: Vec<(Box<str>, Box<str>, i64, i64)> = Vec::new();
    while let Some(row) = rows.next()? {
        former.push((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    }
    let mut insert = transaction.prepare_cached(
        "INSERT INTO bindings
         (user, contact, run, call_id, cseq, expires_at, transport, local, remote, path, user_agent)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (user, contact) DO UPDATE SET run = excluded.run, call_id = excluded.call_id,
         cseq = excluded.cseq, expires_at = excluded.expires_at, transport = excluded.transport,
         local = excluded.local, remote = excluded.remote, path = excluded.path, user_agent = excluded.user_agent",
    )?;
    for binding in bindings {
        let StoredBinding { user: _, contact, call_id, cseq, .. } = binding;
        let same = former
            .iter()
            .find(|(was, of, number, _)| (was, of, *number) == (contact, call_id, i64::from(*cseq)));
        insert.execute(params![
            user,
            contact,
            same.map_or(run.number(), |(.., run)| *run),
            call_id,
            cseq,
            binding.expires_at,
            binding.transport,
            binding.local,
            binding.remote,
            binding.path,
            binding.user_agent,
        ])?;
    }
    Ok(())
}
