//! The real binary, with a configuration and a data folder of its own.

use crate::{Api, Authority, Loopback, Running, loopback, process};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;
use std::time::Duration;

/// The domain that every test server serves.
pub(crate) const DOMAIN: &str = "pbx.test";
const KEY: &str = "ak_0123456789abcdef0123456789abcdef";
const START: Duration = Duration::from_secs(20);

/// An `[[extensions]]` of the configuration.
#[derive(Debug, Clone)]
pub struct Extension {
    /// Its number.
    pub number: String,
    /// Its password.
    pub password: String,
    /// Its display name.
    pub name: String,
}

impl Extension {
    /// One whose password is `pw-` and its number.
    pub fn new(number: &str, name: &str) -> Self {
        Self { number: number.into(), password: format!("pw-{number}"), name: name.into() }
    }

    /// User and password, as a registration wants them.
    pub fn credentials(&self) -> (&str, &str) {
        (&self.number, &self.password)
    }
}

/// What a test wants of its server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The extensions.
    pub extensions: Vec<Extension>,
    /// The realm and domain.
    pub domain: String,
    /// Lines for `[sip]`.
    pub sip: String,
    /// It listens for TLS as well, with a certificate for its address.
    pub tls: bool,
    /// The ports of its sound.
    pub media_ports: String,
    /// Further lines for `[media]`.
    pub media: String,
    /// Further tables.
    pub tables: String,
    /// What it logs when `RUST_LOG` does not say.
    pub log: String,
    /// Where it listens; a loopback address of its own when `None`.
    pub ip: Option<IpAddr>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            extensions: vec![Extension::new("1001", "Asha"), Extension::new("1002", "Ravi")],
            domain: DOMAIN.to_owned(),
            sip: String::new(),
            tls: false,
            media_ports: media_ports(),
            media: String::new(),
            tables: String::new(),
            log: "info".to_owned(),
            ip: None,
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Its SIP address, for UDP and TCP.
    pub sip: SocketAddr,
    /// Its SIP address for TLS, where it has one, and the file of the authority that has certified it.
    pub tls: Option<(SocketAddr, PathBuf)>,
    /// Its extensions, in the order of the options.
    pub extensions: Vec<Extension>,
    http: SocketAddr,
    folder: tempfile::TempDir,
    process: Option<Running>,
    log: String,
    starts: u32,
    _loopback: Option<Loopback>,
}

impl Server {
    /// With 1001, Asha, and 1002, Ravi.
    pub fn start() -> Self {
        Self::start_with(&ServerOptions::default())
    }

    /// Starts it and waits until it takes calls.
    pub fn start_with(options: &ServerOptions) -> Self {
        let loopback = options.ip.is_none().then(Loopback::claim);
        let ip = options.ip.or_else(|| loopback.as_ref().map(Loopback::ip)).expect("one of the two");
        let (sip, http) = (loopback::free_port(ip), loopback::free_port(ip));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let tls = options.tls.then(|| (loopback::free_port(ip), certify(sip, folder.path())));
        let text =
            configuration(options, sip, tls.as_ref().map(|(address, _)| *address), http, folder.path());
        std::fs::write(folder.path().join("dialbridge.toml"), text).expect("the configuration is written");
        let mut server = Self {
            sip,
            tls,
            extensions: options.extensions.clone(),
            http,
            folder,
            process: None,
            log: options.log.clone(),
            starts: 0,
            _loopback: loopback,
        };
        server.launch();
        server
    }

    /// Its HTTP API.
    pub fn api(&self) -> Api {
        Api::new(self.http, KEY)
    }

    /// A folder for what belongs to the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it with SIGTERM and starts it again on the same addresses and data; it must have ended as asked.
    pub fn restart(&mut self) {
        let status = self.stop();
        assert!(status.success(), "the server has ended with {status} after SIGTERM");
        self.launch();
    }

    /// Ends it at once, as a crash would, and starts it again on the same addresses and data.
    pub fn kill_and_restart(&mut self) {
        self.check_for_panics();
        self.process = None;
        self.launch();
    }

