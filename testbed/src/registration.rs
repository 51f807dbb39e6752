//! A phone's side of REGISTER over UDP or TCP, one request at a time.

use crate::{Algorithm, SipText, digest};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// How long the server may take to answer.
const ANSWER: Duration = Duration::from_secs(3);

/// What carries the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// One connection.
    Tcp,
}

/// One device of an extension.
#[derive(Debug)]
pub struct Registration {
    server: SocketAddr,
    domain: String,
    user: String,
    password: String,
    contact: String,
    algorithm: Algorithm,
    link: Link,
    call_id: String,
    sequence: u32,
}

#[derive(Debug)]
enum Link {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Registration {
    /// A device at `local`, where it will also be called; over TCP it is called along the connection.
    pub fn new(
        transport: Transport,
        local: SocketAddr,
        server: SocketAddr,
        (user, password): (&str, &str),
    ) -> Self {
        let (link, contact) = match transport {
            Transport::Udp => {
                let socket = UdpSocket::bind(local).expect("the phone's port");
                socket.set_read_timeout(Some(ANSWER)).expect("a limit");
                (Link::Udp(socket), format!("<sip:{user}@{local}>"))
            }
            Transport::Tcp => {
                let stream = TcpStream::connect(server).expect("the server takes connections");
                stream.set_read_timeout(Some(ANSWER)).expect("a limit");
                let at = stream.local_addr().expect("a connected socket has an address");
                (Link::Tcp(stream), format!("<sip:{user}@{at};transport=tcp>"))
            }
        };
        Self {
            server,
            domain: crate::server::DOMAIN.to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
            contact,
            algorithm: Algorithm::Sha256,
            link,
            call_id: hex::encode(rand::random::<[u8; 8]>()),
            sequence: 0,
        }
    }

    /// Hashes with this algorithm.
    pub fn with_algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// In another domain than the usual one.
    pub fn in_domain(mut self, domain: &str) -> Self {
        domain.clone_into(&mut self.domain);
        self
    }

    /// Registers another contact than its own address.
    pub fn with_contact(mut self, contact: &str) -> Self {
        contact.clone_into(&mut self.contact);
        self
    }

    /// Its contact, in angle brackets.
    pub fn contact(&self) -> &str {
        &self.contact
    }

    /// Registers its contact for `seconds`, answering the challenge: the final response.
    pub fn register(&mut self, seconds: u64) -> SipText {
        let contact = format!("Contact: {}\r\nExpires: {seconds}\r\n", self.contact);
        self.send_with(&contact)
    }

    /// Removes its contact.
    pub fn remove(&mut self) -> SipText {
        self.register(0)
    }

    /// Removes all contacts of the extension (RFC 3261 §10.2.2).
    pub fn remove_all(&mut self) -> SipText {
        self.send_with("Contact: *\r\nExpires: 0\r\n")
    }

    /// Asks which contacts there are.
    pub fn query(&mut self) -> SipText {
        self.send_with("")
    }

    /// A REGISTER with these lines, without credentials: the final response.
    pub fn challenge(&mut self, lines: &str) -> SipText {
        self.exchange(lines)
    }

    fn send_with(&mut self, lines: &str) -> SipText {
        let first = self.exchange(lines);
        if first.status() != Some(401) {
            return first;
        }
        let wanted = self.algorithm.token();
        let challenge = first.fields("WWW-Authenticate").find(|value| {
            digest::parameter(value, "algorithm").is_some_and(|it| it.eq_ignore_ascii_case(wanted))
        });
        let challenge =
            challenge.unwrap_or_else(|| panic!("no challenge for {wanted} in\n{}", first.as_str()));
        let uri = format!("sip:{}", self.domain);
        let proof = digest::authorization(
            self.algorithm,
            challenge,
            (&self.user, &self.password),
            ("REGISTER", &uri),
        );
        self.exchange(&format!("Authorization: {proof}\r\n{lines}"))
    }

    fn exchange(&mut self, lines: &str) -> SipText {
        self.sequence += 1;
        let request = self.request(lines);
        let answer = match &mut self.link {
            Link::Udp(socket) => {
                socket.send_to(request.as_bytes(), self.server).expect("the REGISTER is sent");
                datagram(socket)
            }
            Link::Tcp(stream) => {
                stream.write_all(request.as_bytes()).expect("the REGISTER is sent");
                message(stream)
            }
        };
        answer.unwrap_or_else(|| panic!("no answer within {ANSWER:?} to\n{request}"))
    }

    fn request(&self, lines: &str) -> String {
        let (transport, local) = match &self.link {
            Link::Udp(socket) => ("UDP", socket.local_addr()),
            Link::Tcp(stream) => ("TCP", stream.local_addr()),
        };
        let local = local.expect("a bound socket has an address");
        let (user, domain, id, sequence) = (&self.user, &self.domain, &self.call_id, self.sequence);
        format!(
            "REGISTER sip:{domain} SIP/2.0\r\nVia: SIP/2.0/{transport} {local};branch=z9hG4bK{id}{sequence};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@{domain}>;tag={id}\r\nTo: <sip:{user}@{domain}>\r\n\
             Call-ID: {id}\r\nCSeq: {sequence} REGISTER\r\nUser-Agent: testbed\r\n{lines}Content-Length: 0\r\n\r\n"
        )
    }
}

fn datagram(socket: &UdpSocket) -> Option<SipText> {
    let mut octets = [0; 65_536];
    loop {
        let length = socket.recv(&mut octets).ok()?;
        let text = SipText::new(&String::from_utf8_lossy(&octets[..length]));
        if text.status().is_some_and(|status| status >= 200) {
            return Some(text);
        }
    }
}

/// Responses to REGISTER have no body: the empty line ends them.
fn message(stream: &mut TcpStream) -> Option<SipText> {
    let mut octets = Vec::new();
    while !octets.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet).ok()?;
        octets.push(octet[0]);
    }
    Some(SipText::new(&String::from_utf8_lossy(&octets)))
}
