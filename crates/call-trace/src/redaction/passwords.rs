//! Passwords that stand in URIs: `sip:user:password@host` (RFC 3261 §19.1.1).

use std::ops::Range;

/// Where there are passwords in a line.
pub(super) fn of(line: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut begin = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = line.get(begin..).filter(|rest| rest.contains(&b'@'))?;
            let sign = rest.iter().position(|octet| *octet == b'@')?;
            let start = rest[..sign].iter().rposition(is_delimiter).map_or(0, |before| before + 1);
            let Some(password) = password_at(&rest[start..sign]) else {
                begin += sign + 1;
                continue;
            };
            // Whoever does not escape an @ has not said where his password ends.
            let word = rest[sign..].iter().position(is_delimiter).map_or(rest.len(), |length| sign + length);
            let last = rest[..word].iter().rposition(|octet| *octet == b'@').unwrap_or(sign);
            let found = begin + start + password..begin + last;
            begin += last + 1;
            return Some(found);
        }
    })
}

/// Behind the colon between user and password, in what stands before an @.
fn password_at(word: &[u8]) -> Option<usize> {
    // One is that of the scheme.
    if word.iter().filter(|octet| **octet == b':').count() < 2 {
        return None;
    }
    let scheme = word.windows(4).position(|octets| {
        let [name @ .., last] = octets else { return false };
        name.eq_ignore_ascii_case(b"sip") && matches!(last, b':' | b's' | b'S')
    })?;
    let mut colons = (scheme..word.len()).filter(|at| word[*at] == b':');
    let (_, of_password) = (colons.next()?, colons.next()?);
    (of_password + 1 < word.len()).then_some(of_password + 1)
}

const fn is_delimiter(octet: &u8) -> bool {
    *octet <= b' ' || matches!(octet, b'<' | b'>' | b'"')
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn passwords_are_found_and_nothing_else_is() {
        for (line, expected) in [
            ("INVITE sip:a:pw@h SIP/2.0", &["pw"][..]),
            ("m: \"x:y\" <SIPS:a:p,w@h:5061>;q=1, <sip:b@h>,<sip:c:p%40w@h>", &["p,w", "p%40w"]),
            ("m:sip:a:p@ss@h:5060", &["p@ss"]),
            ("f: sip:sip:pw@h", &["pw"]),
            ("f:sip:1001@h:5060;tag=a:b", &[]),
            ("f: <sip:a:@h>", &[]),
            ("i: ab:cd:ef@h:1", &[]),
            ("m: sip:a@h:5060,sip:b@[2001:db8::1]:5060", &[]),
            ("Via: SIP/2.0/UDP h:5060;branch=z9hG4bK1:2:3", &[]),
            ("o=- 1 1 IN IP4 h", &[]),
            ("@@:@sip::@", &[]),
            ("sip:@", &[]),
        ] {
            let found: Vec<_> = of(line.as_bytes()).map(|range| &line[range]).collect();
            assert_eq!(found, expected, "{line}");
        }
    }
}
