//! The media of one call: its terminations, and who hears whom.

use crate::command::{Description, Topology};
use crate::event::Statistics;
use crate::names::{SessionId, TerminationId};
use crate::relay::Forward;
use crate::rtp::reports::{is_rtcp, report_time, translate};
use crate::termination::outward::Passage;
use crate::termination::{Links, Termination};
use smallvec::SmallVec;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The media of one call.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    /// A place is never another's as long as somebody may name it. Two are the rule, and lie where the session does.
    terminations: SmallVec<[Option<Termination>; 2]>,
}

/// What became of an RTP packet.
#[derive(Debug)]
pub(crate) struct Handled {
    pub(crate) passage: Passage,
    /// The place of the one who hears it.
    pub(crate) hearer: usize,
    /// It was the first of its termination.
    pub(crate) is_first: bool,
    /// A digit begins with it.
    pub(crate) digit: Option<u8>,
}

impl Handled {
    const fn nothing() -> Self {
        Self { passage: Passage::Nothing, hearer: 0, is_first: false, digit: None }
    }
}

impl Session {
    pub(crate) fn new(id: SessionId) -> Self {
        Self { id, terminations: SmallVec::new() }
    }

    /// Puts a termination into the first free place.
    pub(crate) fn put(&mut self, termination: Termination) -> usize {
        match self.terminations.iter().position(Option::is_none) {
            Some(free) => {
                self.terminations[free] = Some(termination);
                free
            }
            None => {
                self.terminations.push(Some(termination));
                self.terminations.len() - 1
            }
        }
    }

    /// Parts a termination from the others and takes it out.
    pub(crate) fn take(&mut self, place: usize) -> Option<Termination> {
        self.deafen(place);
        self.mute(place);
        let mut termination = self.terminations.get_mut(place)?.take()?;
        termination.outward.drop_converted();
        // Nobody wakes it by the name that it leaves.
        termination.outward.wake_converted();
        Some(termination)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.terminations.iter().all(Option::is_none)
    }

    pub(crate) fn place_of(&self, id: TerminationId) -> Option<usize> {
        self.terminations.iter().position(|it| it.as_ref().is_some_and(|it| it.id == id))
    }

    #[inline]
    pub(crate) fn at(&self, place: usize) -> Option<&Termination> {
        self.terminations.get(place)?.as_ref()
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, place: usize) -> Option<&mut Termination> {
        self.terminations.get_mut(place)?.as_mut()
    }

    /// Each with its place.
    pub(crate) fn terminations(&self) -> impl Iterator<Item = (usize, &Termination)> {
        self.terminations.iter().enumerate().filter_map(|(place, it)| Some((place, it.as_ref()?)))
    }

    pub(crate) fn describe(&mut self, place: usize, description: Description, now: Instant) {
        if let Some(termination) = self.at_mut(place) {
            termination.describe(description, now);
        }
    }

    /// Who hears whom between two of them. What each heard before, and who heard it, is over where it stands in the way.
    pub(crate) fn link(&mut self, one: usize, other: usize, topology: Topology, now: Instant) {
        if one == other || self.at(one).is_none() || self.at(other).is_none() {
            return;
        }
        let mutual_since = self.at(one).filter(|it| it.links.hears == Some(other));
        let mutual_since = mutual_since.and_then(|it| it.links.mutual_since);
        let is_mutual = topology == Topology::BothWay;
        for (hearer, heard, hears) in [(other, one, topology != Topology::Isolate), (one, other, is_mutual)] {
            if hears && self.at(hearer).is_some_and(|it| it.links.hears != Some(heard)) {
                self.deafen(hearer);
                self.mute(heard);
                self.links_mut(hearer, |links| links.hears = Some(heard));
                self.links_mut(heard, |links| links.heard_by = Some(hearer));
            } else if !hears && self.at(hearer).is_some_and(|it| it.links.hears == Some(heard)) {
                self.deafen(hearer);
            }
        }
        if is_mutual {
            let since = Some(mutual_since.unwrap_or(now));
            for place in [one, other] {
                self.links_mut(place, |links| links.mutual_since = since);
            }
        }
    }

    /// Lets it hear nobody.
    fn deafen(&mut self, hearer: usize) {
        let heard = self.at(hearer).and_then(|it| it.links.hears);
        self.links_mut(hearer, |links| (links.hears, links.mutual_since) = (None, None));
        if let Some(heard) = heard {
            if let Some(hearer) = self.at_mut(hearer) {
                hearer.outward.hears_another();
            }
            self.links_mut(heard, |links| (links.heard_by, links.mutual_since) = (None, None));
        }
    }

    /// Lets nobody hear it.
    fn mute(&mut self, heard: usize) {
        if let Some(hearer) = self.at(heard).and_then(|it| it.links.heard_by) {
            self.deafen(hearer);
        }
    }

    fn links_mut(&mut self, place: usize, change: impl FnOnce(&mut Links)) {
        if let Some(termination) = self.at_mut(place) {
            change(&mut termination.links);
        }
    }

    /// A packet that came to the RTP port of a termination; rewritten in place when it is forwarded.
    #[inline]
    pub(crate) fn handle_rtp(
        &mut self,
        place: usize,
        source: SocketAddr,
        packet: &mut [u8],
        now: Instant,
    ) -> Handled {
        let Some(Some(termination)) = self.terminations.get_mut(place) else { return Handled::nothing() };
        let description = termination.description.as_ref();
        if is_rtcp(packet) {
            if !description.is_some_and(Description::is_multiplexed) {
                termination.inward.turn_report_away(description, source);
                return Handled::nothing();
            }
            let report = self.handle_rtcp(place, source, packet, now);
            let passage = report.map_or(Passage::Nothing, Passage::Forward);
            return Handled { passage, ..Handled::nothing() };
        }
        let Some(accepted) = termination.inward.receive(description, source, packet, now) else {
            return Handled::nothing();
        };
        let hearer = termination.links.heard_by;
        let passage = match hearer.and_then(|hearer| self.at_mut(hearer)) {
            Some(hearer) => hearer.hear(&accepted, packet, now),
            None => Passage::Nothing,
        };
        let (is_first, digit) = (accepted.is_first, accepted.digit);
        Handled { passage, hearer: hearer.unwrap_or_default(), is_first, digit }
    }

    /// A packet that came to the RTCP port of a termination; rewritten in place when it is forwarded, which it is where
    /// each hears the other.
    pub(crate) fn handle_rtcp(
        &mut self,
        place: usize,
        source: SocketAddr,
        packet: &mut [u8],
        now: Instant,
    ) -> Option<Forward> {
        let termination = self.at_mut(place)?;
        if !termination.inward.receive_report(termination.description.as_ref(), source, packet, now) {
            return None;
        }
        termination.outward.measure_round_trip(packet, now);
        termination.links.mutual_since?;
        let hearer = termination.links.heard_by?;
        let (termination, hearing) = (self.at(place)?, self.at(hearer)?);
        let route = hearing.rtcp_route()?;
        if !translate(packet, &termination.translation_to(hearing)) {
            return None;
        }
        self.at_mut(hearer)?.outward.ask(report_time(packet), now);
        Some(route)
    }

    /// When a termination will have been silent for `timeout`, if it should send.
    pub(crate) fn silent_at(&self, place: usize, timeout: Duration) -> Option<Instant> {
        let termination = self.at(place)?;
        let other = self.at(termination.links.heard_by?)?;
        termination.silent_at(other, timeout)
    }

    pub(crate) fn statistics(&self) -> Vec<(TerminationId, Statistics)> {
        self.terminations().map(|(_, it)| (it.id, it.statistics())).collect()
    }
}
