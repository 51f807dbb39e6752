//! The running service: what the API and the program hold.

use super::driver::{self, Asked, Driver, Inputs, Waiting, chain};
use super::resolver::Resolver;
use super::sockets::{RECEIVE_QUEUE, Sockets, Ways};
use crate::journal::StorageState;
use crate::registrar::{Registrar, RegistrarConfig};
use crate::scenario::Standard;
use crate::settings::{Extension, Settings};
use crate::stored_flow;
use crate::switchboard::{Command, Left, Switchboard};
use call_control::{
    Call, CallEvent, CallId, Calls, ClickToCall, EventReader, EventsEnd, Explanation, ExtensionView,
    HangUpRefusal, Ladder, MessagesRefusal, Number, NumberedEvent, Readiness, Refusal, TrunkView, Wish,
    WishRefusal,
};
use call_store::{Store, StoreError, Unfinished};
use call_trace::WireMessage;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use numbering::DialPolicy;
use parking_lot::RwLock;
use sip_core::{CallKey, Endpoint, Transport};
use sip_message::Host;
use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// The running B2BUA. Cheap to clone; it stops when the last clone is dropped.
#[derive(Clone)]
pub struct B2bua {
    asked: mpsc::Sender<Asked>,
    pub(super) shared: Arc<Shared>,
    /// For calls that have ended.
    store: Store,
    /// True when the loop has ended.
    pub(super) over: watch::Receiver<bool>,
}

/// What the signalling loop writes and others read.
pub(crate) struct Shared {
    live: RwLock<HashMap<CallId, Arc<Call>>>,
    events: broadcast::Sender<Arc<NumberedEvent>>,
    plain_events: broadcast::Sender<Arc<CallEvent>>,
    pub(crate) wire: broadcast::Sender<Arc<WireMessage>>,
    bound: Vec<(Transport, SocketAddr)>,
    pub(super) draining: AtomicBool,
    /// Things can be written.
    writable: AtomicBool,
    new_calls: DefaultDirectRateLimiter,
    /// Numbers that pass every limit.
    emergency: Vec<Number>,
}

/// Why the B2BUA does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A SIP address is in use, or not of this machine.
    #[error("cannot listen on {transport} {address}: {source}")]
    Bind {
        /// `udp`, `tcp` or `tls`.
        transport: &'static str,
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The relay's thread does not start.
    #[error("the media relay does not start: {0}")]
    Relay(std::io::Error),
    /// The registrations and calls of the last run cannot be read.
    #[error("what the last run left cannot be read: {}", chain(.0))]
    Store(#[from] StoreError),
    /// The calls that the last run left open cannot be closed.
    #[error(
        "the calls that the last run left open cannot be closed: nothing can be written to the data folder"
    )]
    Recovery,
}

/// Commands that wait for the loop; beyond it those who ask wait.
const ASK_QUEUE: usize = 1024;
/// Events kept for readers that are slow.
const EVENT_QUEUE: usize = 4096;
/// Contacts of one address-of-record.
const BINDINGS_MAX: usize = 10;
/// How long the calls that the last run left may take to be closed.
const RECOVERY: Duration = Duration::from_secs(10);
/// Media ports rest so long before they are used again.
const PORT_REST: Duration = Duration::from_secs(5);

