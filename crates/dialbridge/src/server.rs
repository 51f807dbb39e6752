//! The server as a value: B2BUA, API and store, wired.

use crate::config::Http;
use crate::descriptors::{HEALTH_CONNECTIONS, HttpMax};
use call_store::Store;
use control_api::{ApiKey, Connections, Keys};
use sip_b2bua::{B2bua, Extension, Settings};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What a server is started with.
pub struct ServerOptions {
    /// Where the API listens, and who has its connections.
    pub http: HttpOptions,
    /// Registrations, calls and records; closed by [`Server::drain`].
    pub store: Store,
    /// Signalling, media and extensions.
    pub settings: Settings,
    /// Who may use the API.
    pub keys: Vec<ApiKey>,
}

/// The API's sockets; port 0 takes a free one.
pub struct HttpOptions {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where it says how the server is, and nothing else.
    pub health_listen: Option<SocketAddr>,
    /// Who has its connections.
    pub connections: Connections,
    /// Connections at once where it says how the server is, and nothing else.
    pub health_connections: usize,
}

impl HttpOptions {
    /// No more connections than these.
    pub(crate) fn allow(&mut self, max: HttpMax) {
        self.connections.max = max.connections;
        self.connections.for_health = max.for_health;
        self.health_connections = max.on_health_listen;
    }
}

impl From<&Http> for HttpOptions {
    fn from(http: &Http) -> Self {
        let connections = Connections { proxies: http.proxies.clone(), ..Connections::default() };
        let Http { listen, health_listen, .. } = *http;
        Self { listen, health_listen, connections, health_connections: HEALTH_CONNECTIONS }
    }
}

/// A running server. Dropped without [`Server::drain`] it ends its calls without a word.
pub struct Server {
    http: SocketAddr,
    health: Option<SocketAddr>,
    b2bua: B2bua,
    store: Store,
    keys: Keys,
    stop_http: watch::Sender<()>,
    serving_http: JoinHandle<()>,
}

/// Why a server does not start. The message names the address and what can be done.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address of the API cannot be had.
    #[error("cannot listen on http {address}: {source}; {}", advice(.source.kind(), .key))]
    Http {
        /// The address that was asked for.
        address: SocketAddr,
        /// Which key of the configuration says so.
        key: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A SIP address cannot be had, or a part of the B2BUA does not start.
    #[error("{}{}", .0, sip_advice(.0))]
    B2bua(#[from] sip_b2bua::StartError),
}

impl Server {
    /// Binds every address and starts to serve.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is bound then.
    pub async fn start(options: ServerOptions) -> Result<Self, StartError> {
        let ServerOptions { http, store, settings, keys } = options;
        let HttpOptions { listen, health_listen, connections, health_connections } = http;
        let (listener, http) = bind(listen, "http.listen").await?;
        let health_listener = match health_listen {
            Some(address) => Some(bind(address, "http.health_listen").await?),
            None => None,
        };
        let b2bua = B2bua::start(settings, store.clone()).await?;
        let keys = Keys::new(keys);
        let router = control_api::router(Arc::new(b2bua.clone()), store.clone(), keys.clone());
        let (stop_http, stopped) = watch::channel(());
        let stop = || {
            let mut stopped = stopped.clone();
            async move { stopped.changed().await }
        };
        let health = health_listener.as_ref().map(|(_, address)| *address);
        let serving_api = control_api::serve(listener, router, connections, stop());
        let serving_health = health_listener.map(|(listener, _)| {
            let router = control_api::health_router(Arc::new(b2bua.clone()));
            let connections =
                Connections { max: health_connections, for_health: 0, ..Connections::default() };
            control_api::serve(listener, router, connections, stop())
        });
        let serving_http = tokio::spawn(async move {
            match serving_health {
                Some(serving_health) => {
                    tokio::join!(serving_api, serving_health);
                }
                None => serving_api.await,
            }
        });
        Ok(Self { http, health, b2bua, store, keys, stop_http, serving_http })
    }

    /// Where it says how it is, if that is another address, the real port in.
    pub fn health(&self) -> Option<SocketAddr> {
        self.health
    }

    /// Where the API listens, the real port in.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The calls.
    pub fn b2bua(&self) -> &B2bua {
        &self.b2bua
    }

    /// Puts other keys and extensions in the place of those in force. Running calls go on.
    pub async fn replace(&self, keys: Vec<ApiKey>, extensions: Vec<Extension>) {
        self.keys.replace(keys);
        self.b2bua.replace_extensions(extensions).await;
    }

    /// Waits for the end of the API, which comes only when something is broken.
    pub async fn failed(&mut self) -> io::Error {
        match (&mut self.serving_http).await {
            Ok(()) => io::Error::other("the API has ended"),
            Err(panic) => io::Error::other(panic),
        }
    }

    /// Takes no new calls, waits up to `limit` for the running ones, ends the rest, and stops. The API answers until the
    /// last call is over. Its records are on disk when it returns, and the store is closed.
    pub async fn drain(self, limit: Duration) {
        self.drain_or_hurry(limit, std::future::pending()).await;
    }

    /// As [`drain`](Self::drain); once `hurry` is over, every call is ended at once, and a phone has less than a second to
    /// confirm it.
    pub async fn drain_or_hurry(self, limit: Duration, hurry: impl Future<Output = ()> + Send) {
        self.b2bua.drain_or_hurry(limit, hurry).await;
        // Gone already if the API has ended by itself.
        let _gone = self.stop_http.send(());
        if let Err(panic) = self.serving_http.await {
            tracing::error!(%panic, "the API ended with a panic");
        }
        self.store.close().await;
    }
}

async fn bind(address: SocketAddr, key: &'static str) -> Result<(TcpListener, SocketAddr), StartError> {
    let fault = |source| StartError::Http { address, key, source };
    let listener = TcpListener::bind(address).await.map_err(fault)?;
    let bound = listener.local_addr().map_err(fault)?;
    Ok((listener, bound))
}

/// What to do about an address that cannot be had.
fn advice(kind: io::ErrorKind, key: &str) -> String {
    if kind == io::ErrorKind::AddrInUse {
        format!("another program has it: end that one, or set {key} to another port")
    } else if kind == io::ErrorKind::AddrNotAvailable {
        format!("this machine has no such address: set {key} to one that it has, or to 0.0.0.0")
    } else if kind == io::ErrorKind::PermissionDenied {
        format!(
            "ports below 1024 need a privilege: set {key} to a higher port, or grant CAP_NET_BIND_SERVICE"
        )
    } else {
        format!("see {key}")
    }
}

fn sip_advice(error: &sip_b2bua::StartError) -> String {
    match error {
        sip_b2bua::StartError::Bind { source, .. } => format!("; {}", advice(source.kind(), "sip.listen")),
        sip_b2bua::StartError::Relay(_)
        | sip_b2bua::StartError::Store(_)
        | sip_b2bua::StartError::Recovery => String::new(),
    }
}
