//! Legs that outlive the process: what is needed to end them is kept while they last, and when the server comes back
//! after a crash, phones that still ring get a CANCEL and phones that still talk a BYE.

use crate::journal::{Journal, Waiting};
use crate::moment::Moment;
use crate::stored_flow;
use call_control::CallId;
use call_store::StoredInvite;
use sip_core::{Command, Endpoint, Flow, GoneCause, InviteEvent, InviteId, SavedInvite};
use sip_message::{Host, Message, Reason};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// What is kept on disk of INVITEs.
#[derive(Debug, Default)]
pub(super) struct LeftBehind {
    /// By what is kept: the same is not written twice.
    running: BTreeMap<InviteId, (Box<str>, u64)>,
    /// Of the last process, being ended now.
    ending: BTreeMap<InviteId, Leg>,
    /// Of the last process; the phone did not hear its end, and has not come back yet.
    waiting: Vec<Leg>,
    /// Names of the INVITEs that are being ended: those of no call.
    last_id: u64,
}

#[derive(Debug, Clone)]
struct Leg {
    /// The user part of the phone's address-of-record.
    user: Box<str>,
    sip_call_id: Box<str>,
    saved: SavedInvite,
    /// It has registered along this way in the meantime.
    returned_along: Option<Flow>,
    /// Whoever has not heard of it by then has ended it for himself.
    until: Instant,
}

/// How long a phone is told again whenever it comes back; phones register every hour at least.
const COMES_BACK: Duration = Duration::from_hours(1);
/// Names of INVITEs below it are those of no call.
const IDS: u64 = 1 << 28;

impl LeftBehind {
    /// Ends what the last process left behind when it died.
    pub(super) fn end_all(
        &mut self,
        invites: Vec<StoredInvite>,
        endpoint: &mut Endpoint,
        journal: &mut Journal,
        moment: Moment,
    ) {
        for invite in invites {
            match Leg::read(&invite, moment.now + COMES_BACK) {
                Some(left) => self.end(left.at_its_contact(), endpoint, journal, moment),
                None => journal.forget_invite(invite.sip_call_id),
            }
        }
    }

    /// A phone has registered along `flow`: what it did not hear, when its connection was gone or its NAT had forgotten us,
    /// it is told now.
    pub(super) fn tell_returned(
        &mut self,
        user: &str,
        flow: Flow,
        endpoint: &mut Endpoint,
        journal: &mut Journal,
        moment: Moment,
    ) {
        for left in self.ending.values_mut().filter(|left| left.is_of(user, flow)) {
            left.returned_along = Some(flow);
        }
        let (told, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|left| left.is_of(user, flow) || left.until <= moment.now);
        self.waiting = waiting;
        for left in told {
            self.end(left.along(flow), endpoint, journal, moment);
        }
    }

    /// Keeps what the INVITE of a call is ended with, as the event has left it. `call` is absent when it is none of a call
    /// that runs.
    pub(super) fn keep(
        &mut self,
        invite: InviteId,
        event: &InviteEvent,
        call: Option<CallId>,
        endpoint: &mut Endpoint,
        journal: &mut Journal,
        moment: Moment,
    ) {
        match event {
            InviteEvent::Answered { .. } => {
                let saved = call.and_then(|call| self.changed(invite, call, endpoint));
                match saved {
                    Some(stored) => journal.keep_invite(stored, Some(Waiting::Acknowledge(invite))),
                    None => endpoint.handle_command(Command::Acknowledge { invite }, moment.now),
                }
            }
            InviteEvent::Progress { .. }
            | InviteEvent::Offered { .. }
            | InviteEvent::Reanswered { .. }
            | InviteEvent::Confirmed { .. }
            | InviteEvent::Requested { .. } => {
                if let Some(stored) = call.and_then(|call| self.changed(invite, call, endpoint)) {
                    journal.keep_invite(stored, None);
                }
            }
            InviteEvent::Gone(gone) => self.forget(invite, gone.cause, endpoint, journal, moment),
            // One that waits is on disk before anybody knows of it.
            InviteEvent::Sent { .. } if endpoint.waits(invite) => {
                match call.and_then(|call| self.changed(invite, call, endpoint)) {
                    Some(stored) => journal.keep_invite(stored, Some(Waiting::Send(invite))),
                    None => endpoint.handle_command(Command::Send { invite }, moment.now),
                }
            }
            // Nobody rings.
            InviteEvent::Sent { .. }
            | InviteEvent::Trying
            | InviteEvent::Disconnected
            | InviteEvent::ReofferRefused { .. } => {}
        }
    }

