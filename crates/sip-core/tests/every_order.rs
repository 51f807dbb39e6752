//! The INVITE usage under orders of events, in both roles: whatever happens, it ends once and in bounded time, acknowledges
//! every 2xx, cancels nothing that was not heard of, and leaves nothing behind.
//!
//! Exhaustive: from each start below, every sequence of its steps of each length from 0 to 4, or to what
//! `EVERY_ORDER_LENGTH` says. The starts with an outgoing INVITE know 22 steps, those with an incoming one 17; that is
//! 245,411 and 88,741 sequences each. Left out is what goes on from a step that changed nothing, in the endpoint or at its
//! peer: the sequence without that step stands for it. Sampled: from each start 1,000 walks of 12 steps, drawn with one seed. Behind the last
//! step of a sequence and of a walk the user hangs up, and the peer says nothing any more.
//!
//! | start | steps |
//! |---|---|
//! | INVITE sent, with an offer | 22 |
//! | INVITE sent, without an offer | 22 |
//! | our call stands, a re-INVITE of ours under way | 22 |
//! | our call stands, its refresh is due | 22 |
//! | INVITE taken, with an offer | 17 |
//! | INVITE taken, without an offer | 17 |
//! | INVITE taken, with a reliable 183 | 17 |
//! | the peer's call stands | 17 |
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod by_hand;

use by_hand::{
    Element, identity, invite_text, new_invite, prack_of, reliable_to, request_text, response_to, udp,
    with_fields,
};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sip_core::InviteId;
use sip_message::{FieldName, Message, Method, Request, Response, StatusCode};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const WALKS: usize = 1_000;
const STEPS_OF_A_WALK: usize = 12;

/// Of the longest sequences.
fn length() -> usize {
    std::env::var("EVERY_ORDER_LENGTH").map_or(4, |length| length.parse().unwrap())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Trying,
    Ringing,
    /// The next reliable provisional response, with a session.
    RingingReliably,
    /// The last one again.
    RingingReliablyAgain,
    Answer,
    /// With a session interval of 90 s, which we refresh.
    AnswerWithTimer,
    IntervalTooSmall,
    OtherBranchAnswers,
    Busy,
    Challenge,
    /// To the last request of ours that is neither INVITE nor ACK.
    Agree,
    /// To the same.
    DialogUnknown,
    Glare,
    Bye,
    Reinvite,
    Update,
    /// Of the last INVITE of the peer.
    Ack,
    /// Of our last reliable provisional response.
    Prack,
    Cancel,
    AgainInvite,
    UserRings,
    UserAccepts,
    UserRejects,
    UserHangsUp,
    UserOffers,
    UserAnswers,
    UserRefuses,
    Wait,
    WaitLong,
    Unreachable,
}

const OUTGOING: [Step; 22] = [
    Step::Trying,
    Step::Ringing,
    Step::RingingReliably,
    Step::RingingReliablyAgain,
    Step::Answer,
    Step::AnswerWithTimer,
    Step::IntervalTooSmall,
    Step::OtherBranchAnswers,
    Step::Busy,
    Step::Challenge,
    Step::Agree,
    Step::DialogUnknown,
    Step::Glare,
    Step::Bye,
    Step::Reinvite,
    Step::Update,
    Step::UserHangsUp,
    Step::UserOffers,
    Step::UserAnswers,
    Step::Wait,
    Step::WaitLong,
    Step::Unreachable,
];

const INCOMING: [Step; 17] = [
    Step::AgainInvite,
    Step::Prack,
    Step::UserRings,
    Step::UserAccepts,
    Step::UserRejects,
    Step::UserHangsUp,
    Step::Cancel,
    Step::Ack,
    Step::Bye,
    Step::Reinvite,
    Step::Update,
    Step::UserAnswers,
    Step::UserRefuses,
    Step::UserOffers,
    Step::Agree,
    Step::Glare,
    Step::Wait,
];

struct Play {
    element: Element,
    invite: InviteId,
    outgoing: bool,
    cseq: u32,
    rseq: u32,
    /// Of the peer's last INVITE.
    invite_cseq: u32,
    /// (CSeq, To tag) of each 2xx that reached us and has to be acknowledged.
    successes: BTreeSet<(u32, String)>,
    /// CSeq of INVITEs of ours that had a provisional, and a final response.
    provisional: BTreeSet<u32>,
    finished: BTreeSet<u32>,
    checked: usize,
    steps: Vec<Step>,
}

