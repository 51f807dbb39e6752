//! Why the call ended, where that is not the refusal of a phone.

use super::evidence::{Dialog, Evidence, Seen, duration, finding, times};
use super::{PARTIES, trunks};
use call_control::{
    End, EndReason, EndedBy, Finding, FindingCode, LadderTransport, Party, Severity, StepKind,
};
use sip_message::Method;
use std::time::Duration;

/// A phone that has said nothing for so long is not only slow.
const SILENCE: Duration = Duration::from_millis(1_400);
/// What is known of a phone before the INVITE would be sent again (RFC 3261 §17.1.1.2, T1), the network itself has said.
const REFUSED_WITHIN: Duration = Duration::from_millis(450);
/// A phone over UDP is given up after this long: timer B, 64·T1 (RFC 3261 §17.1.1.2).
const TIMER_B: Duration = Duration::from_secs(31);

pub(super) fn find(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    if let Some(end) = &evidence.call.end {
        findings.extend(ended(evidence, end));
    }
    for party in PARTIES {
        let phones = evidence.dialogs(party).into_iter();
        for dialog in phones.filter(|dialog| !trunks::is_of_trunk(evidence, dialog)) {
            findings.extend(silent_phone(evidence, &dialog));
        }
    }
}

/// What the call alone shows of its end, when no message that is kept tells more.
pub(super) fn bare(evidence: &Evidence<'_>) -> Option<Finding> {
    let end = evidence.call.end.as_ref()?;
    let status = end.sip_status.map(|status| format!(", SIP status {status}")).unwrap_or_default();
    let (code, what) = match end.reason {
        EndReason::Busy => (FindingCode::Busy, "is busy"),
        EndReason::Declined => (FindingCode::Declined, "declined"),
        EndReason::NotFound => (FindingCode::Refused, "does not know whom it was asked for"),
        EndReason::NoCommonCodec => (FindingCode::NoCommonCodec, "has no codec of those that it was offered"),
        EndReason::NoAnswer => (FindingCode::NoAnswer, "did not answer in time"),
        EndReason::Unreachable => (FindingCode::Unreachable, "cannot be reached"),
        EndReason::MediaTimeout => (FindingCode::MediaTimeout, "sent no audio any more"),
        EndReason::SessionExpired => {
            (FindingCode::SessionExpired, "did not confirm that the call still stands")
        }
        EndReason::Refused => (FindingCode::Refused, "refused the call"),
        EndReason::HungUp
        | EndReason::Cancelled
        | EndReason::MaxDuration
        | EndReason::TrunkFailed
        | EndReason::PolicyDenied
        | EndReason::LimitReached
        | EndReason::LoopDetected
        | EndReason::Transferred
        | EndReason::TransferFailed
        | EndReason::ServerStopped
        | EndReason::ServerCrashed
        | EndReason::InternalError => return None,
    };
    let party = end.party?;
    let sentence = format!("The phone of {} {what}{status}.", evidence.number(party));
    Some(finding(code, Severity::Fault, party, sentence, None))
}

fn ended(evidence: &Evidence<'_>, end: &End) -> Option<Finding> {
    let fault = |code, sentence: &str| (code, Severity::Fault, sentence.to_owned());
    let (code, severity, sentence) = match end.reason {
        EndReason::Cancelled => return Some(cancelled(evidence, end)),
        EndReason::NoAnswer => return no_answer(evidence, end.party?),
        EndReason::Unreachable => return no_phone(evidence, end.party?),
        EndReason::MaxDuration => {
            let talked = evidence.talked().map(duration).unwrap_or_default();
            let sentence =
                format!("The call was ended by the server after {talked}: that is its max_duration.");
            (FindingCode::MaxDuration, Severity::Hint, sentence)
        }
        EndReason::Transferred => {
            let into = end.into.map(|into| format!(" as {into}")).unwrap_or_default();
            let sentence = format!("The call went into another one, which goes on{into}.");
            (FindingCode::Transferred, Severity::Hint, sentence)
        }
        EndReason::TransferFailed => {
            (FindingCode::TransferFailed, Severity::Fault, not_transferred(evidence, end))
        }
        EndReason::TrunkFailed => fault(FindingCode::TrunkFailed, NO_TRUNK),
        EndReason::PolicyDenied => fault(FindingCode::PolicyDenied, DENIED),
        EndReason::LimitReached => fault(FindingCode::LimitReached, FULL),
        EndReason::LoopDetected => fault(FindingCode::LoopDetected, CIRCLE),
        EndReason::ServerStopped => fault(FindingCode::ServerStopped, STOPPED),
        EndReason::ServerCrashed => fault(FindingCode::ServerCrashed, CRASHED),
        EndReason::InternalError => fault(FindingCode::InternalError, INTERNAL),
        // The phone says why, or the audio and the session do, or nothing is wrong.
        EndReason::HungUp
        | EndReason::Busy
        | EndReason::Declined
        | EndReason::NotFound
        | EndReason::Refused
        | EndReason::NoCommonCodec
        | EndReason::MediaTimeout
        | EndReason::SessionExpired => return None,
    };
    Some(by_server(evidence, code, severity, sentence))
}

