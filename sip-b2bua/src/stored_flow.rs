//! A flow as it is kept on disk.

use sip_core::{Flow, Transport};

/// Transport, our address, the far address.
pub(crate) fn words(flow: Flow) -> [Box<str>; 3] {
    [flow.transport.word().into(), flow.local.to_string().into(), flow.remote.to_string().into()]
}

/// What [`words`] wrote; `None` when it is nothing of that kind.
pub(crate) fn read(transport: &str, local: &str, remote: &str) -> Option<Flow> {
    let transport = Transport::from_word(transport)?;
    Some(Flow { transport, local: local.parse().ok()?, remote: remote.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_reads_back() {
        for (transport, local, remote) in [
            (Transport::Udp, "192.0.2.1:5060", "198.51.100.7:40000"),
            (Transport::Tcp, "[2001:db8::1]:5060", "[2001:db8::2]:1"),
        ] {
            let flow = Flow { transport, local: local.parse().unwrap(), remote: remote.parse().unwrap() };
            let [transport, local, remote] = words(flow);
            assert_eq!(read(&transport, &local, &remote), Some(flow));
        }
        assert_eq!(read("sctp", "192.0.2.1:5060", "192.0.2.2:5060"), None);
        assert_eq!(read("udp", "192.0.2.1", "192.0.2.2:5060"), None);
    }
}
