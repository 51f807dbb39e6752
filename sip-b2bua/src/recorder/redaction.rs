//! Secrets are left out of what is kept: credentials, challenges, and the keys of encrypted audio.

use sip_message::{AuthParams, FieldName, RawLine, RawLines};

/// Appends a message, good or bad, without its secrets.
///
/// Lines are looked at wherever they stand: a body may hold a message, too. A body that is encoded hides its lines, and
/// is left out whole.
pub(crate) fn push_redacted(kept: &mut Vec<u8>, octets: &[u8]) {
    let (mut copied, mut in_body, mut is_encoded) = (0, false, false);
    let mut copy_to = |kept: &mut Vec<u8>, end: usize, next: usize| {
        kept.extend_from_slice(octets.get(copied..end).unwrap_or_default());
        copied = next;
    };
    for (index, line) in RawLines::of(octets).enumerate() {
        in_body |= index > 0 && line.after_empty_line;
        if in_body && is_encoded {
            copy_to(kept, line.start, octets.len());
            fill(kept, octets.len() - line.start);
            break;
        }
        is_encoded |= may_be(&line, b"ce") && line.value_of(&FieldName::CONTENT_ENCODING).is_some();
        let Some(secret) = Secret::of(&line) else { continue };
        let end = line.start + line.octets.len();
        copy_to(kept, line.start + secret.value_at, end);
        if in_body {
            // Its length stays what Content-Length says.
            fill(kept, line.octets.len() - secret.value_at);
        } else {
            kept.extend_from_slice(secret.shown.as_bytes());
        }
    }
    copy_to(kept, octets.len(), octets.len());
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
    fn of(line: &RawLine<'_>) -> Option<Self> {
        if !may_be(line, b"apwk") {
            return None;
        }
        let begins = |with: &&&[u8]| {
            line.octets.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
        };
        if let Some(start) = LINES.iter().find(begins) {
            return Some(Self { value_at: start.len(), shown: LEFT_OUT.to_owned() });
        }
        let value = FIELDS.iter().find_map(|name| line.value_of(name))?;
        let value_at = line.octets.iter().position(|octet| *octet == b':')? + 1;
        Some(Self { value_at, shown: shown(value) })
    }
}

/// A quick look before a long one.
fn may_be(line: &RawLine<'_>, first: &[u8]) -> bool {
    line.octets.first().is_some_and(|octet| first.contains(&octet.to_ascii_lowercase()))
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
    use sip_message::Message;

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
}
