//! Between session descriptions and the relay: what is announced, what was agreed.

use audio::{Codec, Impairment};
use media_relay::{Description, Payload, Statistics};
use sdp::{AudioStream, Direction, Format, Offer, ReceivedOffer, SdpError};
use sip_core::Flow;
use std::net::SocketAddr;
use std::time::Duration;

/// The address of the relay as a party is told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Announced {
    /// RTP; RTCP is on the port above (RFC 3550 §11).
    pub(crate) rtp: SocketAddr,
}

/// Our side of the one audio stream.
pub(crate) fn stream(announced: Announced, formats: Vec<Format>, direction: Direction) -> AudioStream {
    AudioStream { direction, ptime: Some(20), ..AudioStream::new(announced.rtp, formats) }
}

/// The formats to offer: `codecs` in their order, then telephone-event in each of their clock rates (RFC 4733 §2.1).
pub(crate) fn formats(codecs: &[Codec]) -> Vec<Format> {
    let mut formats: Vec<Format> = codecs.iter().map(|codec| format(*codec)).collect();
    for (clock_rate, payload_type) in [(8_000, TELEPHONE_EVENT), (48_000, TELEPHONE_EVENT_48K)] {
        if codecs.iter().any(|codec| codec.clock_rate() == clock_rate) {
            formats.push(telephone_event(payload_type, clock_rate));
        }
    }
    formats
}

/// `format` and what goes with it, out of `offered`, as an answer names them: by the numbers of its offer. That is the
/// telephone-event of its clock rate (RFC 4733 §2.1), and the one of 8,000, which many phones have beside any codec.
pub(crate) fn with_events(format: &Format, offered: &[Format]) -> Vec<Format> {
    let rates = [format.clock_rate, USUAL_RATE];
    let goes_with = |event: &&Format| event.is_telephone_event() && rates.contains(&event.clock_rate);
    let mut events: Vec<Format> = offered.iter().filter(goes_with).cloned().collect();
    events.sort_by_key(|event| event.clock_rate != format.clock_rate);
    std::iter::once(format.clone()).chain(events).collect()
}

/// The answer to our offer, from a phone that is reached along `flow`.
pub(crate) fn read_answer(offer: &Offer, body: &[u8], flow: Flow) -> Result<AudioStream, SdpError> {
    let read = offer.read_answer(body).and_then(|stream| {
        stream.check_reach(flow.remote.ip())?;
        Ok(stream)
    });
    read.inspect_err(|error| note(error, flow))
}

/// The offer of a phone that is reached along `flow`.
pub(crate) fn read_offer(body: &[u8], flow: Flow) -> Result<ReceivedOffer, SdpError> {
    let read = ReceivedOffer::parse(body).and_then(|offer| {
        offer.audio().map_or(Ok(()), |stream| stream.check_reach(flow.remote.ip()))?;
        Ok(offer)
    });
    read.inspect_err(|error| note(error, flow))
}

/// The messages of a call may be too many to be kept, and then say nothing of it.
fn note(error: &SdpError, flow: Flow) {
    tracing::info!(phone = %flow.remote, %error, "a session description cannot be used");
}

/// The same as an offer, each under a payload type of its own.
pub(crate) fn offered_with_events(format: &Format, offered: &[Format]) -> Vec<Format> {
    let mut formats = Vec::new();
    for mut format in with_events(format, offered) {
        let is_taken = |number: u8| formats.iter().any(|taken: &Format| taken.payload_type == number);
        if is_taken(format.payload_type) {
            let Some(free) = DYNAMIC.into_iter().find(|number| !is_taken(*number)) else { continue };
            format.payload_type = free;
        }
        formats.push(format);
    }
    formats
}

/// `format`, then the others of `offered`, each under a payload type of its own.
pub(crate) fn beginning_with(format: &Format, offered: &[Format]) -> Vec<Format> {
    let mut formats = vec![format.clone()];
    for other in offered.iter().filter(|other| !other.is_same_encoding(format)) {
        if formats.iter().all(|taken| taken.payload_type != other.payload_type) {
            formats.push(other.clone());
        }
    }
    formats
}

