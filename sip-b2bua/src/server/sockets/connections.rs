//! Connections, those that were accepted and those that we opened, over TCP and TLS.

mod load;
mod security;
mod stream;

use super::{LocalAddresses, Received, canonical};
use crate::keep_alive::KeepAlive;
use load::Load;
use parking_lot::Mutex;
use places::{Capacity, Places};
pub(super) use security::Security;
use sip_core::{Flow, PeerId, Transport};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout_at;

/// All connections, by their far end.
pub(super) struct Connections {
    received: mpsc::Sender<Received>,
    lines: HashMap<FarEnd, Line>,
    /// Along which each user has logged in, the oldest first.
    of_users: HashMap<Box<str>, VecDeque<FarEnd>>,
    opened: mpsc::UnboundedReceiver<(FarEnd, Line)>,
    door: Arc<Door>,
    security: Arc<Security>,
}

/// What tells connections apart: of a flow all but our own address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FarEnd {
    transport: Transport,
    remote: SocketAddr,
    peer: Option<PeerId>,
}

impl From<Flow> for FarEnd {
    fn from(Flow { transport, local: _, remote, peer }: Flow) -> Self {
        Self { transport, remote, peer }
    }
}

/// One connection as those see it who write to it.
#[derive(Debug, Clone)]
struct Line {
    queue: mpsc::UnboundedSender<Vec<u8>>,
    load: Load,
    /// A phone has logged in along it.
    is_known: Arc<AtomicBool>,
    /// Its place among those that were accepted.
    place: Option<u64>,
    end: Arc<Notify>,
    /// Whoever wrote to it knows that it is gone.
    is_abandoned: Arc<AtomicBool>,
}

/// Where connections come in.
#[derive(Debug)]
struct Door {
    places: Mutex<Places<Arc<Notify>>>,
    left: Notify,
    opening: mpsc::UnboundedSender<(FarEnd, Line)>,
}

/// A place that is taken.
struct Place {
    id: u64,
    door: Arc<Door>,
}

/// However its connection ends, it is free again.
impl Drop for Place {
    fn drop(&mut self) {
        self.door.places.lock().leave(self.id);
        self.door.left.notify_one();
    }
}

/// Connections of one source along which nobody has logged in.
const STRANGERS_OF_ONE: usize = 256;
/// Connections along which one user has logged in: more than it may have bindings.
const OF_ONE_USER_MAX: usize = 20;
/// Until something can be said along a connection that we open, its handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// Between two tries when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Connections {
    /// `most`: of those that are accepted, at once.
    pub(super) fn new(received: mpsc::Sender<Received>, most: usize, security: Arc<Security>) -> Self {
        let (opening, opened) = mpsc::unbounded_channel();
        let capacity = Capacity { all: most, strangers_of_one: STRANGERS_OF_ONE, beyond: 0 };
        let places = Mutex::new(Places::new(capacity));
        let door = Arc::new(Door { places, left: Notify::new(), opening });
        Self { received, lines: HashMap::new(), of_users: HashMap::new(), opened, door, security }
    }

    /// # Errors
    /// The address cannot be bound, or there is no certificate to show at it.
    pub(super) async fn listen(
        &self,
        transport: Transport,
        address: SocketAddr,
        local: LocalAddresses,
    ) -> io::Result<SocketAddr> {
        if transport == Transport::Tls && !self.security.can_accept() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "there is no certificate"));
        }
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        let security = Arc::clone(&self.security);
        let listening = Listening { listener, transport, bound, local, security };
        tokio::spawn(accept(listening, self.received.clone(), Arc::clone(&self.door)));
        Ok(bound)
    }

    pub(super) fn send(&mut self, flow: Flow, octets: Vec<u8>) {
        self.learn_opened();
        let line = self.lines.entry(flow.into()).or_insert_with(|| {
            let (line, queue) = Line::new(None);
            let security = Arc::clone(&self.security);
            tokio::spawn(open(flow, line.clone(), queue, self.received.clone(), security));
            line
        });
        // Whom we ask something is one of our phones; strangers are answered at most.
        let is_asked = !octets.starts_with(b"SIP/2.0 ");
        if is_asked && !line.is_known.swap(true, Ordering::Relaxed) {
            line.place.inspect(|place| self.door.places.lock().trust(*place));
        }
        if !line.send(octets) {
            line.end.notify_one();
            self.lines.remove(&FarEnd::from(flow));
        }
    }

    /// What was read from it has been handled.
    pub(super) fn handled(&mut self, flow: Flow, octets: usize) {
        self.learn_opened();
        if let Some(line) = self.lines.get(&FarEnd::from(flow)) {
            line.load.remove(octets);
        }
    }

    /// A phone of `user` has logged in along it. Of too many of one user the oldest is a stranger's again.
    pub(super) fn trust(&mut self, flow: Flow, user: &str) {
        self.learn_opened();
        let Some(line) = self.lines.get(&FarEnd::from(flow)) else { return };
        line.is_known.store(true, Ordering::Relaxed);
        if let Some(place) = line.place {
            self.door.places.lock().trust(place);
        }
        let known = self.of_users.entry(user.into()).or_default();
        if !known.contains(&flow.into()) {
            let lines = &self.lines;
            known.retain(|far_end| lines.contains_key(far_end));
            known.push_back(flow.into());
        }
        while known.len() > OF_ONE_USER_MAX
            && let Some(oldest) = known.pop_front()
        {
            let Some(line) = self.lines.get(&oldest) else { continue };
            line.is_known.store(false, Ordering::Relaxed);
            line.place.inspect(|place| self.door.places.lock().distrust(*place));
        }
    }

    /// Nobody answers along it any more: what is sent to its far end from now on goes along a new one. Its end is not
    /// reported.
    pub(super) fn close(&mut self, flow: Flow) {
        self.learn_opened();
        if let Some(line) = self.lines.remove(&FarEnd::from(flow)) {
            line.is_abandoned.store(true, Ordering::Relaxed);
            line.end.notify_one();
        }
    }

    pub(super) fn closed(&mut self, flow: Flow) {
        self.learn_opened();
        if self.lines.get(&FarEnd::from(flow)).is_some_and(|line| line.queue.is_closed()) {
            self.lines.remove(&FarEnd::from(flow));
        }
    }

    /// Takes in the connections that were accepted in the meantime.
    fn learn_opened(&mut self) {
        while let Ok((far_end, line)) = self.opened.try_recv() {
            self.lines.insert(far_end, line);
        }
    }
}

