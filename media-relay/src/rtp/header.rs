//! RTP packets as they lie in the receive buffer: checked as a whole, then rewritten in place.

use super::continuity::Stamp;
use std::ops::Range;

/// The packet is no RTP or RTCP packet (RFC 3550 A.1, A.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the packet is malformed")]
pub struct Malformed;

/// The fields of an RTP header that matter here (RFC 3550 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpHeader {
    /// Begin of a talkspurt.
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// Rises by one with each packet and wraps.
    pub sequence: u16,
    /// In units of the clock rate; wraps.
    pub timestamp: u32,
    /// Who emits the stream.
    pub ssrc: u32,
}

impl RtpHeader {
    /// Reads the header and checks that everything it claims is there: CSRCs, extension, padding
    /// (RFC 3550 A.1).
    ///
    /// # Errors
    /// The packet is cut or contradicts itself.
    pub fn parse(packet: &[u8]) -> Result<Self, Malformed> {
        let fixed: &[u8; 12] = packet.first_chunk().ok_or(Malformed)?;
        let [flags, kind, s0, s1, t0, t1, t2, t3, x0, x1, x2, x3] = *fixed;
        if flags >> 6 != VERSION {
            return Err(Malformed);
        }
        let csrcs = usize::from(flags & 0x0f) * 4;
        let mut rest = packet.get(12 + csrcs..).ok_or(Malformed)?;
        if flags & EXTENSION != 0 {
            rest = skip_extension(rest)?;
        }
        if flags & PADDING != 0 {
            let padding = usize::from(*rest.last().ok_or(Malformed)?);
            if padding == 0 || padding > rest.len() {
                return Err(Malformed);
            }
        }
        Ok(Self {
            marker: kind & MARKER != 0,
            payload_type: kind & !MARKER,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([x0, x1, x2, x3]),
        })
    }

    /// This header in a stream that leaves.
    pub(crate) fn with(self, stamp: Stamp, payload_type: u8) -> Self {
        Self {
            marker: self.marker || stamp.marker,
            payload_type,
            sequence: stamp.sequence,
            timestamp: stamp.timestamp,
            ssrc: stamp.ssrc,
        }
    }

    /// Where the payload lies in a packet that [`parse`](Self::parse) has accepted.
    pub(crate) fn payload(packet: &[u8]) -> Range<usize> {
        let flags = packet.first().copied().unwrap_or_default();
        let mut start = 12 + usize::from(flags & 0x0f) * 4;
        if flags & EXTENSION != 0
            && let Some(&[_, _, high, low]) = packet.get(start..).and_then(<[u8]>::first_chunk)
        {
            start += 4 + usize::from(u16::from_be_bytes([high, low])) * 4;
        }
        let padding = if flags & PADDING != 0 { packet.last().copied().unwrap_or_default() } else { 0 };
        let end = packet.len().saturating_sub(usize::from(padding));
        start.min(end)..end
    }

