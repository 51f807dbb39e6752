//! The calls of a raw phone: what it still has to do, and what it is still to be told.

use super::repeated::Repeated;
use super::script::{Deed, RawScript, What};
use sip_message::{Contacts, Method, Request, Response, StatusCode};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

/// How a call stands that a phone was invited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It said nothing at all, and need not be told anything.
    Silent,
    /// It said nothing final.
    Ringing {
        /// A CANCEL came.
        cancelled: bool,
    },
    /// It said 2xx.
    Answered {
        /// The ACK came.
        acknowledged: bool,
        /// A BYE came, or one of its own was answered.
        ended: bool,
    },
    /// It said 300 or above.
    Refused {
        /// The ACK came.
        acknowledged: bool,
    },
}

#[derive(Debug)]
pub(super) struct Calls {
    script: RawScript,
    sip: SocketAddr,
    rtp: SocketAddr,
    invitations: Vec<Invitation>,
    outputs: VecDeque<Vec<u8>>,
    requests: u32,
}

/// One INVITE.
#[derive(Debug)]
struct Invitation {
    request: Request,
    cancel: Option<Request>,
    agenda: Vec<(Instant, What)>,
    last: Option<Vec<u8>>,
    /// By the letter of their branch.
    finals: BTreeMap<char, Final>,
}

/// A final response of a branch, and what came of it.
#[derive(Debug)]
struct Final {
    message: Repeated,
    to_tag: String,
    is_success: bool,
    acks: usize,
    bye: Option<Repeated>,
    bye_answered: bool,
    bye_came: bool,
}

impl Calls {
    pub(super) fn new(script: RawScript, sip: SocketAddr, rtp: SocketAddr) -> Self {
        Self { script, sip, rtp, invitations: Vec::new(), outputs: VecDeque::new(), requests: 0 }
    }

    pub(super) fn registers(&self, octets: &[u8]) -> Vec<u8> {
        self.script.habits.registers(octets)
    }

    pub(super) fn poll_output(&mut self) -> Option<Vec<u8>> {
        self.outputs.pop_front()
    }

    pub(super) fn handle_request(&mut self, request: Request, now: Instant) {
        if request.method == Method::INVITE {
            self.invite(request, now);
        } else if request.method == Method::CANCEL {
            self.cancel(request, now);
        } else if request.method == Method::ACK {
            self.ack(&request, now);
        } else if request.method == Method::BYE {
            self.bye(&request);
        } else {
            self.outputs.push_back(request.response(StatusCode::OK).print());
        }
        self.handle_timeout(now);
    }

    pub(super) fn handle_response(&mut self, response: &Response) {
        let header = &response.header;
        if !response.status.is_final() {
            return;
        }
        if header.cseq.method == Method::INVITE {
            return self.acknowledge(response);
        }
        let calls = self.invitations.iter_mut().filter(|it| it.request.header.call_id == header.call_id);
        let answers = calls.flat_map(|it| it.finals.values_mut());
        for answer in answers.filter(|it| header.from.tag() == Some(&it.to_tag)) {
            if let Some(bye) = &mut answer.bye {
                bye.stop();
                answer.bye_answered = true;
            }
        }
    }

