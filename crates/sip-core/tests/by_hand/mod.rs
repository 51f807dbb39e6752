//! One endpoint whose peer is played by hand, in simulated time.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

#[path = "../limit/mod.rs"]
mod limit;

use sip_core::digest::Identity;
use sip_core::{
    Action, Command, Config, Endpoint, Event, Flow, Gone, Incoming, InviteEvent, InviteId, NewInvite, Reach,
    Responder, SavedInvite, Served, Timers, Transport,
};
use sip_message::{
    CallId, FieldName, Host, Message, Method, NameAddr, Reason, Request, Response, SipUri, StatusCode,
};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Everything that an endpoint did, with the time at which it did it.
pub(crate) struct Element {
    pub(crate) endpoint: Endpoint,
    invites: u64,
    /// Call-IDs of INVITEs.
    announced: HashSet<CallId>,
    start: Instant,
    pub(crate) now: Instant,
    pub(crate) sent: Vec<(Duration, Flow, Message)>,
    pub(crate) events: Vec<Event>,
}

pub(crate) const PEER: &str = "192.0.2.9:5070";

pub(crate) fn flow(transport: Transport) -> Flow {
    Flow { transport, local: "192.0.2.1:5060".parse().unwrap(), remote: PEER.parse().unwrap(), peer: None }
}

pub(crate) fn udp() -> Flow {
    flow(Transport::Udp)
}

pub(crate) fn config() -> Config {
    Config {
        user_agent: "element".into(),
        timers: Timers::default(),
        passes_to_user: vec![Method::INFO],
        serves: vec![
            Method::INVITE.into(),
            Method::OPTIONS.into(),
            Served { method: Method::REGISTER, options: vec!["path".into()] },
        ],
        transactions_max: 1_000,
        ..Config::default()
    }
}

pub(crate) fn new_invite(flow: Flow) -> NewInvite {
    let uri = |user| SipUri::new(Some(user), Host::new("example.com").unwrap(), None);
    NewInvite {
        flow,
        uri: SipUri::at(Some("bob"), flow.remote).into(),
        from: NameAddr::new(uri("alice")),
        to: NameAddr::new(uri("bob")),
        contact_user: Some("alice".into()),
        route: Vec::new(),
        fields: Vec::new(),
        offer: Some(b"offer".to_vec()),
        credentials: None,
        reach: Reach::AlongFlow,
        waits: false,
        max_forwards: None,
    }
}

pub(crate) fn identity() -> Option<Identity> {
    Some(Identity::new("alice", "secret"))
}

/// An INVITE of the peer: call 1, tag `p`, CSeq 1.
pub(crate) fn invite_text(branch: &str) -> String {
    format!(
        "INVITE sip:alice@192.0.2.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP {PEER};branch={branch};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:bob@example.com>;tag=p\r\nTo: <sip:alice@example.com>\r\nCall-ID: 1\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:bob@{PEER}>\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\noffer"
    )
}

/// Moments at which timers fire while a test lets time pass.
const FIRED_MAX: usize = 10_000;

