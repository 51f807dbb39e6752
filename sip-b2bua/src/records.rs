//! What is kept on disk, and who is told once it is there.

use crate::service::Shared;
use crate::switchboard::RegisterKey;
use call_control::{Call, CallEvent, CallEventKind, CallId, EndReason, Refusal, Timestamp};
use call_store::{CallMessages, Round, Store, StoreError, StoredBinding, StoredInvite};
use sip_core::InviteId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// What the loop wants kept on disk.
#[derive(Debug)]
pub(crate) enum ToKeep {
    Bindings {
        user: Box<str>,
        bindings: Vec<StoredBinding>,
        /// The REGISTER that is answered when they are on disk.
        waiting: Option<RegisterKey>,
    },
    /// The record of a call; with its end goes the event that tells of it.
    Call(Arc<Call>),
    /// What was recorded of a call that has ended; its record follows in the same round.
    Messages(CallMessages),
    /// Any event but the end of a call.
    Event(Arc<CallEvent>),
    /// An INVITE as a phone knows of it now, or that is over.
    Invite {
        sip_call_id: Box<str>,
        invite: Option<StoredInvite>,
        /// Whose answer is acknowledged when it is on disk.
        waiting: Option<InviteId>,
    },
    /// To be told when all that was queued before is on disk.
    Answer { call: CallId, waiting: oneshot::Sender<Result<CallId, Refusal>> },
}

/// What is on disk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// The bindings for which this REGISTER waits.
    Bindings(RegisterKey),
    /// The record of a call that has ended.
    Call(CallId),
    /// What the answer to this INVITE waits for.
    Invite(InviteId),
}

/// Rounds of the loop that are written in one transaction at most.
const BATCH: usize = 256;

/// Writes what is to be kept, as much at a time as has gathered, and one round of the loop never in two parts. Once it
/// is on disk, REGISTERs are answered, events announced and ended calls reported.
pub(crate) async fn write_out(
    store: Store,
    shared: Arc<Shared>,
    mut to_keep: mpsc::UnboundedReceiver<Vec<ToKeep>>,
    kept: mpsc::UnboundedSender<Kept>,
) {
    let mut rounds = Vec::with_capacity(BATCH);
    while to_keep.recv_many(&mut rounds, BATCH).await > 0 {
        let mut batch = Batch::default();
        for item in rounds.drain(..).flatten() {
            batch.add(item);
        }
        batch.write(&store, &shared, &kept).await;
    }
}

/// What is written in one transaction, and those who wait for it.
#[derive(Default)]
struct Batch {
    round: Round,
    registers: Vec<RegisterKey>,
    invites: Vec<InviteId>,
    answers: Vec<(CallId, oneshot::Sender<Result<CallId, Refusal>>)>,
}

impl Batch {
    fn add(&mut self, item: ToKeep) {
        let round = &mut self.round;
        match item {
            ToKeep::Bindings { user, bindings, waiting } => {
                round.bindings.insert(user, bindings);
                self.registers.extend(waiting);
            }
            ToKeep::Call(call) => {
                if call.end.is_some() {
                    round.events.push(end_of(&call));
                }
                round.calls.push(call);
            }
            ToKeep::Messages(messages) => round.messages.push(messages),
            ToKeep::Event(event) => round.events.push(event),
            ToKeep::Invite { sip_call_id, invite, waiting } => {
                round.invites.insert(sip_call_id, invite);
                self.invites.extend(waiting);
            }
            ToKeep::Answer { call, waiting } => self.answers.push((call, waiting)),
        }
    }

    async fn write(self, store: &Store, shared: &Shared, kept: &mpsc::UnboundedSender<Kept>) {
        let Self { round, registers, invites, answers } = self;
        let written = if round.is_empty() {
            Vec::new()
        } else {
            insist("calls and registrations", || store.put_round(&round)).await
        };
        for invite in invites {
            let _ = kept.send(Kept::Invite(invite));
        }
        for key in registers {
            let _ = kept.send(Kept::Bindings(key));
        }
        for (call, waiting) in answers {
            let _ = waiting.send(Ok(call));
        }
        // Who is told of the end finds the record, not the view of a running call.
        let ended = || round.calls.iter().filter(|call| call.end.is_some()).map(|call| call.call_id);
        ended().for_each(|id| shared.forget(id));
        for event in written {
            shared.announce(event);
        }
        for id in ended() {
            let _ = kept.send(Kept::Call(id));
        }
    }
}

