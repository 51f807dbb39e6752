//! From octets to the lines that matter: limits first, then what phones get wrong, then the parser.

use crate::SdpError;
use sdp_types::{Media, Session};
use std::borrow::Cow;
use std::sync::Arc;

/// Reads a session description. Its media are readable and printable; nothing else about them is checked.
pub(crate) fn parse(body: &[u8]) -> Result<Session, SdpError> {
    if body.len() > BODY_OCTETS_MAX {
        return Err(SdpError::TooLong { octets: body.len(), limit: BODY_OCTETS_MAX });
    }
    let text = decode(body);
    let relevant = relevant_lines(&text)?;
    let session = Session::parse(relevant.as_bytes()).map_err(|error| SdpError::Syntax(Arc::new(error)))?;
    if !session.medias.iter().all(is_printable) {
        return Err(SdpError::UnprintableMedia);
    }
    Ok(session)
}

/// UTF-8, or else Latin-1, which old phones write into `s=`.
fn decode(body: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(body) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(body.iter().map(|octet| char::from(*octet)).collect()),
    }
}

/// The lines that say something about the streams; the others are emptied, so that line numbers stay.
///
/// What is wrong with a line that nothing here reads (an `o=` with a version above 64 bits, a `t=` with
/// words) is no reason to refuse a call.
fn relevant_lines(text: &str) -> Result<String, SdpError> {
    let mut relevant = String::with_capacity(text.len());
    let mut media = 0_usize;
    let mut lines_of_medium = 0_usize;
    for (index, line) in text.split('\n').enumerate() {
        let number = index + 1;
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.len() > LINE_OCTETS_MAX {
            return Err(SdpError::LineTooLong { line: number, limit: LINE_OCTETS_MAX });
        }
        if index == 0 && line.trim_end() != "v=0" {
            return Err(SdpError::NoVersion);
        }
        if line.starts_with("m=") {
            media += 1;
            lines_of_medium = 0;
        }
        lines_of_medium += 1;
        if media > MEDIA_MAX {
            return Err(SdpError::TooManyMedia { limit: MEDIA_MAX });
        }
        if lines_of_medium > LINES_MAX {
            return Err(SdpError::TooManyLines { line: number, limit: LINES_MAX });
        }
        if !is_irrelevant(line) {
            relevant.push_str(line);
        }
        relevant.push('\n');
    }
    Ok(relevant)
}

/// Of the form `type=value`, with a type of RFC 8866 §5 that says nothing about where audio goes. NUL and CR
/// stay an error.
fn is_irrelevant(line: &str) -> bool {
    let mut octets = line.bytes();
    let (kind, equals) = (octets.next(), octets.next());
    equals == Some(b'=')
        && kind.is_some_and(|kind| b"osiuepbtrzk".contains(&kind))
        && !octets.any(|octet| matches!(octet, b'\0' | b'\r'))
}

/// What goes back into the `m=` lines of an answer.
fn is_printable(media: &Media) -> bool {
    let is_token = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_graphic());
    let mut formats = media.fmt.split_ascii_whitespace().peekable();
    is_token(&media.media) && is_token(&media.proto) && formats.peek().is_some() && formats.all(is_token)
}

const BODY_OCTETS_MAX: usize = 64 * 1024;
const LINE_OCTETS_MAX: usize = 16 * 1024;
const MEDIA_MAX: usize = 8;
const LINES_MAX: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn with_lines(head: &str, line: &str, count: usize) -> Vec<u8> {
        format!("v=0\r\n{head}{}", line.repeat(count)).into_bytes()
    }

    #[test]
    fn lines_that_say_nothing_about_streams_may_be_wrong() {
        let body = b"v=0\r\no=- 99999999999999999999 5 IN IP4\r\ns=\xe9\xff\r\nt=now then\r\nb=AS\r\nm=audio 4000 RTP/AVP 0\r\n";
        assert_eq!(parse(body).map(|session| session.medias.len()), Ok(1));
    }

    #[test]
    fn a_nul_is_an_error_wherever_it_is() {
        assert!(matches!(parse(b"v=0\r\ns=a\0b\r\n"), Err(SdpError::Syntax(_))));
        assert!(matches!(parse(b"v=0\r\na=a\0b\r\n"), Err(SdpError::Syntax(_))));
    }

    #[test]
    fn the_first_line_is_version_zero() {
        for body in
            [&b""[..], b"v=\r\n", b"v=1\r\n", b"m=audio 1 RTP/AVP 0\r\nv=0\r\n", b"\xef\xbb\xbfv=0\r\n"]
        {
            assert_eq!(parse(body).map(|_| ()), Err(SdpError::NoVersion));
        }
    }

    #[test]
    fn everything_has_a_limit() {
        let medium = "m=audio 4000 RTP/AVP 0\r\n";
        assert!(parse(&with_lines("", medium, 8)).is_ok());
        assert!(matches!(parse(&with_lines("", medium, 9)), Err(SdpError::TooManyMedia { .. })));
        assert!(parse(&with_lines(medium, "a=x\r\n", 1_990)).is_ok());
        assert!(matches!(parse(&with_lines(medium, "a=x\r\n", 2_000)), Err(SdpError::TooManyLines { .. })));
        assert!(matches!(parse(&with_lines("", "a=x\r\n", 2_000)), Err(SdpError::TooManyLines { .. })));
        assert!(matches!(
            parse(&with_lines("", &"a".repeat(17_000), 1)),
            Err(SdpError::LineTooLong { line: 2, .. })
        ));
        assert!(matches!(parse(&[b'v'; 70_000]), Err(SdpError::TooLong { octets: 70_000, .. })));
    }

    #[test]
    fn control_characters_do_not_get_into_an_answer() {
        assert_eq!(
            parse(b"v=0\r\nm=au\x1b[2J 4000 RTP/AVP 0\r\n").map(|_| ()),
            Err(SdpError::UnprintableMedia)
        );
    }
}