    /// `None` when there is nothing new to write.
    fn changed(&mut self, invite: InviteId, call_id: CallId, endpoint: &Endpoint) -> Option<StoredInvite> {
        let saved = endpoint.saved(invite)?;
        let mut hasher = DefaultHasher::new();
        saved.hash(&mut hasher);
        let hash = hasher.finish();
        if self.running.get(&invite).is_some_and(|(_, kept)| *kept == hash) {
            return None;
        }
        let sip_call_id = saved.call_id.0.clone();
        self.running.insert(invite, (sip_call_id.clone(), hash));
        let [transport, local, remote] = stored_flow::words(saved.flow);
        let request = saved.request;
        Some(StoredInvite { sip_call_id, call_id, transport, local, remote, request })
    }

    fn forget(
        &mut self,
        invite: InviteId,
        cause: GoneCause,
        endpoint: &mut Endpoint,
        journal: &mut Journal,
        moment: Moment,
    ) {
        if let Some((sip_call_id, _)) = self.running.remove(&invite) {
            return journal.forget_invite(sip_call_id);
        }
        let Some(left) = self.ending.remove(&invite) else { return };
        match (cause, left.returned_along) {
            (GoneCause::TimedOut | GoneCause::Unreachable, Some(flow)) => {
                self.end(left.along(flow), endpoint, journal, moment);
            }
            (GoneCause::TimedOut | GoneCause::Unreachable, None) => self.waiting.push(left),
            (
                GoneCause::Refused { .. }
                | GoneCause::NothingToEnd
                | GoneCause::Cancelled
                | GoneCause::CancelledByPeer
                | GoneCause::Rejected
                | GoneCause::HungUpByPeer
                | GoneCause::HungUp
                | GoneCause::NoAck
                | GoneCause::SessionExpired,
                _,
            ) => journal.forget_invite(left.sip_call_id),
        }
    }

    fn end(&mut self, left: Leg, endpoint: &mut Endpoint, journal: &mut Journal, moment: Moment) {
        if left.until <= moment.now {
            return journal.forget_invite(left.sip_call_id);
        }
        let reason = Reason {
            protocol: "Q.850".into(),
            cause: Some(41), // Temporary failure.
            text: Some("The server was restarted".into()),
        };
        self.last_id = (self.last_id + 1) % IDS;
        let (invite, saved) = (InviteId(self.last_id), left.saved.clone());
        self.ending.insert(invite, left);
        endpoint.handle_command(Command::EndSaved { invite, saved, reason: Some(reason) }, moment.now);
    }
}

impl Leg {
    fn read(stored: &StoredInvite, until: Instant) -> Option<Self> {
        let flow = stored_flow::read(&stored.transport, &stored.local, &stored.remote)?;
        let Ok(Message::Request(request)) = Message::parse(&stored.request) else { return None };
        let user = request.header.to.uri.as_sip()?.decoded_user()?.into();
        let call_id = request.header.call_id;
        let saved = SavedInvite { flow, call_id, request: stored.request.clone() };
        let sip_call_id = stored.sip_call_id.clone();
        Some(Self { user, sip_call_id, saved, returned_along: None, until })
    }

    fn along(mut self, flow: Flow) -> Self {
        self.saved.flow = flow;
        self.returned_along = None;
        self
    }

    /// Whether the phone that registers along `flow` may be the one.
    fn is_of(&self, user: &str, flow: Flow) -> bool {
        *self.user == *user && self.saved.flow.remote.ip() == flow.remote.ip()
    }

    /// A connection has not outlived the process; perhaps the phone listens where its Contact says.
    fn at_its_contact(mut self) -> Self {
        let Ok(Message::Request(request)) = Message::parse(&self.saved.request) else { return self };
        let flow = &mut self.saved.flow;
        if let Some(uri) = request.uri.as_sip().filter(|_| flow.transport.is_reliable())
            && uri.host == Host::Address(flow.remote.ip())
        {
            flow.remote.set_port(uri.port.unwrap_or(flow.transport.default_port()));
        }
        self
    }
}
