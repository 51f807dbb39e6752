//! The end of the media that faces one phone: its address, what comes from it, what goes to it, and whom it hears.

pub(crate) mod inward;
pub(crate) mod outward;

use crate::command::Description;
use crate::event::Statistics;
use crate::names::TerminationId;
use crate::relay::Forward;
use crate::rtp::continuity::Continuity;
use crate::rtp::reports::{Reported, Translation};
use inward::{Accepted, Inward};
use outward::{Outward, Passage};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// RTP on a pair of ports of its own.
#[derive(Debug)]
pub(crate) struct Termination {
    pub(crate) id: TerminationId,
    /// Where its RTP is received; RTCP on the port above.
    pub(crate) local: SocketAddr,
    pub(crate) binding: Binding,
    pub(crate) description: Option<Description>,
    pub(crate) inward: Inward,
    pub(crate) outward: Outward,
    pub(crate) links: Links,
    /// When to look whether the phone is silent.
    pub(crate) silence_check: Option<Instant>,
    described_at: Option<Instant>,
}

/// How far its ports are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binding {
    Trying { failed: usize },
    Bound,
}

/// Places in the session of those that it has to do with.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Links {
    /// Whom it hears.
    pub(crate) hears: Option<usize>,
    /// Who hears it.
    pub(crate) heard_by: Option<usize>,
    /// Since when each of two hears the other.
    pub(crate) mutual_since: Option<Instant>,
}

impl Termination {
    pub(crate) fn new(id: TerminationId, local: SocketAddr, continuity: Continuity) -> Self {
        Self {
            id,
            local,
            binding: Binding::Trying { failed: 0 },
            description: None,
            inward: Inward::default(),
            outward: Outward::new(continuity),
            links: Links::default(),
            silence_check: None,
            described_at: None,
        }
    }

    pub(crate) fn describe(&mut self, description: Description, now: Instant) {
        let last = self.description.as_ref();
        let is_again = last.is_some_and(|last| {
            (last.rtp, last.rtcp, last.signalling)
                == (description.rtp, description.rtcp, description.signalling)
        });
        self.inward.begin_learning(is_again, now);
        self.outward.described();
        if last.is_some_and(|last| last.goes.codec() != description.goes.codec()) {
            self.outward.drop_converted();
        }
        self.description = Some(description);
        self.described_at = Some(now);
    }

    /// A packet of whom it hears.
    #[inline]
    pub(crate) fn hear(&mut self, accepted: &Accepted, packet: &mut [u8], now: Instant) -> Passage {
        let route = self.rtp_route();
        let Some(description) = &self.description else { return Passage::Nothing };
        let spoken = self.inward.codec();
        self.outward.hear(accepted, description, spoken, route, packet, now)
    }

    /// From which port and to where RTP goes.
    #[inline]
    pub(crate) fn rtp_route(&self) -> Option<Forward> {
        Some(Forward { port: self.local.port(), to: self.rtp_destination()? })
    }

    /// Where RTP goes: to the address that is certain, before that to the announced one.
    #[inline]
    fn rtp_destination(&self) -> Option<SocketAddr> {
        let description = self.description.as_ref().filter(|description| description.receives)?;
        let announced = usable(description.rtp)?;
        Some(self.inward.rtp_address().unwrap_or(announced))
    }

    /// From which port and to where RTCP goes; on hold as well (RFC 3264 §5.1).
    pub(crate) fn rtcp_route(&self) -> Option<Forward> {
        let description = self.description.as_ref()?;
        if description.is_multiplexed() {
            let announced = usable(description.rtp)?;
            let to = self.inward.rtp_address().unwrap_or(announced);
            return Some(Forward { port: self.local.port(), to });
        }
        let announced = usable(description.rtcp)?;
        let to = self.inward.rtcp_address().unwrap_or(announced);
        Some(Forward { port: self.local.port() + 1, to })
    }

    /// How reports of this phone are said to the one behind `hearer`.
    pub(crate) fn translation_to(&self, hearer: &Self) -> Translation {
        let stream = hearer.outward.continuity.offsets().and_then(|offsets| {
            self.inward
                .ssrc()
                .filter(|_| offsets.epoch == self.inward.epoch())
                .map(|ssrc| (ssrc, offsets.timestamp))
        });
        let reported = self.outward.continuity.offsets().and_then(|offsets| {
            let theirs = hearer.inward.ssrc().filter(|_| offsets.epoch == hearer.inward.epoch())?;
            let ours = self.outward.continuity.ssrc();
            Some(Reported { ours, theirs, sequence_offset: offsets.sequence })
        });
        let (packets_sent, octets_sent) = hearer.outward.sent();
        let sender = hearer.outward.continuity.ssrc();
        Translation { sender, packets_sent, octets_sent, stream, reported }
    }

    /// Since when nothing has come from a phone that was told it may send.
    fn quiet_since(&self) -> Option<Instant> {
        self.inward.alive_at().max(self.described_at)
    }

    /// Does audio go both ways, as far as this phone says?
    fn is_held(&self) -> bool {
        !self.description.as_ref().is_some_and(|description| description.sends && description.receives)
    }

    /// When it will have been silent for `timeout`, if it should send to `other`: each hears the other, neither is on
    /// hold, and it does not suppress silence.
    pub(crate) fn silent_at(&self, other: &Self, timeout: Duration) -> Option<Instant> {
        let since = self.links.mutual_since?;
        let suppresses = self.description.as_ref().is_some_and(|description| description.suppresses_silence);
        if self.is_held() || other.is_held() || self.inward.is_silent || suppresses {
            return None;
        }
        // Whoever was told anew, be it about the other, has the whole time again.
        let quiet = self.quiet_since().max(other.described_at);
        Some(quiet.map_or(since, |quiet| quiet.max(since)) + timeout)
    }

    pub(crate) fn statistics(&self) -> Statistics {
        Statistics {
            packets_sent: self.outward.packets_sent(),
            round_trip: self.outward.round_trip(),
            ..self.inward.statistics()
        }
    }
}

/// An address that something can be sent to.
fn usable(address: SocketAddr) -> Option<SocketAddr> {
    (!address.ip().is_unspecified() && address.port() != 0).then_some(address)
}
