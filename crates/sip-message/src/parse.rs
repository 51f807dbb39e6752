//! Reading a message: the strict way.
use crate::list::split_commas;
use crate::scan::{self, Scanner};
use crate::section::{Field, Section};
use crate::start_line::StartLine;
use crate::{
    CSeq, CallId, Contacts, FieldName, Fields, Header, Message, Method, NameAddr, ParseError, ParseErrorKind,
    Request, Response, Via, limits, salvage,
};

pub(crate) fn message(octets: &[u8]) -> Result<Message, ParseError> {
    let start =
        octets.iter().position(|octet| !matches!(octet, b'\r' | b'\n')).ok_or(ParseErrorKind::Empty)?;
    let octets = octets.get(start..).unwrap_or_default();
    if octets.len() > limits::MESSAGE_OCTETS {
        return Err(ParseErrorKind::MessageTooLarge.into());
    }
    let section = Section::read(octets);
    read(&section).map_err(|kind| ParseError { kind, salvage: salvage::read(&section, kind) })
}

fn read(section: &Section<'_>) -> Result<Message, ParseErrorKind> {
    let start = StartLine::read(section.start_line)?;
    if let Some(problem) = section.problem {
        return Err(problem);
    }
    let mut draft = Draft::default();
    for field in &section.fields {
        draft.take(field)?;
    }
    let length = draft.content_length.unwrap_or(section.body.len());
    let header = draft.finish()?;
    let body = section.body.get(..length).ok_or(ParseErrorKind::BodyTooShort)?.to_vec();
    match start {
        StartLine::Request { method, uri } => {
            check_request(&method, &header)?;
            Ok(Message::Request(Request { method, uri, header, body, octets: section.octets }))
        }
        StartLine::Response { status, reason } => match header.contact {
            Some(Contacts::Star) => Err(ParseErrorKind::Malformed("Contact")),
            None | Some(Contacts::List(_)) => {
                Ok(Message::Response(Response { status, reason, header, body }))
            }
        },
    }
}

fn check_request(method: &Method, header: &Header) -> Result<(), ParseErrorKind> {
    if header.cseq.method != *method {
        return Err(match method {
            Method::Known(_) => ParseErrorKind::CSeqMethod,
            Method::Extension(_) => ParseErrorKind::CSeqUnknownMethod,
        });
    }
    // RFC 3261 §10.2.2: only a REGISTER removes all bindings.
    match header.contact {
        Some(Contacts::Star) if *method != Method::REGISTER => Err(ParseErrorKind::Malformed("Contact")),
        None | Some(Contacts::Star | Contacts::List(_)) => Ok(()),
    }
}

/// The header while it is read.
#[derive(Default)]
struct Draft {
    via: Vec<Via>,
    max_forwards: Option<u8>,
    from: Option<NameAddr>,
    to: Option<NameAddr>,
    call_id: Option<CallId>,
    cseq: Option<CSeq>,
    contact: Option<Contacts>,
    content_length: Option<usize>,
    fields: Fields,
    /// Route, Record-Route and so on, in the order of [`ROUTES`].
    routes: [usize; ROUTES.len()],
}

const ROUTES: [&str; 4] = ["Route", "Record-Route", "Path", "Service-Route"];

/// Fields that may stand once, of those that are kept as text. Two of them would let two readers see two
/// messages.
const ONCE: [&str; 14] = [
    "Authentication-Info",
    "Content-Disposition",
    "Content-Type",
    "Event",
    "Expires",
    "Min-Expires",
    "Min-SE",
    "RAck",
    "Refer-To",
    "Referred-By",
    "Replaces",
    "RSeq",
    "Session-Expires",
    "Subscription-State",
];

impl Draft {
    fn take(&mut self, Field { name, value }: &Field) -> Result<(), ParseErrorKind> {
        match name.as_str() {
            "Via" => self.take_via(value),
            "From" => once(&mut self.from, "From", NameAddr::read(value)),
            "To" => once(&mut self.to, "To", NameAddr::read(value)),
            "Call-ID" => once(&mut self.call_id, "Call-ID", CallId::read(value)),
            "CSeq" => once(&mut self.cseq, "CSeq", CSeq::read(value)),
            "Max-Forwards" => once(&mut self.max_forwards, "Max-Forwards", small(value)),
            "Content-Length" => once(&mut self.content_length, "Content-Length", content_length(value)),
            "Contact" => self.take_contact(value),
            _ => self.take_other(name, value),
        }
    }

