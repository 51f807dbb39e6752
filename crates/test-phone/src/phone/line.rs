//! The one call that a phone can have.

use super::session::Session;
use sdp::ReceivedOffer;
use sip_core::InviteId;
use sip_message::{FieldName, Header, NameAddr};
use std::collections::BTreeMap;

/// A call, from its INVITE to its end.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) invite: InviteId,
    pub(super) state: State,
    pub(super) session: Session,
}

/// ```text
/// Alerting ─ we answer ─► Accepted ─ ACK ─┐
/// Calling ──────── they answer ───────────┴► Talking ─ either hangs up ─► Ending
/// ```
#[derive(Debug)]
pub(super) enum State {
    /// They call, and we have not answered. `early` is the answer that a 183 of ours carried.
    Alerting { offer: Option<ReceivedOffer>, early: Option<Vec<u8>> },
    /// They called; our 200 waits for its ACK.
    Accepted,
    /// We call.
    Calling {
        number: Box<str>,
        /// A provisional response carried an answer.
        early: bool,
    },
    /// Both answered.
    Talking,
    /// We hung up or refused; the end is not confirmed.
    Ending,
}

/// User part and display name of the caller.
pub(super) fn caller(from: &NameAddr) -> (String, Option<String>) {
    let number = from.uri.as_sip().and_then(sip_message::SipUri::decoded_user);
    (number.unwrap_or_else(|| from.uri.to_string()), from.display_name.as_deref().map(str::to_owned))
}

/// Header fields that say something about the caller or the call.
pub(super) fn fields_of_interest(header: &Header) -> BTreeMap<String, String> {
    let mut found = BTreeMap::<String, String>::new();
    for (name, value) in header.fields.iter() {
        let is_own = name.as_str().get(..2).is_some_and(|start| start.eq_ignore_ascii_case("X-"));
        if is_own || OF_INTEREST.contains(name) {
            let values = found.entry(name.as_str().to_owned()).or_default();
            if !values.is_empty() {
                values.push_str(", ");
            }
            values.push_str(value);
        }
    }
    found
}

/// The caller asks for an answer without anybody's hand on the phone: `answer-after=0` of Call-Info or Alert-Info,
/// `info=alert-autoanswer` of Alert-Info, or Answer-Mode (RFC 5373 §4.3).
pub(super) fn asks_for_auto_answer(header: &Header) -> bool {
    let mode = header.fields.get(&FieldName::from_static("Answer-Mode"));
    let mode = mode.and_then(|value| value.split(';').next());
    mode.is_some_and(|mode| mode.trim().eq_ignore_ascii_case("auto"))
        || has_parameter(header, &[FieldName::ALERT_INFO, FieldName::CALL_INFO], "answer-after", "0")
        || has_parameter(header, &[FieldName::ALERT_INFO], "info", "alert-autoanswer")
}

fn has_parameter(header: &Header, fields: &[FieldName], name: &str, wanted: &str) -> bool {
    let is_it = |parameter: &str| {
        parameter.split_once('=').is_some_and(|(key, value)| {
            key.trim().eq_ignore_ascii_case(name)
                && value.trim().trim_matches('"').eq_ignore_ascii_case(wanted)
        })
    };
    fields.iter().any(|field| header.fields.get_all(field).any(|value| value.split(';').skip(1).any(is_it)))
}

const OF_INTEREST: [FieldName; 8] = [
    FieldName::ALERT_INFO,
    FieldName::CALL_INFO,
    FieldName::P_ASSERTED_IDENTITY,
    FieldName::REMOTE_PARTY_ID,
    FieldName::PRIVACY,
    FieldName::DIVERSION,
    FieldName::SUBJECT,
    FieldName::USER_AGENT,
];

#[cfg(test)]
mod tests {
    use super::*;
    use sip_message::{CallId, Host, Method, Request, SipUri};

    fn header(fields: &[(&str, &str)]) -> Header {
        let uri = SipUri::new(Some("1001"), Host::new("pbx.test").unwrap(), None);
        let address = NameAddr::new(uri.clone()).with_display_name("Asha");
        let mut request = Request::new(Method::INVITE, uri, address.clone(), address, CallId("x".into()), 1);
        for (name, value) in fields {
            request.header.fields.push(FieldName::new(name).unwrap(), value);
        }
        request.header
    }

    #[test]
    fn answer_after_nothing_asks_for_an_answer() {
        for value in ["<sip:pbx.test>;answer-after=0", "<sip:x>; Answer-After = \"0\" ;a=b"] {
            assert!(asks_for_auto_answer(&header(&[("Call-Info", value)])), "{value}");
            assert!(asks_for_auto_answer(&header(&[("Alert-Info", value)])), "{value}");
        }
        for value in ["<sip:pbx.test>;answer-after=5", "<sip:answer-after=0>", "<sip:x>;xanswer-after=0"] {
            assert!(!asks_for_auto_answer(&header(&[("Call-Info", value)])), "{value}");
        }
        assert!(!asks_for_auto_answer(&header(&[("Subject", "x;answer-after=0")])));
    }

    #[test]
    fn the_caller_and_what_is_said_about_the_call_are_shown() {
        let header =
            header(&[("X-Variable-a", "1"), ("x-variable-a", "2"), ("Allow", "INVITE"), ("Subject", "s")]);
        assert_eq!(caller(&header.from), ("1001".to_owned(), Some("Asha".to_owned())));
        let found: Vec<_> = fields_of_interest(&header).into_iter().collect();
        let expected = [("Subject", "s"), ("X-Variable-a", "1"), ("x-variable-a", "2")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}

#[cfg(test)]
mod auto_answer_tests {
    use super::*;
    use sip_message::Message;

    #[test]
    fn each_way_of_asking_is_understood() {
        for (line, asks) in [
            ("Call-Info: <sip:pbx.example.com>;answer-after=0", true),
            ("Call-Info: <sip:pbx.example.com>; Answer-After = 0", true),
            ("Alert-Info: <http://pbx.example.com>;info=alert-autoanswer;delay=0", true),
            ("Alert-Info: <http://pbx.example.com>;answer-after=0", true),
            ("Answer-Mode: Auto", true),
            ("Answer-Mode: auto;require", true),
            ("Answer-Mode: Manual", false),
            ("Call-Info: <sip:pbx.example.com>;answer-after=5", false),
            ("Call-Info: <sip:answer-after=0@pbx.example.com>", false),
            ("Alert-Info: <http://pbx.example.com>;info=alert-external", false),
            ("Call-Info: <http://pbx.example.com>;info=alert-autoanswer", false),
            ("Subject: answer-after=0", false),
        ] {
            let text = format!(
                "INVITE sip:1001@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=a\r\nTo: <sip:b@h>\r\n\
                 Call-ID: c\r\nCSeq: 1 INVITE\r\n{line}\r\nContent-Length: 0\r\n\r\n"
            );
            let message = Message::parse(text.as_bytes()).expect("a message");
            assert_eq!(asks_for_auto_answer(message.header()), asks, "{line}");
        }
    }
}
