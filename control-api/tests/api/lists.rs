//! Lists of calls and figures over them, through the routes.

use crate::fake::{Api, KEY, KEY_NO_CLICK, KEY_OTHER, call, id};
use axum::body::Body;
use call_control::{Call, CallState, End, EndReason, EndedBy, Media, PartyView, Timestamp};
use serde_json::json;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

fn ended(n: u8, reason: EndReason) -> Call {
    let end = End { reason, by: EndedBy::To, party: None, sip_status: None, q850_cause: None, into: None };
    Call { end: Some(end), ..call(n, CallState::Ended) }
}

#[tokio::test]
async fn a_list_has_ended_and_running_calls_with_the_live_view_of_these() {
    let api = Api::new().await;
    api.keep(&[call(1, CallState::CallingFrom), ended(2, EndReason::Busy), ended(3, EndReason::NoAnswer)])
        .await;
    api.calls.script().live = Some(Arc::new(call(1, CallState::Talking)));
    let answer = api.with_key("GET", "/api/v1/calls").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        (&answer.json["total"], &answer.json["page"], &answer.json["pages"]),
        (&json!(3), &json!(1), &json!(1))
    );
    let data = answer.json["data"].as_array().unwrap();
    let seen: Vec<_> = data.iter().map(|call| (call["call_id"].as_str().unwrap(), &call["state"])).collect();
    let (one, two, three) = (id(1).to_string(), id(2).to_string(), id(3).to_string());
    assert_eq!(seen, [(&*three, &json!("ended")), (&*two, &json!("ended")), (&*one, &json!("talking"))]);

    let page = api.with_key("GET", "/api/v1/calls?limit=1&offset=1").await;
    assert_eq!((&page.json["page"], &page.json["pages"]), (&json!(2), &json!(3)));
    assert_eq!(page.json["data"][0]["call_id"], json!(two));
    let busy = api.with_key("GET", "/api/v1/calls?disposition=busy").await;
    assert_eq!((&busy.json["total"], &busy.json["data"][0]["call_id"]), (&json!(1), &json!(two)));
    let none = api.with_key("GET", "/api/v1/calls?from=1009").await;
    assert_eq!(none.json, json!({"data": [], "total": 0, "page": 1, "pages": 0}));
}

#[tokio::test]
async fn live_count_and_stats_are_no_ids() {
    let api = Api::new().await;
    api.keep(&[call(1, CallState::CallingFrom), ended(2, EndReason::Busy)]).await;
    api.calls.script().live = Some(Arc::new(call(1, CallState::Talking)));
    let live = api.ask("GET", "/api/v1/calls/live", &[("x-api-key", KEY_OTHER)], Body::empty()).await;
    assert_eq!((&live.json["total"], &live.json["data"][0]["state"]), (&json!(1), &json!("talking")));
    let count = api.with_key("GET", "/api/v1/calls/count").await;
    assert_eq!((&count.json["live"], &count.json["total"]), (&json!(1), &json!(2)));
    assert!(count.json["today"].is_u64());
    let stats = api.with_key("GET", "/api/v1/calls/stats").await;
    assert_eq!(
        stats.json,
        json!({
            "total": 2,
            "by_disposition":
                {"answered": 0, "no_answer": 0, "busy": 1, "failed": 0, "cancelled": 0, "running": 1},
            "by_end_reason": {"busy": 1},
            "answer_rate": 0.0,
            "average_talk_seconds": null,
            "average_ms_to_first_audio": null,
        })
    );
    let before = api.with_key("GET", "/api/v1/calls/stats?date_to=2000-01-01").await;
    assert_eq!((&before.json["total"], &before.json["answer_rate"]), (&json!(0), &json!(null)));
}

#[tokio::test]
async fn today_begins_at_midnight_of_utc() {
    let api = Api::new().await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let midnight = now - now % 86_400_000;
    let created = |n: u8, milliseconds: i64| {
        let created_at = Timestamp::from_unix_milliseconds(milliseconds).unwrap();
        Call { created_at, ended_at: Some(created_at), ..ended(n, EndReason::Busy) }
    };
    api.keep(&[created(1, midnight - 1), created(2, midnight), created(3, now), created(4, 86_400_000)])
        .await;
    let count = api.with_key("GET", "/api/v1/calls/count").await;
    assert_eq!(count.json, json!({"live": 0, "today": 2, "total": 4}));
}

#[tokio::test]
async fn figures_over_calls_are_averages_to_the_millisecond() {
    let api = Api::new().await;
    let answered = |n: u8, talk_seconds: f64, first_audio: u64| {
        let call = ended(n, EndReason::HungUp);
        let media = |milliseconds| Media {
            codec: "PCMU".into(),
            packets_received: 1,
            packets_lost: 0,
            packets_from_strangers: 0,
            strangers: Vec::new(),
            packets_not_agreed: 0,
            jitter_ms: 0.0,
            mos: None,
            first_packet_ms_after_answer: Some(milliseconds),
        };
        let from = PartyView { media: Some(media(10)), answered_at: Some(call.created_at), ..call.from };
        let to = PartyView { media: Some(media(first_audio)), answered_at: Some(call.created_at), ..call.to };
        Call { from, to, connected_at: Some(call.created_at), talk_seconds, ..call }
    };
    api.keep(&[answered(1, 7.5, 20), answered(2, 2.252, 31), ended(3, EndReason::Busy)]).await;
    let stats = api.with_key("GET", "/api/v1/calls/stats").await;
    assert_eq!(
        [
            &stats.json["answer_rate"],
            &stats.json["average_talk_seconds"],
            &stats.json["average_ms_to_first_audio"]
        ],
        [&json!(0.667), &json!(4.876), &json!(25.5)]
    );
}

#[tokio::test]
async fn lists_need_their_permission_and_good_parameters() {
    let api = Api::new().await;
    for path in ["/api/v1/calls", "/api/v1/calls/count", "/api/v1/calls/stats"] {
        let answer = api.ask("GET", path, &[("x-api-key", KEY_NO_CLICK)], Body::empty()).await;
        assert!(answer.is_error(403, "permission_missing").0.contains("calls.read"));
        api.ask("GET", path, &[], Body::empty()).await.is_error(401, "unauthorized");
        let unknown = api.with_key("GET", &format!("{path}?sort=up")).await;
        assert_eq!(unknown.is_error(400, "unknown_field").1, Some("sort"));
    }
    let live = api.ask("GET", "/api/v1/calls/live", &[("x-api-key", KEY)], Body::empty()).await;
    assert!(live.is_error(403, "permission_missing").0.contains("calls.live"));
    for (query, field) in
        [("limit=201", "limit"), ("disposition=up", "disposition"), ("date_from=x", "date_from")]
    {
        let answer = api.with_key("GET", &format!("/api/v1/calls?{query}")).await;
        let (message, named) = answer.is_error(400, "invalid_field");
        assert_eq!(named, Some(field));
        assert!(message.contains(field), "{message}");
    }
}
