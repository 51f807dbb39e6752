//! The signalling of a phone: registration, one call at a time, the script.
//!
//! Pure: octets, commands and the present time go in; octets to send, orders to the media and events come out.

mod calls;
mod connection;
mod incoming;
mod line;
mod registration;
mod session;

use crate::handset::{Failure, Outcome};
use crate::{Account, PhoneEvent, Registering, Script, Stream};
use connection::Connection;
use deadlines::Deadlines;
use line::Line;
use registration::{Purpose, Registration, Settled};
use sip_core::{Action, Config, Endpoint, Event, Flow, InviteId, Timers};
use sip_message::{Method, StatusCode};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A phone without its media.
pub struct Phone {
    endpoint: Endpoint,
    account: Account,
    script: Script,
    registration: Registration,
    connection: Connection,
    line: Option<Line>,
    stage: Stage,
    deadlines: Deadlines<Timer>,
    actions: VecDeque<PhoneAction>,
    failures: Vec<Failure>,
    calls_over: u32,
    session_id: u64,
    invites: u64,
}

/// What the owner of a phone has to do, in order.
#[derive(Debug)]
pub enum PhoneAction {
    /// Send these octets.
    Send {
        /// From where to where.
        flow: Flow,
        /// A SIP message.
        octets: Vec<u8>,
    },
    /// The audio of the call begins, or is another from now on.
    MediaStart(Stream),
    /// Send these digits as telephone events.
    SendDtmf(Box<str>),
    /// The audio of the call has ended.
    MediaStop,
    /// For those who watch.
    Report(PhoneEvent),
    /// The script has ended; nothing follows.
    Finished(Outcome),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The script runs.
    Working,
    /// The call is being ended and the registration removed.
    Leaving,
    /// Everything is done.
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    Register,
    Refresh,
    Reconnect,
    Reply,
    HangUp,
    Hold,
    Resume,
    Dtmf,
    /// `Script::exit_after`.
    Exit,
    /// Whatever has not ended by then will not.
    GiveUp,
}

impl Phone {
    /// A phone that begins with its script. `seed` is the only source of tags, branches and Call-IDs.
    pub fn new(account: Account, script: Script, seed: [u8; 32], now: Instant) -> Self {
        let config = Config {
            user_agent: "dialbridge-phone".into(),
            timers: Timers::default(),
            passes_to_user: vec![Method::INFO, Method::MESSAGE],
            transactions_max: TRANSACTIONS_MAX,
            ..Config::default()
        };
        let expires = match script.registering {
            Registering::Keep { expires } => expires,
            Registering::Never | Registering::RemoveAll => Duration::ZERO,
        };
        let session_id = seed.iter().take(7).fold(0, |id, octet| id << 8 | u64::from(*octet));
        let mut phone = Self {
            endpoint: Endpoint::new(config, seed),
            account,
            script,
            registration: Registration::new(expires),
            connection: Connection::open(),
            line: None,
            stage: Stage::Working,
            deadlines: Deadlines::new(),
            actions: VecDeque::new(),
            failures: Vec::new(),
            calls_over: 0,
            session_id,
            invites: 0,
        };
        phone.begin(now);
        phone
    }

    /// One datagram, or one message that was cut from a stream.
    pub fn handle_octets(&mut self, octets: &[u8], flow: Flow, now: Instant) {
        self.endpoint.handle_octets(octets, flow, now);
        self.perform_actions(now);
    }

    /// Nothing could be sent along `flow`.
    pub fn handle_unreachable(&mut self, flow: Flow, now: Instant) {
        self.endpoint.handle_unreachable(flow, now);
        self.perform_actions(now);
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        self.perform_actions(now);
        while let Some(timer) = self.deadlines.pop_due(now) {
            self.handle_timer(timer, now);
            self.perform_actions(now);
        }
    }

    /// When `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout().into_iter().chain(self.deadlines.next()).min()
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<PhoneAction> {
        self.actions.pop_front()
    }

    /// Ends the call, removes the registration, and is done then.
    pub fn leave(&mut self, now: Instant) {
        match self.stage {
            Stage::Working => {
                self.stage = Stage::Leaving;
                self.deadlines.clear_all();
                self.deadlines.set(Timer::GiveUp, now + PATIENCE);
                self.end_call(now);
                if self.registration.stands() {
                    self.registration.ask(Purpose::Removal, &self.account, &mut self.endpoint, now);
                }
            }
            Stage::Leaving | Stage::Done => {}
        }
        self.perform_actions(now);
    }

    fn begin(&mut self, now: Instant) {
        if let Some(after) = self.script.exit_after {
            self.deadlines.set(Timer::Exit, now + after);
        }
        match self.script.registering {
            Registering::Keep { .. } => self.register(Purpose::First, now),
            Registering::RemoveAll => self.register(Purpose::RemovalOfAll, now),
            Registering::Never => self.call_from_script(now),
        }
        self.perform_actions(now);
    }