impl Play {
    fn outgoing(late: bool) -> Self {
        let mut element = Element::new();
        let mut new = new_invite(udp());
        new.credentials = identity();
        if late {
            new.offer = None;
        }
        let invite = element.invite(new);
        Self::new(element, invite, true)
    }

    fn incoming(late: bool) -> Self {
        let mut element = Element::new();
        let text = invite_text("z9hG4bK1");
        element.receive(if late { late_invite() } else { text });
        let invite = element.take_last();
        Self::new(element, invite, false)
    }

    fn new(element: Element, invite: InviteId, outgoing: bool) -> Self {
        let (successes, provisional, finished) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (cseq, rseq, invite_cseq) = (1, 1, 1);
        let steps = Vec::new();
        Self {
            element,
            invite,
            outgoing,
            cseq,
            rseq,
            invite_cseq,
            successes,
            provisional,
            finished,
            checked: 0,
            steps,
        }
    }

    fn step(&mut self, step: Step) {
        self.steps.push(step);
        let element = &mut self.element;
        match step {
            Step::Trying => self.respond_to_invite(100, "p", ""),
            Step::Ringing => self.respond_to_invite(180, "p", ""),
            Step::Answer => self.respond_to_invite(200, "p", "answer"),
            Step::AnswerWithTimer => {
                let fields = "Session-Expires: 90;refresher=uac\r\n";
                self.respond_to_invite_with(200, "p", "answer", fields);
            }
            Step::IntervalTooSmall => self.respond_to_invite_with(422, "p", "", "Min-SE: 3600\r\n"),
            Step::OtherBranchAnswers => self.respond_to_invite(200, "q", "answer"),
            Step::Busy => self.respond_to_invite(486, "p", ""),
            Step::Challenge => self.respond_to_invite(401, "p", ""),
            Step::Glare => self.respond_to_invite(491, "p", ""),
            Step::Agree => self.respond_to_last(200),
            Step::DialogUnknown => self.respond_to_last(481),
            Step::RingingReliably => {
                self.rseq += 1;
                self.ring_reliably();
            }
            Step::RingingReliablyAgain => self.ring_reliably(),
            Step::Prack => self.prack(),
            Step::Bye => self.request("BYE", ""),
            Step::Reinvite => {
                self.request("INVITE", "offer");
                self.invite_cseq = self.cseq;
            }
            Step::Update => self.request("UPDATE", "offer"),
            Step::Ack => self.ack(),
            Step::Cancel => {
                let cancel = invite_text("z9hG4bK1").replace("INVITE", "CANCEL");
                self.element.receive(cancel);
            }
            Step::AgainInvite => self.element.receive(invite_text("z9hG4bK1")),
            Step::UserRings => element.ring(self.invite, StatusCode::RINGING, None),
            Step::UserAccepts => element.accept(self.invite, b"answer"),
            Step::UserRejects => element.reject(self.invite, StatusCode::BUSY_HERE),
            Step::UserHangsUp => element.hang_up(self.invite, None),
            Step::UserOffers => element.offer(self.invite, b"offer"),
            Step::UserAnswers => element.answer_offer(self.invite, b"answer"),
            Step::UserRefuses => element.refuse_offer(self.invite, StatusCode::NOT_ACCEPTABLE_HERE),
            Step::Wait => self.element.pass(Duration::from_secs(1)),
            Step::WaitLong => self.element.pass(Duration::from_secs(40)),
            Step::Unreachable => element.endpoint.handle_unreachable(udp(), element.now),
        }
        self.element.collect();
        self.check_sent();
    }

    /// All that what follows depends on.
    fn state(&self) -> String {
        let Self { element, cseq, rseq, invite_cseq, successes, provisional, finished, .. } = self;
        let peer = (cseq, rseq, invite_cseq, successes, provisional, finished);
        let Element { endpoint, now, sent, .. } = element;
        format!("{endpoint:?} {now:?} {} {peer:?}", sent.len())
    }

    fn respond_to_invite(&mut self, status: u16, tag: &str, body: &str) {
        self.respond_to_invite_with(status, tag, body, "");
    }

    fn respond_to_invite_with(&mut self, status: u16, tag: &str, body: &str, fields: &str) {
        let Some(invite) = self.element.requests(&Method::INVITE).last().copied().cloned() else { return };
        let cseq = invite.header.cseq.number;
        let tag = invite.header.to.tag().unwrap_or(tag).to_owned();
        if status < 200 {
            self.provisional.insert(cseq);
        } else if status < 300 {
            // A 2xx behind another final response, or behind the end of the usage, finds nobody.
            if !self.finished.contains(&cseq) && self.element.endpoint.counts().1 > 0 {
                self.successes.insert((cseq, tag.clone()));
            }
        } else if !self.successes.iter().any(|(success, _)| *success == cseq) {
            self.finished.insert(cseq);
        }
        self.element.receive(with_fields(response_to(&invite, status, &tag, body), fields));
    }

