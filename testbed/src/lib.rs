//! The real server, real SIP programs and real sockets on loopback, for the tests under `tests/`.
//!
//! A test claims loopback addresses of its own ([`Loopback`]), so that tests run side by side; it starts the real
//! binary ([`Server`]), registers phones ([`Registration`]), lets SIPp ([`Sipp`]), baresip ([`Baresip`]) or linphone
//! ([`Linphone`]) answer, speaks and listens with an [`RtpPeer`], and drives all by HTTP ([`Api`]).
//! What a test started ends with it. Everything waits for at most a bounded time and panics with what it knows.
//!
//! Nothing here uses the project's own SIP code: it would not see the project's own mistakes.

mod api;
mod certificates;
mod digest;
mod kamailio;
pub mod line;
mod loopback;
mod name_server;
mod nat;
mod phones;
mod process;
mod registration;
mod rtp_peer;
mod server;
pub mod simulation;
mod sip_text;
mod sipp;
mod tool;
pub mod torture;

pub use api::{Answer, Api};
pub use certificates::{Authority, Certified};
pub use digest::{Algorithm, authorization};
pub use kamailio::{CarrierOptions, Kamailio};
pub use loopback::Loopback;
pub use name_server::{NameServer, Records};
pub use nat::{Elsewhere, Nat};
pub use phones::{Baresip, Linphone, PhoneAccount, Recording, Wire};
pub use process::Running;
pub use registration::{Registration, Transport};
pub use rtp_peer::{Heard, KeyPacket, RtpPeer, Talking};
pub use server::{Extension, Server, ServerOptions, binary};
pub use sip_text::SipText;
pub use sipp::{Audio, Caller, Content, Seen, Sipp, Step};
pub use tool::Tool;

use std::time::{Duration, Instant};

/// Asks `question` every 10 ms until it has an answer or `limit` has passed.
pub fn wait_for<T>(limit: Duration, mut question: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = question() {
            return Some(answer);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
