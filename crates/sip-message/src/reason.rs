//! The Reason header field (RFC 3326).

/// `Q.850;cause=16;text="…"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// `SIP` or `Q.850`.
    pub protocol: Box<str>,
    /// The status code or the Q.850 cause.
    pub cause: Option<u16>,
    /// For people.
    pub text: Option<Box<str>>,
}
