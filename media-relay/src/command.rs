//! What signalling says to the relay.

use crate::names::{PlayId, SessionId, TerminationId};
use audio::{Codec, TelephoneEvent, TonePlan};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

/// What signalling asks for. A session is there as long as it has terminations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Bind a pair of ports. Answered by [`Event::Added`](crate::Event::Added) or
    /// [`Event::NotAdded`](crate::Event::NotAdded).
    Add {
        /// Begins with its first termination.
        session: SessionId,
        /// One that the session never had.
        termination: TerminationId,
        /// The local address.
        local: IpAddr,
    },
    /// What was agreed with the phone, for the first time or again. Learning of its address starts anew; if it is the
    /// same address again, what was learnt holds until something else is.
    Describe {
        /// Which session.
        session: SessionId,
        /// Which termination.
        termination: TerminationId,
        /// What was agreed.
        description: Description,
    },
    /// Who hears whom (RFC 3525 §6.1.1). A termination hears one other, and is heard by one other: a new link takes the
    /// place of what stands in its way.
    Link {
        /// Which session.
        session: SessionId,
        /// One.
        one: TerminationId,
        /// The other.
        other: TerminationId,
        /// What is to be between them.
        topology: Topology,
    },
    /// Play to a termination. What plays already goes on if it is the same sound, under its new name; another takes its
    /// place. Keys take nobody's place: they follow behind keys that are being sent, and a sound that plays goes on
    /// behind them.
    Play {
        /// Which session.
        session: SessionId,
        /// Who hears it.
        termination: TerminationId,
        /// The name of this playing, for `Stop` and [`Event::Played`](crate::Event::Played).
        play: PlayId,
        /// What is played, and how.
        sound: Playback,
    },
    /// Stop what plays under this name. A key that has begun is sent to its end, 200 ms at most.
    Stop {
        /// Which session.
        session: SessionId,
        /// Who heard it.
        termination: TerminationId,
        /// Its name.
        play: PlayId,
    },
    /// Part it from the others and close its ports, which rest before they are used again:
    /// [`Event::Removed`](crate::Event::Removed).
    Remove {
        /// Which session.
        session: SessionId,
        /// Which termination.
        termination: TerminationId,
    },
    /// Part it from the others and go on with it in another session, with everything that it has learnt, heard and sent:
    /// [`Event::Moved`](crate::Event::Moved). A name that is taken there, or ports that are not bound yet, leave it where it is.
    Move {
        /// Where it is.
        session: SessionId,
        /// Which termination.
        termination: TerminationId,
        /// Where it goes; begins with it if it is not there.
        to: SessionId,
        /// Its name there.
        name: TerminationId,
    },
    /// Say the figures: [`Event::Report`](crate::Event::Report).
    Report {
        /// Which session.
        session: SessionId,
    },
    /// Remove every termination: [`Event::Closed`](crate::Event::Closed).
    Close {
        /// Which session.
        session: SessionId,
    },
}

/// What is between two terminations (RFC 3525 §6.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// Neither hears the other.
    Isolate,
    /// The other one hears the first, and is not heard by it.
    OneWay,
    /// Each hears the other.
    BothWay,
}

/// What a payload type means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// Audio of this codec.
    Audio(Codec),
    /// Digits and tones (RFC 4733), with timestamps of this clock rate.
    TelephoneEvent {
        /// In hertz.
        clock_rate: u32,
    },
    /// Comfort noise beside audio of this clock rate (RFC 3389).
    ComfortNoise {
        /// In hertz.
        clock_rate: u32,
    },
}

/// Payload types and what each means, the preferred ones first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payloads(Box<[(u8, Payload)]>);

impl FromIterator<(u8, Payload)> for Payloads {
    /// Of two meanings of one number the first holds.
    fn from_iter<T: IntoIterator<Item = (u8, Payload)>>(payloads: T) -> Self {
        let mut taken: Vec<(u8, Payload)> = Vec::new();
        for (number, payload) in payloads {
            if taken.len() < PAYLOADS_MAX && taken.iter().all(|(known, _)| *known != number) {
                taken.push((number, payload));
            }
        }
        Self(taken.into())
    }
}

impl Payloads {
    /// What a payload type means.
    pub fn meaning(&self, number: u8) -> Option<Payload> {
        self.0.iter().find_map(|(known, payload)| (*known == number).then_some(*payload))
    }

    /// The payload type of this meaning.
    pub fn number_of(&self, payload: Payload) -> Option<u8> {
        self.0.iter().find_map(|(number, known)| (*known == payload).then_some(*number))
    }

    /// The first codec, and its number.
    pub fn codec(&self) -> Option<(u8, Codec)> {
        self.0.iter().find_map(|(number, payload)| match payload {
            Payload::Audio(codec) => Some((*number, *codec)),
            Payload::TelephoneEvent { .. } | Payload::ComfortNoise { .. } => None,
        })
    }

    /// Telephone events with the clock rate of this audio, else with any: the number and the rate.
    pub(crate) fn events_beside(&self, codec: Codec) -> Option<(u8, u32)> {
        let mut events = self.0.iter().filter_map(|(number, payload)| match payload {
            Payload::TelephoneEvent { clock_rate } => Some((*number, *clock_rate)),
            Payload::Audio(_) | Payload::ComfortNoise { .. } => None,
        });
        let exact = events.clone().find(|(_, rate)| *rate == codec.clock_rate());
        exact.or_else(|| events.next())
    }
}

