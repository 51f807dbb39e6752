//! Packets that come in: counted, decoded and laid on one time line.

use super::packet::RtpView;
use super::{Stream, packet};
use audio::{Codec, Decoder, TelephoneEvent};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Listens to one call.
pub struct RtpReceiver {
    stream: Stream,
    decoder: Decoder,
    source: Option<Sequence>,
    sources: u32,
    /// Of sources that are gone.
    lost_before: u64,
    counts: Counts,
    heard: Heard,
    last_event: Option<u32>,
}

/// What a packet was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// Audio.
    Audio {
        /// The first of the call.
        first: bool,
    },
    /// The first packet of a digit.
    Digit(char),
    /// Another packet of a digit, comfort noise, a copy, or what is not listened to.
    Nothing,
}

/// What was heard, mono, beginning with the first packet. What was lost is silence.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// Samples a second.
    pub sample_rate: u32,
    /// At most ten minutes.
    pub samples: Vec<i16>,
    /// When packets came and where their audio stands in `samples`; as many as there can be in ten minutes.
    pub arrivals: Vec<Arrival>,
}

/// A packet of audio.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// When it came.
    pub at: Instant,
    /// Its first sample.
    pub position: usize,
    /// Its sequence number.
    pub sequence: u16,
}

/// Packets, counted over the whole call.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Listened to.
    pub received: u64,
    /// Came twice.
    pub doubled: u64,
    /// Came from elsewhere than the other side said.
    pub strangers: u64,
    /// No RTP, or of a payload type that was not agreed.
    pub unusable: u64,
    /// Between two that were listened to.
    pub longest_gap: Duration,
    /// When the first audio came; digits are none.
    pub first_audio_at: Option<Instant>,
    last_at: Option<Instant>,
}

/// One synchronization source (RFC 3550 A.1, A.3, A.8).
#[derive(Debug)]
struct Sequence {
    ssrc: u32,
    base: u64,
    highest: u64,
    /// Which of the last 64 up to `highest` came.
    seen: u64,
    received: u64,
    transit: Option<i64>,
    /// Times 16, in timestamp units.
    jitter: f64,
    began: Instant,
    /// Timestamp and position in `Heard::samples` of the packet that was laid down last.
    placed: (u32, usize),
}

impl RtpReceiver {
    /// A receiver that has heard nothing.
    pub fn new(stream: Stream) -> Self {
        let heard = Heard { sample_rate: stream.codec.sample_rate(), ..Heard::default() };
        Self {
            decoder: Decoder::new(stream.codec),
            stream,
            source: None,
            sources: 0,
            lost_before: 0,
            counts: Counts::default(),
            heard,
            last_event: None,
        }
    }

    /// Another agreement holds from now on. What was heard is kept; with another sampling rate it begins anew.
    pub fn set_stream(&mut self, stream: Stream) {
        if stream.codec != self.stream.codec {
            self.decoder = Decoder::new(stream.codec);
            self.forget_source();
        }
        if stream.codec.sample_rate() != self.heard.sample_rate {
            self.heard = Heard { sample_rate: stream.codec.sample_rate(), ..Heard::default() };
        }
        self.stream = stream;
    }

    /// What came from `from` at `now`.
    pub fn handle_packet(&mut self, octets: &[u8], from: SocketAddr, now: Instant) -> Received {
        if from != self.stream.remote {
            self.counts.strangers += 1;
            return Received::Nothing;
        }
        let Some(view) = packet::parse(octets) else {
            self.counts.unusable += 1;
            return Received::Nothing;
        };
        let is_audio = view.payload_type == self.stream.payload_type;
        let is_event = Some(view.payload_type) == self.stream.telephone_event;
        if !is_audio && !is_event && view.payload_type != COMFORT_NOISE {
            self.counts.unusable += 1;
            return Received::Nothing;
        }
        if !self.count(&view, now) {
            self.counts.doubled += 1;
            return Received::Nothing;
        }
        if is_event {
            return self.digit(&view);
        }
        if is_audio { self.listen(&view, now) } else { Received::Nothing }
    }

    /// What came so far.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Expected, but not received (RFC 3550 A.3).
    pub fn lost(&self) -> u64 {
        self.lost_before + self.source.as_ref().map_or(0, Sequence::lost)
    }

    /// Synchronization sources so far.
    pub const fn sources(&self) -> u32 {
        self.sources
    }

    /// Interarrival jitter (RFC 3550 A.8) of the present source, in milliseconds.
    pub fn jitter_ms(&self) -> f64 {
        let units = self.source.as_ref().map_or(0.0, |source| source.jitter / 16.0);
        units * 1_000.0 / f64::from(self.stream.codec.clock_rate())
    }

    /// What was heard so far.
    pub const fn heard(&self) -> &Heard {
        &self.heard
    }

    /// What was heard.
    pub fn into_heard(self) -> Heard {
        self.heard
    }

    fn forget_source(&mut self) {
        self.lost_before += self.source.take().map_or(0, |source| source.lost());
    }

    /// `false` for a copy.
    fn count(&mut self, view: &RtpView<'_>, now: Instant) -> bool {
        if self.source.as_ref().is_none_or(|source| source.ssrc != view.ssrc) {
            self.forget_source();
            self.sources = self.sources.saturating_add(1);
            self.source = Some(Sequence::new(view, self.heard.samples.len(), now));
        }
        let clock_rate = self.stream.codec.clock_rate();
        let fresh = self.source.as_mut().is_some_and(|source| source.count(view, clock_rate, now));
        if fresh {
            self.counts.received += 1;
            let gap = self.counts.last_at.map_or(Duration::ZERO, |last| now.duration_since(last));
            self.counts.longest_gap = self.counts.longest_gap.max(gap);
            self.counts.last_at = Some(now);
        }
        fresh
    }

