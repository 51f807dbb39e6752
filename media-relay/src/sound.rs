//! Sounds of the server: encoded once for each codec, and played in step with the clock of the relay.

mod dialling;
mod encoded;

pub(crate) use encoded::Sounds;

use crate::command::{Description, Keys, Payload, Playback, Sound};
use crate::names::PlayId;
use crate::rtp::continuity::{Continuity, KeyPart, Stamp};
use audio::{Codec, EncodedLoop};
use dialling::{Dialling, KeyTurn};
use encoded::Tone;
use rtp::header::Header;
use std::sync::Arc;
use std::time::{Duration, Instant};
use webrtc_util::marshal::{Marshal, MarshalSize};

/// What plays to one termination. Keys go before the sound, which goes on behind them.
#[derive(Debug, Default)]
pub(crate) struct Playing {
    steady: Option<Steady>,
    dialling: Option<Dialling>,
}

/// A sound that goes on until it is stopped, or its time is over.
#[derive(Debug)]
struct Steady {
    play: PlayId,
    tone: Tone,
    gives_way: bool,
    lasts: Option<Duration>,
    /// Known as soon as the codec is.
    encoded: Option<Arc<EncodedLoop>>,
    /// Of the next packet.
    index: u64,
    /// Packets of its time that are over.
    over: u64,
    /// Whom the termination hears is heard instead until then.
    absent_until: Option<Instant>,
}

/// What becomes of what is to be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It is heard from now on, or when the keys before it have been sent.
    Anew,
    /// It plays already, and goes on under its new name.
    GoesOn,
    /// Too many keys wait before it.
    Dropped,
}

/// What plays has this for one tick of the clock.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The packet is in the buffer.
    Packet {
        /// The clock rate of the stream, when a report of the relay's own is to follow.
        report_rate: Option<u32>,
    },
    /// It gives way, or nobody knows the codec yet.
    Nothing,
    /// One has come to its end, and its name if that is to be told; another may have its turn.
    Over(Option<PlayId>),
}

impl Playing {
    pub(crate) fn begin(&mut self, play: PlayId, playback: &Playback) -> Begun {
        let tone = match &playback.sound {
            Sound::Ringback => Tone::Ringback,
            Sound::Hold => Tone::Hold,
            Sound::Keys(keys) => return self.dial(play, keys),
        };
        let Playback { gives_way, lasts, .. } = *playback;
        if let Some(steady) = self.steady.as_mut().filter(|steady| steady.tone == tone) {
            *steady = Steady { play, gives_way, lasts, over: 0, encoded: steady.encoded.take(), ..*steady };
            return Begun::GoesOn;
        }
        let (encoded, index, over, absent_until) = (None, 0, 0, None);
        self.steady = Some(Steady { play, tone, gives_way, lasts, encoded, index, over, absent_until });
        Begun::Anew
    }

    /// Keys never go on as others: the same ones again are keyed again.
    fn dial(&mut self, play: PlayId, keys: &Keys) -> Begun {
        let dialling = self.dialling.get_or_insert_with(Dialling::new);
        if dialling.put(play, keys) { Begun::Anew } else { Begun::Dropped }
    }

    pub(crate) fn stop(&mut self, play: PlayId) {
        self.steady.take_if(|steady| steady.play == play);
        if let Some(dialling) = &mut self.dialling {
            dialling.stop(play);
        }
        self.dialling.take_if(|dialling| dialling.is_empty());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.steady.is_none() && self.dialling.is_none()
    }

    /// Has all packets ready, for a phone that itself speaks the codec `spoken`.
    pub(crate) fn encode(&mut self, sounds: &mut Sounds, description: &Description, spoken: Option<Codec>) {
        let in_use = description.in_use(spoken).map(|(_, codec)| codec);
        if let (Some(steady), Some(codec)) = (&mut self.steady, in_use) {
            steady.encoded = Some(sounds.encoded(steady.tone, codec));
        }
        match (&mut self.dialling, in_use) {
            (Some(dialling), Some(codec)) => dialling.encode(sounds, description, codec),
            (Some(dialling), None) => dialling.forget_codec(),
            (None, _) => {}
        }
    }

