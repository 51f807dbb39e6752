//! By which name the user of an address-of-record is known.

use sip_message::SipUri;

/// The user part of an address-of-record: decoded, but for control characters, octets that are no UTF-8 and `%`, so
/// that two users are never one (RFC 4475 §3.1.1.4).
pub fn user_name(uri: &SipUri) -> Option<Box<str>> {
    let mut rest = uri.user.as_deref()?.as_bytes();
    let mut octets = Vec::with_capacity(rest.len());
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(hex_octet);
        octets.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    let mut name = String::with_capacity(octets.len());
    for chunk in octets.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '%' => name.push_str("%25"),
                control if control.is_control() => {
                    control.to_string().bytes().for_each(|octet| name.push_str(&format!("%{octet:02X}")));
                }
                other => name.push(other),
            }
        }
        chunk.invalid().iter().for_each(|octet| name.push_str(&format!("%{octet:02X}")));
    }
    Some(name.into())
}

fn hex_octet(digits: &[u8]) -> Option<u8> {
    let digits =
        std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_message::Uri;

    fn name(uri: &str) -> Option<String> {
        let uri = Uri::parse(uri.as_bytes()).expect("a URI");
        uri.as_sip().and_then(user_name).map(Into::into)
    }

    #[test]
    fn one_user_has_one_name_however_it_is_escaped() {
        for uri in ["sip:alice@a", "sip:%61lice@a", "sips:%61%6c%69%63%65:secret@b:5070;x=y"] {
            assert_eq!(name(uri).as_deref(), Some("alice"), "{uri}");
        }
        assert_eq!(name("sip:%C3%a9@a").as_deref(), Some("é"));
        assert_eq!(name("sip:+19725552222@a").as_deref(), Some("+19725552222"));
        assert_eq!(name("sip:a").as_deref(), None);
    }

    #[test]
    fn two_users_are_never_one() {
        let uris = [
            "sip:%00@a",
            "sip:%00%00@a",
            "sip:%2500@a",
            "sip:%25%30%30%30@a",
            "sip:%c3@a",
            "sip:%25C3@a",
            "sip:0@a",
        ];
        for (at, one) in uris.iter().enumerate() {
            for other in &uris[at + 1..] {
                assert_ne!(name(one), name(other), "{one} {other}");
            }
        }
        assert_eq!(name("sip:null-%00-null@a").as_deref(), Some("null-%00-null"));
        assert_eq!(name("sip:a%0d%0aX@a").as_deref(), Some("a%0D%0AX"));
    }
}
