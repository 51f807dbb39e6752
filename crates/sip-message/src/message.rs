//! Whole messages.
use crate::{CSeq, CallId, Contacts, FieldName, Fields, Method, NameAddr, ParseError, StatusCode, Uri, Via};

/// A request or a response.
#[derive(Debug, Clone)]
pub enum Message {
    /// It asks (RFC 3261 §7.1).
    Request(Request),
    /// It answers (RFC 3261 §7.2).
    Response(Response),
}

/// A request (RFC 3261 §7.1).
#[derive(Debug, Clone)]
pub struct Request {
    /// What is asked for; any token.
    pub method: Method,
    /// The Request-URI; any scheme.
    pub uri: Uri,
    /// What stands between start line and body.
    pub header: Header,
    /// Octets that nobody here looks into.
    pub body: Vec<u8>,
    /// Octets of the message as it came; 0 for one of our own.
    pub octets: usize,
}

/// A response (RFC 3261 §7.2).
#[derive(Debug, Clone)]
pub struct Response {
    /// 100 to 699.
    pub status: StatusCode,
    /// As received, or the recommended one.
    pub reason: Box<str>,
    /// What stands between start line and body.
    pub header: Header,
    /// Octets that nobody here looks into.
    pub body: Vec<u8>,
}

/// The header: what every message has, typed, and the rest in [`Fields`].
#[derive(Debug, Clone)]
pub struct Header {
    /// Topmost first; at least one in a message that was parsed.
    pub via: Vec<Via>,
    /// `None` when absent, as RFC 2543 allowed.
    pub max_forwards: Option<u8>,
    /// Who asks.
    pub from: NameAddr,
    /// Who is asked.
    pub to: NameAddr,
    /// Groups messages (RFC 3261 §8.1.1.4).
    pub call_id: CallId,
    /// Orders them (RFC 3261 §8.1.1.5).
    pub cseq: CSeq,
    /// `None` when there is no Contact field.
    pub contact: Option<Contacts>,
    /// All others but Content-Length, which is computed when printing.
    pub fields: Fields,
}

impl Message {
    /// Reads one datagram (RFC 3261 §18.3: octets beyond Content-Length are dropped), or one message of a
    /// [`StreamFramer`](crate::StreamFramer).
    ///
    /// # Errors
    /// The first thing that is wrong, and where a request can be answered, with what.
    pub fn parse(octets: &[u8]) -> Result<Self, ParseError> {
        crate::parse::message(octets)
    }

    /// The header of either.
    pub const fn header(&self) -> &Header {
        match self {
            Self::Request(request) => &request.header,
            Self::Response(response) => &response.header,
        }
    }
}

impl Message {
    /// Puts the part of a type out of a body of several (RFC 5621) into the place of that body.
    pub fn unwrap_part(&mut self, wanted: &str) {
        let (header, body) = match self {
            Self::Request(request) => (&mut request.header, &mut request.body),
            Self::Response(response) => (&mut response.header, &mut response.body),
        };
        crate::multipart::unwrap(&mut header.fields, body, wanted);
    }
}

impl Request {
    /// A request with Max-Forwards 70, and nothing in `via`, `contact` and `fields`.
    pub fn new(
        method: Method,
        uri: impl Into<Uri>,
        from: NameAddr,
        to: NameAddr,
        call_id: CallId,
        cseq: u32,
    ) -> Self {
        let header = Header {
            via: Vec::new(),
            max_forwards: Some(70),
            from,
            to,
            call_id,
            cseq: CSeq { number: cseq, method: method.clone() },
            contact: None,
            fields: Fields::default(),
        };
        Self { method, uri: uri.into(), header, body: Vec::new(), octets: 0 }
    }

    /// Status line, Via, From, To, Call-ID, CSeq (and Timestamp in a 100) as RFC 3261 §8.2.6 asks; no To tag is
    /// added.
    pub fn response(&self, status: StatusCode) -> Response {
        let asked = &self.header;
        let mut fields = Fields::default();
        if status == StatusCode::TRYING
            && let Some(timestamp) = asked.fields.get(&FieldName::TIMESTAMP)
        {
            fields.push(FieldName::TIMESTAMP, timestamp);
        }
        let header = Header {
            via: asked.via.clone(),
            max_forwards: None,
            from: asked.from.clone(),
            to: asked.to.clone(),
            call_id: asked.call_id.clone(),
            cseq: asked.cseq.clone(),
            contact: None,
            fields,
        };
        Response { status, reason: status.reason().into(), header, body: Vec::new() }
    }

    /// Replaces body and Content-Type.
    pub fn set_body(&mut self, content_type: &str, body: Vec<u8>) {
        self.header.fields.set(FieldName::CONTENT_TYPE, content_type);
        self.body = body;
    }
}

impl Response {
    /// Replaces body and Content-Type.
    pub fn set_body(&mut self, content_type: &str, body: Vec<u8>) {
        self.header.fields.set(FieldName::CONTENT_TYPE, content_type);
        self.body = body;
    }
}

#[cfg(test)]
mod tests {
    use super::{Message, Request};
    use crate::{CallId, FieldName, Host, Method, NameAddr, SipUri, StatusCode, Via};

    fn request() -> Request {
        let uri = |user| SipUri::new(Some(user), Host::new("example.com").unwrap(), None);
        let from = NameAddr::new(uri("alice")).with_tag("a");
        let id = CallId("x@y".into());
        let mut request = Request::new(Method::INVITE, uri("bob"), from, NameAddr::new(uri("bob")), id, 7);
        request.header.via.push(Via::new("UDP", "192.0.2.1:5060".parse().unwrap(), "z9hG4bK1"));
        request.header.fields.push(FieldName::TIMESTAMP, "54");
        request
    }

    #[test]
    fn a_request_is_printed_in_its_order() {
        let mut request = request();
        request.set_body("application/sdp", b"v=0\r\n".to_vec());
        let expected = "INVITE sip:bob@example.com SIP/2.0\r\n\
            Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport\r\n\
            Max-Forwards: 70\r\n\
            From: <sip:alice@example.com>;tag=a\r\n\
            To: <sip:bob@example.com>\r\n\
            Call-ID: x@y\r\n\
            CSeq: 7 INVITE\r\n\
            Timestamp: 54\r\n\
            Content-Type: application/sdp\r\n\
            Content-Length: 5\r\n\r\nv=0\r\n";
        assert_eq!(String::from_utf8(request.print()).unwrap(), expected);
    }

    #[test]
    fn only_a_100_carries_the_timestamp() {
        let request = request();
        assert_eq!(request.response(StatusCode::TRYING).header.fields.get(&FieldName::TIMESTAMP), Some("54"));
        assert_eq!(request.response(StatusCode::RINGING).header.fields.iter().count(), 0);
    }

    #[test]
    fn a_response_mirrors_its_request() {
        let response = request().response(StatusCode::BUSY_HERE);
        let printed = String::from_utf8(response.print()).unwrap();
        assert!(printed.starts_with("SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP 192.0.2.1:5060"), "{printed}");
        assert!(!printed.contains("Max-Forwards"));
        assert!(matches!(Message::parse(&response.print()), Ok(Message::Response(_))));
    }

    #[test]
    fn a_reason_cannot_end_the_line() {
        let mut response = request().response(StatusCode::OK);
        response.reason = "fine\r\nX-Evil: 1".into();
        assert!(response.print().starts_with(b"SIP/2.0 200 fine  X-Evil: 1\r\nVia"));
    }
}
