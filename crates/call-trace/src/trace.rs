//! What is kept of one call: a bounded row of entries, in the form in which it goes to the store.
//!
//! ```text
//! trace = version(1) left_out(4) head_length(4) head tail
//! head, tail = *entry
//! entry = flags(1) at(8) ip(4 or 16) port(2) length(4) octets
//! ```
//!
//! Numbers are big-endian. When the head is full, later messages go to the tail, which holds the last ones: how a long
//! call ended is as telling as how it began. What falls out between the two is counted.

use crate::FarEnd;
use call_control::Party;
use sip_message::Transport;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// Octets of the first messages of a call. An entry has some forty octets at least, which bounds their number, too.
const HEAD_MAX: usize = 24 * 1024;
/// Octets of the last messages of a call.
const TAIL_MAX: usize = 24 * 1024;
/// Octets that are kept of one message.
const MESSAGE_MAX: usize = 8 * 1024;
const VERSION: u8 = 1;

const TO: u8 = 1;
const SENT: u8 = 2;
const PHONE: u8 = 8;
const IP6: u8 = 16;
const TRUNK: u8 = 128;
/// Three bits that are not neighbours, for one of eight transports: see [`code`].
const TRANSPORT: u8 = 4 | 32 | 64;

/// Those bits. Never changed, since traces on disk have them: 36 and 64 are kept for WS and WSS.
const fn code(transport: Transport) -> u8 {
    match transport {
        Transport::Udp => 0,
        Transport::Tcp => 4,
        Transport::Tls => 32,
    }
}

/// What was sent and received until now.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    head: Vec<u8>,
    tail: VecDeque<Box<[u8]>>,
    tail_octets: usize,
    left_out: u32,
}

/// What an entry says beside its octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// A phone that is rung, and not a message.
    pub(crate) is_phone: bool,
    /// The octets name a trunk: that is rung, where `is_phone`, or else had no room.
    pub(crate) is_trunk: bool,
    pub(crate) party: Party,
    /// By us.
    pub(crate) sent: bool,
    /// The phone.
    pub(crate) far_end: FarEnd,
    /// Milliseconds since 1970.
    pub(crate) at: i64,
}

impl Trace {
    /// Keeps an entry, whose octets `fill` appends.
    pub(crate) fn push(&mut self, entry: &Entry, fill: impl FnOnce(&mut Vec<u8>)) {
        if self.tail.is_empty() {
            let before = self.head.len();
            append(&mut self.head, entry, fill);
            if self.head.len() <= HEAD_MAX {
                return;
            }
            let first_of_tail = self.head.split_off(before);
            return self.push_to_tail(first_of_tail.into());
        }
        let mut octets = Vec::new();
        append(&mut octets, entry, fill);
        self.push_to_tail(octets.into());
    }

