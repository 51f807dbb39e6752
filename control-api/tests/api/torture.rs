//! Hostile requests from a file, sent to the server on a real port; `http-torture.json` says what each is about.

use crate::fake::{Api, KEY, KEY_NO_CLICK, KEY_OTHER, KEY_REVOKED};
use crate::serving::Server;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Deserialize)]
struct Suite {
    format: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    id: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(rename = "why")]
    _why: String,
    #[serde(rename = "ref")]
    _reference: Option<String>,
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    body_b64: Option<String>,
    body_gen: Option<Generated>,
    raw: Option<String>,
    expect: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Generated {
    prefix: String,
    unit: String,
    #[serde(default)]
    join: String,
    count: usize,
    suffix: String,
    #[serde(default)]
    close: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    status: Vec<u16>,
    prefer: Option<u16>,
    error_body: Option<String>,
    message_names: Option<String>,
    #[serde(default)]
    no_call: bool,
    max_ms: Option<u64>,
    same_answer_as: Option<String>,
    #[serde(default)]
    must_not_contain: Vec<String>,
    no_line: Option<String>,
}

/// Puts what they stand for in the place of `${…}`.
fn expand(text: &str) -> String {
    let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
    let (name, after) = rest.split_once('}').unwrap();
    let value = match name {
        "KEY" => KEY.to_owned(),
        "KEY:drop-last" => KEY[..KEY.len() - 1].to_owned(),
        "KEY:upper" => KEY.to_uppercase(),
        "KEY:base64" => base64(format!("{KEY}:").as_bytes()),
        "KEY_NO_CLICK" => KEY_NO_CLICK.to_owned(),
        "KEY_REVOKED" => KEY_REVOKED.to_owned(),
        "KEY_OTHER_ORG" => KEY_OTHER.to_owned(),
        "HOST" => "127.0.0.1".to_owned(),
        repeat => {
            let (what, count) = repeat.strip_prefix("REPEAT:").unwrap().rsplit_once(':').unwrap();
            what.repeat(count.parse().unwrap())
        }
    };
    format!("{before}{value}{}", expand(after))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(octets: &[u8]) -> String {
    let mut text = String::new();
    for group in octets.chunks(3) {
        let bits =
            group.iter().chain([&0, &0]).take(3).fold(0, |bits, octet| bits << 8 | usize::from(*octet));
        let shifts = [18, 12, 6, 0].into_iter().take(group.len() + 1);
        text.extend(shifts.map(|shift| char::from(ALPHABET[bits >> shift & 63])));
        text.push_str(&"==="[group.len()..]);
    }
    text
}

fn from_base64(text: &str) -> Vec<u8> {
    let (mut octets, mut bits, mut count) = (Vec::new(), 0_u16, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let value = ALPHABET.iter().position(|each| *each == letter).unwrap();
        bits = bits << 6 | u16::try_from(value).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            octets.push(u8::try_from(bits >> count).unwrap());
            bits &= (1 << count) - 1;
        }
    }
    octets
}

impl Generated {
    fn text(&self) -> String {
        let units: Vec<String> = (0..self.count).map(|i| self.unit.replace("${i}", &i.to_string())).collect();
        format!("{}{}{}{}", self.prefix, units.join(&self.join), self.suffix, self.close.repeat(self.count))
    }
}

impl Case {
    fn octets(&self) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return expand(raw).chars().map(|letter| u8::try_from(letter).unwrap()).collect();
        }
        let body = match (&self.body_b64, &self.body_gen, &self.body) {
            (Some(text), _, _) => Some(from_base64(text)),
            (None, Some(generated), _) => Some(generated.text().into_bytes()),
            (None, None, body) => body.clone().map(String::into_bytes),
        };
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n",
            self.method,
            expand(&self.path)
        );
        for (name, value) in &self.headers {
            head += &format!("{name}: {}\r\n", expand(value));
        }
        if let Some(body) = &body {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        [format!("{head}\r\n").into_bytes(), body.unwrap_or_default()].concat()
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
    taken: Duration,
}

