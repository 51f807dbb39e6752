//! All calls, and the routing between them, the phones, the relay, the API and the disk.
//!
//! Pure: what happened goes in with the present [`Moment`], what is to be done comes out of `poll_action`. What it owns are
//! values with a subject each:
//!
//! | value | what |
//! |---|---|
//! | `Calls` | the calls by number and id, and when each is due |
//! | `Journal` | what is written in which round, and what waits for it |
//! | `Admission` | limits, and whether the server is being stopped |
//! | `Registrar`, `Registering` | where the phones are; REGISTERs whose answer waits for the disk |
//! | `Directory` | the extensions that there are |
//! | `Lines` | who is busy |
//! | `Trunks` | carriers, their channels and addresses |
//! | `LeftBehind` | legs that outlive a process |
//! | `Adopted` | legs that have gone from one call into another |
//! | `Tracer` | the SIP messages of each call |

mod admission;
mod adopting;
mod beginning;
mod call_actions;
mod calls;
mod command;
mod dialling;
mod ending;
mod inventory;
mod left_behind;
mod lines;
mod outside;
mod referring;
mod requests;
#[cfg(test)]
mod tests;
mod wishes;

pub use command::{Action, Command, Ticket};

use crate::call::RunningCall;
use crate::journal::{self, Journal, JournalAction, Waiting};
use crate::moment::Moment;
use crate::registrar::{Changed, Registrar};
use crate::routing::Directory;
use crate::scenario::{EndCause, Scenarios};
use crate::settings::{Extension, Settings, TrunkSettings};
use crate::trunks::Trunks;
use admission::Admission;
use adopting::Adopted;
use call_control::{Call, CallId, HangUpRefusal, NumberedEvent};
use call_store::{StoredBinding, StoredInvite};
use call_trace::{FarEnd, Tracer};
use calls::{Calls, Stage};
use left_behind::LeftBehind;
use lines::Lines;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use requests::Registering;
use sip_core::{Endpoint, Event, Flow, InviteEvent, InviteId};
use sip_message::FramingError;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// All calls.
pub struct Switchboard {
    settings: Settings,
    scenarios: Arc<dyn Scenarios>,
    endpoint: Endpoint,
    calls: Calls,
    journal: Journal,
    admission: Admission,
    registrar: Registrar,
    registering: Registering,
    directory: Directory,
    lines: Lines,
    trunks: Trunks,
    left_behind: LeftBehind,
    adopted: Adopted,
    /// When the log told last of a stranger who calls a number of a trunk.
    strangers_told_at: Option<Instant>,
    tracer: Tracer,
    random: ChaCha12Rng,
    actions: VecDeque<Action>,
}

/// What a run that is over left on the disk.
#[derive(Debug, Default)]
pub struct Left {
    /// The registrations.
    pub bindings: Vec<StoredBinding>,
    /// Calls without an end, each as it was last.
    pub calls: Vec<Call>,
    /// INVITEs that were not ended.
    pub invites: Vec<StoredInvite>,
}

impl Switchboard {
    /// A switchboard without calls. `seed` is its only source of randomness; `registrar` gets the extensions of
    /// `settings`.
    pub fn new(
        mut settings: Settings,
        scenarios: Arc<dyn Scenarios>,
        endpoint: Endpoint,
        mut registrar: Registrar,
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        let mut directory = Directory::new(settings.dial_policy.take());
        registrar.replace_extensions(directory.replace(std::mem::take(&mut settings.extensions)));
        registrar.set_accounts(settings.trunks.iter().filter_map(TrunkSettings::inbound_credentials));
        Self {
            admission: Admission::new(settings.limits),
            scenarios,
            endpoint,
            calls: Calls::new(),
            journal: Journal::new(),
            registrar,
            registering: Registering::default(),
            directory,
            lines: Lines::default(),
            trunks: Trunks::new(std::mem::take(&mut settings.trunks), seed, now),
            settings,
            left_behind: LeftBehind::default(),
            adopted: Adopted::default(),
            strangers_told_at: None,
            tracer: Tracer::default(),
            random: ChaCha12Rng::from_seed(seed),
            actions: VecDeque::new(),
        }
    }

