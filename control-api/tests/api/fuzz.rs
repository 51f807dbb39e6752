//! Bodies of click-to-call with parts of them changed: none breaks the server, and none is answered with a fault of its.
//!
//! `FUZZ_SECONDS=60 cargo test -p control-api --test api fuzz` goes on for longer.

use crate::fake::Api;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::time::{Duration, Instant};

const BODIES: [&str; 4] = [
    r#"{"from":"1001","to":"1002"}"#,
    r#"{"from":"1001","to":"9944421125","to_type":"external","caller_id":"+918065978015","caller_name":"A \"B\" é"}"#,
    r#"{"from":"1001","to":"1002","timeout":30,"to_timeout":1e1,"max_duration":3600,"auto_answer":true,
        "variables":{"a":"b","c":1,"d":true,"e":null,"f":1.5e300}}"#,
    r#"{"from":"\u0031001","to":"1002","variables":{"x":"\ud83d\ude00"}}"#,
];

const PIECES: [&str; 20] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "null",
    "true",
    "-0",
    "1e999",
    "99999999999999999999",
    "\\u0000",
    "\\ud800",
    "\u{7f}",
    "\u{202e}",
    "\r\n",
    "\\",
    "{\"a\":",
    "[[[[[[[[",
];

fn changed(random: &mut ChaCha12Rng) -> String {
    let mut below = |end: usize| random.next_u32() as usize % end.max(1);
    let mut body: Vec<char> = BODIES[below(BODIES.len())].chars().collect();
    for _ in 0..=below(5) {
        let (at, other) = (below(body.len()), below(body.len()));
        match below(4) {
            0 if !body.is_empty() => {
                body.remove(at);
            }
            1 if !body.is_empty() => body.swap(at, other),
            2 => {
                let piece: Vec<char> = PIECES[below(PIECES.len())].repeat(1 + below(3)).chars().collect();
                body.splice(at..at, piece);
            }
            _ => {
                let part: Vec<char> = body[at.min(other)..at.max(other)].to_vec();
                body.splice(at..at, part);
            }
        }
    }
    body.into_iter().collect()
}

#[tokio::test]
async fn whatever_a_body_says_it_is_no_fault_of_the_server() {
    let api = Api::new().await;
    let mut random = ChaCha12Rng::seed_from_u64(1);
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut taken = 0;
    for tried in 0.. {
        if end.map_or(tried == 3_000, |end| Instant::now() >= end) {
            break;
        }
        let body = changed(&mut random);
        let answer = api.click(&body).await;
        assert!(answer.status.as_u16() < 500, "{} for {body:?}", answer.status);
        taken += usize::from(answer.status == 200);
    }
    assert!(taken > 0, "some are still whole");
}
