//! A phone whose part in a call the story itself plays, message by message, and which does not know the project's SIP.
//!
//! By itself it registers, rings, answers what it is asked (offers, OPTIONS, INFO, BYE …) as a plain phone would, and
//! acknowledges. A story lets it ask for more ([`ByHand::ask`]), answer otherwise ([`ByHand::next_time`]), and looks
//! at what it received. It repeats nothing: stories with it have a network that loses nothing.

mod messages;
mod said;
mod voice;

pub use said::{Read, Said};

use crate::{Algorithm, SipText, digest};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use test_phone::{Counts, HandsetAction, Heard, PhoneEvent, Stream};
use voice::Voice;

/// A phone played by hand.
pub struct ByHand {
    user: String,
    password: String,
    domain: String,
    /// Where it is.
    pub sip: SocketAddr,
    /// Where it hears.
    pub rtp: SocketAddr,
    /// Says this in Contact instead of where it is.
    pub contact: Option<SocketAddr>,
    /// Sends from there, as phones of old do, instead of where it is; asks for no `rport` then (RFC 3581).
    pub sends_from: Option<SocketAddr>,
    /// What it wants of its audio.
    pub said: Said,
    /// Calls without an offer, and answers that of the 200 in its ACK.
    pub asks_for_offer: bool,
    /// The Allow line of its answers to INVITEs.
    pub allows: &'static str,
    /// What it says in the place of an answer to an INVITE.
    pub answers_with: Option<&'static str>,
    /// What its ACK has in the place of that answer.
    pub late_answer: Option<&'static str>,
    /// Rings for so long before it answers; for ever when absent.
    pub answers_after: Option<Duration>,
    server: SocketAddr,
    hertz: f64,
    sequence: u32,
    version: u64,
    dialog: Option<Dialog>,
    answer_due: Option<Instant>,
    otherwise: VecDeque<(String, Otherwise)>,
    received: Vec<SipText>,
    voice: Option<Voice>,
    actions: VecDeque<HandsetAction>,
    /// It never registers.
    is_stranger: bool,
}

/// How a request is answered, once but for `Silence`, instead of as usual.
#[derive(Debug, Clone)]
pub enum Otherwise {
    /// By this status line and these header lines, each with its line end.
    With(&'static str, &'static str),
    /// As usual, with these header lines added.
    And(&'static str),
    /// By 200 without a body.
    WithoutBody,
    /// Not at all, nor are its copies and those that follow.
    Silence,
}

/// A call.
struct Dialog {
    call_id: String,
    /// From and To of requests of ours.
    local: String,
    remote: String,
    /// Their Contact.
    target: String,
    invite: SipText,
    /// Our INVITE that made no offer is under way.
    asked_for_offer: bool,
}

impl ByHand {
    pub(super) fn new(
        (user, password, domain): (&str, &str, &str),
        (sip, rtp, server): (SocketAddr, SocketAddr, SocketAddr),
        hertz: f64,
    ) -> Self {
        let mut phone = Self::unregistered((user, password, domain), (sip, rtp, server), hertz);
        phone.is_stranger = false;
        phone.register("");
        phone
    }

    /// The same, of which no registrar knows: what a carrier calls from.
    pub(super) fn unregistered(
        (user, password, domain): (&str, &str, &str),
        (sip, rtp, server): (SocketAddr, SocketAddr, SocketAddr),
        hertz: f64,
    ) -> Self {
        Self {
            user: user.to_owned(),
            password: password.to_owned(),
            domain: domain.to_owned(),
            sip,
            rtp,
            contact: None,
            sends_from: None,
            said: Said::default(),
            asks_for_offer: false,
            allows: "",
            answers_with: None,
            late_answer: None,
            answers_after: Some(Duration::from_secs(1)),
            server,
            hertz,
            sequence: 0,
            version: 0,
            dialog: None,
            answer_due: None,
            otherwise: VecDeque::new(),
            received: Vec::new(),
            voice: None,
            actions: VecDeque::new(),
            is_stranger: true,
        }
    }

