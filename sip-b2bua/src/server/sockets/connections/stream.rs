//! One connection: messages out of its stream, octets into it.

use super::Line;
use super::load::Load;
use crate::keep_alive::{self, Due, KeepAlive};
use crate::server::sockets::Received;
use sip_core::Flow;
use sip_message::{FramingError, StreamFramer};
use socket2::{SockRef, TcpKeepalive};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
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

/// What is heard of the far side, for whoever pings it.
#[derive(Default)]
struct Heard {
    is_asked: AtomicBool,
    has_answered: AtomicBool,
    news: Notify,
}

/// Carries messages both ways until the peer closes, breaks the framing, lets too much time pass, or is given up. The
/// side that has opened the connection pings along it.
pub(super) async fn carry(
    (read, mut write): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    flow: Flow,
    line: &Line,
    (queue, received): (mpsc::UnboundedReceiver<Vec<u8>>, &mpsc::Sender<Received>),
    pings: Option<KeepAlive>,
) {
    let heard = Heard::default();
    let pinging = async {
        match pings {
            Some(pings) => ping(pings, line, &heard).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = write_out(&mut write, queue, &line.load) => {}
        () = read_in(read, flow, (line, &heard), received) => {}
        () = pinging => {}
        () = line.end.notified() => {}
    }
    // Over TLS the end is said (RFC 8446 §6.1): a connection that just breaks off looks like an attack.
    let _ = timeout(FAREWELL, write.shutdown()).await;
}

/// Pings until nobody answers any more.
async fn ping(mut pings: KeepAlive, line: &Line, heard: &Heard) {
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(pings.poll_timeout().into()) => {
                match pings.handle_timeout(std::time::Instant::now()) {
                    Due::Ping => {
                        heard.is_asked.store(true, Ordering::Relaxed);
                        line.send(keep_alive::PING.to_vec());
                    }
                    Due::Lost => return,
                    Due::Nothing => {}
                }
            }
            () = heard.news.notified() => {
                let is_pong = heard.has_answered.swap(false, Ordering::Relaxed);
                pings.handle_heard(is_pong, std::time::Instant::now());
            }
        }
    }
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
    (line, heard): (&Line, &Heard),
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
        if heard.is_asked.swap(false, Ordering::Relaxed) {
            framer.expect_pong();
        }
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
        if framer.take_pongs() > 0 {
            heard.has_answered.store(true, Ordering::Relaxed);
        }
        heard.news.notify_one();
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

#[cfg(test)]
mod tests {
    use super::*;
    use sip_core::Transport;
    use std::net::SocketAddr;
    use tokio::io::{DuplexStream, duplex};

    const EVERY: Duration = Duration::from_millis(100);
    const PATIENCE: Duration = Duration::from_millis(200);
    const SOON: Duration = Duration::from_secs(5);

    /// A connection that we have opened, or that was accepted, and its far end; and whether it is carried on.
    fn connection(is_opened: bool) -> (DuplexStream, tokio::task::JoinHandle<()>) {
        let (near, far) = duplex(4096);
        let remote = SocketAddr::from(([192, 0, 2, 1], 5060));
        let flow = Flow { transport: Transport::Tcp, local: remote, remote, peer: None };
        let (line, queue) = Line::new(None);
        let pings = is_opened.then(|| KeepAlive::with(EVERY, PATIENCE, std::time::Instant::now()));
        let carried = tokio::spawn(async move {
            // Nobody reads what comes.
            let (received, _receiver) = mpsc::channel(100);
            carry(tokio::io::split(near), flow, &line, (queue, &received), pings).await;
        });
        (far, carried)
    }

    async fn next(far: &mut DuplexStream) -> [u8; 4] {
        let mut octets = [0; 4];
        timeout(SOON, far.read_exact(&mut octets)).await.expect("a ping comes").expect("it is open");
        octets
    }

    #[tokio::test]
    async fn whoever_opens_a_connection_pings_along_it_and_takes_no_silence_for_its_end() {
        let (mut far, carried) = connection(true);
        for _ in 0..6 {
            assert_eq!(next(&mut far).await, *b"\r\n\r\n");
        }
        assert!(!carried.is_finished());
        drop(far);
        assert!(timeout(SOON, carried).await.is_ok());
        let (mut accepted, carried) = connection(false);
        let mut one = [0];
        assert!(timeout(EVERY * 4, accepted.read(&mut one)).await.is_err(), "it is not ours to ping");
        assert!(!carried.is_finished());
    }

    #[tokio::test]
    async fn a_far_side_that_has_answered_pings_and_does_not_any_more_is_lost() {
        let (mut far, carried) = connection(true);
        for _ in 0..3 {
            next(&mut far).await;
            far.write_all(b"\r\n").await.unwrap();
        }
        assert!(!carried.is_finished());
        let since = Instant::now();
        assert!(timeout(SOON, carried).await.is_ok(), "it goes on");
        assert!(since.elapsed() >= PATIENCE, "{:?}", since.elapsed());
        let mut rest = Vec::new();
        timeout(SOON, far.read_to_end(&mut rest)).await.unwrap().unwrap();
        assert_eq!(rest, b"\r\n\r\n", "its last ping, and no answer to its answers");
    }

    #[tokio::test]
    async fn pings_of_the_far_side_are_answered_whoever_has_opened_the_connection() {
        for is_opened in [true, false] {
            let (mut far, _carried) = connection(is_opened);
            far.write_all(b"\r\n\r\n").await.unwrap();
            let mut two = [0; 2];
            timeout(SOON, far.read_exact(&mut two)).await.expect("an answer comes").unwrap();
            assert_eq!(two, *b"\r\n");
        }
    }
}
