//! The ways to reach a domain: transports, and the servers that speak them.

use crate::aim::default_port;
use crate::ledger::Reply;
use crate::srv::{self, Weighted};
use crate::{PassedOver, Question};
use sip_message::Transport;

/// What a domain offers.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    /// In the order in which they are tried.
    pub(crate) services: Vec<Service>,
    /// The domain's NAPTR records name SIP, and only over transports that cannot be used.
    pub(crate) is_for_others: bool,
}

/// A transport, and the servers that speak it.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) transport: Transport,
    /// Where its SRV records are.
    pub(crate) name: Box<str>,
    pub(crate) servers: Servers,
}

#[derive(Debug)]
pub(crate) enum Servers {
    /// No answer yet.
    Asked,
    /// In the order in which they are tried. None when there are records of which none can be used.
    Known(Vec<Server>),
    /// Decidedly none (RFC 2782).
    NotOffered,
    Absent,
    Failed,
}

/// A host, its port, and how to speak to it.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) transport: Transport,
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
}

impl Offers {
    /// Takes an answer in; `random` chooses among the servers of one priority.
    pub(crate) fn take(&mut self, question: &Question, reply: &Reply<Weighted>, random: u64) {
        for service in self.services.iter_mut().filter(|service| service.question() == *question) {
            service.take(reply, random);
        }
    }

    /// The servers that are known, at most so many.
    pub(crate) fn servers(&self, most: usize) -> Vec<Server> {
        self.services.iter().flat_map(Service::known).take(most).cloned().collect()
    }

    /// The first service whose servers are as asked for.
    pub(crate) fn first(&self, is_so: impl Fn(&Servers) -> bool) -> Option<&Service> {
        self.services.iter().find(|service| is_so(&service.servers))
    }
}

impl Service {
    /// The one that a domain has by convention (RFC 3263 §4.1, §4.2): `sips` stands for TLS.
    pub(crate) fn of_domain(domain: &str, transport: Transport) -> Self {
        let prefix = match transport {
            Transport::Udp => "_sip._udp",
            Transport::Tcp => "_sip._tcp",
            Transport::Tls => "_sips._tcp",
        };
        Self { transport, name: format!("{prefix}.{domain}").into(), servers: Servers::Asked }
    }

    /// TLS under a name that no RFC knows and many carriers have.
    pub(crate) fn tls_by_habit(domain: &str) -> Self {
        Self {
            transport: Transport::Tls,
            name: format!("_sip._tls.{domain}").into(),
            servers: Servers::Asked,
        }
    }

    pub(crate) const fn is_asked(&self) -> bool {
        matches!(self.servers, Servers::Asked)
    }

    fn known(&self) -> &[Server] {
        match &self.servers {
            Servers::Known(servers) => servers,
            Servers::Asked | Servers::NotOffered | Servers::Absent | Servers::Failed => &[],
        }
    }

    pub(crate) fn question(&self) -> Question {
        Question::Srv(self.name.clone())
    }

    fn take(&mut self, reply: &Reply<Weighted>, random: u64) {
        self.servers = match reply {
            Reply::Absent => Servers::Absent,
            Reply::Failed => Servers::Failed,
            Reply::Found { used, passed_over }
                if used.is_empty() && passed_over.contains(&PassedOver::NotOffered) =>
            {
                Servers::NotOffered
            }
            Reply::Found { used, .. } => {
                let server = |record: Weighted| Server {
                    transport: self.transport,
                    host: record.host,
                    port: record.port,
                };
                Servers::Known(srv::in_order(used.clone(), random).into_iter().map(server).collect())
            }
        };
    }
}

impl Servers {
    /// One host, at the port that its transport has.
    pub(crate) fn of_host(host: &str, transport: Transport) -> Self {
        Self::Known(vec![Server { transport, host: host.into(), port: default_port(transport) }])
    }
}
