//! Where a trunk is: the ways that its name leads to, in their order, and which of them are of no use at present.
//!
//! | | due | located | not located |
//! |---|---|---|---|
//! | `Idle` | asks → `Asking` | cannot | cannot |
//! | `Asking` | — | known, until it is out of date → `Idle` | what was known stands, unless the name is known to lead nowhere; asks again → `Idle` |
//!
//! What was known once goes on being used when nobody answers: name servers fail more often than carriers move.

use sip_core::Flow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Where a name leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The ways, in the order in which they are tried (RFC 3263 §4).
    pub flows: Vec<Flow>,
    /// For ways over UDP that over TCP to the same place, where there is one: what is too large for a datagram goes there.
    pub streams: BTreeMap<Flow, Flow>,
    /// It is believed for so long.
    pub valid: Duration,
}

/// Why nobody knows where a name leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotLocated {
    /// For people.
    pub why: Box<str>,
    /// The name leads nowhere; else nobody answered.
    pub is_certain: bool,
    /// It is believed for so long.
    pub valid: Duration,
}

/// Where one trunk is.
#[derive(Debug)]
pub(super) struct Whereabouts {
    state: State,
    flows: Vec<Flow>,
    streams: BTreeMap<Flow, Flow>,
    why_not: Option<Box<str>>,
    resting: BTreeMap<Flow, Rest>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle {
        asks_at: Instant,
    },
    Asking {
        /// The first answer is waited for.
        is_first: bool,
    },
}

/// A way that is of no use for a time.
#[derive(Debug, Clone, Copy)]
struct Rest {
    until: Instant,
    /// The peer wants to be left alone (RFC 3261 §21.5.4); else the others go before it.
    is_wished: bool,
}

/// After a failure a way is the last that is tried, for so long.
const DEAD: Duration = Duration::from_secs(30);
/// A peer that does not speak TCP is asked again after so long.
const NO_STREAM: Duration = Duration::from_secs(600);
/// The longest that a peer may wish to be left alone.
const WISHED_MAX: Duration = Duration::from_secs(300);
/// Between two questions for the same name, whatever its records say.
const ASKS_AGAIN: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