/// A full disk is waited for: nothing that was acknowledged is given up.
async fn insist<T, F: Future<Output = Result<T, StoreError>>>(what: &str, write: impl Fn() -> F) -> T {
    loop {
        match write().await {
            Ok(written) => return written,
            Err(error) => tracing::error!(%error, "{what} cannot be written; trying again in a second"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Gives calls that were running when the server died their end, and the event that tells of it.
///
/// # Errors
/// See [`StoreError`]; none of them is closed then.
pub(crate) async fn close_cut_off_calls(store: &Store, now: Timestamp) -> Result<(), StoreError> {
    let mut calls = Vec::new();
    for stored in store.running_calls().await? {
        let call = store.call_at_last_event(stored.call_id).await?.unwrap_or(stored);
        tracing::warn!(call_id = %call.call_id, "a call was cut off when the server died");
        calls.push(broken_off(call, EndReason::ServerCrashed, now));
    }
    let ends: Vec<_> = calls.iter().map(end_of).collect();
    store.put(&calls, &ends).await.map(drop)
}

/// The record of a call that nobody but the server ended. A clock that was set back does not make it end before it began.
pub(crate) fn broken_off(call: Call, reason: EndReason, now: Timestamp) -> Arc<Call> {
    let began = call.connected_at.unwrap_or(call.created_at);
    Arc::new(call.broken_off(reason, now.max(began)))
}

pub(crate) fn end_of(call: &Arc<Call>) -> Arc<CallEvent> {
    let at = call.ended_at.unwrap_or(call.created_at);
    Arc::new(CallEvent { event: CallEventKind::Ended, party: None, at, call: Call::clone(call) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use call_control::{CallState, EndedBy, EventId, Number, Party, PartyState, PartyType, PartyView};

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_unix_milliseconds(1_795_255_200_000 + milliseconds).unwrap()
    }

    fn running(n: u8) -> Call {
        let party = |number| PartyView::waiting(Number::new(number).unwrap(), PartyType::Extension);
        Call {
            call_id: CallId::new(1_795_255_200_000, &[n; 10]),
            state: CallState::CallingFrom,
            from: party("1001"),
            to: party("1002"),
            caller_id: None,
            variables: [].into(),
            created_at: at(0),
            connected_at: None,
            ended_at: None,
            end: None,
        }
    }

    async fn ends(store: &Store) -> Vec<CallEvent> {
        let events = store.events_after(EventId(0), None, 100).await.unwrap();
        let events = events.iter().filter(|event| &*event.kind == "call.ended");
        events.map(|event| serde_json::from_str(&event.json).unwrap()).collect()
    }

    #[tokio::test]
    async fn a_call_that_a_crash_cut_off_ends_once_as_it_last_was() {
        let store = Store::in_memory().await.unwrap();
        let mut answered = running(1);
        answered.state = CallState::CallingTo;
        answered.from.state = PartyState::Answered;
        answered.from.answered_at = Some(at(1));
        let call = answered.clone();
        let event = CallEvent { event: CallEventKind::Answered, party: Some(Party::From), at: at(1), call };
        store.put(&[Arc::new(running(1)), Arc::new(running(2))], &[Arc::new(event)]).await.unwrap();

        close_cut_off_calls(&store, at(10)).await.unwrap();
        close_cut_off_calls(&store, at(20)).await.unwrap();
        let ends = ends(&store).await;
        assert_eq!(ends.len(), 2);
        assert_eq!(store.running_calls().await.unwrap(), []);
        for event in &ends {
            assert_eq!(store.call(event.call.call_id).await.unwrap().as_ref(), Some(&event.call));
            let end = event.call.end.as_ref().unwrap();
            assert_eq!((end.reason, end.by), (EndReason::ServerCrashed, EndedBy::Server));
            assert_eq!((event.at, event.call.ended_at), (at(10), Some(at(10))));
            assert_eq!(event.call.state, CallState::Ended);
        }
        assert_eq!(ends[0].call.from.answered_at, Some(at(1)));
        assert_eq!((ends[0].call.from.state, ends[0].call.from.ended_at), (PartyState::Gone, Some(at(10))));
        assert_eq!((ends[0].call.to.state, ends[0].call.to.ended_at), (PartyState::Waiting, None));
    }

    #[tokio::test]
    async fn an_end_is_told_when_record_and_event_are_on_disk_and_the_live_view_is_gone() {
        let store = Store::in_memory().await.unwrap();
        let shared = Arc::new(Shared::new(Vec::new(), 1));
        let mut events = shared.subscribe();
        let (keep, to_keep) = mpsc::unbounded_channel();
        let (kept_in, mut kept) = mpsc::unbounded_channel();
        let writing = tokio::spawn(write_out(store.clone(), Arc::clone(&shared), to_keep, kept_in));
        let call = Arc::new(running(1));
        shared.show(Arc::clone(&call));
        let (waiting, answered) = oneshot::channel();
        let event = |event| CallEvent { event, party: None, at: at(0), call: running(1) };
        let begun = vec![
            ToKeep::Call(Arc::clone(&call)),
            ToKeep::Answer { call: call.call_id, waiting },
            ToKeep::Event(Arc::new(event(CallEventKind::Initiated))),
        ];
        keep.send(begun).unwrap();
        assert_eq!(answered.await.unwrap(), Ok(call.call_id));
        assert_eq!(
            store.call(call.call_id).await.unwrap().as_ref(),
            Some(&*call),
            "answered for when on disk"
        );
        assert_eq!(events.recv().await.unwrap().id, EventId(1));

        let record = broken_off(running(1), EndReason::ServerCrashed, at(5));
        keep.send(vec![ToKeep::Call(Arc::clone(&record))]).unwrap();
        let told = events.recv().await.unwrap();
        assert_eq!((told.id, told.event.event, told.event.at), (EventId(2), CallEventKind::Ended, at(5)));
        assert_eq!(store.call(call.call_id).await.unwrap().as_ref(), Some(&*record));
        assert_eq!(ends(&store).await.len(), 1);
        assert!(shared.live_calls().is_empty());
        assert_eq!(kept.recv().await, Some(Kept::Call(call.call_id)));
        // Another writing of the record is not another end.
        keep.send(vec![ToKeep::Call(record)]).unwrap();
        drop(keep);
        writing.await.unwrap();
        assert_eq!(ends(&store).await.len(), 1);
    }
}
