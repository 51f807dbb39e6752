//! What each event does in each state of an INVITE usage: one test for each state, one line for each event. A line
//! says what is sent (requests by method, responses by status and method) and then what the user hears; `×` counts copies.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod by_hand;

use by_hand::{
    Element, identity, invite_text, new_invite, prack_of, reliable_to, request_text, response_to, udp,
    with_fields,
};
use sip_core::{Event, InviteEvent, InviteId, NewInvite};
use sip_message::{Message, Method, Request, StatusCode};
use std::time::Duration;

/// A call in some state.
struct Call {
    element: Element,
    id: InviteId,
    call_id: String,
    local: String,
    cseq: u32,
}

type Deed = fn(&mut Call);

impl Call {
    fn ours(offer: Option<&str>) -> Self {
        let mut element = Element::new();
        let offer = offer.map(|offer| offer.as_bytes().to_vec());
        let id = element.invite(NewInvite { credentials: identity(), offer, ..new_invite(udp()) });
        let invite = element.last_request(&Method::INVITE);
        let (call_id, local) =
            (invite.header.call_id.0.to_string(), invite.header.from.tag().unwrap().to_owned());
        Self { element, id, call_id, local, cseq: 0 }
    }

    fn theirs(invite: &str) -> Self {
        let mut element = Element::new();
        element.receive(invite);
        let id = element.take_last();
        Self { element, id, call_id: "1".to_owned(), local: String::new(), cseq: 1 }
    }

    fn then(mut self, deeds: &[Deed]) -> Self {
        for deed in deeds {
            deed(&mut self);
            self.element.collect();
        }
        self
    }

    fn last(&self, method: &Method) -> Request {
        self.element.last_request(method).clone()
    }

    /// To our last INVITE.
    fn respond(&mut self, status: u16, body: &str, fields: &str) {
        let invite = self.last(&Method::INVITE);
        self.element.receive(with_fields(response_to(&invite, status, "p", body), fields));
    }

    fn request(&mut self, method: &str, body: &str) {
        self.cseq += 1;
        self.learn_tag();
        let text = request_text(method, &self.call_id, "p", &self.local, self.cseq, body);
        self.element.receive(text);
    }

    fn ack(&mut self) {
        self.learn_tag();
        self.element.receive(request_text("ACK", &self.call_id, "p", &self.local, self.cseq, ""));
    }

    fn learn_tag(&mut self) {
        let mut tags = self.element.responses().into_iter().filter_map(|response| response.header.to.tag());
        if let Some(tag) = tags.next_back().filter(|_| self.local.is_empty()) {
            self.local = tag.to_owned();
        }
    }
}

fn summary(element: &Element, sent: usize, heard: usize) -> String {
    let sent = element.sent[sent..].iter().map(|(_, _, message)| match message {
        Message::Request(request) => request.method.to_string(),
        Message::Response(response) => {
            format!("{} {}", response.status.code(), response.header.cseq.method)
        }
    });
    let heard = element.events[heard..].iter().map(|event| match event {
        Event::Invite { event: InviteEvent::Gone(gone), .. } => format!("Gone({:?})", gone.cause),
        Event::Invite { event, .. } => {
            format!("{event:?}").split([' ', '(']).next().unwrap_or_default().to_owned()
        }
        Event::Request(_) | Event::Response { .. } => "?".to_owned(),
    });
    let parts: Vec<_> = sent.chain(heard).collect();
    let grouped = parts.chunk_by(|one, next| one == next).map(|copies| match copies {
        [one] => one.clone(),
        copies => format!("{} ×{}", copies[0], copies.len()),
    });
    if parts.is_empty() { "–".to_owned() } else { grouped.collect::<Vec<_>>().join(", ") }
}

