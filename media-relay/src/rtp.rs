//! Streams of RTP and RTCP: packets, whose they are, what came, what leaves.

pub(crate) mod continuity;
pub(crate) mod header;
pub(crate) mod learning;
pub(crate) mod reception;
pub(crate) mod reports;

use std::time::Duration;

/// Numbers that wrap: is `one` less than half the circle behind `two`?
pub(crate) const fn is_before(one: u32, two: u32) -> bool {
    (one.wrapping_sub(two) as i32) < 0
}

/// A span in ticks of a clock, modulo 2^32 as RTP counts. Each packet asks for it: 64 bits hold it, and a division of
/// 128 is not free.
fn ticks(span: Duration, clock_rate: u32) -> u32 {
    let rate = u64::from(clock_rate);
    let of_seconds = span.as_secs().wrapping_mul(rate);
    of_seconds.wrapping_add(u64::from(span.subsec_nanos()) * rate / 1_000_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_whole_ones_and_run_round() {
        assert_eq!(ticks(Duration::from_millis(20), 8_000), 160);
        assert_eq!(ticks(Duration::new(1, 999_999_999), 48_000), 95_999);
        assert_eq!(ticks(Duration::from_nanos(124_999), 8_000), 0);
        let days = Duration::from_secs(89_479);
        assert_eq!(ticks(days, 48_000), (89_479_u64 * 48_000 - (1 << 32)) as u32);
    }
}
