//! Digits and other events in RTP (RFC 4733).

/// The payload of a telephone-event packet (RFC 4733 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// 0 to 9 the digits, 10 `*`, 11 `#`, 12 to 15 A to D, 16 flash (RFC 4733 §3.2).
    pub event: u8,
    /// The event is over.
    pub end: bool,
    /// 0 (loud) to 63 (soft), in dB below 1 mW.
    pub volume: u8,
    /// Since its beginning, in timestamp units.
    pub duration: u16,
}

impl TelephoneEvent {
    /// The event of a key; `None` for what is no key.
    pub fn from_key(key: char) -> Option<u8> {
        KEYS.iter()
            .position(|known| *known == key.to_ascii_uppercase())
            .and_then(|event| u8::try_from(event).ok())
    }

    /// The key of this event; `None` for other events.
    pub fn key(&self) -> Option<char> {
        KEYS.get(usize::from(self.event)).copied()
    }

    /// The four octets of the payload.
    pub fn encode(&self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, u8::from(self.end) << 7 | (self.volume & 0x3f), high, low]
    }

    /// Reads the first event of a payload; `None` when it is shorter than one.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let [event, flags, high, low] = *payload.first_chunk()?;
        let duration = u16::from_be_bytes([high, low]);
        Some(Self { event, end: flags & 0x80 != 0, volume: flags & 0x3f, duration })
    }
}

const KEYS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

#[cfg(test)]
mod tests {
    use super::TelephoneEvent;

    #[test]
    fn an_event_comes_back_as_it_was() {
        let event = TelephoneEvent { event: 11, end: true, volume: 10, duration: 1_600 };
        assert_eq!(event.encode(), [11, 0x8a, 0x06, 0x40]);
        assert_eq!(TelephoneEvent::decode(&event.encode()), Some(event));
        assert_eq!(event.key(), Some('#'));
    }

    #[test]
    fn the_reserved_bit_is_ignored_and_a_short_payload_is_none() {
        assert_eq!(
            TelephoneEvent::decode(&[1, 0x4a, 0, 160]).map(|event| (event.end, event.volume)),
            Some((false, 10))
        );
        assert_eq!(TelephoneEvent::decode(&[1, 10, 0]), None);
        assert_eq!(TelephoneEvent::decode(&[]), None);
    }

    #[test]
    fn keys_have_their_events() {
        assert_eq!(TelephoneEvent::from_key('0'), Some(0));
        assert_eq!(TelephoneEvent::from_key('*'), Some(10));
        assert_eq!(TelephoneEvent::from_key('d'), Some(15));
        assert_eq!(TelephoneEvent::from_key('E'), None);
        assert_eq!(TelephoneEvent { event: 16, end: false, volume: 0, duration: 0 }.key(), None);
    }
}
