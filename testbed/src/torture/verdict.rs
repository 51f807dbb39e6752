//! What is wrong with the answers to one message.

use super::answer::Answer;
use super::{Action, Expect};
use std::time::Duration;

/// T1 is half a second: a first answer that takes longer makes the phone send again.
const SLOW: Duration = Duration::from_secs(1);
/// An answer of this size is never an amplification (RFC 3261 §18.1.1 has datagrams of 1300 octets).
const SMALL: usize = 3000;
/// `max_ms` is meant for an idle machine.
const BUSY: u64 = 10;
/// Refusals of what a message is, not of what it asks.
const SYNTAX: [u16; 7] = [400, 416, 500, 501, 505, 513, 580];

/// One datagram that came back.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) after: Duration,
    pub(super) octets: Vec<u8>,
}

/// The faults, in words. `logged_in`: the request had credentials.
pub(super) fn faults(expect: &Expect, request: &[u8], replies: &[Reply], logged_in: bool) -> Vec<String> {
    let mut faults = Vec::new();
    let mut finals: Vec<Answer> = Vec::new();
    let mut seen: Vec<&[u8]> = Vec::new();
    for reply in replies {
        if reply.octets.trim_ascii().is_empty() || seen.contains(&reply.octets.as_slice()) {
            continue;
        }
        seen.push(&reply.octets);
        let Some(answer) = Answer::read(&as_asked(request, &reply.octets)) else {
            faults.push(format!("an answer that is not well formed: {}", excerpt(&reply.octets)));
            continue;
        };
        of_answer(expect, request, &reply.octets, &answer, &mut faults);
        if answer.status >= 200 {
            finals.push(answer);
        }
    }
    let limit = expect.max_ms.map_or(SLOW, |it| SLOW.min(Duration::from_millis(it * BUSY)));
    if let Some(first) = replies.first()
        && first.after > limit
    {
        faults.push(format!("slow: {:?}", first.after));
    }
    let allowed = if logged_in { expect.replies_max.max(1) } else { expect.replies_max };
    if finals.len() > allowed && expect.action != Action::Discard {
        faults.push(format!("{} final answers", finals.len()));
    }
    of_action(expect, logged_in, !seen.is_empty(), finals.first(), &mut faults);
    faults
}

/// A request with bare LF may be answered with bare LF.
fn as_asked(request: &[u8], reply: &[u8]) -> Vec<u8> {
    let end = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(request.len());
    let bare = |octets: &[u8]| {
        octets.iter().enumerate().any(|(at, octet)| *octet == b'\n' && (at == 0 || octets[at - 1] != b'\r'))
    };
    if !bare(&request[..end]) {
        return reply.to_vec();
    }
    let mut mended = Vec::new();
    for (at, octet) in reply.iter().enumerate() {
        if *octet == b'\n' && (at == 0 || reply[at - 1] != b'\r') {
            mended.push(b'\r');
        }
        mended.push(*octet);
    }
    mended
}

fn of_answer(expect: &Expect, request: &[u8], octets: &[u8], answer: &Answer, faults: &mut Vec<String>) {
    let call_id = answer.field("call-id").unwrap_or_default();
    if !request.windows(call_id.len().max(1)).any(|part| part == call_id) {
        faults.push("an answer with another Call-ID".into());
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "datagram sizes"
    )]
    let limit = (request.len() as f64 * expect.amplification_max.unwrap_or(3.0)) as usize;
    if octets.len() > limit.max(SMALL) {
        faults.push(format!("an answer of {} octets to {}", octets.len(), request.len()));
    }
    if let Some(start) = &expect.no_line
        && octets.split(|octet| matches!(octet, b'\r' | b'\n')).any(|line| line.starts_with(start.as_bytes()))
    {
        faults.push(format!("an answer with a line that begins {start}"));
    }
    if expect.output_utf8 && str::from_utf8(octets).is_err() && str::from_utf8(request).is_ok() {
        faults.push("an answer that is not UTF-8".into());
    }
}

fn of_action(
    expect: &Expect,
    logged_in: bool,
    answered: bool,
    last: Option<&Answer>,
    faults: &mut Vec<String>,
) {
    let status = last.map(|answer| answer.status);
    if expect.action == Action::Discard {
        if answered {
            faults.push(format!(
                "answered {}, silence is right",
                status.map_or("1xx".into(), |it| it.to_string())
            ));
        }
        return;
    }
    let must_answer = matches!(expect.action, Action::Accept | Action::Reject | Action::AcceptOrReject);
    if must_answer && !answered {
        faults.push("no answer".into());
    }
    let (Some(answer), Some(status)) = (last, status) else { return };
    let challenge = expect.auth_first && !logged_in && matches!(status, 401 | 407);
    if challenge {
        return;
    }
    if logged_in && !expect.after_auth.is_empty() {
        if !expect.after_auth.contains(&status) {
            faults.push(format!("{status} after the login, expected {:?}", expect.after_auth));
        }
        return;
    }
    let refused_wrongly = match expect.action {
        Action::Reject | Action::RejectOrDiscard => !expect.status.contains(&status),
        Action::AcceptOrReject => {
            !expect.status.is_empty() && SYNTAX.contains(&status) && !expect.status.contains(&status)
        }
        Action::Accept | Action::Any | Action::Discard => false,
    };
    if refused_wrongly {
        faults.push(format!("{status}, expected {:?}", expect.status));
    }
    if expect.status_not.contains(&status) {
        faults.push(format!("{status} is wrong here"));
    }
    if status >= 500 && !SYNTAX.contains(&status) && status != 503 && !expect.status.contains(&status) {
        faults.push(format!("{status}: an error of the server"));
    }
    if expect.status.contains(&status) && status >= 300 {
        of_headers(expect, answer, faults);
    }
}

