//! Where the audio of a call comes in: for each party a termination of the relay session, and another one for whoever is
//! to take its place while it is still there.

use call_control::Party;
use media_relay::TerminationId;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The terminations of a call.
#[derive(Debug)]
pub(crate) struct Seats {
    seats: BTreeMap<TerminationId, Seat>,
    /// A name that was given is never given again.
    last: TerminationId,
}

#[derive(Debug)]
struct Seat {
    party: Party,
    /// The relay's address; `None` before the ports are bound.
    rtp: Option<SocketAddr>,
}

impl Seats {
    /// One for each party, not bound.
    pub(super) fn new() -> Self {
        let seats = [Party::From, Party::To].map(|party| (Self::first(party), Seat { party, rtp: None }));
        Self { seats: seats.into(), last: Self::first(Party::To) }
    }

    /// The one that a party has from the beginning.
    pub(crate) const fn first(party: Party) -> TerminationId {
        match party {
            Party::From => TerminationId(1),
            Party::To => TerminationId(2),
        }
    }

    /// Its ports are bound. `false`: there is none of that name.
    pub(super) fn bind(&mut self, name: TerminationId, rtp: SocketAddr) -> bool {
        let seat = self.seats.get_mut(&name);
        seat.map(|seat| seat.rtp = Some(rtp)).is_some()
    }

    pub(super) fn are_bound(&self) -> bool {
        self.seats.values().all(|seat| seat.rtp.is_some())
    }

    pub(super) fn rtp(&self, name: TerminationId) -> Option<SocketAddr> {
        self.seats.get(&name)?.rtp
    }

    pub(super) fn party(&self, name: TerminationId) -> Option<Party> {
        self.seats.get(&name).map(|seat| seat.party)
    }

    /// One of a party that is not taken, if there is one.
    pub(super) fn free(
        &self,
        party: Party,
        is_taken: impl Fn(TerminationId) -> bool,
    ) -> Option<TerminationId> {
        let of_party = self.seats.iter().filter(|(_, seat)| seat.party == party);
        of_party.map(|(name, _)| *name).find(|name| !is_taken(*name))
    }

    /// Another one for a party.
    pub(super) fn add(&mut self, party: Party, rtp: Option<SocketAddr>) -> TerminationId {
        self.last = TerminationId(self.last.0.saturating_add(1));
        self.seats.insert(self.last, Seat { party, rtp });
        self.last
    }

    pub(super) fn remove(&mut self, name: TerminationId) -> Option<SocketAddr> {
        self.seats.remove(&name)?.rtp
    }

    /// The relay has lost them all.
    pub(super) fn lose(&mut self) {
        self.seats.values_mut().for_each(|seat| seat.rtp = None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_seat_is_given_where_those_of_the_party_are_taken() {
        let mut seats = Seats::new();
        let [from, to] = [Party::From, Party::To].map(Seats::first);
        assert_eq!(seats.free(Party::To, |_| false), Some(to));
        assert_eq!(seats.free(Party::To, |name| name == to), None);
        let other = seats.add(Party::To, None);
        assert_eq!(
            (seats.party(other), seats.free(Party::To, |name| name == to)),
            (Some(Party::To), Some(other))
        );
        let rtp = SocketAddr::from(([192, 0, 2, 1], 20_000));
        for name in [from, to] {
            assert!(seats.bind(name, rtp));
        }
        assert!(!seats.are_bound());
        assert!(seats.bind(other, rtp) && seats.are_bound());
        assert_eq!(seats.remove(to), Some(rtp));
        assert!(!seats.bind(to, rtp), "it is gone");
        // Its name is not given again.
        assert_eq!(seats.add(Party::To, Some(rtp)), TerminationId(4));
        seats.lose();
        assert!(!seats.are_bound());
    }
}
