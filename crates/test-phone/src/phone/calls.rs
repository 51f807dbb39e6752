//! Calls from the moment they are answered, and those that we place.

use super::line::{Line, State};
use super::{Phone, PhoneAction, Stage, Timer, registration};
use crate::handset::Failure;
use crate::{EndCause, HeldBy, PhoneEvent, Stream};
use sdp::{ReceivedOffer, SdpError};
use sip_core::{Command, Gone, InviteEvent, InviteId, NewInvite, Reach};
use sip_message::{CallId, FieldName, NameAddr, Reason, Request, Response, SipUri, StatusCode};
use std::time::{Duration, Instant};

impl Phone {
    /// Calls a number; nothing happens while there is a call.
    pub fn call(&mut self, number: &str, now: Instant) {
        if self.line.is_some() || self.stage != Stage::Working {
            return;
        }
        let mut session = self.new_session();
        let target = SipUri::new(Some(number), self.account.domain.clone(), None);
        let new = NewInvite {
            flow: self.account.flow,
            uri: target.clone().into(),
            from: registration::address_of_record(&self.account),
            to: NameAddr::new(target),
            contact_user: Some(self.account.user.clone()),
            route: Vec::new(),
            fields: Vec::new(),
            offer: Some(session.offer()),
            credentials: registration::identity(&self.account),
            reach: Reach::AlongFlow,
            waits: false,
            max_forwards: None,
        };
        let invite = self.next_invite();
        let state = State::Calling { number: number.into(), early: false };
        self.line = Some(Line { invite, state, session });
        self.endpoint.handle_command(Command::Invite { invite, new: Box::new(new) }, now);
        self.perform_actions(now);
    }

    /// Ends the call, whatever its state; nothing happens when there is none.
    pub fn end_call(&mut self, now: Instant) {
        let Some(line) = &mut self.line else { return };
        line.state = State::Ending;
        self.endpoint.handle_command(Command::HangUp { invite: line.invite, reason: None }, now);
        self.clear_call_timers();
        self.perform_actions(now);
    }

    /// Holds or resumes by re-INVITE (RFC 3264 §8.4); nothing happens when the call is not answered or is so already.
    pub fn hold(&mut self, holding: bool, now: Instant) {
        let Some(Line { invite, state: State::Talking, session }) = &mut self.line else { return };
        if session.holding == holding {
            return;
        }
        session.holding = holding;
        let body = session.offer();
        self.endpoint.handle_command(Command::Offer { invite: *invite, body }, now);
        self.perform_actions(now);
    }

    /// Sends digits as telephone events, when there is a call.
    pub fn send_dtmf(&mut self, digits: &str) {
        if self.line.is_some() {
            self.actions.push_back(PhoneAction::SendDtmf(digits.into()));
            self.report(PhoneEvent::DtmfSent { digits: digits.to_owned() });
        }
    }

    pub(super) fn handle_invite(&mut self, invite: InviteId, event: InviteEvent, now: Instant) {
        if self.line.as_ref().is_none_or(|line| line.invite != invite) {
            return;
        }
        match event {
            InviteEvent::Sent { call_id } => self.handle_sent(&call_id),
            InviteEvent::Trying | InviteEvent::Disconnected => {}
            InviteEvent::Progress { status, body, branch: _ } => self.handle_progress(status, body, now),
            InviteEvent::Answered { response } => self.handle_answered(&response, now),
            InviteEvent::Confirmed { body } => self.handle_confirmed(body, now),
            InviteEvent::Offered { body, flow: _ } => self.handle_offered(body, now),
            InviteEvent::Reanswered { body, is_overtaken: _ } => self.handle_reanswered(&body, now),
            InviteEvent::ReofferRefused { status } => self.handle_reoffer_refused(status),
            InviteEvent::Requested { responder, request, .. } => {
                let ok = Command::Respond { responder, status: StatusCode::OK, fields: Vec::new() };
                self.endpoint.handle_command(ok, now);
                self.report(requested(&request));
            }
            InviteEvent::Gone(gone) => self.handle_gone(gone, now),
        }
    }