impl Element {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: Config) -> Self {
        limit::give_up_in_the_end();
        let start = Instant::now();
        let endpoint = Endpoint::new(config, [3; 32]);
        Self {
            endpoint,
            invites: 0,
            announced: HashSet::new(),
            start,
            now: start,
            sent: Vec::new(),
            events: Vec::new(),
        }
    }

    pub(crate) fn receive(&mut self, octets: impl AsRef<[u8]>) {
        self.receive_along(octets, udp());
    }

    pub(crate) fn receive_along(&mut self, octets: impl AsRef<[u8]>, flow: Flow) {
        self.endpoint.handle_octets(octets.as_ref(), flow, self.now);
        self.collect();
    }

    /// Lets time pass, each timer at its own moment.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut fired = 0;
        while let Some(due) = self.endpoint.poll_timeout().filter(|due| *due <= end) {
            fired += 1;
            assert!(fired <= FIRED_MAX, "time stands still");
            self.now = self.now.max(due);
            self.endpoint.handle_timeout(self.now);
            self.collect();
        }
        self.now = end;
    }

    /// Lets time pass until no timer runs, and says how long that was.
    pub(crate) fn pass_all(&mut self) -> Duration {
        let before = self.now;
        let mut passes = 0;
        while let Some(due) = self.endpoint.poll_timeout() {
            passes += 1;
            assert!(passes <= FIRED_MAX, "time stands still");
            assert!(due - before < Duration::from_mins(30), "it never ends");
            self.pass(due.saturating_duration_since(self.now));
        }
        self.now - before
    }

    pub(crate) fn collect(&mut self) {
        while let Some(action) = self.endpoint.poll_action() {
            match action {
                Action::Send { flow, octets } => {
                    let message = Message::parse(&octets)
                        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&octets)));
                    self.check_announced(&message);
                    self.sent.push((self.now - self.start, flow, message));
                }
                Action::Event(Event::Invite { event: InviteEvent::Sent { call_id }, .. }) => {
                    assert!(self.announced.insert(call_id), "an INVITE was announced twice");
                }
                Action::Event(event) => self.events.push(event),
            }
        }
    }

    /// Whoever records messages by their Call-ID knows that of an INVITE before its octets.
    fn check_announced(&self, message: &Message) {
        if let Message::Request(request) = message
            && request.method == Method::INVITE
        {
            let is_ours = request.header.to.tag().is_none();
            assert!(!is_ours || self.announced.contains(&request.header.call_id), "{request:?}");
        }
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.endpoint.handle_command(command, self.now);
        self.collect();
    }

    /// The name of another usage.
    pub(crate) fn next_id(&mut self) -> InviteId {
        self.invites += 1;
        InviteId(self.invites)
    }

    pub(crate) fn invite(&mut self, new: NewInvite) -> InviteId {
        let invite = self.next_id();
        self.command(Command::Invite { invite, new: Box::new(new) });
        invite
    }

    pub(crate) fn take_last(&mut self) -> InviteId {
        self.take_last_from(Reach::AlongFlow)
    }

    pub(crate) fn take_last_from(&mut self, reach: Reach) -> InviteId {
        let incoming = Box::new(self.incoming());
        let invite = self.next_id();
        self.command(Command::Take { invite, incoming, reach, credentials: None });
        invite
    }

    pub(crate) fn ring(&mut self, invite: InviteId, status: StatusCode, body: Option<Vec<u8>>) {
        self.command(Command::Ring { invite, status, body });
    }

    pub(crate) fn accept(&mut self, invite: InviteId, body: impl Into<Vec<u8>>) {
        self.command(Command::Accept { invite, body: body.into() });
    }

    pub(crate) fn reject(&mut self, invite: InviteId, status: StatusCode) {
        self.command(Command::Reject { invite, status, fields: Vec::new() });
    }

    pub(crate) fn hang_up(&mut self, invite: InviteId, reason: Option<Reason>) {
        self.command(Command::HangUp { invite, reason });
    }

    pub(crate) fn offer(&mut self, invite: InviteId, body: impl Into<Vec<u8>>) {
        self.command(Command::Offer { invite, body: body.into() });
    }

    pub(crate) fn answer_offer(&mut self, invite: InviteId, body: impl Into<Vec<u8>>) {
        self.command(Command::AnswerOffer { invite, body: body.into() });
    }

    pub(crate) fn refuse_offer(&mut self, invite: InviteId, status: StatusCode) {
        self.command(Command::RefuseOffer { invite, status });
    }

    pub(crate) fn acknowledge(&mut self, invite: InviteId) {
        self.command(Command::Acknowledge { invite });
    }

    /// An INFO in the dialog.
    pub(crate) fn inform(&mut self, invite: InviteId, content_type: &str, body: impl Into<Vec<u8>>) {
        let (content_type, body) = (content_type.into(), body.into());
        let fields = Vec::new();
        self.command(Command::Request { invite, method: Method::INFO, fields, content_type, body });
    }

    pub(crate) fn respond_in_dialog(&mut self, responder: Responder, status: StatusCode) {
        self.command(Command::Respond { responder, status, fields: Vec::new() });
    }

    pub(crate) fn end_saved(&mut self, saved: &SavedInvite, reason: Option<Reason>) -> InviteId {
        let invite = self.next_id();
        self.command(Command::EndSaved { invite, saved: saved.clone(), reason });
        invite
    }

    /// The request that was handed up last.
    pub(crate) fn incoming(&mut self) -> Incoming {
        match self.events.pop() {
            Some(Event::Request(incoming)) => incoming,
            other => panic!("{other:?} instead of a request"),
        }
    }

    pub(crate) fn requests(&self, method: &Method) -> Vec<&Request> {
        let requests = self.sent.iter().filter_map(|(_, _, message)| match message {
            Message::Request(request) => Some(request),
            Message::Response(_) => None,
        });
        requests.filter(|request| request.method == *method).collect()
    }

    pub(crate) fn responses(&self) -> Vec<&Response> {
        let responses = self.sent.iter().filter_map(|(_, _, message)| match message {
            Message::Request(_) => None,
            Message::Response(response) => Some(response),
        });
        responses.collect()
    }

    pub(crate) fn statuses(&self) -> Vec<u16> {
        self.responses().iter().map(|response| response.status.code()).collect()
    }

    pub(crate) fn last_response(&self) -> &Response {
        self.responses().last().copied().expect("a response was sent")
    }

    pub(crate) fn last_request(&self, method: &Method) -> &Request {
        self.requests(method).last().copied().unwrap_or_else(|| panic!("no {method} was sent"))
    }

    /// When each message was sent, in milliseconds.
    pub(crate) fn times(&self) -> Vec<u128> {
        self.sent.iter().map(|(time, _, _)| time.as_millis()).collect()
    }

    pub(crate) fn milliseconds(&self) -> u128 {
        (self.now - self.start).as_millis()
    }

    pub(crate) fn invite_events(&self) -> Vec<&InviteEvent> {
        let events = self.events.iter().filter_map(|event| match event {
            Event::Invite { event, .. } => Some(event),
            Event::Request(_) | Event::Response { .. } => None,
        });
        events.collect()
    }

    /// The end of the only usage, told once and last.
    pub(crate) fn gone(&self) -> Option<&Gone> {
        let events = self.invite_events();
        let count = events.iter().filter(|event| matches!(event, InviteEvent::Gone(_))).count();
        match events.last() {
            Some(InviteEvent::Gone(gone)) => {
                assert_eq!(count, 1);
                Some(gone)
            }
            _ => {
                assert_eq!(count, 0, "something came behind Gone");
                None
            }
        }
    }

    /// The peer's response to a request of ours, with that To tag.
    pub(crate) fn respond(&mut self, request: &Request, status: u16, tag: &str, body: &str) {
        self.receive(response_to(request, status, tag, body));
    }

    /// A request of the peer in the dialog of an INVITE: mirrors From and To of `ours`, a request of ours.
    pub(crate) fn request_in_dialog_of(
        &mut self,
        ours: &Request,
        method: &str,
        tag: &str,
        cseq: u32,
        body: &str,
    ) {
        let local = ours.header.from.tag().unwrap().to_owned();
        let call_id = ours.header.call_id.0.to_string();
        self.receive(request_text(method, &call_id, tag, &local, cseq, body));
    }
}

