//! Keys on their way to a phone, one after the other: as events (RFC 4733) where these were agreed, else as tones (ITU-T
//! Q.23) in the codec that the phone is sent.
//!
//! A key lasts for 100 ms; a pause of at least 80 ms follows. In the pause silence is sent, not nothing: a phone that
//! lost all three ends of an event stops it when audio comes (RFC 4733 §2.5.2.2), one that plays events as tones has
//! something to play between two of them, and no jitter buffer runs dry.

use super::encoded::{Sounds, Tone};
use crate::command::{Description, KEYS_MAX, Keys, Payload};
use crate::names::PlayId;
use audio::{Codec, EncodedLoop, TelephoneEvent};
use std::collections::VecDeque;
use std::sync::Arc;

/// Keys, and how far they are.
#[derive(Debug)]
pub(super) struct Dialling {
    current: Option<Current>,
    /// With the current one they are [`KEYS_MAX`] at most.
    waiting: VecDeque<(PlayId, u8)>,
    /// Packets of silence before the first key, if it is a tone.
    lead_in: u8,
    /// Absent as long as the phone is not described, or understands no codec.
    audio: Option<Audio>,
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
    tones: [Option<Arc<EncodedLoop>>; KEY_CODES],
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
    Audio {
        number: u8,
        index: u64,
        encoded: Arc<EncodedLoop>,
        begins: bool,
    },
    Nothing,
    /// The last key of this playing has been sent.
    Over(PlayId),
    /// No key is left.
    Through,
}

impl Dialling {
    pub(super) fn new() -> Self {
        Self { current: None, waiting: VecDeque::new(), lead_in: TONE_PAUSE_PACKETS, audio: None }
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

    /// Has what it needs ready, for a phone that is sent this codec.
    pub(super) fn encode(&mut self, sounds: &mut Sounds, description: &Description, codec: Codec) {
        let mut tones = [const { None }; KEY_CODES];
        if description.goes.events_beside(codec).is_none() {
            let current = self.current.iter().map(|current| current.code);
            for code in self.waiting.iter().map(|(_, code)| *code).chain(current) {
                if let Some(tone) = tones.get_mut(usize::from(code)) {
                    tone.get_or_insert_with(|| sounds.encoded(Tone::Key(code), codec));
                }
            }
        }
        self.audio = Some(Audio { silence: sounds.encoded(Tone::Silence, codec), tones });
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
                return self.silence(description, false);
            }
            self.lead_in = 0;
            let Some((play, code)) = self.waiting.pop_front() else { return KeyTurn::Through };
            self.current = Some(Current { play: Some(play), code, over: 0, manner });
        }
        self.packet(description, events, can_be_sent)
    }

    /// The next packet of the current key.
    fn packet(&mut self, description: &Description, events: Option<(u8, u32)>, can_be_sent: bool) -> KeyTurn {
        let (Some(current), Some(audio)) = (&mut self.current, &self.audio) else {
            // Its time passes all the same.
            self.current.iter_mut().for_each(|current| current.over += 1);
            return KeyTurn::Nothing;
        };
        let (over, begins, code) = (current.over, current.over == 0, current.code);
        current.over += 1;
        let tone = audio.tones.get(usize::from(code)).and_then(Option::as_ref);
        match (current.manner, events, tone) {
            _ if !can_be_sent => KeyTurn::Nothing,
            (Manner::Event, Some((number, rate)), _) if over < KEY_PACKETS + END_REPEATS => {
                let end = over + 1 >= KEY_PACKETS;
                let duration = duration(rate, (over + 1).min(KEY_PACKETS));
                let payload = TelephoneEvent { event: code, end, volume: VOLUME, duration }.encode();
                KeyTurn::Event { number, payload, begins, codec: audio.silence.codec() }
            }
            (Manner::Tone, _, Some(tone)) => {
                let number = description.goes.number_of(Payload::Audio(tone.codec()));
                let (index, encoded) = (u64::from(over), Arc::clone(tone));
                number.map_or(KeyTurn::Nothing, |number| KeyTurn::Audio { number, index, encoded, begins })
            }
            (Manner::Event, None, _) | (Manner::Tone, _, None) => {
                current.manner = Manner::Missed;
                self.silence(description, begins)
            }
            (Manner::Event, Some(_), _) | (Manner::Missed, _, _) => self.silence(description, begins),
        }
    }

    fn silence(&self, description: &Description, begins: bool) -> KeyTurn {
        let Some(Audio { silence, .. }) = &self.audio else { return KeyTurn::Nothing };
        let number = description.goes.number_of(Payload::Audio(silence.codec()));
        let encoded = Arc::clone(silence);
        number.map_or(KeyTurn::Nothing, |number| KeyTurn::Audio { number, index: 0, encoded, begins })
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
/// 80 ms. As many are before the first tone: what was heard before has ended then, and a decoder has got used to it.
const TONE_PAUSE_PACKETS: u8 = 4;
/// 10 dB below 1 mW.
const VOLUME: u8 = 10;
