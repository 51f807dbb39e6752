//! What signals do to a running server.

use crate::running::{KEY, OTHER_KEY, Phone, Running, configuration};
use call_control::EndReason;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

#[test]
fn the_ready_line_names_every_address_whatever_rust_log_says_and_sigterm_ends_with_0() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    std::fs::write(&file, configuration(folder.path(), "41100-41199", KEY)).unwrap();
    let mut running = Running::start(&file, "off");
    let ready = running.seen.clone();
    let sip = ready.split("sip=").nth(1).unwrap().split(' ').next().unwrap();
    let (udp, tcp) = sip.split_once(',').unwrap();
    assert!(udp.starts_with("udp:127.0.0.1:") && tcp.starts_with("tcp:127.0.0.1:"), "{ready}");
    assert!(!udp.ends_with(":0") && !tcp.ends_with(":0"), "{ready}");
    assert!(ready.contains("rtp=41100-41199"), "{ready}");
    TcpStream::connect(running.http).unwrap();
    running.signal("TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

#[test]
fn sighup_puts_other_keys_in_force_and_a_wrong_file_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    std::fs::write(&file, configuration(folder.path(), "41200-41299", KEY)).unwrap();
    let mut running = Running::start(&file, "info");
    assert_eq!((running.click_to_call(KEY), running.click_to_call(OTHER_KEY)), (404, 401));

    let other = configuration(folder.path(), "41200-41399", OTHER_KEY);
    std::fs::write(&file, format!("{other}[[extensions]]\nnumber = \"1002\"\npassword = \"b\"\n")).unwrap();
    running.signal("HUP");
    running.wait_for("media.ports has changed: it takes effect at the next start");
    running.wait_for("the configuration was read again");
    assert_eq!((running.click_to_call(KEY), running.click_to_call(OTHER_KEY)), (401, 409));

    std::fs::write(&file, "[http]\nlisten = 1\n").unwrap();
    running.signal("HUP");
    running.wait_for(":2: http.listen: ");
    running.wait_for("nothing is changed");
    assert_eq!((running.click_to_call(KEY), running.click_to_call(OTHER_KEY)), (401, 409));

    assert!(!running.seen.contains("secret-of-1001") && !running.seen.contains(KEY), "{}", running.seen);
    running.signal("INT");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

/// A server in which 1001 is being rung, and the phone that rings.
fn with_a_call(folder: &Path, rtp: &str, drain_seconds: &str) -> (Running, Phone) {
    let file = folder.join("a.toml");
    let text = configuration(folder, rtp, KEY);
    std::fs::write(&file, format!("{text}[[extensions]]\nnumber = \"1002\"\npassword = \"b\"\n")).unwrap();
    let running = Running::start_with(&file, "info", &["--drain-seconds", drain_seconds]);
    let phone = Phone::ringing_for_ever(&running, "1001", "secret-of-1001");
    let other = Phone::ringing_for_ever(&running, "1002", "b");
    assert_eq!(running.click_to_call(KEY), 200);
    drop(other);
    (running, phone)
}

#[test]
fn after_sigterm_no_call_is_taken_and_a_second_one_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mut running, _phone) = with_a_call(folder.path(), "41500-41599", "600");
    running.signal("TERM");
    running.wait_for("stopping: no new calls");
    assert_eq!(running.click_to_call(KEY), 503);
    std::thread::sleep(Duration::from_millis(200));
    assert!(running.child.try_wait().unwrap().is_none(), "the call was not waited for");
    let asked = Instant::now();
    running.signal("TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_call_that_outlasts_the_drain_is_ended_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let (mut running, _phone) = with_a_call(folder.path(), "41600-41699", "1");
    running.signal("TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    running.wait_for("stopped");
    let id = running.seen.split("call_id=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let store = call_store::Store::open(&folder.path().join("data")).await.unwrap();
    assert_eq!(store.running_calls().await.unwrap().len(), 0);
    let call = store.call(id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(call.end.unwrap().reason, EndReason::ServerStopped);
}
