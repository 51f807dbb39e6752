//! The signalling loop: sockets, clock and channels around the [`Switchboard`]. Nothing is decided in here.

use crate::call::{Moment, RelayAction};
use crate::records::{Kept, ToKeep};
use crate::service::Shared;
use crate::sockets::{Received, Sockets};
use crate::switchboard::{Command, Output, Switchboard, Ticket};
use crate::wire::WireMessage;
use call_control::{Call, CallEventKind, CallId, HangUpRefusal, Refusal};
use call_store::CallMessages;
use media_relay::RelayHandle;
use sip_core::Flow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, oneshot};

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
    Plain(Command),
    /// How many phones a user has registered.
    Registered {
        user: Box<str>,
        answer: oneshot::Sender<usize>,
    },
    /// A call that runs, and what was recorded of it.
    Messages {
        call: CallId,
        answer: oneshot::Sender<Option<(Call, Arc<[u8]>)>>,
    },
    /// Told when no call is left and every record is on disk.
    WhenIdle(oneshot::Sender<()>),
    /// End the loop.
    Stop,
}

/// The ends of all channels that the loop reads.
pub(crate) struct Inputs {
    pub(crate) received: mpsc::Receiver<Received>,
    pub(crate) asked: mpsc::Receiver<Asked>,
    pub(crate) relay: mpsc::UnboundedReceiver<media_relay::Event>,
    pub(crate) kept: mpsc::UnboundedReceiver<Kept>,
}

/// What the loop acts upon.
pub(crate) struct Driver {
    pub(crate) switchboard: Switchboard,
    pub(crate) sockets: Sockets,
    pub(crate) relay: RelayHandle,
    /// All that one round of the loop wants kept; none of it is on disk without the rest.
    pub(crate) keep: mpsc::UnboundedSender<Vec<ToKeep>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) waiting: Waiting,
}

/// Those who wait for the answer to a command.
#[derive(Default)]
pub(crate) struct Waiting {
    next: u64,
    calls: HashMap<Ticket, oneshot::Sender<Result<CallId, Refusal>>>,
    hang_ups: HashMap<Ticket, oneshot::Sender<Result<(), HangUpRefusal>>>,
    idle: Vec<oneshot::Sender<()>>,
}

/// With nothing due the loop sleeps; something always comes.
const LONG: Duration = Duration::from_secs(3600);

