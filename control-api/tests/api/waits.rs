//! `Prefer: wait`, through the routes.

use crate::fake::{Answer, Api, GOOD, KEY, call, click, event, id};
use call_control::{CallEvent, CallEventKind, CallState, Refusal};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// A click-to-call that waits, up to where its call is placed.
async fn asking(api: &Arc<Api>, wait: &'static str) -> JoinHandle<Answer> {
    let asker = Arc::clone(api);
    let asking = tokio::spawn(async move { click(&asker, KEY, &[("prefer", wait)], GOOD).await });
    while api.calls.script().asked.is_empty() {
        tokio::task::yield_now().await;
    }
    asking
}

async fn answer(asking: JoinHandle<Answer>) -> Answer {
    tokio::time::timeout(Duration::from_secs(5), asking).await.unwrap().unwrap()
}

/// More than a reader may be behind, all of another call.
fn many() -> Vec<CallEvent> {
    (0..200).map(|_| event(2, CallEventKind::Ringing)).collect()
}

#[tokio::test]
async fn a_wait_ends_when_the_call_is_connected_or_has_ended() {
    for kind in [CallEventKind::Connected, CallEventKind::Ended] {
        let api = Arc::new(Api::new().await);
        let asking = asking(&api, "wait=60").await;
        api.happen(&[event(1, CallEventKind::Ringing), event(2, kind)]).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!asking.is_finished(), "it rings, and another call is none of ours");
        api.happen(&[event(1, kind)]).await;
        let answer = answer(asking).await;
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
    api.calls.script().click_to_call = Err(Refusal::NotRegistered { field: "from" });
    click(&api, KEY, &[("prefer", "wait=60")], GOOD).await.is_error(409, "extension_not_registered");
}

#[tokio::test]
async fn a_wait_that_was_over_when_its_time_came_tells_nothing_that_is_not_on_disk() {
    let api = Arc::new(Api::new().await);
    let asking = asking(&api, "wait=1").await;
    api.happen(&[event(1, CallEventKind::Ringing)]).await;
    // It has ended, and its end cannot be written.
    api.calls.script().live = Some(Arc::new(event(1, CallEventKind::Ended).call));
    let told = answer(asking).await;
    assert_eq!(told.json["call"], serde_json::to_value(event(1, CallEventKind::Ringing).call).unwrap());
    let asked = click(&api, KEY, &[("prefer", "wait=0")], GOOD).await;
    assert_eq!(asked.json.get("call"), None, "nothing has been told, and nothing is on disk");
}

#[tokio::test]
async fn a_wait_that_misses_events_finds_them_on_disk() {
    for kind in [CallEventKind::Connected, CallEventKind::Ended] {
        let api = Arc::new(Api::new().await);
        let asking = asking(&api, "wait=60").await;
        api.happen(&[vec![event(1, kind)], many()].concat()).await;
        let told = answer(asking).await;
        assert_eq!(told.json["call"], serde_json::to_value(event(1, kind).call).unwrap());
    }
}

#[tokio::test]
async fn a_wait_that_misses_events_of_others_waits_on_for_the_disk() {
    let api = Arc::new(Api::new().await);
    let asking = asking(&api, "wait=60").await;
    api.calls.script().live = Some(Arc::new(event(1, CallEventKind::Ended).call));
    api.happen(&many()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!asking.is_finished(), "its end is not on disk");
    api.happen(&[event(1, CallEventKind::Ended)]).await;
    assert_eq!(answer(asking).await.json["call"]["call_id"], json!(id(1)));
}
