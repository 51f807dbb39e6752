//! What goes to a phone: one stream, whoever is heard and whatever is played.

use crate::command::{Description, Payload, Playback};
use crate::conversion::{Between, Conversion, Next, Transcoding};
use crate::names::PlayId;
use crate::relay::Forward;
use crate::rtp::continuity::Continuity;
use crate::rtp::header::RtpHeader;
use crate::rtp::reports;
use crate::sound::{Begun, Playing, Sounds, Turn};
use crate::termination::inward::Accepted;
use audio::Codec;
use rtcp::sender_report::SenderReport;
use std::time::{Duration, Instant};
use webrtc_util::marshal::{Marshal, MarshalSize};

/// The outgoing side of a termination.
#[derive(Debug)]
pub(crate) struct Outward {
    pub(crate) continuity: Continuity,
    /// How audio was passed on last, as long as the description holds.
    way: Option<Way>,
    playing: Option<Box<Playing>>,
    /// Present once something had to be converted.
    conversion: Option<Box<Conversion>>,
    packets_sent: u64,
    payload_octets_sent: u64,
    /// The name of the newest report that was sent to the phone, and when.
    asked: Option<(u32, Instant)>,
    round_trip: Option<Duration>,
}

/// Audio that needs no conversion: what it is, and its payload type here.
#[derive(Debug, Clone, Copy)]
struct Way {
    codec: Codec,
    spoken: Option<Codec>,
    number: u8,
}

/// What becomes of a packet at the one who hears it.
#[derive(Debug)]
pub(crate) enum Passage {
    Nothing,
    /// The packet, rewritten in place, goes there.
    Forward(Forward),
    /// What is made of it stands in line here.
    InLine,
    /// The same, and something is to be transcoded.
    Convert(Box<Transcoding>),
}

impl Outward {
    pub(crate) fn new(continuity: Continuity) -> Self {
        Self {
            continuity,
            way: None,
            playing: None,
            conversion: None,
            packets_sent: 0,
            payload_octets_sent: 0,
            asked: None,
            round_trip: None,
        }
    }

    /// Makes a packet of whom the phone hears one of the stream to it, which goes to `route`. `spoken`: the codec in which
    /// the phone itself speaks.
    #[inline]
    pub(crate) fn hear(
        &mut self,
        accepted: &Accepted,
        description: &Description,
        spoken: Option<Codec>,
        route: Option<Forward>,
        packet: &mut [u8],
        now: Instant,
    ) -> Passage {
        if let Some(playing) = self.playing.as_mut().filter(|playing| !playing.gives_way()) {
            // Behind keys a sound is absent as it was before.
            playing.give_way(now);
            return Passage::Nothing;
        }
        let passage = self.pass_on(accepted, description, spoken, route, packet, now);
        match (&passage, &mut self.playing) {
            (Passage::Forward(_) | Passage::InLine | Passage::Convert(_), Some(playing)) => {
                playing.give_way(now);
            }
            (Passage::Nothing, _) | (_, None) => {}
        }
        passage
    }

    #[inline]
    fn pass_on(
        &mut self,
        accepted: &Accepted,
        description: &Description,
        spoken: Option<Codec>,
        route: Option<Forward>,
        packet: &mut [u8],
        now: Instant,
    ) -> Passage {
        if let (Some(way), Some(route), Some(Payload::Audio(codec))) = (self.way, route, accepted.payload)
            && (way.codec, way.spoken) == (codec, spoken)
        {
            return self.forward(accepted, way.number, route, packet, now);
        }
        let goes = &description.goes;
        let (Some(route), Some((preferred, target))) = (route, description.in_use(spoken)) else {
            self.continuity.interrupt();
            return Passage::Nothing;
        };
        let Some(payload) = accepted.payload else { return self.leave_out(accepted) };
        let is_understood = accepted.beside == target;
        let number = match payload {
            Payload::Audio(_) => Some(preferred),
            Payload::TelephoneEvent { .. } => goes.events_beside(target).map(|(number, _)| number),
            Payload::ComfortNoise { .. } => None,
        };
        match (goes.number_of(payload).filter(|_| is_understood), number) {
            (Some(number), _) => {
                if let Payload::Audio(codec) = payload {
                    self.way = Some(Way { codec, spoken, number });
                }
                self.forward(accepted, number, route, packet, now)
            }
            (None, Some(number)) => {
                let event_rate = goes.events_beside(target).map_or(0, |(_, rate)| rate);
                let between = Between { source: accepted.beside, target, number, event_rate };
                self.convert(accepted, between, packet, now)
            }
            (None, None) => self.leave_out(accepted),
        }
    }

