//! Gives a handset its sockets and a clock.

use crate::{
    Account, CallMedia, Command, Handset, HandsetAction, Outcome, PhoneEvent, Report, Script, Source,
};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use sip_core::Flow;
use sip_message::{Host, StreamFramer};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

pub use sip_core::Transport;

/// What a driver is started with.
#[derive(Debug, Clone)]
pub struct DriverOptions {
    /// Where the server listens.
    pub server: SocketAddr,
    /// How it is spoken to.
    pub transport: Transport,
    /// The name that the server has to prove, and to whom that is believed. TLS needs it.
    pub tls: Option<(ServerName<'static>, Arc<ClientConfig>)>,
    /// The address to bind for SIP and RTP; the one that faces the server when absent.
    pub local: Option<IpAddr>,
    /// User part of the address-of-record.
    pub user: Box<str>,
    /// Answers challenges.
    pub password: Option<Box<str>>,
    /// Shown to those who are called.
    pub display_name: Option<Box<str>>,
    /// Host part of the address-of-record; the address of the server when absent.
    pub domain: Option<Host>,
    /// What to do.
    pub script: Script,
    /// What to play.
    pub source: Source,
    /// In hertz: fails unless it was heard.
    pub expected_tone: Option<f64>,
}

/// A phone on real sockets.
pub struct Driver {
    handset: Handset,
    local: SocketAddr,
    way: Way,
    sip: Sip,
    rtp: UdpSocket,
    /// Held so that nobody else gets the port; what comes there is not read.
    _rtcp: UdpSocket,
    reports: mpsc::UnboundedSender<Report>,
    commands: mpsc::Receiver<Command>,
}

/// Why a phone could not be started.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// No way to the server, or the local address is not ours.
    #[error("cannot open a SIP socket towards {server}: {source}")]
    Sip {
        /// Where it was to go.
        server: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// No pair of ports.
    #[error("cannot open an RTP socket on {address}: {source}")]
    Rtp {
        /// Where it was to be.
        address: IpAddr,
        /// Why not.
        source: io::Error,
    },
}

/// How the server is reached.
#[derive(Clone)]
struct Way {
    server: SocketAddr,
    transport: Transport,
    tls: Option<(ServerName<'static>, Arc<ClientConfig>)>,
}

enum Sip {
    Udp(UdpSocket),
    Stream {
        read: Box<dyn AsyncRead + Send + Unpin>,
        write: Box<dyn AsyncWrite + Send + Unpin>,
        framer: StreamFramer,
    },
    /// The connection was closed.
    Closed,
    /// A new one is being opened.
    Opening(JoinHandle<io::Result<(Self, SocketAddr)>>),
}

impl Driver {
    /// Opens the sockets and begins the script. Events go to `reports`.
    ///
    /// # Errors
    /// See [`BindError`].
    pub async fn start(
        options: DriverOptions,
        reports: mpsc::UnboundedSender<Report>,
        commands: mpsc::Receiver<Command>,
    ) -> Result<Self, BindError> {
        let DriverOptions { server, transport, tls, .. } = options;
        let way = Way { server, transport, tls };
        let opened = Sip::open(&way, options.local).await;
        let (sip, local) = opened.map_err(|source| BindError::Sip { server, source })?;
        let address = local.ip();
        let (rtp, rtcp) = rtp_pair(address).await.map_err(|source| BindError::Rtp { address, source })?;
        let rtp_address = rtp.local_addr().map_err(|source| BindError::Rtp { address, source })?;
        let account = Account {
            user: options.user,
            password: options.password,
            display_name: options.display_name,
            domain: options.domain.unwrap_or(Host::Address(server.ip())),
            flow: Flow { transport, local, remote: server, peer: None },
            rtp: rtp_address,
        };
        let seed = rand::random();
        let handset = Handset::new(
            account,
            options.script,
            options.source,
            options.expected_tone,
            seed,
            Instant::now(),
        );
        Ok(Self { handset, local, way, sip, rtp, _rtcp: rtcp, reports, commands })
    }

