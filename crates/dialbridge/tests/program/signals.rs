//! What signals do to a running server.

use crate::running::{KEY, OTHER_KEY, Phone, Running, configuration};
use call_control::EndReason;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
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
fn sighup_puts_other_keys_in_force_and_a_wrong_or_emptied_file_changes_nothing() {
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

    std::fs::write(&file, "").unwrap();
    running.signal("HUP");
    running.wait_for("the file has no extensions and no API keys; nothing is changed: is it being written?");
    assert_eq!((running.click_to_call(KEY), running.click_to_call(OTHER_KEY)), (401, 409));

    std::fs::write(&file, configuration(folder.path(), "41200-41299", KEY)).unwrap();
    running.signal("HUP");
    running.wait_for("the configuration was read again");
    assert_eq!((running.click_to_call(KEY), running.click_to_call(OTHER_KEY)), (404, 401));

    assert!(!running.seen.contains("secret-of-1001") && !running.seen.contains(KEY), "{}", running.seen);
    running.signal("INT");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

/// A registrar of a carrier; the REGISTERs that came to it.
fn registrar(answers: bool) -> (std::net::SocketAddr, std::sync::mpsc::Receiver<String>) {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (told, registers) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let is_copied = |line: &&str| {
                let name = line.split(':').next().unwrap_or_default();
                ["Via", "From", "To", "Call-ID", "CSeq", "Contact", "Expires"].contains(&name)
            };
            let copied: String = text.lines().filter(is_copied).map(|line| format!("{line}\r\n")).collect();
            let asks_to_forget = text.contains("\r\nExpires: 0\r\n");
            if text.starts_with("REGISTER ") && (answers || !asks_to_forget) {
                let ok = format!("SIP/2.0 200 OK\r\n{copied}Content-Length: 0\r\n\r\n");
                let _sent = socket.send_to(ok.as_bytes(), from);
            }
            // The test may be over.
            let _over = told.send(text);
        }
    });
    (address, registers)
}

#[test]
fn sigterm_takes_the_registrations_at_carriers_back_and_waits_for_them_two_seconds_at_most() {
    for answers in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        let (address, registers) = registrar(answers);
        let trunk = format!(
            "[[trunks]]\nname = \"carrier\"\naddress = \"sip:{address}\"\nusername = \"acct\"\npassword = \"secret\"\n\
             register = true\nnumbers = [\"+918065978015\"]\n"
        );
        std::fs::write(&file, configuration(folder.path(), "42100-42199", KEY) + &trunk).unwrap();
        let mut running = Running::start(&file, "info");
        // It may have registered before the server says that it is ready.
        if !running.seen.contains("trunk.up") {
            running.wait_for("trunk.up");
        }
        let asked = Instant::now();
        running.signal("TERM");
        assert_eq!(running.child.wait().unwrap().code(), Some(0));
        let (least, most) = if answers { (0, 1_500) } else { (1_900, 3_500) };
        let took = asked.elapsed().as_millis();
        assert!((least..most).contains(&took), "{answers}: {took} ms");
        let last = registers.try_iter().filter(|text| text.starts_with("REGISTER ")).last().unwrap();
        assert!(last.contains("\r\nExpires: 0\r\n"), "{last}");
    }
}

/// The configuration of a server that has 1001 and 1002.
fn with_two_extensions(folder: &Path, rtp: &str) -> PathBuf {
    let file = folder.join("a.toml");
    let text = configuration(folder, rtp, KEY);
    std::fs::write(&file, format!("{text}[[extensions]]\nnumber = \"1002\"\npassword = \"b\"\n")).unwrap();
    file
}

/// A server in which 1001 is being rung, and the phone that rings.
fn with_a_call(folder: &Path, rtp: &str, drain_seconds: &str) -> (Running, Phone) {
    let file = with_two_extensions(folder, rtp);
    let running = Running::start_with(&file, "info", &["--drain-seconds", drain_seconds]);
    let phone = Phone::ringing_for_ever(&running, "1001", "secret-of-1001");
    let other = Phone::ringing_for_ever(&running, "1002", "b");
    assert_eq!(running.click_to_call(KEY), 200);
    drop(other);
    (running, phone)
}