pub(crate) fn response_to(request: &Request, status: u16, tag: &str, body: &str) -> Vec<u8> {
    let mut response = request.response(StatusCode::new(status).unwrap());
    if status > 100 && response.header.to.tag().is_none() {
        response.header.to = response.header.to.with_tag(tag);
    }
    if request.method == Method::INVITE && status < 300 {
        let contact = NameAddr::new(SipUri::at(Some("bob"), PEER.parse::<SocketAddr>().unwrap()));
        response.header.contact = Some(sip_message::Contacts::List(vec![contact]));
    }
    if matches!(status, 401 | 407) {
        let value = "Digest realm=\"r\", nonce=\"n\", algorithm=MD5, qop=\"auth\"";
        let field = if status == 401 { FieldName::WWW_AUTHENTICATE } else { FieldName::PROXY_AUTHENTICATE };
        response.header.fields.push(field, value);
    }
    if !body.is_empty() {
        response.set_body("application/sdp", body.as_bytes().to_vec());
    }
    response.print()
}

/// The peer's reliable provisional response to our INVITE.
pub(crate) fn reliable_to(request: &Request, status: u16, tag: &str, rseq: u32, body: &str) -> String {
    with_fields(response_to(request, status, tag, body), &format!("Require: 100rel\r\nRSeq: {rseq}\r\n"))
}

/// With further header fields, each with its line end.
pub(crate) fn with_fields(message: impl AsRef<[u8]>, fields: &str) -> String {
    let text = std::str::from_utf8(message.as_ref()).unwrap();
    text.replacen("Content-", &format!("{fields}Content-"), 1)
}

/// The peer's PRACK of the last reliable provisional response that we sent it.
pub(crate) fn prack_of(response: &Response, cseq: u32, body: &str) -> String {
    let rseq = response.header.fields.get(&FieldName::RSEQ).unwrap();
    let local = response.header.to.tag().unwrap();
    let rack = format!("RAck: {rseq} {} INVITE\r\nMax-Forwards", response.header.cseq.number);
    request_text("PRACK", "1", "p", local, cseq, body).replace("Max-Forwards", &rack)
}

/// A request of the peer in a dialog.
pub(crate) fn request_text(
    method: &str,
    call_id: &str,
    tag: &str,
    local: &str,
    cseq: u32,
    body: &str,
) -> String {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:alice@192.0.2.1:5060 SIP/2.0\r\n\
         Via: SIP/2.0/UDP {PEER};branch=z9hG4bK{method}{tag}{cseq};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:bob@example.com>;tag={tag}\r\nTo: <sip:alice@example.com>;tag={local}\r\n\
         Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:bob@{PEER}>\r\n{kind}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
