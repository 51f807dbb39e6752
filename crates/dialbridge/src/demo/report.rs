//! The demo as people read it: what happened when, who sent what to whom, what was heard.

use super::findings::{Findings, PartyFindings, Ringback, word};
use super::folder::PICTURE;
use super::ladder::{self, Arrow, Rung, Span, Stroke};
use super::play::Recorded;
use super::stage::{ROLES, Stage};
use super::wire;
use call_control::{CallEvent, CallEventKind};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use test_phone::{PhoneEvent, Report};

/// What there is to tell.
pub(super) struct Story<'a> {
    pub(super) began: SystemTime,
    pub(super) recorded: &'a Recorded,
    /// By phone.
    pub(super) reports: &'a [Vec<Report>],
    pub(super) addresses: &'a [SocketAddr],
}

/// One line of the timeline.
struct Line {
    at: SystemTime,
    who: &'static str,
    what: String,
}

/// The whole report, without a line end behind it.
pub(super) fn print(story: &Story<'_>, findings: &Findings, colours: bool) -> String {
    let paint = Paint { colours };
    let mut text = format!("{}\n", paint.bold("One HTTP request makes two phones talk"));
    let section = |text: &mut String, title: &str, lines: &[String]| {
        let _infallible = write!(text, "\n{}\n\n", paint.bold(title));
        for line in lines {
            let _infallible = writeln!(text, "{}", line.trim_end());
        }
    };
    section(&mut text, "What happened", &timeline(story));
    section(&mut text, "SIP", &drawn(story, findings));
    section(&mut text, "What was heard", &heard(story, findings));
    section(&mut text, "What the server says of the call", &explained(story));
    text.push('\n');
    if findings.missing.is_empty() {
        let [one, two] = [ROLES[0].number, ROLES[1].number];
        let verdict = format!("It works: {one} and {two} heard each other, and hanging up ended the call.");
        text.push_str(&paint.green(&verdict));
    } else {
        text.push_str(&paint.red("It does not work:"));
        for sentence in &findings.missing {
            let _infallible = write!(text, "\n{}", hanging("  - ", sentence));
        }
    }
    text
}

/// The last lines of all.
pub(super) fn where_it_is(folder: &Path, recorded: &Recorded) -> String {
    let picture = recorded
        .picture
        .is_some()
        .then(|| format!("The ladder as a picture: {}\n", folder.join(PICTURE).display()));
    let folder = folder.display();
    format!(
        "\n{}What both phones heard, the call, its messages and this report: {folder}",
        picture.unwrap_or_default()
    )
}

/// The messages as they went over the wire but for their secrets, one after the other.
pub(super) fn messages(story: &Story<'_>) -> Vec<u8> {
    let mut octets = Vec::new();
    for message in &story.recorded.wire {
        let seconds = since(story.began, message.at).as_secs_f64();
        let direction = if message.sent { "to" } else { "from" };
        octets.extend_from_slice(
            format!("==== {seconds:.3} s, {direction} {}\r\n", message.far_end.address).as_bytes(),
        );
        octets.extend_from_slice(&message.redacted());
        octets.extend_from_slice(b"\r\n");
    }
    octets
}

/// The server as it stands at the beginning.
pub(super) fn ready(stage: &Stage) -> String {
    let bound = stage.server.b2bua().bound();
    let sip = bound.iter().map(|(_, address)| address.to_string()).collect::<Vec<_>>().join(", ");
    format!("ready: HTTP {}, SIP {sip}, data in a temporary folder", stage.server.http())
}

/// With a capital letter and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    first.chain(letters).chain(".".chars()).collect()
}

fn timeline(story: &Story<'_>) -> Vec<String> {
    let moments = story.recorded.moments.iter();
    let mut lines: Vec<Line> =
        moments.map(|moment| Line { at: moment.at, who: moment.who, what: moment.what.clone() }).collect();
    for (reports, role) in story.reports.iter().zip(&ROLES) {
        lines.extend(reports.iter().filter_map(|report| {
            Some(Line { at: report.at, who: role.number, what: of_phone(&report.event)? })
        }));
    }
    lines.extend(story.recorded.events.iter().filter_map(|event| of_call(event)));
    // The server counts milliseconds: what the phones did in the same one came first.
    lines.sort_by_key(|line| since(UNIX_EPOCH, line.at).as_millis());
    let printed = lines.iter().map(|line| {
        let seconds = since(story.began, line.at).as_secs_f64();
        hanging(&format!("{seconds:>8.3}  {:<8}", line.who), &line.what)
    });
    printed.collect()
}

