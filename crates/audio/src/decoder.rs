//! RTP payloads to samples.

use crate::codec::Codec;
use crate::g711::{decode_alaw, decode_ulaw};
use audio_codec::g722::G722Decoder;
use opus_pure::{MAX_PACKET_SAMPLES, OpusDecoder};

/// Decodes payloads to mono samples at `codec.sample_rate()`. Malformed payloads give silence, never a panic.
pub struct Decoder {
    codec: Codec,
    state: State,
}

enum State {
    Opus(Box<OpusDecoder>),
    G722(Box<G722Decoder>),
    Pcma,
    Pcmu,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    pub fn new(codec: Codec) -> Self {
        let state = match codec {
            Codec::Opus => State::Opus(Box::new(opus())),
            Codec::G722 => State::G722(Box::new(G722Decoder::new())),
            Codec::Pcma => State::Pcma,
            Codec::Pcmu => State::Pcmu,
        };
        Self { codec, state }
    }

    /// Appends what `payload` holds: as much time as the sender put in. Stereo opus becomes mono. Where
    /// nothing can be read, one 20 ms frame of silence.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        let start = out.len();
        let samples_max = match self.state {
            State::Opus(_) => MAX_PACKET_SAMPLES,
            State::G722(_) => payload.len() * 2,
            State::Pcma | State::Pcmu => payload.len(),
        };
        out.resize(start + samples_max, 0);
        let written = if payload.is_empty() { 0 } else { self.decode_into(payload, &mut out[start..]) };
        out.truncate(start + written);
        if written == 0 {
            out.resize(start + self.codec.frame_samples(), 0);
        }
    }

    /// The number of samples written; 0 for a malformed payload.
    fn decode_into(&mut self, payload: &[u8], samples: &mut [i16]) -> usize {
        match &mut self.state {
            State::Opus(decoder) => {
                let written = decoder.decode_s16(payload, MAX_PACKET_SAMPLES, samples);
                written.unwrap_or_else(|_| {
                    **decoder = opus();
                    0
                })
            }
            State::G722(decoder) => decoder.decode_frame_into(payload, samples).unwrap_or(0),
            State::Pcma => expand(payload, samples, decode_alaw),
            State::Pcmu => expand(payload, samples, decode_ulaw),
        }
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("codec", &self.codec).finish_non_exhaustive()
    }
}

fn opus() -> OpusDecoder {
    OpusDecoder::new(48_000, 1).expect("48 kHz mono is one of opus' own forms")
}

fn expand(payload: &[u8], samples: &mut [i16], decode: impl Fn(u8) -> i16) -> usize {
    for (sample, octet) in samples.iter_mut().zip(payload) {
        *sample = decode(*octet);
    }
    payload.len()
}