const STOPPED: &str = "The call was ended because the server was told to stop and did not wait any longer.";
const CRASHED: &str = "The server died while the call ran, and closed its record when it was started again. The messages of \
    the call were lost with it; the log of the system says why it died.";
const INTERNAL: &str = "A fault of the server ended the call; its log says more.";
const NO_TRUNK: &str = "No trunk took the call.";
const DENIED: &str = "The number may not be dialled: dial_policy in the configuration says which may.";
const FULL: &str = "Every trunk that takes the number had as many calls as its channels allow.";
const CIRCLE: &str = "One destination led to another twenty times, and nobody was reached: the configuration leads in a circle.";

fn not_transferred(evidence: &Evidence<'_>, end: &End) -> String {
    let step = evidence.call.path.iter().rev().find(|step| step.step == StepKind::TransferFailed);
    let number = step.and_then(|step| step.number.as_ref()).map(ToString::to_string);
    let status = end.sip_status.map(|status| format!(" (SIP status {status})")).unwrap_or_default();
    format!(
        "The call was to be transferred to {}, which was not reached{status}; whoever transferred it had hung up by then.",
        number.as_deref().unwrap_or("somebody else"),
    )
}

fn by_server(evidence: &Evidence<'_>, code: FindingCode, severity: Severity, sentence: String) -> Finding {
    let first = evidence.seen().find(|seen| is_release(*seen) && seen.is_sent());
    let evidence = first.map(|seen| seen.shown.clone()).into_iter().collect();
    Finding { code, severity, party: None, sentence, evidence }
}

fn cancelled(evidence: &Evidence<'_>, end: &End) -> Finding {
    let call = evidence.call;
    let after = call.ended_at.map(|at| evidence.since_start(at)).unwrap_or_default();
    let waited_for = match call.from.answered_at {
        Some(_) => Party::To,
        None => Party::From,
    };
    let waited_for = evidence.number(waited_for);
    let by_party = |party: Party| {
        let bye = evidence.of(party).find(|seen| is_release(*seen) && !seen.is_sent());
        let sentence =
            format!("{} hung up after {after}, before {waited_for} had answered.", evidence.number(party));
        finding(FindingCode::Cancelled, Severity::Hint, party, sentence, bye)
    };
    let by_us = |who: &str| {
        let sentence = format!("{who} ended the call after {after}, before {waited_for} had answered.");
        by_server(evidence, FindingCode::Cancelled, Severity::Hint, sentence)
    };
    match end.by {
        EndedBy::From => by_party(Party::From),
        EndedBy::To => by_party(Party::To),
        EndedBy::Api => by_us("A request of the API"),
        EndedBy::Server => by_us("The server"),
    }
}

fn no_answer(evidence: &Evidence<'_>, party: Party) -> Option<Finding> {
    // Those that refused meanwhile did not keep anybody waiting.
    let waits = |dialog: &Dialog<'_>| {
        let released = dialog.all.iter().find(|seen| seen.is_sent() && is_release(**seen));
        let refused = dialog.final_response().map(|(seen, _)| seen.shown.number);
        refused.is_none_or(|refused| released.is_some_and(|released| released.shown.number < refused))
    };
    let mut dialogs = evidence.dialogs(party);
    dialogs.retain(waits);
    let number = evidence.number(party);
    if let Some((dialog, rang)) = dialogs.iter().find_map(|dialog| Some((dialog, dialog.rang()?))) {
        let rung = duration(evidence.until_now(rang.shown.at));
        let sentence = format!(
            "{number} did not answer: {} rang for {rung}, as long as it may (timeout and to_timeout of the request).",
            evidence.phone(rang)
        );
        return Some(finding(
            FindingCode::NoAnswer,
            Severity::Fault,
            party,
            sentence,
            release_of(dialog, rang),
        ));
    }
    let (dialog, trying) = dialogs.iter().find_map(|dialog| Some((dialog, dialog.responses().next()?.0)))?;
    let sentence = format!(
        "{} took the INVITE ({}) but never rang; what stands between it and the server may not reach it.",
        evidence.phone(trying),
        trying.shown.summary
    );
    Some(finding(FindingCode::NoAnswer, Severity::Fault, party, sentence, release_of(dialog, trying)))
}

