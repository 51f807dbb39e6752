//! A name server: SRV records, and 127.0.0.1 as the address of every name (RFC 1035, RFC 2782).

use std::net::{SocketAddr, UdpSocket};

/// Answers until the test is over.
pub(crate) struct Names(SocketAddr);

/// A name, and host and port that its SRV record leads to.
type Srv = (&'static str, &'static str, u16);

const A: u16 = 1;
const SRV: u16 = 33;
const HEADER: usize = 12;

impl Names {
    pub(crate) fn start(records: &[Srv]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let records = records.to_vec();
        std::thread::spawn(move || {
            let mut question = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                socket.send_to(&answer(&question[..length], &records), from).unwrap();
            }
        });
        Self(address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0
    }
}

fn answer(question: &[u8], records: &[Srv]) -> Vec<u8> {
    let labels = HEADER + question[HEADER..].iter().position(|octet| *octet == 0).unwrap() + 1;
    let kind = u16::from_be_bytes([question[labels], question[labels + 1]]);
    let srv =
        records.iter().find(|(name, ..)| written(name) == question[HEADER..labels].to_ascii_lowercase());
    let data = match (kind, srv) {
        (A, None) => vec![127, 0, 0, 1],
        (SRV, Some((_, host, port))) => [&[0, 1, 0, 1], &port.to_be_bytes()[..], &written(host)].concat(),
        _ => Vec::new(),
    };
    let count = u8::from(!data.is_empty());
    let mut answer = question[..2].to_vec();
    // An answer with authority, to the one question; then the question again.
    answer.extend([0x84, 0, 0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend(&question[HEADER..labels + 4]);
    if count > 0 {
        // The name is that of the question; class IN, for a minute.
        answer.extend([0xc0, HEADER as u8]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 60]);
        answer.extend((data.len() as u16).to_be_bytes());
        answer.extend(data);
    }
    answer
}

/// A name as messages have it.
fn written(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| [&[label.len() as u8][..], label.as_bytes()].concat());
    labels.chain([0]).collect()
}
