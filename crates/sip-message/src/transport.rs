//! Transport protocols and their words (RFC 3261 §18).

/// A transport protocol that we speak (RFC 3261 §18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams: messages may be lost, doubled and overtake each other.
    Udp,
    /// A stream: nothing is sent twice by a transaction, 2xx apart.
    Tcp,
    /// A stream that is encrypted; its peer is known by its certificate (RFC 3261 §26.2.1).
    Tls,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Tls];

    /// Tells whether transactions need not repeat what they send (RFC 3261 §17).
    pub const fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls => true,
        }
    }

    /// Where it is listened on when nothing else is said (RFC 3261 §19.1.2).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }

    /// As it stands in a Via (RFC 3261 §20.42), and as people write it.
    pub const fn via_word(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// In lower case, as in the `transport` parameter of a URI (RFC 3261 §19.1.1), in configurations, in logs and on disk.
    /// RFC 3261 §26.2.2 deprecates `tls` in URIs; the field writes it all the same.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// What [`via_word`](Self::via_word) says; its case means nothing (RFC 3261 §7.3.1).
    pub fn from_via_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.via_word().eq_ignore_ascii_case(word))
    }

    /// What [`word`](Self::word) says, to the letter.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::Transport;

    #[test]
    fn words_read_back() {
        for transport in Transport::ALL {
            assert_eq!(Transport::from_via_word(transport.via_word()), Some(transport));
            assert_eq!(Transport::from_word(transport.word()), Some(transport));
        }
        assert_eq!(Transport::from_via_word("udp"), Some(Transport::Udp));
        assert_eq!(Transport::from_via_word("TLS"), Some(Transport::Tls));
        assert_eq!(Transport::from_word("tls"), Some(Transport::Tls));
        for none in ["UDP", "Tcp", "sctp", ""] {
            assert_eq!(Transport::from_word(none), None, "{none}");
        }
        assert_eq!(Transport::from_via_word("SCTP"), None);
    }
}
