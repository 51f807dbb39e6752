//! Another process holds the lock of the database.

use crate::phone::{self, Phone, Talk};
use crate::site::{AT_ONCE, FIRST_REFUSAL, SOON, Site};
use std::process::Command;
use std::time::{Duration, Instant};
use testbed::Running;

const HELD: Duration = Duration::from_secs(4);

/// Holds the lock until it is given a line, or dropped.
const HOLDER: &str = "import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=5, isolation_level=None)
database.execute('BEGIN EXCLUSIVE')
print('held', flush=True)
sys.stdin.readline()
database.execute('ROLLBACK')
print('free', flush=True)";

fn hold(site: &Site) -> Running {
    let mut python = Command::new("python3");
    python.args(["-c", HOLDER]).arg(site.data().join("dialbridge.db"));
    let mut holder = Running::start("python3", &mut python, &site.folder().join("holder.log"));
    holder.wait_for_output("held", SOON);
    holder
}

fn there_is_python() -> bool {
    let there = Command::new("python3").args(["-c", "import sqlite3"]).status();
    let is_there = there.is_ok_and(|status| status.success());
    if !is_there {
        eprintln!("skipped: python3 with sqlite3, which is to lock the database, is not installed");
    }
    is_there
}

#[test]
fn nobody_is_rung_while_another_process_holds_the_database() {
    if !there_is_python() {
        return;
    }
    let site = Site::open();
    let idle = phone::idle(&site);
    let mut talk = Talk::begin(&site, "1001", "1002");

    let mut holder = hold(&site);
    let began = Instant::now();
    site.refuses_a_call(Some("once"), FIRST_REFUSAL);
    site.refuses_a_call(Some("once"), AT_ONCE);
    site.nothing_begins(&idle, AT_ONCE);
    talk.hang_up(&site);
    std::thread::sleep(HELD.saturating_sub(began.elapsed()));
    phone::nobody_rings(&idle);
    holder.type_line("enough");
    holder.wait_for_output("free", SOON);

    let ready = testbed::wait_for(SOON, || (site.requests().readiness() == Some(200)).then_some(()));
    assert!(ready.is_some(), "not ready although the lock is free");
    site.no_call_runs();
    phone::nobody_rings(&idle);
    let refused: Vec<String> = site.requests().calls().iter().filter_map(refused_call).collect();
    for call in &refused {
        site.each_is_told_once(call);
    }

    let reply = site.requests().click_to_call("1005", "1006", Some("once"));
    assert_eq!((reply.status, reply.is_replayed), (200, false), "{reply:?}");
    let call = reply.body["call_id"].as_str().expect("an id").to_owned();
    assert!(!refused.contains(&call), "the answer names the call that was refused");
    idle[0].sipp.received("INVITE", SOON);
    let again = site.requests().click_to_call("1005", "1006", Some("once"));
    assert!(again.is_replayed && again.body["call_id"] == call, "{again:?}");
    site.hang_up(&call);
    let [mut from, _to] = idle;
    from.sipp.succeeds(SOON);
    drop(from);
    let from = Phone::register(&site, "1005", "ring");
    site.is_as_before(&[&talk.call, &call], [from, _to]);
}

/// The id of a call that is recorded as refused by us, before anybody was rung.
fn refused_call(call: &serde_json::Value) -> Option<String> {
    (call["end"]["reason"] == "refused").then(|| call["call_id"].as_str().map(str::to_owned))?
}
