//! What each event does in each state of an INVITE usage: the tables in the documentation of its machines, played cell by
//! cell. A cell says what is sent (requests by method, responses by status and method) and then what the user hears; `×`
//! counts copies; – is nothing; `cannot` is what has no meaning there.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod by_hand;

use by_hand::{
    Element, config, identity, invite_text, new_invite, prack_of, reliable_to, request_text, response_to,
    udp, with_fields,
};
use sip_core::{Config, Event, GoneCause, InviteEvent, InviteId, NewInvite};
use sip_message::{FieldName, Message, Method, Request, StatusCode};
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
        Self::ours_of(Element::new(), offer)
    }

    fn ours_with_held_ack() -> Self {
        Self::ours_of(Element::with(Config { holds_ack: true, ..config() }), Some("offer"))
    }

    fn ours_of(mut element: Element, offer: Option<&str>) -> Self {
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
        Event::Invite { event: InviteEvent::Gone(gone), .. } => {
            if let GoneCause::Refused { status } = gone.cause {
                format!("Gone(Refused {})", status.code())
            } else {
                format!("Gone({:?})", gone.cause)
            }
        }
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
/// Of our last reliable provisional response; when there is none, of nothing.
const PRACK: Deed = |call| {
    let last = call.element.responses().last().copied().cloned();
    match last.filter(|last| last.header.fields.get(&FieldName::RSEQ).is_some()) {
        Some(reliable) => {
            call.cseq += 1;
            call.element.receive(prack_of(&reliable, call.cseq, ""));
        }
        None => call.request("PRACK", ""),
    }
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

/// What each row of the tables stands for.
const EVENTS: [(&str, Deed); 31] = [
    ("180", RINGS),
    ("reliable 183", RINGS_RELIABLY),
    ("200", ANSWERS),
    ("401", CHALLENGES),
    ("422", WANTS_LONGER_INTERVAL),
    ("486", REFUSES),
    ("BYE", BYE),
    ("re-INVITE", REINVITE),
    ("UPDATE", UPDATE),
    ("UPDATE without an offer", BARE_UPDATE),
    ("INFO", INFO),
    ("PRACK", PRACK),
    ("ACK", ACK),
    ("CANCEL", CANCEL),
    ("copy of the INVITE", COPY),
    ("ring", RING),
    ("ring with a session", RING_WITH_SESSION),
    ("accept", ACCEPT),
    ("reject", REJECT),
    ("hang-up", HANG_UP),
    ("offer", OFFER),
    ("answer", ANSWER),
    ("refuse", REFUSE),
    ("acknowledge", ACKNOWLEDGE),
    ("200 to our INVITE", ANSWERS),
    ("481 to our INVITE", KNOWS_NOTHING),
    ("486 to our INVITE", REFUSES),
    ("491 to our INVITE", MEETS),
    ("200 to our BYE", ANSWERS_BYE),
    ("unreachable", UNREACHABLE),
    ("silence", SILENCE),
];

/// How each column of the tables is reached.
type State = (&'static str, fn() -> Call);

#[test]
fn each_cell_of_outgoing_is_what_the_machine_does() {
    let states: [State; 6] = [
        ("calling", || Call::ours(Some("offer"))),
        ("proceeding", || Call::ours(Some("offer")).then(&[RINGS])),
        ("unwanted", || Call::ours(Some("offer")).then(&[HANG_UP])),
        ("cancelling", || Call::ours(Some("offer")).then(&[RINGS, HANG_UP])),
        ("hung_up", || Call::ours(Some("offer")).then(&[BYE])),
        ("hung_up_and_cancelled", || Call::ours(Some("offer")).then(&[RINGS, BYE])),
    ];
    hold(include_str!("../src/invite/outgoing.rs"), &states);
}

#[test]
fn each_cell_of_incoming_is_what_the_machine_does() {
    let states: [State; 5] = [
        ("waiting", || Call::theirs(&invite_text("z9hG4bK1"))),
        ("ringing", || Call::theirs(&invite_text("z9hG4bK1")).then(&[RING])),
        ("unacknowledged", || Call::theirs(&reliable_invite()).then(&[RING])),
        ("unacknowledged_with_a_session", || Call::theirs(&reliable_invite()).then(&[RING_WITH_SESSION])),
        ("unacknowledged_with_a_session_and_accepted", || {
            Call::theirs(&reliable_invite()).then(&[RING_WITH_SESSION, ACCEPT])
        }),
    ];
    hold(include_str!("../src/invite/incoming.rs"), &states);
}

#[test]
fn each_cell_of_established_is_what_the_machine_does() {
    let states: [State; 11] = [
        ("ack_held", || Call::ours(None).then(&[ANSWERS])),
        ("ack_held_for_the_user", || Call::ours_with_held_ack().then(&[ANSWERS])),
        ("awaiting_ack", || Call::theirs(&invite_text("z9hG4bK1")).then(&[ACCEPT])),
        ("awaiting_ack_with_the_answer", || Call::theirs(&late_invite()).then(&[ACCEPT])),
        ("awaiting_ack_and_unwanted", || Call::theirs(&invite_text("z9hG4bK1")).then(&[ACCEPT, HANG_UP])),
        ("awaiting_ack_again", || {
            Call::theirs(&invite_text("z9hG4bK1")).then(&[ACCEPT, ACK, REINVITE, ANSWER])
        }),
        ("stable", || Call::ours(Some("offer")).then(&[ANSWERS])),
        ("offering", || Call::ours(Some("offer")).then(&[ANSWERS, OFFER])),
        ("backing_off", || Call::ours(Some("offer")).then(&[ANSWERS, OFFER, MEETS])),
        ("answering", || Call::ours(Some("offer")).then(&[ANSWERS, REINVITE])),
        ("ending", || Call::ours(Some("offer")).then(&[ANSWERS, HANG_UP])),
    ];
    hold(include_str!("../src/invite/established.rs"), &states);
}

/// Plays each event of the table in each of its states, and compares what is done with the cell.
fn hold(source: &str, states: &[State]) {
    let table = table(source);
    let (head, rows) = table.split_first().expect("a table");
    let columns: Vec<_> = head[1..].iter().map(|name| name.trim_matches('`')).collect();
    assert_eq!(columns, states.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let mut wrong = Vec::new();
    for row in rows {
        assert_eq!(row.len(), head.len(), "{row:?}");
        let event = row[0].trim_matches('`');
        let (_, deed) =
            EVENTS.iter().find(|(name, _)| *name == event).unwrap_or_else(|| panic!("no {event}"));
        for ((state, reach), cell) in states.iter().zip(&row[1..]).filter(|(_, cell)| **cell != "cannot") {
            let found = play(reach(), *deed, &format!("{event} in {state}"));
            if found != *cell {
                wrong.push(format!("{event} in {state}: {found}, not {cell}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the event brings about. Whatever it is, the call ends, once, and leaves nothing.
fn play(mut call: Call, deed: Deed, name: &str) -> String {
    let (sent, heard) = (call.element.sent.len(), call.element.events.len());
    deed(&mut call);
    call.element.collect();
    let found = summary(&call.element, sent, heard);
    call.element.hang_up(call.id, None);
    let time = call.element.pass_all();
    assert!(time <= Duration::from_secs(32 + 32 + 5), "{name} leaves something for {time:?}");
    assert_eq!(call.element.endpoint.counts(), (0, 0), "{name} leaves something");
    assert!(call.element.gone().is_some(), "{name} does not end");
    found
}

/// The cells of the table in the documentation of a machine, row by row.
fn table(source: &str) -> Vec<Vec<&str>> {
    let rows = source.lines().filter_map(|line| line.strip_prefix("/// | "));
    rows.map(|row| row.trim_end_matches(" |").split(" | ").collect()).collect()
}

#[test]
fn each_event_is_a_row_of_some_table() {
    let sources = [
        include_str!("../src/invite/outgoing.rs"),
        include_str!("../src/invite/incoming.rs"),
        include_str!("../src/invite/established.rs"),
    ];
    let rows: Vec<_> = sources.iter().flat_map(|source| table(source)).map(|row| row[0]).collect();
    for (name, _) in EVENTS {
        assert!(rows.contains(&&*format!("`{name}`")), "{name} stands in no table");
    }
}
