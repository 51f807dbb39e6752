//! SIPp with a scenario of `testbed/sipp/`, and what it sent and received.

mod steps;

pub use steps::{Audio, Content, Step};

use crate::{Running, SipText, Tool};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long SIPp may run at most, whatever happens.
const LIMIT_SECONDS: &str = "60";

/// One run of SIPp: one phone for one call.
#[derive(Debug)]
pub struct Sipp {
    scenario: String,
    process: Running,
    messages: PathBuf,
    errors: PathBuf,
}

/// Who calls whom, and what it logs in with where it is asked to.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// Where its INVITE goes.
    pub server: SocketAddr,
    /// The domain of both.
    pub domain: &'a str,
    /// Its own number, and its user.
    pub own_number: &'a str,
    /// Its password.
    pub password: &'a str,
}

/// A message in SIPp's trace.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Whether SIPp sent it.
    pub sent: bool,
    /// When, since midnight.
    pub at: Duration,
    /// What.
    pub message: SipText,
}

impl Sipp {
    /// Starts the phone at `local` and waits until it listens there. Its session description names `audio`; `status`
    /// is what it refuses with, such as `486 Busy Here`.
    pub fn start(scenario: &str, local: SocketAddr, audio: SocketAddr, status: &str, folder: &Path) -> Self {
        Self::run(scenario, status, local, &[], audio, folder)
    }

    /// Like [`start`](Self::start); SIPp itself sends back what it hears at `audio`, a port that is free.
    pub fn start_echoing(scenario: &str, local: SocketAddr, audio: SocketAddr, folder: &Path) -> Self {
        let (ip, port) = (audio.ip().to_string(), audio.port().to_string());
        Self::run(scenario, "-", local, &["-rtp_echo", "-mi", &ip, "-mp", &port], audio, folder)
    }

    /// Starts a phone at `local` that goes these steps, and waits until it listens there.
    pub fn steps(steps: &[Step], local: SocketAddr, folder: &Path) -> Self {
        let text = steps::scenario(steps, &Self::scenarios().join("steps"));
        Self::run_text("steps", &text, local, &[], local, folder)
    }

    /// Calls `number` from `local`, talks for three seconds at `audio` unless it is hung up before, and hangs up.
    pub fn invite(
        caller: Caller<'_>,
        number: &str,
        local: SocketAddr,
        audio: SocketAddr,
        folder: &Path,
    ) -> Self {
        let Caller { server, domain, own_number, password } = caller;
        let target = server.to_string();
        let uri = format!("{number}@{server}");
        let options = [
            &target,
            "-s",
            number,
            "-key",
            "own_number",
            own_number,
            "-key",
            "domain",
            domain,
            "-key",
            "sound",
            "none",
            "-au",
            own_number,
            "-ap",
            password,
            "-auth_uri",
            &uri,
        ];
        Self::run("invite", "-", local, &options, audio, folder)
    }

