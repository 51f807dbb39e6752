//! Carriers: which trunks were tried for a number, and why the next one was.

use super::PARTIES;
use super::evidence::{Dialog, Evidence, Seen, duration, finding, times};
use crate::ladder::legible;
use call_control::{EndReason, Finding, FindingCode, LadderTransport, Party, Severity};
use sip_message::{FieldName, Message, Response};
use std::time::Duration;

/// An address over which nothing came back sooner was closed, and not only silent.
const SILENCE: Duration = Duration::from_millis(3_500);

pub(super) fn find(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    for party in PARTIES {
        findings.extend(passed_over(evidence, party));
        let mut dialogs = evidence.dialogs(party);
        dialogs.retain(|dialog| !dialog.invites.is_empty() && is_of_trunk(evidence, dialog));
        for (index, dialog) in dialogs.iter().enumerate() {
            findings.extend(did_not_take_it(evidence, dialog, dialogs.get(index + 1)));
        }
    }
}

/// Whether a dialog is one with a carrier.
pub(super) fn is_of_trunk(evidence: &Evidence<'_>, dialog: &Dialog<'_>) -> bool {
    dialog.all.first().is_some_and(|first| evidence.trunk(*first).is_some())
}

/// Trunks that had no room.
fn passed_over(evidence: &Evidence<'_>, party: Party) -> Option<Finding> {
    let names: Vec<String> = evidence.passed_over(party).iter().map(|name| legible(name)).collect();
    let (first, more) = names.split_first()?;
    let (noun, verb) = if more.is_empty() { ("trunk", "was") } else { ("trunks", "were") };
    let names = [first.as_str()].into_iter().chain(more.iter().map(String::as_str));
    let sentence = format!(
        "The {noun} {} {verb} passed over for {}: as many calls as channels or calls_per_second allow.",
        names.collect::<Vec<_>>().join(", "),
        evidence.number(party)
    );
    Some(finding(FindingCode::LimitReached, Severity::Hint, party, sentence, None))
}

fn did_not_take_it(
    evidence: &Evidence<'_>,
    dialog: &Dialog<'_>,
    next: Option<&Dialog<'_>>,
) -> Option<Finding> {
    let first = *dialog.invites.first()?;
    let mut sentence = evidence.phone(first);
    let (code, shown) = match dialog.final_response() {
        Some((_, response)) if response.status.is_success() => return None,
        Some((seen, response)) => {
            // What is answered once we have hung up is no refusal.
            let is_cancel = |before: &&Seen<'_>| before.is_sent() && before.is_request("CANCEL");
            let before = dialog.all.iter().take_while(|before| before.shown.number < seen.shown.number);
            if before.into_iter().any(|before| is_cancel(&before)) {
                return None;
            }
            sentence += &refusal(first, response);
            (code(response.status.code()), vec![first, seen])
        }
        // Something came: the caller gave up, or nobody answered.
        None if dialog.responses().next().is_some() => return None,
        None => {
            let given_up_at = next.and_then(|next| Some(next.invites.first()?.shown.at));
            let waited = match given_up_at {
                Some(at) => at.unix_milliseconds() - first.shown.at.unix_milliseconds(),
                None => i64::try_from(evidence.until_now(first.shown.at).as_millis()).unwrap_or(i64::MAX),
            };
            let waited = Duration::from_millis(u64::try_from(waited).unwrap_or_default());
            let is_over = next.is_some() || evidence.call.end.is_some();
            if !is_over || (next.is_none() && !has_failed(evidence, dialog.party)) {
                return None;
            }
            // Copies that went out later keep nobody waiting.
            let counts = |seen: &&Seen<'_>| given_up_at.is_none_or(|at| seen.shown.at <= at);
            let sent: Vec<Seen<'_>> = dialog.invites.iter().filter(counts).copied().collect();
            sentence += &silence(sent.len(), first.shown.transport, waited);
            (FindingCode::Unreachable, sent)
        }
    };
    let next = next.and_then(|next| next.invites.first());
    if let Some(next) = next {
        sentence += &format!(" It was tried next through {}.", evidence.phone(*next));
    }
    let is_fault = next.is_none() && has_failed(evidence, dialog.party);
    let severity = if is_fault { Severity::Fault } else { Severity::Hint };
    Some(finding(code, severity, dialog.party, sentence, shown))
}

fn has_failed(evidence: &Evidence<'_>, party: Party) -> bool {
    evidence.failed_by(party)
        || evidence.call.end.as_ref().is_some_and(|end| end.reason == EndReason::TrunkFailed)
}

fn refusal(invite: Seen<'_>, response: &Response) -> String {
    let status = response.status.code();
    let reason = if response.reason.is_empty() { response.status.reason() } else { &*response.reason };
    let mut text = format!(" did not take the call: {status} {}.", legible(reason));
    if let Some(given) = response.header.fields.get(&FieldName::REASON) {
        text += &format!(" The reason that it gives: {}.", legible(given));
    }
    if let Some(Ok(seconds)) = response.header.fields.delta_seconds(&FieldName::RETRY_AFTER) {
        text += &format!(" It asks not to be called again for {seconds} s.");
    }
    text += &advice(invite, status);
    text
}

/// What it means, and what can be done.
fn advice(invite: Seen<'_>, status: u16) -> String {
    match status {
        401 | 407 => " It wants other credentials: username, auth_username, password or realm of the trunk are not \
                      what it expects."
            .to_owned(),
        403 => " It does not allow the call: its account may lack this destination, the number that is shown, or credit."
            .to_owned(),
        404 | 484 | 604 => {
            let asked = match invite.message {
                Message::Request(request) => legible(&request.uri.to_string()),
                Message::Response(_) => String::new(),
            };
            format!(
                " It does not know the number as it was written, {asked}: format and dial_prefix of the trunk say how \
                 that is."
            )
        }
        408 | 480 => " It knows the number, and nobody could be reached there.".to_owned(),
        486 | 600 => " The number is busy.".to_owned(),
        488 | 606 => " It knows none of the codecs that it was offered.".to_owned(),
        603 | 607 | 608 => " Whoever was called declined, or does not take such calls.".to_owned(),
        500..=599 => " The carrier cannot take calls there at present.".to_owned(),
        _ => String::new(),
    }
}

fn silence(sent: usize, transport: LadderTransport, waited: Duration) -> String {
    let (sent, name) = (times(sent), transport.name());
    match transport {
        LadderTransport::Tcp | LadderTransport::Tls if waited < SILENCE => {
            format!(" was not reached: there is no connection to it over {name}.")
        }
        LadderTransport::Udp if waited < SILENCE => {
            format!(" was not reached: the INVITE was sent {sent} over {name}, and nobody listens there.")
        }
        LadderTransport::Udp | LadderTransport::Tcp | LadderTransport::Tls => format!(
            " said nothing: the INVITE was sent {sent} over {name}, and nothing came back within {}.",
            duration(waited)
        ),
    }
}

const fn code(status: u16) -> FindingCode {
    match status {
        486 | 600 => FindingCode::Busy,
        603 | 607 => FindingCode::Declined,
        488 | 606 => FindingCode::NoCommonCodec,
        401 | 407 => FindingCode::Challenged,
        300..=399 => FindingCode::Redirected,
        _ => FindingCode::Refused,
    }
}
