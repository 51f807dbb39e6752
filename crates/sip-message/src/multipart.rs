//! Bodies of several parts, of which one is wanted (RFC 5621 §3, RFC 2046 §5.1).

use crate::scan::Scanner;
use crate::{FieldName, Fields, Parameters};

/// Parts that are looked at.
const PARTS_MAX: usize = 16;
/// Octets of a boundary (RFC 2046 §5.1.1).
const BOUNDARY_MAX: usize = 70;

/// Puts the first part of a wanted type into the place of a body of several, with its type. Others are let go: whoever
/// has to know them is not here. Where there is none, all stays as it is.
pub(crate) fn unwrap(fields: &mut Fields, body: &mut Vec<u8>, wanted: &str) {
    let Some(boundary) = fields.get(&FieldName::CONTENT_TYPE).and_then(boundary_of) else { return };
    let part = parts(body, &boundary).take(PARTS_MAX).find_map(|part| content(part, wanted));
    if let Some(part) = part.map(<[u8]>::to_vec) {
        *body = part;
        fields.set(FieldName::CONTENT_TYPE, wanted);
    }
}

/// The boundary of `multipart/…;boundary="…"`.
fn boundary_of(content_type: &str) -> Option<String> {
    let mut scanner = Scanner::new(content_type);
    let kind = scanner.token()?;
    if !kind.eq_ignore_ascii_case("multipart") || !scanner.separator(b'/') {
        return None;
    }
    scanner.token()?;
    let parameters = Parameters::scan(&mut scanner)?;
    let boundary = parameters.value("boundary")?;
    (!boundary.is_empty() && boundary.len() <= BOUNDARY_MAX).then(|| boundary.to_owned())
}

/// What stands between lines that begin with `--boundary`, without the line end before each.
fn parts<'a>(body: &'a [u8], boundary: &str) -> impl Iterator<Item = &'a [u8]> {
    let delimiter = format!("--{boundary}").into_bytes();
    let mut rest = body;
    // What stands before the first delimiter is no part.
    let mut is_open = false;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let part = rest;
            let mut length = 0;
            loop {
                let line = line_of(&part[length..]);
                let is_delimiter = line.starts_with(&delimiter);
                if is_delimiter || line.is_empty() {
                    let is_last = line[delimiter.len().min(line.len())..].starts_with(b"--");
                    rest = if is_last { &[] } else { &part[length + line.len()..] };
                    let was_open = std::mem::replace(&mut is_open, is_delimiter && !is_last);
                    if was_open {
                        return Some(without_line_end(&part[..length]));
                    }
                    break;
                }
                length += line.len();
            }
        }
        None
    })
}

/// The body of a part, if it is of that type and written as it is.
fn content<'a>(part: &'a [u8], wanted: &str) -> Option<&'a [u8]> {
    let mut rest = part;
    let mut is_wanted = false;
    loop {
        let line = line_of(rest);
        rest = &rest[line.len()..];
        let text = std::str::from_utf8(without_line_end(line)).ok()?;
        if text.is_empty() {
            return is_wanted.then_some(rest);
        }
        let (name, value) = text.split_once(':')?;
        let name = FieldName::new(name.trim())?;
        let value = value.split(';').next().unwrap_or_default().trim();
        if name == FieldName::CONTENT_TYPE {
            is_wanted = value.eq_ignore_ascii_case(wanted);
        } else if name.as_str().eq_ignore_ascii_case("Content-Transfer-Encoding") {
            let as_it_is = ["7bit", "8bit", "binary"];
            as_it_is.iter().find(|encoding| value.eq_ignore_ascii_case(encoding))?;
        }
    }
}

/// Up to and with its line end.
fn line_of(octets: &[u8]) -> &[u8] {
    let end = octets.iter().position(|octet| *octet == b'\n').map_or(octets.len(), |at| at + 1);
    &octets[..end]
}

fn without_line_end(octets: &[u8]) -> &[u8] {
    let octets = octets.strip_suffix(b"\n").unwrap_or(octets);
    octets.strip_suffix(b"\r").unwrap_or(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "application/sdp";

    /// The type and the body that remain.
    fn unwrapped(content_type: &str, body: &str) -> (String, String) {
        let mut fields = Fields::default();
        fields.push(FieldName::CONTENT_TYPE, content_type);
        let mut octets = body.as_bytes().to_vec();
        unwrap(&mut fields, &mut octets, SDP);
        let kind = fields.get(&FieldName::CONTENT_TYPE).expect("a type");
        (kind.to_owned(), String::from_utf8(octets).expect("text"))
    }

    fn description(text: &str) -> (String, String) {
        (SDP.to_owned(), text.to_owned())
    }

    #[test]
    fn the_part_that_is_wanted_is_found_among_others() {
        let location = "Content-Type: application/pidf+xml\r\nContent-ID: <1@a>\r\n\r\n<a/>\r\n";
        let sdp = "c: application/SDP ; charset=utf-8\r\nContent-Disposition: session;handling=required\r\n\r\nv=0\r\ns=-\r\n\r\n";
        let body = format!("preamble\r\n--x y\r\n{location}--x y\r\n{sdp}--x y--\r\nepilogue\r\n");
        assert_eq!(unwrapped("multipart/mixed;boundary=\"x y\"", &body), description("v=0\r\ns=-\r\n"));
        let first = format!("--b\r\n{sdp}--b\r\n{location}--b--");
        assert_eq!(unwrapped("Multipart/Alternative; boundary=b", &first), description("v=0\r\ns=-\r\n"));
        let alone = "--b\nContent-Type: application/sdp\n\nv=0\n--b--";
        assert_eq!(unwrapped("multipart/mixed;boundary=b", alone), description("v=0"));
        let unended = "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n";
        assert_eq!(unwrapped("multipart/mixed;boundary=b", unended), description("v=0"));
    }

    #[test]
    fn what_holds_no_such_part_stays_as_it_is() {
        let encoded =
            "--b\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: base64\r\n\r\ndj0w\r\n--b--";
        for (content_type, body) in [
            ("application/sdp", "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--"),
            ("multipart/mixed", "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--"),
            ("multipart/mixed;boundary=", "----"),
            ("multipart/mixed;boundary=b", ""),
            ("multipart/mixed;boundary=b", "--b--"),
            ("multipart/mixed;boundary=b", "--b\r\n--b\r\n--b--"),
            ("multipart/mixed;boundary=b", "--b\r\nContent-Type: text/plain\r\n\r\nv=0\r\n--b--"),
            ("multipart/mixed;boundary=b", encoded),
        ] {
            assert_eq!(unwrapped(content_type, body), (content_type.to_owned(), body.to_owned()));
        }
    }
}