    fn scenarios() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("sipp")
    }

    fn run(
        scenario: &str,
        status: &str,
        local: SocketAddr,
        options: &[&str],
        audio: SocketAddr,
        folder: &Path,
    ) -> Self {
        let original = Self::scenarios().join(format!("{scenario}.xml"));
        let text = std::fs::read_to_string(&original)
            .unwrap_or_else(|error| panic!("{}: {error}", original.display()));
        // SIPp reads the status when it reads the scenario, before it knows any keyword.
        let text = text.replace("[status]", status);
        // SIPp would want to listen there itself.
        let text = if options.contains(&"-mp") {
            text
        } else {
            text.replace("[media_ip]", "[audio_ip]").replace("[media_port]", "[audio_port]")
        };
        Self::run_text(scenario, &text, local, options, audio, folder)
    }

    fn run_text(
        scenario: &str,
        text: &str,
        local: SocketAddr,
        options: &[&str],
        audio: SocketAddr,
        folder: &Path,
    ) -> Self {
        let mark = format!("{scenario}-{}", local.port());
        let path = folder.join(format!("{mark}.xml"));
        std::fs::write(&path, text).expect("the scenario is written");
        // Scenarios that play look for it where they run.
        std::fs::copy(Self::scenarios().join("tone.ulaw"), folder.join("tone.ulaw")).expect("the tone");
        let messages = folder.join(format!("{mark}-messages.log"));
        let errors = folder.join(format!("{mark}-errors.log"));
        let mut command = Command::new(Tool::Sipp.path());
        command.arg("-sf").arg(path);
        command.args(["-i", &local.ip().to_string(), "-p", &local.port().to_string(), "-m", "1", "-nostdin"]);
        command.args([
            "-key",
            "audio_ip",
            &audio.ip().to_string(),
            "-key",
            "audio_port",
            &audio.port().to_string(),
        ]);
        command.args(["-timeout", LIMIT_SECONDS, "-timeout_error"]).args(options);
        command.args(["-trace_msg", "-message_file"]).arg(&messages);
        command.args(["-trace_err", "-error_file"]).arg(&errors);
        command.current_dir(folder);
        let process = Running::start("sipp", &mut command, &folder.join(format!("{mark}-screen.log")));
        let mut phone = Self { scenario: scenario.to_owned(), process, messages, errors };
        let listens = crate::wait_for(Duration::from_secs(5), || {
            (is_bound(local) || phone.process.ended().is_some()).then(|| is_bound(local))
        });
        assert!(listens == Some(true), "SIPp does not listen at {local}:\n{}", phone.report());
        phone
    }

    /// Waits for its end and asserts that the scenario went as written.
    pub fn succeeds(&mut self, limit: Duration) {
        let status = self.process.wait(limit);
        let done = status.is_some_and(|status| status.success());
        assert!(
            done,
            "SIPp, scenario {}, ended with {status:?} within {limit:?}\n{}",
            self.scenario,
            self.report()
        );
    }

    /// All messages until now.
    pub fn seen(&self) -> Vec<Seen> {
        trace(&std::fs::read_to_string(&self.messages).unwrap_or_default())
    }

    /// Waits for the first request of this method.
    pub fn received(&self, method: &str, limit: Duration) -> Seen {
        let found = crate::wait_for(limit, || {
            self.seen().into_iter().find(|it| !it.sent && it.message.method() == Some(method))
        });
        found.unwrap_or_else(|| panic!("no {method} within {limit:?}\n{}", self.report()))
    }

    /// Waits for the 2xx to its INVITE.
    pub fn answered(&self, limit: Duration) -> Seen {
        let found = crate::wait_for(limit, || {
            self.seen().into_iter().find(|it| {
                !it.sent
                    && it.message.status() == Some(200)
                    && it.message.field("CSeq").is_some_and(|cseq| cseq.ends_with("INVITE"))
            })
        });
        found.unwrap_or_else(|| panic!("no answer within {limit:?}\n{}", self.report()))
    }

    /// Number of requests of this method until now.
    pub fn count(&self, method: &str) -> usize {
        self.seen().iter().filter(|it| !it.sent && it.message.method() == Some(method)).count()
    }

    /// Whether it has done everything but to be hung up: nothing came or went for a while.
    pub fn is_waiting_for_bye(&self) -> bool {
        let written = std::fs::metadata(&self.messages).and_then(|it| it.modified());
        written.is_ok_and(|at| at.elapsed().is_ok_and(|quiet| quiet > Duration::from_millis(1_500)))
    }

    fn report(&self) -> String {
        let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        format!(
            "--- its errors\n{}\n--- its messages\n{}\n--- its screen\n{}",
            text(&self.errors),
            text(&self.messages),
            self.process.output_tail(5)
        )
    }
}

/// Whether some process has bound this UDP address, by what Linux tells of its sockets.
fn is_bound(local: SocketAddr) -> bool {
    let SocketAddr::V4(address) = local else { return false };
    let wanted =
        format!("{:08X}:{:04X}", u32::from_be_bytes(address.ip().octets()).swap_bytes(), address.port());
    let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
    table.lines().any(|line| line.split_whitespace().nth(1) == Some(&wanted))
}

/// Reads what `-trace_msg` writes.
fn trace(text: &str) -> Vec<Seen> {
    const RULE: &str = "----------------------------------------------- ";
    text.split(RULE).filter_map(entry).collect()
}

/// `2026-11-22 08:54:30.287464`, a line that says sent or received, an empty line, the message.
fn entry(text: &str) -> Option<Seen> {
    let (stamp, rest) = text.split_once('\n')?;
    let (line, message) = rest.split_once("\n\n").or_else(|| rest.split_once("\n\r\n"))?;
    let clock = stamp.split_whitespace().nth(1)?;
    let mut parts = clock.split(':').map(|part| part.parse::<f64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let at = Duration::from_secs_f64(hours * 3600.0 + minutes * 60.0 + seconds);
    Some(Seen { sent: line.contains("sent"), at, message: SipText::new(message) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_of_messages_is_read() {
        let text = "----------------------------------------------- 2026-11-22 08:54:30.287464\n\
                    UDP message sent (290 bytes):\n\nSIP/2.0 180 Ringing\r\nVia: x\r\n\r\n\n\
                    ----------------------------------------------- 2026-11-22 08:54:31.500000\n\
                    UDP message received [430] bytes :\n\nCANCEL sip:a SIP/2.0\r\nCall-ID: 1\r\n\r\n\n";
        let seen = trace(text);
        assert_eq!(seen.len(), 2);
        assert_eq!((seen[0].sent, seen[0].message.status()), (true, Some(180)));
        assert_eq!((seen[1].sent, seen[1].message.method()), (false, Some("CANCEL")));
        assert_eq!(seen[1].message.field("call-id"), Some("1"));
        assert!(
            (seen[1].at - seen[0].at).abs_diff(Duration::from_micros(1_212_536)) < Duration::from_micros(2)
        );
    }
}
