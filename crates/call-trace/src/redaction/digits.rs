//! Keys that were pressed, as INFO carries them: PINs and numbers of cards, mostly.

use super::{after, fill};

/// Whether this value of Content-Type is that of a body with digits.
pub(super) fn is_type(value: &[u8]) -> bool {
    let subtype =
        after(value.trim_ascii_start(), b"application").and_then(|rest| after(rest.trim_ascii_start(), b"/"));
    let Some(subtype) = subtype.map(<[u8]>::trim_ascii_start) else { return false };
    let is_end = |octet: &u8| octet.is_ascii_whitespace() || matches!(octet, b';' | b',');
    ["dtmf-relay", "dtmf"]
        .iter()
        .any(|name| after(subtype, name.as_bytes()).is_some_and(|rest| rest.first().is_none_or(is_end)))
}

/// Appends such a body, in its length: what was pressed cannot be seen, for how long can.
pub(super) fn push_starred(kept: &mut Vec<u8>, body: &[u8]) {
    for line in body.split_inclusive(|octet| is_line_end(*octet)) {
        let end = line.iter().rposition(|octet| !is_line_end(*octet)).map_or(0, |last| last + 1);
        let (text, line_end) = line.split_at(end);
        let visible = visible(text);
        kept.extend_from_slice(text.get(..visible).unwrap_or_default());
        fill(kept, end - visible);
        kept.extend_from_slice(line_end);
    }
}

/// So many octets from the beginning: `Duration=160`, `Signal=`.
fn visible(text: &[u8]) -> usize {
    let Some(equals) = text.iter().position(|octet| *octet == b'=') else { return 0 };
    let (name, value) = text.split_at(equals + 1);
    let is = |expected: &[u8]| after(name, expected).is_some_and(|rest| rest.trim_ascii() == b"=");
    let is_number = value.trim_ascii().iter().all(u8::is_ascii_digit);
    match (is(b"Duration") && is_number, is(b"Signal")) {
        (true, _) => text.len(),
        (false, true) => name.len(),
        (false, false) => 0,
    }
}

const fn is_line_end(octet: u8) -> bool {
    matches!(octet, b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::push_starred;

    #[test]
    fn what_was_pressed_is_starred_out_and_for_how_long_stays() {
        for (body, expected) in [
            ("Signal= 5\r\nDuration = 160 \r\n", "Signal=**\r\nDuration = 160 \r\n"),
            ("signal=#\rduration=4x\n", "signal=*\r***********\n"),
            ("Signal=5 Duration=160", "Signal=**************"),
            ("Duration=160\r\n 4711\r\n", "Duration=160\r\n*****\r\n"),
            ("Durations=1\r\n=5", "***********\r\n**"),
            ("\r\n4711", "\r\n****"),
            ("", ""),
        ] {
            let mut kept = Vec::new();
            push_starred(&mut kept, body.as_bytes());
            assert_eq!(String::from_utf8(kept).unwrap(), expected);
        }
    }
}
