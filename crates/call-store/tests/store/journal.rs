//! Gives rounds their numbers, as the journal of a server does.

use call_control::{
    Call, CallEvent, CallEventKind, CallId, Number, NumberedEvent, PartyType, PartyView, Timestamp,
};
use call_store::{CallMessages, Round, Store, StoreError, StoredBinding, StoredInvite};
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

/// A store, and how many rounds it has been given.
pub(crate) struct Journal {
    pub(crate) store: Store,
    written: u64,
}

impl Deref for Journal {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Journal {
    pub(crate) async fn open(folder: &Path) -> Self {
        Self { store: Store::open(folder).await.unwrap(), written: 0 }
    }

    pub(crate) async fn in_memory() -> Self {
        Self { store: Store::in_memory().await.unwrap(), written: 0 }
    }

    pub(crate) async fn close(self) {
        self.store.close().await;
    }

    /// The round with its number; one that failed keeps it.
    pub(crate) fn next(&self, round: Round) -> Arc<Round> {
        Arc::new(Round { number: self.written + 1, ..round })
    }

    pub(crate) async fn put(&mut self, round: Round) -> Result<Vec<NumberedEvent>, StoreError> {
        self.give(&self.next(round)).await
    }

    pub(crate) async fn give(&mut self, round: &Arc<Round>) -> Result<Vec<NumberedEvent>, StoreError> {
        let outcome = self.store.put_round(Arc::clone(round)).await;
        if outcome.is_ok() {
            self.written = round.number;
        }
        outcome
    }

    pub(crate) async fn put_calls(&mut self, calls: &[Call]) -> Result<(), StoreError> {
        let calls = calls.iter().cloned().map(Arc::new).collect();
        self.put(Round { calls, ..Round::default() }).await.map(drop)
    }

    pub(crate) async fn put_events(
        &mut self,
        events: &[Arc<CallEvent>],
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        self.put(Round { events: events.to_vec(), ..Round::default() }).await
    }

    pub(crate) async fn put_bindings(
        &mut self,
        user: &str,
        bindings: &[StoredBinding],
    ) -> Result<(), StoreError> {
        let bindings = [(user.into(), bindings.to_vec())].into();
        self.put(Round { bindings, ..Round::default() }).await.map(drop)
    }
}

pub(crate) fn id(n: u32) -> CallId {
    let mut random = [7; 10];
    random[6..].copy_from_slice(&n.to_be_bytes());
    CallId::new(1_795_255_200_000, &random)
}

pub(crate) fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_unix_milliseconds(1_795_255_200_000 + milliseconds).unwrap()
}

/// Call `n` was created `n` milliseconds after the first.
pub(crate) fn running(n: u32) -> Call {
    let parties = [("1001", PartyType::Extension), ("+918065978015", PartyType::External)]
        .map(|(number, kind)| PartyView::waiting(Number::new(number).unwrap(), kind));
    let direction = call_control::CallDirection::Outbound;
    Call::beginning(id(n), parties, direction, at(i64::from(n)))
}

pub(crate) fn event(call: &Call, event: CallEventKind, at: Timestamp) -> Arc<CallEvent> {
    Arc::new(CallEvent { event, party: None, at, call: call.clone() })
}

pub(crate) fn invite(sip_call_id: &str, request: &[u8]) -> StoredInvite {
    StoredInvite {
        sip_call_id: sip_call_id.into(),
        call_id: id(1),
        transport: "udp".into(),
        local: "192.0.2.1:5060".into(),
        remote: "192.0.2.2:5060".into(),
        request: request.into(),
    }
}

pub(crate) fn binding(user: &str, contact: &str, cseq: u32) -> StoredBinding {
    StoredBinding {
        user: user.into(),
        contact: contact.into(),
        call_id: "abc@phone".into(),
        cseq,
        expires_at: 1_795_255_200_000,
        transport: "udp".into(),
        local: "127.0.0.1:5060".into(),
        remote: "127.0.0.1:40000".into(),
        path: cseq.is_multiple_of(2).then(|| "<sip:edge;lr>".into()),
        user_agent: (cseq % 2 == 1).then(|| "a phone".into()),
    }
}

pub(crate) fn messages(n: u32, at: Timestamp, octets: &[u8]) -> CallMessages {
    CallMessages { call: id(n), at, octets: octets.to_vec().into() }
}

/// A connection beside the store, to do what the store never does.
pub(crate) fn meddle(folder: &Path, sql: &str) {
    beside(folder).execute_batch(sql).unwrap();
}

/// A connection of somebody else.
pub(crate) fn beside(folder: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.join("dialbridge.db")).unwrap()
}

/// An error with all of its sources.
pub(crate) fn chain(error: &StoreError) -> String {
    let sources = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
