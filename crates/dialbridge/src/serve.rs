//! `dialbridge serve`: the server until a signal ends it.

use crate::config::{self, Configuration, Mistakes};
use crate::descriptors::Descriptors;
use crate::exit::Exit;
use crate::first_start::{self, Kept, Made};
use crate::logging::{self, LogFormat, STATE};
use crate::reload::Reload;
use crate::signals::{Signals, Wish};
use crate::{HttpOptions, Server, ServerOptions, StartError, output};
use call_store::{Store, StoreError};
use std::error::Error;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;
use tokio::sync::Notify;
use tracing::level_filters::LevelFilter;

#[derive(clap::Args)]
pub(crate) struct ServeArgs {
    /// The configuration. Without one: data in ./dialbridge-data, HTTP on port 8000, SIP on port 5060, and at the
    /// first start a key and two extensions, which are printed once.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How log lines are written to standard error. RUST_LOG says which.
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// How long running calls may go on after SIGTERM.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    drain_seconds: u32,
}

pub(crate) async fn run(args: ServeArgs) -> Exit {
    let _log = logging::start(args.log_format, LevelFilter::INFO);
    match serve(&args).await {
        Ok(()) => Exit::Asked,
        Err(failure) => {
            for line in failure.lines() {
                tracing::error!(target: STATE, "{line}");
            }
            failure.exit()
        }
    }
}

async fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let mut signals = Signals::listen().map_err(Failure::Signals)?;
    let (configuration, domain, mut server) = match &args.config {
        Some(file) => with_file(file).await?,
        None => without_file(Configuration::default()).await?,
    };
    announce_ready(&server, &configuration.media.ports);
    let mut reload = Reload::new(configuration, domain);
    loop {
        let wish = tokio::select! {
            wish = signals.next() => wish,
            failure = server.failed() => return Err(Failure::Api(failure)),
        };
        match (wish, &args.config) {
            (Wish::Stop, _) => break,
            (Wish::ReadAgain, Some(file)) => reload.read_again(file, &server).await,
            (Wish::ReadAgain, None) => tracing::warn!("there is no configuration to read again"),
        }
    }
    stop(server, signals, Duration::from_secs(args.drain_seconds.into())).await;
    Ok(())
}

/// Running calls may go on up to `limit`; a second signal ends them, and the server a second later at the latest.
async fn stop(server: Server, mut signals: Signals, limit: Duration) {
    tracing::info!(target: STATE, "stopping: no new calls, running calls may go on for {} s", limit.as_secs());
    let hurry = Notify::new();
    let mut drained = pin!(server.drain_or_hurry(limit, hurry.notified()));
    tokio::select! {
        () = &mut drained => return tracing::info!(target: STATE, "stopped"),
        () = signals.stop_again() => hurry.notify_one(),
    }
    tracing::warn!(target: STATE, "every call ends now, as a second signal asked");
    match tokio::time::timeout(LAST_SECOND, drained).await {
        Ok(()) => tracing::info!(target: STATE, "stopped"),
        Err(_) => {
            tracing::warn!(target: STATE, "stopped before everything was over; the next start closes what is open")
        }
    }
}

/// How long the server may take after a second signal.
const LAST_SECOND: Duration = Duration::from_secs(1);

/// A server as the file says, with the domain it has.
async fn with_file(file: &Path) -> Result<(Configuration, Box<str>, Server), Failure> {
    let configuration = config::read(file)?;
    for entry in configuration.api_keys.iter().filter(|entry| entry.is_plain) {
        let name = &entry.key.name;
        tracing::info!(%name, "the configuration holds this API key itself; `dialbridge key` makes one that it need not hold");
    }
    for (table, is_empty) in
        [("api_keys", configuration.api_keys.is_empty()), ("extensions", configuration.extensions.is_empty())]
    {
        if is_empty {
            tracing::warn!("there are no [[{table}]]: no call can be placed");
        }
    }
    let store = open(&configuration).await?;
    let domain = configuration.domain();
    let extensions = configuration.extensions_in(&domain);
    let kept = Kept { domain: domain.clone(), extensions, keys: configuration.keys() };
    let server = start(&configuration, store, kept).await?;
    Ok((configuration, domain, server))
}

/// A server with what the first start made; at the first start that is made, shown and kept.
async fn without_file(configuration: Configuration) -> Result<(Configuration, Box<str>, Server), Failure> {
    let store = open(&configuration).await?;
    let unreadable = |source| Failure::Data { folder: configuration.data_folder.clone(), source };
    if let Some(kept) = first_start::kept(&store).await.map_err(unreadable)? {
        let domain = kept.domain.clone();
        let server = start(&configuration, store, kept).await?;
        return Ok((configuration, domain, server));
    }
    let made = Made::new(configuration.domain());
    let kept = made.to_serve();
    let domain = kept.domain.clone();
    let server = start(&configuration, store.clone(), kept).await?;
    let sip_port = server.b2bua().bound().first().map_or(5060, |(_, address)| address.port());
    // Shown before it is kept: what is kept without having been seen is of no use to anybody.
    output::try_say(&made.announcement(server.http(), sip_port)).map_err(Failure::Announcement)?;
    let (extensions, keys) = made.to_store();
    if !store.put_first_start(&extensions, &keys).await.map_err(unreadable)? {
        return Err(Failure::SecondServer(configuration.data_folder));
    }
    Ok((configuration, domain, server))
}

