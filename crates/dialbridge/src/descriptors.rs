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
        let HttpMax { connections, for_health, on_health_listen } = self.http();
        let of_phones = self.for_connections() - connections - for_health - on_health_listen;
        SocketsMax { media: self.0.saturating_sub(FILES + self.for_connections()), connections: of_phones }
    }

    /// Of the API.
    pub(crate) fn http(self) -> HttpMax {
        let all = self.for_connections();
        let for_health = (all / 16).clamp(1, FOR_HEALTH);
        let on_health_listen = (all / 16).clamp(1, HEALTH_CONNECTIONS);
        let connections = (all / 2 - for_health - on_health_listen).min(HTTP_CONNECTIONS);
        HttpMax { connections, for_health, on_health_listen }
    }

    /// What so many calls at once need that there is not, in a sentence.
    pub(crate) fn shortage(self, calls: usize) -> Option<String> {
        let media = self.sockets().media / SOCKETS_OF_A_CALL;
        let needed = calls.saturating_mul(SOCKETS_OF_A_CALL) + FILES + CONNECTIONS;
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
        (self.0.saturating_sub(FILES) / 4).clamp(CONNECTIONS_MIN, CONNECTIONS)
    }
}

/// How many connections the API may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HttpMax {
    /// Where everything is answered.
    pub(crate) connections: usize,
    /// Beyond these, for the health alone.
    pub(crate) for_health: usize,
    /// On the address that is for the health alone.
    pub(crate) on_health_listen: usize,
}

/// The store's files, the log, listening sockets, and what the runtime needs.
const FILES: usize = 64;
/// Connections of the API at once.
const HTTP_CONNECTIONS: usize = 1024;
/// Beyond these, for the health alone.
const FOR_HEALTH: usize = 16;
/// On the address that is for the health alone.
pub(crate) const HEALTH_CONNECTIONS: usize = 32;
/// Connections of phones at once.
const SIP_CONNECTIONS: usize = 4096;
/// Connections of all kinds.
const CONNECTIONS: usize = HTTP_CONNECTIONS + FOR_HEALTH + HEALTH_CONNECTIONS + SIP_CONNECTIONS;
/// The fewest of which each kind has one.
const CONNECTIONS_MIN: usize = 6;
/// Two of each phone: RTP, and RTCP above it.
const SOCKETS_OF_A_CALL: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plenty_is_shared_out_in_full() {
        let plenty = Descriptors(1 << 20);
        let sockets = plenty.sockets();
        assert_eq!(plenty.http(), HttpMax { connections: 1024, for_health: 16, on_health_listen: 32 });
        assert_eq!(sockets.connections, 4096);
        assert_eq!(sockets.media, (1 << 20) - 64 - 1024 - 16 - 32 - 4096);
        assert_eq!(plenty.shortage(2000), None);
    }

    #[test]
    fn of_little_a_quarter_is_kept_back_for_others() {
        let little = Descriptors(1024);
        let sockets = little.sockets();
        assert_eq!(little.http(), HttpMax { connections: 90, for_health: 15, on_health_listen: 15 });
        assert_eq!((sockets.connections, sockets.media), (120, 720));
        assert_eq!(little.shortage(180), None);
        let sentence = little.shortage(2000).unwrap();
        for part in ["2000", "1024 descriptors", "media of 180", "to 13232", "limits.calls to 180"] {
            assert!(sentence.contains(part), "{part}: {sentence}");
        }
    }

    #[test]
    fn the_shares_never_exceed_what_there_is() {
        for allowed in (100..10_000).chain([usize::MAX]) {
            let it = Descriptors(allowed);
            let SocketsMax { media, connections } = it.sockets();
            let http = it.http();
            let of_http = http.connections + http.for_health + http.on_health_listen;
            assert!(media + connections + of_http + FILES <= allowed, "{allowed}");
            let fewest = connections.min(http.connections).min(http.for_health).min(http.on_health_listen);
            assert!(fewest > 0, "{allowed}");
        }
    }
}
