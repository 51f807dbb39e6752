//! One SIP element: transactions, dialogs and usages, and the routing between them.

mod compose;
mod in_dialog;
mod late_success;
mod outbox;
mod perform;
mod provisional;
mod receive;
mod requests;
mod responses;
mod saved;
mod session_timer;
mod transactions;
mod usage;

pub use saved::SavedInvite;

pub(crate) use compose::reason_of;
pub(crate) use provisional::rseq_of;
pub(crate) use transactions::TransactionId;

use crate::random::Random;
use crate::transaction::key::{ClientKey, MergeKey, ServerKey};
use crate::{Event, Flow, Incoming, InviteId, NewInvite, NewRequest, Output, RequestId, Responder};
use sip_message::{CallId, FieldName, FramingError, Method, Reason, Response, StatusCode};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};
use transactions::Entry;
use usage::Usage;

/// What an endpoint is told once.
#[derive(Debug, Clone)]
pub struct Config {
    /// User-Agent of requests and Server of responses.
    pub user_agent: Box<str>,
    /// The timer values.
    pub timers: Timers,
    /// Methods in a dialog that are handed up as [`Requested`](crate::InviteEvent::Requested); others
    /// get 405 with Allow, or 501 where the method is unknown. An INFO of a package (RFC 6086) is no such method: 469.
    pub passes_to_user: Vec<Method>,
    /// Transactions at once; beyond it new requests get 503 with Retry-After, statelessly.
    pub transactions_max: usize,
    /// Rings reliably (RFC 3262) towards callers that support it; towards those that require it, always.
    pub rings_reliably: bool,
    /// The session interval that we ask for and the longest that we grant (RFC 4028 §7.1), whole seconds.
    pub session_expires: Duration,
    /// The shortest session interval that we take, whole seconds; not below 90 s (RFC 4028 §5).
    pub min_se: Duration,
    /// The ACK of the 2xx to an INVITE waits for `Endpoint::acknowledge`: for users who keep the call on disk first. Until
    /// then the peer repeats its 2xx, and a process that comes back in the meantime can end the call.
    pub holds_ack: bool,
    /// Tells our own calls from those of strangers, a secret. With the same one as a run before, what that run left ringing
    /// is acknowledged and ended when it answers. Drawn from the seed when absent.
    pub call_key: Option<CallKey>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            user_agent: "sip-core".into(),
            timers: Timers::default(),
            passes_to_user: Vec::new(),
            transactions_max: 10_000,
            rings_reliably: false,
            session_expires: Duration::from_mins(30),
            min_se: Duration::from_secs(90),
            holds_ack: false,
            call_key: None,
        }
    }
}

/// A secret.
#[derive(Clone)]
pub struct CallKey(pub [u8; 32]);

/// Without the key.
impl std::fmt::Debug for CallKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CallKey")
    }
}

/// RFC 3261 §17.1.1.1 and appendix A; RFC 6026 §7 for L and M.
#[derive(Debug, Clone, Copy)]
pub struct Timers {
    /// An estimate of the round-trip time.
    pub t1: Duration,
    /// The longest interval between retransmissions.
    pub t2: Duration,
    /// How long a message may stay in the network.
    pub t4: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

/// All transactions, dialogs and usages behind one set of addresses.
///
/// Feed it with what arrives and with the time; after each input take out what [`poll_output`](Self::poll_output)
/// gives, and call [`handle_timeout`](Self::handle_timeout) at [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct Endpoint {
    config: Config,
    /// The value of Allow.
    allow: Box<str>,
    random: Random,
    /// Makes the tags of stateless answers unforeseeable.
    secret: u64,
    /// Makes the tags of our INVITEs.
    call_key: CallKey,
    outputs: VecDeque<Output>,
    transactions: BTreeMap<TransactionId, Entry>,
    client_keys: HashMap<ClientKey, TransactionId>,
    server_keys: HashMap<ServerKey, TransactionId>,
    merge_keys: HashMap<MergeKey, TransactionId>,
    usages: BTreeMap<InviteId, Usage>,
    /// By our tag.
    usage_keys: HashMap<u64, InviteId>,
    requests: BTreeMap<RequestId, requests::Pending>,
    /// When each machine is due; one entry for each that has a timer.
    timetable: BTreeSet<(Instant, Due)>,
    next_id: u64,
}

