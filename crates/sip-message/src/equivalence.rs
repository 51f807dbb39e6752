//! When two URIs name the same thing (RFC 3261 §19.1.4).
use crate::uri::units;
use crate::{Parameters, SipUri, Uri};

impl Uri {
    /// RFC 3261 §19.1.4 for `sip` and `sips`; URIs of other schemes are equivalent when they are the same text.
    /// Not transitive, because most parameters that stand in one URI only are ignored.
    pub fn is_equivalent(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sip(a), Self::Sip(b)) => sip_uris(a, b),
            (Self::Other { scheme: a, rest: x }, Self::Other { scheme: b, rest: y }) => {
                a.eq_ignore_ascii_case(b) && x == y
            }
            (Self::Sip(_), Self::Other { .. }) | (Self::Other { .. }, Self::Sip(_)) => false,
        }
    }
}

fn sip_uris(a: &SipUri, b: &SipUri) -> bool {
    a.secure == b.secure
        && same_part(a.user.as_deref(), b.user.as_deref())
        && same_part(a.password.as_deref(), b.password.as_deref())
        && a.host == b.host
        && a.port == b.port
        && compatible(&a.parameters, &b.parameters)
        && compatible(&b.parameters, &a.parameters)
        && headers(a) == headers(b)
}

fn same_part(a: Option<&str>, b: Option<&str>) -> bool {
    a.map(canonical) == b.map(canonical)
}

/// Octets, each with whether it is an escaped reserved one.
type Canonical = Vec<(u8, bool)>;

/// An escape stands for its octet unless that is reserved.
fn canonical(part: &str) -> Canonical {
    units(part).map(|(octet, escaped)| (octet, escaped && is_reserved(octet))).collect()
}

const fn is_reserved(octet: u8) -> bool {
    matches!(octet, b';' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'+' | b'$' | b',')
}

fn caseless(part: &str) -> Canonical {
    canonical(part).into_iter().map(|(octet, reserved)| (octet.to_ascii_lowercase(), reserved)).collect()
}

/// Each of `these` has its like among `those`, unless it is one that may be missing there.
fn compatible(these: &Parameters, those: &Parameters) -> bool {
    let names: Vec<_> = those.iter().map(|(name, value)| (caseless(name), value)).collect();
    these.iter().all(|(name, value)| {
        let name = caseless(name);
        match names.iter().find(|(other, _)| *other == name) {
            Some((_, other)) => value.map(caseless) == other.map(caseless),
            None => !DECISIVE.iter().any(|decisive| caseless(decisive) == name),
        }
    })
}

/// Parameters that never match their absence; the examples of RFC 3261 §19.1.4 have `transport` among them.
const DECISIVE: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

/// Headers have no order; their names have no case.
fn headers(uri: &SipUri) -> Vec<(Canonical, Canonical)> {
    let fields = uri.headers.as_deref().unwrap_or_default().split('&').filter(|field| !field.is_empty());
    let mut headers: Vec<_> = fields
        .map(|field| field.split_once('=').unwrap_or((field, "")))
        .map(|(name, value)| (caseless(name), canonical(value)))
        .collect();
    headers.sort_unstable();
    headers
}

#[cfg(test)]
mod tests {
    use crate::Uri;

    fn equivalent(a: &str, b: &str) -> bool {
        let (a, b): (Uri, Uri) = (a.parse().unwrap(), b.parse().unwrap());
        assert_eq!(a.is_equivalent(&b), b.is_equivalent(&a), "{a} {b}");
        a.is_equivalent(&b)
    }

    #[test]
    fn the_examples_that_are_equivalent() {
        for (a, b) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
        ] {
            assert!(equivalent(a, b), "{a} {b}");
        }
    }

    #[test]
    fn the_examples_that_are_not_equivalent() {
        for (a, b) in [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ] {
            assert!(!equivalent(a, b), "{a} {b}");
        }
    }

    #[test]
    fn schemes_users_and_passwords_decide() {
        assert!(!equivalent("sip:a@h", "sips:a@h"));
        assert!(!equivalent("sip:a@h", "sip:h"));
        assert!(!equivalent("sip:a:x@h", "sip:a@h"));
        assert!(!equivalent("sip:a:x@h", "sip:a:X@h"));
        assert!(!equivalent("sip:a@h", "tel:a"));
        assert!(equivalent("TEL:+1", "tel:+1"));
    }

    #[test]
    fn parameters_that_never_match_their_absence() {
        for parameter in ["user=phone", "ttl=1", "method=INVITE", "maddr=239.255.255.1"] {
            assert!(!equivalent("sip:a@h", &format!("sip:a@h;{parameter}")), "{parameter}");
        }
    }

    #[test]
    fn reserved_octets_differ_from_their_escapes() {
        assert!(!equivalent("sip:a;b@h", "sip:a%3Bb@h"));
        assert!(equivalent("sip:a-b@h", "sip:a%2db@h"));
        assert!(!equivalent("sip:%00@h", "sip:%00%00@h"));
    }
}
