//! The signalling loop: sockets, clock and channels around the [`Switchboard`]. Nothing is decided in here.

use super::resolver::Resolver;
use super::service::Shared;
use super::sockets::{Received, Sockets, Ways};
use crate::moment::Moment;
use crate::switchboard::{Action, Command, Switchboard, Ticket, far_end};
use crate::trunks::{Located, NotLocated, TrunkId};
use call_control::{
    Call, CallId, ExtensionView, HangUpRefusal, NumberedEvent, Refusal, TrunkView, Wish, WishRefusal,
};
use call_store::{Round, Store};
use call_trace::WireMessage;
use media_relay::RelayHandle;
use sip_core::{Flow, PeerId};
use sip_message::SipUri;
use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, oneshot};

/// What became of a round.
pub(crate) type Written = Result<Vec<NumberedEvent>, Arc<str>>;

/// What a holder of the service sends to the loop.
#[derive(Debug)]
pub(crate) enum Asked {
    ClickToCall {
        request: Box<call_control::ClickToCall>,
        answer: oneshot::Sender<Result<CallId, Refusal>>,
    },
    HangUp {
        call: CallId,
        answer: oneshot::Sender<Result<(), HangUpRefusal>>,
    },
    Ask {
        call: CallId,
        wish: Box<Wish>,
        answer: oneshot::Sender<Result<(), WishRefusal>>,
    },
    Plain(Command),
    /// How many phones a user has registered.
    Registered {
        user: Box<str>,
        answer: oneshot::Sender<usize>,
    },
    /// A call that runs, and its trace.
    Trace {
        call: CallId,
        answer: oneshot::Sender<Option<(Call, Arc<[u8]>)>>,
    },
    Extensions(oneshot::Sender<Vec<ExtensionView>>),
    Trunks(oneshot::Sender<Vec<TrunkView>>),
    /// Told when no call is left.
    WhenIdle(oneshot::Sender<()>),
    /// Told when no carrier is being told that the server stops.
    WhenUnregistered(oneshot::Sender<()>),
    /// Told when everything that was to be written until then is on disk.
    WhenWritten(oneshot::Sender<()>),
    /// End the loop, once everything is on disk or so much time has passed.
    Stop(Duration),
}

/// The ends of all channels that the loop reads.
pub(crate) struct Inputs {
    pub(crate) received: mpsc::Receiver<Received>,
    pub(crate) asked: mpsc::Receiver<Asked>,
    pub(crate) relay: mpsc::UnboundedReceiver<media_relay::Event>,
    pub(crate) written: mpsc::UnboundedReceiver<Written>,
    pub(crate) located: mpsc::UnboundedReceiver<(TrunkId, Whereabouts)>,
    /// The addresses of the host have become others.
    pub(crate) addresses: mpsc::Receiver<()>,
}

/// Where a trunk's name leads to.
pub(crate) type Whereabouts = Result<Located, NotLocated>;

/// What the loop acts upon.
pub(crate) struct Driver {
    pub(crate) switchboard: Switchboard,
    pub(crate) sockets: Sockets,
    pub(crate) relay: RelayHandle,
    pub(crate) store: Store,
    /// Where the writer tells what became of a round.
    pub(crate) written: mpsc::UnboundedSender<Written>,
    pub(crate) resolver: Resolver,
    pub(crate) ways: Ways,
    /// Where lookups tell what came of them.
    pub(crate) located: mpsc::UnboundedSender<(TrunkId, Whereabouts)>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) waiting: Waiting,
}

/// Those who wait for the answer to a command.
#[derive(Default)]
pub(crate) struct Waiting {
    next: u64,
    calls: HashMap<Ticket, oneshot::Sender<Result<CallId, Refusal>>>,
    hang_ups: HashMap<Ticket, oneshot::Sender<Result<(), HangUpRefusal>>>,
    asks: HashMap<Ticket, oneshot::Sender<Result<(), WishRefusal>>>,
    idle: Vec<oneshot::Sender<()>>,
    unregistered: Vec<oneshot::Sender<()>>,
    written: Vec<oneshot::Sender<()>>,
    /// The loop is to end then at the latest.
    stop_by: Option<Instant>,
}

/// With nothing due the loop sleeps; something always comes.
const LONG: Duration = Duration::from_secs(3600);

