//! A phone's network behind a NAT, made of network namespaces (Linux, as root), with the server outside.
//!
//! ```text
//! home, 192.168.77.2 ── 192.168.77.1, router, 203.0.113.2 ── 203.0.113.1, the server; 203.0.113.5, another phone
//! ```
//!
//! A test that wants it runs in a network namespace of its own, so that nothing of the machine's network is touched, and
//! nothing is left of it: a namespace goes with its last process.

use crate::{Running, Tool};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Set where the test runs in a network of its own.
const WITHIN: &str = "TESTBED_WITHIN_NETWORK";
const LIMIT: Duration = Duration::from_secs(150);

/// A home network and the router of its provider; gone when this is dropped.
#[derive(Debug)]
pub struct Nat {
    home: Running,
    router: Running,
}

/// Somewhere else than where the test runs.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    /// The address there.
    pub ip: IpAddr,
    namespace_of: u32,
}

impl Elsewhere {
    /// Runs `program` there.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.namespace_of.to_string(), "-n"]).arg(program);
        command
    }
}

impl Nat {
    /// Where the server listens.
    pub const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
    /// Where a phone may be that no NAT stands before.
    pub const OPEN: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);
    /// The only address of the home network that others see.
    pub const ROUTER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
    const HOME: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 2);

    /// Runs the test of this name a second time, in a network of its own, where this gives `true`. Elsewhere it gives
    /// `false` once that has passed, or where this machine makes no namespaces.
    ///
    /// # Panics
    /// When the test fails there.
    pub fn is_within(test: &str) -> bool {
        if std::env::var_os(WITHIN).is_some() {
            return true;
        }
        let may = Command::new("unshare").args(["--net", "true"]).output();
        if !may.is_ok_and(|output| output.status.success()) {
            eprintln!(
                "skipped: {test} needs network namespaces, which this user may not make here (run it as root)"
            );
            return false;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new("unshare");
        // It ends with us, and so do the namespaces.
        command.args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.arg(std::env::current_exe().expect("the path of this program"));
        command.args([test, "--exact", "--nocapture", "--test-threads", "1"]).env(WITHIN, "yes");
        let mut run = Running::start(test, &mut command, &folder.path().join("within.log"));
        let status = run.wait(LIMIT);
        assert!(status.is_some_and(|status| status.success()), "{status:?}\n{}", run.output());
        assert!(run.output().contains("1 passed"), "it did not run:\n{}", run.output());
        false
    }

    /// Builds it around the present network namespace, which has to be a fresh one.
    ///
    /// # Panics
    /// When a step fails.
    pub fn open(folder: &Path) -> Self {
        let namespace = |name: &str| {
            let mut command = Command::new("unshare");
            command.args(["--net", "sh", "-c", "echo there; exec sleep 600"]);
            let mut process = Running::start(name, &mut command, &folder.join(format!("{name}.log")));
            process.wait_for_output("there", Duration::from_secs(5));
            process
        };
        let nat = Self { home: namespace("home"), router: namespace("router") };
        let (ip, nft) = (Tool::Ip.path(), Tool::Nft.path());
        let here = |line: &str| run(Command::new(&ip).args(line.split(' ')));
        here("link set lo up");
        here(&format!("link add server type veth peer name outside netns {}", nat.router.id()));
        here(&format!("address add {}/24 dev server", Self::SERVER));
        here(&format!("address add {}/24 dev server", Self::OPEN));
        here("link set server up");
        let router = |line: &str| run(nat.of_router().command(&ip).args(line.split(' ')));
        router(&format!("link add inside type veth peer name outside netns {}", nat.home.id()));
        router(&format!("address add {}/24 dev outside", Self::ROUTER));
        router("address add 192.168.77.1/24 dev inside");
        for interface in ["lo", "inside", "outside"] {
            router(&format!("link set {interface} up"));
        }
        run(nat.of_router().command(Path::new("sysctl")).args(["-q", "-w", "net.ipv4.ip_forward=1"]));
        // What belongs to no flow is dropped without a word, as cheap routers do. A flow that was forgotten gets another
        // port.
        run(nat.of_router().command(&nft).args([
            "add table ip nat; add chain ip nat leaves { type nat hook postrouting priority 100; }; \
             add rule ip nat leaves oifname outside masquerade random; \
             add chain ip nat comes { type filter hook input priority 0; }; \
             add rule ip nat comes iifname outside drop",
        ]));
        let home = |line: &str| run(nat.home().command(&ip).args(line.split(' ')));
        home(&format!("address add {}/24 dev outside", Self::HOME));
        home("link set lo up");
        home("link set outside up");
        home("route add default via 192.168.77.1");
        nat
    }

    /// Where phones are behind it.
    pub fn home(&self) -> Elsewhere {
        Elsewhere { ip: Self::HOME.into(), namespace_of: self.home.id() }
    }

    /// Forgets all its flows of UDP.
    ///
    /// # Panics
    /// When it has none.
    pub fn forget(&self) {
        run(self.of_router().command(&Tool::Conntrack.path()).args(["-D", "-p", "udp"]));
    }

    fn of_router(&self) -> Elsewhere {
        Elsewhere { ip: Self::ROUTER.into(), namespace_of: self.router.id() }
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
}
