//! All sessions: what is decided, without sockets and clock.
//!
//! Commands, packets and the passing of time go in through `handle_*`; what is to be done comes out of
//! [`Relay::poll_output`], but for a packet that is forwarded, which is answered at once.

mod guard;
mod opening;
mod rounds;
#[cfg(test)]
mod tests;
mod transcoded;

use self::rounds::Round;
use crate::command::{Command, Config, Description, Sound};
use crate::event::{Event, OpenError};
use crate::ports::Ports;
use crate::session::{Passage, Session, Stage};
use crate::side::{SessionId, Side};
use crate::sounds::Sounds;
use crate::tones::Tone;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// All sessions of one relay thread, or of a simulation.
#[derive(Debug)]
pub struct Relay {
    /// By slot; routes and timers name slots, commands name sessions.
    sessions: Vec<Option<Session>>,
    free_slots: Vec<usize>,
    slots: HashMap<SessionId, usize>,
    /// By RTP port / 2.
    routes: Vec<Option<(usize, Side)>>,
    ports: Ports,
    sounds: Sounds,
    random: ChaCha12Rng,
    silence_timeout: Duration,
    /// When to look whether a side is silent; one entry for each side of each session.
    silence_checks: BinaryHeap<Reverse<(Instant, SessionId, Side)>>,
    /// Who hears a tone.
    playing: Vec<(usize, Side)>,
    tick_at: Option<Instant>,
    round: Option<Round>,
    /// Halves where packets in line are due, and since when.
    transcoded: VecDeque<(usize, Side, Instant)>,
    /// When some will be; at most one entry for each half.
    paced: BinaryHeap<Reverse<(Instant, SessionId, Side)>>,
    outputs: VecDeque<Output<'static>>,
    buffer: Vec<u8>,
}

/// A packet, rewritten in place, is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// The local port from which it goes.
    pub port: u16,
    /// Where it goes.
    pub to: SocketAddr,
}

/// What the relay wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output<'a> {
    /// Bind `port` and the one above on `address`, and say so to [`Relay::handle_bound`].
    Bind {
        /// The RTP port.
        port: u16,
        /// A local address.
        address: IpAddr,
    },
    /// Close `port` and the one above.
    Release {
        /// The RTP port.
        port: u16,
    },
    /// Send a packet of the relay's own.
    Send {
        /// The local port from which it goes.
        port: u16,
        /// Where it goes.
        to: SocketAddr,
        /// The packet.
        octets: &'a [u8],
    },
    /// Tell signalling.
    Event(Event),
}

/// Why a port pair could not be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindError {
    /// Somebody has one of both ports: another pair may be free.
    PortTaken,
    /// No pair can be bound on this address.
    AddressNotUsable,
}

impl Relay {
    /// A relay without sessions.
    pub fn new(config: Config) -> Self {
        Self {
            sessions: Vec::new(),
            free_slots: Vec::new(),
            slots: HashMap::new(),
            routes: vec![None; 1 << 15],
            ports: Ports::new(&config.ports, config.port_rest),
            sounds: Sounds::new(config.ringback),
            random: ChaCha12Rng::from_seed(config.seed),
            silence_timeout: config.silence_timeout.max(SILENCE_TIMEOUT_MIN),
            silence_checks: BinaryHeap::new(),
            playing: Vec::new(),
            tick_at: None,
            round: None,
            transcoded: VecDeque::new(),
            paced: BinaryHeap::new(),
            outputs: VecDeque::new(),
            buffer: Vec::new(),
        }
    }

    /// Encodes the sounds for all codecs, which takes a moment; otherwise each is encoded when it is first
    /// played.
    pub fn prepare_sounds(&mut self) {
        for codec in audio::Codec::ALL {
            self.sounds.encoded(&Sound::Ringback, codec);
        }
    }

