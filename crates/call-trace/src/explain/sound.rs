//! The audio: addresses that cannot be reached, parties that were not heard, codecs, quality.

use super::PARTIES;
use super::evidence::{Dialog, Evidence, Seen, codecs, duration, finding};
use call_control::{EndReason, Finding, FindingCode, Media, Party, Severity};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Who talks for so long has sent audio.
const TALK: Duration = Duration::from_secs(2);
/// Share of the packets that are lost: from here on words are missed.
const LOSS: f64 = 0.03;
/// Mean opinion score below which many users are dissatisfied (ITU-T G.107, annex B).
const SCORE: f64 = 3.6;
/// Packets that are more than a stray one.
const WORTH_TELLING: u64 = 10;
/// Packets without which there is nothing to judge: a second.
const PACKETS: u64 = 50;

pub(super) fn find(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    findings.extend(unheard(evidence));
    findings.extend(PARTIES.into_iter().filter_map(|party| no_common_codec(evidence, party)));
    findings.extend(PARTIES.into_iter().filter_map(|party| private_address(evidence, party)));
    findings.extend(PARTIES.into_iter().filter_map(|party| strangers(evidence, party)));
    findings.extend(PARTIES.into_iter().filter_map(|party| not_agreed(evidence, party)));
    findings.extend(PARTIES.into_iter().filter_map(|party| unreadable(evidence, party)));
    findings.extend(PARTIES.into_iter().filter_map(|party| poor(evidence, party)));
    findings.extend(transcoded(evidence));
}

/// Whether a party that should have sent audio was not heard.
fn is_unheard(evidence: &Evidence<'_>, party: Party) -> bool {
    let received = evidence.call.party(party).media.as_ref().map(|media| media.packets_received);
    let sends = |seen: Seen<'_>| seen.audio().is_some_and(|audio| audio.direction.sends());
    let is_silent = evidence.of(party).any(|seen| !seen.is_sent() && seen.shown.sdp)
        && !evidence.of(party).filter(|seen| !seen.is_sent()).any(sends);
    // The last figures of a call that was cut off are older than its end.
    let is_known = !evidence.is_crash();
    is_known && evidence.talked().is_some_and(|talked| talked >= TALK) && received == Some(0) && !is_silent
}

fn unheard(evidence: &Evidence<'_>) -> Option<Finding> {
    let talked = duration(evidence.talked()?);
    let silent: Vec<Party> = PARTIES.into_iter().filter(|party| is_unheard(evidence, *party)).collect();
    let (from, to) = (evidence.number(Party::From), evidence.number(Party::To));
    let parties = silent.iter().flat_map(|party| sdp_of(evidence, *party));
    let shown: Vec<Seen<'_>> = parties.flatten().collect();
    let facts: String = silent.iter().map(|party| announced(evidence, *party)).collect();
    match silent.as_slice() {
        [] => None,
        [party] => {
            let (number, other) = (evidence.number(*party), evidence.number(party.other()));
            let sentence = format!(
                "One-way audio: {other} could not hear {number}. In {talked} not one RTP packet came from \
                 {number}.{facts} Look for a firewall between that phone and the server that lets no UDP through to \
                 these ports, for a microphone that is switched off, or for a phone that does not send before it \
                 hears something."
            );
            Some(finding(FindingCode::OneWayAudio, Severity::Fault, *party, sentence, shown))
        }
        [..] => {
            let sentence = format!(
                "No audio: neither {from} nor {to} was heard. In {talked} not one RTP packet came from \
                 either.{facts} Look for a firewall that lets no UDP through to the server's media ports \
                 (media.ports), and whether the address that the server announces (media.address) is the one under \
                 which the phones reach it."
            );
            let found = finding(FindingCode::NoAudio, Severity::Fault, Party::From, sentence, shown);
            Some(Finding { party: None, ..found })
        }
    }
}

/// Where the phone was told to send, and from where it said that it would.
fn announced(evidence: &Evidence<'_>, party: Party) -> String {
    let [ours, theirs] = sdp_of(evidence, party);
    let number = evidence.number(party);
    let at = |seen: Option<Seen<'_>>| seen.and_then(Seen::audio).map(|audio| audio.rtp.to_string());
    match (at(ours), at(theirs)) {
        (Some(ours), Some(theirs)) => {
            format!(" {number} was told to send to {ours}; its own session description has {theirs}.")
        }
        (Some(_), None) | (None, Some(_)) | (None, None) => String::new(),
    }
}

