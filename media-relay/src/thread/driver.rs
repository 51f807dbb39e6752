//! The thread that does what a [`Relay`] says: the only place with sockets, clock and channel.

use super::sockets::{Received, Sockets};
use super::transcoders::Transcoders;
use crate::command::{Command, Config};
use crate::conversion::Transcoding;
use crate::event::Event;
use crate::relay::{Forward, Output, Relay};
use mio::{Events, Poll, Token, Waker};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Commands to the relay. Cheap to clone; never blocks; the answer is an [`Event`].
#[derive(Debug, Clone)]
pub struct RelayHandle {
    line: Arc<Line>,
}

/// The way to the thread; when the last handle lets it go, the thread ends.
#[derive(Debug)]
struct Line {
    sender: Sender<Message>,
    waker: Arc<Waker>,
}

#[derive(Debug)]
enum Message {
    Command(Command),
    Transcoded(Box<Transcoding>),
    End,
}

impl RelayHandle {
    /// Says something to the relay.
    pub fn send(&self, command: Command) {
        self.line.say(Message::Command(command));
    }
}

impl Line {
    /// The thread outlives all handles, unless it has died; then nothing is left to be told.
    fn say(&self, message: Message) {
        if self.sender.send(message).is_ok() && self.waker.wake().is_err() {
            tracing::error!("the relay thread cannot be woken");
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.say(Message::End);
    }
}

/// Starts the relay on a thread of its own; it ends when the last handle is dropped.
///
/// # Errors
/// The operating system gives no thread or no way to wait for sockets.
pub fn start(config: Config, events: impl Fn(Event) + Send + 'static) -> io::Result<RelayHandle> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    let sockets = Sockets::new(poll.registry().try_clone()?);
    let (sender, messages) = channel();
    let mut relay = Relay::new(config);
    // Before the first call: it would wait for as long as that takes.
    relay.prepare_sounds();
    let (results, awake) = (sender.clone(), Arc::clone(&waker));
    let transcoders = Transcoders::start(move |transcoding| {
        // When the relay is over nobody is left to be told.
        if results.send(Message::Transcoded(transcoding)).is_ok() {
            let _ = awake.wake();
        }
    })?;
    let driver = Driver {
        relay,
        transcoders,
        sockets,
        messages,
        events,
        ready: VecDeque::new(),
        _waker: Arc::clone(&waker),
        buffer: vec![0; DATAGRAM_OCTETS_MAX].into_boxed_slice(),
    };
    thread::Builder::new().name("media-relay".into()).spawn(move || driver.run(poll))?;
    Ok(RelayHandle { line: Arc::new(Line { sender, waker }) })
}

struct Driver<E> {
    relay: Relay,
    transcoders: Transcoders,
    sockets: Sockets,
    messages: Receiver<Message>,
    events: E,
    /// Ports that may have more datagrams; readiness is announced only once.
    ready: VecDeque<u16>,
    buffer: Box<[u8]>,
    /// Were it closed with the last handle, its last call could be lost on the way.
    _waker: Arc<Waker>,
}

/// Whether the driver goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    End,
}

impl<E: Fn(Event)> Driver<E> {
    fn run(mut self, mut poll: Poll) {
        let mut readiness = Events::with_capacity(READINESS_MAX);
        loop {
            match poll.poll(&mut readiness, self.patience(Instant::now())) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return tracing::error!(%error, "the relay cannot wait for its sockets"),
            }
            for event in &readiness {
                if let Ok(port) = u16::try_from(event.token().0) {
                    self.ready.push_back(port);
                }
            }
            // A fault outside of any one session costs what was under way, and not the relay.
            let round = std::panic::AssertUnwindSafe(|| self.round());
            match std::panic::catch_unwind(round) {
                Ok(Next::GoOn) => {}
                Ok(Next::End) => return,
                Err(_) => tracing::error!("the relay broke on what it was given; it goes on without it"),
            }
        }
    }

    fn round(&mut self) -> Next {
        if self.hear_commands() == Next::End {
            return Next::End;
        }
        self.relay.handle_timeout(Instant::now());
        self.perform();
        for _ in 0..self.ready.len() {
            self.read_some();
        }
        self.perform();
        Next::GoOn
    }

    /// How long nothing needs to be done.
    fn patience(&self, now: Instant) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let due = self.relay.poll_timeout()?;
        Some(due.saturating_duration_since(now))
    }

    fn hear_commands(&mut self) -> Next {
        loop {
            match self.messages.try_recv() {
                Ok(Message::Command(command)) => {
                    self.relay.handle_command(command, Instant::now());
                    self.perform();
                }
                Ok(Message::Transcoded(transcoding)) => {
                    self.relay.handle_transcoded(transcoding, Instant::now());
                    self.perform();
                }
                Ok(Message::End) | Err(TryRecvError::Disconnected) => return Next::End,
                Err(TryRecvError::Empty) => return Next::GoOn,
            }
        }
    }

    fn perform(&mut self) {
        while let Some(output) = self.relay.poll_output() {
            match output {
                Output::Send { port, to, octets } => {
                    if !self.sockets.send(port, to, octets) {
                        self.relay.handle_unsent(port);
                    }
                }
                Output::Event(event) => (self.events)(event),
                Output::Release { port } => self.sockets.release(port),
                Output::Transcode(transcoding) => {
                    // Handed back as it is, its packet is a lost one.
                    if let Err(transcoding) = self.transcoders.give(transcoding) {
                        self.relay.handle_transcoded(transcoding, Instant::now());
                    }
                }
                Output::Bind { port, address } => {
                    let result = self.sockets.bind(address, port);
                    self.relay.handle_bound(port, result, Instant::now());
                }
            }
        }
    }

    /// Reads a few datagrams of the port whose turn it is; where there may be more it comes again after the
    /// others.
    fn read_some(&mut self) {
        let Some(port) = self.ready.pop_front() else { return };
        for _ in 0..TURN_DATAGRAMS {
            match self.sockets.receive(port, &mut self.buffer) {
                Received::Datagram(length, source) => self.datagram(port, source, length),
                Received::Failure => {}
                Received::Nothing => return,
            }
        }
        self.ready.push_back(port);
    }

    fn datagram(&mut self, port: u16, source: SocketAddr, length: usize) {
        let (packet, now) = (&mut self.buffer[..length], Instant::now());
        let forward = if port.is_multiple_of(2) {
            self.relay.handle_rtp(port, source, packet, now)
        } else {
            self.relay.handle_rtcp(port, source, packet, now)
        };
        if let Some(Forward { port, to }) = forward
            && !self.sockets.send(port, to, packet)
        {
            self.relay.handle_unsent(port);
        }
    }
}

const WAKER: Token = Token(usize::MAX);
const READINESS_MAX: usize = 1_024;
const TURN_DATAGRAMS: usize = 16;
/// The largest UDP payload fits.
const DATAGRAM_OCTETS_MAX: usize = 65_536;