async fn send(server: &Server, octets: &[u8]) -> Answer {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // Refused in the middle of sending: the answer may be there all the same.
    let _ = stream.write_all(octets).await;
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
    Answer { status, head: head.into(), body: body.into(), taken: begun.elapsed() }
}

impl Expected {
    fn judge(&self, answer: &Answer) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut claim = |holds: bool, what: &str| {
            if !holds {
                wrong.push(what.to_owned());
            }
        };
        let whole = format!("{}\n{}", answer.head, answer.body);
        claim(self.status.contains(&answer.status), "status");
        claim(self.prefer.is_none_or(|best| best == answer.status), "not the better status");
        claim(answer.taken <= Duration::from_millis(self.max_ms.unwrap_or(1000)), "time");
        let keys = [KEY, KEY_NO_CLICK, KEY_REVOKED, KEY_OTHER];
        claim(!keys.iter().any(|key| whole.contains(key)), "a key in the answer");
        let inner = [
            "panicked",
            "stack backtrace",
            ".rs:",
            "SELECT ",
            "INSERT ",
            "UPDATE ",
            "/home/",
            "/usr/",
            "/var/",
        ];
        claim(!inner.iter().any(|word| answer.body.contains(word)), "an inner detail in the answer");
        claim(
            !self.must_not_contain.iter().any(|text| whole.contains(&expand(text))),
            "a text that must not be",
        );
        let injected = |line: &String| whole.lines().any(|each| each.starts_with(line.as_str()));
        claim(!self.no_line.as_ref().is_some_and(injected), "a line was injected");
        claim(
            answer.status != 405 || answer.head.to_lowercase().contains("\nallow: post"),
            "405 without Allow",
        );
        if answer.status >= 400 && (self.error_body.as_deref() == Some("required") || self.prefer.is_some()) {
            let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
            let message = json["message"].as_str().unwrap_or_default();
            claim(json["status"] == "error" && (1..=500).contains(&message.len()), "the body of errors");
            claim(json["code"].is_string(), "a code");
            let named = |name: &String| message.to_lowercase().contains(&name.to_lowercase());
            claim(self.message_names.as_ref().is_none_or(named), "the name of the field");
        }
        wrong
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hostile_request_gets_its_answer_and_starts_no_call() {
    let suite: Suite = serde_json::from_str(include_str!("../http-torture.json")).unwrap();
    assert_eq!((&*suite.format, suite.cases.len()), ("http-torture/1", 40));
    let api = Api::new().await;
    let server = Server::start(&api).await;
    let mut answers = BTreeMap::new();
    let mut failures = Vec::new();
    for case in &suite.cases {
        let answer = send(&server, &case.octets()).await;
        let mut wrong = case.expect.judge(&answer);
        let asked = std::mem::take(&mut api.calls.script().asked).len();
        if asked > usize::from(!case.expect.no_call && answer.status < 300) {
            wrong.push(format!("{asked} calls"));
        }
        if !wrong.is_empty() {
            failures.push(format!("{}: {wrong:?} {answer:?}", case.id));
        }
        let health = send(&server, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert_eq!(health.status, 200, "after {}", case.id);
        answers.insert(case.id.clone(), (answer.status, answer.body));
    }
    for case in &suite.cases {
        if let Some(other) = &case.expect.same_answer_as
            && answers[&case.id] != answers[other]
        {
            failures.push(format!("{} and {other} differ", case.id));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");

    let good = Case {
        body: Some(r#"{"from":"1001","to":"1002"}"#.into()),
        ..suite.cases.into_iter().find(|case| case.id == "s-to-null").unwrap()
    };
    assert_eq!(send(&server, &good.octets()).await.status, 200);
    assert_eq!(api.calls.script().asked.len(), 1);
    server.stop().await;
}

#[test]
fn the_file_s_ways_to_write_octets_are_understood() {
    assert_eq!(expand("a${REPEAT:x:3}b${KEY:drop-last}"), format!("axxxb{}", &KEY[..KEY.len() - 1]));
    for (plain, coded) in
        [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob\u{0}", "Zm9vYgA=")]
    {
        assert_eq!(base64(plain.as_bytes()), coded);
        assert_eq!(from_base64(coded), plain.as_bytes());
    }
}