    fn handle_sent(&mut self, call_id: &CallId) {
        let Some(Line { state: State::Calling { number, .. }, .. }) = &self.line else { return };
        let number = number.to_string();
        self.report(PhoneEvent::Calling { number, call_id: call_id.to_string() });
    }

    fn handle_progress(&mut self, status: StatusCode, body: Option<Vec<u8>>, now: Instant) {
        let Some(Line { state: State::Calling { early, .. }, session, .. }) = &mut self.line else { return };
        let answer =
            body.as_deref().filter(|body| !body.is_empty()).and_then(|body| session.read_answer(body));
        *early |= answer.is_some();
        let early_media = *early;
        self.report(PhoneEvent::Ringing { status: status.code(), early_media });
        if let Some(answer) = answer {
            self.use_stream(answer, now);
        }
    }

    fn handle_answered(&mut self, response: &Response, now: Instant) {
        let Some(Line { state, session, .. }) = &mut self.line else { return };
        let early = match state {
            State::Calling { early, .. } => *early,
            State::Alerting { .. } | State::Accepted | State::Talking | State::Ending => return,
        };
        *state = State::Talking;
        let answer = (!response.body.is_empty()).then(|| session.read_answer(&response.body)).flatten();
        let codec = answer
            .as_ref()
            .and_then(|answer| answer.as_ref().ok())
            .map(|stream: &Stream| stream.codec.name());
        self.report(PhoneEvent::Answered { codec });
        self.report(PhoneEvent::Confirmed);
        match answer {
            Some(answer) => self.use_stream(answer, now),
            None if early => {}
            None => self.use_stream(Err(SdpError::NoAudio), now),
        }
        self.start_call_timers(now);
    }

    fn handle_confirmed(&mut self, body: Option<Vec<u8>>, now: Instant) {
        let Some(Line { state, session, .. }) = &mut self.line else { return };
        let answer = body.as_deref().and_then(|body| session.read_answer(body));
        match state {
            State::Accepted => {
                *state = State::Talking;
                self.report(PhoneEvent::Confirmed);
                self.start_call_timers(now);
            }
            // The ACK of a re-INVITE to which we made the offer, or one that crossed our BYE.
            State::Talking | State::Ending | State::Alerting { .. } | State::Calling { .. } => {}
        }
        if let Some(answer) = answer {
            self.use_stream(answer, now);
        }
    }

    fn handle_offered(&mut self, body: Option<Vec<u8>>, now: Instant) {
        let Some(Line { invite, session, .. }) = &mut self.line else { return };
        let invite = *invite;
        let Some(body) = body.filter(|body| !body.is_empty()) else {
            let offer = session.offer();
            return self.endpoint.handle_command(Command::AnswerOffer { invite, body: offer }, now);
        };
        let was_held = session.held;
        match ReceivedOffer::parse(&body).and_then(|offer| session.answer(&offer)) {
            Ok((answer, stream)) => {
                let held = session.held;
                self.endpoint.handle_command(Command::AnswerOffer { invite, body: answer }, now);
                self.actions.push_back(PhoneAction::MediaStart(stream));
                self.report_hold(was_held, held, HeldBy::Peer);
            }
            Err(_) => self.endpoint.handle_command(
                Command::RefuseOffer { invite, status: StatusCode::NOT_ACCEPTABLE_HERE },
                now,
            ),
        }
    }

    fn handle_reanswered(&mut self, body: &[u8], now: Instant) {
        let Some(Line { session, .. }) = &mut self.line else { return };
        let holding = session.holding;
        let answer = session.read_answer(body).unwrap_or(Err(SdpError::NoAudio));
        self.report_hold(!holding, holding, HeldBy::Us);
        if holding && let Some(after) = self.script.resume_after {
            self.deadlines.set(Timer::Resume, now + after);
        }
        self.use_stream(answer, now);
    }

