//! Secrets are left out of what is kept: credentials, challenges, passwords in URIs, the keys of encrypted audio, and the
//! digits that somebody types.

mod digits;
mod passwords;

use sip_message::{AuthParams, FieldName, RawLines};

/// Appends a message, good or bad, without its secrets.
///
/// Lines are looked at wherever they stand: a body may hold a message, too, and what continues another line for one
/// reader is a line of its own for the next. A body that is encoded hides its lines, and is left out whole.
pub(crate) fn push_redacted(kept: &mut Vec<u8>, octets: &[u8]) {
    let mut copy = Copy { kept, octets, copied: 0, in_body: false };
    let mut body = Body::Plain;
    for (index, line) in RawLines::of(octets).enumerate() {
        copy.in_body |= index > 0 && line.after_empty_line;
        if copy.in_body && body != Body::Plain {
            return copy.hide_rest(line.start, body);
        }
        let end = line.start + line.octets.len();
        let mut secret = None;
        for piece in line.pieces() {
            body = body.max(Body::announced_by(piece));
            secret = Secret::of(piece).map(|secret| (end - piece.len() + secret.value_at, secret.shown));
            if secret.is_some() {
                break;
            }
        }
        let plain_end = secret.as_ref().map_or(end, |(start, _)| *start);
        for password in passwords::of(octets.get(line.start..plain_end).unwrap_or_default()) {
            copy.cut(line.start + password.start, line.start + password.end, "***");
        }
        if let Some((start, shown)) = secret {
            copy.cut(start, end, &shown);
        }
    }
    copy.keep_until(octets.len());
}

/// A message on its way to where it is kept.
struct Copy<'a> {
    kept: &'a mut Vec<u8>,
    octets: &'a [u8],
    /// So many octets are dealt with.
    copied: usize,
    in_body: bool,
}

impl Copy<'_> {
    fn keep_until(&mut self, end: usize) {
        self.kept.extend_from_slice(self.octets.get(self.copied..end).unwrap_or_default());
        self.copied = end;
    }

    fn cut(&mut self, start: usize, end: usize, shown: &str) {
        self.keep_until(start);
        self.copied = end;
        if self.in_body {
            // Its length stays what Content-Length says.
            fill(self.kept, end - start);
        } else {
            self.kept.extend_from_slice(shown.as_bytes());
        }
    }

    fn hide_rest(&mut self, start: usize, body: Body) {
        self.keep_until(start);
        let rest = self.octets.get(start..).unwrap_or_default();
        match body {
            Body::Plain => self.kept.extend_from_slice(rest),
            Body::Digits => digits::push_starred(self.kept, rest),
            Body::Encoded => fill(self.kept, rest.len()),
        }
    }
}

/// What the header says of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Body {
    Plain,
    Digits,
    Encoded,
}

impl Body {
    fn announced_by(line: &[u8]) -> Self {
        if !begins_with_one_of(line, b"ce") {
            return Self::Plain;
        }
        let has = |name| value_at(line, name).is_some();
        if has("Content-Encoding") || has("e") {
            return Self::Encoded;
        }
        let content_type = value_at(line, "Content-Type").or_else(|| value_at(line, "c"));
        match content_type.and_then(|at| line.get(at..)) {
            Some(value) if digits::is_type(value) => Self::Digits,
            Some(_) | None => Self::Plain,
        }
    }
}

/// A line with a secret.
struct Secret {
    /// Behind the name.
    value_at: usize,
    /// What may be seen of the value.
    shown: String,
}

/// Header fields with credentials or challenges (RFC 3261 §22.4, RFC 7615).
const FIELDS: [FieldName; 6] = [
    FieldName::AUTHORIZATION,
    FieldName::PROXY_AUTHORIZATION,
    FieldName::WWW_AUTHENTICATE,
    FieldName::PROXY_AUTHENTICATE,
    FieldName::AUTHENTICATION_INFO,
    FieldName::from_static("Proxy-Authentication-Info"),
];

/// Lines of session descriptions with keys: RFC 4568 §9.1, RFC 4567 §9, RFC 8839 §5.4, RFC 8866 §5.12.
const LINES: [&[u8]; 4] = [b"a=crypto:", b"a=key-mgmt:", b"a=ice-pwd:", b"k="];