    /// Leaves packets of the sound out: their time is over. Keys come later instead.
    pub(crate) fn skip(&mut self, packets: u64) {
        if let Some(steady) = &mut self.steady {
            steady.index += packets;
            steady.over += packets;
        }
    }

    pub(crate) fn gives_way(&self) -> bool {
        self.dialling.is_none() && self.steady.as_ref().is_some_and(|steady| steady.gives_way)
    }

    /// Lets a packet of whom the termination hears be heard instead of the sound, and waits for the next one.
    pub(crate) fn give_way(&mut self, now: Instant) {
        if let Some(steady) = self.steady.as_mut().filter(|steady| steady.gives_way) {
            steady.absent_until = Some(now + ABSENCE);
        }
    }

    /// Writes the next packet into `buffer`.
    pub(crate) fn turn(
        &mut self,
        continuity: &mut Continuity,
        description: Option<&Description>,
        can_be_sent: bool,
        buffer: &mut Vec<u8>,
        now: Instant,
    ) -> Turn {
        if let Some(dialling) = &mut self.dialling {
            let turn = dialling.turn(description, can_be_sent);
            let turn = match turn {
                KeyTurn::Event { number, payload, begins, codec } => {
                    let part = if begins { KeyPart::EventBegins } else { KeyPart::Event };
                    let stamp = continuity.key(part, codec, now);
                    Some(write(buffer, number, stamp, &payload, None))
                }
                KeyTurn::Audio { number, begins, codec } => {
                    let part = if begins { KeyPart::AudioBegins } else { KeyPart::Audio };
                    let stamp = continuity.key(part, codec, now);
                    Some(write(buffer, number, stamp, dialling.payload(), None))
                }
                KeyTurn::Nothing => Some(Turn::Nothing),
                KeyTurn::Over(play) => {
                    self.dialling.take_if(|dialling| dialling.is_empty());
                    return Turn::Over(Some(play));
                }
                KeyTurn::Through => None,
            };
            if let Some(turn) = turn {
                self.skip(1);
                return turn;
            }
            self.dialling = None;
        }
        self.turn_of_sound(continuity, description, can_be_sent, buffer, now)
    }

    fn turn_of_sound(
        &mut self,
        continuity: &mut Continuity,
        description: Option<&Description>,
        can_be_sent: bool,
        buffer: &mut Vec<u8>,
        now: Instant,
    ) -> Turn {
        let Some(steady) = &mut self.steady else { return Turn::Over(None) };
        if steady.lasts.is_some_and(|lasts| steady.over >= packets_of(lasts)) {
            let play = steady.play;
            self.steady = None;
            return Turn::Over(Some(play));
        }
        let Some((index, encoded)) = steady.next(now) else { return Turn::Nothing };
        let (codec, step) = (encoded.codec(), encoded.timestamp_step());
        let goes = description.filter(|_| can_be_sent).map(|description| &description.goes);
        let number = goes.and_then(|goes| goes.number_of(Payload::Audio(codec)));
        let Some(number) = number else { return Turn::Nothing };
        let stamp = continuity.tone(index, step, codec.clock_rate(), now);
        // While a sound plays nobody else sends any.
        let owes_report = index % REPORT_PACKETS == 0;
        write(buffer, number, stamp, encoded.packet(index), owes_report.then_some(codec.clock_rate()))
    }
}

impl Steady {
    fn next(&mut self, now: Instant) -> Option<(u64, &EncodedLoop)> {
        self.over += 1;
        if self.is_absent(now) {
            return None;
        }
        let index = self.index;
        self.index += 1;
        Some((index, self.encoded.as_deref()?))
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

fn write(
    buffer: &mut Vec<u8>,
    payload_type: u8,
    stamp: Stamp,
    payload: &[u8],
    report_rate: Option<u32>,
) -> Turn {
    let header = Header {
        version: 2,
        marker: stamp.marker,
        payload_type,
        sequence_number: stamp.sequence,
        timestamp: stamp.timestamp,
        ssrc: stamp.ssrc,
        ..Header::default()
    };
    buffer.clear();
    buffer.resize(header.marshal_size(), 0);
    if header.marshal_to(buffer).is_err() {
        return Turn::Nothing;
    }
    buffer.extend_from_slice(payload);
    Turn::Packet { report_rate }
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
