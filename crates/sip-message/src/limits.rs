//! How much of a message is read before it is refused.

/// Octets of a message; a datagram has fewer by its nature.
pub(crate) const MESSAGE_OCTETS: usize = HEADER_OCTETS + BODY_OCTETS;
/// Octets of a body.
pub(crate) const BODY_OCTETS: usize = 64 * 1024;
/// Octets of start line and header.
pub(crate) const HEADER_OCTETS: usize = 32 * 1024;
/// Octets of one header field, unfolded.
pub(crate) const FIELD_OCTETS: usize = 8 * 1024;
/// Header fields of a message.
pub(crate) const FIELDS: usize = 128;
/// Via values of a message.
pub(crate) const VIA_VALUES: usize = 64;
/// Contact values of a message.
pub(crate) const CONTACT_VALUES: usize = 64;
/// Values of Route, of Record-Route and of Path.
pub(crate) const ROUTE_VALUES: usize = 32;
/// Parameters of one value or one URI.
pub(crate) const PARAMETERS: usize = 64;