/// A server in which 1001 and 1002 talk.
fn with_a_talk(folder: &Path, rtp: &str) -> (Running, [Phone; 2]) {
    let file = with_two_extensions(folder, rtp);
    let mut running = Running::start_with(&file, "info", &["--drain-seconds", "600"]);
    let phones =
        [Phone::answering(&running, "1001", "secret-of-1001"), Phone::answering(&running, "1002", "b")];
    assert_eq!(running.click_to_call(KEY), 200);
    running.wait_for("event=Connected");
    (running, phones)
}

/// Two signals to stop; the process has ended a second after the later one.
fn stop_twice(running: &mut Running) {
    running.signal("TERM");
    running.wait_for("stopping: no new calls");
    stop_again(running);
}

fn stop_again(running: &mut Running) {
    // What comes sooner belongs to the first signal.
    std::thread::sleep(Duration::from_millis(200));
    assert!(running.child.try_wait().unwrap().is_none(), "the call was not waited for");
    let asked = Instant::now();
    running.signal("TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_millis(1_500), "{:?}", asked.elapsed());
}

/// The end of the only call of a server that has stopped, and that it was told.
async fn end_of_the_call(folder: &Path, running: &mut Running) -> EndReason {
    running.wait_for("event=Ended");
    running.wait_for("stopped");
    let id = running.seen.split("call_id=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let store = call_store::Store::open(&folder.join("data")).await.unwrap();
    assert_eq!(store.running_calls().await.unwrap().len(), 0);
    let call = store.call(id.parse().unwrap()).await.unwrap().unwrap();
    store.close().await;
    call.end.unwrap().reason
}

#[tokio::test]
async fn after_sigterm_no_call_is_taken_and_a_second_one_ends_those_that_ring() {
    let folder = tempfile::tempdir().unwrap();
    let (mut running, _phone) = with_a_call(folder.path(), "41500-41599", "600");
    running.signal("TERM");
    running.wait_for("stopping: no new calls");
    assert_eq!(running.click_to_call(KEY), 503);
    stop_again(&mut running);
    assert_eq!(end_of_the_call(folder.path(), &mut running).await, EndReason::ServerStopped);
}

#[tokio::test]
async fn a_second_sigterm_ends_a_talk_with_bye_and_the_next_start_finds_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (mut running, phones) = with_a_talk(folder.path(), "41700-41799");
    stop_twice(&mut running);
    for mut phone in phones {
        phone.wait_for("\"cause\":\"hung_up_by_peer\"");
    }
    assert!(!running.seen.contains("the next start"), "{}", running.seen);
    let mut again = Running::start(&folder.path().join("a.toml"), "info");
    again.signal("TERM");
    assert_eq!(again.child.wait().unwrap().code(), Some(0));
    assert_eq!(end_of_the_call(folder.path(), &mut running).await, EndReason::ServerStopped);
}

#[tokio::test]
async fn a_phone_that_does_not_confirm_its_bye_does_not_delay_a_second_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let (mut running, phones) = with_a_talk(folder.path(), "41800-41899");
    phones[1].signal("STOP");
    stop_twice(&mut running);
    assert_eq!(end_of_the_call(folder.path(), &mut running).await, EndReason::ServerStopped);
}

#[tokio::test]
async fn a_call_that_outlasts_the_drain_is_ended_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let (mut running, _phone) = with_a_call(folder.path(), "41600-41699", "1");
    running.signal("TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    assert_eq!(end_of_the_call(folder.path(), &mut running).await, EndReason::ServerStopped);
}

#[test]
fn phones_over_tcp_come_back_to_a_server_that_was_killed_and_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = with_two_extensions(folder.path(), "41900-41999");
    let mut running = Running::start(&file, "info");
    let mut phones = [("1001", "secret-of-1001"), ("1002", "b")]
        .map(|(user, password)| Phone::answering_over_tcp(&running, user, password));
    running.signal("KILL");
    running.child.wait().unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let same_port = format!("tcp:{}", running.sip("tcp"));
    std::fs::write(&file, text.replace("tcp:127.0.0.1:0", &same_port)).unwrap();
    let mut again = Running::start(&file, "info");
    for phone in &mut phones {
        phone.wait_for("\"refreshed\":true");
    }
    assert_eq!(again.click_to_call(KEY), 200);
    again.wait_for("event=Connected");
}