/// Runs until it is stopped, or every holder of the service is gone.
pub(crate) async fn run(mut driver: Driver, mut inputs: Inputs) {
    loop {
        // 1. Perform what is queued.
        driver.perform();
        if driver.is_to_stop() {
            return;
        }
        // 2. Find the next deadline.
        let due = driver.due();
        // 3. Wait for one thing, and 4. feed it.
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(due.into()) => driver.feed(|board| board.handle_timeout(present())),
            Some(event) = inputs.relay.recv() => driver.feed(|board| board.handle_relay(event, present())),
            Some(written) = inputs.written.recv() => driver.feed(|board| board.handle_written(written, present())),
            Some((trunk, result)) = inputs.located.recv() => {
                driver.feed(|board| board.handle_located(trunk, result, present()));
            }
            Some(()) = inputs.addresses.recv() => {
                tracing::info!("the addresses of this host have changed");
                let renews = driver.ways.clone();
                driver.feed(|board| board.handle_addresses(renews.renews(), present()));
            }
            asked = inputs.asked.recv() => match asked {
                None => return,
                Some(asked) => driver.ask(asked),
            },
            // Last: strangers can fill this queue, and must not keep the others waiting.
            Some(received) = inputs.received.recv() => driver.receive(received),
        }
    }
}

/// Both clocks.
pub(crate) fn present() -> Moment {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let unix_milliseconds = i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX);
    Moment { now: Instant::now(), unix_milliseconds }
}

impl Driver {
    fn due(&self) -> Instant {
        let due = [self.switchboard.poll_timeout(), self.waiting.stop_by].into_iter().flatten().min();
        due.unwrap_or_else(|| Instant::now() + LONG)
    }

    fn is_to_stop(&self) -> bool {
        let Some(stop_by) = self.waiting.stop_by else { return false };
        if !self.switchboard.is_written() && Instant::now() < stop_by {
            return false;
        }
        let unwritten = self.switchboard.unwritten_ends();
        if unwritten > 0 {
            tracing::error!(
                calls = unwritten,
                "the records of ended calls cannot be written; the next start closes these calls as cut off"
            );
        }
        true
    }

    fn feed(&mut self, input: impl FnOnce(&mut Switchboard)) {
        let _ = self.is_fed(input);
    }

    /// A fault outside of any one call costs what was fed, and not the server.
    fn is_fed(&mut self, input: impl FnOnce(&mut Switchboard)) -> bool {
        let input = std::panic::AssertUnwindSafe(|| input(&mut self.switchboard));
        let is_fed = std::panic::catch_unwind(input).is_ok();
        if !is_fed {
            tracing::error!("the switchboard broke on what it was fed; it goes on without it");
        }
        is_fed
    }

    fn receive(&mut self, received: Received) {
        match received {
            Received::Octets { flow, octets } => {
                self.show_on_wire(false, flow, &octets);
                self.feed(|board| board.handle_octets(&octets, flow, present()));
                self.perform();
                self.sockets.handled(flow, octets.len());
            }
            Received::Unframed { flow, error } => {
                self.show_on_wire(false, flow, &error.header);
                self.feed(|board| board.handle_unframed(&error, flow, present()));
            }
            Received::Unreached { flow, why } => {
                self.feed(|board| board.handle_unreached(flow, &why, present()))
            }
            Received::Closed(flow) => {
                self.sockets.closed(flow);
                self.feed(|board| board.handle_unreachable(flow, present()));
            }
        }
    }

    fn ask(&mut self, asked: Asked) {
        match asked {
            Asked::ClickToCall { request, answer } => {
                let ticket = self.waiting.ticket();
                self.waiting.calls.insert(ticket, answer);
                let command = Command::ClickToCall { ticket, request };
                // The caller that waits for an answer which can no longer come is told so.
                if !self.is_fed(|board| board.handle_command(command, present())) {
                    self.waiting.calls.remove(&ticket);
                }
            }
            Asked::HangUp { call, answer } => {
                let ticket = self.waiting.ticket();
                self.waiting.hang_ups.insert(ticket, answer);
                let command = Command::HangUp { ticket, call };
                if !self.is_fed(|board| board.handle_command(command, present())) {
                    self.waiting.hang_ups.remove(&ticket);
                }
            }
            Asked::Ask { call, wish, answer } => {
                let ticket = self.waiting.ticket();
                self.waiting.asks.insert(ticket, answer);
                let command = Command::Ask { ticket, call, wish };
                if !self.is_fed(|board| board.handle_command(command, present())) {
                    self.waiting.asks.remove(&ticket);
                }
            }
            Asked::Plain(command) => self.feed(|board| board.handle_command(command, present())),
            Asked::Registered { user, answer } => {
                let _ = answer.send(self.switchboard.registered(&user, Instant::now()));
            }
            Asked::Trace { call, answer } => {
                let _ = answer.send(self.switchboard.trace_of(call));
            }
            Asked::Extensions(answer) => {
                let _ = answer.send(self.switchboard.extensions(present()));
            }
            Asked::Trunks(answer) => {
                let _ = answer.send(self.switchboard.trunks(Instant::now()));
            }
            Asked::WhenIdle(told) => self.waiting.idle.push(told),
            Asked::WhenUnregistered(told) => self.waiting.unregistered.push(told),
            Asked::WhenWritten(told) => self.waiting.written.push(told),
            Asked::Stop(patience) => self.waiting.stop_by = Some(Instant::now() + patience),
        }
    }