    fn take_via(&mut self, value: &str) -> Result<(), ParseErrorKind> {
        let mut scanner = Scanner::new(value);
        loop {
            if self.via.len() == limits::VIA_VALUES {
                return Err(ParseErrorKind::TooManyValues("Via"));
            }
            self.via.push(Via::scan(&mut scanner).ok_or(ParseErrorKind::Malformed("Via"))?);
            if scanner.is_end() {
                return Ok(());
            }
            if !scanner.separator(b',') {
                return Err(ParseErrorKind::Malformed("Via"));
            }
        }
    }

    fn take_contact(&mut self, value: &str) -> Result<(), ParseErrorKind> {
        let contacts = Contacts::read(value).ok_or(ParseErrorKind::Malformed("Contact"))?;
        let joined = match self.contact.take() {
            None => Some(contacts),
            Some(before) => before.join(contacts),
        };
        self.contact = Some(joined.ok_or(ParseErrorKind::Malformed("Contact"))?);
        Ok(())
    }

    fn take_other(&mut self, name: &FieldName, value: &str) -> Result<(), ParseErrorKind> {
        let is_name = |known: &&&str| **known == name.as_str();
        if let Some(once) = ONCE.iter().find(is_name)
            && self.fields.get(name).is_some()
        {
            return Err(ParseErrorKind::Repeated(once));
        }
        if let Some((route, values)) = ROUTES.iter().zip(&mut self.routes).find(|(route, _)| is_name(route)) {
            *values += split_commas(value).count();
            if *values > limits::ROUTE_VALUES {
                return Err(ParseErrorKind::TooManyValues(route));
            }
        }
        self.fields.push(name.clone(), value);
        Ok(())
    }

    fn finish(self) -> Result<Header, ParseErrorKind> {
        let contacts = match &self.contact {
            None => 0,
            Some(Contacts::Star) => 1,
            Some(Contacts::List(list)) => list.len(),
        };
        // From, To, Call-ID, CSeq, Max-Forwards and Content-Length: what is printed can be read again.
        if self.via.len() + contacts + self.fields.len() + 6 > limits::FIELDS {
            return Err(ParseErrorKind::TooManyFields);
        }
        if self.via.is_empty() {
            return Err(ParseErrorKind::Missing("Via"));
        }
        Ok(Header {
            via: self.via,
            max_forwards: self.max_forwards,
            from: self.from.ok_or(ParseErrorKind::Missing("From"))?,
            to: self.to.ok_or(ParseErrorKind::Missing("To"))?,
            call_id: self.call_id.ok_or(ParseErrorKind::Missing("Call-ID"))?,
            cseq: self.cseq.ok_or(ParseErrorKind::Missing("CSeq"))?,
            contact: self.contact,
            fields: self.fields,
        })
    }
}

fn once<T>(slot: &mut Option<T>, name: &'static str, value: Option<T>) -> Result<(), ParseErrorKind> {
    if slot.is_some() {
        return Err(ParseErrorKind::Repeated(name));
    }
    *slot = Some(value.ok_or(ParseErrorKind::Malformed(name))?);
    Ok(())
}

fn small(value: &str) -> Option<u8> {
    scan::number(value).and_then(|number| u8::try_from(number).ok())
}