/// Our session description and the one of the phone that answered.
fn sdp_of<'e>(evidence: &'e Evidence<'_>, party: Party) -> [Option<Seen<'e>>; 2] {
    let Some(dialog) = evidence.answered(party) else { return [None, None] };
    let theirs = dialog.received().find(|seen| seen.shown.sdp);
    [dialog.invites.first().copied(), theirs]
}

/// The phone answered, with none of what it was offered.
fn no_common_codec(evidence: &Evidence<'_>, party: Party) -> Option<Finding> {
    let end = evidence.call.end.as_ref()?;
    if end.reason != EndReason::NoCommonCodec || end.party != Some(party) || end.sip_status.is_some() {
        return None;
    }
    // Said by that, and better.
    if unreadable(evidence, party).is_some() {
        return None;
    }
    let dialog = evidence.answered(party);
    let invite = dialog.as_ref().and_then(|dialog| dialog.invites.first().copied());
    let answer = dialog.as_ref().and_then(Dialog::final_response).map(|(seen, _)| seen);
    let said = |seen: Option<Seen<'_>>| {
        let stream = seen.and_then(Seen::audio);
        stream.map(|stream| codecs(&stream)).filter(|names| !names.is_empty())
    };
    let offered = said(invite).unwrap_or_else(|| "nothing".to_owned());
    let sentence = match said(answer) {
        Some(answered) => format!(
            "{} answered with a codec that it was not offered: it was offered {offered} and answered {answered}. Give \
             the phone one of these, or the server one of its own (media.codecs, or codecs of the extension).",
            answer.map(|seen| evidence.phone(seen)).unwrap_or_default()
        ),
        None => format!(
            "The phone of {} answered without audio that can be used; it was offered {offered}.",
            evidence.number(party)
        ),
    };
    let shown = invite.into_iter().chain(answer);
    Some(finding(FindingCode::NoCommonCodec, Severity::Fault, party, sentence, shown))
}

fn private_address(evidence: &Evidence<'_>, party: Party) -> Option<Finding> {
    let hidden = |seen: &Seen<'_>| {
        let announced = seen.audio().map(|audio| audio.rtp.ip().to_canonical());
        !seen.is_sent()
            && announced
                .is_some_and(|ip| kind_of(ip).is_some() && ip != seen.shown.address.ip().to_canonical())
    };
    let seen = evidence.of(party).find(hidden)?;
    let audio = seen.audio()?;
    let kind = kind_of(audio.rtp.ip().to_canonical())?;
    let source = seen.shown.address.ip();
    let heard = evidence.call.party(party).media.as_ref().is_some_and(|media| media.packets_received > 0);
    let (severity, outcome) = match (heard, is_unheard(evidence, party)) {
        (true, _) => (Severity::Hint, " That has worked: its audio came."),
        (false, true) => (
            Severity::Fault,
            " No audio came from there: open the way for UDP from the phone to the server's media ports, or let the \
             phone find out its public address (STUN, or its setting for NAT).",
        ),
        (false, false) => (Severity::Hint, ""),
    };
    let sentence = format!(
        "{} wants its audio at {}, {kind}, while its messages come from {source}: it is behind a router (NAT) and \
         does not know it. The server takes the audio that comes from {source} all the same, and answers to where it \
         comes from.{outcome}",
        evidence.phone(seen),
        audio.rtp
    );
    Some(finding(FindingCode::PrivateAddress, severity, party, sentence, [seen]))
}

