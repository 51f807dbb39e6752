//! A server whose disk, database and log a test can take away.

use crate::disk::{Disk, Kind};
use crate::phone::{self, Phone, Talk};
use crate::requests::Requests;
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use testbed::{Api, Extension, Loopback, Running, Server, ServerOptions, wait_for};

/// For what takes no time.
pub(crate) const SOON: Duration = Duration::from_secs(8);
/// For the server to be as before, once it can write again.
pub(crate) const BACK: Duration = Duration::from_secs(5);

/// Less than the second after which a write that failed is tried again.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(800);
/// A write that fails by waiting for a lock takes a second.
pub(crate) const FIRST_REFUSAL: Duration = Duration::from_millis(2_500);

/// 1001 to 1006, of which 1005 and 1006 have no phone but that of a test that sees nothing begin.
pub(crate) struct Site {
    // The first to go, or the folder could not be deleted.
    disk: Option<Disk>,
    process: Option<Running>,
    program: PathBuf,
    logs: Vec<PathBuf>,
    requests: Requests,
    /// Has chosen the addresses and written the configuration; its process has ended.
    server: Server,
}

impl Site {
    /// With its data in a plain folder.
    pub(crate) fn open() -> Self {
        let mut site = Self::prepare();
        site.start(&[]);
        site
    }

    /// With its data on a disk of its own; `None`, with a line that says why, where there can be none.
    pub(crate) fn on(kind: Kind) -> Option<Self> {
        let mut site = Self::prepare();
        match Disk::mount(kind, &site.data()) {
            Ok(disk) => site.disk = Some(disk),
            Err(error) => {
                eprintln!("skipped: there is no {kind:?} to be had here ({error})");
                return None;
            }
        }
        site.start(&["--drain-seconds", "1"]);
        Some(site)
    }

    /// Not started.
    pub(crate) fn prepare() -> Self {
        let extensions = (1001..=1006).map(|number| Extension::new(&number.to_string(), "Asha")).collect();
        let mut server = Server::start_with(&ServerOptions { extensions, ..ServerOptions::default() });
        let program = std::fs::read_link(format!("/proc/{}/exe", server.process().id()));
        assert!(server.stop().success());
        let requests = Requests::of(&configuration(server.folder()));
        let program = program.expect("the path of the program");
        Self { disk: None, process: None, program, logs: Vec::new(), requests, server }
    }

    /// Starts the server, and waits until it takes calls.
    pub(crate) fn start(&mut self, options: &[&str]) {
        let mut command = self.command("dialbridge.toml");
        command.args(options);
        self.launch(&mut command);
    }

    /// The same with another command.
    pub(crate) fn launch(&mut self, command: &mut Command) {
        if let Err((_, said)) = self.try_to_launch(command) {
            panic!("the server is not ready:\n{said}");
        }
    }

    /// An error is how it ended, and what it said.
    pub(crate) fn try_to_start(&mut self) -> Result<(), (Option<i32>, String)> {
        let mut command = self.command("dialbridge.toml");
        self.try_to_launch(&mut command)
    }

    fn try_to_launch(&mut self, command: &mut Command) -> Result<(), (Option<i32>, String)> {
        let log = self.folder().join(format!("site-{}.log", self.logs.len()));
        self.logs.push(log.clone());
        let process = self.process.insert(Running::start("dialbridge", command, &log));
        let ready = wait_for(Duration::from_secs(20), || match process.ended() {
            Some(status) => Some(Err(status.code())),
            None => (self.requests.readiness() == Some(200)).then_some(Ok(())),
        });
        ready.unwrap_or(Err(None)).map_err(|code| (code, process.output_tail(40)))
    }