/// Runs until it is stopped, or every holder of the service is gone.
pub(crate) async fn run(mut driver: Driver, mut inputs: Inputs) {
    loop {
        // 1. Perform what is queued.
        driver.perform();
        // 2. Find the next deadline.
        let due = driver.switchboard.poll_timeout().unwrap_or_else(|| Instant::now() + LONG);
        // 3. Wait for one thing, and 4. feed it.
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(due.into()) => driver.feed(|board| board.handle_timeout(present())),
            Some(event) = inputs.relay.recv() => driver.feed(|board| board.handle_relay(event, present())),
            Some(kept) = inputs.kept.recv() => driver.feed(|board| match kept {
                Kept::Bindings(key) => board.handle_bindings_kept(&key, present()),
                Kept::Call(id) => board.handle_kept(id, present()),
                Kept::Invite(invite) => board.handle_invite_kept(invite, present()),
            }),
            asked = inputs.asked.recv() => match asked {
                None | Some(Asked::Stop) => return,
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
                self.trace(false, flow, &octets);
                self.feed(|board| board.handle_octets(&octets, flow, present()));
            }
            Received::Unframed { flow, error } => {
                self.trace(false, flow, &error.header);
                self.feed(|board| board.handle_unframed(&error, flow, present()));
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
                // Who waits for an answer that will not come is told so.
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
            Asked::Plain(command) => self.feed(|board| board.handle_command(command, present())),
            Asked::Registered { user, answer } => {
                let _ = answer.send(self.switchboard.registered(&user, Instant::now()));
            }
            Asked::Messages { call, answer } => {
                let _ = answer.send(self.switchboard.messages(call));
            }
            Asked::WhenIdle(told) => self.waiting.idle.push(told),
            // Ends the loop before it comes here.
            Asked::Stop => {}
        }
    }

    fn perform(&mut self) {
        let mut to_keep = Vec::new();
        while let Some(output) = self.switchboard.poll_output() {
            match output {
                Output::Send { flow, octets } => self.send(flow, octets),
                Output::OpenMedia { session, local } => self.relay.open(session, local),
                Output::Relay { session, action } => match action {
                    RelayAction::Describe(side, description) => {
                        self.relay.describe(session, side, description)
                    }
                    RelayAction::Play(side, sound) => self.relay.play(session, side, sound),
                    RelayAction::Listen(side) => self.relay.listen(session, side),
                    RelayAction::Connect => self.relay.connect(session),
                    RelayAction::Report => self.relay.report(session),
                    RelayAction::Close => self.relay.close(session),
                },
                Output::CallAnswer { ticket, answer } => {
                    if let Some(waiting) = self.waiting.calls.remove(&ticket) {
                        answer_call(waiting, answer, &mut to_keep);
                    }
                }
                Output::HangUpAnswer { ticket, answer } => {
                    if let Some(waiting) = self.waiting.hang_ups.remove(&ticket) {
                        let _ = waiting.send(answer);
                    }
                }
                Output::KeepBindings { user, bindings, waiting } => {
                    to_keep.push(ToKeep::Bindings { user, bindings, waiting });
                }
                Output::KeepCall(call) => to_keep.push(ToKeep::Call(call)),
                Output::KeepMessages { call, at, octets } => {
                    to_keep.push(ToKeep::Messages(CallMessages { call, at, octets }));
                }
                Output::KeepInvite { invite, waiting } => {
                    let sip_call_id = invite.sip_call_id.clone();
                    to_keep.push(ToKeep::Invite { sip_call_id, invite: Some(invite), waiting });
                }
                Output::ForgetInvite(sip_call_id) => {
                    to_keep.push(ToKeep::Invite { sip_call_id, invite: None, waiting: None });
                }
                Output::View(call) => self.shared.show(call),
                Output::Forget(id) => self.shared.forget(id),
                Output::Happened(event) => {
                    // The end of a call goes to disk, and is told, together with its record.
                    if event.event != CallEventKind::Ended {
                        to_keep.push(ToKeep::Event(event));
                    }
                }
            }
        }
        if !to_keep.is_empty() {
            let _ = self.keep.send(to_keep);
        }
        if !self.waiting.idle.is_empty() && self.switchboard.counts().0 == 0 {
            for told in self.waiting.idle.drain(..) {
                let _ = told.send(());
            }
        }
    }

    fn send(&mut self, flow: Flow, octets: Vec<u8>) {
        self.trace(true, flow, &octets);
        self.sockets.send(flow, octets);
    }

    fn trace(&self, sent: bool, flow: Flow, octets: &[u8]) {
        WireMessage::log(sent, flow, octets);
        if self.shared.wire.receiver_count() > 0 {
            let message = WireMessage::new(sent, flow, octets);
            let _ = self.shared.wire.send(Arc::new(message));
        }
    }
}

/// A call that was taken is answered for when it is on disk: what was acknowledged is not forgotten.
fn answer_call(
    waiting: oneshot::Sender<Result<CallId, Refusal>>,
    answer: Result<CallId, Refusal>,
    to_keep: &mut Vec<ToKeep>,
) {
    match answer {
        Ok(call) => to_keep.push(ToKeep::Answer { call, waiting }),
        Err(refusal) => {
            let _ = waiting.send(Err(refusal));
        }
    }
}

impl Waiting {
    const fn ticket(&mut self) -> Ticket {
        self.next += 1;
        Ticket(self.next)
    }
}
