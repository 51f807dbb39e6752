//! TCP connections, those that were accepted and those that we opened.

use super::{LocalAddresses, Received};
use sip_core::{Flow, Transport};
use sip_message::{FramingError, StreamFramer};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

/// All connections, by their far address.
pub(super) struct Connections {
    received: mpsc::Sender<Received>,
    writers: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>>,
    opened: mpsc::UnboundedReceiver<Opened>,
    opening: mpsc::UnboundedSender<Opened>,
}

/// A connection that was accepted.
struct Opened {
    remote: SocketAddr,
    writer: mpsc::Sender<Vec<u8>>,
}

/// Messages that wait for a reader that does not read; then the connection is given up.
const WRITE_QUEUE: usize = 256;
/// Connections at once, in all and from one address.
const CONNECTIONS_MAX: usize = 4096;
const CONNECTIONS_FROM_ONE_MAX: usize = 256;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// From the first octet of a message to the end of its header, and again to the end of its body.
const SECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that has not brought one whole message is not kept longer.
const FIRST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(20);
/// One that has, and is silent: longer than the longest registration.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2 * 3600);

impl Connections {
    pub(super) fn new(received: mpsc::Sender<Received>) -> Self {
        let (opening, opened) = mpsc::unbounded_channel();
        Self { received, writers: HashMap::new(), opened, opening }
    }

    pub(super) async fn listen(&self, address: SocketAddr, local: LocalAddresses) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        tokio::spawn(accept(listener, bound, local, self.received.clone(), self.opening.clone()));
        Ok(bound)
    }

    pub(super) fn send(&mut self, flow: Flow, octets: Vec<u8>) {
        self.learn_opened();
        let writer = self.writers.entry(flow.remote).or_insert_with(|| {
            let (writer, queue) = mpsc::channel(WRITE_QUEUE);
            tokio::spawn(open(flow, queue, self.received.clone()));
            writer
        });
        // A full queue is a peer that does not read: it is given up, and its connection closes when the write that
        // is stuck has waited for long enough.
        if writer.try_send(octets).is_err() {
            self.writers.remove(&flow.remote);
            report_closed(self.received.clone(), flow);
        }
    }

    pub(super) fn closed(&mut self, flow: Flow) {
        self.learn_opened();
        if self.writers.get(&flow.remote).is_some_and(mpsc::Sender::is_closed) {
            self.writers.remove(&flow.remote);
        }
    }

    /// Takes in the connections that were accepted in the meantime.
    fn learn_opened(&mut self) {
        while let Ok(Opened { remote, writer }) = self.opened.try_recv() {
            self.writers.insert(remote, writer);
        }
    }
}

fn report_closed(received: mpsc::Sender<Received>, flow: Flow) {
    tokio::spawn(async move { received.send(Received::Closed(flow)).await });
}