/// Whose timer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Transaction(TransactionId),
    Usage(InviteId),
}

/// Methods served in a dialog, whatever the user adds.
const METHODS: [Method; 7] = [
    Method::INVITE,
    Method::ACK,
    Method::CANCEL,
    Method::BYE,
    Method::OPTIONS,
    Method::UPDATE,
    Method::PRACK,
];

impl Endpoint {
    /// `seed` is the only source of tags, branches and Call-IDs.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let mut random = Random::new(seed);
        let methods =
            METHODS.iter().chain(config.passes_to_user.iter().filter(|method| !METHODS.contains(method)));
        let call_key = config.call_key.clone().unwrap_or_else(|| CallKey(random.key()));
        let allow = methods.map(Method::as_str).collect::<Vec<_>>().join(", ").into();
        Self {
            config,
            allow,
            secret: random.number(),
            call_key,
            random,
            outputs: VecDeque::new(),
            transactions: BTreeMap::new(),
            client_keys: HashMap::new(),
            server_keys: HashMap::new(),
            merge_keys: HashMap::new(),
            usages: BTreeMap::new(),
            usage_keys: HashMap::new(),
            requests: BTreeMap::new(),
            timetable: BTreeSet::new(),
            next_id: 0,
        }
    }

    /// One datagram, or one message that was cut from a stream.
    pub fn handle_octets(&mut self, octets: &[u8], flow: Flow, now: Instant) {
        self.receive(octets, flow, now);
    }

    /// A stream that cannot be cut into messages any more: what can be answered is, before its connection is closed.
    pub fn handle_unframed(&mut self, error: &FramingError, flow: Flow) {
        self.refuse_unreadable(error.salvage(), flow);
    }

    /// Nothing can be sent along `flow` (the connection was refused or closed): transactions that wait on it fail.
    pub fn handle_unreachable(&mut self, flow: Flow, now: Instant) {
        self.fail_transactions(flow, now);
    }

    /// Fires every timer that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((due, whose)) = self.timetable.first().copied().filter(|(due, _)| *due <= now) {
            self.timetable.remove(&(due, whose));
            match whose {
                Due::Transaction(transaction) => self.time_out_transaction(transaction, now),
                Due::Usage(invite) => self.time_out_usage(invite, now),
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timetable.first().map(|(due, _)| *due)
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Live transactions and usages: both zero when nothing is left.
    pub fn counts(&self) -> (usize, usize) {
        (self.transactions.len(), self.usages.len())
    }

    /// Sends an INVITE.
    pub fn invite(&mut self, invite: NewInvite, now: Instant) -> InviteId {
        self.start_invite(invite, now)
    }

    /// Ends a usage in whatever state it is: CANCEL (held back until a provisional response, RFC 3261 §9.1), BYE
    /// (held back until the ACK of our 2xx, §15), or a final response (`480`) to an INVITE that we have not
    /// answered. Idempotent. `Gone` follows.
    pub fn hang_up(&mut self, invite: InviteId, reason: Option<Reason>, now: Instant) {
        self.hang_up_usage(invite, reason, now);
    }

    /// Makes a usage of an incoming INVITE: server transaction, 100 Trying, a To tag.
    pub fn take(&mut self, incoming: Incoming, now: Instant) -> InviteId {
        self.take_invite(incoming, now)
    }

    /// 180, or 183 with a body. Sent reliably (RFC 3262) when the INVITE asks for it: then the next one and, behind a
    /// body, the 2xx wait for the PRACK; without a PRACK in 64*T1 the INVITE is answered 500.
    pub fn ring(&mut self, invite: InviteId, status: StatusCode, body: Option<Vec<u8>>, now: Instant) {
        self.ring_usage(invite, status, body, now);
    }

    /// 200 with a session description; repeated until the ACK.
    pub fn accept(&mut self, invite: InviteId, body: Vec<u8>, now: Instant) {
        self.accept_usage(invite, body, now);
    }

    /// A final response of 300 or above. `Gone` follows.
    pub fn reject(
        &mut self,
        invite: InviteId,
        status: StatusCode,
        fields: Vec<(FieldName, Box<str>)>,
        now: Instant,
    ) {
        self.reject_usage(invite, status, fields, now);
    }

    /// Sends a re-INVITE with this offer as soon as the session is stable; glare is resolved inside (RFC 3261
    /// §14.1). Of several offers that wait only the last is sent.
    pub fn offer(&mut self, invite: InviteId, body: Vec<u8>, now: Instant) {
        self.offer_in_usage(invite, body, now);
    }

    /// Sends the ACK that was held back (`Config::holds_ack`). Idempotent.
    pub fn acknowledge(&mut self, invite: InviteId, now: Instant) {
        self.acknowledge_usage(invite, now);
    }

    /// Answers what [`Offered`](crate::InviteEvent::Offered) brought, or the offer in the 2xx to an INVITE that
    /// made none: its ACK waits for this.
    pub fn answer_offer(&mut self, invite: InviteId, body: Vec<u8>, now: Instant) {
        self.answer_offer_in_usage(invite, body, now);
    }

    /// Refuses what [`Offered`](crate::InviteEvent::Offered) brought; the session stays as it was. The offer in
    /// a 2xx cannot be refused: the call is hung up.
    pub fn refuse_offer(&mut self, invite: InviteId, status: StatusCode, now: Instant) {
        self.refuse_offer_in_usage(invite, status, now);
    }

    /// INFO and the like in the dialog; not sent to a peer whose Allow lacks the method. Whatever becomes of it the
    /// session stands, but for a 481: the peer knows no such dialog.
    pub fn request_in_dialog(
        &mut self,
        invite: InviteId,
        method: Method,
        content_type: &str,
        body: Vec<u8>,
        now: Instant,
    ) {
        self.send_in_dialog(invite, method, content_type, body, now);
    }

    /// Answers what [`Requested`](crate::InviteEvent::Requested) brought.
    pub fn respond_in_dialog(&mut self, responder: Responder, status: StatusCode, now: Instant) {
        self.answer_request(TransactionId(responder.0), status, now);
    }

    /// What is to be kept of an INVITE that has rung or been answered, for [`end_saved`](Self::end_saved) after a crash.
    /// It changes when the INVITE is answered and when the peer moves. `None` before it was sent and when it is over.
    pub fn saved(&self, invite: InviteId) -> Option<SavedInvite> {
        self.save_usage(invite)
    }

    /// Ends what an endpoint of an earlier life began: CANCEL, or BYE. `Gone` follows. `None` when it cannot be read, or
    /// is known here already.
    pub fn end_saved(
        &mut self,
        saved: &SavedInvite,
        reason: Option<Reason>,
        now: Instant,
    ) -> Option<InviteId> {
        self.end_saved_usage(saved, reason, now)
    }

    /// Call-ID of a usage.
    pub fn call_id(&self, invite: InviteId) -> Option<&CallId> {
        self.usages.get(&invite).map(|usage| &usage.call_id)
    }

    /// Sends a request outside of any dialog. Its outcome comes as [`Event::Response`], exactly once.
    pub fn request(&mut self, request: NewRequest, now: Instant) -> RequestId {
        self.start_request(request, now)
    }

    /// Answers through a server transaction, which repeats it to retransmissions (and, for an INVITE, until the
    /// ACK). A To tag is added.
    pub fn respond(&mut self, incoming: &Incoming, response: Response, now: Instant) {
        self.respond_in_transaction(incoming, response, now);
    }

    /// Answers once and keeps nothing: for strangers (RFC 3261 §8.2.7). The To tag is a hash of the request, so
    /// that retransmissions get the same answer.
    pub fn respond_statelessly(&mut self, incoming: &Incoming, response: Response) {
        self.send_statelessly(&incoming.request, response, incoming.flow);
    }

    fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}
