//! The torture messages, sent to the running server.

use testbed::torture::{self, Case, Judge};
use testbed::{Extension, Registration, Server, ServerOptions, SipText, Transport};

/// As the generated messages name it.
const DOMAIN: &str = "127.0.0.1";

#[test]
fn the_server_answers_every_torture_message_as_the_rfcs_say() {
    let extensions = vec![Extension::new("1001", "Asha"), Extension::new("1002", "Ravi")];
    let mut server =
        Server::start_with(&ServerOptions { domain: DOMAIN.into(), extensions, ..ServerOptions::default() });
    let mut judge = Judge::new(server.sip, &server.extensions[0]);
    let mut wrong = Vec::new();
    let (mut count, mut log) = (0, String::new());
    for (number, round) in torture::rounds().into_iter().enumerate() {
        if number > 0 {
            log += &server.log();
            server.kill_and_restart();
        }
        for case in &round {
            count += 1;
            let faults = faults(&server, &mut judge, case);
            if !faults.is_empty() {
                wrong.push(format!("{}: {}\n    {}", case.id, faults.join("; "), case.why));
            }
        }
    }
    log += &server.log();
    wrong.extend(log_faults(&log));
    assert_eq!(count, 162, "messages");
    assert!(wrong.is_empty(), "{} of {count} are wrong\n{}", wrong.len(), wrong.join("\n"));
}

fn faults(server: &Server, judge: &mut Judge, case: &Case) -> Vec<String> {
    if !case.expect.state.as_ref().is_some_and(|state| state.contains("bind") || state.contains("bound")) {
        return judge.faults(case);
    }
    let ip = testbed::Loopback::claim();
    let mut phone =
        Registration::new(Transport::Udp, ip.free_port(), server.sip, server.extensions[0].credentials())
            .in_domain(DOMAIN);
    phone.remove_all();
    phone.register(600);
    let mut faults = judge.faults(case);
    let after = phone.query();
    let others = lifetimes(&after, phone.contact());
    if others.iter().any(|seconds| !(1..=3600).contains(seconds)) {
        faults.push(format!("a binding for {others:?} seconds"));
    }
    let may_bind = case.expect.state.as_deref().is_some_and(|state| state.starts_with("if bound"));
    if !others.is_empty() && !may_bind {
        faults.push(format!("{} new bindings", others.len()));
    }
    if !after.fields("Contact").any(|value| value.contains(phone.contact())) {
        faults.push("the binding of another device has gone".into());
    }
    faults
}

/// How long the contacts other than `own` are bound.
fn lifetimes(answer: &SipText, own: &str) -> Vec<i64> {
    let others =
        answer.fields("Contact").flat_map(|value| value.split(", ")).filter(|value| !value.contains(own));
    others
        .map(|value| {
            value.rsplit_once("expires=").and_then(|(_, text)| text.trim().parse().ok()).unwrap_or(-1)
        })
        .collect()
}

fn log_faults(log: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if log.lines().any(|line| line.starts_with("X-Evil")) {
        faults.push("a message has put a line into the log".to_owned());
    }
    if log.contains('\u{1b}') {
        faults.push("a message has put an escape sequence into the log".to_owned());
    }
    if let Some(long) = log.lines().map(str::len).max().filter(|length| *length > 4096) {
        faults.push(format!("a line of {long} octets in the log"));
    }
    faults
}
