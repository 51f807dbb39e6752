//! What a phone of the party lets us hear while it rings.

use super::outgoing::{Fork, Ringing};
use super::{Leg, LegEvent, State};
use crate::media;
use media_relay::Description;
use sdp::{AudioStream, Format};
use sip_message::{Response, StatusCode};

/// The answer in a provisional response.
#[derive(Debug)]
pub(super) struct EarlyAnswer {
    /// The To tag of whoever gave it.
    branch: Option<Box<str>>,
    stream: AudioStream,
}

impl Leg {
    /// An answer in a provisional response (RFC 3960 §3). Of several the first is heard, until its phone is gone.
    pub(super) fn early_answer(
        &mut self,
        from_fork: usize,
        status: StatusCode,
        body: &[u8],
        branch: Option<Box<str>>,
    ) {
        self.reached(from_fork);
        let State::Ringing(Ringing { early, .. }) = &mut self.state else { return };
        let fork = &mut self.forks[from_fork];
        if fork.early.as_ref().is_some_and(|answer| answer.branch != branch) {
            return;
        }
        let answer = fork.offer.as_ref().map(|offer| media::read_answer(offer, body, fork.flow));
        let Some(Ok(stream)) = answer else { return };
        if fork.early.as_ref().is_some_and(|answer| answer.stream == stream) {
            return;
        }
        let agreed = fork.agreed_to(&stream);
        fork.early = Some(EarlyAnswer { branch, stream });
        if *early.get_or_insert(from_fork) == from_fork
            && let Some((description, _)) = agreed
        {
            self.tell(LegEvent::EarlyMedia { status: status.code(), description });
        }
    }

    /// The phone that was heard is gone: another one that may be heard takes its place.
    pub(super) fn hear_another(&mut self, gone: usize) {
        self.forks[gone].early = None;
        let State::Ringing(Ringing { early, .. }) = &mut self.state else { return };
        if *early != Some(gone) {
            return;
        }
        *early = self.forks.iter().position(|fork| fork.early.is_some());
        let heard = early.and_then(|fork| self.forks.get(fork));
        let agreed = heard.and_then(|fork| fork.agreed_to(&fork.early.as_ref()?.stream));
        if let Some((description, _)) = agreed {
            let status = StatusCode::SESSION_PROGRESS.code();
            self.tell(LegEvent::EarlyMedia { status, description });
        }
    }
}

impl Fork {
    /// What a 2xx agrees to; one without an answer confirms the one that came before (RFC 3261 §13.2.1).
    pub(super) fn agreed(&self, response: &Response) -> Option<(Description, Format)> {
        let early = self.early.as_ref().filter(|early| early.branch.as_deref() == response.header.to.tag());
        let stream = match early {
            Some(early) if response.body.is_empty() => early.stream.clone(),
            Some(_) | None => media::read_answer(self.offer.as_ref()?, &response.body, self.flow).ok()?,
        };
        self.agreed_to(&stream)
    }

    fn agreed_to(&self, stream: &AudioStream) -> Option<(Description, Format)> {
        media::agree(stream, &self.offer.as_ref()?.stream().formats, self.flow)
    }
}
