//! The audio of a call: RTP packets made from a source, and read into what was heard. Pure.

mod figures;
mod packet;
mod receiver;
mod sender;
mod source;
mod tones;

pub use figures::{Figures, ToneHeard};
pub use packet::{RtpView, parse as parse_rtp};
pub use receiver::{Arrival, Counts, Heard, Received, RtpReceiver};
pub use sender::RtpSender;
pub use source::Source;
pub use tones::{LoudTone, loud_tones};

use audio::Codec;
use std::net::SocketAddr;
use std::time::Duration;

/// What offer and answer agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// Where we receive.
    pub local: SocketAddr,
    /// Where the other side receives, and sends from (RFC 4961).
    pub remote: SocketAddr,
    /// The codec.
    pub codec: Codec,
    /// Its payload type.
    pub payload_type: u8,
    /// Payload type of telephone-event with the clock rate of the codec.
    pub telephone_event: Option<u8>,
    /// We send.
    pub sends: bool,
    /// We listen.
    pub receives: bool,
}

/// Time of the audio in one packet.
pub(crate) const PACKET_TIME: Duration = Duration::from_millis(20);

/// RTP timestamp units a packet.
const fn timestamp_step(codec: Codec) -> u32 {
    codec.clock_rate() / 50
}
