//! A B2BUA that answers as it is told and says what it was asked; and an API before it.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use call_control::{
    Call, CallDirection, CallEvent, CallEventKind, CallId, CallState, Calls, ClickToCall, End, EndReason,
    EndedBy, EventReader, EventsEnd, Explanation, ExtensionView, HangUpRefusal, Ladder, MessagesRefusal,
    Number, NumberedEvent, PartyType, PartyView, Readiness, Refusal, Repeatable, Timestamp, TrunkView, Wish,
    WishRefusal,
};
use call_store::{FirstAnswer, Round, Store};
use control_api::{ApiKey, Keys, Permission, key_sha256, router};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tower::ServiceExt;

pub(crate) const KEY: &str = "ak_0123456789abcdef0123456789abcdef";
pub(crate) const KEY_NO_CLICK: &str = "ak_1123456789abcdef0123456789abcdef";
pub(crate) const KEY_AI: &str = "ak_2123456789abcdef0123456789abcdef";
pub(crate) const KEY_BOUND: &str = "ak_3123456789abcdef0123456789abcdef";
pub(crate) const KEY_OTHER: &str = "ak_4123456789abcdef0123456789abcdef";
pub(crate) const KEY_REVOKED: &str = "ak_ffffffffffffffffffffffffffffffff";

pub(crate) const CLICK: &str = "/api/v1/calls/click-to-call";
pub(crate) const GOOD: &str = r#"{"from":"1001","to":"1002"}"#;

/// A click-to-call with more header fields.
pub(crate) async fn click(api: &Api, key: &str, more: &[(&str, &str)], body: &'static str) -> Answer {
    let headers = [&[("x-api-key", key), ("content-type", "application/json")], more].concat();
    api.ask("POST", CLICK, &headers, Body::from(body)).await
}

pub(crate) fn id(n: u8) -> CallId {
    CallId::new(1_795_255_200_000, &[n; 10])
}

pub(crate) fn call(n: u8, state: CallState) -> Call {
    let moment = Timestamp::from_unix_milliseconds(1_795_255_200_000).unwrap();
    Call {
        call_id: id(n),
        state,
        from: PartyView::waiting(Number::new("1001").unwrap(), PartyType::Extension),
        to: PartyView::waiting(Number::new("1002").unwrap(), PartyType::Extension),
        caller_id: None,
        variables: [].into(),
        direction: CallDirection::Internal,
        duration_seconds: 0.0,
        ring_seconds: 0.0,
        talk_seconds: 0.0,
        path: Vec::new(),
        created_at: moment,
        connected_at: None,
        ended_at: (state == CallState::Ended).then_some(moment),
        end: None,
    }
}

/// Something that happened to call `n`.
pub(crate) fn event(n: u8, kind: CallEventKind) -> CallEvent {
    let over = kind == CallEventKind::Ended;
    let state = match kind {
        CallEventKind::Initiated | CallEventKind::Ringing => CallState::CallingFrom,
        CallEventKind::Answered => CallState::CallingTo,
        CallEventKind::Connected => CallState::Connected,
        CallEventKind::Talking
        | CallEventKind::Held
        | CallEventKind::Resumed
        | CallEventKind::Transferred => CallState::Talking,
        CallEventKind::Ended => CallState::Ended,
    };
    let mut call = call(n, state);
    call.connected_at = matches!(state, CallState::Connected | CallState::Talking).then_some(call.created_at);
    call.end = over.then_some(End {
        reason: EndReason::Busy,
        by: EndedBy::To,
        party: None,
        sip_status: None,
        q850_cause: None,
        into: None,
    });
    CallEvent { event: kind, party: None, at: call.created_at, call }
}

/// What the B2BUA is to answer, and what it was asked.
pub(crate) struct Script {
    pub(crate) click_to_call: Result<CallId, Refusal>,
    pub(crate) hang_up: Result<(), HangUpRefusal>,
    pub(crate) ask: Result<(), WishRefusal>,
    pub(crate) wishes: Vec<(CallId, Wish)>,
    pub(crate) live: Option<Arc<Call>>,
    pub(crate) readiness: Readiness,
    pub(crate) panics: bool,
    /// Once, after the call and its first answer are kept.
    pub(crate) dies_when_kept: bool,
    /// Something happens, and is kept, right before each subscription.
    pub(crate) busy: bool,
    pub(crate) asked: Vec<ClickToCall>,
    pub(crate) hung_up: Vec<CallId>,
    pub(crate) ladder: Result<Ladder, MessagesRefusal>,
    pub(crate) explanation: Result<Explanation, MessagesRefusal>,
    pub(crate) extensions: Vec<ExtensionView>,
    pub(crate) trunks: Vec<TrunkView>,
}