    /// Calls: this Request-URI, and these header lines, From and To among them.
    pub fn call(&mut self, uri: &str, lines: &str, _: Instant) {
        self.sequence += 1;
        let field = |name: &str| {
            let line = lines.split("\r\n").find_map(|line| line.strip_prefix(&format!("{name}: ")));
            line.unwrap_or_default().to_owned()
        };
        let (call_id, sequence) = (format!("call-{}", self.sequence), self.sequence);
        let body = if self.asks_for_offer { String::new() } else { self.description_of(&self.said.clone()) };
        let text = self.first_invite(uri, lines, &call_id, sequence, &body);
        self.voice = None;
        self.dialog = Some(Dialog {
            call_id,
            local: field("From"),
            remote: field("To"),
            target: uri.to_owned(),
            invite: SipText::new(&text),
            asked_for_offer: self.asks_for_offer,
        });
        self.send(&text);
    }

    /// The header line that answers the last challenge to its calls, for this Request-URI.
    ///
    /// # Panics
    /// When it was not challenged.
    pub fn proof(&self, uri: &str, username: &str, password: &str) -> String {
        self.proof_of("INVITE", uri, (username, password))
    }

    fn proof_of(&self, method: &str, uri: &str, credentials: (&str, &str)) -> String {
        let answers = self.answers(method);
        let mut challenges = answers.iter().rev().flat_map(|answer| answer.fields("WWW-Authenticate"));
        let challenge = challenges.find(|value| value.contains("MD5")).expect("a challenge");
        let proof = digest::authorization(Algorithm::Md5, challenge, credentials, (method, uri));
        format!("Authorization: {proof}\r\n")
    }

    pub(super) const fn registers(&self) -> bool {
        !self.is_stranger
    }

    /// Answers the next request of this method otherwise.
    pub fn next_time(&mut self, method: &str, otherwise: Otherwise) {
        self.otherwise.push_back((method.to_owned(), otherwise));
    }

    /// Answers requests of this method as usual again.
    pub fn as_usual(&mut self, method: &str) {
        self.otherwise.retain(|(which, _)| which != method);
    }

    /// Sends a request in the dialog, with these header lines and this body (of this type).
    pub fn ask(&mut self, method: &str, lines: &str, (kind, body): (&str, &str)) {
        let Some(dialog) = &mut self.dialog else { return };
        self.sequence += 1;
        dialog.asked_for_offer = method == "INVITE" && body.is_empty();
        let lines =
            if body.is_empty() { lines.to_owned() } else { format!("{lines}Content-Type: {kind}\r\n") };
        let request = self.request(method, self.sequence, &lines, body);
        self.send(&request);
    }

    /// Sends once more, as this user, what was challenged in the dialog.
    ///
    /// # Panics
    /// When it was not challenged.
    pub fn ask_as(&mut self, credentials: (&str, &str), method: &str, lines: &str) {
        let Some(dialog) = &self.dialog else { return };
        let proof = self.proof_of(method, &dialog.target, credentials);
        self.ask(method, &format!("{lines}{proof}"), ("", ""));
    }

    /// Offers what it says of its audio from now on, by INVITE or UPDATE.
    pub fn offer(&mut self, method: &str, said: Said) {
        self.said = said;
        let body = self.description_of(&self.said.clone());
        self.ask(method, "", ("application/sdp", &body));
    }

    /// What it received, oldest first.
    pub fn received(&self) -> &[SipText] {
        &self.received
    }

    /// Requests of this method, in their order.
    pub fn requests(&self, method: &str) -> Vec<&SipText> {
        self.received.iter().filter(|message| message.method() == Some(method)).collect()
    }

    /// Final responses to its requests of this method, in their order.
    pub fn answers(&self, method: &str) -> Vec<&SipText> {
        let is_answer = |message: &&SipText| {
            message.status().is_some_and(|status| status >= 200)
                && message.field("CSeq").is_some_and(|cseq| cseq.ends_with(method))
        };
        self.received.iter().filter(is_answer).collect()
    }

    /// The newest description that it was told.
    pub fn told(&self) -> Option<Read> {
        self.received.iter().rev().find_map(|message| Read::new(message.body()))
    }

    /// What it has heard in its call, or in the last one.
    pub fn heard(&self) -> Option<&Heard> {
        self.voice.as_ref().map(Voice::heard)
    }

    /// Packets that it has heard.
    pub fn counts(&self) -> Option<&Counts> {
        self.voice.as_ref().map(Voice::counts)
    }