    #[inline]
    fn forward(
        &mut self,
        accepted: &Accepted,
        number: u8,
        route: Forward,
        packet: &mut [u8],
        now: Instant,
    ) -> Passage {
        let clock_rate = accepted.beside.clock_rate();
        let Accepted { header, place, .. } = *accepted;
        let Some(stamp) = self.continuity.forward(place, header.timestamp, clock_rate, now) else {
            return Passage::Nothing;
        };
        header.with(stamp, number).overwrite(packet);
        // What still waits leaves first, and now: its numbers are lower.
        if let Some(conversion) = &mut self.conversion
            && conversion.stand_in_line(packet, now)
        {
            return Passage::InLine;
        }
        self.count_sent(packet);
        Passage::Forward(route)
    }

    /// The phone does not understand it: the stream goes on as if it had not come.
    fn leave_out(&mut self, accepted: &Accepted) -> Passage {
        self.continuity.leave_out(accepted.place);
        if let Some(conversion) = &mut self.conversion {
            conversion.leave_out(accepted);
        }
        Passage::Nothing
    }

    /// What comes next is of somebody else: its numbers have nothing to do with what was.
    pub(crate) fn hears_another(&mut self) {
        self.drop_converted();
        self.continuity.interrupt();
    }

    /// What the phone understands may be something else now.
    pub(crate) fn described(&mut self) {
        self.way = None;
    }
}

/// Transcoding.
impl Outward {
    fn convert(&mut self, accepted: &Accepted, between: Between, packet: &[u8], now: Instant) -> Passage {
        self.conversion.get_or_insert_default().put(accepted, between, packet);
        self.go_on(now)
    }

    /// Takes back what was given away to be transcoded.
    pub(crate) fn take_back(&mut self, transcoding: Transcoding, now: Instant) -> Passage {
        let Some(conversion) = &mut self.conversion else { return Passage::Nothing };
        if !conversion.take_back(transcoding, &mut self.continuity, now) {
            return Passage::Nothing;
        }
        self.go_on(now)
    }

    fn go_on(&mut self, now: Instant) -> Passage {
        let Some(conversion) = &mut self.conversion else { return Passage::Nothing };
        match conversion.next(&mut self.continuity, now) {
            Next::Transcode(transcoding) => Passage::Convert(transcoding),
            Next::Nothing => Passage::InLine,
        }
    }

    /// Lends the next packet that is due to `buffer`; `false` when none is.
    pub(crate) fn next_converted(&mut self, buffer: &mut Vec<u8>, can_be_sent: bool, now: Instant) -> bool {
        let Some(conversion) = &mut self.conversion else { return false };
        if !can_be_sent {
            conversion.pacing.clear();
            return false;
        }
        let is_due = conversion.pacing.take(buffer, now);
        if is_due {
            self.count_sent(buffer);
        }
        is_due
    }

    /// Nobody understands what waits, or nobody hears it.
    pub(crate) fn drop_converted(&mut self) {
        if let Some(conversion) = &mut self.conversion {
            conversion.begin_anew();
        }
    }

    /// When to look for one, unless that is known.
    pub(crate) fn schedule_converted(&mut self) -> Option<Instant> {
        self.conversion.as_mut()?.pacing.schedule()
    }

    /// That time has come.
    pub(crate) fn wake_converted(&mut self) {
        if let Some(conversion) = &mut self.conversion {
            conversion.pacing.wake();
        }
    }
}

