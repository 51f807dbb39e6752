//! A phone that calls: its INVITE waits for progress, an answer or a refusal.

use super::outgoing::{Fork, ForkState};
use super::session::Talk;
use super::{Leg, LegEvent, State, Termination};
use crate::media::{self, Announced};
use crate::place::CallNumber;
use crate::scenario::{LegEnd, LegId, Progress, Why};
use audio::Codec;
use media_relay::Description;
use sdp::{AudioStream, Direction, Format, Offer, ReceivedOffer};
use sip_core::digest::Identity;
use sip_core::{Command, Incoming, Reach};
use sip_message::{FieldName, StatusCode};
use std::net::SocketAddr;
use std::time::Instant;

/// What the INVITE offered, and what it was told.
#[derive(Debug)]
pub(super) struct Offered {
    /// Absent when it asks us to offer (RFC 3264 §4).
    offer: Option<ReceivedOffer>,
    /// What was agreed before it is answered: the 2xx says the same (RFC 3261 §13.3.1.4, RFC 3262 §5).
    early: Option<Agreed>,
    /// The last provisional response.
    told: Option<StatusCode>,
}

/// An answer of ours, and what follows from it.
#[derive(Debug, Clone)]
struct Agreed {
    body: Vec<u8>,
    format: Format,
    wish: Direction,
}

/// The only fork of a leg that a phone began.
const FORK: usize = 0;

/// An INVITE that came in, how its sender is reached from then on, and what its challenges are answered with.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) incoming: Incoming,
    pub(crate) reach: Reach,
    pub(crate) credentials: Option<Identity>,
}

impl Leg {
    /// A phone calls. `None` when its offer cannot be read, or has no codec of ours.
    pub(crate) fn incoming(
        (call, id): (CallNumber, LegId),
        termination: Termination,
        session_id: u64,
        arrival: Arrival,
        codecs: &[Codec],
    ) -> Option<Self> {
        let Arrival { incoming, reach, credentials } = arrival;
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
        let mut leg = Self::new(
            call,
            id,
            termination,
            session_id,
            State::Offered(Box::new(Offered { offer, early: None, told: None })),
        );
        leg.formats = formats;
        leg.forks.push(Fork {
            flow,
            announced,
            offer: None,
            early: None,
            state: ForkState::Proceeding,
            has_progressed: false,
        });
        let invite = leg.invite(FORK);
        leg.sip(Command::Take { invite, incoming: Box::new(incoming), reach, credentials });
        Some(leg)
    }

    /// The relay's address that the phone will be told.
    pub(crate) fn announce(&mut self, announced: Announced) {
        if let Some(fork) = self.forks.get_mut(FORK) {
            fork.announced = announced;
        }
    }

    /// The codecs that the phone that calls has offered, in its order. Nothing where it asks us to offer.
    pub(crate) fn offers(&self) -> Option<Vec<Codec>> {
        let State::Offered(offered) = &self.state else { return None };
        let audio = offered.offer.as_ref()?.audio()?;
        Some(audio.formats.iter().filter_map(|format| Codec::from_name(&format.name)).collect())
    }

    /// Tells the phone how it goes. What cannot be told to it any more, or not without audio, is not.
    pub(crate) fn tell_progress(&mut self, progress: Progress) {
        let status = match progress {
            Progress::Status(status) => status,
            Progress::EarlyMedia(status) => {
                self.open_early();
                status
            }
        };
        let State::Offered(offered) = &mut self.state else { return };
        let status = StatusCode::new(status).unwrap_or(StatusCode::RINGING);
        if offered.told.replace(status) == Some(status) {
            return; // Its audio has brought it already.
        }
        let body = offered.early.as_ref().map(|agreed| agreed.body.clone());
        let invite = self.invite(FORK);
        self.sip(Command::Ring { invite, status, body });
    }

    /// What the phone will hear before it is answered is agreed now. One that asks us to offer hears nothing before.
    fn open_early(&mut self) {
        let State::Offered(offered) = &self.state else { return };
        if offered.early.is_some() {
            return;
        }
        let Some((description, agreed)) = self.agreed_with(None) else { return };
        self.describe(description);
        if let State::Offered(offered) = &mut self.state {
            offered.early = Some(agreed);
            // What says so has to be told, whatever was told before.
            offered.told = None;
        }
    }

