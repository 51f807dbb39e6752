//! All calls and legs, and the routing between them, the phones, the relay, the API and the store.
//!
//! Pure: what happened goes in with the present [`Moment`], what is to be done comes out of `poll_output`.

mod dialling;
mod left_behind;
mod performing;
mod recording;
mod requests;
mod vocabulary;

use crate::call::{CallLimits, Effect, Moment, RelayAction, RunningCall, side};
use crate::end::EndCause;
use crate::leg::Information;
use crate::recorder::Recorder;
use crate::registrar::{Changed, Registrar};
use crate::settings::{Extension, Settings};
use call_control::{
    Call, CallEvent, CallEventKind, CallId, CallState, ClickToCall, EndReason, HangUpRefusal, Number, Party,
    PartyType, PartyView, Refusal,
};
use left_behind::Saved;
use media_relay::SessionId;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha12Rng;
use sip_core::{Endpoint, Event, Flow, Incoming, InviteEvent, InviteId};
use sip_message::{FramingError, Host, Method, Response};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use vocabulary::{Command, Output, RegisterKey, Ticket};

/// All calls.
pub struct Switchboard {
    settings: Settings,
    domain: Host,
    extensions: BTreeMap<Number, Extension>,
    endpoint: Endpoint,
    registrar: Registrar,
    calls: BTreeMap<CallId, Entry>,
    invites: BTreeMap<InviteId, Place>,
    /// REGISTERs whose answer waits for the disk.
    registering: BTreeMap<RegisterKey, (Incoming, Response)>,
    sessions: BTreeMap<SessionId, CallId>,
    recorder: Recorder,
    saved: Saved,
    due: BTreeSet<(Instant, CallId)>,
    next_session: u64,
    next_invite: u64,
    random: ChaCha12Rng,
    draining: bool,
    ending: bool,
    outputs: VecDeque<Output>,
}

/// A call and what the switchboard has to know of it.
struct Entry {
    session: SessionId,
    key_name: Box<str>,
    due: Option<Instant>,
    stage: Stage,
}

enum Stage {
    /// The relay session is being opened.
    Opening {
        ticket: Ticket,
        request: Box<ClickToCall>,
        view: Box<Call>,
    },
    Running {
        call: Box<RunningCall>,
        request: Box<ClickToCall>,
        bound: [SocketAddr; 2],
    },
    /// The record is being written.
    Keeping {
        record: Arc<Call>,
    },
}

/// Where the events of an INVITE usage belong.
#[derive(Debug, Clone, Copy)]
struct Place {
    call: CallId,
    party: Party,
    fork: usize,
}

impl Switchboard {
    /// A switchboard without calls. `seed` is its only source of randomness.
    pub fn new(settings: Settings, endpoint: Endpoint, registrar: Registrar, seed: [u8; 32]) -> Self {
        let extensions = by_number(settings.extensions.clone());
        let domain = Host::new(&settings.domain).unwrap_or_else(|| Host::Name(settings.domain.clone()));
        Self {
            settings,
            domain,
            extensions,
            endpoint,
            registrar,
            calls: BTreeMap::new(),
            invites: BTreeMap::new(),
            registering: BTreeMap::new(),
            sessions: BTreeMap::new(),
            recorder: Recorder::default(),
            saved: Saved::default(),
            due: BTreeSet::new(),
            next_session: 1,
            next_invite: 0,
            random: ChaCha12Rng::from_seed(seed),
            draining: false,
            ending: false,
            outputs: VecDeque::new(),
        }
    }

    /// A datagram, or a message out of a stream.
    pub fn handle_octets(&mut self, octets: &[u8], flow: Flow, moment: Moment) {
        self.recorder.note(octets, flow, false, moment.unix_milliseconds);
        self.endpoint.handle_octets(octets, flow, moment.now);
        self.drain_endpoint(moment);
    }

    /// A stream cannot be read on: what can still be answered is.
    pub fn handle_unframed(&mut self, error: &FramingError, flow: Flow, moment: Moment) {
        self.recorder.note(&error.header, flow, false, moment.unix_milliseconds);
        self.endpoint.handle_unframed(error, flow);
        self.drain_endpoint(moment);
    }

    /// Nothing can be sent along this flow any more.
    pub fn handle_unreachable(&mut self, flow: Flow, moment: Moment) {
        let changed = self.registrar.flow_closed(flow, moment.now);
        self.keep_bindings(changed);
        self.endpoint.handle_unreachable(flow, moment.now);
        self.drain_endpoint(moment);
    }

    /// Something is asked.
    pub fn handle_command(&mut self, command: Command, moment: Moment) {
        match command {
            Command::ClickToCall { ticket, request } => self.click_to_call(ticket, request, moment),
            Command::HangUp { ticket, call } => self.hang_up(ticket, call, moment),
            Command::Drain => self.draining = true,
            Command::EndAll => self.end_all(moment),
            Command::ReplaceExtensions(extensions) => self.replace_extensions(extensions),
        }
        self.drain_endpoint(moment);
    }

    /// The relay reports.
    pub fn handle_relay(&mut self, event: media_relay::Event, moment: Moment) {
        use media_relay::Event::{Broken, Closed, FirstPacket, OpenFailed, Opened, Report, Silent};
        match event {
            Opened { session, rtp } => self.opened(session, rtp, moment),
            OpenFailed { session, reason } => self.open_failed(session, reason),
            FirstPacket { session, side, at } => {
                self.with_session(session, moment, |call| call.handle_first_packet(side, at));
            }
            Silent { session, side } => {
                self.with_session(session, moment, |call| call.handle_silence(side, moment));
            }
            Report { session, statistics } => {
                self.with_session(session, moment, |call| call.handle_report(&statistics));
            }
            Broken { session } => self.media_broken(session, moment),
            Closed { session, statistics } => {
                self.with_session(session, moment, |call| call.handle_closed(&statistics));
            }
        }
        self.drain_endpoint(moment);
    }

