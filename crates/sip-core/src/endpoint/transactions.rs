//! The transactions of an endpoint: starting, finding, timing and ending them.

use super::{Due, Endpoint};
use crate::authentication::Attempts;
use crate::transaction::client::Client;
use crate::transaction::client_invite::ClientInvite;
use crate::transaction::key::{self, ClientKey, MergeKey, ServerKey};
use crate::transaction::server::Server;
use crate::transaction::server_invite::ServerInvite;
use crate::transaction::{Action, Timing};
use crate::{Flow, InviteId, RequestId, transport};
use sip_message::{Method, Request, Response, StatusCode};
use std::time::Instant;

/// A transaction of this endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TransactionId(pub(crate) u64);

/// One transaction, where it sends to, and to whom it belongs.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) machine: Machine,
    pub(super) flow: Flow,
    due: Option<Instant>,
}

#[derive(Debug)]
pub(super) enum Machine {
    ClientInvite(Box<ClientInvite>, Sent),
    Client(Box<Client>, Sent),
    ServerInvite(ServerInvite, Received),
    Server(Server, Received),
}

/// What belongs to a client transaction.
#[derive(Debug)]
pub(super) struct Sent {
    key: ClientKey,
    pub(super) owner: Owner,
    pub(super) attempts: Attempts,
}

/// What belongs to a server transaction.
#[derive(Debug)]
pub(super) struct Received {
    key: ServerKey,
    merge_key: Option<MergeKey>,
    /// The usage that an INVITE made.
    pub(super) invite: Option<InviteId>,
    /// As long as its final response is to be made of it.
    pub(super) request: Option<Box<Request>>,
}

/// Who waits for the responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The INVITE of a usage.
    Invite(InviteId),
    Reinvite(InviteId),
    Bye(InviteId),
    Prack(InviteId),
    /// The UPDATE that refreshes the session.
    Refresh(InviteId),
    /// Another request in the dialog.
    InDialog(InviteId),
    /// The OPTIONS that asks whether the peer is still there.
    Probe(InviteId),
    Request(RequestId),
    /// CANCEL, and BYE of what nobody knows of.
    Nobody,
}

/// Why a client transaction has no final response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    TimedOut,
    Unreachable,
}

impl Endpoint {
    /// Sends `request` along `flow` in a transaction of its own. Header fields but Via stand in it already.
    pub(super) fn start_client(
        &mut self,
        request: Request,
        flow: Flow,
        owner: Owner,
        attempts: Attempts,
        now: Instant,
    ) -> TransactionId {
        let branch = self.random.number();
        self.start_client_as(branch, request, flow, owner, attempts, now)
    }

    /// The same with a branch that is known already.
    pub(super) fn start_client_as(
        &mut self,
        branch: u64,
        mut request: Request,
        flow: Flow,
        owner: Owner,
        attempts: Attempts,
        now: Instant,
    ) -> TransactionId {
        request.header.via = vec![transport::via(flow, &key::branch(branch))];
        let timing = self.timing(flow);
        let sent = Sent { key: ClientKey { branch, is_cancel: false }, owner, attempts };
        let machine = if request.method == Method::INVITE {
            if let Owner::Invite(invite) | Owner::Reinvite(invite) = owner {
                self.hold_usage(invite);
            }
            Machine::ClientInvite(Box::new(ClientInvite::start(request, timing, now)), sent)
        } else {
            Machine::Client(Box::new(Client::start(request, timing, now)), sent)
        };
        self.insert(machine, flow, now)
    }

    /// An INVITE that was sent before this endpoint was made, and that has been answered provisionally.
    pub(super) fn resume_client_invite(
        &mut self,
        invite: Request,
        branch: u64,
        flow: Flow,
        owner: Owner,
        now: Instant,
    ) -> TransactionId {
        if let Owner::Invite(invite) = owner {
            self.hold_usage(invite);
        }
        let key = ClientKey { branch, is_cancel: false };
        let sent = Sent { key, owner, attempts: Attempts::default() };
        let machine = ClientInvite::resume(invite, self.timing(flow));
        self.insert(Machine::ClientInvite(Box::new(machine), sent), flow, now)
    }

