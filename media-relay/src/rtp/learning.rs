//! From which address a party is heard.
//!
//! A stranger who sends to a relay port must never get the call's audio ("RTP Bleed"). What SDP announced is
//! believed at once. Besides it only one IP can be the party: where its signalling comes from, when the party
//! sits behind NAT; a port there is believed after [`PACKETS_NEEDED`] packets in a row. Then the address is
//! locked. It changes by a new description, by one packet from the announced address, or after [`SILENCE`] within the
//! same IP.
//!
//! When another address is announced, packets from the one before are still under way: for [`UNDER_WAY`] they are passed
//! over, so that they lock nothing.
//!
//! | state     | from the announced address | from the other IP, or the locked one's after silence | else     |
//! |-----------|----------------------------|------------------------------------------------------|----------|
//! | Expecting | Locked                     | counted; Locked when it suffices                     | stranger |
//! | Locked    | Locked anew                | counted; Locked anew when it suffices                | stranger |

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// What is known of the address from which one stream of a party comes.
#[derive(Debug, Clone)]
pub(crate) enum Learning {
    Expecting {
        before: Option<Box<Before>>,
        candidate: Option<Box<Candidate>>,
    },
    Locked {
        address: SocketAddr,
        heard_at: Instant,
        /// Boxed, as what is there for a moment and then seldom again: each packet reads the rest.
        candidate: Option<Box<Candidate>>,
    },
}

/// The address that was locked before the last description.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Before {
    /// The same one was announced again.
    Proven(SocketAddr),
    /// Another one was; until when this one is passed over.
    Left(SocketAddr, Instant),
}

/// Who may be the party.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acceptable {
    /// What SDP says.
    pub(crate) announced: SocketAddr,
    /// The only other IP.
    pub(crate) other: Option<IpAddr>,
}

/// What of a packet counts as evidence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence {
    pub(crate) source: SocketAddr,
    pub(crate) ssrc: u32,
    /// RTCP has none.
    pub(crate) sequence: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// From the party.
    Accepted,
    /// Perhaps from the party: not used, not counted as a stranger's.
    Undecided,
    /// From somebody else.
    Stranger,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    last: Evidence,
    packets: u8,
}

impl Default for Learning {
    fn default() -> Self {
        Self::Expecting { before: None, candidate: None }
    }
}

impl Learning {
    /// The address of the party, once it is certain.
    #[inline]
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Expecting { before, .. } => match before.as_deref() {
                Some(Before::Proven(address)) => Some(*address),
                Some(Before::Left(..)) | None => None,
            },
            Self::Locked { address, .. } => Some(*address),
        }
    }

    /// Begins anew. An address that was certain stays so if the same one was announced `again`.
    pub(crate) fn begin(&mut self, again: bool, now: Instant) {
        // From the one that was left there may be more under way, whatever is announced meanwhile.
        if let Self::Expecting { before: Some(before), candidate } = self
            && matches!(**before, Before::Left(_, until) if now < until)
        {
            *candidate = None;
            return;
        }
        let before = self.address().map(|address| match again {
            true => Box::new(Before::Proven(address)),
            false => Box::new(Before::Left(address, now + UNDER_WAY)),
        });
        *self = Self::Expecting { before, candidate: None };
    }

    /// Judges a packet.
    #[inline]
    pub(crate) fn handle(&mut self, packet: Evidence, acceptable: Acceptable, now: Instant) -> Verdict {
        let source = packet.source;
        match self {
            Self::Expecting { before, candidate } => {
                if is_same(source, acceptable.announced) {
                    return self.lock(source, now);
                }
                match before.as_deref() {
                    Some(Before::Proven(known)) if is_same(source, *known) => return self.lock(source, now),
                    Some(Before::Left(left, until)) if is_same(source, *left) && now < *until => {
                        return Verdict::Undecided;
                    }
                    Some(Before::Proven(_) | Before::Left(..)) | None => {}
                }
                if acceptable.other != Some(source.ip()) {
                    return Verdict::Stranger;
                }
                if is_convincing(candidate, packet) { self.lock(source, now) } else { Verdict::Undecided }
            }
            Self::Locked { address, heard_at, candidate } => {
                if is_same(source, *address) {
                    *heard_at = now;
                    *candidate = None;
                    return Verdict::Accepted;
                }
                if is_same(source, acceptable.announced) {
                    return self.lock(source, now);
                }
                let silent = now.saturating_duration_since(*heard_at) >= SILENCE;
                if !silent || source.ip() != address.ip() {
                    return Verdict::Stranger;
                }
                if is_convincing(candidate, packet) { self.lock(source, now) } else { Verdict::Undecided }
            }
        }
    }

    #[inline]
    fn lock(&mut self, address: SocketAddr, now: Instant) -> Verdict {
        *self = Self::Locked { address, heard_at: now, candidate: None };
        Verdict::Accepted
    }
}