    /// The final response to a re-INVITE of its own.
    fn acknowledge(&mut self, response: &Response) {
        let header = &response.header;
        let (from, to, call_id) = (header.from.clone(), header.to.clone(), header.call_id.clone());
        let mut ack = Request::new(Method::ACK, to.uri.clone(), from, to, call_id, header.cseq.number);
        ack.header.via.clone_from(&header.via);
        self.outputs.push_back(ack.print());
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        for index in 0..self.invitations.len() {
            loop {
                let agenda = &mut self.invitations[index].agenda;
                let Some(due) = agenda.iter().position(|(at, _)| *at <= now) else { break };
                let (_, what) = agenda.remove(due);
                self.perform(index, &what, now);
            }
            for answer in self.invitations[index].finals.values_mut() {
                let messages = [Some(&mut answer.message), answer.bye.as_mut()];
                self.outputs.extend(messages.into_iter().flatten().flat_map(|it| it.due(now)));
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let due = self.invitations.iter().flat_map(|invitation| {
            let answers = invitation.finals.values();
            let messages = answers.flat_map(|it| [Some(&it.message), it.bye.as_ref()]);
            let repeated = messages.flatten().filter_map(Repeated::next);
            invitation.agenda.iter().map(|(at, _)| *at).chain(repeated)
        });
        due.min()
    }

    pub(super) fn standing(&self) -> Vec<Standing> {
        let each = self.invitations.iter().flat_map(|invitation| {
            let cancelled = invitation.cancel.is_some();
            let open = match invitation.last {
                None => Standing::Silent,
                Some(_) => Standing::Ringing { cancelled },
            };
            let open = invitation.finals.is_empty().then_some(open);
            open.into_iter().chain(invitation.finals.values().map(Final::standing))
        });
        each.collect()
    }

    fn invite(&mut self, request: Request, now: Instant) {
        if let Some(known) = self.invitations.iter().find(|it| branch(&it.request) == branch(&request)) {
            return self.outputs.extend(known.last.clone());
        }
        let agenda = agenda(&self.script.to_invite, now);
        self.invitations.push(Invitation {
            request,
            cancel: None,
            agenda,
            last: None,
            finals: BTreeMap::new(),
        });
    }

    fn cancel(&mut self, request: Request, now: Instant) {
        let of = |it: &&mut Invitation| branch(&it.request) == branch(&request);
        let Some(invitation) = self.invitations.iter_mut().find(of) else { return };
        if invitation.cancel.is_none() {
            let said = &self.script.to_cancel;
            if !invitation.finals.is_empty() {
                // After its final response nothing is left to be said but to the CANCEL (RFC 3261 §9.2).
                let of_cancel: Vec<Deed> = said.iter().filter(|deed| deed.is_of_cancel()).cloned().collect();
                invitation.agenda.extend(agenda(&of_cancel, now));
            } else if !said.is_empty() {
                invitation.agenda = agenda(said, now);
            }
            invitation.cancel = Some(request);
        }
    }

    fn ack(&mut self, request: &Request, now: Instant) {
        let header = &request.header;
        let of = |it: &&mut Invitation| {
            it.request.header.call_id == header.call_id && it.request.header.cseq.number == header.cseq.number
        };
        let Some(invitation) = self.invitations.iter_mut().find(of) else { return };
        let Some(answer) = invitation.finals.values_mut().find(|it| header.to.tag() == Some(&it.to_tag))
        else {
            return;
        };
        answer.acks += 1;
        if answer.acks == self.script.lost_acks + 1 {
            answer.message.stop();
            if answer.is_success {
                invitation.agenda.extend(agenda(&self.script.to_ack, now));
            }
        }
    }

    fn bye(&mut self, request: &Request) {
        let header = &request.header;
        let of = |it: &&mut Invitation| it.request.header.call_id == header.call_id;
        let answers = self.invitations.iter_mut().filter(of).flat_map(|it| it.finals.values_mut());
        for answer in answers.filter(|it| header.to.tag() == Some(&it.to_tag)) {
            answer.bye_came = true;
            answer.message.stop();
        }
        if let Some(status) = StatusCode::new(self.script.to_bye) {
            let mut response = request.response(status);
            if status == StatusCode::UNAUTHORIZED || status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
                challenge(&mut response);
            }
            self.outputs.push_back(response.print());
        }
    }

    fn perform(&mut self, index: usize, what: &What, now: Instant) {
        match what {
            What::Answer { status, branch, fields } => self.answer(index, *status, *branch, fields, now),
            What::AnswerCancel { status } => {
                let cancel = self.invitations[index].cancel.as_ref();
                let response =
                    cancel.zip(StatusCode::new(*status)).map(|(cancel, status)| cancel.response(status));
                self.outputs.extend(response.map(|response| response.print()));
            }
            What::Bye { branch } => self.hang_up(index, *branch, now),
            What::Reinvite { branch } => self.reinvite(index, *branch),
        }
    }

    fn answer(&mut self, index: usize, status: u16, branch: char, fields: &str, now: Instant) {
        let invitation = &mut self.invitations[index];
        let Some(status) = StatusCode::new(status) else { return };
        let to_tag = format!("{branch}{}", self.sip.port());
        let mut response = invitation.request.response(status);
        if status != StatusCode::TRYING {
            response.header.to.parameters.set("tag", Some(&to_tag));
        }
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            challenge(&mut response);
        }
        if status.is_success() {
            let (kind, body) = self.script.habits.body(&description(self.rtp));
            response.set_body(kind, body);
        }
        let contact = format!("Contact: <sip:raw@{}>\r\n", self.sip);
        let contact = if fields.contains("Contact:") { "" } else { &contact };
        let contact = self.script.habits.contact(status, contact);
        let octets = with_fields(&response.print(), &format!("{contact}{fields}"));
        let octets = self.script.habits.written(octets);
        invitation.last = Some(octets.clone());
        if !status.is_final() {
            return self.outputs.push_back(octets);
        }
        let copies = if self.script.repeats { usize::MAX } else { 1 };
        let message = Repeated::new(octets, self.script.lost_finals, copies, now);
        let is_success = status.is_success();
        let (bye, bye_answered, bye_came) = (None, false, false);
        let answer = Final { message, to_tag, is_success, acks: 0, bye, bye_answered, bye_came };
        invitation.finals.insert(branch, answer);
    }

