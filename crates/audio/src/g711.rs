//! ITU-T G.711: eight bits a sample, A-law and µ-law, by tables made at compile time.

/// Sample to µ-law octet.
pub(crate) fn encode_ulaw(sample: i16) -> u8 {
    // Fourteen bits are kept; the bias makes every segment begin at a power of two.
    let magnitude = i32::from(sample).abs().min(ULAW_CLIP) + ULAW_BIAS;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let segment = 24 - (magnitude as u32).leading_zeros();
    let mantissa = (magnitude >> (segment + 3)) & 0x0f;
    !(sign | (segment as u8) << 4 | mantissa as u8)
}

/// Sample to A-law octet.
pub(crate) fn encode_alaw(sample: i16) -> u8 {
    // Thirteen bits are kept, negative samples as their complement.
    let (sign, magnitude) = if sample >= 0 { (0x80, sample >> 3) } else { (0, !sample >> 3) };
    let magnitude = magnitude as u32;
    let segment = if magnitude < 32 { 0 } else { 27 - magnitude.leading_zeros() };
    let mantissa = (magnitude >> segment.max(1)) & 0x0f;
    (sign | (segment as u8) << 4 | mantissa as u8) ^ 0x55
}

/// µ-law octet to sample.
pub(crate) fn decode_ulaw(octet: u8) -> i16 {
    ULAW[usize::from(octet)]
}

/// A-law octet to sample.
pub(crate) fn decode_alaw(octet: u8) -> i16 {
    ALAW[usize::from(octet)]
}

const ULAW_BIAS: i32 = 0x84;
const ULAW_CLIP: i32 = 32_635;
static ULAW: [i16; 256] = ulaw_table();
static ALAW: [i16; 256] = alaw_table();

const fn ulaw_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let octet = !(index as u8);
        let segment = (octet >> 4) & 7;
        let magnitude = (((((octet & 0x0f) as i32) << 3) + ULAW_BIAS) << segment) - ULAW_BIAS;
        table[index] = if octet & 0x80 == 0 { magnitude } else { -magnitude } as i16;
        index += 1;
    }
    table
}

const fn alaw_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let octet = index as u8 ^ 0x55;
        let segment = (octet >> 4) & 7;
        let step = ((octet & 0x0f) as i32) << 4;
        let magnitude = if segment == 0 { step + 8 } else { (step + 0x108) << (segment - 1) };
        table[index] = if octet & 0x80 != 0 { magnitude } else { -magnitude } as i16;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_recommendation() {
        assert_eq!([0xff, 0x7f, 0x80, 0x00].map(decode_ulaw), [0, 0, 32_124, -32_124]);
        assert_eq!([0xd5, 0x55, 0xaa, 0x2a].map(decode_alaw), [8, -8, 32_256, -32_256]);
        assert_eq!([0, 32_767, -32_768].map(encode_ulaw), [0xff, 0x80, 0x00]);
        assert_eq!([0, 32_767, -32_768].map(encode_alaw), [0xd5, 0xaa, 0x2a]);
    }

    #[test]
    fn every_octet_comes_back() {
        for octet in 0..=255 {
            assert_eq!(encode_alaw(decode_alaw(octet)), octet);
            // µ-law has two zeros.
            let expected = if octet == 0x7f { 0xff } else { octet };
            assert_eq!(encode_ulaw(decode_ulaw(octet)), expected);
        }
    }

    #[test]
    fn every_sample_comes_back_to_within_its_step() {
        for sample in i16::MIN..=i16::MAX {
            let size = i32::from(sample).abs();
            for decoded in [decode_ulaw(encode_ulaw(sample)), decode_alaw(encode_alaw(sample))] {
                let error = (i32::from(decoded) - i32::from(sample)).abs();
                assert!(error <= 16 + size / 24, "{sample} came back as {decoded}");
            }
        }
    }
}
