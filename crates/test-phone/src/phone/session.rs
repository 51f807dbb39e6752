//! What is said and agreed about the audio of one call (RFC 3264).

use crate::Stream;
use audio::Codec;
use sdp::{AudioStream, Direction, Format, Offer, Origin, ReceivedOffer, SdpError};
use std::net::SocketAddr;

/// Our side of the audio of one call.
#[derive(Debug)]
pub(super) struct Session {
    origin: Origin,
    rtp: SocketAddr,
    formats: Vec<Format>,
    /// We hold the other side, or are about to.
    pub(super) holding: bool,
    /// The other side does not want to hear us.
    pub(super) held: bool,
    offered: Option<Offer>,
}

impl Session {
    pub(super) fn new(session_id: u64, rtp: SocketAddr, codecs: &[Codec]) -> Self {
        let origin = Origin { session_id, version: 0 };
        Self { origin, rtp, formats: formats(codecs), holding: false, held: false, offered: None }
    }

    /// An offer of all that we can, or of hold. Its answer is read by [`read_answer`](Self::read_answer).
    pub(super) fn offer(&mut self) -> Vec<u8> {
        self.origin.version += 1;
        let mut stream = AudioStream::new(self.rtp, self.formats.clone());
        stream.direction = self.direction();
        let offer = Offer::new(&self.origin, stream);
        let body = offer.print();
        self.offered = Some(offer);
        body
    }

    /// The answer to our last offer; it may come twice, in a provisional and in the final response. `None` when there
    /// was no offer of ours.
    pub(super) fn read_answer(&mut self, body: &[u8]) -> Option<Result<Stream, SdpError>> {
        let offer = self.offered.as_ref()?;
        Some(offer.read_answer(body).map(|answered| {
            let direction = answered.direction.reversed().limited_by(self.direction());
            self.held = !answered.direction.receives();
            self.stream(&answered, &answered, direction)
        }))
    }

    /// Our answer to an offer.
    pub(super) fn answer(&mut self, offer: &ReceivedOffer) -> Result<(Vec<u8>, Stream), SdpError> {
        self.origin.version += 1;
        let answer = offer.answer(&self.origin, self.rtp, &self.formats, self.direction())?;
        let theirs = offer.audio().ok_or(SdpError::NoAudio)?;
        // An offer of ours may still wait behind a glare (RFC 3261 §14.1); its answer is read by it.
        self.held = !theirs.direction.receives();
        Ok((answer.print(), self.stream(&answer.stream, theirs, answer.stream.direction)))
    }

    /// RFC 3264 §8.4.
    fn direction(&self) -> Direction {
        if self.holding { Direction::SendOnly } else { Direction::SendRecv }
    }

    /// `agreed` names the formats, `theirs` the address; `direction` is ours.
    fn stream(&self, agreed: &AudioStream, theirs: &AudioStream, direction: Direction) -> Stream {
        let format = agreed.codec();
        let clock_rate = format.map_or(8_000, |format| format.clock_rate);
        Stream {
            local: self.rtp,
            remote: theirs.rtp,
            codec: format.and_then(|format| Codec::from_name(&format.name)).unwrap_or(Codec::Pcmu),
            payload_type: format.map_or(0, |format| format.payload_type),
            telephone_event: agreed.telephone_event(clock_rate).map(|event| event.payload_type),
            sends: direction.sends() && !theirs.rtp.ip().is_unspecified(),
            receives: direction.receives(),
        }
    }
}

/// Codecs in their order, then telephone-event for each of their clock rates (RFC 4733 §2.1).
fn formats(codecs: &[Codec]) -> Vec<Format> {
    let mut formats: Vec<Format> = codecs.iter().map(|codec| codec_format(*codec)).collect();
    for (payload_type, clock_rate) in [(101, 8_000), (102, 48_000)] {
        if codecs.iter().any(|codec| codec.clock_rate() == clock_rate) {
            let name = "telephone-event".into();
            formats.push(Format { payload_type, name, clock_rate, channels: 1, fmtp: None });
        }
    }
    formats
}

fn codec_format(codec: Codec) -> Format {
    Format {
        payload_type: codec.static_payload_type().unwrap_or(OPUS),
        name: codec.name().into(),
        clock_rate: codec.clock_rate(),
        // RFC 7587 §7.
        channels: if codec == Codec::Opus { 2 } else { 1 },
        fmtp: None,
    }
}

const OPUS: u8 = 111;

#[cfg(test)]
mod tests {
    use super::*;

    fn session(port: u16, codecs: &[Codec]) -> Session {
        Session::new(7, SocketAddr::from(([127, 0, 0, 1], port)), codecs)
    }

    fn exchange(offerer: &mut Session, answerer: &mut Session) -> (Stream, Stream) {
        let offer = ReceivedOffer::parse(&offerer.offer()).unwrap();
        let (answer, theirs) = answerer.answer(&offer).unwrap();
        (offerer.read_answer(&answer).unwrap().unwrap(), theirs)
    }

    #[test]
    fn both_sides_agree_on_the_first_codec_of_the_answerer() {
        let mut one = session(4000, &[Codec::Opus, Codec::Pcma, Codec::Pcmu]);
        let mut two = session(5000, &[Codec::Pcmu, Codec::Opus]);
        let (ours, theirs) = exchange(&mut one, &mut two);
        assert_eq!((ours.codec, theirs.codec), (Codec::Pcmu, Codec::Pcmu));
        assert_eq!((ours.remote.port(), theirs.remote.port()), (5000, 4000));
        assert_eq!((ours.telephone_event, theirs.telephone_event), (Some(101), Some(101)));
    }

    #[test]
    fn opus_has_telephone_events_of_its_own_clock_rate() {
        let (ours, theirs) = exchange(&mut session(4000, &[Codec::Opus]), &mut session(5000, &[Codec::Opus]));
        assert_eq!((ours.telephone_event, theirs.telephone_event), (Some(102), Some(102)));
    }

    #[test]
    fn the_one_who_holds_sends_and_the_other_listens() {
        let (mut one, mut two) = (session(4000, &[Codec::Pcmu]), session(5000, &[Codec::Pcmu]));
        exchange(&mut one, &mut two);
        one.holding = true;
        let (ours, theirs) = exchange(&mut one, &mut two);
        assert!(ours.sends && !ours.receives && !one.held);
        assert!(!theirs.sends && theirs.receives && two.held);
        one.holding = false;
        let (ours, theirs) = exchange(&mut one, &mut two);
        assert!(ours.sends && ours.receives && theirs.sends && theirs.receives && !two.held);
    }
}
