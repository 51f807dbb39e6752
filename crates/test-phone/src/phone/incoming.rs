//! Calls that come in, until they are answered.

use super::line::{self, Line, State};
use super::session::Session;
use super::{Phone, PhoneAction, Stage, Timer};
use crate::{PhoneEvent, Reply};
use sdp::ReceivedOffer;
use sip_core::{Command, Incoming, Reach};
use sip_message::StatusCode;
use std::time::Instant;

impl Phone {
    pub(super) fn handle_new_call(&mut self, incoming: Incoming, now: Instant) {
        let (number, name) = line::caller(&incoming.request.header.from);
        if self.line.is_some() || self.stage != Stage::Working {
            self.report(PhoneEvent::Refused { number });
            let busy = incoming.request.response(StatusCode::BUSY_HERE);
            self.endpoint.respond(&incoming, busy, now);
            return;
        }
        let header = &incoming.request.header;
        let auto_answer = line::asks_for_auto_answer(header);
        let body = &incoming.request.body;
        let offer = (!body.is_empty()).then(|| ReceivedOffer::parse(body));
        let offered = offer.as_ref().and_then(|offer| offer.as_ref().ok()?.audio());
        self.actions.push_back(PhoneAction::Report(PhoneEvent::Incoming {
            number,
            name,
            call_id: header.call_id.to_string(),
            codecs: offered.map_or_else(Vec::new, |stream| {
                stream.formats.iter().map(|format| format.name.to_string()).collect()
            }),
            auto_answer,
            fields: line::fields_of_interest(header),
        }));
        let invite = self.next_invite();
        self.endpoint.handle_command(
            Command::Take {
                invite,
                incoming: Box::new(incoming),
                reach: Reach::AlongFlow,
                credentials: None,
            },
            now,
        );
        let state = State::Alerting { offer: offer.clone().and_then(Result::ok), early: None };
        self.line = Some(Line { invite, state, session: self.new_session() });
        match offer {
            Some(Err(_)) => self.reject(StatusCode::NOT_ACCEPTABLE_HERE, now),
            Some(Ok(_)) | None => self.alert(auto_answer, now),
        }
    }

    pub(super) fn new_session(&mut self) -> Session {
        self.session_id += 1;
        Session::new(self.session_id, self.account.rtp, &self.script.codecs)
    }

    /// Rings as the script has it, and waits for the moment of the reply.
    fn alert(&mut self, auto_answer: bool, now: Instant) {
        let answering = self.script.answering;
        if auto_answer && answering.auto_answer {
            self.accept(now);
            return;
        }
        if answering.early_media {
            self.ring_with_audio(now);
        } else if answering.rings {
            self.ring(StatusCode::RINGING, None, now);
        }
        match answering.reply {
            Reply::Accept { after } | Reply::Reject { after, .. } if after.is_zero() => self.reply(now),
            Reply::Accept { after } | Reply::Reject { after, .. } => {
                self.deadlines.set(Timer::Reply, now + after)
            }
            Reply::Never => {}
        }
    }

    /// The final response of the script.
    pub(super) fn reply(&mut self, now: Instant) {
        match self.script.answering.reply {
            Reply::Accept { .. } => self.accept(now),
            Reply::Reject { status, .. } => self.reject(status, now),
            Reply::Never => {}
        }
    }

    fn ring(&mut self, status: StatusCode, body: Option<Vec<u8>>, now: Instant) {
        let Some(line) = &self.line else { return };
        let early_media = body.is_some();
        self.endpoint.handle_command(Command::Ring { invite: line.invite, status, body }, now);
        self.report(PhoneEvent::Ringing { status: status.code(), early_media });
    }

    fn ring_with_audio(&mut self, now: Instant) {
        let Some(Line { session, state: State::Alerting { offer: Some(offer), early }, .. }) = &mut self.line
        else {
            return self.ring(StatusCode::RINGING, None, now);
        };
        match session.answer(offer) {
            Ok((body, stream)) => {
                *early = Some(body.clone());
                self.ring(StatusCode::SESSION_PROGRESS, Some(body), now);
                self.actions.push_back(PhoneAction::MediaStart(stream));
            }
            Err(_) => self.reject(StatusCode::NOT_ACCEPTABLE_HERE, now),
        }
    }

    fn accept(&mut self, now: Instant) {
        let Some(Line { invite, state: state @ State::Alerting { .. }, session }) = &mut self.line else {
            return;
        };
        let (body, stream) = match std::mem::replace(state, State::Accepted) {
            // The answer has been given and stays (RFC 3261 §13.2.1).
            State::Alerting { early: Some(body), .. } => (body, None),
            State::Alerting { offer: Some(offer), .. } => match session.answer(&offer) {
                Ok((body, stream)) => (body, Some(stream)),
                Err(_) => return self.reject(StatusCode::NOT_ACCEPTABLE_HERE, now),
            },
            State::Alerting { offer: None, .. }
            | State::Accepted
            | State::Calling { .. }
            | State::Talking
            | State::Ending => (session.offer(), None),
        };
        let invite = *invite;
        let codec = stream.as_ref().map(|stream| stream.codec.name());
        self.endpoint.handle_command(Command::Accept { invite, body }, now);
        self.report(PhoneEvent::Answered { codec });
        if let Some(stream) = stream {
            self.actions.push_back(PhoneAction::MediaStart(stream));
        }
    }

    fn reject(&mut self, status: StatusCode, now: Instant) {
        let Some(line) = &mut self.line else { return };
        line.state = State::Ending;
        self.endpoint
            .handle_command(Command::Reject { invite: line.invite, status, fields: Vec::new() }, now);
    }
}
