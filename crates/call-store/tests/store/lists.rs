//! Lists, figures, events and first answers.

use crate::journal::{Journal, event, meddle};
use call_control::{
    Call, CallDirection, CallEvent, CallEventKind, CallId, CallState, Disposition, End, EndReason, EndedBy,
    EventId, Media, Number, PartyType, PartyView, Repeatable, Timestamp, VariableName, VariableValue,
};
use call_store::{CallFilter, FirstAnswer, Round, Store};
use std::sync::Arc;

const DAY: i64 = 24 * 60 * 60 * 1000;

fn id(n: u8) -> CallId {
    CallId::new(1_795_255_200_000 + u64::from(n), &[n; 10])
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_unix_milliseconds(1_795_255_200_000 + milliseconds).unwrap()
}

/// Call `n` was created `n` seconds after the first.
fn running(n: u8) -> Call {
    let parties = [("1001", PartyType::Extension), ("+918065978015", PartyType::External)]
        .map(|(number, kind)| PartyView::waiting(Number::new(number).unwrap(), kind));
    Call::beginning(id(n), parties, CallDirection::Outbound, at(i64::from(n) * 1000))
}

fn ended(n: u8, reason: EndReason) -> Call {
    let end =
        End { reason, by: EndedBy::Server, party: None, sip_status: None, q850_cause: None, into: None };
    let ended_at = Some(at(i64::from(n) * 1000 + 9000));
    Call { state: CallState::Ended, ended_at, end: Some(end), ..running(n) }
}

/// Talked for 5.25 seconds, though the wall clock says 5; the later audio came after 40 ms.
fn answered(n: u8) -> Call {
    let media = |first| Media {
        codec: "PCMU".into(),
        packets_received: 1,
        packets_lost: 0,
        packets_from_strangers: 0,
        strangers: Vec::new(),
        packets_not_agreed: 0,
        jitter_ms: 0.0,
        mos: None,
        first_packet_ms_after_answer: Some(first),
    };
    let mut call = ended(n, EndReason::HungUp);
    (call.duration_seconds, call.ring_seconds, call.talk_seconds) = (9.0, 1.5, 5.25);
    call.connected_at = Some(at(i64::from(n) * 1000 + 4000));
    call.from.media = Some(media(20));
    call.to.media = Some(media(40));
    call
}

async fn ids(store: &Store, filter: CallFilter) -> Vec<u8> {
    let (calls, total) = store.calls(&filter, 200, 0).await.unwrap();
    assert_eq!(calls.len() as u64, total);
    let number = |call: &Call| (0..=u8::MAX).find(|n| id(*n) == call.call_id).unwrap();
    calls.iter().map(number).collect()
}

#[tokio::test]
async fn calls_come_newest_first_and_in_pages() {
    let mut store = Journal::in_memory().await;
    store.put_calls(&[running(2), running(0), running(3), running(1)]).await.unwrap();
    assert_eq!(ids(&store, CallFilter::default()).await, [3, 2, 1, 0]);
    let (page, total) = store.calls(&CallFilter::default(), 2, 1).await.unwrap();
    assert_eq!((page, total), (vec![running(2), running(1)], 4));
    let (page, total) = store.calls(&CallFilter::default(), 2, 4).await.unwrap();
    assert_eq!((page, total), (vec![], 4));
}

#[tokio::test]
async fn a_disposition_finds_the_calls_that_have_it_and_no_others() {
    let mut store = Journal::in_memory().await;
    let mut calls: Vec<Call> =
        EndReason::ALL.into_iter().zip(2_u8..).map(|(reason, n)| ended(n, reason)).collect();
    calls.extend([running(0), answered(1)]);
    store.put_calls(&calls).await.unwrap();
    let mut seen = 0;
    for disposition in Disposition::ALL {
        let filter = CallFilter { disposition: Some(disposition), ..CallFilter::default() };
        let (found, _) = store.calls(&filter, 200, 0).await.unwrap();
        assert!(!found.is_empty(), "{disposition:?}");
        assert!(found.iter().all(|call| Disposition::of(call) == disposition), "{disposition:?}");
        seen += found.len();
    }
    assert_eq!(seen, calls.len());
}

