//! Offers and answers after the first (RFC 3264 §8): a party that holds, resumes or moves, and what the other party
//! is told of it.
//!
//! What a party says in its own offers is its wish. It is passed to the other party in a re-INVITE of ours, as the
//! direction of our stream there; whatever that one wishes limits what we answer here.

use super::outgoing::ForkState;
use super::{Leg, LegEvent, State};
use crate::media;
use sdp::{AudioStream, Direction, Format, Offer, SdpError};
use sip_core::{Command, Flow};
use sip_message::StatusCode;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The session with the phone that answered.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) fork: usize,
    format: Format,
    /// What the party wants to do.
    wish: Direction,
    /// What the other party wants to do: we speak for it.
    other: Direction,
    /// Asked for by an INVITE without an offer; the ACK answers it.
    late: Option<Offer>,
    /// That is the first INVITE: without an answer there is no session.
    is_first: bool,
    /// Our re-INVITE.
    reoffer: Option<Offer>,
}

impl Talk {
    pub(super) fn new(fork: usize, format: Format, wish: Direction) -> Self {
        Self { fork, format, wish, other: Direction::SendRecv, late: None, is_first: false, reoffer: None }
    }

    /// Our first 2xx made this offer; its ACK answers it.
    pub(super) fn expect_answer_to(&mut self, offer: Offer) {
        (self.late, self.is_first) = (Some(offer), true);
    }

    /// Whether this, in the ACK of our first 2xx, is no answer to what that has offered.
    pub(super) fn is_left_without_answer(&mut self, body: Option<&[u8]>, flow: Flow) -> bool {
        let Some(offer) = self.late.as_ref().filter(|_| std::mem::take(&mut self.is_first)) else {
            return false;
        };
        let stream = body.and_then(|body| media::read_answer(offer, body, flow).ok());
        stream.and_then(|stream| media::agree(&stream, &offer.stream().formats, flow)).is_none()
    }

    /// What a party wants that says this. What the other one does not let it do anyway it may leave out of its offers
    /// and still want.
    const fn wish_behind(&self, said: Direction) -> Direction {
        Direction::from_parts(
            said.sends() || (!self.other.receives() && self.wish.sends()),
            said.receives() || (!self.other.sends() && self.wish.receives()),
        )
    }

    /// What is spoken under an offer of the party: what is in use, else what it likes best of `ours`.
    fn choose<'a>(&'a self, offered: &AudioStream, ours: &'a [Format]) -> Option<&'a Format> {
        if offered.formats.iter().any(|format| format.is_same_encoding(&self.format)) {
            return Some(&self.format);
        }
        let audio = offered.formats.iter().filter(|format| format.is_audio());
        audio.filter_map(|format| ours.iter().find(|our| our.is_same_encoding(format))).next()
    }
}

impl Leg {
    /// What the party wants to do; to send and to receive before it has answered.
    pub(crate) fn wish(&self) -> Direction {
        match &self.state {
            State::Talking(talk) => talk.wish,
            State::Reaching
            | State::Ringing(_)
            | State::Offered(_)
            | State::Releasing { .. }
            | State::Gone => Direction::SendRecv,
        }
    }

    /// The other party wants to do this. Nothing happens before this one has answered, or when it knows already.
    pub(crate) fn tell_wish(&mut self, other: Direction) {
        let State::Talking(talk) = &mut self.state else { return };
        if talk.other != other {
            talk.other = other;
            self.reoffer();
        }
    }

    fn reoffer(&mut self) {
        let State::Talking(talk) = &mut self.state else { return };
        let (fork, announced) = (talk.fork, self.forks[talk.fork].announced);
        let ForkState::Answered = self.forks[fork].state else { return };
        self.origin.version += 1;
        let formats = media::offered_with_events(&talk.format, &self.formats);
        let offer = Offer::new(&self.origin, media::stream(announced, formats, talk.other));
        let body = offer.print();
        talk.reoffer = Some(offer);
        let invite = self.invite(fork);
        self.sip(Command::Offer { invite, body });
    }

