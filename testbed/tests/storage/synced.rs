//! What is acknowledged was synced before: seen in what the process asks of the kernel.

use crate::phone::{self, Phone};
use crate::site::{SOON, Site};
use std::path::{Path, PathBuf};
use std::process::Command;
use testbed::{Loopback, Running, wait_for};

/// What a running process writes, sends and syncs, in order.
struct Kernel {
    calls: PathBuf,
    read: usize,
    _strace: Running,
}

impl Kernel {
    /// `None`, with a line that says why, where nobody may look.
    fn watch(process: u32, folder: &Path) -> Option<Self> {
        let calls = folder.join("system-calls");
        let mut strace = Command::new("strace");
        let which = "trace=fsync,fdatasync,sendto,sendmsg,sendmmsg,write,writev";
        strace.args(["-f", "-s", "32", "-e", which, "-p", &process.to_string(), "-o"]).arg(&calls);
        if Command::new("strace").arg("-V").output().is_err() {
            eprintln!("skipped: there is no strace here");
            return None;
        }
        let mut strace = Running::start("strace", &mut strace, &folder.join("strace.log"));
        let attached = wait_for(SOON, || match strace.ended() {
            Some(_) => Some(false),
            None => strace.output().contains("attached").then_some(true),
        });
        if attached != Some(true) {
            eprintln!("skipped: the process cannot be looked at ({})", strace.output().trim());
            return None;
        }
        Some(Self { calls, read: 0, _strace: strace })
    }

    /// What comes up to a call with `said` in it; the next look begins behind it.
    fn up_to(&mut self, said: &str) -> String {
        let found = wait_for(SOON, || {
            let text = String::from_utf8_lossy(&std::fs::read(&self.calls).unwrap_or_default()).into_owned();
            let from = text.get(self.read..)?;
            let at = from.find(said)?;
            Some((from[..at].to_owned(), self.read + at + said.len()))
        });
        let (before, read) = found.unwrap_or_else(|| panic!("{said} is not said"));
        self.read = read;
        before
    }
}

/// A sync of a file that has ended well.
fn synced(calls: &str) -> bool {
    calls
        .lines()
        .any(|line| line.contains("sync") && line.trim_end().ends_with("= 0") && !line.contains("unfinished"))
}

#[test]
fn what_is_said_was_synced_before() {
    let mut site = Site::open();
    let process = site.process().id();
    let Some(mut kernel) = Kernel::watch(process, site.folder()) else { return };
    let ip = Loopback::claim();
    assert_eq!(phone::registered(&site, "1005", ip.free_port()).status(), Some(200));
    kernel.up_to("SIP/2.0 401");
    assert!(synced(&kernel.up_to("SIP/2.0 200")), "a REGISTER is answered before it is synced");

    let from = Phone::register(&site, "1001", "answer");
    let _to = Phone::register(&site, "1002", "ring");
    kernel.up_to("SIP/2.0 200");
    kernel.up_to("SIP/2.0 200");
    let call = site.place("1001", "1002");
    from.sipp.received("ACK", SOON);
    assert!(synced(&kernel.up_to("INVITE sip:")), "a phone is rung before the call is synced");
    assert!(synced(&kernel.up_to("ACK sip:")), "an answer is acknowledged before it is synced");
    site.hang_up(&call);
    site.api().wait_for_event(&call, "call.ended", SOON);
}