#[tokio::test]
async fn numbers_times_and_words_narrow_a_list() {
    let mut store = Journal::in_memory().await;
    let mut other = running(2);
    other.direction = CallDirection::Internal;
    other.from.number = Number::new("1003").unwrap();
    other.caller_id = Some("\"Astra 100%\" <+15550100>".to_owned().try_into().unwrap());
    let value = VariableValue::new("Grüße_7".into()).unwrap();
    other.variables.insert(VariableName::new("order").unwrap(), value);
    store.put_calls(&[running(0), running(1), other]).await.unwrap();
    let number = |text| Some(Number::new(text).unwrap());
    let all = CallFilter::default;
    assert_eq!(ids(&store, CallFilter { from: number("1003"), ..all() }).await, [2]);
    assert_eq!(ids(&store, CallFilter { to: number("+918065978015"), ..all() }).await, [2, 1, 0]);
    assert_eq!(ids(&store, CallFilter { to: number("1003"), ..all() }).await, [] as [u8; 0]);
    assert_eq!(ids(&store, CallFilter { created_from: Some(at(1000)), ..all() }).await, [2, 1]);
    assert_eq!(ids(&store, CallFilter { created_to: Some(at(1000)), ..all() }).await, [1, 0]);
    assert_eq!(ids(&store, CallFilter { direction: Some("outbound"), ..all() }).await, [1, 0]);
    assert_eq!(ids(&store, CallFilter { direction: Some("internal"), ..all() }).await, [2]);
    assert_eq!(ids(&store, CallFilter { direction: Some("inbound"), ..all() }).await, [] as [u8; 0]);
    for (search, found) in [
        ("1003", &[2][..]),
        ("80659", &[2, 1, 0]),
        ("astra 100%", &[2]),
        ("100%", &[2]),
        ("Grüße_7", &[2]),
        ("Grüße%7", &[]),
        ("_", &[2]),
        ("'", &[]),
        (&id(1).to_string(), &[1]),
    ] {
        assert_eq!(ids(&store, CallFilter { search: Some(search.into()), ..all() }).await, found, "{search}");
    }
}

#[tokio::test]
async fn figures_are_those_of_the_calls() {
    let mut store = Journal::in_memory().await;
    let busy = [ended(3, EndReason::Busy), ended(4, EndReason::Declined)];
    store.put_calls(&[running(0), answered(1), answered(2)]).await.unwrap();
    store.put_calls(&busy).await.unwrap();
    let figures = store.call_statistics(&CallFilter::default()).await.unwrap();
    let by_disposition =
        [(Disposition::Answered, 2), (Disposition::Busy, 2), (Disposition::Running, 1)].into();
    assert_eq!(figures.by_disposition, by_disposition);
    let by_end_reason = [(EndReason::HungUp, 2), (EndReason::Busy, 1), (EndReason::Declined, 1)].into();
    assert_eq!(figures.by_end_reason, by_end_reason);
    assert_eq!(
        (figures.talk.as_millis(), figures.heard, figures.to_first_audio.as_millis()),
        (10_500, 2, 80)
    );
    let filter = CallFilter { created_from: Some(at(2000)), ..CallFilter::default() };
    assert_eq!(store.call_statistics(&filter).await.unwrap().talk.as_millis(), 5250);
    let count = store.call_count(at(3000)).await.unwrap();
    assert_eq!((count.since, count.total), (2, 5));
}

#[tokio::test]
async fn events_get_rising_ids_that_are_never_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    assert_eq!(store.event_range().await.unwrap(), (EventId(1), EventId(0)));
    let call = running(1);
    let events = [CallEventKind::Initiated, CallEventKind::Ringing, CallEventKind::Ringing]
        .map(|kind| event(&call, kind, at(0)));
    let calls = vec![call.clone().into()];
    let written = store.put(Round { calls, events: events.to_vec(), ..Round::default() }).await.unwrap();
    let ids: Vec<u64> = written.iter().map(|event| event.id.0).collect();
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!(store.call(call.call_id).await.unwrap(), Some(call.clone()));

    let other = running(2);
    store.put_events(&[event(&other, CallEventKind::Initiated, at(1))]).await.unwrap();
    let after = store.events_after(EventId(1), None, 10).await.unwrap();
    assert_eq!(after.iter().map(|event| event.id.0).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(&*after[0].kind, "call.ringing");
    assert_eq!(serde_json::from_str::<CallEvent>(&after[0].json).unwrap(), *events[1]);
    assert_eq!(store.events_after(EventId(1), None, 1).await.unwrap().len(), 1);
    let of_one = store.events_after(EventId(0), Some(other.call_id), 10).await.unwrap();
    assert_eq!(of_one.iter().map(|event| event.id.0).collect::<Vec<_>>(), [4]);
    assert!(store.events_after(EventId(u64::MAX), None, 10).await.unwrap().is_empty());

    store.close().await;
    meddle(folder.path(), "DELETE FROM events");
    let mut store = Journal::open(folder.path()).await;
    assert_eq!(store.event_range().await.unwrap(), (EventId(5), EventId(4)));
    let written = store.put_events(&[event(&other, CallEventKind::Ringing, at(2))]).await.unwrap();
    assert_eq!(written[0].id, EventId(5));
}