    fn ring_reliably(&mut self) {
        let Some(invite) = self.element.requests(&Method::INVITE).last().copied().cloned() else { return };
        if invite.header.to.tag().is_none() {
            self.provisional.insert(invite.header.cseq.number);
        }
        self.element.receive(reliable_to(&invite, 183, "p", self.rseq, "early"));
    }

    fn prack(&mut self) {
        let responses = self.element.responses();
        let reliable = |response: &&Response| response.header.fields.get(&FieldName::RSEQ).is_some();
        let Some(last) = responses.into_iter().rfind(reliable).cloned() else { return };
        self.cseq += 1;
        self.element.receive(prack_of(&last, self.cseq, ""));
    }

    fn respond_to_last(&mut self, status: u16) {
        let request = self.element.sent.iter().rev().find_map(|(_, _, message)| match message {
            Message::Request(request) if !matches!(request.method, Method::INVITE | Method::ACK) => {
                Some(request)
            }
            Message::Request(_) | Message::Response(_) => None,
        });
        if let Some(request) = request.cloned() {
            self.element.respond(&request, status, "p", "");
        }
    }

    fn request(&mut self, method: &str, body: &str) {
        self.cseq += 1;
        let (call_id, local) = self.identifiers();
        self.element.receive(request_text(method, &call_id, "p", &local, self.cseq, body));
    }

    fn ack(&mut self) {
        let (call_id, local) = self.identifiers();
        let text = request_text("ACK", &call_id, "p", &local, self.invite_cseq, "");
        // The ACK of a refusal is part of the transaction of the first INVITE, that of a 2xx is not.
        self.element.receive(text.replace("z9hG4bKACKp1;", "z9hG4bK1;"));
        self.element.receive(text);
    }

    /// Call-ID and our tag.
    fn identifiers(&self) -> (String, String) {
        if self.outgoing {
            let invite = self.element.requests(&Method::INVITE)[0];
            return (invite.header.call_id.0.to_string(), invite.header.from.tag().unwrap().to_owned());
        }
        let mut tags = self.element.responses().into_iter().filter_map(|response| response.header.to.tag());
        ("1".to_owned(), tags.next_back().unwrap_or("none-yet").to_owned())
    }

    /// Of what was sent since the last step.
    fn check_sent(&mut self) {
        for index in self.checked..self.element.sent.len() {
            let Message::Request(request) = &self.element.sent[index].2 else { continue };
            let cseq = request.header.cseq.number;
            if request.method == Method::CANCEL {
                assert!(self.provisional.contains(&cseq), "CANCEL before a provisional: {:?}", self.steps);
            } else if request.method == Method::BYE && self.outgoing {
                let tag = request.header.to.tag();
                assert!(self.acknowledged(index).any(|ack| ack.header.to.tag() == tag), "BYE before ACK");
            }
        }
        self.checked = self.element.sent.len();
    }

    fn acknowledged(&self, before: usize) -> impl Iterator<Item = &Request> {
        self.element.sent[..before].iter().filter_map(|(_, _, message)| match message {
            Message::Request(request) if request.method == Method::ACK => Some(request),
            Message::Request(_) | Message::Response(_) => None,
        })
    }

    /// The user hangs up at last, and time passes.
    fn end(mut self) {
        self.element.hang_up(self.invite, None);
        let time = self.element.pass_all();
        self.check_sent();
        let steps = &self.steps;
        assert_eq!(self.element.endpoint.counts(), (0, 0), "{steps:?}");
        // CANCEL or the ACK of our 2xx may take 64*T1, the BYE behind it as long again.
        assert!(time <= Duration::from_secs(32 + 32 + 5), "{steps:?} left something for {time:?}");
        assert!(self.element.gone().is_some(), "{steps:?} does not end");
        for (cseq, tag) in &self.successes {
            let mut acks = self.acknowledged(self.element.sent.len());
            let is_ack =
                |ack: &Request| ack.header.cseq.number == *cseq && ack.header.to.tag() == Some(tag.as_str());
            assert!(acks.any(is_ack), "{steps:?}: the 2xx of {tag} to {cseq} has no ACK");
        }
        self.check_answers();
    }

