//! Sends a message to the server and collects what comes back.

use super::verdict::{self, Reply};
use super::{Action, Case};
use crate::torture::answer::Answer;
use crate::{Algorithm, Extension, Loopback, digest};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long an answer that must come is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer that need not come is waited for once the server has answered what was sent after it.
const SILENCE: Duration = Duration::from_millis(60);
/// RFC 3261 §18.2.2: where an answer goes when Via has no port.
const SIP_PORT: u16 = 5060;

/// Sends from loopback addresses of its own.
#[derive(Debug)]
pub struct Judge {
    server: SocketAddr,
    /// The extension whose messages are logged in.
    extension: Extension,
    ip: Loopback,
    probe: UdpSocket,
    probes: u32,
    earlier: Vec<Vec<u8>>,
}

impl Judge {
    /// A judge of the server at `server`.
    pub fn new(server: SocketAddr, extension: &Extension) -> Self {
        let ip = Loopback::claim();
        let probe = UdpSocket::bind((ip.ip(), 0)).expect("a port for OPTIONS");
        probe.set_nonblocking(true).expect("a socket that does not wait");
        Self { server, extension: extension.clone(), ip, probe, probes: 0, earlier: Vec::new() }
    }

    /// Sends the message of a case: the faults of the answers, none when all is right.
    pub fn faults(&mut self, case: &Case) -> Vec<String> {
        let request = case.octets();
        let replies = match self.exchange(case, &request) {
            Ok(replies) => replies,
            Err(dead) => return vec![dead],
        };
        let mut faults = verdict::faults(&case.expect, &request, &replies, false);
        if faults.is_empty()
            && case.expect.auth_first
            && let Some(again) = self.log_in(&request, &replies)
        {
            match self.exchange(case, &again) {
                Ok(replies) => faults = verdict::faults(&case.expect, &again, &replies, true),
                Err(dead) => faults.push(dead),
            }
        }
        faults
    }

