//! The messages of a call as they are looked at: by party, by dialog, parsed.

use crate::ladder::session_description;
use call_control::{
    Call, Direction, EndReason, Finding, FindingCode, Ladder, LadderDevice, LadderMessage, LeftOut, Party,
    Severity, Timestamp,
};
use sdp::{AudioStream, ReceivedOffer};
use sip_message::{Header, Message, Method, Response};
use std::error::Error;
use std::time::Duration;

/// Messages that one finding shows at most: the first ones, and the last.
const SHOWN_MAX: usize = 8;

/// A call and its messages.
pub(super) struct Evidence<'a> {
    pub(super) call: &'a Call,
    pub(super) left_out: Option<LeftOut>,
    now: Timestamp,
    devices: [Vec<LadderDevice>; 2],
    passed_over: [Vec<String>; 2],
    messages: Vec<(LadderMessage, Option<Message>)>,
}

/// A message that could be read.
#[derive(Clone, Copy)]
pub(super) struct Seen<'e> {
    pub(super) shown: &'e LadderMessage,
    pub(super) message: &'e Message,
}

/// All that was sent to and received from one phone under one Call-ID.
pub(super) struct Dialog<'e> {
    pub(super) party: Party,
    /// The INVITE that began it, and its copies: the last one, where an answer had another one sent (RFC 3261 §8.1.3.5).
    pub(super) invites: Vec<Seen<'e>>,
    /// Everything, in its order.
    pub(super) all: Vec<Seen<'e>>,
}

impl<'a> Evidence<'a> {
    pub(super) fn new(call: &'a Call, read: Option<(Ladder, Vec<Option<Message>>)>, now: Timestamp) -> Self {
        let Some((ladder, parsed)) = read else {
            let (devices, passed_over) = Default::default();
            return Self { call, left_out: None, now, devices, passed_over, messages: vec![] };
        };
        let messages = ladder.messages.into_iter().zip(parsed).collect();
        let devices = [ladder.from.devices, ladder.to.devices];
        let passed_over = [ladder.from.passed_over, ladder.to.passed_over];
        Self { call, left_out: ladder.left_out, now, devices, passed_over, messages }
    }

    pub(super) fn seen(&self) -> impl DoubleEndedIterator<Item = Seen<'_>> {
        self.messages.iter().filter_map(|(shown, message)| Some(Seen { shown, message: message.as_ref()? }))
    }

    /// Those with the phones of a party.
    pub(super) fn of(&self, party: Party) -> impl DoubleEndedIterator<Item = Seen<'_>> {
        self.seen().filter(move |seen| seen.shown.party == party)
    }

    /// One for each phone that was rung.
    pub(super) fn dialogs(&self, party: Party) -> Vec<Dialog<'_>> {
        let mut dialogs: Vec<Dialog<'_>> = Vec::new();
        for seen in self.of(party) {
            let call_id = &seen.header().call_id;
            let dialog = match dialogs.iter_mut().find(|dialog| dialog.all[0].header().call_id == *call_id) {
                Some(dialog) => dialog,
                None => {
                    dialogs.push(Dialog { party, invites: Vec::new(), all: Vec::new() });
                    let Some(dialog) = dialogs.last_mut() else { continue };
                    dialog
                }
            };
            if seen.is_sent() && seen.is_request("INVITE") && seen.header().to.tag().is_none() {
                dialog.invited(seen);
            }
            dialog.all.push(seen);
        }
        dialogs
    }

    /// The dialog with the phone that answered.
    pub(super) fn answered(&self, party: Party) -> Option<Dialog<'_>> {
        self.dialogs(party)
            .into_iter()
            .find(|dialog| dialog.final_response().is_some_and(|(_, response)| response.status.is_success()))
    }

    /// The phone behind a message.
    pub(super) fn device(&self, seen: Seen<'_>) -> Option<&LadderDevice> {
        let devices = &self.devices[seen.shown.party as usize];
        devices.iter().find(|device| device.address == seen.shown.address)
    }

    /// The trunk behind a message.
    pub(super) fn trunk(&self, seen: Seen<'_>) -> Option<&str> {
        self.device(seen)?.trunk.as_deref()
    }

    /// Trunks that had no room.
    pub(super) fn passed_over(&self, party: Party) -> &[String] {
        &self.passed_over[party as usize]
    }

    /// `the phone of 1002 at 10.0.0.7:5060 (Yealink SIP-T46S)`, `the trunk carrier at 192.0.2.1:5060`
    pub(super) fn phone(&self, seen: Seen<'_>) -> String {
        if let Some(trunk) = self.trunk(seen) {
            return format!("the trunk {} at {}", crate::ladder::legible(trunk), seen.shown.address);
        }
        let user_agent = self.device(seen).and_then(|device| device.user_agent.as_deref());
        let user_agent = user_agent.map(|name| format!(" ({})", crate::ladder::legible(name)));
        let (number, address) = (self.number(seen.shown.party), seen.shown.address);
        format!("the phone of {number} at {address}{}", user_agent.unwrap_or_default())
    }

    pub(super) fn number(&self, party: Party) -> &str {
        self.call.party(party).number.as_str()
    }

    /// From the answer of the later party to the end, or until now.
    pub(super) fn talked(&self) -> Option<Duration> {
        Some(between(self.call.connected_at?, self.call.ended_at.unwrap_or(self.now)))
    }

    /// How long after the call was asked for.
    pub(super) fn since_start(&self, at: Timestamp) -> String {
        duration(between(self.call.created_at, at))
    }

    pub(super) fn until_now(&self, at: Timestamp) -> Duration {
        between(at, self.call.ended_at.unwrap_or(self.now))
    }

    pub(super) fn is_crash(&self) -> bool {
        self.call.end.as_ref().is_some_and(|end| end.reason == EndReason::ServerCrashed)
    }

    /// Whether the call failed, and by this party.
    pub(super) fn failed_by(&self, party: Party) -> bool {
        self.call.end.as_ref().is_some_and(|end| end.party == Some(party)) && self.call.connected_at.is_none()
    }
}

