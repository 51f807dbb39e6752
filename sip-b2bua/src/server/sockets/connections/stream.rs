//! One connection: messages out of its stream, octets into it.

use super::Line;
use super::load::Load;
use crate::server::sockets::Received;
use sip_core::Flow;
use sip_message::{FramingError, StreamFramer};
use socket2::{SockRef, TcpKeepalive};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

/// From the first octet of a message to the end of its header, and again to the end of its body; also how long octets may
/// lie unread by the peer.
const SECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that has not brought one whole message is not kept longer.
const FIRST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(20);
/// One that has, and is silent, when nobody has logged in along it: a phone that was challenged comes again at once.
const STRANGER_TIMEOUT: Duration = Duration::from_secs(32);
/// One along which a phone has logged in: longer than the longest registration.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2 * 3600);

/// When a silent connection is probed for the first time, and how often after that.
const KEEPALIVE_TIME: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// How long what was sent may be without an acknowledgement.
#[cfg(target_os = "linux")]
const UNREAD_TIME: Duration = Duration::from_secs(60);

/// How long a peer may take to take our farewell.
const FAREWELL: Duration = Duration::from_secs(1);

/// What every connection is set to, before anything is said along it.
pub(super) fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    // A phone that has gone without a word is noticed within minutes (RFC 1122 §4.2.3.6, RFC 5482).
    let socket = SockRef::from(stream);
    let probes = TcpKeepalive::new().with_time(KEEPALIVE_TIME).with_interval(KEEPALIVE_INTERVAL);
    let _ = socket.set_tcp_keepalive(&probes);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(UNREAD_TIME));
}

/// Carries messages both ways until the peer closes, breaks the framing, lets too much time pass, or is given up.
pub(super) async fn carry(
    (read, mut write): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    flow: Flow,
    line: &Line,
    queue: mpsc::UnboundedReceiver<Vec<u8>>,
    received: &mpsc::Sender<Received>,
) {
    tokio::select! {
        () = write_out(&mut write, queue, &line.load) => {}
        () = read_in(read, flow, line, received) => {}
        () = line.end.notified() => {}
    }
    // Over TLS the end is said (RFC 8446 §6.1): a connection that just breaks off looks like an attack.
    let _ = timeout(FAREWELL, write.shutdown()).await;
}

async fn write_out(
    write: &mut (impl AsyncWrite + Unpin),
    mut queue: mpsc::UnboundedReceiver<Vec<u8>>,
    load: &Load,
) {
    while let Some(octets) = queue.recv().await {
        let written = async {
            write.write_all(&octets).await?;
            write.flush().await
        };
        if !matches!(timeout(SECTION_TIMEOUT, written).await, Ok(Ok(()))) {
            return;
        }
        load.remove(octets.len());
    }
}

/// Reads until the peer closes, breaks the framing (RFC 3261 §18.3) or lets too much time pass.
async fn read_in(
    mut read: impl AsyncRead + Unpin,
    flow: Flow,
    line: &Line,
    received: &mpsc::Sender<Received>,
) {
    let mut framer = StreamFramer::default();
    let mut buffer = vec![0; 8192];
    let mut since = Instant::now();
    let mut section = Section::First;
    loop {
        // What is handled is said to be so at once: whoever is not let go in this time reads nothing, or is somebody else.
        if timeout(SECTION_TIMEOUT, line.load.is_light()).await.is_err() {
            return;
        }
        let length = loop {
            let known = line.is_known.load(Ordering::Relaxed);
            match timeout_at(since + section.timeout(known), read.read(&mut buffer)).await {
                Ok(Ok(length @ 1..)) => break length,
                // Somebody has logged in meanwhile.
                Err(_) if !known && line.is_known.load(Ordering::Relaxed) => {}
                Ok(Ok(0) | Err(_)) | Err(_) => return,
            }
        };
        framer.push(&buffer[..length]);
        let mut whole_messages = false;
        loop {
            match framer.poll() {
                Ok(Some(octets)) => {
                    whole_messages = true;
                    // What is read has room: the load is looked at before more is.
                    let _ = line.load.add(octets.len());
                    if received.send(Received::Octets { flow, octets }).await.is_err() {
                        return;
                    }
                }
                Ok(None) => break,
                // What was readable of the header is answered with 400; then the stream is closed.
                Err(error) => return last_words(error, flow, received).await,
            }
        }
        for _ in 0..framer.take_pings().min(PONGS_MAX) {
            line.send(b"\r\n".to_vec());
        }
        let reached = Section::of(&framer, section, whole_messages);
        if whole_messages || reached != section {
            (section, since) = (reached, Instant::now());
        }
    }
}

/// Pings of one read that are answered (RFC 5626 §4.4.1).
const PONGS_MAX: usize = 4;

/// Which part of a message is being waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    /// The first message of the connection.
    First,
    Between,
    Header,
    Body,
}

impl Section {
    fn of(framer: &StreamFramer, before: Self, whole_messages: bool) -> Self {
        match (framer.is_mid_header(), framer.is_mid_body()) {
            (_, true) => Self::Body,
            (true, false) => Self::Header,
            (false, false) if before == Self::First && !whole_messages => Self::First,
            (false, false) => Self::Between,
        }
    }

    const fn timeout(self, is_known: bool) -> Duration {
        match self {
            Self::First => FIRST_MESSAGE_TIMEOUT,
            Self::Between if is_known => IDLE_TIMEOUT,
            Self::Between => STRANGER_TIMEOUT,
            Self::Header | Self::Body => SECTION_TIMEOUT,
        }
    }
}

async fn last_words(error: FramingError, flow: Flow, received: &mpsc::Sender<Received>) {
    if received.send(Received::Unframed { flow, error }).await.is_ok() {
        // Time for the answer to leave before the connection goes.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
