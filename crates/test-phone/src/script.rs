//! What a phone is told to do.

use audio::Codec;
use sip_core::Flow;
use sip_message::{Host, StatusCode};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// Who the phone is and where it stands.
#[derive(Clone)]
pub struct Account {
    /// User part of its address-of-record, and its name towards a challenge.
    pub user: Box<str>,
    /// Without one a challenge is not answered.
    pub password: Option<Box<str>>,
    /// Shown to those it calls.
    pub display_name: Option<Box<str>>,
    /// Host part of its address-of-record.
    pub domain: Host,
    /// The way to the server.
    pub flow: Flow,
    /// Where it receives RTP; RTCP is on the port above.
    pub rtp: SocketAddr,
}

/// Without the password.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("user", &self.user)
            .field("domain", &self.domain)
            .field("flow", &self.flow)
            .field("rtp", &self.rtp)
            .finish_non_exhaustive()
    }
}

/// What the phone does, and when it is done.
#[derive(Debug, Clone)]
pub struct Script {
    /// Its registration.
    pub registering: Registering,
    /// How it meets calls that come in.
    pub answering: Answering,
    /// Calls this number, once registered.
    pub call: Option<Box<str>>,
    /// Hangs up so long after a call was confirmed.
    pub hang_up_after: Option<Duration>,
    /// Holds so long after a call was confirmed.
    pub hold_after: Option<Duration>,
    /// Resumes so long after it held.
    pub resume_after: Option<Duration>,
    /// Sends digits in a call.
    pub dtmf: Option<Dtmf>,
    /// Is done after so many calls; goes on without end when absent.
    pub calls: Option<u32>,
    /// Is done after so long, whatever is under way.
    pub exit_after: Option<Duration>,
    /// Offered and answered, in this order.
    pub codecs: Vec<Codec>,
}

impl Default for Script {
    /// Registers for ten minutes, rings and answers at once every call, until it is told to stop.
    fn default() -> Self {
        Self {
            registering: Registering::Keep { expires: Duration::from_secs(600) },
            answering: Answering::default(),
            call: None,
            hang_up_after: None,
            hold_after: None,
            resume_after: None,
            dtmf: None,
            calls: None,
            exit_after: None,
            codecs: vec![Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu],
        }
    }
}

/// What the phone does about its registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registering {
    /// Registers, refreshes, and removes it at the end.
    Keep {
        /// What is asked for; whole seconds.
        expires: Duration,
    },
    /// Does not register.
    Never,
    /// Removes every binding of the address-of-record (RFC 3261 §10.2.2) and is done.
    RemoveAll,
}

/// How calls that come in are met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answering {
    /// Sends 180 (or 183) at once.
    pub rings: bool,
    /// Sends its audio before it answers: 183 with an answer instead of 180.
    pub early_media: bool,
    /// Answers at once a call that asks for it, by Call-Info, Alert-Info or Answer-Mode.
    pub auto_answer: bool,
    /// The final response.
    pub reply: Reply,
}

impl Default for Answering {
    fn default() -> Self {
        let reply = Reply::Accept { after: Duration::ZERO };
        Self { rings: true, early_media: false, auto_answer: false, reply }
    }
}

/// The final response to a call that comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// 200.
    Accept {
        /// Since the INVITE.
        after: Duration,
    },
    /// A refusal.
    Reject {
        /// 300 to 699.
        status: StatusCode,
        /// Since the INVITE.
        after: Duration,
    },
    /// None: rings until the other side gives up.
    Never,
}

/// Digits that are sent as telephone events (RFC 4733).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dtmf {
    /// Of `0123456789*#ABCD`; others are left out.
    pub digits: Box<str>,
    /// Since the call was confirmed.
    pub after: Duration,
}