    fn perform(&mut self) {
        let moment = present();
        while let Some(action) = self.switchboard.poll_action(moment) {
            match action {
                Action::Send { flow, octets } => self.send(flow, octets),
                Action::Relay(command) => self.relay.send(command),
                Action::AnswerCall { ticket, answer } => {
                    if let Some(waiting) = self.waiting.calls.remove(&ticket) {
                        let _ = waiting.send(answer);
                    }
                }
                Action::AnswerHangUp { ticket, answer } => {
                    if let Some(waiting) = self.waiting.hang_ups.remove(&ticket) {
                        let _ = waiting.send(answer);
                    }
                }
                Action::AnswerAsk { ticket, answer } => {
                    if let Some(waiting) = self.waiting.asks.remove(&ticket) {
                        let _ = waiting.send(answer);
                    }
                }
                Action::Write(round) => self.write(round),
                Action::Storage(state) => self.shared.note_storage(&state),
                Action::View(call) => self.shared.show(call),
                Action::Forget(id) => self.shared.forget(id),
                Action::Trust { flow, user } => self.sockets.trust(flow, &user),
                Action::Close(flow) => self.sockets.close(flow),
                Action::Announce(event) => self.shared.announce(event),
                Action::Locate { trunk, peer, uri } => self.locate(trunk, peer, uri),
            }
        }
        if self.switchboard.calls() == 0 {
            tell_all(&mut self.waiting.idle);
        }
        if self.switchboard.is_unregistered() {
            tell_all(&mut self.waiting.unregistered);
        }
        if self.switchboard.is_written() {
            tell_all(&mut self.waiting.written);
        }
    }

    fn write(&self, round: Arc<Round>) {
        let written = self.written.clone();
        self.store.write(round, move |result| {
            // Nobody is told when the loop has ended.
            let _ = written.send(result.map_err(|error| chain(&error).into()));
        });
    }

    fn locate(&self, trunk: TrunkId, peer: PeerId, uri: Box<SipUri>) {
        let (resolver, ways, located) = (self.resolver.clone(), self.ways.clone(), self.located.clone());
        tokio::spawn(async move {
            let result = resolver.locate(&uri, peer, &ways).await;
            // Nobody is told when the loop has ended.
            let _ = located.send((trunk, result));
        });
    }

    fn send(&mut self, flow: Flow, octets: Vec<u8>) {
        self.show_on_wire(true, flow, &octets);
        self.sockets.send(flow, octets);
    }

    fn show_on_wire(&self, sent: bool, flow: Flow, octets: &[u8]) {
        log(sent, flow, octets);
        if self.shared.wire.receiver_count() > 0 {
            let (at, far_end) = (SystemTime::now(), far_end(flow));
            let message = WireMessage { at, sent, far_end, octets: octets.to_vec() };
            let _ = self.shared.wire.send(Arc::new(message));
        }
    }
}

/// One line on the target `sip.wire`, when somebody listens to it.
fn log(sent: bool, flow: Flow, octets: &[u8]) {
    if !tracing::enabled!(target: "sip.wire", tracing::Level::DEBUG) {
        return;
    }
    let direction = if sent { "sent" } else { "received" };
    let message = call_trace::log_line(octets);
    tracing::debug!(target: "sip.wire", direction, remote = %flow.remote, message);
}

fn tell_all(waiting: &mut Vec<oneshot::Sender<()>>) {
    for told in waiting.drain(..) {
        let _ = told.send(());
    }
}

/// An error and everything that it comes from.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

impl Waiting {
    const fn ticket(&mut self) -> Ticket {
        self.next += 1;
        Ticket(self.next)
    }
}