/// What offer and answer agreed on with one phone. The two directions may number differently, and each may have several
/// codecs (RFC 3264 §6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Where the phone wants RTP, as its SDP says. An unspecified address: it wants none (hold).
    pub rtp: SocketAddr,
    /// Where it wants RTCP; equal to `rtp` when both share a port (RFC 5761).
    pub rtcp: SocketAddr,
    /// Where its signalling comes from: the only other address that may be learnt (phones behind NAT).
    pub signalling: IpAddr,
    /// What may come from it.
    pub comes: Payloads,
    /// What it is sent; with at least one codec.
    pub goes: Payloads,
    /// May it be sent to.
    pub receives: bool,
    /// Is it expected to send.
    pub sends: bool,
    /// It sends nothing while nobody speaks: its silence says nothing.
    pub suppresses_silence: bool,
}

impl Description {
    /// Do RTP and RTCP share a port?
    pub(crate) fn is_multiplexed(&self) -> bool {
        self.rtp == self.rtcp
    }

    /// The codec that it is sent, and its payload type. Of several that were agreed, many phones play only the one that
    /// they speak.
    pub(crate) fn in_use(&self, spoken: Option<Codec>) -> Option<(u8, Codec)> {
        let same = spoken.and_then(|codec| Some((self.goes.number_of(Payload::Audio(codec))?, codec)));
        same.or(self.goes.codec())
    }
}

/// How a sound is played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Playback {
    /// What is played.
    pub sound: Sound,
    /// Whom the termination hears takes its place, and it returns one second after the last packet. Without it the sound
    /// takes the place of whom the termination hears.
    pub gives_way: bool,
    /// It ends by itself then; rounded up to packets.
    pub lasts: Option<Duration>,
}

/// A sound of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sound {
    /// The other party is being rung.
    Ringback,
    /// Whoever hears it is held: two soft beeps every four seconds, and silence between them, which is sent as well, so
    /// that no phone takes the stream for dead.
    Hold,
    /// Keys, once, in the place of whom the termination hears, whatever the playback says; the end is
    /// [`Event::Played`](crate::Event::Played).
    Keys(Keys),
}

/// One key to 64, as event codes: 0 to 9, 10 for `*`, 11 for `#`, 12 to 15 for A to D (RFC 4733 §3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys(Box<[u8]>);

impl Keys {
    /// `None` where one is no key, and for none or more than 64.
    pub fn from_codes(codes: impl IntoIterator<Item = u8>) -> Option<Self> {
        let codes: Box<[u8]> = codes.into_iter().take(KEYS_MAX + 1).collect();
        let are_keys = codes.iter().all(|code| *code <= KEY_CODE_MAX);
        (are_keys && (1..=KEYS_MAX).contains(&codes.len())).then_some(Self(codes))
    }

    /// As they stand on the keys, such as `12#`; as [`from_codes`](Self::from_codes).
    pub fn from_text(text: &str) -> Option<Self> {
        let codes: Option<Vec<u8>> = text.chars().map(TelephoneEvent::from_key).collect();
        Self::from_codes(codes?)
    }

    /// The event codes.
    pub fn codes(&self) -> &[u8] {
        &self.0
    }
}

/// What a relay needs to know from the beginning.
#[derive(Debug, Clone)]
pub struct Config {
    /// RTP takes the even ports, RTCP the odd ones above (RFC 3550 §11).
    pub ports: RangeInclusive<u16>,
    /// Tone that `Sound::Ringback` plays.
    pub ringback: TonePlan,
    /// No RTP for so long from a phone that should send: `Event::Silent`.
    pub silence_timeout: Duration,
    /// A port that was closed is not used again for so long.
    pub port_rest: Duration,
    /// Sockets at once; a termination has two.
    pub sockets_max: usize,
    /// Seed of SSRCs, first sequence numbers and timestamps.
    pub seed: [u8; 32],
}

/// Keys that are sent, and wait, at once.
pub(crate) const KEYS_MAX: usize = 64;
const KEY_CODE_MAX: u8 = 15;
/// More than any phone agrees on.
const PAYLOADS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_meanings_of_a_number_the_first_holds_and_there_are_32_at_most() {
        let (pcmu, pcma) = (Payload::Audio(Codec::Pcmu), Payload::Audio(Codec::Pcma));
        let payloads: Payloads = [(0, pcmu), (0, pcma), (8, pcma)].into_iter().collect();
        assert_eq!((payloads.meaning(0), payloads.meaning(8)), (Some(pcmu), Some(pcma)));
        let payloads: Payloads = (0..40).map(|number| (number, pcmu)).collect();
        assert_eq!((payloads.meaning(31), payloads.meaning(32)), (Some(pcmu), None));
    }

    #[test]
    fn keys_are_one_to_64_of_sixteen() {
        let codes = |text| Keys::from_text(text).map(|keys| keys.codes().to_vec());
        assert_eq!(codes("09*#Ad"), Some(vec![0, 9, 10, 11, 12, 15]));
        assert_eq!([codes(""), codes("1 2"), codes("E")], [None, None, None]);
        assert_eq!((codes(&"1".repeat(64)).map(|keys| keys.len()), codes(&"1".repeat(65))), (Some(64), None));
        assert_eq!((Keys::from_codes([16]), Keys::from_codes([])), (None, None));
        assert_eq!(Keys::from_codes(std::iter::repeat(1)), None);
    }
}
