//! Request-Line and Status-Line (RFC 3261 §7.1, §7.2).
use crate::{Method, ParseErrorKind, StatusCode, Uri};

#[derive(Debug)]
pub(crate) enum StartLine {
    Request { method: Method, uri: Uri },
    Response { status: StatusCode, reason: Box<str> },
}

impl StartLine {
    /// One SP between the elements, as the grammar has it.
    pub(crate) fn read(line: &[u8]) -> Result<Self, ParseErrorKind> {
        if is_status_line(line) { status_line(line) } else { request_line(line) }
    }
}

/// A method cannot begin so: `/` is no token.
pub(crate) fn is_status_line(line: &[u8]) -> bool {
    line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"))
}

fn request_line(line: &[u8]) -> Result<StartLine, ParseErrorKind> {
    let mut elements = line.split(|octet| *octet == b' ');
    let (Some(method), Some(uri), Some(version), None) =
        (elements.next(), elements.next(), elements.next(), elements.next())
    else {
        return Err(ParseErrorKind::StartLine);
    };
    let method = std::str::from_utf8(method).ok().and_then(Method::new).ok_or(ParseErrorKind::StartLine)?;
    check_version(version)?;
    match Uri::parse(uri) {
        Ok(Uri::Sip(uri)) if uri.headers.is_some() => Err(ParseErrorKind::RequestUri),
        Ok(uri) => Ok(StartLine::Request { method, uri }),
        Err(_) => Err(ParseErrorKind::RequestUri),
    }
}

fn status_line(line: &[u8]) -> Result<StartLine, ParseErrorKind> {
    if line.iter().any(|octet| octet.is_ascii_control() && *octet != b'\t') {
        return Err(ParseErrorKind::StartLine);
    }
    let line = String::from_utf8_lossy(line);
    let (version, rest) = line.split_once(' ').ok_or(ParseErrorKind::StartLine)?;
    check_version(version.as_bytes())?;
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let digits =
        Some(code).filter(|code| code.len() == 3 && code.bytes().all(|octet| octet.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok());
    let status = number.and_then(StatusCode::new).ok_or(ParseErrorKind::StatusCode)?;
    Ok(StartLine::Response { status, reason: reason.into() })
}

fn check_version(version: &[u8]) -> Result<(), ParseErrorKind> {
    if version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Ok(());
    }
    let is_version = is_status_line(version)
        && version.iter().skip(4).all(|octet| octet.is_ascii_digit() || *octet == b'.');
    Err(if is_version { ParseErrorKind::Version } else { ParseErrorKind::StartLine })
}

#[cfg(test)]
mod tests {
    use super::StartLine;
    use crate::ParseErrorKind;

    #[test]
    fn a_request_line_has_three_elements() {
        for line in ["INVITE sip:a@h SIP/2.0", "INVITE sip:a@h sip/2.0", "NEW unknown:x SIP/2.0"] {
            assert!(matches!(StartLine::read(line.as_bytes()), Ok(StartLine::Request { .. })), "{line}");
        }
        for (line, kind) in [
            ("INVITE  sip:a@h  SIP/2.0", ParseErrorKind::StartLine),
            ("INVITE sip:a@h SIP/2.0  ", ParseErrorKind::StartLine),
            ("INVITE sip:a; lr@h SIP/2.0", ParseErrorKind::StartLine),
            ("INVITE sip:a@h", ParseErrorKind::StartLine),
            ("INVITE sip:a@h HTTP/1.1", ParseErrorKind::StartLine),
            ("INV:ITE sip:a@h SIP/2.0", ParseErrorKind::StartLine),
            ("", ParseErrorKind::StartLine),
            ("INVITE sip:a@h SIP/7.0", ParseErrorKind::Version),
            ("INVITE sip:a@h SIP/22.0", ParseErrorKind::Version),
            ("INVITE <sip:a@h> SIP/2.0", ParseErrorKind::RequestUri),
            ("INVITE sip:a@h?Route=%3Csip:b%3E SIP/2.0", ParseErrorKind::RequestUri),
            ("INVITE sip:10\x0002@h SIP/2.0", ParseErrorKind::RequestUri),
            ("INVITE sip:é@h SIP/2.0", ParseErrorKind::RequestUri),
        ] {
            assert_eq!(StartLine::read(line.as_bytes()).map(|_| ()), Err(kind), "{line}");
        }
    }

    #[test]
    fn a_status_line_keeps_its_reason() {
        for (line, expected) in [
            (&b"SIP/2.0 200 = 2**3 * 5**2 \xd0\xbd"[..], "= 2**3 * 5**2 н"),
            (b"SIP/2.0 100 ", ""),
            (b"SIP/2.0 100", ""),
            (b"sip/2.0 486 Busy\tHere \xff", "Busy\tHere \u{fffd}"),
        ] {
            match StartLine::read(line) {
                Ok(StartLine::Response { reason, .. }) => assert_eq!(&*reason, expected),
                other => panic!("{line:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn codes_never_wrap() {
        for (line, kind) in [
            ("SIP/2.0 4294967301 x", ParseErrorKind::StatusCode),
            ("SIP/2.0 2x0 x", ParseErrorKind::StatusCode),
            ("SIP/2.0 0200 x", ParseErrorKind::StatusCode),
            ("SIP/2.0 099 x", ParseErrorKind::StatusCode),
            ("SIP/2.0 700 x", ParseErrorKind::StatusCode),
            ("SIP/2.0  200 x", ParseErrorKind::StatusCode),
            ("SIP/7.0 200 x", ParseErrorKind::Version),
            ("SIP/2.0 200 a\rb", ParseErrorKind::StartLine),
            ("SIP/2.0", ParseErrorKind::StartLine),
        ] {
            assert_eq!(StartLine::read(line.as_bytes()).map(|_| ()), Err(kind), "{line}");
        }
    }
}