#[tokio::test]
async fn a_call_begins_once_and_ends_once() {
    let mut store = Journal::in_memory().await;
    let (call, over) = (running(1), ended(1, EndReason::Busy));
    let first = event(&call, CallEventKind::Initiated, at(0));
    let last = event(&over, CallEventKind::Ended, at(1));
    let events = [Arc::clone(&first), first, Arc::clone(&last), Arc::clone(&last)];
    assert_eq!(store.put_events(&events).await.unwrap().len(), 2);
    assert_eq!(store.put_events(&[last]).await.unwrap(), []);
    assert_eq!(store.events_after(EventId(0), None, 10).await.unwrap().len(), 2);
    assert_eq!(store.call_at_last_event(call.call_id).await.unwrap(), Some(over));
}

#[tokio::test]
async fn events_are_kept_for_a_day_and_up_to_a_number() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    let call = running(1);
    let ringing = |moment| [event(&call, CallEventKind::Ringing, moment)];
    store.put_events(&ringing(at(0))).await.unwrap();
    store.put_events(&ringing(at(DAY))).await.unwrap();
    assert_eq!(store.event_range().await.unwrap(), (EventId(1), EventId(2)));
    store.put_events(&ringing(at(DAY + 1))).await.unwrap();
    assert_eq!(store.event_range().await.unwrap(), (EventId(2), EventId(3)));
    meddle(folder.path(), "UPDATE sqlite_sequence SET seq = 100001 WHERE name = 'events'");
    store.put_events(&ringing(at(DAY + 2))).await.unwrap();
    assert_eq!(store.event_range().await.unwrap(), (EventId(3), EventId(100_002)));
}

fn answer(api_key: u8, key: &str, n: u8, at: i64, body: Option<&str>) -> FirstAnswer {
    let request = Repeatable { api_key: [api_key; 32], idempotency_key: key.into(), body: [7; 32] };
    FirstAnswer { request, call_id: id(n), at, body: body.map(Into::into) }
}

async fn put_answers(store: &mut Journal, answers: &[&FirstAnswer]) {
    let first_answers = answers.iter().copied().cloned().collect();
    store.put(Round { first_answers, ..Round::default() }).await.unwrap();
}

#[tokio::test]
async fn a_first_answer_is_kept_for_a_day_under_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Journal::open(folder.path()).await;
    let (former, first) = (answer(1, "a", 0, 0, Some("{}")), answer(1, "a", 1, 1, None));
    let second = answer(2, "a", 2, 2, Some("{2}"));
    put_answers(&mut store, &[&former]).await;
    put_answers(&mut store, &[&first, &second]).await;
    store.close().await;
    let mut store = Journal::open(folder.path()).await;
    assert_eq!(store.first_answer(&[1; 32], "a", DAY).await.unwrap(), Some(first.clone()));
    assert_eq!(store.first_answer(&[2; 32], "a", DAY).await.unwrap(), Some(second.clone()));
    assert_eq!(store.first_answer(&[1; 32], "A", DAY).await.unwrap(), None);
    assert_eq!(store.first_answer(&[1; 32], "a", DAY + 1).await.unwrap(), None);
    put_answers(&mut store, &[&answer(3, "b", 3, DAY + 1, None)]).await;
    assert_eq!(store.first_answer(&[1; 32], "a", 1).await.unwrap(), None, "forgotten");
    assert_eq!(store.first_answer(&[2; 32], "a", DAY).await.unwrap(), Some(second));
    meddle(folder.path(), "UPDATE first_answers SET rowid = rowid + 100000 WHERE idempotency_key = 'b'");
    put_answers(&mut store, &[&answer(4, "c", 4, DAY + 1, None)]).await;
    assert_eq!(store.first_answer(&[2; 32], "a", DAY).await.unwrap(), None, "too many");
}

#[tokio::test]
async fn an_answer_gets_the_text_that_a_client_waited_for_and_goes_with_its_call() {
    let mut store = Journal::in_memory().await;
    let (first, other) = (answer(1, "a", 1, 1, None), answer(1, "b", 2, 1, None));
    put_answers(&mut store, &[&first, &other]).await;
    store.put_first_body(&first.request, "{1}").await.unwrap();
    let of_another_body = Repeatable { body: [8; 32], ..other.request.clone() };
    store.put_first_body(&of_another_body, "{2}").await.unwrap();
    store.put_first_body(&answer(9, "a", 1, 1, None).request, "{3}").await.unwrap();
    let kept = async |key: &str| store.first_answer(&[1; 32], key, 2).await.unwrap();
    assert_eq!(kept("a").await, Some(answer(1, "a", 1, 1, Some("{1}"))));
    assert_eq!(kept("b").await, Some(other));

    store.put(Round { forgotten_answers: vec![id(1), id(9)], ..Round::default() }).await.unwrap();
    assert_eq!(store.first_answer(&[1; 32], "a", 2).await.unwrap(), None);
    assert!(store.first_answer(&[1; 32], "b", 2).await.unwrap().is_some());
}