    /// Does what signalling asks for. A session that does not exist any more is passed over.
    pub fn handle_command(&mut self, command: Command, now: Instant) {
        if let Command::Open { session, local } = command {
            return self.open(session, local, now);
        }
        let Some(&slot) = self.slots.get(&command.session()) else { return };
        match command {
            Command::Open { .. } => {}
            Command::Describe { side, description, .. } => self.describe(slot, side, description, now),
            Command::Play { side, sound, .. } => self.play(slot, side, sound, now),
            Command::Stop { side, .. } => self.stop(slot, side),
            Command::Listen { side, .. } => self.listen(slot, side),
            Command::Connect { .. } => self.connect(slot, now),
            Command::Report { session } => {
                let statistics = self.session(slot).statistics();
                self.outputs.push_back(Output::Event(Event::Report { session, statistics }));
            }
            Command::Close { session } => {
                let statistics = self.session(slot).statistics();
                self.remove(slot, now);
                self.outputs.push_back(Output::Event(Event::Closed { session, statistics }));
            }
        }
    }

    /// What became of [`Output::Bind`].
    pub fn handle_bound(&mut self, port: u16, result: Result<(), BindError>, now: Instant) {
        let Some((slot, side)) = self.route(port) else {
            // Its session ended in the meantime.
            if result.is_ok() {
                self.outputs.push_back(Output::Release { port });
            }
            return self.ports.give_back(port, now);
        };
        match result {
            Ok(()) => self.bound(slot, side, now),
            Err(BindError::AddressNotUsable) => {
                self.give_up_port(slot, side, now);
                self.open_failed(slot, OpenError::AddressNotUsable, now);
            }
            Err(BindError::PortTaken) => {
                self.give_up_port(slot, side, now);
                self.try_another(slot, side, now);
            }
        }
    }

    /// A packet that came to an RTP port: what remains of it, rewritten in place, is sent on if there is an
    /// answer. What had to be transcoded, and what follows on that, comes out of
    /// [`poll_output`](Self::poll_output).
    pub fn handle_rtp(
        &mut self,
        port: u16,
        source: SocketAddr,
        packet: &mut [u8],
        now: Instant,
    ) -> Option<Forward> {
        let (slot, side) = self.route_of(port, source)?;
        let session = self.sessions[slot].as_ref()?.id;
        let handled = self.guarded(slot, now, |session| session.handle_rtp(side, source, packet, now))?;
        if handled.is_first {
            let event = Event::FirstPacket { session, side, at: now };
            self.outputs.push_back(Output::Event(event));
        }
        match handled.passage {
            Passage::Nothing => None,
            Passage::Forward(forward) => Some(forward),
            Passage::InLine => {
                self.transcoded.push_back((slot, side.other(), now));
                None
            }
        }
    }

    /// A packet that came to an RTCP port; as [`handle_rtp`](Self::handle_rtp).
    pub fn handle_rtcp(
        &mut self,
        port: u16,
        source: SocketAddr,
        packet: &mut [u8],
        now: Instant,
    ) -> Option<Forward> {
        let (slot, side) = self.route_of(port, source)?;
        self.guarded(slot, now, |session| session.handle_rtcp(side, source, packet, now))?
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(Reverse((due, session, side))) = self.silence_checks.peek().copied() {
            if due > now {
                break;
            }
            self.silence_checks.pop();
            self.check_silence(session, side, now);
        }
        self.wake_transcoded(now);
        if let Some(due) = self.tick_at.filter(|due| *due <= now) {
            self.tick(due, now);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let check = self.silence_checks.peek().map(|Reverse((due, _, _))| *due);
        let paced = self.paced.peek().map(|Reverse((due, _, _))| *due);
        [check, paced, self.tick_at].into_iter().flatten().min()
    }

    /// What is to be done next; to be called until there is nothing.
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        match self.next_transcoded().or_else(|| self.next_of_round()) {
            Some((port, to)) => Some(Output::Send { port, to, octets: &self.buffer }),
            // A session that broke just now is told of.
            None => self.outputs.pop_front(),
        }
    }

    /// Sessions that are open or opening.
    pub fn sessions(&self) -> usize {
        self.slots.len()
    }
}

