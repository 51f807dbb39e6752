//! RTCP packets as they lie in the receive buffer: checked as a whole, then rewritten in place.
//!
//! What a party hears has an SSRC and numbers of the relay's, so its reports must be translated: whoever
//! sends a report names the relay's SSRC to the other side, and what it says of the relay's SSRC becomes a
//! word about the other party's.

use super::header::Malformed;
use std::time::Duration;

/// Is a packet on an RTP port RTCP (RFC 5761 §4)? No payload type is agreed on that would look like it.
pub(crate) fn is_rtcp(packet: &[u8]) -> bool {
    matches!(packet, [_, 192..=223, ..])
}

/// How the reports of one party are said to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Translation {
    /// The SSRC of the relay's stream to the other party, in the place of the sender's own.
    pub(crate) sender: u32,
    /// Counts of that stream.
    pub(crate) packets_sent: u32,
    pub(crate) octets_sent: u32,
    /// The sender's stream, and what is added to its timestamps.
    pub(crate) stream: Option<(u32, u32)>,
    /// The relay's stream to the sender, and the stream of the other party that is in it.
    pub(crate) reported: Option<Reported>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reported {
    pub(crate) ours: u32,
    pub(crate) theirs: u32,
    /// Ours less theirs.
    pub(crate) sequence_offset: u32,
}

/// Checks a compound packet (RFC 3550 A.2) and that each packet has what its count claims.
/// Returns the SSRC of its sender.
pub(crate) fn check(compound: &[u8]) -> Result<u32, Malformed> {
    if !matches!(compound, [0x80..=0x9f, SENDER_REPORT | RECEIVER_REPORT, ..]) {
        return Err(Malformed);
    }
    let mut rest = compound;
    while !rest.is_empty() {
        let length = length(rest).filter(|length| *length <= rest.len()).ok_or(Malformed)?;
        let (packet, behind) = rest.split_at(length);
        let (padded, version) = (packet[0] & PADDING != 0, packet[0] >> 6);
        if version != VERSION || (padded && !behind.is_empty()) || !is_whole(packet) {
            return Err(Malformed);
        }
        rest = behind;
    }
    ssrc_at(compound, 4).ok_or(Malformed)
}

/// Translates a compound packet that [`check`] has accepted. `false`: a report of a stream that is not the
/// sender's any more cannot be.
pub(crate) fn translate(compound: &mut [u8], translation: &Translation) -> bool {
    let mut rest = compound;
    while let Some(length) = length(rest).filter(|length| *length <= rest.len()) {
        let (packet, behind) = rest.split_at_mut(length);
        if !translate_one(packet, translation) {
            return false;
        }
        rest = behind;
    }
    true
}

/// The middle of the NTP timestamp of a sender report that begins a compound packet which [`check`] has accepted, by
/// which it is named in the answers to it. `None` where its sender has no such clock.
pub(crate) fn report_time(compound: &[u8]) -> Option<u32> {
    let middle = match *compound {
        [_, SENDER_REPORT, ..] => {
            compound.get(10..14)?.first_chunk().map(|middle| u32::from_be_bytes(*middle))
        }
        _ => None,
    };
    middle.filter(|middle| *middle != 0)
}

/// How long the sender of an accepted compound packet has held the report of this name before it answered.
pub(crate) fn held_since(compound: &[u8], name: u32) -> Option<Duration> {
    let (count, first) = match *compound {
        [flags, SENDER_REPORT, ..] => (flags & COUNT, 28),
        [flags, RECEIVER_REPORT, ..] => (flags & COUNT, 8),
        _ => return None,
    };
    let mut blocks = (0..usize::from(count)).map(|index| first + BLOCK * index);
    let block = blocks.find(|at| ssrc_at(compound, at + 16) == Some(name))?;
    let units = ssrc_at(compound, block + 20)?;
    Some(Duration::from_nanos(u64::from(units) * 1_000_000_000 / 65_536))
}

