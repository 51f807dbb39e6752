//! The addresses of a host.

use crate::{PassedOver, Question, Record};
use std::net::IpAddr;

/// The greatest number of addresses of one host that are used.
const ADDRESSES_MAX: usize = 8;

/// Nothing is sent to an address that stands for many hosts, or for none: the unspecified one would be ourselves.
pub(crate) fn is_of_a_host(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || is_broadcast)
}

/// The address, when it is of the family that the question is for.
pub(crate) fn judge(question: &Question, record: &Record) -> Result<IpAddr, PassedOver> {
    let Record::Address(address) = record else {
        return Err(PassedOver::NotAsked);
    };
    let is_wanted = match question {
        Question::A(_) => address.is_ipv4(),
        // One that is mapped is of the other family, whatever the zone says.
        Question::Aaaa(_) => address.to_canonical().is_ipv6(),
        Question::Naptr(_) | Question::Srv(_) => false,
    };
    if is_wanted && is_of_a_host(*address) { Ok(*address) } else { Err(PassedOver::Address) }
}

/// IPv6 and IPv4 by turns, IPv6 first, each family in the order of its answer: when one family does not get through, the
/// second attempt uses the other.
pub(crate) fn interleave(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let (ipv6, ipv4): (Vec<IpAddr>, Vec<IpAddr>) = addresses.iter().partition(|address| address.is_ipv6());
    let turns = (0..ADDRESSES_MAX).flat_map(|turn| [ipv6.get(turn), ipv4.get(turn)]);
    turns.flatten().take(ADDRESSES_MAX).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let read = |text: &str| -> Vec<IpAddr> { text.split(' ').map(|a| a.parse().unwrap()).collect() };
        for (answers, order) in [
            ("192.0.2.1 2001:db8::1", "2001:db8::1 192.0.2.1"),
            ("192.0.2.1 192.0.2.2 2001:db8::1", "2001:db8::1 192.0.2.1 192.0.2.2"),
            ("2001:db8::1 2001:db8::2 192.0.2.1", "2001:db8::1 192.0.2.1 2001:db8::2"),
        ] {
            assert_eq!(interleave(&read(answers)), read(order));
        }
        let many: Vec<IpAddr> = (0..100u8).map(|n| IpAddr::from([192, 0, 2, n])).collect();
        assert_eq!(interleave(&many), many[..ADDRESSES_MAX]);
        let sixes = (0..100u16).map(|n| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n]));
        assert_eq!(interleave(&many.into_iter().chain(sixes).collect::<Vec<_>>()).len(), ADDRESSES_MAX);
    }
}
