//! All sessions: what is decided, without sockets and clock.
//!
//! Commands, packets and the passing of time go in through `handle_*`; what is to be done comes out of
//! [`Relay::poll_output`], but for a packet that is forwarded, which is answered at once.

mod converted;
mod guard;
mod opening;
mod rounds;
mod routes;
#[cfg(test)]
mod tests;

use self::rounds::Round;
use self::routes::Routes;
use crate::command::{Command, Config, Description, Playback, Topology};
use crate::conversion::Transcoding;
use crate::event::{Event, OpenError};
use crate::names::{PlayId, SessionId, TerminationId};
use crate::ports::Ports;
use crate::session::Session;
use crate::sound::{Begun, Sounds};
use crate::termination::outward::Passage;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// All sessions of one relay thread, or of a simulation.
#[derive(Debug)]
pub struct Relay {
    /// By slot; routes and timers name slots, commands name sessions.
    sessions: Vec<Option<Session>>,
    free_slots: Vec<usize>,
    slots: HashMap<SessionId, usize>,
    routes: Routes,
    ports: Ports,
    terminations_max: usize,
    /// Those that found many ports taken, and go on looking in the next round.
    looking: VecDeque<(Instant, SessionId, TerminationId)>,
    sounds: Sounds,
    random: ChaCha12Rng,
    silence_timeout: Duration,
    /// When to look whether a phone is silent; one entry for each termination.
    silence_checks: BTreeSet<(Instant, SessionId, TerminationId)>,
    /// Who hears a sound.
    playing: Vec<Spot>,
    tick_at: Option<Instant>,
    round: Option<Round>,
    /// Where packets in line are due, and since when.
    converted: VecDeque<(Spot, Instant)>,
    /// When some will be; at most one entry for each termination.
    paced: BinaryHeap<Reverse<(Instant, SessionId, TerminationId)>>,
    outputs: VecDeque<Output<'static>>,
    buffer: Vec<u8>,
}

/// Where a termination is: the slot of its session, and its place in that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spot {
    slot: usize,
    place: usize,
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
#[derive(Debug)]
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
    /// Perform it, and hand it back to [`Relay::handle_transcoded`]. One that is never handed back is a lost packet, and
    /// the end of what its termination hears in another codec.
    Transcode(Box<Transcoding>),
    /// Tell signalling.
    Event(Event),
}

