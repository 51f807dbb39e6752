//! What is kept of one call: a bounded row of entries, in the form in which it goes to the store.
//!
//! ```text
//! recording = version(1) left_out(4) head_length(4) head tail
//! head, tail = *entry
//! entry = flags(1) at(8) ip(4 or 16) port(2) length(4) octets
//! ```
//!
//! Numbers are big-endian. When the head is full, later messages go to the tail, which holds the last ones: how a long
//! call ended is as telling as how it began. What falls out between the two is counted.

use call_control::Party;
use sip_core::{Flow, Transport};
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
const TCP: u8 = 4;
const DEVICE: u8 = 8;
const IP6: u8 = 16;

/// What was sent and received until now.
#[derive(Debug, Default)]
pub(super) struct Recording {
    head: Vec<u8>,
    tail: VecDeque<Box<[u8]>>,
    tail_octets: usize,
    left_out: u32,
}

/// What an entry says beside its octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// A phone, and not a message.
    pub(crate) is_device: bool,
    pub(crate) party: Party,
    /// By us.
    pub(crate) sent: bool,
    /// Of the phone.
    pub(crate) flow_of: FarEnd,
    /// Milliseconds since 1970.
    pub(crate) at: i64,
}

/// The far end of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FarEnd {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
}

impl From<Flow> for FarEnd {
    fn from(flow: Flow) -> Self {
        Self { transport: flow.transport, address: flow.remote }
    }
}

impl Recording {
    /// Keeps an entry, whose octets `fill` appends.
    pub(super) fn push(&mut self, entry: &Entry, fill: impl FnOnce(&mut Vec<u8>)) {
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
    pub(super) fn print(&self) -> Vec<u8> {
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
    let FarEnd { transport, address } = entry.flow_of;
    octets.push(
        flag(entry.party == Party::To, TO)
            | flag(entry.sent, SENT)
            | flag(transport == Transport::Tcp, TCP)
            | flag(entry.is_device, DEVICE)
            | flag(address.is_ipv6(), IP6),
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

/// A recording as it is read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recorded<'a> {
    /// In their order.
    pub(crate) entries: Vec<(Entry, &'a [u8])>,
    /// Entries that are not kept.
    pub(crate) left_out: u32,
    /// How many entries stand before those.
    pub(crate) before_gap: usize,
}

impl<'a> Recorded<'a> {
    /// `None` for octets that no recorder of this version has written.
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
        let at = i64::from_be_bytes(self.take()?);
        let ip =
            if flags & IP6 == 0 { IpAddr::from(self.take::<4>()?) } else { IpAddr::from(self.take::<16>()?) };
        let address = SocketAddr::new(ip, u16::from_be_bytes(self.take()?));
        let length = usize::try_from(u32::from_be_bytes(self.take()?)).ok()?;
        let (octets, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        let entry = Entry {
            is_device: flags & DEVICE != 0,
            party: if flags & TO == 0 { Party::From } else { Party::To },
            sent: flags & SENT != 0,
            flow_of: FarEnd {
                transport: if flags & TCP == 0 { Transport::Udp } else { Transport::Tcp },
                address,
            },
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
        let flow_of = FarEnd { transport: Transport::Tcp, address };
        Entry { is_device: false, party: Party::To, sent: at % 2 == 0, flow_of, at }
    }

    fn push(recording: &mut Recording, at: i64, octets: &[u8]) {
        recording.push(&entry(at), |kept| kept.extend_from_slice(octets));
    }

    #[test]
    fn what_was_kept_is_read_again() {
        let mut recording = Recording::default();
        push(&mut recording, 1, b"INVITE");
        let device = Entry {
            is_device: true,
            party: Party::From,
            flow_of: FarEnd { transport: Transport::Udp, address: "192.0.2.1:5060".parse().unwrap() },
            ..entry(-2)
        };
        recording.push(&device, |_| {});
        let octets = recording.print();
        let recorded = Recorded::read(&octets).unwrap();
        assert_eq!(recorded.entries, [(entry(1), &b"INVITE"[..]), (device, b"")]);
        assert_eq!((recorded.left_out, recorded.before_gap), (0, 2));
    }

    #[test]
    fn of_a_long_call_the_beginning_and_the_end_stay_and_the_rest_is_counted() {
        let mut recording = Recording::default();
        for at in 0..1000 {
            push(&mut recording, at, &[b'x'; 500]);
        }
        push(&mut recording, 1000, &[b'y'; 100_000]);
        let octets = recording.print();
        assert!(octets.len() <= 9 + HEAD_MAX + TAIL_MAX, "{}", octets.len());
        let Recorded { entries, left_out, before_gap } = Recorded::read(&octets).unwrap();
        assert_eq!(entries.len() + left_out as usize, 1001);
        let times: Vec<i64> = entries.iter().map(|(entry, _)| entry.at).collect();
        assert_eq!(times[before_gap - 1], before_gap as i64 - 1);
        assert_eq!(times[before_gap], before_gap as i64 + i64::from(left_out));
        assert_eq!(entries.last().map(|(entry, octets)| (entry.at, octets.len())), Some((1000, MESSAGE_MAX)));
        assert!(before_gap > 40 && entries.len() - before_gap > 20, "{before_gap} of {}", entries.len());
    }

    #[test]
    fn octets_that_are_cut_or_changed_are_read_or_refused() {
        let mut recording = Recording::default();
        push(&mut recording, 1, b"INVITE");
        let octets = recording.print();
        for end in 0..octets.len() {
            let cut = Recorded::read(&octets[..end]);
            assert!(cut.is_none(), "{end}: {cut:?}");
            for value in [0, 1, 127, 255] {
                let mut changed = octets.clone();
                changed[end] = value;
                let _read = Recorded::read(&changed);
            }
        }
        assert_eq!(Recorded::read(&Recording::default().print()).unwrap().entries, []);
    }
}