    /// Takes over what runs that are over have left: registrations stand, calls that a crash cut off get their end and the
    /// event that tells of it, phones that ring or talk are told of theirs.
    pub fn recover(&mut self, left: Left, moment: Moment) {
        let Left { bindings, calls, invites } = left;
        self.registrar.restore(bindings, moment.now, moment.unix_milliseconds);
        journal::recover(&mut self.journal, calls, moment);
        self.left_behind.end_all(invites, &mut self.endpoint, &mut self.journal, moment);
        self.drain_endpoint(moment);
    }

    /// A datagram, or a message out of a stream.
    pub fn handle_octets(&mut self, octets: &[u8], flow: Flow, moment: Moment) {
        self.trace(octets, flow, false, moment);
        self.endpoint.handle_octets(octets, flow, moment.now);
        self.drain_endpoint(moment);
    }

    /// A stream cannot be read on: what can still be answered is.
    pub fn handle_unframed(&mut self, error: &FramingError, flow: Flow, moment: Moment) {
        self.trace(&error.header, flow, false, moment);
        self.endpoint.handle_unframed(error, flow);
        self.drain_endpoint(moment);
    }

    /// The addresses of the host have become others: `renews` says how a way goes on. Calls that run keep theirs, along which
    /// their audio goes, too.
    pub fn handle_addresses(&mut self, renews: impl Fn(Flow) -> Flow, moment: Moment) {
        let changed = self.registrar.renew_flows(&renews, moment.now);
        self.keep_bindings(changed);
        self.trunks.renew_flows(&renews, moment.now);
        self.drain_trunks(moment);
    }

    /// Nothing can be sent along this flow any more.
    pub fn handle_unreachable(&mut self, flow: Flow, moment: Moment) {
        let changed = self.registrar.flow_closed(flow, moment.now);
        self.keep_bindings(changed);
        self.trunks.note_lost(flow, moment.now);
        self.endpoint.handle_unreachable(flow, moment.now);
        self.drain_endpoint(moment);
    }

    /// No connection came about along this flow; why, for people.
    pub fn handle_unreached(&mut self, flow: Flow, why: &str, moment: Moment) {
        self.trunks.note_unreached(flow, why, moment.now);
    }

    /// Something is asked.
    pub fn handle_command(&mut self, command: Command, moment: Moment) {
        match command {
            Command::ClickToCall { ticket, request } => self.click_to_call(ticket, request, moment),
            Command::HangUp { ticket, call } => self.hang_up(ticket, call, moment),
            Command::Ask { ticket, call, wish } => self.ask(ticket, call, &wish, moment),
            Command::Drain => self.admission.drain(),
            Command::EndAll => self.end_all(moment, |call| call.request_end(EndCause::ServerStopped, moment)),
            Command::Unregister => {
                self.trunks.unregister();
                self.drain_trunks(moment);
            }
            Command::CloseAll => self.end_all(moment, |call| call.close_at_once(moment)),
            Command::ReplaceExtensions(extensions) => self.replace_extensions(extensions),
        }
        self.drain_endpoint(moment);
    }

    /// The relay reports.
    pub fn handle_relay(&mut self, event: media_relay::Event, moment: Moment) {
        use media_relay::Event::{
            Added, Broken, Closed, Digit, FirstPacket, Moved, NotAdded, Played, Removed, Report, Silent,
        };
        match event {
            Added { session, termination, rtp } => self.added(session.into(), termination, rtp, moment),
            NotAdded { session, termination, reason } => {
                self.not_added(session.into(), termination, reason, moment);
            }
            FirstPacket { session, termination, at } => {
                self.with_call(session.into(), moment, |call| {
                    call.handle_first_packet(termination, at, moment);
                });
            }
            Silent { session, termination } => {
                self.with_call(session.into(), moment, |call| call.handle_silence(termination, moment));
            }
            // No scenario listens to digits, or plays a sound that ends, yet.
            Digit { .. } | Played { .. } | Removed { .. } | Moved { .. } => {}
            Report { session, statistics } => {
                self.with_call(session.into(), moment, |call| call.handle_report(&statistics, moment));
            }
            Broken { session } => self.media_broken(session.into(), moment),
            Closed { session, statistics } => {
                self.with_call(session.into(), moment, |call| call.handle_closed(&statistics, moment));
            }
        }
        self.drain_endpoint(moment);
    }

