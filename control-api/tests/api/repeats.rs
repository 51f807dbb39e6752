//! `Idempotency-Key` and `Prefer: wait`, through the routes.

use crate::fake::{Answer, Api, KEY, KEY_OTHER, call, event, id};
use axum::body::Body;
use call_control::{CallEventKind, CallState, Refusal};
use call_store::Store;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const CLICK: &str = "/api/v1/calls/click-to-call";
const GOOD: &str = r#"{"from":"1001","to":"1002"}"#;

async fn click(api: &Api, key: &str, more: &[(&str, &str)], body: &'static str) -> Answer {
    let headers = [&[("x-api-key", key), ("content-type", "application/json")], more].concat();
    api.ask("POST", CLICK, &headers, Body::from(body)).await
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_dials_nothing_after_a_restart_too() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::with(Store::open(folder.path()).await.unwrap());
    let named = [("idempotency-key", "order-7")];
    let first = click(&api, KEY, &named, GOOD).await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (200, None));
    api.calls.script().click_to_call = Ok(id(2));
    let again = click(&api, KEY, &named, GOOD).await;
    assert_eq!(api.calls.script().asked.len(), 1);
    let Api { store, .. } = api;
    store.close().await;

    let api = Api::with(Store::open(folder.path()).await.unwrap());
    let later = click(&api, KEY, &named, GOOD).await;
    for answer in [again, later] {
        assert_eq!((answer.status, &answer.json), (first.status, &first.json));
        assert_eq!(answer.header("location"), first.header("location"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("idempotency-replayed"), Some("true"));
    }
    assert_eq!(api.calls.script().asked.len(), 0);
}

#[tokio::test]
async fn another_body_is_a_conflict_and_another_key_another_request() {
    let api = Api::new().await;
    let named = [("idempotency-key", "order-7")];
    click(&api, KEY, &named, GOOD).await;
    let other = click(&api, KEY, &named, r#"{"from":"1001","to":"1003"}"#).await;
    other.is_error(409, "idempotency_conflict");
    assert_eq!(api.calls.script().asked.len(), 1);
    assert_eq!(click(&api, KEY_OTHER, &named, GOOD).await.header("idempotency-replayed"), None);
    assert_eq!(click(&api, KEY, &[("idempotency-key", "order-8")], GOOD).await.status, 200);
    assert_eq!(api.calls.script().asked.len(), 3);
    let bad = click(&api, KEY, &[("idempotency-key", "a b")], GOOD).await;
    assert_eq!(bad.is_error(400, "invalid_field").1, Some("Idempotency-Key"));
}

#[tokio::test]
async fn a_refusal_is_not_kept() {
    let api = Api::new().await;
    let named = [("idempotency-key", "order-7")];
    api.calls.script().click_to_call = Err(Refusal::NotRegistered);
    click(&api, KEY, &named, GOOD).await.is_error(409, "extension_not_registered");
    click(&api, KEY, &named, "{}").await.is_error(400, "missing_field");
    api.calls.script().click_to_call = Ok(id(1));
    let retried = click(&api, KEY, &named, GOOD).await;
    assert_eq!((retried.status.as_u16(), retried.header("idempotency-replayed")), (200, None));
    api.calls.script().panics = true;
    click(&api, KEY, &[("idempotency-key", "order-8")], GOOD).await.is_error(500, "internal_error");
}

#[tokio::test]
async fn repeats_that_come_while_the_first_is_under_way_wait_for_it() {
    let api = Arc::new(Api::new().await);
    let headers = [("idempotency-key", "order-7"), ("prefer", "wait=60")];
    let asking = (0..8).map(|_| {
        let api = Arc::clone(&api);
        tokio::spawn(async move { click(&api, KEY, &headers, GOOD).await })
    });
    let asking: Vec<_> = asking.collect();
    while api.calls.script().asked.is_empty() {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(asking.iter().all(|answer| !answer.is_finished()));
    api.happen(&[event(1, CallEventKind::Connected)]).await;
    let mut firsts = 0;
    for answer in asking {
        let answer = answer.await.unwrap();
        assert_eq!(answer.json["call"]["call_id"], json!(id(1).to_string()));
        firsts += u8::from(answer.header("idempotency-replayed").is_none());
    }
    assert_eq!((firsts, api.calls.script().asked.len()), (1, 1));
}

#[tokio::test]
async fn a_client_that_gives_up_has_its_call_and_finds_it_again() {
    let api = Arc::new(Api::new().await);
    let headers = [("idempotency-key", "order-7"), ("prefer", "wait=600")];
    let asker = Arc::clone(&api);
    let asking = tokio::spawn(async move { click(&asker, KEY, &headers, GOOD).await });
    while api.calls.script().asked.is_empty() {
        tokio::task::yield_now().await;
    }
    asking.abort();
    let again = tokio::time::timeout(Duration::from_secs(5), click(&api, KEY, &headers, GOOD)).await.unwrap();
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (200, Some("true")));
    assert_eq!(again.json["call_id"], json!(id(1).to_string()));
    assert_eq!(api.calls.script().asked.len(), 1);
}

#[tokio::test]
async fn a_wait_ends_when_the_call_is_connected_or_has_ended() {
    for kind in [CallEventKind::Connected, CallEventKind::Ended] {
        let api = Arc::new(Api::new().await);
        let asker = Arc::clone(&api);
        let asking = tokio::spawn(async move { click(&asker, KEY, &[("prefer", "wait=60")], GOOD).await });
        while api.calls.script().asked.is_empty() {
            tokio::task::yield_now().await;
        }
        api.happen(&[event(1, CallEventKind::Ringing), event(2, kind)]).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!asking.is_finished(), "it rings, and another call is none of ours");
        api.happen(&[event(1, kind)]).await;
        let answer = tokio::time::timeout(Duration::from_secs(5), asking).await.unwrap().unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("preference-applied"), Some("wait=60"));
        assert_eq!(answer.json["call"], serde_json::to_value(event(1, kind).call).unwrap());
        assert_eq!(answer.json["call_id"], json!(id(1).to_string()));
    }
}

#[tokio::test]
async fn a_wait_ends_when_its_time_is_over_and_without_one_there_is_none() {
    let api = Api::new().await;
    api.calls.script().live = Some(Arc::new(call(1, CallState::CallingTo)));
    let answer = click(&api, KEY, &[("prefer", "wait=0")], GOOD).await;
    assert_eq!(answer.json["call"]["state"], json!("calling_to"));
    assert_eq!(answer.header("preference-applied"), Some("wait=0"));
    let plain = click(&api, KEY, &[("prefer", "return=minimal")], GOOD).await;
    assert_eq!((plain.json.get("call"), plain.header("preference-applied")), (None, None));
    api.calls.script().click_to_call = Err(Refusal::NotRegistered);
    click(&api, KEY, &[("prefer", "wait=60")], GOOD).await.is_error(409, "extension_not_registered");
}