    /// What serves with this configuration.
    pub(crate) fn command(&self, configuration: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["serve", "--config", configuration]).current_dir(self.folder());
        command
    }

    /// Its configuration with other addresses and the same data, under this name.
    pub(crate) fn write_second_configuration(&self, name: &str, ip: &Loopback) {
        let mut text = configuration(self.folder());
        let parsed: toml::Value = toml::from_str(&text).expect("the configuration is TOML");
        let http = parsed["http"]["listen"].as_str().expect("an address");
        for first in [http.to_owned(), self.sip().to_string()] {
            text = text.replace(&first, &ip.free_port().to_string());
        }
        std::fs::write(self.folder().join(name), text).expect("the configuration is written");
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// SIGTERM: it ends within `limit`, and says that all went well.
    pub(crate) fn stop(&mut self, limit: Duration) {
        let mut process = self.process.take().expect("it runs");
        process.signal("TERM");
        let status = process.wait(limit);
        let code = status.unwrap_or_else(|| panic!("it runs {limit:?} after SIGTERM")).code();
        assert_eq!(code, Some(0), "{}", process.output_tail(40));
    }

    pub(crate) fn process(&mut self) -> &mut Running {
        self.process.as_mut().expect("it runs")
    }

    pub(crate) fn disk(&self) -> &Disk {
        self.disk.as_ref().expect("a disk of its own")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.server.folder()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    pub(crate) fn sip(&self) -> SocketAddr {
        self.server.sip
    }

    pub(crate) fn api(&self) -> Api {
        self.server.api()
    }

    pub(crate) fn requests(&self) -> &Requests {
        &self.requests
    }

    /// The id of a call that is taken.
    pub(crate) fn place(&self, from: &str, to: &str) -> String {
        self.api().place(&json!({"from": from, "to": to}))
    }

    /// Hung up by the API, which takes it once.
    pub(crate) fn hang_up(&self, call: &str) {
        let answer = self.api().hang_up(call);
        assert_eq!(answer.status, 200, "{answer:?}");
        self.api().wait_for_state(call, "ended", SOON);
        let answer = self.api().hang_up(call);
        assert_eq!((answer.status, answer.body["code"].as_str()), (409, Some("call_ended")), "{answer:?}");
    }

    /// Why a call has ended.
    pub(crate) fn end_of(&self, call: &str) -> String {
        let call = self.api().wait_for_state(call, "ended", SOON);
        call["end"]["reason"].as_str().expect("a reason").to_owned()
    }

    /// 1005 does not call 1006, though both have phones, and no phone of 1006 registers: refused with a time to come back,
    /// the first within `limit` and whatever comes then at once.
    pub(crate) fn nothing_begins(&self, idle: &[Phone; 2], limit: Duration) {
        self.refuses_a_call(None, limit);
        self.refuses_a_call(None, AT_ONCE);
        assert_eq!(self.requests.readiness(), Some(503));
        let at = Loopback::claim();
        let answer = phone::registered(self, "1006", at.free_port());
        assert_eq!(answer.status(), Some(503), "{}", answer.as_str());
        let retry_after = answer.field("Retry-After").and_then(|seconds| seconds.parse::<u64>().ok());
        assert!(retry_after.is_some_and(|seconds| seconds > 0), "{}", answer.as_str());
        phone::nobody_rings(idle);
    }

    /// A call of 1005 is refused within `limit`.
    pub(crate) fn refuses_a_call(&self, once: Option<&str>, limit: Duration) {
        let asked = Instant::now();
        let reply = self.requests.click_to_call("1005", "1006", once);
        let took = asked.elapsed();
        assert_eq!(
            (reply.status, reply.body["code"].as_str()),
            (503, Some("storage_unavailable")),
            "{reply:?}"
        );
        assert!(reply.retry_after.is_some_and(|seconds| seconds > 0), "{reply:?}");
        assert!(took < limit, "refused only after {took:?}");
    }

    /// It can write again: within five seconds it says so, each of these calls has its record and one end that was told,
    /// none is shown as running, and a phone registers and is called.
    pub(crate) fn is_as_before(&self, ended: &[&str], [from, to]: [Phone; 2]) {
        let asked = Instant::now();
        let ready = wait_for(BACK, || (self.requests.readiness() == Some(200)).then_some(()));
        assert!(ready.is_some(), "not ready {:?} after it can write again", asked.elapsed());
        for call in ended {
            assert_eq!(self.api().wait_for_state(call, "ended", SOON)["call_id"], **call);
            self.each_is_told_once(call);
        }
        self.no_call_runs();
        self.takes_calls([from, to]);
    }

    /// Exactly one `call.initiated` and one `call.ended`.
    pub(crate) fn each_is_told_once(&self, call: &str) {
        let told = || ["call.initiated", "call.ended"].map(|kind| self.requests.times_told(call, kind));
        let once = wait_for(SOON, || (told() == [1, 1]).then_some(()));
        assert!(once.is_some(), "beginning and end are told {:?} times", told());
    }

    /// What GET /calls shows as running.
    pub(crate) fn no_call_runs(&self) {
        let running = |calls: &[serde_json::Value]| calls.iter().any(|call| call["disposition"] == "running");
        let over = wait_for(SOON, || (!running(&self.requests.calls())).then_some(()));
        assert!(over.is_some(), "{:#?}", self.requests.calls());
    }

    /// 1005, which rings until it is cancelled, calls 1006; and one that registers now is called too.
    pub(crate) fn takes_calls(&self, [mut from, _to]: [Phone; 2]) {
        let call = self.place("1005", "1006");
        self.api().wait_for_event(&call, "call.ringing", SOON);
        self.hang_up(&call);
        from.sipp.succeeds(SOON);
        self.each_is_told_once(&call);
        Talk::begin(self, "1001", "1002").hang_up(self);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let logs = self.logs.iter().map(|log| std::fs::read(log).unwrap_or_default());
        let log: String = logs.map(|log| String::from_utf8_lossy(&log).into_owned()).collect();
        if std::thread::panicking() {
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- the end of the logs\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        } else {
            assert!(!log.contains("panicked at"), "the server has panicked:\n{log}");
        }
    }
}

fn configuration(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("dialbridge.toml")).expect("the configuration")
}