    fn exchange(&mut self, case: &Case, request: &[u8]) -> Result<Vec<Reply>, String> {
        let sockets = self.sockets(request);
        let sender = sockets.values().next().expect("at least one socket");
        let start = Instant::now();
        sender.send_to(request, self.server).map_err(|error| format!("cannot be sent: {error}"))?;
        let must_answer =
            matches!(case.expect.action, Action::Accept | Action::Reject | Action::AcceptOrReject);
        let mut replies = Vec::new();
        let mut end = start + PATIENCE;
        let mut probed = None;
        while Instant::now() < end {
            let before = replies.len();
            for socket in sockets.values() {
                self.collect(socket, request, start, &mut replies);
            }
            if probed.is_none() {
                probed = Some(self.send_probe());
            }
            if self.probe_answered(probed) {
                // One loop takes one datagram after the other: what has no answer now will hardly get one.
                let wait = if must_answer && replies.is_empty() { PATIENCE } else { SILENCE };
                end = end.min(Instant::now() + wait);
                probed = Some(0);
            }
            if must_answer && before < replies.len() && probed == Some(0) {
                end = end.min(Instant::now() + SILENCE);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.acknowledge(sender, request, &replies);
        self.earlier.extend(
            Answer::read(&replies.first().map(|it| it.octets.clone()).unwrap_or_default())
                .and_then(|it| it.field("call-id").map(<[u8]>::to_vec)),
        );
        if probed == Some(0) || self.alive() {
            Ok(replies)
        } else {
            Err("the server no longer answers OPTIONS".into())
        }
    }

    /// The first one sends; the others listen where an answer may go.
    fn sockets(&self, request: &[u8]) -> BTreeMap<u16, UdpSocket> {
        let mut ports = vec![SIP_PORT];
        ports.extend(sent_by_port(request));
        let bind = |port: u16| UdpSocket::bind((self.ip.ip(), port)).ok().map(|socket| (port, socket));
        let sockets: BTreeMap<u16, UdpSocket> = ports.into_iter().filter_map(bind).collect();
        for socket in sockets.values() {
            socket.set_nonblocking(true).expect("a socket that does not wait");
        }
        sockets
    }

    fn collect(&self, socket: &UdpSocket, request: &[u8], start: Instant, replies: &mut Vec<Reply>) {
        let mut octets = vec![0; 65_536];
        while let Ok(length) = socket.recv(&mut octets) {
            let reply = Reply { after: start.elapsed(), octets: octets[..length].to_vec() };
            // What is sent again of an earlier case says nothing of this one.
            let id = Answer::read(&reply.octets).and_then(|it| it.field("call-id").map(<[u8]>::to_vec));
            let stale = id.is_some_and(|id| self.earlier.contains(&id) && !contains(request, &id));
            if !stale {
                replies.push(reply);
            }
        }
    }

    fn send_probe(&mut self) -> u32 {
        self.probes += 1;
        let (n, local) = (self.probes, self.probe.local_addr().expect("a bound socket has an address"));
        let text = format!(
            "OPTIONS sip:{server} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-probe{n};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:probe@{local}>;tag=p{n}\r\nTo: <sip:{server}>\r\nCall-ID: probe{n}@{local}\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n",
            server = self.server
        );
        let _lost = self.probe.send_to(text.as_bytes(), self.server);
        n
    }

    fn probe_answered(&self, probe: Option<u32>) -> bool {
        let Some(n @ 1..) = probe else { return false };
        let mut octets = [0; 4096];
        let mark = format!("probe{n}@");
        while let Ok(length) = self.probe.recv(&mut octets) {
            if contains(&octets[..length], mark.as_bytes()) {
                return true;
            }
        }
        false
    }

    /// A probe may be lost; three in a row are not.
    fn alive(&mut self) -> bool {
        (0..3).any(|_| {
            let probe = Some(self.send_probe());
            crate::wait_for(PATIENCE, || self.probe_answered(probe).then_some(())).is_some()
        })
    }

    /// Ends the retransmissions of a refused INVITE (RFC 3261 §17.1.1.3).
    fn acknowledge(&self, socket: &UdpSocket, request: &[u8], replies: &[Reply]) {
        if !request.starts_with(b"INVITE ") {
            return;
        }
        let Some(refusal) =
            replies.iter().filter_map(|it| Answer::read(&it.octets)).find(|it| it.status >= 300)
        else {
            return;
        };
        let text = |name: &str| String::from_utf8_lossy(refusal.field(name).unwrap_or_default()).into_owned();
        let line =
            String::from_utf8_lossy(request).lines().next().unwrap_or_default().replacen("INVITE", "ACK", 1);
        let ack = format!(
            "{line}\r\nVia: {}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {}\r\nContent-Length: 0\r\n\r\n",
            text("via"),
            text("from"),
            text("to"),
            text("call-id"),
            text("cseq").replace("INVITE", "ACK")
        );
        let _lost = socket.send_to(ack.as_bytes(), self.server);
    }

    /// The same octets with credentials, a new branch and the next number, when the extension is ours.
    fn log_in(&self, request: &[u8], replies: &[Reply]) -> Option<Vec<u8>> {
        let challenge =
            replies.iter().filter_map(|it| Answer::read(&it.octets)).find(|it| it.status == 401)?;
        let own = format!("<sip:{}@", self.extension.number);
        if !challenge.field("to").is_some_and(|to| contains(to, own.as_bytes())) {
            return None;
        }
        let mut values = challenge.fields("www-authenticate").filter_map(|it| str::from_utf8(it).ok());
        let value =
            values.find(|it| digest::parameter(it, "algorithm") == Some(Algorithm::Sha256.token()))?;
        let end = request.windows(2).position(|two| two == b"\r\n")?;
        let mut words = str::from_utf8(&request[..end]).ok()?.split(' ');
        let (method, uri) = (words.next()?, words.next()?);
        let proof =
            digest::authorization(Algorithm::Sha256, value, self.extension.credentials(), (method, uri));
        let mut again = request[..end].to_vec();
        again.extend(format!("\r\nAuthorization: {proof}").as_bytes());
        again.extend(&request[end..]);
        let again = replaced(&again, b"branch=z9hG4bK", b"branch=z9hG4bKL");
        Some(again)
    }

    /// The address it sends from.
    pub fn ip(&self) -> IpAddr {
        self.ip.ip()
    }
}

/// The port of the topmost Via's sent-by.
fn sent_by_port(request: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(request).replace("\r\n ", " ").replace("\r\n\t", " ");
    let value = text.lines().skip(1).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        matches!(name.trim().to_ascii_lowercase().as_str(), "via" | "v").then(|| value.trim().to_owned())
    })?;
    let rest = value.splitn(3, '/').nth(2)?.trim().to_owned();
    let (_transport, sent_by) = rest.split_once(char::is_whitespace)?;
    let sent_by = sent_by.split([';', ',']).next()?.trim();
    let port = sent_by.rsplit(']').next()?.rsplit_once(':')?.1.trim();
    port.parse().ok().filter(|port| *port > 0)
}

fn contains(octets: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && octets.windows(part.len()).any(|window| window == part)
}

fn replaced(octets: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    match octets.windows(from.len()).position(|window| window == from) {
        Some(at) => [&octets[..at], to, &octets[at + from.len()..]].concat(),
        None => octets.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_the_topmost_via_is_found_through_folding_and_ipv6() {
        let of =
            |via: &str| sent_by_port(format!("OPTIONS sip:a SIP/2.0\r\n{via}\r\nTo: x:1\r\n\r\n").as_bytes());
        assert_eq!(of("Via: SIP/2.0/UDP host:5061;branch=1"), Some(5061));
        assert_eq!(of("v:  SIP  / 2.0\r\n /UDP\r\n   192.0.2.2;branch=390skdjuw"), None);
        assert_eq!(of("Via: SIP/2.0/UDP [2001:db8::9:1]:5070;branch=1"), Some(5070));
        assert_eq!(of("Via: SIP/2.0/UDP [2001:db8::9:1];branch=1"), None);
    }
}
