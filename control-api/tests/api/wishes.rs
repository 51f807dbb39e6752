//! What is asked of a running call: hold, the end of a hold, keys, and a transfer.

use crate::fake::{Answer, Api, KEY, KEY_BOUND, KEY_OTHER, api_key, call, event, id};
use axum::body::Body;
use call_control::{
    CallEventKind, CallState, Digits, NotNow, Number, Party, PartyType, Refusal, Transfer, Wish, WishRefusal,
};
use serde_json::json;
use std::sync::Arc;

const PARTY: &str = r#"{"party":"to"}"#;
const KEYS: &str = r#"{"party":"from","digits":"12#a"}"#;
const TRANSFER: &str = r#"{"party":"to","to":"1003","to_type":"extension"}"#;

/// Each route, a body for it, and the permission that it needs.
const ROUTES: [(&str, &str, &str); 4] = [
    ("hold", PARTY, "calls.hold"),
    ("unhold", PARTY, "calls.hold"),
    ("dtmf", KEYS, "calls.write"),
    ("transfer", TRANSFER, "calls.transfer"),
];

async fn ask(api: &Api, key: &str, route: &str, body: &str) -> Answer {
    let headers = [("x-api-key", key), ("content-type", "application/json")];
    api.ask("POST", &format!("/api/v1/calls/{}/{route}", id(1)), &headers, body.to_owned()).await
}

fn transfer(caller_ids: Vec<Number>) -> Wish {
    let to = Number::new("1003").unwrap();
    Wish::Transfer(Transfer { party: Party::To, to, to_type: Some(PartyType::Extension), caller_ids })
}

#[tokio::test]
async fn what_is_wished_is_asked_for_and_the_answer_names_the_call() {
    let api = Api::new().await;
    for (route, body, _) in ROUTES {
        let answer = ask(&api, KEY_OTHER, route, body).await;
        assert_eq!(answer.status, 200, "{route}");
        assert_eq!(
            (&answer.json["status"], &answer.json["call_id"]),
            (&json!("success"), &json!(id(1).to_string()))
        );
    }
    let wishes = std::mem::take(&mut api.calls.script().wishes);
    let keys = Wish::Dial(Party::From, Digits::new("12#A").unwrap());
    let all = [Wish::Hold(Party::To), Wish::Resume(Party::To), keys, transfer(Vec::new())];
    assert_eq!(wishes, all.map(|wish| (id(1), wish)));
}

#[tokio::test]
async fn each_needs_its_permission_and_nothing_else() {
    let api = Api::new().await;
    for (route, body, permission) in ROUTES {
        let answer = ask(&api, KEY, route, "not even JSON").await;
        assert!(answer.is_error(403, "permission_missing").0.contains(permission), "{route}");
        assert!(api.calls.script().wishes.is_empty());
        api.keys.replace(vec![api_key(KEY, &[permission])]);
        assert_eq!(ask(&api, KEY, route, body).await.status, 200, "{route}");
        assert_eq!(std::mem::take(&mut api.calls.script().wishes).len(), 1);
        api.keys.replace(vec![api_key(KEY, &["calls.click_to_call", "calls.read", "calls.hangup"])]);
    }
}

#[tokio::test]
async fn a_transfer_shows_only_the_caller_ids_of_its_key() {
    let api = Api::new().await;
    let own = Number::new("+15550100").unwrap();
    let bound = control_api::ApiKey {
        caller_ids: Some(vec![own.clone()]),
        ..api_key(KEY_BOUND, &["calls.transfer"])
    };
    api.keys.replace(vec![bound]);
    assert_eq!(ask(&api, KEY_BOUND, "transfer", TRANSFER).await.status, 200);
    assert_eq!(api.calls.script().wishes, [(id(1), transfer(vec![own]))]);
}

#[tokio::test]
async fn a_body_that_says_something_else_asks_for_nothing() {
    let api = Api::new().await;
    for (route, body, _) in ROUTES {
        for (body, status, code) in [
            ("", 400, "invalid_body"),
            ("[]", 400, "invalid_body"),
            ("{}", 400, "missing_field"),
            (&body.replace('}', ",\"whom\":1}"), 400, "unknown_field"),
            (&body.replace("\"party\":", "\"party\":[],\"party\":"), 400, "duplicate_field"),
        ] {
            let answer = ask(&api, KEY_OTHER, route, body).await;
            assert_eq!(
                (answer.status.as_u16(), &answer.json["code"]),
                (status, &json!(code)),
                "{route} {body}"
            );
        }
        let plain = [("x-api-key", KEY_OTHER), ("content-type", "text/plain")];
        let path = format!("/api/v1/calls/{}/{route}", id(1));
        api.ask("POST", &path, &plain, body).await.is_error(415, "unsupported_media_type");
        let get = api.ask("GET", &path, &[("x-api-key", KEY_OTHER)], Body::empty()).await;
        get.is_error(405, "method_not_allowed");
        let strange = format!("/api/v1/calls/1001/{route}");
        let headers = [("x-api-key", KEY_OTHER), ("content-type", "application/json")];
        api.ask("POST", &strange, &headers, body).await.is_error(404, "call_not_found");
    }
    assert!(api.calls.script().wishes.is_empty());
}

#[tokio::test]
async fn why_a_wish_is_not_granted_is_told_by_a_code() {
    let api = Api::new().await;
    for (refusal, status, code) in [
        (WishRefusal::NotNow(NotNow::NotConnected), 409, "call_not_connected"),
        (WishRefusal::NotNow(NotNow::BeingTransferred), 409, "being_transferred"),
        (WishRefusal::NotNow(NotNow::NotHeld), 409, "not_held"),
        (WishRefusal::NotNow(NotNow::TransferredTooOften), 409, "transferred_too_often"),
        (WishRefusal::Refused(Refusal::NotRegistered { field: "to" }), 409, "extension_not_registered"),
        (WishRefusal::Stopped, 503, "draining"),
        (WishRefusal::NotFound(id(1)), 404, "call_not_found"),
    ] {
        api.calls.script().ask = Err(refusal);
        for (route, body, _) in ROUTES {
            let answer = ask(&api, KEY_OTHER, route, body).await;
            answer.is_error(status, code);
            assert_eq!(answer.header("retry-after").is_some(), status == 503, "{code}");
        }
    }
}

#[tokio::test]
async fn a_call_that_has_ended_is_asked_for_nothing() {
    let api = Api::new().await;
    // On disk, and not running any more.
    api.keep(&[call(1, CallState::Ended)]).await;
    api.calls.script().ask = Err(WishRefusal::NotFound(id(1)));
    for (route, body, _) in ROUTES {
        ask(&api, KEY_OTHER, route, body).await.is_error(409, "call_ended");
    }
    // Not on disk yet.
    api.calls.script().wishes.clear();
    api.calls.script().ask = Ok(());
    api.calls.script().live = Some(Arc::new(event(1, CallEventKind::Ended).call));
    for (route, body, _) in ROUTES {
        ask(&api, KEY_OTHER, route, body).await.is_error(409, "call_ended");
    }
    assert!(api.calls.script().wishes.is_empty());
}
