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

/// The caller asks for an answer without anybody's hand on the phone.
pub(super) fn asks_for_auto_answer(header: &Header) -> bool {
    [FieldName::ALERT_INFO, FieldName::CALL_INFO].iter().any(|name| {
        header.fields.get_all(name).any(|value| {
            value.split(';').skip(1).any(|parameter| {
                let parameter = parameter.trim().to_ascii_lowercase();
                parameter.strip_prefix("answer-after").is_some_and(|value| {
                    value
                        .trim_start()
                        .strip_prefix('=')
                        .is_some_and(|value| value.trim().trim_matches('"') == "0")
                })
            })
        })
    })
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
