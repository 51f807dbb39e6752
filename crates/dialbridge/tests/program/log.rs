//! A log line that cannot be written is lost, and nothing else with it.

use crate::running::{KEY, configuration, dialbridge, signal, status};
use std::fs::File;
use std::io::{PipeWriter, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

/// A server whose log nobody can read; ended when dropped.
struct Mute {
    child: Child,
    http: SocketAddr,
    _folder: TempDir,
}

impl Mute {
    /// Started as `wrap` says, with what would start it otherwise; returns when it is ready.
    fn start(rtp: &str, wrap: impl FnOnce(Command) -> Child) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let http = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let file = folder.path().join("a.toml");
        let text = configuration(folder.path(), rtp, KEY);
        std::fs::write(&file, text.replacen("127.0.0.1:0", &http.to_string(), 1)).unwrap();
        let mut command = dialbridge(&["--config", file.to_str().unwrap()]);
        command.env("RUST_LOG", "trace");
        let mut mute = Self { child: wrap(command), http, _folder: folder };
        let begun = Instant::now();
        while mute.get("/readyz") != Some(200) {
            assert_eq!(mute.child.try_wait().unwrap(), None, "the server has ended");
            assert!(begun.elapsed() < PATIENCE, "the server does not become ready");
            thread::sleep(Duration::from_millis(20));
        }
        mute
    }

    fn get(&self, path: &str) -> Option<u16> {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nConnection: close\r\n\r\n");
        status(self.http, &request).ok()
    }

    /// It answers, and ends with 0 when it is asked to.
    fn serves_and_stops(&mut self) {
        for _ in 0..50 {
            assert_eq!(self.get("/api/v1/calls"), Some(200));
        }
        let asked = Instant::now();
        signal(&self.child, "TERM");
        assert_eq!(self.ended().code(), Some(0));
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    }

    fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the server does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

#[test]
fn a_log_whose_reader_has_gone_keeps_nobody_from_being_served() {
    let mut server = Mute::start("42000-42099", |mut command| {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stderr.take());
        child
    });
    server.serves_and_stops();
}

#[test]
fn a_log_on_a_full_disk_keeps_nobody_from_being_served() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut server = Mute::start("42100-42199", |mut command| command.stderr(full).spawn().unwrap());
    server.serves_and_stops();
}

#[test]
fn a_log_that_was_closed_before_the_start_keeps_nobody_from_being_served() {
    let mut server = Mute::start("42200-42299", |command| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$0\" \"$@\" 2>&-"]).arg(command.get_program()).args(command.get_args());
        shell.env("RUST_LOG", "trace").spawn().unwrap()
    });
    server.serves_and_stops();
}

/// An octet that no log line has.
const FILLING: u8 = 1;

/// Writes until nothing more goes in.
fn fill(mut pipe: PipeWriter) {
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    // Ends when the reader is gone.
    thread::spawn(move || {
        while let Ok(octets) = pipe.write(&[FILLING; 512]) {
            count.fetch_add(octets, Ordering::Relaxed);
        }
    });
    let mut before = 0;
    loop {
        thread::sleep(Duration::from_millis(200));
        match written.load(Ordering::Relaxed) {
            now if now == before && now > 0 => return,
            now => before = now,
        }
    }
}

#[test]
fn a_log_that_nobody_reads_keeps_nobody_from_being_served() {
    let (reader, writer) = std::io::pipe().unwrap();
    fill(writer.try_clone().unwrap());
    let mut server = Mute::start("42300-42399", |mut command| command.stderr(writer).spawn().unwrap());
    server.serves_and_stops();
    drop(reader);
}

#[test]
fn a_log_that_is_read_again_has_what_waited() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    fill(writer.try_clone().unwrap());
    let mut server = Mute::start("42400-42499", |mut command| command.stderr(writer).spawn().unwrap());
    let log = thread::spawn(move || {
        let (mut log, mut octets) = (Vec::new(), [0; 4096]);
        while !log.ends_with(b"dialbridge::state: stopped\n") {
            let read = reader.read(&mut octets).unwrap();
            // What filled the pipe goes on coming.
            log.extend(octets[..read].iter().filter(|octet| **octet != FILLING));
            assert!(log.len() < 10_000_000);
        }
        String::from_utf8_lossy(&log).into_owned()
    });
    server.serves_and_stops();
    assert!(log.join().unwrap().contains(" ready "));
}