    /// The party changes the session (re-INVITE or UPDATE): answered here, with the codec in use where it is still
    /// offered, else with the first that is one of ours.
    pub(super) fn offered(&mut self, from_fork: usize, body: Option<&[u8]>, flow: Flow) {
        let ForkState::Answered = self.forks[from_fork].state else { return };
        let invite = self.invite(from_fork);
        let State::Talking(talk) = &mut self.state else { return };
        if talk.fork != from_fork {
            return;
        }
        self.origin.version += 1;
        self.forks[from_fork].flow = flow;
        let announced = self.forks[from_fork].announced;
        let Some(body) = body else {
            let formats = media::beginning_with(&talk.format, &self.formats);
            let offer = Offer::new(&self.origin, media::stream(announced, formats, talk.other));
            let body = offer.print();
            talk.late = Some(offer);
            self.sip(Command::AnswerOffer { invite, body });
            return self.reoffer_anew();
        };
        let received = media::read_offer(body, flow);
        if let Ok(offer) = &received
            && offer.closes_audio()
        {
            let body = offer.answer_without_audio(&self.origin, announced.rtp);
            talk.late = None;
            self.sip(Command::AnswerOffer { invite, body });
            self.close_audio(flow);
            return self.reoffer_anew();
        }
        let answered = received.and_then(|offer| {
            let offered = offer.audio().cloned().ok_or(SdpError::NoAudio)?;
            let format = talk.choose(&offered, &self.formats).ok_or(SdpError::NoCommonFormat)?;
            let formats = media::with_events(format, &self.formats);
            let answer = offer.answer(&self.origin, announced.rtp, &formats, talk.other)?;
            // Addresses and direction are those of the offer; of its formats the answer takes the one that holds.
            Ok((AudioStream { formats: answer.stream.formats.clone(), ..offered }, answer))
        });
        let Ok((stream, answer)) = answered else {
            self.sip(Command::RefuseOffer { invite, status: StatusCode::NOT_ACCEPTABLE_HERE });
            return self.reoffer_anew();
        };
        talk.late = None;
        self.sip(Command::AnswerOffer { invite, body: answer.print() });
        self.redescribe(&stream, &stream.formats, flow);
        self.wishes(stream.direction);
        self.reoffer_anew();
    }

    /// An offer of ours that still waits was made before the last answer: its version must be above that one's.
    fn reoffer_anew(&mut self) {
        if let State::Talking(talk) = &self.state
            && talk.reoffer.is_some()
        {
            self.reoffer();
        }
    }

    /// The answer to our re-INVITE, or to the offer that a re-INVITE without one asked for.
    pub(super) fn reanswered(&mut self, from_fork: usize, body: &[u8], is_overtaken: bool) {
        let State::Talking(talk) = &mut self.state else { return };
        if talk.fork != from_fork {
            return;
        }
        // Where a later offer waits, this answers one that had the same formats and another direction.
        let offer = if is_overtaken {
            talk.reoffer.clone()
        } else {
            talk.late.take().or_else(|| talk.reoffer.take())
        };
        let Some(offer) = offer else { return };
        let flow = self.forks[from_fork].flow;
        let is_free = !is_overtaken && offer.stream().direction == Direction::SendRecv;
        let stream = match media::read_answer(&offer, body, flow) {
            Ok(stream) => stream,
            Err(SdpError::AudioRefused) if is_free => return self.close_audio(flow),
            Err(_) => return,
        };
        self.redescribe(&stream, &offer.stream().formats, flow);
        // An answer says what the party wants only where the offer allows everything.
        if is_free {
            self.wishes(stream.direction);
        }
    }

    /// The party has closed its stream with port 0, which is another word for hold until it opens it again.
    fn close_audio(&mut self, flow: Flow) {
        let State::Talking(talk) = &self.state else { return };
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let formats = media::with_events(&talk.format, &self.formats);
        let stream = AudioStream { direction: Direction::Inactive, ..AudioStream::new(nowhere, formats) };
        self.redescribe(&stream, &stream.formats, flow);
        self.wishes(Direction::Inactive);
    }

    /// The session stays as it was.
    pub(super) fn reoffer_refused(&mut self, from_fork: usize) {
        if let State::Talking(talk) = &mut self.state
            && talk.fork == from_fork
        {
            talk.reoffer = None;
        }
    }

    /// `ours`: the formats of our description that goes with it.
    fn redescribe(&mut self, stream: &AudioStream, ours: &[Format], flow: Flow) {
        let (Some((description, format)), State::Talking(talk)) =
            (media::agree(stream, ours, flow), &mut self.state)
        else {
            return;
        };
        let is_other = !format.is_same_encoding(&talk.format);
        // Its payload type stays for the life of the session (RFC 3264 §8.3.2).
        talk.format = format.clone();
        self.describe(description);
        if is_other {
            self.tell(LegEvent::CodecChanged(format));
        }
    }

    fn wishes(&mut self, direction: Direction) {
        let State::Talking(talk) = &mut self.state else { return };
        let wish = talk.wish_behind(direction);
        if talk.wish != wish {
            talk.wish = wish;
            self.tell(LegEvent::Wishes);
        }
    }
}

#[cfg(test)]
mod tests;