    /// Writes these fields over those of a packet that [`parse`](Self::parse) has accepted; the rest stays.
    pub(crate) fn overwrite(&self, packet: &mut [u8]) {
        if let Some(fixed) = packet.first_chunk_mut::<12>() {
            fixed[1] = self.payload_type | if self.marker { MARKER } else { 0 };
            fixed[2..4].copy_from_slice(&self.sequence.to_be_bytes());
            fixed[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
            fixed[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        }
    }
}

/// The octets behind a header extension (RFC 3550 §5.3.1) whose elements end where it ends (RFC 8285 §4.2,
/// §4.3).
fn skip_extension(packet: &[u8]) -> Result<&[u8], Malformed> {
    let [p0, p1, l0, l1] = *packet.first_chunk().ok_or(Malformed)?;
    let length = usize::from(u16::from_be_bytes([l0, l1])) * 4;
    let elements = packet.get(4..4 + length).ok_or(Malformed)?;
    match u16::from_be_bytes([p0, p1]) {
        ONE_BYTE_ELEMENTS => check_elements(elements, |element| match *element {
            [id, ..] if id >> 4 == 15 => None,
            [id, ..] => Some(2 + usize::from(id & 0x0f)),
            [] => None,
        })?,
        profile if profile & 0xfff0 == TWO_BYTE_ELEMENTS => {
            check_elements(elements, |element| match *element {
                [_, length, ..] => Some(2 + usize::from(length)),
                [_] => Some(2),
                [] => None,
            })?;
        }
        _ => {}
    }
    Ok(&packet[4 + length..])
}

/// Walks elements; octets of zero between them are padding, and where `length_of` says none the walk ends.
fn check_elements(mut elements: &[u8], length_of: impl Fn(&[u8]) -> Option<usize>) -> Result<(), Malformed> {
    loop {
        match elements {
            [] => return Ok(()),
            [0, rest @ ..] => elements = rest,
            [_, ..] => {
                let Some(length) = length_of(elements) else { return Ok(()) };
                elements = elements.get(length..).ok_or(Malformed)?;
            }
        }
    }
}

const VERSION: u8 = 2;
const PADDING: u8 = 0x20;
const EXTENSION: u8 = 0x10;
const MARKER: u8 = 0x80;
const ONE_BYTE_ELEMENTS: u16 = 0xbede;
const TWO_BYTE_ELEMENTS: u16 = 0x1000;

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;
    use webrtc_util::marshal::Unmarshal;

    /// `first` in front of a plain header and `rest` behind it.
    fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![first, 0x80, 0x12, 0x34, 0, 0, 0x01, 0x40, 0xde, 0xad, 0xbe, 0xef];
        packet.extend_from_slice(rest);
        packet
    }

    #[test]
    fn the_fields_are_read_and_written() {
        let mut octets = packet(0x80, &[1, 2, 3]);
        let header = RtpHeader::parse(&octets).expect("RTP");
        let expected =
            RtpHeader { marker: true, payload_type: 0, sequence: 0x1234, timestamp: 320, ssrc: 0xdead_beef };
        assert_eq!(header, expected);
        let other = RtpHeader { marker: false, payload_type: 101, sequence: 1, timestamp: 2, ssrc: 3 };
        other.overwrite(&mut octets);
        assert_eq!(RtpHeader::parse(&octets), Ok(other));
        assert_eq!(octets[12..], [1, 2, 3]);
    }

    #[test]
    fn elements_must_end_where_the_extension_ends() {
        let one_byte = |elements: [u8; 4]| [&[0xbe, 0xde, 0, 1], &elements[..]].concat();
        assert!(RtpHeader::parse(&packet(0x90, &one_byte([0x12, 1, 2, 3]))).is_ok());
        assert!(RtpHeader::parse(&packet(0x90, &one_byte([0x10, 1, 0, 0]))).is_ok());
        assert!(RtpHeader::parse(&packet(0x90, &one_byte([0xf7, 1, 1, 1]))).is_ok(), "15 ends the walk");
        assert!(RtpHeader::parse(&packet(0x90, &one_byte([0x13, 1, 2, 3]))).is_err());
        assert!(RtpHeader::parse(&packet(0x90, &one_byte([0, 0, 0, 0x20]))).is_err());
        let two_byte = |elements: [u8; 4]| [&[0x10, 0x05, 0, 1], &elements[..]].concat();
        assert!(RtpHeader::parse(&packet(0x90, &two_byte([7, 2, 1, 1]))).is_ok());
        assert!(RtpHeader::parse(&packet(0x90, &two_byte([7, 3, 1, 1]))).is_err());
        assert!(RtpHeader::parse(&packet(0x90, &two_byte([0, 0, 0, 9]))).is_err());
    }

    proptest! {
        #[test]
        fn what_is_accepted_another_reader_reads_the_same(
            first in 0x80..=0xbf_u8,
            rest in prop::collection::vec(prop_oneof![3 => 0..4_u8, 1 => any::<u8>(), 1 => Just(0xbe), 1 => Just(0xde)], 0..40),
        ) {
            let octets = packet(first, &rest);
            if let Ok(header) = RtpHeader::parse(&octets) {
                let payload = &octets.clone()[RtpHeader::payload(&octets)];
                let other = rtp::packet::Packet::unmarshal(&mut Bytes::from(octets)).expect("RTP");
                prop_assert_eq!(other.header.sequence_number, header.sequence);
                prop_assert_eq!(other.header.ssrc, header.ssrc);
                prop_assert_eq!(&other.payload[..], payload);
            }
        }
    }
}