    /// What we answer to the offer of the phone: with `taken` if it has that, else with the first codec of its own that we
    /// know.
    fn agreed_with(&self, taken: Option<&Format>) -> Option<(Description, Agreed)> {
        let State::Offered(offered) = &self.state else { return None };
        let Fork { announced, flow, .. } = self.forks[FORK];
        let received = offered.offer.as_ref()?;
        let audio = received.audio()?.clone();
        let ours = |format: &Format| self.formats.iter().find(|our| our.is_same_encoding(format));
        let theirs = || audio.formats.iter().filter(|format| format.is_audio());
        let wanted = theirs().find(|format| taken.is_some_and(|taken| taken.is_same_encoding(format)));
        let format = wanted.into_iter().chain(theirs()).find_map(ours)?;
        let formats = media::with_events(format, &self.formats);
        let answer = received.answer(&self.origin, announced.rtp, &formats, Direction::SendRecv).ok()?;
        let stream = AudioStream { formats: answer.stream.formats.clone(), ..audio };
        let (description, format) = media::agree(&stream, &stream.formats, flow)?;
        Some((description, Agreed { body: answer.print(), format, wish: stream.direction }))
    }

    /// Accepts the call of the phone; `taken` is what the other party speaks.
    pub(crate) fn answer(&mut self, taken: Option<&Format>, now: Instant) {
        let State::Offered(offered) = &self.state else { return };
        if offered.offer.is_none() {
            return self.answer_with_offer();
        }
        let agreed = match &offered.early {
            Some(agreed) => Some((None, agreed.clone())),
            None => self.agreed_with(taken).map(|(description, agreed)| (Some(description), agreed)),
        };
        let Some((description, Agreed { body, format, wish })) = agreed else {
            return self.release(LegEnd::NoCommonCodec, Why::Refused(488), now);
        };
        self.forks[FORK].state = ForkState::Answered;
        let invite = self.invite(FORK);
        self.sip(Command::Accept { invite, body });
        description.into_iter().for_each(|description| self.describe(description));
        self.state = State::Talking(Box::new(Talk::new(FORK, format.clone(), wish)));
        self.tell(LegEvent::Answered { format, status: StatusCode::OK.code() });
    }

    /// The phone asked us to offer: its ACK answers.
    fn answer_with_offer(&mut self) {
        let announced = self.forks[FORK].announced;
        let invite = self.invite(FORK);
        let offer =
            Offer::new(&self.origin, media::stream(announced, self.formats.clone(), Direction::SendRecv));
        let Some(format) = self.formats.first().cloned() else { return };
        let mut talk = Talk::new(FORK, format.clone(), Direction::SendRecv);
        self.forks[FORK].state = ForkState::Answered;
        self.sip(Command::Accept { invite, body: offer.print() });
        talk.expect_answer_to(offer);
        self.state = State::Talking(Box::new(talk));
        self.tell(LegEvent::Answered { format, status: StatusCode::OK.code() });
    }

    /// The ACK of our 2xx came; where our 2xx made the offer, with its answer. A phone whose first one is missing or of no
    /// use has no session with us (RFC 3261 §13.2.1); one that leaves out a later one keeps what it has.
    pub(super) fn confirmed(&mut self, fork: usize, body: Option<&[u8]>, now: Instant) {
        let flow = self.forks[fork].flow;
        if let State::Talking(talk) = &mut self.state
            && talk.fork == fork
            && talk.is_left_without_answer(body, flow)
        {
            return self.release(LegEnd::NoCommonCodec, Why::Refused(488), now);
        }
        if let Some(body) = body {
            self.reanswered(fork, body, false);
        }
    }

    pub(super) fn refuse(&mut self, why: Why) {
        let status = match why {
            Why::Over | Why::AnsweredElsewhere => StatusCode::TEMPORARILY_UNAVAILABLE,
            Why::Refused(status) => said_to_caller(status),
        };
        // What was said where it is not what is told (RFC 3326 §2).
        let said = match why {
            Why::Refused(said) if said != status.code() => super::reason(why),
            Why::Over | Why::AnsweredElsewhere | Why::Refused(_) => None,
        };
        let fields = said.map(|said| (FieldName::REASON, said.to_string().into())).into_iter().collect();
        self.forks[FORK].state = ForkState::Dropped { confirmation_expected: true };
        let invite = self.invite(FORK);
        self.sip(Command::Reject { invite, status, fields });
    }
}

/// What a caller is told of a refusal. Most are passed on as they are; those that ask something of whoever has sent our
/// INVITE are no use to the caller: it would look for a challenge (RFC 3261 §21.4.2, §21.4.8), for what is required
/// (§21.4.15, §21.4.16) or too short (RFC 4028 §6, RFC 3261 §21.4.17), or for a place to go to (§21.3).
fn said_to_caller(status: u16) -> StatusCode {
    match status {
        300..=399 => StatusCode::TEMPORARILY_UNAVAILABLE,
        401 | 405 | 407 | 420..=423 | 489 | 494 => StatusCode::BAD_GATEWAY,
        _ => StatusCode::new(status).unwrap_or(StatusCode::TEMPORARILY_UNAVAILABLE),
    }
}