impl Secret {
    fn of(line: &[u8]) -> Option<Self> {
        if !begins_with_one_of(line, b"apwk") {
            return None;
        }
        if let Some(start) = LINES.iter().find(|start| after(line, start).is_some()) {
            return Some(Self { value_at: start.len(), shown: LEFT_OUT.to_owned() });
        }
        let value_at = FIELDS.iter().find_map(|name| value_at(line, name.as_str()))?;
        Some(Self { value_at, shown: shown(line.get(value_at..)?) })
    }
}

/// A quick look before a long one.
fn begins_with_one_of(line: &[u8], letters: &[u8]) -> bool {
    line.first().is_some_and(|octet| letters.contains(&octet.to_ascii_lowercase()))
}

/// Where the value begins, if this is the field of that name. Nothing behind the name and the white space after it is
/// looked at: of a long line there are many pieces.
fn value_at(line: &[u8], name: &str) -> Option<usize> {
    let rest = after(line, name.as_bytes())?.trim_ascii_start();
    rest.starts_with(b":").then(|| line.len() - rest.len() + 1)
}

/// What comes after these octets, whose case means nothing.
fn after<'a>(octets: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    let (found, rest) = octets.split_at_checked(start.len())?;
    found.eq_ignore_ascii_case(start).then_some(rest)
}

/// Scheme and realm say whose password is asked for; the rest is nobody's business.
fn shown(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let parts = text.split(['\r', '\n']).map(str::trim).filter(|part| !part.is_empty());
    let unfolded = parts.collect::<Vec<_>>().join(" ");
    match unfolded.parse::<AuthParams>() {
        Ok(parameters) if parameters.is_scheme("Digest") => match parameters.value("realm") {
            Some(realm) => {
                let mut visible = AuthParams::new("Digest");
                visible.parameters.set_quoted("realm", realm);
                format!(" {visible}, {LEFT_OUT}")
            }
            None => format!(" Digest {LEFT_OUT}"),
        },
        Ok(_) | Err(_) => format!(" {LEFT_OUT}"),
    }
}

fn fill(kept: &mut Vec<u8>, length: usize) {
    kept.resize(kept.len() + length, b'*');
}