    /// The record of an ended call is on disk: now its end is announced.
    pub fn handle_kept(&mut self, id: CallId, moment: Moment) {
        let Some(Entry { stage: Stage::Keeping { record }, .. }) = self.calls.get(&id) else { return };
        let record = Arc::clone(record);
        self.calls.remove(&id);
        self.recorder.forget(id);
        self.outputs.push_back(Output::Forget(id));
        self.announce(CallEventKind::Ended, None, &record, moment);
    }

    /// Timers that are due.
    pub fn handle_timeout(&mut self, moment: Moment) {
        self.endpoint.handle_timeout(moment.now);
        self.drain_endpoint(moment);
        let changed = self.registrar.handle_timeout(moment.now);
        self.keep_bindings(changed);
        while let Some((due, id)) = self.due.first().copied().filter(|(due, _)| *due <= moment.now) {
            self.due.remove(&(due, id));
            if let Some(entry) = self.calls.get_mut(&id) {
                entry.due = None;
            }
            self.with_call(id, moment, |call| call.handle_timeout(moment));
        }
        self.drain_endpoint(moment);
    }

    /// When `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let call = self.due.first().map(|(due, _)| *due);
        [call, self.endpoint.poll_timeout(), self.registrar.poll_timeout()].into_iter().flatten().min()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Calls, transactions and usages that live: all zero when nothing is left.
    pub fn counts(&self) -> (usize, usize, usize) {
        let (transactions, usages) = self.endpoint.counts();
        (self.calls.len(), transactions, usages)
    }

    /// A fault in the machine of one call, for tests of what becomes of it and of the others.
    #[doc(hidden)]
    ///
    /// # Panics
    /// Inside, and not beyond.
    pub fn fail(&mut self, id: CallId, moment: Moment) {
        self.with_call(id, moment, |_| panic!("a fault that was asked for"));
        self.drain_endpoint(moment);
    }

    /// How many phones of a user are registered.
    pub fn registered(&self, user: &str, now: Instant) -> usize {
        self.registrar.bindings_of(user, now).len()
    }

    fn hang_up(&mut self, ticket: Ticket, id: CallId, moment: Moment) {
        let running = self.calls.get(&id).is_some_and(|entry| matches!(entry.stage, Stage::Running { .. }));
        self.with_call(id, moment, |call| call.request_end(EndCause::Api, moment));
        let answer = if running { Ok(()) } else { Err(HangUpRefusal::NotFound(id)) };
        self.outputs.push_back(Output::HangUpAnswer { ticket, answer });
    }

    fn end_all(&mut self, moment: Moment) {
        self.draining = true;
        self.ending = true;
        let ids: Vec<CallId> = self.calls.keys().copied().collect();
        for id in ids {
            self.with_call(id, moment, |call| call.request_end(EndCause::ServerStopped, moment));
        }
    }

    fn replace_extensions(&mut self, extensions: Vec<Extension>) {
        let secrets = extensions
            .iter()
            .map(|extension| (Box::<str>::from(extension.number.as_str()), extension.secret.clone()));
        let changed = self.registrar.replace_extensions(secrets.collect::<Vec<_>>());
        self.keep_bindings(changed);
        self.extensions = by_number(extensions);
    }

    fn with_session(&mut self, session: SessionId, moment: Moment, change: impl FnOnce(&mut RunningCall)) {
        if let Some(id) = self.sessions.get(&session).copied() {
            self.with_call(id, moment, change);
        }
    }

    /// Lets something happen to a running call, then performs what it wants. A call whose machine panics ends alone.
    fn with_call(&mut self, id: CallId, moment: Moment, change: impl FnOnce(&mut RunningCall)) {
        let act = std::panic::AssertUnwindSafe(|| {
            let Some(call) = self.running(id) else { return };
            change(call);
            self.perform(id, moment);
        });
        if std::panic::catch_unwind(act).is_err() {
            self.break_off(id, moment);
        }
    }

    fn running(&mut self, id: CallId) -> Option<&mut RunningCall> {
        match &mut self.calls.get_mut(&id)?.stage {
            Stage::Running { call, .. } => Some(call),
            Stage::Opening { .. } | Stage::Keeping { .. } => None,
        }
    }

    fn drain_endpoint(&mut self, moment: Moment) {
        while let Some(output) = self.endpoint.poll_action() {
            match output {
                sip_core::Action::Send { flow, octets } => {
                    self.recorder.note(&octets, flow, true, moment.unix_milliseconds);
                    self.outputs.push_back(Output::Send { flow, octets });
                }
                sip_core::Action::Event(Event::Request(incoming)) => self.handle_request(incoming, moment),
                sip_core::Action::Event(Event::Invite { invite, event }) => {
                    self.handle_invite(invite, event, moment);
                }
                // We send no requests of our own outside of dialogs.
                sip_core::Action::Event(Event::Response { .. }) => {}
            }
        }
    }

    fn handle_invite(&mut self, invite: InviteId, event: InviteEvent, moment: Moment) {
        self.save(invite, &event, moment);
        let Some(place) = self.invites.get(&invite).copied() else { return };
        if matches!(event, InviteEvent::Gone(_)) {
            self.invites.remove(&invite);
        }
        let Place { call, party, fork } = place;
        self.with_call(call, moment, |call| call.handle_invite(party, fork, event, moment));
    }
}

fn by_number(extensions: Vec<Extension>) -> BTreeMap<Number, Extension> {
    extensions.into_iter().map(|extension| (extension.number.clone(), extension)).collect()
}
