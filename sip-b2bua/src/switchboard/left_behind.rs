//! Legs that outlive the process: what is needed to end them is kept while they last, and when the server comes back
//! after a crash, phones that still ring get a CANCEL and phones that still talk a BYE.

use super::*;
use crate::stored_flow;
use call_store::{StoredBinding, StoredInvite};
use sip_core::{SavedInvite, Transport};
use sip_message::{Message, Reason};
use std::hash::{DefaultHasher, Hash, Hasher};

/// What is kept on disk of INVITEs.
#[derive(Default)]
pub(super) struct Saved {
    /// By what is kept: the same is not written twice.
    running: BTreeMap<InviteId, (Box<str>, u64)>,
    /// Of the last process, being ended now.
    ending: BTreeMap<InviteId, LeftBehind>,
    /// Of the last process; its connection is gone, and the phone has not come back yet. Until then it may.
    waiting: Vec<(LeftBehind, Instant)>,
}

#[derive(Debug, Clone)]
struct LeftBehind {
    /// The user part of the phone's address-of-record.
    user: Box<str>,
    sip_call_id: Box<str>,
    saved: SavedInvite,
    /// Its connection was closed before it could be told.
    untold: bool,
    /// It has registered along this way in the meantime.
    returned_along: Option<Flow>,
}

/// How long a phone may take to come back after its connection was cut; phones register every hour at least.
const COMES_BACK: Duration = Duration::from_hours(1);

impl Saved {
    /// What was on its way along this connection has not arrived.
    pub(super) fn flow_closed(&mut self, flow: Flow) {
        for left in self.ending.values_mut().filter(|left| left.saved.flow == flow) {
            left.untold = true;
        }
    }
}

impl Switchboard {
    /// The registrations that the last process kept.
    pub fn restore_bindings(&mut self, bindings: Vec<StoredBinding>, moment: Moment) {
        self.registrar.restore(bindings, moment.now, moment.unix_milliseconds);
    }

    /// Ends what the last process left behind when it died.
    pub fn end_left_behind(&mut self, invites: Vec<StoredInvite>, moment: Moment) {
        for invite in invites {
            match LeftBehind::read(&invite) {
                Some(left) => self.end_left(left.at_its_contact(), moment),
                None => self.outputs.push_back(Output::ForgetInvite(invite.sip_call_id)),
            }
        }
        self.drain_endpoint(moment);
    }

    /// A phone has registered along `flow`: what it could not be told when its connection was gone it is told now.
    pub(super) fn tell_returned(&mut self, user: &str, flow: Flow, moment: Moment) {
        for left in self.saved.ending.values_mut().filter(|left| left.is_of(user, flow)) {
            left.returned_along = Some(flow);
        }
        for (mut left, until) in std::mem::take(&mut self.saved.waiting) {
            if until <= moment.now {
                self.outputs.push_back(Output::ForgetInvite(left.sip_call_id));
            } else if left.is_of(user, flow) {
                left.saved.flow = flow;
                self.end_left(left, moment);
            } else {
                self.saved.waiting.push((left, until));
            }
        }
    }

    /// Keeps what an INVITE is ended with, as the event has left it.
    pub(super) fn save(&mut self, invite: InviteId, event: &InviteEvent, moment: Moment) {
        match event {
            InviteEvent::Progress { .. }
            | InviteEvent::Answered { .. }
            | InviteEvent::Offered { .. }
            | InviteEvent::Reanswered { .. }
            | InviteEvent::Requested { .. } => self.save_again(invite),
            InviteEvent::Gone(_) => self.forget_saved(invite, moment),
            InviteEvent::Confirmed { .. } | InviteEvent::ReofferRefused { .. } => {}
        }
    }

    fn save_again(&mut self, invite: InviteId) {
        let (Some(place), Some(saved)) = (self.invites.get(&invite), self.endpoint.saved(invite)) else {
            return;
        };
        let mut hasher = DefaultHasher::new();
        saved.hash(&mut hasher);
        let hash = hasher.finish();
        if self.saved.running.get(&invite).is_some_and(|(_, kept)| *kept == hash) {
            return;
        }
        let Some(sip_call_id) = self.endpoint.call_id(invite).map(|call_id| call_id.0.clone()) else {
            return;
        };
        self.saved.running.insert(invite, (sip_call_id.clone(), hash));
        let [transport, local, remote] = stored_flow::words(saved.flow);
        let (call_id, request) = (place.call, saved.request);
        let stored = StoredInvite { sip_call_id, call_id, transport, local, remote, request };
        self.outputs.push_back(Output::KeepInvite(stored));
    }

    fn forget_saved(&mut self, invite: InviteId, moment: Moment) {
        let running = self.saved.running.remove(&invite).map(|(sip_call_id, _)| sip_call_id);
        let ended = match self.saved.ending.remove(&invite) {
            Some(mut left) if left.untold => {
                match left.returned_along.take() {
                    Some(flow) => {
                        left.saved.flow = flow;
                        self.end_left(left, moment);
                    }
                    None => self.saved.waiting.push((left, moment.now + COMES_BACK)),
                }
                None
            }
            ended => ended.map(|left| left.sip_call_id),
        };
        self.outputs.extend(running.or(ended).map(Output::ForgetInvite));
    }

    fn end_left(&mut self, mut left: LeftBehind, moment: Moment) {
        left.untold = false;
        let reason = Reason {
            protocol: "Q.850".into(),
            cause: Some(41), // Temporary failure.
            text: Some("The server was restarted".into()),
        };
        let ended = self.endpoint.end_saved(&left.saved, Some(reason), moment.now);
        match ended {
            Some(invite) => {
                self.saved.ending.insert(invite, left);
            }
            None => self.outputs.push_back(Output::ForgetInvite(left.sip_call_id)),
        }
    }
}

impl LeftBehind {
    fn read(stored: &StoredInvite) -> Option<Self> {
        let flow = stored_flow::read(&stored.transport, &stored.local, &stored.remote)?;
        let Ok(Message::Request(request)) = Message::parse(&stored.request) else { return None };
        let user = request.header.to.uri.as_sip()?.decoded_user()?.into();
        let saved = SavedInvite { flow, request: stored.request.clone() };
        let sip_call_id = stored.sip_call_id.clone();
        Some(Self { user, sip_call_id, saved, untold: false, returned_along: None })
    }

    /// Whether the phone that registers along `flow` may be the one.
    fn is_of(&self, user: &str, flow: Flow) -> bool {
        *self.user == *user && self.saved.flow.remote.ip() == flow.remote.ip()
    }

    /// A connection has not outlived the process; perhaps the phone listens where its Contact says.
    fn at_its_contact(mut self) -> Self {
        let Ok(Message::Request(request)) = Message::parse(&self.saved.request) else { return self };
        let flow = &mut self.saved.flow;
        if let (Transport::Tcp, Some(uri)) = (flow.transport, request.uri.as_sip())
            && uri.host == Host::Address(flow.remote.ip())
        {
            flow.remote.set_port(uri.port.unwrap_or(5060));
        }
        self
    }
}
