//! OPTIONS to each address of a trunk, to know whether somebody is there before a call finds out (RFC 3261 §11).
//!
//! Whatever is answered, somebody is there; but a 503 says that the next address should be asked, and a 408 comes from a
//! proxy that found nobody. Silence counts only from an address that has answered before, and twice in a row: many carriers
//! never answer.

use sip_core::{Flow, Outcome};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The probing of one trunk.
#[derive(Debug)]
pub(super) struct Probing {
    /// `None`: never.
    every: Option<Duration>,
    due_at: Instant,
    peers: BTreeMap<Flow, Peer>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Peer {
    has_answered: bool,
    /// Probes without an answer since the last one.
    silent: u8,
    is_asked: bool,
}

/// What a probe has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Alive,
    Dead,
    Nothing,
}

/// Addresses of a trunk that are probed.
const PEERS_MAX: usize = 16;
/// So many probes in a row are lost before somebody is taken for gone.
const SILENT_MAX: u8 = 2;

impl Probing {
    pub(super) const fn new(every: Option<Duration>, now: Instant) -> Self {
        Self { every, due_at: now, peers: BTreeMap::new() }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.every.map(|_| self.due_at)
    }

    /// Which of these are to be probed now.
    pub(super) fn due(&mut self, flows: &[Flow], now: Instant) -> Vec<Flow> {
        let Some(every) = self.every.filter(|_| self.due_at <= now) else { return Vec::new() };
        self.due_at = now + every;
        self.peers.retain(|flow, _| flows.contains(flow));
        let mut due = Vec::new();
        for flow in flows.iter().take(PEERS_MAX) {
            let peer = self.peers.entry(*flow).or_default();
            if !std::mem::replace(&mut peer.is_asked, true) {
                due.push(*flow);
            }
        }
        due
    }

    pub(super) fn handle_outcome(&mut self, flow: Flow, outcome: &Outcome) -> Shown {
        let Some(peer) = self.peers.get_mut(&flow) else { return Shown::Nothing };
        peer.is_asked = false;
        match outcome {
            Outcome::Final(response) if matches!(response.status.code(), 408 | 430 | 503) => Shown::Nothing,
            Outcome::Final(_) => {
                *peer = Peer { has_answered: true, silent: 0, is_asked: false };
                Shown::Alive
            }
            Outcome::TimedOut | Outcome::Unreachable => {
                peer.silent = peer.silent.saturating_add(1);
                if peer.has_answered && peer.silent >= SILENT_MAX { Shown::Dead } else { Shown::Nothing }
            }
        }
    }

    /// A call or a registration has shown that somebody is there.
    pub(super) fn note_alive(&mut self, flow: Flow) {
        if let Some(peer) = self.peers.get_mut(&flow) {
            peer.silent = 0;
        }
    }

    /// Whether somebody is there: unknown until one of its addresses has answered.
    pub(super) fn is_reachable(&self) -> Option<bool> {
        let mut answered = self.peers.values().filter(|peer| peer.has_answered).peekable();
        answered.peek()?;
        Some(answered.any(|peer| peer.silent < SILENT_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_core::Transport;
    use sip_message::{CallId, Method, NameAddr, Request, SipUri, StatusCode};

    fn flow(last: u8) -> Flow {
        let address = |last| std::net::SocketAddr::from(([192, 0, 2, last], 5060));
        Flow { transport: Transport::Udp, local: address(1), remote: address(last), peer: None }
    }

    fn answer(status: u16) -> Outcome {
        let uri = SipUri::at(None, flow(2).remote);
        let from = NameAddr::new(uri.clone());
        let request = Request::new(Method::OPTIONS, uri, from.clone(), from, CallId("c".into()), 1);
        Outcome::Final(Box::new(request.response(StatusCode::new(status).unwrap())))
    }

    #[test]
    fn each_address_is_probed_once_in_a_while_and_not_before_it_has_answered() {
        let now = Instant::now();
        let every = Duration::from_secs(60);
        let mut probing = Probing::new(Some(every), now);
        assert_eq!(probing.due(&[flow(2), flow(3)], now), [flow(2), flow(3)]);
        assert_eq!(probing.due(&[flow(2), flow(3)], now + every / 2), []);
        probing.handle_outcome(flow(2), &answer(404));
        assert_eq!(probing.due(&[flow(2), flow(3)], now + every), [flow(2)], "3 has not answered yet");
        assert_eq!(Probing::new(None, now).due(&[flow(2)], now), []);
    }

    #[test]
    fn any_answer_is_a_sign_of_life_and_silence_one_of_death_only_behind_it() {
        let now = Instant::now();
        for status in [200, 403, 404, 405, 481, 483, 486, 500, 501, 603] {
            let mut probing = Probing::new(Some(Duration::from_secs(60)), now);
            probing.due(&[flow(2)], now);
            assert_eq!(
                (probing.is_reachable(), probing.handle_outcome(flow(2), &Outcome::TimedOut)),
                (None, Shown::Nothing)
            );
            assert_eq!(
                probing.handle_outcome(flow(2), &Outcome::TimedOut),
                Shown::Nothing,
                "it never answered"
            );
            assert_eq!(probing.handle_outcome(flow(2), &answer(status)), Shown::Alive, "{status}");
            assert_eq!(probing.is_reachable(), Some(true));
            assert_eq!(
                probing.handle_outcome(flow(2), &Outcome::TimedOut),
                Shown::Nothing,
                "one ping is lost"
            );
            assert_eq!(probing.handle_outcome(flow(2), &Outcome::Unreachable), Shown::Dead);
            assert_eq!(probing.is_reachable(), Some(false));
            probing.note_alive(flow(2));
            assert_eq!(probing.is_reachable(), Some(true));
        }
        for status in [408, 430, 503] {
            let mut probing = Probing::new(Some(Duration::from_secs(60)), now);
            probing.due(&[flow(2)], now);
            assert_eq!(probing.handle_outcome(flow(2), &answer(status)), Shown::Nothing, "{status}");
            assert_eq!(probing.is_reachable(), None);
        }
        let mut probing = Probing::new(Some(Duration::from_secs(60)), now);
        assert_eq!(probing.handle_outcome(flow(9), &answer(200)), Shown::Nothing, "nobody asked");
    }
}
