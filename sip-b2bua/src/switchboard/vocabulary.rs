//! What is asked of the switchboard, and what it wants done.

use crate::call::RelayAction;
use crate::settings::Extension;
use call_control::{Call, CallEvent, CallId, ClickToCall, HangUpRefusal, Refusal, Timestamp};
use call_store::{StoredBinding, StoredInvite};
use media_relay::SessionId;
use sip_core::{Flow, InviteId};
use std::net::IpAddr;
use std::sync::Arc;

/// Call-ID and CSeq number of a REGISTER that waits for its bindings to be on disk.
pub type RegisterKey = (sip_message::CallId, u32);

/// Names the one who waits for the answer to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What somebody asks.
#[derive(Debug)]
pub enum Command {
    /// Start a click-to-call; answered with `Output::CallAnswer`.
    ClickToCall {
        /// Who waits.
        ticket: Ticket,
        /// What is asked.
        request: Box<ClickToCall>,
    },
    /// End a call; answered with `Output::HangUpAnswer`.
    HangUp {
        /// Who waits.
        ticket: Ticket,
        /// Which call.
        call: CallId,
    },
    /// Take no new calls.
    Drain,
    /// End every call: the server stops.
    EndAll,
    /// The extensions of a configuration that was read again.
    ReplaceExtensions(Vec<Extension>),
}

/// What is to be done, in order.
#[derive(Debug)]
pub enum Output {
    /// Send a SIP message.
    Send {
        /// Which way.
        flow: Flow,
        /// What.
        octets: Vec<u8>,
    },
    /// Open a relay session with a side on each address.
    OpenMedia {
        /// Its name.
        session: SessionId,
        /// Where to bind `Side::One` and `Side::Two`.
        local: [IpAddr; 2],
    },
    /// Ask something of a relay session.
    Relay {
        /// Which.
        session: SessionId,
        /// What.
        action: RelayAction,
    },
    /// The answer to `Command::ClickToCall`.
    CallAnswer {
        /// Who waits.
        ticket: Ticket,
        /// The call, or why there is none.
        answer: Result<CallId, Refusal>,
    },
    /// The answer to `Command::HangUp`.
    HangUpAnswer {
        /// Who waits.
        ticket: Ticket,
        /// Whether the call is being ended.
        answer: Result<(), HangUpRefusal>,
    },
    /// Keep the bindings of a user over a restart.
    KeepBindings {
        /// The user part of the address-of-record.
        user: Box<str>,
        /// All of them.
        bindings: Vec<StoredBinding>,
        /// Who waits for them to be on disk; `Switchboard::handle_bindings_kept` is due then.
        waiting: Option<RegisterKey>,
    },
    /// Keep a call; for one that has ended, `Switchboard::handle_kept` is due once it is on disk.
    KeepCall(Arc<Call>),
    /// Keep what was recorded of a call that has ended; comes right before its `KeepCall`, and is on disk together
    /// with it.
    KeepMessages {
        /// Which call.
        call: CallId,
        /// When it ended.
        at: Timestamp,
        /// What [`ladder`](crate::ladder) and [`explain`](crate::explain) read.
        octets: Arc<[u8]>,
    },
    /// Keep what an INVITE is ended with, should this process die; in place of what was kept under its Call-ID.
    KeepInvite {
        /// What.
        invite: StoredInvite,
        /// Whose answer is acknowledged when it is on disk; `Switchboard::handle_invite_kept` is due then.
        waiting: Option<InviteId>,
    },
    /// The INVITE of this Call-ID is over.
    ForgetInvite(Box<str>),
    /// The call as the API shows it from now on.
    View(Arc<Call>),
    /// The API finds the call in the store from now on.
    Forget(CallId),
    /// Something happened to a call.
    Happened(Arc<CallEvent>),
}