pub(crate) struct FakeCalls {
    script: Mutex<Script>,
    disk: Disk,
    events: broadcast::Sender<Arc<NumberedEvent>>,
}

impl FakeCalls {
    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }
}

/// What the B2BUA writes: one round after the other.
pub(crate) struct Disk {
    store: Store,
    rounds: tokio::sync::Mutex<u64>,
}

impl Disk {
    async fn put(&self, round: Round) -> Vec<NumberedEvent> {
        let mut rounds = self.rounds.lock().await;
        *rounds += 1;
        self.store.put_round(Arc::new(Round { number: *rounds, ..round })).await.unwrap()
    }

    /// What a repeat is known by.
    async fn keep_answer(&self, call_id: CallId, request: Repeatable) {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let at = i64::try_from(since_1970.as_millis()).unwrap();
        let first_answers = vec![FirstAnswer { request, call_id, at, body: None }];
        self.put(Round { first_answers, ..Round::default() }).await;
    }
}

struct Reader(broadcast::Receiver<Arc<NumberedEvent>>);

impl EventReader for Reader {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<Arc<NumberedEvent>, EventsEnd>> + Send + '_>> {
        Box::pin(async {
            self.0.recv().await.map_err(|error| match error {
                broadcast::error::RecvError::Lagged(_) => EventsEnd::TooSlow,
                broadcast::error::RecvError::Closed => EventsEnd::Stopped,
            })
        })
    }
}

impl Calls for FakeCalls {
    fn click_to_call(
        &self,
        request: ClickToCall,
    ) -> Pin<Box<dyn Future<Output = Result<CallId, Refusal>> + Send + '_>> {
        Box::pin(async move {
            let (answer, panics) = {
                let mut script = self.script();
                script.asked.push(request.clone());
                (script.click_to_call.clone(), script.panics)
            };
            assert!(!panics, "a secret that nobody may see");
            if let (Ok(call_id), Some(repeatable)) = (&answer, request.repeatable) {
                self.disk.keep_answer(*call_id, repeatable).await;
            }
            assert!(!std::mem::take(&mut self.script().dies_when_kept), "it died when the call was on disk");
            answer
        })
    }

    fn ask(
        &self,
        call: CallId,
        wish: Wish,
    ) -> Pin<Box<dyn Future<Output = Result<(), WishRefusal>> + Send + '_>> {
        let mut script = self.script();
        script.wishes.push((call, wish));
        let answer = script.ask.clone();
        Box::pin(async move { answer })
    }

    fn hang_up(&self, call: CallId) -> Pin<Box<dyn Future<Output = Result<(), HangUpRefusal>> + Send + '_>> {
        Box::pin(async move {
            let mut script = self.script();
            script.hung_up.push(call);
            script.hang_up
        })
    }

    fn live(&self, call: CallId) -> Option<Arc<Call>> {
        self.script().live.clone().filter(|live| live.call_id == call)
    }

    fn live_calls(&self) -> Vec<Arc<Call>> {
        self.script().live.clone().into_iter().collect()
    }

    fn ladder(
        &self,
        _: CallId,
    ) -> Pin<Box<dyn Future<Output = Result<Ladder, MessagesRefusal>> + Send + '_>> {
        Box::pin(async { self.script().ladder.clone() })
    }

    fn explanation(
        &self,
        _: CallId,
    ) -> Pin<Box<dyn Future<Output = Result<Explanation, MessagesRefusal>> + Send + '_>> {
        Box::pin(async { self.script().explanation.clone() })
    }

    fn extensions(&self) -> Pin<Box<dyn Future<Output = Vec<ExtensionView>> + Send + '_>> {
        Box::pin(async { self.script().extensions.clone() })
    }

    fn trunks(&self) -> Pin<Box<dyn Future<Output = Vec<TrunkView>> + Send + '_>> {
        Box::pin(async { self.script().trunks.clone() })
    }

    fn subscribe(&self) -> Box<dyn EventReader> {
        let busy = self.script().busy;
        if busy {
            let events = vec![Arc::new(event(1, CallEventKind::Ringing))];
            let putting = self.disk.put(Round { events, ..Round::default() });
            for numbered in tokio::task::block_in_place(|| Handle::current().block_on(putting)) {
                let _ = self.events.send(Arc::new(numbered));
            }
        }
        Box::new(Reader(self.events.subscribe()))
    }

    fn readiness(&self) -> Readiness {
        self.script().readiness
    }
}