    /// Asks it to end, and waits for that.
    pub fn stop(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("it runs");
        process.signal("TERM");
        let status = process.wait(Duration::from_secs(15));
        self.check_for_panics();
        status.unwrap_or_else(|| {
            panic!("the server has not ended 15 s after SIGTERM:\n{}", process.output_tail(60))
        })
    }

    /// Its process, while it runs.
    pub fn process(&self) -> &Running {
        self.process.as_ref().expect("it runs")
    }

    /// All that it has logged since its last start.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Memory that it has in use, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process().id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("the kernel tells VmRSS")
    }

    fn launch(&mut self) {
        self.starts += 1;
        let mut command = Command::new(binary());
        command.args(["serve", "--config", "dialbridge.toml"]).current_dir(self.folder.path());
        command.env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| self.log.clone()));
        let mut process = Running::start("dialbridge", &mut command, &self.log_path());
        let api = self.api();
        let ready = crate::wait_for(START, || {
            if process.ended().is_some() { Some(false) } else { api.is_ready().then_some(true) }
        });
        assert!(
            ready == Some(true),
            "the server is not ready within {START:?}:\n{}",
            process.output_tail(40)
        );
        self.process = Some(process);
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join(format!("server-{}.log", self.starts))
    }

    fn check_for_panics(&self) {
        let log = self.log();
        assert!(!log.contains("panicked at"), "the server has panicked:\n{}", process::tail(&log, 40));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the end of the server's log\n{}", process::tail(&self.log(), 60));
        } else {
            self.check_for_panics();
        }
    }
}

/// Certifies the address for the server: the file of the authority that has done it.
fn certify(sip: SocketAddr, folder: &Path) -> PathBuf {
    let authority = Authority::new(folder);
    authority.certify("server", &[&sip.ip().to_string(), DOMAIN]);
    authority.roots()
}

fn configuration(
    options: &ServerOptions,
    sip: SocketAddr,
    tls: Option<SocketAddr>,
    http: SocketAddr,
    folder: &Path,
) -> String {
    let ServerOptions { domain, sip: sip_lines, media_ports, media, tables, .. } = options;
    let (tls, certificate) = match tls {
        Some(tls) => (
            format!(", \"tls:{tls}\""),
            "tls = { certificate = \"server-cert.pem\", key = \"server-key.pem\" }\n",
        ),
        None => (String::new(), ""),
    };
    let data = folder.join("data");
    let mut text = format!(
        "[http]\nlisten = \"{http}\"\n\n[sip]\ndomain = \"{domain}\"\nlisten = [\"udp:{sip}\", \"tcp:{sip}\"{tls}]\n{certificate}{sip_lines}\n\n\
         [media]\nports = \"{media_ports}\"\n{media}\n\n[data]\nfolder = \"{}\"\n\n{tables}\n\n\
         [[api_keys]]\nname = \"testbed\"\nkey = \"{KEY}\"\npermissions = [\"calls.*\", \"config.read\"]\n",
        data.display()
    );
    for Extension { number, password, name } in &options.extensions {
        text += &format!(
            "\n[[extensions]]\nnumber = \"{number}\"\npassword = \"{password}\"\nname = \"{name}\"\n"
        );
    }
    text
}

/// Below the ports that the kernel gives away by itself, and somewhere else for each server.
fn media_ports() -> String {
    const FIRST: u16 = 10_000;
    const PORTS: u16 = 2_000;
    let start = FIRST + PORTS * (rand::random::<u16>() % 11);
    format!("{start}-{}", start + PORTS - 1)
}

/// The binary under test: `DIALBRIDGE_BIN`, or the one beside the test, built first so that it is never an old one.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("DIALBRIDGE_BIN") {
            return path.into();
        }
        // target/<profile>/deps/<test> or target/<profile>/<program>
        let here = std::env::current_exe().expect("the path of this program");
        let folder = here.parent().expect("a folder");
        let folder = if folder.ends_with("deps") { folder.parent().expect("a folder") } else { folder };
        let target = folder.parent().expect("a target folder");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--package", "dialbridge", "--manifest-path"]);
        cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")).arg("--target-dir").arg(target);
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().is_ok_and(|status| status.success()), "the server cannot be built");
        folder.join("dialbridge")
    })
}
