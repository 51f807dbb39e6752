//! What is asked of the switchboard, and what it wants done.

use crate::journal::StorageState;
use crate::settings::Extension;
use crate::trunks::TrunkId;
use call_control::{Call, CallId, ClickToCall, HangUpRefusal, NumberedEvent, Refusal, Wish, WishRefusal};
use call_store::Round;
use sip_core::{Flow, PeerId};
use sip_message::SipUri;
use std::sync::Arc;

/// Names the one who waits for the answer to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What somebody asks.
#[derive(Debug)]
pub enum Command {
    /// Start a click-to-call; answered with `Action::AnswerCall`.
    ClickToCall {
        /// Who waits.
        ticket: Ticket,
        /// What is asked.
        request: Box<ClickToCall>,
    },
    /// End a call; answered with `Action::AnswerHangUp`.
    HangUp {
        /// Who waits.
        ticket: Ticket,
        /// Which call.
        call: CallId,
    },
    /// Ask something of two who talk; answered with `Action::AnswerAsk`.
    Ask {
        /// Who waits.
        ticket: Ticket,
        /// Which call.
        call: CallId,
        /// What.
        wish: Box<Wish>,
    },
    /// Take no new calls.
    Drain,
    /// End every call: the server stops.
    EndAll,
    /// Take our registrations at carriers back: the server stops. `Switchboard::is_unregistered` tells when that is done.
    Unregister,
    /// Wait for no phone any more: make the record of every call of what is known. What its phones have not confirmed is
    /// ended by the next start.
    CloseAll,
    /// The extensions of a configuration that was read again.
    ReplaceExtensions(Vec<Extension>),
}

/// What is to be done, in order.
#[derive(Debug)]
pub enum Action {
    /// Send a SIP message.
    Send {
        /// Which way.
        flow: Flow,
        /// What.
        octets: Vec<u8>,
    },
    /// Say this to the relay.
    Relay(media_relay::Command),
    /// The answer to `Command::ClickToCall`.
    AnswerCall {
        /// Who waits.
        ticket: Ticket,
        /// The call, or why there is none.
        answer: Result<CallId, Refusal>,
    },
    /// The answer to `Command::HangUp`.
    AnswerHangUp {
        /// Who waits.
        ticket: Ticket,
        /// Whether the call is being ended.
        answer: Result<(), HangUpRefusal>,
    },
    /// The answer to `Command::Ask`.
    AnswerAsk {
        /// Who waits.
        ticket: Ticket,
        /// Whether it is being tried.
        answer: Result<(), WishRefusal>,
    },
    /// Write this, whole or not at all; `Switchboard::handle_written` is due then. One round is under way at a time.
    Write(Arc<Round>),
    /// Whether things can be written has changed.
    Storage(StorageState),
    /// The call as the API shows it from now on.
    View(Arc<Call>),
    /// The API finds the call in the store from now on.
    Forget(CallId),
    /// A phone has logged in along this flow.
    Trust {
        /// Which flow.
        flow: Flow,
        /// Whose phone.
        user: Box<str>,
    },
    /// Give the connection of this flow up: nobody answers along it. What is sent along the flow later has a new one.
    Close(Flow),
    /// Look up where this leads to; `Switchboard::handle_located` is due then.
    Locate {
        /// Whose address it is.
        trunk: TrunkId,
        /// Who has to be there, over TLS.
        peer: PeerId,
        /// What.
        uri: Box<SipUri>,
    },
    /// An event is on disk: it may be told.
    Announce(NumberedEvent),
}
