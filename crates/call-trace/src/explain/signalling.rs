//! Answers without an ACK: ours that a phone never acknowledged, and those of a phone that does not hear our ACK.

use super::PARTIES;
use super::evidence::{Dialog, Evidence, Seen, duration, finding, times};
use call_control::{Finding, FindingCode, Severity};
use sip_message::{Contacts, Method};
use std::time::Duration;

/// An answer that was sent so often was not only lost.
const COPIES: usize = 4;

pub(super) fn find(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    for party in PARTIES {
        for dialog in evidence.dialogs(party) {
            for copies in repeated_answers(&dialog) {
                findings.extend(judge(evidence, &dialog, &copies));
            }
        }
    }
}

/// 2xx to an INVITE, each with all of its copies; those that were sent often enough.
fn repeated_answers<'e>(dialog: &Dialog<'e>) -> Vec<Vec<Seen<'e>>> {
    let mut answers: Vec<Vec<Seen<'e>>> = Vec::new();
    let is_answer = |seen: &Seen<'_>| {
        seen.response_to(&Method::INVITE).is_some_and(|response| response.status.is_success())
    };
    for seen in dialog.all.iter().copied().filter(is_answer) {
        let is_copy = |first: Seen<'_>| {
            first.is_sent() == seen.is_sent() && first.header().cseq.number == seen.header().cseq.number
        };
        match answers.iter_mut().find(|copies| is_copy(copies[0])) {
            Some(copies) => copies.push(seen),
            None => answers.push(vec![seen]),
        }
    }
    answers.retain(|copies| copies.len() >= COPIES);
    answers
}

fn judge(evidence: &Evidence<'_>, dialog: &Dialog<'_>, copies: &[Seen<'_>]) -> Option<Finding> {
    let (first, last) = (*copies.first()?, *copies.last()?);
    let is_ours = first.is_sent();
    let ack = dialog.all.iter().copied().find(|seen| {
        seen.is_request("ACK")
            && seen.is_sent() != is_ours
            && seen.header().cseq.number == first.header().cseq.number
    });
    let sent = times(copies.len());
    let time = last.shown.at.unix_milliseconds() - first.shown.at.unix_milliseconds();
    let time = duration(Duration::from_millis(u64::try_from(time).unwrap_or_default()));
    let phone = evidence.phone(first);
    match (is_ours, ack) {
        (true, Some(_)) | (false, None) => None,
        (true, None) => {
            let sentence = format!(
                "{phone} never acknowledged our answer to its re-INVITE: it was sent {sent} within {time}. Our \
                 messages do not reach it at {}, or its ACK does not reach the server: look for a router or \
                 firewall between the two that changes SIP (a SIP ALG), and for a Contact or Via of the phone with \
                 another address.",
                first.shown.address
            );
            let invite = dialog.received().find(|seen| {
                seen.is_request("INVITE") && seen.header().cseq.number == first.header().cseq.number
            });
            let shown = invite.into_iter().chain([first, last]);
            Some(finding(FindingCode::AckMissing, Severity::Fault, dialog.party, sentence, shown))
        }
        (false, Some(ack)) => {
            let sentence = format!(
                "{phone} repeated its answer {sent} within {time} although each was acknowledged: our ACK, sent to \
                 {}, does not reach it{}. It will take the call for lost after about 32 s. Look for a router or \
                 firewall between the two that lets nothing through to that address, or changes SIP (a SIP ALG).",
                ack.shown.address,
                elsewhere(first, ack)
            );
            let shown = [first, ack, last];
            Some(finding(FindingCode::AckNotHeard, Severity::Fault, dialog.party, sentence, shown))
        }
    }
}

/// Where the phone says that it is, if that is not where it was sent to.
fn elsewhere(answer: Seen<'_>, ack: Seen<'_>) -> String {
    let Some(Contacts::List(contacts)) = &answer.header().contact else { return String::new() };
    let uri = contacts.first().map(|contact| crate::ladder::legible(&contact.uri.to_string()));
    match uri {
        Some(uri) if !uri.contains(&ack.shown.address.ip().to_string()) => {
            format!("; the Contact of its answer is {uri}")
        }
        Some(_) | None => String::new(),
    }
}
