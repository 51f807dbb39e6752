//! File descriptors: how many the process may have, and who may have how many of them.

use rlimit::Resource;
use sip_b2bua::SocketsMax;
use std::io;

/// How many the process may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Descriptors(usize);

impl Descriptors {
    /// Raises the limit as far as the process may, and says how far that is.
    ///
    /// # Errors
    /// The system does not say.
    pub(crate) fn raised() -> io::Result<Self> {
        let (soft, hard) = Resource::NOFILE.get()?;
        let allowed = match Resource::NOFILE.set(hard, hard) {
            Ok(()) => hard,
            Err(_) => soft,
        };
        Ok(Self(usize::try_from(allowed).unwrap_or(usize::MAX)))
    }

    /// How many.
    pub(crate) const fn allowed(self) -> usize {
        self.0
    }

    /// Of signalling and media. What the API, the store and the connections of phones may need is kept back.
    pub(crate) fn sockets(self) -> SocketsMax {
        let connections = self.for_connections() - self.http_connections();
        SocketsMax { media: self.0.saturating_sub(FILES + self.for_connections()), connections }
    }

    /// Of the API.
    pub(crate) fn http_connections(self) -> usize {
        (self.for_connections() / 2).min(HTTP_CONNECTIONS)
    }

    /// What so many calls at once need that there is not, in a sentence.
    pub(crate) fn shortage(self, calls: usize) -> Option<String> {
        let media = self.sockets().media / SOCKETS_OF_A_CALL;
        let needed = calls.saturating_mul(SOCKETS_OF_A_CALL) + FILES + HTTP_CONNECTIONS + SIP_CONNECTIONS;
        (media < calls).then(|| {
            format!(
                "limits.calls is {calls}, and the {} descriptors that this process may have are enough for the media of \
                 {media}: further calls will be refused with 503 no_descriptor; raise the limit to {needed} \
                 (`ulimit -n`, or LimitNOFILE= in the unit), or set limits.calls to {media}",
                self.0,
            )
        })
    }

    /// The most that others may have, or a quarter of all where that is less.
    fn for_connections(self) -> usize {
        (self.0.saturating_sub(FILES) / 4).clamp(2, HTTP_CONNECTIONS + SIP_CONNECTIONS)
    }
}

/// The store's files, the log, listening sockets, and what the runtime needs.
const FILES: usize = 64;
/// Connections of the API at once.
const HTTP_CONNECTIONS: usize = 1024;
/// Connections of phones at once.
const SIP_CONNECTIONS: usize = 4096;
/// Two of each phone: RTP, and RTCP above it.
const SOCKETS_OF_A_CALL: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plenty_is_shared_out_in_full() {
        let plenty = Descriptors(1 << 20);
        let sockets = plenty.sockets();
        assert_eq!((plenty.http_connections(), sockets.connections), (1024, 4096));
        assert_eq!(sockets.media, (1 << 20) - 64 - 1024 - 4096);
        assert_eq!(plenty.shortage(2000), None);
    }

    #[test]
    fn of_little_a_quarter_is_kept_back_for_others() {
        let little = Descriptors(1024);
        let sockets = little.sockets();
        assert_eq!((little.http_connections(), sockets.connections, sockets.media), (120, 120, 720));
        assert_eq!(little.shortage(180), None);
        let sentence = little.shortage(2000).unwrap();
        for part in ["2000", "1024 descriptors", "media of 180", "to 13184", "limits.calls to 180"] {
            assert!(sentence.contains(part), "{part}: {sentence}");
        }
    }

    #[test]
    fn the_shares_never_exceed_what_there_is() {
        for allowed in (100..10_000).chain([usize::MAX]) {
            let it = Descriptors(allowed);
            let SocketsMax { media, connections } = it.sockets();
            assert!(media + connections + it.http_connections() + FILES <= allowed, "{allowed}");
        }
    }
}