    fn handle_reoffer_refused(&mut self, status: StatusCode) {
        let Some(Line { session, .. }) = &mut self.line else { return };
        session.holding = !session.holding;
        self.failures.push(Failure::ReofferRefused { status: status.code() });
        self.report(PhoneEvent::ReofferRefused { status: status.code() });
    }

    fn handle_gone(&mut self, gone: Gone, now: Instant) {
        let Some(line) = self.line.take() else { return };
        self.clear_call_timers();
        let cause = EndCause::from(gone.cause);
        let placed = matches!(line.state, State::Calling { .. });
        self.failures.extend(failure_of(cause, placed));
        self.actions.push_back(PhoneAction::MediaStop);
        self.report(PhoneEvent::Ended { cause, reason: gone.reason.as_ref().map(reason_text) });
        self.calls_over += 1;
        if self.script.calls.is_some_and(|calls| self.calls_over >= calls) {
            self.leave(now);
        }
    }

    /// Takes what was agreed; a call without usable audio is ended.
    fn use_stream(&mut self, answer: Result<Stream, SdpError>, now: Instant) {
        match answer {
            Ok(stream) => self.actions.push_back(PhoneAction::MediaStart(stream)),
            Err(_) => {
                self.failures.push(Failure::NoCommonCodec);
                self.end_call(now);
            }
        }
    }

    fn report_hold(&mut self, before: bool, after: bool, by: HeldBy) {
        match (before, after) {
            (false, true) => self.report(PhoneEvent::Held { by }),
            (true, false) => self.report(PhoneEvent::Resumed { by }),
            (true, true) | (false, false) => {}
        }
    }

    fn start_call_timers(&mut self, now: Instant) {
        let dtmf = self.script.dtmf.as_ref().map(|dtmf| dtmf.after);
        let timers: [(Timer, Option<Duration>); 3] = [
            (Timer::HangUp, self.script.hang_up_after),
            (Timer::Hold, self.script.hold_after),
            (Timer::Dtmf, dtmf),
        ];
        for (timer, after) in timers {
            if let Some(after) = after {
                self.deadlines.set(timer, now + after);
            }
        }
    }

    fn clear_call_timers(&mut self) {
        for timer in [Timer::Reply, Timer::HangUp, Timer::Hold, Timer::Resume, Timer::Dtmf] {
            self.deadlines.clear(timer);
        }
    }
}

/// What the script did not ask for.
fn failure_of(cause: EndCause, placed: bool) -> Option<Failure> {
    match cause {
        EndCause::Refused { status } if placed => Some(Failure::CallRefused { status }),
        EndCause::TimedOut | EndCause::Unreachable if placed => Some(Failure::CallUnanswered),
        EndCause::NoAck => Some(Failure::NoAck),
        EndCause::SessionExpired => Some(Failure::SessionExpired),
        EndCause::Refused { .. }
        | EndCause::TimedOut
        | EndCause::Unreachable
        | EndCause::HungUpByPeer
        | EndCause::HungUp
        | EndCause::Rejected
        | EndCause::CancelledByPeer
        | EndCause::Cancelled => None,
    }
}

fn requested(request: &Request) -> PhoneEvent {
    PhoneEvent::Requested {
        method: request.method.to_string(),
        content_type: request.header.fields.get(&FieldName::CONTENT_TYPE).map(str::to_owned),
        body: String::from_utf8_lossy(&request.body).into_owned(),
    }
}

/// As it stands in the header field (RFC 3326 §2).
fn reason_text(reason: &Reason) -> String {
    let cause = reason.cause.map_or_else(String::new, |cause| format!(";cause={cause}"));
    let text = reason.text.as_deref().map_or_else(String::new, |text| format!(";text=\"{text}\""));
    format!("{}{cause}{text}", reason.protocol)
}