pub(crate) fn content_length(value: &str) -> Option<usize> {
    scan::number(value).and_then(|number| usize::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use crate::{Message, ParseErrorKind, Request};

    const LEAST: &str =
        "Via: SIP/2.0/UDP h\r\nFrom: <sip:a@h>\r\nTo: <sip:b@h>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n";

    fn invite(fields: &str) -> Result<Request, ParseErrorKind> {
        match Message::parse(format!("INVITE sip:a@h SIP/2.0\r\n{LEAST}{fields}\r\nbody").as_bytes()) {
            Ok(Message::Request(request)) => Ok(request),
            Ok(Message::Response(_)) => panic!("a response"),
            Err(error) => Err(error.kind),
        }
    }

    fn refusal(fields: &str) -> ParseErrorKind {
        invite(fields).map(|request| request.print()).expect_err(fields)
    }

    #[test]
    fn content_length_cuts_the_body() {
        for (field, body) in [("", "body"), ("l: 4\r\n", "body"), ("l: 002\r\n", "bo"), ("l: 0\r\n", "")] {
            assert_eq!(invite(field).unwrap().body, body.as_bytes(), "{field}");
        }
        assert_eq!(refusal("l: 5\r\n"), ParseErrorKind::BodyTooShort);
        for length in ["-1", "+1", "five", "", "1 1", "1,1", "0x1"] {
            assert_eq!(
                refusal(&format!("l: {length}\r\n")),
                ParseErrorKind::Malformed("Content-Length"),
                "{length}"
            );
        }
    }

    #[test]
    fn fields_of_one_value_stand_once() {
        for (field, name) in [
            ("f: <sip:a@h>", "From"),
            ("t: <sip:a@h>", "To"),
            ("i: y", "Call-ID"),
            ("CSEQ: 1 INVITE", "CSeq"),
            ("Max-Forwards: 70\r\nmax-forwards: 70", "Max-Forwards"),
            ("l: 4\r\nContent-Length: 4", "Content-Length"),
            ("c: a/b\r\nContent-Type: a/b", "Content-Type"),
            ("Expires: 1\r\nExpires: 1", "Expires"),
            ("x: 90\r\nSession-Expires: 90", "Session-Expires"),
        ] {
            assert_eq!(refusal(&format!("{field}\r\n")), ParseErrorKind::Repeated(name));
        }
        assert!(invite("Subject: a\r\nSubject: b\r\n").is_ok());
    }

    #[test]
    fn lists_are_bounded() {
        let lines = |line: &str, count| format!("{line}\r\n").repeat(count);
        assert!(invite(&lines("v: SIP/2.0/UDP h", 63)).is_ok());
        assert_eq!(refusal(&lines("v: SIP/2.0/UDP h", 64)), ParseErrorKind::TooManyValues("Via"));
        assert!(invite(&lines("m: <sip:a>", 64)).is_ok());
        assert_eq!(refusal(&lines("m: <sip:a>", 65)), ParseErrorKind::Malformed("Contact"));
        for name in ["Route", "Record-Route", "Path", "Service-Route"] {
            let line = format!("{name}: <sip:a;lr>, <sip:b;lr>");
            assert!(invite(&lines(&line, 16)).is_ok());
            assert_eq!(refusal(&lines(&line, 17)), ParseErrorKind::TooManyValues(name));
        }
        assert!(invite(&lines("X-A: 1", 121)).is_ok());
        assert_eq!(refusal(&lines("X-A: 1", 122)), ParseErrorKind::TooManyFields);
    }

    #[test]
    fn what_is_read_at_the_limit_can_be_read_again() {
        let request =
            invite(&format!("{}{}", "m: <sip:a>,<sip:b>\r\n".repeat(32), "X-A: 1\r\n".repeat(57))).unwrap();
        assert!(Message::parse(&request.print()).is_ok());
    }

    #[test]
    fn via_values_share_lines_or_not() {
        let request = invite("v: SIP/2.0/TCP a;branch=1 , SIP/2.0/TLS b\r\nVia: SIP/2.0/WS c\r\n").unwrap();
        let via: Vec<_> = request.header.via.iter().map(ToString::to_string).collect();
        assert_eq!(via, ["SIP/2.0/UDP h", "SIP/2.0/TCP a;branch=1", "SIP/2.0/TLS b", "SIP/2.0/WS c"]);
        assert_eq!(refusal("v: SIP/2.0/TCP a,\r\n"), ParseErrorKind::Malformed("Via"));
        assert_eq!(refusal("v: \r\n"), ParseErrorKind::Malformed("Via"));
    }

    #[test]
    fn empty_lines_before_a_message_are_skipped() {
        let text = format!("\r\n\r\nINVITE sip:a@h SIP/2.0\r\n{LEAST}\r\n");
        assert!(Message::parse(text.as_bytes()).is_ok());
        for nothing in ["", "\r\n", "\r\n\r\n", "\n"] {
            let error = Message::parse(nothing.as_bytes()).unwrap_err();
            assert_eq!((error.kind, error.salvage.is_none()), (ParseErrorKind::Empty, true));
        }
    }

    #[test]
    fn a_message_is_bounded() {
        let whole = format!("INVITE sip:a@h SIP/2.0\r\n{LEAST}\r\n{}", "x".repeat(96 * 1024));
        assert_eq!(Message::parse(whole.as_bytes()).unwrap_err().kind, ParseErrorKind::MessageTooLarge);
    }
}