    fn register(&mut self, purpose: Purpose, now: Instant) {
        self.registration.ask(purpose, &self.account, &mut self.endpoint, now);
    }

    fn call_from_script(&mut self, now: Instant) {
        if let Some(number) = self.script.call.take() {
            self.script.calls = self.script.calls.or(Some(1));
            self.call(&number, now);
        }
    }

    fn handle_timer(&mut self, timer: Timer, now: Instant) {
        match timer {
            Timer::Register => self.register(Purpose::First, now),
            Timer::Refresh => self.register(Purpose::Refresh, now),
            Timer::Reconnect => self.connection.want(),
            Timer::Reply => self.reply(now),
            Timer::HangUp => self.end_call(now),
            Timer::Hold => self.hold(true, now),
            Timer::Resume => self.hold(false, now),
            Timer::Dtmf => {
                if let Some(dtmf) = self.script.dtmf.clone() {
                    self.send_dtmf(&dtmf.digits);
                }
            }
            Timer::Exit => {
                if let Some(expected) = self.script.calls
                    && self.calls_over < expected
                {
                    self.failures.push(Failure::TooFewCalls { expected, were: self.calls_over });
                }
                self.leave(now);
            }
            Timer::GiveUp => self.finish(),
        }
    }

    /// Takes what the endpoint has for us, until it has nothing.
    fn perform_actions(&mut self, now: Instant) {
        while let Some(action) = self.endpoint.poll_action() {
            match action {
                Action::Send { flow, octets } => self.actions.push_back(PhoneAction::Send { flow, octets }),
                Action::Event(Event::Request(incoming)) => self.handle_new_call(incoming, now),
                Action::Event(Event::Invite { invite, event }) => self.handle_invite(invite, event, now),
                Action::Event(Event::Response { request, outcome }) => {
                    if let Some(settled) = self.registration.handle_outcome(request, &outcome, &self.account)
                    {
                        self.handle_registration(settled, now);
                    }
                }
            }
        }
        if self.stage == Stage::Leaving && self.line.is_none() && !self.registration.is_pending() {
            self.finish();
        }
    }

    fn handle_registration(&mut self, settled: Settled, now: Instant) {
        match settled {
            Settled::Standing { expires, refreshed } => {
                self.connection.has_proved_good();
                self.report(PhoneEvent::Registered { expires: expires.as_secs(), refreshed });
                match self.stage {
                    Stage::Working => {
                        self.deadlines.set(Timer::Refresh, now + registration::refresh_after(expires));
                        self.call_from_script(now);
                    }
                    // The answer crossed our wish to leave.
                    Stage::Leaving => self.register(Purpose::Removal, now),
                    Stage::Done => {}
                }
            }
            Settled::TooBrief { purpose } => self.register(purpose, now),
            Settled::Removed => {
                self.report(PhoneEvent::Unregistered);
                self.leave(now);
            }
            Settled::Failed { purpose, status, reason, again_after } => {
                let status = status.map(StatusCode::code);
                self.report(PhoneEvent::RegisterFailed { status, reason });
                self.register_failed(purpose, status, again_after, now);
            }
        }
    }

    fn register_failed(
        &mut self,
        purpose: Purpose,
        status: Option<u16>,
        again_after: Option<Duration>,
        now: Instant,
    ) {
        // Without an answer the server may be starting again.
        let refresh_again = if status.is_none() { Some(RETRY) } else { again_after };
        let again = match purpose {
            Purpose::First => again_after.map(|after| (Timer::Register, after)),
            Purpose::Refresh => refresh_again.map(|after| (Timer::Refresh, after)),
            Purpose::Removal | Purpose::RemovalOfAll => None,
        };
        match (again, self.stage) {
            (Some((timer, after)), Stage::Working) => self.deadlines.set(timer, now + after),
            (Some(_) | None, _) => {
                self.failures.push(Failure::NotRegistered { status });
                self.leave(now);
            }
        }
    }

    fn finish(&mut self) {
        match self.stage {
            Stage::Working | Stage::Leaving => {
                self.stage = Stage::Done;
                self.deadlines.clear_all();
                if self.line.take().is_some() {
                    self.actions.push_back(PhoneAction::MediaStop);
                }
                let outcome = Outcome { failures: std::mem::take(&mut self.failures) };
                self.actions.push_back(PhoneAction::Finished(outcome));
            }
            Stage::Done => {}
        }
    }

    /// The name of the next call.
    fn next_invite(&mut self) -> InviteId {
        self.invites += 1;
        InviteId(self.invites)
    }

    fn report(&mut self, event: PhoneEvent) {
        self.actions.push_back(PhoneAction::Report(event));
    }
}

const TRANSACTIONS_MAX: usize = 1_000;
/// How long leaving may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Until a refresh that nobody answered is tried again.
const RETRY: Duration = Duration::from_secs(5);
