//! An offer that we make, and the answer to it.

use crate::description;
use crate::error::SdpError;
use crate::format::{Format, payload_types};
use crate::printing::{Origin, audio_media, print_session};
use crate::stream::{AudioStream, is_audio_over_rtp};
use sdp_types::Attribute;

/// An offer that we make: one audio stream.
#[derive(Debug, Clone)]
pub struct Offer {
    origin: Origin,
    stream: AudioStream,
}

impl Offer {
    /// An offer of `stream`. Where it has telephone-event, there is one for each clock rate of its codecs
    /// (RFC 4733 §2.1): those that lack are added with free payload types.
    pub fn new(origin: &Origin, mut stream: AudioStream) -> Self {
        pair_telephone_events(&mut stream.formats);
        Self { origin: origin.clone(), stream }
    }

    /// What is offered.
    pub fn stream(&self) -> &AudioStream {
        &self.stream
    }

    /// The octets of the body.
    pub fn print(&self) -> Vec<u8> {
        print_session(&self.origin, &self.stream, vec![audio_media(&self.stream, "RTP/AVP")])
    }

    /// Reads the answer: its audio stream, with formats limited to those of the offer (RFC 3264 §6); payload
    /// types are those that the answerer uses.
    ///
    /// # Errors Unreadable; no audio accepted (port 0); no common codec (telephone-event alone is none); a
    /// host name or a forbidden address (multicast, broadcast, 0/8 but 0.0.0.0).
    pub fn read_answer(&self, body: &[u8]) -> Result<AudioStream, SdpError> {
        let mut session = description::parse(body)?;
        // Streams are matched by position (RFC 3264 §6); what some phones add behind ours was not offered and
        // is not used.
        let Some(mut media) = session.medias.drain(..).next() else { return Err(SdpError::NoAudio) };
        if media.port == 0 {
            return Err(SdpError::AudioRefused);
        }
        if !is_audio_over_rtp(&media) {
            return Err(SdpError::NoAudio);
        }
        self.name_unnamed(&media.fmt, &mut media.attributes);
        let mut answered = AudioStream::read(&session, &media)?;
        answered
            .formats
            .retain(|format| self.stream.formats.iter().any(|offered| offered.is_same_encoding(format)));
        answered.drop_unpaired_telephone_events();
        if answered.codec().is_none() {
            return Err(SdpError::NoCommonFormat);
        }
        answered.rtcp_mux &= self.stream.rtcp_mux;
        if answered.rtcp_mux {
            answered.rtcp = answered.rtp;
        }
        Ok(answered)
    }

    /// An answer may name a payload type of the offer and leave its rtpmap away: what it says comes last and
    /// holds then.
    fn name_unnamed(&self, fmt: &str, attributes: &mut Vec<Attribute>) {
        for payload_type in payload_types(fmt).unwrap_or_default() {
            if let Some(Format { name, clock_rate, channels, .. }) =
                self.stream.formats.iter().find(|format| format.payload_type == payload_type)
            {
                let value = Some(format!("{payload_type} {name}/{clock_rate}/{channels}"));
                attributes.push(Attribute { attribute: "rtpmap".into(), value });
            }
        }
    }
}

fn pair_telephone_events(formats: &mut Vec<Format>) {
    let Some(event) = formats.iter().find(|format| format.is_telephone_event()).cloned() else { return };
    let codecs = formats.iter().filter(|format| format.is_audio());
    let mut rates: Vec<u32> = codecs.map(|format| format.clock_rate).collect();
    rates.sort_unstable();
    rates.dedup();
    for clock_rate in rates {
        if formats.iter().any(|format| format.is_telephone_event() && format.clock_rate == clock_rate) {
            continue;
        }
        let is_free = |number: &u8| formats.iter().all(|format| format.payload_type != *number);
        let Some(payload_type) = DYNAMIC_PAYLOAD_TYPES.into_iter().find(is_free) else { return };
        formats.push(Format { payload_type, clock_rate, ..event.clone() });
    }
}

/// RFC 3551 §3.
const DYNAMIC_PAYLOAD_TYPES: std::ops::RangeInclusive<u8> = 96..=127;
