//! Each row of the table of answers.

use crate::fake::{
    Api, KEY, KEY_AI, KEY_BOUND, KEY_NO_CLICK, KEY_OTHER, KEY_REVOKED, api_key, call, event, id,
};
use axum::body::Body;
use call_control::{
    CallEventKind, CallState, ExtensionState, ExtensionView, HangUpRefusal, LadderTransport, Number,
    PartyType, PhoneView, ReachedAt, Readiness, Refusal, RegistrationState, TrunkView,
};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const CLICK: &str = "/api/v1/calls/click-to-call";
const GOOD: &str = r#"{"from":"1001","to":"1002"}"#;
const NOT_REGISTERED: &str = "Failed to originate call: extension not registered";
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_click_to_call_is_answered_with_its_id_and_place() {
    let api = Api::new().await;
    let answer =
        api.click(r#"{"from":"1001","to":"1002","timeout":20,"variables":{"custom_key":"v"}}"#).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("location"), Some(&*format!("/api/v1/calls/{}", id(1))));
    assert_eq!(
        answer.json,
        json!({"status": "success", "message": "Call initiated", "call_id": id(1).to_string()})
    );
    let asked = std::mem::take(&mut api.calls.script().asked);
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].from.as_str(), asked[0].to.as_str(), &*asked[0].key_name), ("1001", "1002", "crm"));
    assert_eq!(asked[0].timeout, Duration::from_secs(20));
    assert_eq!(asked[0].variables.len(), 1);
}

#[tokio::test]
async fn the_key_may_come_as_a_bearer_token() {
    let api = Api::new().await;
    for scheme in ["Bearer", "bearer"] {
        let authorization = format!("{scheme} {KEY}");
        let answer = api.ask("POST", CLICK, &[JSON, ("authorization", &authorization)], GOOD).await;
        assert_eq!(answer.status, 200, "{scheme}");
    }
}

#[tokio::test]
async fn without_a_good_key_there_is_one_and_the_same_answer() {
    let api = Api::new().await;
    let bearer = format!("Bearer {KEY_REVOKED}");
    let basic = format!("Basic {KEY}");
    let upper = KEY.to_uppercase();
    let attempts: &[&[(&str, &str)]] = &[
        &[],
        &[("x-api-key", "")],
        &[("x-api-key", "ak_")],
        &[("x-api-key", KEY_REVOKED)],
        &[("x-api-key", &KEY[..KEY.len() - 1])],
        &[("x-api-key", &upper)],
        &[("x-api-key", "ä")],
        &[("x-api-key", KEY), ("x-api-key", KEY)],
        &[("x-api-key", ""), ("authorization", "Bearer ")],
        &[("authorization", "Bearer")],
        &[("authorization", KEY)],
        &[("authorization", &basic)],
        &[("authorization", &bearer)],
    ];
    let mut answers = Vec::new();
    for headers in attempts {
        for (method, path, body) in [
            ("POST", CLICK, "not even JSON"),
            ("GET", "/api/v1/calls/x", ""),
            ("POST", "/api/v1/calls/x/hangup", ""),
        ] {
            let answer = api.ask(method, path, headers, body).await;
            answer.is_error(401, "unauthorized");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"api\""), "{headers:?}");
            answers.push((answer.headers, answer.json));
        }
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(api.calls.script().asked.is_empty());
}

#[tokio::test]
async fn a_key_that_is_taken_away_opens_nothing_any_more() {
    let api = Api::new().await;
    api.keys.replace(vec![api_key(KEY_REVOKED, &["calls.*"])]);
    api.click(GOOD).await.is_error(401, "unauthorized");
    assert_eq!(api.click_with(KEY_REVOKED, GOOD).await.status, 200);
}

#[tokio::test]
async fn a_text_that_has_not_the_form_of_a_key_opens_nothing_even_if_it_is_configured() {
    let api = Api::new().await;
    api.keys.replace(vec![api_key("secret", &["calls.*"]), api_key("", &["calls.*"])]);
    api.click_with("secret", GOOD).await.is_error(401, "unauthorized");
    api.click_with("", GOOD).await.is_error(401, "unauthorized");
    api.ask("POST", CLICK, &[JSON], GOOD).await.is_error(401, "unauthorized");
}

