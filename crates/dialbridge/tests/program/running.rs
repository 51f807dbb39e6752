//! A server in a process of its own, and what is asked of it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

pub(crate) const KEY: &str = "ak_0123456789abcdef0123456789abcdef";
pub(crate) const OTHER_KEY: &str = "ak_00000000000000000000000000000000";

pub(crate) fn dialbridge(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dialbridge"));
    command.args(arguments).env_remove("RUST_LOG");
    command
}

/// A configuration of which every port is free; `rtp` tells the tests apart, which run at the same time.
pub(crate) fn configuration(folder: &Path, rtp: &str, key: &str) -> String {
    format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[sip]\nlisten = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\n\
         [media]\nports = \"{rtp}\"\n[data]\nfolder = \"{}\"\n\
         [[api_keys]]\nname = \"a\"\nkey = \"{key}\"\npermissions = [\"calls.*\"]\n\
         [[extensions]]\nnumber = \"1001\"\npassword = \"secret-of-1001\"\n",
        folder.join("data").display()
    )
}

/// A running server; ended when dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    log: Receiver<String>,
    pub(crate) http: SocketAddr,
    /// The log as far as it was read.
    pub(crate) seen: String,
}

impl Running {
    pub(crate) fn start(file: &Path, log_level: &str) -> Self {
        Self::start_with(file, log_level, &[])
    }

    pub(crate) fn start_with(file: &Path, log_level: &str, more: &[&str]) -> Self {
        let mut command = dialbridge(&["--config", file.to_str().unwrap()]);
        command.args(more);
        Self::run(command, log_level)
    }

    /// One that may have so many descriptors, and no more.
    #[cfg(unix)]
    pub(crate) fn start_with_descriptors(file: &Path, descriptors: u32) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")]);
        command.arg(env!("CARGO_BIN_EXE_dialbridge")).args(["--config", file.to_str().unwrap()]);
        Self::run(command, "info")
    }

    fn run(mut command: Command, log_level: &str) -> Self {
        let mut child = command.env("RUST_LOG", log_level).stderr(Stdio::piped()).spawn().unwrap();
        let log = lines(child.stderr.take().unwrap());
        let mut running =
            Self { child, log, http: SocketAddr::from(([127, 0, 0, 1], 0)), seen: String::new() };
        let ready = running.wait_for(" ready ");
        let http = ready.split("http=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        running.http = http.parse().unwrap();
        running
    }

    /// The next line of the log that holds a text.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        loop {
            let Ok(line) = self.log.recv_timeout(PATIENCE) else {
                panic!("{text:?} is not in:\n{}", self.seen);
            };
            self.seen.push_str(&line);
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Where it listens, by `udp` or `tcp`.
    pub(crate) fn sip(&self, transport: &str) -> &str {
        let after = self.seen.split(&format!("{transport}:")).nth(1).unwrap();
        after.split([',', ' ']).next().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// What a request of the first key is answered with.
    pub(crate) fn get(&self, path: &str) -> String {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nConnection: close\r\n\r\n");
        answer(self.http, &request).unwrap()
    }

    /// The status with which a click-to-call of this key is answered.
    pub(crate) fn click_to_call(&self, key: &str) -> u16 {
        self.click_to_call_of(key, "1001", "1002")
    }

    pub(crate) fn click_to_call_of(&self, key: &str, from: &str, to: &str) -> u16 {
        self.post_with(key, "/api/v1/calls/click-to-call", &format!(r#"{{"from":"{from}","to":"{to}"}}"#))
    }

    /// The status with which this is answered.
    pub(crate) fn post(&self, path: &str, body: &str) -> u16 {
        self.post_with(KEY, path, body)
    }

    fn post_with(&self, key: &str, path: &str, body: &str) -> u16 {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        status(self.http, &request).unwrap()
    }
}

/// Longer than anything takes that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The lines that come, until there are no more.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while stream.read_line(&mut line).is_ok_and(|length| length > 0) {
            // The test may be over.
            let _over = sender.send(std::mem::take(&mut line));
        }
    });
    receiver
}

/// The status with which a request is answered.
pub(crate) fn status(http: SocketAddr, request: &str) -> io::Result<u16> {
    let answer = answer(http, request)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::Error::other(answer))
}

fn answer(http: SocketAddr, request: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(http)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// A phone in a process of its own; ended when dropped.
pub(crate) struct Phone {
    child: Child,
    events: Receiver<String>,
}

impl Phone {
    /// One that never answers. Returns when it is registered.
    pub(crate) fn ringing_for_ever(server: &Running, user: &str, password: &str) -> Self {
        Self::registered(server, user, password, &["--ring-for-ever"])
    }

    /// One that answers at once. Returns when it is registered.
    pub(crate) fn answering(server: &Running, user: &str, password: &str) -> Self {
        Self::registered(server, user, password, &[])
    }

    /// One that answers at once and speaks TCP. Returns when it is registered.
    pub(crate) fn answering_over_tcp(server: &Running, user: &str, password: &str) -> Self {
        Self::registered_at(server.sip("tcp"), user, password, &["--transport", "tcp"])
    }

    fn registered(server: &Running, user: &str, password: &str, more: &[&str]) -> Self {
        Self::registered_at(server.sip("udp"), user, password, more)
    }

    pub(crate) fn registered_at(server: &str, user: &str, password: &str, more: &[&str]) -> Self {
        let mut command = dialbridge(&["phone", "--server", server, "--user", user, "--password", password]);
        let mut child = command.args(more).stdout(Stdio::piped()).spawn().unwrap();
        let events = lines(child.stdout.take().unwrap());
        let mut phone = Self { child, events };
        phone.wait_for("\"event\":\"registered\"");
        phone
    }

    /// Reads on to the next event that holds a text.
    pub(crate) fn wait_for(&mut self, text: &str) {
        while let Ok(event) = self.events.recv_timeout(PATIENCE) {
            if event.contains(text) {
                return;
            }
        }
        panic!("{text:?} did not happen to the phone");
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

pub(crate) fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap().success());
}