    /// Where the phone is reached by SIP.
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Runs until the script has ended; it is ended, too, when nobody can send commands any more. What was heard in
    /// each call goes to `heard` at its end.
    pub async fn run(mut self, mut heard: impl FnMut(CallMedia)) -> Outcome {
        let mut datagram = vec![0; DATAGRAM_OCTETS_MAX];
        let mut packet = vec![0; PACKET_OCTETS_MAX];
        let mut commands_open = true;
        loop {
            if let Some(outcome) = self.perform(&mut heard).await {
                return outcome;
            }
            let due = self.handset.poll_timeout();
            tokio::select! {
                biased;
                received = self.rtp.recv_from(&mut packet) => {
                    if let Ok((length, from)) = received {
                        self.handset.handle_rtp(&packet[..length], from, Instant::now());
                    }
                }
                received = self.sip.receive(&mut datagram) => self.handle_received(received, &datagram),
                command = self.commands.recv(), if commands_open => {
                    commands_open = command.is_some();
                    self.handset.handle_command(&command.unwrap_or(Command::Leave), Instant::now());
                }
                () = until(due) => self.handset.handle_timeout(Instant::now()),
            }
        }
    }

    /// Does what the handset wants; the outcome when its script has ended.
    async fn perform(&mut self, heard: &mut impl FnMut(CallMedia)) -> Option<Outcome> {
        while let Some(action) = self.handset.poll_action() {
            match action {
                HandsetAction::Sip { flow, octets } => {
                    tracing::debug!(target: "sip.wire", to = %flow.remote, "{}", start_line(&octets));
                    if self.sip.send(flow.remote, &octets).await.is_err() {
                        self.not_sent(flow);
                    }
                }
                HandsetAction::Rtp { to, octets } => {
                    if let Err(error) = self.rtp.send_to(&octets, to).await {
                        tracing::debug!(%to, %error, "an RTP packet was not sent");
                    }
                }
                HandsetAction::Report(event) => {
                    let outcome =
                        if let PhoneEvent::Finished(outcome) = &event { Some(outcome.clone()) } else { None };
                    // Nobody has to listen.
                    let _ = self.reports.send(Report { at: SystemTime::now(), event });
                    if outcome.is_some() {
                        return outcome;
                    }
                }
                HandsetAction::CallMedia(call) => heard(call),
            }
        }
        if self.handset.poll_connect() {
            self.sip = Sip::Opening(tokio::spawn(Sip::open_again(self.way.clone(), self.local.ip())));
        }
        None
    }

    fn not_sent(&mut self, flow: Flow) {
        match &self.sip {
            Sip::Stream { .. } => self.closed(),
            Sip::Udp(_) | Sip::Closed | Sip::Opening(_) => {
                self.handset.handle_unreachable(flow, Instant::now());
            }
        }
    }

    fn closed(&mut self) {
        self.sip = Sip::Closed;
        let flow = self.flow(self.way.server);
        self.handset.handle_closed(flow, Instant::now());
    }

    const fn flow(&self, remote: SocketAddr) -> Flow {
        Flow { transport: self.way.transport, local: self.local, remote, peer: None }
    }

    fn handle_received(&mut self, received: io::Result<Received>, datagram: &[u8]) {
        let (server, now) = (self.way.server, Instant::now());
        match received {
            Ok(Received::Datagram { length, from }) => {
                self.handset.handle_sip(&datagram[..length], self.flow(from), now);
            }
            Ok(Received::Stream { length }) => {
                for message in self.sip.cut(&datagram[..length]) {
                    self.handset.handle_sip(&message, self.flow(server), now);
                }
                if matches!(self.sip, Sip::Closed) {
                    self.closed();
                }
            }
            Ok(Received::Opened { sip, local }) => {
                (self.sip, self.local) = (sip, local);
                self.handset.handle_connected(self.flow(server), now);
            }
            Ok(Received::NotOpened(error)) => {
                tracing::info!(%server, %error, "the server cannot be connected to");
                self.sip = Sip::Closed;
                self.handset.handle_not_connected(now);
            }
            // A port of the server that nobody listens at is reported by the kernel (RFC 3261 §18.4).
            Err(_) if self.way.transport == Transport::Udp => {
                self.handset.handle_unreachable(self.flow(server), now);
            }
            Ok(Received::End) | Err(_) => self.closed(),
        }
    }
}

enum Received {
    Datagram { length: usize, from: SocketAddr },
    Stream { length: usize },
    End,
    Opened { sip: Sip, local: SocketAddr },
    NotOpened(io::Error),
}

impl Sip {
    async fn open(way: &Way, local: Option<IpAddr>) -> io::Result<(Self, SocketAddr)> {
        if way.transport == Transport::Udp {
            let address = match local {
                Some(address) => address,
                None => facing(way.server).await?,
            };
            let socket = UdpSocket::bind((address, 0)).await?;
            let local = socket.local_addr()?;
            return Ok((Self::Udp(socket), local));
        }
        let stream = connect(way.server, local).await?;
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        if way.transport == Transport::Tcp {
            return Ok((Self::stream(stream.into_split()), local));
        }
        let Some((name, config)) = way.tls.clone() else { return Err(io::ErrorKind::Unsupported.into()) };
        let handshake = TlsConnector::from(config).connect(name, stream);
        let stream = timeout(CONNECT_TIMEOUT, handshake).await??;
        Ok((Self::stream(tokio::io::split(stream)), local))
    }

