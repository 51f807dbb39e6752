//! Samples to RTP payloads.

use crate::codec::Codec;
use crate::g711::{encode_alaw, encode_ulaw};
use audio_codec::Encoder as _;
use audio_codec::g722::G722Encoder;
use opus_pure::{Application, OpusEncoder};

/// Encodes 20 ms frames of mono 16-bit samples at `codec.sample_rate()`.
pub struct Encoder {
    codec: Codec,
    state: State,
    frame: Vec<i16>,
}

enum State {
    Opus(Box<OpusEncoder>),
    G722(Box<G722Encoder>),
    Pcma,
    Pcmu,
}

impl Encoder {
    /// An encoder at the beginning of a stream. Opus is mono, 32 kbit/s.
    pub fn new(codec: Codec) -> Self {
        let state = match codec {
            Codec::Opus => State::Opus(Box::new(opus())),
            Codec::G722 => State::G722(Box::new(G722Encoder::new())),
            Codec::Pcma => State::Pcma,
            Codec::Pcmu => State::Pcmu,
        };
        Self { codec, state, frame: Vec::new() }
    }

    /// Appends one packet payload. A frame that is too short is filled up with silence, the rest of one that
    /// is too long is left out.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        let length = self.codec.frame_samples();
        self.frame.clear();
        self.frame.extend_from_slice(&samples[..samples.len().min(length)]);
        self.frame.resize(length, 0);
        match &mut self.state {
            State::Opus(encoder) => {
                append(out, OPUS_OCTETS_MAX, |packet| encoder.encode_s16(&self.frame, length, packet).ok());
            }
            State::G722(encoder) => {
                append(out, length, |packet| encoder.encode_into(&self.frame, packet).ok());
            }
            State::Pcma => out.extend(self.frame.iter().map(|sample| encode_alaw(*sample))),
            State::Pcmu => out.extend(self.frame.iter().map(|sample| encode_ulaw(*sample))),
        }
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("codec", &self.codec).finish_non_exhaustive()
    }
}

fn opus() -> OpusEncoder {
    let mut encoder =
        OpusEncoder::new(48_000, 1, Application::Voip).expect("48 kHz mono is one of opus' own forms");
    encoder.bitrate_bps = OPUS_BITS_PER_SECOND;
    encoder.use_inband_fec = true;
    encoder
}

/// Lets `encode` write into `out` behind what is there; keeps as much as it wrote.
fn append(out: &mut Vec<u8>, octets_max: usize, encode: impl FnOnce(&mut [u8]) -> Option<usize>) {
    let start = out.len();
    out.resize(start + octets_max, 0);
    let written = encode(&mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}

const OPUS_BITS_PER_SECOND: i32 = 32_000;
/// RFC 6716 §3.2.1: the largest frame.
const OPUS_OCTETS_MAX: usize = 1_275;
