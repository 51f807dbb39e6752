//! What calls want done, up to their records.

use super::*;

impl Switchboard {
    /// Performs what a call wants done.
    pub(super) fn perform(&mut self, id: CallId, moment: Moment) {
        while let Some(effect) = self.running(id).and_then(RunningCall::poll_effect) {
            match effect {
                Effect::Ring(party) => {
                    let devices = self.devices(id, party, moment.now);
                    self.with_call(id, moment, |call| call.ring(party, devices, moment));
                }
                Effect::Invite { party, fork, invite } => self.invite(id, party, fork, *invite, moment),
                Effect::HangUp { invite, reason } => {
                    self.command(sip_core::Command::HangUp { invite, reason }, moment)
                }
                Effect::AnswerOffer { invite, body } => {
                    self.command(sip_core::Command::AnswerOffer { invite, body }, moment)
                }
                Effect::Offer { invite, body } => {
                    self.command(sip_core::Command::Offer { invite, body }, moment)
                }
                Effect::RefuseOffer { invite, status } => {
                    self.command(sip_core::Command::RefuseOffer { invite, status }, moment)
                }
                Effect::Respond { responder, status } => {
                    self.command(sip_core::Command::Respond { responder, status }, moment);
                }
                Effect::Inform { invite, information: Information { content_type, body } } => {
                    let method = Method::INFO;
                    self.command(sip_core::Command::Request { invite, method, content_type, body }, moment);
                }
                Effect::Relay(action) => self.relay(id, action),
                Effect::Happened { event, party } => {
                    let view = self.show(id);
                    if let Some(view) = view {
                        self.announce(event, party, &view, moment);
                    }
                }
                Effect::Changed => {
                    self.show(id);
                }
                Effect::Over => return self.keep(id),
            }
        }
        self.schedule(id);
    }

    pub(super) fn command(&mut self, command: sip_core::Command, moment: Moment) {
        self.endpoint.handle_command(command, moment.now);
    }

    pub(super) fn next_invite(&mut self) -> InviteId {
        self.next_invite += 1;
        InviteId(self.next_invite)
    }

    fn invite(&mut self, id: CallId, party: Party, fork: usize, invite: sip_core::NewInvite, moment: Moment) {
        let flow = invite.flow;
        let usage = self.next_invite();
        self.command(sip_core::Command::Invite { invite: usage, new: Box::new(invite) }, moment);
        let sip_call_id = self.endpoint.saved(usage).map(|saved| saved.call_id.0.to_string());
        if let Some(sip_call_id) = &sip_call_id {
            self.record_dialog(id, party, sip_call_id, flow, moment);
        }
        self.invites.insert(usage, Place { call: id, party, fork });
        if let Some(call) = self.running(id) {
            call.invited(party, fork, usage, sip_call_id.as_deref());
        }
    }

    pub(super) fn relay(&mut self, id: CallId, action: RelayAction) {
        if let Some(entry) = self.calls.get(&id) {
            self.outputs.push_back(Output::Relay { session: entry.session, action });
        }
    }

    pub(super) fn show(&mut self, id: CallId) -> Option<Arc<Call>> {
        let view = Arc::new(self.running(id)?.view().clone());
        self.outputs.push_back(Output::View(Arc::clone(&view)));
        Some(view)
    }

    pub(super) fn announce(
        &mut self,
        event: CallEventKind,
        party: Option<Party>,
        call: &Call,
        moment: Moment,
    ) {
        if let Some(at) = moment.timestamp() {
            let event = CallEvent { event, party, at, call: call.clone() };
            self.outputs.push_back(Output::Happened(Arc::new(event)));
        }
    }

    /// The call is over: its record goes to disk before anybody is told.
    fn keep(&mut self, id: CallId) {
        let Some(record) = self.running(id).map(|call| Arc::new(call.view().clone())) else { return };
        self.keep_record(id, record);
    }

    fn keep_record(&mut self, id: CallId, record: Arc<Call>) {
        let Some(entry) = self.calls.get_mut(&id) else { return };
        if let Some(due) = entry.due.take() {
            self.due.remove(&(due, id));
        }
        self.sessions.remove(&entry.session);
        entry.stage = Stage::Keeping { record: Arc::clone(&record) };
        self.keep_messages(&record);
        self.outputs.push_back(Output::KeepCall(record));
    }

    /// The relay gave up a session: its call ends, or never begins.
    pub(super) fn media_broken(&mut self, session: SessionId, moment: Moment) {
        let Some(id) = self.sessions.get(&session).copied() else { return };
        match self.calls.get(&id).map(|entry| &entry.stage) {
            Some(Stage::Opening { .. }) => {
                self.open_failed(session, media_relay::OpenError::NoPortFree);
            }
            Some(Stage::Running { .. } | Stage::Keeping { .. }) | None => self.break_off(id, moment),
        }
    }

    /// A machine of this call panicked: BYE or CANCEL to both parties, a record, and nothing else is touched.
    pub(super) fn break_off(&mut self, id: CallId, moment: Moment) {
        tracing::error!(call_id = %id, "a machine of this call broke; the call is ended");
        let usages: Vec<InviteId> =
            self.invites.iter().filter(|(_, place)| place.call == id).map(|(usage, _)| *usage).collect();
        for usage in usages {
            self.command(sip_core::Command::HangUp { invite: usage, reason: None }, moment);
            self.invites.remove(&usage);
        }
        // The last messages belong to what was recorded of it.
        self.drain_endpoint(moment);
        self.relay(id, RelayAction::Close);
        let Some(view) = self.running(id).map(|call| call.view().clone()) else { return };
        let at = moment.timestamp().unwrap_or(view.created_at);
        self.keep_record(id, Arc::new(view.broken_off(EndReason::InternalError, at)));
    }

    fn schedule(&mut self, id: CallId) {
        let Some(due) = self.running(id).map(|call| call.poll_timeout()) else { return };
        let Some(entry) = self.calls.get_mut(&id) else { return };
        if entry.due == due {
            return;
        }
        if let Some(old) = std::mem::replace(&mut entry.due, due) {
            self.due.remove(&(old, id));
        }
        if let Some(due) = due {
            self.due.insert((due, id));
        }
    }
}
