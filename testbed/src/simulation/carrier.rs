//! What a carrier has at one address: a gateway that takes calls, and a registrar that says what it is told to.

use super::RawPhone;
use sip_message::{Message, Method, Request};
use std::collections::VecDeque;
use std::time::Instant;

/// A carrier at one address.
pub struct Carrier {
    pub(super) calls: RawPhone,
    /// What it says to a REGISTER or an OPTIONS, one after the other; the last again and again. Nothing: silence.
    answers: VecDeque<Answer>,
    options: Vec<Answer>,
    asked: Vec<(Instant, Request)>,
    outputs: VecDeque<Vec<u8>>,
}

/// A status line and header lines; `CONTACT` stands for the Contact of the request. No status line: silence.
type Answer = (&'static str, &'static str);

impl Carrier {
    pub(super) const fn new(calls: RawPhone) -> Self {
        Self {
            calls,
            answers: VecDeque::new(),
            options: Vec::new(),
            asked: Vec::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Answers the next REGISTERs with these, each a status line and header lines; the last again and again.
    pub fn registers(&mut self, answers: &[Answer]) {
        self.answers = answers.iter().copied().collect();
    }

    /// Answers each OPTIONS with this, or not at all.
    pub fn answers_options(&mut self, answer: Option<Answer>) {
        self.options = answer.into_iter().collect();
    }

    /// The requests of that method outside of calls, and when they came.
    pub fn asked(&self, method: &Method) -> Vec<(Instant, &Request)> {
        let asked = self.asked.iter().filter(|(_, request)| request.method == *method);
        asked.map(|(at, request)| (*at, request)).collect()
    }

    pub(super) fn handle_sip(&mut self, octets: &[u8], now: Instant) {
        let Ok(message) = Message::parse(octets) else { return };
        match message {
            Message::Request(request) if request.method == Method::REGISTER => {
                let answer = match self.answers.len() {
                    0 | 1 => self.answers.front().copied(),
                    _ => self.answers.pop_front(),
                };
                self.answer(request, answer, now);
            }
            Message::Request(request) if request.method == Method::OPTIONS => {
                let answer = self.options.first().copied();
                self.answer(request, answer, now);
            }
            Message::Request(_) | Message::Response(_) => {
                self.calls.handle_sip(octets, now);
            }
        }
    }

    fn answer(&mut self, request: Request, answer: Option<Answer>, now: Instant) {
        if let Some((status, lines)) = answer.filter(|(status, _)| !status.is_empty()) {
            let header = &request.header;
            let contact = match &header.contact {
                Some(sip_message::Contacts::List(list)) => list[0].to_string(),
                Some(sip_message::Contacts::Star) | None => String::new(),
            };
            let via: String = header.via.iter().map(|via| format!("Via: {via}\r\n")).collect();
            let (lines, cseq) = (lines.replace("CONTACT", &contact), &header.cseq);
            let text = format!(
                "SIP/2.0 {status}\r\n{via}From: {}\r\nTo: {};tag=carrier\r\nCall-ID: {}\r\nCSeq: {} {}\r\n\
                 {lines}Content-Length: 0\r\n\r\n",
                header.from, header.to, header.call_id.0, cseq.number, cseq.method,
            );
            self.outputs.push_back(text.into_bytes());
        }
        self.asked.push((now, request));
    }

    pub(super) fn poll_output(&mut self) -> Option<Vec<u8>> {
        self.outputs.pop_front().or_else(|| self.calls.poll_output())
    }
}
