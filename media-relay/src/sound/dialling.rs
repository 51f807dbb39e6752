//! Keys on their way to a phone, one after the other: as events (RFC 4733) where these were agreed, else as tones (ITU-T
//! Q.23) in the codec that the phone is sent.
//!
//! A key lasts for 100 ms; a pause of at least 80 ms follows. In the pause silence is sent, not nothing: a phone that
//! lost all three ends of an event stops it when audio comes (RFC 4733 §2.5.2.2), one that plays events as tones has
//! something to play between two of them, and no jitter buffer runs dry.

use super::encoded::{Sounds, Tone};
use crate::command::{Description, KEYS_MAX, Keys, Payload};
use crate::names::PlayId;
use audio::{Codec, EncodedLoop, Encoder, TelephoneEvent, TonePlan};
use std::collections::VecDeque;
use std::sync::Arc;

/// Keys, and how far they are.
#[derive(Debug)]
pub(super) struct Dialling {
    current: Option<Current>,
    /// With the current one they are [`KEYS_MAX`] at most.
    waiting: VecDeque<(PlayId, u8)>,
    /// Packets of silence before the next key, if it is a tone.
    lead_in: u8,
    /// Absent as long as the phone is not described, or understands no codec.
    audio: Option<Audio>,
    /// The newest payload of audio.
    payload: Vec<u8>,
}

/// The key that is being sent.
#[derive(Debug)]
struct Current {
    /// `None`: it was stopped, nobody is told.
    play: Option<PlayId>,
    code: u8,
    /// How many packets of it are over.
    over: u8,
    manner: Manner,
}

/// How a key is sent. One that began in one manner does not go on in the other: it would be taken for two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Event,
    Tone,
    /// Its beginning could not be sent: the phone is held, or understands neither.
    Missed,
}

/// What is sent as audio.
#[derive(Debug)]
struct Audio {
    silence: Arc<EncodedLoop>,
    /// By code: of the keys that are sent as tones.
    tones: [Option<KeyTone>; KEY_CODES],
    /// Of tones in G.722. Its decoder follows the encoder step by step, and loses its way in silence that was encoded
    /// beforehand: the tones behind it would be distorted.
    encoder: Option<Encoder>,
}

/// A key and its pause.
#[derive(Debug)]
enum KeyTone {
    Encoded(Arc<EncodedLoop>),
    Samples(Box<[i16]>),
}

/// What the keys have for one tick of the clock.
#[derive(Debug)]
pub(super) enum KeyTurn {
    Event {
        number: u8,
        payload: [u8; 4],
        begins: bool,
        /// That of the stream.
        codec: Codec,
    },
    /// With [`Dialling::payload`].
    Audio {
        number: u8,
        begins: bool,
        codec: Codec,
    },
    Nothing,
    /// The last key of this playing has been sent.
    Over(PlayId),
    /// No key is left.
    Through,
}

impl Dialling {
    pub(super) fn new() -> Self {
        Self {
            current: None,
            waiting: VecDeque::new(),
            lead_in: LEAD_IN_PACKETS,
            audio: None,
            payload: Vec::new(),
        }
    }

    /// Puts keys behind those that are there, as far as there is room. `false`: for none of them.
    pub(super) fn put(&mut self, play: PlayId, keys: &Keys) -> bool {
        let room = KEYS_MAX - self.waiting.len() - usize::from(self.current.is_some());
        self.waiting.extend(keys.codes().iter().take(room).map(|code| (play, *code)));
        room > 0
    }