    fn stream(
        (read, write): (impl AsyncRead + Send + Unpin + 'static, impl AsyncWrite + Send + Unpin + 'static),
    ) -> Self {
        Self::Stream { read: Box::new(read), write: Box::new(write), framer: StreamFramer::default() }
    }

    async fn open_again(way: Way, local: IpAddr) -> io::Result<(Self, SocketAddr)> {
        timeout(CONNECT_TIMEOUT, Self::open(&way, Some(local))).await?
    }

    async fn send(&mut self, to: SocketAddr, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.send_to(octets, to).await.map(|_| ()),
            Self::Stream { write, .. } => {
                write.write_all(octets).await?;
                write.flush().await
            }
            Self::Closed | Self::Opening(_) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    async fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        match self {
            Self::Udp(socket) => {
                socket.recv_from(buffer).await.map(|(length, from)| Received::Datagram { length, from })
            }
            Self::Stream { read, .. } => match read.read(buffer).await? {
                0 => Ok(Received::End),
                length => Ok(Received::Stream { length }),
            },
            Self::Closed => std::future::pending().await,
            Self::Opening(opening) => match opening.await.map_err(io::Error::other) {
                Ok(Ok((sip, local))) => Ok(Received::Opened { sip, local }),
                Ok(Err(error)) | Err(error) => Ok(Received::NotOpened(error)),
            },
        }
    }

    /// The messages that are whole; a stream that cannot be read on is closed.
    fn cut(&mut self, octets: &[u8]) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        let Self::Stream { framer, .. } = self else { return messages };
        framer.push(octets);
        loop {
            match framer.poll() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => return messages,
                Err(error) => {
                    tracing::warn!(%error, "the stream from the server cannot be read");
                    *self = Self::Closed;
                    return messages;
                }
            }
        }
    }
}

/// Who reads logs need not see credentials and escapes.
fn start_line(octets: &[u8]) -> String {
    let line = octets.split(|octet| *octet == b'\r').next().unwrap_or_default();
    String::from_utf8_lossy(line).escape_debug().to_string()
}

async fn connect(server: SocketAddr, local: Option<IpAddr>) -> io::Result<TcpStream> {
    let Some(local) = local else { return TcpStream::connect(server).await };
    let socket = match local {
        IpAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        IpAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    socket.bind(SocketAddr::new(local, 0))?;
    socket.connect(server).await
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Our address that faces the server: asked of the kernel, nothing is sent.
async fn facing(server: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    Ok(socket.local_addr()?.ip())
}

/// An even port and the odd one above it (RFC 3550 §11).
async fn rtp_pair(address: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..PAIRS_TRIED {
        let rtp = UdpSocket::bind((address, 0)).await?;
        let port = rtp.local_addr()?.port();
        if port % 2 != 0 {
            continue;
        }
        match UdpSocket::bind((address, port + 1)).await {
            Ok(rtcp) => return Ok((rtp, rtcp)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

const DATAGRAM_OCTETS_MAX: usize = 65_535;
const PACKET_OCTETS_MAX: usize = 2_048;
const PAIRS_TRIED: usize = 100;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