/// What the server says of the call; what the phones say is not said twice.
fn of_call(event: &CallEvent) -> Option<Line> {
    let at = u64::try_from(event.at.unix_milliseconds()).ok()?;
    let at = UNIX_EPOCH + Duration::from_millis(at);
    let what = match event.event {
        CallEventKind::Initiated | CallEventKind::Ringing | CallEventKind::Answered => return None,
        CallEventKind::Connected => "call.connected: both have answered".to_owned(),
        CallEventKind::Talking => "call.talking: audio has come from both".to_owned(),
        CallEventKind::Held => "call.held".to_owned(),
        CallEventKind::Resumed => "call.resumed".to_owned(),
        CallEventKind::Transferred => "call.transferred".to_owned(),
        CallEventKind::Ended => match &event.call.end {
            Some(end) => format!("call.ended: {} by {}", word(&end.reason), word(&end.by)),
            None => "call.ended".to_owned(),
        },
    };
    Some(Line { at, who: "server", what })
}

fn of_phone(event: &PhoneEvent) -> Option<String> {
    Some(match event {
        PhoneEvent::Registered { refreshed: false, .. } => "is registered".to_owned(),
        PhoneEvent::RegisterFailed { status, reason } => match status {
            Some(status) => format!("cannot register: {status} {reason}"),
            None => format!("cannot register: {reason}"),
        },
        PhoneEvent::Incoming { number, name, .. } => match name {
            Some(name) => format!("rings; its display shows {number} ({name})"),
            None => format!("rings; its display shows {number}"),
        },
        PhoneEvent::Answered { codec: Some(codec) } => format!("answers, with {codec}"),
        PhoneEvent::Answered { codec: None } => "answers".to_owned(),
        PhoneEvent::FirstAudio { ms_after_answer: Some(milliseconds) } => {
            format!("hears the first audio, {milliseconds} ms after it answered")
        }
        PhoneEvent::FirstAudio { ms_after_answer: None } => "hears the first audio".to_owned(),
        PhoneEvent::Ended { .. } => "is free again".to_owned(),
        PhoneEvent::Registered { refreshed: true, .. }
        | PhoneEvent::Unregistered
        | PhoneEvent::Calling { .. }
        | PhoneEvent::Ringing { .. }
        | PhoneEvent::Confirmed
        | PhoneEvent::Dtmf { .. }
        | PhoneEvent::DtmfSent { .. }
        | PhoneEvent::Held { .. }
        | PhoneEvent::Resumed { .. }
        | PhoneEvent::ReofferRefused { .. }
        | PhoneEvent::Requested { .. }
        | PhoneEvent::Refused { .. }
        | PhoneEvent::Media(_)
        | PhoneEvent::Finished(_) => return None,
    })
}

fn drawn(story: &Story<'_>, findings: &Findings) -> Vec<String> {
    let &[one, two] = story.addresses else { return vec!["(no phones)".to_owned()] };
    let messages = story.recorded.wire.iter().map(AsRef::as_ref);
    let mut rungs = wire::rungs(messages, [one, two], story.began);
    rungs.extend(audio(story, findings));
    rungs.sort_by_key(|rung| rung.at);
    ladder::draw([ROLES[0].number, "dialbridge", ROLES[1].number], &rungs)
}

/// The audio that begins between the messages.
fn audio(story: &Story<'_>, findings: &Findings) -> Vec<Rung> {
    let rung = |at, span, arrow, label| Rung {
        at: since(story.began, at),
        span,
        arrow,
        stroke: Stroke::Audio,
        label,
    };
    let first = story.reports.first().into_iter().flatten();
    let first = first.filter(|report| matches!(report.event, PhoneEvent::FirstAudio { .. }));
    let ringback = findings.ringback.as_ref().filter(|ringback| !ringback.tones.is_empty());
    let ringback = first.zip(ringback).map(|(report, ringback)| {
        rung(report.at, Span::Left, Arrow::ToLeft, format!("ringback {} Hz", frequencies(ringback)))
    });
    let talking = story.recorded.events.iter().find(|event| event.event == CallEventKind::Talking);
    let talking = talking.and_then(|event| of_call(event));
    let talking = talking.map(|line| rung(line.at, Span::Whole, Arrow::Both, "audio both ways".to_owned()));
    ringback.chain(talking).collect()
}

fn explained(story: &Story<'_>) -> Vec<String> {
    let findings = story.recorded.explanation.iter().flat_map(|explanation| &explanation.findings);
    findings.map(|finding| hanging("  ", &finding.sentence)).collect()
}