/// The INVITE, what came back, and the CANCEL.
fn release_of<'e>(dialog: &Dialog<'e>, came: Seen<'e>) -> impl Iterator<Item = Seen<'e>> + use<'e> {
    let invite = dialog.invites.first().copied();
    let cancel = dialog.all.iter().copied().find(|seen| seen.is_sent() && is_release(*seen));
    invite.into_iter().chain([came]).chain(cancel)
}

/// It had none left when it was to be rung.
fn no_phone(evidence: &Evidence<'_>, party: Party) -> Option<Finding> {
    if !evidence.dialogs(party).is_empty() || evidence.seen().next().is_none() {
        return None;
    }
    let sentence =
        format!("No phone of {} was registered any more when it was to be rung.", evidence.number(party));
    Some(finding(FindingCode::Unreachable, Severity::Fault, party, sentence, None))
}

/// A phone from which nothing came, or nothing more once its first answer had another INVITE sent.
fn silent_phone(evidence: &Evidence<'_>, dialog: &Dialog<'_>) -> Option<Finding> {
    let (first, last) = (*dialog.invites.first()?, *dialog.invites.last()?);
    let cseq = first.header().cseq.number;
    // A copy of what an earlier INVITE was answered may still come.
    let is_news = |seen: Seen<'_>| {
        let is_old = seen.response_to(&Method::INVITE).is_some_and(|it| it.header.cseq.number < cseq);
        seen.shown.number > first.shown.number && !is_old
    };
    if dialog.received().any(is_news) {
        return None;
    }
    let end = evidence.call.end.as_ref();
    let is_unreachable =
        end.is_some_and(|end| end.reason == EndReason::Unreachable && end.party == Some(dialog.party));
    let waited = evidence.until_now(first.shown.at);
    if !is_unreachable && waited < SILENCE {
        return None;
    }
    let (sent, transport) = (times(dialog.invites.len()), first.shown.transport);
    let mut sentence = format!("{} cannot be reached: ", evidence.phone(first));
    let answered = dialog.received().find(|seen| seen.response_to(&Method::INVITE).is_some());
    if let Some(answered) = answered {
        sentence += &format!("it answered a first INVITE with {}; then ", answered.shown.summary);
    }
    sentence += &match transport {
        LadderTransport::Tcp | LadderTransport::Tls if is_unreachable && waited < TIMER_B => format!(
            "there is no connection to it over {}, neither the one that it registered along nor a new one. ",
            transport.name()
        ),
        LadderTransport::Udp if is_unreachable && waited < REFUSED_WITHIN => format!(
            "the INVITE was sent over {}, and the network said at once that nobody listens at that port (ICMP). ",
            transport.name()
        ),
        LadderTransport::Tcp | LadderTransport::Tls | LadderTransport::Udp => format!(
            "the INVITE was sent {sent} over {} within {}, and nothing came back. ",
            transport.name(),
            duration(evidence.until_now(first.shown.at))
        ),
    };
    if let Some(device) = evidence.device(first) {
        let ago = first.shown.at.unix_milliseconds() - device.registered_at.unix_milliseconds();
        let ago = Duration::from_millis(u64::try_from(ago).unwrap_or_default());
        sentence += &format!("It registered last {} before. ", duration(ago));
    }
    sentence += "It is switched off or has left the network, or the router or firewall before it has closed the way \
                 by now: a shorter registration interval, or TCP, keeps it open.";
    let another_rang = evidence.dialogs(dialog.party).iter().any(|other| other.responses().next().is_some());
    let is_fault = !another_rang && (evidence.failed_by(dialog.party) || end.is_none());
    let severity = if is_fault { Severity::Fault } else { Severity::Hint };
    let copies = if first.shown.number == last.shown.number { vec![first] } else { dialog.invites.clone() };
    let shown = answered.into_iter().chain(copies);
    Some(finding(FindingCode::Unreachable, severity, dialog.party, sentence, shown))
}

fn is_release(seen: Seen<'_>) -> bool {
    seen.is_request("BYE") || seen.is_request("CANCEL")
}