/// What the refusal must carry.
fn of_headers(expect: &Expect, answer: &Answer, faults: &mut Vec<String>) {
    for (name, parts) in &expect.headers {
        let key = name.to_ascii_lowercase();
        let all: Vec<String> =
            answer.fields(&key).map(|value| String::from_utf8_lossy(value).into_owned()).collect();
        let missing = parts.iter().find(|part| !all.iter().any(|value| value.contains(part.as_str())));
        if all.is_empty() || missing.is_some() {
            faults.push(format!("{name} is {all:?}, expected {parts:?}"));
        }
    }
}

fn excerpt(octets: &[u8]) -> String {
    octets[..octets.len().min(80)].escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nCall-ID: 17\r\n\r\n";

    fn expect(json: &str) -> Expect {
        serde_json::from_str(json).unwrap()
    }

    fn reply(status: u16, more: &str) -> Reply {
        let text = format!(
            "SIP/2.0 {status} X\r\nVia: a\r\nFrom: a\r\nTo: a\r\nCall-ID: 17\r\nCSeq: 1 OPTIONS\r\n{more}Content-Length: 0\r\n\r\n"
        );
        Reply { after: Duration::from_millis(1), octets: text.into_bytes() }
    }

    fn is_right(expect: &Expect, replies: &[Reply], logged_in: bool) -> bool {
        faults(expect, REQUEST, replies, logged_in).is_empty()
    }

    #[test]
    fn a_refusal_has_one_of_its_statuses() {
        let reject = expect(r#"{"action": "reject", "status": [400], "replies_max": 1}"#);
        assert!(is_right(&reject, &[reply(400, "")], false));
        assert!(!is_right(&reject, &[reply(404, "")], false));
        assert!(!is_right(&reject, &[reply(401, "")], false), "no challenge is allowed");
        assert!(!is_right(&reject, &[], false), "silence");
        assert!(!is_right(&reject, &[reply(400, ""), reply(400, "X: 1\r\n")], false), "two answers");
        assert!(is_right(&reject, &[reply(400, ""), reply(400, "")], false), "the same answer again");
        let late = Reply { after: Duration::from_secs(2), ..reply(400, "") };
        assert!(!is_right(&reject, &[late], false));
    }

    #[test]
    fn acceptance_and_silence_are_told_apart() {
        let accept = expect(r#"{"action": "accept", "status_not": [400, 500], "replies_max": 1}"#);
        assert!(is_right(&accept, &[reply(404, "")], false));
        assert!(!is_right(&accept, &[reply(400, "")], false));
        assert!(!is_right(&accept, &[], false));
        let discard = expect(r#"{"action": "discard", "replies_max": 0}"#);
        assert!(is_right(&discard, &[], false));
        assert!(!is_right(&discard, &[reply(400, "")], false));
        let either = expect(r#"{"action": "reject-or-discard", "status": [400], "replies_max": 1}"#);
        assert!(is_right(&either, &[], false) && is_right(&either, &[reply(400, "")], false));
        assert!(!is_right(&either, &[reply(200, "")], false));
    }

    #[test]
    fn a_login_takes_the_excuse_of_a_challenge_away() {
        let reject = expect(
            r#"{"action": "reject", "status": [400], "auth_first": true, "after_auth": [400], "replies_max": 1}"#,
        );
        assert!(is_right(&reject, &[reply(401, "")], false));
        assert!(!is_right(&reject, &[reply(401, "")], true));
        assert!(!is_right(&reject, &[reply(200, "")], true));
        assert!(is_right(&reject, &[reply(400, "")], true));
    }

    #[test]
    fn an_answer_carries_what_its_status_needs_and_belongs_to_its_request() {
        let reject = expect(
            r#"{"action": "reject", "status": [420], "replies_max": 1, "headers": {"Unsupported": ["one", "two"]}}"#,
        );
        assert!(is_right(&reject, &[reply(420, "Unsupported: one\r\nUnsupported: two\r\n")], false));
        assert!(!is_right(&reject, &[reply(420, "Unsupported: one\r\n")], false));
        let other = Reply {
            octets: String::from_utf8(reply(420, "").octets)
                .unwrap()
                .replace("Call-ID: 17", "Call-ID: 18")
                .into_bytes(),
            ..reply(420, "")
        };
        assert!(faults(&reject, REQUEST, &[other], false).iter().any(|fault| fault.contains("Call-ID")));
        let huge = reply(420, &format!("Unsupported: one, two{}\r\n", " ".repeat(4000)));
        assert!(!is_right(&reject, &[huge], false));
    }
}