    /// Whether it has a call.
    pub fn is_in_call(&self) -> bool {
        self.dialog.is_some()
    }

    pub(super) fn handle_sip(&mut self, octets: &[u8], now: Instant) {
        let message = SipText::new(&String::from_utf8_lossy(octets));
        self.received.push(message.clone());
        match (message.method(), message.status()) {
            (Some(method), _) => self.handle_request(method, &message, now),
            (None, Some(status)) if status >= 200 => self.handle_final(status, &message, now),
            (None, _) => {}
        }
    }

    pub(super) fn handle_rtp(&mut self, octets: &[u8], from: SocketAddr, now: Instant) {
        if let Some(voice) = &mut self.voice {
            voice.hear(octets, from, now);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let voice = self.voice.as_ref().filter(|_| self.dialog.is_some()).map(Voice::due);
        self.answer_due.into_iter().chain(voice).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.answer_due.is_some_and(|due| due <= now) {
            self.answer_due = None;
            self.answer_call(now);
        }
        if self.dialog.is_none() {
            return;
        }
        while let Some((to, octets)) = self.voice.as_mut().and_then(|voice| voice.packet(now)) {
            self.actions.push_back(HandsetAction::Rtp { to, octets });
        }
    }

    pub(super) fn poll_action(&mut self) -> Option<HandsetAction> {
        self.actions.pop_front()
    }

    fn handle_request(&mut self, method: &str, request: &SipText, now: Instant) {
        if method == "ACK" {
            return self.learn(request, now);
        }
        let position = self.otherwise.iter().position(|(which, _)| which == method);
        let otherwise = position.map(|position| self.otherwise[position].1.clone());
        if let Some(position) = position.filter(|_| !matches!(otherwise, Some(Otherwise::Silence))) {
            self.otherwise.remove(position);
        }
        let is_first = method == "INVITE" && !request.field("To").unwrap_or_default().contains("tag=");
        // One that it refuses while it talks changes nothing.
        let before =
            if is_first { self.dialog.take().map(|dialog| (dialog, self.voice.take())) } else { None };
        if is_first {
            self.open(request);
        }
        match otherwise {
            Some(Otherwise::Silence) => {}
            Some(Otherwise::With(status, lines)) => {
                self.respond(request, status, lines, "");
                if is_first {
                    let (dialog, voice) =
                        before.map_or((None, None), |(dialog, voice)| (Some(dialog), voice));
                    (self.dialog, self.voice) = (dialog, voice);
                }
            }
            Some(Otherwise::WithoutBody) => self.respond(request, "200 OK", "", ""),
            Some(Otherwise::And(lines)) => self.respond_as_usual(method, request, lines, now),
            None if is_first => {
                self.respond(request, "180 Ringing", "", "");
                self.answer_due = self.answers_after.map(|after| now + after);
            }
            None => self.respond_as_usual(method, request, "", now),
        }
    }

    fn respond_as_usual(&mut self, method: &str, request: &SipText, lines: &str, now: Instant) {
        match method {
            "INVITE" | "UPDATE" => {
                let answer = match Read::new(request.body()) {
                    Some(_) if self.answers_with.is_some() => {
                        self.answers_with.unwrap_or_default().to_owned()
                    }
                    Some(offer) => self.description_of(&offer.answered_by(&self.said)),
                    None if method == "INVITE" => self.description_of(&self.said.clone()),
                    None => String::new(),
                };
                let lines = format!("{lines}{}", self.allows);
                self.respond(request, "200 OK", &lines, &answer);
                self.learn(request, now);
            }
            "CANCEL" => {
                self.respond(request, "200 OK", lines, "");
                self.answer_due = None;
                if let Some(dialog) = self.dialog.take() {
                    self.respond(&dialog.invite, "487 Request Terminated", "", "");
                }
            }
            "BYE" => {
                self.respond(request, "200 OK", lines, "");
                self.dialog = None;
            }
            _ => self.respond(request, "200 OK", lines, ""),
        }
    }

    /// Answers the call that rings.
    pub fn answer_call(&mut self, now: Instant) {
        let Some(dialog) = &self.dialog else { return };
        let invite = dialog.invite.clone();
        self.respond_as_usual("INVITE", &invite, "", now);
    }

    /// Refuses the call that rings.
    pub fn refuse_call(&mut self, status: &str) {
        if let Some(dialog) = self.dialog.take() {
            self.respond(&dialog.invite, status, "", "");
        }
    }

    fn handle_final(&mut self, status: u16, response: &SipText, now: Instant) {
        let cseq = response.field("CSeq").unwrap_or_default();
        let number = cseq.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        match cseq.split(' ').nth(1) {
            Some("REGISTER") => self.handle_registered(status, response),
            Some("INVITE") => self.acknowledge(status, number, response, now),
            Some("UPDATE") if status < 300 => self.learn(response, now),
            Some("BYE") if status < 300 => self.dialog = None,
            Some(_) | None => {}
        }
    }

    fn acknowledge(&mut self, status: u16, number: u32, response: &SipText, now: Instant) {
        let Some(dialog) = &mut self.dialog else { return };
        let asked_for_offer = std::mem::take(&mut dialog.asked_for_offer);
        // The first answer to a call of its own makes the dialog.
        let is_first = !dialog.remote.contains("tag=");
        if is_first {
            dialog.remote = response.field("To").unwrap_or_default().to_owned();
            let contact = response.field("Contact").unwrap_or_default();
            if let Some(target) =
                contact.trim_start_matches('<').split('>').next().filter(|it| !it.is_empty())
            {
                target.clone_into(&mut dialog.target);
            }
        }
        if status >= 300 {
            let via = response.field("Via").unwrap_or_default();
            let ack = self.request("ACK", number, "", "");
            let own = ack.lines().nth(1).unwrap_or_default().to_owned();
            self.send(&ack.replace(&own, &format!("Via: {via}")));
            if is_first {
                self.dialog = None;
            }
            return;
        }
        let answer = match Read::new(response.body()) {
            Some(_) if asked_for_offer && self.late_answer.is_some() => {
                self.late_answer.unwrap_or_default().to_owned()
            }
            Some(offer) if asked_for_offer => self.description_of(&offer.answered_by(&self.said)),
            Some(_) | None => String::new(),
        };
        let kind = if answer.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let ack = self.request("ACK", number, kind, &answer);
        self.send(&ack);
        self.learn(response, now);
    }

    fn handle_registered(&mut self, status: u16, response: &SipText) {
        let challenge = response.fields("WWW-Authenticate").find(|value| value.contains("MD5"));
        match (status, challenge) {
            (401, Some(challenge)) => {
                let uri = format!("sip:{}", self.domain);
                let who = (self.user.as_str(), self.password.as_str());
                let proof = digest::authorization(Algorithm::Md5, challenge, who, ("REGISTER", &uri));
                self.register(&format!("Authorization: {proof}\r\n"));
            }
            (200, _) => {
                let event = PhoneEvent::Registered { expires: 3_600, refreshed: false };
                self.actions.push_back(HandsetAction::Report(event));
            }
            (_, _) => {}
        }
    }

    fn open(&mut self, invite: &SipText) {
        let field = |name| invite.field(name).unwrap_or_default().to_owned();
        let target = field("Contact");
        self.voice = None;
        self.dialog = Some(Dialog {
            call_id: field("Call-ID"),
            local: format!("{};tag=hand", field("To")),
            remote: field("From"),
            target: target.trim_start_matches('<').split('>').next().unwrap_or_default().to_owned(),
            invite: invite.clone(),
            asked_for_offer: false,
        });
    }

    /// Its audio is what it wants and this message says of the other side's, from now on.
    pub fn learn(&mut self, message: &SipText, now: Instant) {
        let Some(theirs) = Read::new(message.body()) else { return };
        let agreed = theirs.answered_by(&self.said);
        let Some(codec) = agreed.codecs.first().copied() else { return };
        let stream = Stream {
            local: self.rtp,
            remote: theirs.rtp,
            codec,
            payload_type: agreed.payload_type(codec),
            telephone_event: None,
            sends: agreed.sends(),
            receives: agreed.receives(),
        };
        match &mut self.voice {
            Some(voice) => voice.set(stream, self.said.packet_time),
            None => self.voice = Some(Voice::new(self.hertz, stream, self.said.packet_time, now)),
        }
    }

    /// The next description of its audio, if it said this.
    pub fn description_of(&mut self, said: &Said) -> String {
        self.version += 1;
        said.print(self.rtp, self.version)
    }
}