/// Adds `packet` to what speaks for its source; anything that breaks the row begins a new one.
fn is_convincing(candidate: &mut Option<Box<Candidate>>, packet: Evidence) -> bool {
    let known = candidate.get_or_insert_with(|| Box::new(Candidate { last: packet, packets: 0 }));
    known.packets = if follows(known.last, packet) { known.packets + 1 } else { 1 };
    known.last = packet;
    known.packets >= PACKETS_NEEDED
}

fn follows(last: Evidence, packet: Evidence) -> bool {
    let rises = match (last.sequence, packet.sequence) {
        (Some(last), Some(next)) => (1..=STEP_MAX).contains(&next.wrapping_sub(last)),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    is_same(last.source, packet.source) && last.ssrc == packet.ssrc && rises
}

/// The same IP and port; the flow label of IPv6 says nothing about who it is.
pub(crate) fn is_same(one: SocketAddr, two: SocketAddr) -> bool {
    one.port() == two.port() && one.ip() == two.ip()
}

const PACKETS_NEEDED: u8 = 3;
const STEP_MAX: u16 = 100;
/// More than packets wait in the queues of networks.
const UNDER_WAY: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::Verdict::{Accepted, Stranger, Undecided};
    use super::*;

    struct Ear {
        learning: Learning,
        acceptable: Acceptable,
        now: Instant,
    }

    impl Ear {
        /// SDP says 10.0.0.7:4000, signalling comes from 192.0.2.1.
        fn new() -> Self {
            let acceptable =
                Acceptable { announced: address("10.0.0.7:4000"), other: Some(address("192.0.2.1:1").ip()) };
            Self { learning: Learning::default(), acceptable, now: Instant::now() }
        }

        fn hear(&mut self, source: &str, ssrc: u32, sequence: u16) -> Verdict {
            let packet = Evidence { source: address(source), ssrc, sequence: Some(sequence) };
            self.learning.handle(packet, self.acceptable, self.now)
        }

        fn wait(&mut self, milliseconds: u64) {
            self.now += Duration::from_millis(milliseconds);
        }
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_announced_address_is_believed_at_once() {
        let mut ear = Ear::new();
        assert_eq!(ear.hear("10.0.0.7:4000", 1, 1), Accepted);
        assert_eq!(ear.learning.address(), Some(address("10.0.0.7:4000")));
    }

    #[test]
    fn a_stranger_is_never_believed() {
        let mut ear = Ear::new();
        for sequence in 0..1_000 {
            assert_eq!(ear.hear("203.0.113.9:4000", 1, sequence), Stranger);
            assert_eq!(ear.hear("10.0.0.7:4001", 1, sequence), Stranger, "another port of the announced IP");
        }
        assert_eq!(ear.learning.address(), None);
    }

    #[test]
    fn the_ip_of_signalling_is_believed_after_three_packets_in_a_row() {
        let mut ear = Ear::new();
        assert_eq!(ear.hear("192.0.2.1:62000", 1, 65_535), Undecided);
        assert_eq!(ear.hear("192.0.2.1:62000", 1, 0), Undecided);
        assert_eq!(ear.learning.address(), None);
        assert_eq!(ear.hear("192.0.2.1:62000", 1, 1), Accepted);
        assert_eq!(ear.hear("192.0.2.1:62002", 1, 2), Stranger, "locked is locked");
        assert_eq!(ear.hear("10.0.0.7:4000", 1, 2), Accepted, "the announced one takes over");
        assert_eq!(ear.learning.address(), Some(address("10.0.0.7:4000")));
    }

    #[test]
    fn what_breaks_the_row_begins_it_anew() {
        for (source, ssrc, sequence) in [
            ("192.0.2.1:62001", 1, 3),
            ("192.0.2.1:62000", 2, 3),
            ("192.0.2.1:62000", 1, 2),
            ("192.0.2.1:62000", 1, 500),
        ] {
            let mut ear = Ear::new();
            ear.hear("192.0.2.1:62000", 1, 1);
            ear.hear("192.0.2.1:62000", 1, 2);
            assert_eq!(ear.hear(source, ssrc, sequence), Undecided, "{source} {ssrc} {sequence}");
        }
    }

    #[test]
    fn the_announced_address_wins_while_another_is_a_candidate() {
        let mut ear = Ear::new();
        ear.hear("192.0.2.1:62000", 1, 1);
        ear.hear("192.0.2.1:62000", 1, 2);
        assert_eq!(ear.hear("10.0.0.7:4000", 9, 1), Accepted);
        assert_eq!(ear.hear("192.0.2.1:62000", 1, 3), Stranger);
    }

    #[test]
    fn after_silence_another_port_of_the_same_ip_is_learnt_and_no_other_ip() {
        let mut ear = Ear::new();
        ear.hear("10.0.0.7:4000", 1, 1);
        ear.wait(2_999);
        assert_eq!(ear.hear("10.0.0.7:5000", 1, 2), Stranger);
        ear.wait(1);
        for sequence in 3..9 {
            assert_eq!(ear.hear("192.0.2.1:4000", 1, sequence), Stranger);
        }
        assert_eq!(ear.hear("10.0.0.7:5000", 1, 3), Undecided);
        assert_eq!(ear.hear("10.0.0.7:5000", 1, 4), Undecided);
        assert_eq!(ear.learning.address(), Some(address("10.0.0.7:4000")), "one packet more is needed");
        assert_eq!(ear.hear("10.0.0.7:5000", 1, 5), Accepted);
        assert_eq!(ear.hear("10.0.0.7:5001", 1, 6), Stranger);
    }

    #[test]
    fn the_party_that_speaks_again_ends_the_row_of_another() {
        let mut ear = Ear::new();
        ear.hear("10.0.0.7:4000", 1, 1);
        ear.wait(4_000);
        ear.hear("10.0.0.7:5000", 1, 2);
        ear.hear("10.0.0.7:5000", 1, 3);
        assert_eq!(ear.hear("10.0.0.7:4000", 1, 2), Accepted);
        assert_eq!(ear.hear("10.0.0.7:5000", 1, 4), Stranger);
        // Silent again, it needs three more: the two of before were another row.
        ear.wait(4_000);
        assert_eq!(ear.hear("10.0.0.7:5000", 1, 4), Undecided);
        assert_eq!(ear.hear("10.0.0.7:5000", 1, 5), Undecided);
        assert_eq!(ear.hear("10.0.0.7:5000", 1, 6), Accepted);
    }

    #[test]
    fn a_new_description_begins_anew_and_the_same_one_keeps_what_was_certain() {
        let mut ear = Ear::new();
        for sequence in 0..3 {
            ear.hear("192.0.2.1:62000", 1, sequence);
        }
        ear.learning.begin(true, ear.now);
        assert_eq!(ear.learning.address(), Some(address("192.0.2.1:62000")));
        assert_eq!(ear.hear("192.0.2.1:62000", 1, 9), Accepted);
        ear.learning.begin(true, ear.now);
        assert_eq!(ear.hear("10.0.0.7:4000", 1, 1), Accepted, "the announced address may come instead");
        ear.learning.begin(false, ear.now);
        assert_eq!(ear.learning.address(), None);
        assert_eq!(ear.hear("192.0.2.1:62000", 1, 10), Undecided);
    }

    #[test]
    fn what_is_under_way_from_the_address_before_locks_nothing() {
        let mut ear = Ear::new();
        for sequence in 0..3 {
            ear.hear("192.0.2.1:62000", 1, sequence);
        }
        ear.acceptable.announced = address("10.0.0.7:4444");
        ear.learning.begin(false, ear.now);
        for sequence in 3..50 {
            ear.wait(20);
            assert_eq!(ear.hear("192.0.2.1:62000", 1, sequence), Undecided);
        }
        // The new one is announced again, in the answer after the provisional.
        ear.learning.begin(true, ear.now);
        assert_eq!(ear.hear("192.0.2.1:62000", 1, 50), Undecided);
        assert_eq!(ear.hear("192.0.2.1:62000", 1, 51), Undecided);
        assert_eq!(ear.hear("192.0.2.1:62000", 1, 52), Undecided);
        // The phone speaks from its new port behind the NAT.
        for (sequence, verdict) in [(100, Undecided), (101, Undecided), (102, Accepted)] {
            assert_eq!(ear.hear("192.0.2.1:63000", 1, sequence), verdict);
        }
        // One that goes on from the old port after all is heard in the end.
        ear.learning.begin(false, ear.now);
        ear.wait(1_000);
        for (sequence, verdict) in [(200, Undecided), (201, Undecided), (202, Accepted)] {
            assert_eq!(ear.hear("192.0.2.1:63000", 1, sequence), verdict);
        }
    }
}