impl Whereabouts {
    /// Nothing is known yet.
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            state: State::Idle { asks_at: now },
            flows: Vec::new(),
            streams: BTreeMap::new(),
            why_not: None,
            resting: BTreeMap::new(),
        }
    }

    /// Whether the name is to be looked up now.
    pub(super) fn asks(&mut self, now: Instant) -> bool {
        match self.state {
            State::Idle { asks_at } if asks_at <= now => {
                let is_first = self.flows.is_empty() && self.why_not.is_none();
                self.state = State::Asking { is_first };
                true
            }
            State::Idle { .. } | State::Asking { .. } => false,
        }
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Idle { asks_at } => Some(asks_at),
            State::Asking { .. } => None,
        }
    }

    pub(super) fn handle_located(&mut self, result: Result<Located, NotLocated>, now: Instant) {
        let State::Asking { .. } = self.state else { return };
        let valid = match result {
            Ok(Located { flows, streams, valid }) => {
                let is_known =
                    |flow: &Flow| flows.contains(flow) || streams.values().any(|stream| stream == flow);
                self.resting.retain(|flow, rest| rest.until > now && is_known(flow));
                (self.flows, self.streams, self.why_not) = (flows, streams, None);
                valid
            }
            Err(NotLocated { why, is_certain, valid }) => {
                if is_certain {
                    self.flows.clear();
                }
                self.why_not = Some(why);
                valid
            }
        };
        self.state = State::Idle { asks_at: now + valid.clamp(*ASKS_AGAIN.start(), *ASKS_AGAIN.end()) };
    }

    /// Nothing is known, and an answer may change that soon.
    pub(super) fn is_awaited(&self) -> bool {
        self.flows.is_empty()
            && match self.state {
                State::Idle { .. } => self.why_not.is_none(),
                State::Asking { is_first } => is_first,
            }
    }

    /// The next way that is not among those `tried`: first those that are not known to be dead.
    pub(super) fn next(&self, tried: &[Flow], now: Instant) -> Option<Flow> {
        let rest_of = |flow: &Flow| self.resting.get(flow).filter(|rest| rest.until > now);
        let untried = || self.flows.iter().filter(|flow| !tried.contains(flow));
        let fresh = untried().find(|flow| rest_of(flow).is_none());
        fresh.or_else(|| untried().find(|flow| rest_of(flow).is_some_and(|rest| !rest.is_wished))).copied()
    }

    /// The way that a message takes which is too large for this one.
    pub(super) fn stream_for(&self, flow: &Flow, now: Instant) -> Option<Flow> {
        let stream = self.streams.get(flow)?;
        self.resting.get(stream).is_none_or(|rest| rest.until <= now).then_some(*stream)
    }

    /// There is no connection to be had along it.
    pub(super) fn note_no_stream(&mut self, flow: Flow, now: Instant) {
        if self.streams.values().any(|stream| *stream == flow) {
            self.resting.insert(flow, Rest { until: now + NO_STREAM, is_wished: false });
        }
    }

    /// Nothing came back along it.
    pub(super) fn note_dead(&mut self, flow: Flow, now: Instant) {
        self.rest(flow, Rest { until: now + DEAD, is_wished: false });
    }

    /// The peer there wants to be left alone.
    pub(super) fn note_wish(&mut self, flow: Flow, time: Duration, now: Instant) {
        self.rest(flow, Rest { until: now + time.min(WISHED_MAX), is_wished: true });
    }

    /// Somebody is there.
    pub(super) fn note_alive(&mut self, flow: Flow) {
        if self.resting.get(&flow).is_some_and(|rest| !rest.is_wished) {
            self.resting.remove(&flow);
        }
    }

    /// Our addresses have become others.
    pub(super) fn renew_flows(&mut self, renews: &impl Fn(Flow) -> Flow) {
        self.flows.iter_mut().for_each(|flow| *flow = renews(*flow));
        let resting = std::mem::take(&mut self.resting);
        self.resting = resting.into_iter().map(|(flow, rest)| (renews(flow), rest)).collect();
    }

    pub(super) fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// Why it is not known, for people.
    pub(super) fn why_not(&self) -> Option<&str> {
        self.why_not.as_deref()
    }

    fn rest(&mut self, flow: Flow, rest: Rest) {
        if self.flows.contains(&flow) {
            self.resting.insert(flow, rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_core::Transport;

    fn flow(last: u8) -> Flow {
        let address = |last| std::net::SocketAddr::from(([192, 0, 2, last], 5060));
        Flow { transport: Transport::Udp, local: address(1), remote: address(last), peer: None }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn located(flows: &[u8], valid: u64) -> Result<Located, NotLocated> {
        let flows: Vec<_> = flows.iter().map(|last| flow(*last)).collect();
        let streams = flows.iter().map(|flow| (*flow, Flow { transport: Transport::Tcp, ..*flow })).collect();
        Ok(Located { flows, streams, valid: seconds(valid) })
    }

    fn not_located(is_certain: bool) -> Result<Located, NotLocated> {
        Err(NotLocated { why: "no answer".into(), is_certain, valid: seconds(10) })
    }

    #[test]
    fn it_is_asked_once_and_again_when_what_is_known_is_out_of_date() {
        let now = Instant::now();
        let mut place = Whereabouts::new(now);
        assert!(place.is_awaited() && place.asks(now) && !place.asks(now) && place.poll_timeout().is_none());
        place.handle_located(located(&[2, 3], 60), now);
        assert_eq!((place.next(&[], now), place.poll_timeout()), (Some(flow(2)), Some(now + seconds(60))));
        assert!(!place.asks(now + seconds(59)) && place.asks(now + seconds(60)) && !place.is_awaited());
        // An answer that nobody waits for changes nothing.
        place.handle_located(located(&[4], 0), now);
        place.handle_located(located(&[5], 60), now);
        assert_eq!(place.flows(), [flow(4)]);
        assert_eq!(
            place.poll_timeout(),
            Some(now + seconds(1)),
            "records without a lifetime are asked for once a second"
        );
    }

    #[test]
    fn what_was_known_stands_until_the_name_is_known_to_lead_nowhere() {
        let now = Instant::now();
        let mut place = Whereabouts::new(now);
        for (answer, flows, why) in [
            (located(&[2], 0), vec![flow(2)], None),
            (not_located(false), vec![flow(2)], Some("no answer")),
            (not_located(true), vec![], Some("no answer")),
            (located(&[3], 0), vec![flow(3)], None),
        ] {
            assert!(place.asks(now + seconds(3600)));
            place.handle_located(answer, now);
            assert_eq!((place.flows(), place.why_not()), (&*flows, why));
            assert!(!place.is_awaited());
        }
    }

    #[test]
    fn what_is_too_large_goes_by_stream_until_there_is_none_and_is_tried_again_later() {
        let now = Instant::now();
        let mut place = Whereabouts::new(now);
        assert!(place.asks(now));
        place.handle_located(located(&[2], 60), now);
        let stream = Flow { transport: Transport::Tcp, ..flow(2) };
        assert_eq!((place.stream_for(&flow(2), now), place.stream_for(&flow(3), now)), (Some(stream), None));
        place.note_no_stream(stream, now);
        assert_eq!(place.stream_for(&flow(2), now + seconds(599)), None);
        assert_eq!(place.next(&[], now), Some(flow(2)), "datagrams go on");
        // A new answer of the name servers changes nothing.
        assert!(place.asks(now + seconds(60)));
        place.handle_located(located(&[2], 60), now + seconds(60));
        assert_eq!(place.stream_for(&flow(2), now + seconds(599)), None);
        assert_eq!(place.stream_for(&flow(2), now + seconds(600)), Some(stream));
    }

    #[test]
    fn dead_ways_are_tried_last_and_those_that_want_to_rest_not_at_all() {
        let now = Instant::now();
        let mut place = Whereabouts::new(now);
        assert!(place.asks(now));
        place.handle_located(located(&[2, 3, 4], 3600), now);
        place.note_dead(flow(2), now);
        place.note_wish(flow(3), seconds(9000), now);
        place.note_dead(flow(9), now);
        let order = |place: &Whereabouts, now| {
            let mut tried = Vec::new();
            while let Some(flow) = place.next(&tried, now) {
                tried.push(flow);
            }
            tried
        };
        assert_eq!(order(&place, now), [flow(4), flow(2)]);
        assert_eq!(order(&place, now + DEAD), [flow(2), flow(4)]);
        assert_eq!(order(&place, now + WISHED_MAX), [flow(2), flow(3), flow(4)]);
        place.note_alive(flow(2));
        place.note_alive(flow(3));
        assert_eq!(order(&place, now), [flow(2), flow(4)], "a wish is not taken back by an answer");
    }

    #[test]
    fn ways_from_an_address_of_before_are_those_from_the_one_of_now_and_rest_as_they_did() {
        let now = Instant::now();
        let mut place = Whereabouts::new(now);
        assert!(place.asks(now));
        place.handle_located(located(&[2, 3], 60), now);
        place.note_dead(flow(2), now);
        let local = "192.0.2.99:5060".parse().unwrap();
        let renewed = |flow: Flow| Flow { local, ..flow };
        place.renew_flows(&renewed);
        assert_eq!(place.flows(), [renewed(flow(2)), renewed(flow(3))]);
        assert_eq!(place.next(&[], now), Some(renewed(flow(3))));
    }
}