async fn open(configuration: &Configuration) -> Result<Store, Failure> {
    let folder = &configuration.data_folder;
    Store::open(folder).await.map_err(|source| Failure::Data { folder: folder.clone(), source })
}

async fn start(configuration: &Configuration, store: Store, kept: Kept) -> Result<Server, Failure> {
    let Kept { domain, extensions, keys } = kept;
    let mut settings = configuration.settings(domain, extensions);
    let mut http = HttpOptions::from(&configuration.http);
    for doubt in configuration.doubts() {
        tracing::warn!(target: STATE, "{doubt}");
    }
    if let Ok(descriptors) = Descriptors::raised() {
        settings.sockets = descriptors.sockets();
        http.allow(descriptors.http());
        let allowed = descriptors.allowed();
        tracing::info!(target: STATE, allowed, "descriptors");
        if let Some(shortage) = descriptors.shortage(configuration.limits.calls) {
            tracing::warn!(target: STATE, "{shortage}");
        }
    }
    Ok(Server::start(ServerOptions { http, store, settings, keys }).await?)
}

/// The one line that says that calls can be taken.
fn announce_ready(server: &Server, rtp: &RangeInclusive<u16>) {
    let bound = server.b2bua().bound();
    let sip: Vec<String> = bound.iter().map(|(transport, at)| format!("{}:{at}", transport.word())).collect();
    if let Some(health) = server.health() {
        tracing::info!(target: STATE, %health, "health is answered");
    }
    let (http, sip, rtp) = (server.http(), sip.join(","), format!("{}-{}", rtp.start(), rtp.end()));
    tracing::info!(target: STATE, %http, %sip, %rtp, "ready");
}

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Configuration(#[from] Mistakes),
    #[error("cannot open the data folder {}: {}; {}", .folder.display(), chain(.source), data_advice(.source))]
    Data { folder: PathBuf, source: StoreError },
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the first start's key and passwords cannot be shown, and are not kept: {0}")]
    Announcement(io::Error),
    #[error("another server made its key and extensions in {} just now; what was shown is not valid", .0.display())]
    SecondServer(PathBuf),
    #[error("signals cannot be listened to: {0}")]
    Signals(io::Error),
    #[error("the API failed: {0}")]
    Api(io::Error),
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Self::Configuration(_) => Exit::Wrong,
            Self::Data { .. }
            | Self::Start(_)
            | Self::Announcement(_)
            | Self::SecondServer(_)
            | Self::Signals(_)
            | Self::Api(_) => Exit::Unable,
        }
    }

    fn lines(&self) -> Vec<String> {
        match self {
            Self::Configuration(mistakes) => mistakes.lines().collect(),
            Self::Data { .. }
            | Self::Start(_)
            | Self::Announcement(_)
            | Self::SecondServer(_)
            | Self::Signals(_)
            | Self::Api(_) => vec![self.to_string()],
        }
    }
}

/// What to do about a data folder that cannot be opened.
const fn data_advice(error: &StoreError) -> &'static str {
    if let StoreError::InUse { .. } = error {
        "end that server, or let data.folder name another folder"
    } else {
        "it must be writable for this user, or data.folder must name another"
    }
}

/// An error and everything that it comes from.
fn chain(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_core::Transport;
    use std::net::SocketAddr;

    fn on_free_ports(folder: &Path) -> Configuration {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut configuration = Configuration::default();
        configuration.http.listen = any;
        configuration.sip.listen = vec![(Transport::Udp, any), (Transport::Tcp, any)];
        configuration.media.ports = 41_400..=41_499;
        configuration.data_folder = folder.join("data");
        configuration
    }

    #[tokio::test]
    async fn the_second_start_without_a_file_serves_what_the_first_made() {
        let folder = tempfile::tempdir().unwrap();
        let (configuration, domain, server) = without_file(on_free_ports(folder.path())).await.unwrap();
        assert_eq!(&*domain, "127.0.0.1");
        server.drain(Duration::ZERO).await;
        let store = open(&configuration).await.unwrap();
        let made = first_start::kept(&store).await.unwrap().unwrap();
        store.close().await;

        // Another address, the old realm: the digests stay good.
        let mut moved = configuration;
        moved.sip.domain = Some("elsewhere.example".into());
        let (configuration, domain, server) = without_file(moved).await.unwrap();
        assert_eq!(&*domain, "127.0.0.1");
        server.drain(Duration::ZERO).await;
        let store = open(&configuration).await.unwrap();
        let kept = first_start::kept(&store).await.unwrap().unwrap();
        assert_eq!(kept.extensions.len(), 2);
        assert_eq!(kept.extensions[1].secret, made.extensions[1].secret);
        assert_eq!(kept.keys[0].sha256, made.keys[0].sha256);
    }
}