    fn hang_up(&mut self, index: usize, branch: char, now: Instant) {
        let Some(bye) = self.request(index, branch, "BYE", "") else { return };
        if let Some(answer) = self.invitations[index].finals.get_mut(&branch) {
            answer.message.stop();
            answer.bye = Some(Repeated::new(bye.into_bytes(), 0, usize::MAX, now));
        }
    }

    fn reinvite(&mut self, index: usize, branch: char) {
        let body = String::from_utf8(description(self.rtp)).unwrap_or_default();
        let invite = self.request(index, branch, "INVITE", &body);
        self.outputs.extend(invite.map(String::into_bytes));
    }

    /// The next request in the dialog of a branch, if its 2xx made one.
    fn request(&mut self, index: usize, branch: char, method: &str, body: &str) -> Option<String> {
        self.requests += 1;
        let (sip, number) = (self.sip, self.requests);
        let header = &self.invitations[index].request.header;
        let tag = &self.invitations[index].finals.get(&branch).filter(|answer| answer.is_success)?.to_tag;
        let target = match &header.contact {
            Some(Contacts::List(list)) => list.first()?.uri.to_string(),
            Some(Contacts::Star) | None => return None,
        };
        let (user, server, call_id) = (&header.to.uri, &header.from, &header.call_id.0);
        Some(format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {sip};branch=z9hG4bKraw{number}\r\nMax-Forwards: 70\r\n\
             From: <{user}>;tag={tag}\r\nTo: {server}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\n\
             Contact: <sip:raw@{sip}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }
}

impl Final {
    fn standing(&self) -> Standing {
        let acknowledged = self.acks > 0;
        if self.is_success {
            // Whoever hung up by itself waits for no ACK.
            let acknowledged = acknowledged || self.bye.is_some();
            Standing::Answered { acknowledged, ended: self.bye_came || self.bye_answered }
        } else {
            Standing::Refused { acknowledged }
        }
    }
}

impl Deed {
    fn is_of_cancel(&self) -> bool {
        matches!(self.what, What::AnswerCancel { .. })
    }
}

fn branch(request: &Request) -> Option<&str> {
    request.header.via.first()?.branch()
}

fn agenda(deeds: &[Deed], now: Instant) -> Vec<(Instant, What)> {
    deeds.iter().map(|deed| (now + deed.after, deed.what.clone())).collect()
}

fn challenge(response: &mut Response) {
    let name = match response.status {
        StatusCode::UNAUTHORIZED => sip_message::FieldName::WWW_AUTHENTICATE,
        _ => sip_message::FieldName::PROXY_AUTHENTICATE,
    };
    response.header.fields.push(name, "Digest realm=\"elsewhere\", nonce=\"1\", algorithm=MD5");
}

fn description(rtp: SocketAddr) -> Vec<u8> {
    let (ip, port) = (rtp.ip(), rtp.port());
    format!(
        "v=0\r\no=raw 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 0\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
    )
    .into_bytes()
}

/// Puts lines behind the first one.
fn with_fields(message: &[u8], fields: &str) -> Vec<u8> {
    let end = message.windows(2).position(|pair| pair == b"\r\n").map_or(message.len(), |at| at + 2);
    [&message[..end], fields.as_bytes(), &message[end..]].concat()
}
