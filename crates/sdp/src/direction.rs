//! Who sends and who receives (RFC 3264 §5.1, RFC 8866 §6.7).

/// The direction of a stream, as the one who describes it says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Sends and receives; what holds when nothing is said.
    SendRecv,
    /// Sends only: the other side is on hold.
    SendOnly,
    /// Receives only.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// The direction of one who does what is said.
    pub const fn from_parts(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// As the other side says it: SendOnly and RecvOnly change places.
    pub const fn reversed(self) -> Self {
        Self::from_parts(self.receives(), self.sends())
    }

    /// What both allow.
    pub const fn limited_by(self, limit: Self) -> Self {
        Self::from_parts(self.sends() && limit.sends(), self.receives() && limit.receives())
    }

    /// Does the one who says it send?
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Does the one who says it receive?
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The attribute that says it.
    pub(crate) const fn attribute(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    pub(crate) fn from_attribute(name: &str) -> Option<Self> {
        [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive]
            .into_iter()
            .find(|direction| name.eq_ignore_ascii_case(direction.attribute()))
    }
}

#[cfg(test)]
mod tests {
    use super::Direction::{self, Inactive, RecvOnly, SendOnly, SendRecv};

    #[test]
    fn reversing_swaps_sending_and_receiving() {
        assert_eq!(SendOnly.reversed(), RecvOnly);
        assert_eq!(RecvOnly.reversed(), SendOnly);
        assert_eq!(SendRecv.reversed(), SendRecv);
        assert_eq!(Inactive.reversed(), Inactive);
    }

    #[test]
    fn a_limit_takes_away_and_never_adds() {
        assert_eq!(SendRecv.limited_by(RecvOnly), RecvOnly);
        assert_eq!(SendOnly.limited_by(RecvOnly), Inactive);
        assert_eq!(RecvOnly.limited_by(SendRecv), RecvOnly);
    }

    #[test]
    fn attributes_are_read_without_case() {
        assert_eq!(Direction::from_attribute("SendOnly"), Some(SendOnly));
        assert_eq!(Direction::from_attribute("rtpmap"), None);
    }
}
