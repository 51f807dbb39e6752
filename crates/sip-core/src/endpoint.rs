//! One SIP element: transactions, dialogs and usages, and the routing between them.

mod abilities;
mod acknowledging;
mod amplification;
mod answering;
mod commands;
mod compose;
mod in_dialog;
mod inviting;
mod late_success;
mod moving;
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
mod usages;

pub use abilities::Served;

pub(crate) use compose::reason_of;
pub(crate) use provisional::rseq_of;
pub(crate) use transactions::TransactionId;

use crate::index::Index;
use crate::random::Random;
use crate::transaction::key::{ClientKey, MergeKey, ServerKey};
use crate::{Action, Event, Flow, InviteId, RequestId};
use abilities::Abilities;
use sip_message::Method;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
    /// What is handed up outside of dialogs as [`Event::Request`]. OPTIONS is answered by the endpoint when it is not
    /// listed; others get 481 where they have their place in a dialog only, else 405 with Allow, or 501 where the
    /// method is unknown.
    pub serves: Vec<Served>,
    /// Transactions at once; beyond it new requests get 503 with Retry-After, statelessly.
    pub transactions_max: usize,
    /// Rings reliably (RFC 3262) towards callers that support it; towards those that require it, always.
    pub rings_reliably: bool,
    /// The session interval that we ask for and the longest that we grant (RFC 4028 §7.1), whole seconds.
    pub session_expires: Duration,
    /// The shortest session interval that we take, whole seconds; not below 90 s (RFC 4028 §5).
    pub min_se: Duration,
    /// The ACK of the 2xx to an INVITE waits for `Command::Acknowledge`: for users who keep the call on disk first. Until
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
            serves: vec![Method::INVITE.into()],
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
/// Feed it with what arrives, with commands and with the time; after each input take out what [`poll_action`](Self::poll_action)
/// gives, and call [`handle_timeout`](Self::handle_timeout) at [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct Endpoint {
    config: Config,
    abilities: Abilities,
    random: Random,
    /// Makes the tags of stateless answers unforeseeable.
    secret: u64,
    /// Makes the tags of our INVITEs.
    call_key: CallKey,
    actions: VecDeque<Action>,
    // Boxed: the nodes of a tree whose keys rise are half empty, and tens of thousands linger after a burst of calls.
    transactions: BTreeMap<TransactionId, Box<Entry>>,
    client_keys: Index<ClientKey, TransactionId>,
    server_keys: Index<ServerKey, TransactionId>,
    merge_keys: Index<MergeKey, TransactionId>,
    usages: BTreeMap<InviteId, Box<Usage>>,
    /// By our tag.
    usage_keys: Index<u64, InviteId>,
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

/// Kinds of timers that one of them has at most, those of a session and of its dialog together.
const TIMERS_OF_A_MACHINE: usize = 8;

impl Endpoint {
    /// `seed` is the only source of tags, branches and Call-IDs.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let mut random = Random::new(seed);
        let call_key = config.call_key.clone().unwrap_or_else(|| CallKey(random.key()));
        let abilities = Abilities::new(&config);
        Self {
            config,
            abilities,
            secret: random.number(),
            call_key,
            random,
            actions: VecDeque::new(),
            transactions: BTreeMap::new(),
            client_keys: Index::default(),
            server_keys: Index::default(),
            merge_keys: Index::default(),
            usages: BTreeMap::new(),
            usage_keys: Index::default(),
            requests: BTreeMap::new(),
            timetable: BTreeSet::new(),
            next_id: 0,
        }
    }

    /// Fires the timers that are due. One that is set to the present again and again keeps nobody waiting: it is left to
    /// the next call.
    pub fn handle_timeout(&mut self, now: Instant) {
        for _ in 0..self.timetable.len() * TIMERS_OF_A_MACHINE {
            let Some((due, whose)) = self.timetable.first().copied().filter(|(due, _)| *due <= now) else {
                return;
            };
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
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Live transactions and usages: both zero when nothing is left.
    pub fn counts(&self) -> (usize, usize) {
        (self.transactions.len(), self.usages.len())
    }

    /// Those of the live transactions that are of requests outside of dialogs ([`Endpoint::request`]).
    pub fn own_requests(&self) -> usize {
        let owners = self.transactions.values().filter_map(|entry| Some(entry.machine.sent()?.owner));
        owners.filter(|owner| matches!(owner, transactions::Owner::Request(_))).count()
    }

    fn send(&mut self, flow: Flow, octets: Vec<u8>) {
        self.actions.push_back(Action::Send { flow, octets });
    }

    fn emit(&mut self, event: Event) {
        self.actions.push_back(Action::Event(event));
    }

    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}