#[tokio::test]
async fn a_permission_that_lacks_is_named() {
    let api = Api::new().await;
    let answer = api.click_with(KEY_NO_CLICK, "not even JSON").await;
    assert!(answer.is_error(403, "permission_missing").0.contains("calls.click_to_call"));
    for (method, path, permission) in [
        ("GET", format!("/api/v1/calls/{}", id(1)), "calls.read"),
        ("POST", format!("/api/v1/calls/{}/hangup", id(1)), "calls.hangup"),
    ] {
        let answer = api.ask(method, &path, &[("x-api-key", KEY_NO_CLICK)], Body::empty()).await;
        assert!(answer.is_error(403, "permission_missing").0.contains(permission));
    }
    assert!(api.calls.script().asked.is_empty() && api.calls.script().hung_up.is_empty());
    assert_eq!(api.click_with(KEY_OTHER, GOOD).await.status, 200, "a family is enough");
}

#[tokio::test]
async fn a_key_for_ai_agents_calls_ai_agents_only() {
    let api = Api::new().await;
    let to_agent = r#"{"from":"1001","to":"8000","to_type":"ai_agent"}"#;
    assert_eq!(api.click_with(KEY_AI, to_agent).await.status, 200);
    for other in [GOOD, r#"{"from":"1001","to":"8000","to_type":"queue"}"#] {
        let answer = api.click_with(KEY_AI, other).await;
        assert!(answer.is_error(403, "permission_missing").0.contains("calls.click_to_call"));
    }
    assert_eq!(api.click(to_agent).await.status, 200, "calls.click_to_call is enough for them too");
    assert_eq!(api.calls.script().asked.len(), 2);
}

