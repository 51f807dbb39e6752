//! INVITEs that phones know of, kept until they are ended, so that the next process can end them after a crash.

use crate::runs::RunId;
use crate::{RowFault, Store, StoreError};
use call_control::CallId;
use rusqlite::{Connection, Transaction, params};
use std::collections::BTreeMap;

/// One INVITE, or the dialog that it made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInvite {
    /// The Call-ID of its dialog: its name here.
    pub sip_call_id: Box<str>,
    /// The call that it is a leg of.
    pub call_id: CallId,
    /// Such as `udp`: with `local` and `remote`, the way to the phone.
    pub transport: Box<str>,
    /// Our address.
    pub local: Box<str>,
    /// The far address.
    pub remote: Box<str>,
    /// What CANCEL or BYE is made of; only its writer knows how.
    pub request: Vec<u8>,
}

/// What becomes of INVITEs, by their Call-ID: they are kept as they are now, or forgotten.
pub type InviteChanges = BTreeMap<Box<str>, Option<StoredInvite>>;

impl Store {
    /// Every INVITE that was not ended, of any run.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn invites(&self) -> Result<Vec<StoredInvite>, StoreError> {
        // No run has this number.
        self.look_up(|connection| of_others(connection, RunId(u64::MAX))).await
    }
}

/// Those of every other run, in the order in which they were written first.
pub(crate) fn of_others(connection: &Connection, run: RunId) -> Result<Vec<StoredInvite>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT sip_call_id, call_id, transport, local, remote, request FROM invites WHERE run <> ?1 ORDER BY rowid",
    )?;
    let mut rows = statement.query([run.number()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let call_id: Box<str> = row.get(1)?;
        let Ok(call_id) = call_id.parse() else {
            let fault = RowFault::Word { word: call_id };
            return Err(StoreError::Corrupt { table: "invites", fault });
        };
        found.push(StoredInvite {
            sip_call_id: row.get(0)?,
            call_id,
            transport: row.get(2)?,
            local: row.get(3)?,
            remote: row.get(4)?,
            request: row.get(5)?,
        });
    }
    Ok(found)
}

/// A row belongs to the run that wrote it first.
pub(crate) fn change_invites(
    transaction: &Transaction<'_>,
    run: RunId,
    changes: &InviteChanges,
) -> Result<(), StoreError> {
    let mut keep = transaction.prepare_cached(
        "INSERT INTO invites (sip_call_id, call_id, run, transport, local, remote, request)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (sip_call_id) DO UPDATE SET transport = excluded.transport, local = excluded.local,
         remote = excluded.remote, request = excluded.request",
    )?;
    let mut forget = transaction.prepare_cached("DELETE FROM invites WHERE sip_call_id = ?1")?;
    for (sip_call_id, change) in changes {
        match change {
            Some(invite) => keep.execute(params![
                invite.sip_call_id,
                invite.call_id.to_string(),
                run.number(),
                invite.transport,
                invite.local,
                invite.remote,
                invite.request,
            ])?,
            None => forget.execute([sip_call_id])?,
        };
    }
    Ok(())
}
