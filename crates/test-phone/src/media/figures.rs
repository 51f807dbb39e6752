//! The audio of a call in numbers.

use serde::Serialize;

/// The audio of a call in numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Encoding name; absent when nothing was agreed.
    pub codec: Option<&'static str>,
    /// RTP packets that we sent.
    pub packets_sent: u64,
    /// RTP packets that came.
    pub packets_received: u64,
    /// Expected, but never came (RFC 3550 A.3).
    pub packets_lost: u64,
    /// Came twice.
    pub packets_doubled: u64,
    /// Came from elsewhere than the other side said, and were not listened to.
    pub packets_from_strangers: u64,
    /// Were no RTP, or of a payload type that was not agreed.
    pub packets_unusable: u64,
    /// Synchronization sources heard.
    pub sources: u32,
    /// Interarrival jitter (RFC 3550 A.8), milliseconds.
    pub jitter_ms: f64,
    /// Longest time between two packets, milliseconds.
    pub longest_gap_ms: u64,
    /// From the answer to the first packet of audio, milliseconds.
    pub first_audio_ms_after_answer: Option<u64>,
    /// Of audio heard, milliseconds.
    pub heard_ms: u64,
    /// The tone that was expected.
    pub tone: Option<ToneHeard>,
}

/// A tone that was listened for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ToneHeard {
    /// Its frequency.
    pub hertz: f64,
    /// Its share of the energy of all that was heard, 0 to 1.
    pub share: f64,
    /// Its longest run, milliseconds.
    pub milliseconds: u64,
}