fn translate_one(packet: &mut [u8], translation: &Translation) -> bool {
    let count = usize::from(packet[0] & COUNT);
    match packet[1] {
        SENDER_REPORT => {
            let Some((source, timestamp_offset)) = translation.stream else { return false };
            if ssrc_at(packet, 4) != Some(source) {
                return false;
            }
            add(packet, 16, timestamp_offset);
            put(packet, 20, translation.packets_sent);
            put(packet, 24, translation.octets_sent);
            put(packet, 4, translation.sender);
            translate_blocks(packet, 28, count, translation);
        }
        RECEIVER_REPORT => {
            put(packet, 4, translation.sender);
            translate_blocks(packet, 8, count, translation);
        }
        SOURCE_DESCRIPTION => {
            let mut at = 4;
            for _ in 0..count {
                put(packet, at, translation.sender);
                let Some(next) = behind_chunk(packet, at) else { break };
                at = next;
            }
        }
        GOODBYE => {
            // Only the source that is forwarded is ours: when another one leaves, ours does not.
            let leaves = |index: usize| ssrc_at(packet, 4 + 4 * index);
            let source = translation.stream.map(|(source, _)| source);
            if source.is_none() || !(0..count).any(|index| leaves(index) == source) {
                return false;
            }
            (0..count).for_each(|index| put(packet, 4 + 4 * index, translation.sender));
        }
        FEEDBACK_TRANSPORT | FEEDBACK_PAYLOAD => {
            put(packet, 4, translation.sender);
            translate_ssrc(packet, 8, translation);
        }
        _ => put(packet, 4, translation.sender),
    }
    true
}

/// Report blocks (RFC 3550 §6.4.1): of whom they speak, and the highest sequence number.
fn translate_blocks(packet: &mut [u8], first: usize, count: usize, translation: &Translation) {
    for at in (0..count).map(|index| first + BLOCK * index) {
        if let Some(reported) = translate_ssrc(packet, at, translation) {
            add(packet, at + 8, 0_u32.wrapping_sub(reported.sequence_offset));
        }
    }
}

fn translate_ssrc(packet: &mut [u8], at: usize, translation: &Translation) -> Option<Reported> {
    let reported = translation.reported.filter(|reported| ssrc_at(packet, at) == Some(reported.ours))?;
    put(packet, at, reported.theirs);
    Some(reported)
}

/// Has a packet what its type and count claim?
fn is_whole(packet: &[u8]) -> bool {
    let count = usize::from(packet[0] & COUNT);
    match packet[1] {
        SENDER_REPORT => packet.len() >= 28 + BLOCK * count,
        RECEIVER_REPORT => packet.len() >= 8 + BLOCK * count,
        SOURCE_DESCRIPTION => {
            let chunks = (0..count).try_fold(4, |at, _| behind_chunk(packet, at));
            chunks.is_some()
        }
        GOODBYE => packet.len() >= 4 + 4 * count,
        FEEDBACK_TRANSPORT | FEEDBACK_PAYLOAD => packet.len() >= 12,
        _ => packet.len() >= 8,
    }
}

/// Where the chunk of a source description that begins at `start` ends (RFC 3550 §6.5).
fn behind_chunk(packet: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 4;
    loop {
        match *packet.get(at)? {
            0 => {
                let end = (at / 4 + 1) * 4;
                return (end <= packet.len()).then_some(end);
            }
            _ => at += 2 + usize::from(*packet.get(at + 1)?),
        }
    }
}

/// Of the first packet, in octets, its header included.
fn length(compound: &[u8]) -> Option<usize> {
    let [_, _, high, low] = *compound.first_chunk()?;
    Some(4 + 4 * usize::from(u16::from_be_bytes([high, low])))
}

fn ssrc_at(packet: &[u8], at: usize) -> Option<u32> {
    packet.get(at..)?.first_chunk().map(|octets| u32::from_be_bytes(*octets))
}

fn put(packet: &mut [u8], at: usize, value: u32) {
    if let Some(octets) = packet.get_mut(at..at + 4) {
        octets.copy_from_slice(&value.to_be_bytes());
    }
}

fn add(packet: &mut [u8], at: usize, offset: u32) {
    if let Some(value) = ssrc_at(packet, at) {
        put(packet, at, value.wrapping_add(offset));
    }
}