    /// Sends the CANCEL of an INVITE, which shares its branch (RFC 3261 §9.1).
    pub(super) fn start_cancel(&mut self, cancel: Request, flow: Flow, now: Instant) {
        let branch = cancel.header.via.first().and_then(|via| via.branch());
        let Some(branch) = branch.and_then(key::branch_number) else { return };
        let key = ClientKey { branch, is_cancel: true };
        let sent = Sent { key, owner: Owner::Nobody, attempts: Attempts::default() };
        let client = Client::start(cancel, self.timing(flow), now);
        self.insert(Machine::Client(Box::new(client), sent), flow, now);
    }

    /// Makes the transaction of a request that came along `flow`, and keeps the request.
    pub(super) fn start_server(
        &mut self,
        request: Request,
        flow: Flow,
        invite: Option<InviteId>,
        now: Instant,
    ) -> Option<TransactionId> {
        let trying = if request.method == Method::INVITE {
            let mut trying = request.response(StatusCode::TRYING);
            self.dress_response(&mut trying);
            trying.print()
        } else {
            Vec::new()
        };
        let id = self.start_answered_server(&request, trying, flow, invite, now)?;
        if let Some(received) = self.received(id) {
            received.request = Some(Box::new(request));
        }
        Some(id)
    }

    /// Makes the transaction of a request whose final response is at hand.
    pub(super) fn start_answered_server(
        &mut self,
        request: &Request,
        trying: Vec<u8>,
        flow: Flow,
        invite: Option<InviteId>,
        now: Instant,
    ) -> Option<TransactionId> {
        let key = ServerKey::of(request)?;
        let merge_key = MergeKey::of(request);
        let flow = transport::response_flow(request.header.via.first(), flow);
        let timing = self.timing(flow);
        let received = Received { key, merge_key, invite, request: None };
        let machine = if request.method == Method::INVITE {
            Machine::ServerInvite(ServerInvite::start(trying, timing, now), received)
        } else {
            Machine::Server(Server::start(timing, now), received)
        };
        Some(self.insert(machine, flow, now))
    }

    /// Gives a response to a server transaction.
    pub(super) fn give_response(
        &mut self,
        id: TransactionId,
        status: StatusCode,
        octets: Vec<u8>,
        now: Instant,
    ) {
        let Some(entry) = self.transactions.get_mut(&id) else { return };
        let received = match &mut entry.machine {
            Machine::ServerInvite(machine, received) => {
                machine.respond(status, octets, now);
                received
            }
            Machine::Server(machine, received) => {
                machine.respond(status, octets, now);
                received
            }
            Machine::ClientInvite(..) | Machine::Client(..) => return,
        };
        if status.is_final() {
            received.request = None;
        }
        self.drain(id, now);
    }

    /// Performs what a transaction wants done.
    pub(super) fn drain(&mut self, id: TransactionId, now: Instant) {
        while let Some(entry) = self.transactions.get_mut(&id)
            && let Some(action) = entry.machine.poll_action()
        {
            match action {
                Action::Send(octets) => {
                    let flow = entry.flow;
                    self.send(flow, octets);
                }
                Action::Deliver(response) => self.deliver(id, *response, now),
                Action::TimedOut => self.fail(id, Failure::TimedOut, now),
                Action::Terminated => self.remove(id),
            }
        }
        self.schedule_transaction(id);
    }

    pub(super) fn handle_client_response(&mut self, id: TransactionId, response: Response, now: Instant) {
        let Some(entry) = self.transactions.get_mut(&id) else { return };
        match &mut entry.machine {
            Machine::ClientInvite(machine, _) => machine.handle_response(response, now),
            Machine::Client(machine, _) => machine.handle_response(response, now),
            Machine::ServerInvite(..) | Machine::Server(..) => {}
        }
        self.drain(id, now);
    }

    /// RFC 3261 §9.1: forgets an INVITE whose CANCEL brought no final response.
    pub(super) fn abandon(&mut self, id: TransactionId, now: Instant) {
        if let Some(entry) = self.transactions.get_mut(&id)
            && entry.machine.is_pending()
        {
            entry.machine.terminate();
            self.drain(id, now);
        }
    }

    pub(super) fn time_out_transaction(&mut self, id: TransactionId, now: Instant) {
        if let Some(entry) = self.transactions.get_mut(&id) {
            entry.due = None;
            match &mut entry.machine {
                Machine::ClientInvite(machine, _) => machine.handle_timeout(now),
                Machine::Client(machine, _) => machine.handle_timeout(now),
                Machine::ServerInvite(machine, _) => machine.handle_timeout(now),
                Machine::Server(machine, _) => machine.handle_timeout(now),
            }
            self.drain(id, now);
        }
    }

