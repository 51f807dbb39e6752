//! Messages out of a stream (RFC 3261 §18.3).

/// Cuts a TCP stream into messages; bounded by the limits of this crate.
#[derive(Debug, Default)]
pub struct StreamFramer {}

/// Why the stream cannot be read on: the connection has to be closed.
#[derive(Debug, thiserror::Error)]
pub enum FramingError { #[error("placeholder")] Placeholder }

impl StreamFramer {
    pub fn push(&mut self, _octets: &[u8]) { todo!() }
    /// The next whole message, start line to body.
    pub fn poll(&mut self) -> Result<Option<Vec<u8>>, FramingError> { todo!() }
    /// CRLFCRLF pings seen since last asked (RFC 5626 §3.5.1), each to be answered with a CRLF.
    pub fn take_pings(&mut self) -> usize { todo!() }
}