/// Sounds.
impl Outward {
    pub(crate) fn play(&mut self, play: PlayId, playback: &Playback, now: Instant) -> Begun {
        let playing = self.playing.get_or_insert_default();
        let begun = playing.begin(play, playback);
        match &mut self.conversion {
            Some(_) if begun != Begun::Anew => {}
            Some(conversion) if playing.gives_way() => conversion.pacing.hurry(now),
            Some(conversion) => conversion.make_way(now),
            None => {}
        }
        begun
    }

    pub(crate) fn stop(&mut self, play: PlayId) {
        if let Some(playing) = &mut self.playing {
            playing.stop(play);
        }
        self.playing.take_if(|playing| playing.is_empty());
    }

    pub(crate) fn is_playing(&self) -> bool {
        self.playing.is_some()
    }

    pub(crate) fn encode_sound(
        &mut self,
        sounds: &mut Sounds,
        description: &Description,
        spoken: Option<Codec>,
    ) {
        if let Some(playing) = &mut self.playing {
            playing.encode(sounds, description, spoken);
        }
    }

    pub(crate) fn skip_sound(&mut self, packets: u64) {
        if let Some(playing) = &mut self.playing {
            playing.skip(packets);
        }
    }

    /// Writes the next packet of what plays into `buffer`.
    pub(crate) fn next_of_sound(
        &mut self,
        description: Option<&Description>,
        can_be_sent: bool,
        buffer: &mut Vec<u8>,
        now: Instant,
    ) -> Turn {
        let Some(playing) = &mut self.playing else { return Turn::Nothing };
        let turn = playing.turn(&mut self.continuity, description, can_be_sent, buffer, now);
        match turn {
            Turn::Packet { .. } => self.count_sent(buffer),
            Turn::Over(_) => drop(self.playing.take_if(|playing| playing.is_empty())),
            Turn::Nothing => {}
        }
        turn
    }

    /// Writes a sender report of the relay's own into `buffer`.
    pub(crate) fn own_report(&self, clock_rate: u32, buffer: &mut Vec<u8>, now: Instant) -> bool {
        let (packet_count, octet_count) = self.sent();
        let report = SenderReport {
            ssrc: self.continuity.ssrc(),
            // Zero: no notion of wall-clock time (RFC 3550 §6.4.1).
            ntp_time: 0,
            rtp_time: self.continuity.timestamp_at(clock_rate, now),
            packet_count,
            octet_count,
            ..SenderReport::default()
        };
        buffer.clear();
        buffer.resize(report.marshal_size(), 0);
        report.marshal_to(buffer).is_ok()
    }
}

/// Figures.
impl Outward {
    #[inline]
    fn count_sent(&mut self, packet: &[u8]) {
        self.packets_sent += 1;
        self.payload_octets_sent += RtpHeader::payload(packet).len() as u64;
    }

    /// The last one was not sent.
    pub(crate) fn uncount_sent(&mut self) {
        self.packets_sent = self.packets_sent.saturating_sub(1);
    }

    pub(crate) fn packets_sent(&self) -> u64 {
        self.packets_sent
    }

    /// Packets and payload octets as sender reports count them, modulo 2^32.
    pub(crate) fn sent(&self) -> (u32, u32) {
        (self.packets_sent as u32, self.payload_octets_sent as u32)
    }

    /// A report of this name is sent to the phone.
    pub(crate) fn ask(&mut self, name: Option<u32>, now: Instant) {
        if let Some(name) = name {
            self.asked = Some((name, now));
        }
    }

    /// RFC 3550 §6.4.1: the time since the report was sent, less the time it was held there.
    pub(crate) fn measure_round_trip(&mut self, compound: &[u8], now: Instant) {
        let Some((name, at)) = self.asked else { return };
        if let Some(held) = reports::held_since(compound, name) {
            self.round_trip = Some(now.saturating_duration_since(at).saturating_sub(held));
        }
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }
}

#[cfg(test)]
impl Outward {
    /// Lets it count so many packets that one more is no number.
    pub(crate) fn break_at_the_next_packet(&mut self) {
        self.packets_sent = u64::MAX;
    }
}