    fn push_to_tail(&mut self, octets: Box<[u8]>) {
        self.tail_octets += octets.len();
        self.tail.push_back(octets);
        while self.tail_octets > TAIL_MAX
            && let Some(oldest) = self.tail.pop_front()
        {
            self.tail_octets -= oldest.len();
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    /// All of it, for the store.
    pub(crate) fn print(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(9 + self.head.len() + self.tail_octets);
        octets.push(VERSION);
        octets.extend_from_slice(&self.left_out.to_be_bytes());
        octets.extend_from_slice(&u32::try_from(self.head.len()).unwrap_or_default().to_be_bytes());
        octets.extend_from_slice(&self.head);
        self.tail.iter().for_each(|entry| octets.extend_from_slice(entry));
        octets
    }
}

fn append(octets: &mut Vec<u8>, entry: &Entry, fill: impl FnOnce(&mut Vec<u8>)) {
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    let FarEnd { transport, address } = entry.far_end;
    octets.push(
        flag(entry.party == Party::To, TO)
            | flag(entry.sent, SENT)
            | flag(entry.is_phone, PHONE)
            | flag(entry.is_trunk, TRUNK)
            | flag(address.is_ipv6(), IP6)
            | code(transport),
    );
    octets.extend_from_slice(&entry.at.to_be_bytes());
    match address.ip() {
        IpAddr::V4(ip) => octets.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => octets.extend_from_slice(&ip.octets()),
    }
    octets.extend_from_slice(&address.port().to_be_bytes());
    let length_at = octets.len();
    octets.extend_from_slice(&[0; 4]);
    let start = octets.len();
    fill(octets);
    octets.truncate(start + MESSAGE_MAX);
    let length = u32::try_from(octets.len() - start).unwrap_or_default();
    if let Some(place) = octets.get_mut(length_at..start) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// A trace as it is read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadTrace<'a> {
    /// In their order.
    pub(crate) entries: Vec<(Entry, &'a [u8])>,
    /// Entries that are not kept.
    pub(crate) left_out: u32,
    /// How many entries stand before those.
    pub(crate) before_gap: usize,
}

impl<'a> ReadTrace<'a> {
    /// `None` for octets that no tracer has written.
    pub(crate) fn read(octets: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(octets);
        let [VERSION] = reader.take()? else { return None };
        let left_out = u32::from_be_bytes(reader.take()?);
        let head_length = usize::try_from(u32::from_be_bytes(reader.take()?)).ok()?;
        let tail_length = reader.0.len().checked_sub(head_length)?;
        let (mut entries, mut before_gap) = (Vec::new(), 0);
        while !reader.0.is_empty() {
            entries.push(reader.entry()?);
            if reader.0.len() >= tail_length {
                before_gap = entries.len();
            }
        }
        Some(Self { entries, left_out, before_gap })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn entry(&mut self) -> Option<(Entry, &'a [u8])> {
        let [flags] = self.take()?;
        let transport = Transport::ALL.into_iter().find(|known| code(*known) == flags & TRANSPORT)?;
        let at = i64::from_be_bytes(self.take()?);
        let ip =
            if flags & IP6 == 0 { IpAddr::from(self.take::<4>()?) } else { IpAddr::from(self.take::<16>()?) };
        let address = SocketAddr::new(ip, u16::from_be_bytes(self.take()?));
        let length = usize::try_from(u32::from_be_bytes(self.take()?)).ok()?;
        let (octets, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        let entry = Entry {
            is_phone: flags & PHONE != 0,
            is_trunk: flags & TRUNK != 0,
            party: if flags & TO == 0 { Party::From } else { Party::To },
            sent: flags & SENT != 0,
            far_end: FarEnd { transport, address },
            at,
        };
        Some((entry, octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at: i64) -> Entry {
        let address = "[2001:db8::7]:5062".parse().unwrap();
        let far_end = FarEnd { transport: Transport::Tcp, address };
        Entry { is_phone: false, is_trunk: at % 3 == 0, party: Party::To, sent: at % 2 == 0, far_end, at }
    }

    fn push(trace: &mut Trace, at: i64, octets: &[u8]) {
        trace.push(&entry(at), |kept| kept.extend_from_slice(octets));
    }

    #[test]
    fn what_was_kept_is_read_again() {
        let mut trace = Trace::default();
        push(&mut trace, 1, b"INVITE");
        let phone = Entry {
            is_phone: true,
            party: Party::From,
            far_end: FarEnd { transport: Transport::Udp, address: "192.0.2.1:5060".parse().unwrap() },
            ..entry(-2)
        };
        trace.push(&phone, |_| {});
        let octets = trace.print();
        let read = ReadTrace::read(&octets).unwrap();
        assert_eq!(read.entries, [(entry(1), &b"INVITE"[..]), (phone, b"")]);
        assert_eq!((read.left_out, read.before_gap), (0, 2));
    }

    #[test]
    fn of_a_long_call_the_beginning_and_the_end_stay_and_the_rest_is_counted() {
        let mut trace = Trace::default();
        for at in 0..1000 {
            push(&mut trace, at, &[b'x'; 500]);
        }
        push(&mut trace, 1000, &[b'y'; 100_000]);
        let octets = trace.print();
        assert!(octets.len() <= 9 + HEAD_MAX + TAIL_MAX, "{}", octets.len());
        let ReadTrace { entries, left_out, before_gap } = ReadTrace::read(&octets).unwrap();
        assert_eq!(entries.len() + left_out as usize, 1001);
        let times: Vec<i64> = entries.iter().map(|(entry, _)| entry.at).collect();
        assert_eq!(times[before_gap - 1], before_gap as i64 - 1);
        assert_eq!(times[before_gap], before_gap as i64 + i64::from(left_out));
        assert_eq!(entries.last().map(|(entry, octets)| (entry.at, octets.len())), Some((1000, MESSAGE_MAX)));
        assert!(before_gap > 40 && entries.len() - before_gap > 20, "{before_gap} of {}", entries.len());
    }

    #[test]
    fn octets_that_are_cut_or_changed_are_read_or_refused() {
        let mut trace = Trace::default();
        push(&mut trace, 1, b"INVITE");
        let octets = trace.print();
        for end in 0..octets.len() {
            let cut = ReadTrace::read(&octets[..end]);
            assert!(cut.is_none(), "{end}: {cut:?}");
            for value in [0, 1, 127, 255] {
                let mut changed = octets.clone();
                changed[end] = value;
                let _read = ReadTrace::read(&changed);
            }
        }
        assert_eq!(ReadTrace::read(&Trace::default().print()).unwrap().entries, []);
    }

    /// A trace as it lies on disks since the first release; this must never be written anew.
    const STORED: [&str; 7] = [
        "0100000000000000c8",
        "0a000001a1fd8ae260c000020713c6000000044465736b",
        "02000001a1fd8c6900c000020713c600000008494e564954452061",
        "00000001a1fd8c6901c000020713c60000000e5349502f322e3020323030204f4b",
        "1ffffffffffffffffe20010db80000000000000000000000079c4000000000",
        "17000001a1fd8c690220010db80000000000000000000000079c4000000008494e564954452062",
        "15000001a1fd8c690320010db80000000000000000000000079c40000000105349502f322e30203438362042757379",
    ];

    fn octets(hex: &str) -> Vec<u8> {
        let pairs = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    #[test]
    fn traces_on_disk_stay_readable() {
        let stored = octets(&STORED.concat());
        let udp = FarEnd { transport: Transport::Udp, address: "192.0.2.7:5062".parse().unwrap() };
        let tcp = FarEnd { transport: Transport::Tcp, address: "[2001:db8::7]:40000".parse().unwrap() };
        let entry = |is_phone, party, sent, far_end, at| Entry {
            is_phone,
            is_trunk: false,
            party,
            sent,
            far_end,
            at,
        };
        let expected = [
            (entry(true, Party::From, true, udp, 1_795_255_100_000), &b"Desk"[..]),
            (entry(false, Party::From, true, udp, 1_795_255_200_000), b"INVITE a"),
            (entry(false, Party::From, false, udp, 1_795_255_200_001), b"SIP/2.0 200 OK"),
            (entry(true, Party::To, true, tcp, -2), b""),
            (entry(false, Party::To, true, tcp, 1_795_255_200_002), b"INVITE b"),
            (entry(false, Party::To, false, tcp, 1_795_255_200_003), b"SIP/2.0 486 Busy"),
        ];
        let read = ReadTrace::read(&stored).unwrap();
        assert_eq!(read.entries, expected);
        let mut trace = Trace::default();
        for (entry, octets) in expected {
            trace.push(&entry, |kept| kept.extend_from_slice(octets));
        }
        assert_eq!(trace.print(), stored, "and an older release reads what this one writes");
    }

    #[test]
    fn a_transport_that_is_not_known_yet_is_taken_for_no_other() {
        let mut trace = Trace::default();
        push(&mut trace, 1, b"INVITE");
        let mut octets = trace.print();
        let flags = octets[9] & !TRANSPORT;
        for bits in [0, 4, 32, 36, 64, 68, 96, 100] {
            octets[9] = flags | bits;
            let read = ReadTrace::read(&octets).map(|read| read.entries[0].0.far_end.transport);
            assert_eq!(read, Transport::ALL.into_iter().find(|known| code(*known) == bits), "{bits}");
        }
    }
}
