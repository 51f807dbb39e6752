//! `Idempotency-Key`, through the routes. The fake keeps the first answer with the call, as the B2BUA does.

use crate::fake::{Api, GOOD, KEY, KEY_OTHER, click, event, id};
use call_control::{CallEventKind, Refusal, Repeatable};
use call_store::Store;
use control_api::key_sha256;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

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
    api.calls.script().click_to_call = Err(Refusal::NotRegistered { field: "from" });
    click(&api, KEY, &named, GOOD).await.is_error(409, "extension_not_registered");
    let retry_after = Duration::from_secs(3);
    api.calls.script().click_to_call = Err(Refusal::StorageUnavailable { retry_after });
    let refused = click(&api, KEY, &named, GOOD).await;
    refused.is_error(503, "storage_unavailable");
    assert_eq!(refused.header("retry-after"), Some("3"));
    click(&api, KEY, &named, "{}").await.is_error(400, "missing_field");
    api.calls.script().click_to_call = Ok(id(1));
    let retried = click(&api, KEY, &named, GOOD).await;
    assert_eq!((retried.status.as_u16(), retried.header("idempotency-replayed")), (200, None));
    api.calls.script().panics = true;
    click(&api, KEY, &[("idempotency-key", "order-8")], GOOD).await.is_error(500, "internal_error");
}

#[tokio::test]
async fn the_b2bua_is_told_what_a_repeat_is_known_by() {
    let api = Api::new().await;
    click(&api, KEY, &[("idempotency-key", "order-7"), ("prefer", "wait=0")], GOOD).await;
    click(&api, KEY, &[], GOOD).await;
    let asked = std::mem::take(&mut api.calls.script().asked);
    let repeatable = Repeatable {
        api_key: key_sha256(KEY),
        idempotency_key: "order-7".into(),
        // Of any text, as keys are.
        body: key_sha256(GOOD),
    };
    assert_eq!(asked.len(), 2);
    assert_eq!((&asked[0].repeatable, &asked[1].repeatable), (&Some(repeatable), &None));
}

#[tokio::test]
async fn a_server_that_dies_when_the_call_is_on_disk_does_not_call_again() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::with(Store::open(folder.path()).await.unwrap());
    for named in
        [&[("idempotency-key", "order-7")][..], &[("idempotency-key", "order-8"), ("prefer", "wait=9")]]
    {
        api.calls.script().dies_when_kept = true;
        click(&api, KEY, named, GOOD).await.is_error(500, "internal_error");
        assert_eq!(std::mem::take(&mut api.calls.script().asked).len(), 1);
        let again = click(&api, KEY, named, GOOD).await;
        let location = format!("/api/v1/calls/{}", id(1));
        assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (200, Some("true")));
        assert_eq!((again.header("location"), &again.json["call_id"]), (Some(&*location), &json!(id(1))));
        assert_eq!(again.json["message"], json!("Call initiated"));
        assert!(api.calls.script().asked.is_empty());
    }
}

#[tokio::test]
async fn when_it_cannot_be_known_whether_it_is_a_repeat_nobody_is_rung() {
    let api = Api::new().await;
    api.store.clone().close().await;
    let refused = click(&api, KEY, &[("idempotency-key", "order-7")], GOOD).await;
    let (message, _) = refused.is_error(503, "storage_unavailable");
    assert!(message.contains("nobody was rung"), "{message}");
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert!(api.calls.script().asked.is_empty());
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
