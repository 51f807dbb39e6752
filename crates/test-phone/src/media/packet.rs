//! RTP packets that came in (RFC 3550 §5.1), read in place.

/// One RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpView<'a> {
    /// First packet after a silence.
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// In units of the clock rate.
    pub timestamp: u32,
    /// Synchronization source.
    pub ssrc: u32,
    /// Without padding.
    pub payload: &'a [u8],
}

/// Reads a packet; `None` for what is none: another version, or lengths that do not fit.
pub fn parse(octets: &[u8]) -> Option<RtpView<'_>> {
    let (fixed, mut rest) = octets.split_first_chunk::<12>()?;
    let [flags, kind, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = *fixed;
    if flags >> 6 != 2 {
        return None;
    }
    rest = rest.get(usize::from(flags & 0x0f) * 4..)?;
    if flags & 0x10 != 0 {
        let (head, after) = rest.split_first_chunk::<4>()?;
        let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
        rest = after.get(words * 4..)?;
    }
    if flags & 0x20 != 0 {
        let padding = usize::from(*rest.last()?);
        rest = rest.get(..rest.len().checked_sub(padding).filter(|_| padding > 0)?)?;
    }
    Some(RtpView {
        marker: kind & 0x80 != 0,
        payload_type: kind & 0x7f,
        sequence: u16::from_be_bytes([s0, s1]),
        timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
        ssrc: u32::from_be_bytes([i0, i1, i2, i3]),
        payload: rest,
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    const HEAD: [u8; 12] = [0x80, 0x88, 0, 7, 0, 0, 0, 160, 1, 2, 3, 4];

    fn packet(flags: u8, rest: &[u8]) -> Vec<u8> {
        let mut octets = HEAD.to_vec();
        octets[0] = flags;
        octets.extend_from_slice(rest);
        octets
    }

    #[test]
    fn every_field_is_read() {
        let octets = packet(0x80, &[9, 9]);
        let view = parse(&octets).unwrap();
        assert!(view.marker);
        assert_eq!((view.payload_type, view.sequence, view.timestamp, view.ssrc), (8, 7, 160, 0x0102_0304));
        assert_eq!(view.payload, [9, 9]);
    }

    #[test]
    fn sources_extension_and_padding_are_no_payload() {
        let octets = packet(0xb1, &[1, 1, 1, 1, 0xbe, 0xde, 0, 1, 0, 0, 0, 0, 5, 6, 0, 2]);
        assert_eq!(parse(&octets).unwrap().payload, [5, 6]);
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        for octets in [
            &HEAD[..11],
            &packet(0x40, &[]),
            &packet(0x81, &[1, 1, 1]),
            &packet(0x90, &[0xbe, 0xde, 0]),
            &packet(0x90, &[0xbe, 0xde, 0xff, 0xff, 1]),
            &packet(0xa0, &[]),
            &packet(0xa0, &[1, 0]),
            &packet(0xa0, &[1, 9]),
        ] {
            assert_eq!(parse(octets), None, "{octets:?}");
        }
    }
}