    /// Each request of the peer has one final response, always the same.
    fn check_answers(&self) {
        let mut finals: BTreeMap<(u32, String), Vec<u8>> = BTreeMap::new();
        for response in self.element.responses().into_iter().filter(|response| response.status.is_final()) {
            let key = (response.header.cseq.number, response.header.cseq.method.to_string());
            let octets = response.print();
            assert_eq!(finals.entry(key).or_insert_with(|| octets.clone()), &octets, "{:?}", self.steps);
        }
    }
}

fn late_invite() -> String {
    let text = invite_text("z9hG4bK1");
    let (header, _) = text.split_once("Content-Type").unwrap();
    format!("{header}Content-Length: 0\r\n\r\n")
}

/// Plays every sequence up to the length, and walks; a failure names its steps.
fn explore(steps: &[Step], start: impl Fn() -> Play + Sync) {
    start().end();
    let (next, start) = (AtomicUsize::new(0), &start);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, NonZero::get) {
            scope.spawn(|| {
                while let Some(first) = steps.get(next.fetch_add(1, Ordering::Relaxed)) {
                    every_order(&mut Vec::new(), *first, steps, start);
                }
            });
        }
    });
    some_orders(steps, start);
}

/// The sequence of `before` and `step`, and every one that goes on from it.
fn every_order(before: &mut Vec<Step>, step: Step, steps: &[Step], start: &impl Fn() -> Play) {
    let goes_on = before.len() + 1 < length();
    let mut play = start();
    for step in &*before {
        play.step(*step);
    }
    let state = goes_on.then(|| play.state());
    play.step(step);
    let changes_something = state.is_some_and(|state| state != play.state());
    play.end();
    if changes_something {
        before.push(step);
        for next in steps {
            every_order(before, *next, steps, start);
        }
        before.pop();
    }
}

/// Long sequences, drawn by chance.
fn some_orders(steps: &[Step], start: impl Fn() -> Play) {
    let mut random = ChaCha12Rng::seed_from_u64(1);
    for _ in 0..WALKS {
        let mut play = start();
        for _ in 0..STEPS_OF_A_WALK {
            play.step(steps[random.next_u32() as usize % steps.len()]);
        }
        play.end();
    }
}

fn outgoing_that_stands() -> Play {
    let mut play = Play::outgoing(false);
    play.step(Step::Ringing);
    play.step(Step::Answer);
    play.step(Step::UserOffers);
    play
}

/// We refresh it, and time comes near to that.
fn outgoing_that_is_refreshed() -> Play {
    let mut play = Play::outgoing(false);
    play.step(Step::AnswerWithTimer);
    play.step(Step::WaitLong);
    play.element.pass(Duration::from_millis(4_500));
    play
}

fn incoming_that_stands() -> Play {
    let mut play = Play::incoming(false);
    play.step(Step::UserAccepts);
    play.step(Step::Ack);
    play
}

/// The caller wants reliable provisional responses.
fn incoming_that_requires_reliability() -> Play {
    let mut element = Element::new();
    element.receive(invite_text("z9hG4bK1").replace("Max-Forwards", "Require: 100rel\r\nMax-Forwards"));
    let invite = element.take_last();
    let mut play = Play::new(element, invite, false);
    play.element.ring(invite, StatusCode::SESSION_PROGRESS, Some(b"answer".to_vec()));
    play
}

#[test]
fn an_outgoing_call_ends_well_in_every_order_of_events() {
    explore(&OUTGOING, || Play::outgoing(false));
}

#[test]
fn an_outgoing_call_without_an_offer_ends_well_in_every_order_of_events() {
    explore(&OUTGOING, || Play::outgoing(true));
}

#[test]
fn an_outgoing_call_that_stands_ends_well_in_every_order_of_events() {
    explore(&OUTGOING, outgoing_that_stands);
}

#[test]
fn an_outgoing_call_that_is_refreshed_ends_well_in_every_order_of_events() {
    explore(&OUTGOING, outgoing_that_is_refreshed);
}

#[test]
fn an_incoming_call_ends_well_in_every_order_of_events() {
    explore(&INCOMING, || Play::incoming(false));
}

#[test]
fn an_incoming_call_without_an_offer_ends_well_in_every_order_of_events() {
    explore(&INCOMING, || Play::incoming(true));
}

#[test]
fn an_incoming_call_that_rings_reliably_ends_well_in_every_order_of_events() {
    explore(&INCOMING, incoming_that_requires_reliability);
}

#[test]
fn an_incoming_call_that_stands_ends_well_in_every_order_of_events() {
    explore(&INCOMING, incoming_that_stands);
}