impl<'e> Seen<'e> {
    pub(super) fn header(self) -> &'e Header {
        self.message.header()
    }

    pub(super) const fn is_sent(self) -> bool {
        matches!(self.shown.direction, Direction::Sent)
    }

    pub(super) fn is_request(self, method: &str) -> bool {
        matches!(self.message, Message::Request(request) if request.method.as_str() == method)
    }

    /// The response, if it is one to such a request.
    pub(super) fn response_to(self, method: &Method) -> Option<&'e Response> {
        match self.message {
            Message::Response(response) if response.header.cseq.method == *method => Some(response),
            Message::Response(_) | Message::Request(_) => None,
        }
    }

    /// What is wrong with its session description, the line included where it is a line.
    pub(super) fn description_error(self) -> Option<String> {
        let peer = self.shown.address.ip();
        let read = ReceivedOffer::parse(session_description(self.message)?);
        match read.and_then(|offer| offer.audio().map_or(Ok(()), |audio| audio.check_reach(peer))) {
            Ok(()) => None,
            Err(error) => Some(match error.source() {
                Some(source) => format!("{error} ({source})"),
                None => error.to_string(),
            }),
        }
    }

    /// The audio that its session description offers or answers.
    pub(super) fn audio(self) -> Option<AudioStream> {
        ReceivedOffer::parse(session_description(self.message)?).ok()?.audio().cloned()
    }
}

impl<'e> Dialog<'e> {
    fn invited(&mut self, invite: Seen<'e>) {
        let number = |seen: &Seen<'_>| seen.header().cseq.number;
        if self.invites.first().is_some_and(|first| number(first) < number(&invite)) {
            self.invites.clear();
        }
        self.invites.push(invite);
    }

    /// What came from the phone.
    pub(super) fn received(&self) -> impl Iterator<Item = Seen<'e>> {
        self.all.iter().copied().filter(|seen| !seen.is_sent())
    }

    /// Responses to the INVITE that began it.
    pub(super) fn responses(&self) -> impl Iterator<Item = (Seen<'e>, &'e Response)> {
        let cseq = self.invites.first().map(|invite| invite.header().cseq.number);
        self.received().filter_map(move |seen| {
            let response = seen.response_to(&Method::INVITE)?;
            (Some(response.header.cseq.number) == cseq).then_some((seen, response))
        })
    }

    pub(super) fn final_response(&self) -> Option<(Seen<'e>, &'e Response)> {
        self.responses().find(|(_, response)| response.status.is_final())
    }

    /// `None` while only 100 came.
    pub(super) fn rang(&self) -> Option<Seen<'e>> {
        let rang = |response: &Response| (101..200).contains(&response.status.code());
        self.responses().find(|(_, response)| rang(response)).map(|(seen, _)| seen)
    }
}

/// A finding about a party.
pub(super) fn finding<'e>(
    code: FindingCode,
    severity: Severity,
    party: Party,
    sentence: String,
    evidence: impl IntoIterator<Item = Seen<'e>>,
) -> Finding {
    let mut shown: Vec<LadderMessage> = evidence.into_iter().map(|seen| seen.shown.clone()).collect();
    if shown.len() > SHOWN_MAX {
        shown.drain(SHOWN_MAX - 1..shown.len() - 1);
    }
    Finding { code, severity, party: Some(party), sentence: capitalised(&sentence), evidence: shown }
}

fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map(char::to_uppercase).into_iter().flatten().chain(letters).collect()
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    let milliseconds = to.unix_milliseconds() - from.unix_milliseconds();
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default())
}

/// `12.3 s`, `4 min 5 s`, `2 h 3 min`
pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => format!("{:.1} s", time.as_secs_f64()),
        120..7200 => format!("{} min {} s", seconds / 60, seconds % 60),
        7200.. => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// `once`, `twice`, `7 times`
pub(super) fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}

/// `PCMA, PCMU`
pub(super) fn codecs(stream: &AudioStream) -> String {
    let names = stream.formats.iter().filter(|format| format.is_audio());
    names.map(|format| crate::ladder::legible(&format.name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_say_them() {
        let said = |milliseconds| duration(Duration::from_millis(milliseconds));
        assert_eq!([40, 12_340, 245_900, 7_380_000].map(said), ["0.0 s", "12.3 s", "4 min 5 s", "2 h 3 min"]);
        assert_eq!([1, 2, 7].map(times), ["once", "twice", "7 times"]);
        assert_eq!(capitalised("the phone"), "The phone");
    }
}
