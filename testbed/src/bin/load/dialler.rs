//! A phone that dials: an INVITE, the challenge, the INVITE with its answer, and a BYE when the call stands.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;
use testbed::{Algorithm, SipText, authorization};

/// 1001, on a socket of its own.
pub(crate) struct Dialler {
    socket: UdpSocket,
    local: SocketAddr,
    server: SocketAddr,
    password: String,
    count: u64,
}

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(5);

impl Dialler {
    pub(crate) fn new(ip: std::net::IpAddr, server: SocketAddr, password: &str) -> Self {
        let socket = UdpSocket::bind((ip, 0)).expect("a port");
        socket.connect(server).expect("the server's address");
        socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let local = socket.local_addr().expect("a bound socket has an address");
        Self { socket, local, server, password: password.into(), count: 0 }
    }

    /// One call to 1002, answered and hung up.
    pub(crate) fn call(&mut self) {
        self.count += 1;
        let uri = format!("sip:1002@{}", self.server);
        let body = format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n",
            ip = self.local.ip()
        );
        let kind = "Content-Type: application/sdp\r\n";
        let challenge = self.ask(("INVITE", 1), &uri, ("", kind), &body);
        self.acknowledge(&uri, 1, &challenge);
        let value =
            challenge.fields("WWW-Authenticate").find(|value| value.contains("MD5")).expect("a challenge");
        let who = ("1001", self.password.as_str());
        let proof = authorization(Algorithm::Md5, value, who, ("INVITE", &uri));
        let lines = format!("{kind}Authorization: {proof}\r\n");
        let answer = self.ask(("INVITE", 2), &uri, ("", &lines), &body);
        assert_eq!(answer.status(), Some(200), "{}", answer.as_str());
        self.acknowledge(&uri, 2, &answer);
        let tag = answer.field("To").and_then(|to| to.split(";tag=").nth(1)).expect("a tag").to_owned();
        let done = self.ask(("BYE", 3), &uri, (&tag, ""), "");
        assert_eq!(done.status(), Some(200), "{}", done.as_str());
    }

    fn acknowledge(&self, uri: &str, number: u32, answer: &SipText) {
        let tag = answer.field("To").and_then(|to| to.split(";tag=").nth(1)).expect("a tag").to_owned();
        // Of a refusal it belongs to the INVITE (RFC 3261 §17.1.1.3); a 2xx has one of its own.
        let branch = if answer.status() == Some(200) { "ACK" } else { "INVITE" };
        let text = self.request(("ACK", number), branch, uri, (&tag, ""), "");
        let _lost = self.socket.send(text.as_bytes());
    }

    /// Asks until there is a final answer.
    fn ask(&self, (method, number): (&str, u32), uri: &str, lines: (&str, &str), body: &str) -> SipText {
        let text = self.request((method, number), method, uri, lines, body);
        self.socket.send(text.as_bytes()).expect("it is sent");
        let mut octets = [0; 8_192];
        let wanted = format!("{number} {method}");
        loop {
            let length = self.socket.recv(&mut octets).expect("an answer");
            let answer = SipText::new(&String::from_utf8_lossy(&octets[..length]));
            let is_of_it = answer.field("CSeq") == Some(&wanted)
                && answer.field("Call-ID").is_some_and(|call_id| *call_id == self.call_id());
            if is_of_it && answer.status().is_some_and(|status| status >= 200) {
                return answer;
            }
        }
    }

    fn call_id(&self) -> String {
        format!("load-{}-{}", self.local.port(), self.count)
    }

    fn request(
        &self,
        (method, number): (&str, u32),
        branch: &str,
        uri: &str,
        (tag, lines): (&str, &str),
        body: &str,
    ) -> String {
        let Self { local, server, .. } = self;
        let call_id = self.call_id();
        let to = if tag.is_empty() { format!("<{uri}>") } else { format!("<{uri}>;tag={tag}") };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{call_id}-{number}-{branch};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:1001@{server}>;tag={call_id}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {number} {method}\r\nContact: <sip:1001@{local}>\r\n{lines}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}