impl B2bua {
    /// Binds the sockets, restores the registrations, closes calls that a crash cut off and ends their legs, starts the
    /// signalling loop and the relay.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(settings: Settings, store: Store) -> Result<Self, StartError> {
        let (received_in, received) = mpsc::channel(RECEIVE_QUEUE);
        let sockets =
            Sockets::bind(&settings, &received_in).await.map_err(|(transport, address, source)| {
                StartError::Bind { transport: transport.word(), address, source }
            })?;
        let ways = Ways::new(sockets.bound().to_vec(), settings.external_address);
        let resolver = Resolver::new(&settings.resolvers);
        let registrar = registrar(&settings, sockets.bound());
        let (relay_in, relay_events) = mpsc::unbounded_channel();
        let report = move |event| {
            let _ = relay_in.send(event);
        };
        let relay = media_relay::start(relay_config(&settings), report).map_err(StartError::Relay)?;
        let emergency = settings.dial_policy.iter().flat_map(DialPolicy::emergency);
        let emergency = emergency.filter(|(_, is_allowed)| *is_allowed).map(|(number, _)| number.clone());
        let (bound, limits) = (sockets.bound().to_vec(), settings.limits);
        let shared = Arc::new(Shared::new(bound, limits.calls_per_second, emergency.collect()));
        let call_key = Some(CallKey(store.secret("call_key", rand::random()).await?));
        let config = sip_core::Config { call_key, ..settings.endpoint() };
        let endpoint = Endpoint::new(config, rand::random());
        let mut switchboard = Switchboard::new(
            settings,
            Arc::new(Standard),
            endpoint,
            registrar,
            rand::random(),
            Instant::now(),
        );
        let Unfinished { calls, invites } = store.unfinished().await?;
        let bindings = stored_flow::renewed(store.bindings().await?, ways.renews());
        let left = Left { bindings, calls, invites };
        switchboard.recover(left, driver::present());
        let (located, located_out) = mpsc::unbounded_channel();
        let (asked, asked_out) = mpsc::channel(ASK_QUEUE);
        let (written, written_out) = mpsc::unbounded_channel();
        let (ended, over) = watch::channel(false);
        let waiting = Waiting::default();
        let inputs = Inputs {
            received,
            asked: asked_out,
            relay: relay_events,
            written: written_out,
            located: located_out,
            addresses: ways.changes(),
        };
        let driver = Driver {
            switchboard,
            sockets,
            relay,
            store: store.clone(),
            written,
            resolver,
            ways,
            located,
            shared: Arc::clone(&shared),
            waiting,
        };
        tokio::spawn(async move {
            driver::run(driver, inputs).await;
            let _ = ended.send(true);
        });
        let service = Self { asked, shared, store, over };
        // What the last run left is closed before anybody can ask for it.
        let (told, recovered) = oneshot::channel();
        service.tell(Asked::WhenWritten(told)).await;
        match tokio::time::timeout(RECOVERY, recovered).await {
            Ok(_) => Ok(service),
            Err(_) => Err(StartError::Recovery),
        }
    }

    /// The sockets as they were bound, real ports in.
    pub fn bound(&self) -> &[(Transport, SocketAddr)] {
        &self.shared.bound
    }

    /// The extensions of a configuration that was read again.
    pub async fn replace_extensions(&self, extensions: Vec<Extension>) {
        self.tell(Asked::Plain(Command::ReplaceExtensions(extensions))).await;
    }

    /// Events of all calls from now on, each when it is on disk; a reader that is too slow loses the oldest.
    pub fn events(&self) -> broadcast::Receiver<Arc<CallEvent>> {
        self.shared.plain_events.subscribe()
    }

    /// SIP messages as they are sent and received from now on.
    pub fn wire(&self) -> broadcast::Receiver<Arc<WireMessage>> {
        self.shared.wire.subscribe()
    }

    /// How many phones of a user are registered.
    pub async fn registered(&self, user: &str) -> usize {
        let (answer, registered) = oneshot::channel();
        self.tell(Asked::Registered { user: user.into(), answer }).await;
        registered.await.unwrap_or_default()
    }

    /// A call, running or ended, and its trace if that is kept.
    async fn traced(&self, id: CallId) -> Result<(Call, Option<Arc<[u8]>>), MessagesRefusal> {
        let (answer, messages) = oneshot::channel();
        self.tell(Asked::Trace { call: id, answer }).await;
        // The store has a call before it leaves the loop; asked in this order, none slips through.
        if let Ok(Some((call, octets))) = messages.await {
            return Ok((call, Some(octets)));
        }
        let stored = async {
            let Some(call) = self.store.call(id).await? else { return Ok(None) };
            Ok(Some((call, self.store.messages(id).await?)))
        };
        match stored.await {
            Ok(Some((call, octets))) => Ok((call, octets.map(Into::into))),
            Ok(None) => Err(MessagesRefusal::NotFound(id)),
            Err(error) => {
                let error: StoreError = error;
                tracing::error!(call_id = %id, error = chain(&error), "the trace of a call cannot be read");
                Err(MessagesRefusal::Unreadable)
            }
        }
    }

    /// The loop ends only after the last holder: what it is told arrives.
    pub(super) async fn tell(&self, asked: Asked) {
        let _ = self.asked.send(asked).await;
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Calls for B2bua {
    fn click_to_call(&self, request: ClickToCall) -> Answer<'_, Result<CallId, Refusal>> {
        Box::pin(async move {
            if !self.shared.emergency.contains(&request.to) && self.shared.new_calls.check().is_err() {
                return Err(Refusal::TooManyNewCalls { retry_after: Duration::from_secs(1) });
            }
            let (answer, answered) = oneshot::channel();
            self.tell(Asked::ClickToCall { request: Box::new(request), answer }).await;
            answered.await.unwrap_or(Err(Refusal::Draining))
        })
    }

    fn hang_up(&self, call: CallId) -> Answer<'_, Result<(), HangUpRefusal>> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            self.tell(Asked::HangUp { call, answer }).await;
            answered.await.unwrap_or(Err(HangUpRefusal::Stopped))
        })
    }

    fn ask(&self, call: CallId, wish: Wish) -> Answer<'_, Result<(), WishRefusal>> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            self.tell(Asked::Ask { call, wish: Box::new(wish), answer }).await;
            answered.await.unwrap_or(Err(WishRefusal::Stopped))
        })
    }

    fn live(&self, call: CallId) -> Option<Arc<Call>> {
        self.shared.live.read().get(&call).cloned()
    }

    fn live_calls(&self) -> Vec<Arc<Call>> {
        self.shared.live_calls()
    }

    fn ladder(&self, call: CallId) -> Answer<'_, Result<Ladder, MessagesRefusal>> {
        Box::pin(async move {
            let (call, octets) = self.traced(call).await?;
            let octets = octets.ok_or(MessagesRefusal::NotKept(call.call_id))?;
            call_trace::ladder(&call, &octets).ok_or(MessagesRefusal::NotKept(call.call_id))
        })
    }

    fn explanation(&self, call: CallId) -> Answer<'_, Result<Explanation, MessagesRefusal>> {
        Box::pin(async move {
            let (call, octets) = self.traced(call).await?;
            let now = driver::present().timestamp().unwrap_or(call.created_at);
            Ok(call_trace::explain(&call, octets.as_deref(), now))
        })
    }

    fn subscribe(&self) -> Box<dyn EventReader> {
        Box::new(Reader(self.shared.subscribe()))
    }

    fn extensions(&self) -> Answer<'_, Vec<ExtensionView>> {
        Box::pin(async move {
            let (answer, extensions) = oneshot::channel();
            self.tell(Asked::Extensions(answer)).await;
            extensions.await.unwrap_or_default()
        })
    }

    fn trunks(&self) -> Answer<'_, Vec<TrunkView>> {
        Box::pin(async move {
            let (answer, trunks) = oneshot::channel();
            self.tell(Asked::Trunks(answer)).await;
            trunks.await.unwrap_or_default()
        })
    }

    fn readiness(&self) -> Readiness {
        if self.shared.draining.load(Ordering::Relaxed) {
            Readiness::Draining
        } else if self.shared.writable.load(Ordering::Relaxed) {
            Readiness::Ready
        } else {
            Readiness::StorageUnavailable
        }
    }
}

