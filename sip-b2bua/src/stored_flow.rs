//! A flow as it is kept on disk.

use call_store::StoredBinding;
use sip_core::{Flow, PeerId, Transport};

/// Transport, our address, the far address. Behind the transport stands who the far side has to be: `tls/3`. The number is that
/// of a name, and not of a place in a file that may be another one by then.
pub(crate) fn words(flow: Flow) -> [Box<str>; 3] {
    let word = flow.transport.word();
    let transport = match flow.peer {
        Some(PeerId(peer)) => format!("{word}/{peer}").into(),
        None => word.into(),
    };
    [transport, flow.local.to_string().into(), flow.remote.to_string().into()]
}

/// What [`words`] wrote; `None` when it is nothing of that kind.
pub(crate) fn read(transport: &str, local: &str, remote: &str) -> Option<Flow> {
    let (word, peer) = match transport.split_once('/') {
        Some((word, peer)) => (word, Some(PeerId(peer.parse().ok()?))),
        None => (transport, None),
    };
    let transport = Transport::from_word(word)?;
    Some(Flow { transport, local: local.parse().ok()?, remote: remote.parse().ok()?, peer })
}

/// Phones are reached along these ways as they are now. The INVITEs of the last run are taken back with the address that was in
/// their Via (RFC 3261 §9.1), and have none of this.
pub(crate) fn renewed(mut bindings: Vec<StoredBinding>, renews: impl Fn(Flow) -> Flow) -> Vec<StoredBinding> {
    for binding in &mut bindings {
        if let Some(flow) = read(&binding.transport, &binding.local, &binding.remote) {
            [binding.transport, binding.local, binding.remote] = words(renews(flow));
        }
    }
    bindings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_reads_back() {
        for (transport, local, remote, peer) in [
            (Transport::Udp, "192.0.2.1:5060", "198.51.100.7:40000", None),
            (Transport::Tcp, "[2001:db8::1]:5060", "[2001:db8::2]:1", None),
            (Transport::Tls, "192.0.2.1:5061", "198.51.100.7:5061", Some(PeerId(u64::MAX))),
        ] {
            let flow =
                Flow { transport, local: local.parse().unwrap(), remote: remote.parse().unwrap(), peer };
            let [transport, local, remote] = words(flow);
            assert_eq!(read(&transport, &local, &remote), Some(flow));
        }
        for transport in ["sctp", "tls/", "tls/18446744073709551616", "tls/-1", "/1"] {
            assert_eq!(read(transport, "192.0.2.1:5060", "192.0.2.2:5060"), None, "{transport}");
        }
        assert_eq!(read("udp", "192.0.2.1", "192.0.2.2:5060"), None);
    }

    #[test]
    fn the_ways_of_phones_are_renewed_and_what_cannot_be_read_stays() {
        let stored = |local: &str| StoredBinding {
            user: "1001".into(),
            contact: "<sip:1001@192.0.2.7>".into(),
            call_id: "c".into(),
            cseq: 1,
            expires_at: 0,
            transport: "udp".into(),
            local: local.into(),
            remote: "192.0.2.7:5060".into(),
            path: None,
            user_agent: None,
        };
        let bindings = vec![stored("192.0.2.1:5060"), stored("nonsense")];
        let local = "192.0.2.2:5060".parse().unwrap();
        let renewed = renewed(bindings, |flow| Flow { local, ..flow });
        assert_eq!(renewed, [stored("192.0.2.2:5060"), stored("nonsense")]);
    }
}
