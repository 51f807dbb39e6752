//! Sound as samples: codecs, tones and their detection, telephone events, WAV.
//!
//! An [`Encoder`] and a [`Decoder`] turn 20 ms of mono samples into RTP payloads and back; an [`EncodedLoop`]
//! is a tone that needs neither any more. A [`Resampler`] goes between their rates. Absent: RTP packets, clocks, files. Pure: octets and
//! samples in, octets and samples out.

mod codec;
mod decoder;
mod detect;
mod encoded_loop;
mod encoder;
mod g711;
mod quality;
mod resampler;
mod sine;
mod telephone_event;
mod tone;
pub mod wav;

pub use codec::Codec;
pub use decoder::Decoder;
pub use detect::{chord_milliseconds, chord_share, tone_milliseconds, tone_share};
pub use encoded_loop::EncodedLoop;
pub use encoder::Encoder;
pub use quality::{Impairment, mean_opinion_score};
pub use resampler::Resampler;
pub use sine::Sine;
pub use telephone_event::TelephoneEvent;
pub use tone::TonePlan;