const VERSION: u8 = 2;
const PADDING: u8 = 0x20;
const COUNT: u8 = 0x1f;
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const FEEDBACK_TRANSPORT: u8 = 205;
const FEEDBACK_PAYLOAD: u8 = 206;
const BLOCK: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;
    use rtcp::goodbye::Goodbye;
    use rtcp::reception_report::ReceptionReport;
    use rtcp::sender_report::SenderReport;
    use rtcp::source_description::{
        SdesType, SourceDescription, SourceDescriptionChunk, SourceDescriptionItem,
    };

    fn report() -> SenderReport {
        let reports =
            vec![ReceptionReport { ssrc: 500, last_sequence_number: 1_010, ..ReceptionReport::default() }];
        SenderReport {
            ssrc: 42,
            ntp_time: 9,
            rtp_time: 8_000,
            packet_count: 1,
            octet_count: 2,
            reports,
            ..SenderReport::default()
        }
    }

    fn compound() -> Vec<u8> {
        let item = SourceDescriptionItem { sdes_type: SdesType::SdesCname, text: Bytes::from_static(b"x@y") };
        let description =
            SourceDescription { chunks: vec![SourceDescriptionChunk { source: 42, items: vec![item] }] };
        let goodbye = Goodbye { sources: vec![42], reason: Bytes::new() };
        rtcp::packet::marshal(&[Box::new(report()), Box::new(description), Box::new(goodbye)])
            .expect("RTCP")
            .to_vec()
    }

    fn translation() -> Translation {
        Translation {
            sender: 77,
            packets_sent: 300,
            octets_sent: 48_000,
            stream: Some((42, 160)),
            reported: Some(Reported { ours: 500, theirs: 600, sequence_offset: 10 }),
        }
    }

    #[test]
    fn a_report_is_said_in_the_words_of_the_other_side() {
        let mut octets = compound();
        assert_eq!(check(&octets), Ok(42));
        assert!(translate(&mut octets, &translation()));
        let packets = rtcp::packet::unmarshal(&mut Bytes::from(octets)).expect("RTCP");
        let sender = packets[0].as_any().downcast_ref::<SenderReport>().expect("a sender report");
        assert_eq!((sender.ssrc, sender.rtp_time, sender.ntp_time), (77, 8_160, 9));
        assert_eq!((sender.packet_count, sender.octet_count), (300, 48_000));
        assert_eq!((sender.reports[0].ssrc, sender.reports[0].last_sequence_number), (600, 1_000));
        let description = packets[1].as_any().downcast_ref::<SourceDescription>().expect("a description");
        assert_eq!(description.chunks[0].source, 77);
        assert_eq!(&description.chunks[0].items[0].text[..], b"x@y");
        let goodbye = packets[2].as_any().downcast_ref::<Goodbye>().expect("a goodbye");
        assert_eq!(goodbye.sources, [77]);
    }

    #[test]
    fn an_answer_names_the_report_and_says_how_long_it_was_held() {
        let mut asking = report();
        asking.ntp_time = 0x1111_2222_3333_4444;
        let octets = rtcp::packet::marshal(&[Box::new(asking)]).expect("RTCP");
        assert_eq!(report_time(&octets), Some(0x2222_3333));
        let mut answer = report();
        answer.reports[0].last_sender_report = 0x2222_3333;
        answer.reports[0].delay = 32_768;
        let octets = rtcp::packet::marshal(&[Box::new(answer)]).expect("RTCP");
        assert_eq!(held_since(&octets, 0x2222_3333), Some(Duration::from_millis(500)));
        assert_eq!(held_since(&octets, 0x2222_3334), None);
        assert_eq!(held_since(&[], 0), None);
    }

    #[test]
    fn a_report_of_another_stream_than_the_one_forwarded_is_not_translated() {
        let other = Translation { stream: Some((43, 160)), ..translation() };
        assert!(!translate(&mut compound(), &other));
        assert!(!translate(&mut compound(), &Translation { stream: None, ..translation() }));
    }

    /// What a phone stops to send is not what it goes on with: its hearer would drop the stream that is left.
    #[test]
    fn a_goodbye_of_another_source_than_the_one_forwarded_is_not_passed_on() {
        let goodbye = |sources| Goodbye { sources, reason: Bytes::new() };
        let compound = |sources| {
            let report = rtcp::receiver_report::ReceiverReport { ssrc: 42, ..Default::default() };
            rtcp::packet::marshal(&[Box::new(report), Box::new(goodbye(sources))]).expect("RTCP").to_vec()
        };
        assert!(translate(&mut compound(vec![43, 42]), &translation()));
        assert!(!translate(&mut compound(vec![43]), &translation()));
        assert!(!translate(&mut compound(vec![42]), &Translation { stream: None, ..translation() }));
    }

    #[test]
    fn a_compound_begins_with_a_report_and_its_lengths_add_up() {
        let octets = compound();
        for length in 0..octets.len() {
            let first_two = [52, 52 + 16];
            assert_eq!(check(&octets[..length]).is_ok(), first_two.contains(&length), "{length}");
        }
        assert_eq!(check(&octets[52..]), Err(Malformed), "a description first");
        let mut padded = octets;
        padded[0] |= PADDING;
        assert_eq!(check(&padded), Err(Malformed), "padding before the last packet");
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..80), cut in 0..120_usize) {
            let mut packet = compound();
            packet.truncate(cut);
            packet.extend(octets);
            if check(&packet).is_ok() {
                report_time(&packet);
                held_since(&packet, 0);
                translate(&mut packet, &translation());
            }
        }
    }
}