impl Shared {
    pub(crate) fn new(
        bound: Vec<(Transport, SocketAddr)>,
        calls_per_second: u32,
        emergency: Vec<Number>,
    ) -> Self {
        let (events, _) = broadcast::channel(EVENT_QUEUE);
        let (plain_events, _) = broadcast::channel(EVENT_QUEUE);
        let (wire, _) = broadcast::channel(EVENT_QUEUE);
        let quota = Quota::per_second(NonZeroU32::new(calls_per_second).unwrap_or(NonZeroU32::MIN));
        let new_calls = RateLimiter::direct(quota);
        let (draining, writable) = (AtomicBool::new(false), AtomicBool::new(true));
        Self {
            live: RwLock::default(),
            events,
            plain_events,
            wire,
            bound,
            draining,
            writable,
            new_calls,
            emergency,
        }
    }

    /// Whether things can be written; the log says when that changes.
    pub(super) fn note_storage(&self, state: &StorageState) {
        self.writable.store(*state == StorageState::Fine, Ordering::Relaxed);
        let until = "until it is over, new calls and registrations are refused and running calls go on";
        match state {
            StorageState::Fine => tracing::info!("calls and registrations can be written to disk again"),
            StorageState::Slow => {
                tracing::error!("the disk takes more than two seconds for a write; {until}")
            }
            StorageState::Failing(cause) => {
                tracing::error!(%cause, "calls and registrations cannot be written to disk; {until}");
            }
        }
    }

