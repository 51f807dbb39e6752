//! Reading a broken request far enough to answer it: the lenient way.
use crate::error::Salvage;
use crate::print::Line;
use crate::scan::{self, Scanner, is_space};
use crate::section::Section;
use crate::start_line::is_status_line;
use crate::uri::is_scheme;
use crate::{
    CSeq, CallId, FieldName, Fields, Header, Method, NameAddr, Parameters, ParseErrorKind, Request, Uri, Via,
    limits,
};

/// `None` for responses, for ACK, which has no response, and where the answer would lack one of the
/// fields that it needs or the top Via would not say where it goes.
pub(crate) fn read(section: &Section<'_>, kind: ParseErrorKind) -> Option<Box<Salvage>> {
    if is_status_line(section.start_line) {
        return None;
    }
    let mut elements = section.start_line.splitn(2, |octet| is_space(*octet));
    let method = std::str::from_utf8(elements.next()?).ok().and_then(Method::new)?;
    if method == Method::ACK {
        return None;
    }
    let uri = readable_uri(&String::from_utf8_lossy(elements.next().unwrap_or_default()));
    let first =
        |name| section.fields.iter().find(|field| field.name == name).map(|field| field.value.as_str());
    let header = Header {
        via: readable_via(section)?,
        max_forwards: None,
        from: readable_address(first(FieldName::FROM)?),
        to: readable_address(first(FieldName::TO)?),
        call_id: CallId::read(first(FieldName::CALL_ID)?)?,
        cseq: readable_cseq(first(FieldName::CSEQ)?, &method),
        contact: None,
        fields: Fields::default(),
    };
    let status = kind.status();
    let reason = format!("{} ({kind})", status.reason()).into();
    Some(Box::new(Salvage {
        status,
        reason,
        request: Request { method, uri, header, body: Vec::new(), octets: section.octets },
    }))
}

/// All Via values that can be read, the topmost among them. Whoever speaks another version of SIP puts it into
/// Via too, and is to be told 505 (RFC 3261 §21.5.6).
fn readable_via(section: &Section<'_>) -> Option<Vec<Via>> {
    let mut list = Vec::new();
    for field in section.fields.iter().filter(|field| field.name == FieldName::VIA) {
        let mut scanner = Scanner::new(&field.value);
        while !scanner.is_end() && list.len() < limits::VIA_VALUES {
            match Via::scan_sent_by(&mut scanner, |_| true) {
                Some(via) => list.push(Via { parameters: Parameters::scan_readable(&mut scanner), ..via }),
                None if list.is_empty() => return None,
                None => {}
            }
            scanner.take_while(|octet| octet != b',');
            scanner.eat(b',');
        }
    }
    (!list.is_empty()).then_some(list)
}

/// The URI and the tag, if nothing else.
fn readable_address(value: &str) -> NameAddr {
    if let Some(address) = NameAddr::read(value) {
        return address;
    }
    let (uri, after) = match value.split_once('<') {
        Some((_, bracketed)) => bracketed.split_once('>').unwrap_or((bracketed, "")),
        None => value.split_once(';').map_or((value, ""), |(uri, _)| (uri, value)),
    };
    let address = NameAddr::new(readable_uri(uri));
    let tag = after.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let tag = tag.filter(|(name, _)| name.trim_matches([' ', '\t']).eq_ignore_ascii_case("tag"));
    let tag = tag.map(|(_, tag)| tag.trim_matches([' ', '\t'])).find(|tag| scan::is_token(tag));
    match tag {
        Some(tag) => address.with_tag(tag),
        None => address,
    }
}

/// What is no URI is kept as the rest of one.
fn readable_uri(text: &str) -> Uri {
    let text = Line(text).to_string();
    let text = text.trim_matches([' ', '\t']);
    Uri::read(text).unwrap_or_else(|| match text.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) && !rest.is_empty() => {
            Uri::Other { scheme: scheme.to_ascii_lowercase().into(), rest: rest.into() }
        }
        Some(_) | None => {
            Uri::Other { scheme: "invalid".into(), rest: if text.is_empty() { "-" } else { text }.into() }
        }
    })
}

/// A number that does not fit is the greatest that does, one that is none is 0.
fn readable_cseq(value: &str, method: &Method) -> CSeq {
    let (number, after) = value.split_once([' ', '\t']).unwrap_or((value, ""));
    let digits = number.bytes().position(|octet| !octet.is_ascii_digit()).unwrap_or(number.len());
    let number = number.get(..digits).and_then(scan::number).unwrap_or_default();
    let method = Method::new(after.trim_matches([' ', '\t'])).unwrap_or_else(|| method.clone());
    CSeq { number: u32::try_from(number).unwrap_or(u32::MAX), method }
}

#[cfg(test)]
mod tests {
    use crate::{Message, Salvage};

    fn salvage(start: &str, fields: &str) -> Option<Box<Salvage>> {
        let octets = format!("{start}\r\n{fields}\r\n");
        Message::parse(octets.as_bytes()).expect_err(&octets).salvage
    }

    const REST: &str = "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n";

    fn answer(from: &str, to: &str) -> String {
        let fields = format!("{REST}From: {from}\r\nTo: {to}\r\n");
        let salvage = salvage("INVITE sip:a@h SIP/2.0", &fields).unwrap();
        String::from_utf8(salvage.response().print()).unwrap()
    }