/// Why a port pair could not be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindError {
    /// Somebody has one of both ports: another pair may be free.
    PortTaken,
    /// No further socket can be opened.
    NoDescriptor,
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
            routes: Routes::new(),
            ports: Ports::new(&config.ports, config.port_rest),
            terminations_max: config.sockets_max / 2,
            looking: VecDeque::new(),
            sounds: Sounds::new(config.ringback),
            random: ChaCha12Rng::from_seed(config.seed),
            silence_timeout: config.silence_timeout.max(SILENCE_TIMEOUT_MIN),
            silence_checks: BTreeSet::new(),
            playing: Vec::new(),
            tick_at: None,
            round: None,
            converted: VecDeque::new(),
            paced: BinaryHeap::new(),
            outputs: VecDeque::new(),
            buffer: Vec::new(),
        }
    }

    /// Encodes the sounds for all codecs, which takes a moment; otherwise each is encoded when it is first
    /// played.
    pub fn prepare_sounds(&mut self) {
        self.sounds.prepare();
    }

    /// Does what signalling asks for. What does not exist any more is passed over.
    pub fn handle_command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Add { session, termination, local } => self.add(session, termination, local, now),
            Command::Link { session, one, other, topology } => {
                if let (Some(one), Some(other)) = (self.spot(session, one), self.spot(session, other)) {
                    self.link(one.slot, one.place, other.place, topology, now);
                }
            }
            Command::Describe { session, termination, description } => {
                if let Some(spot) = self.spot(session, termination) {
                    self.describe(spot, description, now);
                }
            }
            Command::Play { session, termination, play, sound } => {
                if let Some(spot) = self.spot(session, termination) {
                    self.play(spot, play, sound, now);
                }
            }
            Command::Stop { session, termination, play } => {
                if let Some(spot) = self.spot(session, termination) {
                    self.stop(spot, play);
                }
            }
            Command::Remove { session, termination } => {
                if let Some(spot) = self.spot(session, termination) {
                    self.remove(spot, now);
                }
            }
            Command::Move { session, termination, to, name } => {
                if let Some(spot) = self.spot(session, termination) {
                    self.move_to(spot, to, name, now);
                }
            }
            Command::Report { session } => {
                if let Some(&slot) = self.slots.get(&session) {
                    let statistics = self.session(slot).statistics();
                    self.tell(Event::Report { session, statistics });
                }
            }
            Command::Close { session } => {
                if let Some(&slot) = self.slots.get(&session) {
                    let statistics = self.session(slot).statistics();
                    self.forget(slot, now);
                    self.tell(Event::Closed { session, statistics });
                }
            }
        }
    }

    /// What became of [`Output::Bind`].
    pub fn handle_bound(&mut self, port: u16, result: Result<(), BindError>, now: Instant) {
        let Some(spot) = self.route(port) else {
            // Its termination has gone in the meantime.
            if result.is_ok() {
                self.outputs.push_back(Output::Release { port });
            }
            return self.ports.give_back(port, now);
        };
        match result {
            Ok(()) => self.bound(spot, now),
            Err(error) => {
                self.give_up_port(spot, now);
                match error {
                    BindError::AddressNotUsable => self.not_added(spot, OpenError::AddressNotUsable, now),
                    BindError::NoDescriptor => self.not_added(spot, OpenError::NoDescriptor, now),
                    BindError::PortTaken => self.try_another(spot, now),
                }
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
        let spot = self.route_of(port, source)?;
        let handled =
            self.guarded(spot.slot, now, |session| session.handle_rtp(spot.place, source, packet, now))?;
        if handled.is_first || handled.digit.is_some() {
            self.tell_of_packet(spot, handled.is_first, handled.digit, now);
        }
        let hearer = Spot { place: handled.hearer, ..spot };
        self.pass(hearer, handled.passage, now)
    }

    /// A packet that came to an RTCP port; as [`handle_rtp`](Self::handle_rtp).
    pub fn handle_rtcp(
        &mut self,
        port: u16,
        source: SocketAddr,
        packet: &mut [u8],
        now: Instant,
    ) -> Option<Forward> {
        let Spot { slot, place } = self.route_of(port, source)?;
        self.guarded(slot, now, |session| session.handle_rtcp(place, source, packet, now))?
    }

    /// The packet that was to be sent from this port could not be.
    pub fn handle_unsent(&mut self, port: u16) {
        // Reports are not counted.
        let Some(Spot { slot, place }) = self.route(port).filter(|_| port.is_multiple_of(2)) else { return };
        if let Some(termination) = self.sessions[slot].as_mut().and_then(|session| session.at_mut(place)) {
            termination.outward.uncount_sent();
        }
    }

    /// What has been transcoded, or could not be.
    pub fn handle_transcoded(&mut self, transcoding: Box<Transcoding>, now: Instant) {
        let Some((session, termination)) = transcoding.hearer else { return };
        let Some(spot) = self.spot(session, termination) else { return };
        let passage = self.guarded(spot.slot, now, |session| {
            let hearer = session.at_mut(spot.place)?;
            Some(hearer.outward.take_back(*transcoding, now))
        });
        if let Some(Some(passage)) = passage {
            self.pass(spot, passage, now);
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(check) = self.silence_checks.first().filter(|(due, ..)| *due <= now).copied() {
            self.silence_checks.remove(&check);
            self.check_silence(check.1, check.2, now);
        }
        for _ in 0..self.looking.len() {
            if let Some((_, session, termination)) = self.looking.pop_front()
                && let Some(spot) = self.spot(session, termination)
            {
                self.take_another(spot, now);
            }
        }
        self.wake_converted(now);
        if let Some(due) = self.tick_at.filter(|due| *due <= now) {
            self.tick(due, now);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let check = self.silence_checks.first().map(|(due, ..)| *due);
        let paced = self.paced.peek().map(|Reverse((due, ..))| *due);
        let looking = self.looking.front().map(|(since, ..)| *since);
        [check, paced, looking, self.tick_at].into_iter().flatten().min()
    }

    /// What is to be done next; to be called until there is nothing.
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        match self.next_converted().or_else(|| self.next_of_round()) {
            Some(Forward { port, to }) => Some(Output::Send { port, to, octets: &self.buffer }),
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
    fn describe(&mut self, spot: Spot, description: Description, now: Instant) {
        let described =
            self.guarded(spot.slot, now, |session| session.describe(spot.place, description, now));
        if described.is_some() {
            self.encode_sound(spot);
        }
    }

    fn link(&mut self, slot: usize, one: usize, other: usize, topology: Topology, now: Instant) {
        self.guarded(slot, now, |session| session.link(one, other, topology, now));
    }

    fn play(&mut self, spot: Spot, play: PlayId, sound: Playback, now: Instant) {
        let begun = self.guarded(spot.slot, now, |session| {
            let hearer = session.at_mut(spot.place)?;
            Some(hearer.outward.play(play, &sound, now))
        });
        match begun.flatten() {
            Some(Begun::Anew) => {}
            Some(Begun::Dropped) => return self.tell_played(spot, play),
            Some(Begun::GoesOn) | None => return,
        }
        self.converted.push_back((spot, now));
        if !self.playing.contains(&spot) {
            self.playing.push(spot);
        }
        self.tick_at.get_or_insert(now);
        self.encode_sound(spot);
    }

    fn stop(&mut self, spot: Spot, play: PlayId) {
        let Some(hearer) = self.session_mut(spot.slot).at_mut(spot.place) else { return };
        hearer.outward.stop(play);
        if !hearer.outward.is_playing() {
            self.stop_playing(|playing| playing == spot);
        }
    }

    fn tell_played(&mut self, spot: Spot, play: PlayId) {
        if let Some((session, termination)) = self.names_of(spot) {
            self.tell(Event::Played { session, termination, play });
        }
    }

    fn encode_sound(&mut self, spot: Spot) {
        let Some(session) = &mut self.sessions[spot.slot] else { return };
        let Some(hearer) = session.at_mut(spot.place) else { return };
        if let Some(description) = &hearer.description {
            hearer.outward.encode_sound(&mut self.sounds, description, hearer.inward.codec());
        }
    }

    fn check_silence(&mut self, id: SessionId, termination: TerminationId, now: Instant) {
        let Some(spot) = self.spot(id, termination) else { return };
        let timeout = self.silence_timeout;
        let session = self.session_mut(spot.slot);
        let next = match session.silent_at(spot.place, timeout) {
            Some(due) if due <= now => {
                if let Some(silent) = session.at_mut(spot.place) {
                    silent.inward.is_silent = true;
                }
                self.tell(Event::Silent { session: id, termination });
                now + timeout
            }
            Some(due) => due,
            None => now + timeout,
        };
        self.check_silence_at(spot, next);
    }

    fn check_silence_at(&mut self, spot: Spot, due: Instant) {
        let Some((session, termination)) = self.names_of(spot) else { return };
        if let Some(watched) = self.session_mut(spot.slot).at_mut(spot.place) {
            watched.silence_check = Some(due);
            self.silence_checks.insert((due, session, termination));
        }
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn tell_of_packet(&mut self, spot: Spot, is_first: bool, digit: Option<u8>, now: Instant) {
        let Some((session, termination)) = self.names_of(spot) else { return };
        if is_first {
            self.tell(Event::FirstPacket { session, termination, at: now });
        }
        if let Some(code) = digit {
            self.tell(Event::Digit { session, termination, code });
        }
    }

    /// What is to be done with a packet for a hearer.
    #[inline]
    fn pass(&mut self, hearer: Spot, passage: Passage, now: Instant) -> Option<Forward> {
        match passage {
            Passage::Nothing => return None,
            Passage::Forward(forward) => return Some(forward),
            Passage::InLine => {}
            Passage::Convert(mut transcoding) => {
                transcoding.hearer = self.names_of(hearer);
                self.outputs.push_back(Output::Transcode(transcoding));
            }
        }
        self.converted.push_back((hearer, now));
        None
    }
}

/// Looking things up.
impl Relay {
    #[inline]
    fn route(&self, port: u16) -> Option<Spot> {
        self.routes.of(port)
    }

    /// Whose packet it is that came to `port`; those of the relay's own ports are turned away.
    #[inline]
    fn route_of(&mut self, port: u16, source: SocketAddr) -> Option<Spot> {
        let spot = self.route(port)?;
        if self.is_own(source) {
            self.sessions[spot.slot].as_mut()?.at_mut(spot.place)?.inward.count_stranger(source);
            return None;
        }
        Some(spot)
    }

    /// Is it one of the relay's own ports? Two sessions described as each other's parties would send round
    /// and round.
    #[inline]
    fn is_own(&self, source: SocketAddr) -> bool {
        let Some(spot) = self.route(source.port()) else { return false };
        let Some(Some(session)) = self.sessions.get(spot.slot) else { return false };
        let Some(termination) = session.at(spot.place) else { return false };
        let local = termination.local.ip();
        local == source.ip() || (local.is_unspecified() && source.ip().is_loopback())
    }

    fn spot(&self, session: SessionId, termination: TerminationId) -> Option<Spot> {
        let slot = *self.slots.get(&session)?;
        Some(Spot { slot, place: self.sessions[slot].as_ref()?.place_of(termination)? })
    }

    fn names_of(&self, spot: Spot) -> Option<(SessionId, TerminationId)> {
        let session = self.sessions[spot.slot].as_ref()?;
        Some((session.id, session.at(spot.place)?.id))
    }

    fn session(&self, slot: usize) -> &Session {
        self.sessions[slot].as_ref().expect("a slot that is named has a session")
    }

    fn session_mut(&mut self, slot: usize) -> &mut Session {
        self.sessions[slot].as_mut().expect("a slot that is named has a session")
    }
}

const SILENCE_TIMEOUT_MIN: Duration = Duration::from_millis(100);