/// What kind of address that is reached from its own network alone; `None` for others. Of those of one link or one host
/// a description that names them from elsewhere is unreadable, and said to be.
fn kind_of(ip: IpAddr) -> Option<&'static str> {
    let is_shared = |ip: Ipv4Addr| ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
    match ip {
        IpAddr::V4(ip) if ip.is_private() => Some("a private address (RFC 1918)"),
        IpAddr::V4(ip) if is_shared(ip) => Some("an address of a provider's inner network (RFC 6598)"),
        IpAddr::V6(ip) if ip.is_unique_local() => Some("a unique local address (RFC 4193)"),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// What was turned away.
fn strangers(evidence: &Evidence<'_>, party: Party) -> Option<Finding> {
    let media = evidence.call.party(party).media.as_ref()?;
    let count = media.packets_from_strangers;
    let (first, others) = media.strangers.split_first()?;
    if count < WORTH_TELLING {
        return None;
    }
    let [_, theirs] = sdp_of(evidence, party);
    let announced = theirs.and_then(Seen::audio).map(|audio| audio.rtp);
    let is_its_own = announced.is_some_and(|rtp| rtp.ip().to_canonical() == *first);
    let from = match others {
        [] if is_its_own => format!("another port of {first}, which is"),
        [] => format!("{first}, which is"),
        [..] => format!("{first} and other addresses, which are"),
    };
    let at = announced.map(|rtp| format!(" ({rtp})")).unwrap_or_default();
    let number = evidence.number(party);
    let sentence = format!(
        "{count} packets came from {from} not where the phone of {number} said it would be{at}: they were turned away. If \
         that is the phone, its audio leaves by another network than its messages; let it find out its public address \
         (STUN, or its setting for NAT). If it is not, somebody tries ports."
    );
    let severity = if is_unheard(evidence, party) { Severity::Fault } else { Severity::Hint };
    Some(finding(FindingCode::Strangers, severity, party, sentence, theirs))
}

/// What came from the phone and means nothing.
fn not_agreed(evidence: &Evidence<'_>, party: Party) -> Option<Finding> {
    let media = evidence.call.party(party).media.as_ref()?;
    let (count, all) = (media.packets_not_agreed, media.packets_received);
    if count < WORTH_TELLING {
        return None;
    }
    let sentence = format!(
        "{count} of {all} packets of {} were in a format that was not agreed, and were not passed on: comfort noise, a \
         codec that the phone changed to by itself, or keep-alives. If something is missing from what was said, look at \
         the codecs of the phone.",
        evidence.number(party)
    );
    let severity = if count == all { Severity::Fault } else { Severity::Hint };
    let shown = sdp_of(evidence, party).into_iter().flatten();
    Some(finding(FindingCode::NotAgreed, severity, party, sentence, shown))
}

/// A description of the phone that says nothing to us, and why.
fn unreadable(evidence: &Evidence<'_>, party: Party) -> Option<Finding> {
    let (seen, error) = evidence
        .of(party)
        .filter(|seen| !seen.is_sent())
        .find_map(|seen| Some((seen, seen.description_error()?)))?;
    let sentence = format!("A session description of {} cannot be used: {error}.", evidence.phone(seen));
    Some(finding(FindingCode::DescriptionUnreadable, Severity::Fault, party, sentence, [seen]))
}

fn poor(evidence: &Evidence<'_>, party: Party) -> Option<Finding> {
    let media = evidence.call.party(party).media.as_ref()?;
    let Media { packets_received, packets_lost, jitter_ms, mos, .. } = media;
    let expected = packets_received + packets_lost;
    let lost = *packets_lost as f64 / expected.max(1) as f64;
    let is_poor = lost >= LOSS || mos.is_some_and(|mos| mos < SCORE);
    if *packets_received < PACKETS || !is_poor {
        return None;
    }
    let score = mos.map(|mos| format!(", a mean opinion score of {mos:.1}")).unwrap_or_default();
    let sentence = format!(
        "The audio of {} came badly: {:.1} % of {expected} packets were lost, with a jitter of {jitter_ms:.0} ms{score}. \
         From {:.0} % on words are missed, and below {SCORE} many users are dissatisfied. Look at the network between \
         that phone and the server: Wi-Fi, a full line, a router without priority for voice.",
        evidence.number(party),
        lost * 100.0,
        LOSS * 100.0
    );
    let [_, theirs] = sdp_of(evidence, party);
    Some(finding(FindingCode::PoorAudio, Severity::Fault, party, sentence, theirs))
}

fn transcoded(evidence: &Evidence<'_>) -> Option<Finding> {
    let (from, to) = (evidence.call.from.media.as_ref()?, evidence.call.to.media.as_ref()?);
    if from.codec.eq_ignore_ascii_case(&to.codec) {
        return None;
    }
    let sentence = format!(
        "The audio was transcoded: {} took {} and {} took {}. That costs a little quality and computing time; give \
         both phones one codec in common to do without.",
        evidence.number(Party::From),
        from.codec,
        evidence.number(Party::To),
        to.codec
    );
    let answers = PARTIES.into_iter().filter_map(|party| sdp_of(evidence, party)[1]);
    let found = finding(FindingCode::Transcoded, Severity::Hint, Party::To, sentence, answers);
    Some(Finding { party: None, ..found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_reached_from_their_own_network_alone_are_known() {
        for ip in ["10.1.2.3", "172.31.0.1", "192.168.1.7", "100.64.0.1", "100.127.255.255", "fd00::1"] {
            assert!(kind_of(ip.parse().unwrap()).is_some(), "{ip}");
        }
        for ip in [
            "8.8.8.8",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "0.0.0.0",
            "2001:db8::1",
            "::",
            "169.254.1.1",
            "fe80::1",
            "127.0.0.1",
            "::1",
        ] {
            assert_eq!(kind_of(ip.parse().unwrap()), None, "{ip}");
        }
    }
}