fn heard(story: &Story<'_>, findings: &Findings) -> Vec<String> {
    let mut lines = Vec::new();
    let server = story.recorded.call.as_ref().map(|call| [&call.from.media, &call.to.media]);
    for (index, party) in findings.parties.iter().enumerate() {
        let (number, other) = (ROLES[index].number, ROLES[1 - index].number);
        let Some(party) = party else {
            lines.push(format!("  {number}  nothing"));
            continue;
        };
        let mut facts = vec![tone(party, other)];
        facts.extend(findings.ringback.as_ref().filter(|_| index == 0).map(|found| ringback(found, other)));
        facts.push(packets(party));
        if let Some(media) = server.and_then(|server| server[index].as_ref()) {
            facts.push(format!(
                "what it sent: {} packets at the server, {} lost, jitter {:.1} ms",
                thousands(media.packets_received),
                thousands(media.packets_lost),
                media.jitter_ms
            ));
        }
        let codec = party.media.figures.codec.unwrap_or("no codec");
        let heads =
            std::iter::once(format!("  {number}  {codec:<5}  ")).chain(std::iter::repeat(" ".repeat(15)));
        lines.extend(heads.zip(&facts).map(|(head, fact)| format!("{head}{fact}")));
    }
    lines
}

/// `700 Hz, 97 % of what 1002 heard, 2,940 ms`
fn tone(party: &PartyFindings, other: &str) -> String {
    let tone = party.tone;
    let share = (tone.share * 100.0).round();
    let run = thousands(tone.milliseconds);
    format!("{other}: {} Hz, {share} % of what was heard in the call, {run} ms in a row", tone.hertz)
}

fn ringback(ringback: &Ringback, other: &str) -> String {
    let gap = ringback.longest_gap.as_millis();
    let gap =
        if gap <= GAP_MILLISECONDS_MAX { "without a gap".to_owned() } else { format!("a gap of {gap} ms") };
    let run = thousands(ringback.milliseconds);
    format!("ringback while {other} rang: {} Hz, {run} ms, {gap}", frequencies(ringback))
}

fn frequencies(ringback: &Ringback) -> String {
    let mut hertz: Vec<u32> = ringback.tones.iter().map(|tone| tone.hertz).collect();
    hertz.sort_unstable();
    if hertz.is_empty() {
        return "no".to_owned();
    }
    hertz.iter().map(ToString::to_string).collect::<Vec<_>>().join(" + ")
}

fn packets(party: &PartyFindings) -> String {
    let figures = &party.media.figures;
    let first = figures.first_audio_ms_after_answer;
    let first = first.map_or_else(String::new, |ms| format!(", the first {ms} ms after the answer"));
    format!(
        "{} packets, {} lost, jitter {:.1} ms{first}",
        thousands(figures.packets_received),
        thousands(figures.packets_lost),
        figures.jitter_ms
    )
}

/// `2940` as `2,940`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

fn since(began: SystemTime, at: SystemTime) -> Duration {
    at.duration_since(began).unwrap_or_default()
}

/// Lines with `head` before the first and as much space before the others, none wider than the page. Control characters
/// become question marks.
fn hanging(head: &str, text: &str) -> String {
    let margin = head.chars().count();
    let width = PAGE - margin;
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        let last = lines.last_mut().expect("there is always a line");
        let used = last.chars().count();
        if used > 0 && used + 1 + word.len() > width {
            lines.push(String::new());
        } else if used > 0 {
            last.push(' ');
        }
        while word.len() > width {
            let rest = word.split_off(width);
            lines.last_mut().expect("there is always a line").extend(word);
            lines.push(String::new());
            word = rest;
        }
        lines.last_mut().expect("there is always a line").extend(word);
    }
    format!("{head}{}", lines.join(&format!("\n{}", " ".repeat(margin))))
}

/// Escape sequences for a terminal, or none.
struct Paint {
    colours: bool,
}

impl Paint {
    fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn green(&self, text: &str) -> String {
        self.paint("1;32", text)
    }

    fn red(&self, text: &str) -> String {
        self.paint("1;31", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Columns.
const PAGE: usize = 98;
/// Packets come each 20 ms; a machine may be busy for a moment.
const GAP_MILLISECONDS_MAX: u128 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_hang_below_their_beginning_and_fit_the_page() {
        let text = hanging("  head  ", &format!("{} {}", "word ".repeat(40), "x".repeat(200)));
        for line in text.lines() {
            assert!(line.chars().count() <= PAGE, "{line}");
            assert!(line.starts_with("  head  ") || line.starts_with("        "), "{line}");
        }
        assert_eq!(text.matches('x').count(), 200);
        assert_eq!(hanging("- ", "short\u{1b}"), "- short?");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 2_940, 1_000_000].map(thousands), ["0", "999", "2,940", "1,000,000"]);
    }

    #[test]
    fn colours_are_only_for_terminals() {
        assert_eq!(Paint { colours: false }.green("x"), "x");
        assert!(Paint { colours: true }.green("x").contains('\u{1b}'));
    }

    #[test]
    fn a_problem_becomes_a_sentence() {
        assert_eq!(sentence("1001 could not register"), "1001 could not register.");
        assert_eq!(sentence("the API did not answer"), "The API did not answer.");
    }
}
