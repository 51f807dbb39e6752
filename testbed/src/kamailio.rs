//! Kamailio as a carrier, with the configuration `testbed/kamailio/carrier.cfg`.

use crate::{Certified, Loopback, Running, Tool, process};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const START: Duration = Duration::from_secs(10);
const END: Duration = Duration::from_secs(8);

/// What a test wants of its carrier.
#[derive(Debug, Clone)]
pub struct CarrierOptions {
    /// Its domain and realm.
    pub domain: String,
    /// Where numbers outside are called, and where its customer is called from.
    pub outside: SocketAddr,
    /// With which it listens for TLS.
    pub tls: Option<Certified>,
    /// Seconds for which it grants a registration at most.
    pub longest_registration: u32,
}

impl CarrierOptions {
    /// `carrier.test`, without TLS.
    pub fn with_outside(outside: SocketAddr) -> Self {
        Self { domain: "carrier.test".into(), outside, tls: None, longest_registration: 600 }
    }
}

/// A running Kamailio whose one customer is [`ACCOUNT`](Self::ACCOUNT).
#[derive(Debug)]
pub struct Kamailio {
    /// Where it listens for UDP and TCP.
    pub sip: SocketAddr,
    /// Where it listens for TLS; nobody is there without a certificate.
    pub tls: SocketAddr,
    folder: tempfile::TempDir,
    is_secured: bool,
    starts: u32,
    process: Option<Running>,
    _loopback: Loopback,
}

impl Kamailio {
    /// User of its customer.
    pub const ACCOUNT: &'static str = "acct-77";
    /// Password of its customer.
    pub const PASSWORD: &'static str = "secret-of-77";

    /// Starts it, in a folder of its own, and waits until it answers.
    pub fn start(options: &CarrierOptions) -> Self {
        let loopback = Loopback::claim();
        let (sip, tls) = (loopback.free_port(), loopback.free_port());
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("carrier.cfg"), configuration(options, sip, tls))
            .expect("its configuration");
        let is_secured = options.tls.is_some();
        let mut carrier =
            Self { sip, tls, folder, is_secured, starts: 0, process: None, _loopback: loopback };
        carrier.start_again();
        carrier
    }

    /// Starts it once more on the same addresses; it has forgotten all registrations.
    pub fn start_again(&mut self) {
        self.starts += 1;
        // Its processes are a group, which ends when the input does: at the latest when this program has ended.
        let mut command = Command::new("bash");
        command.args(["-c", "\"$@\" & cat; kill -s KILL 0", "carrier"]).process_group(0);
        command.arg(Tool::Kamailio.path());
        // -DD: in the foreground, with its usual processes.
        command.args(["-DD", "-E", "-m", "32", "-M", "4", "-f", "carrier.cfg", "-Y"]).arg(self.folder.path());
        if self.is_secured {
            command.args(["-A", "WITH_TLS"]);
        }
        command.current_dir(self.folder.path());
        let log = self.folder.path().join(format!("kamailio-{}.log", self.starts));
        let mut process = Running::start("kamailio", &mut command, &log);
        let asks = UdpSocket::bind((self.sip.ip(), 0)).expect("a port");
        asks.set_read_timeout(Some(Duration::from_millis(50))).expect("a limit");
        let from = asks.local_addr().expect("a bound socket has an address");
        let question = format!(
            "OPTIONS sip:{} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{}\r\nMax-Forwards: 70\r\n\
             From: <sip:test@{from}>;tag=1\r\nTo: <sip:{}>\r\nCall-ID: {from}\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n",
            self.sip, self.starts, self.sip
        );
        let answers = crate::wait_for(START, || {
            if process.ended().is_some() {
                return Some(false);
            }
            let _refused = asks.send_to(question.as_bytes(), self.sip);
            asks.recv(&mut [0; 1500]).is_ok().then_some(true)
        });
        assert!(answers == Some(true), "Kamailio does not answer:\n{}", process.output_tail(40));
        self.process = Some(process);
    }

    /// Ends it at once, with all its processes.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let group = format!("-{}", process.id());
            let _ended = Command::new("kill").args(["-s", "KILL", "--", &group]).status();
            assert!(process.wait(END).is_some(), "Kamailio does not end");
            // Its children end by themselves, and the port is free when the last one has.
            let since = Instant::now();
            while UdpSocket::bind(self.sip).is_err() {
                assert!(since.elapsed() < END, "Kamailio's processes do not end");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// What it has logged since its last start.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Running::output).unwrap_or_default()
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the end of Kamailio's log\n{}", process::tail(&self.log(), 60));
        }
        self.stop();
    }
}

fn configuration(options: &CarrierOptions, sip: SocketAddr, tls: SocketAddr) -> String {
    let text = include_str!("../kamailio/carrier.cfg");
    let path = |of: fn(&Certified) -> &PathBuf| {
        options.tls.as_ref().map(|files| of(files).display().to_string()).unwrap_or_default()
    };
    let values = [
        ("DOMAIN", options.domain.clone()),
        ("CARRIER", sip.to_string()),
        ("SECURED", tls.to_string()),
        ("CERTIFICATE", path(|files| &files.certificate)),
        ("PRIVATE_KEY", path(|files| &files.key)),
        ("PASSWORD", Kamailio::PASSWORD.to_owned()),
        ("ACCOUNT", Kamailio::ACCOUNT.to_owned()),
        ("LONGEST", options.longest_registration.to_string()),
        ("OUTSIDE_IP", options.outside.ip().to_string()),
        ("OUTSIDE", options.outside.to_string()),
    ];
    values.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value))
}
