//! Why octets are not a message, and what can be answered all the same.
use crate::{Request, StatusCode};

/// Octets that are not a message, or text that is not the value it should be.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{kind}")]
pub struct ParseError {
    /// What is wrong, the first such thing.
    pub kind: ParseErrorKind,
    /// For a request other than ACK whose Via, From, To, Call-ID and CSeq are there.
    pub salvage: Option<Box<Salvage>>,
}

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseErrorKind {
    /// Nothing, or nothing but line ends: a keep-alive.
    #[error("no message")]
    Empty,
    /// More than 32 KiB of header and 64 KiB of body together.
    #[error("message too large")]
    MessageTooLarge,
    /// More than 32 KiB of start line and header.
    #[error("header too large")]
    HeaderTooLarge,
    /// A header field of more than 8 KiB.
    #[error("header field too large")]
    FieldTooLarge,
    /// More than 128 header fields, each value of Via and of Contact counted as one.
    #[error("too many header fields")]
    TooManyFields,
    /// More values of this field than are read.
    #[error("too many {0} values")]
    TooManyValues(&'static str),
    /// Neither a Request-Line nor a Status-Line (RFC 3261 §7.1, §7.2).
    #[error("malformed start line")]
    StartLine,
    /// Another version than SIP/2.0.
    #[error("unsupported version")]
    Version,
    /// Malformed, or with headers (RFC 3261 §19.1.1).
    #[error("malformed Request-URI")]
    RequestUri,
    /// A status code outside 100 to 699.
    #[error("status code out of range")]
    StatusCode,
    /// No empty line after the header.
    #[error("header is not ended")]
    HeaderNotEnded,
    /// A line of the header without name and colon.
    #[error("malformed header field")]
    HeaderLine,
    /// A control character where none may stand.
    #[error("control character in header")]
    ControlCharacter,
    /// A mandatory field is absent.
    #[error("missing {0}")]
    Missing(&'static str),
    /// A field that may stand once stands twice.
    #[error("repeated {0}")]
    Repeated(&'static str),
    /// The value of this field does not follow its grammar, or is out of range.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// The method of CSeq is not that of the request (RFC 3261 §8.1.1.5).
    #[error("CSeq method differs")]
    CSeqMethod,
    /// The same for a method nobody knows.
    #[error("CSeq method differs, unknown method")]
    CSeqUnknownMethod,
    /// Fewer octets than Content-Length says (RFC 3261 §18.3).
    #[error("body shorter than Content-Length")]
    BodyTooShort,
    /// Text that is no URI.
    #[error("malformed URI")]
    Uri,
    /// Text that is no name-addr or addr-spec, or a list with too many.
    #[error("malformed address")]
    NameAddr,
    /// Text that is no number of seconds.
    #[error("malformed seconds")]
    DeltaSeconds,
    /// Text that is no challenge and no credentials (RFC 3261 §25.1).
    #[error("malformed authentication parameters")]
    AuthParams,
    /// Text that is no Reason value (RFC 3326 §2).
    #[error("malformed reason")]
    Reason,
}

impl ParseErrorKind {
    /// The status that answers such a request.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::MessageTooLarge
            | Self::HeaderTooLarge
            | Self::FieldTooLarge
            | Self::TooManyFields
            | Self::TooManyValues(_) => StatusCode::MESSAGE_TOO_LARGE,
            Self::Version => StatusCode::VERSION_NOT_SUPPORTED,
            Self::CSeqUnknownMethod => StatusCode::NOT_IMPLEMENTED,
            Self::Empty
            | Self::StartLine
            | Self::RequestUri
            | Self::StatusCode
            | Self::HeaderNotEnded
            | Self::HeaderLine
            | Self::ControlCharacter
            | Self::Missing(_)
            | Self::Repeated(_)
            | Self::Malformed(_)
            | Self::CSeqMethod
            | Self::BodyTooShort
            | Self::Uri
            | Self::NameAddr
            | Self::DeltaSeconds
            | Self::AuthParams
            | Self::Reason => StatusCode::BAD_REQUEST,
        }
    }
}

impl From<ParseErrorKind> for ParseError {
    fn from(kind: ParseErrorKind) -> Self {
        Self { kind, salvage: None }
    }
}

/// Enough of a broken request to answer it.
#[derive(Debug, Clone)]
pub struct Salvage {
    /// 400, 501, 505 or 513.
    pub status: StatusCode,
    /// A short reason that names the field, safe to put into a reason phrase.
    pub reason: Box<str>,
    /// The request with what could be read; good for [`Request::response`] only.
    pub request: Request,
}

impl Salvage {
    /// The answer, without a To tag: `status`, with `reason` in its status line.
    pub fn response(&self) -> crate::Response {
        let mut response = self.request.response(self.status);
        response.reason = self.reason.clone();
        response
    }
}