    #[test]
    fn uri_and_tag_of_a_broken_address_are_kept() {
        for (to, kept) in [
            ("\"Mr. J. User <sip:j.user@example.com>", "To: <sip:j.user@example.com>\r\n"),
            (
                "Bell, Alexander <sip:a.g.bell@example.com>;tag=43",
                "To: <sip:a.g.bell@example.com>;tag=43\r\n",
            ),
            ("< sip:user@example.org >; Tag = x;;", "To: <sip:user@example.org>;tag=x\r\n"),
            ("sip:a@h?x=1;tag=y", "To: <sip:a@h?x=1>;tag=y\r\n"),
            ("sip:a b@h;tag=z", "To: <sip:a%20b@h>;tag=z\r\n"),
            ("Bob\0Evil <sip:1@h>", "To: <sip:1@h>\r\n"),
            ("", "To: <invalid:->\r\n"),
            ("\"", "To: <invalid:%22>\r\n"),
        ] {
            let answer = answer("<sip:c@h>;tag=f", to);
            assert!(answer.contains(kept), "{to}: {answer}");
            assert!(answer.starts_with("SIP/2.0 400 Bad Request ("), "{answer}");
        }
    }

    #[test]
    fn what_can_be_read_of_via_is_kept() {
        let fields = "Via: SIP/2.0/UDP 192.0.2.15;;,;,,\r\nv: SIP/2.0/TCP b;branch=1;branch=2\r\n\
            From: <sip:a@h>\r\nTo: <sip:b@h>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n";
        let salvage = salvage("INVITE sip:a@h SIP/2.0", fields).unwrap();
        let via: Vec<_> = salvage.request.header.via.iter().map(ToString::to_string).collect();
        assert_eq!(via, ["SIP/2.0/UDP 192.0.2.15", "SIP/2.0/TCP b;branch=1"]);
        assert_eq!(salvage.status.code(), 400);
        assert_eq!(&*salvage.reason, "Bad Request (malformed Via)");
    }

    #[test]
    fn another_version_in_via_is_answered_in_ours() {
        let fields = format!("{REST}From: <sip:a@h>\r\nTo: <sip:b@h>\r\n").replace("SIP/2.0", "SIP/7.0");
        let salvage = salvage("INVITE sip:a@h SIP/7.0", &fields).unwrap();
        assert_eq!(salvage.request.header.via[0].to_string(), "SIP/2.0/UDP h;branch=z9hG4bK1");
    }

    #[test]
    fn the_start_line_may_be_broken() {
        let fields = format!("{REST}From: <sip:a@h>\r\nTo: <sip:b@h>\r\n");
        for (line, status) in [
            ("INVITE  sip:a@h  SIP/2.0", 400),
            ("INVITE <sip:a@h> SIP/2.0", 400),
            ("INVITE sip:a@h", 400),
            ("INVITE", 400),
            ("INVITE sip:a@h SIP/7.0", 505),
            ("OPTIONS sip:a@h SIP/2.0", 400),
            ("NEWMETHOD sip:a@h SIP/2.0", 501),
        ] {
            assert_eq!(salvage(line, &fields).unwrap().status.code(), status, "{line}");
        }
    }

    #[test]
    fn nothing_is_answered_without_a_sure_answer() {
        let fields = format!("{REST}From: <sip:a@h>\r\nTo: <sip:b@h>\r\n");
        assert!(salvage("ACK  sip:a@h SIP/2.0", &fields).is_none());
        assert!(salvage("SIP/2.0 2x0 OK", &fields).is_none());
        assert!(salvage("IN\u{7f}VITE sip:a@h SIP/2.0", &fields).is_none());
        for missing in ["Via", "From", "To", "Call-ID", "CSeq"] {
            let less: String =
                fields.split_inclusive('\n').filter(|line| !line.starts_with(missing)).collect();
            assert!(salvage("INVITE sip:a@h SIP/2.0", &less).is_none(), "{missing}");
        }
        let nowhere = fields.replace("UDP h", "UDP h:65536");
        assert!(salvage("INVITE sip:a@h SIP/2.0", &nowhere).is_none());
        assert!(salvage("INVITE sip:a@h SIP/2.0", &format!("{nowhere}Via: SIP/2.0/UDP below\r\n")).is_none());
    }

    #[test]
    fn a_sequence_number_becomes_one_that_fits() {
        for (cseq, kept) in [
            ("36893488147419103232 INVITE", "4294967295 INVITE"),
            ("2147483648 INVITE", "2147483648 INVITE"),
            ("-1 INVITE", "0 INVITE"),
            ("1", "1 INVITE"),
            ("1 OPTIONS", "1 OPTIONS"),
        ] {
            let fields = format!(
                "Via: SIP/2.0/UDP h\r\nFrom: <sip:a@h>\r\nTo: <sip:b@h>\r\nCall-ID: x\r\nCSeq: {cseq}\r\n"
            );
            let salvage = salvage("INVITE sip:a@h SIP/2.0", &fields).unwrap();
            assert_eq!(salvage.request.header.cseq.to_string(), kept, "{cseq}");
        }
    }
}