const LEFT_OUT: &str = "(left out)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FarEnd, RungPhone, Tracer, WireMessage, log_line};
    use call_control::{CallId, Party};
    use sip_message::{Message, Transport};
    use std::time::SystemTime;

    fn redacted(octets: &[u8]) -> String {
        let mut kept = b"before".to_vec();
        push_redacted(&mut kept, octets);
        String::from_utf8(kept).unwrap().strip_prefix("before").unwrap().to_owned()
    }

    fn message(fields: &str, body: &str) -> String {
        format!(
            "INVITE sip:1001@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nf: <sip:a@h>;tag=1\r\n\
             t: <sip:b@h>\r\ni: x@h\r\nCSeq: 1 INVITE\r\n{fields}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    #[test]
    fn a_message_without_secrets_stays_as_it_was() {
        let plain =
            message("X-Variable-token: kept\r\nAllow: ACK\r\nP-X: 1\r\n", "v=0\r\na=sendrecv\r\nk\r\n");
        assert_eq!(redacted(plain.as_bytes()), plain);
        for octets in ["", "\r\n\r\n", "\0", "a"] {
            assert_eq!(redacted(octets.as_bytes()), octets);
        }
    }

    #[test]
    fn credentials_and_challenges_keep_their_realm_alone() {
        let digest =
            "Digest username=\"u\", realm=\"r, s\", nonce=\"SECRET\", uri=\"sip:h\", response=\"SECRET\"";
        for (field, expected) in [
            (format!("Authorization: {digest}\r\n"), "Authorization: Digest realm=\"r, s\", (left out)\r\n"),
            (
                format!("PROXY-authorization :{}\r\n", digest.replace(", ", ",\r\n\t")),
                "PROXY-authorization : Digest realm=\"r, s\", (left out)\r\n",
            ),
            (
                "WWW-Authenticate: Digest realm=\"r\",nonce=\"SECRET\",opaque=\"SECRET\"\r\n".to_owned(),
                "WWW-Authenticate: Digest realm=\"r\", (left out)\r\n",
            ),
            ("proxy-authenticate: SECRET SECRET\r\n".to_owned(), "proxy-authenticate: (left out)\r\n"),
            ("Authorization:\r\n Basic\r\n SECRET==\r\n".to_owned(), "Authorization: (left out)\r\n"),
            ("Authorization\r\n : SECRET=\"\r\n".to_owned(), "Authorization\r\n : (left out)\r\n"),
            (
                "Authentication-Info: nextnonce=\"SECRET\"\r\n".to_owned(),
                "Authentication-Info: (left out)\r\n",
            ),
            ("X: y\rAuthorization: SECRET\r\n".to_owned(), "X: y\rAuthorization: (left out)\r\n"),
            ("X: y\nAuthorization: SECRET\n".to_owned(), "X: y\nAuthorization: (left out)\n"),
        ] {
            let kept = redacted(message(&field, "").as_bytes());
            assert_eq!(kept, message(expected, ""), "{field:?}");
            assert!(!kept.contains("SECRET"));
        }
    }

    #[test]
    fn keys_of_encrypted_audio_are_starred_out_and_the_message_stays_readable() {
        let body = "v=0\r\nm=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:SECRET\r\n\
                    A=Crypto:2 SECRET\r\na=ice-pwd:SECRET\r\nk=base64:SECRET\r\na=key-mgmt:mikey SECRET";
        for fields in ["Content-Type: application/sdp\r\n", "", "c: multipart/mixed\r\n"] {
            let original = message(fields, body);
            let kept = redacted(original.as_bytes());
            assert!(!kept.contains("SECRET") && !kept.contains("AES_CM"), "{kept}");
            assert!(kept.contains("\r\na=crypto:****") && kept.contains("m=audio 4000"), "{kept}");
            assert_eq!(kept.len(), original.len());
            assert!(Message::parse(kept.as_bytes()).is_ok(), "{kept}");
        }
    }

    #[test]
    fn a_message_in_a_body_and_an_encoded_body_keep_no_secret() {
        let inner = message("Authorization: Digest response=\"SECRET\"\r\n", "");
        let kept = redacted(message("Content-Type: message/sip\r\n", &inner).as_bytes());
        assert!(!kept.contains("SECRET") && Message::parse(kept.as_bytes()).is_ok(), "{kept}");
        for field in ["Content-Encoding: gzip\r\n", "e: deflate\r\n"] {
            let kept = redacted(message(field, "SECRET\r\n\r\nSECRET").as_bytes());
            assert!(!kept.contains("SECRET") && Message::parse(kept.as_bytes()).is_ok(), "{kept}");
        }
    }

    #[test]
    fn a_secret_on_a_line_that_continues_another_one_is_not_kept() {
        let secret = " \tAUTHORIZATION:\tDigest realm=\"r\",\r\n response=\"SECRET\"\r\n";
        let expected = " \tAUTHORIZATION: Digest realm=\"r\", (left out)\r\n";
        for before in ["INVITE sip:a@h SIP/2.0\r\n", "INVITE sip:a@h SIP/2.0\r\nno field\r\n", "\r\n", ""] {
            let kept = redacted(format!("{before}{secret}i: x@h\r\n\r\n").as_bytes());
            assert_eq!(kept, format!("{before}{expected}i: x@h\r\n\r\n"));
        }
        let kept = redacted(
            b"INVITE sip:a@h SIP/2.0\r\n X: y\r\n Proxy-Authorization\r\n : SECRET\r\ni: x@h\r\n\r\n",
        );
        assert_eq!(
            kept,
            "INVITE sip:a@h SIP/2.0\r\n X: y\r\n Proxy-Authorization\r\n : (left out)\r\ni: x@h\r\n\r\n"
        );
        for body in ["v=0\r\n a=crypto:1 SECRET\r\n", " k=SECRET", "X\r\n Authorization: SECRET\r\n\r\n"] {
            let original = message("", body);
            let kept = redacted(original.as_bytes());
            assert!(!kept.contains("SECRET") && kept.len() == original.len(), "{kept}");
        }
    }

    #[test]
    fn typed_digits_are_starred_out_of_bodies_that_are_said_to_have_them() {
        let relayed = "Signal=4711\r\nDuration=160\r\n";
        for (field, body, expected) in [
            ("Content-Type: application/dtmf-relay\r\n", relayed, "Signal=****\r\nDuration=160\r\n"),
            ("c : APPLICATION/DTMF-Relay;charset=x\r\n", relayed, "Signal=****\r\nDuration=160\r\n"),
            ("CONTENT-TYPE:\r\n application\r\n\t/ dtmf\r\n ;a=b\r\n", "4711", "****"),
            ("c:application/dtmf\r\n", "\r\n4711\r\n", "\r\n****\r\n"),
            ("c: application/dtmf\r\n", "4\r\n711", "*\r\n***"),
            (
                "c: multipart/mixed;boundary=b\r\n",
                "--b\r\nContent-Type: application/dtmf\r\n\r\n4711\r\n--b--",
                "--b\r\nContent-Type: application/dtmf\r\n\r\n****\r\n*****",
            ),
        ] {
            assert_eq!(redacted(message(field, body).as_bytes()), message(field, expected));
        }
        let folded = b"INFO sip:a@h SIP/2.0\r\n c: application/dtmf\r\n\r\n4711";
        assert!(!redacted(folded).contains("4711"));
        for field in ["c: application/dtmf-info\r\n", "c: text/dtmf\r\n", "X-c: application/dtmf\r\n"] {
            assert_eq!(redacted(message(field, relayed).as_bytes()), message(field, relayed));
        }
    }

    #[test]
    fn many_pieces_of_one_line_are_read_in_no_time() {
        let begun = std::time::Instant::now();
        for piece in ["\r\n c", "\r\n c: application", "\r\n authorization", "\r\n @sip:a:", "\r\n a"] {
            let hostile = format!("INVITE sip:a SIP/2.0{}", piece.repeat(65_000 / piece.len()));
            redacted(hostile.as_bytes());
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{:?}", begun.elapsed());
    }

    #[test]
    fn passwords_of_uris_are_not_kept() {
        let with = |header: &str, body: &str| {
            let fields = format!("m: <sip:a:{header}@h:5060;transport=tcp>, SIPS:b:{header}@h\r\n");
            let request = message(&fields, &format!("REFER sip:a:{body}@h SIP/2.0\r\n\r\n"));
            request.replace("sip:1001@h", &format!("sip:1001:{header}@h"))
        };
        assert_eq!(redacted(with("SECRET", "SECRET").as_bytes()), with("***", "******"));
        let folded = redacted(b"OPTIONS sip:a:SECRET@h\r\n Authorization: Digest SECRET");
        assert_eq!(folded, "OPTIONS sip:a:***@h\r\n Authorization: (left out)");
    }

    #[test]
    fn what_is_traced_and_what_is_logged_is_what_is_left() {
        let far_end = FarEnd { transport: Transport::Udp, address: "192.0.2.1:5060".parse().unwrap() };
        let secrets = message("m: <sip:a:SECRET@h>\r\nc: application/dtmf\r\n", "4711");
        let call = CallId::new(0, &[1; 10]);
        let mut tracer = Tracer::default();
        tracer.begin_dialog(
            call,
            Party::To,
            "x@h",
            &RungPhone { far_end, registered_at: 0, user_agent: "", trunk: None },
        );
        tracer.note(secrets.as_bytes(), far_end, false, 0);
        let octets = secrets.as_bytes().to_vec();
        let shown = WireMessage { at: SystemTime::UNIX_EPOCH, sent: false, far_end, octets }.redacted();
        assert_eq!(shown, message("m: <sip:a:***@h>\r\nc: application/dtmf\r\n", "****").as_bytes());
        assert!(tracer.octets_of(call).ends_with(&shown));
        let logged = log_line(secrets.as_bytes());
        assert!(logged.contains("<sip:a:***@h>") && logged.ends_with("****"), "{logged}");
    }
}
