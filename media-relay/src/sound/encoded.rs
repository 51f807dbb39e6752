//! Tones that need no encoder any more: each is encoded once for each codec, for all who hear it.

use audio::{Codec, EncodedLoop, TonePlan};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tone {
    Ringback,
    Hold,
    Silence,
    /// A key by its event code.
    Key(u8),
}

/// Encodes a tone when it is first asked for.
#[derive(Debug)]
pub(crate) struct Sounds {
    ringback: TonePlan,
    encoded: BTreeMap<(Tone, Codec), Arc<EncodedLoop>>,
}

impl Sounds {
    pub(crate) fn new(ringback: TonePlan) -> Self {
        Self { ringback, encoded: BTreeMap::new() }
    }

    /// Encodes what will be asked for.
    pub(crate) fn prepare(&mut self) {
        for codec in Codec::ALL {
            // Keys in G.722 are encoded as they are sent.
            let keys = (0..16).filter(|_| codec != Codec::G722).map(Tone::Key);
            for tone in [Tone::Ringback, Tone::Hold, Tone::Silence].into_iter().chain(keys) {
                self.encoded(tone, codec);
            }
        }
    }

    pub(crate) fn encoded(&mut self, tone: Tone, codec: Codec) -> Arc<EncodedLoop> {
        let ringback = &self.ringback;
        let encoded = self.encoded.entry((tone, codec)).or_insert_with(|| {
            Arc::new(match tone {
                Tone::Ringback => EncodedLoop::new(ringback, codec),
                Tone::Hold => EncodedLoop::new(&TonePlan::hold(), codec),
                Tone::Silence => EncodedLoop::silence(codec),
                Tone::Key(code) => TonePlan::key(code)
                    .map_or_else(|| EncodedLoop::silence(codec), |plan| EncodedLoop::new(&plan, codec)),
            })
        });
        Arc::clone(encoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tone_is_encoded_once_for_each_codec_and_shared() {
        let mut sounds = Sounds::new(TonePlan::ringback("us").expect("us"));
        sounds.prepare();
        let prepared = sounds.encoded.len();
        for codec in Codec::ALL {
            let (ringback, hold) = (sounds.encoded(Tone::Ringback, codec), sounds.encoded(Tone::Hold, codec));
            assert!(Arc::ptr_eq(&hold, &sounds.encoded(Tone::Hold, codec)), "{codec:?}");
            assert!(!Arc::ptr_eq(&ringback, &hold), "{codec:?}");
            assert_eq!((ringback.codec(), hold.codec()), (codec, codec));
        }
        assert_eq!((sounds.encoded.len(), prepared), (4 * 3 + 3 * 16, 4 * 3 + 3 * 16), "all were prepared");
    }
}