pub(crate) struct Api {
    pub(crate) router: Router,
    pub(crate) calls: Arc<FakeCalls>,
    pub(crate) store: Store,
    pub(crate) keys: Keys,
}

pub(crate) fn api_key(key: &str, permissions: &[&str]) -> ApiKey {
    ApiKey {
        name: "crm".into(),
        sha256: key_sha256(key),
        permissions: permissions.iter().map(|word| Permission::new(word).unwrap()).collect(),
        caller_ids: None,
    }
}

impl Api {
    /// With every call taken.
    pub(crate) async fn new() -> Self {
        Self::with(Store::in_memory().await.unwrap())
    }

    /// With what this store holds.
    pub(crate) fn with(store: Store) -> Self {
        let script = Mutex::new(Script {
            click_to_call: Ok(id(1)),
            hang_up: Ok(()),
            ask: Ok(()),
            wishes: Vec::new(),
            live: None,
            readiness: Readiness::Ready,
            panics: false,
            dies_when_kept: false,
            busy: false,
            asked: vec![],
            hung_up: vec![],
            ladder: Err(MessagesRefusal::NotFound(id(1))),
            explanation: Err(MessagesRefusal::NotFound(id(1))),
            extensions: Vec::new(),
            trunks: Vec::new(),
        });
        let disk = Disk { store: store.clone(), rounds: tokio::sync::Mutex::new(0) };
        let calls = Arc::new(FakeCalls { script, disk, events: broadcast::channel(64).0 });
        let bound = ApiKey {
            caller_ids: Some(vec![Number::new("+15550100").unwrap()]),
            ..api_key(KEY_BOUND, &["calls.click_to_call"])
        };
        let keys = Keys::new(vec![
            api_key(KEY, &["calls.click_to_call", "calls.read", "calls.hangup"]),
            api_key(KEY_NO_CLICK, &["calls.live", "config.*"]),
            api_key(KEY_AI, &["calls.originate_ai"]),
            bound,
            api_key(KEY_OTHER, &["calls.*"]),
        ]);
        let router = router(calls.clone(), store.clone(), keys.clone());
        Self { router, calls, store, keys }
    }

    /// Something happens to calls: on disk first, then told.
    pub(crate) async fn happen(&self, events: &[CallEvent]) {
        let ended = events.iter().filter(|event| event.event == CallEventKind::Ended);
        let calls = ended.map(|event| Arc::new(event.call.clone())).collect();
        let events = events.iter().cloned().map(Arc::new).collect();
        for numbered in self.calls.disk.put(Round { calls, events, ..Round::default() }).await {
            let _ = self.calls.events.send(Arc::new(numbered));
        }
    }

    /// Calls get on disk, without a word.
    pub(crate) async fn keep(&self, calls: &[Call]) {
        let calls = calls.iter().cloned().map(Arc::new).collect();
        self.calls.disk.put(Round { calls, ..Round::default() }).await;
    }

    /// One request, without a port.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let json = serde_json::from_slice(&body).unwrap_or(serde_json::Value::Null);
        let text = String::from_utf8_lossy(&body).into_owned();
        Answer { status: parts.status, headers: parts.headers, json, text }
    }

    /// A click-to-call with the good key.
    pub(crate) async fn click(&self, body: &str) -> Answer {
        self.click_with(KEY, body).await
    }

    pub(crate) async fn click_with(&self, key: &str, body: &str) -> Answer {
        let headers = [("X-API-Key", key), ("Content-Type", "application/json")];
        self.ask("POST", "/api/v1/calls/click-to-call", &headers, body.to_owned()).await
    }

    pub(crate) async fn with_key(&self, method: &str, path: &str) -> Answer {
        self.ask(method, path, &[("X-API-Key", KEY)], Body::empty()).await
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) json: serde_json::Value,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Is an error of this status and code, with the body that all errors have; gives message and field.
    pub(crate) fn is_error(&self, status: u16, code: &str) -> (&str, Option<&str>) {
        assert_eq!(self.status.as_u16(), status, "{}", self.json);
        assert_eq!(self.header("content-type"), Some("application/json"));
        let members: Vec<&str> = self.json.as_object().unwrap().keys().map(String::as_str).collect();
        assert!(
            members.iter().all(|name| ["status", "message", "code", "field"].contains(name)),
            "{members:?}"
        );
        assert_eq!((self.json["status"].as_str(), self.json["code"].as_str()), (Some("error"), Some(code)));
        let message = self.json["message"].as_str().unwrap();
        assert!((1..=500).contains(&message.len()), "{message}");
        (message, self.json["field"].as_str())
    }
}