    fn digit(&mut self, view: &RtpView<'_>) -> Received {
        let Some(digit) = TelephoneEvent::decode(view.payload).and_then(|event| event.key()) else {
            return Received::Nothing;
        };
        // All packets of an event have the timestamp of its beginning (RFC 4733 §2.2.1).
        match self.last_event.replace(view.timestamp) {
            Some(last) if last == view.timestamp => Received::Nothing,
            Some(_) | None => Received::Digit(digit),
        }
    }

    fn listen(&mut self, view: &RtpView<'_>, now: Instant) -> Received {
        let first = self.counts.first_audio_at.is_none();
        self.counts.first_audio_at.get_or_insert(now);
        let mut samples = Vec::new();
        self.decoder.decode(view.payload, &mut samples);
        let Some(source) = &mut self.source else { return Received::Nothing };
        let position = source.place(view.timestamp, self.stream.codec, self.heard.samples.len());
        let arrival = Arrival { at: now, position, sequence: view.sequence };
        self.heard.lay(arrival, &samples);
        Received::Audio { first }
    }
}

impl Heard {
    /// Time of what was heard, silence of what was lost included.
    pub fn duration(&self) -> Duration {
        if self.sample_rate == 0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64(self.samples.len() as f64 / f64::from(self.sample_rate))
    }

    /// The samples of packets that came between these moments.
    pub fn between(&self, from: Instant, until: Instant) -> &[i16] {
        let mut within = self.arrivals.iter().filter(|arrival| arrival.at >= from && arrival.at < until);
        let Some(first) = within.next() else { return &[] };
        let last = within.next_back().unwrap_or(first);
        let end = last.position + self.sample_rate as usize / 50;
        self.samples.get(first.position..end.min(self.samples.len())).unwrap_or_default()
    }

    fn lay(&mut self, arrival: Arrival, samples: &[i16]) {
        let end = arrival.position + samples.len();
        if end > self.sample_rate as usize * SECONDS_MAX || self.arrivals.len() >= SECONDS_MAX * 100 {
            return;
        }
        self.arrivals.push(arrival);
        if self.samples.len() < end {
            self.samples.resize(end, 0);
        }
        if let Some(place) = self.samples.get_mut(arrival.position..end) {
            place.copy_from_slice(samples);
        }
    }
}

impl Sequence {
    fn new(view: &RtpView<'_>, end: usize, now: Instant) -> Self {
        // One turn above zero, so that what overtook the first packet has a number too.
        let number = (1 << 16) + u64::from(view.sequence);
        Self {
            ssrc: view.ssrc,
            base: number,
            highest: number,
            seen: 0,
            received: 0,
            transit: None,
            jitter: 0.0,
            began: now,
            placed: (view.timestamp, end),
        }
    }

    fn lost(&self) -> u64 {
        (self.highest + 1 - self.base).saturating_sub(self.received)
    }

    /// `false` for a copy.
    fn count(&mut self, view: &RtpView<'_>, clock_rate: u32, now: Instant) -> bool {
        let ahead = view.sequence.wrapping_sub(self.highest as u16);
        if ahead < 0x8000 {
            self.seen = self.seen.checked_shl(u32::from(ahead)).unwrap_or(0);
            self.highest += u64::from(ahead);
            if ahead == 0 && self.seen & 1 != 0 {
                return false;
            }
            self.seen |= 1;
        } else {
            let behind = u64::from(ahead.wrapping_neg());
            let bit = 1_u64.checked_shl(u32::try_from(behind).unwrap_or(u32::MAX)).unwrap_or(0);
            if bit == 0 || self.seen & bit != 0 {
                return false;
            }
            self.seen |= bit;
            self.base = self.base.min(self.highest - behind);
        }
        self.received += 1;
        self.measure(view.timestamp, clock_rate, now);
        true
    }

    /// RFC 3550 A.8.
    fn measure(&mut self, timestamp: u32, clock_rate: u32, now: Instant) {
        let arrival = now.duration_since(self.began).as_secs_f64() * f64::from(clock_rate);
        let transit = arrival as i64 - i64::from(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let difference = (transit - before).unsigned_abs() as f64;
            // A new time line, not jitter.
            if difference < f64::from(clock_rate) * 2.0 {
                self.jitter += difference - self.jitter / 16.0;
            }
        }
    }

    /// Where a packet with this timestamp stands. A time line that jumps by more than it is sane goes on at the end.
    fn place(&mut self, timestamp: u32, codec: Codec, end: usize) -> usize {
        let (last, position) = self.placed;
        let units = i64::from(timestamp.wrapping_sub(last) as i32);
        let offset = units * i64::from(codec.sample_rate()) / i64::from(codec.clock_rate());
        let is_sane = units.unsigned_abs() < u64::from(codec.clock_rate()) * JUMP_SECONDS_MAX;
        let wanted = i64::try_from(position)
            .ok()
            .filter(|_| is_sane)
            .and_then(|position| position.checked_add(offset));
        let place = wanted.and_then(|wanted| usize::try_from(wanted).ok()).unwrap_or(end);
        self.placed = (timestamp, place);
        place
    }
}

/// RFC 3389.
const COMFORT_NOISE: u8 = 13;
const SECONDS_MAX: usize = 600;
const JUMP_SECONDS_MAX: u64 = 60;
