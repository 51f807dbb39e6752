//! A tone that needs no encoder any more.

use crate::codec::Codec;
use crate::encoder::Encoder;
use crate::tone::TonePlan;

/// One period of a tone, encoded beforehand: what is sent needs no encoder and no allocation.
#[derive(Debug, Clone)]
pub struct EncodedLoop {
    codec: Codec,
    payloads: Vec<Box<[u8]>>,
}

impl EncodedLoop {
    /// Encodes one period of `plan`. Takes milliseconds of work, most for opus.
    pub fn new(plan: &TonePlan, codec: Codec) -> Self {
        Self::of(&plan.samples(codec.sample_rate()), codec)
    }

    /// Silence: one packet, over and over.
    pub fn silence(codec: Codec) -> Self {
        Self::of(&vec![0; codec.frame_samples()], codec)
    }

    fn of(samples: &[i16], codec: Codec) -> Self {
        let frames: Vec<&[i16]> = samples.chunks(codec.frame_samples()).collect();
        let mut encoder = Encoder::new(codec);
        // An encoder remembers what was before: the end of the period, each time but the first.
        let mut unused = Vec::new();
        for frame in &frames[frames.len().saturating_sub(LEAD_IN_FRAMES)..] {
            encoder.encode(frame, &mut unused);
        }
        let payloads = frames.iter().map(|frame| {
            let mut payload = Vec::new();
            encoder.encode(frame, &mut payload);
            payload.into_boxed_slice()
        });
        Self { codec, payloads: payloads.collect() }
    }

    /// What it is encoded with.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Payload of the `index`th 20 ms packet, round and round.
    pub fn packet(&self, index: u64) -> &[u8] {
        let position = index.checked_rem(self.payloads.len() as u64).unwrap_or(0);
        self.payloads.get(position as usize).map_or(&[], |payload| payload)
    }

    /// RTP timestamp units a packet: 960 for opus, 160 for the others.
    pub fn timestamp_step(&self) -> u32 {
        self.codec.timestamp_step()
    }
}

const LEAD_IN_FRAMES: usize = 10;
