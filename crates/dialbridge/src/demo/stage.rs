//! What the demo plays on: a whole server and two phones on loopback, and a folder that is gone afterwards.

use super::Problem;
use crate::config::{Configuration, Http, Sip};
use crate::{HttpOptions, Server, ServerOptions};
use call_control::Number;
use call_store::Store;
use control_api::{ApiKey, Permission};
use rand::Rng;
use sip_b2bua::Extension;
use sip_core::Transport;
use sip_core::digest::Secret;
use sip_message::Host;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use test_phone::{
    Answering, CallMedia, Command, Driver, DriverOptions, Outcome, PhoneEvent, Reply, Report, Script, Source,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A phone of the demo.
pub(super) struct Role {
    pub(super) number: &'static str,
    pub(super) name: &'static str,
    /// What it plays, in hertz; neither is near a tone of the server.
    pub(super) plays: f64,
    pub(super) rings_for: Duration,
}

/// The one that is rung first, and the one that is connected then.
pub(super) const ROLES: [Role; 2] = [
    Role { number: "1001", name: "Asha", plays: 700.0, rings_for: Duration::from_millis(800) },
    Role { number: "1002", name: "Ravi", plays: 1_100.0, rings_for: Duration::from_millis(1_500) },
];

/// Everything that runs.
pub(super) struct Stage {
    pub(super) server: Server,
    /// An API key that the server knows.
    pub(super) key: String,
    pub(super) phones: Vec<Phone>,
    _folder: Folder,
}

/// A phone that runs.
pub(super) struct Phone {
    pub(super) address: SocketAddr,
    reports: mpsc::UnboundedReceiver<Report>,
    /// What it has reported so far.
    pub(super) seen: Vec<Report>,
    commands: mpsc::Sender<Command>,
    running: JoinHandle<(Outcome, Vec<CallMedia>)>,
}

/// A folder that is removed with its contents when it is dropped.
pub(super) struct Folder(PathBuf);

impl Stage {
    /// Starts the server; the phones follow with [`Stage::add_phones`].
    pub(super) async fn raise(passwords: &[String; 2]) -> Result<Self, Problem> {
        let folder = Folder::make().map_err(Problem::Folder)?;
        let store = Store::open(&folder.0).await.map_err(Problem::Store)?;
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let defaults = Configuration::default();
        let sip =
            Sip { domain: Some(DOMAIN.into()), listen: vec![(Transport::Udp, loopback)], ..defaults.sip };
        let configuration =
            Configuration { http: Http { listen: loopback, ..defaults.http }, sip, ..defaults };
        let extensions = ROLES.iter().zip(passwords).map(|(role, password)| Extension {
            number: Number::new(role.number).expect("digits are a number"),
            name: Some(role.name.into()),
            secret: Secret::new(role.number, DOMAIN, password),
            codecs: None,
            forward: None,
            auto_answer: None,
        });
        let (key, sha256) = control_api::key_from_random(&rand::random());
        let permissions = ["calls.click_to_call", "calls.read"];
        let permissions = permissions.into_iter().filter_map(Permission::new).collect();
        let options = ServerOptions {
            http: HttpOptions::from(&configuration.http),
            store,
            settings: configuration.settings(DOMAIN.into(), extensions.collect()),
            keys: vec![ApiKey { name: "demo".into(), sha256, permissions, caller_ids: None }],
        };
        let server = Server::start(options).await.map_err(Problem::Server)?;
        Ok(Self { server, key, phones: Vec::new(), _folder: folder })
    }

    /// Starts both phones; those that were started before one could not are on the stage.
    pub(super) async fn add_phones(&mut self, passwords: &[String; 2]) -> Result<(), Problem> {
        let (_, sip) = *self.server.b2bua().bound().first().ok_or(Problem::NoSip)?;
        for (role, password) in ROLES.iter().zip(passwords) {
            self.phones.push(Phone::start(role, password, sip).await.map_err(Problem::Phone)?);
        }
        Ok(())
    }

    /// Ends everything that was started. What the phones heard, by phone and call.
    pub(super) async fn strike(self) -> Vec<(Phone, Vec<CallMedia>)> {
        let mut ended = Vec::new();
        for mut phone in self.phones {
            let heard = phone.end().await;
            ended.push((phone, heard));
        }
        // Nothing runs any more unless something is broken, and then it is not waited for.
        if tokio::time::timeout(PATIENCE, self.server.drain(Duration::ZERO)).await.is_err() {
            tracing::warn!("the server did not stop in time");
        }
        ended
    }
}

impl Phone {
    async fn start(role: &Role, password: &str, server: SocketAddr) -> Result<Self, test_phone::BindError> {
        let reply = Reply::Accept { after: role.rings_for };
        let script = Script { answering: Answering { reply, ..Answering::default() }, ..Script::default() };
        let options = DriverOptions {
            server,
            transport: Transport::Udp,
            tls: None,
            local: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            user: role.number.into(),
            password: Some(password.into()),
            display_name: Some(role.name.into()),
            domain: Host::new(DOMAIN),
            script,
            source: Source::Tone { hertz: role.plays },
            expected_tone: None,
        };
        let (reports_in, reports) = mpsc::unbounded_channel();
        let (commands, commanded) = mpsc::channel(4);
        let driver = Driver::start(options, reports_in, commanded).await?;
        let address = driver.local();
        let running = tokio::spawn(async move {
            let mut calls = Vec::new();
            let outcome = driver.run(|call| calls.push(call)).await;
            (outcome, calls)
        });
        Ok(Self { address, reports, seen: Vec::new(), commands, running })
    }

    /// Waits until it has reported such an event; `false` when it has ended instead.
    pub(super) async fn reported(&mut self, is: impl Fn(&PhoneEvent) -> bool) -> bool {
        if self.seen.iter().any(|report| is(&report.event)) {
            return true;
        }
        while let Some(report) = self.reports.recv().await {
            let found = is(&report.event);
            self.seen.push(report);
            if found {
                return true;
            }
        }
        false
    }

    pub(super) async fn command(&self, command: Command) {
        // A phone that has ended does nothing any more, and says so in its reports.
        let _ended = self.commands.send(command).await;
    }

    async fn end(&mut self) -> Vec<CallMedia> {
        self.command(Command::Leave).await;
        let heard = match tokio::time::timeout(PATIENCE, &mut self.running).await {
            Ok(Ok((_, calls))) => calls,
            Ok(Err(_)) | Err(_) => {
                self.running.abort();
                Vec::new()
            }
        };
        while let Ok(report) = self.reports.try_recv() {
            self.seen.push(report);
        }
        heard
    }
}

/// Nobody waits for a phone whose stage fell.
impl Drop for Phone {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Folder {
    pub(super) fn make() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("dialbridge-demo-{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(why) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %why, "the folder of the demo is left behind");
        }
    }
}

/// A password for one demo.
pub(super) fn password() -> String {
    let mut random = rand::rng();
    (0..16).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect()
}

const DOMAIN: &str = "demo.dialbridge.invalid";
/// How long ending a phone, or the server, may take.
const PATIENCE: Duration = Duration::from_secs(2);