    pub(super) fn received(&mut self, id: TransactionId) -> Option<&mut Received> {
        match &mut self.transactions.get_mut(&id)?.machine {
            Machine::ServerInvite(_, received) | Machine::Server(_, received) => Some(received),
            Machine::ClientInvite(..) | Machine::Client(..) => None,
        }
    }

    fn timing(&self, flow: Flow) -> Timing {
        Timing { timers: self.config.timers, reliable: flow.transport.is_reliable() }
    }

    fn insert(&mut self, machine: Machine, flow: Flow, now: Instant) -> TransactionId {
        let id = TransactionId(self.next_id());
        match &machine {
            Machine::ClientInvite(_, sent) | Machine::Client(_, sent) => {
                self.client_keys.insert(sent.key, id);
            }
            Machine::ServerInvite(_, received) | Machine::Server(_, received) => {
                self.server_keys.insert(received.key.clone(), id);
                if let Some(key) = &received.merge_key {
                    self.merge_keys.insert(key.clone(), id);
                }
            }
        }
        self.transactions.insert(id, Box::new(Entry { machine, flow, due: None }));
        self.drain(id, now);
        id
    }

    fn remove(&mut self, id: TransactionId) {
        let Some(entry) = self.transactions.remove(&id) else { return };
        if let Some(due) = entry.due {
            self.timetable.remove(&(due, Due::Transaction(id)));
        }
        match entry.machine {
            Machine::ClientInvite(_, sent) => {
                self.client_keys.remove(&sent.key);
                if let Owner::Invite(invite) | Owner::Reinvite(invite) = sent.owner {
                    self.release_usage(invite);
                }
            }
            Machine::Client(_, sent) => {
                self.client_keys.remove(&sent.key);
            }
            Machine::ServerInvite(_, received) | Machine::Server(_, received) => {
                self.server_keys.remove(&received.key);
                if let Some(key) = &received.merge_key {
                    self.merge_keys.remove(key);
                }
            }
        }
    }

    fn schedule_transaction(&mut self, id: TransactionId) {
        let Some(entry) = self.transactions.get_mut(&id) else { return };
        let due = entry.machine.poll_timeout();
        if due != entry.due {
            if let Some(old) = std::mem::replace(&mut entry.due, due) {
                self.timetable.remove(&(old, Due::Transaction(id)));
            }
            self.timetable.extend(due.map(|due| (due, Due::Transaction(id))));
        }
    }
}

impl Sent {
    pub(super) const fn branch(&self) -> u64 {
        self.key.branch
    }
}

impl Machine {
    pub(super) fn sent(&self) -> Option<&Sent> {
        match self {
            Self::ClientInvite(_, sent) | Self::Client(_, sent) => Some(sent),
            Self::ServerInvite(..) | Self::Server(..) => None,
        }
    }

    /// The request of a client transaction, and the challenges that were answered for it.
    pub(super) fn take_attempts(&mut self) -> Option<(&Request, Attempts)> {
        match self {
            Self::ClientInvite(machine, sent) => Some((machine.invite(), std::mem::take(&mut sent.attempts))),
            Self::Client(machine, sent) => Some((machine.request(), std::mem::take(&mut sent.attempts))),
            Self::ServerInvite(..) | Self::Server(..) => None,
        }
    }

    fn poll_action(&mut self) -> Option<Action> {
        match self {
            Self::ClientInvite(machine, _) => machine.poll_action(),
            Self::Client(machine, _) => machine.poll_action(),
            Self::ServerInvite(machine, _) => machine.poll_action(),
            Self::Server(machine, _) => machine.poll_action(),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::ClientInvite(machine, _) => machine.poll_timeout(),
            Self::Client(machine, _) => machine.poll_timeout(),
            Self::ServerInvite(machine, _) => machine.poll_timeout(),
            Self::Server(machine, _) => machine.poll_timeout(),
        }
    }

    /// Tells whether a client transaction has no final response.
    pub(super) fn is_pending(&self) -> bool {
        match self {
            Self::ClientInvite(machine, _) => machine.is_pending(),
            Self::Client(machine, _) => machine.is_pending(),
            Self::ServerInvite(..) | Self::Server(..) => false,
        }
    }

    fn terminate(&mut self) {
        match self {
            Self::ClientInvite(machine, _) => machine.terminate(),
            Self::Client(machine, _) => machine.terminate(),
            Self::ServerInvite(..) | Self::Server(..) => {}
        }
    }
}
