//! Sounds of the server: encoded once for each codec, and played in step with the clock of the relay.

mod encoded;

pub(crate) use encoded::Sounds;

use crate::command::{Playback, Sound};
use crate::names::PlayId;
use audio::{Codec, EncodedLoop};
use encoded::Tone;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A sound that plays.
#[derive(Debug)]
pub(crate) struct Playing {
    pub(crate) play: PlayId,
    playback: Playback,
    /// Known as soon as the codec is.
    encoded: Option<Arc<EncodedLoop>>,
    /// Of the next packet.
    index: u64,
    /// Packets of its time that are over.
    over: u64,
    /// Whom the termination hears is heard instead until then.
    absent_until: Option<Instant>,
}

/// What a sound has for one tick of the clock.
#[derive(Debug)]
pub(crate) enum Turn {
    Packet {
        index: u64,
        encoded: Arc<EncodedLoop>,
    },
    /// It gives way, or nobody knows the codec yet.
    Nothing,
    /// It has come to its end.
    Over(PlayId),
}

impl Playing {
    pub(crate) fn new(play: PlayId, playback: Playback) -> Self {
        Self { play, playback, encoded: None, index: 0, over: 0, absent_until: None }
    }

    /// Is it the same sound, which goes on under the new name?
    pub(crate) fn goes_on_as(&mut self, play: PlayId, playback: &Playback) -> bool {
        let is_same = self.playback.sound == playback.sound;
        if is_same {
            (self.play, self.over) = (play, 0);
            self.playback = playback.clone();
        }
        is_same
    }

    pub(crate) fn encode(&mut self, sounds: &mut Sounds, codec: Codec) {
        let tone = match self.playback.sound {
            Sound::Ringback => Tone::Ringback,
            Sound::Hold => Tone::Hold,
        };
        self.encoded = Some(sounds.encoded(tone, codec));
    }

    /// Leaves packets out: their time is over.
    pub(crate) fn skip(&mut self, packets: u64) {
        self.index += packets;
        self.over += packets;
    }

    pub(crate) fn gives_way(&self) -> bool {
        self.playback.gives_way
    }

    /// Lets a packet of whom the termination hears be heard instead, and waits for the next one.
    pub(crate) fn give_way(&mut self, now: Instant) {
        self.absent_until = Some(now + ABSENCE);
    }

    pub(crate) fn turn(&mut self, now: Instant) -> Turn {
        if self.playback.lasts.is_some_and(|lasts| self.over >= packets_of(lasts)) {
            return Turn::Over(self.play);
        }
        self.over += 1;
        if self.is_absent(now) {
            return Turn::Nothing;
        }
        let index = self.index;
        self.index += 1;
        match &self.encoded {
            Some(encoded) => Turn::Packet { index, encoded: Arc::clone(encoded) },
            None => Turn::Nothing,
        }
    }

    /// Is it time for a report of the relay itself? While a sound plays nobody else sends any.
    pub(crate) fn owes_report(&self) -> bool {
        self.encoded.is_some() && self.index % REPORT_PACKETS == 1
    }

    /// When the absence is over the sound begins anew, so that it is heard at once.
    fn is_absent(&mut self, now: Instant) -> bool {
        match self.absent_until {
            Some(until) if now < until => true,
            Some(_) => {
                self.absent_until = None;
                self.index = 0;
                false
            }
            None => false,
        }
    }
}

fn packets_of(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u64::MAX)
}

/// Time between two packets of a sound.
pub(crate) const TICK: Duration = Duration::from_millis(20);
/// So long after the last packet of whom the termination hears a sound that gave way returns.
const ABSENCE: Duration = Duration::from_secs(1);
/// Five seconds of packets (RFC 3550 §6.2).
const REPORT_PACKETS: u64 = 250;