/// What the relay has to know of a stream that a party described, and the format that was agreed: the first one that
/// is a codec of ours. `None` when there is none. `ours`: the formats of our description that goes with it.
///
/// A party sends by the numbers of our description, and is sent by those of its own; each may have several codecs, and
/// whoever sends may change between them at any time (RFC 3264 §6.1).
pub(crate) fn agree(stream: &AudioStream, ours: &[Format], flow: Flow) -> Option<(Description, Format)> {
    let agreed = stream.formats.iter().find(|format| Codec::from_name(&format.name).is_some())?;
    let theirs = || stream.formats.iter().filter_map(|format| Some((format.payload_type, payload(format)?)));
    let is_agreed = |our: &&Format| stream.formats.iter().any(|format| format.is_same_encoding(our));
    let by_ours = ours.iter().filter(is_agreed);
    let by_ours = by_ours.filter_map(|our| Some((our.payload_type, payload(our)?)));
    let description = Description {
        rtp: stream.rtp,
        rtcp: stream.rtcp_for(flow.remote.ip()),
        signalling: flow.remote.ip(),
        // Some phones send by their own numbers all the same.
        comes: by_ours.chain(theirs()).collect(),
        goes: theirs().collect(),
        receives: stream.direction.receives(),
        sends: stream.direction.sends(),
        suppresses_silence: stream.suppresses_silence,
    };
    Some((description, agreed.clone()))
}

/// What a format is to the relay. `None`: nothing that it knows.
fn payload(format: &Format) -> Option<Payload> {
    if format.is_telephone_event() {
        return Some(Payload::TelephoneEvent { clock_rate: format.clock_rate });
    }
    Codec::from_name(&format.name).map(Payload::Audio)
}

/// How the audio of a party arrives, to one decimal. `None` before anything came, and for codecs that are not ours.
pub(crate) fn mean_opinion_score(codec: &str, figures: &Statistics) -> Option<f64> {
    let codec = Codec::from_name(codec)?;
    let expected = figures.packets_received + figures.packets_lost;
    // What came may have been no audio.
    if figures.packets_received == 0 || figures.first_packet_at.is_none() {
        return None;
    }
    let network = figures.round_trip.unwrap_or_default() / 2;
    // What a receiver must hold back so that hardly a packet comes too late.
    let buffer = Duration::try_from_secs_f64(figures.jitter_ms * 2.0 / 1_000.0).unwrap_or_default();
    let impairment = Impairment {
        loss: figures.packets_lost as f64 / expected as f64,
        delay: PACKET_TIME + network + buffer,
    };
    Some((audio::mean_opinion_score(codec, impairment) * 10.0).round() / 10.0)
}

fn format(codec: Codec) -> Format {
    let opus = codec == Codec::Opus;
    Format {
        payload_type: codec.static_payload_type().unwrap_or(OPUS),
        name: codec.name().into(),
        clock_rate: codec.clock_rate(),
        channels: if opus { 2 } else { 1 },
        fmtp: opus.then(|| "useinbandfec=1".into()),
    }
}

fn telephone_event(payload_type: u8, clock_rate: u32) -> Format {
    Format {
        payload_type,
        name: "telephone-event".into(),
        clock_rate,
        channels: 1,
        fmtp: Some("0-16".into()),
    }
}

/// Payload types of the dynamic range, as most phones have them.
const OPUS: u8 = 107;
const TELEPHONE_EVENT: u8 = 101;
const TELEPHONE_EVENT_48K: u8 = 110;
/// Of most codecs, and of most phones' digits.
const USUAL_RATE: u32 = 8_000;
/// RFC 3551 §6.
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;
const PACKET_TIME: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_payload_type_stands_for_two_formats() {
        let ours = formats(&Codec::ALL);
        for payload_type in [OPUS, TELEPHONE_EVENT, TELEPHONE_EVENT_48K] {
            let opus = Format { payload_type, ..format(Codec::Opus) };
            assert_eq!(offered_with_events(&opus, &ours).len(), 3, "no digits under {payload_type}");
            for offered in [offered_with_events(&opus, &ours), beginning_with(&opus, &ours)] {
                let mut numbers: Vec<u8> = offered.iter().map(|format| format.payload_type).collect();
                assert_eq!(numbers[0], payload_type);
                numbers.sort_unstable();
                numbers.dedup();
                assert_eq!(numbers.len(), offered.len(), "{offered:?}");
            }
        }
    }

    #[test]
    fn losses_jitter_and_distance_lower_the_score_and_nothing_heard_has_none() {
        let first_packet_at = Some(std::time::Instant::now());
        let clean = Statistics { packets_received: 1_000, first_packet_at, ..Statistics::default() };
        let score = |figures: Statistics| mean_opinion_score("pcmu", &figures);
        assert_eq!(score(Statistics::default()), None);
        assert_eq!(score(Statistics { first_packet_at: None, ..clean }), None, "nothing of it was audio");
        assert_eq!(score(clean), Some(4.4));
        assert_eq!(score(Statistics { packets_lost: 53, ..clean }), Some(3.9));
        assert_eq!(score(Statistics { jitter_ms: 150.0, ..clean }), Some(3.6));
        assert_eq!(score(Statistics { round_trip: Some(Duration::from_millis(600)), ..clean }), Some(3.6));
        assert_eq!(score(Statistics { jitter_ms: f64::INFINITY, ..clean }), Some(4.4));
        assert_eq!(mean_opinion_score("G729", &clean), None);
    }
}
