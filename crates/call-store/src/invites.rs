//! INVITEs that phones know of, kept until they are ended, so that the next process can end them after a crash.

use crate::{Store, StoreError};
use call_control::CallId;
use sqlx::{QueryBuilder, Sqlite, Transaction};
use std::collections::BTreeMap;

/// One INVITE, or the dialog that it made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInvite {
    /// The Call-ID of its dialog: its name here.
    pub sip_call_id: Box<str>,
    /// The call that it is a leg of.
    pub call_id: CallId,
    /// `udp` or `tcp`: with `local` and `remote`, the way to the phone.
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

/// Rows of one statement.
const ROWS: usize = 200;

impl Store {
    /// Every INVITE that was not ended.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn invites(&self) -> Result<Vec<StoredInvite>, StoreError> {
        type Row = (Box<str>, Box<str>, Box<str>, Box<str>, Box<str>, Vec<u8>);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT sip_call_id, call_id, transport, local, remote, request FROM invites ORDER BY rowid",
        )
        .fetch_all(self.readers())
        .await?;
        let invites = rows.into_iter().map(|(sip_call_id, call_id, transport, local, remote, request)| {
            let Ok(call_id) = call_id.parse() else {
                let fault = crate::RowFault::Word { word: call_id };
                return Err(StoreError::Corrupt { table: "invites", fault });
            };
            Ok(StoredInvite { sip_call_id, call_id, transport, local, remote, request })
        });
        invites.collect()
    }
}

pub(crate) async fn change_invites(
    transaction: &mut Transaction<'static, Sqlite>,
    changes: &InviteChanges,
) -> Result<(), sqlx::Error> {
    let kept: Vec<&StoredInvite> = changes.values().flatten().collect();
    for chunk in kept.chunks(ROWS) {
        let mut query = QueryBuilder::new(
            "INSERT INTO invites (sip_call_id, call_id, transport, local, remote, request) ",
        );
        query.push_values(chunk, |mut values, invite| {
            values
                .push_bind(&*invite.sip_call_id)
                .push_bind(invite.call_id.to_string())
                .push_bind(&*invite.transport)
                .push_bind(&*invite.local)
                .push_bind(&*invite.remote)
                .push_bind(&*invite.request);
        });
        query.push(
            " ON CONFLICT (sip_call_id) DO UPDATE SET transport = excluded.transport, local = excluded.local, remote = excluded.remote,
             request = excluded.request",
        );
        query.build().execute(&mut **transaction).await?;
    }
    let forgotten: Vec<&str> =
        changes.iter().filter(|(_, kept)| kept.is_none()).map(|(sip_call_id, _)| &**sip_call_id).collect();
    for chunk in forgotten.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("DELETE FROM invites WHERE sip_call_id IN (");
        let mut ids = query.separated(", ");
        for id in chunk {
            ids.push_bind(*id);
        }
        query.push(")");
        query.build().execute(&mut **transaction).await?;
    }
    Ok(())
}
