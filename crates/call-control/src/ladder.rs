//! The SIP messages of a call, as the API shows them.

use crate::{CallId, Number, Party, Timestamp};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The messages between us and the phones of both parties, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    /// Of this call.
    pub call_id: CallId,
    /// When the call was asked for.
    pub created_at: Timestamp,
    /// Who was rung first.
    pub from: LadderParty,
    /// The other one.
    pub to: LadderParty,
    /// What was sent and received.
    pub messages: Vec<LadderMessage>,
    /// What was sent and received beyond what is kept of one call; `null` if that was nothing.
    pub left_out: Option<LeftOut>,
}

/// A party, and where its messages came from and went to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LadderParty {
    /// As it was asked for.
    pub number: Number,
    /// Its phones that were rung, and trunks that were tried.
    pub devices: Vec<LadderDevice>,
    /// Trunks that had no room for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<String>,
}

/// A phone that was rung, or an address of a trunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LadderDevice {
    /// From where it registered.
    pub address: SocketAddr,
    /// Over what.
    pub transport: LadderTransport,
    /// Whose address it is, if it is one of a trunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trunk: Option<String>,
    /// What it calls itself.
    pub user_agent: Option<String>,
    /// When it registered last before it was rung; if that was before the server started, when that was.
    pub registered_at: Timestamp,
}

/// How a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LadderTransport {
    /// A datagram.
    Udp,
    /// In a stream.
    Tcp,
    /// In an encrypted stream.
    Tls,
}

impl LadderTransport {
    /// As people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }
}

/// Which way a message went, as seen from us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// By us to a phone.
    Sent,
    /// By us from a phone.
    Received,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// It asks.
    Request,
    /// It says that an answer will come.
    Provisional,
    /// It says yes.
    Success,
    /// It says no.
    Failure,
    /// It cannot be read, or is too long to be kept whole.
    Unreadable,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LadderMessage {
    /// Its place, from 1.
    pub number: u32,
    /// When.
    pub at: Timestamp,
    /// With whom.
    pub party: Party,
    /// The address of the phone.
    pub address: SocketAddr,
    /// Over what.
    pub transport: LadderTransport,
    /// Which way.
    pub direction: Direction,
    /// What it is.
    pub kind: MessageKind,
    /// Such as `INVITE`, `180 Ringing` or `200 OK (BYE)`.
    pub summary: String,
    /// It carries a session description.
    pub sdp: bool,
    /// The number of the message of which this one is a copy, sent again.
    pub repeats: Option<u32>,
    /// The whole message, secrets left out.
    pub text: String,
}

/// Messages that are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// How many.
    pub messages: u32,
    /// Behind the message of this number.
    pub after: u32,
}
