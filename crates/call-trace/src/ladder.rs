//! From the trace of a call to the messages that the API shows.

use crate::trace::{Entry, ReadTrace};
use call_control::{
    Call, Direction, Ladder, LadderDevice, LadderMessage, LadderParty, LadderTransport, LeftOut, MessageKind,
    Party, Timestamp,
};
use sip_message::{FieldName, Message, Method, Transport};
use std::collections::HashMap;
use std::net::SocketAddr;

/// Characters of a start line, or of a reason phrase, that are shown in a summary.
const SUMMARY_MAX: usize = 60;

/// The messages of a call, out of what its [`Tracer`](crate::Tracer) wrote. `None` for octets that no tracer has
/// written.
pub fn ladder(call: &Call, trace: &[u8]) -> Option<Ladder> {
    read(call, trace).map(|(ladder, _)| ladder)
}

/// The same, and each message as it was parsed; those that cannot be are absent.
pub(crate) fn read(call: &Call, trace: &[u8]) -> Option<(Ladder, Vec<Option<Message>>)> {
    let trace = ReadTrace::read(trace)?;
    let party = |party| LadderParty {
        number: call.party(party).number.clone(),
        devices: Vec::new(),
        passed_over: Vec::new(),
    };
    let (mut from, mut to) = (party(Party::From), party(Party::To));
    let (mut messages, mut parsed) = (Vec::new(), Vec::new());
    let mut first_copies: HashMap<(bool, SocketAddr, &[u8]), u32> = HashMap::new();
    let mut before_gap = 0;
    for (index, (entry, octets)) in trace.entries.iter().enumerate() {
        let Some(at) = Timestamp::from_unix_milliseconds(entry.at) else { continue };
        if entry.is_phone || entry.is_trunk {
            let party = match entry.party {
                Party::From => &mut from,
                Party::To => &mut to,
            };
            match entry.is_phone {
                true => party.devices.push(device(entry, octets, at)),
                false => party.passed_over.push(String::from_utf8_lossy(octets).into_owned()),
            }
            continue;
        }
        let number = u32::try_from(messages.len()).unwrap_or(u32::MAX).saturating_add(1);
        let first = *first_copies.entry((entry.sent, entry.far_end.address, octets)).or_insert(number);
        let read = Message::parse(octets).ok().map(|mut message| {
            message.unwrap_part(SDP);
            message
        });
        messages.push(LadderMessage {
            number,
            at,
            party: entry.party,
            address: entry.far_end.address,
            transport: transport(entry.far_end.transport),
            direction: if entry.sent { Direction::Sent } else { Direction::Received },
            kind: read.as_ref().map_or(MessageKind::Unreadable, kind),
            summary: read.as_ref().map_or_else(|| start_of(octets), summary),
            sdp: read.as_ref().is_some_and(has_sdp),
            repeats: (first < number).then_some(first),
            text: String::from_utf8_lossy(octets).into_owned(),
        });
        parsed.push(read);
        if index < trace.before_gap {
            before_gap = number;
        }
    }
    let left_out = (trace.left_out > 0).then_some(LeftOut { messages: trace.left_out, after: before_gap });
    let ladder = Ladder { call_id: call.call_id, created_at: call.created_at, from, to, messages, left_out };
    Some((ladder, parsed))
}

fn device(entry: &Entry, name: &[u8], at: Timestamp) -> LadderDevice {
    let name = String::from_utf8_lossy(name).into_owned();
    let (trunk, user_agent) = if entry.is_trunk { (Some(name), None) } else { (None, Some(name)) };
    LadderDevice {
        trunk,
        address: entry.far_end.address,
        transport: transport(entry.far_end.transport),
        user_agent: user_agent.filter(|name| !name.is_empty()),
        registered_at: at,
    }
}

/// A transport as it is shown.
pub const fn transport(transport: Transport) -> LadderTransport {
    match transport {
        Transport::Udp => LadderTransport::Udp,
        Transport::Tcp => LadderTransport::Tcp,
        Transport::Tls => LadderTransport::Tls,
    }
}

const fn kind(message: &Message) -> MessageKind {
    match message {
        Message::Request(_) => MessageKind::Request,
        Message::Response(response) if response.status.is_provisional() => MessageKind::Provisional,
        Message::Response(response) if response.status.is_success() => MessageKind::Success,
        Message::Response(_) => MessageKind::Failure,
    }
}

/// `INVITE`, `re-INVITE`, `180 Ringing`, `200 OK (BYE)`.
fn summary(message: &Message) -> String {
    match message {
        Message::Request(request)
            if request.method == Method::INVITE && request.header.to.tag().is_some() =>
        {
            "re-INVITE".to_owned()
        }
        Message::Request(request) => legible(request.method.as_str()),
        Message::Response(response) => {
            let reason = match &*response.reason {
                "" => response.status.reason(),
                reason => reason,
            };
            let line = legible(&format!("{} {reason}", response.status));
            let method = &response.header.cseq.method;
            if *method == Method::INVITE { line } else { format!("{line} ({})", legible(method.as_str())) }
        }
    }
}

/// Of a message that cannot be read, or was too long to be kept whole.
fn start_of(octets: &[u8]) -> String {
    let line = octets.trim_ascii_start().split(|octet| *octet == b'\r' || *octet == b'\n').next();
    legible(&String::from_utf8_lossy(line.unwrap_or_default()))
}

/// Without control characters, and not too long.
pub(crate) fn legible(text: &str) -> String {
    let clean = text.chars().map(|character| if character.is_control() { '?' } else { character });
    let mut clean = clean.take(SUMMARY_MAX + 1).collect::<String>();
    if clean.chars().count() > SUMMARY_MAX {
        clean.pop();
        clean.push('…');
    }
    clean
}

fn has_sdp(message: &Message) -> bool {
    session_description(message).is_some()
}

const SDP: &str = "application/sdp";

/// The session description in a message.
pub(crate) fn session_description(message: &Message) -> Option<&[u8]> {
    let (header, body) = match message {
        Message::Request(request) => (&request.header, &request.body),
        Message::Response(response) => (&response.header, &response.body),
    };
    let kind = header.fields.get(&FieldName::CONTENT_TYPE)?.split(';').next()?;
    (kind.trim().eq_ignore_ascii_case(SDP) && !body.is_empty()).then_some(body.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_calls_a_transport_as_sip_does() {
        for known in Transport::ALL {
            assert_eq!(transport(known).name(), known.via_word());
        }
    }
}
