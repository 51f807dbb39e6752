//! What a client of the HTTP API sees, headers as well.

use reqwest::blocking::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<u64>,
    pub(crate) is_replayed: bool,
    pub(crate) body: Value,
}

#[derive(Debug)]
pub(crate) struct Requests {
    base: String,
    key: String,
    client: Client,
}

impl Requests {
    /// As a configuration says.
    pub(crate) fn of(configuration: &str) -> Self {
        let configuration: toml::Value = toml::from_str(configuration).expect("the configuration is TOML");
        let text = |value: &toml::Value| value.as_str().expect("a text").to_owned();
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(10)).build();
        Self {
            base: format!("http://{}/api/v1", text(&configuration["http"]["listen"])),
            key: text(&configuration["api_keys"][0]["key"]),
            client: client.expect("an HTTP client"),
        }
    }

    /// POST /calls/click-to-call, with an Idempotency-Key if there is one.
    pub(crate) fn click_to_call(&self, from: &str, to: &str, once: Option<&str>) -> Reply {
        let path = format!("{}/calls/click-to-call", self.base);
        let mut request = self.client.post(path).json(&json!({"from": from, "to": to}));
        if let Some(once) = once {
            request = request.header("Idempotency-Key", once);
        }
        self.send(request)
    }

    /// The status of GET /readyz, once somebody answers.
    pub(crate) fn readiness(&self) -> Option<u16> {
        let answer = self.client.get(format!("{}/readyz", self.base)).send().ok()?;
        Some(answer.status().as_u16())
    }

    /// Every call, as GET /calls shows it.
    pub(crate) fn calls(&self) -> Vec<Value> {
        let reply = self.send(self.client.get(format!("{}/calls?limit=200", self.base)));
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body["data"].as_array().expect("a list of calls").clone()
    }

    /// How often this has been told of a call until now, as GET /calls/{id}/events replays it.
    pub(crate) fn times_told(&self, call: &str, kind: &str) -> usize {
        let request = self.client.get(format!("{}/calls/{call}/events", self.base));
        // A call that runs has a stream without an end.
        let request = request.header("X-API-Key", &self.key).timeout(Duration::from_secs(1));
        let events = request.send().expect("a stream of events");
        let wanted = format!("event: {kind}");
        BufReader::new(events).lines().map_while(Result::ok).filter(|line| *line == wanted).count()
    }

    fn send(&self, request: RequestBuilder) -> Reply {
        let answer = request.header("X-API-Key", &self.key).send();
        let answer = answer.unwrap_or_else(|error| panic!("the API does not answer: {error}"));
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        Reply {
            status: answer.status().as_u16(),
            retry_after: header("Retry-After").and_then(|seconds| seconds.parse().ok()),
            is_replayed: header("Idempotency-Replayed") == Some("true"),
            body: answer.json().unwrap_or(Value::Null),
        }
    }
}
