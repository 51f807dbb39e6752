//! What became of a session that stood: held, no longer confirmed, silent.

use super::PARTIES;
use super::evidence::{Evidence, Seen, duration, finding, times};
use call_control::{EndReason, Finding, FindingCode, Party, Severity};
use sip_message::{Header, StatusCode};

pub(super) fn find(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    if let Some(end) = &evidence.call.end
        && let Some(party) = end.party
    {
        if end.reason == EndReason::SessionExpired {
            findings.push(expired(evidence, party));
        }
        if end.reason == EndReason::MediaTimeout {
            findings.push(fell_silent(evidence, party));
        }
    }
    findings.extend(PARTIES.into_iter().filter_map(|party| held(evidence, party)));
}

fn expired(evidence: &Evidence<'_>, party: Party) -> Finding {
    let Some(question) = Question::last_to(evidence, party) else { return unconfirmed(evidence, party) };
    let Question { request, copies, answer } = question;
    let (asked, phone) = (&request.shown.summary, evidence.phone(request));
    let sentence = match answer {
        Some((answer, status)) if is_unknown_call(status) => format!(
            "{phone} answered with {} when it was asked by {asked} whether the call still stands: it does not know \
             the call any more, as after a restart.",
            answer.shown.summary
        ),
        // It said then that the call stands: what it did not do is to say so again.
        Some(_) => return unconfirmed(evidence, party),
        None => format!(
            "{phone} was asked by {asked} {} within {} whether the call still stands, and gave no answer: it has \
             lost its network or its power, or is no longer reached at that address.",
            times(copies.len()),
            duration(evidence.until_now(copies.first().map_or(request.shown.at, |first| first.shown.at)))
        ),
    };
    let shown = copies.into_iter().chain(answer.map(|(answer, _)| answer));
    finding(FindingCode::SessionExpired, Severity::Fault, party, sentence, shown)
}

/// The phone was to refresh the session, or to let it be refreshed.
fn unconfirmed(evidence: &Evidence<'_>, party: Party) -> Finding {
    let sentence = format!(
        "The phone of {} was to confirm that the call still stands (session timer, RFC 4028) and did not in time; it \
         may have lost its network.",
        evidence.number(party)
    );
    finding(FindingCode::SessionExpired, Severity::Fault, party, sentence, None)
}

/// Answers that end a dialog, or mean that nobody is there (RFC 3261 §12.2.1.2).
const fn is_unknown_call(status: StatusCode) -> bool {
    matches!(status.code(), 408 | 481)
}

/// A re-INVITE or UPDATE of ours.
struct Question<'e> {
    request: Seen<'e>,
    copies: Vec<Seen<'e>>,
    /// The final one.
    answer: Option<(Seen<'e>, StatusCode)>,
}

impl<'e> Question<'e> {
    fn last_to(evidence: &'e Evidence<'_>, party: Party) -> Option<Self> {
        let asks = |seen: &Seen<'_>| {
            let is_refresh = seen.is_request("UPDATE") || seen.is_request("INVITE");
            seen.is_sent() && is_refresh && seen.header().to.tag().is_some()
        };
        let request = evidence.of(party).rfind(asks)?;
        let Header { call_id, cseq, .. } = request.header();
        let of_it = |seen: &Seen<'_>| seen.header().call_id == *call_id && seen.header().cseq == *cseq;
        let copies = evidence.of(party).filter(|seen| asks(seen) && of_it(seen)).collect();
        let answer = evidence.of(party).filter(|seen| !seen.is_sent() && of_it(seen)).find_map(|seen| {
            let response = seen.response_to(&cseq.method)?;
            response.status.is_final().then_some((seen, response.status))
        });
        Some(Self { request, copies, answer })
    }
}

fn fell_silent(evidence: &Evidence<'_>, party: Party) -> Finding {
    let media = evidence.call.party(party).media.as_ref();
    let before = media.map_or(0, |media| media.packets_received);
    let sentence = format!(
        "The server ended the call because no audio came from {} any more, for as long as \
         media.silence_timeout_seconds allows; {before} packets had come before. Its phone has lost its network or \
         its power, or sends nothing while its microphone is off.",
        evidence.number(party)
    );
    let answer = evidence.of(party).find(|seen| !seen.is_sent() && seen.shown.sdp);
    let bye = evidence.of(party).find(|seen| seen.is_sent() && seen.is_request("BYE"));
    let shown = answer.into_iter().chain(bye);
    finding(FindingCode::MediaTimeout, Severity::Fault, party, sentence, shown)
}

/// The last offer of the phone wants to hear nothing.
fn held(evidence: &Evidence<'_>, party: Party) -> Option<Finding> {
    let last = evidence.of(party).rfind(|seen| {
        !seen.is_sent() && seen.shown.sdp && (seen.is_request("INVITE") || seen.is_request("UPDATE"))
    })?;
    if last.audio()?.direction.receives() {
        return None;
    }
    let (number, at) = (evidence.number(party), evidence.since_start(last.shown.at));
    let until = match evidence.call.end {
        Some(_) => "had not taken it back when the call ended",
        None => "has not taken it back yet",
    };
    let sentence = format!(
        "{number} put the call on hold after {at} and {until}: {} could not be heard by it since then.",
        evidence.number(party.other())
    );
    Some(finding(FindingCode::Held, Severity::Hint, party, sentence, [last]))
}