/// Sessions change.
impl Relay {
    fn describe(&mut self, slot: usize, side: Side, description: Description, now: Instant) {
        if self.guarded(slot, now, |session| session.describe(side, description, now)).is_some() {
            self.encode_tone(slot, side);
        }
    }

    fn play(&mut self, slot: usize, side: Side, sound: Sound, now: Instant) {
        let half = self.session_mut(slot).half_mut(side);
        if half.tone.as_ref().is_some_and(|tone| tone.sound == sound) {
            return;
        }
        half.tone = Some(Tone::new(sound));
        half.hurry_transcoded(now);
        self.transcoded.push_back((slot, side, now));
        if !self.playing.contains(&(slot, side)) {
            self.playing.push((slot, side));
        }
        self.tick_at.get_or_insert(now);
        self.encode_tone(slot, side);
    }

    fn stop(&mut self, slot: usize, side: Side) {
        self.session_mut(slot).half_mut(side).tone = None;
        self.stop_playing(|playing, hearer| (playing, hearer) == (slot, side));
    }

    fn listen(&mut self, slot: usize, side: Side) {
        let stage = &mut self.session_mut(slot).stage;
        *stage = match *stage {
            Stage::Opening { tries_left } => Stage::Opening { tries_left },
            Stage::Open { .. } => Stage::Open { heard: Some(side) },
            Stage::Connected { since } => Stage::Connected { since },
        };
    }

    fn connect(&mut self, slot: usize, now: Instant) {
        for side in Side::BOTH {
            self.stop(slot, side);
        }
        let stage = &mut self.session_mut(slot).stage;
        *stage = match *stage {
            // Nobody can have been told of ports that are not bound.
            Stage::Opening { tries_left } => Stage::Opening { tries_left },
            Stage::Open { .. } => Stage::Connected { since: now },
            Stage::Connected { since } => Stage::Connected { since },
        };
    }

    fn encode_tone(&mut self, slot: usize, side: Side) {
        let Some(session) = &mut self.sessions[slot] else { return };
        let half = session.half_mut(side);
        if let (Some(tone), Some(description)) = (&mut half.tone, &half.description) {
            tone.encoded = Some(self.sounds.encoded(&tone.sound, description.codec));
        }
    }

    fn check_silence(&mut self, id: SessionId, side: Side, now: Instant) {
        let Some(&slot) = self.slots.get(&id) else { return };
        let timeout = self.silence_timeout;
        let session = self.session_mut(slot);
        let next = match session.silent_at(side, timeout) {
            Some(due) if due <= now => {
                session.half_mut(side).is_silent = true;
                self.outputs.push_back(Output::Event(Event::Silent { session: id, side }));
                now + timeout
            }
            Some(due) => due,
            None => now + timeout,
        };
        self.silence_checks.push(Reverse((next, id, side)));
    }
}

/// Looking things up.
impl Relay {
    fn route(&self, port: u16) -> Option<(usize, Side)> {
        self.routes[usize::from(port / 2)]
    }

    /// Whose packet it is that came to `port`; those of the relay's own ports are turned away.
    fn route_of(&mut self, port: u16, source: SocketAddr) -> Option<(usize, Side)> {
        let (slot, side) = self.route(port)?;
        if self.is_own(source) {
            self.sessions[slot].as_mut()?.half_mut(side).count_stranger();
            return None;
        }
        Some((slot, side))
    }

    /// Is it one of the relay's own ports? Two sessions described as each other's parties would send round
    /// and round.
    fn is_own(&self, source: SocketAddr) -> bool {
        let Some((slot, side)) = self.route(source.port()) else { return false };
        let Some(session) = &self.sessions[slot] else { return false };
        let local = session.half(side).local.ip();
        local == source.ip() || (local.is_unspecified() && source.ip().is_loopback())
    }

    fn session(&self, slot: usize) -> &Session {
        self.sessions[slot].as_ref().expect("a slot that is named has a session")
    }

    fn session_mut(&mut self, slot: usize) -> &mut Session {
        self.sessions[slot].as_mut().expect("a slot that is named has a session")
    }
}

const SILENCE_TIMEOUT_MIN: Duration = Duration::from_millis(100);
