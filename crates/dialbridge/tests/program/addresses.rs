//! A server that listens on all addresses of its host: everybody hears from the address that they speak to.

use crate::running::{KEY, Running, configuration};
use sip_core::digest::{Identity, answer};
use sip_message::{Message, Method, Response};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// Somebody who speaks SIP, and the address of the server that is spoken to.
struct Peer {
    socket: UdpSocket,
    server: SocketAddr,
    name: &'static str,
    sent: u32,
}

impl Peer {
    fn speaking_to(server: SocketAddr, name: &'static str, socket: UdpSocket) -> Self {
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { socket, server, name, sent: 0 }
    }

    fn at(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// A request with these further lines, which name its dialog if it is in one.
    fn ask(&mut self, method: &str, uri: &str, lines: &str, body: &str) {
        // An ACK has the number of the INVITE (RFC 3261 §17.1.1.3).
        self.sent += u32::from(method != "ACK");
        let (at, sent, name) = (self.at(), self.sent, self.name);
        let dialog = match lines.contains("Call-ID: ") {
            true => String::new(),
            false => format!("From: <{name}>;tag=a\r\nTo: <sip:1001@pbx.test>\r\nCall-ID: {}\r\n", at.port()),
        };
        self.send(&format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {at};rport;branch=z9hG4bK{method}{sent}\r\nMax-Forwards: 70\r\n\
             {dialog}CSeq: {sent} {method}\r\nContact: <sip:1001@{at}>\r\n{lines}{}",
            with_body(body)
        ));
    }

    fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.server).unwrap();
    }

    /// The next message that begins so. It comes from the address that is spoken to, as whatever comes before it.
    fn hear(&self, begins: &str) -> String {
        loop {
            let mut octets = [0; 65_535];
            let (length, from) = self.socket.recv_from(&mut octets).unwrap();
            let text = String::from_utf8(octets[..length].to_vec()).unwrap();
            assert_eq!(from, self.server, "{text}");
            if text.starts_with(begins) {
                return text;
            }
        }
    }

    fn register(&mut self) {
        let (method, uri) = (Method::REGISTER, "sip:pbx.test");
        let lines = "Expires: 600\r\n";
        self.ask(method.as_str(), uri, lines, "");
        let Ok(Message::Response(challenge)) = Message::parse(self.hear("SIP/2.0 401").as_bytes()) else {
            panic!("no response");
        };
        let proof = proof(&method, uri, &challenge);
        self.ask(method.as_str(), uri, &format!("{lines}{proof}"), "");
        self.hear("SIP/2.0 200");
    }

    /// 200 with a session description.
    fn accept(&self, request: &str) {
        let same = ["Via", "From", "Call-ID", "CSeq"];
        let same = same.map(|name| format!("{name}: {}\r\n", field(request, name))).concat();
        let (at, to) = (self.at(), field(request, "To"));
        self.send(&format!(
            "SIP/2.0 200 OK\r\n{same}To: {to};tag=b\r\nContact: <sip:1001@{at}>\r\n{}",
            with_body(&description(at))
        ));
    }
}

fn with_body(body: &str) -> String {
    if body.is_empty() {
        return "Content-Length: 0\r\n\r\n".to_owned();
    }
    format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn description(at: SocketAddr) -> String {
    let ip = at.ip();
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )
}

fn proof(method: &Method, uri: &str, challenge: &Response) -> String {
    let identity = Identity::new("1001", "secret-of-1001");
    let (name, value) = answer(&identity, method, uri, challenge, 1, "c").unwrap();
    format!("{}: {value}\r\n", name.as_str())
}

fn field<'a>(message: &'a str, name: &str) -> &'a str {
    message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap()
}

/// Where the other side is to be reached, as it says in its Contact and its session description.
fn tells(message: &str, at: SocketAddr) {
    assert!(field(message, "Contact").contains(&format!("@{at}")), "{message}");
    assert!(message.contains(&format!("\r\nc=IN IP4 {}\r\n", at.ip())), "{message}");
}

#[test]
fn everybody_is_answered_and_called_from_the_address_that_they_speak_to() {
    let carrier = UdpSocket::bind("127.0.0.40:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    let text = configuration(folder.path(), "43900-43999", KEY).replace("udp:127.0.0.1:0", "udp:0.0.0.0:0");
    let trunk = format!(
        "[[trunks]]\nname = \"carrier\"\naddress = \"sip:{}\"\nnumbers = [\"+918065978015\"]\nprobe_seconds = 0\n\
         destinations = {{ \"+918065978015\" = {{ type = \"extension\", to = \"1001\" }} }}\n",
        carrier.local_addr().unwrap()
    );
    std::fs::write(&file, text.replace("[sip]\n", "[sip]\ndomain = \"pbx.test\"\n") + &trunk).unwrap();
    let running = Running::start(&file, "info");
    let port = running.sip("udp").parse::<SocketAddr>().unwrap().port();
    let [for_phones, for_carriers] = [9, 7].map(|last| SocketAddr::from(([127, 0, 0, last], port)));

    let mut phone =
        Peer::speaking_to(for_phones, "sip:1001@pbx.test", UdpSocket::bind("127.0.0.30:0").unwrap());
    phone.register();
    let mut carrier = Peer::speaking_to(for_carriers, "sip:+442079460000@carrier.test", carrier);
    let description = description(carrier.at());
    carrier.ask("INVITE", &format!("sip:+918065978015@{for_carriers}"), "", &description);
    let rung = phone.hear("INVITE ");
    tells(&rung, for_phones);
    assert!(field(&rung, "Via").contains(&format!("UDP {for_phones}")), "{rung}");
    phone.accept(&rung);
    phone.hear("ACK ");
    let accepted = carrier.hear("SIP/2.0 200");
    tells(&accepted, for_carriers);
    let dialog = ["From", "To", "Call-ID"].map(|name| format!("{name}: {}\r\n", field(&accepted, name)));
    carrier.ask("ACK", &format!("sip:1001@{for_carriers}"), &dialog.concat(), "");

    let dialog = format!(
        "From: {};tag=b\r\nTo: {}\r\nCall-ID: {}\r\n",
        field(&rung, "To"),
        field(&rung, "From"),
        field(&rung, "Call-ID")
    );
    phone.ask("BYE", &format!("sip:1001@{for_phones}"), &dialog, "");
    phone.hear("SIP/2.0 200");
    let ended = carrier.hear("BYE ");
    assert!(field(&ended, "Via").contains(&format!("UDP {for_carriers}")), "{ended}");
}