async fn accept(
    listener: TcpListener,
    bound: SocketAddr,
    mut local: LocalAddresses,
    received: mpsc::Sender<Received>,
    opening: mpsc::UnboundedSender<Opened>,
) {
    let (count, mut ended) = mpsc::unbounded_channel::<IpAddr>();
    let mut open_from: HashMap<IpAddr, usize> = HashMap::new();
    let mut open = 0;
    loop {
        let accepted = tokio::select! {
            () = received.closed() => return,
            accepted = listener.accept() => accepted,
        };
        while let Ok(from) = ended.try_recv() {
            open -= 1;
            if let Some(count) = open_from.get_mut(&from) {
                *count -= 1;
                if *count == 0 {
                    open_from.remove(&from);
                }
            }
        }
        let Ok((stream, remote)) = accepted else {
            // Out of file descriptors: those that are open go on, and one of them will close.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let from_one = open_from.entry(remote.ip()).or_default();
        if open >= CONNECTIONS_MAX || *from_one >= CONNECTIONS_FROM_ONE_MAX {
            continue;
        }
        open += 1;
        *from_one += 1;
        let flow = Flow { transport: Transport::Tcp, local: local.facing(bound, remote.ip()), remote };
        let (writer, queue) = mpsc::channel(WRITE_QUEUE);
        let _ = opening.send(Opened { remote, writer: writer.clone() });
        let (received, count) = (received.clone(), count.clone());
        tokio::spawn(async move {
            serve(stream, flow, writer, queue, &received).await;
            let _ = count.send(remote.ip());
            let _ = received.send(Received::Closed(flow)).await;
        });
    }
}

async fn open(flow: Flow, queue: mpsc::Receiver<Vec<u8>>, received: mpsc::Sender<Received>) {
    if let Ok(Ok(stream)) = timeout(CONNECT_TIMEOUT, TcpStream::connect(flow.remote)).await {
        let (pong, pongs) = mpsc::channel(WRITE_QUEUE);
        let (read, write) = stream.into_split();
        tokio::select! {
            () = write_out(write, queue, Some(pongs)) => {}
            () = read_in(read, flow, &pong, &received) => {}
        }
    }
    let _ = received.send(Received::Closed(flow)).await;
}

async fn serve(
    stream: TcpStream,
    flow: Flow,
    writer: mpsc::Sender<Vec<u8>>,
    queue: mpsc::Receiver<Vec<u8>>,
    received: &mpsc::Sender<Received>,
) {
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    tokio::select! {
        () = write_out(write, queue, None) => {}
        () = read_in(read, flow, &writer, received) => {}
    }
}

async fn write_out(
    mut write: OwnedWriteHalf,
    mut queue: mpsc::Receiver<Vec<u8>>,
    pongs: Option<mpsc::Receiver<Vec<u8>>>,
) {
    let (_keep_open, idle) = mpsc::channel(1);
    let mut pongs = pongs.unwrap_or(idle);
    loop {
        let octets = tokio::select! {
            octets = queue.recv() => octets,
            octets = pongs.recv() => octets,
        };
        let Some(octets) = octets else { return };
        if !matches!(timeout(SECTION_TIMEOUT, write.write_all(&octets)).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// Reads until the peer closes, breaks the framing (RFC 3261 §18.3) or lets too much time pass.
async fn read_in(
    mut read: OwnedReadHalf,
    flow: Flow,
    writer: &mpsc::Sender<Vec<u8>>,
    received: &mpsc::Sender<Received>,
) {
    let mut framer = StreamFramer::default();
    let mut buffer = vec![0; 8192];
    let mut due = Instant::now() + FIRST_MESSAGE_TIMEOUT;
    let mut section = Section::Between;
    loop {
        let Ok(Ok(length @ 1..)) = timeout_at(due, read.read(&mut buffer)).await else { return };
        framer.push(&buffer[..length]);
        let mut whole_messages = false;
        loop {
            match framer.poll() {
                Ok(Some(octets)) => {
                    whole_messages = true;
                    if received.send(Received::Octets { flow, octets }).await.is_err() {
                        return;
                    }
                }
                Ok(None) => break,
                // What was readable of the header is answered with 400; then the stream is closed.
                Err(error) => return last_words(error, flow, received).await,
            }
        }
        for _ in 0..framer.take_pings().min(4) {
            let _ = writer.try_send(b"\r\n".to_vec());
        }
        let reached = Section::of(&framer);
        if whole_messages || reached != section {
            section = reached;
            due = Instant::now() + section.timeout();
        }
    }
}

/// Which part of a message is being waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Between,
    Header,
    Body,
}

impl Section {
    fn of(framer: &StreamFramer) -> Self {
        match (framer.is_mid_header(), framer.is_mid_body()) {
            (_, true) => Self::Body,
            (true, false) => Self::Header,
            (false, false) => Self::Between,
        }
    }

    const fn timeout(self) -> Duration {
        match self {
            Self::Between => IDLE_TIMEOUT,
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
