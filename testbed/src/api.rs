//! The HTTP API, as a script uses it.

use reqwest::blocking::{Client, RequestBuilder};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::time::Duration;

/// A status and a JSON body.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; null when it is not JSON.
    pub body: Value,
}

/// A client with the test's key.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    key: String,
    client: Client,
}

impl Api {
    /// For the server at `address`.
    pub fn new(address: SocketAddr, key: &str) -> Self {
        let client =
            Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().expect("an HTTP client");
        Self { base: format!("http://{address}"), key: key.to_owned(), client }
    }

    /// Whether `GET /readyz` says so.
    pub fn is_ready(&self) -> bool {
        self.client.get(self.at("/readyz")).send().is_ok_and(|answer| answer.status().is_success())
    }

    /// POST /calls/click-to-call.
    pub fn click_to_call(&self, body: &Value) -> Answer {
        self.send(self.client.post(self.at("/calls/click-to-call")).json(body))
    }

    /// A click-to-call that is taken: the id of the call.
    pub fn place(&self, body: &Value) -> String {
        let answer = self.click_to_call(body);
        assert_eq!(
            (answer.status, answer.body["status"].as_str()),
            (200, Some("success")),
            "{body}: {answer:?}"
        );
        answer.body["call_id"].as_str().expect("a call_id").to_owned()
    }

    /// POST /calls/{id}/hangup.
    pub fn hang_up(&self, call: &str) -> Answer {
        self.send(self.client.post(self.at(&format!("/calls/{call}/hangup"))))
    }

    /// POST /calls/{id}/hold and the like, with this body.
    pub fn ask(&self, call: &str, wish: &str, body: &Value) -> Answer {
        self.send(self.client.post(self.at(&format!("/calls/{call}/{wish}"))).json(body))
    }

    /// GET /calls/{id}.
    pub fn call(&self, call: &str) -> Answer {
        self.send(self.client.get(self.at(&format!("/calls/{call}"))))
    }

    /// The ids of all calls, the newest one first.
    pub fn calls(&self) -> Vec<String> {
        let answer = self.send(self.client.get(self.at("/calls")));
        let calls = answer.body["data"].as_array().expect("calls");
        calls.iter().map(|call| call["call_id"].as_str().expect("a call_id").to_owned()).collect()
    }

    /// The id of the only call that there is, once there is one.
    pub fn only_call(&self) -> String {
        let found = crate::wait_for(Duration::from_secs(5), || {
            let calls = self.calls();
            assert!(calls.len() < 2, "there are several calls: {calls:#?}");
            calls.first().cloned()
        });
        found.expect("a call")
    }

    /// GET /extensions/{number}.
    pub fn extension(&self, number: &str) -> Value {
        let answer = self.send(self.client.get(self.at(&format!("/extensions/{number}"))));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    /// GET /trunks/{name}.
    pub fn trunk(&self, name: &str) -> Value {
        let answer = self.send(self.client.get(self.at(&format!("/trunks/{name}"))));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    /// Waits until a trunk is as `wanted`: the trunk.
    pub fn wait_for_trunk(
        &self,
        name: &str,
        limit: Duration,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let found = crate::wait_for(limit, || {
            last = self.trunk(name);
            wanted(&last).then(|| last.clone())
        });
        found.unwrap_or_else(|| panic!("the trunk is not {what} within {limit:?}: {last:#}"))
    }

    /// GET /calls/{id}/ladder.
    pub fn ladder(&self, call: &str) -> Answer {
        self.send(self.client.get(self.at(&format!("/calls/{call}/ladder"))))
    }

    /// GET /calls/{id}/ladder as a picture: its XML.
    pub fn picture(&self, call: &str) -> String {
        let request =
            self.client.get(self.at(&format!("/calls/{call}/ladder"))).header("Accept", "image/svg+xml");
        let answer = request.header("X-API-Key", &self.key).send().expect("the API answers");
        assert_eq!(answer.headers()["content-type"], "image/svg+xml");
        answer.text().expect("a text")
    }

    /// The findings of GET /calls/{id}/explain.
    pub fn findings(&self, call: &str) -> Vec<Value> {
        let answer = self.send(self.client.get(self.at(&format!("/calls/{call}/explain"))));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["findings"].as_array().expect("findings").clone()
    }

    /// Waits until the call is as `wanted`: the call.
    pub fn wait(&self, call: &str, limit: Duration, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let found = crate::wait_for(limit, || {
            last = self.call(call).body;
            wanted(&last).then(|| last.clone())
        });
        found.unwrap_or_else(|| panic!("the call is not {what} within {limit:?}: {last:#}"))
    }

    /// Waits for a state, such as `talking`.
    pub fn wait_for_state(&self, call: &str, state: &str, limit: Duration) -> Value {
        self.wait(call, limit, state, |it| it["state"] == state)
    }

    /// Waits until this is told of a call, such as `call.ringing`: then it is on disk.
    pub fn wait_for_event(&self, call: &str, kind: &str, limit: Duration) {
        let path = format!("/calls/{call}/events");
        let request = self.client.get(self.at(&path)).header("X-API-Key", &self.key).timeout(limit);
        let events = request.send().unwrap_or_else(|error| panic!("no events: {error}"));
        let wanted = format!("event: {kind}");
        let told = BufReader::new(events).lines().map_while(Result::ok).any(|line| line == wanted);
        assert!(told, "{kind} is not told within {limit:?}");
    }

    fn at(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.base)
    }

    fn send(&self, request: RequestBuilder) -> Answer {
        let answer = request.header("X-API-Key", &self.key).send();
        let answer = answer.unwrap_or_else(|error| panic!("the API does not answer: {error}"));
        let status = answer.status().as_u16();
        Answer { status, body: answer.json().unwrap_or(Value::Null) }
    }
}
