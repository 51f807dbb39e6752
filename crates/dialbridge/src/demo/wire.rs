//! From SIP messages as they went over the wire to the rungs of a ladder.

use super::ladder::{Arrow, Rung, Span, Stroke};
use call_trace::WireMessage;
use sip_message::{FieldName, Header, Message, Method};
use std::net::SocketAddr;
use std::time::SystemTime;

/// The rungs of these messages, in order. `phones` are the addresses of the columns left and right; messages with
/// others are left out, and so is what cannot be read. What a phone registers is one rung, however many messages it
/// takes.
pub(super) fn rungs<'a>(
    messages: impl IntoIterator<Item = &'a WireMessage>,
    phones: [SocketAddr; 2],
    began: SystemTime,
) -> Vec<Rung> {
    let mut rungs: Vec<(Rung, Origin)> = Vec::new();
    for message in messages {
        let Some(span) = span_of(message.far_end.address, phones) else { continue };
        let Ok(parsed) = Message::parse(&message.octets) else { continue };
        let registers = parsed.header().cseq.method == Method::REGISTER;
        let open =
            rungs.iter_mut().find(|(rung, origin)| rung.span == span && *origin == Origin::Registration);
        if registers && let Some((rung, _)) = open {
            rung.label.push(' ');
            rung.label.push_str(&start(&parsed));
            continue;
        }
        let origin = if registers { Origin::Registration } else { Origin::Message(message.octets.clone()) };
        let again = !registers && rungs.iter().any(|(_, earlier)| *earlier == origin);
        let (body, again) = (with_body(parsed.header()), if again { " (again)" } else { "" });
        let rung = Rung {
            at: message.at.duration_since(began).unwrap_or_default(),
            span,
            arrow: if registers { Arrow::Both } else { arrow(span, message.sent) },
            stroke: Stroke::Signalling,
            label: if registers { start(&parsed) } else { format!("{}{body}{again}", label(&parsed)) },
        };
        rungs.push((rung, origin));
    }
    rungs.into_iter().map(|(rung, _)| rung).collect()
}

/// What a rung came from.
#[derive(PartialEq, Eq)]
enum Origin {
    Registration,
    Message(Vec<u8>),
}

fn span_of(remote: SocketAddr, [left, right]: [SocketAddr; 2]) -> Option<Span> {
    if remote == left {
        Some(Span::Left)
    } else if remote == right {
        Some(Span::Right)
    } else {
        None
    }
}

/// Our column is in the middle.
fn arrow(span: Span, sent: bool) -> Arrow {
    match (span, sent) {
        (Span::Left | Span::Whole, true) | (Span::Right, false) => Arrow::ToLeft,
        (Span::Left | Span::Whole, false) | (Span::Right, true) => Arrow::ToRight,
    }
}

/// `REGISTER`, `401`
fn start(message: &Message) -> String {
    match message {
        Message::Request(request) => request.method.to_string(),
        Message::Response(response) => response.status.to_string(),
    }
}

/// `INVITE`, `180 Ringing`, `200 OK (BYE)`
fn label(message: &Message) -> String {
    match message {
        Message::Request(request) => request.method.to_string(),
        Message::Response(response) => {
            let (status, method) = (response.status, &response.header.cseq.method);
            if *method == Method::INVITE && !status.is_success() {
                format!("{status} {}", status.reason())
            } else {
                format!("{status} {} ({method})", status.reason())
            }
        }
    }
}

fn with_body(header: &Header) -> &'static str {
    match header.fields.get(&FieldName::CONTENT_TYPE) {
        Some(kind) if kind.trim().eq_ignore_ascii_case("application/sdp") => ", SDP",
        Some(_) | None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use call_trace::FarEnd;
    use sip_core::Transport;
    use std::time::Duration;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn message(
        milliseconds: u64,
        sent: bool,
        port: u16,
        start: &str,
        method: &str,
        more: &str,
    ) -> WireMessage {
        let header = format!(
            "Via: SIP/2.0/UDP 127.0.0.1:1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n\
             Call-ID: x\r\nCSeq: 1 {method}\r\n{more}Content-Length: 0\r\n\r\n"
        );
        WireMessage {
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds),
            sent,
            far_end: FarEnd { transport: Transport::Udp, address: address(port) },
            octets: format!("{start}\r\n{header}").into_bytes(),
        }
    }

    fn labels(messages: &[WireMessage]) -> Vec<(Span, Arrow, String)> {
        rungs(messages, [address(1), address(2)], SystemTime::UNIX_EPOCH)
            .into_iter()
            .map(|rung| (rung.span, rung.arrow, rung.label))
            .collect()
    }

    #[test]
    fn a_registration_is_one_rung_for_each_phone() {
        let register = "REGISTER sip:b SIP/2.0";
        let found = labels(&[
            message(1, false, 1, register, "REGISTER", ""),
            message(2, false, 2, register, "REGISTER", ""),
            message(3, true, 1, "SIP/2.0 401 Unauthorized", "REGISTER", ""),
            message(4, false, 1, register, "REGISTER", ""),
            message(5, true, 1, "SIP/2.0 200 OK", "REGISTER", ""),
            message(6, true, 2, "SIP/2.0 401 Unauthorized", "REGISTER", ""),
        ]);
        let expected = [
            (Span::Left, Arrow::Both, "REGISTER 401 REGISTER 200".to_owned()),
            (Span::Right, Arrow::Both, "REGISTER 401".to_owned()),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn messages_say_method_status_and_body_and_repetitions_are_marked() {
        let sdp = "Content-Type: application/sdp\r\n";
        let invite = message(1, true, 1, "INVITE sip:a@b SIP/2.0", "INVITE", sdp);
        let found = labels(&[
            invite.clone(),
            WireMessage { at: SystemTime::UNIX_EPOCH + Duration::from_millis(501), ..invite },
            message(600, false, 1, "SIP/2.0 180 Strange\u{1b}[2J", "INVITE", ""),
            message(601, false, 1, "SIP/2.0 180 Strange", "INVITE", ""),
            message(700, true, 2, "SIP/2.0 200 OK", "BYE", ""),
            message(800, true, 9, "BYE sip:a@b SIP/2.0", "BYE", ""),
        ]);
        let expected = [
            (Span::Left, Arrow::ToLeft, "INVITE, SDP"),
            (Span::Left, Arrow::ToLeft, "INVITE, SDP (again)"),
            (Span::Left, Arrow::ToRight, "180 Ringing"),
            (Span::Right, Arrow::ToRight, "200 OK (BYE)"),
        ];
        assert_eq!(found, expected.map(|(span, arrow, label)| (span, arrow, label.to_owned())));
    }
}
