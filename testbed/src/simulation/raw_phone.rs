//! A phone that says what it is told to, whatever SIP would have it say: for what no proper stack does.
//!
//! Pure: datagrams and the time go in, datagrams come out. What it must not forget by itself it does: it answers copies
//! of a request with what it said before, and repeats its final responses until their ACK.

mod calls;
mod habits;
mod repeated;
mod script;

pub use calls::Standing;
pub use habits::{DescriptionHabit, Habits, RegistrationHabit};
pub use script::{Deed, RawScript, hangs_up, reinvites, says, says_as, says_of_cancel, says_with};

use calls::Calls;
use sip_message::{Message, Method, Request, Response};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

/// A phone at message level.
#[derive(Debug)]
pub struct RawPhone {
    calls: Calls,
    log: Vec<Logged>,
    outputs: VecDeque<Vec<u8>>,
}

/// A message that a phone sent or received.
#[derive(Debug)]
pub struct Logged {
    /// When.
    pub at: Instant,
    /// Whether the phone sent it.
    pub sent: bool,
    /// What.
    pub message: Message,
}

impl Logged {
    /// Whether it is a final response to an INVITE.
    pub fn is_final_of_invite(&self) -> bool {
        match &self.message {
            Message::Response(response) => {
                response.status.is_final() && response.header.cseq.method == Method::INVITE
            }
            Message::Request(_) => false,
        }
    }
}

impl RawPhone {
    /// A phone at `sip` that hears audio at `rtp`.
    pub fn new(script: RawScript, sip: SocketAddr, rtp: SocketAddr) -> Self {
        Self { calls: Calls::new(script, sip, rtp), log: Vec::new(), outputs: VecDeque::new() }
    }

    /// A datagram came. `false` when it is of its registration, which is somebody else's.
    pub fn handle_sip(&mut self, octets: &[u8], now: Instant) -> bool {
        let Ok(message) = Message::parse(octets) else { return true };
        if message.header().cseq.method == Method::REGISTER {
            return false;
        }
        self.log.push(Logged { at: now, sent: false, message: message.clone() });
        match message {
            Message::Request(request) => self.calls.handle_request(request, now),
            Message::Response(response) => self.calls.handle_response(&response),
        }
        self.send(now);
        true
    }

    /// A REGISTER for it, as it sends it.
    pub fn registers(&self, octets: &[u8]) -> Vec<u8> {
        self.calls.registers(octets)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.calls.handle_timeout(now);
        self.send(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.calls.poll_timeout()
    }

    /// The next datagram to the server.
    pub fn poll_output(&mut self) -> Option<Vec<u8>> {
        self.outputs.pop_front()
    }

    /// Everything that it sent and received.
    pub fn log(&self) -> &[Logged] {
        &self.log
    }

    /// The requests of that method that came.
    pub fn received(&self, method: &Method) -> Vec<&Request> {
        let requests =
            self.log.iter().filter(|logged| !logged.sent).filter_map(|logged| match &logged.message {
                Message::Request(request) if request.method == *method => Some(request),
                Message::Request(_) | Message::Response(_) => None,
            });
        requests.collect()
    }

    /// The responses that came to its requests.
    pub fn responses(&self) -> Vec<&Response> {
        let responses =
            self.log.iter().filter(|logged| !logged.sent).filter_map(|logged| match &logged.message {
                Message::Response(response) => Some(response),
                Message::Request(_) => None,
            });
        responses.collect()
    }

    /// How its calls stand, one for each INVITE and each branch that answered it.
    pub fn standing(&self) -> Vec<Standing> {
        self.calls.standing()
    }

    /// Whether it was left alone with a call: it rings on, or talks on, and nobody told it otherwise.
    pub fn is_left_alone(&self) -> bool {
        self.standing().iter().any(|standing| match standing {
            Standing::Silent => false,
            Standing::Ringing { cancelled } => !cancelled,
            Standing::Answered { ended, .. } => !ended,
            Standing::Refused { .. } => false,
        })
    }

    /// Whether a final response of it had no ACK. With losses that can be: the BYE behind a 2xx ends the call all the
    /// same, and a refusal leaves nothing to be ended.
    pub fn has_unacknowledged(&self) -> bool {
        self.standing().iter().any(|standing| match standing {
            Standing::Silent | Standing::Ringing { .. } => false,
            Standing::Answered { acknowledged, .. } | Standing::Refused { acknowledged } => !acknowledged,
        })
    }

    fn send(&mut self, now: Instant) {
        while let Some(octets) = self.calls.poll_output() {
            if let Ok(message) = Message::parse(&octets) {
                self.log.push(Logged { at: now, sent: true, message });
            }
            self.outputs.push_back(octets);
        }
    }
}
