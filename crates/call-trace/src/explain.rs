//! What a call was like, in sentences: why it ended, what of the signalling went wrong, what of the audio.
//!
//! Pure: the call as the API shows it and its trace go in. Each finding has the messages that show it.
//! `evidence.rs` puts the messages in order, the others find one kind of thing each.

mod ending;
mod evidence;
mod refusal;
mod session;
mod signalling;
mod sound;
#[cfg(test)]
mod tests;
mod trunks;

use call_control::{Call, EndReason, Explanation, Finding, FindingCode, Party, Severity, Timestamp};
use evidence::{Evidence, duration};

/// Says of a call what there is to say. `trace` is what its [`Tracer`](crate::Tracer) wrote, if that is kept; `now` is the
/// present, for calls that run.
pub fn explain(call: &Call, trace: Option<&[u8]>, now: Timestamp) -> Explanation {
    let read = trace.and_then(|octets| crate::ladder::read(call, octets));
    let is_kept = read.is_some();
    let evidence = Evidence::new(call, read, now);
    let mut findings = Vec::new();
    ending::find(&evidence, &mut findings);
    refusal::find(&evidence, &mut findings);
    trunks::find(&evidence, &mut findings);
    signalling::find(&evidence, &mut findings);
    session::find(&evidence, &mut findings);
    sound::find(&evidence, &mut findings);
    // Stable: within one severity the end of the call comes first.
    findings.sort_by_key(|finding| finding.severity);
    if findings.first().is_none_or(|finding| finding.severity != Severity::Fault) {
        findings.splice(0..0, verdict(&evidence));
    }
    if findings.is_empty() {
        findings.extend(ending::bare(&evidence));
    }
    findings.extend(missing_messages(&evidence, is_kept));
    Explanation { call_id: call.call_id, findings }
}

const PARTIES: [Party; 2] = [Party::From, Party::To];

/// The first sentence of a call in which nothing is wrong.
fn verdict(evidence: &Evidence<'_>) -> Option<Finding> {
    let call = evidence.call;
    let (from, to) = (&call.from.number, &call.to.number);
    let Some(end) = &call.end else {
        let sentence = match evidence.talked() {
            Some(talked) => format!(
                "Nothing is wrong until now: {from} and {to} have been connected for {}{}.",
                duration(talked),
                heard(call)
            ),
            None => format!("Nothing is wrong until now: {from} and {to} are not connected yet."),
        };
        return Some(fine(FindingCode::Running, sentence, evidence, None));
    };
    if end.reason != EndReason::HungUp {
        return None;
    }
    let talked = evidence.talked().map(duration).unwrap_or_default();
    let who = match end.by {
        call_control::EndedBy::From => format!("{from} hung up"),
        call_control::EndedBy::To => format!("{to} hung up"),
        call_control::EndedBy::Api => "a request of the API ended it".to_owned(),
        call_control::EndedBy::Server => "the server ended it".to_owned(),
    };
    let sentence = format!(
        "The call went well: {from} and {to} were connected for {talked}{}, then {who}.",
        heard(call)
    );
    Some(fine(FindingCode::WentWell, sentence, evidence, Some("BYE")))
}

/// ` (PCMU, MOS 4.4 and 4.3)`
fn heard(call: &Call) -> String {
    let (Some(from), Some(to)) = (&call.from.media, &call.to.media) else { return String::new() };
    let codecs = match from.codec == to.codec {
        true => from.codec.clone(),
        false => format!("{} and {}", from.codec, to.codec),
    };
    match from.mos.zip(to.mos) {
        Some((from, to)) => format!(" ({codecs}, mean opinion scores {from:.1} and {to:.1})"),
        None => format!(" ({codecs})"),
    }
}

fn fine(code: FindingCode, sentence: String, evidence: &Evidence<'_>, request: Option<&str>) -> Finding {
    let shown = request.and_then(|method| evidence.seen().find(|seen| seen.is_request(method)));
    let evidence = shown.map(|seen| seen.shown.clone()).into_iter().collect();
    Finding { code, severity: Severity::Fine, party: None, sentence, evidence }
}

fn missing_messages(evidence: &Evidence<'_>, is_kept: bool) -> Option<Finding> {
    let sentence = match (is_kept, &evidence.left_out) {
        (false, _) if evidence.is_crash() => return None,
        (false, _) => {
            "The SIP messages of this call are not kept (any more): what is said here comes from the \
                       call alone."
                .to_owned()
        }
        (true, Some(left_out)) => format!(
            "The call had more messages than are kept: after message {} there were {} more, which are not shown.",
            left_out.after, left_out.messages
        ),
        (true, None) => return None,
    };
    let (code, severity) = (FindingCode::MessagesMissing, Severity::Hint);
    Some(Finding { code, severity, party: None, sentence, evidence: Vec::new() })
}