impl Line {
    fn new(place: Option<u64>) -> (Self, mpsc::UnboundedReceiver<Vec<u8>>) {
        let (queue, queued) = mpsc::unbounded_channel();
        let (load, is_known, end, is_abandoned) = <(Load, Arc<AtomicBool>, _, _)>::default();
        (Self { queue, load, is_known, place, end, is_abandoned }, queued)
    }

    /// `false`: nobody reads there, or there is no connection any more.
    fn send(&self, octets: Vec<u8>) -> bool {
        self.load.add(octets.len()) && self.queue.send(octets).is_ok()
    }
}

/// A socket that connections come to.
struct Listening {
    listener: TcpListener,
    transport: Transport,
    bound: SocketAddr,
    local: LocalAddresses,
    security: Arc<Security>,
}

async fn accept(mut listening: Listening, received: mpsc::Sender<Received>, door: Arc<Door>) {
    let Listening { transport, bound, .. } = listening;
    loop {
        let accepted = tokio::select! {
            () = received.closed() => return,
            accepted = listening.listener.accept() => accepted,
        };
        let Ok((stream, remote)) = accepted else {
            // Out of file descriptors: those that are open go on, and one of them will close.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let remote = canonical(remote);
        let spoken_to = stream.local_addr().ok().map(|address| address.ip().to_canonical());
        let local = listening.local.facing(bound, spoken_to, remote.ip());
        let flow = Flow { transport, local, remote, peer: None };
        let (mut line, queue) = Line::new(None);
        let place = tokio::select! {
            () = received.closed() => return,
            place = enter(&door, remote.ip(), &line.end) => place,
        };
        line.place = Some(place.id);
        let _ = door.opening.send((flow.into(), line.clone()));
        let (received, security) = (received.clone(), Arc::clone(&listening.security));
        tokio::spawn(async move {
            serve(stream, flow, &line, queue, &received, &security).await;
            drop(place);
            if !line.is_abandoned.load(Ordering::Relaxed) {
                let _ = received.send(Received::Closed(flow)).await;
            }
        });
    }
}

/// Carries what comes along an accepted connection.
async fn serve(
    stream: TcpStream,
    flow: Flow,
    line: &Line,
    queue: mpsc::UnboundedReceiver<Vec<u8>>,
    received: &mpsc::Sender<Received>,
    security: &Security,
) {
    stream::prepare(&stream);
    if flow.transport != Transport::Tls {
        return stream::carry(stream.into_split(), flow, line, (queue, received), None).await;
    }
    let secured = tokio::select! {
        secured = security.accept(stream, flow.remote) => secured,
        () = line.end.notified() => None,
    };
    if let Some(stream) = secured {
        stream::carry(tokio::io::split(stream), flow, line, (queue, received), None).await;
    }
}

/// Waits for a place; whoever has to give way for it is ended.
async fn enter(door: &Arc<Door>, peer: IpAddr, end: &Arc<Notify>) -> Place {
    loop {
        let left = door.left.notified();
        let entered = door.places.lock().enter(peer, false, Arc::clone(end), Instant::now());
        match entered {
            Ok(entered) => {
                if let Some(other) = &entered.gives_way {
                    other.notify_one();
                }
                return Place { id: entered.id, door: Arc::clone(door) };
            }
            Err(until) => {
                let _ = timeout_at(until.into(), left).await;
            }
        }
    }
}

async fn open(
    flow: Flow,
    line: Line,
    queue: mpsc::UnboundedReceiver<Vec<u8>>,
    received: mpsc::Sender<Received>,
    security: Arc<Security>,
) {
    // Whom we call is one of our phones, or a trunk.
    line.is_known.store(true, Ordering::Relaxed);
    if let Err(why) = call(flow, &line, queue, &received, &security).await {
        let _ = received.send(Received::Unreached { flow, why }).await;
    }
    if !line.is_abandoned.load(Ordering::Relaxed) {
        let _ = received.send(Received::Closed(flow)).await;
    }
}

/// Opens a connection and carries what comes along it; what waits to be sent is dropped when it does not come about.
///
/// # Errors
/// Why it has not, for people.
async fn call(
    flow: Flow,
    line: &Line,
    queue: mpsc::UnboundedReceiver<Vec<u8>>,
    received: &mpsc::Sender<Received>,
    security: &Security,
) -> Result<(), Box<str>> {
    let by = tokio::time::Instant::now() + CONNECT_TIMEOUT;
    let too_slow = |_| format!("{} does not answer", flow.remote);
    let pings = || Some(KeepAlive::new(Instant::now()));
    if flow.transport == Transport::Tls {
        let stream = timeout_at(by, security.connect(flow)).await.map_err(too_slow)??;
        stream::carry(tokio::io::split(stream), flow, line, (queue, received), pings()).await;
    } else {
        let stream = timeout_at(by, TcpStream::connect(flow.remote)).await.map_err(too_slow)?;
        let stream = stream.map_err(|error| not_connected(flow.remote, &error))?;
        stream::prepare(&stream);
        stream::carry(stream.into_split(), flow, line, (queue, received), pings()).await;
    }
    Ok(())
}

fn not_connected(remote: SocketAddr, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        return format!("nobody listens at {remote}");
    }
    format!("{remote} cannot be reached: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    #[tokio::test]
    async fn whoever_connects_is_told_the_address_that_it_has_connected_to() {
        for any in ["0.0.0.0:0", "[::]:0"] {
            let (received, mut told) = mpsc::channel(8);
            let connections = Connections::new(received, 1, Arc::default());
            let bound = connections.listen(Transport::Tcp, any.parse().unwrap(), LocalAddresses::new(None));
            let at = SocketAddr::from(([127, 0, 0, 9], bound.await.unwrap().port()));
            let phone = TcpStream::connect(at).await.unwrap();
            phone.try_write(b"\r\nOPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n").unwrap();
            let came = timeout(Duration::from_secs(5), told.recv()).await.unwrap();
            let Some(Received::Octets { flow, .. }) = came else { panic!("{came:?}") };
            assert_eq!((flow.local, flow.remote), (at, phone.local_addr().unwrap()));
        }
    }

    #[tokio::test]
    async fn a_connection_that_ends_with_a_panic_leaves_its_place() {
        let (received, _receiver) = mpsc::channel(1);
        let door = Connections::new(received, 1, Arc::default()).door;
        let (peer, end) = (IpAddr::from([192, 0, 2, 1]), Arc::default());
        let place = enter(&door, peer, &end).await;
        // A stranger would give way without having left.
        door.places.lock().trust(place.id);
        let carrying = tokio::spawn(async move {
            let _place = place;
            panic!("as a broken connection might");
        });
        assert!(carrying.await.is_err());
        timeout(Duration::from_secs(1), enter(&door, peer, &end)).await.unwrap();
    }
}