    /// What became of the round that was to be written: its events with their ids, or everything that the failure came
    /// from, in words.
    pub fn handle_written(&mut self, result: Result<Vec<NumberedEvent>, Arc<str>>, moment: Moment) {
        self.journal.handle_written(result, moment);
        self.drain_journal(moment);
    }

    /// Timers that are due.
    pub fn handle_timeout(&mut self, moment: Moment) {
        self.endpoint.handle_timeout(moment.now);
        self.drain_endpoint(moment);
        self.trunks.handle_timeout(moment.now);
        self.drain_trunks(moment);
        let changed = self.registrar.handle_timeout(moment.now);
        self.keep_bindings(changed);
        self.journal.handle_timeout(moment.now);
        while let Some(number) = self.calls.pop_due(moment.now) {
            self.with_call(number, moment, |call| call.handle_timeout(moment));
        }
        self.drain_endpoint(moment);
    }

    /// When `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = [self.calls.next_due(), self.journal.poll_timeout()];
        let others =
            [self.endpoint.poll_timeout(), self.registrar.poll_timeout(), self.trunks.poll_timeout()];
        own.into_iter().chain(others).flatten().min()
    }

    /// What is to be done next; asked until there is nothing, a round to be written comes last.
    pub fn poll_action(&mut self, moment: Moment) -> Option<Action> {
        if self.actions.is_empty() {
            self.drain_journal(moment);
        }
        self.actions.pop_front()
    }

    /// Calls, transactions and usages that live, what trunks ask for themselves apart: all zero when nothing is left.
    pub fn counts(&self) -> (usize, usize, usize) {
        let (transactions, usages) = self.endpoint.counts();
        (self.calls.len(), transactions - self.endpoint.own_requests(), usages)
    }

    /// Calls that live.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Legs that are known to be busy: none when no call is left.
    pub fn busy_legs(&self) -> usize {
        self.lines.count()
    }

    /// Channels of trunks in use: none when no call is left.
    pub fn channels_in_use(&self) -> usize {
        self.trunks.count()
    }

    /// No carrier is being told that the server stops.
    pub fn is_unregistered(&self) -> bool {
        self.trunks.is_unregistered()
    }

    /// Whether a leg of any call, ringing or answered, has this number.
    pub fn is_busy(&self, number: &call_control::Number) -> bool {
        self.lines.is_busy(number)
    }

    /// Everything that was to be written is on disk.
    pub fn is_written(&self) -> bool {
        self.journal.is_idle()
    }

    /// Calls whose end is not on disk yet.
    pub fn unwritten_ends(&self) -> usize {
        self.journal.unwritten_ends()
    }

    /// How many phones of a user are registered.
    pub fn registered(&self, user: &str, now: Instant) -> usize {
        self.registrar.bindings_of(user, now).len()
    }

    /// A call that runs, or whose record is being written, and its trace until now.
    pub fn trace_of(&self, id: CallId) -> Option<(Call, Arc<[u8]>)> {
        let call = match self.calls.stage(self.calls.number_of(id)?)? {
            Stage::Beginning { .. } => return None,
            Stage::Running { call, .. } => call.view().clone(),
            Stage::Keeping { record } => Call::clone(record),
        };
        Some((call, self.tracer.octets_of(id)))
    }

    /// A fault in the machine of one call, for tests of what becomes of it and of the others.
    #[doc(hidden)]
    ///
    /// # Panics
    /// Inside, and not beyond.
    pub fn fail(&mut self, id: CallId, moment: Moment) {
        if let Some(number) = self.calls.number_of(id) {
            self.with_call(number, moment, |_| panic!("a fault that was asked for"));
        }
        self.drain_endpoint(moment);
    }

    fn hang_up(&mut self, ticket: Ticket, id: CallId, moment: Moment) {
        let number = self.calls.number_of(id);
        let number = number.filter(|number| matches!(self.calls.stage(*number), Some(Stage::Running { .. })));
        let answer = number.map(drop).ok_or(HangUpRefusal::NotFound(id));
        if let Some(number) = number {
            self.with_call(number, moment, |call| call.request_end(EndCause::Api, moment));
        }
        self.actions.push_back(Action::AnswerHangUp { ticket, answer });
    }

    fn end_all(&mut self, moment: Moment, end: impl Fn(&mut RunningCall)) {
        self.admission.end();
        for number in self.calls.numbers() {
            if let Some(Stage::Running { .. }) = self.calls.stage(number) {
                self.with_call(number, moment, &end);
            }
        }
    }

    fn replace_extensions(&mut self, extensions: Vec<Extension>) {
        let secrets = self.directory.replace(extensions);
        let changed = self.registrar.replace_extensions(secrets);
        self.keep_bindings(changed);
    }

    fn keep_bindings(&mut self, changed: impl IntoIterator<Item = Changed>) {
        for (user, bindings) in changed {
            self.journal.keep_bindings(user, bindings, None);
        }
    }

    fn drain_endpoint(&mut self, moment: Moment) {
        while let Some(action) = self.endpoint.poll_action() {
            match action {
                sip_core::Action::Send { flow, octets } => {
                    self.trace(&octets, flow, true, moment);
                    self.actions.push_back(Action::Send { flow, octets });
                }
                sip_core::Action::Event(Event::Request(incoming)) => self.handle_request(incoming, moment),
                sip_core::Action::Event(Event::Invite { invite, event }) => {
                    self.handle_invite(invite, event, moment);
                }
                sip_core::Action::Event(Event::Response { request, outcome }) => {
                    self.trunks.handle_outcome(request, &outcome, moment.now);
                    self.drain_trunks(moment);
                }
            }
        }
    }

    fn handle_invite(&mut self, invite: InviteId, event: InviteEvent, moment: Moment) {
        let place = self.adopted.place_of(invite);
        let call = self.calls.machine(place.call).is_some().then(|| self.calls.id_of(place.call)).flatten();
        self.left_behind.keep(invite, &event, call, &mut self.endpoint, &mut self.journal, moment);
        if let InviteEvent::Trying | InviteEvent::Progress { .. } | InviteEvent::Answered { .. } = event {
            self.trunks.note_response((place.call, place.leg));
        }
        self.with_call(place.call, moment, |call| call.handle_invite(place.leg, place.fork, event, moment));
    }

    fn drain_journal(&mut self, moment: Moment) {
        while let Some(action) = self.journal.poll_action(moment.now) {
            match action {
                JournalAction::Write(round) => self.actions.push_back(Action::Write(round)),
                JournalAction::Announce(event) => self.actions.push_back(Action::Announce(event)),
                JournalAction::Storage(state) => self.actions.push_back(Action::Storage(state)),
                JournalAction::Go(waiting) => self.go_on(waiting, moment),
                JournalAction::Refuse(waiting) => self.refuse(waiting, moment),
            }
            self.drain_endpoint(moment);
        }
    }

    /// What it waited for is on disk.
    fn go_on(&mut self, waiting: Waiting, moment: Moment) {
        match waiting {
            Waiting::Begin(number, _) => self.begin(number, moment),
            Waiting::Acknowledge(invite) => {
                self.endpoint.handle_command(sip_core::Command::Acknowledge { invite }, moment.now);
            }
            Waiting::Send(invite) => {
                self.endpoint.handle_command(sip_core::Command::Send { invite }, moment.now);
            }
            Waiting::Register(key) => self.answer_register(&key, moment),
            Waiting::End(number) => self.forget(number),
        }
    }

    /// What it waited for cannot be written.
    fn refuse(&mut self, waiting: Waiting, moment: Moment) {
        match waiting {
            Waiting::Begin(number, _) => self.refuse_unwritten(number, moment),
            Waiting::Register(key) => self.refuse_register(&key, moment),
            Waiting::Send(_) | Waiting::Acknowledge(_) | Waiting::End(_) => {}
        }
    }

    /// A message was sent or received.
    fn trace(&mut self, octets: &[u8], flow: Flow, is_sent: bool, moment: Moment) {
        self.tracer.note(octets, far_end(flow), is_sent, moment.unix_milliseconds);
    }
}

/// The far side of a flow, as a trace has it.
pub(crate) const fn far_end(flow: Flow) -> FarEnd {
    FarEnd { transport: flow.transport, address: flow.remote }
}
