//! A response, read strictly: what is not well formed is none.

/// A response that is well formed.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    fields: Vec<(String, Vec<u8>)>,
}

impl Answer {
    /// Reads a whole datagram (RFC 3261 §7, §18.3).
    pub(super) fn read(octets: &[u8]) -> Option<Self> {
        let end = octets.windows(4).position(|four| four == b"\r\n\r\n")?;
        let (head, body) = (&octets[..end], &octets[end + 4..]);
        let mut lines = split_lines(head)?.into_iter();
        let status = status_of(&lines.next()?)?;
        let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
        for line in lines {
            if matches!(line.first(), Some(b' ' | b'\t')) {
                let (_, value) = fields.last_mut()?;
                value.push(b' ');
                value.extend(line.trim_ascii());
                continue;
            }
            let colon = line.iter().position(|octet| *octet == b':')?;
            let name = String::from_utf8(line[..colon].trim_ascii_end().to_vec()).ok()?.to_ascii_lowercase();
            if name.is_empty() || !name.bytes().all(|octet| octet.is_ascii_graphic()) {
                return None;
            }
            fields.push((long_form(&name).to_owned(), line[colon + 1..].trim_ascii().to_vec()));
        }
        let answer = Self { status, fields };
        let mandatory = ["via", "from", "to", "call-id", "cseq"];
        let complete = mandatory.iter().all(|name| answer.field(name).is_some());
        let length =
            answer.field("content-length").map_or(Some(0), |value| str::from_utf8(value).ok()?.parse().ok());
        (complete && length == Some(body.len())).then_some(answer)
    }

    pub(super) fn fields<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_slice())
    }

    pub(super) fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice())
    }
}

/// Lines that end in CRLF; a CR or LF elsewhere makes the message malformed. A NUL may stand in a quoted string, as a
/// quoted pair (RFC 3261 §25.1).
fn split_lines(head: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut lines = vec![Vec::new()];
    let mut rest = head.iter().peekable();
    while let Some(octet) = rest.next() {
        match octet {
            b'\r' if rest.next_if(|next| **next == b'\n').is_some() => lines.push(Vec::new()),
            b'\r' | b'\n' => return None,
            other => lines.last_mut()?.push(*other),
        }
    }
    Some(lines)
}

fn status_of(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"SIP/2.0 ")?;
    let (code, rest) = rest.split_at_checked(3)?;
    let code: u16 = str::from_utf8(code).ok()?.parse().ok()?;
    ((100..700).contains(&code) && rest.first() == Some(&b' ')).then_some(code)
}

fn long_form(name: &str) -> &str {
    match name {
        "v" => "via",
        "f" => "from",
        "t" => "to",
        "i" => "call-id",
        "m" => "contact",
        "l" => "content-length",
        "c" => "content-type",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "SIP/2.0 404 Not Found\r\nv: SIP/2.0/UDP a\r\nFrom: <sip:a>\r\nTo: <sip:b>\r\n  ;tag=1\r\nCall-ID: 1\r\nCSeq: 1 X\r\nl: 0\r\n\r\n";

    #[test]
    fn only_well_formed_answers_are_read() {
        let answer = Answer::read(GOOD.as_bytes()).unwrap();
        assert_eq!((answer.status, answer.field("to")), (404, Some(&b"<sip:b> ;tag=1"[..])));
        for (from, to) in [("l: 0", "l: 1"), ("Call-ID: 1\r\n", ""), ("404 ", "4 "), ("CSeq: 1", "CSeq: \n1")]
        {
            assert!(Answer::read(GOOD.replace(from, to).as_bytes()).is_none(), "{from:?} as {to:?}");
        }
    }
}
