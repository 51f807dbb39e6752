//! Digits as telephone events (RFC 4733 §2.3).

/// The event of a digit (RFC 4733 §3.2).
pub(super) fn event_of(digit: char) -> Option<u8> {
    DIGITS
        .iter()
        .position(|known| *known == digit.to_ascii_uppercase())
        .and_then(|event| u8::try_from(event).ok())
}

/// The digit that a payload speaks of, when it is a whole payload and a digit.
pub(super) fn digit_of(payload: &[u8]) -> Option<char> {
    let (event, _) = payload.split_first_chunk::<4>().map(|([event, ..], rest)| (event, rest))?;
    DIGITS.get(usize::from(*event)).copied()
}

/// A payload: the event, whether it has ended, 10 dB below full scale, its duration so far in timestamp units.
pub(super) fn payload(event: u8, ended: bool, duration: u16) -> [u8; 4] {
    let [high, low] = duration.to_be_bytes();
    [event, if ended { 0x80 | VOLUME } else { VOLUME }, high, low]
}

const VOLUME: u8 = 10;
const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digit_comes_out_as_it_went_in() {
        for digit in DIGITS {
            assert_eq!(digit_of(&payload(event_of(digit).unwrap(), false, 160)), Some(digit));
        }
        assert_eq!(event_of('x'), None);
        assert_eq!(digit_of(&[16, 0, 0, 0]), None);
        assert_eq!(digit_of(&[1, 0, 0]), None);
    }
}
