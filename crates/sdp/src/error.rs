//! What can be wrong with a session description.

use std::net::IpAddr;
use std::sync::Arc;

/// Why a session description cannot be used.
///
/// No variant holds text that could carry control characters into a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// The body is longer than is read.
    #[error("the session description has {octets} octets, {limit} are read")]
    TooLong {
        /// Length of the body.
        octets: usize,
        /// What is read at most.
        limit: usize,
    },
    /// A line is longer than is read.
    #[error("line {line} of the session description has more than {limit} octets")]
    LineTooLong {
        /// Number of the line, from 1.
        line: usize,
        /// What is read at most.
        limit: usize,
    },
    /// A part of the description (the session or one medium) has more lines than are read.
    #[error("line {line} of the session description is beyond the {limit} lines that a medium may have")]
    TooManyLines {
        /// Number of the line, from 1.
        line: usize,
        /// What is read at most.
        limit: usize,
    },
    /// There are more `m=` lines than are read.
    #[error("the session description has more than {limit} media")]
    TooManyMedia {
        /// What is read at most.
        limit: usize,
    },
    /// The first line is not `v=0` (RFC 8866 §5.1).
    #[error("the session description does not begin with v=0")]
    NoVersion,
    /// A line does not have the form that RFC 8866 gives it.
    #[error("the session description cannot be read")]
    Syntax(#[source] Arc<sdp_types::ParserError>),
    /// An `m=` line has a medium, transport or format with other than printable ASCII characters.
    #[error("an m= line has unprintable characters")]
    UnprintableMedia,
    /// A format of an RTP stream is no payload type (0 to 127).
    #[error("an m= line has a format that is no RTP payload type")]
    NotAPayloadType,
    /// There is no audio stream over RTP/AVP.
    #[error("there is no audio stream over RTP/AVP")]
    NoAudio,
    /// The audio stream was refused: its port is 0 (RFC 3264 §6).
    #[error("the audio stream was refused")]
    AudioRefused,
    /// None of the formats of the audio stream has a name and a clock rate.
    #[error("the audio stream has no usable format")]
    NoUsableFormat,
    /// No audio format is in the offer and in what is answered; telephone-event alone is none.
    #[error("offer and answer have no audio format in common")]
    NoCommonFormat,
    /// The audio stream has no `c=` line, at neither level (RFC 8866 §5.7).
    #[error("the audio stream has no connection address")]
    NoConnection,
    /// An address is neither IPv4 nor IPv6, or not of the family that is named beside it.
    #[error("a connection address is not an address of the named family")]
    NotAnAddress,
    /// The address is a host name. It may be resolved; nothing here does.
    #[error("the connection address is the host name {0}")]
    HostName(Box<str>),
    /// Nothing may be sent to this address: multicast, reserved, 0/8 (but 0.0.0.0), or one that only the phone's own host or
    /// link knows.
    #[error("nothing may be sent to the connection address {0}")]
    ForbiddenAddress(IpAddr),
}