#[tokio::test]
async fn a_key_shows_only_its_caller_ids() {
    let api = Api::new().await;
    let with = |caller_id: &str| format!(r#"{{"from":"1001","to":"1002","caller_id":"{caller_id}"}}"#);
    for allowed in [with("+15550100"), with(r#"\"Asha\" <+15550100>"#), GOOD.to_owned()] {
        assert_eq!(api.click_with(KEY_BOUND, &allowed).await.status, 200, "{allowed}");
    }
    let answer = api.click_with(KEY_BOUND, &with("+15550101")).await;
    let (message, field) = answer.is_error(403, "caller_id_not_allowed");
    assert!(message.contains("caller_id") && field == Some("caller_id"));
    assert_eq!(api.click(&with("+15550101")).await.status, 200, "a key without a list shows any");
}

#[tokio::test]
async fn the_checks_come_in_their_order() {
    let api = Api::new().await;
    let large = "x".repeat(64 * 1024 + 1);
    let length = large.len().to_string();
    let text = ("content-type", "text/plain");
    let size = api.ask("POST", CLICK, &[text, ("content-length", &length)], large).await;
    size.is_error(413, "body_too_large");
    api.ask("POST", CLICK, &[text], "x").await.is_error(401, "unauthorized");
    api.ask("POST", CLICK, &[text, ("x-api-key", KEY_NO_CLICK)], "x")
        .await
        .is_error(403, "permission_missing");
    api.ask("POST", CLICK, &[text, ("x-api-key", KEY_BOUND)], "x")
        .await
        .is_error(415, "unsupported_media_type");
    let wrong = r#"{"from":"1001","to":"","caller_id":"+15550101"}"#;
    api.click_with(KEY_BOUND, wrong).await.is_error(400, "invalid_field");
    api.calls.script().click_to_call = Err(Refusal::NotRegistered { field: "from" });
    let not_its_own = r#"{"from":"1001","to":"1002","caller_id":"+15550101"}"#;
    api.click_with(KEY_BOUND, not_its_own).await.is_error(403, "caller_id_not_allowed");
    api.click_with(KEY_BOUND, GOOD).await.is_error(409, "extension_not_registered");
    assert_eq!(api.calls.script().asked.len(), 1);
}

#[tokio::test]
async fn a_body_of_64_kib_is_the_largest() {
    let api = Api::new().await;
    let padded = |octets: usize| format!("{GOOD}{}", " ".repeat(octets - GOOD.len()));
    assert_eq!(api.click(&padded(64 * 1024)).await.status, 200);
    // Without a length, as a chunked body comes.
    let chunks = padded(64 * 1024 + 1).into_bytes().chunks(1000).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let body = Body::new(ChunkedBody(chunks.into_iter()));
    let answer = api.ask("POST", CLICK, &[JSON, ("x-api-key", KEY)], body).await;
    answer.is_error(413, "body_too_large");
    let endless = ("content-length", "99999999999999999999999999");
    api.ask("POST", CLICK, &[JSON, endless], "").await.is_error(413, "body_too_large");
    assert_eq!(api.calls.script().asked.len(), 1);
}

struct ChunkedBody(std::vec::IntoIter<Vec<u8>>);

impl hyper::body::Body for ChunkedBody {
    type Data = axum::body::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        std::task::Poll::Ready(self.0.next().map(|chunk| Ok(hyper::body::Frame::data(chunk.into()))))
    }
}

#[tokio::test]
async fn only_plain_json_is_read() {
    let api = Api::new().await;
    let ask = async |headers: &[(&str, &str)]| {
        let headers = [&[("x-api-key", KEY)], headers].concat();
        api.ask("POST", CLICK, &headers, GOOD).await
    };
    for good in
        ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json ;x"]
    {
        assert_eq!(ask(&[("content-type", good)]).await.status, 200, "{good}");
    }
    for bad in
        ["", "text/plain", "application/jsonp", "application/json, text/plain", "json", "application/xml"]
    {
        ask(&[("content-type", bad)]).await.is_error(415, "unsupported_media_type");
    }
    ask(&[]).await.is_error(415, "unsupported_media_type");
    ask(&[JSON, JSON]).await.is_error(415, "unsupported_media_type");
    ask(&[JSON, ("content-encoding", "gzip")]).await.is_error(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_field_that_is_wrong_is_named() {
    let api = Api::new().await;
    for (body, code, field) in [
        (r#"{"from":"1001"}"#, "missing_field", "to"),
        (r#"{"from":1001,"to":"1002"}"#, "invalid_field", "from"),
        (r#"{"from":"1001","to":"1002","x":1}"#, "unknown_field", "x"),
        (r#"{"from":"1001","to":"1002","to":"1003"}"#, "duplicate_field", "to"),
        (r#"{"from":"1001","to":"1001"}"#, "same_party", "to"),
        (r#"{"from":"1001","to":"1002","record":true}"#, "invalid_field", "record"),
        (r#"{"from":"1001","to":"1002","timeout":30.5}"#, "invalid_field", "timeout"),
    ] {
        let answer = api.click(body).await;
        let (message, named) = answer.is_error(400, code);
        assert_eq!(named, Some(field), "{body}");
        assert!(message.contains(field), "{message}");
    }
    assert_eq!(api.click("null").await.is_error(400, "invalid_body").1, None);
    assert!(api.calls.script().asked.is_empty());
}

#[tokio::test]
async fn what_the_b2bua_refuses_has_its_status() {
    let api = Api::new().await;
    let number = Number::new("1003").unwrap();
    let retry_after = Duration::from_millis(1500);
    let not_found = Refusal::NotFound { party_type: PartyType::Extension, number, field: "from" };
    for (refusal, status, code, field, wait, part) in [
        (not_found, 404, "destination_not_found", Some("from"), None, "There is no extension 1003"),
        (Refusal::SameParty, 400, "same_party", Some("to"), None, "to"),
        (
            Refusal::NotRegistered { field: "from" },
            409,
            "extension_not_registered",
            Some("from"),
            None,
            NOT_REGISTERED,
        ),
        (
            Refusal::NotRegistered { field: "to" },
            409,
            "extension_not_registered",
            Some("to"),
            None,
            NOT_REGISTERED,
        ),
        (Refusal::TooManyCalls { retry_after }, 429, "too_many_calls", None, Some("2"), "calls"),
        (
            Refusal::TooManyCalls { retry_after: Duration::ZERO },
            429,
            "too_many_calls",
            None,
            Some("1"),
            "calls",
        ),
        (Refusal::TooManyNewCalls { retry_after }, 429, "too_many_calls", None, Some("2"), "one second"),
        (
            Refusal::StorageUnavailable { retry_after },
            503,
            "storage_unavailable",
            None,
            Some("2"),
            "nobody was rung",
        ),
        (Refusal::NoMediaPort { retry_after }, 503, "no_media_port", None, Some("2"), "port"),
        (Refusal::NoDescriptor { retry_after }, 503, "no_descriptor", None, Some("2"), "descriptor"),
        (Refusal::Draining, 503, "draining", None, Some("10"), "stopping"),
    ] {
        api.calls.script().click_to_call = Err(refusal);
        let answer = api.click(GOOD).await;
        let (message, named) = answer.is_error(status, code);
        assert_eq!((named, answer.header("retry-after")), (field, wait), "{code}");
        assert!(message.contains(part), "{message}");
        assert_eq!(answer.header("location"), None);
    }
    api.calls.script().click_to_call = Err(Refusal::NotRegistered { field: "from" });
    assert_eq!(api.click(GOOD).await.is_error(409, "extension_not_registered").0, NOT_REGISTERED);
}

#[tokio::test]
async fn a_number_that_is_not_dialled_names_its_field_and_why() {
    let api = Api::new().await;
    let number = Number::new("+19005550123").unwrap();
    let (why, rule) = ("has more than 15 digits".into(), "dial_policy.deny has +1900".into());
    for (refusal, status, code, field, message) in [
        (
            Refusal::NoTrunk { number: number.clone(), field: "from" },
            422,
            "no_trunk",
            "from",
            "No trunk takes the number +19005550123",
        ),
        (
            Refusal::NoSuchNumber { field: "to", why },
            400,
            "invalid_field",
            "to",
            "to has more than 15 digits",
        ),
        (
            Refusal::PolicyDenied { number, rule, field: "to" },
            403,
            "policy_denied",
            "to",
            "+19005550123 is not dialled: dial_policy.deny has +1900",
        ),
    ] {
        api.calls.script().click_to_call = Err(refusal);
        let answer = api.click(GOOD).await;
        assert_eq!(answer.is_error(status, code), (message, Some(field)));
    }
}

#[tokio::test]
async fn a_call_is_shown_as_it_stands_and_as_it_ended() {
    let api = Api::new().await;
    let path = format!("/api/v1/calls/{}", id(1));
    api.with_key("GET", &path).await.is_error(404, "call_not_found");

    api.keep(&[call(1, CallState::CallingFrom)]).await;
    api.calls.script().live = Some(Arc::new(call(1, CallState::Talking)));
    let live = api.with_key("GET", &path).await;
    assert_eq!(live.status, 200);
    assert_eq!(
        live.json,
        serde_json::to_value(call(1, CallState::Talking)).unwrap(),
        "the live view comes first"
    );

    api.calls.script().live = None;
    api.keep(&[call(1, CallState::Ended)]).await;
    let ended = api.with_key("GET", &path).await;
    assert_eq!(ended.json, serde_json::to_value(call(1, CallState::Ended)).unwrap());
    assert_eq!(ended.json["state"], "ended");
}

#[tokio::test]
async fn an_id_that_is_none_is_an_unknown_call() {
    let api = Api::new().await;
    for strange in ["x", "1001", "%ff", "..%2f..", "%00", &"a".repeat(5000)] {
        api.with_key("GET", &format!("/api/v1/calls/{strange}")).await.is_error(404, "call_not_found");
        api.with_key("POST", &format!("/api/v1/calls/{strange}/hangup"))
            .await
            .is_error(404, "call_not_found");
    }
    assert!(api.calls.script().hung_up.is_empty());
}

#[tokio::test]
async fn a_call_is_hung_up_once() {
    let api = Api::new().await;
    let path = format!("/api/v1/calls/{}/hangup", id(1));
    let answer = api.with_key("POST", &path).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json,
        json!({"status": "success", "message": "Hang-up requested", "call_id": id(1).to_string()})
    );
    assert_eq!(api.calls.script().hung_up, [id(1)]);

    api.calls.script().hang_up = Err(HangUpRefusal::NotFound(id(1)));
    api.with_key("POST", &path).await.is_error(404, "call_not_found");
    api.keep(&[call(1, CallState::Ended)]).await;
    let answer = api.with_key("POST", &path).await;
    assert_eq!(answer.is_error(409, "call_ended").0, "The call has ended already");

    api.calls.script().hang_up = Err(HangUpRefusal::Stopped);
    let answer = api.with_key("POST", &path).await;
    answer.is_error(503, "draining");
    assert_eq!(answer.header("retry-after"), Some("10"));
}

#[tokio::test]
async fn a_hang_up_of_an_unknown_call_is_not_found() {
    let api = Api::new().await;
    api.keep(&[call(1, CallState::Ended)]).await;
    api.calls.script().hang_up = Err(HangUpRefusal::NotFound(id(2)));
    api.with_key("POST", &format!("/api/v1/calls/{}/hangup", id(2))).await.is_error(404, "call_not_found");
    assert_eq!(api.calls.script().hung_up, [id(2)]);
}

#[tokio::test]
async fn a_call_whose_end_is_not_on_disk_yet_has_ended_and_is_still_among_the_live_ones() {
    let api = Api::new().await;
    let path = format!("/api/v1/calls/{}", id(1));
    // On disk it is as it began; the view has its end.
    api.keep(&[call(1, CallState::CallingFrom)]).await;
    api.calls.script().live = Some(Arc::new(event(1, CallEventKind::Ended).call));
    let shown = api.with_key("GET", &path).await;
    assert_eq!((&shown.json["state"], &shown.json["end"]["reason"]), (&json!("ended"), &json!("busy")));
    assert_eq!(shown.json["disposition"], json!("busy"));
    let listed = api.with_key("GET", "/api/v1/calls").await;
    assert_eq!(listed.json["data"], json!([shown.json]));

    let refused = api.with_key("POST", &format!("{path}/hangup")).await;
    assert_eq!(refused.is_error(409, "call_ended").0, "The call has ended already");
    assert!(api.calls.script().hung_up.is_empty());

    let live = api.ask("GET", "/api/v1/calls/live", &[("x-api-key", KEY_OTHER)], Body::empty()).await;
    assert_eq!(live.json, json!({"data": [shown.json], "total": 1}));
    assert_eq!(api.with_key("GET", "/api/v1/calls/count").await.json["live"], json!(1));
}

#[tokio::test]
async fn health_needs_no_key_and_is_in_both_places() {
    let api = Api::new().await;
    let ask = async |path: &str| api.ask("GET", path, &[], Body::empty()).await;
    for prefix in ["", "/api/v1"] {
        api.calls.script().readiness = Readiness::Ready;
        assert_eq!(ask(&format!("{prefix}/healthz")).await.json, json!({"status": "ok"}));
        let ready = ask(&format!("{prefix}/readyz")).await;
        assert_eq!((ready.status.as_u16(), ready.json), (200, json!({"status": "ready"})));
        for (readiness, why) in
            [(Readiness::Draining, "stopping"), (Readiness::StorageUnavailable, "written to disk")]
        {
            api.calls.script().readiness = readiness;
            assert_eq!(ask(&format!("{prefix}/healthz")).await.status, 200);
            let not_ready = ask(&format!("{prefix}/readyz")).await;
            assert!(not_ready.is_error(503, "not_ready").0.contains(why));
            assert!(not_ready.header("retry-after").is_some());
        }
    }
}

#[tokio::test]
async fn other_paths_and_methods_have_the_body_of_errors() {
    let api = Api::new().await;
    for path in ["/", "/api", "/api/v1", "/api/v1/calls/", "/api/v2/healthz", "/api/v1/event"] {
        api.with_key("GET", path).await.is_error(404, "path_not_found");
    }
    let id = id(1);
    for (method, path, allow) in [
        ("GET", CLICK.to_owned(), "POST"),
        ("DELETE", format!("/api/v1/calls/{id}"), "GET,HEAD"),
        ("GET", format!("/api/v1/calls/{id}/hangup"), "POST"),
        ("POST", "/healthz".to_owned(), "GET,HEAD"),
        ("BREW", "/api/v1/readyz".to_owned(), "GET,HEAD"),
    ] {
        let answer = api.with_key(method, &path).await;
        answer.is_error(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
}

#[tokio::test]
async fn a_panic_becomes_an_answer_that_says_nothing_of_it() {
    let api = Api::new().await;
    api.calls.script().panics = true;
    let answer = api.click(GOOD).await;
    let (message, _) = answer.is_error(500, "internal_error");
    assert!(!message.contains("secret"));
    api.calls.script().panics = false;
    assert_eq!(api.click(GOOD).await.status, 200);
}

#[tokio::test]
async fn a_store_that_fails_becomes_an_answer_that_says_nothing_of_it() {
    let api = Api::new().await;
    api.store.clone().close().await;
    let answer = api.with_key("GET", &format!("/api/v1/calls/{}", id(1))).await;
    assert!(!answer.is_error(500, "internal_error").0.contains("database"));
}

#[tokio::test]
async fn what_calls_can_reach_is_shown_to_those_who_may_read_the_configuration() {
    let api = Api::new().await;
    let at = call(1, CallState::Talking).created_at;
    let phone = PhoneView {
        address: "192.0.2.7:5060".parse().unwrap(),
        transport: LadderTransport::Tls,
        user_agent: Some("Phone/1".into()),
        registered_at: at,
        expires_at: at,
    };
    let extension = ExtensionView {
        number: Number::new("1001").unwrap(),
        name: Some("Asha".into()),
        state: ExtensionState::Busy,
        phones: vec![phone],
    };
    let trunk = TrunkView {
        name: "carrier".into(),
        address: "sip:carrier.example".into(),
        reached_at: vec![ReachedAt {
            address: "198.51.100.1:5060".parse().unwrap(),
            transport: LadderTransport::Udp,
        }],
        registration: Some(RegistrationState::Failed),
        reachable: None,
        channels_in_use: 2,
        channels: 30,
        last_failure: Some("403 Forbidden".into()),
    };
    {
        let mut script = api.calls.script();
        (script.extensions, script.trunks) = (vec![extension], vec![trunk]);
    }
    let get = async |path: &str| {
        api.ask("GET", &format!("/api/v1{path}"), &[("x-api-key", KEY_NO_CLICK)], "").await
    };
    let shown = get("/extensions/1001").await;
    assert_eq!(
        (shown.status.as_u16(), &shown.json["state"], &shown.json["name"]),
        (200, &json!("busy"), &json!("Asha"))
    );
    assert_eq!(shown.json["phones"][0]["transport"], json!("tls"));
    assert_eq!(get("/extensions").await.json, json!({"data": [shown.json]}));
    let shown = get("/trunks/carrier").await;
    assert_eq!(
        shown.json,
        json!({
            "name": "carrier", "address": "sip:carrier.example", "registration": "failed", "reachable": null,
            "reached_at": [{"address": "198.51.100.1:5060", "transport": "udp"}],
            "channels_in_use": 2, "channels": 30, "last_failure": "403 Forbidden",
        })
    );
    assert_eq!(get("/trunks").await.json, json!({"data": [shown.json]}));
    for (path, code) in [("/extensions/1009", "destination_not_found"), ("/trunks/other", "trunk_not_found")]
    {
        let missing = get(path).await;
        assert_eq!((missing.status.as_u16(), &missing.json["code"]), (404, &json!(code)));
    }
    for path in ["/extensions", "/extensions/1001", "/trunks", "/trunks/carrier"] {
        let refused = api.ask("GET", &format!("/api/v1{path}"), &[("x-api-key", KEY_AI)], "").await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json["code"]),
            (403, &json!("permission_missing")),
            "{path}"
        );
    }
}