    /// Takes out what has not begun. A key that has is sent to its end: half of one may be taken for one, or not.
    pub(super) fn stop(&mut self, play: PlayId) {
        self.waiting.retain(|(waiting, _)| *waiting != play);
        if let Some(current) = &mut self.current {
            current.play = current.play.filter(|current| *current != play);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.current.is_none() && self.waiting.is_empty()
    }

    /// The newest payload of audio.
    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Has what it needs ready, for a phone that is sent this codec.
    pub(super) fn encode(&mut self, sounds: &mut Sounds, description: &Description, codec: Codec) {
        let known = self.audio.take().filter(|known| known.silence.codec() == codec);
        if known.is_none() {
            self.lead_in = LEAD_IN_PACKETS;
        }
        let mut audio = Audio {
            silence: sounds.encoded(Tone::Silence, codec),
            tones: [const { None }; KEY_CODES],
            encoder: known.and_then(|known| known.encoder),
        };
        if description.goes.events_beside(codec).is_none() {
            if codec == Codec::G722 {
                audio.encoder.get_or_insert_with(|| Encoder::new(codec));
            }
            let current = self.current.iter().map(|current| current.code);
            for code in self.waiting.iter().map(|(_, code)| *code).chain(current) {
                audio.prepare(code, sounds, codec);
            }
        }
        self.audio = Some(audio);
    }

    /// The phone understands no codec.
    pub(super) fn forget_codec(&mut self) {
        self.audio = None;
    }

    pub(super) fn turn(&mut self, description: Option<&Description>, can_be_sent: bool) -> KeyTurn {
        if let Some(over) = self.current.take_if(|current| current.over >= current.manner.packets())
            && let Some(play) = over.play
            && self.waiting.front().is_none_or(|(next, _)| *next != play)
        {
            return KeyTurn::Over(play);
        }
        if self.is_empty() {
            return KeyTurn::Through;
        }
        // They wait for a description as other sounds do; from whoever is held later the time of a key does not wait.
        let Some(description) = description else { return KeyTurn::Nothing };
        let events = self.audio.as_ref().and_then(|it| description.goes.events_beside(it.silence.codec()));
        if self.current.is_none() {
            let manner = match &self.audio {
                Some(_) if can_be_sent && events.is_some() => Manner::Event,
                Some(_) if can_be_sent => Manner::Tone,
                Some(_) | None => Manner::Missed,
            };
            if manner == Manner::Tone && self.lead_in > 0 {
                self.lead_in -= 1;
                return self.audio(description, None, false);
            }
            self.lead_in = 0;
            let Some((play, code)) = self.waiting.pop_front() else { return KeyTurn::Through };
            self.current = Some(Current { play: Some(play), code, over: 0, manner });
        }
        self.packet(description, events, can_be_sent)
    }

    /// The next packet of the current key.
    fn packet(&mut self, description: &Description, events: Option<(u8, u32)>, can_be_sent: bool) -> KeyTurn {
        let Some(current) = &mut self.current else { return KeyTurn::Nothing };
        let (over, begins, code) = (current.over, current.over == 0, current.code);
        // Its time passes, whether it can be sent or not.
        current.over += 1;
        let Some(audio) = self.audio.as_ref().filter(|_| can_be_sent) else { return KeyTurn::Nothing };
        match (current.manner, events) {
            (Manner::Event, Some((number, rate))) if over < KEY_PACKETS + END_REPEATS => {
                let end = over + 1 >= KEY_PACKETS;
                let duration = duration(rate, (over + 1).min(KEY_PACKETS));
                let payload = TelephoneEvent { event: code, end, volume: VOLUME, duration }.encode();
                KeyTurn::Event { number, payload, begins, codec: audio.silence.codec() }
            }
            (Manner::Tone, None) => self.audio(description, Some((code, over)), begins),
            (Manner::Event, None) | (Manner::Tone, Some(_)) => {
                current.manner = Manner::Missed;
                self.audio(description, None, begins)
            }
            (Manner::Event, Some(_)) | (Manner::Missed, _) => self.audio(description, None, begins),
        }
    }

    /// A packet of a key's tone, or of silence.
    fn audio(&mut self, description: &Description, tone: Option<(u8, u8)>, begins: bool) -> KeyTurn {
        let Some(audio) = &mut self.audio else { return KeyTurn::Nothing };
        let codec = audio.silence.codec();
        self.payload.clear();
        audio.write(tone, &mut self.payload);
        let number = description.goes.number_of(Payload::Audio(codec));
        number.map_or(KeyTurn::Nothing, |number| KeyTurn::Audio { number, begins, codec })
    }
}

impl Audio {
    fn prepare(&mut self, code: u8, sounds: &mut Sounds, codec: Codec) {
        if let Some(tone) = self.tones.get_mut(usize::from(code)).filter(|tone| tone.is_none()) {
            *tone = if self.encoder.is_none() {
                Some(KeyTone::Encoded(sounds.encoded(Tone::Key(code), codec)))
            } else {
                let plan = TonePlan::key(code);
                plan.map(|plan| KeyTone::Samples(plan.samples(codec.sample_rate()).into()))
            };
        }
    }

    /// Writes a packet of a key's tone, or of silence.
    fn write(&mut self, tone: Option<(u8, u8)>, payload: &mut Vec<u8>) {
        let tone = tone.and_then(|(code, index)| Some((self.tones.get(usize::from(code))?.as_ref()?, index)));
        let length = self.silence.codec().frame_samples();
        match (tone, &mut self.encoder) {
            (Some((KeyTone::Samples(samples), index)), Some(encoder)) => {
                let frame = samples.chunks(length).nth(usize::from(index));
                encoder.encode(frame.unwrap_or_default(), payload);
            }
            // What is too short is filled up with silence.
            (None, Some(encoder)) => encoder.encode(&[], payload),
            (Some((KeyTone::Encoded(encoded), index)), _) => {
                payload.extend_from_slice(encoded.packet(u64::from(index)));
            }
            (Some((KeyTone::Samples(_), _)) | None, None) => {
                payload.extend_from_slice(self.silence.packet(0));
            }
        }
    }
}

impl Manner {
    /// Of a key and its pause.
    const fn packets(self) -> u8 {
        match self {
            Self::Event | Self::Missed => KEY_PACKETS + EVENT_PAUSE_PACKETS,
            Self::Tone => KEY_PACKETS + TONE_PAUSE_PACKETS,
        }
    }
}

/// Of so many packets, in units of the clock rate of events. Zero would mean that it lasts for ever (RFC 4733 §2.3.5).
fn duration(rate: u32, packets: u8) -> u16 {
    let units = u64::from(rate) * u64::from(packets) / PACKETS_A_SECOND;
    u16::try_from(units).unwrap_or(u16::MAX).max(1)
}

/// Codes of keys: RFC 4733 §3.2.
const KEY_CODES: usize = 16;
/// Of 20 ms each.
const PACKETS_A_SECOND: u64 = 50;
/// Of 100 ms.
const KEY_PACKETS: u8 = 5;
/// After the first end of an event it is sent twice more, at the same interval (RFC 4733 §2.5.1.4).
const END_REPEATS: u8 = 2;
/// 80 ms from the last end on, for those who do not look at timestamps.
const EVENT_PAUSE_PACKETS: u8 = 5;
/// 80 ms.
const TONE_PAUSE_PACKETS: u8 = 4;
/// 160 ms: what was heard before has ended then, and a decoder has got used to another encoder.
const LEAD_IN_PACKETS: u8 = 8;
/// 10 dB below 1 mW.
const VOLUME: u8 = 10;
