//! The codecs and their numbers.

/// The audio codecs that are spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// RFC 6716, RFC 7587.
    Opus,
    /// ITU-T G.722 at 64 kbit/s.
    G722,
    /// ITU-T G.711, A-law.
    Pcma,
    /// ITU-T G.711, µ-law.
    Pcmu,
}

impl Codec {
    /// All of them, best sound first.
    pub const ALL: [Self; 4] = [Self::Opus, Self::G722, Self::Pcma, Self::Pcmu];

    /// The encoding name in SDP (RFC 3551 §6, RFC 7587): `opus`, `G722`, `PCMA`, `PCMU`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::G722 => "G722",
            Self::Pcma => "PCMA",
            Self::Pcmu => "PCMU",
        }
    }

    /// By encoding name, without case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| name.eq_ignore_ascii_case(codec.name()))
    }

    /// RTP clock rate in hertz: 48000 for opus, 8000 for the others, G722 included (RFC 3551 §4.5.2).
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::G722 | Self::Pcma | Self::Pcmu => 8_000,
        }
    }

    /// Samples a second of the decoded audio here: opus 48000, G722 16000, G.711 8000.
    pub const fn sample_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::G722 => 16_000,
            Self::Pcma | Self::Pcmu => 8_000,
        }
    }

    /// Number of channels in SDP: 2 for opus, whatever is sent (RFC 7587 §7), 1 for the others.
    pub const fn channels(self) -> u8 {
        match self {
            Self::Opus => 2,
            Self::G722 | Self::Pcma | Self::Pcmu => 1,
        }
    }

    /// 0, 8 and 9 (RFC 3551 §6); `None` for opus.
    pub const fn static_payload_type(self) -> Option<u8> {
        match self {
            Self::Opus => None,
            Self::G722 => Some(9),
            Self::Pcma => Some(8),
            Self::Pcmu => Some(0),
        }
    }

    /// Samples of a 20 ms frame.
    pub const fn frame_samples(self) -> usize {
        self.sample_rate() as usize / 50
    }

    /// RTP timestamp units of a 20 ms packet.
    pub const fn timestamp_step(self) -> u32 {
        self.clock_rate() / 50
    }
}

#[cfg(test)]
mod tests {
    use super::Codec;

    #[test]
    fn names_are_read_without_case() {
        assert_eq!(Codec::from_name("OPUS"), Some(Codec::Opus));
        assert_eq!(Codec::from_name("pcmu"), Some(Codec::Pcmu));
        assert_eq!(Codec::from_name("G729"), None);
    }

    #[test]
    fn a_frame_is_twenty_milliseconds() {
        assert_eq!(Codec::ALL.map(Codec::frame_samples), [960, 320, 160, 160]);
        assert_eq!(Codec::ALL.map(Codec::timestamp_step), [960, 160, 160, 160]);
    }
}
