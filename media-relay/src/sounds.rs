//! The sounds of the server, encoded once for each codec and shared by all sessions.

use crate::command::Sound;
use audio::{Codec, EncodedLoop, TonePlan};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Encodes a sound when it is first asked for.
#[derive(Debug)]
pub(crate) struct Sounds {
    ringback: TonePlan,
    encoded: BTreeMap<Codec, Arc<EncodedLoop>>,
}

impl Sounds {
    pub(crate) fn new(ringback: TonePlan) -> Self {
        Self { ringback, encoded: BTreeMap::new() }
    }

    pub(crate) fn encoded(&mut self, sound: &Sound, codec: Codec) -> Arc<EncodedLoop> {
        match sound {
            Sound::Ringback => {
                let plan = &self.ringback;
                let encoded =
                    self.encoded.entry(codec).or_insert_with(|| Arc::new(EncodedLoop::new(plan, codec)));
                Arc::clone(encoded)
            }
        }
    }
}