/// Plays each event in that state.
fn state(reach: impl Fn() -> Call, lines: &[(&str, Deed, &str)]) {
    let mut wrong = Vec::new();
    for (name, deed, expected) in lines {
        let mut call = reach();
        let (sent, heard) = (call.element.sent.len(), call.element.events.len());
        deed(&mut call);
        call.element.collect();
        let found = summary(&call.element, sent, heard);
        if found != *expected {
            wrong.push(format!("{name}: {found}, not {expected}"));
        }
        call.element.hang_up(call.id, None);
        call.element.pass_all();
        assert_eq!(call.element.endpoint.counts(), (0, 0), "{name} leaves something");
        assert!(call.element.gone().is_some(), "{name} does not end");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn late_invite() -> String {
    let text = invite_text("z9hG4bK1");
    format!("{}Content-Length: 0\r\n\r\n", text.split_once("Content-Type").unwrap().0)
}

fn reliable_invite() -> String {
    invite_text("z9hG4bK1").replace("Max-Forwards", "Require: 100rel\r\nMax-Forwards")
}

const RINGS: Deed = |call| call.respond(180, "", "");
const RINGS_RELIABLY: Deed = |call| {
    let invite = call.last(&Method::INVITE);
    call.element.receive(reliable_to(&invite, 183, "p", 7, "early"));
};
const ANSWERS: Deed = |call| call.respond(200, "answer", "");
const REFUSES: Deed = |call| call.respond(486, "", "");
const CHALLENGES: Deed = |call| call.respond(401, "", "");
const WANTS_LONGER_INTERVAL: Deed = |call| call.respond(422, "", "Min-SE: 3600\r\n");
const MEETS: Deed = |call| call.respond(491, "", "");
const KNOWS_NOTHING: Deed = |call| call.respond(481, "", "");
const ANSWERS_BYE: Deed = |call| {
    let bye = call.last(&Method::BYE);
    call.element.respond(&bye, 200, "p", "");
};
const BYE: Deed = |call| call.request("BYE", "");
const REINVITE: Deed = |call| call.request("INVITE", "offer");
const UPDATE: Deed = |call| call.request("UPDATE", "offer");
const BARE_UPDATE: Deed = |call| call.request("UPDATE", "");
const INFO: Deed = |call| call.request("INFO", "");
const WRONG_PRACK: Deed = |call| call.request("PRACK", "");
const PRACK: Deed = |call| {
    call.cseq += 1;
    let prack = prack_of(call.element.last_response(), call.cseq, "");
    call.element.receive(prack);
};
const ACK: Deed = |call| call.ack();
const CANCEL: Deed = |call| call.element.receive(invite_text("z9hG4bK1").replace("INVITE", "CANCEL"));
const COPY: Deed = |call| call.element.receive(invite_text("z9hG4bK1"));
const RING: Deed = |call| call.element.ring(call.id, StatusCode::RINGING, None);
const RING_WITH_SESSION: Deed = |call| {
    let session = Some(b"session".to_vec());
    call.element.ring(call.id, StatusCode::SESSION_PROGRESS, session);
};
const ACCEPT: Deed = |call| call.element.accept(call.id, b"session");
const REJECT: Deed = |call| call.element.reject(call.id, StatusCode::BUSY_HERE);
const HANG_UP: Deed = |call| call.element.hang_up(call.id, None);
const OFFER: Deed = |call| call.element.offer(call.id, b"ours");
const ANSWER: Deed = |call| call.element.answer_offer(call.id, b"ours");
const REFUSE: Deed = |call| call.element.refuse_offer(call.id, StatusCode::NOT_ACCEPTABLE_HERE);
const ACKNOWLEDGE: Deed = |call| call.element.acknowledge(call.id);
const SILENCE: Deed = |call| call.element.pass(Duration::from_secs(70));
const UNREACHABLE: Deed = |call| call.element.endpoint.handle_unreachable(udp(), call.element.now);

#[test]
fn calling() {
    let reach = || Call::ours(Some("offer"));
    state(
        reach,
        &[
            ("180", RINGS, "Progress"),
            ("reliable 183", RINGS_RELIABLY, "PRACK, Progress"),
            ("200", ANSWERS, "ACK, Answered"),
            ("486", REFUSES, "ACK, Gone(Refused { status: StatusCode(486) })"),
            ("401", CHALLENGES, "ACK, INVITE"),
            ("422", WANTS_LONGER_INTERVAL, "ACK, INVITE"),
            ("BYE", BYE, "200 BYE, Gone(HungUpByPeer)"),
            ("re-INVITE", REINVITE, "491 INVITE"),
            ("UPDATE", UPDATE, "491 UPDATE"),
            ("PRACK", WRONG_PRACK, "481 PRACK"),
            ("hang-up", HANG_UP, "–"),
            ("unreachable", UNREACHABLE, "Gone(Unreachable)"),
            ("silence", SILENCE, "INVITE ×6, Gone(TimedOut)"),
        ],
    );
}

#[test]
fn proceeding() {
    let reach = || Call::ours(Some("offer")).then(&[RINGS]);
    state(
        reach,
        &[
            ("180", RINGS, "Progress"),
            ("reliable 183", RINGS_RELIABLY, "PRACK, Progress"),
            ("200", ANSWERS, "ACK, Answered"),
            ("486", REFUSES, "ACK, Gone(Refused { status: StatusCode(486) })"),
            ("401", CHALLENGES, "ACK, INVITE"),
            ("422", WANTS_LONGER_INTERVAL, "ACK, INVITE"),
            ("BYE", BYE, "200 BYE, CANCEL, Gone(HungUpByPeer)"),
            ("re-INVITE", REINVITE, "491 INVITE"),
            ("UPDATE", UPDATE, "491 UPDATE"),
            ("PRACK", WRONG_PRACK, "481 PRACK"),
            ("hang-up", HANG_UP, "CANCEL"),
            ("unreachable", UNREACHABLE, "Gone(Unreachable)"),
            ("silence", SILENCE, "–"),
        ],
    );
}

#[test]
fn unwanted() {
    let reach = || Call::ours(Some("offer")).then(&[HANG_UP]);
    state(
        reach,
        &[
            ("180", RINGS, "CANCEL"),
            ("reliable 183", RINGS_RELIABLY, "CANCEL"),
            ("200", ANSWERS, "ACK, BYE"),
            ("486", REFUSES, "ACK, Gone(Cancelled)"),
            ("401", CHALLENGES, "ACK, Gone(Cancelled)"),
            ("422", WANTS_LONGER_INTERVAL, "ACK, Gone(Cancelled)"),
            ("BYE", BYE, "200 BYE"),
            ("re-INVITE", REINVITE, "491 INVITE"),
            ("UPDATE", UPDATE, "491 UPDATE"),
            ("PRACK", WRONG_PRACK, "481 PRACK"),
            ("hang-up", HANG_UP, "–"),
            ("unreachable", UNREACHABLE, "Gone(Unreachable)"),
            ("silence", SILENCE, "INVITE ×6, Gone(TimedOut)"),
        ],
    );
}

#[test]
fn cancelling() {
    let reach = || Call::ours(Some("offer")).then(&[RINGS, HANG_UP]);
    state(
        reach,
        &[
            ("180", RINGS, "–"),
            ("reliable 183", RINGS_RELIABLY, "–"),
            ("200", ANSWERS, "ACK, BYE"),
            ("486", REFUSES, "ACK, Gone(Cancelled)"),
            ("401", CHALLENGES, "ACK, Gone(Cancelled)"),
            ("422", WANTS_LONGER_INTERVAL, "ACK, Gone(Cancelled)"),
            ("BYE", BYE, "200 BYE"),
            ("re-INVITE", REINVITE, "491 INVITE"),
            ("UPDATE", UPDATE, "491 UPDATE"),
            ("PRACK", WRONG_PRACK, "481 PRACK"),
            ("hang-up", HANG_UP, "–"),
            ("unreachable", UNREACHABLE, "Gone(Unreachable)"),
            ("silence", SILENCE, "CANCEL ×10, Gone(TimedOut)"),
        ],
    );
}

#[test]
fn hung_up() {
    let reach = || Call::ours(Some("offer")).then(&[BYE]);
    state(
        reach,
        &[
            ("180", RINGS, "CANCEL"),
            ("reliable 183", RINGS_RELIABLY, "CANCEL"),
            ("200", ANSWERS, "ACK, BYE"),
            ("486", REFUSES, "ACK"),
            ("401", CHALLENGES, "ACK"),
            ("422", WANTS_LONGER_INTERVAL, "ACK"),
            ("BYE", BYE, "481 BYE"),
            ("re-INVITE", REINVITE, "481 INVITE"),
            ("UPDATE", UPDATE, "481 UPDATE"),
            ("PRACK", WRONG_PRACK, "481 PRACK"),
            ("hang-up", HANG_UP, "–"),
            ("unreachable", UNREACHABLE, "–"),
            ("silence", SILENCE, "INVITE ×6"),
        ],
    );
    let reach = || Call::ours(Some("offer")).then(&[RINGS, BYE]);
    state(reach, &[("180", RINGS, "–"), ("200", ANSWERS, "ACK, BYE"), ("486", REFUSES, "ACK")]);
}

#[test]
fn waiting() {
    let reach = || Call::theirs(&invite_text("z9hG4bK1"));
    state(
        reach,
        &[
            ("ring", RING, "180 INVITE"),
            ("ring with a session", RING_WITH_SESSION, "183 INVITE"),
            ("accept", ACCEPT, "200 INVITE"),
            ("reject", REJECT, "486 INVITE, Gone(Rejected)"),
            ("hang-up", HANG_UP, "480 INVITE, Gone(Rejected)"),
            ("CANCEL", CANCEL, "200 CANCEL, 487 INVITE, Gone(CancelledByPeer)"),
            ("copy of the INVITE", COPY, "100 INVITE"),
            ("silence", SILENCE, "–"),
        ],
    );
}

#[test]
fn ringing() {
    let reach = || Call::theirs(&invite_text("z9hG4bK1")).then(&[RING]);
    state(
        reach,
        &[
            ("ring", RING, "180 INVITE"),
            ("ring with a session", RING_WITH_SESSION, "183 INVITE"),
            ("accept", ACCEPT, "200 INVITE"),
            ("reject", REJECT, "486 INVITE, Gone(Rejected)"),
            ("hang-up", HANG_UP, "480 INVITE, Gone(Rejected)"),
            ("CANCEL", CANCEL, "200 CANCEL, 487 INVITE, Gone(CancelledByPeer)"),
            ("BYE", BYE, "200 BYE, 487 INVITE, Gone(HungUpByPeer)"),
            ("PRACK", WRONG_PRACK, "481 PRACK"),
            ("copy of the INVITE", COPY, "180 INVITE"),
            ("re-INVITE", REINVITE, "500 INVITE"),
            ("UPDATE", UPDATE, "500 UPDATE"),
            ("UPDATE without an offer", BARE_UPDATE, "200 UPDATE"),
            ("silence", SILENCE, "180 INVITE"),
        ],
    );
}

#[test]
fn unacknowledged() {
    let reach = || Call::theirs(&reliable_invite()).then(&[RING]);
    state(
        reach,
        &[
            ("ring", RING, "–"),
            ("ring with a session", RING_WITH_SESSION, "–"),
            ("accept", ACCEPT, "200 INVITE"),
            ("reject", REJECT, "486 INVITE, Gone(Rejected)"),
            ("hang-up", HANG_UP, "480 INVITE, Gone(Rejected)"),
            ("CANCEL", CANCEL, "200 CANCEL, 487 INVITE, Gone(CancelledByPeer)"),
            ("BYE", BYE, "200 BYE, 487 INVITE, Gone(HungUpByPeer)"),
            ("PRACK", PRACK, "200 PRACK"),
            ("copy of the INVITE", COPY, "180 INVITE"),
            ("re-INVITE", REINVITE, "500 INVITE"),
            ("UPDATE", UPDATE, "500 UPDATE"),
            ("UPDATE without an offer", BARE_UPDATE, "200 UPDATE"),
            ("silence", SILENCE, "180 INVITE ×6, 500 INVITE ×11, Gone(NoAck)"),
        ],
    );
}

#[test]
fn unacknowledged_with_a_session() {
    let reach = || Call::theirs(&reliable_invite()).then(&[RING_WITH_SESSION]);
    state(
        reach,
        &[
            ("ring", RING, "–"),
            ("ring with a session", RING_WITH_SESSION, "–"),
            ("accept", ACCEPT, "–"),
            ("reject", REJECT, "486 INVITE, Gone(Rejected)"),
            ("hang-up", HANG_UP, "480 INVITE, Gone(Rejected)"),
            ("CANCEL", CANCEL, "200 CANCEL, 487 INVITE, Gone(CancelledByPeer)"),
            ("BYE", BYE, "200 BYE, 487 INVITE, Gone(HungUpByPeer)"),
            ("PRACK", PRACK, "200 PRACK"),
            ("copy of the INVITE", COPY, "183 INVITE"),
            ("re-INVITE", REINVITE, "500 INVITE"),
            ("UPDATE", UPDATE, "500 UPDATE"),
            ("UPDATE without an offer", BARE_UPDATE, "200 UPDATE"),
            ("silence", SILENCE, "183 INVITE ×6, 500 INVITE ×11, Gone(NoAck)"),
        ],
    );
}

#[test]
fn unacknowledged_with_a_session_and_accepted() {
    let reach = || Call::theirs(&reliable_invite()).then(&[RING_WITH_SESSION, ACCEPT]);
    state(
        reach,
        &[
            ("ring", RING, "–"),
            ("ring with a session", RING_WITH_SESSION, "–"),
            ("accept", ACCEPT, "–"),
            ("reject", REJECT, "486 INVITE, Gone(Rejected)"),
            ("hang-up", HANG_UP, "480 INVITE, Gone(Rejected)"),
            ("CANCEL", CANCEL, "200 CANCEL, 487 INVITE, Gone(CancelledByPeer)"),
            ("BYE", BYE, "200 BYE, 487 INVITE, Gone(HungUpByPeer)"),
            ("PRACK", PRACK, "200 PRACK, 200 INVITE"),
            ("copy of the INVITE", COPY, "183 INVITE"),
            ("re-INVITE", REINVITE, "500 INVITE"),
            ("UPDATE", UPDATE, "500 UPDATE"),
            ("UPDATE without an offer", BARE_UPDATE, "200 UPDATE"),
            ("silence", SILENCE, "183 INVITE ×6, 500 INVITE ×11, Gone(NoAck)"),
        ],
    );
}

#[test]
fn ack_held() {
    let reach = || Call::ours(None).then(&[ANSWERS]);
    state(
        reach,
        &[
            ("acknowledge", ACKNOWLEDGE, "–"),
            ("ACK", ACK, "–"),
            ("BYE", BYE, "200 BYE, ACK, Gone(HungUpByPeer)"),
            ("re-INVITE", REINVITE, "491 INVITE"),
            ("UPDATE", UPDATE, "491 UPDATE"),
            ("UPDATE without an offer", BARE_UPDATE, "200 UPDATE"),
            ("INFO", INFO, "Requested"),
            ("PRACK", WRONG_PRACK, "481 PRACK"),
            ("offer", OFFER, "–"),
            ("answer", ANSWER, "ACK"),
            ("refuse", REFUSE, "ACK, BYE"),
            ("hang-up", HANG_UP, "ACK, BYE"),
            ("200 to our INVITE", ANSWERS, "–"),
            ("491 to our INVITE", MEETS, "–"),
            ("481 to our INVITE", KNOWS_NOTHING, "–"),
            ("486 to our INVITE", REFUSES, "–"),
        ],
    );
}

#[test]
fn awaiting_ack() {
    let reach = || Call::theirs(&invite_text("z9hG4bK1")).then(&[ACCEPT]);
    state(
        reach,
        &[
            ("acknowledge", ACKNOWLEDGE, "–"),
            ("ACK", ACK, "Confirmed"),
            ("BYE", BYE, "200 BYE, Gone(HungUpByPeer)"),
            ("re-INVITE", REINVITE, "Confirmed, Offered"),
            ("UPDATE", UPDATE, "Confirmed, Offered"),
            ("UPDATE without an offer", BARE_UPDATE, "200 UPDATE"),
            ("INFO", INFO, "Requested"),
            ("PRACK", WRONG_PRACK, "481 PRACK"),
            ("offer", OFFER, "–"),
            ("answer", ANSWER, "–"),
            ("refuse", REFUSE, "–"),
            ("hang-up", HANG_UP, "–"),
            ("CANCEL", CANCEL, "200 CANCEL"),
            ("copy of the INVITE", COPY, "–"),
        ],
    );
}

#[test]
fn awaiting_ack_with_the_answer() {
    let reach = || Call::theirs(&late_invite()).then(&[ACCEPT]);
    state(
        reach,
        &[
            ("acknowledge", ACKNOWLEDGE, "–"),
            ("ACK", ACK, "Confirmed"),
            ("BYE", BYE, "200 BYE, Gone(HungUpByPeer)"),
            ("re-INVITE", REINVITE, "491 INVITE"),
            ("UPDATE", UPDATE, "491 UPDATE"),
            ("UPDATE without an offer", BARE_UPDATE, "200 UPDATE"),
            ("INFO", INFO, "Requested"),
            ("PRACK", WRONG_PRACK, "481 PRACK"),
            ("offer", OFFER, "–"),
            ("answer", ANSWER, "–"),
            ("refuse", REFUSE, "–"),
            ("hang-up", HANG_UP, "–"),
        ],
    );
}

#[test]
fn awaiting_ack_and_unwanted() {
    let reach = || Call::theirs(&invite_text("z9hG4bK1")).then(&[ACCEPT, HANG_UP]);
    state(
        reach,
        &[
            ("acknowledge", ACKNOWLEDGE, "–"),
            ("ACK", ACK, "BYE, Confirmed"),
            ("BYE", BYE, "200 BYE, Gone(HungUpByPeer)"),
            ("re-INVITE", REINVITE, "491 INVITE"),
            ("UPDATE", UPDATE, "491 UPDATE"),
            ("UPDATE without an offer", BARE_UPDATE, "200 UPDATE"),
            ("INFO", INFO, "Requested"),
            ("PRACK", WRONG_PRACK, "481 PRACK"),
            ("offer", OFFER, "–"),
            ("answer", ANSWER, "–"),
            ("refuse", REFUSE, "–"),
            ("hang-up", HANG_UP, "–"),
        ],
    );
}

#[test]
fn stable() {
    let reach = || Call::ours(Some("offer")).then(&[ANSWERS]);
    state(
        reach,
        &[
            ("acknowledge", ACKNOWLEDGE, "–"),
            ("ACK", ACK, "–"),
            ("BYE", BYE, "200 BYE, Gone(HungUpByPeer)"),
            ("re-INVITE", REINVITE, "Offered"),
            ("UPDATE", UPDATE, "Offered"),
            ("UPDATE without an offer", BARE_UPDATE, "200 UPDATE"),
            ("INFO", INFO, "Requested"),
            ("PRACK", WRONG_PRACK, "481 PRACK"),
            ("offer", OFFER, "INVITE"),
            ("answer", ANSWER, "–"),
            ("refuse", REFUSE, "–"),
            ("hang-up", HANG_UP, "BYE"),
            ("200 to our INVITE", ANSWERS, "ACK"),
            ("491 to our INVITE", MEETS, "–"),
            ("481 to our INVITE", KNOWS_NOTHING, "–"),
            ("486 to our INVITE", REFUSES, "–"),
        ],
    );
}

#[test]
fn offering() {
    let reach = || Call::ours(Some("offer")).then(&[ANSWERS, OFFER]);
    state(
        reach,
        &[
            ("acknowledge", ACKNOWLEDGE, "–"),
            ("ACK", ACK, "–"),
            ("BYE", BYE, "200 BYE, Gone(HungUpByPeer)"),
            ("re-INVITE", REINVITE, "491 INVITE"),
            ("UPDATE", UPDATE, "491 UPDATE"),
            ("UPDATE without an offer", BARE_UPDATE, "200 UPDATE"),
            ("INFO", INFO, "Requested"),
            ("PRACK", WRONG_PRACK, "481 PRACK"),
            ("offer", OFFER, "–"),
            ("answer", ANSWER, "–"),
            ("refuse", REFUSE, "–"),
            ("hang-up", HANG_UP, "BYE"),
            ("200 to our INVITE", ANSWERS, "ACK, Reanswered"),
            ("491 to our INVITE", MEETS, "ACK"),
            ("481 to our INVITE", KNOWS_NOTHING, "ACK, Gone(SessionExpired)"),
            ("486 to our INVITE", REFUSES, "ACK, ReofferRefused"),
        ],
    );
}

#[test]
fn backing_off() {
    let reach = || Call::ours(Some("offer")).then(&[ANSWERS, OFFER, MEETS]);
    state(
        reach,
        &[
            ("acknowledge", ACKNOWLEDGE, "–"),
            ("ACK", ACK, "–"),
            ("BYE", BYE, "200 BYE, Gone(HungUpByPeer)"),
            ("re-INVITE", REINVITE, "Offered"),
            ("UPDATE", UPDATE, "Offered"),
            ("UPDATE without an offer", BARE_UPDATE, "200 UPDATE"),
            ("INFO", INFO, "Requested"),
            ("PRACK", WRONG_PRACK, "481 PRACK"),
            ("offer", OFFER, "–"),
            ("answer", ANSWER, "–"),
            ("refuse", REFUSE, "–"),
            ("hang-up", HANG_UP, "BYE"),
            ("200 to our INVITE", ANSWERS, "–"),
            ("491 to our INVITE", MEETS, "ACK"),
            ("481 to our INVITE", KNOWS_NOTHING, "ACK"),
            ("486 to our INVITE", REFUSES, "ACK"),
        ],
    );
}

#[test]
fn answering() {
    let reach = || Call::ours(Some("offer")).then(&[ANSWERS, REINVITE]);
    state(
        reach,
        &[
            ("acknowledge", ACKNOWLEDGE, "–"),
            ("ACK", ACK, "–"),
            ("BYE", BYE, "200 BYE, 487 INVITE, Gone(HungUpByPeer)"),
            ("re-INVITE", REINVITE, "500 INVITE"),
            ("UPDATE", UPDATE, "500 UPDATE"),
            ("UPDATE without an offer", BARE_UPDATE, "200 UPDATE"),
            ("INFO", INFO, "Requested"),
            ("PRACK", WRONG_PRACK, "481 PRACK"),
            ("offer", OFFER, "–"),
            ("answer", ANSWER, "200 INVITE"),
            ("refuse", REFUSE, "488 INVITE"),
            ("hang-up", HANG_UP, "487 INVITE, BYE"),
            ("200 to our INVITE", ANSWERS, "ACK"),
            ("491 to our INVITE", MEETS, "–"),
            ("481 to our INVITE", KNOWS_NOTHING, "–"),
            ("486 to our INVITE", REFUSES, "–"),
        ],
    );
}

#[test]
fn ending() {
    let reach = || Call::ours(Some("offer")).then(&[ANSWERS, HANG_UP]);
    state(
        reach,
        &[
            ("acknowledge", ACKNOWLEDGE, "–"),
            ("ACK", ACK, "–"),
            ("BYE", BYE, "200 BYE, Gone(HungUp)"),
            ("re-INVITE", REINVITE, "481 INVITE"),
            ("UPDATE", UPDATE, "481 UPDATE"),
            ("UPDATE without an offer", BARE_UPDATE, "481 UPDATE"),
            ("INFO", INFO, "481 INFO"),
            ("PRACK", WRONG_PRACK, "481 PRACK"),
            ("offer", OFFER, "–"),
            ("answer", ANSWER, "–"),
            ("refuse", REFUSE, "–"),
            ("hang-up", HANG_UP, "–"),
            ("200 to our INVITE", ANSWERS, "ACK"),
            ("491 to our INVITE", MEETS, "–"),
            ("481 to our INVITE", KNOWS_NOTHING, "–"),
            ("486 to our INVITE", REFUSES, "–"),
            ("200 to our BYE", ANSWERS_BYE, "Gone(HungUp)"),
        ],
    );
}
