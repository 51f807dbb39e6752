//! A name server on loopback that knows what a test has told it.

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, CNAME, NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A running name server; it ends when this is dropped.
#[derive(Debug)]
pub struct NameServer {
    /// Where it listens.
    pub address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What it knows.
#[derive(Debug, Default)]
pub struct Records(BTreeMap<(String, RecordType), Vec<RData>>);

/// Of those that lead to each other.
const ALIASES_MAX: usize = 16;
/// Seconds for which an answer is good.
const TTL: u32 = 60;

impl Records {
    /// The addresses of a host.
    ///
    /// # Panics
    /// When one is not IPv4.
    #[must_use]
    pub fn host(mut self, name: &str, addresses: &[IpAddr]) -> Self {
        for address in addresses {
            let IpAddr::V4(address) = address else { panic!("{address} is no IPv4 address") };
            self.add(name, RecordType::A, RData::A(A(*address)));
        }
        self
    }

    /// The servers of a service: priority, port and host of each.
    #[must_use]
    pub fn srv(mut self, name: &str, servers: &[(u16, u16, &str)]) -> Self {
        for (priority, port, host) in servers {
            self.add(name, RecordType::SRV, RData::SRV(SRV::new(*priority, 0, *port, name_of(host))));
        }
        self
    }

    /// The services of a domain: order, service and replacement of each.
    #[must_use]
    pub fn naptr(mut self, name: &str, services: &[(u16, &str, &str)]) -> Self {
        for (order, service, replacement) in services {
            let (flags, service) = (b"s".to_vec().into(), service.as_bytes().into());
            let naptr = NAPTR::new(*order, 50, flags, service, Box::default(), name_of(replacement));
            self.add(name, RecordType::NAPTR, RData::NAPTR(naptr));
        }
        self
    }

    /// Another name of `target`, for whatever is asked of it.
    #[must_use]
    pub fn alias(mut self, name: &str, target: &str) -> Self {
        self.add(name, RecordType::CNAME, RData::CNAME(CNAME(name_of(target))));
        self
    }

    fn add(&mut self, name: &str, kind: RecordType, data: RData) {
        self.0.entry((name.to_owned(), kind)).or_default().push(data);
    }

    /// Serves them.
    ///
    /// # Panics
    /// When no port of `ip` is free.
    pub fn serve(self, ip: IpAddr) -> NameServer {
        let socket = UdpSocket::bind((ip, 0)).expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a limit");
        let address = socket.local_addr().expect("a bound socket has an address");
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while !until.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                if let Some(answer) = self.answer(&buffer[..length]) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        NameServer { address, ended, thread: Some(thread) }
    }

    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let asked = Message::from_vec(question).ok()?;
        let query = asked.queries.first()?.clone();
        let mut answer = Message::response(asked.metadata.id, OpCode::Query);
        answer.metadata.recursion_available = true;
        answer.metadata.recursion_desired = asked.metadata.recursion_desired;
        let mut name = query.name().to_ascii().trim_end_matches('.').to_ascii_lowercase();
        // As a name server that looks further itself: the aliases, and what the last one leads to.
        while answer.answers.len() < ALIASES_MAX
            && query.query_type() != RecordType::CNAME
            && let Some([RData::CNAME(alias)]) =
                self.0.get(&(name.clone(), RecordType::CNAME)).map(|all| &all[..])
        {
            answer.answers.push(Record::from_rdata(name_of(&name), TTL, RData::CNAME(alias.clone())));
            name = alias.0.to_ascii().trim_end_matches('.').to_ascii_lowercase();
        }
        match self.0.get(&(name.clone(), query.query_type())) {
            Some(records) => {
                let records =
                    records.iter().map(|data| Record::from_rdata(name_of(&name), TTL, data.clone()));
                answer.answers.extend(records);
            }
            None if self.0.keys().any(|(known, _)| *known == name) => {}
            None => answer.metadata.response_code = ResponseCode::NXDomain,
        }
        answer.queries.push(query);
        answer.to_vec().ok()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn name_of(name: &str) -> Name {
    Name::from_ascii(format!("{name}.")).expect("a name")
}
