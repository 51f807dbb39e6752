//! An offer that came in, and the answer that can only be made from it.

use crate::description;
use crate::direction::Direction;
use crate::error::SdpError;
use crate::format::Format;
use crate::printing::{Origin, audio_media, print_session, refused_media};
use crate::stream::{AudioStream, is_audio_over_rtp};
use sdp_types::Media;
use std::net::SocketAddr;

/// An offer that came in.
#[derive(Debug, Clone)]
pub struct ReceivedOffer {
    medias: Vec<Media>,
    /// The audio stream and which of `medias` it is.
    audio: Option<(usize, AudioStream)>,
}

impl ReceivedOffer {
    /// Reads an offer.
    ///
    /// # Errors Beyond a limit; unreadable; or the first audio stream has no usable format or no address that
    /// may be sent to. An offer without such a stream is none: it is readable and has no
    /// [`audio`](Self::audio).
    pub fn parse(body: &[u8]) -> Result<Self, SdpError> {
        let session = description::parse(body)?;
        let position = session.medias.iter().position(|media| is_audio_over_rtp(media) && media.port != 0);
        let audio = match position {
            Some(index) => {
                Some((index, with_multiplexing(AudioStream::read(&session, &session.medias[index])?)))
            }
            None => None,
        };
        Ok(Self { medias: session.medias, audio })
    }

    /// The first audio stream that is RTP/AVP (or AVPF) with a port.
    pub fn audio(&self) -> Option<&AudioStream> {
        self.audio.as_ref().map(|(_, stream)| stream)
    }

    /// Does it close the audio stream that there was, with port 0 (RFC 3264 §8.2)? Some phones hold so.
    pub fn closes_audio(&self) -> bool {
        self.audio.is_none() && self.medias.iter().any(|media| is_audio_over_rtp(media) && media.port == 0)
    }

    /// The answer that refuses or closes every stream (RFC 3264 §6, §8.2): the octets of the body. `rtp`: where we would
    /// receive.
    pub fn answer_without_audio(&self, origin: &Origin, rtp: SocketAddr) -> Vec<u8> {
        let stream = AudioStream::new(rtp, Vec::new());
        print_session(origin, &stream, self.medias.iter().map(refused_media).collect())
    }

    /// The answer (RFC 3264 §6): one m= line for each of the offer, all but the audio stream refused with
    /// port 0; `formats` in our order of preference that are in the offer, with the offer's payload types;
    /// direction the reverse of the offer's, limited by
    /// `direction`. RTCP shares the port when the offer asks for it (RFC 5761 §5.1.1).
    ///
    /// # Errors
    /// No audio stream, or no common codec (telephone-event alone is none).
    pub fn answer(
        &self,
        origin: &Origin,
        rtp: SocketAddr,
        formats: &[Format],
        direction: Direction,
    ) -> Result<Answer, SdpError> {
        let (position, offered) = self.audio.as_ref().ok_or(SdpError::NoAudio)?;
        let mut stream = AudioStream::new(rtp, common_formats(formats, &offered.formats));
        stream.drop_unpaired_telephone_events();
        if stream.codec().is_none() {
            return Err(SdpError::NoCommonFormat);
        }
        stream.direction = offered.direction.reversed().limited_by(direction);
        if offered.rtcp_mux {
            stream.rtcp_mux = true;
            stream.rtcp = rtp;
        }
        let medias = self.medias.iter().enumerate().map(|(index, media)| {
            if index == *position { audio_media(&stream, &media.proto) } else { refused_media(media) }
        });
        let printed = print_session(origin, &stream, medias.collect());
        Ok(Answer { stream, printed })
    }
}

/// An answer that can only be made from an offer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Our side of the stream as it was answered.
    pub stream: AudioStream,
    printed: Vec<u8>,
}

impl Answer {
    /// The octets of the body.
    pub fn print(&self) -> Vec<u8> {
        self.printed.clone()
    }
}

/// An offerer that asks for it listens for both on one port once the answer agrees, and ours always does.
fn with_multiplexing(mut stream: AudioStream) -> AudioStream {
    if stream.rtcp_mux {
        stream.rtcp = stream.rtp;
    }
    stream
}

/// Ours that are offered, in our order, each once, under the offer's payload type and name.
fn common_formats(ours: &[Format], offered: &[Format]) -> Vec<Format> {
    let mut common: Vec<Format> = Vec::new();
    for our in ours {
        let found = offered.iter().find(|format| format.is_same_encoding(our));
        if let Some(format) =
            found.filter(|format| common.iter().all(|taken| taken.payload_type != format.payload_type))
        {
            common.push(Format { fmtp: our.fmtp.clone(), ..format.clone() });
        }
    }
    common
}