    pub(crate) fn show(&self, call: Arc<Call>) {
        self.live.write().insert(call.call_id, call);
    }

    pub(crate) fn live_calls(&self) -> Vec<Arc<Call>> {
        self.live.read().values().cloned().collect()
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<NumberedEvent>> {
        self.events.subscribe()
    }

    pub(crate) fn forget(&self, id: CallId) {
        self.live.write().remove(&id);
    }

    /// Tells of an event that is on disk. One caller, so that ids come in their order.
    pub(crate) fn announce(&self, numbered: NumberedEvent) {
        let event = &numbered.event;
        let call = &event.call;
        tracing::info!(call_id = %call.call_id, event = ?event.event, party = ?event.party, end = ?call.end.as_ref().map(|end| end.reason), "call");
        // Nobody has to listen.
        let _ = self.plain_events.send(Arc::clone(event));
        let _ = self.events.send(Arc::new(numbered));
    }
}

struct Reader(broadcast::Receiver<Arc<NumberedEvent>>);

impl EventReader for Reader {
    fn next(&mut self) -> Answer<'_, Result<Arc<NumberedEvent>, EventsEnd>> {
        Box::pin(async {
            self.0.recv().await.map_err(|error| match error {
                broadcast::error::RecvError::Lagged(_) => EventsEnd::TooSlow,
                broadcast::error::RecvError::Closed => EventsEnd::Stopped,
            })
        })
    }
}

fn registrar(settings: &Settings, bound: &[(Transport, SocketAddr)]) -> Registrar {
    let config = RegistrarConfig {
        domain: settings.domain.clone(),
        min: settings.registration.min,
        default: settings.registration.default,
        max: settings.registration.max,
        bindings_max: BINDINGS_MAX,
        nonce_key: rand::random(),
    };
    let mut registrar = Registrar::new(config, []);
    let hosts = bound.iter().map(|(_, address)| address.ip()).chain(settings.external_address);
    registrar.set_local_hosts(hosts.map(Host::from));
    registrar
}

fn relay_config(settings: &Settings) -> media_relay::Config {
    media_relay::Config {
        ports: settings.media.ports.clone(),
        ringback: settings.media.ringback.clone(),
        silence_timeout: settings.media.silence_timeout,
        port_rest: PORT_REST,
        sockets_max: settings.sockets.media,
        seed: rand::random(),
    }
}
