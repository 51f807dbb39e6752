//! The binary as its user meets it: exit codes, what it prints, what its signals do. On loopback.

#![expect(clippy::unwrap_used, reason = "in a test a broken promise is a failure")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

const KEY: &str = "ak_0123456789abcdef0123456789abcdef";
const OTHER_KEY: &str = "ak_00000000000000000000000000000000";

fn dialbridge(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dialbridge"));
    command.args(arguments).env_remove("RUST_LOG");
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = dialbridge(arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A configuration of which every port is free; `rtp` tells the tests apart, which run at the same time.
fn configuration(folder: &Path, rtp: &str, key: &str) -> String {
    format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[sip]\nlisten = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\n\
         [media]\nports = \"{rtp}\"\n[data]\nfolder = \"{}\"\n\
         [[api_keys]]\nname = \"a\"\nkey = \"{key}\"\npermissions = [\"calls.*\"]\n\
         [[extensions]]\nnumber = \"1001\"\npassword = \"secret-of-1001\"\n",
        folder.join("data").display()
    )
}

#[test]
fn wrong_use_and_wrong_configuration_end_with_1() {
    assert_eq!(run(&["--no-such-flag"]).0, Some(1));
    assert_eq!(run(&["no-such-command"]).0, Some(1));
    assert_eq!(run(&["check"]).0, Some(1));
    assert_eq!(run(&["--help"]).0, Some(0));
    assert_eq!(run(&["--version"]).0, Some(0));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "[http]\nlisten = 1\n\n[sip]\nfoo = 2\n").unwrap();
    let (code, found, _) = run(&["check", "--config", path]);
    assert_eq!(code, Some(1));
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines.len(), 2, "{found}");
    assert!(lines[0].starts_with(&format!("{path}:2: http.listen: ")), "{found}");
    assert!(lines[1].starts_with(&format!("{path}:5: sip.foo: ")), "{found}");
    let (code, _, log) = run(&["serve", "--config", path]);
    assert_eq!(code, Some(1));
    assert!(log.contains(lines[0]) && log.contains(lines[1]), "{log}");
    assert_eq!(run(&["check", "--config", "/no/such/file"]).0, Some(1));
}

#[test]
fn a_right_configuration_is_ok() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/dialbridge.example.toml");
    let (code, found, _) = run(&["check", "--config", example]);
    assert_eq!((code, found), (Some(0), format!("{example}: ok (extensions: 2, API keys: 1)\n")));
}

#[test]
fn a_key_is_printed_once_and_its_entry_holds_only_the_hash() {
    let (code, printed, _) =
        run(&["key", "--name", "crm", "--permission", "calls.click_to_call", "calls.read"]);
    assert_eq!(code, Some(0));
    let (before, entry) = printed.split_at(printed.find("[[api_keys]]").unwrap());
    let key = before.lines().find(|line| line.starts_with("ak_")).unwrap();
    assert!(!entry.contains(key));
    let keys = dialbridge::config::parse(entry).unwrap().keys();
    assert_eq!(keys[0].sha256, control_api::key_sha256(key));
    assert_eq!(keys[0].permissions.len(), 2);

    let (code, printed, complaint) = run(&["key", "--name", "crm", "--permission", "calls.clik_to_call"]);
    assert_eq!((code, printed.as_str()), (Some(1), ""));
    assert!(
        complaint.contains("is calls.click_to_call meant?") && complaint.contains("config.write"),
        "{complaint}"
    );
    assert_eq!(run(&["key", "--name", "a\"b", "--permission", "calls.read"]).0, Some(1));
}

#[test]
fn an_address_in_use_ends_with_2_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    let text = configuration(folder.path(), "41000-41099", KEY);
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let sip = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (http, sip) = (http.local_addr().unwrap(), (sip.local_addr().unwrap(), sip, http));
    for (free, taken) in [("\"127.0.0.1:0\"", http), ("udp:127.0.0.1:0", sip.0)] {
        let quoted = if free.starts_with('"') { format!("\"{taken}\"") } else { format!("udp:{taken}") };
        std::fs::write(&file, text.replace(free, &quoted)).unwrap();
        let (code, _, log) = run(&["serve", "--config", file.to_str().unwrap()]);
        assert_eq!(code, Some(2), "{log}");
        assert!(log.contains(&taken.to_string()) && log.contains("another program has it"), "{log}");
    }
    let (file_as_folder, other) = (folder.path().join("file"), folder.path().join("data"));
    std::fs::write(&file_as_folder, "").unwrap();
    let file_as_folder = file_as_folder.to_str().unwrap();
    std::fs::write(&file, text.replace(other.to_str().unwrap(), file_as_folder)).unwrap();
    let (code, _, log) = run(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains(file_as_folder) && log.contains("must be writable"), "{log}");
}

/// A running server; ended when dropped.
struct Running {
    child: Child,
    log: BufReader<ChildStderr>,
    http: SocketAddr,
    seen: String,
}

impl Running {
    fn start(file: &Path, log_level: &str) -> Self {
        let mut command = dialbridge(&["--config", file.to_str().unwrap()]);
        let mut child = command.env("RUST_LOG", log_level).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut running =
            Self { child, log, http: SocketAddr::from(([127, 0, 0, 1], 0)), seen: String::new() };
        let ready = running.wait_for(" ready ");
        let http = ready.split("http=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        running.http = http.parse().unwrap();
        running
    }

    /// The next line of the log that holds a text.
    fn wait_for(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "{text:?} is not in:\n{}", self.seen);
            self.seen.push_str(&line);
            if line.contains(text) {
                return line;
            }
        }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// The status with which a click-to-call of this key is answered.
    fn click_to_call(&self, key: &str) -> u16 {
        let body = r#"{"from":"1001","to":"1002"}"#;
        let mut stream = TcpStream::connect(self.http).unwrap();
        write!(
            stream,
            "POST /api/v1/calls/click-to-call HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

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
