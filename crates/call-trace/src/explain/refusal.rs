//! Phones that refused our INVITE: which one, with what, and what it says about it.

use super::evidence::{Dialog, Evidence, Seen, codecs, finding};
use super::{PARTIES, trunks};
use crate::ladder::legible;
use call_control::{Finding, FindingCode, Severity};
use sip_message::{Contacts, FieldName, Reason, Response};

pub(super) fn find(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    for party in PARTIES {
        for dialog in evidence.dialogs(party) {
            if trunks::is_of_trunk(evidence, &dialog) {
                continue;
            }
            let Some((seen, response)) = dialog.final_response() else { continue };
            // What a phone answers once we have hung up on it is no refusal.
            let is_cancel = |before: &Seen<'_>| before.is_sent() && before.is_request("CANCEL");
            let before = dialog.all.iter().take_while(|before| before.shown.number < seen.shown.number);
            if response.status.is_success() || before.into_iter().any(is_cancel) {
                continue;
            }
            findings.push(refused(evidence, &dialog, seen, response));
        }
    }
}

fn refused(evidence: &Evidence<'_>, dialog: &Dialog<'_>, seen: Seen<'_>, response: &Response) -> Finding {
    let status = response.status.code();
    let severity = if evidence.failed_by(dialog.party) { Severity::Fault } else { Severity::Hint };
    let reason = if response.reason.is_empty() { response.status.reason() } else { &*response.reason };
    let mut sentence = format!("{} refused the call: {status} {}.", evidence.phone(seen), legible(reason));
    let fields = &response.header.fields;
    if let Some(Ok(reasons)) = fields.get(&FieldName::REASON).map(Reason::parse_list) {
        for reason in reasons {
            sentence += &format!(" The reason that it gives: {}.", legible(&reason.to_string()));
        }
    }
    if let Some(warning) = fields.get(&FieldName::WARNING) {
        sentence += &format!(" It warns: {}.", legible(warning));
    }
    if let Some(Ok(seconds)) = fields.delta_seconds(&FieldName::RETRY_AFTER) {
        sentence += &format!(" It asks not to be called again for {seconds} s.");
    }
    sentence += &advice(dialog, response);
    finding(
        code(status),
        severity,
        dialog.party,
        sentence,
        dialog.invites.first().copied().into_iter().chain([seen]),
    )
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

/// What it means, and what can be done.
fn advice(dialog: &Dialog<'_>, response: &Response) -> String {
    let status = response.status.code();
    match status {
        486 | 600 => " Its user is in another call, or does not want to be disturbed.".to_owned(),
        603 | 607 => " Its user declined, or the phone is set to decline such calls.".to_owned(),
        488 | 606 => no_codec(dialog, response),
        401 | 407 => {
            let field =
                if status == 401 { &FieldName::WWW_AUTHENTICATE } else { &FieldName::PROXY_AUTHENTICATE };
            let challenge = response.header.fields.get(field).map(legible);
            let challenge = challenge.map(|challenge| format!(" ({challenge})")).unwrap_or_default();
            let what = if has_credentials(dialog) { "another password than" } else { "a password from" };
            format!(
                " It wants {what} the server{challenge}: switch the authentication of incoming calls off in the \
                 phone."
            )
        }
        300..=399 => redirected(response),
        404 | 410 | 484 | 604 => {
            let asked = dialog.invites.first().and_then(|invite| match invite.message {
                sip_message::Message::Request(request) => Some(legible(&request.uri.to_string())),
                sip_message::Message::Response(_) => None,
            });
            format!(
                " It does not know whom it was asked for, {}: another device may have its address now.",
                asked.unwrap_or_default()
            )
        }
        408 | 480 => {
            " It can be reached, but its user cannot: logged out, forwarded to nobody, or not to be \
                      disturbed."
                .to_owned()
        }
        413 | 513 => " The INVITE is too long for it: fewer codecs or variables make it shorter.".to_owned(),
        415 | 420 | 421 | 494 => " It and the server do not speak enough of the same SIP.".to_owned(),
        500..=599 => " The fault is in the phone, or in what stands before it.".to_owned(),
        _ => String::new(),
    }
}

/// Whether the INVITE that was refused had an answer to a challenge.
fn has_credentials(dialog: &Dialog<'_>) -> bool {
    let names = [FieldName::AUTHORIZATION, FieldName::PROXY_AUTHORIZATION];
    let fields = dialog.invites.first().map(|invite| &invite.header().fields);
    fields.is_some_and(|fields| names.iter().any(|name| fields.get(name).is_some()))
}

fn no_codec(dialog: &Dialog<'_>, response: &Response) -> String {
    let offered = dialog.invites.first().and_then(|invite| invite.audio());
    let offered = offered.map(|stream| codecs(&stream)).unwrap_or_default();
    let has = dialog.received().find(|seen| {
        seen.response_to(&sip_message::Method::INVITE).is_some_and(|it| std::ptr::eq(it, response))
    });
    let has = has.and_then(Seen::audio).map(|stream| format!(" It has {}.", codecs(&stream)));
    format!(
        " It was offered {offered}.{} Give the phone one of these, or the server one of its own \
         (media.codecs, or codecs of the extension). A phone that insists on encrypted audio refuses like this, too.",
        has.unwrap_or_default()
    )
}

fn redirected(response: &Response) -> String {
    let to = match &response.header.contact {
        Some(Contacts::List(contacts)) => {
            let contacts = contacts.iter().map(|contact| legible(&contact.uri.to_string()));
            contacts.collect::<Vec<_>>().join(", ")
        }
        Some(Contacts::Star) | None => "nowhere".to_owned(),
    };
    format!(" It sends the call to {to}, which is not followed: switch the forwarding off in the phone.")
}
