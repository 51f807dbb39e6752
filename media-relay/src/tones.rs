//! Sounds of the server on their way to a party: packets in step with the clock of the relay.

use crate::command::Sound;
use crate::half::Half;
use audio::EncodedLoop;
use rtcp::sender_report::SenderReport;
use rtp::header::Header;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use webrtc_util::marshal::{Marshal, MarshalSize};

/// Time between two packets of a tone.
pub(crate) const TICK: Duration = Duration::from_millis(20);

/// So long after the last packet of the other party a tone that gave way returns.
const ABSENCE: Duration = Duration::from_secs(1);

/// A sound that plays.
#[derive(Debug)]
pub(crate) struct Tone {
    pub(crate) sound: Sound,
    /// Known as soon as the codec is.
    pub(crate) encoded: Option<Arc<EncodedLoop>>,
    /// Of the next packet.
    index: u64,
    /// The other party is heard instead until then.
    absent_until: Option<Instant>,
}

impl Tone {
    pub(crate) fn new(sound: Sound) -> Self {
        Self { sound, encoded: None, index: 0, absent_until: None }
    }

    /// Lets packets out: their time is over.
    pub(crate) fn skip(&mut self, packets: u64) {
        self.index += packets;
    }

    /// Lets a packet of the other party be heard instead, and waits for the next one.
    pub(crate) fn give_way(&mut self, now: Instant) {
        self.absent_until = Some(now + ABSENCE);
    }

    /// Is the other party heard instead? When it is over the tone begins anew, so that it is heard at once.
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

impl Half {
    /// Writes the next packet of the tone into `buffer` and says where it goes.
    pub(crate) fn next_tone_packet(
        &mut self,
        buffer: &mut Vec<u8>,
        now: Instant,
    ) -> Option<(u16, SocketAddr)> {
        let to = self.rtp_destination();
        let tone = self.tone.as_mut()?;
        if tone.is_absent(now) {
            return None;
        }
        let index = tone.index;
        tone.index += 1;
        let encoded = tone.encoded.clone()?;
        let (Some(to), Some(description)) = (to, &self.description) else { return None };
        let clock_rate = description.codec.clock_rate();
        let stamp = self.continuity.tone(index, encoded.timestamp_step(), clock_rate, now);
        let header = Header {
            version: 2,
            marker: stamp.marker,
            payload_type: description.payload_type,
            sequence_number: stamp.sequence,
            timestamp: stamp.timestamp,
            ssrc: stamp.ssrc,
            ..Header::default()
        };
        let payload = encoded.packet(index);
        buffer.clear();
        buffer.resize(header.marshal_size(), 0);
        header.marshal_to(buffer).ok()?;
        buffer.extend_from_slice(payload);
        self.count_sent(buffer);
        Some((self.local.port(), to))
    }

    /// Is it time for a report of the relay itself? While a tone plays nobody else sends any.
    pub(crate) fn owes_report(&self) -> bool {
        self.tone.as_ref().is_some_and(|tone| tone.encoded.is_some() && tone.index % REPORT_PACKETS == 1)
    }

    /// Writes a sender report into `buffer` and says where it goes.
    pub(crate) fn own_report(&self, buffer: &mut Vec<u8>, now: Instant) -> Option<(u16, SocketAddr)> {
        let clock_rate = self.description.as_ref()?.codec.clock_rate();
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
        report.marshal_to(buffer).ok()?;
        self.rtcp_route()
    }
}

/// Five seconds of packets (RFC 3550 §6.2).
const REPORT_PACKETS: u64 = 250;
