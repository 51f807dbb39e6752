//! A phone that calls: its INVITE waits for progress, an answer or a refusal.

use super::outgoing::{Fork, ForkState};
use super::session::Talk;
use super::{Leg, LegEvent, State, Termination};
use crate::media::{self, Announced};
use crate::place::CallNumber;
use crate::scenario::{LegId, Progress, Why};
use audio::Codec;
use sdp::{AudioStream, Direction, Offer, ReceivedOffer};
use sip_core::{Command, Flow, Incoming, Reach};
use sip_message::StatusCode;
use std::net::SocketAddr;
use std::time::Instant;

/// What the INVITE offered.
#[derive(Debug)]
pub(super) struct Offered {
    /// Absent when it asks us to offer (RFC 3264 §4).
    offer: Option<ReceivedOffer>,
}

/// The only fork of a leg that a phone began.
const FORK: usize = 0;

impl Leg {
    /// A phone calls. `None` when its offer cannot be read, or has no codec of ours.
    pub(crate) fn incoming(
        (call, id): (CallNumber, LegId),
        termination: Termination,
        session_id: u64,
        incoming: Incoming,
        codecs: &[Codec],
    ) -> Option<Self> {
        let formats = media::formats(codecs);
        let body = &incoming.request.body;
        let flow = incoming.flow;
        let offer = if body.is_empty() { None } else { Some(media::read_offer(body, flow).ok()?) };
        if let Some(offer) = &offer {
            let audio = offer.audio()?;
            audio.formats.iter().find(|format| formats.iter().any(|our| our.is_same_encoding(format)))?;
        }
        // The relay has no address for it yet: see `announce`.
        let announced = Announced { rtp: SocketAddr::new(flow.local.ip(), 0) };
        let mut leg =
            Self::new(call, id, termination, session_id, State::Offered(Box::new(Offered { offer })));
        leg.formats = formats;
        leg.forks.push(Fork { flow, announced, offer: None, early: None, state: ForkState::Proceeding });
        let invite = leg.invite(FORK);
        leg.sip(Command::Take { invite, incoming: Box::new(incoming), reach: Reach::AlongFlow });
        Some(leg)
    }

    /// Along which the phone called.
    pub(crate) fn flow(&self) -> Option<Flow> {
        self.forks.get(FORK).map(|fork| fork.flow)
    }

    /// The relay's address that the phone will be told.
    pub(crate) fn announce(&mut self, announced: Announced) {
        if let Some(fork) = self.forks.get_mut(FORK) {
            fork.announced = announced;
        }
    }

    /// Tells the phone how it goes. What cannot be told to it any more, or not without audio, is not.
    pub(crate) fn tell_progress(&mut self, progress: Progress) {
        match (&self.state, progress) {
            (State::Offered(_), Progress::Status(status)) => {
                let status = StatusCode::new(status).unwrap_or(StatusCode::RINGING);
                let invite = self.invite(FORK);
                self.sip(Command::Ring { invite, status, body: None });
            }
            (State::Offered(_), Progress::EarlyMedia)
            | (
                State::Reaching
                | State::Ringing(_)
                | State::Talking(_)
                | State::Releasing { .. }
                | State::Gone,
                Progress::Status(_) | Progress::EarlyMedia,
            ) => {}
        }
    }

    /// Accepts the call of the phone.
    pub(crate) fn answer(&mut self, now: Instant) {
        let State::Offered(offered) = &self.state else { return };
        let Fork { announced, flow, .. } = self.forks[FORK];
        let invite = self.invite(FORK);
        let Some(received) = &offered.offer else {
            // Ours is answered by its ACK.
            let offer =
                Offer::new(&self.origin, media::stream(announced, self.formats.clone(), Direction::SendRecv));
            let Some(format) = self.formats.first().cloned() else { return };
            let mut talk = Talk::new(FORK, format.clone(), Direction::SendRecv);
            self.forks[FORK].state = ForkState::Answered;
            self.sip(Command::Accept { invite, body: offer.print() });
            talk.expect_answer_to(offer);
            self.state = State::Talking(Box::new(talk));
            return self.tell(LegEvent::Answered { format, status: StatusCode::OK.code() });
        };
        let audio = received.audio().cloned();
        let answered = audio.and_then(|audio| {
            let ours = |format: &sdp::Format| self.formats.iter().find(|our| our.is_same_encoding(format));
            let format = audio.formats.iter().filter(|format| format.is_audio()).find_map(ours)?;
            let formats = media::with_events(format, &self.formats);
            let answer = received.answer(&self.origin, announced.rtp, &formats, Direction::SendRecv).ok()?;
            let stream = AudioStream { formats: answer.stream.formats.clone(), ..audio };
            Some((media::agree(&stream, &stream.formats, flow)?, answer, stream.direction))
        });
        let Some(((description, format), answer, wish)) = answered else {
            return self.release(crate::scenario::LegEnd::NoCommonCodec, Why::Refused(488), now);
        };
        self.forks[FORK].state = ForkState::Answered;
        self.sip(Command::Accept { invite, body: answer.print() });
        self.describe(description);
        self.state = State::Talking(Box::new(Talk::new(FORK, format.clone(), wish)));
        self.tell(LegEvent::Answered { format, status: StatusCode::OK.code() });
    }

    /// The ACK of our 2xx came; where our 2xx made the offer, with its answer.
    pub(super) fn confirmed(&mut self, fork: usize, body: Option<&[u8]>) {
        if let Some(body) = body {
            self.reanswered(fork, body);
        }
    }

    pub(super) fn refuse(&mut self, why: Why) {
        let status = match why {
            Why::Over | Why::AnsweredElsewhere => StatusCode::TEMPORARILY_UNAVAILABLE,
            Why::Refused(status) => StatusCode::new(status).unwrap_or(StatusCode::TEMPORARILY_UNAVAILABLE),
        };
        self.forks[FORK].state = ForkState::Dropped { confirmation_expected: true };
        let invite = self.invite(FORK);
        self.sip(Command::Reject { invite, status, fields: Vec::new() });
    }
}
